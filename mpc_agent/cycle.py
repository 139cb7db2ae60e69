"""One cycle, one straight line: measure, validate, estimate, plan, guard, record, actuate.

`decide` is pure: the same rooms, memory and readings give the same decision, bit for bit. That is
what replay does with the record. `run_cycle` adds the effects around it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from mpc_agent.clock import stopwatch
from mpc_agent.drivers.protocol import Driver
from mpc_agent.estimation.estimator import estimate
from mpc_agent.estimation.validate import validate
from mpc_agent.harvest import told_harvest_h
from mpc_agent.journal import Journal, JournalError
from mpc_agent.memory import CycleRecord, Decision, Memory, Rooms, remember
from mpc_agent.metrics import Metrics
from mpc_agent.reasons import events_of, mode_reason, troubles_of
from mpc_agent.safety.guard import guard
from mpc_agent.safety.modes import next_state
from mpc_agent.steps import conditions_of, guard_context, plan_all, weighed
from mpc_agent.values import Applied, Mode, Readings

log = structlog.get_logger(__name__)


def decide(rooms: Rooms, memory: Memory, readings: Readings) -> Decision:
    """What to do, from what is remembered and what was read. Never raises for plant trouble."""
    settings = rooms.kalman.settings
    measurement, signals = validate(
        readings, memory.signals, settings.signals, settings.model.inputs, rooms.safety.period_s
    )
    now_s, samples, doses = readings.read_at_s, readings.samples, readings.doses
    belief, estimation = estimate(
        rooms.kalman, memory.estimation, measurement, samples, now_s, doses
    )
    planned = plan_all(rooms, memory, belief, estimation, measurement, readings)
    context = guard_context(rooms, memory, belief, measurement, readings)
    balance = weighed(rooms, memory, context.ledger, measurement, readings.read_at_s)
    setpoints = guard(planned.wanted, planned.origin, context, planned.reasons)
    conditions = conditions_of(rooms, memory, belief, measurement, setpoints, readings)
    mode = next_state(memory.mode, memory.target, conditions, rooms.safety)
    troubles = troubles_of(rooms, memory, belief, planned, balance, readings)
    return Decision(
        mode=mode.actual,
        mode_reason=mode_reason(mode),
        measurement=measurement,
        estimate=belief,
        plans=planned.plans,
        setpoints=setpoints,
        expected=planned.expected,
        events=events_of(rooms, memory, mode, belief, planned, setpoints, troubles),
        memory=replace(
            memory,
            cycle=memory.cycle + 1,
            mode=mode,
            signals=signals,
            estimation=estimation,
            plans=planned.usable,
            expected=planned.expected,
            ledger=context.ledger,
            balance=balance,
            oxygen=context.oxygen,
            origin=setpoints.origin,
            clipped=tuple((clip.input, clip.rule) for clip in setpoints.clips),
            told=tuple(troubles),
            harvest_h=told_harvest_h(rooms, memory, planned),
        ),
    )


@dataclass(frozen=True)
class Agent:
    """What a cycle acts through.

    Attributes:
        rooms: the pure rooms.
        driver: the plant.
        journal: the record.
        metrics: for Prometheus.
        solve_durations: gives the wall seconds of the solves since it was last asked.
        deadline_s: wall seconds after which a decision is recorded but not applied.
    """

    rooms: Rooms
    driver: Driver
    journal: Journal
    metrics: Metrics
    solve_durations: Callable[[], Mapping[str, float]]
    deadline_s: float


async def run_cycle(agent: Agent, memory: Memory) -> tuple[CycleRecord, Memory]:
    """Read, decide, record, write, record, show life. No record, no write."""
    watch = stopwatch()
    readings = await agent.driver.read()
    memory = replace(memory, limits=dict(agent.driver.limits))
    read_s = watch.elapsed_s
    decision = await asyncio.to_thread(decide, agent.rooms, memory, readings)
    decided_s = watch.elapsed_s
    number, time_s, journal = memory.cycle, readings.read_at_s, agent.journal
    recorded = _committed(agent, lambda: journal.intent(number, time_s, readings, memory, decision))
    late = watch.elapsed_s > agent.deadline_s
    applied = Applied(written=False)
    if decision.mode is Mode.CONTROL and recorded and not late:
        applied = await agent.driver.write(decision.setpoints)
    durations = {
        "read": read_s,
        "decide": decided_s - read_s,
        "write": watch.elapsed_s - decided_s,
        **agent.solve_durations(),
        "cycle": watch.elapsed_s,
    }
    recorded = recorded and _committed(agent, lambda: journal.outcome(number, applied, durations))
    await agent.driver.request(decision.memory.mode.requested)
    await agent.driver.beat(number + 1)
    record = CycleRecord(number, time_s, readings, decision, applied, durations)
    agent.metrics.publish(record)
    return record, remember(decision, applied, late=late, record_failed=not recorded)


def _committed(agent: Agent, commit: Callable[[], None]) -> bool:
    """Whether the record took it; a failure raises a flag in the next cycle."""
    try:
        commit()
    except JournalError as error:
        log.error("the record cannot be written", reason=str(error))
        agent.metrics.audit_write(succeeded=False)
        return False
    agent.metrics.audit_write(succeeded=True)
    return True
