"""Whether the filter trusts itself, and what measurements tell it of each unknown."""

from dataclasses import replace
from functools import cache
from math import nan

import numpy as np
import pytest
from scipy.stats import chi2

from mpc_agent.estimation.estimator import begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.gates import opened_before
from mpc_agent.estimation.health import (
    chi_square_band,
    consistency,
    diverged,
    empty_window,
    noted,
)
from mpc_agent.estimation.history import History
from mpc_agent.estimation.observability import gains
from mpc_agent.estimation.settings import HealthSettings
from mpc_agent.values import Estimate, Judgement, Verdict
from tests.examples_core import (
    PERIOD_H,
    START_S,
    core_filter,
    core_settings,
    cycle_s,
    sample,
    scanned,
)

SETTINGS = HealthSettings(window=10)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_bands_are_those_of_chi_square(confidence: float) -> None:
    counts = np.array([1, 2, 10, 48, 400])
    tail = (1 - confidence) / 2
    expected = [chi2.ppf([tail, 1 - tail], count) / count for count in counts]
    np.testing.assert_allclose(chi_square_band(counts, confidence), expected, rtol=1e-9)
    assert np.isnan(chi_square_band(np.array([0]), confidence)).all()


def test_a_window_keeps_the_last_values_of_each_channel() -> None:
    window = empty_window(2, SETTINGS)
    for number in range(25):
        window = noted(window, np.array([number, number if number % 5 == 0 else nan]))
    assert window[0].tolist() == list(range(15, 25))
    assert window[1][np.isfinite(window[1])].tolist() == [0, 5, 10, 15, 20]
    told = consistency(window, SETTINGS)
    assert told.means == pytest.approx([19.5, 10.0])
    assert told.overall == pytest.approx((195 + 50) / 15)
    assert told.band == pytest.approx(chi2.ppf([0.025, 0.975], 15) / 15)


def test_nothing_measured_is_no_divergence() -> None:
    window = empty_window(3, SETTINGS)
    told = consistency(window, SETTINGS)
    assert np.isnan(told.means).all()
    assert np.isnan(told.overall)
    assert not diverged(window, told, SETTINGS)


@pytest.mark.parametrize(("wild", "lost"), [(1, False), (2, True), (5, True)])
def test_a_single_wild_value_at_the_beginning_is_no_divergence(wild: int, lost: bool) -> None:
    """Up to its gate of five deviations each; a window holds ten."""
    window = empty_window(3, SETTINGS)
    for _ in range(wild):
        window = noted(window, np.array([25.0, nan, nan]))
    assert diverged(window, consistency(window, SETTINGS), SETTINGS) == lost


def test_a_full_window_has_diverged_above_the_limit() -> None:
    for mean, lost in ((3.9, False), (4.1, True)):
        window = np.full((3, 10), mean)
        assert diverged(window, consistency(window, SETTINGS), SETTINGS) == lost


def test_of_a_consistent_filter_the_band_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(8)
    inside = [
        low <= told.overall <= high
        for told in (consistency(random.normal(size=(4, 10)) ** 2, SETTINGS) for _ in range(400))
        for low, high in [told.band]
    ]
    assert 0.92 < np.mean(inside) < 0.98


# ------------------------------------------------------------------ divergence and reset


@cache
def stubborn() -> ExtendedKalmanFilter:
    """Believes its model far too firmly; gates that refuse nothing."""
    plain = core_settings()
    wide = [tuple(replace(i, gate=60.0) for i in group) for group in (plain.signals, plain.assays)]
    firm = {
        name: replace(item, drift=1e-4, relative_drift=0.0)
        for name, item in plain.uncertainty.items()
    }
    settings = replace(
        plain,
        signals=wide[0],
        assays=(*wide[1], replace(wide[0][0], name="cells_lab", output="viable_cells")),
        uncertainty=firm,
        adapted=(),
        health=HealthSettings(window=12),
    )
    return ExtendedKalmanFilter(settings, PERIOD_H)


def test_a_filter_that_diverged_is_reset_by_the_next_sample() -> None:
    """Four cells in ten die at once, of which the model knows nothing."""
    kalman, told, true = stubborn(), [], []
    memory = begin_estimation(kalman, START_S, np.zeros(2))
    for number in range(60):
        true.append(0.5 * np.exp(0.035 * PERIOD_H * number) * (0.6 if number >= 20 else 1.0))
        offered = [sample("cells_lab", true[36], 36 * PERIOD_H)] if number >= 40 else []
        seen = scanned(kalman.settings.signals, [true[-1], nan], number, np.zeros(2))
        result, memory = estimate(kalman, memory, seen, offered, cycle_s(number))
        told.append(result)
    assert all(item.healthy for item in told[:20])
    before, at = told[39], told[40]
    assert not before.healthy
    assert "the next lab sample resets the filter" in before.message
    assert abs(before.outputs[0] - true[39]) > 0.03
    assert [item.judgement for item in at.decided] == [Judgement.RESET]
    assert [item.verdict for item in at.samples] == [Verdict.OK]
    assert at.outputs[0] == pytest.approx(true[40], abs=3 * at.output_deviation[0])
    assert all(not item.decided and item.healthy for item in told[41:])
    assert told[-1].outputs[0] == pytest.approx(true[-1], rel=0.05)


# ------------------------------------------------------------------ observability


@cache
def gains_of_a_day() -> tuple[Estimate, tuple[str, ...]]:
    """Cells and glucose measured for a day; nothing tells of the product."""
    settings = replace(core_settings(), assays=core_settings().assays[:1])
    kalman = ExtendedKalmanFilter(settings, PERIOD_H)
    memory = begin_estimation(kalman, START_S, np.zeros(2))
    random, told = np.random.default_rng(2), []
    for number in range(146):
        expected = kalman.describe(memory.history.belief, np.zeros(2)).outputs
        values = [expected[0] + 0.02 * random.normal(), expected[2] + 0.2 * random.normal()]
        seen = scanned(settings.signals, values, number, np.zeros(2))
        result, memory = estimate(kalman, memory, seen, (), cycle_s(number))
        told.append(result)
    return told[-1], kalman.coordinates.names


def test_what_nothing_tells_of_has_no_gain_and_what_is_measured_has_nearly_all() -> None:
    told, names = gains_of_a_day()
    gains = dict(zip(names, told.observability, strict=True))
    assert gains["viable_cells"] > 0.9
    assert gains["glucose"] > 0.75
    assert gains["mu_max"] > 0.3
    assert gains["Q_mAb"] < 0.02
    assert gains["volume"] < 0.02
    assert ((told.observability >= 0) & (told.observability <= 1)).all()


def test_opening_the_filter_takes_no_gain_away() -> None:
    """It was opened with and without measurements: what these told is told still."""
    kalman = core_filter()
    memory = begin_estimation(kalman, START_S, np.zeros(2))
    for number in range(40):
        seen = scanned(kalman.settings.signals, [0.5, 30.0], number, np.zeros(2))
        memory = estimate(kalman, memory, seen, (), cycle_s(number))[1]
    plain = gains(kalman, memory.history)
    run = opened_before(kalman, memory.history, cycle_s(35))
    opened = gains(kalman, History(run.chapters, memory.history.book, run.belief))
    assert opened[1] > 0.9 * plain[1]
    assert opened[3] > 0.9 * plain[3]
    assert opened[9] == pytest.approx(plain[9], abs=0.02)
