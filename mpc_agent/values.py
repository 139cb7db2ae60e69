"""The nouns of the agent: frozen values that pass from room to room and into the record.

Times are UTC seconds since 1970 (suffix `_s`); values are in the model's units; arrays are float64
NumPy arrays. Nothing here has behaviour beyond reading itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controllers.plan import ADVICE, Floats, Plan, SolveStatus, WarmStart

__all__ = [
    "ADVICE",
    "Applied",
    "Clip",
    "Estimate",
    "Event",
    "Floats",
    "Measurement",
    "Mode",
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
    OUT_OF_RANGE = "OUT_OF_RANGE"
    TOO_FAST = "TOO_FAST"
    FROZEN = "FROZEN"
    GATED = "GATED"


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
        measured: online signals, keyed by name of the model's output.
        inputs: what acts on the plant (read-back pump rates, gas flows, temperature), keyed by name
            of the model's input.
        setpoints: the setpoints the plant follows now, as read back, keyed by name of the
            model's input.
        samples: lab results visible now; the same result appears in many scans.
        status: permission and handshake.
    """

    read_at_s: float
    measured: Mapping[str, Reading]
    inputs: Mapping[str, Reading]
    setpoints: Mapping[str, float]
    samples: tuple[Sample, ...]
    status: PlantStatus


@dataclass(frozen=True, slots=True)
class Measurement:
    """Readings after validation, in the order of the configured signals.

    Attributes:
        signals: names.
        values: values, NaN where nothing usable came, shape (signals,).
        verdicts: verdict per signal; only OK ones are fused.
        inputs: input vector acting on the plant, shape (model inputs,).
    """

    signals: tuple[str, ...]
    values: Floats
    verdicts: tuple[Verdict, ...]
    inputs: Floats


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What became of a lab sample: the innovation at the moment it was drawn and its verdict."""

    sample: Sample
    verdict: Verdict
    innovation: float
    gate_ratio: float


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
