"""do-mpc's optimiser in the place of ours: the same problem, the same estimates, its own solves."""

import numpy as np

from benchmarks.rivals.do_mpc_control import SOLVED, DoMpc
from controllers.arrays import Floats
from controllers.plan import ADVICE, Checks, Plan, SolveStatus, no_plan
from controllers.problem import Problem
from controllers.situation import Situation
from mpc_agent.build import TimedNmpc
from mpc_agent.clock import stopwatch


class RivalNmpc(TimedNmpc):
    """Plans that do-mpc made; ours simulates them, so that forecasts and fallbacks work as ever."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._rival = DoMpc(problem)

    def solve(self, situation: Situation, last: Plan | None, *, afresh: bool = False) -> Plan:
        """Let do-mpc solve; it begins from its own last answer, whatever ours was."""
        del last, afresh
        name, watch = self.problem.name, stopwatch()
        if not situation.finite:
            return no_plan(name, SolveStatus.NUMERICAL_ERROR, situation.time_s)
        answer = self._rival.solve(situation)
        self.solve_s = watch.elapsed_s
        if answer.status != SOLVED or not np.isfinite(answer.inputs).all():
            return no_plan(
                name,
                SolveStatus.ITERATION_LIMIT,
                situation.time_s,
                ("do-mpc",),
                reason=answer.status,
            )
        return self._simulated(situation, answer.inputs, answer.objective)

    def _simulated(self, situation: Situation, wanted: Floats, objective: float) -> Plan:
        """The plan with the states and outputs that its inputs lead to."""
        bounds = np.array([(item.lower, item.upper) for item in self.problem.inputs])
        inputs = np.clip(wanted, bounds[:, 0], bounds[:, 1])
        boluses = np.zeros((self.problem.pieces, 0))
        simulated = self._rollout.simulated(situation, inputs[None], boluses[None])
        outputs = self._rollout.outputs(situation, simulated.ends, inputs[None])[0]
        if not np.isfinite(outputs).all():
            return no_plan(self.problem.name, SolveStatus.REFUSED, situation.time_s, ("do-mpc",))
        return Plan(
            problem=self.problem.name,
            status=SolveStatus.SOLVED,
            solved_at_s=situation.time_s,
            grid_h=np.cumsum(situation.steps_h),
            decided=self.problem.decided,
            inputs=inputs,
            states=simulated.ends[0],
            outputs=outputs,
            output_deviation=np.zeros_like(outputs),
            active=(),
            objective=objective,
            iterations=self._rival.iterations,
            attempts=("do-mpc",),
            # What do-mpc plans is applied as it is; the guard watches it, as it would any plan.
            checks=Checks(0.0, self.problem.defect_max, 0.0, 0.0, 0.0, 0.0),
            warm=None,
            message=ADVICE[SolveStatus.SOLVED],
            chosen="do-mpc",
        )
