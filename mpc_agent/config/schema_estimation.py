"""Sections about signals and how far they are trusted, and about the filter."""

from typing import Annotated

from pydantic import Field, model_validator

from mpc_agent.config.base import Interval, NotNegative, Positive, Section


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


class TrustSection(Section):
    """How far one measured output of the model is trusted."""

    noise: NoiseSection
    """Noise of the signal."""
    plausible: Interval
    """Values outside `[lower, upper]` are not used; in the unit of the model's output."""
    gate_sigmas: Positive = 5.0
    """Values further than this from the prediction, in standard deviations, are not used."""
    readmit_after: Annotated[int, Field(ge=1)] = 12
    """After so many refusals in a row the signal is let in again, because then it is the estimate
    that is wrong."""


class OnlineSection(TrustSection):
    """How far one online signal is trusted."""

    max_rate_per_h: Positive | None = None
    """Largest plausible change per hour, in the unit of the model's output."""
    frozen_after_s: Positive | None = None
    """A value that has not moved for this long is not used."""


class SignalsSection(Section):
    """What is measured, by the name of the model's output, and how far it is trusted."""

    online: dict[str, OnlineSection]
    """Signals read in every cycle; how old they may be, tags.measured says."""
    assays: dict[str, TrustSection] = Field(default_factory=dict)
    """Lab results, fused at the time their sample was drawn."""


class UncertaintySection(Section):
    """How uncertain one state is, and how much faster it may drift than the model says."""

    initial_deviation: NotNegative
    """Standard deviation at inoculation, in the state's unit."""
    drift_per_sqrt_h: NotNegative = 0.0
    """Process noise per square root of an hour, in the state's unit."""
    relative_drift_per_sqrt_h: NotNegative = 0.0
    """Process noise per square root of an hour, as a fraction of the value."""


class AdaptedSection(Section):
    """One parameter of the model that the filter learns inside approved bounds."""

    relative_deviation: Positive
    """Relative standard deviation at inoculation."""
    relative_drift_per_sqrt_h: NotNegative = 0.0
    """Relative process noise per square root of an hour."""
    lower: Positive
    """Smallest value approved, in the parameter's unit."""
    upper: Positive
    """Largest value approved."""

    @model_validator(mode="after")
    def _ordered(self) -> "AdaptedSection":
        if self.lower >= self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        return self


class EstimationSection(Section):
    """The filter."""

    uncertainty: dict[str, UncertaintySection]
    """Uncertainty of every state of the model."""
    adapted: dict[str, AdaptedSection] = Field(default_factory=dict)
    """Parameters that are learnt; all others are locked."""
    max_rewind_h: Annotated[float, Field(gt=0, le=336)] = 48.0
    """Samples drawn longer ago than this are recorded, not fused."""
