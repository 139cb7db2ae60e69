"""One cycle of estimation: verdicts, freshness, and the filter's doubts about itself."""

import numpy as np
import pytest

from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation, estimate
from mpc_agent.values import Estimate, Measurement, Sample, Verdict
from plant_models.cho_mab import CORE
from tests.examples_core import PERIOD_H, START_S, core_filter

SIGNALS = ("viable_cells", "glucose")
CELLS = CORE.output_names.index("viable_cells")


def cycle_s(number: int) -> float:
    return START_S + 3600 * PERIOD_H * number


def measurement(cells: float, glucose: float) -> Measurement:
    values = np.array([cells, glucose])
    verdicts = tuple(Verdict.OK if np.isfinite(value) else Verdict.STALE for value in values)
    return Measurement(SIGNALS, values, verdicts, np.zeros(2))


def begun() -> EstimatorMemory:
    return begin_estimation(core_filter(), START_S, np.zeros(2))


def follow(
    rows: list[tuple[float, float]], memory: EstimatorMemory | None = None
) -> list[Estimate]:
    """Estimates of one cycle after the other; each row is what the probes say."""
    memory, told = memory or begun(), []
    for number, (cells, glucose) in enumerate(rows):
        result, memory = estimate(
            core_filter(), memory, measurement(cells, glucose), (), cycle_s(number)
        )
        told.append(result)
    return told


def test_what_was_offered_and_refused_is_told_as_gated() -> None:
    first, second, third = follow([(0.5, 30.0), (0.5, 150.0), (np.nan, 30.0)])
    assert first.verdicts == (Verdict.OK, Verdict.OK)
    assert second.verdicts == (Verdict.OK, Verdict.GATED)
    assert third.verdicts == (Verdict.STALE, Verdict.OK)
    assert second.gate_ratios[1] > 1 >= first.gate_ratios[1]
    assert np.isnan(third.innovations[0])


def test_each_signal_remembers_when_it_was_last_fused() -> None:
    told = follow([(np.nan, 30.0), (0.5, 150.0), (np.nan, np.nan)])
    times = np.array([result.last_fused_s for result in told])
    expected = [
        [np.nan, cycle_s(0)],
        [cycle_s(1), cycle_s(0)],
        [cycle_s(1), cycle_s(0)],
    ]
    assert np.array_equal(times, np.array(expected), equal_nan=True)


def test_the_estimate_holds_at_the_time_of_the_scan_and_tells_what_became_of_samples() -> None:
    drawn = Sample("titre", 0.001, "g/L", START_S + 60, START_S + 90, "lab")
    memory = begun()
    _, memory = estimate(core_filter(), memory, measurement(0.5, 30.0), (), cycle_s(0))
    told, _ = estimate(core_filter(), memory, measurement(0.5, 30.0), (drawn,), cycle_s(1))
    assert told.time_s == cycle_s(1)
    assert [(item.sample, item.verdict) for item in told.samples] == [(drawn, Verdict.OK)]


def test_one_wild_value_is_no_divergence() -> None:
    told = follow([(0.5, 30.0)] * 3 + [(60.0, 190.0)] + [(0.5, 30.0)] * 3)
    assert all(result.healthy and not result.message for result in told)


def test_values_that_never_fit_make_the_estimate_unhealthy_and_fitting_ones_healthy_again() -> None:
    cells = follow([(0.5, 30.0)])[0].outputs[CELLS]
    told = follow([(3.0 * cells, np.nan), (0.3 * cells, np.nan)] * 40)
    assert not told[-1].healthy
    assert "times as large as the filter expects" in told[-1].message
    memory, healthy = begun(), []
    for number in range(400):
        expected = core_filter().describe(memory.history.last.belief, np.zeros(2)).outputs
        wrong = number < 80
        row = measurement(expected[CELLS] * (2.5 if wrong and number % 2 else 1.0), np.nan)
        result, memory = estimate(core_filter(), memory, row, (), cycle_s(number))
        healthy.append(result.healthy)
    assert not healthy[79]
    assert healthy[-1]


@pytest.mark.parametrize("flow", [1e150, 1e200])
def test_inputs_that_the_model_cannot_follow_are_told_and_forgotten(flow: float) -> None:
    memory = begun()
    _, memory = estimate(core_filter(), memory, measurement(0.5, 30.0), (), cycle_s(0))
    wild = Measurement(SIGNALS, np.array([0.5, 30.0]), (Verdict.OK,) * 2, np.array([flow, 0.0]))
    result, memory = estimate(core_filter(), memory, wild, (), cycle_s(1))
    assert not result.healthy
    assert "inputs" in result.message
    assert np.isfinite(result.mean).all()
    assert result.verdicts == (Verdict.GATED, Verdict.GATED)
    result, memory = estimate(core_filter(), memory, measurement(0.5, 30.0), (), cycle_s(2))
    assert result.healthy
    assert result.verdicts == (Verdict.OK, Verdict.OK)
