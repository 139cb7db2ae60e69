"""Late samples: where they are fused, and that the order of their arrival does not matter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.history import (
    CHAPTER_STEPS,
    Advance,
    History,
    advance,
    begin,
    marched,
)
from mpc_agent.values import Dose, Floats, Measurement, Sample, Verdict
from tests.examples_core import (
    PERIOD_H,
    START_S,
    core_filter,
    cycle_s,
    fuse,
    linear_filter,
    linear_settings,
    predict,
    same,
    sample,
    scanned,
    signal,
    step,
)

PERIOD_S = 3600 * PERIOD_H
FEED = np.array([0.3])
LEVEL, FIRST, SECOND, ASSAY = range(4)
"""Channels of the linear filter."""


@pytest.fixture(scope="module")
def linear() -> ExtendedKalmanFilter:
    return linear_filter()


@cache
def gated() -> ExtendedKalmanFilter:
    """Refuses readily, so that the counts of refusals matter too; loses liquid in every way."""
    plain = linear_settings(
        signals=tuple(signal(name, 0.2, gate=2.0) for name in ("level", "first", "second")),
        assays=(
            signal("assay", 0.05, gate=1.0, readmit_after=2),
            signal("second_lab", 0.05, gate=1.0, readmit_after=2, output="second"),
        ),
    )
    lossy = replace(plain, sample_volume_L=0.1, evaporation_L_per_h=0.05)
    return ExtendedKalmanFilter(lossy, PERIOD_H)


@cache
def short() -> ExtendedKalmanFilter:
    """Reaches back ten hours."""
    return ExtendedKalmanFilter(linear_settings(max_rewind_h=10.0), PERIOD_H)


def assay(value: float, hours: float, analyte: str = "assay") -> Sample:
    return sample(analyte, value, hours)


def measured(number: int) -> Floats:
    """What the probes say in a cycle: anything, but always the same."""
    return np.random.default_rng(number).normal([10.0, 1.0, 1.0], 0.5)


def feed(number: int) -> Floats:
    return np.array([0.1 + 0.05 * (number % 5)])


def measurement(kalman: ExtendedKalmanFilter, number: int) -> Measurement:
    return scanned(kalman.settings.signals, measured(number), number, feed(number))


def silent(kalman: ExtendedKalmanFilter, number: float) -> Measurement:
    return scanned(kalman.settings.signals, [nan] * kalman.signals, number, FEED)


def started(kalman: ExtendedKalmanFilter) -> History:
    return begin(kalman, START_S, FEED)


def live(
    kalman: ExtendedKalmanFilter,
    arrivals: Sequence[Sequence[Sample]],
    doses: Mapping[int, Sequence[Dose]] | None = None,
    measurements: Sequence[Measurement] = (),
) -> list[Advance]:
    """One cycle after the other; `arrivals` are the samples that each cycle sees."""
    history, told, doses = started(kalman), [], doses or {}
    for number, offered in enumerate(arrivals):
        seen = measurements[number] if measurements else measurement(kalman, number)
        poured = doses.get(number, ())
        told.append(advance(kalman, history, cycle_s(number), seen, offered, poured))
        history = told[-1].history
    return told


def ended(told: Sequence[Advance]) -> Belief:
    return told[-1].history.belief


def close(one: Belief, other: Belief, part: float = 1e-10) -> bool:
    """Whether means and covariances agree to a part of the deviations."""
    size = other.deviation
    moved = np.abs(one.mean - other.mean) / size
    spread = np.abs(one.covariance - other.covariance) / np.outer(size, size)
    counts = np.array_equal(one.rejections, other.rejections)
    return bool(moved.max() <= part and spread.max() <= part and counts)


CYCLES = 24
DRAWN_H = (0.0, 0.4, 0.5, 1.7, 1.7, 3.02)
SAMPLES = tuple(
    assay(value, hours, analyte)
    for value, hours, analyte in zip(
        (0.4, 3.0, 0.2, -0.5, 2.0, 0.1),
        DRAWN_H,
        ("assay", "assay", "second_lab", "assay", "second_lab", "assay"),
        strict=True,
    )
)


DOSES = (
    Dose("feed", 0.4, START_S + 3600 * 0.45),
    Dose("water", 0.3, START_S + 3600 * 1.7),
    Dose("withdrawn", 0.2, START_S + 3600 * 2.9),
)
ORIGINAL, CORRECTED = assay(5.0, 1.25), assay(0.3, 1.25)
TOO_OLD = assay(0.3, -1.0)


def first_scan(time_s: float, wait: int) -> int:
    """The cycle that sees something that became true then and was told some cycles later."""
    soonest = max(0, int(np.ceil((time_s - START_S) / PERIOD_S)))
    return min(soonest + wait, CYCLES - 1)


def arriving(waits: Sequence[int]) -> tuple[list[list[Sample]], dict[int, list[Dose]]]:
    """Samples and bookings by cycle, each so many cycles late as said."""
    arrivals: list[list[Sample]] = [[] for _ in range(CYCLES)]
    poured: dict[int, list[Dose]] = {}
    left = list(waits)
    for item in (*SAMPLES, SAMPLES[0], TOO_OLD):
        arrivals[first_scan(item.drawn_at_s, left.pop())].append(item)
    for item, wait in zip((ORIGINAL, CORRECTED), sorted((left.pop(), left.pop())), strict=True):
        arrivals[first_scan(item.drawn_at_s, wait)].append(item)
    for dose in DOSES:
        poured.setdefault(first_scan(dose.given_at_s, left.pop()), []).append(dose)
    return arrivals, poured


def analysed(shown: Mapping[int, int]) -> list[Measurement]:
    """What probes say, and a slow analyser: in these cycles it shows what was true in those."""
    told = []
    for number in range(CYCLES):
        values, times_s = measured(number), np.full(3, cycle_s(number))
        values[SECOND] = measured(shown[number])[SECOND] if number in shown else nan
        times_s[SECOND] = cycle_s(shown[number]) if number in shown else nan
        names, verdicts = ("level", "first", "second"), (Verdict.OK,) * 3
        told.append(Measurement(names, values, verdicts, feed(number), times_s))
    return told


@given(
    waits=st.lists(st.integers(0, CYCLES - 1), min_size=13, max_size=13),
    slow=st.lists(st.integers(0, 9), min_size=CYCLES, max_size=CYCLES),
)
@settings(max_examples=40)
def test_any_order_of_arrival_gives_the_belief_of_arrival_in_order(
    waits: list[int], slow: list[int]
) -> None:
    """Samples, bookings and slow analysers; corrected, repeated and too old results among them."""
    shown = {number + slow[number]: number for number in range(CYCLES)}
    shown = {at: number for at, number in shown.items() if at < CYCLES}
    on_time = {number: number for number in shown.values()}
    late = live(gated(), *arriving(waits), analysed(shown))
    in_order = live(gated(), *arriving([0] * 13), analysed(on_time))
    assert close(ended(late), ended(in_order))
    book, expected = late[-1].history.book, in_order[-1].history.book
    assert book.samples == expected.samples
    assert book.doses == expected.doses == DOSES
    assert book.set_aside == (TOO_OLD,)
    assert book.superseded == expected.superseded == (ORIGINAL,)


@given(waits=st.lists(st.integers(0, CYCLES - 1), min_size=13, max_size=13))
@settings(max_examples=10)
def test_the_same_knowledge_gives_the_same_bits(waits: list[int]) -> None:
    """Live marching, the same once more, and marching through the chapters again at last."""
    one, other = (live(gated(), *arriving(waits)) for _ in range(2))
    assert same(ended(one), ended(other))
    history = one[-1].history
    again = marched(gated(), history.chapters, history.book, 0)
    assert same(again.belief, history.belief)
    assert all(
        same(new.start, old.start)
        for new, old in zip(again.chapters, history.chapters, strict=True)
    )


def test_the_order_within_a_scan_does_not_matter() -> None:
    one = live(gated(), [[], [], SAMPLES[:3]])[-1]
    other = live(gated(), [[], [], SAMPLES[2::-1]])[-1]
    assert same(one.history.belief, other.history.belief)
    assert one.history.book == other.history.book


def test_a_sample_is_fused_at_the_time_it_was_drawn(linear: ExtendedKalmanFilter) -> None:
    told = live(linear, [[], [], [], [], [assay(0.7, 0.25)], []])
    belief = ended(live(linear, [[], []]))
    # Cycle 2 is at 20 minutes; the sample was drawn at 15.
    update = step(linear, belief, feed(2), 5 / 60, {ASSAY: 0.7})
    belief = step(linear, update.belief, feed(2), 5 / 60, dict(enumerate(measured(2)))).belief
    for number in (3, 4, 5):
        values = dict(enumerate(measured(number)))
        belief = step(linear, belief, feed(number), PERIOD_H, values).belief
    assert close(ended(told), belief)
    (result,) = told[4].samples
    assert result.verdict is Verdict.OK
    assert result.innovation == pytest.approx(update.innovations[ASSAY])
    assert result.gate_ratio == pytest.approx(update.gate_ratios[ASSAY])
    assert told[5].samples == ()


def test_what_a_sample_changed_is_told(linear: ExtendedKalmanFilter) -> None:
    told = live(linear, [[]] * 4 + [[assay(0.7, 0.25)]])[-1]
    without = live(linear, [[]] * 5)[-1]
    (result,) = told.samples
    place = linear.settings.model.output_names.index("assay")
    for pair, description in ((result.before, without), (result.after, told)):
        outputs, deviations = (
            description.description.outputs,
            description.description.output_deviation,
        )
        assert pair == pytest.approx((outputs[place], deviations[place]), rel=1e-9)
    assert told.without is not None
    assert told.without.mean == pytest.approx(without.description.mean, rel=1e-9)
    assert without.without is None


def test_a_late_sample_moves_the_present(linear: ExtendedKalmanFilter) -> None:
    without = live(linear, [[]] * 6)[-1].history.belief
    with_sample = live(linear, [[]] * 5 + [[assay(0.7, 0.25)]])[-1].history.belief
    assert not np.allclose(without.mean, with_sample.mean)


def test_a_sample_of_the_inoculum_is_fused(linear: ExtendedKalmanFilter) -> None:
    at_once = live(linear, [[assay(0.7, 0.0)], [], []])
    late = live(linear, [[], [], [assay(0.7, 0.0)]])
    assert [result.verdict for result in at_once[0].samples] == [Verdict.OK]
    assert [result.verdict for result in late[2].samples] == [Verdict.OK]
    assert same(at_once[-1].history.belief, late[-1].history.belief)


def test_a_sample_that_stays_visible_is_fused_once(linear: ExtendedKalmanFilter) -> None:
    once = live(linear, [[], [], [assay(0.7, 0.25)], [], []])
    always = live(linear, [[], [], *[[assay(0.7, 0.25)]] * 3])
    assert same(once[-1].history.belief, always[-1].history.belief)
    assert [len(told.samples) for told in always] == [0, 0, 1, 0, 0]
    assert always[-1].history.book is always[2].history.book


def test_a_corrected_result_replaces_the_one_before(linear: ExtendedKalmanFilter) -> None:
    wrong, right = assay(7.0, 0.25), assay(0.7, 0.25)
    corrected = live(linear, [[], [], [wrong], [], [right], [right]])
    told_right = live(linear, [[], [], [right], [], [], []])
    assert same(corrected[-1].history.belief, told_right[-1].history.belief)
    assert [len(told.samples) for told in corrected] == [0, 0, 1, 0, 1, 0]
    assert corrected[-1].history.book.samples == (right,)
    assert corrected[-1].history.book.superseded == (wrong,)


def test_of_two_versions_in_one_scan_the_last_counts(linear: ExtendedKalmanFilter) -> None:
    wrong, right = assay(7.0, 0.25), assay(0.7, 0.25)
    told = live(linear, [[], [], [wrong, right]])
    expected = live(linear, [[], [], [right]])
    assert same(told[-1].history.belief, expected[-1].history.belief)
    assert [result.sample for result in told[-1].samples] == [right]
    assert told[-1].history.book.superseded == (wrong,)


def test_a_result_shown_beside_its_correction_is_corrected_once(
    linear: ExtendedKalmanFilter,
) -> None:
    wrong, right = assay(3.0, 0.2), assay(1.0, 0.2)
    both = live(linear, [[], [], [wrong, right], [wrong, right], [wrong, right], []])
    told_right = live(linear, [[], [], [right], [], [], []])
    assert same(both[-1].history.belief, told_right[-1].history.belief)
    assert [len(told.samples) for told in both] == [0, 0, 1, 0, 0, 0]
    assert both[-1].history.book.superseded == (wrong,)


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
    assert same(told[-1].history.belief, without[-1].history.belief)


def test_an_implausible_correction_takes_the_first_value_back(
    linear: ExtendedKalmanFilter,
) -> None:
    told = live(linear, [[], [], [assay(0.7, 0.25)], [assay(2e6, 0.25)]])
    assert told[-1].history.book.superseded == (assay(0.7, 0.25),)
    assert told[-1].history.book.set_aside == (assay(2e6, 0.25),)
    without = live(linear, [[]] * 4)
    assert same(told[-1].history.belief, without[-1].history.belief)


@pytest.mark.parametrize("drawn_h", [1e6, float("inf"), nan])
def test_a_sample_from_the_future_is_not_looked_at(
    linear: ExtendedKalmanFilter, drawn_h: float
) -> None:
    told = live(linear, [[assay(0.7, drawn_h)]] * 4)
    assert told[-1].samples == ()
    assert told[-1].history.book.samples == ()
    assert same(told[-1].history.belief, live(linear, [[]] * 4)[-1].history.belief)


def test_a_sample_is_fused_when_its_time_comes(linear: ExtendedKalmanFilter) -> None:
    early = live(linear, [[assay(0.7, 0.25)]] * 4)
    assert [len(told.samples) for told in early] == [0, 0, 1, 0]


def test_a_sample_from_before_the_history_is_told_but_not_fused(
    linear: ExtendedKalmanFilter,
) -> None:
    early = assay(0.7, -0.01)
    told = live(linear, [[early]] * 3)
    assert [result.verdict for result in told[0].samples] == [Verdict.STALE]
    assert told[1].samples == told[2].samples == ()
    assert told[-1].history.book.samples == ()
    assert told[-1].history.book.set_aside == (early,)
    assert same(ended(told), ended(live(linear, [[]] * 3)))


def test_the_history_is_bounded_and_unchanged_chapters_are_the_same_objects() -> None:
    """It reaches back as far as samples may come and gains are counted, here a day."""
    told = live(short(), [[]] * 300)
    for number in range(1, 300):
        before, after = (told[number - 1].history.chapters, told[number].history.chapters)
        finished = [item for item in before if len(item.steps) == CHAPTER_STEPS]
        kept = [item for item in after if any(item is old for old in finished)]
        assert len(kept) >= len(finished) - 1
        steps = told[number].history.steps()
        assert len(steps) <= 24 * 6 + 2 * CHAPTER_STEPS
        assert after[0].start_s <= max(START_S, cycle_s(number) - 24 * 3600)
        assert [item.time_s for item in steps] == sorted({item.time_s for item in steps})


@pytest.mark.parametrize(("hours_ago", "verdict"), [(9.99, Verdict.OK), (10.01, Verdict.STALE)])
def test_too_old_a_sample_is_told_but_not_fused_and_a_younger_one_is(
    hours_ago: float, verdict: Verdict
) -> None:
    history = live(short(), [[]] * 100)[-1].history
    offered = [assay(0.7, 100 * PERIOD_H - hours_ago)]
    told = advance(short(), history, cycle_s(100), silent(short(), 100), offered)
    assert [result.verdict for result in told.samples] == [verdict]
    without = advance(short(), history, cycle_s(100), silent(short(), 100))
    assert same(told.history.belief, without.history.belief) == (verdict is Verdict.STALE)
    book = told.history.book
    assert (book.set_aside == tuple(offered)) == (verdict is Verdict.STALE)
    assert (book.samples == tuple(offered)) == (verdict is Verdict.OK)


def test_a_correction_that_comes_too_late_leaves_the_first_value_and_is_told_once() -> None:
    """What was fused stays fused; the correction is kept beside it."""
    first, late = assay(0.7, 0.25), assay(0.5, 0.25)
    history = live(short(), [[], [], [first], *[[]] * 97])[-1].history
    told = []
    for number in (100, 101, 102):
        seen = silent(short(), number)
        told.append(advance(short(), history, cycle_s(number), seen, [late]))
        history = told[-1].history
    assert [[item.verdict for item in one.samples] for one in told] == [[Verdict.STALE], [], []]
    assert history.book.samples == (first,)
    assert history.book.set_aside == (late,)
    assert history.book.superseded == ()


def test_a_late_sample_leaves_the_chapters_before_it_alone(linear: ExtendedKalmanFilter) -> None:
    history = live(linear, [[]] * 120)[-1].history
    offered = [assay(0.7, 60 * PERIOD_H)]
    late = advance(linear, history, cycle_s(120), silent(linear, 120), offered).history
    assert late.chapters[0] is history.chapters[0]
    assert late.chapters[1].steps[0] is history.chapters[1].steps[0]
    assert same(late.chapters[1].start, history.chapters[1].start)
    assert not same(late.chapters[2].start, history.chapters[2].start)


@pytest.mark.parametrize("back_s", [0.0, 3600.0, 1e9])
def test_a_clock_set_back_adds_nothing_until_time_goes_on(
    linear: ExtendedKalmanFilter, back_s: float
) -> None:
    history = live(linear, [[]] * 10)[-1].history
    again = advance(linear, history, cycle_s(9) - back_s, measurement(linear, 9))
    assert close(again.history.belief, history.belief, 1e-6)
    assert not again.online.fused.any()
    onward = advance(linear, again.history, cycle_s(10), measurement(linear, 10))
    expected = advance(linear, history, cycle_s(10), measurement(linear, 10))
    assert close(onward.history.belief, expected.history.belief, 1e-6)


# ------------------------------------------------------------------ slow analysers


def delayed(
    kalman: ExtendedKalmanFilter, age_s: float, channel: int, cycles: int = 60
) -> tuple[list[Measurement], list[Measurement]]:
    """One channel shows what was true some time before; and the same shown in time.

    In time means: as a reading in the very cycle whose time it belongs to.
    """
    signals = linear_filter().settings.signals
    ages_s, back = np.zeros(3), round(age_s / PERIOD_S)
    ages_s[channel] = age_s
    late, in_time = [], []
    for number in range(cycles):
        shown, true = measured(number), measured(number)
        shown[channel] = measured(number - back)[channel] if number >= back else nan
        true[channel] = true[channel] if number + back < cycles else nan
        late.append(scanned(signals, shown, number, feed(number), ages_s))
        in_time.append(scanned(signals, true, number, feed(number)))
    return late, in_time


@pytest.mark.parametrize("cycles_late", [1, 7, 50])
def test_a_delayed_signal_is_fused_where_it_belongs(
    linear: ExtendedKalmanFilter, cycles_late: int
) -> None:
    late, in_time = delayed(linear, cycles_late * PERIOD_S, SECOND)
    told = live(linear, [[]] * 60, measurements=late)
    assert close(ended(told), ended(live(linear, [[]] * 60, measurements=in_time)))
    as_shown = [replace(item, belongs_at_s=np.full(3, nan)) for item in late]
    assert not close(ended(told), ended(live(linear, [[]] * 60, measurements=as_shown)), 1e-3)


def test_a_value_between_two_cycles_is_fused_there(linear: ExtendedKalmanFilter) -> None:
    age_s = 0.75 * PERIOD_S
    seen = scanned(linear.settings.signals, [nan, nan, 1.4], 1, feed(1), age_s)
    begun = advance(linear, started(linear), cycle_s(0), silent(linear, 0)).history
    told = advance(linear, begun, cycle_s(1), seen)
    there = step(linear, begun.belief, feed(1), PERIOD_H / 4, {SECOND: 1.4})
    belief = predict(linear, there.belief, feed(1), 0.75 * PERIOD_H)
    assert close(told.history.belief, belief)


def test_a_value_from_before_the_history_is_left_out(linear: ExtendedKalmanFilter) -> None:
    seen = scanned(linear.settings.signals, [nan, nan, 1.4], 1, feed(1), 2 * PERIOD_S)
    begun = advance(linear, started(linear), cycle_s(0), silent(linear, 0)).history
    told = advance(linear, begun, cycle_s(1), seen)
    nothing = scanned(linear.settings.signals, [nan] * 3, 1, feed(1))
    assert same(told.history.belief, advance(linear, begun, cycle_s(1), nothing).history.belief)


# ------------------------------------------------------------------ gaps and nonsense


def test_a_gap_is_bridged_and_a_sample_from_within_it_is_fused(
    linear: ExtendedKalmanFilter,
) -> None:
    begun = advance(linear, started(linear), cycle_s(0), silent(linear, 0)).history
    after = scanned(linear.settings.signals, measured(9), 9.5, FEED)
    told = advance(linear, begun, cycle_s(9.5), after, [assay(0.7, 4.25 * PERIOD_H)])
    belief = begun.belief
    for _ in range(5):
        belief = predict(linear, belief, FEED, 0.85 * PERIOD_H)
    belief = fuse(linear, belief, FEED, {ASSAY: 0.7}).belief
    for _ in range(6):
        belief = predict(linear, belief, FEED, 5.25 / 6 * PERIOD_H)
    update = fuse(linear, belief, FEED, dict(enumerate(measured(9))))
    assert close(told.history.belief, update.belief)
    assert told.online.innovations[:3] == pytest.approx(update.innovations[:3])
    (result,) = told.samples
    assert result.verdict is Verdict.OK


def test_inputs_that_the_equations_cannot_take_do_not_spoil_the_belief() -> None:
    core = core_filter()

    def cycle(number: int, flow: float, values: list[float]) -> Measurement:
        return scanned(core.settings.signals, values, number, [flow, 0.0])

    history = begin(core, START_S, np.zeros(2))
    history = advance(core, history, cycle_s(1), cycle(1, 0.0, [nan, nan])).history
    drawn = [assay(1.0, 2 * PERIOD_H, "lactate")]
    spoilt = advance(core, history, cycle_s(2), cycle(2, 1e200, [0.5, 30.0]), drawn)
    assert not spoilt.sound
    assert not spoilt.online.fused.any()
    assert [item.verdict for item in spoilt.samples] == [Verdict.GATED]
    assert same(spoilt.history.belief, history.belief)
    better = advance(core, spoilt.history, cycle_s(3), cycle(3, 0.0, [0.5, 30.0]))
    assert better.sound
    assert better.online.fused[:2].all()
    assert np.isfinite(better.history.belief.factor).all()


# ------------------------------------------------------------------ another story of the past


def test_a_corrected_booking_leaves_no_trace_of_what_was_mistyped(
    linear: ExtendedKalmanFilter,
) -> None:
    right = Dose("feed", 3.0, START_S + 2.5 * PERIOD_S)
    told: dict[str, list[Advance]] = {"corrected": [], "straight": []}
    for way, versions in (
        ("corrected", {3: replace(right, volume_L=300.0), 5: right}),
        ("straight", {3: right}),
    ):
        history = begin(linear, START_S, FEED)
        for number in range(1, 7):
            doses = [versions[number]] if number in versions else []
            scanned = scanned_at([nan] * 3, number)
            told[way].append(advance(linear, history, cycle_s(number), scanned, doses=doses))
            history = told[way][-1].history
    corrected, straight = (told[way][-1].history for way in ("corrected", "straight"))
    assert same(corrected.belief, straight.belief)
    assert corrected.book.doses == straight.book.doses == (right,)
    assert corrected.book.superseded_doses == (replace(right, volume_L=300.0),)
    assert told["corrected"][4].poured == (right,)


def test_a_booking_undoes_what_was_judged_without_it(linear: ExtendedKalmanFilter) -> None:
    """A level that nothing explained is no suspect any more once somebody says what was poured."""
    history = begin(linear, START_S, FEED)
    poured = Dose("feed", 3.0, START_S + 2.5 * PERIOD_S)
    for number in range(1, 5):
        values = [nan, nan, nan]
        told = advance(linear, history, cycle_s(number), scanned_at(values, number))
        history = told.history
    last = history.chapters[-1]
    marks = np.full(linear.channels, nan)
    marks[LEVEL] = 1e9
    judged = (*last.steps[:-1], replace(last.steps[-1], marks=marks, opened=1.0))
    run = marched(linear, (*history.chapters[:-1], replace(last, steps=judged)), history.book, 0)
    history = History(run.chapters, history.book, run.belief)
    assert history.belief.rejections[LEVEL] == 1e9
    kept = advance(linear, history, cycle_s(5), scanned_at([nan] * 3, 5))
    assert kept.history.belief.rejections[LEVEL] == 1e9
    told = advance(linear, history, cycle_s(5), scanned_at([nan] * 3, 5), doses=[poured])
    assert told.poured == (poured,)
    assert told.history.belief.rejections[LEVEL] == 0
    assert all(step.marks is None and not step.opened for step in told.history.steps())


def test_a_booking_that_comes_too_late_is_kept_and_told_once() -> None:
    history = begin(short(), START_S, FEED)
    late = Dose("feed", 3.0, START_S + PERIOD_S)
    hours = 14.0
    told = advance(short(), history, cycle_s(hours / PERIOD_H), scanned_at([nan] * 3, 84))
    for number in (85, 86):
        doses = [late]
        told = advance(
            short(), told.history, cycle_s(number), scanned_at([nan] * 3, number), doses=doses
        )
        assert told.unreached == ((late,) if number == 85 else ())
    assert told.history.book.unreached == (late,)
    assert told.history.book.doses == ()


def scanned_at(values: list[float], number: float) -> Measurement:
    """One cycle of the linear plant."""
    return scanned(linear_settings().signals, values, number, FEED)
