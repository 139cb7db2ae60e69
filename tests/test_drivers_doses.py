"""Bookings of liquid given and taken by hand: what counts as one, and what a real server shows."""

from collections.abc import AsyncIterator
from math import inf, nan

import pytest
import pytest_asyncio
from asyncua import ua

from mpc_agent.clock import WallClock
from mpc_agent.codec import decode, encode
from mpc_agent.drivers.link import RawValue, Scalar
from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.drivers.readings import make_doses
from mpc_agent.drivers.tag_building import TagMapError
from mpc_agent.values import Dose, PlantStatus, Quality, Readings
from tests.examples_drivers import VENDOR_TAGS, VendorServer, free_port, opcua_settings, tag_map

GIVEN_S = 1_767_600_000.25

TAGS = {
    **VENDOR_TAGS,
    "doses": {
        "bolus": {"node": "plant:s=Bolus", "unit": "mL", "what": "glucose_feed"},
        "antifoam": {"node": "plant:s=Antifoam", "unit": "L", "what": "water"},
        "rinse": {"node": "plant:s=Rinse", "unit": "L", "what": "water"},
        "sample": {"node": "plant:s=Sample", "unit": "mL", "what": "withdrawn"},
    },
}
MAP = tag_map(TAGS)
BOLUS, ANTIFOAM, RINSE, SAMPLE = (signal.address for signal in MAP.doses)


def raw(
    value: Scalar, quality: Quality = Quality.GOOD, source_s: float | None = GIVEN_S
) -> RawValue:
    return RawValue(value, quality, source_s, GIVEN_S + 60.0)


def test_a_booking_is_converted_to_litres() -> None:
    doses = make_doses(MAP, {BOLUS: raw(2500.0), SAMPLE: raw(50, source_s=GIVEN_S + 1.0)})
    assert doses == (
        Dose("glucose_feed", 2.5, GIVEN_S),
        Dose("withdrawn", 0.05, GIVEN_S + 1.0),
    )


@pytest.mark.parametrize(
    "found",
    [
        raw(nan),
        raw(inf),
        raw(-5.0),
        raw(True),
        raw("5 L"),
        raw(None),
        raw(5.0, Quality.UNCERTAIN),
        raw(5.0, Quality.BAD),
        raw(5.0, source_s=None),
    ],
)
def test_what_is_no_sound_booking_is_none(found: RawValue) -> None:
    assert make_doses(MAP, {BOLUS: found}) == ()
    assert make_doses(MAP, {}) == ()


def test_the_same_liquid_at_the_same_moment_is_one_dose() -> None:
    """Otherwise one of them would be taken for the other one seen again."""
    together = {ANTIFOAM: raw(0.5), RINSE: raw(1.5)}
    assert make_doses(MAP, together) == (Dose("water", 2.0, GIVEN_S),)
    apart = {ANTIFOAM: raw(0.5), RINSE: raw(1.5, source_s=GIVEN_S + 1.0)}
    assert make_doses(MAP, apart) == (
        Dose("water", 0.5, GIVEN_S),
        Dose("water", 1.5, GIVEN_S + 1.0),
    )


def test_doses_that_cannot_be_counted_are_refused() -> None:
    doses = {
        "soda": {"node": "plant:s=Soda", "unit": "L", "what": "soda"},
        "acid": {"node": "plant:s=Acid", "unit": "kg", "what": "base"},
        "air": {"node": "other:s=Air", "unit": "L", "what": "air"},
    }
    with pytest.raises(TagMapError) as caught:
        tag_map({**VENDOR_TAGS, "doses": doses})
    first, second, third = caught.value.faults
    assert first == (
        "tags.doses.soda.what: 'soda' is no liquid; "
        "give one of glucose_feed, amino_feed, base, water, withdrawn"
    )
    assert second.startswith("tags.doses.acid: unit 'kg' is [mass], but [length] ** 3 is expected")
    assert third.startswith("tags.doses.air.what: 'air' is no liquid")


def test_readings_with_doses_survive_the_record() -> None:
    doses = make_doses(MAP, {BOLUS: raw(2500.0), SAMPLE: raw(50.0)})
    status = PlantStatus(True, True, remote_active=False, watchdog_tripped=False)
    readings = Readings(GIVEN_S, {}, {}, {}, (), status, doses)
    assert decode(encode(readings), Readings) == readings


def test_a_record_from_before_there_were_doses_can_be_read() -> None:
    names = ("connected", "remote_enabled", "remote_active", "watchdog_tripped")
    before = {
        "read_at_s": GIVEN_S,
        "measured": {},
        "inputs": {},
        "setpoints": {},
        "samples": [],
        "status": dict.fromkeys(names, True),
    }
    assert decode(encode(before), Readings).doses == ()


# ------------------------------------------------------------------ a real server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[VendorServer]:
    """A plant with bookings, on loopback."""
    async with VendorServer(free_port()) as running:
        for name in ("Bolus", "Antifoam", "Rinse", "Sample"):
            await running.add(name, 0.0, ua.VariantType.Double)
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def driver(server: VendorServer) -> AsyncIterator[OpcuaDriver]:
    settings = opcua_settings(server.endpoint, VendorServer.NAMESPACE)
    found = OpcuaDriver(settings, MAP, WallClock().read_s)
    yield found
    await found.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_bookings_are_read_over_the_network(
    server: VendorServer, driver: OpcuaDriver
) -> None:
    double, waiting = ua.VariantType.Double, ua.StatusCodes.BadWaitingForInitialData
    await server.put("Bolus", 2500.0, double, at_s=GIVEN_S)
    await server.put("Antifoam", 0.5, double, code=waiting, at_s=GIVEN_S)
    await server.put("Sample", 50.0, double, at_s=GIVEN_S + 30.0)
    readings = await driver.read()
    assert readings.status.message == ""
    booked = tuple(dose for dose in readings.doses if dose.volume_L > 0.0)
    assert booked == (
        Dose("glucose_feed", 2.5, GIVEN_S),
        Dose("withdrawn", 0.05, GIVEN_S + 30.0),
    )
    # What shows zero takes back a booking of its own time, and is none by itself.
    assert [dose.what for dose in readings.doses] == ["glucose_feed", "water", "withdrawn"]
    assert (await driver.read()).doses == readings.doses
    await server.put("Bolus", 1000.0, double, at_s=GIVEN_S + 600.0)
    (bolus, _, sample) = (await driver.read()).doses
    assert (bolus.volume_L, bolus.given_at_s) == pytest.approx((1.0, GIVEN_S + 600.0))
    assert sample == booked[1]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_plant_that_cannot_be_heard_books_nothing(
    server: VendorServer, driver: OpcuaDriver
) -> None:
    await driver.read()
    await driver.close()
    readings = await driver.read()
    assert not readings.status.connected
    assert readings.doses == ()
