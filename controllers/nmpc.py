"""Nonlinear model-predictive control: built once, solved each cycle; status is a value.

A solve tries, in order: warm (from the last plan, shifted), cold (from a simulated guess, the warm
start thrown away), relaxed (hard limits made very expensive instead, those that give way first
before the others). Now and then it begins afresh besides, and takes the better of both: these
problems have local optima. Whatever the solver says, its plan is re-integrated and held against
every limit before it may be called usable.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from controllers.arrays import Floats
from controllers.bounds import Bounds, Ends
from controllers.check import NOTHING, Looked, Parts, look
from controllers.explain import active_of, terms_of
from controllers.plan import ADVICE, Plan, SolveStatus, WarmStart, no_plan
from controllers.points import Candidate, Numbers, Start
from controllers.problem import Problem
from controllers.rollout import Rollout
from controllers.situation import Course, Situation
from controllers.solvers import Solvers, SolverStore
from controllers.transcription import Program, transcribe
from controllers.warm_start import shifted, simulated_start

BETTER = 1e-6
"""By how much of the objective a fresh start must be better to be chosen."""


class Nmpc:
    """One problem, transcribed and compiled; `solve` gives a checked plan."""

    def __init__(self, problem: Problem, store: SolverStore | None = None) -> None:
        """Build the program and both solvers (seconds; do it before the first cycle).

        Args:
            problem: what to solve.
            store: keeps built solvers between starts, or None.
        """
        self.problem = problem
        self._program: Program = transcribe(problem)
        self._rollout = Rollout(problem)
        held = problem.guess_held
        self._guess_rollout = Rollout(problem, held) if held else self._rollout
        self._parts = Parts(
            problem, self._program, self._rollout, Bounds(problem, self._program, self._rollout)
        )
        self._solvers = Solvers(problem, self._program, store)

    def solve(self, situation: Situation, last: Plan | None, *, afresh: bool = False) -> Plan:
        """Solve from `situation`, warm from `last` if that was usable.

        Never raises for numbers: a state or guess that is not finite gives NUMERICAL_ERROR.

        Args:
            situation: where the plant is.
            last: the plan before, or None.
            afresh: whether to look for a better optimum from the guess besides.
        """
        if not situation.finite:
            return no_plan(self.problem.name, SolveStatus.NUMERICAL_ERROR, situation.time_s)
        warm = None if last is None else last.warm
        elapsed_h = 0.0 if last is None else (situation.time_s - last.solved_at_s) / 3600
        searched_at_s = -np.inf if last is None else last.searched_at_s
        fresh = afresh or warm is None
        tried: list[Plan] = []
        for stage in self._stages(situation, warm, elapsed_h, fresh=fresh):
            tried += stage
            looking = fresh and tried[-1].chosen == "warm"
            if any(plan.usable for plan in tried) and not looking:
                break
        usable = [plan for plan in tried if plan.usable] or tried[-1:]
        best = usable[0]
        for other in usable[1:]:
            if other.objective < best.objective - BETTER * (1 + abs(best.objective)):
                best = other
        return replace(
            best,
            attempts=tuple(plan.chosen for plan in tried),
            iterations=sum(plan.iterations for plan in tried),
            searched_at_s=situation.time_s if fresh else searched_at_s,
        )

    def predict(
        self, situation: Situation, inputs: Floats, boluses: Floats | None = None
    ) -> Floats:
        """Outputs at the ends of the pieces if `inputs` were applied, in every course.

        Args:
            situation: where it starts; its courses, or the expected one.
            inputs: decided inputs, shape (pieces, decided).
            boluses: litres at the starts of the pieces, shape (pieces, boluses); none by default.

        Returns:
            Outputs, shape (courses, pieces, outputs).
        """
        if boluses is None:
            boluses = np.zeros((self.problem.pieces, len(self.problem.boluses)))
        ends = self._rollout.neighbours(situation, inputs[None], boluses[None])
        return self._rollout.outputs(situation, ends, inputs[None])

    def _stages(
        self, situation: Situation, warm: WarmStart | None, elapsed_h: float, *, fresh: bool
    ) -> Iterator[list[Plan]]:
        """What is tried, stage by stage, every plan looked at: warm, cold, relaxed.

        A fresh search begins from the guess and from leaner ones: a rich guess may lie in the trap
        of an inhibited culture, out of which no descent leads.
        """
        situation = self._with_courses(situation)
        ends = self._parts.bounds.ends(situation)
        numbers = self._numbers(situation, ends, ())
        if warm is not None:
            steps_h, loose = situation.steps_h, situation.loose
            start = shifted(self._program, warm, elapsed_h, steps_h, loose)
            yield [self._judged(situation, ends, self._solvers.warm(start, numbers), numbers)]
        guess = self._guess(situation, ends, 1.0)
        cold = self._solvers.cold(guess, numbers, "cold")
        found = [self._judged(situation, ends, cold, numbers)]
        for share in self.problem.leaner_guesses if fresh else ():
            start = self._guess(situation, ends, share)
            cold = self._solvers.cold(start, numbers, "cold")
            found.append(self._judged(situation, ends, cold, numbers))
        yield found
        for last in sorted({limit.gives_way for limit in self.problem.limits if limit.hard}):
            given_up = tuple(
                place
                for place, limit in enumerate(self.problem.limits)
                if limit.hard and limit.gives_way <= last
            )
            numbers = self._numbers(situation, ends, given_up)
            relaxed = self._solvers.cold(guess, numbers, "relaxed")
            yield [self._judged(situation, ends, relaxed, numbers, given_up)]

    def _with_courses(self, situation: Situation) -> Situation:
        """As many scenarios as the problem has: the expected course where none are given."""
        count = self.problem.scenarios.count
        if situation.courses and len(situation.courses) != count:
            raise ValueError(
                f"problem {self.problem.name} has {count} scenarios, but the situation "
                f"{len(situation.courses)}"
            )
        if not 1.0 - 1e-9 <= situation.shares.sum() <= 1.0 + 1e-9:
            raise ValueError(f"shares of the courses must sum to one, not {situation.shares.sum()}")
        if situation.courses or count == 1:
            return situation
        expected = Course(situation.state, situation.parameters, 1.0 / count)
        return replace(situation, courses=(expected,) * count)

    def _numbers(self, situation: Situation, ends: Ends, given_up: tuple[int, ...]) -> Numbers:
        bounds = self._parts.bounds
        return Numbers(
            self._program.inputs.numbers(self.problem, situation),
            bounds.decisions(situation, ends, given_up),
            bounds.constraints(ends),
        )

    def _guess(self, situation: Situation, ends: Ends, share: float) -> Start:
        """The guess's inputs and boluses, or a share of them, simulated."""
        inputs = np.clip(share * situation.guess, ends.inputs[:, 0], ends.inputs[:, 1])
        guessed = 0.0 if situation.bolus_guess is None else situation.bolus_guess
        boluses = np.minimum(share * guessed, ends.boluses)
        points = self._guess_rollout.simulated(situation, inputs[None], boluses[None]).points
        return simulated_start(self.problem, self._program, points, inputs, boluses)

    def _judged(
        self,
        situation: Situation,
        ends: Ends,
        candidate: Candidate,
        numbers: Numbers,
        given_up: tuple[int, ...] = (),
    ) -> Plan:
        """What an attempt came to: a plan that passed every check, or the reason for none."""
        name, solved_at_s = self.problem.name, situation.time_s
        candidate = self._with_whole_boluses(situation, ends, candidate, numbers, given_up)
        if candidate.status is not SolveStatus.SOLVED:
            plan = no_plan(name, candidate.status, solved_at_s, (), candidate.iterations)
            return replace(plan, chosen=candidate.name)
        looked = look(self._parts, situation, ends, candidate, given_up)
        faults = [*looked.checks.faults()]
        if faults:
            reason = "; ".join([*faults, *_broken_words(looked)])
            plan = no_plan(name, SolveStatus.REFUSED, solved_at_s, (), candidate.iterations, reason)
            return replace(plan, chosen=candidate.name)
        return self._plan(situation, ends, candidate, numbers, looked)

    def _with_whole_boluses(
        self,
        situation: Situation,
        ends: Ends,
        candidate: Candidate,
        numbers: Numbers,
        given_up: tuple[int, ...],
    ) -> Candidate:
        """The same, solved once more where boluses came out too small to be worth pouring.

        Those under half of the smallest are left out, the others made at least that large: not the
        best of all choices, which would take a tree of solves, but one that can be poured.
        """
        smallest = np.array([item.smallest for item in self.problem.boluses])
        volumes = candidate.point.decision[self._program.layout.boluses]
        some = volumes > NOTHING * smallest
        if candidate.status is not SolveStatus.SOLVED or not (some & (volumes < smallest)).any():
            return candidate
        poured = volumes >= 0.5 * smallest
        bounds = np.where(poured, smallest, 0.0), np.where(poured, ends.boluses, 0.0)
        whole = replace(
            numbers,
            decision_bounds=self._parts.bounds.decisions(situation, ends, given_up, bounds),
        )
        again = self._solvers.warm(candidate.point, whole)
        if again.status is not SolveStatus.SOLVED:
            again = self._solvers.cold(candidate.point, whole, candidate.name)
        return replace(
            again, name=candidate.name, iterations=candidate.iterations + again.iterations
        )

    def _plan(
        self,
        situation: Situation,
        ends: Ends,
        candidate: Candidate,
        numbers: Numbers,
        looked: Looked,
    ) -> Plan:
        relaxed = candidate.name == "relaxed"
        status = SolveStatus.ACCEPTABLE if relaxed else SolveStatus.SOLVED
        steps_h = situation.lengths_h(looked.stretch)
        point = candidate.point
        return Plan(
            problem=self.problem.name,
            status=status,
            solved_at_s=situation.time_s,
            grid_h=np.cumsum(steps_h),
            decided=self.problem.decided,
            inputs=looked.inputs[0],
            states=looked.ends[0],
            outputs=looked.outputs[0],
            output_deviation=np.zeros_like(looked.outputs[0]),
            active=active_of(self._parts, situation, ends, candidate, looked),
            objective=candidate.objective,
            iterations=candidate.iterations,
            attempts=(candidate.name,),
            checks=looked.checks,
            warm=WarmStart(
                steps_h, point.decision, point.constraint_multipliers, point.bound_multipliers
            ),
            message=" ".join([ADVICE[status], *_broken_words(looked)]),
            terms=terms_of(self._parts, candidate, numbers.parameters),
            boluses=looked.boluses[0],
            poured=tuple(item.input for item in self.problem.boluses),
            pour_h=tuple(item.over_h for item in self.problem.boluses),
            chosen=candidate.name,
        )


def _broken_words(looked: Looked) -> list[str]:
    """Hard limits that are broken, in words: which, by how much, when."""
    return [
        f"{output} is beyond its limit by {by:.3g} after {at_h:.1f} h."
        for output, by, at_h in looked.broken
    ]
