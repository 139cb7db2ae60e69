"""All measurements in one run, and the table of goals."""

import argparse
import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.filter_speed.goals import Goal
from benchmarks.filter_speed.one_step import measure_steps, show_steps, step_goals
from benchmarks.filter_speed.start import start_goals
from benchmarks.filter_speed.stretches import day_goals, smoother_goal
from benchmarks.results import WIDTH
from benchmarks.rivals.compare import SEED, versions
from benchmarks.rivals.task import DAY, data_set, problem


def show_goals(console: Console, goals: Sequence[Goal]) -> None:
    """One line for each goal."""
    table = Table(title="Goals")
    table.add_column("what", no_wrap=True)
    for title in ("measured", "goal", "met"):
        table.add_column(title, justify="right")
    for goal in goals:
        table.add_row(goal.what, goal.shown(goal.measured), goal.wanted(), goal.verdict())
    console.print(table)


def main(description: str) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without do-mpc")
    arguments = parser.parse_args()
    console = Console(width=WIDTH)
    console.print(f"{versions()}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    task = problem()
    data = data_set(task, DAY, SEED)
    steps = measure_steps(task, data, arguments.quick)
    show_steps(console, steps)
    goals = [*step_goals(steps), *day_goals(task, data), smoother_goal(task), *start_goals()]
    show_goals(console, goals)
