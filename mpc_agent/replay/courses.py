"""Estimates over a batch, filtered and smoothed, as a table of numbers."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpc_agent.errors import CannotWriteError
from mpc_agent.estimation.smoother import Smoothed
from mpc_agent.record import BatchHeader
from mpc_agent.replay.comparing import Course, Key, Names, course
from mpc_agent.replay.rerun import Replay
from mpc_agent.values import Floats


@dataclass(frozen=True)
class Courses:
    """Every estimated quantity over the batch.

    Attributes:
        time_s: of every cycle, UTC seconds.
        time_h: the same in hours since inoculation.
        recorded: as recorded.
        replayed: by what was known when each cycle was made.
        smoothed: by what is known afterwards.
    """

    time_s: Floats
    time_h: Floats
    recorded: Course
    replayed: Course
    smoothed: Course


def courses(
    header: BatchHeader, done: Replay, told: Smoothed, names: tuple[Names, Names]
) -> Courses:
    """All courses of a replay; `told` is one row per cycle."""
    known = len(names[1].states) + len(names[1].adapted)
    means = np.hstack([told.means[:, :known], told.outputs])
    deviations = np.hstack([told.deviations[:, :known], told.output_deviations])
    keys = names[1].keys
    time_s = np.array([item.time_s for item in done.cycles])
    return Courses(
        time_s=time_s,
        time_h=(time_s - header.inoculated_at_s) / 3600,
        recorded=course(names[0], [item.recorded for item in done.cycles]),
        replayed=course(names[1], [item.replayed for item in done.cycles]),
        smoothed=Course(
            dict(zip(keys, means.T, strict=True)), dict(zip(keys, deviations.T, strict=True))
        ),
    )


def write_csv(path: Path, found: Courses) -> None:
    """Write every mean and deviation, filtered and smoothed; numbers are exact.

    Raises:
        CannotWriteError: the file cannot be written.
    """
    columns = [("time_s", found.time_s), ("hours", found.time_h)]
    for key in found.replayed.means:
        columns += _columns(key, found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([name for name, _ in columns])
            writer.writerows(zip(*(values.tolist() for _, values in columns), strict=True))
    except OSError as error:
        raise CannotWriteError(f"{path} cannot be written: {error.strerror}") from None


def _columns(key: Key, found: Courses) -> list[tuple[str, Floats]]:
    name = f"{key.kind}.{key.name}"
    return [
        (name, found.replayed.means[key]),
        (f"{name}.deviation", found.replayed.deviations[key]),
        (f"{name}.smoothed", found.smoothed.means[key]),
        (f"{name}.smoothed_deviation", found.smoothed.deviations[key]),
    ]
