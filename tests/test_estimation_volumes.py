"""Liquid beside what the pumps show: boluses, water, evaporation, broth taken out."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import nan

import numpy as np
import pytest

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.history import History, advance, begin
from mpc_agent.estimation.timeline import DOSE_S
from mpc_agent.values import WATER, WITHDRAWN, Dose, Floats, Sample, Verdict
from plant_models.cho_mab import CORE
from tests.examples_core import (
    PERIOD_H,
    START_S,
    core_filter,
    core_settings,
    cycle_s,
    predict,
    same,
    sample,
    scanned,
    step,
)

NO_FEED = np.zeros(2)
VOLUME = CORE.state_names.index("volume")
DISSOLVED = [i for i in range(len(CORE.states)) if i != VOLUME]


@cache
def lossy() -> ExtendedKalmanFilter:
    """Evaporates a fifth of a litre an hour, and half a litre goes with each drawing."""
    settings = replace(core_settings(), evaporation_L_per_h=0.2, sample_volume_L=0.5)
    return ExtendedKalmanFilter(settings, PERIOD_H)


def run(
    kalman: ExtendedKalmanFilter,
    cycles: int,
    doses: Sequence[Dose] = (),
    samples: Sequence[Sample] = (),
    known_at: int = 0,
    flow: Floats = NO_FEED,
) -> History:
    """Cycles without a measurement; doses and samples are seen from one of them on."""
    history = begin(kalman, START_S, NO_FEED)
    for number in range(cycles + 1):
        seen = scanned(kalman.settings.signals, [nan, nan], number, flow)
        offered, poured = (samples, doses) if number >= known_at else ((), ())
        history = advance(kalman, history, cycle_s(number), seen, offered, poured).history
    return history


def by_rows(kalman: ExtendedKalmanFilter, rows: Sequence[tuple[float, list[float]]]) -> Belief:
    """Belief after rows of these lengths in hours and flows."""
    belief = kalman.initial(NO_FEED)
    for length_h, flow in rows:
        belief = predict(kalman, belief, np.array(flow), length_h)
    return belief


@pytest.mark.parametrize("known_at", [2, 6])
@pytest.mark.parametrize("minutes", [10.0, 12.5, 19.5])
def test_a_bolus_is_the_same_flow_read_from_the_pump(known_at: int, minutes: float) -> None:
    """Booked in time or an hour later; within a cycle, at its beginning, and across its end."""
    core = core_filter()
    bolus = Dose("glucose_feed", 3.0, START_S + 60 * minutes)
    booked = run(core, 6, [bolus], known_at=known_at, flow=np.array([0.5, 0.1]))
    flowing_h = DOSE_S / 3600
    with_bolus = [0.5 + 3.0 / flowing_h, 0.1]
    edges = sorted({10 * i / 60 for i in range(7)} | {minutes / 60, minutes / 60 + flowing_h})
    rows = [
        (
            later - earlier,
            with_bolus if minutes / 60 <= earlier < minutes / 60 + flowing_h - 1e-9 else [0.5, 0.1],
        )
        for earlier, later in pairwise(edges)
    ]
    expected = by_rows(core, rows)
    np.testing.assert_allclose(booked.belief.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(booked.belief.deviation, expected.deviation, rtol=1e-6)
    gained = booked.belief.mean[VOLUME] - run(core, 6, flow=np.array([0.5, 0.1])).belief.mean[0]
    assert gained == pytest.approx(3.0)


def test_a_booking_seen_again_is_poured_once() -> None:
    core = core_filter()
    bolus = Dose("glucose_feed", 3.0, START_S + 700)
    history = run(core, 6, [bolus, bolus], known_at=2)
    assert history.book.doses == (bolus,)


@pytest.mark.parametrize(
    "dose",
    [
        Dose("glucose_feed", 3.0, START_S - 60),
        Dose("glucose_feed", 3.0, START_S + 1e9),
        Dose("glucose_feed", nan, START_S + 60),
        Dose("glucose_feed", -1.0, START_S + 60),
        Dose("glucose_feed", 3.0, nan),
        Dose("milk", 3.0, START_S + 60),
    ],
)
def test_a_booking_that_cannot_be_poured_changes_nothing(dose: Dose) -> None:
    core = core_filter()
    history = run(core, 3, [dose])
    assert history.book.doses == ()
    assert same(history.belief, run(core, 3).belief)


def test_water_dilutes_everything_dissolved_mean_and_deviation() -> None:
    core = core_filter()
    start = core.initial(NO_FEED)
    moment_h = 1e-9
    plain = predict(core, start, NO_FEED, moment_h)
    watered = predict(core, start, NO_FEED, moment_h, water_L=200.0)
    kept = 1400 / 1600
    assert watered.mean[VOLUME] == pytest.approx(1600)
    assert watered.mean[DISSOLVED] == pytest.approx(kept * plain.mean[DISSOLVED])
    assert watered.mean[8:] == pytest.approx(plain.mean[8:])
    # A litre more before is a litre more after, in which each concentration is diluted less.
    slope = start.mean[:8] * 200 / 1600**2
    expected = np.hypot(kept * plain.deviation[:8], slope)
    assert watered.deviation[VOLUME] == pytest.approx(plain.deviation[VOLUME])
    assert watered.deviation[DISSOLVED] == pytest.approx(expected[DISSOLVED], rel=1e-6)


def test_broth_taken_out_leaves_concentrations() -> None:
    core = core_filter()
    start = core.initial(NO_FEED)
    drawn = predict(core, start, NO_FEED, 1e-9, withdrawn_L=100.0)
    plain = predict(core, start, NO_FEED, 1e-9)
    assert drawn.mean[VOLUME] == pytest.approx(1300)
    assert drawn.mean[1:] == pytest.approx(plain.mean[1:], rel=1e-12)
    np.testing.assert_allclose(drawn.covariance, plain.covariance, rtol=1e-7, atol=1e-12)


def test_bookings_of_water_and_withdrawals_act_at_their_time() -> None:
    core = core_filter()
    doses = [Dose(WATER, 20.0, START_S + 900), Dose(WITHDRAWN, 30.0, START_S + 2100)]
    told = run(core, 6, doses, known_at=5).belief
    belief = core.initial(NO_FEED)
    belief = predict(core, belief, NO_FEED, PERIOD_H)
    belief = predict(core, belief, NO_FEED, PERIOD_H / 2)
    belief = predict(core, belief, NO_FEED, PERIOD_H / 2, water_L=20.0)
    belief = predict(core, belief, NO_FEED, PERIOD_H)
    belief = predict(core, belief, NO_FEED, PERIOD_H / 2)
    belief = predict(core, belief, NO_FEED, PERIOD_H / 2, withdrawn_L=30.0)
    belief = predict(core, belief, NO_FEED, 2 * PERIOD_H)
    np.testing.assert_allclose(told.mean, belief.mean, rtol=1e-9)
    np.testing.assert_allclose(told.deviation, belief.deviation, rtol=1e-7)


def test_evaporation_takes_water_and_leaves_the_rest() -> None:
    belief, plain = run(lossy(), 60).belief, run(core_filter(), 60).belief
    assert belief.mean[VOLUME] == pytest.approx(1400 - 0.2 * 60 * PERIOD_H)
    # Products per litre rise as the volume falls; consumption differs by next to nothing.
    ratio = plain.mean[VOLUME] / belief.mean[VOLUME]
    assert belief.mean[DISSOLVED] == pytest.approx(ratio * plain.mean[DISSOLVED], rel=2e-4)


def test_each_drawing_takes_its_volume_once_however_many_assays_it_has() -> None:
    both = [sample("glucose", 30.0, 0.25), sample("lactate", 1.0, 0.25)]
    at_a_scan = sample("glucose", 30.0, 2 * PERIOD_H)
    belief = run(lossy(), 6, samples=[*both, at_a_scan], known_at=4).belief
    assert belief.mean[VOLUME] == pytest.approx(1400 - 0.2 * 6 * PERIOD_H - 2 * 0.5, abs=1e-3)


def test_a_sample_is_what_the_vessel_held_before_it_was_drawn() -> None:
    """The volume goes after the drawing; a sample at the newest scan goes with the next row."""
    samples = [sample("glucose", 30.0, 2 * PERIOD_H)]
    before, after = (run(lossy(), cycles, samples=samples).belief for cycles in (2, 3))
    assert before.mean[VOLUME] == pytest.approx(1400 - 0.2 * 2 * PERIOD_H, abs=1e-3)
    assert after.mean[VOLUME] == pytest.approx(1400 - 0.2 * 3 * PERIOD_H - 0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("water_L", "withdrawn_L"), [(0.0, 2000.0), (0.0, 1400.0), (-1e6, 0.0), (-1000.0, 500.0)]
)
def test_a_loss_of_more_than_there_is_is_not_believed(water_L: float, withdrawn_L: float) -> None:
    core = core_filter()
    before = core.initial(NO_FEED)
    lost = {"water_L": water_L, "withdrawn_L": withdrawn_L}
    told = step(core, before, NO_FEED, PERIOD_H, None, **lost)
    assert not told.sound
    assert same(told.belief, before)


@pytest.mark.parametrize("place", range(2))
def test_a_bolus_is_as_certain_when_a_pump_moved_by_itself_meanwhile(place: int) -> None:
    """How little is known of a pump says nothing of what was booked beside it."""
    core, moved = core_filter(), np.zeros(2)
    moved[place] = 0.01
    seen = scanned(core.settings.signals, [nan, nan], 1, NO_FEED)
    bolus = [Dose("amino_feed", 5.0, START_S + 100)]
    still, restless = (
        advance(core, run(core, 0), cycle_s(1), one, (), bolus).description
        for one in (seen, replace(seen, inputs_before=moved))
    )
    assert restless.mean[VOLUME] == pytest.approx(1405.0, abs=1e-3)
    assert restless.deviation[VOLUME] == pytest.approx(still.deviation[VOLUME], abs=1e-5)


def test_a_late_booking_does_not_make_a_sample_stale() -> None:
    core = core_filter()
    history = run(core, 5)
    seen = scanned(core.settings.signals, [nan, nan], 6, NO_FEED)
    bolus, drawn = Dose("amino_feed", 1.0, START_S + 600), sample("glucose", 29.0, 0.5)
    told = advance(core, history, cycle_s(6), seen, [drawn], [bolus])
    assert [item.verdict for item in told.samples] == [Verdict.OK]
