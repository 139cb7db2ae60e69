"""What the tags say: the plant's rooms seen through its table of tags."""

from collections.abc import Iterator, Mapping
from math import isfinite

import numpy as np

from sim_plant.actuators import Actuators
from sim_plant.control_unit import ControlUnit
from sim_plant.lab import Laboratory
from sim_plant.names import FLOW_TAGS, FLOWS, LAB_TAGS, PROBE_TAGS, litres_per_hour
from sim_plant.process_settings import BatchSettings
from sim_plant.sensors import Probes
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
    batch: BatchSettings,
    time_s: float,
) -> dict[str, TagValue]:
    """What every tag says now, by name."""
    values = {
        **dict(_probes(probes, time_s)),
        **dict(_flows(unit, actuators, time_s)),
        **dict(_assays(lab, batch)),
        **dict(_handshake(unit, batch, time_s)),
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


def _probes(probes: Probes, time_s: float) -> Iterator[Pair]:
    rows = zip(
        PROBE_TAGS.values(),
        probes.values.tolist(),
        probes.qualities,
        probes.sampled_at_s,
        strict=True,
    )
    for name, value, quality, sampled_at_s in rows:
        yield name, TagValue(value if isfinite(value) else None, quality, sampled_at_s, time_s)


def _flows(unit: ControlUnit, actuators: Actuators, time_s: float) -> Iterator[Pair]:
    for flow, shown in zip(FLOWS, actuators.shown, strict=True):
        name, per = FLOW_TAGS[flow], litres_per_hour(flow)
        yield f"{name}.Actual", _good(shown / per, time_s)
        yield f"{name}.WorkingSetpoint", _good(unit.working[flow] / per, time_s)
        if flow in unit.remote:
            yield f"{name}.Setpoint", _good(unit.remote[flow] / per, time_s)


def _assays(lab: Laboratory, batch: BatchSettings) -> Iterator[Pair]:
    inoculated_at_s = batch.inoculated_at.timestamp()
    for assay, name in LAB_TAGS.items():
        result = lab.results.get(assay)
        if result is None:
            yield name, TagValue(None, Quality.BAD, inoculated_at_s, inoculated_at_s)
        else:
            yield (
                name,
                TagValue(result.value, Quality.GOOD, result.drawn_at_s, result.entered_at_s),
            )


def _handshake(unit: ControlUnit, batch: BatchSettings, time_s: float) -> Iterator[Pair]:
    state = unit.handshake
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
