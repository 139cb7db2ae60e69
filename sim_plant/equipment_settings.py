"""Settings of the equipment: actuators, probes, assays and the control unit's loops.

They belong to inputs and outputs of the plant's model by name. What an entry leaves out comes from
the model's tables (`sim_plant.completing`); ranges and setpoints of actuators are in the unit of
the model's input, everything that a probe or an assay shows in the unit of its tag.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sim_plant.section import NotNegative, Positive, Section

Kind = Literal["feed", "base", "gas", "other"]
"""feed: a pump that the high-weight interlock stops. base: any other pump, for base, acid or
antifoam. gas: a mass-flow controller. other: what is no flow, such as a stirrer or a heater."""

TagFolder = Annotated[str, Field(pattern=r"^\w+$", max_length=64)]
TagName = Annotated[str, Field(pattern=r"^\w+\.\w+$", max_length=128)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError(f"the lower end, {pair[0]:g}, must be below the upper end, {pair[1]:g}")
    return pair


Interval = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_ordered)]
"""`[lower, upper]`."""


class ActuatorSettings(Section):
    """One pump, mass-flow controller or other actuator, in the unit of the model's input."""

    kind: Kind
    """What it is; default: feed for the model's liquid flows, else other."""

    lower: float
    """Lower end of its range; default: the model's."""

    upper: float
    """Upper end of its range; default: the model's."""

    safe: float
    """What it does when neither a controller nor the recipe nor a loop says; default: nothing for
    pumps, else the model's nominal value."""

    lag_s: Positive
    """Time constant with which it follows; default: 30 for pumps, else 10."""

    remote: bool
    """Whether a controller may write it: it then has to, for what it does not write stays where it
    was when the controller began. Default: feeds and gases, unless a loop always drives them."""

    tag: TagFolder
    """First part of its tags; default: the input's name, as in GlucoseFeed.Setpoint."""

    unit: str
    """Unit of its tags; default: the model's."""

    @property
    def pumps(self) -> bool:
        """Whether it is a pump: what it delivers may differ from what it shows."""
        return self.kind in ("feed", "base")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.lower < self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        if not self.lower <= self.safe <= self.upper:
            raise ValueError(
                f"safe, {self.safe:g}, must be within {self.lower:g} to {self.upper:g}"
            )
        return self


class InstrumentSettings(Section):
    """What probes and assays share: tag, unit, range, and noise as standard deviation."""

    tag: TagName
    """Its tag; default: the output's name, as in DissolvedOxygen.Value and Lab.Glucose."""

    unit: str
    """Unit of its tag; default: the model's."""

    range: Interval | None
    """What it can show, or null; default: the bounds of the model's input or state of this name."""

    absolute: NotNegative = 0.0
    """Noise, in the tag's unit."""

    relative: NotNegative = 0.0
    """Noise, as a fraction of the value."""


class ProbeSettings(InstrumentSettings):
    """One probe: it shows an output or an input of the model all the time."""

    lag_s: NotNegative = 0.0
    """Time constant with which it follows."""


class AssaySettings(InstrumentSettings):
    """One assay of the laboratory: an output of the model, some hours later."""

    delay_h: Positive = 1.0
    """How long its result takes. Results outside the range are reported as its end."""


def _rows(value: object) -> object:
    """One value holds from the start, so it is a schedule of one row."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [[0.0, value]]
    return value


def _rising(rows: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if not rows or rows[0][0] != 0:
        raise ValueError("must begin at hour 0, such as [[0, 40], [72, 30]]")
    if any(later[0] <= earlier[0] for earlier, later in pairwise(rows)):
        raise ValueError("must have hours that rise from row to row")
    return rows


Schedule = Annotated[
    tuple[Annotated[tuple[float, float], Field(strict=False)], ...],
    Field(strict=False),
    BeforeValidator(_rows),
    AfterValidator(_rising),
]
"""One value, or rows `[hour since inoculation, value]`, each holding until the next."""


class LoopSettings(Section):
    """One proportional-integral loop of the control unit."""

    measured: str
    """Probe that it looks at, by the name of the model's output or input."""

    setpoint: Schedule
    """In the unit of the probe's tag; one value, or rows `[hour, value]`."""

    gain: float
    """Output (model's unit) per unit of error (probe's), error being setpoint minus measurement."""

    integral_time_h: Positive

    output: str
    """Actuator that it drives, by the name of the model's input."""

    opposite: str | None = None
    """Split range: actuator that takes the output where it is below zero."""

    when: Literal["always", "local"] = "always"
    """`always`: the actuators belong to the loop. `local`: while no controller sets them."""

    @property
    def drives(self) -> tuple[str, ...]:
        """Actuators that belong to it."""
        return (self.output,) if self.opposite is None else (self.output, self.opposite)

    @model_validator(mode="after")
    def _acts(self) -> Self:
        if not self.gain:
            raise ValueError("gain must not be zero")
        if self.output == self.opposite:
            raise ValueError(f"output and opposite are both {self.output}")
        return self
