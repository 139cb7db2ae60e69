"""Values of OPC-UA in the agent's own terms, and back."""

from datetime import UTC, datetime

from asyncua import ua

from mpc_agent.drivers.casting import INTEGER_RANGES, cast_number
from mpc_agent.drivers.link import RawValue, Scalar
from mpc_agent.drivers.nodes import ValueKind
from mpc_agent.values import Quality

_LIMIT_BITS = 0x300
"""The value stands at a limit of its source."""

_NOT_QUITE_GOOD = frozenset({0x00300000, 0x00960000})
"""GoodClamped and GoodLocalOverride: a value, but not the one that was measured."""


def raw_value(answer: ua.DataValue, kind: ValueKind) -> RawValue:
    """One answer of a read, judged by its status; a value of the wrong kind is BAD."""
    source_s, server_s = _utc_s(answer.SourceTimestamp), _utc_s(answer.ServerTimestamp)
    code = ua.StatusCode() if answer.StatusCode is None else answer.StatusCode
    quality = _quality(code)
    if quality is Quality.BAD:
        return RawValue(None, quality, source_s, server_s, code.name)
    content = answer.Value
    value = None if content is None or content.is_array else _scalar(content.Value, kind)
    if value is None:
        reason = f"the value is not {kind}"
        return RawValue(None, Quality.BAD, source_s, server_s, reason)
    return RawValue(value, quality, source_s, server_s, code.name if code.value else "")


def _quality(code: ua.StatusCode) -> Quality:
    """Severity of a status, with the good codes that are not quite good as uncertain."""
    if code.is_good():
        not_quite = code.value & _LIMIT_BITS or code.value & 0xFFFF0000 in _NOT_QUITE_GOOD
        return Quality.UNCERTAIN if not_quite else Quality.GOOD
    return Quality.UNCERTAIN if code.is_uncertain() else Quality.BAD


def _scalar(value: object, kind: ValueKind) -> Scalar:
    """A value of the expected kind, else None."""
    if kind is ValueKind.TIME:
        return _utc_s(value)
    if kind is ValueKind.TEXT:
        text = getattr(value, "Text", value)
        return text if isinstance(text, str) else None
    if kind is ValueKind.FLAG:
        return value if isinstance(value, bool) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _utc_s(stamp: object) -> float | None:
    """A time in UTC seconds; None for none, and for the zero of OPC-UA, which means none."""
    if not isinstance(stamp, datetime):
        return None
    seconds = (stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)).timestamp()
    return seconds if seconds > 0 else None


def variant(value: Scalar, data_type: str, within: tuple[float, float] | None) -> ua.Variant:
    """A value in the exact type of its node; ValueError when the node cannot hold it."""
    type_ = ua.VariantType[data_type]
    if isinstance(value, bool | str):
        return ua.Variant(ua.LocalizedText(value) if data_type == "LocalizedText" else value, type_)
    if value is None:
        raise ValueError("there is no value")
    return ua.Variant(cast_number(value, data_type, within), type_)


def counter(count: int, data_type: str) -> int:
    """A count that starts again at zero when the type is full; a Boolean changes every time."""
    if data_type == "Boolean":
        return count % 2 == 1
    return count % (INTEGER_RANGES[data_type][1] + 1)
