"""The filter over drawn batches: in order, and cycle by cycle with results that come late.

Both must agree wherever no result is outstanding.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.consistency.prior import Drawn
from mpc_agent.estimation.estimator import begin_estimation, estimate
from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter, Integers
from mpc_agent.values import Floats, Measurement, Verdict

EVERY_ROWS = 36
"""Rows between two looks at the belief: six hours of ten minutes."""

BEGUN_AT_S = 1.0e9
"""When batches begin, UTC seconds."""


@dataclass(frozen=True)
class Filtered:
    """What the filter believed of one batch.

    Attributes:
        rows: rows at whose end the belief was looked at, shape (looks,).
        means: z then, shape (looks, n).
        factors: factors of its covariance, shape (looks, n, n).
        squares: squared normalised innovations, NaN where nothing came, shape (rows, channels).
        refused: how many values the gates refused.
    """

    rows: Integers
    means: Floats
    factors: Floats
    squares: Floats
    refused: int


def in_order(kalman: ExtendedKalmanFilter, batch: Drawn) -> Filtered:
    """Everything fused when it was measured, as if no result were late."""
    belief = kalman.initial(np.array(kalman.settings.model.nominal_inputs()))
    gates = np.array([item.gate for item in kalman.coordinates.channels]) ** 2
    beliefs: list[Belief] = []
    squares, refused = [], 0
    measured, count = batch.measured, len(batch.truth)
    for first in range(0, count, EVERY_ROWS):
        part = slice(first, min(first + EVERY_ROWS, count))
        inputs = batch.inputs[part]
        rows, _ = kalman.rows(np.full(len(inputs), batch.period_h), inputs, measured[part])
        belief, report, _ = kalman.march(belief, rows)
        beliefs.append(belief)
        squares.append(report.gate_ratios * gates)
        refused += int((report.gate_ratios > 1).sum())
    return Filtered(
        rows=np.minimum(np.arange(EVERY_ROWS, count + EVERY_ROWS, EVERY_ROWS), count) - 1,
        means=np.array([item.mean for item in beliefs]),
        factors=np.array([item.factor for item in beliefs]),
        squares=np.concatenate(squares),
        refused=refused,
    )


def as_it_comes(kalman: ExtendedKalmanFilter, batch: Drawn, rows: int) -> dict[int, Belief]:
    """Cycle by cycle with results when the lab releases them; beliefs by row.

    Only of rows at which no result is outstanding.
    """
    settings = kalman.settings
    memory = begin_estimation(kalman, BEGUN_AT_S, np.array(settings.model.nominal_inputs()))
    names = tuple(item.name for item in settings.signals)
    verdicts = (Verdict.OK,) * len(names)
    samples = batch.samples(settings, BEGUN_AT_S)
    beliefs = {}
    for row in range(rows):
        now_s = BEGUN_AT_S + 3600 * batch.period_h * (row + 1)
        belongs_at_s = np.full(len(names), now_s)
        measurement = Measurement(
            names, batch.online[row], verdicts, batch.inputs[row], belongs_at_s
        )
        known = [item for item in samples if item.entered_at_s <= now_s]
        _, memory = estimate(kalman, memory, measurement, known, now_s)
        if sum(item.drawn_at_s <= now_s for item in samples) == len(known):
            beliefs[row] = memory.history.belief
    return beliefs


def disagreement(kalman: ExtendedKalmanFilter, batch: Drawn, rows: int) -> tuple[float, int]:
    """Largest difference of both ways in standard deviations, and at how many moments."""
    ordered, late = in_order(kalman, batch), as_it_comes(kalman, batch, rows)
    largest, moments = 0.0, 0
    for look, row in enumerate(ordered.rows.tolist()):
        if row in late:
            belief = late[row]
            off = np.abs(belief.mean - ordered.means[look]) / belief.deviation
            largest, moments = max(largest, float(off.max())), moments + 1
    return largest, moments
