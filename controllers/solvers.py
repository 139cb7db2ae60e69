"""The numerical solvers of a program: how they are set up, and what they answer."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from controllers.arrays import Floats
from controllers.plan import SolveStatus
from controllers.problem import Method, Problem
from controllers.transcription import Program

_QUIET: dict[str, Any] = {"print_time": False, "error_on_fail": False, "calc_lam_p": False}

_INTERIOR: dict[str, Any] = {
    **_QUIET,
    "ipopt.print_level": 0,
    "ipopt.sb": "yes",
    "ipopt.tol": 1e-6,
}

_WARM: dict[str, Any] = {
    **_INTERIOR,
    # A dozen iterations are usual; what needs more than this began too far off.
    "ipopt.max_iter": 60,
    # States, inputs and limits come in units of their scales: scaling again costs time for nothing.
    "ipopt.nlp_scaling_method": "none",
    "ipopt.mu_strategy": "adaptive",
    "ipopt.mu_oracle": "probing",
    "ipopt.mu_init": 1e-4,
    "ipopt.warm_start_init_point": "yes",
    "ipopt.warm_start_bound_push": 1e-8,
    "ipopt.warm_start_mult_bound_push": 1e-8,
    "ipopt.warm_start_slack_bound_push": 1e-8,
    "ipopt.bound_push": 1e-8,
    "ipopt.bound_frac": 1e-8,
}

_COLD: dict[str, Any] = {
    **_INTERIOR,
    "ipopt.max_iter": 500,
    "ipopt.mu_strategy": "adaptive",
    # The guess is simulated: the solver's own distance from bounds, a hundredth, would lift the
    # glucose of a fed-batch to many times what it is, and ruin it.
    "ipopt.bound_push": 1e-5,
    "ipopt.bound_frac": 1e-5,
}

_SEQUENTIAL: dict[str, Any] = {
    **_QUIET,
    "qpsol": "qrqp",
    # An active set that must be pivoted together from a far start is an interior point's work.
    "qpsol_options": {
        "print_iter": False,
        "print_header": False,
        "error_on_fail": False,
        "max_iter": 200,
    },
    "convexify_strategy": "eigen-clip",
    "print_header": False,
    "print_iteration": False,
    "print_status": False,
    "tol_pr": 1e-7,
    "tol_du": 1e-5,
    "max_iter": 25,
}

_STATUS: Mapping[str, SolveStatus] = {
    "Solve_Succeeded": SolveStatus.SOLVED,
    "Solved_To_Acceptable_Level": SolveStatus.SOLVED,
    # No direction leads down any more, though multipliers are not known to the last digit.
    "Search_Direction_Becomes_Too_Small": SolveStatus.SOLVED,
    "Maximum_Iterations_Exceeded": SolveStatus.ITERATION_LIMIT,
    "Infeasible_Problem_Detected": SolveStatus.INFEASIBLE,
    "Restoration_Failed": SolveStatus.INFEASIBLE,
}


_DERIVATIVES = {"grad_f": "nlp_grad_f", "jac_g": "nlp_jac_g", "hess_lag": "nlp_hess_l"}
"""Options of an interior-point solver, and the functions that an equal one has for them."""


class SolverStore(Protocol):
    """Keeps derivatives as text between starts: half of the time that a solver's building takes."""

    def get(self, name: str) -> str | None:
        """The text kept under a name, or None."""
        ...

    def put(self, name: str, text: str) -> None:
        """Keep a text."""
        ...


@dataclass(frozen=True)
class Start:
    """A primal-dual point to begin from: decision, and multipliers of its bounds and rows."""

    decision: Floats
    bound_multipliers: Floats
    constraint_multipliers: Floats


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


class Solvers:
    """A program's solver for a first plan, and the fast one that begins from the last plan."""

    def __init__(
        self, problem: Problem, program: Program, store: SolverStore | None = None
    ) -> None:
        """Build both; their derivatives come from the store where it has them."""
        nlp = program.nlp
        key = "" if store is None else _key(program)
        derivatives = {} if store is None else _loaded(key, store)
        self._cold = ca.nlpsol(f"{problem.name}_cold", "ipopt", nlp, {**_COLD, **derivatives})
        if not derivatives:
            derivatives = {
                option: self._cold.get_function(name) for option, name in _DERIVATIVES.items()
            }
            if store is not None:
                for option, function in derivatives.items():
                    store.put(f"{option}-{key}", function.serialize())
        self._free = np.ones(program.layout.size, dtype=bool)
        self._sequential = problem.method is Method.SHOOTING
        if self._sequential:
            # Quadratic programs degenerate over variables that are fixed: hard limits' slacks.
            hard = [i for i, side in enumerate(problem.sides) if side.limit.hard]
            self._free[program.layout.slacks[..., hard]] = False
            self._warm = self._quick(f"{problem.name}_warm", nlp)
        else:
            # The second solver shares the first one's derivatives: half the building time.
            options = {**_WARM, **derivatives}
            self._warm = ca.nlpsol(f"{problem.name}_warm", "ipopt", nlp, options)

    def _quick(self, name: str, nlp: dict[str, ca.SX]) -> ca.Function:
        """Sequential quadratic programming, over what is not fixed."""
        free, fixed = np.flatnonzero(self._free).tolist(), np.flatnonzero(~self._free).tolist()
        rest = ca.substitute([nlp["f"], nlp["g"]], [nlp["x"][fixed]], [ca.SX.zeros(len(fixed))])
        reduced = {"x": nlp["x"][free], "p": nlp["p"], "f": rest[0], "g": rest[1]}
        return ca.nlpsol(name, "sqpmethod", reduced, _SEQUENTIAL)

    def warm(self, start: Start, numbers: Numbers) -> Candidate:
        """From the last plan's point; a few iterations."""
        if self._sequential:
            start = _without_traces(start, numbers)
        return _attempt("warm", self._warm, start, numbers, self._free)

    def cold(self, start: Start, numbers: Numbers, name: str) -> Candidate:
        """From a guess, thoroughly."""
        return _attempt(name, self._cold, start, numbers, np.ones_like(self._free))


def _key(program: Program) -> str:
    """A name that no other program has: derivatives of another one would mislead silently."""
    nlp = program.nlp
    text = ca.Function("nlp", [nlp["x"], nlp["p"]], [nlp["f"], nlp["g"]]).serialize()
    return hashlib.sha256(f"{ca.CasadiMeta.version()}\n{text}".encode()).hexdigest()[:32]


def _loaded(key: str, store: SolverStore) -> dict[str, ca.Function]:
    """The derivatives that the store has; none unless it has all, and they can be read."""
    texts = {option: store.get(f"{option}-{key}") for option in _DERIVATIVES}
    found = {option: text for option, text in texts.items() if text is not None}
    if len(found) < len(_DERIVATIVES):
        return {}
    try:
        loaded = {option: ca.Function.deserialize(text) for option, text in found.items()}
    except RuntimeError:
        return {}
    return {} if any(function.is_null() for function in loaded.values()) else loaded


def _without_traces(start: Start, numbers: Numbers) -> Start:
    """The point without the traces that an interior-point method leaves in every multiplier.

    An active-set method takes what is not zero for active, and would pivot all of it out again.
    """
    lower, upper = numbers.constraint_bounds
    bounds, rows = start.bound_multipliers, start.constraint_multipliers
    return Start(
        start.decision,
        np.where(np.abs(bounds) < TRACE, 0.0, bounds),
        np.where((np.abs(rows) < TRACE) & (lower < upper), 0.0, rows),
    )


TRACE = 1e-4
"""Multiplier of a scaled constraint below which it is taken for inactive."""


def _attempt(
    name: str, solver: ca.Function, start: Start, numbers: Numbers, free: NDArray[np.bool_]
) -> Candidate:
    """One call; a solver that throws has met numbers it cannot use.

    Decisions that are not free stay zero.
    """
    lower, upper = (bound[free] for bound in numbers.decision_bounds)
    try:
        answer = solver(
            x0=np.clip(start.decision[free], lower, upper),
            lam_x0=start.bound_multipliers[free],
            lam_g0=start.constraint_multipliers,
            p=numbers.parameters,
            lbx=lower,
            ubx=upper,
            lbg=numbers.constraint_bounds[0],
            ubg=numbers.constraint_bounds[1],
        )
        stats = solver.stats()
    except RuntimeError:
        return Candidate(name, SolveStatus.NUMERICAL_ERROR, 0, np.nan, start)
    decision, bounds = np.zeros(len(free)), np.zeros(len(free))
    decision[free] = np.asarray(answer["x"]).ravel()
    bounds[free] = np.asarray(answer["lam_x"]).ravel()
    status = _STATUS.get(stats["return_status"], SolveStatus.NUMERICAL_ERROR)
    if not np.isfinite(decision).all():
        status = SolveStatus.NUMERICAL_ERROR
    return Candidate(
        name,
        status,
        int(stats["iter_count"]),
        float(answer["f"]),
        Start(decision, bounds, np.asarray(answer["lam_g"]).ravel()),
    )
