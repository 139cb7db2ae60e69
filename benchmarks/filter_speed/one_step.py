"""One step of each filter: they take turns, on one core and on any."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from benchmarks.filter_speed.goals import Goal, one_core
from benchmarks.rivals.casadi_c import CasadiC
from benchmarks.rivals.compare import BLOCKS, Contestant, Result, time_block
from benchmarks.rivals.numpy_finite import NumpyFinite
from benchmarks.rivals.ours import Ours
from benchmarks.rivals.task import DataSet, Problem, Rival

STEP_US, RATIO = 100.0, 25.0

UNKNOWING_PIECES = 10
"""Runge-Kutta steps a minute of someone who does not know how stiff the model is."""


@dataclass(frozen=True)
class Timed:
    """One filter's steps.

    Attributes:
        name: of the filter.
        one_core_us: median on one core.
        any_core_us: median where the system may move it about.
        count: how many steps were timed on one core.
        ours: whether it is the agent's.
        textbook: whether it is NumPy with finite differences.
    """

    name: str
    one_core_us: float
    any_core_us: float
    count: int
    ours: bool
    textbook: bool


def _filters(quick: bool) -> Iterator[tuple[Callable[[Problem], Rival], int, int]]:
    """How to build each filter, steps in its turn, and turns."""
    from benchmarks.rivals.dynamax_filter import Dynamax
    from benchmarks.rivals.filterpy_filter import FilterPy

    yield Ours, 50, BLOCKS
    yield NumpyFinite, 50, BLOCKS
    yield lambda task: NumpyFinite(replace(task, pieces=UNKNOWING_PIECES)), 20, BLOCKS
    yield FilterPy, 50, BLOCKS
    yield Dynamax, 50, BLOCKS
    yield CasadiC, 50, BLOCKS
    if not quick:
        from benchmarks.rivals.do_mpc_filter import DoMpc

        yield DoMpc, 1, 3


def _ready(
    prepare: Callable[[Problem], Rival], block: int, blocks: int, task: Problem, data: DataSet
) -> Result:
    """A filter after its first step."""
    rival = prepare(task)
    rival.step(data.inputs[0], data.measured[0])
    contestant = Contestant(prepare, 0.0, "", block=block, blocks=blocks)
    return Result(contestant, rival, prepared_s=0.0, difference=0.0, done=1)


def measure_steps(task: Problem, data: DataSet, quick: bool) -> list[Timed]:
    """Every filter's median step; in every round each has its turn on one core and on any."""
    filters = [_ready(*each, task, data) for each in _filters(quick)]
    pinned: list[list[float]] = [[] for _ in filters]
    free: list[list[float]] = [[] for _ in filters]
    for turn in range(BLOCKS):
        for place, result in enumerate(filters):
            if turn >= result.contestant.blocks:
                continue
            for context, times in ((one_core(), pinned), (nullcontext(), free)):
                with context:
                    result.steps_us.clear()
                    time_block(result, data)
                    times[place] += result.steps_us
    return [
        Timed(
            result.rival.name,
            statistics.median(pinned[place]),
            statistics.median(free[place]),
            len(pinned[place]),
            isinstance(result.rival, Ours),
            isinstance(result.rival, NumpyFinite),
        )
        for place, result in enumerate(filters)
    ]


def show_steps(console: Console, steps: Sequence[Timed]) -> None:
    """The table."""
    ours = next(item for item in steps if item.ours)
    table = Table(title="One minute of the CHO model, 12 states, 3 parameters, 8 signals")
    table.add_column("filter, NumPy in and out", no_wrap=True)
    for title in ("us, one core", "us, any core", "timed", "times ours"):
        table.add_column(title, justify="right")
    for item in steps:
        table.add_row(
            item.name,
            f"{item.one_core_us:.4g}",
            f"{item.any_core_us:.4g}",
            str(item.count),
            f"{item.one_core_us / ours.one_core_us:.3g}",
        )
    console.print(table)


def step_goals(steps: Sequence[Timed]) -> Iterator[Goal]:
    """Time of a step, and how much faster it is than the textbook's."""
    ours = next(item for item in steps if item.ours)
    yield Goal("one step, one core", ours.one_core_us, "us", most=STEP_US)
    yield Goal("one step, any core", ours.any_core_us, "us", most=STEP_US)
    for item in steps:
        if item.textbook:
            ratio = item.one_core_us / ours.one_core_us
            yield Goal(f"faster than {item.name}", ratio, "times", least=RATIO)
