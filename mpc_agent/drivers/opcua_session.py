"""One connection to the server, from connecting to closing; never used again after a failure."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncua import Client, ua

from mpc_agent.drivers.link import RawValue, Scalar
from mpc_agent.drivers.nodes import NodeAddress, NodeUse, TagFault, ValueKind
from mpc_agent.drivers.opcua_resolve import (
    Resolution,
    ResolvedNode,
    namespace_indices,
    read_range,
    resolve,
)
from mpc_agent.drivers.opcua_security import Credentials
from mpc_agent.drivers.opcua_services import Services
from mpc_agent.drivers.opcua_values import counter, raw_value, variant
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.values import Quality

_SESSION_TIMEOUT_MS = 30_000
"""The device forgets a lost session after this: many allow only ten at a time."""

_CHANNEL_LIFETIME_MS = 3_600_000
_CLOSE_S = 2.0

_GONE = frozenset({"BadNodeIdUnknown", "BadNodeIdInvalid", "BadTypeMismatch"})
"""Codes that tell that a node is not what it was when it was found."""

_START_TIME = ua.NodeId(ua.ObjectIds.Server_ServerStatus_StartTime)
_CURRENT_TIME = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
_NAMESPACES = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scan brought.

    Attributes:
        values: every node asked for.
        server_time_s: the server's clock, None when it does not tell.
    """

    values: Mapping[NodeAddress, RawValue]
    server_time_s: float | None


class Session:
    """A connected client whose nodes are known.

    Every method raises whatever asyncua raises when the connection is lost; the session must then
    be closed and forgotten.

    Attributes:
        run: names the run of the server, by its start time.
        faults: nodes that are missing or of the wrong sort.
        ranges: ranges of written nodes, as of the last scan.
        lost: set when the connection is known to be lost.
        used: a scan has succeeded.
    """

    def __init__(
        self,
        client: Client,
        uses: Mapping[NodeAddress, NodeUse],
    ) -> None:
        """Use `client` once `find_nodes` was called."""
        self._client = client
        self._uses = uses
        self._services = Services(client)
        self._indices: Mapping[str, int] = {}
        self._nodes: dict[NodeAddress, ResolvedNode] = {}
        self.run = ""
        self.faults: dict[NodeAddress, TagFault] = {}
        self.ranges: dict[NodeAddress, tuple[float, float]] = {}
        self.lost = asyncio.Event()
        self.used = False

    async def find_nodes(self, namespaces: Mapping[str, str]) -> None:
        """Learn the server's limits, its namespaces as of now, and all nodes.

        Raises:
            LookupError: it does not have a namespace we need.
        """
        await self._services.learn_limits()
        (uris, started) = await self._services.read(
            [(_NAMESPACES, ua.AttributeIds.Value), (_START_TIME, ua.AttributeIds.Value)]
        )
        self._indices = namespace_indices(uris.Value.Value if uris.Value else None, namespaces)
        self.run = str(raw_value(started, ValueKind.TIME).value)
        self._adopt(await resolve(self._services, self._indices, self._uses), self._uses)
        await self._read_ranges()

    def _adopt(self, found: Resolution, uses: Mapping[NodeAddress, NodeUse]) -> None:
        """Take over what is now known of these nodes."""
        for address in uses:
            self._nodes.pop(address, None)
            self.faults.pop(address, None)
        self._nodes |= found.nodes
        self.faults |= found.faults

    async def _find_missing(self) -> None:
        """Look once more for nodes that were not there, or not what they should be."""
        missing = {address: self._uses[address] for address in self.faults}
        if missing:
            self._adopt(await resolve(self._services, self._indices, missing), missing)

    async def _read_ranges(self) -> None:
        """Read the ranges of written nodes."""
        ranged = {a: node.range for a, node in self._nodes.items() if node.range is not None}
        answers = await self._services.read([(n, ua.AttributeIds.Value) for n in ranged.values()])
        self._keep_ranges(list(ranged), answers)

    def _keep_ranges(self, addresses: Sequence[NodeAddress], answers: list[ua.DataValue]) -> None:
        """Remember ranges; one that can no longer be read stays as it was."""
        for address, answer in zip(addresses, answers, strict=True):
            told = read_range(answer)
            if told is not None:
                self.ranges[address] = told

    async def scan(self, addresses: Sequence[NodeAddress]) -> Scan:
        """Read nodes, the ranges of written ones and the server's clock in one request."""
        await self._find_missing()
        known = [address for address in addresses if address in self._nodes]
        ranged = {a: node.range for a, node in self._nodes.items() if node.range is not None}
        nodes = [self._nodes[address].node for address in known]
        nodes += [*ranged.values(), _CURRENT_TIME]
        answers = await self._services.read([(node, ua.AttributeIds.Value) for node in nodes])
        self._keep_ranges(list(ranged), answers[len(known) : -1])
        server_time = raw_value(answers[-1], ValueKind.TIME).value
        self.used = True
        return Scan(
            self._values(addresses, known, answers[: len(known)]),
            server_time if isinstance(server_time, float) else None,
        )

    async def fetch(self, addresses: Sequence[NodeAddress]) -> Mapping[NodeAddress, RawValue]:
        """Read a few nodes."""
        known = [address for address in addresses if address in self._nodes]
        answers = await self._services.read(
            [(self._nodes[address].node, ua.AttributeIds.Value) for address in known]
        )
        return self._values(addresses, known, answers)

    def _values(
        self,
        addresses: Sequence[NodeAddress],
        known: Sequence[NodeAddress],
        answers: Sequence[ua.DataValue],
    ) -> dict[NodeAddress, RawValue]:
        """Answers by address; BAD for nodes that are not known."""
        values = {
            address: RawValue(None, Quality.BAD, reason=str(self.faults.get(address, "unknown")))
            for address in addresses
        }
        for address, answer in zip(known, answers, strict=True):
            values[address] = raw_value(answer, self._uses[address].kind)
            self._doubt(address, values[address].reason)
        return values

    def _doubt(self, address: NodeAddress, code: str) -> None:
        """Look for a node again before it is used once more, when the server disowns it."""
        if code in _GONE:
            label = self._uses[address].label
            self.faults[address] = TagFault(label, f"{address}: {code}", missing=True)

    def data_type(self, address: NodeAddress) -> str:
        """Name of a node's type; LookupError while it is not known."""
        return self._nodes[address].data_type

    async def send(self, writes: Sequence[tuple[NodeAddress, Scalar]]) -> tuple[str, ...]:
        """Write nodes in their exact type; per write, "" or why it was refused.

        Only the plain good status is acceptance: a value that was clamped was not accepted.
        """
        replies = [""] * len(writes)
        items: list[tuple[ua.NodeId, ua.Variant]] = []
        sent: list[int] = []
        for position, (address, value) in enumerate(writes):
            try:
                items.append((self._nodes[address].node, self._variant(address, value)))
                sent.append(position)
            except (KeyError, ValueError) as error:
                fault = self.faults.get(address)
                replies[position] = str(error) if fault is None else str(fault)
        codes = await self._services.write(items)
        for position, code in zip(sent, codes, strict=True):
            if code.value != 0:
                replies[position] = code.name
                self._doubt(writes[position][0], code.name)
        return tuple(replies)

    def _variant(self, address: NodeAddress, value: Scalar) -> ua.Variant:
        """A value in the exact type of its node; ValueError when the node cannot hold it."""
        data_type = self._nodes[address].data_type
        if self._uses[address].kind is ValueKind.COUNTER and isinstance(value, int):
            value = counter(value, data_type)
        return variant(value, data_type, self.ranges.get(address))

    async def close(self) -> None:
        """Disconnect within two seconds, politely if the server still answers."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._client.disconnect()
        except Exception:  # noqa: BLE001, S110 - a dead connection may fail in any way
            pass
        finally:
            self._client.disconnect_socket()


async def open_session(
    settings: OpcuaSettings, credentials: Credentials, uses: Mapping[NodeAddress, NodeUse]
) -> Session:
    """Connect with a fresh client.

    Raises:
        Exception: of any class, as asyncua does when it cannot connect.
    """
    client = Client(
        settings.endpoint,
        timeout=settings.timeouts.request_s,
        watchdog_intervall=settings.timeouts.probe_s,
    )
    client.name = "mpc-agent"
    client.session_timeout = _SESSION_TIMEOUT_MS
    client.secure_channel_timeout = _CHANNEL_LIFETIME_MS
    session = Session(client, uses)

    async def on_lost(_error: Exception) -> None:
        session.lost.set()

    client.connection_lost_callback = on_lost
    try:
        await credentials.apply(client)
        await client.connect()
    except BaseException:
        client.disconnect_socket()
        raise
    return session
