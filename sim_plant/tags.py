"""The tags of the simulated plant: one table that plant, server and documentation share."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sim_plant.names import (
    FLOW_TAGS,
    FLOWS,
    LAB_TAGS,
    PROBE_TAGS,
    PUMPS,
    REMOTE_FLOWS,
    litres_per_hour,
)
from sim_plant.settings import PlantSettings

NAMESPACE: Final = "urn:mpc-agent:sim-plant"
"""Namespace of the tags' node identifiers, which are their names."""


class DataType(StrEnum):
    """OPC-UA data type of a tag."""

    FLOAT = "Float"
    DOUBLE = "Double"
    UINT32 = "UInt32"
    BOOLEAN = "Boolean"
    STRING = "String"
    DATE_TIME = "DateTime"


class Access(StrEnum):
    """Who may write a tag."""

    READ = "r"
    WRITE = "rw"
    OPERATOR = "operator"


class Quality(StrEnum):
    """What the plant says of its own value."""

    GOOD = "GOOD"
    UNCERTAIN = "UNCERTAIN"
    BAD = "BAD"


class WriteStatus(StrEnum):
    """What became of a write."""

    GOOD = "GOOD"
    CLAMPED = "CLAMPED"
    NOT_WRITABLE = "NOT_WRITABLE"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    REFUSED = "REFUSED"


TagContent = float | int | bool | str | None
"""Value of a tag: UTC seconds for a DateTime, None when there is none yet."""


@dataclass(frozen=True, slots=True)
class Tag:
    """What a tag is.

    Attributes:
        name: name, and identifier of its node.
        data_type: data type.
        unit: engineering unit, empty when the value has none.
        access: who may write it.
        meaning: what it is.
        low: lower end of its range, in its unit.
        high: upper end of its range; writes outside are not taken as they are.
    """

    name: str
    data_type: DataType
    unit: str
    access: Access
    meaning: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TagValue:
    """What a tag says now.

    Attributes:
        value: value in the tag's unit, None before the first one.
        quality: what the plant says of it.
        sampled_at_s: UTC seconds of the moment the value describes: for a lab result, when the
            sample was drawn.
        entered_at_s: UTC seconds of the moment the value became known.
    """

    value: TagContent
    quality: Quality
    sampled_at_s: float
    entered_at_s: float


REMOTE_ENABLE: Final = "Control.RemoteEnable"
REQUEST: Final = "Control.Request"
ACTIVE: Final = "Control.Active"
HEARTBEAT: Final = "Control.Heartbeat"
SETPOINT_VALIDITY: Final = "Control.SetpointValidity"
OWNER: Final = "Control.Owner"
WATCHDOG_TRIPPED: Final = "Control.WatchdogTripped"
SOURCE: Final = "Control.Source"
INTERLOCK: Final = "Control.Interlock"
CLOCK: Final = "Clock.Time"
BATCH_ID: Final = "Batch.Id"
INOCULATED_AT: Final = "Batch.InoculatedAt"

LONGEST_OWNER: Final = 64
"""Characters of an owner's name."""


def _probes() -> list[Tag]:
    """Values of the probes; pressure in bar, as many vendors show it."""
    rows = (
        ("dissolved_oxygen", "percent", "dissolved oxygen, percent of air saturation", 0, 250),
        ("pH", "1", "pH", 2, 12),
        ("pCO2", "mmHg", "partial pressure of dissolved carbon dioxide", 0, 400),
        ("weight", "kg", "weight of the broth", 0, 3000),
        ("capacitance", "pF/cm", "capacitance of viable cells", 0, 100),
        ("off_gas_oxygen", "percent", "oxygen in the off-gas", 0, 100),
        ("off_gas_carbon_dioxide", "percent", "carbon dioxide in the off-gas", 0, 100),
        ("temperature", "degC", "broth temperature", 0, 60),
        ("pressure", "bar", "pressure at the sparger, absolute", 0, 4),
        ("power_per_volume", "W/m^3", "stirrer power per broth volume", 0, 500),
    )
    return [
        Tag(PROBE_TAGS[key], DataType.FLOAT, unit, Access.READ, meaning, low, high)
        for key, unit, meaning, low, high in rows
    ]


def _flows(settings: PlantSettings) -> list[Tag]:
    """Read-back, remote setpoint and working setpoint of each flow, in the vendor's unit."""
    tags = []
    for flow in FLOWS:
        name = FLOW_TAGS[flow]
        words = flow.value.replace("_", " ")
        unit = "mL/min" if flow in PUMPS else "L/min"
        actuator = settings.actuators.of(flow.value)
        low = actuator.lower_L_per_h / litres_per_hour(flow)
        high = actuator.upper_L_per_h / litres_per_hour(flow)
        rows = [
            ("Actual", Access.READ, f"{words}: flow as its meter shows it", 0.0),
            ("WorkingSetpoint", Access.READ, f"{words}: setpoint that is followed now", low),
        ]
        if flow in REMOTE_FLOWS:
            rows.append(("Setpoint", Access.WRITE, f"{words}: remote setpoint", low))
        tags += [
            Tag(f"{name}.{part}", DataType.FLOAT, unit, access, meaning, lower, high)
            for part, access, meaning, lower in rows
        ]
    return tags


def _assays() -> list[Tag]:
    """Latest released result of each assay."""
    rows = (
        ("viable_cells", "1e9 cells/L", "viable cell density", 0, 200),
        ("viability", "percent", "viable fraction of all cells", 0, 100),
        ("glucose", "mmol/L", "glucose", 0, 200),
        ("lactate", "mmol/L", "lactate", 0, 200),
        ("glutamine", "mmol/L", "glutamine", 0, 100),
        ("ammonia", "mmol/L", "ammonia", 0, 50),
        ("titre", "g/L", "antibody titre", 0, 50),
        ("osmolality", "mmol/kg", "osmolality", 0, 1000),
    )
    return [
        Tag(LAB_TAGS[key], DataType.DOUBLE, unit, Access.READ, f"assay: {meaning}", low, high)
        for key, unit, meaning, low, high in rows
    ]


def _handshake() -> list[Tag]:
    """Permission, handshake, clock and batch."""
    boolean, text, read = DataType.BOOLEAN, DataType.STRING, Access.READ
    return [
        Tag(REMOTE_ENABLE, boolean, "", Access.OPERATOR, "the operator permits remote control"),
        Tag(REQUEST, boolean, "", Access.WRITE, "remote control is asked for; the edge counts"),
        Tag(ACTIVE, boolean, "", read, "remote setpoints are followed now"),
        Tag(HEARTBEAT, DataType.UINT32, "", Access.WRITE, "changes with every completed cycle"),
        Tag(
            SETPOINT_VALIDITY,
            DataType.FLOAT,
            "s",
            Access.WRITE,
            "how long setpoints are followed after the last heartbeat",
            60.0,
            86400.0,
        ),
        Tag(OWNER, text, "", Access.WRITE, "who holds the lease on remote control"),
        Tag(WATCHDOG_TRIPPED, boolean, "", read, "remote control was given up: no sign of life"),
        Tag(SOURCE, text, "", read, "where setpoints come from: REMOTE, RECIPE, SAFE or LOCAL"),
        Tag(INTERLOCK, text, "", read, "interlock that acts now, empty when none does"),
        Tag(CLOCK, DataType.DATE_TIME, "", read, "time of the plant"),
        Tag(BATCH_ID, text, "", read, "name of the batch"),
        Tag(INOCULATED_AT, DataType.DATE_TIME, "", read, "when the culture was inoculated"),
    ]


def tag_table(settings: PlantSettings) -> dict[str, Tag]:
    """All tags of this plant by name."""
    tags = [*_probes(), *_flows(settings), *_assays(), *_handshake()]
    return {tag.name: tag for tag in tags}
