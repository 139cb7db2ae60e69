"""Sections about signals and how far they are trusted, and about the filter."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from mpc_agent.config.base import Interval, Items, NotNegative, Positive, Section


class NoiseSection(Section):
    """Standard deviation of a signal's noise: both parts add in squares."""

    absolute: NotNegative = 0.0
    """Part that does not depend on the value, in the unit of the model's output."""
    relative: NotNegative = 0.0
    """Part that grows with the value, as a fraction of it."""

    @model_validator(mode="after")
    def _some(self) -> "NoiseSection":
        if self.absolute == 0 and self.relative == 0:
            raise ValueError("must be above zero in at least one of absolute and relative")
        return self


class BiasSection(Section):
    """An offset of a signal or assay that the filter learns."""

    initial_deviation: Positive
    """Standard deviation at inoculation, in the unit of the model's output."""
    drift_per_sqrt_h: NotNegative = 0.0
    """How fast the offset drifts by itself, per square root of an hour, in the same unit."""


class TrustSection(Section):
    """How far one measured output of the model is trusted."""

    output: Annotated[str, Field(min_length=1)] | None = None
    """Output of the model that is shown; null for the one of the same name. Several signals and
    assays may show one output, each by a name of its own."""
    noise: NoiseSection
    """Noise of the signal."""
    plausible: Interval
    """Values outside `[lower, upper]` are not used; in the unit of the model's output."""
    gate_sigmas: Positive = 5.0
    """Values further than this from the prediction, in standard deviations, are not used."""
    readmit_after: Annotated[int, Field(ge=1)] = 12
    """After so many refusals in a row it is judged: a suspect when everything else contradicts it,
    else the estimate is wrong and opened. A suspect is used again after as many agreements."""
    bias: BiasSection | None = None
    """An offset that is learnt, or null."""


class OnlineSection(TrustSection):
    """How far one online signal is trusted."""

    max_rate_per_h: Positive | None = None
    """Largest plausible change per hour, in the unit of the model's output."""
    frozen_after_s: Positive | None = None
    """A value that has not moved for this long is not used."""
    every_s: Positive | None = None
    """At most one value is used in this time, give or take a tenth; null: every new one. For
    analysers whose value is shown anew more often than it is measured."""
    delay_s: NotNegative = 0.0
    """A value shown was true of the broth this long before its source time, as behind a sample
    line."""
    lag_s: NotNegative = 0.0
    """Time constant with which the probe follows the broth; what it shows becomes a state."""

    @model_validator(mode="after")
    def _may_stay(self) -> "OnlineSection":
        every_s, frozen_after_s = self.every_s, self.frozen_after_s
        if every_s is not None and frozen_after_s is not None and frozen_after_s <= every_s:
            raise ValueError(
                f"frozen_after_s, {frozen_after_s:g}, must be longer than every_s, {every_s:g}"
            )
        return self


class AssaySection(TrustSection):
    """How far one assay of the laboratory is trusted."""

    readmit_after: Annotated[int, Field(ge=1)] = 2
    """As for online signals; a second sample confirms or clears the first."""


class SignalsSection(Section):
    """What is measured, by name of signal or assay, and how far it is trusted."""

    online: dict[str, OnlineSection]
    """Signals read in every cycle; how old they may be, tags.measured says."""
    assays: dict[str, AssaySection] = Field(default_factory=dict)
    """Lab results, fused at the time their sample was drawn."""

    @property
    def shown(self) -> dict[str, str]:
        """Output of the model that each signal and assay shows, by name."""
        both = {**self.assays, **self.online}
        return {name: item.output or name for name, item in both.items()}


class UncertaintySection(Section):
    """How uncertain one state is, and how much faster it may drift than the model says."""

    initial_deviation: NotNegative
    """Standard deviation at inoculation, in the state's unit."""
    drift_per_sqrt_h: NotNegative = 0.0
    """Process noise per square root of an hour, in the state's unit."""
    relative_drift_per_sqrt_h: NotNegative = 0.0
    """Process noise per square root of an hour, as a fraction of the value."""


class AdaptedSection(Section):
    """One parameter of the model that the filter learns inside approved bounds.

    A parameter whose bounds are positive is learnt in its logarithm: its uncertainty is relative.
    One that may be zero or negative is learnt as it is: its uncertainty is in its own unit.
    """

    relative_deviation: Positive | None = None
    """Relative standard deviation at inoculation; for bounds above zero."""
    relative_drift_per_sqrt_h: NotNegative | None = None
    """Relative process noise per square root of an hour; for bounds above zero."""
    deviation: Positive | None = None
    """Standard deviation at inoculation, in the parameter's unit; for bounds that reach zero or
    below."""
    drift_per_sqrt_h: NotNegative | None = None
    """Process noise per square root of an hour, in the parameter's unit; for bounds that reach zero
    or below."""
    relative_jump: Positive | None = None
    """Relative size of a sudden change: 0.7, a factor of two either way, is what antifoam or a
    fouled sparger make of the oxygen transfer. When gates refuse at least two values and a change
    of up to twice this explains them all, it is believed. Null: it only drifts. For bounds above
    zero."""
    jump: Positive | None = None
    """The same in the parameter's unit; for bounds that reach zero or below."""
    lower: float
    """Smallest value approved, in the parameter's unit."""
    upper: float
    """Largest value approved."""

    @model_validator(mode="after")
    def _fits(self) -> "AdaptedSection":
        if self.lower >= self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        relative = ("relative_deviation", "relative_drift_per_sqrt_h", "relative_jump")
        absolute = ("deviation", "drift_per_sqrt_h", "jump")
        right, wrong = (relative, absolute) if self.lower > 0 else (absolute, relative)
        given = [name for name in wrong if getattr(self, name) is not None]
        missing = getattr(self, right[0]) is None
        if given or missing:
            why = (
                f"all approved values are above zero (lower is {self.lower:g})"
                if self.lower > 0
                else f"the approved values reach zero or below (lower is {self.lower:g})"
            )
            instead = f" instead of {' and '.join(given)}" if given else ""
            raise ValueError(f"needs {right[0]} (and may have {right[1]}){instead}: {why}")
        return self

    @property
    def initial(self) -> float:
        """Standard deviation at inoculation: relative for bounds above zero."""
        return self.relative_deviation or self.deviation or 0.0

    @property
    def drift(self) -> float:
        """Process noise per square root of an hour: relative for bounds above zero."""
        return self.relative_drift_per_sqrt_h or self.drift_per_sqrt_h or 0.0

    @property
    def sudden(self) -> float:
        """Standard deviation of a sudden change: relative for bounds above zero."""
        return self.relative_jump or self.jump or 0.0


class CorrelationSection(Section):
    """How two states or adapted parameters go together at inoculation."""

    between: Annotated[tuple[str, str], Field(strict=False)]
    """Names of the two."""
    value: Annotated[float, Field(ge=-0.99, le=0.99)]
    """Their correlation; of an adapted parameter with bounds above zero, its logarithm's."""

    @model_validator(mode="after")
    def _two(self) -> "CorrelationSection":
        if self.between[0] == self.between[1]:
            raise ValueError(f"between must name two different ones, not {self.between[0]} twice")
        return self


class HealthSection(Section):
    """When the filter counts as consistent, and when as diverged."""

    window: Annotated[int, Field(ge=2, le=100_000)] = 48
    """Number of values of a signal whose squared normalised innovations are averaged."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Probability of the chi-square band that the average is to stay in."""
    diverged_above: Annotated[float, Field(gt=1)] = 4.0
    """Average over all signals above which the filter has diverged, where 1 is expected."""


class ObservabilitySection(Section):
    """How it is judged what the signals tell of each state and learnt parameter."""

    window_h: Annotated[float, Field(gt=0, le=2000)] = 24.0
    """What was learnt is counted over these last hours."""


class NeededSection(Section):
    """How well an output must be known for control; a number alone is the deviation."""

    deviation: Positive | None = None
    """Largest standard deviation, in the output's unit."""
    relative: Positive | None = None
    """Largest standard deviation, as a fraction of the output's value."""

    @model_validator(mode="after")
    def _one(self) -> "NeededSection":
        if (self.deviation is None) == (self.relative is None):
            raise ValueError("needs either deviation or relative, not both")
        return self


def _needed(given: object) -> object:
    """A number alone as a section."""
    plain = isinstance(given, int | float) and not isinstance(given, bool)
    return {"deviation": given} if plain else given


class EstimationSection(Section):
    """The filter."""

    uncertainty: dict[str, UncertaintySection]
    """Uncertainty of every state of the model."""
    adapted: dict[str, AdaptedSection] = Field(default_factory=dict)
    """Parameters that are learnt; all others are locked."""
    correlations: Items[CorrelationSection] = ()
    """Correlations of states and learnt parameters at inoculation; all other pairs are
    independent."""
    max_rewind_h: Annotated[float, Field(gt=0, le=336)] = 48.0
    """Samples drawn longer ago than this are recorded, not fused."""
    evaporation_L_per_h: NotNegative = 0.0
    """Liquid that evaporates, where the model itself loses none."""
    sample_volume_L: NotNegative = 0.0
    """Broth that each drawing of the laboratory withdraws; not to be booked under `tags.doses`,
    too."""
    health: HealthSection = HealthSection()
    """When the filter counts as consistent, and when as diverged."""
    observability: ObservabilitySection = ObservabilitySection()
    """How it is judged what is known."""
    needed: dict[str, Annotated[NeededSection, BeforeValidator(_needed)]] = Field(
        default_factory=dict
    )
    """Outputs without which there is no control, and how well each must be known: the largest
    standard deviation, as a number in the output's unit or as `{relative: 0.1}`."""
