"""A real OPC-UA client for tests, that speaks of tags by name."""

from typing import Any

from asyncua import Client, ua

from sim_plant.server import PlantServer
from sim_plant.tags import NAMESPACE

TYPES = ua.VariantType
CODES = ua.StatusCodes


class Probe:
    """A client that reads and writes tags by name."""

    def __init__(self, client: Client, index: int) -> None:
        self.client = client
        self.index = index

    def node(self, name: str) -> Any:
        return self.client.get_node(ua.NodeId(name, self.index))

    async def read(self, *names: str) -> list[ua.DataValue]:
        wanted = [
            ua.ReadValueId(NodeId=ua.NodeId(name, self.index), AttributeId=ua.AttributeIds.Value)
            for name in names
        ]
        both = ua.TimestampsToReturn.Both
        values: list[ua.DataValue] = await self.client.uaclient.read(
            ua.ReadParameters(TimestampsToReturn=both, NodesToRead=wanted)
        )
        return values

    async def value(self, name: str) -> Any:
        (value,) = await self.read(name)
        return value.Value.Value

    async def write(self, *items: tuple[str, ua.DataValue]) -> list[int]:
        wanted = [
            ua.WriteValue(
                NodeId=ua.NodeId(name, self.index), AttributeId=ua.AttributeIds.Value, Value=value
            )
            for name, value in items
        ]
        answers = await self.client.uaclient.write(ua.WriteParameters(NodesToWrite=wanted))
        return [answer.value for answer in answers]

    async def take_control(self, owner: str) -> list[int]:
        return await self.write(
            ("Control.Owner", plain(owner, TYPES.String)),
            ("Control.Request", plain(False, TYPES.Boolean)),
            ("Control.Request", plain(True, TYPES.Boolean)),
        )

    async def beat(self, count: int) -> None:
        assert await self.write(("Control.Heartbeat", plain(count, TYPES.UInt32))) == [0]


def plain(value: Any, kind: ua.VariantType) -> ua.DataValue:
    """What a careful client writes: an exact type, no status, no timestamp."""
    return ua.DataValue(ua.Variant(value, kind))


async def connected(server: PlantServer, user: str = "") -> Probe:
    client = Client(server.endpoint)
    client.session_timeout = 30_000
    if user:
        client.set_user(user)
    await client.connect()
    return Probe(client, await client.get_namespace_index(NAMESPACE))
