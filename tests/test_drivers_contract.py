"""What every driver must do, judged on the simulated plant in process and behind its server."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from mpc_agent.drivers.link import DriverState
from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.drivers.protocol import Driver
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.drivers.tag_driver import TagDriver
from mpc_agent.drivers.tags import TagMap
from mpc_agent.values import Dose, Quality
from sim_plant.faults import Fault, FaultKind
from sim_plant.plant import OperatorAction, SimulatedPlant
from sim_plant.server import PlantServer
from sim_plant.settings import PlantSettings
from tests.examples_drivers import (
    DOSES,
    OUTPUT_UNITS,
    TAGS,
    opcua_settings,
    setpoints,
    tag_map,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAR_IN_ATM = 1 / 1.01325

BOOKED = ["glucose_feed", "antifoam", "withdrawn"]
"""What these plants let people book."""


@dataclass
class Bench:
    """A plant and how to reach it."""

    plant: SimulatedPlant
    advance: Callable[[float], Awaitable[None]]
    operate: Callable[[OperatorAction], Awaitable[None]]
    connect: Callable[..., TagDriver]


Make = Callable[..., Awaitable[Bench]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[PlantServer]:
    """One server for all tests, because starting one takes most of a second."""
    settings = PlantSettings.model_validate({"bookings": BOOKED})
    async with PlantServer(settings, "opc.tcp://127.0.0.1:0/") as running:
        yield running


async def _simulated(settings: PlantSettings, _: PlantServer) -> Bench:
    plant = SimulatedPlant(settings)

    async def advance(seconds: float) -> None:
        plant.advance_to(plant.time_s + seconds)

    async def operate(action: OperatorAction) -> None:
        plant.operator(action)

    def connect(owner: str, tags: TagMap | None = None) -> TagDriver:
        return SimulatedDriver(plant, tags or tag_map(), owner)

    return Bench(plant, advance, operate, connect)


async def _opcua(settings: PlantSettings, server: PlantServer) -> Bench:
    server.plant = SimulatedPlant(settings)
    await server.advance(0.0)  # shows the new plant's values

    def connect(owner: str, tags: TagMap | None = None) -> TagDriver:
        settings = opcua_settings(server.endpoint, owner=owner)
        return OpcuaDriver(settings, tags or tag_map(), None)

    return Bench(server.plant, server.advance, server.operator, connect)


@pytest_asyncio.fixture(
    params=[_simulated, _opcua], ids=["simulated", "opcua"], loop_scope="module"
)
async def make_bench(request: pytest.FixtureRequest, server: PlantServer) -> AsyncIterator[Make]:
    """Builds a plant and its door; all drivers are closed in the end."""
    async with AsyncExitStack() as stack:

        async def make(**settings: object) -> Bench:
            plant = PlantSettings.model_validate({"bookings": BOOKED, **settings})
            bench: Bench = await request.param(plant, server)
            connect = bench.connect

            def closing(owner: str, tags: TagMap | None = None) -> TagDriver:
                driver = connect(owner, tags)
                stack.push_async_callback(driver.close)
                return driver

            bench.connect = closing
            return bench

        yield make


@pytest_asyncio.fixture(loop_scope="module")
async def bench(make_bench: Make) -> Bench:
    return await make_bench()


@pytest.fixture
def driver(bench: Bench) -> TagDriver:
    return bench.connect("agent one")


async def test_a_scan_brings_every_configured_signal_with_good_quality(
    bench: Bench, driver: Driver
) -> None:
    readings = await driver.read()
    assert readings.status.connected
    assert readings.status.message == ""
    assert set(readings.measured) == set(TAGS["measured"])
    assert set(readings.inputs) == set(TAGS["inputs"])
    for reading in (*readings.measured.values(), *readings.inputs.values()):
        assert reading.quality is Quality.GOOD
        assert math.isfinite(reading.value)
        assert reading.sampled_at_s == bench.plant.time_s
    assert readings.read_at_s == bench.plant.time_s


async def test_values_come_in_the_models_units(bench: Bench, driver: Driver) -> None:
    readings = await driver.read()
    raw = bench.plant.tags()
    bar = raw["Pressure.Value"].value
    assert isinstance(bar, float)
    assert readings.inputs["pressure"].value == pytest.approx(bar * BAR_IN_ATM, rel=1e-9)
    litres_per_minute = raw["Air.Actual"].value
    assert isinstance(litres_per_minute, float)
    assert readings.inputs["air"].value == pytest.approx(60 * litres_per_minute, rel=1e-9)
    assert readings.measured["pH"].value == raw["pH.Value"].value


async def test_every_way_to_the_plant_gives_the_same_readings(
    server: PlantServer, bench: Bench, driver: Driver
) -> None:
    twin = SimulatedPlant(server.plant.settings)
    await bench.advance(26 * 3600.0)
    twin.advance_to(bench.plant.time_s)
    assert await driver.read() == await SimulatedDriver(twin, tag_map()).read()


async def test_limits_are_the_plants_ranges_in_the_models_units(
    bench: Bench, driver: Driver
) -> None:
    await driver.read()
    limits = driver.limits
    assert set(limits) == {name for name, entry in TAGS["inputs"].items() if "setpoint" in entry}
    actuators = bench.plant.settings.actuators
    for name in ("glucose_feed", "air"):
        expected = (actuators[name].lower, actuators[name].upper)
        assert limits[name] == pytest.approx(expected, rel=1e-9)


async def test_nothing_is_written_without_control(bench: Bench, driver: Driver) -> None:
    await driver.read()
    applied = await driver.write(setpoints({"glucose_feed": 1.0}))
    assert not applied.written
    assert applied.refused == {"glucose_feed": "remote control is not active"}
    assert bench.plant.tag("GlucoseFeed.Setpoint").value == 0.0


async def test_setpoints_are_written_and_read_back(bench: Bench, driver: TagDriver) -> None:
    await driver.read()
    await driver.request(True)
    assert driver.state is DriverState.CONTROL
    assert (await driver.read()).status.remote_active
    applied = await driver.write(setpoints({"glucose_feed": 1.23, "air": 200.0}))
    assert applied.written
    assert not applied.refused
    assert applied.confirmed == pytest.approx({"glucose_feed": 1.23, "air": 200.0}, rel=1e-6)
    assert bench.plant.tag("GlucoseFeed.Setpoint").value == pytest.approx(1.23 / 0.06)
    assert bench.plant.tag("Control.SetpointValidity").value == 3600.0
    await bench.advance(600.0)
    readings = await driver.read()
    assert readings.setpoints["air"] == pytest.approx(200.0)
    assert readings.inputs["air"].value == pytest.approx(200.0, rel=1e-3)


async def test_the_ends_of_the_range_can_be_written(bench: Bench, driver: Driver) -> None:
    await driver.read()
    await driver.request(True)
    for end in (0, 1):
        values = {name: limits[end] for name, limits in driver.limits.items()}
        applied = await driver.write(setpoints(values))
        assert not applied.refused
        assert set(applied.confirmed) == set(values)


@pytest.mark.parametrize("value", [1e6, -1.0, math.nan, math.inf])
async def test_a_value_out_of_range_is_refused_alone(
    bench: Bench, driver: Driver, value: float
) -> None:
    await driver.read()
    await driver.request(True)
    applied = await driver.write(setpoints({"glucose_feed": value, "amino_feed": 0.5}))
    assert set(applied.refused) == {"glucose_feed"}
    assert set(applied.confirmed) == {"amino_feed"}
    assert bench.plant.tag("GlucoseFeed.Setpoint").value == 0.0


async def test_an_input_without_setpoint_is_refused(bench: Bench, driver: Driver) -> None:
    await driver.read()
    await driver.request(True)
    applied = await driver.write(setpoints({"base": 0.1}))
    assert applied.refused == {"base": "no setpoint tag is configured"}
    assert not applied.written


async def test_a_validity_the_plant_does_not_take_stops_the_write(
    bench: Bench, driver: Driver
) -> None:
    await driver.read()
    await driver.request(True)
    applied = await driver.write(setpoints({"glucose_feed": 1.0}, validity_s=1e9))
    assert not applied.written
    assert (
        "how long" in applied.refused["glucose_feed"] or "hold" in applied.refused["glucose_feed"]
    )
    assert bench.plant.tag("GlucoseFeed.Setpoint").value == 0.0


async def test_control_is_not_granted_while_the_operator_forbids_it(
    bench: Bench, driver: TagDriver
) -> None:
    await bench.operate(OperatorAction.DISABLE_REMOTE)
    await driver.request(True)
    readings = await driver.read()
    assert not readings.status.remote_enabled
    assert not readings.status.remote_active
    assert "operator" in readings.status.message
    assert driver.state is DriverState.OBSERVE


async def test_the_operator_takes_control_and_only_a_new_request_brings_it_back(
    bench: Bench, driver: TagDriver
) -> None:
    await driver.request(True)
    await driver.read()
    await bench.operate(OperatorAction.DISABLE_REMOTE)
    applied = await driver.write(setpoints({"glucose_feed": 1.0}))
    assert not applied.written
    assert "operator" in applied.refused["glucose_feed"]
    await bench.operate(OperatorAction.ENABLE_REMOTE)
    readings = await driver.read()
    assert readings.status.remote_enabled
    assert not readings.status.remote_active
    await driver.request(True)
    assert (await driver.read()).status.remote_active
    assert (await driver.write(setpoints({"glucose_feed": 1.0}))).confirmed


async def test_without_heartbeat_the_watchdog_takes_control_back(
    bench: Bench, driver: TagDriver
) -> None:
    await driver.request(True)
    watchdog_s = bench.plant.settings.control_unit.watchdog_s
    for count in range(1, 4):
        await driver.beat(count)
        await bench.advance(watchdog_s - 10.0)
        assert (await driver.read()).status.remote_active
    await bench.advance(watchdog_s)
    status = (await driver.read()).status
    assert status.watchdog_tripped
    assert not status.remote_active
    assert driver.state is DriverState.OBSERVE
    await driver.request(True)
    status = (await driver.read()).status
    assert status.remote_active
    assert not status.watchdog_tripped


async def test_an_unchanged_heartbeat_is_no_sign_of_life(bench: Bench, driver: Driver) -> None:
    await driver.request(True)
    watchdog_s = bench.plant.settings.control_unit.watchdog_s
    await driver.beat(1)
    for _ in range(3):
        await bench.advance(watchdog_s / 2)
        await driver.beat(1)
    assert (await driver.read()).status.watchdog_tripped


async def test_the_heartbeat_starts_again_when_its_type_is_full(
    bench: Bench, driver: Driver
) -> None:
    await driver.read()
    await driver.beat(2**32 + 7)
    assert bench.plant.tag("Control.Heartbeat").value == 7


async def test_a_second_agent_gets_no_control_and_hides_no_death(
    bench: Bench, driver: TagDriver
) -> None:
    await driver.request(True)
    second = bench.connect("agent two")
    await second.request(True)
    status = (await second.read()).status
    assert not status.remote_active
    assert "'agent one', has control" in status.message
    assert not (await second.write(setpoints({"glucose_feed": 1.0}))).written
    await second.beat(99)
    assert bench.plant.tag("Control.Heartbeat").value == 0
    await second.request(False)
    await second.close()
    assert (await driver.read()).status.remote_active


async def test_giving_up_returns_lease_and_control(bench: Bench, driver: TagDriver) -> None:
    await driver.request(True)
    await driver.request(False)
    status = (await driver.read()).status
    assert not status.remote_active
    assert not status.watchdog_tripped
    assert bench.plant.tag("Control.Owner").value == ""
    second = bench.connect("agent two")
    await second.request(True)
    assert (await second.read()).status.remote_active


async def test_closing_tells_the_plant(bench: Bench, driver: TagDriver) -> None:
    await driver.request(True)
    await driver.close()
    assert bench.plant.tag("Control.Active").value is False
    assert bench.plant.tag("Control.Request").value is False
    assert bench.plant.tag("Control.Owner").value == ""
    readings = await driver.read()
    assert not readings.status.connected
    assert not (await driver.write(setpoints({"glucose_feed": 1.0}))).written
    await driver.close()


async def test_an_agent_that_comes_back_in_time_keeps_control(bench: Bench) -> None:
    first = bench.connect("agent one")
    await first.request(True)
    await first.write(setpoints({"glucose_feed": 1.0}))
    # It dies without a word, and its successor bears its name.
    second = bench.connect("agent one")
    assert not (await second.read()).status.remote_active
    await second.request(True)
    assert (await second.read()).status.remote_active
    assert (await second.write(setpoints({"glucose_feed": 1.1}))).confirmed
    assert not bench.plant.tag("Control.WatchdogTripped").value


async def test_lab_results_carry_the_time_their_sample_was_drawn(
    bench: Bench, driver: Driver
) -> None:
    drawn_at_s = bench.plant.time_s
    assert (await driver.read()).samples == ()
    await bench.advance(12 * 3600.0)
    readings = await driver.read()
    samples = {sample.analyte: sample for sample in readings.samples}
    assert set(samples) == set(TAGS["assays"])
    for name, sample in samples.items():
        assert drawn_at_s <= sample.drawn_at_s < drawn_at_s + 1800.0
        assert sample.drawn_at_s < sample.entered_at_s <= readings.read_at_s
        assert sample.unit == OUTPUT_UNITS[name]
        assert sample.entered_by
    assert (await driver.read()).samples == readings.samples


async def test_doses_carry_the_time_they_were_given(make_bench: Make) -> None:
    """Each tag shows its latest booking, again in every scan, however late it was entered."""
    bench = await make_bench(
        doses=[
            {"what": "glucose_feed", "volume_L": 5.0, "at_h": 1.0},
            {"what": "glucose_feed", "volume_L": 2.0, "at_h": 3.0, "booked_after_h": 1.0},
            {"what": "antifoam", "volume_L": 0.5, "at_h": 1.0},
            {"what": "withdrawn", "volume_L": 0.2, "at_h": 2.0},
        ]
    )
    driver = bench.connect("agent one", tag_map({**TAGS, "doses": DOSES}))
    began_s = bench.plant.time_s
    readings = await driver.read()
    assert readings.status.message == ""
    assert readings.doses == ()

    async def seen() -> set[Dose]:
        await bench.advance(3600.0)
        doses = (await driver.read()).doses
        assert (await driver.read()).doses == doses
        return set(doses)

    bolus = Dose("glucose_feed", 5.0, began_s + 3600.0)
    water = Dose("water", 0.5, began_s + 3600.0)
    assert await seen() == {bolus, water}
    sample = Dose("withdrawn", 0.2, began_s + 7200.0)
    assert await seen() == {bolus, water, sample}
    assert await seen() == {bolus, water, sample}
    late = Dose("glucose_feed", 2.0, began_s + 10800.0)
    assert await seen() == {late, water, sample}


@pytest.mark.parametrize(
    ("kind", "quality"),
    [
        (FaultKind.PROBE_BAD, Quality.BAD),
        (FaultKind.PROBE_UNCERTAIN, Quality.UNCERTAIN),
        (FaultKind.PROBE_STALE, Quality.GOOD),
    ],
)
async def test_probe_faults_show_as_quality_and_age(
    make_bench: Make, kind: FaultKind, quality: Quality
) -> None:
    bench = await make_bench(
        faults=[Fault(kind=kind, target="dissolved_oxygen", from_h=0.5, to_h=2.0)]
    )
    driver = bench.connect("agent one")
    await bench.advance(3600.0)
    readings = await driver.read()
    reading = readings.measured["dissolved_oxygen"]
    assert reading.quality is quality
    assert math.isnan(reading.value) == (quality is Quality.BAD)
    age_s = readings.read_at_s - reading.sampled_at_s
    assert (age_s > 1000.0) == (kind is FaultKind.PROBE_STALE)
    assert readings.measured["pH"].quality is Quality.GOOD


async def test_a_plant_that_clamps_has_not_accepted(make_bench: Make) -> None:
    bench = await make_bench(control_unit={"out_of_range": "clamp"})
    driver = bench.connect("agent one")
    await driver.request(True)
    # Cut short by the plant, it is not the validity that was asked for.
    applied = await driver.write(setpoints({"glucose_feed": 1.0}, validity_s=1e6))
    assert not applied.written
    assert "GoodClamped" in applied.refused["glucose_feed"]


async def test_the_plant_tells_its_time_and_its_inoculation(bench: Bench, driver: Driver) -> None:
    started_s = bench.plant.time_s
    assert await driver.plant_time_s() == started_s
    assert await driver.inoculated_at_s() == started_s
    await bench.advance(60.0)
    assert await driver.plant_time_s() == started_s + 60.0
