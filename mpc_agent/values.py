"""The nouns of the agent: frozen values that pass from room to room and into the record.

Times are UTC seconds since 1970 (suffix `_s`); values are in the model's units; arrays are float64
NumPy arrays. Nothing here has behaviour beyond reading itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import nan

import numpy as np

from controllers.arrays import Floats
from controllers.plan import ADVICE, Plan, SolveStatus, WarmStart

__all__ = [
    "ADVICE",
    "Applied",
    "Clip",
    "Consistency",
    "Decided",
    "Dose",
    "Estimate",
    "Event",
    "Floats",
    "Judgement",
    "Measurement",
    "Mode",
    "Move",
    "Origin",
    "Plan",
    "PlantStatus",
    "Quality",
    "Reading",
    "Readings",
    "Sample",
    "SampleResult",
    "Setpoints",
    "Severity",
    "SolveStatus",
    "Verdict",
    "WarmStart",
]


class Quality(StrEnum):
    """What the source says of its own value."""

    GOOD = "GOOD"
    UNCERTAIN = "UNCERTAIN"
    BAD = "BAD"


class Verdict(StrEnum):
    """What validation decided about a reading."""

    OK = "OK"
    MISSING = "MISSING"
    BAD_QUALITY = "BAD_QUALITY"
    STALE = "STALE"
    REPEATED = "REPEATED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    TOO_FAST = "TOO_FAST"
    FROZEN = "FROZEN"
    GATED = "GATED"
    SUSPECT = "SUSPECT"

    @property
    def usable(self) -> bool:
        """Whether there is a value to go by: a new one, or one that was used already."""
        return self in (Verdict.OK, Verdict.REPEATED)


class Mode(StrEnum):
    """What the agent does with its decisions."""

    OFF = "OFF"
    SHADOW = "SHADOW"
    ADVISE = "ADVISE"
    CONTROL = "CONTROL"


class Origin(StrEnum):
    """Where setpoints come from: the rungs of the fallback ladder, and the operator."""

    PLAN = "PLAN"
    HELD_PLAN = "HELD_PLAN"
    RECIPE = "RECIPE"
    SAFE = "SAFE"
    OPERATOR = "OPERATOR"


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one signal as the plant gave it, already in the model's unit."""

    signal: str
    value: float
    sampled_at_s: float
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class Sample:
    """One lab assay. `drawn_at_s` is when the sample left the vessel, not when the result came."""

    analyte: str
    value: float
    unit: str
    drawn_at_s: float
    entered_at_s: float
    entered_by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dose:
    """Liquid that went in or out at one moment, beside what the pumps show.

    Attributes:
        what: an input of the model that is a liquid, whose composition it has; WATER for what only
            dilutes, such as antifoam; WITHDRAWN for broth taken out.
        volume_L: how much; zero takes a booking of that time back.
        given_at_s: when.
    """

    what: str
    volume_L: float
    given_at_s: float


WATER = "water"
"""A dose of what only dilutes."""

WITHDRAWN = "withdrawn"
"""A dose that leaves: broth as it is."""


@dataclass(frozen=True, slots=True)
class PlantStatus:
    """What the plant says about control, and whether it can be heard at all.

    Attributes:
        connected: the last read succeeded.
        remote_enabled: the operator permits remote control.
        remote_active: the control unit is acting on remote setpoints now.
        watchdog_tripped: the control unit gave up on the agent and runs its own recipe.
        message: a sentence for people, empty when all is well.
    """

    connected: bool
    remote_enabled: bool
    remote_active: bool
    watchdog_tripped: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything that one scan of the plant brought.

    Attributes:
        read_at_s: time of the scan by the agent's clock.
        measured: online signals, keyed by their names.
        inputs: what acts on the plant (read-back pump rates, gas flows, temperature), keyed by name
            of the model's input.
        setpoints: the setpoints the plant follows now, as read back, keyed by name of the
            model's input.
        samples: lab results visible now; the same result appears in many scans.
        status: permission and handshake.
        doses: bookings visible now; the same booking appears in many scans.
    """

    read_at_s: float
    measured: Mapping[str, Reading]
    inputs: Mapping[str, Reading]
    setpoints: Mapping[str, float]
    samples: tuple[Sample, ...]
    status: PlantStatus
    doses: tuple[Dose, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """Readings after validation, in the order of the configured signals.

    Attributes:
        signals: names.
        values: values, NaN where nothing usable came, shape (signals,).
        verdicts: verdict per signal; only OK ones are fused.
        inputs: input vector acting on the plant, shape (model inputs,).
        belongs_at_s: when each value was true of the broth, NaN where nothing usable came, shape
            (signals,).
        inputs_before: inputs at the last scan where they moved by themselves since, else as now;
            None where none did. How far they moved is how little is known of what acted.
    """

    signals: tuple[str, ...]
    values: Floats
    verdicts: tuple[Verdict, ...]
    inputs: Floats
    belongs_at_s: Floats
    inputs_before: Floats | None = None


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What became of a lab sample.

    Attributes:
        sample: the sample.
        verdict: whether it was fused, and if not, why.
        innovation: measured minus predicted at the moment it was drawn.
        gate_ratio: squared normalised innovation over the squared gate, at that moment.
        before: what the estimate of the same quantity would be now without what came with this
            sample, as mean and standard deviation; NaN when it was not offered to the filter.
        after: what it is now.
    """

    sample: Sample
    verdict: Verdict
    innovation: float
    gate_ratio: float
    before: tuple[float, float] = (nan, nan)
    after: tuple[float, float] = (nan, nan)


class Judgement(StrEnum):
    """What the filter decided about a channel, or about itself."""

    SUSPECT = "SUSPECT"
    """The channel disagrees for long and all others agree: it is watched, not fused."""
    TRUSTED = "TRUSTED"
    """A suspect has agreed for long: it is fused again."""
    REOPENED = "REOPENED"
    """The channel disagreed for long and nothing else contradicts it: the filter was wrong."""
    RESET = "RESET"
    """The filter had diverged and began anew from the lab's sample."""
    JUMPED = "JUMPED"
    """The parameter changed suddenly: that alone explains what several gates refused."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One judgement: about a signal or assay, or with an empty name about the whole filter.

    Attributes:
        judgement: what was decided.
        channel: signal or assay; for JUMPED the learnt parameter.
        moved: for JUMPED the parameter before and after, in its unit.
    """

    judgement: Judgement
    channel: str = ""
    moved: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Consistency:
    """Whether innovations are as large as the filter expects.

    The mean squared normalised innovation over a window is one on average when all is well, and
    within the band with the configured probability.

    Attributes:
        means: per channel, NaN before the first value, shape (channels,).
        bands: of each, shape (channels, 2).
        overall: of all channels together, NaN before the first value.
        band: of that.
    """

    means: Floats
    bands: Floats
    overall: float
    band: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Move:
    """A learnt parameter that lab results moved by more than half of its deviation."""

    parameter: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """The filter's belief about the plant.

    Attributes:
        time_s: when it holds.
        mean: states of the model, then adapted parameters (in their own units).
        factor: square root of the covariance of the filter's own coordinates (states, then
            logarithms of parameters): covariance = factor @ factor.T, shape (n, n).
        deviation: standard deviation of `mean`, same units and shape.
        outputs: model outputs at the mean, shape (outputs,).
        output_deviation: standard deviation of `outputs`.
        innovations: measured minus predicted per online signal, NaN where none was offered.
        gate_ratios: squared normalised innovation over the squared gate; above one is refused.
        verdicts: final verdict per online signal, GATED included.
        last_fused_s: when each online signal was last fused.
        samples: lab results fused or refused in this cycle.
        healthy: no divergence, finite, innovations plausible.
        message: a sentence when not healthy.
        consistency: squared normalised innovations against their bands.
        observability: for each of `mean`, the share of its deviation that measurements took away
            over the last hours: near zero, nothing told of it; empty before it is known.
        suspects: channels that are watched, not fused.
        decided: what was judged in this cycle.
        moves: parameters that lab results moved in this cycle.
        at_bounds: parameters that stand at the end of their approved range.
        offsets: learnt offset of each channel that has one, with its standard deviation.
        poured: bookings that were taken in in this cycle, at their own time.
        unreached: bookings that came too late for that.
    """

    time_s: float
    mean: Floats
    factor: Floats
    deviation: Floats
    outputs: Floats
    output_deviation: Floats
    innovations: Floats
    gate_ratios: Floats
    verdicts: tuple[Verdict, ...]
    last_fused_s: Floats
    samples: tuple[SampleResult, ...]
    healthy: bool
    message: str = ""
    consistency: Consistency | None = None
    observability: Floats = field(default_factory=lambda: np.zeros(0))
    suspects: tuple[str, ...] = ()
    decided: tuple[Decided, ...] = ()
    moves: tuple[Move, ...] = ()
    at_bounds: tuple[str, ...] = ()
    offsets: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    poured: tuple[Dose, ...] = ()
    unreached: tuple[Dose, ...] = ()


@dataclass(frozen=True, slots=True)
class Clip:
    """One intervention of the guard."""

    input: str
    rule: str
    wanted: float
    allowed: float


@dataclass(frozen=True, slots=True)
class Setpoints:
    """What leaves the agent, after the guard.

    Attributes:
        decided_at_s: when.
        valid_until_s: the plant must not act on them after this.
        values: setpoint by input name.
        origin: rung of the ladder each problem's inputs come from, by problem name.
        clips: what the guard changed and why.
        reasons: why the ladder stands where it stands, in words.
    """

    decided_at_s: float
    valid_until_s: float
    values: Mapping[str, float]
    origin: Mapping[str, Origin]
    clips: tuple[Clip, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What the plant confirmed by read-back, and what it refused.

    Attributes:
        written: whether anything was sent; only in CONTROL.
        confirmed: setpoints read back within tolerance, by input name.
        refused: reason by input name (status code, clamped, not following).
    """

    written: bool
    confirmed: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


class Severity(StrEnum):
    """ISA-18.2: an alarm needs an operator's response, everything else is an event."""

    EVENT = "EVENT"
    ALARM = "ALARM"


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling people.

    Attributes:
        code: stable name, such as "SAMPLE_FUSED" or "WATCHDOG_TRIPPED".
        severity: event or alarm.
        text: a sentence, with what to do when it is an alarm.
    """

    code: str
    severity: Severity
    text: str
