"""Recorded readings through validation and estimation, as the cycle does it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from mpc_agent.codec import encode
from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation, estimate
from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Step
from mpc_agent.estimation.smoother import Smoothed, smooth, whole_timeline
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.journal import Journal, RecordedCycle
from mpc_agent.memory import Memory
from mpc_agent.replay.setup import Setup
from mpc_agent.values import Dose, Estimate, Readings, Sample


@dataclass(frozen=True)
class Cycle:
    """One cycle, as it was recorded and as it is replayed.

    Attributes:
        number: of the cycle.
        time_s: of its scan.
        step_s: time that the filter gave it; another one only where the clock was set back.
        recorded, replayed: the estimates.
        same: they are equal in every bit.
    """

    number: int
    time_s: float
    step_s: float
    recorded: Estimate
    replayed: Estimate
    same: bool


@dataclass
class Happened:
    """All that happened in a batch, as its readings told.

    Attributes:
        steps: what the filter took in, oldest first.
        samples: lab results in the order in which they came, corrections included.
        doses: bookings.
        signals: names of the online signals that were ever read.
    """

    steps: list[Step] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    doses: dict[tuple[str, float], Dose] = field(default_factory=dict)
    signals: set[str] = field(default_factory=set)
    _known: dict[tuple[str, float], Sample] = field(default_factory=dict)

    def note(self, readings: Readings) -> None:
        """Keep what a scan brought that was not known."""
        self.signals |= readings.measured.keys()
        for sample in readings.samples:
            key = (sample.analyte, sample.drawn_at_s)
            if self._known.get(key) != sample:
                self._known[key] = sample
                self.samples.append(sample)
        for dose in readings.doses:
            self.doses.setdefault((dose.what, dose.given_at_s), dose)


@dataclass(frozen=True)
class Replay:
    """A record replayed.

    Attributes:
        cycles: all of them, in the order of the record.
        happened: all that the estimates were made from.
        start_s: when the belief at inoculation holds.
        start: that belief.
        notes: what people should know.
    """

    cycles: list[Cycle]
    happened: Happened
    start_s: float
    start: Belief
    notes: tuple[str, ...]

    @property
    def different(self) -> list[Cycle]:
        """Cycles whose estimate is another one, in any bit."""
        return [cycle for cycle in self.cycles if not cycle.same]


def replay(
    journal: Journal, kalman: ExtendedKalmanFilter, setup: Setup, progress: Callable[[float], None]
) -> Replay:
    """Estimate every cycle again, from the beginning of the record.

    Where cycles are missing in the record, because it could not be written, the replay with the
    recorded configuration goes on from the memory that the next cycle was recorded with; another
    configuration goes on as if nothing had been read meanwhile.

    Args:
        journal: the record, open.
        kalman: the filter of `setup`.
        setup: what to replay with.
        progress: told of the time that was reached, UTC seconds.
    """
    inputs = np.array(kalman.settings.model.nominal_inputs())
    signals = SignalMemory.empty(kalman.signals, inputs)
    memory = begin_estimation(kalman, journal.header.inoculated_at_s, inputs)
    start = memory.history.chapters[0]
    cycles: list[Cycle] = []
    notes, happened = list(setup.notes), Happened()
    for item in journal.cycles():
        notes += _breaks(cycles, item)
        if _is_gap(cycles, item) and setup.recorded:
            left = journal.memory(item.number, Memory)
            happened.steps += _forgotten(memory, left.estimation)
            signals, memory = left.signals, left.estimation
        happened.note(item.readings)
        before = memory
        replayed, signals, memory = _again(kalman, setup, signals, memory, item.readings)
        happened.steps += _forgotten(before, memory)
        step_s, same = memory.history.end_s, encode(replayed) == encode(item.estimate)
        cycles.append(Cycle(item.number, item.time_s, step_s, item.estimate, replayed, same))
        progress(item.time_s)
    happened.steps += memory.history.steps()
    names = [item.name for item in kalman.settings.signals]
    silent = [name for name in names if name not in happened.signals]
    if silent:
        notes.append(f"never read in this batch: {', '.join(silent)}")
    return Replay(cycles, happened, start.start_s, start.start, tuple(notes))


def _again(
    kalman: ExtendedKalmanFilter,
    setup: Setup,
    signals: SignalMemory,
    memory: EstimatorMemory,
    readings: Readings,
) -> tuple[Estimate, SignalMemory, EstimatorMemory]:
    """The first lines of a cycle's decision."""
    settings = kalman.settings
    measurement, signals = validate(
        readings, signals, settings.signals, settings.model.inputs, setup.period_s
    )
    belief, memory = estimate(
        kalman, memory, measurement, readings.samples, readings.read_at_s, readings.doses
    )
    return belief, signals, memory


def _is_gap(cycles: list[Cycle], item: RecordedCycle) -> bool:
    return item.number != (cycles[-1].number + 1 if cycles else 0)


def _breaks(cycles: list[Cycle], item: RecordedCycle) -> Iterator[str]:
    """Where the record does not simply go on."""
    if _is_gap(cycles, item):
        first = cycles[-1].number + 1 if cycles else 0
        yield f"cycles {first} to {item.number - 1} are not in the record"
    if cycles and item.time_s <= cycles[-1].time_s:
        late_s = cycles[-1].time_s - item.time_s
        yield f"at cycle {item.number} the clock was set back by {late_s:g} s"


def _forgotten(before: EstimatorMemory, after: EstimatorMemory) -> Iterator[Step]:
    """Steps that the filter remembers no more."""
    first_s = after.history.chapters[0].start_s
    for chapter in before.history.chapters:
        if chapter.start_s < first_s:
            yield from chapter.steps


def smoothed(kalman: ExtendedKalmanFilter, done: Replay) -> Smoothed:
    """What every cycle was like by all that is known afterwards; one row per cycle."""
    happened = done.happened
    line = whole_timeline(
        kalman, done.start_s, happened.steps, happened.samples, happened.doses.values()
    )
    told = smooth(kalman, done.start, line.rows)
    rows = [line.row_of(cycle.step_s) for cycle in done.cycles]
    return Smoothed(
        told.means[rows], told.deviations[rows], told.outputs[rows], told.output_deviations[rows]
    )
