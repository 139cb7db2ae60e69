"""What every section of a configuration shares: strictness and the types of its values."""

from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

Item = TypeVar("Item")

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Items = Annotated[tuple[Item, ...], Field(strict=False)]
"""A list in the file, a tuple in memory."""


class Section(BaseModel):
    """A part of a configuration: frozen, no unknown keys, no guessed types, no NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


def _utc(value: object) -> datetime:
    """An instant from ISO 8601 text; text without its offset is refused, not guessed."""
    if not isinstance(value, str):
        raise ValueError("must be a time such as 2026-01-05T08:00:00Z")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time such as 2026-01-05T08:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"must say its offset from UTC, such as {value}Z")
    return instant.astimezone(UTC)


UtcTime = Annotated[datetime, BeforeValidator(_utc)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError(f"the lower end, {pair[0]:g}, must be below the upper end, {pair[1]:g}")
    return pair


Interval = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_ordered)]
"""`[lower, upper]`."""


def _several(value: object) -> str:
    return "interval" if isinstance(value, list | tuple) else "number"


NumberOrInterval = Annotated[
    Annotated[float, Tag("number")] | Annotated[Interval, Tag("interval")], Discriminator(_several)
]
"""A number, or `[lower, upper]`; what is wrong is told of the one that was meant."""

Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\-\[\]]+$", max_length=253)]
Port = Annotated[int, Field(ge=0, le=65535)]
"""0 takes any free port."""
