"""What a solve gives: a checked plan, or a status that says why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class SolveStatus(StrEnum):
    """How a solve ended. Only SOLVED and ACCEPTABLE plans are ever acted upon."""

    SOLVED = "SOLVED"
    ACCEPTABLE = "ACCEPTABLE"
    ITERATION_LIMIT = "ITERATION_LIMIT"
    INFEASIBLE = "INFEASIBLE"
    NUMERICAL_ERROR = "NUMERICAL_ERROR"
    REFUSED = "REFUSED"


ADVICE: Mapping[SolveStatus, str] = {
    SolveStatus.SOLVED: "Optimal plan, checked by simulation.",
    SolveStatus.ACCEPTABLE: "A hard limit had to be relaxed; see which one is active.",
    SolveStatus.ITERATION_LIMIT: "No optimum within the iteration limit; the fallback ladder acts.",
    SolveStatus.INFEASIBLE: "The limits contradict each other or the present state; widen them.",
    SolveStatus.NUMERICAL_ERROR: "The solver met numbers it cannot use; check estimate and limits.",
    SolveStatus.REFUSED: "The solver was satisfied, but the plan failed its independent check.",
}


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The solver's last point: where the next solve of the same problem begins.

    Attributes:
        piece_h: length of a piece of the grid the point lives on.
        decision: decision vector, one row per piece.
        constraint_multipliers: multipliers of the constraints, one row per piece.
        bound_multipliers: multipliers of the decision's bounds, one row per piece.
    """

    piece_h: float
    decision: Floats
    constraint_multipliers: Floats
    bound_multipliers: Floats


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked answer of the optimiser, or the reason why there is none.

    Attributes:
        problem: which problem was solved.
        status: how it ended.
        solved_at_s: time of the state it starts from, UTC seconds.
        grid_h: ends of the pieces in hours from `solved_at_s`, shape (pieces,).
        decided: names of the decided inputs.
        inputs: decided inputs per piece, shape (pieces, decided).
        states: states at the end of each piece, re-integrated, shape (pieces, states).
        outputs: outputs at the end of each piece, shape (pieces, outputs).
        output_deviation: standard deviations of `outputs` as far as somebody forecast them, else
            zeros, same shape.
        active: limits and bounds that hold the plan back, in words.
        objective: value of the objective.
        iterations: iterations of all attempts together.
        attempts: what was tried, in order: "warm", "cold", "relaxed".
        defect: largest scaled difference between the optimiser's states and the re-integrated ones.
        warm: start for the next solve; None when the plan is not usable.
        message: a sentence for people.
    """

    problem: str
    status: SolveStatus
    solved_at_s: float
    grid_h: Floats
    decided: tuple[str, ...]
    inputs: Floats
    states: Floats
    outputs: Floats
    output_deviation: Floats
    active: tuple[str, ...]
    objective: float
    iterations: int
    attempts: tuple[str, ...]
    defect: float
    warm: WarmStart | None
    message: str

    @property
    def usable(self) -> bool:
        """Whether the plan passed every check and may be acted upon."""
        return self.status in (SolveStatus.SOLVED, SolveStatus.ACCEPTABLE)
