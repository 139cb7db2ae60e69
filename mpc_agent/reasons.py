"""What a decision tells people: why the mode is what it is, and what happened. Pure."""

from collections.abc import Iterator, Mapping

from mpc_agent.estimate_reasons import (
    dose_events,
    judgement_events,
    lasting,
    move_events,
    over_events,
    sample_events,
)
from mpc_agent.harvest import HARVEST_DUE, harvest_due, harvest_moved
from mpc_agent.memory import Memory, Rooms
from mpc_agent.safety.balance import MassBalance, drifting_pumps, imbalance, reliefs
from mpc_agent.safety.flags import TABLE, ModeState
from mpc_agent.safety.modes import transitions, worst_flag
from mpc_agent.steps import Planned
from mpc_agent.values import Estimate, Event, Origin, Readings, Setpoints, Severity


def mode_reason(mode: ModeState) -> str:
    """Why the mode is what it is."""
    worst = worst_flag(mode.flags)
    if worst is None or mode.actual is mode.target:
        return f"As asked for: {mode.target}."
    return f"{worst}: {TABLE[worst].raised}."


def troubles_of(
    rooms: Rooms,
    memory: Memory,
    estimate: Estimate,
    planned: Planned,
    balance: MassBalance,
    readings: Readings,
) -> Mapping[str, Event]:
    """What is wrong or due, by a key that stays as long as it lasts."""
    message = readings.status.message
    found = {message: Event("PLANT_SAYS", Severity.EVENT, f"{message}.")} if message else {}
    for name, reason in memory.refused.items():
        found[name] = Event("SETPOINT_REFUSED", Severity.EVENT, f"{name}: {reason}.")
    drifting = drifting_pumps(estimate, _gains(rooms), rooms.safety.max_pump_drift, memory.told)
    doubts = lasting(rooms.kalman.settings, estimate, memory.told)
    due = harvest_due(rooms, planned, readings.read_at_s)
    return {**found, **imbalance(balance), **drifting, **doubts, **due}


def _gains(rooms: Rooms) -> Mapping[str, int]:
    """Place of each learnt pump's gain in an estimate's mean."""
    settings = rooms.kalman.settings
    learnt = {item.name: len(settings.model.states) + i for i, item in enumerate(settings.adapted)}
    pumps = {pump: learnt.get(f"{pump}_gain") for pump in rooms.safety.liquids}
    return {pump: place for pump, place in pumps.items() if place is not None}


def events_of(
    rooms: Rooms,
    memory: Memory,
    mode: ModeState,
    estimate: Estimate,
    planned: Planned,
    setpoints: Setpoints,
    troubles: Mapping[str, Event],
) -> tuple[Event, ...]:
    """Everything of this cycle that is worth telling; a trouble is told once while it lasts."""
    settings, book = rooms.kalman.settings, memory.estimation.history.book
    return (
        *transitions(memory.mode, mode),
        *(event for key, event in troubles.items() if key not in memory.told),
        *reliefs(memory.told, troubles),
        *over_events(memory.told, troubles),
        *judgement_events(settings, estimate),
        *sample_events(estimate, book),
        *dose_events(estimate, book, rooms.inoculated_at_s),
        *move_events(settings, estimate),
        *_unusable_plans(memory, planned),
        *harvest_moved(rooms, memory, planned, due=HARVEST_DUE in troubles),
        *_ladder(memory, planned, setpoints),
    )


def _unusable_plans(memory: Memory, planned: Planned) -> Iterator[Event]:
    """A solve that fails is told when it begins to fail, not in every cycle."""
    for plan in planned.plans.values():
        if not plan.usable and memory.origin.get(plan.problem, Origin.PLAN) is Origin.PLAN:
            tried = ", ".join(plan.attempts) or "nothing"
            yield Event(
                "PLAN_UNUSABLE",
                Severity.EVENT,
                f"{plan.problem}: {plan.status} after {tried}. {plan.message}",
            )


def _ladder(memory: Memory, planned: Planned, setpoints: Setpoints) -> Iterator[Event]:
    """A rung other than PLAN is worth an event when it is stepped on, not in every cycle."""
    for reason, (problem, origin) in zip(planned.reasons, planned.origin.items(), strict=True):
        if origin is not Origin.PLAN and memory.origin.get(problem) is not origin:
            yield Event(f"LADDER_{origin}", Severity.EVENT, reason)
    for clip in setpoints.clips:
        wanted_more = clip.wanted - clip.allowed > TELLING * abs(clip.wanted)
        fresh = (clip.input, clip.rule) not in memory.clipped
        if clip.rule in ALARMING_RULES and fresh and wanted_more:
            yield Event(
                "GUARD_INTERVENED",
                Severity.ALARM,
                f"{clip.input} {clip.wanted:.4g} -> {clip.allowed:.4g} by rule {clip.rule!r}.",
            )


TELLING = 0.05
"""Share of a setpoint that the guard must take away before people are told."""

ALARMING_RULES = frozenset({"oxygen", "hourly dose", "total dose", "volume"})
"""Rules of the guard that an operator must know of; the others round off what is normal."""
