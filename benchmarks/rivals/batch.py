"""A whole recorded batch through filters that know nothing of late samples.

A laboratory result is fused in the row in which it arrives, as if it told of that moment: that is
what a filter without memory can do, and what users of such filters do. Online signals and assays
are one vector of measurements, mostly empty.

- `numpy_batch`: the textbook's filter; what is missing is left out.
- `do_mpc_batch`: do-mpc's filter; what is missing has a huge variance. Its inverse by cofactors
  would take years for fifteen measurements: another one, as exact, stands in for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.rivals.numpy_finite import NumpyFinite
from benchmarks.rivals.task import Floats, Problem, Rival
from mpc_agent.estimation.settings import EstimationSettings


class Row(NamedTuple):
    """One moment of a recorded batch.

    Attributes:
        time_h: when.
        inputs: inputs since the row before, shape (inputs,).
        online: online signals at this moment, NaN where there is none, shape (signals,).
        assays: results that arrived since the row before, NaN where none did, shape (assays,).
    """

    time_h: float
    inputs: Floats
    online: Floats
    assays: Floats


@dataclass(frozen=True)
class LateResult:
    """One assay's result, and when it arrived.

    Attributes:
        assay: its name in the settings.
        value: in the unit of the model's output.
        arrived_at_h: when it was known; when the sample was drawn, these filters do not ask.
    """

    assay: str
    value: float
    arrived_at_h: float


class Beliefs(NamedTuple):
    """What a filter believed after each row; NaN from where it failed.

    Attributes:
        means: shape (rows, n).
        covariances: shape (rows, n, n).
    """

    means: Floats
    covariances: Floats


def rows_of(
    settings: EstimationSettings,
    times_h: Floats,
    inputs: Floats,
    online: Floats,
    results: Sequence[LateResult],
) -> list[Row]:
    """Rows with each result in the next row after its arrival, the latest if there are several.

    Args:
        settings: names the assays in order.
        times_h: times of the rows, increasing, shape (rows,).
        inputs: inputs before each row, shape (rows, inputs).
        online: online signals at each row, shape (rows, signals).
        results: in any order; those that arrive after the last row are not used.
    """
    names = [item.name for item in settings.assays]
    assays = np.full((len(times_h), len(names)), np.nan)
    for result in sorted(results, key=lambda item: item.arrived_at_h):
        # Nothing is fused in the first row, where the filter begins.
        row = max(1, int(np.searchsorted(times_h, result.arrived_at_h - 1e-9)))
        if row < len(times_h):
            assays[row, names.index(result.assay)] = result.value
    return [Row(*row) for row in zip(times_h.tolist(), inputs, online, assays, strict=True)]


def coarser(rows: Sequence[Row], count: int) -> list[Row]:
    """Every `count`-th row, for a filter whose steps are dear.

    Inputs are averaged since the row before, of signals and assays the latest are kept. The first
    row stays, and rows at the end that do not fill a step are left out.
    """
    thinned = [rows[0]]
    for start in range(1, len(rows) - count + 1, count):
        group = rows[start : start + count]
        inputs = np.mean([row.inputs for row in group], axis=0)
        online = _latest([row.online for row in group])
        thinned.append(Row(group[-1].time_h, inputs, online, _latest([r.assays for r in group])))
    return thinned


def _latest(values: Sequence[Floats]) -> Floats:
    """The last number of each column, NaN where there is none."""
    latest = np.full_like(values[0], np.nan)
    for row in values:
        latest = np.where(np.isfinite(row), row, latest)
    return latest


def batch_problem(settings: EstimationSettings, rows: Sequence[Row]) -> Problem:
    """The problem of evenly spaced rows: online signals, then assays."""
    steps = np.diff([row.time_h for row in rows])
    if not np.allclose(steps, steps[0], rtol=1e-6):
        raise ValueError(
            f"rows must be evenly spaced, but are {steps.min():g} to {steps.max():g} h apart"
        )
    return Problem(settings, (*settings.signals, *settings.assays), float(np.mean(steps)))


def numpy_batch(settings: EstimationSettings, rows: Sequence[Row]) -> Beliefs:
    """The textbook's filter over a batch."""
    return run(NumpyFinite(batch_problem(settings, rows)), rows)


def do_mpc_batch(
    settings: EstimationSettings, rows: Sequence[Row], *, continuous: bool = True
) -> Beliefs:
    """do-mpc's filter over a batch; `continuous` as its users write a plant."""
    from benchmarks.rivals.do_mpc_filter import DoMpc

    problem = batch_problem(settings, rows)
    return run(DoMpc(problem, continuous=continuous, cofactors=False), rows)


def run(rival: Rival, rows: Sequence[Row]) -> Beliefs:
    """What a filter believes after each row; the first row is where it begins, and is not fused."""
    n = len(rival.mean)
    beliefs = Beliefs(np.full((len(rows), n), np.nan), np.full((len(rows), n, n), np.nan))
    for k, row in enumerate(rows):
        if k > 0:
            try:
                rival.step(row.inputs, np.concatenate([row.online, row.assays]))
            except (np.linalg.LinAlgError, RuntimeError):
                break  # an integrator or an inverse gave up: there is no estimate from here on
        if not (np.isfinite(rival.mean).all() and np.isfinite(rival.covariance).all()):
            break
        beliefs.means[k], beliefs.covariances[k] = rival.mean, rival.covariance
    return beliefs
