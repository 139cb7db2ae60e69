"""The look at a solver's answer that does not trust the solver: only what passes becomes a plan."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf, isnan

import numpy as np

from controllers.arrays import Floats
from controllers.bounds import Bounds, Ends
from controllers.plan import Checks
from controllers.points import Candidate
from controllers.problem import Problem
from controllers.rollout import Rollout
from controllers.situation import Situation
from controllers.transcription import Program, input_scales, state_scales

NOTHING = 1e-3
"""Share of the smallest bolus that is none: what an interior-point method leaves above zero."""

ROUNDING = 1e-6
"""Excess over the bounds of inputs and moves that is rounding of the solver: it relaxes them by
1e-8, and its equations hold to 1e-6."""


@dataclass(frozen=True)
class Parts:
    """A problem with everything that was built for it."""

    problem: Problem
    program: Program
    rollout: Rollout
    bounds: Bounds


@dataclass(frozen=True)
class Looked:
    """A candidate re-integrated.

    Attributes:
        inputs: decided inputs, inside their bounds, shape (scenarios, pieces, decided).
        boluses: litres, shape (scenarios, pieces, boluses).
        stretch: factor of the loose pieces' lengths.
        ends: states at the ends of the pieces, shape (scenarios, pieces, states).
        outputs: outputs there, shape (scenarios, pieces, outputs).
        checks: what was found.
        broken: hard limits that are broken: output, by how much, hours from the solve.
    """

    inputs: Floats
    boluses: Floats
    stretch: float
    ends: Floats
    outputs: Floats
    checks: Checks
    broken: tuple[tuple[str, float, float], ...]


def look(
    parts: Parts,
    situation: Situation,
    ends: Ends,
    candidate: Candidate,
    given_up: Collection[int] = (),
) -> Looked:
    """Integrate what the candidate would do, in every scenario, and hold it against all limits.

    Args:
        parts: the problem.
        situation: where the solve started.
        ends: what the plan must stay between.
        candidate: what the solver gave.
        given_up: places of hard limits that this attempt need not keep.
    """
    problem, layout, vector = parts.problem, parts.program.layout, candidate.point.decision
    wanted = vector[layout.inputs] * input_scales(problem)
    inputs = np.clip(wanted, ends.inputs[:, 0], ends.inputs[:, 1])
    boluses = np.minimum(_worth_pouring(problem, vector[layout.boluses]), ends.boluses)
    stretch = float(vector[layout.stretch][0]) if layout.stretch.size else 1.0
    simulated = parts.rollout.simulated(situation, inputs, boluses, stretch)
    outputs = parts.rollout.outputs(situation, simulated.ends, inputs)
    moving = [problem.model.state_names.index(name) for name in problem.moving_states]
    with np.errstate(invalid="ignore"):
        scaled = simulated.points[..., moving] / state_scales(problem)
        defect = float(np.abs(scaled - vector[layout.states]).max())
    broken = _broken(problem, ends, outputs, np.cumsum(situation.lengths_h(stretch)))
    kept = [excess for place, excess, _, _ in broken if place not in given_up]
    finite = bool(np.isfinite(outputs).all())
    return Looked(
        inputs=inputs,
        boluses=boluses,
        stretch=stretch,
        ends=simulated.ends,
        outputs=outputs,
        checks=Checks(
            defect=defect if finite else np.inf,
            defect_max=problem.defect_max,
            integration_error=simulated.error,
            input_excess=_input_excess(problem, situation, ends, wanted, boluses),
            move_excess=_move_excess(problem, situation, ends, inputs),
            limit_excess=max([0.0, *kept]),
        ),
        broken=tuple((problem.limits[place].output, by, at_h) for place, _, by, at_h in broken),
    )


def _worth_pouring(problem: Problem, volumes: Floats) -> Floats:
    """Boluses without the traces that an interior-point method leaves."""
    smallest = np.array([item.smallest for item in problem.boluses])
    return np.where(volumes > NOTHING * smallest, np.maximum(volumes, 0.0), 0.0)


def _broken(
    problem: Problem, ends: Ends, outputs: Floats, ends_h: Floats
) -> list[tuple[int, float, float, float]]:
    """Hard limits that are broken: place, excess in scales, worst amount, when that is.

    A defect's worth of a limit's scale is accepted: the plan itself is not known better.
    """
    found = []
    for i, side in enumerate(problem.sides):
        if side.limit.hard:
            value = outputs[..., problem.model.output_names.index(side.limit.output)]
            beyond = side.sign * (value - ends.reachable[..., i])
            worst = float(beyond.max())
            # What is no number is no limit kept.
            worst = inf if isnan(worst) else worst
            excess = worst / side.limit.scale - problem.defect_max
            if excess > 0.0:
                piece = int(np.unravel_index(np.argmax(beyond), beyond.shape)[1])
                found.append((side.place, excess, worst, float(ends_h[piece])))
    return found


def _input_excess(
    problem: Problem, situation: Situation, ends: Ends, wanted: Floats, boluses: Floats
) -> float:
    """Largest excess of inputs, boluses and sums of inputs over their bounds, in scales."""
    low, high = ends.inputs.T
    excesses = [np.maximum(low - wanted, wanted - high) / input_scales(problem)]
    if problem.boluses:
        smallest = np.array([item.smallest for item in problem.boluses])
        short = np.where(boluses > 0.0, smallest - boluses, 0.0)
        excesses.append(short / np.maximum(smallest, 1.0))
    if problem.totals:
        sums = totals(problem, situation, wanted)
        excesses.append((sums - ends.totals) / np.maximum(ends.totals, ROUNDING))
    largest = max(float(excess.max()) for excess in excesses if excess.size)
    return max(0.0, largest - ROUNDING)


def totals(problem: Problem, situation: Situation, inputs: Floats) -> Floats:
    """Sums of inputs that have a bound, shape (scenarios, pieces, totals)."""
    if not problem.totals:
        return np.zeros((*inputs.shape[:2], 0))
    names = problem.model.input_names
    whole = np.tile(situation.given_pieces(problem.pieces), (len(inputs), 1, 1))
    whole[..., [names.index(name) for name in problem.decided]] = inputs
    sums = [
        whole[..., [names.index(name) for name in item.inputs]].sum(axis=-1)
        for item in problem.totals
    ]
    return np.stack(sums, axis=-1)


def _move_excess(problem: Problem, situation: Situation, ends: Ends, inputs: Floats) -> float:
    """Largest excess of a change over its limit, in units of the inputs' scales."""
    moves = inputs.copy()
    moves[:, 0] -= situation.previous
    moves[:, 1:] -= inputs[:, :-1]
    excess = np.maximum(moves - ends.rises, -moves - ends.falls) / input_scales(problem)
    return max(0.0, float(excess.max(initial=-np.inf)) - ROUNDING)
