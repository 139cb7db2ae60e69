"""The extended Kalman filter beside its iterated and its unscented form, on the same batches.

python -m benchmarks.filter_forms                       simulates three batches first
python -m benchmarks.filter_forms --runs FOLDER         takes FOLDER/seed_1 and so on

All three get the same rows, every lab result where it was drawn, and the same equations, bounds,
noise and gates. The plant has the demo's structural mismatch, so no filter can be consistent.
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

import statistics
import time

import jax
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.filter_speed.goals import one_core
from benchmarks.forms import FORMS, Form
from benchmarks.recorded_batches import LAB, Batch, recorded_batches
from benchmarks.results import CONFIG, WIDTH
from mpc_agent.config import Settings
from mpc_agent.estimation.filter import COMPILER, ExtendedKalmanFilter
from mpc_agent.estimation.smoother import whole_timeline
from mpc_agent.values import Floats

REPETITIONS = 7


@dataclass(frozen=True)
class Judged:
    """One form over all batches.

    Attributes:
        name: of the form.
        rmse: root mean square error per state, shape (states,).
        coverage: share of moments with the truth in the 95 % band per state, in percent.
        nees: normalised estimation error squared of the states, divided by their number.
    """

    name: str
    rmse: Floats
    coverage: Floats
    nees: float


def rows_of(kalman: ExtendedKalmanFilter, batch: Batch) -> tuple[Floats, Floats]:
    """Rows with every result where it was drawn, and when each ends."""
    seen = {
        (item.analyte, item.drawn_at_s, item.value): item
        for samples in batch.samples
        for item in samples
    }
    start_s = float(np.nextafter(batch.start_s, -np.inf))
    line = whole_timeline(kalman, start_s, batch.steps(), seen.values())
    return line.rows, line.ends_s


def judge(form: Form, kalman: ExtendedKalmanFilter, batches: Sequence[Batch]) -> Judged:
    """March a form through every batch."""
    march = jax.jit(form.march(kalman), compiler_options=COMPILER)
    errors, deviations, squares = [], [], []
    for batch in track(batches, form.name, console=Console(width=WIDTH)):
        rows, ends_s = rows_of(kalman, batch)
        belief = kalman.initial(batch.measurements[0].inputs)
        start = (belief.mean, belief.factor, belief.rejections)
        means, factors = (np.asarray(part) for part in march(start, rows))
        # The last row of each cycle; a sample between two cycles ends a row too.
        places = np.searchsorted(ends_s, batch.times_s, side="right") - 1
        error = means[places, : kalman.states] - batch.truth
        factor = factors[places, : kalman.states]
        covariance = factor @ factor.transpose(0, 2, 1)
        errors.append(error)
        deviations.append(np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)))
        whitened = np.linalg.solve(covariance, error[:, :, None])[:, :, 0]
        squares.append(np.mean(np.sum(error * whitened, axis=1)) / kalman.states)
    error, deviation = np.concatenate(errors), np.concatenate(deviations)
    return Judged(
        form.name,
        rmse=np.sqrt(np.mean(error**2, axis=0)),
        coverage=100 * np.mean(np.abs(error) <= 1.96 * deviation, axis=0),
        nees=float(np.mean(squares)),
    )


def time_rows(kalman: ExtendedKalmanFilter, batch: Batch) -> list[float]:
    """Microseconds per row of each form, on one core; they take turns."""
    rows, _ = rows_of(kalman, batch)
    belief = kalman.initial(batch.measurements[0].inputs)
    start = (belief.mean, belief.factor, belief.rejections)
    marches = [jax.jit(form.march(kalman), compiler_options=COMPILER) for form in FORMS]
    times_us: list[list[float]] = [[] for _ in marches]
    for turn in range(REPETITIONS + 1):
        for place, march in enumerate(marches):
            with one_core():
                begun = time.perf_counter()
                jax.block_until_ready(march(start, rows))  # type: ignore[no-untyped-call]
                passed_s = time.perf_counter() - begun
            if turn > 0:  # in the first one it is compiled
                times_us[place].append(passed_s / len(rows) * 1e6)
    return [statistics.median(values) for values in times_us]


def show(
    console: Console,
    settings: Settings,
    judged: Sequence[Judged],
    times_us: Sequence[float],
    batches: int,
) -> None:
    """Errors and coverage per state, and what a step costs."""
    table = Table(title=f"Root mean square error, and coverage of the 95 % band; {batches} batches")
    table.add_column("state", no_wrap=True)
    for title in ("unit", "lab", *(item.name for item in judged)):
        table.add_column(title, justify="right")
    for place, name in enumerate(settings.model.state_names):
        table.add_row(
            name,
            settings.model.states[name].unit,
            "yes" if name in LAB else "",
            *(f"{item.rmse[place]:.4g}  {item.coverage[place]:3.0f} %" for item in judged),
        )
    table.add_section()
    table.add_row("NEES per state", "1", "", *(f"{item.nees:.2f}" for item in judged))
    table.add_row("a row, one core", "us", "", *(f"{value:.0f}" for value in times_us))
    console.print(table)
    first = judged[0]
    for item, step_us in zip(judged[1:], times_us[1:], strict=True):
        ratios = item.rmse / first.rmse
        console.print(
            f"{item.name} against {first.name}: error {np.exp(np.mean(np.log(ratios))):.3f} times "
            f"(mean over states; {ratios.min():.2f} to {ratios.max():.2f}), "
            f"time {step_us / times_us[0]:.2f} times."
        )


def main(description: str) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, help="folder with recorded batches, seed_1 and so on")
    arguments = parser.parse_args()
    console = Console(width=WIDTH)
    settings = Settings.load(CONFIG, {})
    period_h = settings.document.cycle.period_s / 3600
    kalman = ExtendedKalmanFilter(settings.estimation, period_h)
    with recorded_batches(CONFIG, arguments.seeds, arguments.runs, console) as batches:
        judged = [judge(form, kalman, batches) for form in FORMS]
        times_us = time_rows(kalman, batches[0])
        show(console, settings, judged, times_us, len(batches))


if __name__ == "__main__":
    main(__doc__ or "")
