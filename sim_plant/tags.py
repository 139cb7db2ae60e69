"""The tags of the simulated plant: one table that plant, server and documentation share."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sim_plant.equipment_settings import InstrumentSettings
from sim_plant.names import booking_tag, shown
from sim_plant.settings import PlantSettings
from sim_plant.tag_units import Scale

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
        assay: whether it has no value before the laboratory's first result, or the first booking.
    """

    name: str
    data_type: DataType
    unit: str
    access: Access
    meaning: str
    low: float | None = None
    high: float | None = None
    assay: bool = False


@dataclass(frozen=True, slots=True)
class TagValue:
    """What a tag says now.

    Attributes:
        value: value in the tag's unit, None before the first one.
        quality: what the plant says of it.
        sampled_at_s: UTC seconds of the moment the value describes: for a lab result, when the
            sample was drawn, for a booking, when the dose was given.
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


def _probes(settings: PlantSettings) -> list[Tag]:
    """Values of the probes."""
    model = settings.plant_model
    return [
        _instrument(probe, DataType.FLOAT, shown(model, name).meaning)
        for name, probe in settings.probes.items()
    ]


def _assays(settings: PlantSettings) -> list[Tag]:
    """Latest released result of each assay."""
    outputs = settings.plant_model.outputs_info
    return [
        _instrument(assay, DataType.DOUBLE, f"assay: {outputs[name].meaning}", assay=True)
        for name, assay in settings.assays.items()
    ]


def _bookings(settings: PlantSettings) -> list[Tag]:
    """Latest booked dose of each liquid."""
    read, double = Access.READ, DataType.DOUBLE
    return [
        Tag(
            booking_tag(liquid),
            double,
            "L",
            read,
            f"booked by hand: volume of {liquid.replace('_', ' ')}",
            low=0.0,
            high=settings.vessel.working_volume_L,
            assay=True,
        )
        for liquid in settings.booked
    ]


def _instrument(
    item: InstrumentSettings, data_type: DataType, meaning: str, *, assay: bool = False
) -> Tag:
    low, high = item.range or (None, None)
    return Tag(item.tag, data_type, item.unit, Access.READ, meaning, low, high, assay)


def _actuators(settings: PlantSettings) -> list[Tag]:
    """Read-back, remote setpoint and working setpoint of each actuator, in the vendor's unit."""
    tags = []
    for name, actuator in settings.actuators.items():
        scale = Scale.between(actuator.unit, settings.plant_model.inputs[name].unit)
        low, high = scale.to_tag(actuator.lower), scale.to_tag(actuator.upper)
        words = name.replace("_", " ")
        shown = "value" if actuator.kind == "other" else "flow"
        rows = [
            ("Actual", Access.READ, f"{words}: {shown} as its meter shows it", min(low, 0.0)),
            ("WorkingSetpoint", Access.READ, f"{words}: setpoint that is followed now", low),
        ]
        if actuator.remote:
            rows.append(("Setpoint", Access.WRITE, f"{words}: remote setpoint", low))
        tags += [
            Tag(
                f"{actuator.tag}.{part}",
                DataType.FLOAT,
                actuator.unit,
                access,
                meaning,
                lower,
                high,
            )
            for part, access, meaning, lower in rows
        ]
    return tags


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
    tags = [*_probes(settings), *_actuators(settings), *_assays(settings)]
    tags += [*_bookings(settings), *_handshake()]
    return {tag.name: tag for tag in tags}
