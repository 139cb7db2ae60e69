"""Late samples: the filter rewinds to the moment a sample was drawn and runs forward again.

The history is a chain of steps, one per cycle, each with what was applied and measured and with the
belief that came out. A sample drawn between two steps is fused at its own time; everything since is
computed again. The result is the same whatever the order of arrival.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter, Update
from mpc_agent.values import Floats, Sample, SampleResult, Verdict

CHAPTER_STEPS = 48
"""Steps per chapter: a chapter is one row of the record and is written again while it grows."""


@dataclass(frozen=True, slots=True)
class Step:
    """One cycle of the filter.

    Attributes:
        time_s: when it ended.
        inputs: inputs since the step before, shape (inputs,).
        measured: online signals offered at `time_s`, NaN where none, shape (signals,).
        belief: belief at `time_s`, measurements included.
    """

    time_s: float
    inputs: Floats
    measured: Floats
    belief: Belief


@dataclass(frozen=True, slots=True)
class Chapter:
    """Some consecutive steps."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SampleBook:
    """The current version of every sample ever offered, by drawing time."""

    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What the filter remembers.

    Attributes:
        chapters: steps, oldest first, reaching back at least as far as samples may come late.
        book: the samples; the same object until one is new.
    """

    chapters: tuple[Chapter, ...]
    book: SampleBook

    @property
    def last(self) -> Step:
        """The newest step."""
        return self.chapters[-1].steps[-1]

    def steps(self) -> tuple[Step, ...]:
        """All remembered steps, oldest first."""
        return tuple(step for chapter in self.chapters for step in chapter.steps)


@dataclass(frozen=True, slots=True)
class Advance:
    """Outcome of one cycle.

    Attributes:
        history: what to remember.
        online: the online update of the newest step.
        samples: what became of the samples that were new.
        sound: the newest step could be computed; if not, the belief before it stands.
    """

    history: History
    online: Update
    samples: tuple[SampleResult, ...]
    sound: bool


@dataclass(frozen=True, slots=True)
class _Made:
    """A step, with what fusing its samples and its online signals did."""

    step: Step
    online: Update
    samples: tuple[SampleResult, ...]
    sound: bool


def begin(kalman: ExtendedKalmanFilter, time_s: float, inputs: Floats) -> History:
    """History that starts with the belief at inoculation.

    It starts the smallest moment before `time_s`, so that a sample of the inoculum, drawn at that
    very time, is fused like any other.
    """
    nothing = np.full(len(kalman.settings.signals), np.nan)
    step = Step(float(np.nextafter(time_s, -np.inf)), inputs, nothing, kalman.initial())
    return History((Chapter((step,)),), SampleBook())


def advance(
    kalman: ExtendedKalmanFilter,
    history: History,
    now_s: float,
    inputs: Floats,
    measured: Floats,
    offered: Iterable[Sample],
) -> Advance:
    """One cycle: fuse late samples where they belong, then predict to now and fuse what is online.

    Args:
        kalman: the filter.
        history: memory so far.
        now_s: time of the scan.
        inputs: inputs since the last step.
        measured: online signals, NaN where none may be used.
        offered: lab results visible now; known ones are ignored, changed ones replace the old.
    """
    if now_s <= history.last.time_s:
        # The clock was set back, or this is the same scan again: nothing can be placed in time.
        now_s, measured = history.last.time_s, np.full_like(measured, np.nan)
    new, book = _sort_samples(offered, history.book, now_s)
    steps = history.steps()
    oldest_s = steps[0].time_s
    nothing = float("nan")
    results = [
        SampleResult(sample, Verdict.STALE, nothing, nothing)
        for sample in new
        if sample.drawn_at_s <= oldest_s
    ]
    fresh = [sample for sample in new if sample.drawn_at_s > oldest_s]
    keep = _steps_before(steps, min((sample.drawn_at_s for sample in fresh), default=np.inf))
    redone = list(keep)
    for old in steps[len(keep) :]:
        made = _next_step(kalman, redone[-1], old.time_s, old.inputs, old.measured, book.samples)
        redone.append(made.step)
        results += [result for result in made.samples if result.sample in fresh]
    newest = _next_step(kalman, redone[-1], now_s, inputs, measured, book.samples)
    redone.append(newest.step)
    results += [result for result in newest.samples if result.sample in fresh]
    horizon_s = now_s - kalman.settings.max_rewind_h * 3600
    chapters = _bind(history.chapters, redone, len(keep), horizon_s)
    return Advance(History(chapters, book), newest.online, tuple(results), newest.sound)


def _sort_samples(
    offered: Iterable[Sample], book: SampleBook, now_s: float
) -> tuple[list[Sample], SampleBook]:
    """New or corrected samples, and the book with them; one entry per analyte and drawing."""
    current = {(sample.analyte, sample.drawn_at_s): sample for sample in book.samples}
    new = []
    for sample in offered:
        if not sample.drawn_at_s <= now_s:
            continue
        before = current.get((sample.analyte, sample.drawn_at_s))
        if before is None or not np.array_equal(before.value, sample.value, equal_nan=True):
            current[sample.analyte, sample.drawn_at_s] = sample
            new.append(sample)
    if not new:
        return new, book
    ordered = sorted(current.values(), key=lambda sample: (sample.drawn_at_s, sample.analyte))
    return new, SampleBook(tuple(ordered))


def _steps_before(steps: Sequence[Step], drawn_at_s: float) -> Sequence[Step]:
    """Steps whose belief no sample drawn at or after that moment can change; at least one."""
    count = sum(1 for step in steps if step.time_s < drawn_at_s)
    return steps[: max(1, count)]


def _next_step(
    kalman: ExtendedKalmanFilter,
    before: Step,
    time_s: float,
    inputs: Floats,
    measured: Floats,
    samples: Sequence[Sample],
) -> _Made:
    """From one step to the next, fusing the samples drawn in between at their own times.

    Inputs that the equations cannot take, such as no gas at all, must not spoil the belief for
    ever: when the step's result is not finite, the belief before it stands.
    """
    at_s, belief = before.time_s, before.belief
    between = [sample for sample in samples if at_s < sample.drawn_at_s <= time_s]
    results = [
        SampleResult(sample, Verdict.OUT_OF_RANGE, float("nan"), float("nan"))
        for sample in between
        if not _plausible(kalman, sample)
    ]
    plausible = [sample for sample in between if _plausible(kalman, sample)]
    for drawn_at_s in sorted({sample.drawn_at_s for sample in plausible}):
        belief = kalman.predict(belief, inputs, (drawn_at_s - at_s) / 3600)
        at_s = drawn_at_s
        drawn = [sample for sample in plausible if sample.drawn_at_s == drawn_at_s]
        belief, fused = _fuse_drawn(kalman, belief, inputs, drawn)
        results += fused
    if time_s > at_s:
        belief = kalman.predict(belief, inputs, (time_s - at_s) / 3600)
    online = kalman.fuse_online(belief, inputs, measured)
    sound = online.belief.finite
    if not sound:
        online = kalman.fuse_online(before.belief, inputs, np.full_like(measured, np.nan))
    return _Made(Step(time_s, inputs, measured, online.belief), online, tuple(results), sound)


def _plausible(kalman: ExtendedKalmanFilter, sample: Sample) -> bool:
    """Whether the analyte is known and its value possible."""
    return any(
        assay.name == sample.analyte and assay.lower <= sample.value <= assay.upper
        for assay in kalman.settings.assays
    )


def _fuse_drawn(
    kalman: ExtendedKalmanFilter, belief: Belief, inputs: Floats, drawn: Sequence[Sample]
) -> tuple[Belief, list[SampleResult]]:
    """Fuse the plausible assays of one drawing."""
    names = [assay.name for assay in kalman.settings.assays]
    places = [names.index(sample.analyte) for sample in drawn]
    values = np.full(len(names), np.nan)
    values[places] = [sample.value for sample in drawn]
    update = kalman.fuse_assays(belief, inputs, values)
    results = [
        SampleResult(
            sample,
            Verdict.OK if update.fused[i] else Verdict.GATED,
            float(update.innovations[i]),
            float(update.gate_ratios[i]),
        )
        for sample, i in zip(drawn, places, strict=True)
    ]
    return update.belief, results


def _bind(
    old: tuple[Chapter, ...], steps: Sequence[Step], unchanged: int, horizon_s: float
) -> tuple[Chapter, ...]:
    """Steps as chapters; chapters that did not change stay the same objects, old ones go."""
    chapters: list[Chapter] = []
    taken = 0
    for chapter in old:
        size = len(chapter.steps)
        if size < CHAPTER_STEPS or taken + size > unchanged:
            break
        chapters.append(chapter)
        taken += size
    starts = range(taken, len(steps), CHAPTER_STEPS)
    chapters += [Chapter(tuple(steps[start : start + CHAPTER_STEPS])) for start in starts]
    while len(chapters) > 1 and chapters[1].steps[0].time_s <= horizon_s:
        chapters.pop(0)
    return tuple(chapters)
