"""A tag map for the simulated plant, and small OPC-UA servers that misbehave as vendors' do."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Container, Mapping
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from asyncua import Server, ua
from asyncua.server.address_space import AttributeService

from mpc_agent.drivers.tag_building import build_tag_map
from mpc_agent.drivers.tagmap import OpcuaSettings, TagMapSettings
from mpc_agent.drivers.tags import TagMap
from mpc_agent.values import Origin, Setpoints
from plant_models.cho_mab import CONTROL

_T = TypeVar("_T")

SIM_PLANT = "urn:mpc-agent:sim-plant"

OUTPUT_UNITS = {name: output.unit for name, output in CONTROL.outputs_info.items()}
INPUT_UNITS = {name: item.unit for name, item in CONTROL.inputs.items()}


def _measured(node: str, unit: str) -> dict[str, Any]:
    return {"node": f"plant:s={node}", "unit": unit}


def _flow(name: str, unit: str) -> dict[str, Any]:
    return {
        "actual": _measured(f"{name}.Actual", unit),
        "setpoint": _measured(f"{name}.Setpoint", unit),
    }


TAGS: dict[str, Any] = {
    "measured": {
        "dissolved_oxygen": _measured("DissolvedOxygen.Value", "percent"),
        "pH": _measured("pH.Value", "pH"),
        "pCO2": _measured("PCO2.Value", "mmHg"),
        "weight": _measured("Weight.Value", "kg"),
        "capacitance": _measured("Capacitance.Value", "pF/cm"),
        "off_gas_oxygen": _measured("OffGas.Oxygen", "percent"),
        "off_gas_carbon_dioxide": _measured("OffGas.CarbonDioxide", "percent"),
    },
    "inputs": {
        "glucose_feed": _flow("GlucoseFeed", "mL/min"),
        "amino_feed": _flow("AminoFeed", "mL/min"),
        "base": {"actual": _measured("Base.Actual", "mL/min")},
        "air": _flow("Air", "L/min"),
        "oxygen": _flow("Oxygen", "L/min"),
        "carbon_dioxide": _flow("CarbonDioxide", "L/min"),
        "nitrogen": _flow("Nitrogen", "L/min"),
        "temperature": {"actual": _measured("Temperature.Value", "degC")},
        "pressure": {"actual": _measured("Pressure.Value", "bar")},
        "power_per_volume": {"actual": _measured("Stirrer.PowerPerVolume", "W/m^3")},
    },
    "assays": {
        "viable_cells": _measured("Lab.ViableCells", "1e9 cells/L"),
        "viability": _measured("Lab.Viability", "percent"),
        "glucose": _measured("Lab.Glucose", "mmol/L"),
        "lactate": _measured("Lab.Lactate", "mmol/L"),
        "titre": _measured("Lab.Titre", "g/L"),
        "osmolality": _measured("Lab.Osmolality", "mmol/kg"),
    },
    "handshake": {
        "remote_enable": "plant:s=Control.RemoteEnable",
        "request": "plant:s=Control.Request",
        "active": "plant:s=Control.Active",
        "heartbeat": "plant:s=Control.Heartbeat",
        "setpoint_validity": "plant:s=Control.SetpointValidity",
        "owner": "plant:s=Control.Owner",
        "watchdog_tripped": "plant:s=Control.WatchdogTripped",
        "interlock": "plant:s=Control.Interlock",
        "clock": "/plant:Bioreactor/plant:Clock/plant:Time",
    },
    "batch": {"inoculated_at": "plant:s=Batch.InoculatedAt"},
}


DOSES: dict[str, Any] = {
    name: {**_measured(f"Booked.{tag}", "L"), "what": what}
    for name, tag, what in (
        ("bolus", "GlucoseFeed", "glucose_feed"),
        ("antifoam", "Antifoam", "water"),
        ("samples", "Withdrawn", "withdrawn"),
    )
}
"""Tags of what is booked by hand, for plants that have them."""


def tag_map(settings: Mapping[str, Any] = TAGS) -> TagMap:
    """A tag map for the CHO model."""
    return build_tag_map(
        TagMapSettings.model_validate(settings),
        OUTPUT_UNITS,
        INPUT_UNITS,
        ("plant",),
        CONTROL.volume_flows,
    )


def opcua_settings(endpoint: str, namespace: str = SIM_PLANT, **other: Any) -> OpcuaSettings:
    """A driver's settings with the patience of a test."""
    timeouts = {
        "connect_s": 5.0,
        "request_s": 1.0,
        "scan_s": 5.0,
        "grant_s": 0.5,
        "reconnect_first_s": 0.02,
        "reconnect_max_s": 0.05,
        "probe_s": 1.0,
    }
    settings = {
        "kind": "opcua",
        "endpoint": endpoint,
        "namespaces": {"plant": namespace},
        "timeouts": timeouts,
    }
    return OpcuaSettings.model_validate({**settings, **other})


def setpoints(values: Mapping[str, float], validity_s: float = 3600.0) -> Setpoints:
    """Setpoints as the guard hands them out."""
    return Setpoints(0.0, validity_s, dict(values), {"feed": Origin.PLAN})


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def until(look: Callable[[], Awaitable[_T]], good: Callable[[_T], bool]) -> _T:
    """Look again and again, for at most ten seconds, until what is seen is good."""
    async with asyncio.timeout(10.0):
        while True:
            seen = await look()
            if good(seen):
                return seen
            await asyncio.sleep(0.02)


class _JudgedNodes(AttributeService):  # type: ignore[misc]  # asyncua counts as untyped
    """Answers writes of some nodes with a code of their own, and remembers the largest read."""

    def __init__(self, space: Any, codes: Mapping[ua.NodeId, int]) -> None:
        super().__init__(space)
        self.codes = codes
        self.hanging: dict[ua.NodeId, asyncio.Event] = {}
        self.largest_read = 0

    def read(self, params: Any) -> Any:
        self.largest_read = max(self.largest_read, len(params.NodesToRead))
        return super().read(params)

    async def write(self, params: Any, user: Any = None) -> Any:
        answers = []
        for item in params.NodesToWrite:
            if item.NodeId in self.hanging:
                await self.hanging[item.NodeId].wait()
            if item.NodeId in self.codes:
                answers.append(ua.StatusCode(self.codes[item.NodeId]))
            else:
                answers += await super().write(ua.WriteParameters(NodesToWrite=[item]), user)
        return answers


class VendorServer:
    """A small real OPC-UA server with a tank, a pump and a handshake, on loopback.

    Attributes:
        server: the server itself.
        port, endpoint: where it listens.
        codes: status code by node, given to writes in place of doing them.
    """

    NAMESPACE = "urn:vendor:reactor"

    def __init__(
        self,
        port: int,
        *,
        other_namespaces: int = 0,
        without: Container[str] = (),
        secure: Callable[[Server], Awaitable[None]] | None = None,
    ) -> None:
        """Listen on `port`.

        Args:
            port: where.
            other_namespaces: registered before the vendor's own, which moves its index.
            without: variables that are left out.
            secure: sets policies and users; without it everybody may connect.
        """
        self.port = port
        self.endpoint = f"opc.tcp://127.0.0.1:{port}/"
        self.server = Server()
        self.codes: dict[ua.NodeId, int] = {}
        self._other_namespaces = other_namespaces
        self._without = without
        self._secure = secure
        self._nodes: dict[str, Any] = {}

    @property
    def largest_read(self) -> int:
        """Nodes in the largest read request so far."""
        return int(self.server.iserver.attribute_service.largest_read)

    def forget_reads(self) -> None:
        """Begin to watch for the largest read anew."""
        self.server.iserver.attribute_service.largest_read = 0

    def hang(self, node: Any) -> None:
        """Answer no write of this node until released."""
        self.server.iserver.attribute_service.hanging[node.nodeid] = asyncio.Event()

    def release(self) -> None:
        """Answer writes again."""
        hanging = self.server.iserver.attribute_service.hanging
        for event in hanging.values():
            event.set()
        hanging.clear()

    async def limit_reads(self, nodes: int) -> None:
        """Tell clients how many nodes one read may name."""
        told = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
        node = self.server.get_node(ua.NodeId(told))
        await node.write_value(ua.Variant(nodes, ua.VariantType.UInt32))

    def __getitem__(self, name: str) -> Any:
        return self._nodes[name]

    async def add(self, name: str, value: Any, kind: Any, *, writable: bool = False) -> None:
        """One more variable below the folder Tank."""
        node = await self._tank.add_variable(
            ua.NodeId(name, self._index), ua.QualifiedName(name, self._index), value, kind
        )
        if writable:
            await node.set_writable()
        self._nodes[name] = node

    async def tell_unit(self, name: str, told: ua.EUInformation) -> None:
        """Give a variable an EngineeringUnits property."""
        await self._nodes[name].add_property(
            ua.NodeId(f"{name}.EngineeringUnits", self._index),
            ua.QualifiedName("EngineeringUnits", 0),
            told,
            datatype=ua.ObjectIds.EUInformation,
        )

    async def tell_range(self, name: str, low: float, high: float) -> None:
        """Give a variable an EURange property."""
        await self._nodes[name].add_property(
            ua.NodeId(f"{name}.EURange", self._index),
            ua.QualifiedName("EURange", 0),
            ua.Range(Low=low, High=high),
            datatype=ua.ObjectIds.Range,
        )

    async def delete(self, name: str) -> None:
        """One variable less."""
        await self.server.delete_nodes([self._nodes.pop(name)], recursive=True)

    async def put(self, name: str, value: Any, kind: Any, code: int = 0, at_s: float = 1e9) -> None:
        """Show a value with a status and a source timestamp."""
        at = datetime.fromtimestamp(at_s, UTC)
        shown = ua.DataValue(
            ua.Variant(value, kind), StatusCode=ua.StatusCode(code), SourceTimestamp=at
        )
        # Not by a write, which would check the type: vendors' servers do show odd values.
        await self.server.iserver.aspace.write_attribute_value(
            self._nodes[name].nodeid, ua.AttributeIds.Value, shown
        )

    async def __aenter__(self) -> Self:
        await self.server.init()
        self.server.set_endpoint(self.endpoint)
        if self._secure is None:
            self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await self._secure(self.server)
        for number in range(self._other_namespaces):
            await self.server.register_namespace(f"urn:other:{number}")
        self._index = await self.server.register_namespace(self.NAMESPACE)
        self._tank = await self.server.nodes.objects.add_object(
            ua.NodeId("Tank", self._index), ua.QualifiedName("Tank", self._index)
        )
        for name, value, kind, writable in (
            ("DO", 40.0, ua.VariantType.Float, False),
            ("Feed", 0.0, ua.VariantType.Float, True),
            ("Enable", True, ua.VariantType.Boolean, False),
            ("Request", False, ua.VariantType.Boolean, True),
            ("Active", True, ua.VariantType.Boolean, False),
            ("Beat", 0, ua.VariantType.UInt16, True),
        ):
            if name not in self._without:
                await self.add(name, value, kind, writable=writable)
        internal = self.server.iserver
        internal.attribute_service = _JudgedNodes(internal.aspace, self.codes)
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        clock = self.server.iserver.time_task
        if clock is not None:  # stopping would wait for its next second
            self.server.iserver.time_task = None
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)
        await self.server.stop()


class Wire:
    """A TCP connection to a server that can be cut, or fall silent without being closed."""

    def __init__(self, target: int) -> None:
        """Lead to the port `target` on this machine."""
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()
        self.silent = False

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.endpoint = f"opc.tcp://127.0.0.1:{port}/"
        return self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if not self.silent:
                    sink.write(data)
        except ConnectionError:
            pass
        sink.close()

    def cut(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)


VENDOR_TAGS: dict[str, Any] = {
    "measured": {"dissolved_oxygen": _measured("DO", "percent")},
    "inputs": {"glucose_feed": {"setpoint": _measured("Feed", "mL/min")}},
    "handshake": {
        "remote_enable": "plant:s=Enable",
        "request": "plant:s=Request",
        "active": "plant:s=Active",
        "heartbeat": "plant:s=Beat",
    },
}
