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
    """Outcome of one cycle: new history, the online update of the newest step, sample results."""

    history: History
    online: Update
    samples: tuple[SampleResult, ...]


def begin(kalman: ExtendedKalmanFilter, time_s: float, inputs: Floats) -> History:
    """History that starts with the belief at inoculation."""
    nothing = np.full(len(kalman.settings.signals), np.nan)
    step = Step(time_s, inputs, nothing, kalman.initial())
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
    new, book = _sort_samples(offered, history.book, now_s)
    steps = history.steps()
    oldest_s = steps[0].time_s
    results = [
        SampleResult(sample, Verdict.STALE, float("nan"), float("nan"))
        for sample in new
        if sample.drawn_at_s < oldest_s
    ]
    fresh = [sample for sample in new if sample.drawn_at_s >= oldest_s]
    keep = _steps_before(steps, min((sample.drawn_at_s for sample in fresh), default=np.inf))
    redone = list(keep)
    todo = [(step.time_s, step.inputs, step.measured) for step in steps[len(keep) :]]
    for time_s, step_inputs, step_measured in [*todo, (now_s, inputs, measured)]:
        step, online, fused = _next_step(
            kalman, redone[-1], time_s, step_inputs, step_measured, book.samples
        )
        redone.append(step)
        results += [result for result in fused if result.sample in fresh]
    horizon_s = now_s - kalman.settings.max_rewind_h * 3600
    chapters = _bind(history.chapters, redone, len(keep), horizon_s)
    return Advance(History(chapters, book), online, tuple(results))


def _sort_samples(
    offered: Iterable[Sample], book: SampleBook, now_s: float
) -> tuple[list[Sample], SampleBook]:
    """New or corrected samples, and the book with them; one entry per analyte and drawing."""
    current = {(sample.analyte, sample.drawn_at_s): sample for sample in book.samples}
    new = []
    for sample in offered:
        if sample.drawn_at_s > now_s:
            continue
        before = current.get((sample.analyte, sample.drawn_at_s))
        if before is None or before.value != sample.value:
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
) -> tuple[Step, Update, list[SampleResult]]:
    """From one step to the next, fusing the samples drawn in between at their own times."""
    at_s, belief = before.time_s, before.belief
    results: list[SampleResult] = []
    between = [sample for sample in samples if at_s < sample.drawn_at_s <= time_s]
    for drawn_at_s in sorted({sample.drawn_at_s for sample in between}):
        belief = kalman.predict(belief, inputs, (drawn_at_s - at_s) / 3600)
        at_s = drawn_at_s
        drawn = [sample for sample in between if sample.drawn_at_s == drawn_at_s]
        belief, fused = _fuse_drawn(kalman, belief, inputs, drawn)
        results += fused
    if time_s > at_s:
        belief = kalman.predict(belief, inputs, (time_s - at_s) / 3600)
    online = kalman.fuse_online(belief, inputs, measured)
    return Step(time_s, inputs, measured, online.belief), online, results


def _fuse_drawn(
    kalman: ExtendedKalmanFilter, belief: Belief, inputs: Floats, drawn: Sequence[Sample]
) -> tuple[Belief, list[SampleResult]]:
    """Fuse the assays of one drawing; implausible ones are refused before the filter sees them."""
    assays = kalman.settings.assays
    values = np.full(len(assays), np.nan)
    plausible: list[Sample | None] = [None] * len(assays)
    results = []
    names = [assay.name for assay in assays]
    for sample in drawn:
        i = names.index(sample.analyte) if sample.analyte in names else None
        if i is None or not assays[i].lower <= sample.value <= assays[i].upper:
            nothing = float("nan")
            results.append(SampleResult(sample, Verdict.OUT_OF_RANGE, nothing, nothing))
        else:
            values[i], plausible[i] = sample.value, sample
    update = kalman.fuse_assays(belief, inputs, values)
    for i, accepted in enumerate(plausible):
        if accepted is not None:
            verdict = Verdict.OK if update.fused[i] else Verdict.GATED
            results.append(
                SampleResult(
                    accepted, verdict, float(update.innovations[i]), float(update.gate_ratios[i])
                )
            )
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
    for start in range(taken, len(steps), CHAPTER_STEPS):
        chapters.append(Chapter(tuple(steps[start : start + CHAPTER_STEPS])))
    while len(chapters) > 1 and chapters[1].steps[0].time_s <= horizon_s:
        chapters.pop(0)
    return tuple(chapters)
