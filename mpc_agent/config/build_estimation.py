"""From the sections about signals and estimation to what the filter is built from."""

from collections.abc import Iterator
from dataclasses import replace

from mpc_agent.config.document import Document
from mpc_agent.config.parameter_set import ParameterSet, parameter_values
from mpc_agent.config.schema_estimation import EstimationSection, OnlineSection, TrustSection
from mpc_agent.drivers.tagmap import MeasuredTag
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    Bias,
    Correlation,
    EstimationSettings,
    HealthSettings,
    NeededOutput,
    ObservabilitySettings,
    SignalSettings,
    Uncertainty,
)
from plant_models.model import PlantModel


def estimation_settings(
    document: Document, model: PlantModel, given: ParameterSet | None
) -> EstimationSettings:
    """What the filter is built from; `given` is the model's parameter set, if any."""
    section, signals = document.estimation, document.signals
    initial = {name: item.initial for name, item in model.states.items()}
    return EstimationSettings(
        model=model,
        initial={**initial, **document.model.initial},
        parameters=parameter_values(document.model, model, given),
        uncertainty=_uncertainty(section, model),
        signals=tuple(
            _online_signal(name, item, document.tags.measured[name])
            for name, item in signals.online.items()
        ),
        assays=tuple(_signal(name, item) for name, item in signals.assays.items()),
        adapted=tuple(
            AdaptedParameter(name, item.initial, item.drift, item.lower, item.upper, item.sudden)
            for name, item in section.adapted.items()
        ),
        max_rewind_h=section.max_rewind_h,
        correlations=tuple(
            Correlation(*item.between, value=item.value) for item in section.correlations
        ),
        evaporation_L_per_h=section.evaporation_L_per_h,
        sample_volume_L=section.sample_volume_L,
        health=HealthSettings(
            section.health.window, section.health.confidence, section.health.diverged_above
        ),
        observability=ObservabilitySettings(section.observability.window_h),
        needed=tuple(_needed(section)),
    )


def _uncertainty(section: EstimationSection, model: PlantModel) -> dict[str, Uncertainty]:
    return {
        name: Uncertainty(
            initial=section.uncertainty[name].initial_deviation,
            drift=section.uncertainty[name].drift_per_sqrt_h,
            relative_drift=section.uncertainty[name].relative_drift_per_sqrt_h,
        )
        for name in model.states
    }


def _signal(name: str, item: TrustSection) -> SignalSettings:
    bias = item.bias
    return SignalSettings(
        name=name,
        absolute=item.noise.absolute,
        relative=item.noise.relative,
        lower=item.plausible[0],
        upper=item.plausible[1],
        gate=item.gate_sigmas,
        readmit_after=item.readmit_after,
        output=item.output or "",
        bias=None if bias is None else Bias(bias.initial_deviation, bias.drift_per_sqrt_h),
    )


def _online_signal(name: str, item: OnlineSection, tag: MeasuredTag) -> SignalSettings:
    return replace(
        _signal(name, item),
        max_age_s=tag.max_age_s,
        accept_uncertain=tag.uncertain == "accept",
        max_rate_per_h=item.max_rate_per_h,
        frozen_after_s=item.frozen_after_s,
        every_s=item.every_s,
        delay_s=item.delay_s,
        lag_s=item.lag_s,
    )


def _needed(section: EstimationSection) -> Iterator[NeededOutput]:
    for name, item in section.needed.items():
        if item.relative is not None:
            yield NeededOutput(name, item.relative, relative=True)
        elif item.deviation is not None:
            yield NeededOutput(name, item.deviation)
