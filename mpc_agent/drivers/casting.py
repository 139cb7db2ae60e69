"""Which data types fit what, and numbers made to fit them without leaving the plant's range."""

from collections.abc import Mapping

import numpy as np

from mpc_agent.drivers.nodes import NodeUse, ValueKind

INTEGER_RANGES = {
    "SByte": (-(2**7), 2**7 - 1),
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
}
ABSTRACT = "Variant"
"""Type of a node that may hold values of several types."""

_FITTING: Mapping[ValueKind, frozenset[str]] = {
    ValueKind.NUMBER: frozenset({"Float", "Double", ABSTRACT}) | INTEGER_RANGES.keys(),
    ValueKind.COUNTER: frozenset({"Boolean"}) | INTEGER_RANGES.keys(),
    ValueKind.FLAG: frozenset({"Boolean"}),
    ValueKind.TEXT: frozenset({"String", "LocalizedText"}),
    ValueKind.TIME: frozenset({"DateTime"}),
}


def mismatch(use: NodeUse, data_type: str) -> str:
    """How a node's type differs from what is expected of the node, else empty."""
    if use.writable and data_type == ABSTRACT:
        return f"has no definite type, but {use.kind} is to be written"
    return "" if data_type in _FITTING[use.kind] else f"is {data_type}, but {use.kind} is expected"


def cast_number(value: float, data_type: str, within: tuple[float, float] | None = None) -> float:
    """The value a node of this type will hold.

    Args:
        value: finite, inside `within` or zero.
        data_type: name of the OPC-UA type.
        within: range of the node, which rounding must not leave.

    Returns:
        The nearest value of the type inside the range; zero stays zero.

    Raises:
        ValueError: the type is no number, or cannot hold the value.
    """
    if data_type == "Double":
        return float(value)
    if value == 0:
        within = None
    if data_type == "Float":
        return _as_float32(value, within)
    if data_type in INTEGER_RANGES:
        smallest, largest = INTEGER_RANGES[data_type]
        rounded = round(value)
        if within is not None and rounded > within[1]:
            rounded -= 1
        elif within is not None and rounded < within[0]:
            rounded += 1
        if not smallest <= rounded <= largest:
            raise ValueError(f"{value:g} does not fit {data_type}")
        return rounded
    raise ValueError(f"{data_type} is no number")


def _as_float32(value: float, within: tuple[float, float] | None) -> float:
    """Nearest single-precision number that does not overstep the range."""
    if abs(value) > float(np.finfo(np.float32).max):
        raise ValueError(f"{value:g} does not fit Float")
    single = np.float32(value)
    if within is not None and float(single) > within[1]:
        single = np.nextafter(single, np.float32(-np.inf))
    elif within is not None and float(single) < within[0]:
        single = np.nextafter(single, np.float32(np.inf))
    return float(single)
