"""A day of minutes again because of one late sample; and two weeks smoothed."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.filter_speed.goals import Goal, one_core
from benchmarks.rivals.compare import SEED
from benchmarks.rivals.task import DAY, DataSet, Problem, data_set
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.history import History, advance, begin
from mpc_agent.estimation.settings import SignalSettings
from mpc_agent.estimation.smoother import smooth
from mpc_agent.values import Measurement, Sample, Verdict

DAY_MS, SMOOTHER_S, DAYS = 60.0, 1.5, 14

COUNT = SignalSettings("viable_cells", 0.02, 0.05, 0.0, 100.0)
"""The assay whose result is a day late."""

MINUTE_S = 60.0


def day_goals(task: Problem, data: DataSet, repetitions: int = 15) -> Iterator[Goal]:
    """A sample that is a day old arrives; and the bare march through the same rows."""
    settings = replace(task.settings, assays=(COUNT,))
    kalman = ExtendedKalmanFilter(settings, task.step_h)
    history, last_s = _day_of_cycles(kalman, data)
    sample = Sample("viable_cells", 4.0, "1e9 cells/L", last_s - DAY * MINUTE_S, last_s, "lab")
    measurement = _measurement(kalman, data, DAY - 1, last_s + MINUTE_S)
    late = partial(advance, kalman, history, last_s + MINUTE_S, measurement, (sample,))
    belief = kalman.initial(data.inputs[0])
    table = np.full((DAY, kalman.channels), np.nan)
    table[:, : kalman.signals] = data.measured
    rows, _ = kalman.rows([task.step_h] * DAY, data.inputs, table)
    march = partial(kalman.march, belief, rows)
    if late().samples[0].verdict is not Verdict.OK:
        raise SystemExit("the late sample was not fused: this is not what should be timed")
    for where in ("one core", "any core"):
        replayed_s, marched_s = _medians((late, march), repetitions, where == "one core")
        name = f"{DAY} cycles again for a sample a day late, {where}"
        yield Goal(name, replayed_s * 1e3, "ms", most=DAY_MS)
        yield Goal(f"{DAY} rows marched, {where}", marched_s * 1e3, "ms")


def _day_of_cycles(kalman: ExtendedKalmanFilter, data: DataSet) -> tuple[History, float]:
    """A day and a minute, cycle by cycle; and when it ends."""
    history, now_s = begin(kalman, 0.0, data.inputs[0]), 0.0
    for k in range(DAY + 1):
        now_s += MINUTE_S
        measurement = _measurement(kalman, data, k % DAY, now_s)
        history = advance(kalman, history, now_s, measurement).history
    return history, now_s


def _measurement(
    kalman: ExtendedKalmanFilter, data: DataSet, place: int, now_s: float
) -> Measurement:
    """What a cycle's validation would hand on, everything fresh."""
    names = tuple(item.name for item in kalman.settings.signals)
    return Measurement(
        signals=names,
        values=data.measured[place],
        verdicts=(Verdict.OK,) * len(names),
        inputs=data.inputs[place],
        belongs_at_s=np.full(len(names), now_s),
    )


def smoother_goal(task: Problem, repetitions: int = 5) -> Goal:
    """Two weeks of minutes, smoothed."""
    kalman = ExtendedKalmanFilter(task.settings, task.step_h)
    data = data_set(task, DAY, SEED)
    days = [np.tile(part, (DAYS, 1)) for part in (data.inputs, data.measured)]
    rows, _ = kalman.rows([task.step_h] * DAY * DAYS, *days)
    belief = kalman.initial(data.inputs[0])
    (seconds,) = _medians((partial(smooth, kalman, belief, rows),), repetitions, pinned=True)
    return Goal(f"{DAYS} days of minutes smoothed, one core", seconds, "s", most=SMOOTHER_S)


def _medians(
    functions: Sequence[Callable[[], object]], repetitions: int, pinned: bool
) -> list[float]:
    """Median seconds of each; they take turns, after one round that is not counted."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repetitions + 1):
        for place, function in enumerate(functions):
            seconds = _on_one_core(function) if pinned else _seconds(function)
            if turn > 0:
                times[place].append(seconds)
    return [statistics.median(values) for values in times]


def _on_one_core(function: Callable[[], object]) -> float:
    with one_core():
        return _seconds(function)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
