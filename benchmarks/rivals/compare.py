"""The table: how far each filter is from the textbook's, and how long a step takes."""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.results import WIDTH
from benchmarks.rivals.casadi_c import CasadiC
from benchmarks.rivals.numpy_finite import NumpyFinite
from benchmarks.rivals.ours import Ours
from benchmarks.rivals.task import (
    DAY,
    DataSet,
    Problem,
    Rival,
    data_set,
    difference,
    problem,
)

PACKAGES = ("do-mpc", "dynamax", "filterpy")
INSTALL = (
    "Install what is compared: python -m pip install do-mpc dynamax filterpy\n"
    "(or, with pip 25.1 or newer: python -m pip install --group benchmarks)"
)

SEED = 2024
COMPARED = 240
"""Steps after which beliefs are compared: four hours."""

BLOCKS = 20
"""How often the filters take turns."""


@dataclass(frozen=True)
class Contestant:
    """A filter in the comparison.

    Attributes:
        prepare: builds it.
        tolerance: largest difference to the textbook's that its discretisation explains, in
            standard deviations.
        why: what makes the difference.
        compared: steps after which it is compared.
        block: steps that it takes in its turn.
        blocks: how often it takes a turn.
        midway: whether the textbook's adds process noise in the middle of the step, as this one.
    """

    prepare: Callable[[Problem], Rival]
    tolerance: float
    why: str
    compared: int = COMPARED
    block: int = 50
    blocks: int = BLOCKS
    midway: bool = False


def contestants(quick: bool) -> Iterator[Contestant]:
    """All filters; the textbook's first, which the others are compared with."""
    # Imported here: a clear word about missing packages comes first.
    from benchmarks.rivals.dynamax_filter import Dynamax
    from benchmarks.rivals.filterpy_filter import FilterPy

    yield Contestant(NumpyFinite, 0.0, "the reference")
    yield Contestant(
        Ours,
        1e-4,
        "Jacobian in the middle of each step of the integrator; compared with a textbook's filter "
        "that adds process noise in the middle of the step too",
        midway=True,
    )
    yield Contestant(FilterPy, 1e-7, "rounding")
    yield Contestant(Dynamax, 1e-4, "exact Jacobians; it adds 1e-9 to innovation variances")
    yield Contestant(CasadiC, 1e-7, "exact Jacobians, one measurement at a time")
    if not quick:
        yield from _do_mpc()


def _do_mpc() -> Iterator[Contestant]:
    """do-mpc in its own speed; and with another inverse, to be compared over the same time."""
    from benchmarks.rivals.do_mpc_filter import DoMpc

    late = "measurements linearised before the prediction"
    early = f"{late}; noise enters all along the step"
    few: dict[str, Any] = {"compared": 2, "block": 1, "blocks": 5}
    yield Contestant(DoMpc, 0.3, early, **few)
    yield Contestant(lambda task: DoMpc(task, continuous=False), 0.02, late, **few)
    yield Contestant(lambda task: DoMpc(task, cofactors=False), 0.3, early, blocks=2)
    yield Contestant(
        lambda task: DoMpc(task, continuous=False, cofactors=False), 0.02, late, blocks=5
    )


@dataclass
class Result:
    """What one filter showed.

    Attributes:
        contestant: the filter.
        rival: the filter itself, that goes on stepping.
        prepared_s: time to build it and to take the first step, compilation included.
        difference: to the textbook's, in standard deviations.
        steps_us: time of each timed step.
        done: how many steps of the data it has taken.
    """

    contestant: Contestant
    rival: Rival
    prepared_s: float
    difference: float
    steps_us: list[float] = field(default_factory=list)
    done: int = 0


def first_steps(contestant: Contestant, task: Problem, data: DataSet) -> Result:
    """Build a filter and compare it with the textbook's after the same steps."""
    start = time.perf_counter()
    rival = contestant.prepare(task)
    rival.step(data.inputs[0], data.measured[0])
    prepared_s = time.perf_counter() - start
    textbook = NumpyFinite(task, midway=contestant.midway)
    textbook.step(data.inputs[0], data.measured[0])
    for k in range(1, contestant.compared):
        rival.step(data.inputs[k], data.measured[k])
        textbook.step(data.inputs[k], data.measured[k])
    return Result(
        contestant, rival, prepared_s, difference(rival, textbook), done=contestant.compared
    )


def time_block(result: Result, data: DataSet) -> None:
    """Let one filter take its turn."""
    for _ in range(result.contestant.block):
        k = result.done % len(data.inputs)
        inputs, measured = data.inputs[k], data.measured[k]
        start = time.perf_counter()
        result.rival.step(inputs, measured)
        result.steps_us.append((time.perf_counter() - start) * 1e6)
        result.done += 1


def measure(task: Problem, data: DataSet, quick: bool) -> list[Result]:
    """All filters; they take turns, so that a disturbance meets all of them."""
    results = [first_steps(each, task, data) for each in contestants(quick)]
    for turn in range(BLOCKS):
        for result in results:
            if turn < result.contestant.blocks:
                time_block(result, data)
    return results


def show(console: Console, results: Sequence[Result]) -> None:
    """The table, and what the differences are due to."""
    table = Table(title="One minute of the CHO model, NumPy in and out, one thread")
    table.add_column("filter", no_wrap=True)
    for title in (
        "first step s", "us per step", "timed", "faster than NumPy",
        "difference, deviations", "admitted", "after steps",
    ):  # fmt: skip
        table.add_column(title, justify="right")
    textbook_us = statistics.median(results[0].steps_us)
    for result in results:
        step_us = statistics.median(result.steps_us)
        table.add_row(
            result.rival.name,
            f"{result.prepared_s:.2f}",
            f"{step_us:.1f}",
            str(len(result.steps_us)),
            f"{textbook_us / step_us:.2g}",
            f"{result.difference:.1e}",
            f"{result.contestant.tolerance:g}",
            str(result.contestant.compared),
        )
    console.print(table)
    console.print(
        "Difference: largest of mean and covariance to the textbook's, in standard deviations."
    )
    for result in results[1:]:
        console.print(f"  {result.rival.name}: {result.contestant.why}.")


def show_day(console: Console, task: Problem, data: DataSet, repetitions: int = 5) -> None:
    """A whole day in one call, which is what dynamax is made for."""
    from benchmarks.rivals.dynamax_filter import Dynamax

    rival = Dynamax(task)
    rival.day(data.inputs, data.measured)
    runs: list[float] = []
    for _ in range(repetitions):
        start = time.perf_counter()
        rival.day(data.inputs, data.measured)
        runs.append(time.perf_counter() - start)
    day_s = statistics.median(runs)
    console.print(
        f"dynamax, a day of {len(data.inputs)} steps in one call: {day_s * 1e3:.0f} ms, "
        f"{day_s / len(data.inputs) * 1e6:.0f} us per step."
    )


def with_missing(task: Problem) -> Iterator[tuple[str, float]]:
    """Filters that take missing values, and their difference to the textbook's when a third is."""
    from benchmarks.rivals.filterpy_filter import FilterPy

    data = data_set(task, COMPARED, SEED + 1, missing=1 / 3)
    textbook, midway = NumpyFinite(task), NumpyFinite(task, midway=True)
    others: list[Rival] = [FilterPy(task), CasadiC(task)]
    ours = Ours(task)
    everyone: list[Rival] = [textbook, midway, ours, *others]
    for inputs, measured in zip(data.inputs, data.measured, strict=True):
        for rival in everyone:
            rival.step(inputs, measured)
    yield ours.name, difference(ours, midway)
    for rival in others:
        yield rival.name, difference(rival, textbook)


def versions() -> str:
    """What is compared; ends the program where something is missing."""
    names = ("jax", "casadi", "numpy", *PACKAGES)
    try:
        return ", ".join(f"{name} {version(name)}" for name in names)
    except PackageNotFoundError as error:
        raise SystemExit(f"The package {error.name} is not installed.\n{INSTALL}") from error


def main(description: str) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without do-mpc")
    arguments = parser.parse_args()
    console = Console(width=WIDTH)
    console.print(f"One thread; {versions()}.")
    task = problem()
    data = data_set(task, DAY, SEED)
    results = measure(task, data, arguments.quick)
    show(console, results)
    show_day(console, task, data)
    for name, largest in with_missing(task):
        console.print(f"{name}, a third of the values missing: {largest:.1e} deviations off.")
    worse = [item for item in results if item.difference > item.contestant.tolerance]
    if worse:
        names = ", ".join(item.rival.name for item in worse)
        raise SystemExit(f"Not the same filter as the textbook's: {names}")
