"""The guard: whatever is wanted, setpoints are inside every limit."""

from dataclasses import replace
from itertools import pairwise
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.safety.guard import (
    RULES,
    GuardContext,
    contradicting_limits,
    effective_limits,
    guard,
    largest_volume_L,
)
from mpc_agent.safety.ledger import Bookings, Delivery, Ledger
from mpc_agent.safety.oxygen import OxygenWatch
from mpc_agent.values import WATER, WITHDRAWN, Dose, Origin, Setpoints
from tests.examples_safety import HELD, NOW_S, SETTINGS, context

NAMES = tuple(SETTINGS.input_limits)
ROUNDING = 1e-9

anything = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-10.0, 1000.0),
    st.sampled_from([nan, inf, -inf, 0.0, -0.0, 1e308, -1e308, 5e-324]),
)
any_mapping = st.dictionaries(st.sampled_from((*NAMES, "stirrer")), anything)
any_ranges = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.floats(), st.floats()))
flows = st.floats(0.0, 10.0)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Deliveries in order up to now."""
    edges = sorted(draw(st.lists(st.floats(0.0, 7000.0), min_size=2, max_size=6, unique=True)))
    spans = [(a, b) for a, b in pairwise(edges) if b - a > 1.0]
    recent = tuple(
        Delivery(NOW_S - b, NOW_S - a, {name: draw(flows) for name in SETTINGS.liquids})
        for a, b in reversed(spans)
    )
    totals = {name: draw(st.floats(0.0, 400.0)) for name in SETTINGS.liquids}
    rates = {name: draw(flows) for name in SETTINGS.liquids}
    given_doses = draw(
        st.lists(
            st.builds(
                Dose,
                st.sampled_from((*SETTINGS.liquids, WATER, WITHDRAWN)),
                st.floats(0.01, 50.0),
                st.floats(-7000.0, 100.0).map(lambda seconds: NOW_S + seconds),
            ),
            max_size=3,
        )
    )
    return Ledger(
        updated_at_s=NOW_S,
        flows_L_per_h=rates,
        totals_L=totals,
        recent=recent,
        bookings=Bookings(tuple(given_doses)),
    )


@st.composite
def contexts(draw: st.DrawFn) -> GuardContext:
    """Any plant, sane or not."""
    low_since_s = draw(st.one_of(st.none(), st.floats(NOW_S - 1e4, NOW_S + 1e4)))
    return context(
        held=draw(any_mapping),
        confirmed=draw(any_mapping),
        plant_limits=draw(any_ranges),
        ledger=draw(ledgers()),
        oxygen=OxygenWatch(low_since_s, draw(st.booleans())),
        volume_L=draw(st.one_of(st.floats(), st.floats(1400.0, 2010.0))),
        volume_deviation_L=draw(st.one_of(st.floats(), st.floats(0.0, 10.0))),
        weighed_L=draw(st.one_of(st.floats(), st.floats(1400.0, 2010.0))),
    )


def hourly_doses(setpoints: Setpoints, known: GuardContext, name: str) -> list[float]:
    """Dose of every hour that ends within the setpoints' validity, sampled finely."""
    steps = [SETTINGS.validity_s * k / 40 for k in range(1, 41)]
    return [
        known.ledger.delivered_since_L(name, NOW_S + ahead_s - 3600.0)
        + setpoints.values[name] * ahead_s / 3600.0
        for ahead_s in steps
    ]


@given(wanted=any_mapping, known=contexts())
def test_setpoints_are_inside_every_limit_for_any_input(
    wanted: dict[str, float | None], known: GuardContext
) -> None:
    setpoints = guard(wanted, {"feed": Origin.PLAN}, known)
    values = setpoints.values
    assert tuple(values) == NAMES
    assert all(isfinite(value) for value in values.values())
    limits = effective_limits(SETTINGS, known.plant_limits)
    for name, (lower, upper) in limits.items():
        configured = SETTINGS.input_limits[name]
        assert lower <= values[name] <= upper
        assert configured.lower <= values[name] <= configured.upper
    assert sum(values[name] for name in SETTINGS.gases) <= SETTINGS.max_sparge_L_per_h + ROUNDING
    validity_h = SETTINGS.validity_s / 3600.0
    for name in SETTINGS.feeds:
        total = known.ledger.total_L(name) + values[name] * validity_h
        assert total <= SETTINGS.max_dose_L[name] + ROUNDING or values[name] == 0.0
        assert max(hourly_doses(setpoints, known, name)) <= 4.0 + ROUNDING or values[name] == 0.0
    feeding = sum(values[name] for name in SETTINGS.feeds)
    inflow = feeding + known.ledger.flow_L_per_h("base")
    volume = largest_volume_L(known) + inflow * validity_h
    assert volume <= SETTINGS.max_volume_L + 1e-6 or feeding == 0.0
    assert setpoints.valid_until_s == NOW_S + SETTINGS.validity_s


@given(wanted=any_mapping, known=contexts())
def test_changes_stay_inside_the_slew_limits(
    wanted: dict[str, float | None], known: GuardContext
) -> None:
    values = guard(wanted, {}, known).values
    limits = effective_limits(SETTINGS, known.plant_limits)
    period_h = SETTINGS.period_s / 3600.0
    for name, (lower, upper) in limits.items():
        candidates = (known.held.get(name), known.confirmed.get(name), SETTINGS.safe_inputs[name])
        held = next(value for value in candidates if value is not None and isfinite(value))
        held = min(max(held, lower), upper)
        limit = SETTINGS.input_limits[name]
        assert values[name] <= held + limit.rise_per_h * period_h + ROUNDING
        fell = held - values[name]
        only_sparge = sum(values[gas] for gas in SETTINGS.gases) >= SETTINGS.max_sparge_L_per_h - 1
        if name in SETTINGS.gases and not only_sparge:
            assert fell <= limit.fall_per_h * period_h + ROUNDING


@given(wanted=any_mapping, known=contexts())
def test_every_change_has_a_clip_and_clips_chain_to_the_result(
    wanted: dict[str, float | None], known: GuardContext
) -> None:
    setpoints = guard(wanted, {}, known)
    rules = [rule for rule, _ in RULES]
    for name in NAMES:
        clips = [clip for clip in setpoints.clips if clip.input == name]
        assert [rules.index(clip.rule) for clip in clips] == sorted(
            rules.index(clip.rule) for clip in clips
        )
        asked = wanted.get(name)
        if clips:
            assert setpoints.values[name] == pytest.approx(clips[-1].allowed, rel=1e-8, abs=1e-8)
        else:
            assert setpoints.values[name] == pytest.approx(asked, rel=1e-8, abs=1e-8)


def test_what_is_inside_the_limits_passes_untouched() -> None:
    wanted = {**HELD, "glucose_feed": 1.5}
    setpoints = guard(wanted, {"feed": Origin.PLAN}, context(), ["feed: fresh plan."])
    assert setpoints.values == wanted
    assert setpoints.clips == ()
    assert setpoints.origin == {"feed": Origin.PLAN}
    assert setpoints.reasons == ("feed: fresh plan.",)


def rules_of(setpoints: Setpoints, name: str) -> list[str]:
    return [clip.rule for clip in setpoints.clips if clip.input == name]


def test_nothing_wanted_stops_feeds_and_holds_gases() -> None:
    setpoints = guard({}, {}, context())
    assert setpoints.values == {**HELD, "glucose_feed": 0.0, "amino_feed": 0.0}
    assert {clip.rule for clip in setpoints.clips} == {"finite"}


def test_without_report_of_the_plant_the_confirmed_then_the_safe_value_counts() -> None:
    wanted = {**HELD, "oxygen": 840.0, "air": nan}
    known = context(held={}, confirmed={"oxygen": 300.0})
    values = guard(wanted, {}, known).values
    assert values["oxygen"] == 300.0 + 200.0
    assert values["air"] == SETTINGS.safe_inputs["air"]


def test_feeds_fall_at_once_and_rise_slowly() -> None:
    held = {**HELD, "glucose_feed": 4.0, "amino_feed": 1.0}
    setpoints = guard({**HELD, "glucose_feed": 0.0, "amino_feed": 3.0}, {}, context(held=held))
    assert setpoints.values["glucose_feed"] == 0.0
    assert setpoints.values["amino_feed"] == 2.0
    assert rules_of(setpoints, "amino_feed") == ["change"]


def test_the_plants_tighter_range_wins_and_its_lower_end_never_keeps_a_feed_on() -> None:
    known = context(plant_limits={"glucose_feed": (0.5, 1.2), "air": (100.0, 1e9)})
    values = guard({**HELD, "glucose_feed": 1.9, "air": 90.0}, {}, known).values
    assert values["glucose_feed"] == 1.2
    assert values["air"] >= 100.0
    assert guard({}, {}, known).values["glucose_feed"] == 0.0


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({}, ()),
        ({"air": (0.0, 50.0)}, ("air",)),
        ({"air": (nan, 50.0)}, ()),
        ({"air": (50.0, 0.0)}, ()),
        ({"glucose_feed": (0.0, -1.0)}, ()),
        ({"glucose_feed": (-2.0, -1.0)}, ("glucose_feed",)),
        ({"oxygen": (900.0, 1000.0)}, ("oxygen",)),
        (
            {"oxygen": (800.0, 1000.0), "carbon_dioxide": (400.0, 500.0)},
            ("nitrogen", "carbon_dioxide", "air", "oxygen"),
        ),
    ],
)
def test_ranges_that_cannot_be_met_are_named_and_ours_are_kept(
    ranges: dict[str, tuple[float, float]], expected: tuple[str, ...]
) -> None:
    assert contradicting_limits(SETTINGS, ranges) == expected
    limits = effective_limits(SETTINGS, ranges)
    for name in expected:
        configured = SETTINGS.input_limits[name]
        assert limits[name] == (configured.lower, configured.upper)


def test_hourly_dose_counts_the_past_hour_and_the_validity_ahead() -> None:
    past = Delivery(NOW_S - 3600.0, NOW_S, {"glucose_feed": 3.0})
    known = context(
        held={**HELD, "glucose_feed": 5.6}, ledger=Ledger(updated_at_s=NOW_S, recent=(past,))
    )
    setpoints = guard({**HELD, "glucose_feed": 5.6}, {}, known)
    assert setpoints.values["glucose_feed"] == pytest.approx((4.0 - 1.5) / 0.5)
    assert rules_of(setpoints, "glucose_feed") == ["hourly dose"]


def test_total_dose_stops_the_feed_in_the_end() -> None:
    ledger = Ledger(updated_at_s=NOW_S, totals_L={"glucose_feed": 299.9, "amino_feed": 351.0})
    setpoints = guard(HELD, {}, context(ledger=ledger))
    assert setpoints.values["glucose_feed"] == pytest.approx(0.2)
    assert setpoints.values["amino_feed"] == 0.0
    assert rules_of(setpoints, "amino_feed") == ["total dose"]


def test_volume_headroom_counts_two_deviations_and_base() -> None:
    ledger = Ledger(updated_at_s=NOW_S, flows_L_per_h={"base": 1.0})
    known = context(volume_L=1999.0, volume_deviation_L=1.0, ledger=ledger)
    setpoints = guard({**HELD, "glucose_feed": 1.5, "amino_feed": 0.5}, {}, known)
    assert setpoints.values["glucose_feed"] == pytest.approx(0.75)
    assert setpoints.values["amino_feed"] == pytest.approx(0.25)
    assert rules_of(setpoints, "glucose_feed") == ["volume"]
    full = guard(HELD, {}, replace(known, volume_L=2003.0)).values
    assert (full["glucose_feed"], full["amino_feed"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("volume_L", "deviation_L"), [(nan, 1.0), (1500.0, nan), (1500.0, -1.0), (-3.0, 0.0)]
)
def test_an_estimate_that_cannot_be_trusted_leaves_the_balance(
    volume_L: float, deviation_L: float
) -> None:
    ledger = Ledger(updated_at_s=NOW_S, totals_L={"glucose_feed": 290.0, "base": 312.0})
    known = context(volume_L=volume_L, volume_deviation_L=deviation_L, ledger=ledger)
    assert largest_volume_L(known) == 2002.0
    assert guard(HELD, {}, known).values["amino_feed"] == 0.0


def test_the_scale_is_believed_when_a_booking_makes_room_that_is_not_there() -> None:
    withdrawn = Dose(WITHDRAWN, 500.0, NOW_S - 60.0)
    ledger = Ledger(updated_at_s=NOW_S, bookings=Bookings((withdrawn,)))
    fooled = context(volume_L=1500.0, volume_deviation_L=1.0, ledger=ledger)
    assert largest_volume_L(fooled) == 1502.0
    assert guard(HELD, {}, fooled).values["amino_feed"] > 0.0
    weighed = replace(fooled, weighed_L=2002.5)
    assert largest_volume_L(weighed) == 2002.5
    assert guard(HELD, {}, weighed).values["amino_feed"] == 0.0
    # A scale that shows less, or nothing, makes no room.
    for weighed_L in (10.0, nan):
        assert largest_volume_L(replace(fooled, weighed_L=weighed_L)) == 1502.0


def test_gases_give_way_in_the_configured_order() -> None:
    held = {**HELD, "nitrogen": 50.0, "carbon_dioxide": 100.0, "air": 336.0, "oxygen": 840.0}
    setpoints = guard(held, {}, context(held=held))
    assert setpoints.values["nitrogen"] == 0.0
    assert setpoints.values["carbon_dioxide"] == pytest.approx(24.0)
    assert setpoints.values["oxygen"] == 840.0
    assert rules_of(setpoints, "nitrogen") == ["sparge"]


def test_oxygen_rule_cuts_feeds_at_once_and_does_not_compound() -> None:
    short = OxygenWatch(low_since_s=NOW_S - 1200.0)
    held = {**HELD, "oxygen": 840.0}
    known = context(oxygen=short, held=held)
    wanted = {**held, "glucose_feed": 1.0}
    first = guard(wanted, {}, known)
    assert first.values["glucose_feed"] == 0.25
    assert rules_of(first, "glucose_feed") == ["oxygen"]
    second = guard(wanted, {}, replace(known, held=first.values))
    assert second.values["glucose_feed"] == 0.25


@pytest.mark.parametrize(
    ("low_s", "missing", "held", "cut"),
    [
        (1199.0, False, {"oxygen": 840.0}, False),
        (1200.0, False, {"oxygen": 840.0}, True),
        (1200.0, False, {"oxygen": 800.0, "carbon_dioxide": 60.0}, True),
        (1200.0, False, {"oxygen": 700.0}, False),
        (1200.0, True, {"oxygen": 100.0}, True),
        (1199.0, True, {"oxygen": 840.0}, False),
        (2400.0, False, {"oxygen": 100.0}, True),
    ],
)
def test_oxygen_rule_waits_for_its_grace_and_for_exhausted_gases(
    low_s: float, missing: bool, held: dict[str, float], cut: bool
) -> None:
    held = {**HELD, **held}
    known = context(oxygen=OxygenWatch(NOW_S - low_s, missing), held=held)
    values = guard(held, {}, known).values
    assert values["glucose_feed"] == (0.25 if cut else 1.0)


def test_where_the_agent_does_not_set_oxygen_low_oxygen_alone_cuts() -> None:
    settings = replace(SETTINGS, oxygen_gas=None)
    known = context(settings=settings, oxygen=OxygenWatch(NOW_S - 1200.0))
    assert guard(HELD, {}, known).values["amino_feed"] == 0.25


def test_an_input_without_limits_is_not_written() -> None:
    setpoints = guard({**HELD, "stirrer": 100.0}, {}, context())
    assert "stirrer" not in setpoints.values
    assert setpoints.reasons == ("stirrer has no limits and is not written.",)


def test_text_and_huge_integers_are_no_setpoints() -> None:
    wanted = {**HELD, "glucose_feed": "much", "amino_feed": 10**400}
    values = guard(wanted, {}, context()).values  # type: ignore[arg-type]
    assert (values["glucose_feed"], values["amino_feed"]) == (0.0, 0.0)


# ------------------------------------------------------------------ doses by hand


def booked(*doses: Dose) -> Ledger:
    """A ledger of these bookings alone."""
    return Ledger(updated_at_s=NOW_S, bookings=Bookings(doses))


def test_a_bolus_counts_into_the_hour_and_the_batch() -> None:
    wanted = {"glucose_feed": 5.6, "amino_feed": 5.6}
    hour = guard(wanted, {}, context(ledger=booked(Dose("glucose_feed", 3.9, NOW_S - 600.0))))
    # 0.1 L are left for the half hour that the setpoints hold.
    assert hour.values["glucose_feed"] == pytest.approx(0.2)
    assert {(clip.input, clip.rule) for clip in hour.clips} >= {("glucose_feed", "hourly dose")}
    batch = guard(wanted, {}, context(ledger=booked(Dose("glucose_feed", 299.9, NOW_S - 1e5))))
    assert batch.values["glucose_feed"] == pytest.approx(0.2)
    assert batch.values["amino_feed"] == pytest.approx(
        guard(wanted, {}, context()).values["amino_feed"]
    )


def test_the_balance_counts_doses_and_samples_where_the_estimate_is_not_trusted() -> None:
    ledger = booked(
        Dose("glucose_feed", 10.0, NOW_S - 9e4),
        Dose(WATER, 5.0, NOW_S - 9e4),
        Dose(WITHDRAWN, 2.0, NOW_S - 9e4),
    )
    blind = context(ledger=ledger, volume_L=nan)
    assert largest_volume_L(blind) == pytest.approx(SETTINGS.initial_volume_L + 13.0)
