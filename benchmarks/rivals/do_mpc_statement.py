"""One of our problems in do-mpc's symbols, and in numbers for one situation.

What changes from solve to solve is one time-varying parameter, a column for each piece: length,
given inputs, held states, setpoints, ends of the limits. do-mpc's step is 1, and the derivative is
multiplied by the piece's length.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import casadi
import numpy as np

from benchmarks.control_speed.judge import limit_ends
from benchmarks.rivals.task import Floats
from controllers.problem import Method, Per, Problem
from controllers.situation import Situation
from plant_models.dialect import CASADI, NUMPY

with warnings.catch_warnings():
    # It tells of its optional parts that are not installed, and compares a text by `is`.
    warnings.simplefilter("ignore")
    import do_mpc

# CasADi's, of the NumPy functions that do-mpc applies to its symbols.
warnings.filterwarnings("ignore", r"\s*casadi: a numpy function", FutureWarning)

__all__ = ["Words", "do_mpc", "refuse", "refuse_courses", "told_table", "words"]

_BEYOND = 1e-3
"""A plant that is beyond a hard limit may stay there, and go this share of its scale further."""


@dataclass(frozen=True)
class Words:
    """The problem in do-mpc's symbols, all in the model's units.

    Attributes:
        model: do-mpc's, set up.
        rows: what must not be positive at the end of a piece, the slack not yet taken off.
        soft: weight of each row's violation; NaN of a hard one.
        cost: what a piece costs by its end, violations and moves apart.
        gain: what is maximised, at the end of the last piece.
        share: length of a piece over the mean one.
    """

    model: Any
    rows: casadi.SX
    soft: Floats
    cost: casadi.SX
    gain: casadi.SX
    share: casadi.SX


@dataclass(frozen=True)
class _Told:
    """The columns of what changes from solve to solve, as symbols."""

    length_h: casadi.SX
    share: casadi.SX
    given: casadi.SX
    held: casadi.SX
    setpoints: casadi.SX
    ends: casadi.SX


def _told_sizes(problem: Problem) -> tuple[int, ...]:
    """Lengths of the columns, in the order of `_Told`."""
    rows = len(problem.sides) + len(problem.totals)
    given = len(problem.model.inputs)
    return 1, 1, given, len(problem.held_states), len(problem.tracked), rows


def words(problem: Problem) -> Words:
    """The problem in the symbols of a do-mpc model."""
    plant, sizes = problem.model, _told_sizes(problem)
    model = do_mpc.model.Model("continuous", "SX")
    x = model.set_variable("_x", "x", shape=(len(problem.moving_states), 1))
    u = model.set_variable("_u", "u", shape=(len(problem.inputs), 1))
    p = model.set_variable("_p", "parameters", shape=(len(plant.parameters), 1))
    column = model.set_variable("_tvp", "told", shape=(sum(sizes), 1))
    model.set_rhs("x", _slope(problem, x, u, p, column))
    model.setup()
    # Setting up, do-mpc replaces the symbols.
    u, column = model.u["u"], model.tvp["told"]
    states, inputs, told = _columns(problem, model.x["x"], u, column)
    values = plant.output_vector(states, inputs, model.p["parameters"], CASADI)
    outputs = {name: values[i] for i, name in enumerate(plant.output_names)}
    rows, weights = _limit_rows(problem, outputs, inputs, told.ends)
    best = problem.maximise
    return Words(
        model=model,
        rows=rows,
        soft=weights,
        cost=_piece_cost(problem, outputs, u, told),
        gain=casadi.SX(0) if best is None else outputs[best.output] / best.scale,
        share=told.share,
    )


def _slope(
    problem: Problem, x: casadi.SX, u: casadi.SX, p: casadi.SX, column: casadi.SX
) -> casadi.SX:
    """Time derivative of the moving states, per piece."""
    plant = problem.model
    states, inputs, told = _columns(problem, x, u, column)
    slope = plant.derivative(states, inputs, p, CASADI)
    moving = [slope[plant.state_names.index(name)] for name in problem.moving_states]
    per_piece: casadi.SX = told.length_h * casadi.vertcat(*moving)
    return per_piece


def _columns(
    problem: Problem, x: casadi.SX, u: casadi.SX, column: casadi.SX
) -> tuple[casadi.SX, casadi.SX, _Told]:
    """All states and all inputs of the model, and what else is told."""
    plant = problem.model
    places = [0, *np.cumsum(_told_sizes(problem)).tolist()]
    told = _Told(*casadi.vertsplit(column, places))
    states = casadi.SX(len(plant.states), 1)
    for names, values in ((problem.moving_states, x), (problem.held_states, told.held)):
        for place, name in enumerate(names):
            states[plant.state_names.index(name)] = values[place]
    inputs = casadi.SX(told.given)
    for place, name in enumerate(problem.decided):
        inputs[plant.input_names.index(name)] = u[place]
    return states, inputs, told


def _limit_rows(
    problem: Problem, outputs: dict[str, casadi.SX], inputs: casadi.SX, ends: casadi.SX
) -> tuple[casadi.SX, Floats]:
    """How far each side of the limits, and each total, is exceeded; and weights, NaN if hard."""
    rows, weights = [], []
    for i, side in enumerate(problem.sides):
        rows.append(side.sign * (outputs[side.limit.output] - ends[i]) / side.limit.scale)
        weights.append(np.nan if side.limit.weight is None else side.limit.weight)
    names = problem.model.input_names
    for i, total in enumerate(problem.totals):
        summed = casadi.sum1(inputs[[names.index(name) for name in total.inputs]])
        rows.append((summed - ends[len(problem.sides) + i]) / total.upper)
        weights.append(np.nan)
    return casadi.vertcat(*rows), np.array(weights)


def _piece_cost(
    problem: Problem, outputs: dict[str, casadi.SX], u: casadi.SX, told: _Told
) -> casadi.SX:
    """What a piece costs: distances and rewards at its end, effort, price."""
    cost = casadi.SX(0)
    for i, item in enumerate(problem.tracked):
        distance = (outputs[item.output] - told.setpoints[i]) / item.scale
        cost += told.share * item.weight * distance**2
    for rewarded in problem.rewarded:
        cost -= told.share * rewarded.weight * outputs[rewarded.output] / rewarded.scale
    for i, decided in enumerate(problem.inputs):
        scale = problem.model.inputs[decided.name].scale
        cost += told.share * decided.effort_weight * u[i] / scale
        cost += decided.price * u[i] * told.length_h
    return cost


def _row_ends(problem: Problem, situation: Situation) -> Floats:
    """Where each row becomes positive, piece by piece, shape (pieces, rows).

    A hard limit that the plant is beyond already is one from there on; a total is never less than
    what is given and the lower bounds add up to.
    """
    model = problem.model
    now = dict(
        zip(
            model.output_names,
            model.output_vector(situation.state, situation.given_now, situation.parameters, NUMPY),
            strict=True,
        )
    )
    ends = limit_ends(problem, situation)
    columns = []
    for side in problem.sides:
        end, value = ends[side.place][side.sign > 0], now[side.limit.output]
        if side.limit.hard:
            beyond = side.sign * (value - end) > 0
            end = np.where(beyond, value + side.sign * _BEYOND * side.limit.scale, end)
        columns.append(end)
    lowest = np.array(situation.given_pieces(problem.pieces))
    lowest[:, [model.input_names.index(name) for name in problem.decided]] = [
        item.lower for item in problem.inputs
    ]
    for total in problem.totals:
        places = [model.input_names.index(name) for name in total.inputs]
        columns.append(np.maximum(total.upper, lowest[:, places].sum(axis=1)))
    return np.column_stack(columns) if columns else np.zeros((problem.pieces, 0))


def refuse(problem: Problem) -> None:
    """End with what do-mpc cannot be told."""
    best = problem.maximise
    beyond = {
        "bolus feeds": bool(problem.boluses),
        "a free harvest": problem.free_harvest,
        "the worst case": problem.scenarios.worst_case,
        "a quotient to maximise": best is not None and best.per is not Per.BATCH,
        "shooting": problem.method is Method.SHOOTING,
    }
    found = [name for name, there in beyond.items() if there]
    if found:
        raise ValueError(f"problem {problem.name}: do-mpc cannot be told {', '.join(found)}")


def refuse_courses(situation: Situation) -> None:
    """End with what do-mpc cannot be told of scenarios."""
    if np.ptp(situation.states, axis=0).any() or np.ptp(situation.shares) > 1e-9:
        raise ValueError("do-mpc's scenarios begin in one state and count alike")


def told_table(problem: Problem, situation: Situation) -> Floats:
    """The column in numbers, one row per piece."""
    steps_h, held = situation.steps_h, problem.held_states
    places = [problem.model.state_names.index(name) for name in held]
    return np.hstack(
        [
            steps_h[:, None],
            (steps_h / steps_h.mean())[:, None],
            situation.given_pieces(problem.pieces),
            np.tile(situation.state[places], (problem.pieces, 1)),
            np.tile(situation.setpoints, (problem.pieces, 1)),
            _row_ends(problem, situation),
        ]
    )
