"""Writes to tags: access, type, range and lease are judged here, whoever carries the write."""

from math import isfinite
from typing import Final

from sim_plant.control_unit import ControlUnit
from sim_plant.handshake import beaten, bounded, may_own, may_write, owned, requested
from sim_plant.tags import (
    HEARTBEAT,
    LONGEST_OWNER,
    OWNER,
    REQUEST,
    SETPOINT_VALIDITY,
    Access,
    DataType,
    Tag,
    TagContent,
    WriteStatus,
)

_ROUNDING: Final = 1e-6
"""Share of a range by which a 32-bit number may miss its end."""

_HIGHEST_UINT32: Final = 2**32 - 1


def write_tag(
    unit: ControlUnit,
    tag: Tag,
    value: TagContent,
    connection: str,
    time_s: float,
    clamp: bool,
) -> WriteStatus:
    """Let one connection write one tag.

    Args:
        unit: whose tag it is.
        tag: what the tag is.
        value: new value, in the tag's unit.
        connection: who writes, for the lease.
        time_s: UTC seconds.
        clamp: take a number outside the range as the range's end instead of refusing it.

    Returns:
        What became of it; GOOD and CLAMPED changed the plant, everything else did not.
    """
    if tag.access is not Access.WRITE:
        return WriteStatus.NOT_WRITABLE
    if not _has_type(tag, value):
        return WriteStatus.TYPE_MISMATCH
    if isinstance(value, bool):
        status, taken = WriteStatus.GOOD, float(value)
    elif isinstance(value, float | int):
        status, taken = _in_range(tag, float(value), clamp)
    else:
        status, taken = _text_in_range(str(value)), 0.0
    if status not in (WriteStatus.GOOD, WriteStatus.CLAMPED):
        return status
    if not _permitted(unit, tag, str(value), connection):
        return WriteStatus.REFUSED
    _apply(unit, tag, taken, str(value), connection, time_s)
    return status


def _has_type(tag: Tag, value: TagContent) -> bool:
    """Whether a value can be what the tag holds; an integer is also a Float."""
    match tag.data_type:
        case DataType.BOOLEAN:
            return isinstance(value, bool)
        case DataType.UINT32:
            return isinstance(value, int) and not isinstance(value, bool)
        case DataType.STRING:
            return isinstance(value, str)
        case _:
            return isinstance(value, float | int) and not isinstance(value, bool)


def _in_range(tag: Tag, value: float, clamp: bool) -> tuple[WriteStatus, float]:
    """The number that is taken, and how."""
    low = 0.0 if tag.low is None else tag.low
    high = float(_HIGHEST_UINT32) if tag.high is None else tag.high
    if not isfinite(value):
        return WriteStatus.OUT_OF_RANGE, value
    taken = min(max(value, low), high)
    rounding = _ROUNDING * (high - low) if tag.data_type is DataType.FLOAT else 0.0
    if abs(taken - value) <= rounding:
        return WriteStatus.GOOD, taken
    return (WriteStatus.CLAMPED if clamp else WriteStatus.OUT_OF_RANGE), taken


def _text_in_range(text: str) -> WriteStatus:
    good = len(text) <= LONGEST_OWNER and (text.isprintable() or not text)
    return WriteStatus.GOOD if good else WriteStatus.OUT_OF_RANGE


def _permitted(unit: ControlUnit, tag: Tag, text: str, connection: str) -> bool:
    """Whether lease and handshake leave room for this write."""
    if tag.name == OWNER:
        return may_own(unit.handshake, text, connection)
    if not may_write(unit.handshake, connection):
        return False
    return unit.handshake.active or tag.name not in unit.setpoints


def _apply(
    unit: ControlUnit, tag: Tag, number: float, text: str, connection: str, time_s: float
) -> None:
    """Do what was judged to be right."""
    state = unit.handshake
    if tag.name in unit.setpoints:
        name = unit.setpoints[tag.name]
        unit.set_remote(name, unit.scales[name].to_model(number), time_s)
    elif tag.name == REQUEST:
        unit.handshake = requested(state, bool(number), time_s)
    elif tag.name == HEARTBEAT:
        unit.handshake = beaten(state, int(number), time_s)
    elif tag.name == SETPOINT_VALIDITY:
        unit.handshake = bounded(state, number, time_s)
    else:
        unit.handshake = owned(state, text, connection, time_s)
