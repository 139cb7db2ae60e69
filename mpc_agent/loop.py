"""The schedule: one cycle after the other until harvest or until told to stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import structlog

from mpc_agent.build import Engines, batch_header, build_rooms
from mpc_agent.clock import Clock
from mpc_agent.config import Settings
from mpc_agent.config.settings import batch_identity
from mpc_agent.cycle import Agent, run_cycle
from mpc_agent.drivers.protocol import Driver
from mpc_agent.errors import BadRecordError
from mpc_agent.journal import Journal
from mpc_agent.memory import SHARED, CycleRecord, Decision, Memory, Rooms, begin, remember
from mpc_agent.metrics import Metrics
from mpc_agent.provenance import model_fingerprint
from mpc_agent.record import BatchHeader
from mpc_agent.safety.modes import released
from mpc_agent.values import Applied, Event, Severity
from mpc_agent.web.health import Health

log = structlog.get_logger()

Progress = Callable[[CycleRecord], None]


@dataclass(frozen=True)
class Run:
    """A batch about to be run: the agent, its memory, and the rhythm."""

    agent: Agent
    memory: Memory
    period_s: float


async def run_agent(
    run: Run, clock: Clock, stop: asyncio.Event, health: Health, progress: Progress
) -> Memory:
    """Cycle until harvest or until `stop` is set; control is given up at the end.

    Args:
        run: what to run.
        clock: the agent's time.
        stop: set when the agent must end after the cycle under way.
        health: told of every finished cycle.
        progress: told of every finished cycle.

    Returns:
        The memory that the last cycle left.
    """
    agent, memory = run.agent, run.memory
    rooms = agent.rooms
    harvest_s = rooms.inoculated_at_s + rooms.harvest_h * 3600
    while not stop.is_set():
        record, memory = await run_cycle(agent, memory)
        health.progressed()
        health.met("estimate")
        progress(record)
        if record.time_s >= harvest_s - 1:
            break
        await _until(clock, min(_next_cycle_s(run, record.time_s), harvest_s), stop, health)
    await agent.driver.request(control=False)
    return replace(memory, mode=released(memory.mode))


def _next_cycle_s(run: Run, now_s: float) -> float:
    """The next multiple of the period since inoculation: cycles never pile up after a delay."""
    start_s = run.agent.rooms.inoculated_at_s
    done = (now_s - start_s + 1.0) // run.period_s
    return start_s + (done + 1) * run.period_s


async def _until(clock: Clock, time_s: float, stop: asyncio.Event, health: Health) -> None:
    """Sleep until `time_s` or until stopped, showing that the loop still lives."""
    stopping = asyncio.create_task(stop.wait())
    sleeping = asyncio.create_task(clock.sleep_until(time_s))
    try:
        while not (sleeping.done() or stopping.done()):
            await asyncio.wait(
                {stopping, sleeping}, timeout=10.0, return_when=asyncio.FIRST_COMPLETED
            )
            health.progressed()
    finally:
        stopping.cancel()
        sleeping.cancel()
    if sleeping.done() and not sleeping.cancelled():
        sleeping.result()


async def wait_for_plant(driver: Driver, stop: asyncio.Event, health: Health) -> bool:
    """Wait until the plant can be read, saying why not; False when stopped before."""
    said = ""
    while not stop.is_set():
        health.progressed()
        readings = await driver.read()
        if readings.status.connected:
            return True
        if readings.status.message != said:
            said = readings.status.message
            log.warning("waiting for the plant", reason=said)
        try:
            await asyncio.wait_for(stop.wait(), timeout=1.0)
        except TimeoutError:
            continue
    return False


def early_header(settings: Settings, engines: Engines) -> BatchHeader:
    """What metrics and page can be made of before the plant was heard: all but its times."""
    rooms = build_rooms(settings, engines, inoculated_at_s=0.0)
    return batch_header(settings, rooms, created_at_s=0.0)


async def prepare(
    settings: Settings,
    engines: Engines,
    driver: Driver,
    clock: Clock,
    file: Path,
    metrics: Metrics | None = None,
) -> Run:
    """Begin the batch, or go on with its record if there is one.

    Args:
        settings: the agent's.
        engines: filter and optimisers.
        driver: the plant.
        clock: the agent's time.
        file: the batch's record.
        metrics: those already shown; new ones by default.

    Raises:
        BadRecordError: the record is of another configuration or model.
        JournalError: the record cannot be opened or written.
    """
    document = settings.document
    journal = _begun_record(settings, file)
    if journal is not None:
        rooms = build_rooms(settings, engines, journal.header.inoculated_at_s)
    else:
        now_s = await clock.now_s()
        rooms = build_rooms(settings, engines, await _inoculated_at_s(settings, driver, now_s))
        journal = Journal.create(file, batch_header(settings, rooms, now_s), SHARED)
        _tell_late_start(journal, now_s, settings)
    memory = _memory(journal, rooms, settings)

    def solve_durations() -> dict[str, float]:
        rooms = {"solve.feed": engines.feed, "solve.gas": engines.gas}
        taken = {name: room.take_solve_s() for name, room in rooms.items() if room is not None}
        return {name: seconds for name, seconds in taken.items() if seconds is not None}

    agent = Agent(
        rooms=rooms,
        driver=driver,
        journal=journal,
        metrics=metrics or Metrics(journal.header, file.parent),
        solve_durations=solve_durations,
        deadline_s=document.cycle.deadline_s,
    )
    return Run(agent, memory, document.cycle.period_s)


def _begun_record(settings: Settings, file: Path) -> Journal | None:
    """The batch's record, if it was begun; refused when it is of something else."""
    if not file.exists():
        return None
    journal = Journal.open(file, SHARED)
    header = journal.header
    for what, then, now in (
        ("configuration", batch_identity(header.config), batch_identity(settings.text)),
        ("order of signals, assays and parameters", *_orders(header, settings)),
        ("model", header.model_hash, model_fingerprint(settings.model)),
    ):
        if then != now:
            journal.close()
            raise BadRecordError(
                f"{file} was begun with another {what} (hash {then[:12]}, now {now[:12]}). "
                f"Use the {what} it was begun with, or give the batch another id."
            )
    breaks = journal.verify()
    if breaks:
        journal.close()
        raise BadRecordError(
            f"{file} is not as it was written ({len(breaks)} breaks, first: {breaks[0]}). Keep it "
            "for investigation and give the batch another id."
        )
    return journal


def _orders(header: BatchHeader, settings: Settings) -> tuple[str, str]:
    """Hashes of the order in which record and configuration name what a belief is made of."""
    estimation = settings.estimation
    recorded = (header.signals, header.assays, tuple(item.name for item in header.adapted))
    configured = tuple(
        tuple(item.name for item in part)
        for part in (estimation.signals, estimation.assays, estimation.adapted)
    )
    then, now = (sha256(str(names).encode()).hexdigest() for names in (recorded, configured))
    return then, now


def _tell_late_start(journal: Journal, now_s: float, settings: Settings) -> None:
    """A batch that began without the agent: what was fed before is not known."""
    missed_h = journal.header.hours(now_s)
    if missed_h * 3600 <= settings.document.cycle.period_s:
        return
    text = (
        f"The agent starts {missed_h:.1f} h after inoculation without a record. Doses are counted "
        "from now, and the estimate begins at model.initial as if the flows of now had held since; "
        "take a lab sample and check the volume."
    )
    log.warning(text)
    journal.event(now_s, Event("STARTED_LATE", Severity.ALARM, text))


async def _inoculated_at_s(settings: Settings, driver: Driver, now_s: float) -> float:
    configured = settings.document.batch.inoculated_at
    if configured is not None:
        return configured.timestamp()
    told_s = await driver.inoculated_at_s()
    return now_s if told_s is None else told_s


def _memory(journal: Journal, rooms: Rooms, settings: Settings) -> Memory:
    """What the record remembers; setpoints of the last cycle count as not confirmed.

    Whoever starts has not asked the plant for control yet, so the old request counts as given up.
    """
    target = settings.document.cycle.target_mode
    last = journal.last()
    if last is None:
        return begin(rooms, target)
    decision = journal.decision(last.number, Decision)
    for number in journal.unresolved:
        text = (
            f"Cycle {number} was interrupted between its intent and its outcome; the setpoints "
            "that the plant holds are read back."
        )
        event = Event("INTERRUPTED_CYCLE", Severity.EVENT, text)
        journal.event(decision.estimate.time_s, event, number=number)
        journal.outcome(number, Applied(written=False), {})
    memory = remember(decision, Applied(written=False), late=False, record_failed=False)
    return replace(memory, target=target, mode=released(memory.mode))
