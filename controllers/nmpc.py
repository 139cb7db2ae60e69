"""Nonlinear model-predictive control: built once, solved each cycle; status is a value.

A solve tries, in order: warm (from the last plan, shifted), cold (from a simulated guess, the warm
start thrown away), relaxed (hard limits made very expensive instead). Whatever the solver says, its
plan is re-integrated and held against every limit before it may be called usable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from controllers.bounds import Bounds
from controllers.plan import ADVICE, Floats, Plan, SolveStatus, WarmStart
from controllers.problem import Problem
from controllers.rollout import Rollout
from controllers.situation import Situation
from controllers.transcription import Program, input_scales, state_scales, transcribe

_COMMON: dict[str, Any] = {
    "print_time": False,
    "error_on_fail": False,
    "calc_lam_p": False,
    "ipopt.print_level": 0,
    "ipopt.sb": "yes",
    "ipopt.tol": 1e-6,
}

_WARM: dict[str, Any] = {
    **_COMMON,
    "ipopt.max_iter": 25,
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
    **_COMMON,
    "ipopt.max_iter": 500,
    "ipopt.mu_strategy": "adaptive",
    # The guess is simulated: the solver's own distance from bounds, a hundredth, would lift the
    # glucose of a fed-batch to many times what it is, and ruin it.
    "ipopt.bound_push": 1e-5,
    "ipopt.bound_frac": 1e-5,
}

_IPOPT_STATUS = {
    "Solve_Succeeded": SolveStatus.SOLVED,
    "Solved_To_Acceptable_Level": SolveStatus.SOLVED,
    "Maximum_Iterations_Exceeded": SolveStatus.ITERATION_LIMIT,
    "Infeasible_Problem_Detected": SolveStatus.INFEASIBLE,
    "Restoration_Failed": SolveStatus.INFEASIBLE,
}


@dataclass(frozen=True)
class _Attempt:
    """What one call of the solver gave, as tables with one row per piece."""

    name: str
    status: SolveStatus
    iterations: int
    objective: float
    warm: WarmStart


class Nmpc:
    """One problem, transcribed and compiled; `solve` gives a checked plan."""

    def __init__(self, problem: Problem) -> None:
        """Build the program and both solvers (seconds; do it before the first cycle)."""
        self.problem = problem
        self._program: Program = transcribe(problem)
        self._rollout = Rollout(problem)
        held = problem.guess_held
        self._guess_rollout = Rollout(problem, held) if held else self._rollout
        self._bounds = Bounds(problem, self._program, self._rollout)
        self._x_scale = state_scales(problem)
        self._u_scale = input_scales(problem)
        self._moving = [problem.model.state_names.index(n) for n in problem.moving_states]
        self._cold = ca.nlpsol(f"{problem.name}_cold", "ipopt", self._program.nlp, _COLD)
        # The second solver shares the first one's derivatives: half the building time.
        derivatives = {
            "grad_f": self._cold.get_function("nlp_grad_f"),
            "jac_g": self._cold.get_function("nlp_jac_g"),
            "hess_lag": self._cold.get_function("nlp_hess_l"),
        }
        self._warm = ca.nlpsol(
            f"{problem.name}_warm", "ipopt", self._program.nlp, {**_WARM, **derivatives}
        )

    def solve(self, situation: Situation, last: Plan | None) -> Plan:
        """Solve from `situation`, warm from `last` if that was usable.

        Never raises for numbers: a state or guess that is not finite gives NUMERICAL_ERROR.
        """
        numbers = (
            situation.state,
            situation.parameters,
            situation.given,
            situation.previous,
            situation.setpoints,
            situation.guess,
            situation.piece_h,
        )
        if not all(np.isfinite(values).all() for values in numbers):
            return self._no_plan(situation, SolveStatus.NUMERICAL_ERROR, (), 0)
        tried: list[str] = []
        iterations = 0
        plan = self._no_plan(situation, SolveStatus.NUMERICAL_ERROR, (), 0)
        for attempt in self._attempts(situation, last):
            tried.append(attempt.name)
            iterations += attempt.iterations
            if attempt.status is SolveStatus.SOLVED:
                plan = self._checked(situation, attempt, tuple(tried), iterations)
            else:
                plan = self._no_plan(situation, attempt.status, tuple(tried), iterations)
            if plan.usable:
                return plan
        return plan

    def predict(self, situation: Situation, inputs: Floats) -> Floats:
        """Outputs at the ends of the pieces if `inputs` were applied, shape (pieces, outputs)."""
        points = self._points(situation, inputs)
        given = situation.given_pieces(self.problem.pieces)
        return self._rollout.outputs(points[:, -1], inputs, given, situation.parameters)

    def outputs_now(self, situation: Situation) -> Floats:
        """Outputs of the situation itself, shape (outputs,)."""
        return self._rollout.outputs_now(situation.state, situation.given_now, situation.parameters)

    def _points(
        self, situation: Situation, inputs: Floats, rollout: Rollout | None = None
    ) -> Floats:
        """States at all collocation points, simulated, shape (pieces, degree, states)."""
        given = situation.given_pieces(self.problem.pieces)
        return (rollout or self._rollout).points(
            situation.state, inputs, given, situation.parameters, situation.piece_h
        )

    def _attempts(self, situation: Situation, last: Plan | None) -> Iterator[_Attempt]:
        if last is not None and last.warm is not None:
            elapsed_h = (situation.time_s - last.solved_at_s) / 3600
            start = self._shifted(last.warm, elapsed_h, situation.piece_h)
            yield self._attempt("warm", self._warm, situation, start, relaxed=False)
        start = self._cold_start(situation)
        yield self._attempt("cold", self._cold, situation, start, relaxed=False)
        if any(limit.hard for limit in self.problem.limits):
            yield self._attempt("relaxed", self._cold, situation, start, relaxed=True)

    def _attempt(
        self,
        name: str,
        solver: ca.Function,
        situation: Situation,
        start: WarmStart,
        *,
        relaxed: bool,
    ) -> _Attempt:
        lower, upper = self._bounds.decision_bounds(situation, relaxed=relaxed)
        lower_g, upper_g = self._bounds.constraint_bounds(situation)
        answer = solver(
            x0=np.clip(start.decision, lower, upper).ravel(),
            lam_x0=start.bound_multipliers.ravel(),
            lam_g0=start.constraint_multipliers.ravel(),
            p=np.concatenate(
                [
                    situation.state,
                    situation.given_pieces(self.problem.pieces).ravel(),
                    situation.previous,
                    situation.parameters,
                    [situation.piece_h],
                    situation.setpoints,
                ]
            ),
            lbx=lower.ravel(),
            ubx=upper.ravel(),
            lbg=lower_g.ravel(),
            ubg=upper_g.ravel(),
        )
        stats = solver.stats()
        pieces = self.problem.pieces
        point = WarmStart(
            piece_h=situation.piece_h,
            decision=np.array(answer["x"]).reshape(pieces, -1),
            constraint_multipliers=np.array(answer["lam_g"]).reshape(pieces, -1),
            bound_multipliers=np.array(answer["lam_x"]).reshape(pieces, -1),
        )
        status = _IPOPT_STATUS.get(stats["return_status"], SolveStatus.NUMERICAL_ERROR)
        if not np.isfinite(point.decision).all():
            status = SolveStatus.NUMERICAL_ERROR
        return _Attempt(name, status, int(stats["iter_count"]), float(answer["f"]), point)

    def _cold_start(self, situation: Situation) -> WarmStart:
        """The guess's inputs, simulated; no multipliers."""
        layout, pieces = self._program.layout, self.problem.pieces
        bounds = self._bounds.input_bounds(situation)
        inputs = np.clip(situation.guess, bounds[:, 0], bounds[:, 1])
        states = self._points(situation, inputs, self._guess_rollout)
        decision = np.zeros((pieces, layout.width))
        scaled = states[:, :, self._moving] / self._x_scale
        decision[:, layout.state_columns] = np.nan_to_num(scaled).reshape(pieces, -1)
        decision[:, layout.input_columns] = inputs / self._u_scale
        rows = self._program.equations + self._program.moves + self._program.limits
        return WarmStart(
            situation.piece_h, decision, np.zeros((pieces, rows)), np.zeros_like(decision)
        )

    def _shifted(self, warm: WarmStart, elapsed_h: float, piece_h: float) -> WarmStart:
        """The last point read on the new grid: states interpolated, the rest piece by piece."""
        layout, pieces = self._program.layout, self.problem.pieces
        points = self._program.collocation_times
        old_h = (np.arange(pieces)[:, None] + points).ravel() * warm.piece_h
        new_h = (np.arange(pieces)[:, None] + points).ravel() * piece_h + elapsed_h
        middle_h = (np.arange(pieces) + 0.5) * piece_h + elapsed_h
        row = np.clip((middle_h / warm.piece_h).astype(int), 0, pieces - 1)

        def read(table: Floats) -> Floats:
            states = table[:, layout.state_columns].reshape(-1, layout.states)
            moved = np.column_stack([np.interp(new_h, old_h, column) for column in states.T])
            shifted: Floats = table[row].copy()
            shifted[:, layout.state_columns] = moved.reshape(pieces, -1)
            return shifted

        return WarmStart(
            piece_h, read(warm.decision), warm.constraint_multipliers[row],
            read(warm.bound_multipliers),
        )  # fmt: skip

    def _checked(
        self, situation: Situation, attempt: _Attempt, tried: tuple[str, ...], iterations: int
    ) -> Plan:
        """The plan with re-integrated states, or REFUSED with the reason."""
        layout, problem = self._program.layout, self.problem
        table = attempt.warm.decision
        bounds = self._bounds.input_bounds(situation)
        inputs = np.clip(table[:, layout.input_columns] * self._u_scale, bounds[:, 0], bounds[:, 1])
        points = self._points(situation, inputs)
        given = situation.given_pieces(problem.pieces)
        outputs = self._rollout.outputs(points[:, -1], inputs, given, situation.parameters)
        if not (np.isfinite(points).all() and np.isfinite(outputs).all()):
            return self._no_plan(situation, SolveStatus.REFUSED, tried, iterations)
        scaled = (points[:, :, self._moving] / self._x_scale).reshape(problem.pieces, -1)
        defect = float(np.abs(scaled - table[:, layout.state_columns]).max())
        relaxed = attempt.name == "relaxed"
        broken = () if relaxed else self._broken_hard_limits(situation, outputs)
        if defect > problem.defect_max or broken:
            reason = f"breaks {', '.join(broken)}" if broken else f"differs by {defect:.3g} scales"
            return self._no_plan(situation, SolveStatus.REFUSED, tried, iterations, reason)
        status = SolveStatus.ACCEPTABLE if relaxed else SolveStatus.SOLVED
        return Plan(
            problem=problem.name,
            status=status,
            solved_at_s=situation.time_s,
            grid_h=np.arange(1, problem.pieces + 1, dtype=np.float64) * situation.piece_h,
            decided=problem.decided,
            inputs=inputs,
            states=points[:, -1],
            outputs=outputs,
            active=self._active(inputs, bounds, outputs),
            output_deviation=np.zeros_like(outputs),
            objective=attempt.objective,
            iterations=iterations,
            attempts=tried,
            defect=defect,
            warm=attempt.warm,
            message=ADVICE[status],
        )

    def _broken_hard_limits(self, situation: Situation, outputs: Floats) -> tuple[str, ...]:
        """Hard limits that the re-integrated plan breaks by more than the accepted defect."""
        names = self.problem.model.output_names
        broken = []
        ends = self._bounds.reachable_ends(situation)
        for limit, (low, high) in zip(self.problem.limits, ends, strict=True):
            value = outputs[:, names.index(limit.output)]
            margin = self.problem.defect_max * limit.scale
            if limit.hard and ((value < low - margin).any() or (value > high + margin).any()):
                broken.append(limit.output)
        return tuple(broken)

    def _active(self, inputs: Floats, bounds: Floats, outputs: Floats) -> tuple[str, ...]:
        """Limits and bounds that are reached somewhere, in words."""
        names = self.problem.model.output_names
        words = []
        for limit in self.problem.limits:
            value = outputs[:, names.index(limit.output)]
            near = 0.02 * limit.scale
            if limit.lower is not None and value.min() < limit.lower + near:
                words.append(f"{limit.output} at its lower limit {limit.lower:g}")
            if limit.upper is not None and value.max() > limit.upper - near:
                words.append(f"{limit.output} at its upper limit {limit.upper:g}")
        for name, value, (_, high) in zip(self.problem.decided, inputs.T, bounds, strict=True):
            if value.max() >= high * (1 - 1e-6):
                words.append(f"{name} at its upper bound {high:g}")
        return tuple(words)

    def _no_plan(
        self,
        situation: Situation,
        status: SolveStatus,
        tried: tuple[str, ...],
        iterations: int,
        reason: str = "",
    ) -> Plan:
        empty = np.zeros((0, 0))
        return Plan(
            problem=self.problem.name,
            status=status,
            solved_at_s=situation.time_s,
            grid_h=np.zeros(0),
            decided=self.problem.decided,
            inputs=empty,
            states=empty,
            outputs=empty,
            active=(),
            output_deviation=empty,
            objective=float("nan"),
            iterations=iterations,
            attempts=tried,
            defect=float("nan"),
            warm=None,
            message=f"{ADVICE[status]} {reason}".strip(),
        )
