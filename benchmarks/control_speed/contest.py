"""Solvers that take turns on the same situations, and the table of how they did."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.rivals.do_mpc_control import SOLVED, Answer
from benchmarks.rivals.task import Floats
from controllers.situation import Situation

SAME = 1e-5
"""Plans whose costs differ by less, relatively, are the same."""


class Solver(Protocol):
    """An optimiser that solves situation after situation, each from its own last answer."""

    name: str

    @property
    def iterations(self) -> int:
        """Iterations of the last solve, of all its attempts."""

    def solve(self, situation: Situation) -> Answer:
        """Inputs, objective and status."""


@dataclass
class Entry:
    """One solver in the contest and what it did.

    Attributes:
        solver: the solver.
        build_s: seconds to build it.
        wall_ms: of each solve, on the wall's clock.
        busy_ms: of each solve, that this process had a core: what the wall's clock shows where
            nothing else runs.
        iterations: of each solve.
        answers: of each solve.
    """

    solver: Solver
    build_s: float
    wall_ms: list[float] = field(default_factory=list)
    busy_ms: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @classmethod
    def build(cls, prepare: Callable[[], Solver]) -> "Entry":
        """Build a solver, and see how long that takes."""
        start = time.perf_counter()
        solver = prepare()
        return cls(solver, time.perf_counter() - start)

    def take_turn(self, situation: Situation) -> Answer:
        """Solve, and note everything."""
        start, busy = time.perf_counter(), time.process_time()
        answer = self.solver.solve(situation)
        self.wall_ms.append((time.perf_counter() - start) * 1e3)
        self.busy_ms.append((time.process_time() - busy) * 1e3)
        self.iterations.append(self.solver.iterations)
        self.answers.append(answer)
        return answer

    @property
    def median_ms(self) -> float:
        """Median of all solves but the first, which nothing warms."""
        return statistics.median(self.busy_ms[1:])

    @property
    def p99_ms(self) -> float:
        """99th percentile of the same solves."""
        return float(np.percentile(self.busy_ms[1:], 99))

    @property
    def success_percent(self) -> float:
        """Share of situations that were solved."""
        return 100 * statistics.mean(answer.status == SOLVED for answer in self.answers)


@dataclass(frozen=True)
class Off:
    """How much more one solver's plans cost than another's, relative, solve by solve.

    Attributes:
        own: as the solvers say.
        simulated: with both plans simulated; where that is not defined, as the solvers say.
    """

    own: Floats
    simulated: Floats

    @property
    def worse(self) -> int:
        """How many plans cost more, both by what the solvers say and simulated."""
        return int(np.sum(np.minimum(self.own, self.simulated) > SAME))

    @property
    def better(self) -> int:
        """How many cost less, by both."""
        return int(np.sum(np.maximum(self.own, self.simulated) < -SAME))


@dataclass(frozen=True)
class Contest:
    """A finished contest; the first entry led through the closed loop.

    Attributes:
        title: of the table.
        entries: the solvers.
        situations: what all of them solved, in order.
        reference: place of the entry that the others' plans are compared with.
        judge: cost of inputs from a situation by simulation, or None where that is not defined.
    """

    title: str
    entries: Sequence[Entry]
    situations: Sequence[Situation]
    reference: int = 0
    judge: Callable[[Situation, Floats], float] | None = None

    def ratio(self, entry: Entry) -> float:
        """How many times faster than the first one."""
        return self.entries[0].median_ms / entry.median_ms

    def off(self, entry: Entry) -> Off:
        """How much more the entry's plans cost than the reference's, where both had success."""
        own, simulated = [], []
        answers = zip(
            self.situations, self.entries[self.reference].answers, entry.answers, strict=True
        )
        for situation, first, other in answers:
            if not first.status == other.status == SOLVED:
                continue
            own.append(_relative(first.objective, other.objective))
            if self.judge is not None:
                costs = (self.judge(situation, answer.inputs) for answer in (first, other))
                simulated.append(_relative(*costs))
        return Off(np.array(own), np.array(simulated if self.judge else own))


def _relative(first: float, other: float) -> float:
    """By how much the other is larger, over the size of the first."""
    return (other - first) / abs(first)


def compete(
    title: str,
    prepare: Sequence[Callable[[], Solver]],
    course: "Course",
    *,
    reference: int = 0,
    judge: Callable[[Situation, Floats], float] | None = None,
) -> Contest:
    """Let solvers take turns on every situation of a closed loop, in rotating order.

    Args:
        title: of the table.
        prepare: what builds each solver; the first one's inputs go to the plant.
        course: the closed loop.
        reference: whose plans the others' are compared with.
        judge: cost of inputs by simulation.
    """
    entries = [Entry.build(each) for each in prepare]
    situations = []
    situation = course.first()
    for k in range(course.steps):
        places = [(k + i) % len(entries) for i in range(len(entries))]
        answers = {place: entries[place].take_turn(situation) for place in places}
        situations.append(situation)
        situation = course.after(situation, answers[0].inputs)
    return Contest(title, entries, situations, reference, judge)


class Course(Protocol):
    """A closed loop.

    Attributes:
        steps: how many solves.
    """

    steps: int

    def first(self) -> Situation:
        """Where it begins."""

    def after(self, situation: Situation, inputs: Floats) -> Situation:
        """Where the plant is after a control interval with a plan's inputs, (pieces, decided)."""


def show_contest(console: Console, contest: Contest) -> None:
    """The table."""
    table = Table(title=contest.title)
    table.add_column("solver", no_wrap=True)
    for title in (
        "build s", "wall ms", "first ms", "median ms", "p99 ms", "ratio", "iterations",
        "solved %", "costs more", "most", "simulated", "most", "worse", "better",
    ):  # fmt: skip
        table.add_column(title, justify="right")
    for entry in contest.entries:
        table.add_row(
            entry.solver.name,
            f"{entry.build_s:.2f}",
            f"{statistics.median(entry.wall_ms[1:]):.3g}",
            f"{entry.busy_ms[0]:.0f}",
            f"{entry.median_ms:.3g}",
            f"{entry.p99_ms:.3g}",
            f"{contest.ratio(entry):.1f}",
            f"{statistics.median(entry.iterations):.0f}/{max(entry.iterations)}",
            f"{entry.success_percent:.0f}",
            *_off(contest, entry),
        )
    console.print(table)
    had = sum(sum(entry.busy_ms) for entry in contest.entries)
    passed = sum(sum(entry.wall_ms) for entry in contest.entries)
    console.print(f"This process had a core {100 * had / passed:.0f} % of the time.")
    for entry in contest.entries:
        words = {answer.status for answer in entry.answers} - {SOLVED}
        if words:
            console.print(f"{entry.solver.name} also said: {', '.join(sorted(words))}")


def _off(contest: Contest, entry: Entry) -> list[str]:
    """Cells of the differences; empty for the reference."""
    if entry is contest.entries[contest.reference]:
        return [""] * 6
    off = contest.off(entry)
    cells = [
        f"{kind(values):.0e}" if values.size else "-"
        for values in (off.own, off.simulated)
        for kind in (np.median, np.max)
    ]
    return [*cells, str(off.worse), str(off.better)]
