"""What a simulated batch is compared with: the recipe alone, and perfect knowledge."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np

from controllers.arrays import Floats
from controllers.nmpc import Nmpc
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from controllers.transcription import radau
from mpc_agent.config.schema_general import JudgedLimit
from plant_models.model import PlantModel
from sim_plant.plant import SimulatedPlant, recipe_run
from sim_plant.settings import PlantSettings
from sim_plant.truth import Truth

PIECES = 56
"""Pieces of the optimum's grid where the plant does not say how long they are."""

ROWS_PER_PIECE = 2
"""No piece holds fewer rows of the truth: the recipe's batch is the guess."""

DEGREE = 3
"""Radau collocation points per piece."""


@dataclass(frozen=True)
class Optimum:
    """The best that could have been done with this batch, known perfectly from the start.

    Attributes:
        product_g: product at harvest, re-integrated.
        starts_h: starts of the pieces, shape (pieces,).
        inputs: decided input by name, each of shape (pieces,), as delivered.
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
    start: Truth | None = None,
) -> Optimum:
    """Optimise the inputs of the true plant offline, from the true state, inside the limits.

    Decided is what the plant's settings say under `yardstick`; everything else does what it did in
    the recipe's batch. Piecewise constant, Radau collocation, all limits hard. The product is that
    of the re-integrated plan.

    Args:
        plant: the simulated plant, seed included.
        limits: intervals that the truth is judged by.
        recipe: the same plant on its recipe.
        without: inputs that are not decided and stay as the recipe's batch began.
        start: batch that the search starts from; by default that of the recipe.
    """
    culture, model = SimulatedPlant(plant).culture, plant.yardstick_model
    pieces, piece_h = grid(plant)
    problem = _problem(plant, limits, recipe, without)
    done = _done(recipe, model, pieces, piece_h)
    given = done.copy()
    for name in without:
        row = model.input_names.index(name)
        given[:, row] = recipe.input(name)[1]
    decided = [model.input_names.index(name) for name in problem.decided]
    guess = _done(start or recipe, model, pieces, piece_h)[:, decided]
    plan = Nmpc(problem).solve(
        Situation(
            time_s=0.0,
            state=np.array(
                [culture.initial.get(name, item.initial) for name, item in model.states.items()]
            ),
            parameters=np.array(
                [culture.parameters.get(name, p.value) for name, p in model.parameters.items()]
            ),
            given=given,
            previous=guess[0],
            steps_h=np.full(pieces, piece_h),
            setpoints=np.zeros(0),
            guess=guess,
        ),
        None,
    )
    product = model.output_names.index(model.product)
    return Optimum(
        product_g=float(plan.outputs[-1, product]) if plan.usable else float("nan"),
        starts_h=np.arange(pieces, dtype=np.float64) * piece_h,
        inputs=dict(zip(plan.decided, plan.inputs.T, strict=True)) if plan.usable else {},
        found=f"{plan.status}: {plan.message}",
    )


def best_known(
    plant: PlantSettings, limits: Iterable[JudgedLimit], recipe: Truth, achieved: Truth
) -> Optimum:
    """The optimum; searched for once more from what was achieved when that was better.

    These problems have local optima: a search from the recipe may end in a poor one.
    """
    limits = tuple(limits)
    found = optimum(plant, limits, recipe)
    if found.product_g >= achieved.product_g:
        return found
    other = optimum(plant, limits, recipe, start=achieved)
    return max(found, other, key=lambda item: np.nan_to_num(item.product_g, nan=-np.inf))


def grid(plant: PlantSettings) -> tuple[int, float]:
    """Number and length (h) of the pieces: the batch holds a whole number of them."""
    duration_h = plant.batch.duration_h
    wanted_h = plant.yardstick.piece_h or duration_h / PIECES
    shortest_h = ROWS_PER_PIECE * plant.truth.every_s / 3600
    pieces = max(1, round(duration_h / max(wanted_h, shortest_h)))
    return pieces, duration_h / pieces


def _problem(
    plant: PlantSettings, limits: Iterable[JudgedLimit], recipe: Truth, without: Collection[str]
) -> Problem:
    """The batch as one optimal control problem."""
    model, section = plant.yardstick_model, plant.yardstick
    pieces, piece_h = grid(plant)
    widest = float(np.diff(radau(DEGREE)[0], prepend=0.0).max())
    return Problem(
        name="optimum",
        model=model,
        inputs=tuple(_input(plant, name) for name in section.decided if name not in without),
        pieces=pieces,
        degree=DEGREE,
        # The costs of moving count in shares of the product, however long the batch is.
        maximise=Maximise(model.product, max(recipe.product_g, 1e-9)),
        limits=tuple(
            Limit(item.output, item.lower, item.upper, _scale(item), weight=None)
            for item in _within_vessel(limits, plant)
        ),
        held_states=section.held_states,
        check_steps=section.check_steps or ceil(piece_h * widest * model.substeps_per_h),
        defect_max=section.defect_max,
    )


def _input(plant: PlantSettings, name: str) -> DecidedInput:
    actuator = plant.actuators[name]
    return DecidedInput(name, actuator.lower, actuator.upper, move_weight=1e-3)


def _within_vessel(limits: Iterable[JudgedLimit], plant: PlantSettings) -> tuple[JudgedLimit, ...]:
    """The limits, with the volume at which the vessel's interlock acts in place of their own."""
    model = plant.yardstick_model
    others = tuple(item for item in limits if item.output != model.volume)
    if model.volume not in model.output_names:
        return others
    vessel = JudgedLimit(output=model.volume, upper=plant.vessel.working_volume_L, hard=True)
    return (*others, vessel)


def _scale(item: JudgedLimit) -> float:
    """A tenth of the interval's width, or of its only end."""
    lower, upper = (
        item.lower or 0.0,
        item.upper if item.upper is not None else 2 * (item.lower or 1),
    )
    return max(abs(upper - lower) / 10, 1e-3)


def _done(recipe: Truth, model: PlantModel, pieces: int, piece_h: float) -> Floats:
    """Mean inputs of the model in each piece of the recipe's batch, shape (pieces, inputs).

    What the plant's loops hold, and its reduced model takes as an input, is an output of the plant.
    """
    columns = []
    for name, item in model.inputs.items():
        if name in recipe.input_names:
            columns.append(recipe.input(name))
        elif name in recipe.output_names:
            columns.append(recipe.output(name))
        else:
            columns.append(np.full(len(recipe.time_h), item.nominal))
    courses = np.column_stack(columns)
    piece = np.clip(((recipe.time_h - 1e-9) / piece_h).astype(int), 0, pieces - 1)
    return np.array([courses[piece == k].mean(axis=0) for k in range(pieces)])
