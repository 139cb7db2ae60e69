"""Sequential quadratic programming over what is decided: the states follow from it.

Each quadratic program has as many variables as there are decisions, and is dense. Second
derivatives are exact; a reduced matrix that is not convex is made so. Source: Nocedal and Wright
(2006), Numerical Optimization, chapter 18.
"""

from dataclasses import dataclass

import numpy as np

from controllers.arrays import Floats
from controllers.condensing import Condensing
from controllers.plan import SolveStatus
from controllers.points import Candidate, Numbers, Start
from controllers.problem import Problem
from controllers.stages import Slopes, Stages
from controllers.transcription import Program

ITERATIONS = 25

FEASIBLE, OPTIMAL = 1e-7, 1e-5
"""Largest accepted violation of constraints, and gradient of the Lagrange function, scaled."""

SHORTEST, SUFFICIENT = 0.05, 1e-4
"""Shortest step that is tried, and the share of the promised descent that a step must bring."""


ROUNDING = 1e-9
"""Rise of the cost, relative, that is rounding."""


@dataclass(frozen=True)
class _Arrived:
    """A point, whose states follow from what is decided, with the program there.

    Attributes:
        point: decisions and multipliers.
        slopes: the program.
        pull: gradient of the Lagrange function, shape (decisions,).
        broken: by how much each row and each decision is out of bounds.
    """

    point: Start
    slopes: Slopes
    pull: Floats
    broken: Floats


class Sequential:
    """Solves one program of Runge-Kutta steps from points that are near its optimum."""

    def __init__(self, problem: Problem, program: Program) -> None:
        """Write out the derivatives."""
        self._program = program
        self._stages = Stages(problem, program)
        self._condensing = Condensing(self._stages, program.layout, program.rows)

    def solve(self, name: str, start: Start, numbers: Numbers) -> Candidate:
        """Iterate until an optimum is reached, or none can be.

        Args:
            name: of the attempt.
            start: where to begin; multipliers tell which limits are active.
            numbers: parameters and bounds.
        """
        stages, condensing = self._stages, self._condensing
        stages.begin(numbers.parameters)
        condensing.begin(numbers)
        decision = np.clip(start.decision, *numbers.decision_bounds)
        at = self._arrived(decision, start.bound_multipliers, start.constraint_multipliers, numbers)
        penalty, status = 0.0, SolveStatus.ITERATION_LIMIT
        for iteration in range(ITERATIONS + 1):
            if not np.isfinite(at.slopes.cost + at.slopes.rows.sum() + at.point.decision.sum()):
                return Candidate(name, SolveStatus.NUMERICAL_ERROR, iteration, np.nan, start)
            if self._optimal(at, numbers):
                status = SolveStatus.SOLVED
                break
            curves = stages.curves(at.point.decision, at.slopes, at.point.constraint_multipliers)
            advice = condensing.step(at.point, at.slopes, curves)
            if advice is None:
                status = SolveStatus.INFEASIBLE
                break
            penalty = max(penalty, 1.01 * condensing.steepest(*advice[1:]))
            at = self._stepped(at, advice, numbers, penalty)
        return Candidate(name, status, iteration, at.slopes.cost, at.point)

    def _arrived(
        self, decision: Floats, bounds: Floats, rows: Floats, numbers: Numbers
    ) -> _Arrived:
        """Where decided inputs lead, with the multipliers of the model's rows that fit."""
        stages = self._stages
        slopes, rows = stages.slopes(decision), rows.copy()
        pull = slopes.gradient + bounds + stages.pulled_by_others(slopes, rows)
        pull = stages.trace_back(slopes, pull, rows)
        broken = _violations(slopes.rows, *numbers.constraint_bounds)
        broken = np.concatenate([broken, _violations(decision, *numbers.decision_bounds)])
        return _Arrived(Start(decision, bounds, rows), slopes, pull, broken)

    def _optimal(self, at: _Arrived, numbers: Numbers) -> bool:
        """Whether the point meets the first-order conditions."""
        if not at.broken.max() <= FEASIBLE:
            return False
        bounds = _loosened(at.point.decision, at.point.bound_multipliers, numbers.decision_bounds)
        rows = _loosened(at.slopes.rows, at.point.constraint_multipliers, numbers.constraint_bounds)
        if not max(bounds, rows) <= OPTIMAL:
            return False
        free = numbers.decision_bounds[0] < numbers.decision_bounds[1]
        return bool(np.abs(at.pull[free]).max(initial=0.0) <= OPTIMAL)

    def _stepped(
        self,
        at: _Arrived,
        advice: tuple[Floats, Floats, Floats],
        numbers: Numbers,
        penalty: float,
    ) -> _Arrived:
        """As far as advised, or part of it until cost and violations together fall enough."""
        step, bounds, rows = advice
        broken = penalty * float(at.broken.sum())
        promised, share = float(at.slopes.gradient @ step) - broken, 1.0
        rounding = ROUNDING * (1.0 + abs(at.slopes.cost))
        while True:
            after = self._arrived(at.point.decision + share * step, bounds, rows, numbers)
            change = after.slopes.cost - at.slopes.cost - broken
            change += penalty * float(after.broken.sum())
            if change <= SUFFICIENT * share * promised + rounding or share <= SHORTEST:
                return after
            share *= 0.5


def _violations(values: Floats, least: Floats, most: Floats) -> Floats:
    """By how much values are beyond their bounds, same shape."""
    return np.maximum(np.maximum(least - values, values - most), 0.0)


def _loosened(values: Floats, multipliers: Floats, ends: tuple[Floats, Floats]) -> float:
    """Largest product of a multiplier and the distance from its bound.

    A bound that was moved away since the last solve still has its multiplier, which balances the
    gradient as before.
    """
    pressing = np.flatnonzero(multipliers)
    values, multipliers = values[pressing], multipliers[pressing]
    least, most = (end[pressing] for end in ends)
    away = np.where(multipliers > 0.0, most - values, values - least)
    return float((np.abs(multipliers) * away).max(initial=0.0))
