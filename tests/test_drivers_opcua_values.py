"""Single nodes that misbehave: statuses, odd values, missing nodes, wrong types, clamping."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from mpc_agent.clock import WallClock
from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.values import Quality, Reading
from tests.examples_drivers import (
    VENDOR_TAGS,
    VendorServer,
    free_port,
    opcua_settings,
    setpoints,
    tag_map,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOUBLE, FLOAT, STRING = ua.VariantType.Double, ua.VariantType.Float, ua.VariantType.String
BOOLEAN, INT16 = ua.VariantType.Boolean, ua.VariantType.Int16
CODES = ua.StatusCodes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[VendorServer]:
    """One server for all tests, because starting one takes most of a second."""
    async with VendorServer(free_port()) as running:
        await running.add("Text", "forty", STRING)
        await running.add("Many", [1.0, 2.0], DOUBLE)
        await running.add("Steps", 0, INT16, writable=True)
        await running.add("FeedShown", 0.0, DOUBLE)
        await running.add("Locked", 0.0, FLOAT)
        await running.add("Flag", False, BOOLEAN, writable=True)
        await running.add("Number", 0.0, FLOAT, writable=True)
        yield running


class Vendor:
    """A driver for the vendor's server, on a tag map with some entries replaced."""

    def __init__(self, server: VendorServer, **tags: Any) -> None:
        self.driver = OpcuaDriver(
            opcua_settings(server.endpoint, VendorServer.NAMESPACE),
            tag_map({**VENDOR_TAGS, **tags}),
            now_s=WallClock().read_s,
        )

    async def __aenter__(self) -> OpcuaDriver:
        return self.driver

    async def __aexit__(self, *_: object) -> None:
        await self.driver.close()


def _probe(node: str, unit: str = "percent") -> dict[str, Any]:
    return {"dissolved_oxygen": {"node": node, "unit": unit}}


def _feed(node: str = "plant:s=Feed", **readback: Any) -> dict[str, Any]:
    return {"glucose_feed": {"setpoint": {"node": node, "unit": "mL/min", "readback": readback}}}


async def _reading(server: VendorServer) -> Reading:
    async with Vendor(server) as driver:
        return (await driver.read()).measured["dissolved_oxygen"]


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (CODES.Good, Quality.GOOD),
        (CODES.GoodOverload, Quality.GOOD),
        (CODES.GoodClamped, Quality.UNCERTAIN),
        (CODES.GoodLocalOverride, Quality.UNCERTAIN),
        (CODES.Good | 0x600, Quality.UNCERTAIN),  # stands at the high limit of the instrument
        (CODES.UncertainSensorNotAccurate, Quality.UNCERTAIN),
        (CODES.BadSensorFailure, Quality.BAD),
        (0xC0000000, Quality.BAD),  # reserved severity
    ],
)
async def test_status_decides_the_quality(
    server: VendorServer, code: int, quality: Quality
) -> None:
    await server.put("DO", 41.5, FLOAT, code)
    reading = await _reading(server)
    assert reading.quality is quality
    if quality is Quality.BAD:
        assert math.isnan(reading.value)
    else:
        assert reading.value == 41.5


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (math.nan, FLOAT),
        (math.inf, FLOAT),
        (-math.inf, DOUBLE),
        (None, ua.VariantType.Null),
        ("41", STRING),
        (True, BOOLEAN),
        ([41.0], DOUBLE),
    ],
)
async def test_what_is_no_finite_number_is_bad(server: VendorServer, value: Any, kind: Any) -> None:
    await server.put("DO", value, kind)
    reading = await _reading(server)
    assert reading.quality is Quality.BAD
    assert math.isnan(reading.value)


async def test_age_comes_from_the_source_timestamp(server: VendorServer) -> None:
    async with Vendor(server) as driver:
        await server.put("DO", 41.0, FLOAT, at_s=1e9)
        young = (await driver.read()).measured["dissolved_oxygen"].sampled_at_s
        await server.put("DO", 41.0, FLOAT, at_s=1e9 - 4000.0)
        old = (await driver.read()).measured["dissolved_oxygen"].sampled_at_s
        assert young - old == 4000.0


async def test_a_missing_node_is_named_and_found_when_it_comes(server: VendorServer) -> None:
    for node in ("plant:s=Later", "/plant:Tank/plant:Later"):
        async with Vendor(server, measured=_probe(node)) as driver:
            readings = await driver.read()
            assert readings.status.connected
            assert "tags.measured.dissolved_oxygen" in readings.status.message
            assert node in readings.status.message
            assert readings.measured["dissolved_oxygen"].quality is Quality.BAD
            assert readings.setpoints == {"glucose_feed": 0.0}
            await server.add("Later", 12.0, DOUBLE)
            readings = await driver.read()
            assert readings.status.message == ""
            assert readings.measured["dissolved_oxygen"].value == 12.0
            await server.delete("Later")
            readings = await driver.read()
            assert readings.status.connected
            assert readings.measured["dissolved_oxygen"].quality is Quality.BAD
            readings = await driver.read()
            assert node in readings.status.message


async def test_a_missing_probe_does_not_forbid_control(server: VendorServer) -> None:
    async with Vendor(server, measured=_probe("plant:s=Never")) as driver:
        await driver.request(True)
        assert (await driver.write(setpoints({"glucose_feed": 0.6}))).confirmed


@pytest.mark.parametrize(
    ("tags", "label"),
    [
        ({"measured": _probe("plant:s=Text")}, "tags.measured.dissolved_oxygen"),
        ({"measured": _probe("plant:s=Many")}, "tags.measured.dissolved_oxygen"),
        ({"measured": _probe("plant:s=Tank")}, "tags.measured.dissolved_oxygen"),
        ({"inputs": _feed("plant:s=Flag")}, "tags.inputs.glucose_feed.setpoint"),
        ({"inputs": _feed("plant:s=Locked")}, "tags.inputs.glucose_feed.setpoint"),
        ({"inputs": _feed("plant:s=Never")}, "tags.inputs.glucose_feed.setpoint"),
        (
            {"handshake": {**VENDOR_TAGS["handshake"], "active": "plant:s=Number"}},
            "tags.handshake.active",
        ),
        (
            {"handshake": {**VENDOR_TAGS["handshake"], "active": "plant:s=Absent"}},
            "tags.handshake.active",
        ),
        (
            {"handshake": {**VENDOR_TAGS["handshake"], "heartbeat": "plant:s=Number"}},
            "tags.handshake.heartbeat",
        ),
    ],
)
async def test_what_does_not_fit_refuses_control_and_is_named(
    server: VendorServer, tags: dict[str, Any], label: str
) -> None:
    async with Vendor(server, **tags) as driver:
        await driver.request(True)
        status = (await driver.read()).status
        assert status.connected
        assert not status.remote_active
        assert label in status.message
        assert "control is not possible" in status.message
        assert not (await driver.write(setpoints({"glucose_feed": 0.6}))).written


UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"


@pytest.mark.parametrize(
    ("code", "name", "unit", "fits"),
    [
        ("P1", "%", "percent", True),
        ("C62", "", "percent", False),
        ("L2", "l/min", "percent", False),
        ("XYZ", "% sat", "percent", True),
        ("XYZ", "percent", "percent", True),
        ("XYZ", "dimensionless", "percent", False),
        ("XYZ", "C", "percent", True),
        ("", "1", "percent", False),
        ("", "", "percent", True),
    ],
)
async def test_a_unit_that_contradicts_the_configuration_refuses_control(
    server: VendorServer, code: str, name: str, unit: str, fits: bool
) -> None:
    await server.add("Metered", 41.0, FLOAT)
    await server.tell_unit(
        "Metered",
        ua.EUInformation(
            NamespaceUri=UNECE if code else "urn:vendor",
            UnitId=int.from_bytes(code.encode(), "big"),
            DisplayName=ua.LocalizedText(name),
        ),
    )
    async with Vendor(server, measured=_probe("plant:s=Metered", unit)) as driver:
        await driver.request(True)
        readings = await driver.read()
        assert readings.status.remote_active is fits
        assert ("by the configuration" in readings.status.message) is not fits
        good = readings.measured["dissolved_oxygen"].quality is Quality.GOOD
        assert good is fits
    await server.delete("Metered")


async def test_asking_again_while_in_control_disturbs_nothing(server: VendorServer) -> None:
    async with Vendor(server) as driver:
        await driver.request(True)
        server.codes[server["Request"].nodeid] = CODES.BadOutOfService
        await driver.request(True)
        server.codes.clear()
        status = (await driver.read()).status
        assert status.remote_active
        assert status.message == ""


async def test_an_incomplete_handshake_refuses_control(server: VendorServer) -> None:
    async with Vendor(server, handshake={}) as driver:
        await driver.request(True)
        status = (await driver.read()).status
        assert "tags.handshake lacks" in status.message
        assert not status.remote_active
        await driver.beat(1)
        await driver.request(False)


@pytest.mark.parametrize(
    "code", ["GoodClamped", "GoodNoData", "BadOutOfRange", "BadUserAccessDenied"]
)
async def test_only_the_plain_good_status_confirms(server: VendorServer, code: str) -> None:
    async with Vendor(server) as driver:
        await driver.request(True)
        server.codes[server["Feed"].nodeid] = getattr(CODES, code)
        applied = await driver.write(setpoints({"glucose_feed": 0.3}))
        server.codes.clear()
        assert applied.written
        assert not applied.confirmed
        assert applied.refused == {"glucose_feed": f"refused by the plant: {code}"}


async def test_a_plant_that_does_not_follow_is_reported(server: VendorServer) -> None:
    inputs = _feed(node="plant:s=Feed")
    inputs["glucose_feed"]["setpoint"]["readback"] = {
        "node": "plant:s=FeedShown",
        "tolerance": 0.5,
        "within_s": 0.1,
    }
    async with Vendor(server, inputs=inputs) as driver:
        await driver.request(True)
        await server.put("FeedShown", 3.0, DOUBLE)
        applied = await driver.write(setpoints({"glucose_feed": 0.6}))
        assert applied.refused["glucose_feed"].startswith("not following: 10 was written, 3")
        await server.put("FeedShown", 9.6, DOUBLE)
        applied = await driver.write(setpoints({"glucose_feed": 0.6}))
        assert applied.confirmed == pytest.approx({"glucose_feed": 9.6 * 0.06})
        await server.put("FeedShown", 9.6, DOUBLE, CODES.BadSensorFailure)
        applied = await driver.write(setpoints({"glucose_feed": 0.6}))
        assert "no usable value" in applied.refused["glucose_feed"]


@pytest.mark.parametrize("kind", [FLOAT, INT16])
async def test_a_pump_whose_range_begins_above_zero_can_be_stopped(
    server: VendorServer, kind: ua.VariantType
) -> None:
    await server.add("Pump", 5.0 if kind is FLOAT else 5, kind, writable=True)
    await server.tell_range("Pump", 2.0, 50.0)
    async with Vendor(server, inputs=_feed("plant:s=Pump")) as driver:
        await driver.read()
        await driver.request(True)
        applied = await driver.write(setpoints({"glucose_feed": 0.0}))
        assert applied.confirmed == {"glucose_feed": 0.0}
        assert await server["Pump"].read_value() == 0
        applied = await driver.write(setpoints({"glucose_feed": 0.06}))
        assert applied.refused["glucose_feed"].startswith("out of the plant's range: 1 is not in")
    await server.delete("Pump")


async def test_whole_numbers_are_written_as_such(server: VendorServer) -> None:
    async with Vendor(server, inputs=_feed("plant:s=Steps")) as driver:
        await driver.request(True)
        applied = await driver.write(setpoints({"glucose_feed": 0.06 * 41.7}))
        assert applied.confirmed == pytest.approx({"glucose_feed": 0.06 * 42})
        applied = await driver.write(setpoints({"glucose_feed": 0.06 * 40000}))
        assert "does not fit Int16" in applied.refused["glucose_feed"]


async def test_the_heartbeat_fits_its_type(server: VendorServer) -> None:
    async with Vendor(server) as driver:
        await driver.read()
        for count in (1, 65535, 65536, 70000):
            await driver.beat(count)
            assert await server["Beat"].read_value() == count % 65536


async def test_a_boolean_heartbeat_changes_with_every_beat(server: VendorServer) -> None:
    handshake = {**VENDOR_TAGS["handshake"], "heartbeat": "plant:s=Flag"}
    async with Vendor(server, handshake=handshake) as driver:
        await driver.request(True)
        assert (await driver.read()).status.message == ""
        for count in (1, 2, 3):
            await driver.beat(count)
            assert await server["Flag"].read_value() is (count % 2 == 1)


async def test_a_heartbeat_that_is_not_taken_is_reported(server: VendorServer) -> None:
    async with Vendor(server) as driver:
        await driver.request(True)
        server.codes[server["Beat"].nodeid] = CODES.BadOutOfService
        await driver.beat(1)
        server.codes.clear()
        assert "refused the heartbeat: BadOutOfService" in (await driver.read()).status.message
        await driver.beat(2)
        assert (await driver.read()).status.message == ""


async def test_a_node_that_changes_its_type_is_looked_at_again(server: VendorServer) -> None:
    await server.add("Moving", 0.0, FLOAT, writable=True)
    async with Vendor(server, inputs=_feed("plant:s=Moving")) as driver:
        await driver.request(True)
        assert (await driver.write(setpoints({"glucose_feed": 0.6}))).confirmed
        await server.delete("Moving")
        await server.add("Moving", 0.0, DOUBLE, writable=True)
        applied = await driver.write(setpoints({"glucose_feed": 0.3}))
        assert applied.refused["glucose_feed"] == "refused by the plant: BadTypeMismatch"
        await driver.read()
        await driver.request(True)
        assert (await driver.write(setpoints({"glucose_feed": 0.3}))).confirmed
    await server.delete("Moving")


async def test_the_lost_answer_of_active_counts_as_lost_control(server: VendorServer) -> None:
    async with Vendor(server) as driver:
        await driver.request(True)
        await server.put("Active", True, BOOLEAN, CODES.BadNoCommunication)
        assert not (await driver.read()).status.remote_active
        await server.put("Active", True, BOOLEAN)
        # It came back, but we did not ask again.
        assert not (await driver.read()).status.remote_active
