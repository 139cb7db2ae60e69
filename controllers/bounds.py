"""Bounds of a program at one moment: of inputs, slacks, moves and limits, margins kept."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from controllers.arrays import Floats
from controllers.layout import put
from controllers.problem import Method, Problem
from controllers.rollout import Rollout
from controllers.situation import Situation
from controllers.transcription import Program, input_scales

STEP_ERROR = 0.01
"""How far below zero a state may be in a program of Runge-Kutta steps, or with boluses, in units of
its scale: near zero their error is larger than the state. What a bolus brings may be used up within
a piece, and a polynomial through that dips below zero: held above, it would forbid boluses at which
it dips, and make local optima of others. What is simulated afterwards is what counts."""

ROOM = 1e-3
"""How far beyond a hard limit that is reached already a plan may go, in units of its scale."""


@dataclass(frozen=True)
class Ends:
    """What a plan must stay between at one moment, in the model's units.

    Attributes:
        inputs: lower and upper bound of the decided inputs, shape (decided, 2).
        boluses: largest volume at the start of each piece, shape (pieces, boluses).
        falls, rises: largest changes of the decided inputs onto each piece, (pieces, decided).
        totals: largest sums of inputs in each piece, shape (pieces, totals).
        sides: ends of the limits less their margins, shape (pieces, sides).
        reachable: the same, those of hard limits widened to a little beyond where the plant is
            now, shape (scenarios, pieces, sides).
    """

    inputs: Floats
    boluses: Floats
    falls: Floats
    rises: Floats
    totals: Floats
    sides: Floats
    reachable: Floats


class Bounds:
    """Gives the bounds of one problem's decisions and constraints, situation by situation."""

    def __init__(self, problem: Problem, program: Program, rollout: Rollout) -> None:
        """Remember the parts; nothing is computed before a situation is known."""
        self._problem = problem
        self._program = program
        self._rollout = rollout
        self._u_scale = input_scales(problem)
        self._lowest = self._lowest_states()
        names = problem.model.output_names
        self._outputs = [names.index(side.limit.output) for side in problem.sides]

    def ends(self, situation: Situation) -> Ends:
        """What a plan must stay between from here."""
        sides, inputs = self._sides(situation), self._inputs(situation)
        falls, rises = self._moves(situation, inputs)
        return Ends(
            inputs=inputs,
            boluses=self._boluses(situation),
            falls=falls,
            rises=rises,
            totals=self._totals(situation, inputs, falls),
            sides=sides,
            reachable=self._reachable(situation, sides),
        )

    def decisions(
        self,
        situation: Situation,
        ends: Ends,
        given_up: Collection[int] = (),
        boluses: tuple[Floats, Floats] | None = None,
    ) -> tuple[Floats, Floats]:
        """Bounds of the decision vector: states not negative, inputs in bounds, slacks.

        Args:
            situation: where the solve starts.
            ends: what the plan must stay between.
            given_up: places of hard limits whose slacks are free.
            boluses: bounds of the boluses in place of their own, each of shape (pieces, boluses) or
                (scenarios, pieces, boluses).
        """
        layout = self._program.layout
        lower, upper = np.zeros(layout.size), np.full(layout.size, np.inf)
        put(lower, layout.states, self._lowest)
        low, high = (ends.inputs / self._u_scale[:, None]).T
        for places in (layout.inputs, layout.before):
            if places.size:
                put(lower, places, low)
                put(upper, places, high)
        put(upper, layout.slacks, self._largest_slacks(ends, given_up))
        # Nothing at least: what is too little to pour is decided once the rest is known.
        fewest, most = (0.0, ends.boluses) if boluses is None else boluses
        if layout.boluses.size:
            put(lower, layout.boluses, fewest)
            put(upper, layout.boluses, most)
        lower[layout.stretch], upper[layout.stretch] = situation.stretch
        lower[layout.worst] = -np.inf
        return lower, upper

    def _lowest_states(self) -> Floats:
        """Lower bounds of the moving states, in units of their scales, shape (moving states,)."""
        states = [self._problem.model.states[name] for name in self._problem.moving_states]
        rough = self._problem.method is Method.SHOOTING or bool(self._problem.boluses)
        least = -STEP_ERROR if rough else 0.0
        lowest = [state.lower / state.scale for state in states]
        # A model may allow a trace below zero for rounding; only what is less is truly signed.
        return np.array([low if low < -STEP_ERROR else least for low in lowest])

    def _largest_slacks(self, ends: Ends, given_up: Collection[int]) -> Floats:
        """Bounds of the slacks: none for a hard limit, unless the plant is at the limit now.

        Then the plan may stay where the plant is, and a thousandth of the scale further, at the
        cost of violating a hard limit: without that room the feasible set may have no interior, and
        an interior-point method wanders; without the cost the plant would creep through the limit.

        Returns:
            Upper bounds, shape (scenarios, pieces, sides).
        """
        widest = np.full(self._program.layout.slacks.shape, np.inf)
        for i, side in enumerate(self._problem.sides):
            if side.limit.hard and side.place not in given_up:
                room = side.sign * (ends.reachable[..., i] - ends.sides[:, i])
                widest[..., i] = room / side.limit.scale
        return widest

    def constraints(self, ends: Ends) -> tuple[Floats, Floats]:
        """Bounds of the constraint vector: equations, moves, totals, slackened limits, worst."""
        problem, rows = self._problem, self._program.rows
        lower, upper = np.zeros(rows.size), np.zeros(rows.size)
        limited = [i for i, item in enumerate(problem.inputs) if item.move_limited]
        if limited:
            put(lower, rows.moves, -ends.falls[:, limited] / self._u_scale[limited])
            put(upper, rows.moves, ends.rises[:, limited] / self._u_scale[limited])
        if problem.totals:
            put(lower, rows.totals, -np.inf)
            put(upper, rows.totals, ends.totals / [item.upper for item in problem.totals])
        for i, side in enumerate(problem.sides):
            value = ends.sides[:, i] / side.limit.scale
            put(lower, rows.sides[..., i], value if side.sign < 0 else -np.inf)
            put(upper, rows.sides[..., i], value if side.sign > 0 else np.inf)
        upper[rows.worst] = np.inf
        return lower, upper

    def _inputs(self, situation: Situation) -> Floats:
        """The problem's bounds, or the situation's where those are tighter."""
        bounds = np.array([(item.lower, item.upper) for item in self._problem.inputs])
        bounds = bounds.reshape(-1, 2)
        if situation.input_bounds is None:
            return bounds
        # Of a number and none, the number counts.
        lower = np.fmax(bounds[:, 0], situation.input_bounds[:, 0])
        upper = np.fmin(bounds[:, 1], situation.input_bounds[:, 1])
        return np.column_stack([np.minimum(lower, upper), upper])

    def _boluses(self, situation: Situation) -> Floats:
        problem, allowed = self._problem, situation.bolus_allowed
        if allowed is None:
            return np.zeros((problem.pieces, len(problem.boluses)))
        largest = np.array([item.largest for item in problem.boluses])
        return np.asarray(allowed * largest, dtype=np.float64)

    def _moves(self, situation: Situation, inputs: Floats) -> tuple[Floats, Floats]:
        """Largest falls and rises; the first ones always reach the bounds from where inputs are."""
        moves = [item.moves(situation.steps_h) for item in self._problem.inputs]
        falls = np.array([fall for fall, _ in moves]).T.reshape(self._problem.pieces, -1)
        rises = np.array([rise for _, rise in moves]).T.reshape(self._problem.pieces, -1)
        falls[0] = np.maximum(falls[0], situation.previous - inputs[:, 1])
        rises[0] = np.maximum(rises[0], inputs[:, 0] - situation.previous)
        return falls, rises

    def _totals(self, situation: Situation, inputs: Floats, falls: Floats) -> Floats:
        """Bounds of the sums; never less than what the inputs cannot fall below until then."""
        problem, names = self._problem, self._problem.model.input_names
        if not problem.totals:
            return np.zeros((problem.pieces, 0))
        lowest = np.array(situation.given_pieces(problem.pieces))
        held = situation.previous - np.cumsum(falls, axis=0)
        decided = [names.index(name) for name in problem.decided]
        lowest[:, decided] = np.maximum(inputs[:, 0], held)
        sums = [
            np.maximum(item.upper, lowest[:, [names.index(name) for name in item.inputs]].sum(1))
            for item in problem.totals
        ]
        return np.array(sums).T.reshape(problem.pieces, -1)

    def _sides(self, situation: Situation) -> Floats:
        problem = self._problem
        ends = np.zeros((problem.pieces, len(problem.sides)))
        for i, side in enumerate(problem.sides):
            limit = side.limit
            low = -np.inf if limit.lower is None else limit.lower
            high = np.inf if limit.upper is None else limit.upper
            margin = np.zeros(problem.pieces)
            if limit.margin and situation.output_deviation is not None:
                margin = limit.margin * situation.output_deviation[:, self._outputs[i]]
                # Margins that overlap meet in the middle; a vague or unknown one is none.
                margin = np.minimum(np.minimum(margin, limit.margin_max), (high - low) / 2)
                margin = np.where(np.isfinite(margin), margin, 0.0)
            ends[:, i] = low + margin if side.sign < 0 else high - margin
        return ends

    def _reachable(self, situation: Situation, sides: Floats) -> Floats:
        now = self._rollout.outputs_now(situation)
        ends = sides[None].repeat(len(now), axis=0)
        for i, side in enumerate(self._problem.sides):
            if side.limit.hard:
                here = now[:, self._outputs[i]] + side.sign * ROOM * side.limit.scale
                widest = np.fmax if side.sign > 0 else np.fmin
                ends[..., i] = widest(ends[..., i], here[:, None])
        return ends
