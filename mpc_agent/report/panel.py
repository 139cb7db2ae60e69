"""What a plot is, and how quantities are named in it."""

from dataclasses import dataclass
from typing import NamedTuple

from mpc_agent.record import Quantity
from mpc_agent.report.traces import Trace

UNITS = {
    "1": "",
    "percent": "%",
    "degC": "°C",
    "1e9 cells/L": "10⁹ cells/L",
    "1e9 cells/mmol": "10⁹ cells/mmol",
    "mmol/(1e9 cells)/h": "mmol/10⁹ cells/h",
    "g/(1e9 cells)/h": "g/10⁹ cells/h",
    "mmol/kg": "mOsm/kg",
}
"""Units as people write them, where that differs from how programs do."""


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
    """

    title: str
    unit: str
    traces: tuple[Trace, ...]
    wide: bool = False
    kind: str = "lines"
    rows: tuple[str, ...] = ()


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
    return UNITS.get(unit, unit)


def pretty_title(quantity: Quantity) -> str:
    """What a quantity is, without remarks, beginning with a capital."""
    text = quantity.meaning.split(",")[0]
    return text if text[:2].lower() == "ph" else text[:1].upper() + text[1:]
