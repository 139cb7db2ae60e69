"""From sections of plain values to what the rooms of the agent are built from."""

from dataclasses import replace
from math import inf

import numpy as np

from controllers.problem import DecidedInput, Limit, Problem, Tracked
from controllers.settings import ControlSettings, FeedSettings, GasSettings, Schedule
from mpc_agent.config.check_limits import initial_volume_L
from mpc_agent.config.document import Document
from mpc_agent.config.parameter_set import ParameterSet, parameter_values
from mpc_agent.config.schema_control import GasSection, ProblemSection, TrackedSection
from mpc_agent.config.schema_estimation import OnlineSection, TrustSection
from mpc_agent.drivers.tagmap import MeasuredTag
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    EstimationSettings,
    SignalSettings,
    Uncertainty,
)
from mpc_agent.safety.settings import FallbackSettings, InputLimit, SafetySettings
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
        uncertainty={
            name: Uncertainty(
                initial=section.uncertainty[name].initial_deviation,
                drift=section.uncertainty[name].drift_per_sqrt_h,
                relative_drift=section.uncertainty[name].relative_drift_per_sqrt_h,
            )
            for name in model.states
        },
        signals=tuple(
            _online_signal(name, item, document.tags.measured[name])
            for name, item in signals.online.items()
        ),
        assays=tuple(_signal(name, item) for name, item in signals.assays.items()),
        adapted=tuple(
            AdaptedParameter(
                name=name,
                deviation=item.relative_deviation,
                drift=item.relative_drift_per_sqrt_h,
                lower=item.lower,
                upper=item.upper,
            )
            for name, item in section.adapted.items()
        ),
        max_rewind_h=section.max_rewind_h,
    )


def _signal(name: str, item: TrustSection) -> SignalSettings:
    return SignalSettings(
        name=name,
        absolute=item.noise.absolute,
        relative=item.noise.relative,
        lower=item.plausible[0],
        upper=item.plausible[1],
        gate=item.gate_sigmas,
        readmit_after=item.readmit_after,
    )


def _online_signal(name: str, item: OnlineSection, tag: MeasuredTag) -> SignalSettings:
    return replace(
        _signal(name, item),
        max_age_s=tag.max_age_s,
        accept_uncertain=tag.uncertain == "accept",
        max_rate_per_h=item.max_rate_per_h,
        frozen_after_s=item.frozen_after_s,
    )


def control_settings(document: Document, model: PlantModel) -> ControlSettings:
    """The optimal control problems."""
    feed, gas = document.control.feed, document.control.gas
    feed_problem = Problem(
        name="feed",
        model=model,
        inputs=_decided(feed),
        pieces=feed.pieces,
        degree=feed.degree,
        maximise=feed.maximise.output,
        maximise_scale=feed.maximise.scale,
        limits=_limits(feed),
        held_states=feed.held_states,
        guess_held=feed.guess_held_states,
        check_steps=feed.check_steps,
        defect_max=feed.defect_max,
    )
    return ControlSettings(
        feed=FeedSettings(
            feed_problem, feed.interval_s, feed.after_samples, feed.from_h, feed.foreseen
        ),
        gas=None if gas is None else _gas_settings(gas, model),
    )


def _gas_settings(gas: GasSection, model: PlantModel) -> GasSettings:
    """The tracking problem."""
    problem = Problem(
        name="gas",
        model=model,
        inputs=_decided(gas),
        pieces=gas.pieces,
        degree=gas.degree,
        tracked=tuple(
            Tracked(output=name, weight=item.weight, scale=item.scale)
            for name, item in gas.tracked.items()
        ),
        limits=_limits(gas),
        held_states=gas.held_states,
        guess_held=gas.guess_held_states,
        check_steps=gas.check_steps,
        defect_max=gas.defect_max,
    )
    setpoints = {name: _schedule(item) for name, item in gas.tracked.items()}
    return GasSettings(problem, gas.piece_s, setpoints)


def _decided(part: ProblemSection) -> tuple[DecidedInput, ...]:
    return tuple(
        DecidedInput(
            name=name,
            lower=item.lower,
            upper=item.upper,
            move_weight=item.move_weight,
            effort_weight=item.effort_weight,
            max_move=item.max_move,
        )
        for name, item in part.inputs.items()
    )


def _limits(part: ProblemSection) -> tuple[Limit, ...]:
    return tuple(
        Limit(
            output=item.output,
            lower=item.lower,
            upper=item.upper,
            scale=item.scale,
            weight=item.weight,
            margin=item.margin_deviations,
            margin_max=inf if item.margin_max is None else item.margin_max,
        )
        for item in part.limits
    )


def _schedule(item: TrackedSection) -> Schedule:
    hours, values = zip(*item.setpoint, strict=True)
    return Schedule(np.array(hours, dtype=np.float64), np.array(values, dtype=np.float64))


def safety_settings(document: Document, model: PlantModel) -> SafetySettings:
    """Limits and graces of guard, ladder and mode machine."""
    section, control = document.safety, document.control
    inputs, graces, oxygen = section.inputs, section.graces, section.oxygen
    feeds = tuple(name for name in inputs if name in model.volume_flows)
    times = {"feed": section.fallbacks.feed, "gas": section.fallbacks.gas}
    return SafetySettings(
        input_limits={
            name: InputLimit(
                lower=item.lower,
                upper=item.upper,
                rise_per_h=inf if item.rise_per_h is None else item.rise_per_h,
                fall_per_h=inf if item.fall_per_h is None else item.fall_per_h,
            )
            for name, item in inputs.items()
        },
        feeds=feeds,
        gases=section.sparge_gives_way,
        other_liquids=tuple(name for name in model.volume_flows if name not in feeds),
        safe_inputs={name: item.safe for name, item in inputs.items()},
        fallbacks={
            name: FallbackSettings(tuple(part.inputs), age.fresh_s, age.hold_s)
            for name, part in control.problems
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
    )
