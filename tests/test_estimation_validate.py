"""Every verdict on a reading, and what becomes of inputs that cannot be read."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.codec import decode, encode
from mpc_agent.estimation.settings import SignalSettings
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.values import PlantStatus, Quality, Reading, Readings, Verdict
from plant_models.model import Input

NOW_S = 1_767_600_000.0
PERIOD_S = 60.0
SIGNAL = SignalSettings(
    "glucose",
    absolute=0.1,
    relative=0.0,
    lower=0.0,
    upper=100.0,
    max_age_s=900.0,
    max_rate_per_h=10.0,
    frozen_after_s=3600.0,
)
INPUTS = {
    "feed": Input("L/h", "feed", 0.5, 2.0, 0.0, 20.0),
    "air": Input("L/h", "air", 84.0, 300.0, 0.1, 2000.0),
}
SEEN = SignalMemory(
    accepted=np.array([20.0]),
    accepted_at_s=np.array([NOW_S - 600]),
    seen=np.array([20.0]),
    changed_at_s=np.array([NOW_S - 600]),
    inputs=np.array([1.0, 100.0]),
)
NEW = SignalMemory.empty(1, np.array([0.5, 84.0]))


def used_at(time_s: float) -> SignalMemory:
    """A memory of 20 mmol/L, used and changed last at that time."""
    return replace(SEEN, accepted_at_s=np.array([time_s]), changed_at_s=np.array([time_s]))


def scan(
    measured: dict[str, Reading], inputs: dict[str, Reading] | None = None, at_s: float = NOW_S
) -> Readings:
    status = PlantStatus(
        connected=True, remote_enabled=True, remote_active=True, watchdog_tripped=False
    )
    return Readings(at_s, measured, inputs or {}, {}, (), status)


def glucose(value: float, age_s: float = 0.0, quality: Quality = Quality.GOOD) -> Reading:
    return Reading("glucose", value, NOW_S - age_s, quality)


@pytest.mark.parametrize(
    ("reading", "memory", "verdict"),
    [
        (glucose(20.5), SEEN, Verdict.OK),
        (glucose(20.5), NEW, Verdict.OK),
        (None, SEEN, Verdict.MISSING),
        (glucose(20.5, quality=Quality.BAD), SEEN, Verdict.BAD_QUALITY),
        (glucose(20.5, quality=Quality.UNCERTAIN), SEEN, Verdict.BAD_QUALITY),
        (glucose(nan), SEEN, Verdict.OUT_OF_RANGE),
        (glucose(inf), SEEN, Verdict.OUT_OF_RANGE),
        (glucose(20.5, age_s=900.0), NEW, Verdict.OK),
        (glucose(20.5, age_s=901.0), NEW, Verdict.STALE),
        (glucose(20.5, age_s=-5.0), SEEN, Verdict.OK),
        (glucose(20.5, age_s=-6.0), SEEN, Verdict.STALE),
        (glucose(20.5, age_s=nan), SEEN, Verdict.STALE),
        (glucose(0.0), NEW, Verdict.OK),
        (glucose(100.0), NEW, Verdict.OK),
        (glucose(-0.1), NEW, Verdict.OUT_OF_RANGE),
        (glucose(100.1), NEW, Verdict.OUT_OF_RANGE),
        # Ten minutes at 10 /h, and three deviations of the noise of both values.
        (glucose(20.0 + 10 / 6 + 0.42), SEEN, Verdict.OK),
        (glucose(20.0 + 10 / 6 + 0.43), SEEN, Verdict.TOO_FAST),
        (glucose(20.0 - 10 / 6 - 0.43), SEEN, Verdict.TOO_FAST),
        (glucose(90.0), NEW, Verdict.OK),
        (glucose(20.0), SEEN, Verdict.OK),
        (
            glucose(20.0),
            replace(SEEN, changed_at_s=np.array([NOW_S - 3601])),
            Verdict.FROZEN,
        ),
        (
            glucose(20.1),
            replace(SEEN, changed_at_s=np.array([NOW_S - 3601])),
            Verdict.OK,
        ),
        # A source time that was used already, or is older: nothing new, whatever the value.
        (glucose(20.0, age_s=600.0), SEEN, Verdict.REPEATED),
        (glucose(20.1, age_s=600.0), SEEN, Verdict.REPEATED),
        (glucose(20.0, age_s=700.0), SEEN, Verdict.REPEATED),
        (glucose(20.0, age_s=599.9), SEEN, Verdict.OK),
        # But every fault is told of it.
        (glucose(nan, age_s=600.0, quality=Quality.BAD), SEEN, Verdict.BAD_QUALITY),
        (glucose(20.0, age_s=600.0, quality=Quality.UNCERTAIN), SEEN, Verdict.BAD_QUALITY),
        (glucose(nan, age_s=600.0), SEEN, Verdict.OUT_OF_RANGE),
        (glucose(101.0, age_s=600.0), SEEN, Verdict.OUT_OF_RANGE),
        (glucose(20.0, age_s=901.0), used_at(NOW_S - 901), Verdict.STALE),
        (
            glucose(20.0, age_s=600.0),
            replace(SEEN, changed_at_s=np.array([NOW_S - 3601])),
            Verdict.FROZEN,
        ),
        # Our clock was set back: what was used in its future does not silence the signal.
        (glucose(20.0), used_at(NOW_S + 3600), Verdict.OK),
        (glucose(20.0), used_at(NOW_S + 4), Verdict.REPEATED),
    ],
)
def test_each_verdict(reading: Reading | None, memory: SignalMemory, verdict: Verdict) -> None:
    measured = {} if reading is None else {"glucose": reading}
    measurement, after = validate(scan(measured), memory, (SIGNAL,), INPUTS, PERIOD_S)
    assert measurement.signals == ("glucose",)
    assert measurement.verdicts == (verdict,)
    if verdict is Verdict.OK:
        assert reading is not None
        assert measurement.values[0] == reading.value == after.accepted[0]
        assert after.accepted_at_s[0] == reading.sampled_at_s
    else:
        assert np.isnan(measurement.values[0])
        assert np.array_equal(after.accepted, memory.accepted, equal_nan=True)


def test_an_uncertain_value_is_used_where_the_configuration_says_so() -> None:
    lenient = replace(SIGNAL, accept_uncertain=True)
    for quality, verdict in (
        (Quality.UNCERTAIN, Verdict.OK),
        (Quality.GOOD, Verdict.OK),
        (Quality.BAD, Verdict.BAD_QUALITY),
    ):
        reading = glucose(20.5, quality=quality)
        measurement, _ = validate(scan({"glucose": reading}), SEEN, (lenient,), INPUTS, PERIOD_S)
        assert measurement.verdicts == (verdict,)


def test_a_signal_without_limits_of_change_never_freezes_nor_runs_away() -> None:
    plain = replace(SIGNAL, max_rate_per_h=None, frozen_after_s=None)
    old = replace(SEEN, changed_at_s=np.array([NOW_S - 1e6]))
    for value in (20.0, 99.0):
        read = scan({"glucose": glucose(value)})
        measurement, _ = validate(read, old, (plain,), INPUTS, PERIOD_S)
        assert measurement.verdicts == (Verdict.OK,)


def test_a_signal_that_came_too_fast_is_believed_once_it_could_have_come_so_far() -> None:
    memory, verdicts = SEEN, []
    for minutes in range(0, 100, 20):
        at_s = NOW_S + 60 * minutes
        reading = Reading("glucose", 30.0 + 1e-3 * minutes, at_s)
        measurement, memory = validate(
            scan({"glucose": reading}, at_s=at_s), memory, (SIGNAL,), INPUTS, PERIOD_S
        )
        verdicts.append(measurement.verdicts[0])
    assert verdicts[:3] == [Verdict.TOO_FAST] * 3
    assert verdicts[-1] is Verdict.OK


def test_a_frozen_signal_is_believed_again_when_it_moves() -> None:
    memory, verdicts = NEW, []
    for minutes, value in [(0, 20.0), (40, 20.0), (80, 20.0), (100, 20.2)]:
        at_s = NOW_S + 60 * minutes
        reading = Reading("glucose", value, at_s)
        measurement, memory = validate(
            scan({"glucose": reading}, at_s=at_s), memory, (SIGNAL,), INPUTS, PERIOD_S
        )
        verdicts.append(measurement.verdicts[0])
    assert verdicts == [Verdict.OK, Verdict.OK, Verdict.FROZEN, Verdict.OK]


@pytest.mark.parametrize(
    ("reading", "feed"),
    [
        (Reading("feed", 3.0, NOW_S), 3.0),
        (Reading("feed", 0.0, NOW_S), 0.0),
        (Reading("feed", 3.0, NOW_S, Quality.UNCERTAIN), 3.0),
        (None, 1.0),
        (Reading("feed", 3.0, NOW_S, Quality.BAD), 1.0),
        (Reading("feed", nan, NOW_S), 1.0),
        (Reading("feed", inf, NOW_S), 1.0),
        # A hundred times its typical size: no pump does that.
        (Reading("feed", 200.0, NOW_S), 200.0),
        (Reading("feed", 200.1, NOW_S), 1.0),
        (Reading("feed", -1e30, NOW_S), 1.0),
        # A pump at rest shows a little less than nothing; none runs backwards.
        (Reading("feed", -0.2, NOW_S), -0.2),
        (Reading("feed", -0.3, NOW_S), 1.0),
    ],
)
def test_an_input_that_cannot_be_read_is_taken_as_unchanged(
    reading: Reading | None, feed: float
) -> None:
    inputs = {} if reading is None else {"feed": reading}
    measurement, after = validate(scan({}, inputs), SEEN, (SIGNAL,), INPUTS, PERIOD_S)
    assert measurement.inputs.tolist() == [feed, 100.0]
    assert after.inputs.tolist() == [feed, 100.0]
    assert SEEN.inputs.tolist() == [1.0, 100.0]


numbers = st.floats(allow_nan=True, allow_infinity=True)
times = st.one_of(
    numbers,
    st.floats(NOW_S - 2000, NOW_S + 10),
    st.sampled_from((NOW_S, NOW_S - 600)),
)
values = st.one_of(numbers, st.floats(15.0, 25.0))
readings = st.builds(Reading, st.just("glucose"), values, times, st.sampled_from(Quality))
settings = st.builds(
    replace,
    st.just(SIGNAL),
    lower=st.sampled_from((0.0, -1e308)),
    upper=st.sampled_from((100.0, 1e308)),
    max_rate_per_h=st.sampled_from((None, 10.0)),
    frozen_after_s=st.sampled_from((None, 1800.0)),
    every_s=st.sampled_from((None, 30.0, 600.0)),
    delay_s=st.sampled_from((0.0, 300.0)),
    accept_uncertain=st.booleans(),
)


@given(signal=settings, rows=st.lists(st.tuples(readings, st.floats(-700, 700)), max_size=8))
def test_whatever_is_read_only_plausible_new_values_pass(
    signal: SignalSettings, rows: list[tuple[Reading, float]]
) -> None:
    memory, used = NEW, list[float]()
    for reading, later_s in rows:
        at_s = NOW_S + later_s
        read = scan({"glucose": reading}, {"feed": replace(reading, signal="feed")}, at_s)
        measurement, after = validate(read, memory, (signal,), INPUTS, PERIOD_S)
        again, _ = validate(read, memory, (signal,), INPUTS, PERIOD_S)
        assert encode(again) == encode(measurement)
        (value,), (belongs_at_s,) = measurement.values, measurement.belongs_at_s
        passed = measurement.verdicts[0] is Verdict.OK
        assert passed == bool(np.isfinite(value)) == bool(np.isfinite(belongs_at_s))
        if passed:
            assert signal.lower <= value <= signal.upper
            assert at_s - signal.max_age_s - signal.delay_s <= belongs_at_s <= at_s
            assert all(reading.sampled_at_s != earlier or earlier > at_s for earlier in used)
            used.append(reading.sampled_at_s)
        assert np.isfinite(measurement.inputs).all()
        assert encode(decode(encode(after), SignalMemory)) == encode(after)
        memory = after


@given(now_s=numbers, reading=readings)
def test_no_clock_makes_validation_fail(now_s: float, reading: Reading) -> None:
    measurement, _ = validate(
        scan({"glucose": reading}, at_s=now_s), NEW, (SIGNAL,), INPUTS, PERIOD_S
    )
    assert isinstance(measurement.verdicts[0], Verdict)


@pytest.mark.parametrize(
    ("now", "setpoint", "remote", "before"),
    [
        (1.5, None, True, 1.0),  # moved by itself: known as well as it moved
        (1.5, 1.5, True, None),  # follows the agent's setpoint since the last scan
        (1.5, 1.5, False, 1.0),  # a setpoint that the plant does not follow explains nothing
        (1.5, 0.7, True, 1.0),  # does not follow it
        (1.01, None, True, None),  # noise of the reading
    ],
)
def test_an_input_that_moved_by_itself_is_told_with_where_it_was(
    now: float, setpoint: float | None, remote: bool, before: float | None
) -> None:
    readings = scan({}, {"feed": Reading("feed", now, NOW_S)})
    readings = replace(
        readings,
        setpoints={} if setpoint is None else {"feed": setpoint},
        status=replace(readings.status, remote_active=remote),
    )
    measurement, _ = validate(readings, SEEN, (SIGNAL,), INPUTS, PERIOD_S)
    if before is None:
        assert measurement.inputs_before is None
    else:
        assert measurement.inputs_before is not None
        assert measurement.inputs_before.tolist() == [before, 100.0]


def test_before_the_first_scan_inputs_are_only_assumed_and_have_not_moved() -> None:
    readings = scan({}, {"feed": Reading("feed", 5.0, NOW_S)})
    measurement, _ = validate(readings, NEW, (SIGNAL,), INPUTS, PERIOD_S)
    assert measurement.inputs_before is None
