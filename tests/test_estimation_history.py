"""Late samples: where they are fused, and that the order of their arrival does not matter."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.history import (
    CHAPTER_STEPS,
    Advance,
    Chapter,
    History,
    advance,
    begin,
)
from mpc_agent.values import Floats, Sample, Verdict
from tests.examples_core import (
    PERIOD_H,
    START_S,
    core_filter,
    linear_filter,
    linear_settings,
    signal,
)

PERIOD_S = 3600 * PERIOD_H
FEED = np.array([0.3])
NOTHING = np.full(3, np.nan)


@pytest.fixture(scope="module")
def linear() -> ExtendedKalmanFilter:
    return linear_filter()


@pytest.fixture(scope="module")
def gated() -> ExtendedKalmanFilter:
    """Refuses readily, so that the counts of refusals matter too."""
    return ExtendedKalmanFilter(
        linear_settings(
            signals=tuple(signal(name, 0.2, gate=2.0) for name in ("level", "first", "second")),
            assays=(
                signal("assay", 0.05, gate=1.0, readmit_after=2),
                signal("second", 0.05, gate=1.0, readmit_after=2),
            ),
        ),
        PERIOD_H,
    )


def assay(value: float, hours: float, analyte: str = "assay") -> Sample:
    drawn_at_s = START_S + 3600 * hours
    return Sample(analyte, value, "1", drawn_at_s, drawn_at_s + 60, "lab")


def cycle_s(number: int) -> float:
    return START_S + PERIOD_S * number


def measured(number: int) -> Floats:
    """What the probes say in a cycle: anything, but always the same."""
    return np.random.default_rng(number).normal([10.0, 1.0, 1.0], 0.5)


def started(kalman: ExtendedKalmanFilter) -> History:
    return begin(kalman, START_S, FEED)


def live(
    kalman: ExtendedKalmanFilter,
    arrivals: Sequence[Sequence[Sample]],
    history: History | None = None,
) -> list[Advance]:
    """One cycle after the other; `arrivals` are the samples that each cycle sees."""
    history = history or started(kalman)
    told = []
    for number, offered in enumerate(arrivals):
        feed = np.array([0.1 + 0.05 * (number % 5)])
        told.append(advance(kalman, history, cycle_s(number), feed, measured(number), offered))
        history = told[-1].history
    return told


def same(one: Belief, other: Belief) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in Belief.__slots__
    )


CYCLES = 24
DRAWN_H = (0.0, 0.4, 0.5, 1.7, 1.7, 3.02)
SAMPLES = tuple(
    assay(value, hours, analyte)
    for value, hours, analyte in zip(
        (0.4, 3.0, 0.2, -0.5, 2.0, 0.1),
        DRAWN_H,
        ("assay", "assay", "second", "assay", "second", "assay"),
        strict=True,
    )
)


@given(delays=st.lists(st.integers(0, CYCLES - 1), min_size=6, max_size=6))
@settings(max_examples=40)
def test_any_order_of_arrival_gives_the_belief_of_arrival_in_order(
    gated: ExtendedKalmanFilter, delays: list[int]
) -> None:
    def last_belief(waits: list[int]) -> Belief:
        arrivals: list[list[Sample]] = [[] for _ in range(CYCLES)]
        for sample, wait in zip(SAMPLES, waits, strict=True):
            first = int(np.ceil((sample.drawn_at_s - START_S) / PERIOD_S))
            arrivals[min(first + wait, CYCLES - 1)].append(sample)
        return live(gated, arrivals)[-1].history.last.belief

    assert same(last_belief(delays), last_belief([0] * 6))


def test_the_order_within_a_scan_does_not_matter(gated: ExtendedKalmanFilter) -> None:
    one = live(gated, [[], [], SAMPLES[:3]])[-1]
    other = live(gated, [[], [], SAMPLES[2::-1]])[-1]
    assert same(one.history.last.belief, other.history.last.belief)
    assert one.history.book == other.history.book


def test_a_sample_is_fused_at_the_time_it_was_drawn(linear: ExtendedKalmanFilter) -> None:
    told = live(linear, [[], [], [], [], [assay(0.7, 0.25)], []])
    by_hand = live(linear, [[], []])[-1].history.last.belief
    # Cycle 2 would be at 20 minutes; the sample was drawn at 15.
    feeds = [np.array([0.1 + 0.05 * number]) for number in range(6)]
    by_hand = linear.predict(by_hand, feeds[2], 5 / 60)
    update = linear.fuse_assays(by_hand, feeds[2], np.array([0.7]))
    by_hand = linear.predict(update.belief, feeds[2], 5 / 60)
    for number in (2, 3, 4, 5):
        if number > 2:
            by_hand = linear.predict(by_hand, feeds[number % 5], PERIOD_H)
        by_hand = linear.fuse_online(by_hand, feeds[number % 5], measured(number)).belief
    np.testing.assert_allclose(told[-1].history.last.belief.mean, by_hand.mean, rtol=1e-12)
    np.testing.assert_allclose(
        told[-1].history.last.belief.factor, by_hand.factor, rtol=1e-9, atol=1e-12
    )
    (result,) = told[4].samples
    assert result.verdict is Verdict.OK
    assert result.innovation == pytest.approx(float(update.innovations[0]))
    assert told[5].samples == ()


def test_a_late_sample_moves_the_present(linear: ExtendedKalmanFilter) -> None:
    without = live(linear, [[]] * 6)[-1].history.last.belief
    with_sample = live(linear, [[]] * 5 + [[assay(0.7, 0.25)]])[-1].history.last.belief
    assert not np.allclose(without.mean, with_sample.mean)


def test_a_sample_of_the_inoculum_is_fused(linear: ExtendedKalmanFilter) -> None:
    at_once = live(linear, [[assay(0.7, 0.0)], [], []])
    late = live(linear, [[], [], [assay(0.7, 0.0)]])
    assert [result.verdict for result in at_once[0].samples] == [Verdict.OK]
    assert [result.verdict for result in late[2].samples] == [Verdict.OK]
    assert same(at_once[-1].history.last.belief, late[-1].history.last.belief)


def test_a_sample_that_stays_visible_is_fused_once(linear: ExtendedKalmanFilter) -> None:
    once = live(linear, [[], [], [assay(0.7, 0.25)], [], []])
    always = live(linear, [[], [], *[[assay(0.7, 0.25)]] * 3])
    assert same(once[-1].history.last.belief, always[-1].history.last.belief)
    assert [len(told.samples) for told in always] == [0, 0, 1, 0, 0]
    assert always[-1].history.book is always[2].history.book


def test_a_corrected_result_replaces_the_one_before(linear: ExtendedKalmanFilter) -> None:
    wrong, right = assay(7.0, 0.25), assay(0.7, 0.25)
    corrected = live(linear, [[], [], [wrong], [], [right], [right]])
    told_right = live(linear, [[], [], [right], [], [], []])
    assert same(corrected[-1].history.last.belief, told_right[-1].history.last.belief)
    assert [len(told.samples) for told in corrected] == [0, 0, 1, 0, 1, 0]
    assert corrected[-1].history.book.samples == (right,)


def test_of_two_versions_in_one_scan_the_last_counts(linear: ExtendedKalmanFilter) -> None:
    wrong, right = assay(7.0, 0.25), assay(0.7, 0.25)
    told = live(linear, [[], [], [wrong, right]])
    expected = live(linear, [[], [], [right]])
    assert same(told[-1].history.last.belief, expected[-1].history.last.belief)
    assert [result.sample for result in told[-1].samples] == [right]


@pytest.mark.parametrize(
    "sample",
    [
        replace(assay(0.7, 0.25), value=nan),
        replace(assay(0.7, 0.25), value=2e6),
        replace(assay(0.7, 0.25), analyte="unheard of"),
    ],
)
def test_an_implausible_sample_is_refused_once_and_moves_nothing(
    linear: ExtendedKalmanFilter, sample: Sample
) -> None:
    told = live(linear, [[], [], *[[sample]] * 3])
    without = live(linear, [[]] * 5)
    assert [result.verdict for result in told[2].samples] == [Verdict.OUT_OF_RANGE]
    assert told[3].samples == told[4].samples == ()
    assert same(told[-1].history.last.belief, without[-1].history.last.belief)


def test_an_implausible_correction_takes_the_first_value_back(
    linear: ExtendedKalmanFilter,
) -> None:
    told = live(linear, [[], [], [assay(0.7, 0.25)], [assay(2e6, 0.25)]])
    without = live(linear, [[]] * 4)
    assert same(told[-1].history.last.belief, without[-1].history.last.belief)


@pytest.mark.parametrize("drawn_h", [1e6, float("inf"), nan])
def test_a_sample_from_the_future_is_not_looked_at(
    linear: ExtendedKalmanFilter, drawn_h: float
) -> None:
    told = live(linear, [[assay(0.7, drawn_h)]] * 4)
    assert told[-1].samples == ()
    assert told[-1].history.book.samples == ()
    assert same(told[-1].history.last.belief, live(linear, [[]] * 4)[-1].history.last.belief)


def test_a_sample_is_fused_when_its_time_comes(linear: ExtendedKalmanFilter) -> None:
    early = live(linear, [[assay(0.7, 0.25)]] * 4)
    assert [len(told.samples) for told in early] == [0, 0, 1, 0]


def test_a_sample_from_before_the_history_is_told_but_not_fused(
    linear: ExtendedKalmanFilter,
) -> None:
    sample = assay(0.7, -0.01)
    told = live(linear, [[sample]] * 3)
    assert [result.verdict for result in told[0].samples] == [Verdict.STALE]
    assert told[1].samples == told[2].samples == ()
    assert told[-1].history.book.samples == (sample,)
    assert same(told[-1].history.last.belief, live(linear, [[]] * 3)[-1].history.last.belief)


def test_the_history_is_bounded_and_unchanged_chapters_are_the_same_objects() -> None:
    short = ExtendedKalmanFilter(linear_settings(max_rewind_h=10.0), PERIOD_H)
    told = live(short, [[]] * 300)
    for number in range(1, 300):
        before, after = (told[number - 1].history.chapters, told[number].history.chapters)
        finished = [item for item in before if len(item.steps) == CHAPTER_STEPS]
        kept = [item for item in after if item in finished]
        assert all(any(item is old for old in finished) for item in kept)
        assert len(kept) >= len(finished) - 1
        steps = told[number].history.steps()
        assert len(steps) <= 10 * 6 + 2 * CHAPTER_STEPS
        assert steps[0].time_s <= max(START_S, cycle_s(number) - 10 * 3600)
        assert [step.time_s for step in steps] == sorted({step.time_s for step in steps})


def test_too_old_a_sample_is_told_but_not_fused_and_a_younger_one_is() -> None:
    short = ExtendedKalmanFilter(linear_settings(max_rewind_h=10.0), PERIOD_H)
    history = live(short, [[]] * 300)[-1].history
    now_h = 300 * PERIOD_H
    for hours, verdict in ((now_h - 10.0, Verdict.OK), (1.0, Verdict.STALE)):
        told = advance(short, history, cycle_s(300), FEED, NOTHING, [assay(0.7, hours)])
        assert [result.verdict for result in told.samples] == [verdict]
        without = advance(short, history, cycle_s(300), FEED, NOTHING, [])
        unmoved = same(told.history.last.belief, without.history.last.belief)
        assert unmoved == (verdict is Verdict.STALE)


def test_a_late_sample_leaves_the_chapters_before_it_alone(linear: ExtendedKalmanFilter) -> None:
    history = live(linear, [[]] * 120)[-1].history
    late = advance(
        linear, history, cycle_s(120), FEED, NOTHING, [assay(0.7, 60 * PERIOD_H)]
    ).history
    assert late.chapters[0] is history.chapters[0]
    assert late.chapters[1] is not history.chapters[1]
    assert late.chapters[1].steps[0] is history.chapters[1].steps[0]
    assert isinstance(late.chapters[1], Chapter)


@pytest.mark.parametrize("back_s", [0.0, 3600.0, 1e9])
def test_a_clock_set_back_adds_nothing_until_time_goes_on(
    linear: ExtendedKalmanFilter, back_s: float
) -> None:
    history = live(linear, [[]] * 10)[-1].history
    again = advance(linear, history, cycle_s(9) - back_s, FEED, measured(9), [])
    assert same(again.history.last.belief, history.last.belief)
    assert not again.online.fused.any()
    onward = advance(linear, again.history, cycle_s(10), FEED, measured(10), [])
    expected = advance(linear, history, cycle_s(10), FEED, measured(10), [])
    assert same(onward.history.last.belief, expected.history.last.belief)


def test_inputs_that_the_equations_cannot_take_do_not_spoil_the_belief() -> None:
    core = core_filter()
    history = begin(core, START_S, np.zeros(2))
    nothing = np.full(2, np.nan)
    history = advance(core, history, cycle_s(1), np.zeros(2), nothing, []).history
    spoilt = advance(core, history, cycle_s(2), np.array([1e200, 0.0]), np.array([0.5, 30.0]), [])
    assert not spoilt.sound
    assert not spoilt.online.fused.any()
    assert same(spoilt.history.last.belief, history.last.belief)
    better = advance(core, spoilt.history, cycle_s(3), np.zeros(2), np.array([0.5, 30.0]), [])
    assert better.sound
    assert better.online.fused.all()
    assert better.history.last.belief.finite
