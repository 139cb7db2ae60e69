"""What the lines of `decide` are made of: gathering what each room needs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from controllers.plan import Floats, Plan
from controllers.situation import Situation
from mpc_agent.estimation.estimator import EstimatorMemory
from mpc_agent.memory import Memory, Rooms
from mpc_agent.planning import (
    Situated,
    feed_is_due,
    feed_situation,
    forecast,
    gas_situation,
    recipe_inputs,
)
from mpc_agent.record import Forecast
from mpc_agent.safety.flags import Conditions
from mpc_agent.safety.guard import GuardContext, contradicting_limits
from mpc_agent.safety.ladder import Choice, Sources, choose
from mpc_agent.safety.ledger import record_delivery
from mpc_agent.safety.oxygen import watch_oxygen
from mpc_agent.values import (
    Estimate,
    Measurement,
    Origin,
    Quality,
    Readings,
    Setpoints,
    Verdict,
)

FEED = "feed"
GAS = "gas"


@dataclass(frozen=True)
class Planned:
    """What planning and the fallback ladder came to.

    Attributes:
        plans: plan of each problem solved now, and the last usable one of the others.
        usable: last usable plan by problem, for the memory.
        expected: product at harvest by following plan or recipe.
        wanted: setpoints before the guard.
        origin: rung of the ladder by problem.
        reasons: why each problem stands on its rung.
    """

    plans: Mapping[str, Plan]
    usable: Mapping[str, Plan]
    expected: Mapping[str, Forecast]
    wanted: Mapping[str, float]
    origin: Mapping[str, Origin]
    reasons: tuple[str, ...]


def plan_all(
    rooms: Rooms,
    memory: Memory,
    estimate: Estimate,
    estimation: EstimatorMemory,
    measurement: Measurement,
    readings: Readings,
) -> Planned:
    """Plan what is due, feeds first, and step down the ladder where there is no usable plan."""
    now = _situated(rooms, memory, estimation, measurement, readings)
    usable, attempts = dict(memory.plans), dict[str, Plan]()
    expected = memory.expected
    if feed_is_due(rooms.control.feed, estimate, now, usable.get(FEED)):
        situation = feed_situation(
            rooms.feed, rooms.control.feed, rooms.recipe, estimate, now, usable.get(FEED)
        )
        attempts[FEED] = rooms.feed.solve(situation, usable.get(FEED))
        if attempts[FEED].usable:
            attempts[FEED], expected = _with_forecast(
                rooms, estimate, situation, now, attempts[FEED]
            )
            usable[FEED] = attempts[FEED]
    feed = _choice(rooms, FEED, attempts, usable, now, readings)
    choices = [feed]
    if rooms.gas is not None and rooms.control.gas is not None:
        situation = gas_situation(rooms.gas, rooms.control.gas, estimate, now, feed.values)
        attempts[GAS] = rooms.gas.solve(situation, usable.get(GAS))
        if attempts[GAS].usable:
            usable[GAS] = attempts[GAS]
        choices.append(_choice(rooms, GAS, attempts, usable, now, readings))
    return Planned(
        plans={**usable, **attempts},
        usable=usable,
        expected=expected,
        wanted={name: value for choice in choices for name, value in choice.values.items()},
        origin={choice.problem: choice.origin for choice in choices},
        reasons=tuple(choice.reason for choice in choices),
    )


def _situated(
    rooms: Rooms,
    memory: Memory,
    estimation: EstimatorMemory,
    measurement: Measurement,
    readings: Readings,
) -> Situated:
    batch_h = rooms.hours(readings.read_at_s)
    return Situated(
        time_s=readings.read_at_s,
        batch_h=batch_h,
        remaining_h=rooms.harvest_h - batch_h,
        parameters=rooms.kalman.parameters(estimation.history.last.belief),
        inputs=measurement.inputs,
        setpoints={**memory.confirmed, **readings.setpoints},
        limits=memory.limits,
    )


def _choice(
    rooms: Rooms,
    problem: str,
    attempts: Mapping[str, Plan],
    usable: Mapping[str, Plan],
    now: Situated,
    readings: Readings,
) -> Choice:
    sources = Sources(
        problem=problem,
        attempt=attempts.get(problem),
        usable=usable.get(problem),
        held=readings.setpoints,
        recipe=rooms.recipe,
        batch_time_h=now.batch_h,
    )
    return choose(sources, now.time_s, rooms.safety)


def _with_forecast(
    rooms: Rooms, estimate: Estimate, situation: Situation, now: Situated, plan: Plan
) -> tuple[Plan, Mapping[str, Forecast]]:
    """The plan with its deviations, and the harvest by following it or the recipe from here on."""
    kalman, nmpc = rooms.kalman, rooms.feed
    place = nmpc.problem.model.output_names.index(nmpc.problem.maximise or "")
    by_recipe = recipe_inputs(nmpc, rooms.recipe, now)
    _, deviations, _ = ahead = forecast(nmpc, kalman, estimate, situation, plan.inputs)
    expected = {
        "plan": _at_harvest(ahead, place),
        "recipe": _at_harvest(forecast(nmpc, kalman, estimate, situation, by_recipe), place),
    }
    return replace(plan, output_deviation=deviations), expected


def _at_harvest(ahead: tuple[Floats, Floats, Floats], place: int) -> Forecast:
    """One output at harvest; what the simulated directions do not explain now lasts till then."""
    means, deviations, unexplained = ahead
    return Forecast(
        float(means[-1, place]), float(np.hypot(deviations[-1, place], unexplained[place]))
    )


def guard_context(
    rooms: Rooms, memory: Memory, estimate: Estimate, measurement: Measurement, readings: Readings
) -> GuardContext:
    """What the guard knows: deliveries, oxygen, and the volume when the estimate is trusted."""
    now_s, model = readings.read_at_s, rooms.kalman.settings.model
    # What could not be read stands in `measurement.inputs` as it was; the ledger knows better.
    read = {
        name: item.value
        for name, item in readings.inputs.items()
        if item.quality is not Quality.BAD
    }
    believed = zip(model.input_names, measurement.inputs, strict=True)
    flows = {name: float(value) for name, value in believed if read.get(name) == value}
    commanded = {**memory.confirmed, **readings.setpoints}
    volume = model.state_names.index(model.volume)
    trusted = estimate.healthy
    return GuardContext(
        settings=rooms.safety,
        now_s=now_s,
        held=readings.setpoints,
        confirmed=memory.confirmed,
        plant_limits=memory.limits,
        ledger=record_delivery(memory.ledger, rooms.safety.liquids, flows, commanded, now_s),
        oxygen=watch_oxygen(memory.oxygen, _value(measurement, OXYGEN_SIGNAL), now_s, rooms.safety),
        volume_L=float(estimate.mean[volume]) if trusted else np.nan,
        volume_deviation_L=float(estimate.deviation[volume]) if trusted else np.nan,
    )


OXYGEN_SIGNAL = "dissolved_oxygen"
"""The signal behind the guard's oxygen rule."""


def _value(measurement: Measurement, signal: str) -> float:
    """An accepted value, NaN when there is none."""
    if signal not in measurement.signals:
        return float("nan")
    return float(measurement.values[measurement.signals.index(signal)])


def conditions_of(
    rooms: Rooms,
    memory: Memory,
    estimate: Estimate,
    measurement: Measurement,
    setpoints: Setpoints,
    readings: Readings,
) -> Conditions:
    """The facts of this cycle that the mode depends on."""
    lost = tuple(
        signal
        for signal, verdict in zip(measurement.signals, measurement.verdicts, strict=True)
        if signal in rooms.safety.critical_signals and verdict is not Verdict.OK
    )
    return Conditions(
        now_s=readings.read_at_s,
        status=readings.status,
        operator_act=memory.operator_act,
        estimate_healthy=estimate.healthy,
        lost_signals=lost,
        record_failed=memory.record_failed,
        at_safe=Origin.SAFE in setpoints.origin.values(),
        write_refused=bool(memory.refused),
        decision_late=memory.decision_late,
        contradicting_limits=contradicting_limits(rooms.safety, memory.limits),
    )
