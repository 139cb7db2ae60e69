"""What the filter needs to know, in the field's units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from plant_models.model import PlantModel


@dataclass(frozen=True)
class Bias:
    """An offset of a signal that the filter learns; it drifts by itself.

    Attributes:
        deviation: standard deviation at inoculation, in the output's unit.
        drift: process noise per square root of hour, in the output's unit.
    """

    deviation: float
    drift: float = 0.0


@dataclass(frozen=True)
class SignalSettings:
    """How far one measured output can be trusted.

    Attributes:
        name: name of the signal or assay.
        absolute: standard deviation of the noise, in the output's unit.
        relative: additional standard deviation as a fraction of the value.
        lower: smallest plausible value.
        upper: largest plausible value.
        gate: innovations beyond this many standard deviations are not fused.
        max_age_s: readings older than this are not used (online signals only).
        max_rate_per_h: largest plausible change per hour, or None.
        frozen_after_s: a value that did not change for this long is not used, or None.
        accept_uncertain: whether a value that its source calls uncertain is used.
        output: output of the model that it shows; empty: the one of the same name.
        every_s: a value is used at most this often, or None: whenever there is a new one.
        delay_s: what is shown now was in the vessel this long before (a sample line, an analyser).
        lag_s: time constant with which the probe follows; what it shows becomes a state.
        bias: an offset that is learnt, or None.
        readmit_after: consecutive rejections by the gate after which it is judged whether the
            signal is a suspect or the filter wrong; and agreements after which a suspect is used
            again.
    """

    name: str
    absolute: float
    relative: float = 0.0
    lower: float = -inf
    upper: float = inf
    gate: float = 5.0
    max_age_s: float = 900.0
    max_rate_per_h: float | None = None
    frozen_after_s: float | None = None
    accept_uncertain: bool = False
    readmit_after: int = 12
    output: str = ""
    every_s: float | None = None
    delay_s: float = 0.0
    lag_s: float = 0.0
    bias: Bias | None = None

    @property
    def shows(self) -> str:
        """Output of the model that it shows."""
        return self.output or self.name


@dataclass(frozen=True)
class Uncertainty:
    """How uncertain a state is at inoculation and how much faster it may drift than the model says.

    Attributes:
        initial: standard deviation at inoculation, in the state's unit.
        drift: process noise per square root of hour, in the state's unit.
        relative_drift: process noise per square root of hour, as a fraction of the value.
    """

    initial: float
    drift: float = 0.0
    relative_drift: float = 0.0


@dataclass(frozen=True)
class AdaptedParameter:
    """A model parameter that the filter learns within approved bounds.

    One that is positive is learnt in its logarithm, so that its uncertainty is relative; one that
    may be zero or negative is learnt as it is.

    Attributes:
        name: parameter of the model.
        deviation: standard deviation at inoculation, relative when `logarithmic`, else in the
            parameter's unit.
        drift: process noise per square root of hour, relative or in the unit like `deviation`.
        lower: smallest value the site approves.
        upper: largest value the site approves.
        jump: standard deviation of a sudden change, relative or in the unit like `deviation`; zero
            for what never changes suddenly.
    """

    name: str
    deviation: float
    drift: float
    lower: float
    upper: float
    jump: float = 0.0

    @property
    def logarithmic(self) -> bool:
        """Whether it is learnt in its logarithm: all approved values are positive."""
        return self.lower > 0


@dataclass(frozen=True)
class Correlation:
    """How two of the filter's unknowns go together at inoculation.

    Attributes:
        first: state or adapted parameter.
        second: another one.
        value: correlation of the two as the filter carries them, between -1 and 1 (exclusive).
    """

    first: str
    second: str
    value: float


@dataclass(frozen=True)
class HealthSettings:
    """When the filter counts as consistent and when as diverged.

    Attributes:
        window: number of values of a signal whose squared normalised innovations are averaged.
        confidence: probability of the chi-square band that the average is to stay in.
        diverged_above: average over all signals above which the filter has diverged; one is
            expected.
    """

    window: int = 48
    confidence: float = 0.95
    diverged_above: float = 4.0


@dataclass(frozen=True)
class ObservabilitySettings:
    """How it is judged what the signals tell of each unknown.

    Attributes:
        window_h: the covariance's gain is counted over these last hours.
    """

    window_h: float = 24.0


@dataclass(frozen=True)
class NeededOutput:
    """How well an output must be known for control to be allowed.

    Attributes:
        output: output of the model.
        deviation: largest standard deviation: in the output's unit, or as a fraction of its value.
        relative: whether `deviation` is a fraction.
    """

    output: str
    deviation: float
    relative: bool = False

    def largest_deviation(self, value: float) -> float:
        """Largest standard deviation allowed at a value of the output, in its unit."""
        return self.deviation * abs(value) if self.relative else self.deviation


@dataclass(frozen=True)
class EstimationSettings:
    """Everything the filter is built from.

    Attributes:
        model: the plant as the filter sees it.
        initial: state at inoculation, by name.
        parameters: values of all parameters, by name.
        uncertainty: per state.
        signals: online signals that are fused.
        assays: lab analytes that are fused.
        adapted: parameters that are learnt; all others are locked.
        max_rewind_h: samples drawn up to this long ago are fused; older ones are recorded only,
            unless the history, which is kept in chapters, still reaches back to them.
        correlations: of the unknowns at inoculation; all other pairs are independent.
        evaporation_L_per_h: liquid lost besides what the model itself knows of.
        sample_volume_L: broth withdrawn with each drawing of the lab.
        health: when the filter counts as diverged.
        observability: how it is judged what is known.
        needed: what must be known for control.
    """

    model: PlantModel
    initial: Mapping[str, float]
    parameters: Mapping[str, float]
    uncertainty: Mapping[str, Uncertainty]
    signals: tuple[SignalSettings, ...]
    assays: tuple[SignalSettings, ...]
    adapted: tuple[AdaptedParameter, ...]
    max_rewind_h: float = 48.0
    correlations: tuple[Correlation, ...] = ()
    evaporation_L_per_h: float = 0.0
    sample_volume_L: float = 0.0
    health: HealthSettings = field(default_factory=HealthSettings)
    observability: ObservabilitySettings = field(default_factory=ObservabilitySettings)
    needed: tuple[NeededOutput, ...] = ()
