"""Recorded batches of the simulated plant, as a filter sees them and as they really were.

The agent controlled them; what a filter makes of them later changes nothing in them.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from mpc_agent.config import Settings
from mpc_agent.estimation.happenings import Step
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.journal import Journal
from mpc_agent.simulate import RECORD_NAME, TRUTH_NAME
from mpc_agent.values import Floats, Measurement, Sample
from sim_plant.truth import Truth


@dataclass(frozen=True)
class Batch:
    """One batch.

    Attributes:
        seed: of the plant.
        start_s: inoculation.
        times_s: of the cycles, shape (cycles,).
        measurements: of each cycle, validated as the agent does.
        samples: visible in each cycle.
        truth: the true states at each cycle, shape (cycles, states of the filter's model).
    """

    seed: int
    start_s: float
    times_s: Floats
    measurements: tuple[Measurement, ...]
    samples: tuple[tuple[Sample, ...], ...]
    truth: Floats

    @property
    def times_h(self) -> Floats:
        """Hours since inoculation of the cycles, shape (cycles,)."""
        hours: Floats = (self.times_s - self.start_s) / 3600
        return hours

    def steps(self) -> list[Step]:
        """What the filter's history makes of the cycles."""
        pairs = zip(self.times_s.tolist(), self.measurements, strict=True)
        return [Step(time_s, item.inputs, item.values, item.belongs_at_s) for time_s, item in pairs]


def read_batch(settings: Settings, folder: Path) -> Batch:
    """Read what `mpc-agent simulate` left in a folder."""
    truth = Truth.load(folder / TRUTH_NAME)
    with Journal.open(folder / RECORD_NAME, read_only=True) as journal:
        readings = [cycle.readings for cycle in journal.cycles()]
    model, signals = settings.model, settings.estimation.signals
    memory = SignalMemory.empty(len(signals), np.array(model.nominal_inputs()))
    measurements = []
    for item in readings:
        measured, memory = validate(
            item, memory, signals, model.inputs, settings.document.cycle.period_s
        )
        measurements.append(measured)
    times_s = np.array([item.read_at_s for item in readings])
    times_h = (times_s - truth.inoculated_at_s) / 3600
    states = [np.interp(times_h, truth.time_h, truth.state(name)) for name in model.state_names]
    return Batch(
        seed=truth.seed,
        start_s=truth.inoculated_at_s,
        times_s=times_s,
        measurements=tuple(measurements),
        samples=tuple(item.samples for item in readings),
        truth=np.array(states).T,
    )


@contextmanager
def recorded_batches(
    config: Path, seeds: Sequence[int], folder: Path | None, console: Console
) -> Iterator[list[Batch]]:
    """Batches of these seeds: from `folder`/seed_N where they are there, else simulated now."""
    settings = Settings.load(config, {})
    with tempfile.TemporaryDirectory() as scratch:
        batches = []
        for seed in track(seeds, "batches", console=console):
            place = (folder or Path(scratch)) / f"seed_{seed}"
            if not (place / TRUTH_NAME).exists():
                simulate_batch(config, place, seed)
            batches.append(read_batch(settings, place))
        yield batches


def simulate_batch(config: Path, folder: Path, seed: int) -> None:
    """Run one batch by the command that users run, into a new folder."""
    command = [sys.executable, "-m", "mpc_agent", "simulate", str(config), "--seed", str(seed)]
    command += ["--folder", str(folder), "--no-compare", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"seed {seed} failed:\n{done.stderr[-2000:]}")


LAB = {
    "viable_cells": "viable_cells",
    "dead_cells": "viability",
    "glucose": "glucose",
    "glutamine": "glutamine",
    "lactate": "lactate",
    "ammonia": "ammonia",
    "product": "titre",
    "osmolytes": "osmolality",
}
"""States of the CHO model that the lab measures, and the assay that tells of each."""
