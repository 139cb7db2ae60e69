"""Quadratic programs in what is decided alone: the states of all pieces follow linearly."""

import numpy as np

from controllers.active_set import solve
from controllers.arrays import Flags, Floats, Places
from controllers.layout import Layout, Rows
from controllers.points import Numbers, Start
from controllers.quadratic import Optimum, Quadratic, convex, signs
from controllers.stages import Curves, Slopes, Stages


class Condensing:
    """Eliminates the states of one program; one solve at a time.

    Every scenario's decisions (states, decided, carried inputs, slacks, in this order, and a row of
    zeros) are a table of its columns: what is decided, and slacks that are free.
    """

    def __init__(self, stages: Stages, layout: Layout, rows: Rows) -> None:
        """Number what no bounds change."""
        self._stages, self._layout, self._rows = stages, layout, rows
        scenarios = len(stages.ends)
        parts = stages.ends, stages.decided, layout.before, layout.slacks
        self._places = np.concatenate([part.reshape(scenarios, -1) for part in parts], axis=1)
        self._height = self._places.shape[1]
        self._local = np.full((scenarios, layout.size + 1), self._height)
        for table, places in zip(self._local, self._places, strict=True):
            table[places] = np.arange(self._height)
        self._stage_rows = self._local[0][stages.arguments[0]]
        self._number_curves()
        self._numbered_for: tuple[bytes, ...] = ()

    def begin(self, numbers: Numbers) -> None:
        """Take one solve's bounds; columns and rows are numbered when other ones have bounds."""
        (lower, upper), (least, most) = numbers.decision_bounds, numbers.constraint_bounds
        free = lower < upper
        bounded = np.isfinite(lower) | np.isfinite(upper)
        limited = np.isfinite(least) | np.isfinite(most)
        key = free.tobytes(), bounded.tobytes(), limited.tobytes()
        if key != self._numbered_for:
            self._number_columns(free)
            self._number_rows(bounded, limited)
            self._numbered_for = key
        self._lows, self._highs = (
            np.concatenate([bounds[self._own], bounds[self._states], ends[self._others]], axis=1)
            for bounds, ends in ((lower, least), (upper, most))
        )
        # Common columns are bounded in the first scenario alone.
        self._lows[1:, : self._shared], self._highs[1:, : self._shared] = -np.inf, np.inf

    def _number_columns(self, free: Flags) -> None:
        """Columns of the tables: slacks that are tied to zero are left out."""
        layout, scenarios = self._layout, len(self._places)
        slacks = layout.slacks.reshape(scenarios, -1)
        used = free[slacks].any(axis=0)
        decided = self._stages.decided.reshape(scenarios, -1)
        own = np.concatenate([decided, slacks[:, used]], axis=1)
        common = (own[0] == own[-1]) & (scenarios > 1)
        # Common columns first: foreseen inputs may stand between those that are common.
        order = np.argsort(~common, kind="stable")
        own = own[:, order]
        self._own, self._width, self._shared = own, own.shape[1], int(common.sum())
        pieces_decided = self._stages.decided.shape[1:]
        self._columns = np.argsort(order)[: decided.shape[1]].reshape(pieces_decided)
        self._tied = ~free[own]
        self._table = np.zeros((scenarios, self._height + 1, self._width))
        self._table[:, self._local[0][own[0]], np.arange(self._width)] = 1.0
        carried, inputs = (
            self._local[0][places[0].ravel()] for places in (layout.before, layout.inputs)
        )
        self._table[:, carried] = self._table[:, inputs]

    def _number_rows(self, bounded: Flags, limited: Flags) -> None:
        """Places of the constraints that are not the model's, and of states that have bounds."""
        pattern, rows = self._stages.pattern, self._rows
        count = len(self._places)
        every = [table.reshape(count, -1) for table in (rows.moves, rows.totals, rows.sides)]
        others = np.concatenate(every, axis=1)
        self._others = others[:, limited[others].any(axis=0)]
        states = self._stages.ends.reshape(count, -1)
        kept = bounded[states].any(axis=0)
        self._states = states[:, kept]
        self._state_rows = np.flatnonzero(kept)
        scenario, number = np.full(rows.size, -1), np.zeros(rows.size, dtype=np.int64)
        for s, table in enumerate(self._others):
            scenario[table], number[table] = s, np.arange(len(table))
        self._known = np.flatnonzero(scenario[pattern.row] >= 0)
        row, column = pattern.row[self._known], pattern.column[self._known]
        self._cells = scenario[row], number[row], self._local[scenario[row], column]

    def _number_curves(self) -> None:
        """Which scenario each of the flat part's second derivatives belongs to, and where.

        What scenarios share counts in each of them, with an equal part.
        """
        pattern = self._stages.pattern
        holders = np.zeros(self._layout.size)
        np.add.at(holders, self._places, 1.0)
        self._parts = 1.0 / holders[self._places]
        self._curves = []
        for local in self._local:
            left, right = local[pattern.left], local[pattern.right]
            found = np.flatnonzero((left < self._height) & (right < self._height))
            parts = np.minimum(holders[pattern.left], holders[pattern.right])[found]
            self._curves.append((found, left[found], right[found], 1.0 / parts))

    def step(
        self, start: Start, slopes: Slopes, curves: Curves
    ) -> tuple[Floats, Floats, Floats] | None:
        """What the quadratic program at a point advises.

        Returns:
            Step of the decisions, and the multipliers of bounds and rows after it, those of the
            model's rows zero; None where the program has no solution.
        """
        self._eliminate(slopes)
        program = self._program(start, slopes, curves)
        optimum = solve(program, self._active(start))
        return None if optimum is None else self._expanded(optimum)

    def steepest(self, bounds: Floats, rows: Floats) -> float:
        """Largest multiplier of what a step may break: limits, and bounds of states."""
        found = (
            np.abs(table).max(initial=0.0) for table in (bounds[self._states], rows[self._others])
        )
        return float(max(found))

    def _eliminate(self, slopes: Slopes) -> None:
        """The states' rows of the table: their sensitivities to what is decided."""
        scenarios, pieces, states = self._stages.ends.shape
        table = self._table[:, : pieces * states].reshape(scenarios, pieces, states, -1)
        by_state = slopes.stages[..., :states].swapaxes(0, 1).copy()
        by_decided = slopes.stages[..., states:].swapaxes(0, 1)
        for k in range(pieces):
            if k:
                np.matmul(by_state[k], table[:, k - 1], out=table[:, k])
            row = table[:, k]
            row[..., self._columns[k]] = by_decided[k]

    def _program(self, start: Start, slopes: Slopes, curves: Curves) -> Quadratic:
        """The quadratic program in the columns."""
        stages = self._table[:, self._stage_rows]
        bent = curves.stages @ stages
        count = len(self._places)
        flat = stages.reshape(count, -1, self._width)
        curved = flat.swapaxes(1, 2) @ bent.reshape(count, -1, self._width)
        for s, (found, left, right, parts) in enumerate(self._curves):
            values = (curves.others[found] * parts)[:, None]
            curved[s] += self._table[s, left].T @ (values * self._table[s, right])
        gradient = slopes.gradient[self._places] * self._parts
        rows = np.concatenate(
            [self._table[:, self._state_rows], self._told(slopes) @ self._table], axis=1
        )
        here = np.concatenate(
            [start.decision[self._own], start.decision[self._states], slopes.rows[self._others]],
            axis=1,
        )
        lower, upper = self._lows - here, self._highs - here
        return Quadratic(
            curves=convex(curved),
            slope=(gradient[:, None] @ self._table[:, :-1])[:, 0],
            rows=rows,
            lower=lower,
            upper=upper,
            tied=self._tied,
            shared=self._shared,
        )

    def _told(self, slopes: Slopes) -> Floats:
        """Slopes of the other constraints, shape (scenarios, others, decisions + 1)."""
        count, others = self._others.shape
        told = np.zeros((count, others, self._height + 1))
        told[self._cells] = slopes.others[self._known]
        return told

    def _active(self, start: Start) -> Places:
        """Which bounds and rows are active by their multipliers."""
        bounds, rows = start.bound_multipliers, start.constraint_multipliers
        own = np.where(np.isinf(self._lows[:, : self._width]), 0.0, bounds[self._own])
        own[1:, : self._shared] = 0.0
        own[self._tied] = 0.0
        return signs(np.concatenate([own, bounds[self._states], rows[self._others]], axis=1))

    def _expanded(self, optimum: Optimum) -> tuple[Floats, Floats, Floats]:
        """Step and multipliers of the whole program."""
        size = self._layout.size
        step, bounds, rows = (np.zeros(size) for size in (size, size, self._rows.size))
        step[self._places] = (self._table @ optimum.x[..., None])[:, :-1, 0]
        width, end = self._width, self._width + self._states.shape[1]
        multipliers = optimum.multipliers
        bounds[self._own[::-1]] = multipliers[::-1, :width]
        bounds[self._states] = multipliers[:, width:end]
        rows[self._others] = multipliers[:, end:]
        return step, bounds, rows
