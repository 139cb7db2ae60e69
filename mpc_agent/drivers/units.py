"""The door at which the plant's units become the model's: built once, at configuration time."""

import math
from dataclasses import dataclass

import pint

from plant_models.units import Quantity, UnreadableUnitError, one, registry


@dataclass(frozen=True, slots=True)
class Conversion:
    """From a tag's unit to the model's: `model = tag * factor + offset`.

    Attributes:
        factor: size of one unit of the tag in the model's unit; never zero.
        offset: model value of a tag that reads zero (only temperatures have one).
    """

    factor: float = 1.0
    offset: float = 0.0

    def to_model(self, value: float) -> float:
        """A tag's value in the model's unit."""
        return value * self.factor + self.offset

    def to_tag(self, value: float) -> float:
        """A model value in the tag's unit."""
        return (value - self.offset) / self.factor


class UnitMismatchError(ValueError):
    """A unit that cannot be read, or that does not fit the quantity it is given for."""


def _parse(unit: str) -> Quantity:
    """One of `unit`; UnitMismatchError when it is no unit."""
    try:
        return one(unit)
    except UnreadableUnitError as error:
        raise UnitMismatchError(str(error)) from error


def conversion(
    tag: str, given: str, wanted: str, molar_mass_g_per_mol: float | None = None
) -> Conversion:
    """How values of a tag become model values.

    Args:
        tag: where the unit was written, for the message.
        given: unit of the tag, as pint reads it; may carry a number (`1e6 cells/mL`).
        wanted: unit of the model.
        molar_mass_g_per_mol: lets a mass stand for an amount of substance, or the other way round,
            as laboratories report glucose in g/L.

    Returns:
        Factor and offset.

    Raises:
        UnitMismatchError: the unit cannot be read, or is of another dimension; the message names
            the tag, the unit given, and the dimension expected.
    """
    try:
        source = _parse(given)
    except UnitMismatchError as error:
        raise UnitMismatchError(f"{tag}: {error}") from error
    target = _parse(wanted)
    for molar in _molar_factors(molar_mass_g_per_mol):
        if _fits(source, target, molar):
            return _between(source, target, molar)
    hint = "" if molar_mass_g_per_mol else _molar_hint(source, target)
    raise UnitMismatchError(
        f"{tag}: unit {given!r} is {_dimension(source)}, but {_dimension(target)} is expected "
        f"(such as {wanted!r}){hint}"
    )


def _fits(source: Quantity, target: Quantity, molar: "Quantity | None") -> bool:
    """Whether a unit, times a molar mass or its inverse, is of another one's dimension."""
    if molar is None:
        return bool(source.is_compatible_with(target))
    try:
        return bool((source * molar).is_compatible_with(target))
    except pint.OffsetUnitCalculusError:
        return False  # no molar mass makes anything of a temperature


def _molar_factors(
    molar_mass_g_per_mol: float | None,
) -> "tuple[Quantity | None, ...]":
    """What the tag's unit may be multiplied with, the plain unit first."""
    if molar_mass_g_per_mol is None:
        return (None,)
    molar_mass = registry().Quantity(molar_mass_g_per_mol, "g/mol")
    return (None, 1 / molar_mass, molar_mass)


def _between(
    source: Quantity,
    target: Quantity,
    molar: "Quantity | None",
) -> Conversion:
    """Factor and offset between two units of one dimension."""
    zero = registry().Quantity(0.0, source.units)
    step, wanted_step = source - zero, target - registry().Quantity(0.0, target.units)
    if molar is not None:
        step = step * molar
    factor = float((step.to(wanted_step.units) / wanted_step.magnitude).magnitude)
    if molar is not None or step.units == source.units == target.units:
        return Conversion(factor)
    offset = float(zero.to(target.units).magnitude / target.magnitude)
    return Conversion(factor, offset)


def _dimension(quantity: Quantity) -> str:
    """A dimension in words."""
    return "a bare number" if quantity.unitless else str(quantity.dimensionality)


def _molar_hint(source: Quantity, target: Quantity) -> str:
    """What to add when only a molar mass is missing."""
    molar_mass = registry().Quantity(1.0, "g/mol")
    if _fits(source, target, 1 / molar_mass) or _fits(source, target, molar_mass):
        return "; give molar_mass_g_per_mol to convert between mass and amount of substance"
    return ""


def same_unit(one_unit: str, other: str) -> bool:
    """Whether two units are the same, however they are written; False when one is none."""
    try:
        found = conversion("", one_unit, other)
    except UnitMismatchError:
        return False
    return math.isclose(found.factor, 1.0, rel_tol=1e-12) and found.offset == 0.0


def differs(given: str, told: str, *, certain: bool) -> bool:
    """Whether a unit that a server tells contradicts the configured one.

    Args:
        given: unit as configured.
        told: unit as the server tells it.
        certain: `told` comes from a code. A mere display name counts only when it can be read and
            is of the same dimension, because "C" is more likely a temperature than a charge.
    """
    try:
        told_as = conversion("server", told, given)
    except UnitMismatchError:
        return certain
    return not (math.isclose(told_as.factor, 1.0, rel_tol=1e-9) and abs(told_as.offset) < _SAME)


_SAME = 1e-9
