"""What the lines of `decide` are made of: gathering what each room needs. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from controllers.plan import Plan
from controllers.situation import Situation
from mpc_agent.estimation.estimator import EstimatorMemory
from mpc_agent.estimation.settings import EstimationSettings, NeededOutput, SignalSettings
from mpc_agent.forecasting import Ahead, ahead, scenarios
from mpc_agent.memory import Memory, Rooms
from mpc_agent.planning import (
    Situated,
    feed_is_due,
    feed_situation,
    gas_situation,
    recipe_inputs,
    search_is_due,
)
from mpc_agent.record import Forecast
from mpc_agent.safety.balance import MassBalance, weigh
from mpc_agent.safety.flags import Conditions
from mpc_agent.safety.guard import GuardContext, contradicting_limits
from mpc_agent.safety.ladder import Choice, Sources, choose
from mpc_agent.safety.ledger import Ledger, losing, record_delivery, record_doses
from mpc_agent.safety.oxygen import watch_oxygen
from mpc_agent.values import (
    WITHDRAWN,
    Dose,
    Estimate,
    Measurement,
    Origin,
    Quality,
    Readings,
    Setpoints,
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
    now = situated(rooms, memory, estimation, measurement, readings)
    usable, attempts = dict(memory.plans), dict[str, Plan]()
    expected = memory.expected
    if feed_is_due(rooms.control.feed, estimate, now, usable.get(FEED)):
        situation = feed_situation(
            rooms.feed, rooms.control.feed, rooms.recipe, estimate, now, usable.get(FEED)
        )
        uncertainty = rooms.control.feed.uncertainty
        if uncertainty is not None:
            courses = scenarios(rooms.feed, rooms.kalman, estimate, situation, uncertainty)
            situation = replace(situation, courses=courses)
        attempts[FEED] = rooms.feed.solve(
            situation,
            usable.get(FEED),
            afresh=search_is_due(rooms.control.feed, now, usable.get(FEED)),
        )
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


def situated(
    rooms: Rooms,
    memory: Memory,
    estimation: EstimatorMemory,
    measurement: Measurement,
    readings: Readings,
) -> Situated:
    """What planning must know besides the estimate."""
    batch_h = rooms.hours(readings.read_at_s)
    problem = rooms.feed.problem
    decided = {*problem.decided, *(item.input for item in problem.boluses)}
    liquids = set(problem.model.volume_flows) & decided
    return Situated(
        time_s=readings.read_at_s,
        batch_h=batch_h,
        remaining_h=rooms.harvest_h - batch_h,
        parameters=rooms.kalman.parameters(estimation.history.belief),
        inputs=measurement.inputs,
        setpoints={**memory.confirmed, **readings.setpoints},
        limits=memory.limits,
        fed_L=sum(memory.ledger.total_L(name) for name in liquids),
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
    """The plan with its deviations, and the harvest by following it or the recipe from here on.

    Both are foretold for the harvest that is planned.
    """
    kalman, nmpc = rooms.kalman, rooms.feed
    best = nmpc.problem.maximise
    product = nmpc.problem.model.product if best is None else best.output
    place = nmpc.problem.model.output_names.index(product)
    # Both on the plan's own grid: a free harvest has stretched it, and compares at its own hour.
    planned = replace(situation, steps_h=np.diff(plan.grid_h, prepend=0.0))
    by_recipe = recipe_inputs(nmpc, rooms.recipe, now, planned.steps_h)
    poured = situation.bolus_guess
    by_plan = ahead(nmpc, kalman, estimate, planned, plan.inputs, plan.boluses)
    expected = {
        "plan": _at_harvest(by_plan, place),
        "recipe": _at_harvest(ahead(nmpc, kalman, estimate, planned, by_recipe, poured), place),
    }
    return replace(plan, output_deviation=by_plan.deviations), expected


def _at_harvest(foretold: Ahead, place: int) -> Forecast:
    """One output at harvest."""
    return Forecast(float(foretold.means[-1, place]), float(foretold.deviations[-1, place]))


def guard_context(
    rooms: Rooms, memory: Memory, estimate: Estimate, measurement: Measurement, readings: Readings
) -> GuardContext:
    """What the guard knows: deliveries, oxygen, and the volume when the estimate is trusted."""
    now_s, model = readings.read_at_s, rooms.kalman.settings.model
    signals = rooms.kalman.settings.signals
    volume = model.state_names.index(model.volume)
    trusted = estimate.healthy
    return GuardContext(
        settings=rooms.safety,
        now_s=now_s,
        held=readings.setpoints,
        confirmed=memory.confirmed,
        plant_limits=memory.limits,
        ledger=_kept_ledger(rooms, memory, estimate, measurement, readings),
        oxygen=watch_oxygen(
            memory.oxygen,
            dissolved_oxygen(signals, measurement, readings, estimate.suspects),
            now_s,
            rooms.safety,
        ),
        volume_L=float(estimate.mean[volume]) if trusted else np.nan,
        volume_deviation_L=float(estimate.deviation[volume]) if trusted else np.nan,
        weighed_L=weighed_L(rooms, measurement, readings),
    )


def weighed_L(rooms: Rooms, measurement: Measurement, readings: Readings) -> float:
    """Volume that the scale shows for certain: three deviations of its noise below; NaN without.

    A scale that everything else contradicts counts, too: that is when the guard needs it.
    """
    balance = rooms.safety.balance
    if balance is None:
        return np.nan
    place = measurement.signals.index(balance.signal)
    if not measurement.verdicts[place].usable:
        return np.nan
    scale = rooms.kalman.settings.signals[place]
    weight_kg = readings.measured[balance.signal].value
    noise_kg = float(np.hypot(scale.absolute, scale.relative * weight_kg))
    return (weight_kg - 3 * noise_kg) / balance.density_kg_per_L


def _kept_ledger(
    rooms: Rooms, memory: Memory, estimate: Estimate, measurement: Measurement, readings: Readings
) -> Ledger:
    """What the pumps showed, what was booked, what the lab drew, and what is lost from now on."""
    settings = rooms.kalman.settings
    model = settings.model
    # What could not be read stands in `measurement.inputs` as it was; the ledger knows better.
    read = {
        name: item.value
        for name, item in readings.inputs.items()
        if item.quality is not Quality.BAD
    }
    believed = zip(model.input_names, measurement.inputs, strict=True)
    flows = {name: float(value) for name, value in believed if read.get(name) == value}
    commanded = {**memory.confirmed, **readings.setpoints}
    ledger = record_delivery(
        memory.ledger, rooms.safety.liquids, flows, commanded, readings.read_at_s
    )
    doses = readings.doses
    if settings.sample_volume_L > 0:
        drawn_at_s = sorted({sample.drawn_at_s for sample in readings.samples})
        doses += tuple(Dose(WITHDRAWN, settings.sample_volume_L, at_s) for at_s in drawn_at_s)
    ledger = record_doses(ledger, doses, rooms.inoculated_at_s)
    loss_L_per_h = settings.evaporation_L_per_h
    if model.volume_loss is not None:
        lost = float(estimate.outputs[model.output_names.index(model.volume_loss)])
        loss_L_per_h += lost if estimate.healthy else np.nan
    return losing(ledger, loss_L_per_h)


def weighed(
    rooms: Rooms, memory: Memory, ledger: Ledger, measurement: Measurement, now_s: float
) -> MassBalance:
    """The balance of weight and ledger; empty where none is kept."""
    settings, balance = rooms.safety.balance, memory.balance
    if settings is None:
        return balance
    if memory.ledger.updated_at_s is None:
        late = now_s - rooms.inoculated_at_s > rooms.safety.period_s
        balance = replace(balance, late=late)
    weight_kg = float(measurement.values[measurement.signals.index(settings.signal)])
    return weigh(balance, ledger, weight_kg, now_s, settings, rooms.safety.initial_volume_L)


OXYGEN_OUTPUT = "dissolved_oxygen"
"""The output of the model behind the guard's oxygen rule."""


def dissolved_oxygen(
    signals: tuple[SignalSettings, ...],
    measurement: Measurement,
    readings: Readings,
    suspects: Collection[str] = (),
) -> float:
    """The lowest usable value of all its probes, NaN when there is none.

    What a probe shows between the values that the filter uses counts as well. A suspect neither
    alarms nor reassures: without another probe oxygen is unknown, which the watch takes for low.
    """
    shown = [
        readings.measured[signal.name].value
        for signal, verdict in zip(signals, measurement.verdicts, strict=True)
        if signal.shows == OXYGEN_OUTPUT and verdict.usable and signal.name not in suspects
    ]
    return min(shown, default=float("nan"))


def lost_signals(
    critical: tuple[str, ...], measurement: Measurement, suspects: Collection[str] = ()
) -> tuple[str, ...]:
    """Critical signals without a value to go by; one that was used already still is one.

    A suspect is lost as well: it still shows a number, but everything else contradicts it, so that
    what made the signal critical is no longer watched. A single refusal by the gate loses nothing.
    """
    return tuple(
        signal
        for signal, verdict in zip(measurement.signals, measurement.verdicts, strict=True)
        if signal in critical and (signal in suspects or not verdict.usable)
    )


def unobservable(needed: Iterable[tuple[NeededOutput, int]], estimate: Estimate) -> tuple[str, ...]:
    """Outputs that are known less well than control needs, from what is needed and its places."""
    return tuple(
        item.output
        for item, place in needed
        if not estimate.output_deviation[place]
        <= item.largest_deviation(float(estimate.outputs[place]))
    )


def needed_outputs(settings: EstimationSettings) -> Iterator[tuple[NeededOutput, int]]:
    """What control needs to know, with its place among the outputs."""
    for item in settings.needed:
        yield item, settings.model.output_names.index(item.output)


def conditions_of(
    rooms: Rooms,
    memory: Memory,
    estimate: Estimate,
    measurement: Measurement,
    setpoints: Setpoints,
    readings: Readings,
) -> Conditions:
    """The facts of this cycle that the mode depends on."""
    return Conditions(
        now_s=readings.read_at_s,
        status=readings.status,
        operator_act=memory.operator_act,
        estimate_healthy=estimate.healthy,
        lost_signals=lost_signals(rooms.safety.critical_signals, measurement, estimate.suspects),
        unobservable=unobservable(needed_outputs(rooms.kalman.settings), estimate),
        record_failed=memory.record_failed,
        at_safe=Origin.SAFE in setpoints.origin.values(),
        write_refused=bool(memory.refused),
        decision_late=memory.decision_late,
        contradicting_limits=contradicting_limits(rooms.safety, memory.limits),
    )
