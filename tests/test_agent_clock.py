"""The agent's clocks: the wall's, the plant's and the virtual one."""

import asyncio
import time

import pytest

from mpc_agent.clock import PlantClock, VirtualClock, WallClock, stopwatch
from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.errors import UnavailableError
from sim_plant.plant import SimulatedPlant
from sim_plant.server import PlantServer
from sim_plant.settings import PlantSettings
from tests.examples_drivers import free_port, opcua_settings, setpoints, tag_map

LOCKSTEP = PlantSettings.model_validate({"server": {"pace": {"kind": "lockstep", "step_s": 600.0}}})


async def test_the_wall_clock_tells_utc_and_sleeps() -> None:
    clock = WallClock()
    before = time.time()
    now_s = await clock.now_s()
    assert now_s == pytest.approx(before, abs=5.0)
    await clock.sleep_until(now_s + 0.02)
    assert await clock.now_s() >= now_s + 0.02
    await clock.sleep_until(now_s - 1000.0)


async def test_setting_the_machines_clock_moves_no_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    before_s = await clock.now_s()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600.0)
    assert await clock.now_s() == pytest.approx(before_s, abs=60.0)
    assert clock.jump_s == pytest.approx(3600.0, abs=60.0)


def test_a_stopwatch_runs() -> None:
    watch = stopwatch()
    first = watch.elapsed_s
    assert 0.0 <= first <= watch.elapsed_s


async def test_the_virtual_clock_makes_the_plant_live() -> None:
    plant = SimulatedPlant(PlantSettings())
    clock = VirtualClock(plant)
    started_s = await clock.now_s()
    assert started_s == plant.time_s
    await clock.sleep_until(started_s + 600.0)
    assert await clock.now_s() == plant.time_s == started_s + 600.0
    await clock.sleep_until(started_s)
    assert plant.time_s == started_s + 600.0


async def test_the_plants_clock_is_followed_in_lockstep() -> None:
    async with PlantServer(LOCKSTEP, "opc.tcp://127.0.0.1:0/") as server:
        driver = OpcuaDriver(opcua_settings(server.endpoint), tag_map(), None)
        clock = PlantClock(driver)
        running = asyncio.create_task(server.run())
        started_s = await clock.now_s()
        await driver.request(True)
        for cycle in range(5):
            now_s = await clock.now_s()
            assert now_s == started_s + 600.0 * cycle
            assert (await driver.read()).read_at_s == now_s
            assert (await driver.write(setpoints({"glucose_feed": 0.1 * cycle}))).confirmed
            await driver.beat(cycle + 1)
            await clock.sleep_until(now_s + 600.0)
        assert server.plant.time_s == started_s + 3000.0
        await driver.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_plant_that_stands_still_does_not_hang_the_agent() -> None:
    plant = SimulatedPlant(PlantSettings())
    clock = PlantClock(SimulatedDriver(plant, tag_map()), patience_s=0.05)
    started_s = await clock.now_s()
    await clock.sleep_until(started_s + 600.0)
    assert await clock.now_s() == started_s + 600.0
    plant.advance_to(started_s + 300.0)
    assert await clock.now_s() == started_s + 600.0, "time never runs backwards"
    plant.advance_to(started_s + 900.0)
    assert await clock.now_s() == started_s + 900.0


async def test_a_plant_whose_time_begins_anew_does_not_hang_the_agent() -> None:
    """Its time moves all the while, but not beyond what was seen before."""
    port = free_port()
    endpoint = f"opc.tcp://127.0.0.1:{port}/"
    driver = OpcuaDriver(opcua_settings(endpoint), tag_map(), None)
    clock = PlantClock(driver, patience_s=1.0)
    async with PlantServer(LOCKSTEP, endpoint) as server:
        started_s = await clock.now_s()
        await server.advance(86400.0)
        assert await clock.now_s() == started_s + 86400.0
    async with PlantServer(LOCKSTEP, endpoint) as server:
        sleeping = asyncio.create_task(clock.sleep_until(started_s + 87000.0))
        while not sleeping.done():
            await server.advance(60.0)
            await asyncio.sleep(0.02)
        assert server.plant.time_s < started_s + 86400.0
        assert await clock.now_s() == started_s + 87000.0
        await driver.close()


async def test_a_plant_that_went_away_is_waited_for() -> None:
    port = free_port()
    driver = OpcuaDriver(opcua_settings(f"opc.tcp://127.0.0.1:{port}/"), tag_map(), None)
    clock = PlantClock(driver, patience_s=10.0)
    async with PlantServer(LOCKSTEP, f"opc.tcp://127.0.0.1:{port}/") as server:
        started_s = await clock.now_s()
        sleeping = asyncio.create_task(clock.sleep_until(started_s + 600.0))
    assert await clock.now_s() == started_s
    assert not sleeping.done()
    async with PlantServer(LOCKSTEP, f"opc.tcp://127.0.0.1:{port}/") as server:
        await server.advance(600.0)
        await sleeping
        assert await clock.now_s() == started_s + 600.0
        await driver.close()


async def test_a_plant_that_never_tells_its_time_is_an_error() -> None:
    driver = OpcuaDriver(opcua_settings(f"opc.tcp://127.0.0.1:{free_port()}/"), tag_map(), None)
    with pytest.raises(UnavailableError, match="is the plant running"):
        await PlantClock(driver, patience_s=0.05).now_s()
    await driver.close()
