"""The schedule: cycles fall on multiples of the period and end when they are told to."""

import asyncio
from pathlib import Path

import pytest

from mpc_agent.build import tag_map
from mpc_agent.clock import VirtualClock
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.loop import prepare, run_agent, wait_for_plant
from mpc_agent.memory import CycleRecord
from mpc_agent.web.health import Health
from sim_plant.plant import SimulatedPlant
from tests.examples_batch import RECORD, demo_engines, demo_plant, demo_settings, run_batch


def test_cycles_fall_on_multiples_of_the_period(tmp_path: Path) -> None:
    """Started late, the agent falls into step; it never makes up for cycles it missed."""
    plant = demo_plant()
    plant.advance_to(plant.time_s + 750)
    batch = run_batch(tmp_path, plant, cycles=4)
    since_h = [record.time_s - batch.rooms.inoculated_at_s for record in batch.records]
    assert since_h == [750.0, 1200.0, 1800.0, 2400.0]


def test_the_last_cycle_is_at_harvest(tmp_path: Path) -> None:
    settings = demo_settings(1.0 + 250 / 3600)
    batch = run_batch(tmp_path, settings=settings)
    times = [record.time_s - batch.rooms.inoculated_at_s for record in batch.records]
    assert times[-3:] == [3000.0, 3600.0, 3850.0]
    assert batch.plant.tag("Control.Active").value is False
    assert not batch.memory.mode.requested


class SlowClock(VirtualClock):
    """A clock by which sleeping takes longer than asked for: the plant lives on meanwhile."""

    def __init__(self, plant: SimulatedPlant, late_s: float) -> None:
        super().__init__(plant)
        self._late_s = late_s

    async def sleep_until(self, time_s: float) -> None:
        await super().sleep_until(time_s + self._late_s)


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [(200.0, [0.0, 800.0, 1400.0, 2000.0]), (900.0, [0.0, 1500.0, 2700.0, 3900.0])],
)
async def test_a_delay_does_not_pile_cycles_up(
    tmp_path: Path, late_s: float, expected: list[float]
) -> None:
    plant, stop = demo_plant(), asyncio.Event()
    driver = SimulatedDriver(plant, tag_map(demo_settings()))
    clock = SlowClock(plant, late_s)
    run = await prepare(demo_settings(), demo_engines(), driver, clock, tmp_path / RECORD)
    times: list[float] = []

    def note(record: CycleRecord) -> None:
        times.append(record.time_s - run.agent.rooms.inoculated_at_s)
        if len(times) == len(expected):
            stop.set()

    await run_agent(run, clock, stop, Health(run.period_s), note)
    run.agent.journal.close()
    assert times == expected


async def test_stopped_before_the_first_cycle_it_does_nothing(tmp_path: Path) -> None:
    plant, stop = demo_plant(), asyncio.Event()
    driver = SimulatedDriver(plant, tag_map(demo_settings()))
    clock, health = VirtualClock(plant), Health(600.0)
    run = await prepare(demo_settings(), demo_engines(), driver, clock, tmp_path / RECORD)
    stop.set()
    memory = await run_agent(run, clock, stop, health, lambda record: None)
    assert memory.cycle == 0
    assert run.agent.journal.last() is None
    assert "estimate" in health.waiting_for
    assert not await wait_for_plant(driver, stop, Health(600.0))
    run.agent.journal.close()


async def test_a_plant_that_can_be_read_is_not_waited_for() -> None:
    driver = SimulatedDriver(demo_plant(), tag_map(demo_settings()))
    assert await wait_for_plant(driver, asyncio.Event(), Health(600.0))


async def test_a_plant_that_cannot_be_read_is_waited_for_until_told_to_stop() -> None:
    driver, stop = SimulatedDriver(demo_plant(), tag_map(demo_settings())), asyncio.Event()
    await driver.close()
    waiting = asyncio.create_task(wait_for_plant(driver, stop, Health(600.0)))
    await asyncio.sleep(0)
    assert not waiting.done()
    stop.set()
    assert not await waiting


async def test_a_fault_of_the_program_ends_the_run(tmp_path: Path) -> None:
    """Bugs fail fast: the heartbeat stops, and the plant falls back by itself."""
    plant = demo_plant()
    driver, clock = SimulatedDriver(plant, tag_map(demo_settings())), VirtualClock(plant)
    run = await prepare(demo_settings(), demo_engines(), driver, clock, tmp_path / RECORD)

    def broken(record: CycleRecord) -> None:
        raise ZeroDivisionError(record.number)

    with pytest.raises(ZeroDivisionError):
        await run_agent(run, clock, asyncio.Event(), Health(600.0), broken)
    run.agent.journal.close()
