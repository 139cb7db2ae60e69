"""What every section of the settings shares: strictness and the types of its values."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

TICK_S: Final = 10.0
"""Period of the control unit, seconds of simulated time."""

COMPLETED: Any = None
"""Default of what the plant's settings fill in before they are read (`sim_plant.completing`)."""

Names = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of names in the file, a tuple in memory."""

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def _whole_ticks(seconds: float) -> float:
    if seconds % TICK_S:
        raise ValueError(f"must be a multiple of {TICK_S:g} s")
    return seconds


Ticks = Annotated[float, Field(gt=0), AfterValidator(_whole_ticks)]
"""A time in seconds that the control unit's period divides."""


class Section(BaseModel):
    """A part of the settings: frozen, no unknown keys, no guessed types, no NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
