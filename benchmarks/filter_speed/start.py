"""From the start of a process until its filter has taken a step, with and without a cache."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.filter_speed.goals import Goal

WARM_S, COLD_S, PEAK_MB = 1.0, 3.0, 300.0
REPETITIONS = 5


def start_goals() -> Iterator[Goal]:
    """Medians; processes with a full cache and with an empty one take turns."""
    warm: list[tuple[float, float]] = []
    cold: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        _child(Path(folder))
        for _ in range(REPETITIONS):
            warm.append(_child(Path(folder)))
            with tempfile.TemporaryDirectory() as empty:
                cold.append(_child(Path(empty)))
    warm_s, warm_mb = (statistics.median(values) for values in zip(*warm, strict=True))
    cold_s, cold_mb = (statistics.median(values) for values in zip(*cold, strict=True))
    yield Goal("process start to first step, warm cache", warm_s, "s", most=WARM_S)
    yield Goal("process start to first step, empty cache", cold_s, "s", most=COLD_S)
    yield Goal("peak memory of that process, warm cache", warm_mb, "MB", most=PEAK_MB)
    yield Goal("peak memory of that process, empty cache", cold_mb, "MB")


def _child(cache: Path) -> tuple[float, float]:
    """Seconds and megabytes of one process."""
    command = [sys.executable, "-m", "benchmarks.filter_speed.child", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"a process that only starts the filter failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    return float(told["ready_s"]), float(told["peak_mb"])
