"""Bounds of a program at one moment: of inputs, slacks, moves and limits, margins kept."""

import numpy as np

from controllers.plan import Floats
from controllers.problem import Problem
from controllers.rollout import Rollout
from controllers.situation import Situation
from controllers.transcription import Program, input_scales


class Bounds:
    """Gives the bounds of one problem's decisions and constraints, situation by situation."""

    def __init__(self, problem: Problem, program: Program, rollout: Rollout) -> None:
        """Remember the parts; nothing is computed before a situation is known."""
        self._problem = problem
        self._program = program
        self._rollout = rollout
        self._u_scale = input_scales(problem)

    def decision_bounds(self, situation: Situation, *, relaxed: bool) -> tuple[Floats, Floats]:
        """Bounds of the decision table: states not negative, inputs in bounds, slacks."""
        layout, problem = self._program.layout, self._problem
        lower = np.zeros((problem.pieces, layout.width))
        upper = np.full((problem.pieces, layout.width), np.inf)
        bounds = self.input_bounds(situation) / self._u_scale[:, None]
        lower[:, layout.input_columns], upper[:, layout.input_columns] = bounds.T
        if not relaxed:
            upper[:, layout.slack_columns] = self._largest_slacks(situation)
        return lower, upper

    def _largest_slacks(self, situation: Situation) -> Floats:
        """Bounds of the slacks: none for a hard limit, unless the plant is at the limit now.

        Then the plan may stay where the plant is, and a thousandth of the scale further, at the
        cost of violating a hard limit: without that room the feasible set may have no interior, and
        an interior-point method wanders; without the cost the plant would creep through the limit.

        Returns:
            Upper bounds, shape (pieces, slacks).
        """
        widest = np.full((self._problem.pieces, self._program.layout.slacks), np.inf)
        pairs = zip(self.ends(situation), self.reachable_ends(situation), strict=True)
        for i, (((low, high), (lowest, highest)), limit) in enumerate(
            zip(pairs, self._problem.limits, strict=True)
        ):
            if limit.hard:
                widest[:, 2 * i] = _difference(low, lowest) / limit.scale
                widest[:, 2 * i + 1] = _difference(highest, high) / limit.scale
        return widest

    def input_bounds(self, situation: Situation) -> Floats:
        """Lower and upper bound of every decided input, shape (decided, 2)."""
        bounds = np.array([(item.lower, item.upper) for item in self._problem.inputs])
        if situation.input_bounds is None:
            return bounds
        # Of a number and none, the number counts.
        lower = np.fmax(bounds[:, 0], situation.input_bounds[:, 0])
        upper = np.fmin(bounds[:, 1], situation.input_bounds[:, 1])
        return np.column_stack([np.minimum(lower, upper), upper])

    def constraint_bounds(self, situation: Situation) -> tuple[Floats, Floats]:
        """Bounds of the constraint table: collocation equations, moves, slackened limits."""
        problem, equations = self._problem, np.zeros(self._program.equations)
        moves = np.array(
            [
                item.max_move / scale
                for item, scale in zip(problem.inputs, self._u_scale, strict=True)
                if item.max_move is not None
            ]
        )
        head = np.concatenate([equations, -moves]), np.concatenate([equations, moves])
        lower = [np.tile(head[0], (problem.pieces, 1))]
        upper = [np.tile(head[1], (problem.pieces, 1))]
        none = np.full(problem.pieces, np.inf)
        for limit, (low, high) in zip(problem.limits, self.ends(situation), strict=True):
            lower.append(np.column_stack([low / limit.scale, -none]))
            upper.append(np.column_stack([none, high / limit.scale]))
        return np.hstack(lower), np.hstack(upper)

    def ends(self, situation: Situation) -> list[tuple[Floats, Floats]]:
        """Both ends of every limit less its margins, each of shape (pieces,)."""
        problem, ends = self._problem, []
        for limit in problem.limits:
            low = np.full(problem.pieces, -np.inf if limit.lower is None else limit.lower)
            high = np.full(problem.pieces, np.inf if limit.upper is None else limit.upper)
            if limit.margin and situation.output_deviation is not None:
                place = problem.model.output_names.index(limit.output)
                margin = limit.margin * situation.output_deviation[:, place]
                # Margins that overlap meet in the middle; a vague or unknown one is none.
                margin = np.minimum(np.minimum(margin, limit.margin_max), (high - low) / 2)
                margin = np.where(np.isfinite(margin), margin, 0.0)
                low, high = low + margin, high - margin
            ends.append((low, high))
        return ends

    def reachable_ends(self, situation: Situation) -> list[tuple[Floats, Floats]]:
        """The ends, those of hard limits widened to a little beyond where the plant is now."""
        names = self._problem.model.output_names
        now = self._rollout.outputs_now(situation.state, situation.given_now, situation.parameters)
        ends = []
        for limit, (low, high) in zip(self._problem.limits, self.ends(situation), strict=True):
            value, room = now[names.index(limit.output)], 1e-3 * limit.scale
            if limit.hard and np.isfinite(value):
                ends.append((np.minimum(low, value - room), np.maximum(high, value + room)))
            else:
                ends.append((low, high))
        return ends


def _difference(larger: Floats, smaller: Floats) -> Floats:
    """How far two ends of a limit are apart; not at all where both are open."""
    apart: Floats = np.zeros_like(larger)
    np.subtract(larger, smaller, out=apart, where=np.isfinite(larger))
    return apart
