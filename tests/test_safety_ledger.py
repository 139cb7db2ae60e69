"""The ledger of doses: totals, the last hour, and the flow that the last hour leaves."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.safety.ledger import (
    HOUR_S,
    Bookings,
    Ledger,
    highest_flow,
    losing,
    record_delivery,
    record_doses,
)
from mpc_agent.values import WATER, WITHDRAWN, Dose

START_S = 1_767_600_000.0


def kept(flows: list[float], step_s: float) -> Ledger:
    """A ledger of one feed with these flows, one per step."""
    ledger = record_delivery(Ledger(), ("feed",), {"feed": flows[0]}, {}, START_S)
    for k, flow in enumerate(flows, start=1):
        ledger = record_delivery(ledger, ("feed",), {"feed": flow}, {}, START_S + k * step_s)
    return ledger


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=60), st.sampled_from([10.0, 600.0, 7e3]))
def test_totals_are_the_sum_of_flow_times_time(flows: list[float], step_s: float) -> None:
    ledger = kept(flows, step_s)
    assert ledger.total_L("feed") == pytest.approx(sum(flows) * step_s / HOUR_S)
    assert ledger.delivered_L == ledger.total_L("feed")


@given(st.lists(st.floats(0.0, 10.0), min_size=12, max_size=40))
def test_the_last_hour_is_the_last_hour(flows: list[float]) -> None:
    ledger = kept(flows, 600.0)
    now_s = START_S + 600.0 * len(flows)
    expected = sum(flows[-6:]) / 6
    assert ledger.delivered_since_L("feed", now_s - HOUR_S) == pytest.approx(expected)
    half = sum(flows[-3:]) / 6
    assert ledger.delivered_since_L("feed", now_s - HOUR_S / 2) == pytest.approx(half)
    assert len(ledger.recent) <= 7


def test_entries_stay_few_however_short_the_cycles() -> None:
    ledger = kept([1.0] * 2000, 5.0)
    assert len(ledger.recent) <= 62
    now_s = START_S + 5.0 * 2000
    assert ledger.delivered_since_L("feed", now_s - HOUR_S) == pytest.approx(1.0)


def test_a_bad_flow_counts_as_commanded_then_as_last_known() -> None:
    ledger = record_delivery(Ledger(), ("a", "b", "c"), {"a": 1.0, "b": 2.0}, {}, START_S)
    flows = {"a": nan, "b": -1.0, "c": inf}
    ledger = record_delivery(ledger, ("a", "b", "c"), flows, {"a": 3.0, "b": nan}, START_S + HOUR_S)
    assert ledger.totals_L == {"a": 3.0, "b": 2.0, "c": 0.0}
    assert ledger.flow_L_per_h("b") == 2.0


def test_a_clock_set_back_adds_nothing_and_loses_nothing() -> None:
    ledger = kept([2.0] * 6, 600.0)
    back = record_delivery(ledger, ("feed",), {"feed": 2.0}, {}, START_S)
    assert back.total_L("feed") == ledger.total_L("feed")
    on = record_delivery(back, ("feed",), {"feed": 2.0}, {}, START_S + 30.0)
    on = record_delivery(on, ("feed",), {"feed": 2.0}, {}, START_S + 60.0)
    assert on.total_L("feed") == pytest.approx(2.0 + 2.0 / 60)
    assert highest_flow(on, "feed", 2.0, START_S + 60.0, 0.5) == 0.0


@given(
    st.lists(st.floats(0.0, 10.0), min_size=1, max_size=12),
    st.floats(0.0, 20.0),
    st.floats(0.01, 3.0),
)
def test_the_highest_flow_keeps_every_hour_and_is_the_highest(
    flows: list[float], max_hourly_L: float, held_h: float
) -> None:
    ledger = kept(flows, 600.0)
    now_s = START_S + 600.0 * len(flows)
    flow = highest_flow(ledger, "feed", max_hourly_L, now_s, held_h)

    def dose(ahead_h: float, rate: float) -> float:
        past = ledger.delivered_since_L("feed", now_s + (ahead_h - 1.0) * HOUR_S)
        return (past if ahead_h < 1.0 else 0.0) + rate * min(ahead_h, 1.0)

    times = [held_h * k / 200 for k in range(1, 201)]
    if flow > 0.0:
        assert max(dose(time, flow) for time in times) <= max_hourly_L + 1e-9
    more = flow * 1.05 + 0.05
    corners = [k / 6 for k in range(1, 7) if k / 6 <= held_h]
    already = dose(0.0, 0.0)
    worst = max(dose(time, more) for time in (*times, *corners))
    assert worst > max_hourly_L or already > max_hourly_L


def test_an_early_corner_of_the_coming_hour_can_bind() -> None:
    """1.9 of 2.0 L came from 50 to 40 min ago: all of it still counts ten minutes from now."""
    ledger = kept([0.0, 11.4, 0.0, 0.0, 0.0, 0.0], 600.0)
    now_s = START_S + HOUR_S
    assert highest_flow(ledger, "feed", 2.0, now_s, 1.0) == pytest.approx(0.1 * 6)


# ------------------------------------------------------------------ doses by hand


def test_a_booking_counts_once_however_often_it_is_seen() -> None:
    bolus = Dose("feed", 2.5, START_S + 60.0)
    ledger = kept([1.0] * 6, 600.0)
    for _ in range(5):
        ledger = record_doses(ledger, [bolus], START_S)
    assert ledger.bookings == Bookings((bolus,))
    assert ledger.total_L("feed") == pytest.approx(1.0 + 2.5)
    assert ledger.pumped_L == pytest.approx(1.0)
    assert record_doses(ledger, [bolus], START_S) is ledger
    again = record_doses(ledger, [replace(bolus, given_at_s=START_S + 61.0)], START_S)
    assert again.total_L("feed") == pytest.approx(1.0 + 5.0)


def test_a_booking_can_be_corrected_and_taken_back() -> None:
    mistyped = Dose(WITHDRAWN, 500.0, START_S + 60.0)
    ledger = record_doses(kept([1.0] * 6, 600.0), [mistyped], START_S)
    assert ledger.withdrawn_L == pytest.approx(500.0)
    ledger = record_doses(ledger, [replace(mistyped, volume_L=5.0)], START_S)
    assert ledger.withdrawn_L == pytest.approx(5.0)
    ledger = record_doses(ledger, [replace(mistyped, volume_L=0.0)], START_S)
    assert ledger.withdrawn_L == 0.0
    # A tag that shows nothing books nothing.
    assert record_doses(ledger, [Dose(WATER, 0.0, START_S + 90.0)], START_S) is ledger


def test_what_was_given_before_inoculation_is_in_the_initial_volume() -> None:
    early = [Dose("feed", 2.5, START_S - 0.5), Dose(WITHDRAWN, 2.5, START_S - 1.0)]
    ledger = kept([1.0], 600.0)
    assert record_doses(ledger, early, START_S) is ledger


def test_water_and_broth_are_of_no_input() -> None:
    doses = [Dose(WATER, 1.0, START_S + 1.0), Dose(WITHDRAWN, 0.4, START_S + 2.0)]
    ledger = record_doses(kept([2.0] * 6, 600.0), doses, START_S)
    assert ledger.total_L("feed") == pytest.approx(2.0)
    assert ledger.delivered_L == pytest.approx(3.0)
    assert ledger.withdrawn_L == pytest.approx(0.4)
    assert ledger.booked_L() == pytest.approx(0.6)
    assert ledger.booked_L(START_S + 1.0) == pytest.approx(1.0)


def test_losses_add_up_at_the_rate_last_known() -> None:
    ledger = losing(kept([0.0], 600.0), 0.5)
    ledger = record_delivery(ledger, ("feed",), {}, {}, START_S + 600.0 + 2 * HOUR_S)
    assert ledger.lost_L == pytest.approx(1.0)
    ledger = losing(ledger, nan)
    ledger = record_delivery(ledger, ("feed",), {}, {}, START_S + 600.0 + 4 * HOUR_S)
    assert ledger.lost_L == pytest.approx(2.0)


@given(
    st.floats(0.0, 3.0),
    st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(0.0, HOUR_S)), min_size=1, max_size=4),
    st.floats(0.1, 1.5),
)
def test_no_hour_exceeds_its_dose_after_a_bolus(
    before: float, boluses: list[tuple[float, float]], held_h: float
) -> None:
    """The flow allowed now, held as long as it may be, keeps every hour within the limit."""
    limit, now_s = 4.0, START_S + 6 * 600.0
    doses = [Dose("feed", volume, now_s - ago_s) for volume, ago_s in boluses]
    ledger = record_doses(kept([before] * 6, 600.0), doses, START_S - 1.0)
    flow = highest_flow(ledger, "feed", limit, now_s, held_h)
    if ledger.delivered_since_L("feed", now_s - HOUR_S) > limit:
        assert flow == 0.0
        return
    for ahead_h in np.linspace(0.0, min(held_h, 1.0), 200):
        past = ledger.delivered_since_L("feed", now_s + (ahead_h - 1.0) * HOUR_S)
        assert past + flow * ahead_h <= limit * (1 + 1e-6)
