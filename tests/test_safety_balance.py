"""The balance of weight and ledger, and pumps that deliver other than they show."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.codec import decode, encode
from mpc_agent.safety.balance import (
    FEWEST_WEIGHINGS,
    MASS_BALANCE,
    WEIGHINGS,
    MassBalance,
    drifting_pumps,
    imbalance,
    reliefs,
    weigh,
)
from mpc_agent.safety.ledger import HOUR_S, Ledger, losing, record_delivery, record_doses
from mpc_agent.safety.settings import BalanceSettings
from mpc_agent.values import WATER, WITHDRAWN, Dose, Estimate, Severity
from tests import record_values
from tests.examples_safety import SETTINGS as SAFETY

START_S = 1_767_600_000.0
INITIAL_L = 1400.0
CYCLE_S = 600.0
SETTINGS = BalanceSettings("weight", density_kg_per_L=1.02, absolute_kg=5.0, relative=0.05)
LIQUIDS = ("glucose_feed", "base")

flows = st.floats(0.0, 10.0)
doses = st.builds(
    Dose,
    st.sampled_from([*LIQUIDS, WATER, WITHDRAWN]),
    st.floats(0.01, 20.0),
    st.floats(1.0, 24 * HOUR_S).map(lambda seconds: START_S + seconds),
)


def followed(
    weights_kg: Sequence[float],
    ledger: Ledger,
    balance: MassBalance | None = None,
    start_s: float = START_S,
) -> MassBalance:
    """The balance after these weights, one per cycle, with the ledger as it stands."""
    balance = MassBalance() if balance is None else balance
    for k, weight_kg in enumerate(weights_kg):
        now_s = start_s + k * CYCLE_S
        balance = weigh(balance, ledger, weight_kg, now_s, SETTINGS, INITIAL_L)
    return balance


def pumped(flow_L_per_h: float, hours: float, loss_L_per_h: float = 0.0) -> Ledger:
    """A ledger of one feed and a loss, both steady."""
    ledger = losing(record_delivery(Ledger(), LIQUIDS, {}, {}, START_S), loss_L_per_h)
    return record_delivery(
        ledger, LIQUIDS, {"glucose_feed": flow_L_per_h}, {}, START_S + hours * HOUR_S
    )


def estimate(gain: float, deviation: float, *, healthy: bool = True) -> Estimate:
    """An estimate of one gain, in the last place."""
    plain = record_values.estimate(START_S)
    mean, deviations = plain.mean.copy(), np.full(len(plain.mean), 0.1)
    mean[-1], deviations[-1] = gain, deviation
    return replace(plain, mean=mean, deviation=deviations, healthy=healthy)


def told_of(
    gain: float, deviation: float, told: Sequence[str] = (), *, healthy: bool = True
) -> dict[str, str]:
    """Texts by key of the alarms of one pump."""
    found = drifting_pumps(
        estimate(gain, deviation, healthy=healthy), {"glucose_feed": -1}, 0.05, told
    )
    assert all(event.severity is Severity.ALARM for event in found.values())
    return {key: event.text for key, event in found.items()}


# ------------------------------------------------------------------ sums


@given(
    st.lists(st.tuples(flows, flows, flows), min_size=1, max_size=30),
    st.lists(doses, max_size=10),
    st.integers(1, 3),
)
def test_what_went_in_less_what_went_out_is_what_is_there(
    cycles: list[tuple[float, float, float]], given_doses: list[Dose], scans: int
) -> None:
    """However often a booking is seen, the residual of the true mass is nothing."""
    ledger = record_delivery(Ledger(), LIQUIDS, {}, {}, START_S)
    step_h, true_L = 24.0 / len(cycles), INITIAL_L
    for k, (feed, base, loss) in enumerate(cycles):
        shown = {"glucose_feed": feed, "base": base}
        ledger = losing(ledger, loss)
        ledger = record_delivery(ledger, LIQUIDS, shown, {}, START_S + (k + 1) * step_h * HOUR_S)
        true_L += (feed + base - loss) * step_h
        for _ in range(scans):
            ledger = record_doses(ledger, given_doses, START_S)
    counted = {(dose.what, dose.given_at_s): dose for dose in given_doses}.values()
    into = sum(dose.volume_L for dose in counted if dose.what != WITHDRAWN)
    out = sum(dose.volume_L for dose in counted if dose.what == WITHDRAWN)
    assert ledger.withdrawn_L == pytest.approx(out)
    assert ledger.delivered_L == pytest.approx(ledger.pumped_L + into)
    weight_kg = SETTINGS.density_kg_per_L * (true_L + into - out)
    weighed = followed([weight_kg] * WEIGHINGS, ledger, start_s=START_S + 25 * HOUR_S)
    assert weighed.expected_kg == pytest.approx(weight_kg, rel=1e-12)
    assert weighed.residual_kg == pytest.approx(0.0, abs=1e-8)
    assert not weighed.exceeded


@given(st.floats(-200.0, 200.0))
def test_the_residual_is_what_the_scale_shows_too_much(surplus_kg: float) -> None:
    ledger = pumped(2.0, 24.0)
    weighed = followed([1.02 * 1448.0 + surplus_kg] * WEIGHINGS, ledger)
    assert weighed.residual_kg == pytest.approx(surplus_kg, abs=1e-9)
    assert weighed.exceeded == (abs(weighed.residual_kg or 0.0) > SETTINGS.absolute_kg)


def test_the_limit_grows_with_what_was_delivered() -> None:
    assert followed([1428.0], pumped(0.0, 24.0)).limit_kg == 5.0
    limit_kg = followed([1428.0], pumped(5.0, 100.0)).limit_kg
    assert limit_kg == pytest.approx(0.05 * 1.02 * 500.0)
    # A bolus counts as delivered, a sample does not.
    ledger = record_doses(
        Ledger(),
        [Dose("base", 200.0, START_S + 1), Dose(WITHDRAWN, 50.0, START_S + 2)],
        START_S,
    )
    assert followed([1428.0], ledger).limit_kg == pytest.approx(0.05 * 1.02 * 200.0)


# ------------------------------------------------------------------ weights


def test_a_few_weights_say_nothing_yet() -> None:
    ledger = pumped(0.0, 1.0)
    weighed = followed([1500.0] * (FEWEST_WEIGHINGS - 1), ledger)
    assert weighed.residual_kg is None
    assert not weighed.exceeded
    assert weighed.expected_kg == pytest.approx(1428.0)
    assert weighed.measured_kg == 1500.0
    assert followed([1500.0] * FEWEST_WEIGHINGS, ledger).exceeded


def test_single_spikes_of_the_scale_raise_no_alarm() -> None:
    spiky = [1428.0, 1900.0, 1428.5, 1427.5, 0.0, 1428.0, 1900.0]
    weighed = followed(spiky, pumped(0.0, 1.0))
    assert weighed.residual_kg == pytest.approx(0.0, abs=1e-9)


def test_without_a_weight_the_balance_stays_as_it_was() -> None:
    weighed = followed([1431.0] * WEIGHINGS, pumped(0.0, 1.0))
    blind = followed([nan] * 5, pumped(0.0, 1.0), weighed, START_S + 2 * HOUR_S)
    assert blind == weighed


def test_short_cycles_do_not_crowd_out_the_last_hour() -> None:
    balance, ledger = MassBalance(), pumped(0.0, 1.0)
    for k in range(3600):
        balance = weigh(balance, ledger, 1428.0, START_S + k, SETTINGS, INITIAL_L)
    assert len(balance.recent) == WEIGHINGS
    assert balance.recent[-1].time_s - balance.recent[0].time_s >= 1800.0


def test_a_booking_that_comes_late_leaves_no_trace() -> None:
    """The weights before it already show it, so that it counts where it was given."""
    ledger = pumped(0.0, 1.0)
    given_at_s = START_S + 2.5 * CYCLE_S
    heavier = [1428.0] * 3 + [1428.0 + 1.02 * 10.0] * 4
    unbooked = followed(heavier, ledger)
    assert unbooked.residual_kg == pytest.approx(10.2)
    ledger = record_doses(ledger, [Dose("glucose_feed", 10.0, given_at_s)], START_S)
    booked = followed([1438.2], ledger, unbooked, START_S + 7 * CYCLE_S)
    assert booked.residual_kg == pytest.approx(0.0, abs=1e-9)
    assert not booked.exceeded


# ------------------------------------------------------------------ late starts


def test_a_batch_that_began_without_the_agent_starts_from_its_first_weights() -> None:
    ledger = pumped(2.0, 1.0)
    noise = [0.0, 0.4, -0.4, 0.2, -0.2, 0.1, -0.1]
    weighed = followed([1600.0 + x for x in noise], ledger, MassBalance(late=True))
    assert weighed.residual_kg == pytest.approx(0.0, abs=1e-9)
    assert weighed.expected_kg == pytest.approx(1600.0)
    ledger = record_doses(ledger, [Dose(WATER, 10.0, START_S + HOUR_S)], START_S)
    later_s = START_S + 2 * HOUR_S
    unmoved = followed([1600.0] * WEIGHINGS, ledger, weighed, later_s)
    assert unmoved.residual_kg == pytest.approx(-10.2)
    assert unmoved.exceeded
    moved = followed([1610.2] * WEIGHINGS, ledger, unmoved, later_s + 2 * HOUR_S)
    assert moved.residual_kg == pytest.approx(0.0, abs=1e-9)
    # What was given before the first weight is in it, whenever it is booked.
    ledger = record_doses(ledger, [Dose(WATER, 30.0, START_S - HOUR_S)], START_S - 24 * HOUR_S)
    booked = followed([1610.2], ledger, moved, later_s + 4 * HOUR_S)
    assert booked.residual_kg == pytest.approx(0.0, abs=1e-9)


# ------------------------------------------------------------------ alarms


def test_an_imbalance_is_an_alarm_until_it_is_well_below_its_limit() -> None:
    ledger = pumped(0.0, 1.0)
    weighed, exceeded = MassBalance(), []
    for k, surplus_kg in enumerate((4.9, 5.1, 4.9, 4.1, 3.9, 4.9, -5.1)):
        start_s = START_S + k * 2 * HOUR_S
        weighed = followed([1428.0 + surplus_kg] * WEIGHINGS, ledger, weighed, start_s)
        exceeded.append(weighed.exceeded)
    assert exceeded == [False, True, True, True, False, False, True]
    (event,) = imbalance(weighed).values()
    assert event.code == MASS_BALANCE
    assert event.severity is Severity.ALARM
    assert "weighs 5.1 kg less than the ledger accounts for (5 kg are allowed)" in event.text
    assert not imbalance(MassBalance())


def test_what_is_over_is_told_once() -> None:
    told = (MASS_BALANCE, "PUMP_DRIFT glucose_feed", "some words of the plant", "air")
    assert not list(reliefs(told, told))
    assert not list(reliefs((), told))
    codes = [event.code for event in reliefs(told, ())]
    assert codes == ["MASS_BALANCE_CLEARED", "PUMP_DRIFT_CLEARED"]
    assert [event.code for event in reliefs(told, told[:1])] == ["PUMP_DRIFT_CLEARED"]


def test_a_pump_that_delivers_more_than_it_shows_is_told() -> None:
    assert told_of(1.072, 0.011) == {
        "PUMP_DRIFT glucose_feed": (
            "glucose_feed delivers 7.2 +/- 1.1 % more than it shows: check the pump."
        )
    }
    (text,) = told_of(0.9, 0.01).values()
    assert "10.0 +/- 1.0 % less than it shows" in text


@pytest.mark.parametrize(
    ("gain", "deviation", "healthy"),
    [(1.0, 0.001, True), (1.049, 0.001, True), (1.072, 0.03, True), (1.2, 0.01, False)],
)
def test_no_alarm_of_what_is_small_uncertain_or_not_trusted(
    gain: float, deviation: float, healthy: bool
) -> None:
    assert not told_of(gain, deviation, healthy=healthy)


@pytest.mark.parametrize(
    ("gain", "healthy", "lasts"),
    [(1.045, True, True), (1.039, True, False), (1.0, False, True), (nan, True, False)],
)
def test_a_drift_lasts_until_it_is_well_below_its_limit(
    gain: float, healthy: bool, lasts: bool
) -> None:
    told = ["PUMP_DRIFT glucose_feed"]
    assert bool(told_of(gain, 0.03, told, healthy=healthy)) == lasts


def test_a_site_may_want_no_alarm_of_pumps() -> None:
    assert not drifting_pumps(estimate(1.5, 0.01), {"glucose_feed": -1}, None, ())


# ------------------------------------------------------------------ settings and record


def test_impossible_settings_are_refused() -> None:
    wrong = BalanceSettings("weight", density_kg_per_L=0.0, absolute_kg=nan, relative=-0.1)
    with pytest.raises(ValueError, match="balance: density_kg_per_L must be positive") as caught:
        replace(SAFETY, balance=wrong, max_pump_drift=0.0)
    for name in ("absolute_kg", "relative", "max_pump_drift"):
        assert name in str(caught.value)


def test_ledger_and_balance_survive_the_record() -> None:
    ledger = record_doses(pumped(1.0, 2.0, 0.1), [Dose(WITHDRAWN, 0.2, START_S + HOUR_S)], START_S)
    assert decode(encode(ledger), Ledger) == ledger
    balance = followed([1430.0] * WEIGHINGS, ledger, MassBalance(late=True))
    assert decode(encode(balance), MassBalance) == balance
