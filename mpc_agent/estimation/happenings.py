"""What happened, as the filter must know it: steps, chapters, and the lab's book."""

from dataclasses import dataclass

from mpc_agent.estimation.filter import Belief
from mpc_agent.values import Dose, Floats, Sample


@dataclass(frozen=True, slots=True)
class Jump:
    """A sudden change.

    Attributes:
        parameter: learnt parameter that changed.
        at_s: when, from the end of the step before to before the end of its own.
        by: how much, in the parameter's unit or its logarithm, however it is learnt.
        deviation: standard deviation of that.
        unsure_s: standard deviation of when.
    """

    parameter: str
    at_s: float
    by: float
    deviation: float
    unsure_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """One cycle, as the filter saw it.

    Attributes:
        time_s: when it ended.
        inputs: inputs since the step before, shape (inputs,).
        measured: online values that came in this cycle, NaN where none, shape (signals,).
        belongs_at_s: when each of them was true of the broth, NaN where none, shape (signals,).
        inputs_before: inputs one step before, where they moved by themselves since; None where they
            did not.
        marks: counts of rejections that were set by rule, NaN elsewhere, shape (channels,); None
            when there are none.
        opened: above zero: the filter was made so many times as uncertain as at inoculation,
            because it was wrong.
        jump: a learnt parameter that changed suddenly within this step, as it turned out, or None.
    """

    time_s: float
    inputs: Floats
    measured: Floats
    belongs_at_s: Floats
    inputs_before: Floats | None = None
    marks: Floats | None = None
    opened: float = 0.0
    jump: Jump | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """Some consecutive steps, and the belief before the first of them."""

    start_s: float
    start: Belief
    steps: tuple[Step, ...]

    @property
    def end_s(self) -> float:
        """Time of the last step, or the beginning when there is none."""
        return self.steps[-1].time_s if self.steps else self.start_s


@dataclass(frozen=True, slots=True)
class Book:
    """What the lab and the operators told.

    Attributes:
        samples: current version of every sample that is fused, by drawing time.
        set_aside: samples that came too late or are impossible: kept, not fused.
        superseded: versions that a correction replaced.
        doses: current version of every booking, by time.
        unreached: bookings that came too late to be taken in: kept.
        superseded_doses: versions that a correction replaced.
    """

    samples: tuple[Sample, ...] = ()
    set_aside: tuple[Sample, ...] = ()
    superseded: tuple[Sample, ...] = ()
    doses: tuple[Dose, ...] = ()
    unreached: tuple[Dose, ...] = ()
    superseded_doses: tuple[Dose, ...] = ()
