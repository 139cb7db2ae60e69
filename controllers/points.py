"""What goes to a solver and what comes back: points, numbers, candidates."""

from dataclasses import dataclass

import numpy as np

from controllers.arrays import Floats
from controllers.plan import SolveStatus


@dataclass(frozen=True)
class Start:
    """A primal-dual point to begin from: decision, and multipliers of its bounds and rows."""

    decision: Floats
    bound_multipliers: Floats
    constraint_multipliers: Floats

    @property
    def finite(self) -> bool:
        """Whether a solver can begin there: of one NaN it may never come back."""
        vectors = self.decision, self.bound_multipliers, self.constraint_multipliers
        return all(bool(np.isfinite(vector).all()) for vector in vectors)


@dataclass(frozen=True)
class Numbers:
    """One solve's parameters and bounds."""

    parameters: Floats
    decision_bounds: tuple[Floats, Floats]
    constraint_bounds: tuple[Floats, Floats]


@dataclass(frozen=True)
class Candidate:
    """What a solver gave; nobody has looked at it yet, and nobody may act on it.

    Attributes:
        name: which attempt.
        status: what the solver says of itself.
        iterations: how many it took.
        objective: value of the objective.
        point: decision and multipliers.
    """

    name: str
    status: SolveStatus
    iterations: int
    objective: float
    point: Start
