"""Units: one registry for the whole product, and an engine that computes with them.

`UNITS` speaks the dialect on quantities. Running a model's equations with it finds every sum of
unlike things (an error of the units library) and every hidden factor: a rate in mg/L/h added to one
in g/L/h has the right dimension, but then the result differs from that of the bare numbers.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy
import pint

from plant_models.dialect import Maths, Scalar

Quantity: TypeAlias = "pint.Quantity[float]"


class UnreadableUnitError(ValueError):
    """Text that is no unit."""


@cache
def registry() -> "pint.UnitRegistry[float]":
    """The units library with what bioprocess adds to it."""
    units: pint.UnitRegistry[float] = pint.UnitRegistry(autoconvert_offset_to_baseunit=False)
    units.define("cell = [cell_count] = cells")
    units.define("osmole = mole = Osm = osmol")
    # Otherwise read as a picohenry.
    units.define("pH = []")
    return units


@cache
def one(unit: str) -> Quantity:
    """One of `unit`, such as `1e9 cells/L`; UnreadableUnitError when it is no unit."""
    units = registry()
    try:
        quantity: Quantity = units.Quantity(units.parse_expression(unit))
        usable = bool(unit.strip()) and quantity.magnitude != 0
    except Exception as error:
        # The parser raises whatever its tokenizer and operators raise.
        raise UnreadableUnitError(f"unit {unit!r} cannot be read ({error})") from error
    if not usable:
        raise UnreadableUnitError(f"unit {unit!r} cannot be read (use '1' for a bare number)")
    return quantity


def with_unit(value: float, unit: str) -> Quantity:
    """A number with its unit."""
    return registry().Quantity(value * one(unit).magnitude, one(unit).units)


def without_unit(value: Any, unit: str) -> float:
    """What a quantity reads in `unit`.

    Raises:
        pint.DimensionalityError: it is of another dimension.
    """
    size = one(unit)
    quantity = value if isinstance(value, registry().Quantity) else registry().Quantity(value)
    return float(quantity.to(size.units).magnitude / size.magnitude)


def _dimensionless(value: Any) -> float:
    return without_unit(value, "1")


def _function(name: str) -> Any:
    function = getattr(numpy, name)
    return lambda value: registry().Quantity(float(function(_dimensionless(value))))


def _extremum(name: str) -> Any:
    function = getattr(numpy, name)

    def choose(first: Any, second: Any) -> Any:
        """Zero and infinity are the same in every unit that has no offset."""
        for value, other in ((first, second), (second, first)):
            if isinstance(value, int | float) and not isinstance(other, int | float):
                same = value == 0 or abs(value) == float("inf")
                bare = value if same else registry().Quantity(value).to(other.units).magnitude
                return registry().Quantity(float(function(bare, other.magnitude)), other.units)
        if isinstance(first, int | float):
            return float(function(first, second))
        size = float(function(first.magnitude, second.to(first.units).magnitude))
        return registry().Quantity(size, first.units)

    return choose


def _choose(condition: Any, yes: Any, no: Any) -> Any:
    """Both branches must fit each other, whichever is taken."""
    difference = yes - no  # raises where they do not
    return no + difference if condition else no


def _stack(values: Sequence[Scalar]) -> list[Scalar]:
    return list(values)


def _square_root(value: Any) -> Any:
    return value**0.5


UNITS = Maths(
    name="units",
    stack=_stack,
    unstack=tuple,
    exp=_function("exp"),
    log=_function("log"),
    sqrt=_square_root,
    tanh=_function("tanh"),
    maximum=_extremum("maximum"),
    minimum=_extremum("minimum"),
    where=_choose,
    quantity=with_unit,
    number=lambda value, unit: registry().Quantity(without_unit(value, unit)),
)


def quantities(values: Iterable[float], units: Iterable[str]) -> list[Quantity]:
    """Numbers with their units, in order."""
    return [with_unit(float(value), unit) for value, unit in zip(values, units, strict=True)]
