"""Our optimiser as one of the solvers: the one place that knows how it is called."""

from benchmarks.rivals.do_mpc_control import SOLVED, Answer
from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from controllers.problem import Problem
from controllers.situation import Situation


class Ours:
    """Our optimiser with one problem, everything that it checks included."""

    def __init__(self, problem: Problem, name: str = "ours") -> None:
        """Build."""
        self.name = name
        self._nmpc = Nmpc(problem)
        self._last: Plan | None = None
        self.iterations = 0

    def solve(self, situation: Situation) -> Answer:
        """Solve, warm from the last usable plan."""
        plan = self._nmpc.solve(situation, self._last)
        if plan.usable:
            self._last = plan
        self.iterations = plan.iterations
        solved = plan.status is SolveStatus.SOLVED
        return Answer(plan.inputs, plan.objective, SOLVED if solved else str(plan.status))
