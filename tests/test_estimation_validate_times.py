"""Which values are new ones, and to which moment each belongs."""

from dataclasses import replace

import numpy as np
import pytest

from mpc_agent.estimation.settings import SignalSettings
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.values import Measurement, PlantStatus, Quality, Reading, Readings, Verdict

START_S = 1_767_600_000.0
PERIOD_S = 60.0
PROBE = SignalSettings("glucose", absolute=0.1, relative=0.0, lower=0.0, upper=100.0)

OK, REPEATED, STALE = Verdict.OK, Verdict.REPEATED, Verdict.STALE


def follow(
    signal: SignalSettings, rows: list[tuple[float, float, float]], period_s: float = PERIOD_S
) -> list[Measurement]:
    """Scans one after the other; each row is the time of scan, of source, s, and the value."""
    status = PlantStatus(
        connected=True, remote_enabled=True, remote_active=True, watchdog_tripped=False
    )
    memory, told = SignalMemory.empty(1, np.zeros(0)), []
    for at_s, sampled_at_s, value in rows:
        reading = Reading("glucose", value, START_S + sampled_at_s, Quality.GOOD)
        readings = Readings(START_S + at_s, {"glucose": reading}, {}, {}, (), status)
        measurement, memory = validate(readings, memory, (signal,), {}, period_s)
        told.append(measurement)
    return told


def verdicts(told: list[Measurement]) -> list[Verdict]:
    return [measurement.verdicts[0] for measurement in told]


def belongs(told: list[Measurement]) -> list[float]:
    return [float(measurement.belongs_at_s[0]) - START_S for measurement in told]


def test_a_value_that_the_source_does_not_renew_is_used_once_and_then_goes_stale() -> None:
    rows = [(float(at_s), 0.0, 20.0) for at_s in range(0, 1081, 60)]
    found = verdicts(follow(PROBE, rows))
    assert found == [OK] + [REPEATED] * 15 + [STALE] * 3


def test_a_source_that_stamps_changes_alone_is_used_at_each_change() -> None:
    values = [20.0, 20.0, 20.5, 20.5, 20.5, 21.0]
    stamps = [0.0, 0.0, 110.0, 110.0, 110.0, 299.0]
    rows = [(60.0 * i, stamps[i], values[i]) for i in range(6)]
    told = follow(PROBE, rows)
    assert verdicts(told) == [OK, REPEATED, OK, REPEATED, REPEATED, OK]
    assert [m.values[0] for m in told if m.verdicts[0] is OK] == [20.0, 20.5, 21.0]


def test_one_equal_value_after_the_other_is_new_when_its_time_is() -> None:
    rows = [(60.0 * i, 60.0 * i - 1, 20.0) for i in range(5)]
    assert verdicts(follow(PROBE, rows)) == [OK] * 5


def test_a_value_that_was_refused_is_judged_again_when_the_source_calls_it_good() -> None:
    signal = replace(PROBE, upper=25.0)
    told = follow(signal, [(0.0, 0.0, 30.0), (60.0, 0.0, 24.0), (120.0, 0.0, 24.0)])
    assert verdicts(told) == [Verdict.OUT_OF_RANGE, OK, REPEATED]


@pytest.mark.parametrize(
    ("every_s", "used"),
    [
        (None, list(range(13))),
        (60.0, list(range(13))),
        (90.0, [0, 2, 4, 6, 8, 10, 12]),
        (180.0, [0, 3, 6, 9, 12]),
        (1e6, [0]),
    ],
)
def test_a_value_is_used_no_more_often_than_the_rate_of_its_signal(
    every_s: float | None, used: list[int]
) -> None:
    # The plant samples a moment before each scan, now a little earlier, now a little later.
    jitter_s = [0.0, 1.3, -0.7, 0.4]
    rows = [(60.0 * i, 60.0 * i - 2 + jitter_s[i % 4], 20.0 + 0.01 * i) for i in range(13)]
    found = verdicts(follow(replace(PROBE, every_s=every_s), rows))
    assert [i for i, verdict in enumerate(found) if verdict is OK] == used
    assert set(found) <= {OK, REPEATED}


def test_a_clock_that_was_set_back_does_not_silence_a_signal() -> None:
    rows = [(60.0 * i, 60.0 * i, 20.0) for i in range(60, 63)]
    rows += [(60.0 * i, 60.0 * i, 20.0) for i in range(3)]
    signal = replace(PROBE, max_rate_per_h=1.0, frozen_after_s=1800.0, every_s=60.0)
    assert verdicts(follow(signal, rows)) == [OK] * 6


@pytest.mark.parametrize("step", [+8.0, -8.0])
@pytest.mark.parametrize("period_s", [60.0, 600.0])
def test_a_real_step_is_believed_after_the_time_it_could_have_taken(
    step: float, period_s: float
) -> None:
    signal = replace(PROBE, max_rate_per_h=16.0)
    rows = [
        (at_s, at_s, 20.0 + (step if at_s >= 3600 else 0.0))
        for at_s in np.arange(0.0, 3 * 3600.0, period_s).tolist()
    ]
    told = follow(signal, rows, period_s)
    refused = [row[0] for row, m in zip(rows, told, strict=True) if m.verdicts[0] is not OK]
    assert set(verdicts(told)) == {OK, Verdict.TOO_FAST}
    # Half an hour at 16 /h, counted from the last value before the step, less what noise allows.
    noise_s = 3 * 0.1 * np.sqrt(2) / 16.0 * 3600
    assert refused[0] == 3600
    assert refused[-1] == pytest.approx(3600 - period_s + 1800 - noise_s, abs=period_s)


def test_noise_alone_is_hardly_ever_too_fast() -> None:
    noise = 0.1 * np.random.default_rng(5).standard_normal(5000)
    rows = [(60.0 * i, 60.0 * i, 20.0 + noise[i]) for i in range(5000)]
    found = verdicts(follow(replace(PROBE, max_rate_per_h=1e-3), rows))
    assert found.count(Verdict.TOO_FAST) / len(found) < 0.006


def test_a_wild_time_does_not_make_the_next_good_value_look_frozen() -> None:
    signal = replace(PROBE, frozen_after_s=1800.0)
    for wild_s in (-1e12, np.inf, -np.inf, np.nan):
        told = follow(signal, [(0.0, wild_s, 20.0), (60.0, 60.0, 20.0)])
        assert verdicts(told) == [STALE, OK]


@pytest.mark.parametrize(
    ("delay_s", "age_s", "period_s", "belongs_s"),
    [
        (0.0, 0.0, 60.0, 0.0),
        # Less than half a cycle is now: the filter need not step between its scans.
        (0.0, 29.0, 60.0, 0.0),
        (0.0, 30.0, 60.0, -30.0),
        (0.0, 29.0, 10.0, -29.0),
        (0.0, 299.0, 600.0, 0.0),
        (20.0, 5.0, 60.0, 0.0),
        (300.0, 0.0, 60.0, -300.0),
        (300.0, 45.0, 60.0, -345.0),
        # Ahead of our clock is now, but a delay counts from the time that the source says.
        (0.0, -4.0, 60.0, 0.0),
        (0.0, -4.0, 2.0, 0.0),
        (300.0, -4.0, 60.0, -296.0),
    ],
)
def test_a_value_belongs_to_the_moment_it_left_the_broth(
    delay_s: float, age_s: float, period_s: float, belongs_s: float
) -> None:
    told = follow(replace(PROBE, delay_s=delay_s), [(0.0, -age_s, 20.0)], period_s)
    assert belongs(told) == [belongs_s]


def test_what_is_not_used_belongs_nowhere() -> None:
    told = follow(PROBE, [(0.0, 0.0, 20.0), (60.0, 0.0, 20.0), (120.0, 120.0, -1.0)])
    assert np.isnan(belongs(told)[1:]).all()
