"""What a plot is, and how quantities are named in it."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mpc_agent.record import Quantity
from mpc_agent.report.traces import Trace

UNITS = {"1": "", "mmol/kg": "mOsm/kg"}
"""Units that people write in another way altogether."""


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        title: what it shows.
        unit: of its vertical axis, as people write it.
        traces: its lines and points, from back to front.
        wide: takes the whole width of the page.
        kind: "lines", "flow" (its axis begins at zero), "logarithmic" or "timeline".
        rows: of a timeline, from top to bottom.
        name: how configurations call the quantity, where that is shown.
    """

    title: str
    unit: str
    traces: tuple[Trace, ...]
    wide: bool = False
    kind: str = "lines"
    rows: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Group:
    """Plots that belong together, under one heading."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""


class MassUnit(NamedTuple):
    """A unit for amounts of product."""

    name: str
    grams: float


def mass_unit(largest_g: float) -> MassUnit:
    """Grams for less than a kilogram, kilograms otherwise."""
    return MassUnit("g", 1.0) if abs(largest_g) < 1000.0 else MassUnit("kg", 1000.0)  # noqa: PLR2004


def pretty_unit(unit: str) -> str:
    """A unit as people write it."""
    return UNITS[unit] if unit in UNITS else _written(unit)


def _written(unit: str) -> str:
    """A unit with raised exponents and the signs that people use."""
    text = re.sub(r"\((1e\d+ cells)\)", r"\1", unit)
    text = re.sub(r"\b1e(\d+)", lambda found: "10" + found[1].translate(_RAISED), text)
    text = re.sub(r"(?:\^|\*\*)(-?\d+)", lambda found: found[1].translate(_RAISED), text)
    for program, person in _SIGNS:
        text = text.replace(program, person)
    return text


_SIGNS = (
    ("delta_degC", "°C"),
    ("degC", "°C"),
    ("percent", "%"),
    ("umol", "µmol"),
    ("*", "·"),
)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def pretty_title(quantity: Quantity) -> str:
    """What a quantity is, without remarks, beginning with a capital."""
    text = quantity.meaning.split(",")[0]
    return text if text.startswith("pH") else text[:1].upper() + text[1:]
