"""What a simulated batch is compared with: the recipe alone, and perfect knowledge."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from controllers.nmpc import Nmpc
from controllers.plan import Floats
from controllers.problem import DecidedInput, Limit, Problem
from controllers.situation import Situation
from mpc_agent.config.schema_general import JudgedLimit
from plant_models.cho_mab import FULL
from sim_plant.names import FLOWS
from sim_plant.plant import SimulatedPlant, recipe_run
from sim_plant.settings import PlantSettings
from sim_plant.truth import Truth

PIECE_H = 6.0
"""About how long a piece of the optimum's grid is: the batch holds a whole number of them."""


@dataclass(frozen=True)
class Optimum:
    """The best that could have been done with this batch, known perfectly from the start.

    Attributes:
        product_g: antibody at harvest, re-integrated.
        starts_h: starts of the pieces, shape (pieces,).
        inputs: flow by name, each of shape (pieces,), as delivered.
        found: how the solve ended, in words.
    """

    product_g: float
    starts_h: Floats
    inputs: dict[str, Floats]
    found: str


def recipe_truth(plant: PlantSettings) -> Truth:
    """The same plant and seed on the approved recipe and the control unit's own loops."""
    return recipe_run(plant)


def optimum(
    plant: PlantSettings,
    limits: Iterable[JudgedLimit],
    recipe: Truth,
    without: Collection[str] = (),
) -> Optimum:
    """Optimise all flows of the true plant offline, from the true state, inside the limits.

    Piecewise constant on pieces of six hours, Radau collocation, all limits hard. The product is
    that of the re-integrated plan. The search starts from what the recipe did.

    Args:
        plant: the simulated plant, seed included.
        limits: intervals that the truth is judged by.
        recipe: the same plant on its recipe.
        without: flows that are not decided and stay as the recipe's batch began.
    """
    culture = SimulatedPlant(plant).culture
    pieces = max(1, round(plant.batch.duration_h / PIECE_H))
    piece_h = plant.batch.duration_h / pieces
    decided = [flow.value for flow in FLOWS if flow.value not in without]
    problem = Problem(
        name="optimum",
        model=FULL,
        inputs=tuple(_flow(plant, name) for name in decided),
        pieces=pieces,
        maximise="product_mass",
        # The costs of moving count in shares of the product, however long the batch is.
        maximise_scale=recipe.product_g,
        limits=tuple(
            Limit(item.output, item.lower, item.upper, _scale(item), weight=None)
            for item in _within_vessel(limits, plant)
        ),
        check_steps=160,
        # Transients of dissolved oxygen fall between the points of this grid; they do not matter
        # for the product, which is re-integrated with steps that resolve them.
        defect_max=0.5,
    )
    guess = _guess(recipe, problem.decided, pieces, piece_h)
    plan = Nmpc(problem).solve(
        Situation(
            time_s=0.0,
            state=np.array([culture.initial[name] for name in FULL.states]),
            parameters=np.array([culture.parameters[name] for name in FULL.parameters]),
            given=recipe.inputs[1].copy(),
            previous=guess[0],
            piece_h=piece_h,
            setpoints=np.zeros(0),
            guess=guess,
        ),
        None,
    )
    product = FULL.output_names.index("product_mass")
    return Optimum(
        product_g=float(plan.outputs[-1, product]) if plan.usable else float("nan"),
        starts_h=np.arange(pieces, dtype=np.float64) * piece_h,
        inputs=dict(zip(plan.decided, plan.inputs.T, strict=True)) if plan.usable else {},
        found=f"{plan.status}: {plan.message}",
    )


def _flow(plant: PlantSettings, name: str) -> DecidedInput:
    actuator = plant.actuators.of(name)
    return DecidedInput(name, actuator.lower_L_per_h, actuator.upper_L_per_h, move_weight=1e-3)


def _within_vessel(limits: Iterable[JudgedLimit], plant: PlantSettings) -> tuple[JudgedLimit, ...]:
    """The limits, with the volume at which the vessel's interlock acts in place of their own."""
    others = tuple(item for item in limits if item.output != FULL.volume)
    vessel = JudgedLimit(output=FULL.volume, upper=plant.vessel.working_volume_L, hard=True)
    return (*others, vessel)


def _scale(item: JudgedLimit) -> float:
    """A tenth of the interval's width, or of its only end."""
    lower, upper = (
        item.lower or 0.0,
        item.upper if item.upper is not None else 2 * (item.lower or 1),
    )
    return max(abs(upper - lower) / 10, 1e-3)


def _guess(recipe: Truth, names: tuple[str, ...], pieces: int, piece_h: float) -> Floats:
    """Mean flow of the recipe's batch in each piece, shape (pieces, flows)."""
    piece = np.clip(((recipe.time_h - 1e-9) / piece_h).astype(int), 0, pieces - 1)
    rows = [recipe.inputs[piece == k].mean(axis=0) for k in range(pieces)]
    places = [recipe.input_names.index(name) for name in names]
    return np.array(rows)[:, places]
