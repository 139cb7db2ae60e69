"""The demo's batch in this process, cut short: what the tests of the whole cycle run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from mpc_agent.build import Engines, build_engines, tag_map
from mpc_agent.clock import VirtualClock
from mpc_agent.commands.simulation import simulated_plant
from mpc_agent.config import Settings
from mpc_agent.cycle import Agent, run_cycle
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.journal import Journal
from mpc_agent.loop import Run, prepare, run_agent
from mpc_agent.memory import SHARED, CycleRecord, Memory, Rooms
from mpc_agent.web.health import Health
from sim_plant.plant import SimulatedPlant
from tests.config_files import DEMO

HOURS = 6.0
RECORD = "journal.sqlite"
SETPOINTS = ("GlucoseFeed", "AminoFeed", "Air", "Oxygen", "CarbonDioxide", "Nitrogen")


@cache
def demo_settings(hours: float = HOURS, mode: str = "CONTROL") -> Settings:
    """The demo's settings with an early harvest."""
    environment = {
        "MPC_AGENT__BATCH__HARVEST_H": repr(hours),
        "MPC_AGENT__CYCLE__TARGET_MODE": mode,
    }
    return Settings.load(DEMO, environment)


@cache
def demo_engines() -> Engines:
    """Filter and optimisers of the demo; they do not depend on the harvest."""
    return build_engines(demo_settings())


def demo_plant(settings: Settings | None = None) -> SimulatedPlant:
    """The demo's plant at inoculation."""
    return SimulatedPlant(simulated_plant(settings or demo_settings()))


@dataclass
class Batch:
    """What a run left.

    Attributes:
        rooms: the pure rooms.
        plant: the plant, at the time the run ended.
        file: the record.
        memory: what the last cycle left.
        records: every cycle of the run.
    """

    rooms: Rooms
    plant: SimulatedPlant
    file: Path
    memory: Memory
    records: list[CycleRecord] = field(default_factory=list)

    @property
    def modes(self) -> list[str]:
        """Modes of all cycles."""
        return [str(record.decision.mode) for record in self.records]

    def journal(self) -> Journal:
        """The record, to read."""
        return Journal.open(self.file, SHARED, read_only=True)


def run_batch(
    folder: Path,
    plant: SimulatedPlant | None = None,
    *,
    settings: Settings | None = None,
    engines: Engines | None = None,
    cycles: int | None = None,
    follow: Callable[[CycleRecord], None] = lambda record: None,
) -> Batch:
    """Begin or continue the batch in `folder` on a plant, to harvest or for some cycles.

    Args:
        folder: where the record is or will be.
        plant: the plant; a new one when left out.
        settings: the demo's when left out.
        engines: filter and optimisers of these settings; the demo's when left out.
        cycles: stop after so many.
        follow: told of every finished cycle.
    """
    settings = settings or demo_settings()
    plant = plant or demo_plant(settings)
    clock, driver = VirtualClock(plant), SimulatedDriver(plant, tag_map(settings))
    records: list[CycleRecord] = []

    async def whole() -> tuple[Run, Memory]:
        stop = asyncio.Event()

        def note(record: CycleRecord) -> None:
            records.append(record)
            follow(record)
            if len(records) == cycles:
                stop.set()

        built = engines or demo_engines()
        run = await prepare(settings, built, driver, clock, folder / RECORD)
        try:
            memory = await run_agent(run, clock, stop, Health(run.period_s), note)
        finally:
            await driver.close()
            run.agent.journal.close()
        return run, memory

    run, memory = asyncio.run(whole())
    return Batch(run.agent.rooms, plant, folder / RECORD, memory, records)


class Bench:
    """An agent and its plant, taken through single cycles by hand."""

    def __init__(self, folder: Path) -> None:
        self.plant = demo_plant()
        self.driver = SimulatedDriver(self.plant, tag_map(demo_settings()))
        self.clock = VirtualClock(self.plant)
        self.run = asyncio.run(
            prepare(demo_settings(), demo_engines(), self.driver, self.clock, folder / RECORD)
        )
        self.agent: Agent = self.run.agent
        self.memory: Memory = self.run.memory

    def cycle(self, deadline_s: float | None = None) -> CycleRecord:
        """One cycle, maybe with another deadline, and ten minutes of the plant's life."""
        agent = self.agent
        if deadline_s is not None:
            agent = replace(agent, deadline_s=deadline_s)
        record, self.memory = asyncio.run(run_cycle(agent, self.memory))
        self.plant.advance_to(self.plant.time_s + 600)
        return record

    def setpoints(self) -> dict[str, object]:
        """The remote setpoints as the plant has them."""
        return {name: self.plant.tag(f"{name}.Setpoint").value for name in SETPOINTS}

    def heartbeat(self) -> object:
        return self.plant.tag("Control.Heartbeat").value

    def fill_disk(self) -> None:
        """The record's file cannot grow any more."""
        connection = self.agent.journal._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def empty_disk(self) -> None:
        """It can again."""
        self.agent.journal._connection.execute("PRAGMA max_page_count = 1073741823")

    def close(self) -> None:
        asyncio.run(self.driver.close())
        self.agent.journal.close()
