"""The PI controller: limits, anti-windup, bumpless start, missing measurements."""

from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.pid import PI, PIState

HEATER = PI(gain=2.0, integral_time_h=0.5, lower=0.0, upper=10.0)
STEP_H = 0.01

numbers = st.floats(-1e6, 1e6)
controllers = st.builds(
    PI,
    gain=st.sampled_from([-3.0, -0.1, 0.1, 2.0]),
    integral_time_h=st.sampled_from([0.01, 1.0, inf]),
    lower=st.floats(-100.0, 0.0),
    upper=st.floats(0.0, 100.0),
)


def closed_loop(controller: PI, state: PIState, hours: float, setpoint: float) -> list[float]:
    """Measurements of a first-order process with unit gain and 0.2 h time constant."""
    measured, course = 0.0, []
    for _ in range(round(hours / STEP_H)):
        output, state = controller.step(state, setpoint, measured, STEP_H)
        measured += (output - measured) * STEP_H / 0.2
        course.append(measured)
    return course


@given(controllers, numbers, numbers, st.lists(st.floats(), min_size=1, max_size=20))
def test_output_is_finite_and_inside_the_limits_whatever_is_measured(
    controller: PI, output: float, error: float, course: list[float]
) -> None:
    state = controller.start(output, error)
    for measured in course:
        output, state = controller.step(state, 1.0, measured, STEP_H)
        assert isfinite(output)
        assert controller.lower <= output <= controller.upper


@given(controllers, numbers, st.floats(-10.0, 10.0))
def test_a_start_goes_on_without_a_bump(controller: PI, output: float, error: float) -> None:
    state = controller.start(output, error)
    first, _ = controller.step(state, error, 0.0, 0.0)
    allowed = min(max(output, controller.lower), controller.upper)
    assert first == pytest.approx(allowed, rel=1e-9, abs=1e-9)


def test_the_loop_settles_without_offset() -> None:
    course = closed_loop(HEATER, HEATER.start(0.0, 0.0), hours=10.0, setpoint=6.0)
    assert course[-1] == pytest.approx(6.0, abs=1e-3)


def test_a_long_saturation_leaves_no_windup() -> None:
    state = HEATER.start(0.0, 0.0)
    for _ in range(10_000):
        _, state = HEATER.step(state, 100.0, 0.0, STEP_H)
    assert state.output == 10.0
    output, _ = HEATER.step(state, 100.0, 100.5, STEP_H)
    assert output < 10.0


def test_a_negative_gain_acts_the_other_way_and_winds_up_no_more() -> None:
    cooler = PI(gain=-2.0, integral_time_h=0.5, lower=0.0, upper=10.0)
    state = cooler.start(5.0, 0.0)
    output, state = cooler.step(state, 10.0, 11.0, STEP_H)
    assert output > 5.0
    for _ in range(1000):
        _, state = cooler.step(state, 10.0, 9.0, STEP_H)
    assert state.output == 0.0
    assert 0.0 <= state.integral <= 10.0


def test_a_missing_measurement_repeats_the_last_output() -> None:
    output, state = HEATER.step(HEATER.start(3.0, 0.0), 5.0, 4.5, STEP_H)
    assert HEATER.step(state, 5.0, nan, STEP_H) == (output, state)
    assert HEATER.step(state, nan, 4.5, STEP_H) == (output, state)


def test_without_integration_only_the_error_counts() -> None:
    proportional = PI(gain=2.0, integral_time_h=inf, lower=-10.0, upper=10.0)
    state = proportional.start(0.0, 0.0)
    for _ in range(3):
        output, state = proportional.step(state, 2.0, 1.0, STEP_H)
        assert output == 2.0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"gain": 0.0}, "gain"),
        ({"gain": nan}, "gain"),
        ({"integral_time_h": 0.0}, "integral_time_h"),
        ({"integral_time_h": nan}, "integral_time_h"),
        ({"lower": 2.0, "upper": 1.0}, "limits"),
        ({"upper": inf}, "limits"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], fault: str) -> None:
    settings = {"gain": 1.0, "integral_time_h": 1.0, "lower": 0.0, "upper": 1.0, **changes}
    with pytest.raises(ValueError, match=fault):
        PI(**settings)
