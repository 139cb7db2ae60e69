"""Gates that recover: a channel that is refused for long is a suspect, or the filter is wrong.

The question is put to everything else: would the others, were the filter as uncertain as at
inoculation, lead away from what this channel shows? The filter is opened before the trouble began
and runs to now without the channel, and with it. If its value lies within the gate both times, the
filter was wrong and goes on opened. If not, the others contradict the channel.

The lab is not outvoted by a probe that speaks a thousand times as often: when opening alone does
not reconcile an assay, each online signal is left out in turn, and if that does, the signal is the
suspect. When neither does, the filter is opened wider, because several samples in a row agree.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Book, Chapter, Step
from mpc_agent.estimation.history import History, Run, marched, told_at
from mpc_agent.values import Decided, Floats, Judgement, Sample

WIDTHS = (1.0, 3.0, 9.0)
"""How many times as uncertain as at inoculation the filter is opened where the lab says so: wide
enough for a culture that is another one than was thought."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A history after the gates were judged, and what was decided."""

    run: Run | None
    decided: tuple[Decided, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What might reconcile a channel with everything else.

    Attributes:
        began: chapter and step at which the filter is opened.
        width: how wide.
        without: online signal that is not believed since then, or None.
    """

    began: tuple[int, int]
    width: float
    without: int | None = None


def judge_gates(kalman: ExtendedKalmanFilter, before: Floats, history: History) -> Judged:
    """Decide about every channel that has been refused as often in a row as its patience.

    Args:
        kalman: the filter.
        before: counts of rejections one cycle ago, shape (channels,).
        history: with this cycle's step.
    """
    channels = kalman.coordinates.channels
    patience = np.array([item.readmit_after for item in channels])
    counts = history.belief.rejections
    trusted = np.flatnonzero((before > patience) & (counts <= patience))
    decided = [Decided(Judgement.TRUSTED, channels[i].name) for i in trusted]
    run, chapters = None, history.chapters
    for i in np.flatnonzero(counts == patience):
        reconciled = _reconciled(kalman, chapters, history.book, int(i))
        if reconciled is not None:
            trial, run = reconciled
            if trial.without is not None:
                decided.append(Decided(Judgement.SUSPECT, channels[trial.without].name))
            decided.append(Decided(Judgement.REOPENED, channels[i].name))
            break  # All counts begin anew.
        last = (len(chapters) - 1, len(chapters[-1].steps) - 1)
        chapters = _marked(kalman, chapters, last, int(i))
        run = marched(kalman, chapters, history.book, last[0])
        decided.append(Decided(Judgement.SUSPECT, channels[i].name))
    return Judged(run, tuple(decided))


def reset(kalman: ExtendedKalmanFilter, history: History, samples: Sequence[Sample]) -> Run:
    """The history with the filter opened before these samples, until it can believe most of them.

    Args:
        kalman: the filter.
        history: with the samples in its book.
        samples: of the latest drawing.
    """
    drawn_s = min(sample.drawn_at_s for sample in samples)
    runs = (opened_before(kalman, history, drawn_s, width) for width in WIDTHS)
    enough = (run for run in runs if 2 * _fused(kalman, run, samples) > len(samples))
    return next(enough, None) or opened_before(kalman, history, drawn_s, WIDTHS[-1])


def opened_before(
    kalman: ExtendedKalmanFilter, history: History, time_s: float, width: float = 1.0
) -> Run:
    """The history with the filter opened at the last step before a time."""
    began = last_before(history.chapters, time_s)
    return _tried(kalman, history.chapters, history.book, Trial(began, width))


def _fused(kalman: ExtendedKalmanFilter, run: Run, samples: Sequence[Sample]) -> int:
    """How many of these samples were fused."""
    names = [item.name for item in kalman.settings.assays]
    told = [(told_at(run, item.drawn_at_s), names.index(item.analyte)) for item in samples]
    return sum(bool(at.fused[kalman.signals + i]) for at, i in told if at is not None)


def _reconciled(
    kalman: ExtendedKalmanFilter, chapters: Sequence[Chapter], book: Book, channel: int
) -> tuple[Trial, Run] | None:
    """The least that makes the channel's last value lie within its gate, if anything does.

    A signal must lie there without its own values since the trouble began; an assay's samples are
    few, and each is evidence.
    """
    offered_s = offered_at_s(kalman, chapters, book, channel)
    for trial in _trials(kalman, channel, _beginnings(kalman, chapters, book, channel, offered_s)):
        start_s = chapters[trial.began[0]].steps[trial.began[1]].time_s
        alone = _left_out(chapters, channel, start_s, offered_s[-1])
        if _agrees(_tried(kalman, alone, book, trial), offered_s[-1], channel):
            kept = _tried(kalman, chapters, book, trial)
            if _agrees(kept, offered_s[-1], channel):
                return trial, kept
    return None


def _agrees(run: Run, time_s: float, channel: int) -> bool:
    """Whether a channel's value of that time lay within its gate."""
    told = told_at(run, time_s)
    return told is not None and bool(told.gate_ratios[channel] <= 1)


def _trials(
    kalman: ExtendedKalmanFilter, channel: int, beginnings: Iterable[tuple[int, int]]
) -> Iterator[Trial]:
    """What to try, the least first: opening; for an assay also without a signal, and wider.

    A signal's own trouble is reconciled by opening alone: a wide enough opening would believe
    anything of which nobody else knows.
    """
    widths = (1.0,) if channel < kalman.signals else WIDTHS
    left_out = () if channel < kalman.signals else range(kalman.signals)
    for width in widths:
        for began in beginnings:
            yield Trial(began, width)
            for signal in left_out:
                yield Trial(began, width, without=signal)


def _beginnings(
    kalman: ExtendedKalmanFilter,
    chapters: Sequence[Chapter],
    book: Book,
    channel: int,
    offered_s: Sequence[float],
) -> list[tuple[int, int]]:
    """The steps to open at: where the trouble began, and before that and the last sample.

    None that the filter was opened after: twice would be to believe whoever shouts longest.
    """
    if not offered_s:
        return []
    since_s = offered_s[-kalman.coordinates.channels[channel].readmit_after :][0]
    drawn_s = [sample.drawn_at_s for sample in book.samples]
    # A step is opened before its own values are fused.
    with_trouble = last_before(chapters, float(np.nextafter(since_s, np.inf)))
    found = [with_trouble, last_before(chapters, min([since_s, *drawn_s[-1:]]))]
    opened = [
        (i, j)
        for i, chapter in enumerate(chapters)
        for j, step in enumerate(chapter.steps)
        if step.opened
    ]
    return [began for began in dict.fromkeys(found) if not opened or began > opened[-1]]


def offered_at_s(
    kalman: ExtendedKalmanFilter, chapters: Sequence[Chapter], book: Book, channel: int
) -> list[float]:
    """When the channel offered values, oldest first."""
    if channel >= kalman.signals:
        name = kalman.coordinates.channels[channel].name
        return [sample.drawn_at_s for sample in book.samples if sample.analyte == name]
    steps = (step for chapter in chapters for step in chapter.steps)
    offered = (step for step in steps if np.isfinite(step.measured[channel]))
    return sorted(float(step.belongs_at_s[channel]) for step in offered)


def last_before(chapters: Sequence[Chapter], time_s: float) -> tuple[int, int]:
    """The last step before a time, or the first that is remembered."""
    found = (0, 0)
    for i, chapter in enumerate(chapters):
        for j, step in enumerate(chapter.steps):
            if step.time_s < time_s:
                found = (i, j)
    return found


def _left_out(
    chapters: Iterable[Chapter], channel: int, start_s: float, last_s: float
) -> tuple[Chapter, ...]:
    """The chapters without a signal's values since `start_s`, but for the last."""

    def without(step: Step) -> Step:
        if channel >= len(step.measured) or not start_s <= step.belongs_at_s[channel] < last_s:
            return step
        measured, belongs_at_s = step.measured.copy(), step.belongs_at_s.copy()
        measured[channel] = belongs_at_s[channel] = np.nan
        return replace(step, measured=measured, belongs_at_s=belongs_at_s)

    return tuple(replace(item, steps=tuple(map(without, item.steps))) for item in chapters)


def _tried(
    kalman: ExtendedKalmanFilter, chapters: Sequence[Chapter], book: Book, trial: Trial
) -> Run:
    """March again with the filter opened, and a signal suspected since then if so tried."""
    i, j = trial.began
    if trial.without is not None:
        chapters = _marked(kalman, chapters, trial.began, trial.without)
    opened = with_step_changed(
        chapters, trial.began, replace(chapters[i].steps[j], opened=trial.width)
    )
    return marched(kalman, opened, book, i)


def _marked(
    kalman: ExtendedKalmanFilter,
    chapters: Sequence[Chapter],
    place: tuple[int, int],
    channel: int,
) -> tuple[Chapter, ...]:
    """The chapters with a channel made a suspect at a step."""
    step = chapters[place[0]].steps[place[1]]
    marks = np.full(kalman.channels, np.nan) if step.marks is None else step.marks.copy()
    marks[channel] = 2.0 * kalman.coordinates.channels[channel].readmit_after
    return with_step_changed(chapters, place, replace(step, marks=marks))


def with_step_changed(
    chapters: Sequence[Chapter], place: tuple[int, int], step: Step
) -> tuple[Chapter, ...]:
    """The chapters with one step exchanged."""
    i, j = place
    steps = (*chapters[i].steps[:j], step, *chapters[i].steps[j + 1 :])
    return (*chapters[:i], replace(chapters[i], steps=steps), *chapters[i + 1 :])
