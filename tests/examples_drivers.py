"""A tag map for the simulated plant, and small OPC-UA servers that misbehave as vendors' do."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from asyncua import Server, ua

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


def tag_map(settings: Mapping[str, Any] = TAGS) -> TagMap:
    """A tag map for the CHO model."""
    return build_tag_map(
        TagMapSettings.model_validate(settings), OUTPUT_UNITS, INPUT_UNITS, ("plant",)
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


class VendorServer:
    """A small real OPC-UA server with a tank, a pump and a handshake; anonymous, on loopback.

    Attributes:
        server: the server, for direct access to its nodes.
        nodes: nodes by name.
    """

    NAMESPACE = "urn:vendor:reactor"

    def __init__(self, port: int, *, other_namespaces: int = 0) -> None:
        """Listen on `port`; more namespaces move the index of the vendor's own."""
        self.server = Server()
        self.server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._other_namespaces = other_namespaces
        self.nodes: dict[str, Any] = {}
        self.endpoint = f"opc.tcp://127.0.0.1:{port}/"

    async def add(self, name: str, value: Any, kind: Any, *, writable: bool = False) -> None:
        """One more variable."""
        node = await self.server.nodes.objects.add_variable(
            ua.NodeId(name, self._index), ua.QualifiedName(name, self._index), value, kind
        )
        if writable:
            await node.set_writable()
        self.nodes[name] = node

    async def put(self, name: str, value: Any, kind: Any, code: int = 0, at_s: float = 1e9) -> None:
        """Show a value with a status and a source timestamp."""
        status, at = ua.StatusCode(code), datetime.fromtimestamp(at_s, UTC)
        await self.nodes[name].write_value(
            ua.DataValue(ua.Variant(value, kind), StatusCode=status, SourceTimestamp=at)
        )

    async def __aenter__(self) -> Self:
        await self.server.init()
        for number in range(self._other_namespaces):
            await self.server.register_namespace(f"urn:other:{number}")
        self._index = await self.server.register_namespace(self.NAMESPACE)
        double, boolean = ua.VariantType.Double, ua.VariantType.Boolean
        await self.add("DO", 40.0, ua.VariantType.Float)
        await self.add("Feed", 0.0, ua.VariantType.Float, writable=True)
        await self.add("FeedShown", 0.0, double)
        await self.add("Enable", True, boolean)
        await self.add("Request", False, boolean, writable=True)
        await self.add("Active", True, boolean)
        await self.add("Beat", 0, ua.VariantType.UInt16, writable=True)
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        clock = self.server.iserver.time_task
        if clock is not None:  # stopping would wait for its next second
            self.server.iserver.time_task = None
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)
        await self.server.stop()


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
