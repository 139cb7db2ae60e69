"""Where things lie in a program's vectors: indices, so that no reader needs to know the order."""

from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np

from controllers.arrays import Floats, Places


@dataclass(frozen=True)
class Layout:
    """Places in the decision vector; what scenarios share has the same place in each.

    Attributes:
        states: scaled states at the points of the pieces, (scenarios, pieces, points, states).
        inputs: scaled decided inputs, (scenarios, pieces, inputs).
        slacks: violations of the limits' sides, (scenarios, pieces, sides).
        boluses: litres poured at the starts of the pieces, (scenarios, pieces, boluses).
        before: for shooting, copies of each piece's inputs from which the next piece's changes are
            counted, (scenarios, pieces, inputs or none).
        stretch: factor of the loose pieces' lengths, where the harvest is free, (none or 1,).
        worst: the worst scenario's cost, (none or 1,).
    """

    states: Places
    inputs: Places
    slacks: Places
    boluses: Places
    before: Places
    stretch: Places
    worst: Places

    @cached_property
    def size(self) -> int:
        """Length of the decision vector."""
        return 1 + max(int(places.max()) for places in self.tables if places.size)

    @cached_property
    def by_piece(self) -> Places:
        """Places of all that each piece has one of, the states left out, (scenarios, pieces, n)."""
        tables = self.inputs, self.slacks, self.boluses, self.before
        return _side_by_side(tables)

    @property
    def tables(self) -> tuple[Places, ...]:
        """Every table of places."""
        return (
            self.states, self.inputs, self.slacks, self.boluses, self.before,
            self.stretch, self.worst,
        )  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Places in the constraint vector.

    Attributes:
        equations: the model's equations, zero, (scenarios, pieces, equations).
        moves: changes of the inputs that have a limit, scaled, (scenarios, pieces, limited).
        totals: sums of inputs, (scenarios, pieces, totals).
        sides: slackened outputs in units of the limits' scales, (scenarios, pieces, sides).
        worst: the worst cost less each scenario's, not negative, (none or scenarios,).
    """

    equations: Places
    moves: Places
    totals: Places
    sides: Places
    worst: Places

    @cached_property
    def by_piece(self) -> Places:
        """Places of all rows that belong to a piece, (scenarios, pieces, n)."""
        return _side_by_side((self.equations, self.moves, self.totals, self.sides))

    @property
    def tables(self) -> tuple[Places, ...]:
        """Every table of places."""
        return self.equations, self.moves, self.totals, self.sides, self.worst

    @cached_property
    def size(self) -> int:
        """Length of the constraint vector."""
        return 1 + max(int(places.max()) for places in self.tables if places.size)


def _side_by_side(tables: tuple[Places, ...]) -> Places:
    """Tables of places that have rows for scenarios and pieces, as one."""
    return np.concatenate([table for table in tables if table.size], axis=2)


def put(vector: Floats, places: Places, table: Floats | float) -> None:
    """Write a table into a vector; where scenarios share a place, the first one's value counts."""
    if len(places) == 1:
        vector[places] = table
    else:
        vector[places[::-1]] = np.broadcast_to(table, places.shape)[::-1]


class Collector:
    """Collects symbols or expressions and tells the places they get."""

    def __init__(self) -> None:
        self._parts: list[ca.SX] = []
        self._size = 0

    def add(self, part: ca.SX) -> Places:
        """Append a column; gives its places, shape (length,)."""
        places = np.arange(self._size, self._size + part.numel())
        self._parts.append(part)
        self._size += part.numel()
        return places

    def new(self, name: str, length: int) -> tuple[ca.SX, Places]:
        """Append a new symbol; gives it and its places."""
        symbol = ca.SX.sym(name, length)
        return symbol, self.add(symbol)

    @property
    def vector(self) -> ca.SX:
        """Everything collected, in one column."""
        return ca.vertcat(*self._parts)
