"""One cycle of estimation: verdicts, freshness, and the filter's doubts about itself."""

from math import nan

import numpy as np
import pytest

from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import Bias
from mpc_agent.values import Estimate, Measurement, Verdict
from plant_models.cho_mab import CORE
from tests.examples_core import (
    PERIOD_H,
    START_S,
    core_filter,
    core_settings,
    cycle_s,
    linear_settings,
    sample,
    scanned,
    signal,
)

PERIOD_S = 3600 * PERIOD_H
CELLS = CORE.output_names.index("viable_cells")


def measurement(
    cells: float,
    glucose: float,
    number: int,
    inputs: tuple[float, float] = (0.0, 0.0),
    ages_s: tuple[float, float] = (0.0, 0.0),
) -> Measurement:
    """What validation says in one cycle; values belong to its scan, or to some time before."""
    signals = core_settings().signals
    return scanned(signals, [cells, glucose], number, list(inputs), np.array(ages_s))


def begun() -> EstimatorMemory:
    return begin_estimation(core_filter(), START_S, np.zeros(2))


def follow(
    rows: list[tuple[float, float]], memory: EstimatorMemory | None = None
) -> list[Estimate]:
    """Estimates of one cycle after the other; each row is what the probes say."""
    memory, told = memory or begun(), []
    for number, (cells, glucose) in enumerate(rows):
        result, memory = estimate(
            core_filter(), memory, measurement(cells, glucose, number), (), cycle_s(number)
        )
        told.append(result)
    return told


def test_what_was_offered_and_refused_is_told_as_gated() -> None:
    first, second, third = follow([(0.5, 30.0), (0.5, 150.0), (nan, 30.0)])
    assert first.verdicts == (Verdict.OK, Verdict.OK)
    assert second.verdicts == (Verdict.OK, Verdict.GATED)
    assert third.verdicts == (Verdict.STALE, Verdict.OK)
    assert second.gate_ratios[1] > 1 >= first.gate_ratios[1]
    assert np.isnan(third.innovations[0])


def test_each_signal_remembers_when_it_was_last_fused() -> None:
    told = follow([(nan, 30.0), (0.5, 150.0), (nan, np.nan)])
    times = np.array([result.last_fused_s for result in told])
    expected = [
        [np.nan, cycle_s(0)],
        [cycle_s(1), cycle_s(0)],
        [cycle_s(1), cycle_s(0)],
    ]
    assert np.array_equal(times, np.array(expected), equal_nan=True)


@pytest.mark.parametrize("late", [(0.0, 1800.0), (1800.0, 1800.0), (900.0, 1800.0)])
def test_late_values_have_the_verdict_of_the_time_they_belong_to(
    late: tuple[float, float],
) -> None:
    memory, told = begun(), []
    for number in range(12):
        glucose = nan if number < 3 else 150.0 if number == 7 else 30.0
        seen = measurement(0.5 if number >= 3 else nan, glucose, number, ages_s=late)
        result, memory = estimate(core_filter(), memory, seen, (), cycle_s(number))
        told.append(result)
    for number, result in enumerate(told[3:], start=3):
        expected = Verdict.GATED if number == 7 else Verdict.OK
        assert result.verdicts == (Verdict.OK, expected)
        assert np.isfinite(result.innovations).all()
        assert (result.gate_ratios[1] > 1) == (number == 7)
    assert told[-1].last_fused_s.tolist() == [cycle_s(11)] * 2
    assert told[7].last_fused_s.tolist() == [cycle_s(7), cycle_s(6)]
    # All of them count for the filter's consistency, the refused one up to its gate.
    assert told[-1].consistency is not None
    assert np.isfinite(told[-1].consistency.means[:2]).all()
    counts = np.isfinite(memory.window).sum(axis=1)
    assert counts.tolist() == [9, 9, 0, 0, 0]


def test_the_estimate_holds_at_the_time_of_the_scan_and_tells_what_became_of_samples() -> None:
    drawn = sample("titre", 0.001, 60 / 3600)
    memory = begun()
    _, memory = estimate(core_filter(), memory, measurement(0.5, 30.0, 0), (), cycle_s(0))
    told, _ = estimate(core_filter(), memory, measurement(0.5, 30.0, 1), (drawn,), cycle_s(1))
    assert told.time_s == cycle_s(1)
    assert [(item.sample, item.verdict) for item in told.samples] == [(drawn, Verdict.OK)]
    assert np.isfinite([*told.samples[0].before, *told.samples[0].after]).all()


def test_a_sample_that_moves_a_learnt_parameter_is_told_with_how_far() -> None:
    """Two days unseen, then a lactate that tells how many cells there were."""
    seen = measurement(nan, nan, 0)
    _, memory = estimate(core_filter(), begun(), seen, (), cycle_s(0))
    seen = measurement(nan, nan, 288)
    quiet, _ = estimate(core_filter(), memory, seen, (), cycle_s(288))
    lactate = CORE.output_names.index("lactate")
    value = quiet.outputs[lactate] + 2 * quiet.output_deviation[lactate]
    drawn = sample("lactate", float(value), 288 * PERIOD_H)
    told, _ = estimate(core_filter(), memory, seen, (drawn,), cycle_s(288))
    assert quiet.moves == ()
    learnt = dict(zip(("mu_max", "Q_mAb"), range(8, 10), strict=True))
    moved = {
        name
        for name, i in learnt.items()
        if abs(told.mean[i] - quiet.mean[i]) > 0.5 * quiet.deviation[i]
    }
    assert moved
    assert {move.parameter for move in told.moves} == moved
    for move in told.moves:
        place = learnt[move.parameter]
        assert (move.before, move.after) == (quiet.mean[place], told.mean[place])


def test_a_parameter_at_the_end_of_its_range_is_told() -> None:
    memory, told = begun(), []
    for number in range(150):
        cells = 0.5 * np.exp(0.08 * PERIOD_H * number)
        seen = measurement(cells, nan, number)
        result, memory = estimate(core_filter(), memory, seen, (), cycle_s(number))
        told.append(result)
    assert told[0].at_bounds == ()
    assert "mu_max" in told[-1].at_bounds
    assert told[-1].mean[8] == pytest.approx(0.05)


def test_offsets_are_told_with_their_deviations() -> None:
    settings = linear_settings(
        signals=(
            signal("level", 0.05),
            signal("first_probe", 0.1, output="first", bias=Bias(1.0)),
            signal("first", 0.1),
        )
    )
    kalman = ExtendedKalmanFilter(settings, PERIOD_H)
    memory, all_told = begin_estimation(kalman, START_S, np.array([0.3])), []
    for number in range(60):
        seen = scanned(settings.signals, [10.0, 2.5, 2.0], number, [0.3])
        result, memory = estimate(kalman, memory, seen, (), cycle_s(number))
        all_told.append(result)
    told = all_told[-1]
    ((name, (offset, deviation)),) = told.offsets.items()
    assert name == "first_probe"
    assert offset == pytest.approx(0.5, abs=0.1)
    assert 0 < deviation < 0.1
    assert len(told.mean) == len(told.deviation) == 4


def test_the_same_calls_give_the_same_bits() -> None:
    rows = [(0.5 + 0.01 * n, 30.0 - 0.1 * n) for n in range(20)]
    one, other = follow(rows)[-1], follow(rows)[-1]
    assert np.array_equal(one.mean, other.mean)
    assert np.array_equal(one.factor, other.factor)


def test_one_wild_value_is_no_divergence() -> None:
    told = follow([(0.5, 30.0)] * 3 + [(60.0, 190.0)] + [(0.5, 30.0)] * 3)
    assert all(result.healthy and not result.message for result in told)


def test_values_that_never_fit_make_the_estimate_unhealthy_and_fitting_ones_healthy_again() -> None:
    memory, healthy, message = begun(), [], ""
    for number in range(400):
        expected = core_filter().describe(memory.history.belief, np.zeros(2)).outputs[CELLS]
        wrong = number < 80
        cells = expected * (0.8 if number % 2 else 1.25) if wrong else expected
        row = measurement(cells, nan, number)
        result, memory = estimate(core_filter(), memory, row, (), cycle_s(number))
        healthy.append(result.healthy)
        message = result.message or message
    assert not any(healthy[40:80])
    assert "times as large as the filter expects" in message
    assert healthy[-1]


@pytest.mark.parametrize("flow", [1e200, np.inf, nan])
def test_inputs_that_the_model_cannot_follow_are_told_and_forgotten(flow: float) -> None:
    memory = begun()
    _, memory = estimate(core_filter(), memory, measurement(0.5, 30.0, 0), (), cycle_s(0))
    wild = measurement(0.5, 30.0, 1, inputs=(flow, 0.0))
    result, memory = estimate(core_filter(), memory, wild, (), cycle_s(1))
    assert not result.healthy
    assert "inputs" in result.message
    assert np.isfinite(result.mean).all()
    assert result.verdicts == (Verdict.GATED, Verdict.GATED)
    result, memory = estimate(core_filter(), memory, measurement(0.5, 30.0, 2), (), cycle_s(2))
    assert result.healthy
    assert result.verdicts == (Verdict.OK, Verdict.OK)


@pytest.mark.parametrize("back_s", [600.0, 86400.0])
def test_a_clock_behind_the_estimate_is_told_and_what_it_places_is_stale(back_s: float) -> None:
    memory = begun()
    for number in range(3):
        row = measurement(0.5, 30.0, number)
        _, memory = estimate(core_filter(), memory, row, (), cycle_s(number))
    behind, memory = estimate(
        core_filter(), memory, measurement(0.5, 30.0, 2), (), cycle_s(2) - back_s
    )
    assert not behind.healthy
    assert f"{back_s:.0f} s behind the estimate" in behind.message
    assert behind.verdicts == (Verdict.STALE, Verdict.STALE)
    onward, _ = estimate(core_filter(), memory, measurement(0.5, 30.0, 3), (), cycle_s(3))
    assert onward.healthy
    assert onward.verdicts == (Verdict.OK, Verdict.OK)


def test_what_was_true_before_inoculation_is_stale_not_gated() -> None:
    slow = measurement(0.5, 30.0, 1, ages_s=(0.0, 7200.0))
    result, _ = estimate(core_filter(), begun(), slow, (), cycle_s(1))
    assert result.verdicts == (Verdict.OK, Verdict.STALE)
    assert result.healthy


def test_without_any_signal_or_assay_the_model_is_followed() -> None:
    kalman = ExtendedKalmanFilter(linear_settings((), ()), PERIOD_H)
    memory, told = begin_estimation(kalman, START_S, np.zeros(1)), []
    for number in range(3):
        seen = scanned((), [], number, [0.0])
        result, memory = estimate(kalman, memory, seen, (), cycle_s(number))
        told.append(result)
    assert all(result.healthy for result in told)
    assert told[2].deviation[1] != told[0].deviation[1]
    assert not told[2].observability.any()
