"""Servers that are not there, go away, come back changed, fall silent, or are the wrong one."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from asyncua import ua
from structlog.testing import capture_logs

from mpc_agent.drivers.link import DriverState
from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.values import Quality, Readings
from sim_plant.server import PlantServer
from sim_plant.settings import PlantSettings
from tests.examples_drivers import (
    VENDOR_TAGS,
    VendorServer,
    Wire,
    free_port,
    opcua_settings,
    setpoints,
    tag_map,
    until,
)

Connect = Callable[..., OpcuaDriver]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[VendorServer]:
    """One server for the tests that leave it running, because starting one takes a second."""
    async with VendorServer(free_port()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def connect() -> AsyncIterator[Connect]:
    """Makes drivers, and closes them in the end."""
    async with AsyncExitStack() as stack:

        def make(endpoint: str, **settings: object) -> OpcuaDriver:
            driver = OpcuaDriver(
                opcua_settings(endpoint, VendorServer.NAMESPACE, **settings),
                tag_map(VENDOR_TAGS),
                now_s=lambda: 1e9,
                seed=1,
            )
            stack.push_async_callback(driver.close)
            return driver

        yield make


def _connected(readings: Readings) -> bool:
    return readings.status.connected


def _lost(readings: Readings) -> bool:
    return not readings.status.connected


async def test_a_server_that_is_not_there_is_waited_for(connect: Connect) -> None:
    port = free_port()
    driver = connect(f"opc.tcp://127.0.0.1:{port}/")
    with capture_logs() as logs:
        for _ in range(3):
            readings = await driver.read()
            assert not readings.status.connected
            assert "cannot reach" in readings.status.message
            assert readings.measured["dissolved_oxygen"].quality is Quality.BAD
            assert math.isnan(readings.measured["dissolved_oxygen"].value)
            assert driver.state is DriverState.DISCONNECTED
        applied = await driver.write(setpoints({"glucose_feed": 1.0}))
        assert not applied.written
        assert applied.refused["glucose_feed"].startswith("not connected")
        await driver.request(True)
        await driver.beat(1)
        assert await driver.plant_time_s() is None
        async with VendorServer(port):
            readings = await until(driver.read, _connected)
            assert readings.measured["dissolved_oxygen"].value == 40.0
            assert readings.setpoints == {"glucose_feed": 0.0}
            assert driver.state is DriverState.OBSERVE
            await driver.close()
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == [
        "plant connection lost",
        "plant connection restored",
    ]


async def test_a_server_that_comes_back_with_other_indices_is_found_again(
    connect: Connect,
) -> None:
    port = free_port()
    driver = connect(f"opc.tcp://127.0.0.1:{port}/")
    async with VendorServer(port):
        await driver.request(True)
        assert driver.state is DriverState.CONTROL
        assert (await driver.write(setpoints({"glucose_feed": 0.6}))).confirmed
    await until(driver.read, _lost)
    async with VendorServer(port, other_namespaces=3) as server:
        await server.put("DO", 55.0, ua.VariantType.Float)
        readings = await until(driver.read, _connected)
        assert readings.measured["dissolved_oxygen"].value == 55.0
        # The new server knows nothing of our request.
        assert not readings.status.remote_active
        assert not (await driver.write(setpoints({"glucose_feed": 0.6}))).written
        await driver.request(True)
        assert (await driver.write(setpoints({"glucose_feed": 0.6}))).confirmed
        await driver.close()


async def test_a_cut_wire_costs_no_control(connect: Connect, server: VendorServer) -> None:
    async with Wire(server.port) as wire:
        driver = connect(wire.endpoint)
        await driver.request(True)
        for _ in range(3):
            wire.cut()
            await until(driver.read, _lost)
            readings = await until(driver.read, _connected)
            assert readings.status.remote_active
            assert (await driver.write(setpoints({"glucose_feed": 0.6}))).confirmed
        await driver.close()


async def test_a_lease_tied_to_a_connection_is_taken_again_over_the_next() -> None:
    async with (
        PlantServer(PlantSettings(), f"opc.tcp://127.0.0.1:{free_port()}/") as server,
        Wire(urlsplit(server.endpoint).port or 0) as wire,
    ):
        driver = OpcuaDriver(opcua_settings(wire.endpoint), tag_map(), None)
        await driver.request(True)
        assert (await driver.write(setpoints({"glucose_feed": 1.0}))).confirmed
        for count, feed in enumerate((1.1, 1.2), start=1):
            wire.cut()
            await until(driver.read, _lost)
            assert (await until(driver.read, _connected)).status.remote_active
            await driver.beat(count)
            assert server.plant.tag("Control.Heartbeat").value == count
            assert (await driver.write(setpoints({"glucose_feed": feed}))).confirmed
        await driver.close()
        assert server.plant.tag("Control.Owner").value == ""


async def test_a_silent_wire_is_noticed(connect: Connect, server: VendorServer) -> None:
    timeouts = {
        "request_s": 0.3,
        "scan_s": 1.0,
        "close_s": 0.3,
        "reconnect_first_s": 0.02,
        "reconnect_max_s": 0.02,
        "probe_s": 5.0,
    }
    await server.put("Feed", 0.0, ua.VariantType.Float)
    async with Wire(server.port) as wire:
        driver = connect(wire.endpoint, timeouts=timeouts)
        await driver.request(True)
        wire.silent = True
        applied = await driver.write(setpoints({"glucose_feed": 0.6}))
        assert not applied.written
        assert not (await driver.read()).status.connected
        wire.silent = False
        await until(driver.read, _connected)
        assert await server["Feed"].read_value() == 0.0, "nothing from before is delivered late"
        assert (await driver.write(setpoints({"glucose_feed": 0.6}))).confirmed
        wire.silent = True
        async with asyncio.timeout(8.0):
            await driver.close()


async def test_a_write_that_got_no_answer_counts_as_not_confirmed(
    connect: Connect, server: VendorServer
) -> None:
    timeouts = {"request_s": 0.3, "scan_s": 1.0, "reconnect_max_s": 0.5}
    driver = connect(server.endpoint, timeouts=timeouts)
    await driver.request(True)
    server.hang(server["Feed"])
    applied = await driver.write(setpoints({"glucose_feed": 0.6}))
    assert applied.written
    assert not applied.confirmed
    assert applied.refused["glucose_feed"].startswith("not confirmed")
    server.release()
    await until(driver.read, _connected)
    await driver.close()


async def test_the_wrong_server_is_told_by_its_namespaces(
    connect: Connect, server: VendorServer
) -> None:
    driver = connect(server.endpoint, namespaces={"plant": "urn:somebody:else"})
    readings = await driver.read()
    assert not readings.status.connected
    assert "urn:somebody:else" in readings.status.message
    assert "right server" in readings.status.message
    await driver.close()


async def test_a_port_that_speaks_no_opcua_is_waited_for(connect: Connect) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        driver = connect(f"opc.tcp://127.0.0.1:{port}/")
        for _ in range(2):
            readings = await driver.read()
            assert not readings.status.connected
            assert readings.status.message
        await driver.close()


async def test_closing_while_connecting_ends(connect: Connect) -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        driver = connect(f"opc.tcp://127.0.0.1:{port}/")
        reading = asyncio.create_task(driver.read())
        await asyncio.sleep(0)
        await driver.close()
        async with asyncio.timeout(5.0):
            assert not (await reading).status.connected


async def test_large_scans_are_cut_to_what_the_server_takes(
    connect: Connect, server: VendorServer
) -> None:
    server.forget_reads()
    await server.limit_reads(3)
    driver = connect(server.endpoint)
    readings = await driver.read()
    assert readings.status.connected
    assert readings.measured["dissolved_oxygen"].value == 40.0
    assert server.largest_read == 3
    await driver.close()
    await server.limit_reads(0)


async def test_a_clock_that_differs_is_reported_and_corrected(
    connect: Connect, server: VendorServer
) -> None:
    driver = connect(server.endpoint)
    # The driver's clock stands at 1e9; the server's is the wall's, decades ahead.
    readings = await driver.read()
    assert "ahead of ours" in readings.status.message
    reading = readings.measured["dissolved_oxygen"]
    assert reading.sampled_at_s == pytest.approx(readings.read_at_s, abs=60.0)
    await driver.close()
