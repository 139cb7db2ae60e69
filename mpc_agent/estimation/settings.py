"""What the filter needs to know, in the field's units."""

from collections.abc import Mapping
from dataclasses import dataclass

from plant_models.model import PlantModel


@dataclass(frozen=True)
class SignalSettings:
    """How far one measured output can be trusted.

    Attributes:
        name: output of the model.
        absolute: standard deviation of the noise, in the output's unit.
        relative: additional standard deviation as a fraction of the value.
        lower: smallest plausible value.
        upper: largest plausible value.
        gate: innovations beyond this many standard deviations are not fused.
        max_age_s: readings older than this are not used (online signals only).
        max_rate_per_h: largest plausible change per hour, or None.
        frozen_after_s: a value that did not change for this long is not used, or None.
        accept_uncertain: whether a value that its source calls uncertain is used.
        readmit_after: consecutive rejections by the gate after which the signal is let in again
            with its variance inflated, because then it is the filter that is wrong.
    """

    name: str
    absolute: float
    relative: float
    lower: float
    upper: float
    gate: float = 5.0
    max_age_s: float = 900.0
    max_rate_per_h: float | None = None
    frozen_after_s: float | None = None
    accept_uncertain: bool = False
    readmit_after: int = 12


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
    """A model parameter that the filter learns, within approved bounds, in its logarithm.

    Attributes:
        name: parameter of the model.
        deviation: relative standard deviation at inoculation.
        drift: relative process noise per square root of hour.
        lower: smallest value the site approves.
        upper: largest value the site approves.
    """

    name: str
    deviation: float
    drift: float
    lower: float
    upper: float


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
    """

    model: PlantModel
    initial: Mapping[str, float]
    parameters: Mapping[str, float]
    uncertainty: Mapping[str, Uncertainty]
    signals: tuple[SignalSettings, ...]
    assays: tuple[SignalSettings, ...]
    adapted: tuple[AdaptedParameter, ...]
    max_rewind_h: float = 48.0
