import asyncio
import datetime as dt
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from sim_plant.errors import PlantError
from sim_plant.handshake import Handshake
from sim_plant.pace import keep_pace
from sim_plant.plant import OperatorAction
from sim_plant.server import PlantServer, serve
from sim_plant.server_settings import SpeedPace
from sim_plant.tags import Access, DataType
from sim_plant.truth import Truth
from tests.sim_plant_clients import CODES, TYPES, Probe, connected, plain
from tests.sim_plant_support import plant_settings, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY_PORT = "opc.tcp://127.0.0.1:0/sim-plant/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[PlantServer]:
    async with PlantServer(plant_settings(), ANY_PORT) as running:
        task = asyncio.create_task(running.run())
        yield running
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="module")
async def server(shared: PlantServer) -> PlantServer:
    """The one server of these tests, with nobody in control."""
    shared.plant._unit.handshake = Handshake(validity_s=1800.0)
    await shared._publish()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def probe(server: PlantServer) -> AsyncIterator[Probe]:
    one = await connected(server)
    yield one
    await one.client.disconnect()


async def test_every_tag_is_a_node_of_its_exact_type(server: PlantServer, probe: Probe) -> None:
    table = server.plant.table
    values = await probe.read(*table)
    for (name, tag), value in zip(table.items(), values, strict=True):
        node = probe.node(name)
        assert (await node.read_data_type_as_variant_type()).name == tag.data_type.value
        if server.plant.tag(name).value is None:
            assert name.startswith("Lab.")
            assert tag.assay
            assert value.StatusCode.value == CODES.BadWaitingForInitialData
        else:
            assert value.StatusCode.value == CODES.Good
            assert value.Value.VariantType.name == tag.data_type.value
        levels = await node.get_access_level()
        assert (ua.AccessLevel.CurrentWrite in levels) == (tag.access is not Access.READ)
        first, second = name.split(".")
        path = [f"{probe.index}:{part}" for part in ("Bioreactor", first, second)]
        assert await probe.client.nodes.objects.get_child(path) == node


async def test_analog_tags_say_range_and_unit(server: PlantServer, probe: Probe) -> None:
    analog = {name: tag for name, tag in server.plant.table.items() if tag.low is not None}
    assert "GlucoseFeed.Setpoint" in analog
    for name, tag in analog.items():
        node = probe.node(name)
        assert await node.read_type_definition() == ua.NodeId(ua.ObjectIds.AnalogItemType)
        limits = await (await node.get_child("0:EURange")).read_value()
        assert (limits.Low, limits.High) == (tag.low, tag.high)
        units = await (await node.get_child("0:EngineeringUnits")).read_value()
        assert units.DisplayName.Text == tag.unit
    units = await (await probe.node("Weight.Value").get_child("0:EngineeringUnits")).read_value()
    assert units.UnitId == 4933453  # KGM, as OPC 10000-8 encodes it


async def test_writes_are_answered_item_by_item(probe: Probe) -> None:
    assert await probe.take_control("agent") == [0, 0, 0]
    now = dt.datetime.now(dt.UTC)
    setpoint = "GlucoseFeed.Setpoint"
    stamped = ua.DataValue(ua.Variant(30.0, TYPES.Float), SourceTimestamp=now)
    marked = ua.DataValue(ua.Variant(30.0, TYPES.Float), StatusCode=ua.StatusCode(CODES.Bad))
    answers = await probe.write(
        (setpoint, plain(20.0, TYPES.Float)),
        (setpoint, plain(1000.0, TYPES.Float)),
        (setpoint, plain(float("nan"), TYPES.Float)),
        (setpoint, plain(30.0, TYPES.Double)),
        (setpoint, plain([30.0], TYPES.Float)),
        (setpoint, ua.DataValue()),
        (setpoint, stamped),
        (setpoint, marked),
        ("pH.Value", plain(7.0, TYPES.Float)),
        ("Control.RemoteEnable", plain(False, TYPES.Boolean)),
        ("Control.Heartbeat", plain(1, TYPES.Int64)),
        ("No.Such", plain(1, TYPES.Int64)),
        ("AminoFeed.Setpoint", plain(10.0, TYPES.Float)),
    )
    assert answers == [
        CODES.Good,
        CODES.BadOutOfRange,
        CODES.BadOutOfRange,
        CODES.BadTypeMismatch,
        CODES.BadTypeMismatch,
        CODES.BadTypeMismatch,
        CODES.BadWriteNotSupported,
        CODES.BadWriteNotSupported,
        CODES.BadNotWritable,
        CODES.BadUserAccessDenied,
        CODES.BadTypeMismatch,
        CODES.BadUserAccessDenied,
        CODES.Good,
    ]
    assert await probe.value(setpoint) == 20.0
    assert await probe.value("AminoFeed.Setpoint") == 10.0


async def test_attributes_cannot_be_written(probe: Probe) -> None:
    node = probe.node("GlucoseFeed.Setpoint")
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await node.write_attribute(
            ua.AttributeIds.DisplayName, plain(ua.LocalizedText("x"), TYPES.LocalizedText)
        )
    assert caught.value.code == CODES.BadUserAccessDenied


async def test_a_clamped_setpoint_is_good_but_says_so(
    server: PlantServer, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = server.plant.settings
    unit = settings.control_unit.model_copy(update={"out_of_range": "clamp"})
    clamping = settings.model_copy(update={"control_unit": unit})
    monkeypatch.setattr(server.plant, "settings", clamping)
    await probe.take_control("agent")
    answers = await probe.write(("GlucoseFeed.Setpoint", plain(500.0, TYPES.Float)))
    assert answers == [CODES.GoodClamped]
    assert await probe.value("GlucoseFeed.Setpoint") == pytest.approx(5.6 / 0.06)


async def test_time_moves_one_step_with_each_heartbeat(server: PlantServer, probe: Probe) -> None:
    start_s = server.plant.time_s
    await probe.take_control("agent")
    for count in range(1, 13):
        await probe.beat(count)
        await until(lambda: server.plant.time_s == start_s + 600 * count)  # noqa: B023
    await probe.beat(12)  # no change, no step
    assert server.plant.time_s == start_s + 7200
    assert await probe.value("Control.Active") is True
    clock = dt.datetime.fromtimestamp(start_s + 7200, dt.UTC)
    assert await probe.value("Clock.Time") == clock
    (pH, glucose) = await probe.read("pH.Value", "Lab.Glucose")
    assert pH.SourceTimestamp == clock
    drawn_at_s = server.plant.settings.batch.inoculated_at.timestamp() + 600
    assert glucose.SourceTimestamp == dt.datetime.fromtimestamp(drawn_at_s, dt.UTC)
    assert glucose.SourceTimestamp < glucose.ServerTimestamp <= clock
    assert glucose.Value.VariantType.name == DataType.DOUBLE.value


async def test_a_second_controller_is_refused(server: PlantServer, probe: Probe) -> None:
    await probe.take_control("first")
    other = await connected(server)
    refused = CODES.BadUserAccessDenied
    assert await other.take_control("second") == [refused] * 3
    setpoint = ("GlucoseFeed.Setpoint", plain(20.0, TYPES.Float))
    assert await other.write(setpoint) == [refused]
    # The same controller, come back over a new connection.
    assert await other.take_control("first") == [0, 0, 0]
    assert await other.write(setpoint) == [0]
    assert await probe.write(setpoint) == [refused]
    await other.client.disconnect()


async def test_the_operator_alone_decides_on_remote_control(
    server: PlantServer, probe: Probe
) -> None:
    await probe.take_control("agent")
    operator = await connected(server, "operator")
    off = ("Control.RemoteEnable", plain(False, TYPES.Boolean))
    assert await probe.write(off) == [CODES.BadUserAccessDenied]
    assert await operator.write(off) == [0]
    assert await probe.value("Control.Active") is False
    assert await probe.value("Control.Source") == "LOCAL"
    await operator.client.disconnect()
    await server.operator(OperatorAction.ENABLE_REMOTE)
    assert await probe.value("Control.RemoteEnable") is True
    await probe.take_control("agent")
    assert await probe.value("Control.Active") is True


async def test_subscriptions_see_every_step(server: PlantServer, probe: Probe) -> None:
    seen: list[float] = []

    class Handler:
        def datachange_notification(self, node: Any, value: float, data: Any) -> None:
            seen.append(value)

    subscription = await probe.client.create_subscription(10, Handler())
    await subscription.subscribe_data_change(probe.node("pH.Value"))
    await probe.beat(1)
    await until(lambda: len(seen) == 2)
    await subscription.delete()


async def test_what_cannot_be_published_again_is_told(probe: Probe) -> None:
    subscription = await probe.client.create_subscription(10_000, None)
    for identifier, code in (
        (subscription.subscription_id, CODES.BadMessageNotAvailable),
        (999_999, CODES.BadSubscriptionIdInvalid),
    ):
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = identifier
        request.Parameters.RetransmitSequenceNumber = 77
        with pytest.raises(ua.UaStatusCodeError) as caught:
            await probe.client.uaclient.protocol.send_request(request)
        assert caught.value.code == code
    await subscription.delete()


async def test_a_port_in_use_is_told_in_a_sentence(
    server: PlantServer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PlantError, match=r"port \d+ on 127\.0\.0\.1 is in use"):
        await serve(plant_settings(), server.endpoint)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_host_that_is_not_ours_and_a_bad_endpoint_are_told() -> None:
    with pytest.raises(PlantError, match="can be reached from the network"):
        await serve(plant_settings(), "opc.tcp://0.0.0.0:0/")
    with pytest.raises(PlantError, match="must be like"):
        await serve(plant_settings(), "nowhere")


async def test_serving_ends_cleanly_and_leaves_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "truth.npz"
    ready: asyncio.Future[PlantServer] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(plant_settings(seed=6), ANY_PORT, truth_file=path, on_ready=ready.set_result)
    )
    server = await ready
    probe = await connected(server)
    await probe.beat(1)
    await until(lambda: server.plant.time_h > 0)
    await probe.client.disconnect()
    port = int(server.endpoint.split(":")[2].split("/")[0])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert Truth.load(path).time_h[-1] == pytest.approx(1 / 6)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


async def test_a_folder_for_the_truth_that_is_missing_is_told_before_serving(
    tmp_path: Path,
) -> None:
    with pytest.raises(PlantError, match="folder is missing or read-only"):
        await serve(plant_settings(), ANY_PORT, truth_file=tmp_path / "none" / "truth.npz")


async def test_time_can_run_by_speed(server: PlantServer) -> None:
    start_h = server.plant.time_h
    task = asyncio.create_task(keep_pace(server, SpeedPace(factor=36_000.0)))
    await until(lambda: server.plant.time_h > start_h + 1.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
