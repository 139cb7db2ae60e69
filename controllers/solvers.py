"""The numerical solvers of a program: how they are set up, and what they answer."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import casadi as ca
import numpy as np

from controllers.buffered import Buffered
from controllers.plan import SolveStatus
from controllers.points import Candidate, Numbers, Start
from controllers.problem import Method, Problem
from controllers.sequential import Sequential
from controllers.transcription import Program

_QUIET: dict[str, Any] = {"print_time": False, "error_on_fail": False, "calc_lam_p": False}

_INTERIOR: dict[str, Any] = {
    **_QUIET,
    # It would only find multipliers that the method finds itself, and takes most of the building.
    "no_nlp_grad": True,
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
    "ipopt.mumps_scaling": 0,
    "ipopt.warm_start_init_point": "yes",
}


def _pushed(distance: float) -> dict[str, Any]:
    """How far from its bounds a warm start begins."""
    names = "warm_start_bound", "warm_start_mult_bound", "warm_start_slack_bound", "bound"
    pushes: dict[str, Any] = {f"ipopt.{name}_push": distance for name in names}
    return {**pushes, "ipopt.bound_frac": distance}


_NEAR: dict[str, Any] = {
    **_pushed(1e-8),
    "ipopt.mu_strategy": "adaptive",
    "ipopt.mu_oracle": "probing",
    "ipopt.mu_init": 1e-4,
}
"""Where the plant went as planned: the last point is nearly the next one."""

_FAR: dict[str, Any] = {
    **_pushed(1e-5),
    # The barrier only ever falls, fast, to where it costs a millionth: an adaptive one may rise
    # again and lead away from the optimum that the start is next to.
    "ipopt.mu_strategy": "monotone",
    "ipopt.mu_init": 1e-5,
    "ipopt.mu_linear_decrease_factor": 0.05,
    "ipopt.mu_superlinear_decrease_power": 1.7,
    "ipopt.compl_inf_tol": 3e-9,
    "ipopt.tol": 1e-7,
}
"""Where measurements moved the estimate, or the near solver found nothing."""

NEAR = 1e-4
"""How far the first piece's equations may be off at a start that is near."""

_COLD: dict[str, Any] = {
    **_INTERIOR,
    "ipopt.max_iter": 500,
    "ipopt.mu_strategy": "adaptive",
    # The guess is simulated: the solver's own distance from bounds, a hundredth, would lift the
    # glucose of a fed-batch to many times what it is, and ruin it.
    "ipopt.bound_push": 1e-5,
    "ipopt.bound_frac": 1e-5,
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
        self._sequential: Sequential | None = None
        if problem.method is Method.SHOOTING:
            self._sequential = Sequential(problem, program)
        else:
            first = nlp["g"][program.rows.equations[:, 0].ravel().tolist()]
            self._first = Buffered(ca.Function("first", [nlp["x"], nlp["p"]], [ca.densify(first)]))
            # The other solvers share the first one's derivatives: half the building time.
            self._near, self._far = (
                ca.nlpsol(f"{problem.name}_{name}", "ipopt", nlp, {**_WARM, **own, **derivatives})
                for name, own in (("near", _NEAR), ("far", _FAR))
            )

    def warm(self, start: Start, numbers: Numbers) -> Candidate:
        """From the last plan's point; a few iterations."""
        if not start.finite:
            return Candidate("warm", SolveStatus.NUMERICAL_ERROR, 0, np.nan, start)
        if self._sequential is not None:
            return self._sequential.solve("warm", _without_traces(start, numbers), numbers)
        (off,) = self._first(start.decision, numbers.parameters)
        if not np.abs(off).max(initial=0.0) <= NEAR:
            return _attempt("warm", self._far, start, numbers)
        found = _attempt("warm", self._near, start, numbers)
        if found.status is SolveStatus.SOLVED:
            return found
        again = _attempt("warm", self._far, start, numbers)
        return replace(again, iterations=found.iterations + again.iterations)

    def cold(self, start: Start, numbers: Numbers, name: str) -> Candidate:
        """From a guess, thoroughly."""
        return _attempt(name, self._cold, start, numbers)


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


def _attempt(name: str, solver: ca.Function, start: Start, numbers: Numbers) -> Candidate:
    """One call; a solver that throws has met numbers it cannot use."""
    lower, upper = numbers.decision_bounds
    try:
        answer = solver(
            x0=np.clip(start.decision, lower, upper),
            lam_x0=start.bound_multipliers,
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
    decision, bounds = (np.asarray(answer[name]).ravel() for name in ("x", "lam_x"))
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
