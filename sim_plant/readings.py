"""What the tags say: the plant's rooms seen through its table of tags."""

from collections.abc import Iterator, Mapping
from math import isfinite

import numpy as np

from sim_plant.actuators import Actuators
from sim_plant.control_unit import ControlUnit
from sim_plant.doses import Doses
from sim_plant.lab import Laboratory
from sim_plant.names import booking_tag
from sim_plant.sensors import Probes
from sim_plant.settings import PlantSettings
from sim_plant.tags import (
    ACTIVE,
    BATCH_ID,
    CLOCK,
    HEARTBEAT,
    INOCULATED_AT,
    INTERLOCK,
    OWNER,
    REMOTE_ENABLE,
    REQUEST,
    SETPOINT_VALIDITY,
    SOURCE,
    WATCHDOG_TRIPPED,
    DataType,
    Quality,
    Tag,
    TagContent,
    TagValue,
)

Pair = tuple[str, TagValue]


def read_tags(
    table: Mapping[str, Tag],
    unit: ControlUnit,
    actuators: Actuators,
    probes: Probes,
    lab: Laboratory,
    doses: Doses,
    settings: PlantSettings,
    time_s: float,
) -> dict[str, TagValue]:
    """What every tag says now, by name."""
    values = {
        **dict(_probes(probes, settings, time_s)),
        **dict(_actuators(unit, actuators, settings, time_s)),
        **dict(_assays(lab, settings)),
        **dict(_bookings(doses, settings)),
        **dict(_handshake(unit, settings, time_s)),
    }
    return {name: _rounded(tag, values[name]) for name, tag in table.items()}


def _rounded(tag: Tag, value: TagValue) -> TagValue:
    """The value as its data type can hold it, so that every way of reading gives the same bits."""
    if tag.data_type is not DataType.FLOAT or not isinstance(value.value, float):
        return value
    number = float(np.float32(value.value))
    return TagValue(number, value.quality, value.sampled_at_s, value.entered_at_s)


def _good(value: TagContent, time_s: float) -> TagValue:
    return TagValue(value, Quality.GOOD, time_s, time_s)


def _probes(probes: Probes, settings: PlantSettings, time_s: float) -> Iterator[Pair]:
    rows = zip(
        settings.probes.values(),
        probes.values.tolist(),
        probes.qualities,
        probes.sampled_at_s,
        strict=True,
    )
    for probe, value, quality, sampled_at_s in rows:
        known = value if isfinite(value) else None
        yield probe.tag, TagValue(known, quality, sampled_at_s, time_s)


def _actuators(
    unit: ControlUnit, actuators: Actuators, settings: PlantSettings, time_s: float
) -> Iterator[Pair]:
    for (name, actuator), shown in zip(settings.actuators.items(), actuators.shown, strict=True):
        tag, to_tag = actuator.tag, unit.scales[name].to_tag
        yield f"{tag}.Actual", _good(to_tag(shown), time_s)
        yield f"{tag}.WorkingSetpoint", _good(to_tag(unit.working[name]), time_s)
        if name in unit.remote:
            yield f"{tag}.Setpoint", _good(to_tag(unit.remote[name]), time_s)


def _assays(lab: Laboratory, settings: PlantSettings) -> Iterator[Pair]:
    inoculated_at_s = settings.batch.inoculated_at.timestamp()
    for name, assay in settings.assays.items():
        result = lab.results.get(name)
        if result is None:
            yield assay.tag, TagValue(None, Quality.BAD, inoculated_at_s, inoculated_at_s)
        else:
            yield (
                assay.tag,
                TagValue(result.value, Quality.GOOD, result.drawn_at_s, result.entered_at_s),
            )


def _bookings(doses: Doses, settings: PlantSettings) -> Iterator[Pair]:
    inoculated_at_s = settings.batch.inoculated_at.timestamp()
    for liquid in settings.booked:
        entry = doses.booked.get(liquid)
        if entry is None:
            value = TagValue(None, Quality.BAD, inoculated_at_s, inoculated_at_s)
        else:
            value = TagValue(entry.volume_L, Quality.GOOD, entry.given_at_s, entry.entered_at_s)
        yield booking_tag(liquid), value


def _handshake(unit: ControlUnit, settings: PlantSettings, time_s: float) -> Iterator[Pair]:
    state, batch = unit.handshake, settings.batch
    values: dict[str, TagContent] = {
        REMOTE_ENABLE: state.remote_enabled,
        REQUEST: state.request,
        ACTIVE: state.active,
        HEARTBEAT: state.heartbeat,
        SETPOINT_VALIDITY: state.validity_s,
        OWNER: state.owner,
        WATCHDOG_TRIPPED: state.tripped,
        SOURCE: unit.source.value,
        INTERLOCK: unit.interlock,
        CLOCK: time_s,
        BATCH_ID: batch.id,
        INOCULATED_AT: batch.inoculated_at.timestamp(),
    }
    return ((name, _good(value, time_s)) for name, value in values.items())
