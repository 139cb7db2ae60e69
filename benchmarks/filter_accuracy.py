"""The agent's filter beside filters that take late lab results as fresh, on the same batches.

python -m benchmarks.filter_accuracy                       simulates three batches first
python -m benchmarks.filter_accuracy --runs FOLDER         takes FOLDER/seed_1 and so on
python -m benchmarks.filter_accuracy --quick               without do-mpc: two minutes a batch

All get the demo's readings, noise and uncertainty, at the same moments; the plant has the demo's
structural mismatch. The textbook's extended Kalman filter and do-mpc's fuse a result when it
arrives. do-mpc's steps are dear: it is given every sixth cycle, an hour, with what came meanwhile,
and its plant is written as its users write it, integrated by IDAS.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# The numerics libraries read these once, when they are loaded.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.recorded_batches import LAB, Batch, recorded_batches
from benchmarks.results import CONFIG, WIDTH
from benchmarks.rivals.batch import LateResult, Row, coarser, do_mpc_batch, numpy_batch, rows_of
from mpc_agent.config import Settings
from mpc_agent.estimation.estimator import begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.values import Floats

EVERY = 6
"""Cycles in a step of do-mpc, an hour; errors of all filters are counted at these moments."""


@dataclass(frozen=True)
class Errors:
    """One filter's root mean square errors.

    Attributes:
        name: of the filter.
        rmse: per batch and state, NaN where it failed, shape (batches, states).
    """

    name: str
    rmse: Floats


def ours(kalman: ExtendedKalmanFilter, batch: Batch) -> Floats:
    """What the agent's estimator believed in each cycle, shape (cycles, states)."""
    memory = begin_estimation(kalman, batch.start_s, batch.measurements[0].inputs)
    means = []
    cycles = zip(batch.times_s.tolist(), batch.measurements, batch.samples, strict=True)
    for now_s, measurement, samples in cycles:
        told, memory = estimate(kalman, memory, measurement, samples, now_s)
        means.append(told.mean[: kalman.states])
    return np.array(means)


def as_fresh(settings: EstimationSettings, batch: Batch) -> list[Row]:
    """The batch as filters without memory take it: each result when it is first seen."""
    arrived: dict[tuple[str, float, float], float] = {}
    for time_h, samples in zip(batch.times_h.tolist(), batch.samples, strict=True):
        for item in samples:
            arrived.setdefault((item.analyte, item.drawn_at_s, item.value), time_h)
    known = {item.name for item in settings.assays}
    results = [LateResult(key[0], key[2], at) for key, at in arrived.items() if key[0] in known]
    inputs = np.array([item.inputs for item in batch.measurements])
    online = np.array([item.values for item in batch.measurements])
    return rows_of(settings, batch.times_h, inputs, online, results)


def measure(settings: Settings, batches: Sequence[Batch], quick: bool) -> list[Errors]:
    """Every filter over every batch."""
    known = settings.estimation
    kalman = ExtendedKalmanFilter(known, settings.document.cycle.period_s / 3600)
    names = ["mpc-agent", "textbook EKF"] + ([] if quick else ["do-mpc EKF"])
    found: list[list[Floats]] = [[] for _ in names]
    for batch in track(batches, "filters", console=Console(width=WIDTH)):
        rows, states = as_fresh(known, batch), kalman.states
        # The first moment, and then the last of every group, as `coarser` takes them.
        moments = np.arange(0, len(rows), EVERY)
        beliefs = [ours(kalman, batch)[moments], numpy_batch(known, rows).means[moments, :states]]
        if not quick:
            beliefs.append(do_mpc_batch(known, coarser(rows, EVERY)).means[:, :states])
        for place, means in enumerate(beliefs):
            error = means - batch.truth[moments[: len(means)]]
            found[place].append(np.sqrt(np.mean(error**2, axis=0)))
    return [Errors(name, np.array(rows)) for name, rows in zip(names, found, strict=True)]


def show(console: Console, settings: Settings, found: Sequence[Errors]) -> None:
    """Errors over all batches, and how sure it is that the agent's are less."""
    names = settings.model.state_names
    least = np.min([item.rmse for item in found[1:]], axis=0)
    # By how much, from batch to batch: what is within two standard errors of one is chance.
    ratios = np.log(found[0].rmse / least)
    ratio = np.exp(ratios.mean(axis=0))
    error = ratio * ratios.std(axis=0) / np.sqrt(max(1, len(ratios) - 1))
    table = Table(title=f"Root mean square error over {len(least)} batches")
    table.add_column("state", no_wrap=True)
    for title in ("unit", "lab", *(item.name for item in found), "ours / best other", "least"):
        table.add_column(title, justify="right")
    overall = [np.sqrt(np.mean(item.rmse**2, axis=0)) for item in found]
    worse = []
    for place, name in enumerate(names):
        if name in LAB and not overall[0][place] < min(item[place] for item in overall[1:]):
            worse.append(name)
        table.add_row(
            name,
            settings.model.states[name].unit,
            LAB.get(name, ""),
            *(f"{item[place]:.4g}" for item in overall),
            f"{ratio[place]:.3f} +- {error[place]:.3f}",
            f"{np.sum(ratios[:, place] < 0)} of {len(least)}",
        )
    console.print(table)
    console.print(
        "Ratio: geometric mean over batches and its standard error. Least: ours, in batches."
    )
    verdict = "yes" if not worse else "no, not " + ", ".join(worse)
    console.print(
        f"Ours least, over all batches, for every state that the lab measures: {verdict}."
    )


def main(description: str) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, help="folder with recorded batches, seed_1 and so on")
    parser.add_argument("--quick", action="store_true", help="without do-mpc")
    arguments = parser.parse_args()
    console = Console(width=WIDTH)
    settings = Settings.load(CONFIG, {})
    with recorded_batches(CONFIG, arguments.seeds, arguments.runs, console) as batches:
        show(console, settings, measure(settings, batches, arguments.quick))


if __name__ == "__main__":
    main(__doc__ or "")
