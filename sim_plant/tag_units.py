"""From the units of tags to those of the model and back."""

from dataclasses import dataclass
from typing import Self

import pint

from plant_models.units import UnreadableUnitError, with_unit, without_unit


@dataclass(frozen=True, slots=True)
class Scale:
    """How a tag's numbers become the model's: `model = tag * factor / divisor + offset`.

    One of factor and divisor is one: 1 mL/min is 0.06 L/h, and 1.01325 bar are 1 atm, each without
    a rounding that the other way round would bring.
    """

    factor: float = 1.0
    divisor: float = 1.0
    offset: float = 0.0

    def to_model(self, value: float) -> float:
        """A tag's value in the model's unit."""
        return value * self.factor / self.divisor + self.offset

    def to_tag(self, value: float) -> float:
        """A model's value in the tag's unit."""
        return (value - self.offset) * self.divisor / self.factor

    @property
    def same(self) -> bool:
        """Whether both units are one."""
        return self == Scale()

    @classmethod
    def between(cls, tag: str, model: str) -> Self:
        """The scale from a tag's unit to the model's.

        Raises:
            ValueError: one of them is no unit, or they measure different things.
        """
        try:
            zero, one = (without_unit(with_unit(value, tag), model) for value in (0.0, 1.0))
            back = without_unit(with_unit(1.0, model), tag) - without_unit(
                with_unit(0.0, model), tag
            )
        except UnreadableUnitError as error:
            raise ValueError(str(error)) from None
        except pint.PintError:
            raise ValueError(f"unit {tag!r} does not fit the model's, {model}") from None
        factor, divisor, offset = (_short(value) for value in (one - zero, back, zero))
        if len(repr(factor)) <= len(repr(divisor)):
            return cls(factor=factor, offset=offset)
        return cls(divisor=divisor, offset=offset)


def _short(value: float) -> float:
    """The number without the last digits, which are the conversion's rounding."""
    return float(f"{value:.12g}")
