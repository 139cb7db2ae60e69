"""Late knowledge: the filter rewinds to the moment it belongs to and runs forward again.

The history is what happened, in chapters of consecutive steps, each with the belief that it began
with: any belief can be computed again from there. The result is the same whatever the order of
arrival.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from mpc_agent.estimation.booking import enter
from mpc_agent.estimation.filter import Belief, Description, ExtendedKalmanFilter, Report
from mpc_agent.estimation.happenings import Book, Chapter, Step
from mpc_agent.estimation.timeline import Timeline, late_values, timeline
from mpc_agent.values import Dose, Floats, Measurement, Sample, SampleResult, Verdict

CHAPTER_STEPS = 48
"""Steps per chapter: a chapter is one row of the record and is written again while it grows."""


@dataclass(frozen=True, slots=True)
class History:
    """What the filter remembers.

    Attributes:
        chapters: oldest first, reaching back at least as far as samples may come late.
        book: samples and bookings; the same object until something is new.
        belief: belief at the end.
    """

    chapters: tuple[Chapter, ...]
    book: Book
    belief: Belief

    @property
    def end_s(self) -> float:
        """When the belief holds."""
        return self.chapters[-1].end_s

    def steps(self) -> tuple[Step, ...]:
        """All remembered steps, oldest first."""
        return tuple(step for chapter in self.chapters for step in chapter.steps)


@dataclass(frozen=True, slots=True)
class Run:
    """Chapters marched through.

    Attributes:
        chapters: all of them, with the beliefs they begin with now.
        belief: belief at the end.
        description: the same in the model's units.
        told: rows that were marched through, and what happened in them.
    """

    chapters: tuple[Chapter, ...]
    belief: Belief
    description: Description
    told: tuple[tuple[Timeline, Report], ...]


@dataclass(frozen=True, slots=True)
class Advance:
    """Outcome of one cycle.

    Attributes:
        history: what to remember.
        description: the new belief in the model's units.
        without: what it would be without the samples that were new, None when there were none.
        online: what fusing the newest step did: innovations, gate ratios and whether fused, per
            channel.
        samples: what became of the samples that were new.
        sound: the newest step, and all since a booking that was new, could be computed; what could
            not be has changed nothing.
        poured: bookings that were new and taken in.
        unreached: bookings that were new and came too late.
    """

    history: History
    description: Description
    without: Description | None
    online: Report
    samples: tuple[SampleResult, ...]
    sound: bool
    poured: tuple[Dose, ...] = ()
    unreached: tuple[Dose, ...] = ()


def begin(kalman: ExtendedKalmanFilter, time_s: float, inputs: Floats) -> History:
    """History that starts with the belief at inoculation.

    It starts the smallest moment before `time_s`, so that a sample of the inoculum, drawn at that
    very time, is fused like any other.
    """
    belief = kalman.initial(inputs)
    start = Chapter(float(np.nextafter(time_s, -np.inf)), belief, ())
    return History((start,), Book(), belief)


def advance(
    kalman: ExtendedKalmanFilter,
    history: History,
    now_s: float,
    measurement: Measurement,
    offered: Iterable[Sample] = (),
    doses: Iterable[Dose] = (),
) -> Advance:
    """One cycle: take in what is late where it belongs, then predict to now and fuse.

    Args:
        kalman: the filter.
        history: memory so far.
        now_s: time of the scan.
        measurement: online values with the times they belong to, and inputs since the last step.
        offered: lab results visible now; known ones are ignored, changed ones replace the old.
        doses: bookings visible now; known ones are ignored.
    """
    step = _newest(history, now_s, measurement)
    oldest_s = max(
        np.nextafter(history.chapters[0].start_s, np.inf),
        step.time_s - kalman.settings.max_rewind_h * 3600,
    )
    entries = enter(kalman.settings, history.book, offered, doses, oldest_s, step.time_s)
    step = _within(step, oldest_s)
    chapters = with_step(history.chapters, step)
    since_s = min((entries.since_s, *step.belongs_at_s[step.belongs_at_s < step.time_s]))
    if entries.rewrites:
        chapters = _unjudged(chapters, entries.since_s)
    run = resumed(kalman, history, chapters, entries.book, since_s)
    without = None
    if entries.fresh:
        plain = resumed(kalman, history, chapters, history.book, step.time_s)
        without = plain.description
    aside = [SampleResult(sample, verdict, np.nan, np.nan) for sample, verdict in entries.refused]
    report = run.told[-1][1]
    results = sample_results(kalman, run, entries.fresh, without)
    return Advance(
        history=History(_pruned(kalman, run.chapters), entries.book, run.belief),
        description=run.description,
        without=without,
        online=online_report(run, step, report.row(-1)),
        samples=(*aside, *results),
        sound=_sound(run, entries.since_s if entries.poured else history.end_s),
        poured=entries.poured,
        unreached=entries.unreached,
    )


def _sound(run: Run, since_s: float) -> bool:
    """Whether every row that ends after a time could be computed."""
    return all(bool(report.sound[rows.ends_s > since_s].all()) for rows, report in run.told)


def with_step(chapters: Sequence[Chapter], step: Step) -> tuple[Chapter, ...]:
    """The chapters with one more step; a full last chapter stays, and another is begun after it.

    The belief that it begins with is set when it is marched through.
    """
    last = chapters[-1]
    if len(last.steps) < CHAPTER_STEPS:
        return (*chapters[:-1], replace(last, steps=(*last.steps, step)))
    return (*chapters, Chapter(last.end_s, last.start, (step,)))


def _unjudged(chapters: Sequence[Chapter], since_s: float) -> tuple[Chapter, ...]:
    """The chapters without what was judged since then: that was judged knowing less.

    A sudden change stays. If it was none, the filter will find the way back as it found it there.
    """

    def plain(step: Step) -> Step:
        judged = step.marks is not None or step.opened
        if not judged or step.time_s < since_s:
            return step
        return replace(step, marks=None, opened=0.0)

    return tuple(replace(item, steps=tuple(map(plain, item.steps))) for item in chapters)


def resumed(
    kalman: ExtendedKalmanFilter,
    history: History,
    chapters: Sequence[Chapter],
    book: Book,
    since_s: float,
) -> Run:
    """March to the end of `chapters`, which go on where `history` ends.

    What lies before `since_s` stays; when all that is known lies there, only what is new is
    computed.
    """
    if since_s > history.end_s:
        last = chapters[-1]
        fresh = [step for step in last.steps if step.time_s > history.end_s]
        rows = timeline(kalman, history.end_s, fresh, late_values(fresh), book)
        belief, report, description = kalman.march(history.belief, rows.rows)
        if last.start_s == history.end_s:
            chapters = (*chapters[:-1], replace(last, start=history.belief))
        return Run(tuple(chapters), belief, description, ((rows, report),))
    first = max(i for i, chapter in enumerate(chapters) if i == 0 or chapter.start_s < since_s)
    return marched(kalman, chapters, book, first)


def marched(
    kalman: ExtendedKalmanFilter, chapters: Sequence[Chapter], book: Book, first: int
) -> Run:
    """March through the chapters from one of them on, each from where the one before ended."""
    done = list(chapters)
    late = late_values([step for chapter in done[first:] for step in chapter.steps])
    belief, results = done[first].start, []
    for i in range(first, len(done)):
        done[i] = replace(done[i], start=belief)
        rows = timeline(kalman, done[i].start_s, done[i].steps, late, book)
        results.append((rows, *kalman.march(belief, rows.rows)))
        belief = results[-1][1]
    told = tuple((rows, report) for rows, _, report, _ in results)
    return Run(tuple(done), belief, results[-1][3], told)


def _newest(history: History, now_s: float, measurement: Measurement) -> Step:
    """This cycle as a step; where the clock did not move on, nothing can be placed in time."""
    if now_s > history.end_s:
        return Step(
            now_s,
            measurement.inputs,
            measurement.values,
            measurement.belongs_at_s,
            measurement.inputs_before,
        )
    nothing = np.full_like(measurement.values, np.nan)
    moment = float(np.nextafter(history.end_s, np.inf))
    return Step(moment, measurement.inputs, nothing, nothing)


def _within(step: Step, oldest_s: float) -> Step:
    """The step without values that belong to a time before the history."""
    reached = step.belongs_at_s >= oldest_s
    if reached.all() or not np.isfinite(step.belongs_at_s[~reached]).any():
        return step
    return replace(
        step,
        measured=np.where(reached, step.measured, np.nan),
        belongs_at_s=np.where(reached, step.belongs_at_s, np.nan),
    )


def told_at(run: Run, time_s: float) -> Report | None:
    """What happened at the very moment, None when nothing of it was marched through."""
    for rows, report in run.told:
        row = rows.row_of(time_s)
        if row >= 0 and rows.ends_s[row] == time_s:
            return report.row(row)
    return None


def online_report(run: Run, step: Step, known: Report) -> Report:
    """What became of a step's values, of each at the time that it belongs to.

    Args:
        run: what was marched through, the step's end included.
        step: the newest step.
        known: what is told of values that belong to a time before that.
    """
    last = run.told[-1][1].row(-1)
    innovations, gate_ratios, fused = (
        item.copy() for item in (last.innovations, last.gate_ratios, last.fused)
    )
    for channel in np.flatnonzero(step.belongs_at_s < step.time_s):
        told = told_at(run, float(step.belongs_at_s[channel])) or known
        innovations[channel] = told.innovations[channel]
        gate_ratios[channel] = told.gate_ratios[channel]
        fused[channel] = told.fused[channel]
    return Report(innovations, gate_ratios, fused, last.sound)


def sample_results(
    kalman: ExtendedKalmanFilter,
    run: Run,
    samples: Iterable[Sample],
    without: Description | None,
    known: Iterable[SampleResult] = (),
) -> tuple[SampleResult, ...]:
    """What became of samples, from the rows at which they were fused.

    Those that were drawn before what was marched through are among the `known`.
    """
    before = {item.sample: item for item in known}
    return tuple(_result(kalman, run, sample, without, before.get(sample)) for sample in samples)


def _result(
    kalman: ExtendedKalmanFilter,
    run: Run,
    sample: Sample,
    without: Description | None,
    known: SampleResult | None,
) -> SampleResult:
    assays = {item.name: item for item in kalman.settings.assays}
    channel = kalman.signals + list(assays).index(sample.analyte)
    shown = kalman.settings.model.output_names.index(assays[sample.analyte].shows)
    before, after = (
        (nan, nan)
        if told is None
        else (float(told.outputs[shown]), float(told.output_deviation[shown]))
        for told in (without, run.description)
    )
    moment = told_at(run, sample.drawn_at_s)
    if moment is None:
        assert known is not None, "a sample is told of where it was marched through"
        return replace(known, after=after)
    return SampleResult(
        sample,
        Verdict.OK if moment.fused[channel] else Verdict.GATED,
        float(moment.innovations[channel]),
        float(moment.gate_ratios[channel]),
        before,
        after,
    )


def _pruned(kalman: ExtendedKalmanFilter, chapters: Sequence[Chapter]) -> tuple[Chapter, ...]:
    """The chapters that can still matter: as far back as samples may come and gains are counted."""
    settings = kalman.settings
    reach_h = max(settings.max_rewind_h, settings.observability.window_h)
    horizon_s = chapters[-1].end_s - reach_h * 3600
    first = max(i for i, chapter in enumerate(chapters) if i == 0 or chapter.start_s <= horizon_s)
    return tuple(chapters[first:])
