"""Engineering units as servers tell them, compared with the configured ones."""

from collections.abc import Mapping

from asyncua import ua

from mpc_agent.drivers.units import differs

_UNECE_NAMESPACE = "http://www.opcfoundation.org/UA/units/un/cefact"

_UNECE: Mapping[str, str] = {
    "C62": "1",
    "P1": "percent",
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "LTR": "L",
    "MLT": "mL",
    "CEL": "degC",
    "FAH": "degF",
    "KEL": "kelvin",
    "PAL": "Pa",
    "KPA": "kPa",
    "MBR": "mbar",
    "BAR": "bar",
    "ATM": "atm",
    "HN": "mmHg",
    "H47": "W/m^3",
    "41": "mL/min",
    "L2": "L/min",
    "E32": "L/h",
    "MQH": "m^3/h",
    "M33": "mmol/L",
    "D87": "mmol/kg",
    "GL": "g/L",
    "M1": "mg/L",
    "SEC": "s",
    "MIN": "min",
    "HUR": "h",
}
"""Common codes of UNECE recommendation 20 in the words of the units library."""


def unit_mismatch(configured: str, answer: ua.DataValue) -> str:
    """How an EngineeringUnits property contradicts the configured unit, else empty.

    A server that tells no unit, or one that cannot be understood, contradicts nothing.
    """
    told = answer.Value.Value if answer.Value is not None else None
    unit_id = getattr(told, "UnitId", None)
    if getattr(told, "NamespaceUri", None) == _UNECE_NAMESPACE and isinstance(unit_id, int):
        unit = _UNECE.get(_code(unit_id))
        if unit is not None:
            return _words(configured, unit) if differs(configured, unit, certain=True) else ""
    name = getattr(getattr(told, "DisplayName", None), "Text", None)
    if isinstance(name, str) and differs(configured, name, certain=False):
        return _words(configured, name)
    return ""


def _code(unit_id: int) -> str:
    """A UNECE code out of its number (OPC 10000-8, 5.6.4.3)."""
    size = max((unit_id.bit_length() + 7) // 8, 1) if unit_id >= 0 else 0
    return unit_id.to_bytes(size, "big").decode("ascii", "replace") if size else ""


def _words(configured: str, told: str) -> str:
    return f"is in {told} by the server, but in {configured} by the configuration"
