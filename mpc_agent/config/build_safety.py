"""From the safety section to what guard, ladder and mode machine are built from."""

from collections.abc import Mapping
from math import hypot, inf

from mpc_agent.config.check_limits import initial_volume_L
from mpc_agent.config.document import Document
from mpc_agent.config.schema_safety import GuardedInputSection
from mpc_agent.safety.settings import (
    BalanceSettings,
    FallbackSettings,
    InputLimit,
    SafetySettings,
)
from plant_models.model import PlantModel


def safety_settings(
    document: Document, model: PlantModel, parameters: Mapping[str, float]
) -> SafetySettings:
    """Limits and graces of guard, ladder and mode machine; `parameters` are the model's."""
    section, control = document.safety, document.control
    inputs, graces, oxygen = section.inputs, section.graces, section.oxygen
    feeds = tuple(name for name in inputs if name in model.volume_flows)
    times = {"feed": section.fallbacks.feed, "gas": section.fallbacks.gas}
    return SafetySettings(
        input_limits={name: _input_limit(item) for name, item in inputs.items()},
        feeds=feeds,
        gases=section.sparge_gives_way,
        other_liquids=tuple(name for name in model.volume_flows if name not in feeds),
        safe_inputs={name: item.safe for name, item in inputs.items()},
        fallbacks={
            name: FallbackSettings(written, age.fresh_s, age.hold_s)
            for name, written in control.written.items()
            if (age := times[name]) is not None
        },
        period_s=document.cycle.period_s,
        validity_s=section.validity_s,
        initial_volume_L=initial_volume_L(document.model, model),
        max_volume_L=section.max_volume_L,
        max_sparge_L_per_h=inf
        if section.max_sparge_L_per_h is None
        else section.max_sparge_L_per_h,
        max_dose_L={
            name: item.max_dose_L for name, item in inputs.items() if item.max_dose_L is not None
        },
        max_hourly_dose_L={
            name: item.max_hourly_dose_L
            for name, item in inputs.items()
            if item.max_hourly_dose_L is not None
        },
        dissolved_oxygen_floor_percent=oxygen.floor_percent,
        dissolved_oxygen_grace_s=oxygen.grace_s,
        oxygen_feed_factor=oxygen.feed_factor,
        oxygen_gas=oxygen.gas,
        critical_signals=section.critical_signals,
        critical_grace_s=graces.critical_signal_s,
        estimate_grace_s=graces.estimate_s,
        safe_grace_s=graces.safe_s,
        refused_grace_s=graces.refused_s,
        late_grace_s=graces.late_s,
        unobservable_grace_s=graces.unobservable_s,
        balance=_balance(document, model, parameters),
        max_pump_drift=None if section.balance is None else section.balance.pump_drift,
    )


def _input_limit(item: GuardedInputSection) -> InputLimit:
    return InputLimit(
        lower=item.lower,
        upper=item.upper,
        rise_per_h=inf if item.rise_per_h is None else item.rise_per_h,
        fall_per_h=inf if item.fall_per_h is None else item.fall_per_h,
    )


NOISES, FILLING = 5.0, 0.005
"""Default of what ledger and weight may differ by: noises of the scale, fraction of the broth."""


def _balance(
    document: Document, model: PlantModel, parameters: Mapping[str, float]
) -> BalanceSettings | None:
    """How weight and ledger are compared; None without a scale, a density, or the wish to."""
    section = document.safety.balance
    signals = document.signals.online
    scale = next((name for name, item in signals.items() if (item.output or name) == WEIGHT), None)
    if section is None or scale is None:
        return None
    density = section.density_kg_per_L or parameters.get("density")
    if density is None:
        return None
    weight_kg = density * initial_volume_L(document.model, model)
    noise = signals[scale].noise
    default_kg = max(
        NOISES * hypot(noise.absolute, noise.relative * weight_kg), FILLING * weight_kg
    )
    return BalanceSettings(scale, density, section.absolute_kg or default_kg, section.relative)


WEIGHT = "weight"
"""The output of a model that is the weight of its broth, in kg."""
