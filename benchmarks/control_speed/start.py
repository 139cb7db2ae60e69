"""From the start of a process until filter and both problems are ready, with and without caches."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from benchmarks.control_speed.child import DO_MPC, OURS
from benchmarks.filter_speed.goals import Goal

WARM_S, COLD_S, PEAK_MB = 2.0, 5.0, 400.0

Told = dict[str, float]


def start_goals(repetitions: int) -> Iterator[Goal]:
    """Medians; processes with full caches, with empty ones, and do-mpc's take turns."""
    warm: list[Told] = []
    cold: list[Told] = []
    other: list[Told] = []
    with tempfile.TemporaryDirectory() as folder:
        _child(OURS, folder)
        for _ in range(repetitions):
            warm.append(_child(OURS, folder))
            with tempfile.TemporaryDirectory() as empty:
                cold.append(_child(OURS, empty))
            other.append(_child(DO_MPC))
    what = "process start to filter and both problems ready"
    yield Goal(f"{what}, caches", _median(warm, "ready_s"), "s", most=WARM_S)
    yield Goal(f"{what}, none", _median(cold, "ready_s"), "s", most=COLD_S)
    yield Goal("first plan of the feeds in that process", _median(warm, "first_plan_s"), "s")
    yield Goal("peak memory of that process, caches", _median(warm, "peak_mb"), "MB", most=PEAK_MB)
    yield Goal("peak memory of that process, none", _median(cold, "peak_mb"), "MB")
    what = "process start to do-mpc with the feed problem alone ready"
    yield Goal(what, _median(other, "ready_s"), "s")
    yield Goal("first plan of the feeds by do-mpc", _median(other, "first_plan_s"), "s")
    yield Goal("peak memory of do-mpc's process", _median(other, "peak_mb"), "MB")


def _median(processes: Sequence[Told], what: str) -> float:
    return statistics.median(told[what] for told in processes)


def _child(*arguments: str) -> Told:
    """What one process says of itself."""
    command = [sys.executable, "-m", "benchmarks.control_speed.child", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"a process that only gets ready failed:\n{done.stderr[-2000:]}")
    told: Told = json.loads(done.stdout.splitlines()[-1])
    return told
