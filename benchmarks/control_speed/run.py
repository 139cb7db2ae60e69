"""All measurements in one run, and the table of goals."""

import argparse
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version

from rich.console import Console

from benchmarks.control_speed import cho_feed
from benchmarks.control_speed.batch_reactor import (
    NOMINAL_RUN,
    PROBLEM,
    ROBUST,
    ROBUST_RUN,
    Example,
    Published,
    Reactor,
    shooting,
)
from benchmarks.control_speed.contest import Contest, Entry, Solver, compete, show_contest
from benchmarks.control_speed.judge import Judge
from benchmarks.control_speed.ours import Ours
from benchmarks.control_speed.start import start_goals
from benchmarks.filter_speed.goals import Goal
from benchmarks.filter_speed.run import show_goals
from benchmarks.rivals.do_mpc_control import WARM_START, DoMpc

WIDTH = 160
PACKAGES = ("do-mpc", "casadi", "numpy")
WORDS = """\
Solvers take turns on the same situations; each begins with its own last answer. Times are those
that a solve had a core, which is what the wall's clock shows on a quiet machine; its median stands
beside. Median and 99th percentile leave the first solve out. Ratio: how many times faster than the
first solver, which is do-mpc as it comes. Iterations: median and largest. "Costs more": how much
more a plan costs than that of the do-mpc whose cells are empty, relative, median and most, as the
solvers say; "simulated", with both plans simulated. Worse and better: solves whose plans cost more
and less by both, by more than 1e-5. "IPOPT warm": with options by which IPOPT goes on from its last
multipliers, which do-mpc does not set by itself."""


def nominal(steps: int) -> tuple[Contest, list[Goal]]:
    """do-mpc's example."""
    course = Reactor(steps)
    prepare: list[Callable[[], Solver]] = [
        Example,
        lambda: DoMpc(PROBLEM, name="do-mpc, limits at the ends"),
        lambda: Example(options=WARM_START),
        lambda: Ours(PROBLEM, "ours, collocation"),
        lambda: Ours(shooting(PROBLEM), "ours, shooting"),
    ]
    contest = compete(
        f"do-mpc's example, {steps} h in closed loop", prepare, course,
        reference=1, judge=Judge(PROBLEM).objective,
    )  # fmt: skip
    goals = [*as_published("example", course, NOMINAL_RUN)]
    goals += speed_goals("example, shooting", contest, contest.entries[-1], 10.0, most_ms=2.0)
    return contest, goals


def robust(steps: int) -> tuple[Contest, list[Goal]]:
    """The same with nine scenarios."""
    course = Reactor(steps, robust=True)
    prepare: list[Callable[[], Solver]] = [
        lambda: Example(robust=True),
        lambda: DoMpc(ROBUST, name="do-mpc, limits at the ends"),
        lambda: Ours(ROBUST, "ours, collocation"),
        lambda: Ours(shooting(ROBUST), "ours, shooting"),
    ]
    contest = compete(
        f"do-mpc's example with nine scenarios, {steps} h in closed loop", prepare, course,
        reference=1,
    )  # fmt: skip
    goals = [*as_published("nine scenarios", course, ROBUST_RUN)]
    goals += speed_goals("nine scenarios, shooting", contest, contest.entries[-1], 15.0)
    return contest, goals


def feed(interval_h: float) -> tuple[Contest, list[Goal]]:
    """The CHO demo's feeds."""
    problem, course = cho_feed.problem(), cho_feed.Culture(interval_h)
    prepare: list[Callable[[], Solver]] = [
        lambda: DoMpc(problem),
        lambda: DoMpc(problem, WARM_START, "do-mpc, IPOPT warm"),
        lambda: Ours(problem),
    ]
    contest = compete(
        f"Feeds of the CHO demo until harvest, {problem.pieces} pieces, {course.steps} solves",
        prepare, course, judge=Judge(problem).objective,
    )  # fmt: skip
    ours = contest.entries[-1]
    goals = [
        *speed_goals("CHO feeds", contest, ours, 9.0),
        Goal("CHO feeds: p99", ours.p99_ms, "ms", most=150.0),
        Goal("CHO feeds: first solve, cold", ours.busy_ms[0], "ms", most=1000.0),
        Goal("CHO feeds: product of do-mpc's loop", course.product_g, "g"),
    ]
    return contest, goals


def as_published(name: str, course: Reactor, published: Published) -> Iterator[Goal]:
    """Whether do-mpc's own example is what is published of it."""
    feeds, product = course.differences(published)
    yield Goal(f"{name}, do-mpc: first five feeds off", 1e6 * feeds, "uL/h", most=1.0)
    if product is not None:
        what = f"{name}, do-mpc: product after {published.step} h off"
        yield Goal(what, 1e6 * product, "ug/L", most=10.0)


def speed_goals(
    name: str, contest: Contest, entry: Entry, ratio: float, most_ms: float | None = None
) -> Iterator[Goal]:
    """Ratio and median, success, and whether the plans are as good."""
    yield Goal(f"{name}: faster than do-mpc", contest.ratio(entry), "times", least=ratio)
    yield Goal(f"{name}: median", entry.median_ms, "ms", most=most_ms)
    yield Goal(f"{name}: solved", entry.success_percent, "%", least=100.0)
    yield Goal(f"{name}: plans worse than do-mpc's", contest.off(entry).worse, "solves", most=0)


def main(description: str) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer solves and processes")
    quick = parser.parse_args().quick
    console = Console(width=WIDTH)
    found = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    console.print(f"{found}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    console.print(WORDS)
    goals: list[Goal] = []
    for contest, part in _parts(quick):
        show_contest(console, contest)
        goals += part
    show_goals(console, [*goals, *start_goals(1 if quick else 5)])


def _parts(quick: bool) -> Iterator[tuple[Contest, list[Goal]]]:
    """One contest after the other."""
    yield nominal(100 if quick else 150)
    yield robust(10 if quick else 100)
    yield feed(24.0 if quick else cho_feed.INTERVAL_H)
