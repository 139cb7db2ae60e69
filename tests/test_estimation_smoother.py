"""The smoother: equal to least squares over the whole batch, and better than the filter."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from scipy.linalg import expm

from benchmarks.rivals import task
from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Step
from mpc_agent.estimation.settings import Uncertainty
from mpc_agent.estimation.smoother import CHUNK, smooth, whole_timeline
from mpc_agent.values import Dose, Floats, Sample
from tests.examples_core import (
    LINEAR_A,
    LINEAR_B,
    LINEAR_C,
    PERIOD_H,
    START_S,
    linear_filter,
    linear_settings,
    signal,
)

ROWS = 40
CHANNELS = 4
SHOWN = LINEAR_C
"""What the channels level, first, second and the assay show."""


@pytest.fixture(scope="module")
def linear() -> ExtendedKalmanFilter:
    return linear_filter()


def measurements(rows: int, seed: int = 5) -> Floats:
    """Anything, with holes; the assay is rare."""
    random = np.random.default_rng(seed)
    values = random.normal([10.0, 1.0, 1.0, 0.5], 0.5, (rows, CHANNELS))
    values[random.random(values.shape) < 0.2] = nan
    values[:, 3][np.arange(rows) % 9 != 4] = nan
    return values


def feeds(rows: int) -> Floats:
    return np.random.default_rng(7).uniform(0.0, 1.0, (rows, 1))


# ------------------------------------------------------------------ least squares over everything


def least_squares(
    kalman: ExtendedKalmanFilter, inputs: Floats, measured: Floats, opened: dict[int, Floats]
) -> tuple[Floats, Floats]:
    """All states at once: means and covariance factors after every row, from one dense problem.

    Args:
        kalman: the filter of the linear plant, for prior and noise.
        inputs: shape (rows, 1).
        measured: shape (rows, channels).
        opened: variances that opening added, by row.
    """
    both = expm(np.block([[LINEAR_A, LINEAR_B[:, None]], [np.zeros((1, 5))]]) * PERIOD_H)
    transition, gain = both[:4, :4], both[:4, 4]
    settings = kalman.settings
    drift = np.array([settings.uncertainty[name].drift for name in settings.model.state_names])
    halfway = 0.5 * (transition + np.eye(4)) * drift * np.sqrt(PERIOD_H)
    deviations = [item.absolute for item in (*settings.signals, *settings.assays)]
    count = len(inputs)
    left, right = [], []

    def add(blocks: dict[int, Floats], value: Floats, deviation: Floats) -> None:
        """One weighted set of equations: the blocks times their states equal the value."""
        whiten = np.linalg.inv(deviation)
        row = np.zeros((len(value), 4 * (count + 1)))
        for place, block in blocks.items():
            row[:, 4 * place : 4 * place + 4] = whiten @ block
        left.append(row)
        right.append(whiten @ value)

    start = kalman.initial(inputs[0])
    add({0: np.eye(4)}, start.mean, start.factor)
    for k in range(count):
        noise = np.diag(np.sqrt(opened[k])) if k in opened else halfway
        add({k + 1: np.eye(4), k: -transition}, gain * inputs[k, 0], noise)
        for channel in np.flatnonzero(np.isfinite(measured[k])):
            deviation = np.array([[deviations[channel]]])
            add({k + 1: SHOWN[channel][None]}, measured[k, channel][None], deviation)
    table, wanted = np.concatenate(left), np.concatenate(right)
    orthogonal, triangle = np.linalg.qr(table)
    means = np.linalg.solve(triangle, orthogonal.T @ wanted).reshape(-1, 4)
    factors = np.linalg.inv(triangle).reshape(count + 1, 4, -1)
    return means[1:], factors[1:]


def assert_is_least_squares(
    kalman: ExtendedKalmanFilter, opened: dict[int, Floats], tolerance: float = 1e-9
) -> None:
    inputs, measured = feeds(ROWS), measurements(ROWS)
    flags = np.array([float(k in opened) for k in range(ROWS)])
    rows, _ = kalman.rows(np.full(ROWS, PERIOD_H), inputs, measured, opened=flags)
    told = smooth(kalman, kalman.initial(inputs[0]), rows)
    means, factors = least_squares(kalman, inputs, measured, opened)
    deviations = np.linalg.norm(factors, axis=2)
    shown = np.linalg.norm(SHOWN @ factors, axis=2)
    assert np.max(np.abs(told.means - means) / deviations) < tolerance
    assert told.deviations == pytest.approx(deviations, rel=tolerance)
    assert np.max(np.abs(told.outputs - means @ SHOWN.T) / shown) < tolerance
    assert told.output_deviations == pytest.approx(shown, rel=tolerance)


def test_it_is_least_squares_over_the_whole_batch(linear: ExtendedKalmanFilter) -> None:
    assert_is_least_squares(linear, {})


def test_a_filter_that_was_opened_learns_nothing_of_before_from_after(
    linear: ExtendedKalmanFilter,
) -> None:
    place = 12
    inputs, measured = feeds(ROWS), measurements(ROWS)
    rows, _ = linear.rows(np.full(ROWS, PERIOD_H), inputs, measured)
    belief = linear.march(linear.initial(inputs[0]), rows[:place])[0]
    carried = expm(LINEAR_A * PERIOD_H) @ belief.covariance @ expm(LINEAR_A * PERIOD_H).T
    ahead = linear.march(belief, linear.rows([PERIOD_H], inputs[place], np.full((1, 4), nan))[0])[0]
    before = np.diag(carried)
    wanted = np.asarray(linear.coordinates.opened_deviation(ahead.mean, np.sqrt(before)))
    assert_is_least_squares(linear, {place: wanted**2 - before})


@pytest.mark.parametrize(("prior", "noise"), [(1e6, 0.1), (1.0, 1e-6), (1e3, 1e-5)])
def test_it_is_least_squares_where_knowledge_differs_by_magnitudes(
    prior: float, noise: float
) -> None:
    settings = linear_settings(
        signals=tuple(signal(name, noise) for name in ("level", "first", "second")),
        assays=(signal("assay", noise),),
    )
    uncertainty = {name: replace(u, initial=prior) for name, u in settings.uncertainty.items()}
    kalman = ExtendedKalmanFilter(replace(settings, uncertainty=uncertainty), PERIOD_H)
    assert_is_least_squares(kalman, {}, 1e-7)


# ------------------------------------------------------------------ single properties


def test_the_last_row_is_what_the_filter_believes(linear: ExtendedKalmanFilter) -> None:
    rows, _ = linear.rows(np.full(ROWS, PERIOD_H), feeds(ROWS), measurements(ROWS))
    belief = linear.initial(feeds(1)[0])
    told = smooth(linear, belief, rows)
    filtered = linear.march(belief, rows)[2]
    assert told.means[-1] == pytest.approx(filtered.mean, rel=1e-12)
    assert told.deviations[-1] == pytest.approx(filtered.deviation, rel=1e-12)
    assert told.output_deviations[-1] == pytest.approx(filtered.output_deviation, rel=1e-12)


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_the_length_of_the_batch_does_not_matter(linear: ExtendedKalmanFilter, count: int) -> None:
    rows, _ = linear.rows(np.full(CHUNK + 1, PERIOD_H), feeds(CHUNK + 1), measurements(CHUNK + 1))
    told = smooth(linear, linear.initial(feeds(1)[0]), rows[:count])
    assert told.means.shape == told.outputs.shape == (count, 4)
    assert np.isfinite(told.deviations).all()


def test_what_is_known_exactly_stays_as_it_is() -> None:
    settings = linear_settings()
    exact = {**settings.uncertainty, "volume": Uncertainty(0.0, 0.0)}
    kalman = ExtendedKalmanFilter(replace(settings, uncertainty=exact), PERIOD_H)
    inputs = feeds(ROWS)
    rows, _ = kalman.rows(np.full(ROWS, PERIOD_H), inputs, measurements(ROWS))
    told = smooth(kalman, kalman.initial(inputs[0]), rows)
    poured = 10.0 + np.cumsum(inputs[:, 0]) * PERIOD_H
    assert told.means[:, 0] == pytest.approx(poured, rel=1e-12)
    assert np.max(told.deviations[:, 0]) < 1e-12
    assert np.min(told.deviations[:, 1:]) > 1e-3


def test_a_row_that_cannot_be_computed_hides_nothing(linear: ExtendedKalmanFilter) -> None:
    """Its inputs are no numbers: the filter stands still over it, and so does the smoother."""
    inputs, measured = feeds(ROWS), measurements(ROWS)
    broken = inputs.copy()
    broken[20] = nan
    rows, _ = linear.rows(np.full(ROWS, PERIOD_H), broken, measured)
    told = smooth(linear, linear.initial(inputs[0]), rows)
    kept = np.arange(ROWS) != 20
    alone = smooth(linear, linear.initial(inputs[0]), rows[kept])
    assert told.means[kept] == pytest.approx(alone.means, rel=1e-12)
    assert told.deviations[kept] == pytest.approx(alone.deviations, rel=1e-12)


def test_what_the_gate_refused_stays_refused() -> None:
    signals = tuple(signal(name, 0.2, gate=4.0) for name in ("level", "first", "second"))
    kalman = ExtendedKalmanFilter(linear_settings(signals=signals), PERIOD_H)
    inputs, measured = feeds(ROWS), measurements(ROWS)
    measured[20, 0] = nan
    without, _ = kalman.rows(np.full(ROWS, PERIOD_H), inputs, measured)
    measured[20, 0] = 1e3
    spiked, _ = kalman.rows(np.full(ROWS, PERIOD_H), inputs, measured)
    start = kalman.initial(inputs[0])
    assert np.array_equal(smooth(kalman, start, spiked).means, smooth(kalman, start, without).means)


# ------------------------------------------------------------------ rows of a whole batch


def test_late_knowledge_is_placed_where_it_belongs(linear: ExtendedKalmanFilter) -> None:
    period_s, nothing = 3600 * PERIOD_H, np.full(3, nan)
    steps = [Step(START_S + k * period_s, feeds(1)[0], nothing, nothing) for k in range(1, 9)]
    drawn_s = START_S + 2.5 * period_s
    wrong = Sample("assay", 9.0, "1", drawn_s, drawn_s + 60, "lab")
    right = replace(wrong, value=0.7, reason="typing error")
    impossible = replace(wrong, analyte="unheard of")
    dose = Dose("feed", 0.4, START_S + 5.5 * period_s)
    found = whole_timeline(linear, START_S, steps, [wrong, impossible, right], [dose])
    row = found.rows[found.row_of(drawn_s)]
    assert found.ends_s[found.row_of(drawn_s)] == drawn_s
    assert linear.columns(row).measured[-1] == 0.7
    assert np.nansum(linear.columns(found.rows).measured[:, -1]) == 0.7
    flowing = found.rows[:, 0] * (found.rows[:, 1] - feeds(1)[0])
    assert flowing.sum() == pytest.approx(0.4)


# ------------------------------------------------------------------ a culture


@pytest.fixture(scope="module")
def culture() -> tuple[ExtendedKalmanFilter, Belief, Floats, Floats]:
    """2000 minutes of the CHO model: filter, belief before, rows and truth."""
    problem = task.problem()
    kalman = ExtendedKalmanFilter(problem.settings, problem.step_h)
    data = task.data_set(problem, 2000, seed=4, missing=0.1)
    rows, _ = kalman.rows(np.full(2000, problem.step_h), data.inputs, data.measured)
    return kalman, kalman.initial(data.inputs[0]), rows, data.truth


def test_a_culture_is_known_better_afterwards(
    culture: tuple[ExtendedKalmanFilter, Belief, Floats, Floats],
) -> None:
    kalman, belief, rows, truth = culture
    told = smooth(kalman, belief, rows)
    filtered = []
    for row in rows:
        belief, _, described = kalman.march(belief, row[None])
        filtered.append(np.stack([described.mean, described.deviation]))
    mean, deviation = np.stack(filtered, axis=1)
    known = truth.copy()
    known[:, 12:] = np.exp(truth[:, 12:])
    scale = np.where(np.arange(15) < 12, 1.0, told.means), np.where(np.arange(15) < 12, 1.0, mean)
    assert np.isfinite(told.means).all()
    assert np.isfinite(told.outputs).all()
    # Deviations of learnt parameters are relative to the parameters.
    assert np.all(told.deviations / scale[0] <= deviation / scale[1] * (1 + 1e-6))
    errors = np.abs(told.means - known) / told.deviations
    assert 0.9 < np.mean(errors < 1.96) <= 1.0
    assert np.all(np.mean(errors < 3.0, axis=0) > 0.9)

    def root_mean_square(values: Floats) -> Floats:
        return np.asarray(np.sqrt(np.mean((values - known) ** 2, axis=0)))

    better = root_mean_square(told.means) / root_mean_square(mean)
    assert np.exp(np.mean(np.log(better))) < 0.9
