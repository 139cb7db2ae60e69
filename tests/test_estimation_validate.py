"""Every verdict on a reading, and what becomes of inputs that cannot be read."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.estimation.settings import SignalSettings
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.values import PlantStatus, Quality, Reading, Readings, Verdict
from plant_models.model import Input

NOW_S = 1_767_600_000.0
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
        # Ten minutes at 10 /h, and three deviations of noise.
        (glucose(20.0 + 10 / 6 + 0.29), SEEN, Verdict.OK),
        (glucose(20.0 + 10 / 6 + 0.31), SEEN, Verdict.TOO_FAST),
        (glucose(20.0 - 10 / 6 - 0.31), SEEN, Verdict.TOO_FAST),
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
    ],
)
def test_each_verdict(reading: Reading | None, memory: SignalMemory, verdict: Verdict) -> None:
    measured = {} if reading is None else {"glucose": reading}
    measurement, after = validate(scan(measured), memory, (SIGNAL,), INPUTS)
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
        measurement, _ = validate(scan({"glucose": reading}), SEEN, (lenient,), INPUTS)
        assert measurement.verdicts == (verdict,)


def test_a_signal_without_limits_of_change_never_freezes_nor_runs_away() -> None:
    plain = replace(SIGNAL, max_rate_per_h=None, frozen_after_s=None)
    old = replace(SEEN, changed_at_s=np.array([NOW_S - 1e6]))
    for value in (20.0, 99.0):
        measurement, _ = validate(scan({"glucose": glucose(value)}), old, (plain,), INPUTS)
        assert measurement.verdicts == (Verdict.OK,)


def test_a_signal_that_came_too_fast_is_believed_once_it_could_have_come_so_far() -> None:
    memory, verdicts = SEEN, []
    for minutes in range(0, 100, 20):
        at_s = NOW_S + 60 * minutes
        reading = Reading("glucose", 30.0 + 1e-3 * minutes, at_s)
        measurement, memory = validate(
            scan({"glucose": reading}, at_s=at_s), memory, (SIGNAL,), INPUTS
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
            scan({"glucose": reading}, at_s=at_s), memory, (SIGNAL,), INPUTS
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
    ],
)
def test_an_input_that_cannot_be_read_is_taken_as_unchanged(
    reading: Reading | None, feed: float
) -> None:
    inputs = {} if reading is None else {"feed": reading}
    measurement, after = validate(scan({}, inputs), SEEN, (SIGNAL,), INPUTS)
    assert measurement.inputs.tolist() == [feed, 100.0]
    assert after.inputs.tolist() == [feed, 100.0]
    assert SEEN.inputs.tolist() == [1.0, 100.0]


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    rows=st.lists(
        st.tuples(numbers, numbers, st.sampled_from(Quality), numbers), min_size=1, max_size=8
    )
)
def test_whatever_is_read_only_plausible_numbers_pass(
    rows: list[tuple[float, float, Quality, float]],
) -> None:
    memory = NEW
    for value, sampled_at_s, quality, feed in rows:
        measured = {"glucose": Reading("glucose", value, sampled_at_s, quality)}
        inputs = {"feed": Reading("feed", feed, NOW_S, quality)}
        measurement, memory = validate(scan(measured, inputs), memory, (SIGNAL,), INPUTS)
        passed = measurement.verdicts[0] is Verdict.OK
        assert passed == bool(np.isfinite(measurement.values[0]))
        assert not passed or 0.0 <= measurement.values[0] <= 100.0
        assert np.isfinite(measurement.inputs).all()
