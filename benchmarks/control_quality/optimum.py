"""The optimum of each seed: from several starts, because these problems have local optima; kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from benchmarks.control_quality.batches import (
    PLANT_PACKAGES,
    plant_of,
    sources_hash,
)
from controllers.arrays import Floats
from controllers.plan import SolveStatus
from mpc_agent.config.schema_general import JudgedLimit
from mpc_agent.yardsticks import Optimum, grid, optimum, recipe_truth
from plant_models.dialect import NUMPY
from plant_models.stepper import Stepper
from sim_plant.plant import SimulatedPlant
from sim_plant.settings import PlantSettings
from sim_plant.truth import Truth


@dataclass(frozen=True)
class Yardstick:
    """Where the optimum of a configuration's plants is kept.

    Attributes:
        config: the agent's YAML, which names plant and limits.
        folder: where optima are kept.
    """

    config: Path
    folder: Path

    def truth(self, seed: int, starts: Iterable[Path]) -> Truth:
        """The batch of a seed as it would be with perfect knowledge.

        Args:
            seed: of the plant.
            starts: truths of batches of the same seed from which the search starts besides the
                recipe; a batch that is better than the optimum that is kept starts it anew.

        Raises:
            SystemExit: no start led to an optimum.
        """
        plant, limits = plant_of(self.config, seed)
        path = self.folder / f"optimum-seed{seed}-{self._key(plant, limits)}.npz"
        batches = [Truth.load(start) for start in starts]
        kept = [Truth.load(path)] if path.exists() else []
        best = max((batch.product_g for batch in batches), default=0.0)
        if kept and kept[0].product_g >= best:
            return kept[0]
        recipe = recipe_truth(plant)
        found = _searched(plant, limits, recipe, [*kept, recipe, *batches])
        found.save(path)
        return found

    def _key(self, plant: PlantSettings, limits: tuple[JudgedLimit, ...]) -> str:
        sources = sources_hash((*PLANT_PACKAGES, "controllers"))
        text = f"{sources} {plant.model_dump_json()} {limits!r}"
        return sha256(text.encode()).hexdigest()[:16]


def _searched(
    plant: PlantSettings, limits: tuple[JudgedLimit, ...], recipe: Truth, starts: list[Truth]
) -> Truth:
    """The best optimum of all starts, searched for once more from there."""
    found = [as_batch(plant, best, recipe) for best in _optima(plant, limits, recipe, starts)]
    if not found:
        raise SystemExit(f"seed {plant.seed}: no start led to an optimum")
    first = max(found, key=lambda batch: batch.product_g)
    again = [as_batch(plant, best, recipe) for best in _optima(plant, limits, recipe, [first])]
    return max([first, *again], key=lambda batch: batch.product_g)


def _optima(
    plant: PlantSettings, limits: tuple[JudgedLimit, ...], recipe: Truth, starts: list[Truth]
) -> Iterator[Optimum]:
    """The optima found within all limits: a relaxed one is none."""
    for start in starts:
        best = optimum(plant, limits, recipe, start=start)
        if best.inputs and best.found.startswith(SolveStatus.SOLVED):
            yield best


def as_batch(plant: PlantSettings, best: Optimum, recipe: Truth) -> Truth:
    """The courses of an optimum: its inputs applied to the plant's model."""
    model, culture = plant.yardstick_model, SimulatedPlant(plant).culture
    pieces, piece_h = grid(plant)
    hours = recipe.time_h
    piece = np.clip(((hours - 1e-9) / piece_h).astype(int), 0, pieces - 1)
    inputs = recipe.inputs.copy()
    for k in range(pieces):
        inputs[piece == k] = recipe.inputs[piece == k].mean(axis=0)
    for name, values in best.inputs.items():
        inputs[:, recipe.input_names.index(name)] = values[piece]
    parameters = np.array([culture.parameters[name] for name in model.parameter_names])
    state = np.array([culture.initial[name] for name in model.state_names])
    step_h = float(hours[1] - hours[0])
    stepper = Stepper(model, step_h, int(np.ceil(step_h * model.substeps_per_h)))
    states: list[Floats] = [state]
    outputs = [np.asarray(model.output_vector(state, inputs[0], parameters, NUMPY), dtype=float)]
    for row in inputs[1:]:
        state, shown = stepper.advance(state, row, parameters)
        states.append(state)
        outputs.append(shown)
    return replace(
        recipe, states=np.array(states), inputs=inputs, outputs=np.array(outputs),
        sources=np.array(["optimum"] * len(hours)),
    )  # fmt: skip
