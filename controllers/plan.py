"""What a solve gives: a checked plan, or a status that says why there is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

import numpy as np

from controllers.arrays import Floats
from controllers.grid import SAME_H


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
    SolveStatus.INFEASIBLE: "No plan keeps limits, moves and the model's equations; widen them.",
    SolveStatus.NUMERICAL_ERROR: "The solver met numbers it cannot use; check estimate and limits.",
    SolveStatus.REFUSED: "The solver was satisfied, but the plan failed its independent check.",
}


AT_HARVEST = " at harvest"
"""How the term of what is maximised ends, after the output's name."""

VIOLATION_OF = "violation of "
"""How the term of a limit's violations begins, before the output's name."""


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The solver's last point: where the next solve of the same problem begins.

    Attributes:
        steps_h: lengths of the pieces of the grid the point lives on, stretched.
        decision: decision vector.
        constraint_multipliers: multipliers of the constraints.
        bound_multipliers: multipliers of the decision's bounds.
    """

    steps_h: Floats
    decision: Floats
    constraint_multipliers: Floats
    bound_multipliers: Floats


@dataclass(frozen=True, slots=True)
class Checks:
    """What an independent look at a plan found; positive excesses are faults.

    Attributes:
        defect: largest difference between the optimiser's states and the re-integrated ones, in
            units of the states' scales.
        defect_max: largest accepted one.
        integration_error: estimated error of the re-integration, same units.
        input_excess: by how much an input, a bolus or a sum of inputs leaves its bounds, in units
            of the inputs' scales, or of the bound.
        move_excess: by how much a change exceeds its limit, in units of the inputs' scales.
        limit_excess: by how much a hard limit is broken in the worst scenario, beyond what is
            accepted as rounding, in units of the limits' scales.
    """

    defect: float
    defect_max: float
    integration_error: float
    input_excess: float
    move_excess: float
    limit_excess: float

    def faults(self) -> Iterator[str]:
        """What is wrong, in words."""
        # Written so that a number that is none is a fault.
        if not self.integration_error <= self.defect_max:
            yield f"cannot be simulated (error {self.integration_error:.3g} scales)"
        if not self.defect <= self.defect_max:
            yield f"differs by {self.defect:.3g} scales from its simulation"
        if not self.input_excess <= 0.0:
            yield f"leaves the inputs' bounds by {self.input_excess:.3g} scales"
        if not self.move_excess <= 0.0:
            yield f"moves faster than allowed by {self.move_excess:.3g} scales"
        if not self.limit_excess <= 0.0:
            yield f"breaks a hard limit by {self.limit_excess:.3g} scales"


@dataclass(frozen=True, slots=True)
class Active:
    """A limit or bound that holds the plan back.

    Attributes:
        name: the output, input or sum.
        kind: "limit" of an output, "bound" of an input, "total" of inputs.
        side: "lower" or "upper".
        bound: its value, in its unit.
        first_h, last_h: from when to when it is reached, hours from the solve.
        worth: by how much the objective would fall if the bound were wider by one unit there.
        margin: largest distance that was kept from it there, because the forecast is not exact.
    """

    name: str
    kind: str
    side: str
    bound: float
    first_h: float
    last_h: float
    worth: float
    margin: float = 0.0

    def __str__(self) -> str:
        """In words."""
        return f"{self.name} at its {self.side} {self.kind} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked answer of the optimiser, or the reason why there is none.

    A usable plan cannot be made without checks that it passes.

    Attributes:
        problem: which problem was solved.
        status: how it ended.
        solved_at_s: time of the state it starts from, UTC seconds.
        grid_h: ends of the pieces in hours from `solved_at_s`, shape (pieces,).
        decided: names of the decided inputs.
        inputs: decided inputs per piece of the expected scenario, shape (pieces, decided).
        states: states at the end of each piece, re-integrated, shape (pieces, states).
        outputs: outputs at the end of each piece, shape (pieces, outputs).
        output_deviation: standard deviations of `outputs` as far as somebody forecast them, else
            zeros, same shape.
        active: limits and bounds that hold the plan back.
        objective: value of the objective.
        iterations: iterations of all attempts together.
        attempts: what was tried, in order: "warm", "cold" (once for each guess), "relaxed".
        checks: what the independent check found; None when there is no plan.
        warm: start for the next solve; None when the plan is not usable.
        message: a sentence for people.
        terms: what each term of the objective contributes.
        boluses: litres poured at the start of each piece, shape (pieces, boluses).
        poured: names of the liquids that are poured.
        pour_h: how long the pump of each takes, h.
        chosen: which attempt the plan is from.
        searched_at_s: when a solve last began afresh as well, to look for a better optimum.
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
    active: tuple[Active, ...]
    objective: float
    iterations: int
    attempts: tuple[str, ...]
    checks: Checks | None
    warm: WarmStart | None
    message: str
    terms: Mapping[str, float] = field(default_factory=dict)
    boluses: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    poured: tuple[str, ...] = ()
    pour_h: tuple[float, ...] = ()
    chosen: str = ""
    searched_at_s: float = float("-inf")

    def __post_init__(self) -> None:
        """Refuse to be usable without having passed every check."""
        faults = list(self._faults()) if self.usable else []
        if faults:
            raise ValueError(f"{self.problem}: an unchecked plan: {'; '.join(faults)}")
        # Nobody changes what was checked.
        for table in (self.grid_h, self.inputs, self.states, self.outputs, self.boluses):
            table.setflags(write=False)

    def _faults(self) -> Iterator[str]:
        if self.checks is None:
            yield "nobody checked it"
        else:
            yield from self.checks.faults()
        pieces, tables = len(self.grid_h), (self.inputs, self.states, self.outputs)
        if not pieces or any(len(table) != pieces for table in tables):
            yield "its tables do not have one row per piece"
        if self.inputs.shape[1:] != (len(self.decided),):
            yield "its inputs are not those that are decided"
        if self.output_deviation.shape != self.outputs.shape:
            yield "its deviations are not those of its outputs"
        if len(self.pour_h) != len(self.poured) or (
            self.poured and self.boluses.shape != (pieces, len(self.poured))
        ):
            yield "its boluses are not those that are poured"
        if not (self.boluses >= 0.0).all():
            yield "a bolus is negative"
        numbers = np.concatenate([table.ravel() for table in (self.grid_h, *tables, self.boluses)])
        if not np.isfinite(numbers).all():
            yield "not all of its numbers are finite"
        edges_h = [0.0, *self.grid_h.tolist()]
        if not all(begin < end for begin, end in pairwise(edges_h)):
            yield "its pieces have no length"

    @property
    def usable(self) -> bool:
        """Whether the plan passed every check and may be acted upon."""
        return self.status in (SolveStatus.SOLVED, SolveStatus.ACCEPTABLE)

    def inputs_at(self, elapsed_h: float) -> dict[str, float] | None:
        """Inputs at a time after the solve, those of boluses being poured included.

        Args:
            elapsed_h: hours since `solved_at_s`.

        Returns:
            Value by input; None before the plan's start and from its end on.
        """
        piece = int(np.searchsorted(self.grid_h, elapsed_h, side="right"))
        if not elapsed_h >= 0.0 or piece >= len(self.grid_h):
            return None
        values = dict.fromkeys(self.poured, 0.0)
        values |= dict(zip(self.decided, self.inputs[piece].tolist(), strict=True))
        for name, volume_L, begins_h, over_h in self.pours():
            # A clock that is a little early or late must not pour in one cycle more or less.
            if begins_h <= elapsed_h + SAME_H < begins_h + over_h:
                values[name] += volume_L / over_h
        return values

    def pouring(self, elapsed_h: float) -> bool:
        """Whether a bolus is half poured at a time after the solve: begun before, and not done.

        One that begins just now is not: there is still time to change one's mind.
        """
        return any(
            begins_h + SAME_H < elapsed_h < begins_h + over_h - SAME_H
            for _, _, begins_h, over_h in self.pours()
        )

    def pours(self) -> Iterator[tuple[str, float, float, float]]:
        """Boluses of this plan: liquid, litres, begin in hours from the solve, how long (h)."""
        begins_h = np.concatenate([[0.0], self.grid_h[:-1]])
        for name, volumes_L, over_h in zip(self.poured, self.boluses.T, self.pour_h, strict=True):
            for piece in np.flatnonzero(volumes_L > 0.0):
                yield name, float(volumes_L[piece]), float(begins_h[piece]), over_h

    @property
    def defect(self) -> float:
        """Largest difference from the re-integrated states, in scales; NaN without a plan."""
        return float("nan") if self.checks is None else self.checks.defect


def no_plan(
    problem: str,
    status: SolveStatus,
    solved_at_s: float,
    attempts: tuple[str, ...] = (),
    iterations: int = 0,
    reason: str = "",
) -> Plan:
    """A plan that says why there is none."""
    empty = np.zeros((0, 0))
    return Plan(
        problem=problem,
        status=status,
        solved_at_s=solved_at_s,
        grid_h=np.zeros(0),
        decided=(),
        inputs=empty,
        states=empty,
        outputs=empty,
        output_deviation=empty,
        active=(),
        objective=float("nan"),
        iterations=iterations,
        attempts=attempts,
        checks=None,
        warm=None,
        message=f"{ADVICE[status]} {reason}".strip(),
    )
