"""Consistency of the filter: on its own prior, and on recorded runs of the simulated plant.

python -m benchmarks.consistency                    100 batches from the prior: five minutes
python -m benchmarks.consistency --finely           with noise in every step of the integrator
python -m benchmarks.consistency --runs FOLDER      every run in FOLDER, estimated again

For the runs: mpc-agent simulate configs/cho_demo.yaml --seed K --no-compare --folder FOLDER/seed_K
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

# The numerics libraries read these once, when they are loaded: before the imports below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.consistency.filtering import Filtered, disagreement, in_order
from benchmarks.consistency.operating import Operation
from benchmarks.consistency.prior import Drawn, Laboratory, draw
from benchmarks.consistency.recorded import OUTPUT, Followed, Recorded, follow
from benchmarks.consistency.squares import Errors, innovations, mean_band, within
from mpc_agent.config import Settings
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import ObservabilitySettings
from mpc_agent.simulate import TRUTH_NAME
from sim_plant.settings import PlantSettings, load_settings

CONFIG = Path(__file__).parents[2] / "configs" / "cho_demo.yaml"
DAYS = (0.25, 1, 2, 4, 6, 8, 10, 12, 14)
"""Moments at which averages are shown."""

LATE_BATCHES, LATE_DAYS = 2, 4
"""Batches that go through the whole estimator as well, and how long."""

GLUCOSE_RESULT_H = 2.0
"""Hours after a sample at which operators act on its glucose."""

GOALS = {"measured": (90.0, 99.0), "unmeasured": (85.0, 100.0)}
"""Between which percentages the coverage of a state or output should be."""


def main() -> None:
    """Run what was asked for and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="the agent's YAML")
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--finely", action="store_true")
    parser.add_argument("--runs", type=Path, help="folder with folders of runs")
    parser.add_argument("--seeds", type=int, nargs="+", help="only the runs with these seeds")
    given = parser.parse_args()
    settings = Settings.load(given.config, {})
    if settings.plant_file is None:
        raise SystemExit(f"{given.config} names no simulated plant")
    plant, console = load_settings(settings.plant_file), Console(width=140)
    if given.runs is not None:
        show_runs(console, settings, plant, given.runs, given.seeds)
    else:
        seeds = range(given.first_seed, given.first_seed + given.batches)
        show_prior(console, settings, plant, seeds, finely=given.finely)


# ---------------------------------------------------------------------- the filter's own prior


def show_prior(
    console: Console,
    settings: Settings,
    plant: PlantSettings,
    seeds: Sequence[int],
    *,
    finely: bool,
) -> None:
    """Draw, filter, print."""
    period_h = settings.document.cycle.period_s / 3600
    kalman = ExtendedKalmanFilter(settings.estimation, period_h)
    rows = round(settings.document.batch.harvest_h / period_h)
    laboratory = Laboratory.of(plant, settings.estimation, rows, period_h)
    operation = Operation(
        kalman.coordinates,
        settings.recipe,
        round(plant.lab.every_h / period_h),
        round(GLUCOSE_RESULT_H / period_h),
    )
    batches = draw(kalman, operation, laboratory, seeds, finely=finely)
    filtered = [in_order(kalman, batch) for batch in batches]
    errors = Errors.of(batches, filtered)
    days = (filtered[0].rows + 1) * period_h / 24
    looks = [int(np.argmin(np.abs(days - day))) for day in DAYS if day <= days[-1]]
    _print_whole(console, errors, days, looks)
    _print_each(console, kalman, errors, days, looks)
    _print_innovations(console, kalman, filtered)
    _print_draws(console, kalman, batches, filtered)
    late = [
        disagreement(kalman, batch, min(rows, round(24 * LATE_DAYS / period_h)))
        for batch in batches[:LATE_BATCHES]
    ]
    console.print(
        f"cycle by cycle with late results, {len(late)} batches: at {sum(n for _, n in late)} "
        f"moments without outstanding results at most {max(off for off, _ in late):.1e} standard "
        "deviations from the filter in order"
    )


def _print_whole(console: Console, errors: Errors, days: np.ndarray, looks: list[int]) -> None:
    count, n = len(errors.whole), errors.single.shape[2]
    band = mean_band(count * n, count)
    means, medians = errors.whole.mean(axis=0), np.median(errors.whole, axis=0)
    table = Table(title=f"NEES of all {n} unknowns, average over {count} batches")
    for title in ("day", "average", "95 % band", "inside", "median batch"):
        table.add_column(title, justify="right")
    for look in looks:
        inside = "yes" if within(means[look], band) else "NO"
        limits = f"{band[0]:.1f} to {band[1]:.1f}"
        cells = (f"{days[look]:g}", f"{means[look]:.1f}", limits, inside, f"{medians[look]:.1f}")
        table.add_row(*cells)
    console.print(table)
    mean, error = errors.average
    console.print(
        f"inside at {100 * within(means, band).mean():.0f} % of {len(days)} moments; over all "
        f"{mean:.2f} ± {1.96 * error:.2f} (95 %, by the spread between batches); {n} is right"
    )


def _print_each(
    console: Console,
    kalman: ExtendedKalmanFilter,
    errors: Errors,
    days: np.ndarray,
    looks: list[int],
) -> None:
    count = len(errors.single)
    band = mean_band(count, count)
    squares = (errors.single**2).mean(axis=0)
    table = Table(title=f"NEES of each unknown: band {band[0]:.2f} to {band[1]:.2f}")
    for title in ("unknown", "over all", "inside %", *(f"d{days[look]:g}" for look in looks)):
        table.add_column(title, justify="left" if title == "unknown" else "right")
    for i, name in enumerate(kalman.coordinates.names):
        share = f"{100 * within(squares[:, i], band).mean():.0f}"
        cells = (f"{squares[look, i]:.2f}" for look in looks)
        table.add_row(name, f"{squares[:, i].mean():.2f}", share, *cells)
    console.print(table)
    inside = within(squares, band).mean()
    covered = (np.abs(errors.single) <= 1.96).mean()
    console.print(
        f"inside at {100 * inside:.0f} % of moments and unknowns; the 95 % bands hold the truth "
        f"{100 * covered:.1f} % of the time"
    )


def _print_innovations(
    console: Console, kalman: ExtendedKalmanFilter, filtered: Sequence[Filtered]
) -> None:
    means, counts = innovations(filtered)
    table = Table(title="NIS: mean squared normalised innovation")
    for title in ("channel", "values", "mean", "95 % band", "inside"):
        table.add_column(title, justify="left" if title == "channel" else "right")
    names = [item.name for item in kalman.coordinates.channels]
    total = float((means * counts).sum() / counts.sum())
    rows = [*zip(names, means, counts, strict=True), ("all", total, counts.sum())]
    for name, mean, number in rows:
        band = mean_band(number, number)
        inside = "yes" if within(mean, band) else "NO"
        limits = f"{band[0]:.4f} to {band[1]:.4f}"
        table.add_row(name, f"{number}", f"{mean:.4f}", limits, inside)
    console.print(table)


def _print_draws(
    console: Console,
    kalman: ExtendedKalmanFilter,
    batches: Sequence[Drawn],
    filtered: Sequence[Filtered],
) -> None:
    turned = 100 * np.mean([item.turned for item in batches], axis=0)
    names = kalman.coordinates.names
    told = [f"{names[i]} {turned[i]:.3f} %" for i in np.flatnonzero(turned > 0)]
    console.print(f"turned back at a bound: {', '.join(told) or 'none'} of draws of noise")
    values = sum(int(np.isfinite(item.squares).sum()) for item in filtered)
    refused = sum(item.refused for item in filtered)
    console.print(f"refused by the gates: {refused} of {values} values")


# ---------------------------------------------------------------------- recorded runs


def show_runs(
    console: Console,
    settings: Settings,
    plant: PlantSettings,
    folder: Path,
    seeds: Sequence[int] | None,
) -> None:
    """Estimate every run again and print coverage and errors."""
    period_h = settings.document.cycle.period_s / 3600
    # What is reported of observability costs most of the time, and changes no estimate.
    quick = replace(settings.estimation, observability=ObservabilitySettings(period_h))
    kalman = ExtendedKalmanFilter(quick, period_h)
    found = sorted(path.parent for path in folder.glob(f"*/{TRUTH_NAME}"))
    if not found:
        raise SystemExit(f"no run in {folder}: no folder there with a file {TRUTH_NAME}")
    runs = [Recorded.read(path) for path in found]
    runs = [run for run in runs if seeds is None or run.truth.seed in seeds]
    runs.sort(key=lambda run: run.truth.seed)
    followed = [follow(kalman, run, plant) for run in runs]
    table = Table(title=f"{len(runs)} runs: truth in the 95 % band, and errors")
    for title in ("quantity", "kind", "covered %", "goal", "by seed", "RMSE", "RMSE/believed"):
        table.add_column(title, justify="left" if title in ("quantity", "kind") else "right")
    shown = {item.shows for item in (*quick.signals, *quick.assays)}
    for i, name in enumerate(followed[0].names):
        _add_quantity(table, name, i, kind_of(name, shown, kalman), followed)
    console.print(table)
    console.print(f"seeds {', '.join(str(run.truth.seed) for run in runs)}")


def kind_of(name: str, shown: set[str], kalman: ExtendedKalmanFilter) -> str:
    """Measured, unmeasured or learnt. A state is measured when an output that is tells of it."""
    if name.startswith(OUTPUT):
        return "measured" if name.removeprefix(OUTPUT) in shown else "unmeasured"
    if name not in kalman.settings.model.state_names:
        return "learnt"
    model = kalman.settings.model
    x, u = np.array([s.initial for s in model.states.values()]), np.array(model.nominal_inputs())
    moved = x.copy()
    place = model.state_names.index(name)
    moved[place] += 1e-3 * model.states[name].scale
    before, after = (kalman.coordinates.outputs(_with(kalman, z), u) for z in (x, moved))
    changed = np.flatnonzero(np.asarray(before) != np.asarray(after))
    told = {model.output_names[i] for i in changed}
    return "measured" if told & shown else "unmeasured"


def _with(kalman: ExtendedKalmanFilter, state: np.ndarray) -> np.ndarray:
    z = kalman.coordinates.initial_mean(np.array(kalman.settings.model.nominal_inputs()))
    z[: kalman.states] = state
    return z


def _add_quantity(
    table: Table, name: str, column: int, kind: str, followed: Sequence[Followed]
) -> None:
    shares = np.array([item.coverage_percent[column] for item in followed])
    if not np.isfinite(shares).all():
        return
    mean, goal = shares.mean(), GOALS.get(kind)
    rms = np.sqrt(np.mean([item.rms[column] ** 2 for item in followed]))
    believed = np.sqrt(np.mean([item.rms_deviations[column] ** 2 for item in followed]))
    met = "" if goal is None else ("met" if within(mean, goal) else "MISSED")
    each = " ".join(f"{share:.0f}" for share in shares)
    table.add_row(name, kind, f"{mean:.1f}", met, each, f"{rms:.4g}", f"{believed:.2f}")


if __name__ == "__main__":
    main()
