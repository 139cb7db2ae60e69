"""Settings of the process: batch, vessel, culture, the vendor's control unit, and its yardstick."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sim_plant.section import COMPLETED, Names, NotNegative, Positive, Section, Ticks


def _from_text(value: object) -> object:
    """ISO 8601 text as a time; anything else is left to be judged."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time such as 2026-01-05T08:00:00Z") from None


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("must say its offset from UTC, such as 2026-01-05T08:00:00Z")
    return instant.astimezone(UTC)


UtcTime = Annotated[datetime, BeforeValidator(_from_text), AfterValidator(_in_utc)]


class BatchSettings(Section):
    """The batch."""

    id: Annotated[str, Field(min_length=1, max_length=64)] = "SIM-0001"
    """Name of the batch, as the plant's tag says it."""

    inoculated_at: UtcTime = datetime(2026, 1, 5, 8, tzinfo=UTC)
    """When the culture is inoculated: simulated time begins here."""

    duration_h: Positive = COMPLETED
    """Length of the batch; a run by the recipe alone ends here. Default: that of the model's
    reference batch."""


class VesselSettings(Section):
    """The vessel."""

    initial_volume_L: Positive = COMPLETED
    """Broth volume at inoculation; default: the model's."""

    working_volume_L: Positive
    """Volume at which the high-weight interlock stops all feeds."""

    evaporation_L_per_h: NotNegative = 0.0
    """Water that leaves with the off-gas; what is dissolved stays."""


class DoseSettings(Section):
    """A bolus given by hand, or broth taken out by hand; no interlock refuses it."""

    what: str
    """A liquid flow of the model, such as glucose_feed; water; antifoam, which dilutes as water
    does; or withdrawn, which is broth taken out."""

    volume_L: Positive
    """How much, as measured by hand: no pump's gain acts on it."""

    at_h: NotNegative
    """When, hours since inoculation; it acts from the control unit's next tick on."""

    booked_after_h: NotNegative | None = 0.0
    """How long after that it appears in the batch record, as the tag Booked.WHAT; null: never."""


class CultureSettings(Section):
    """How this batch differs from the model's nominal values.

    Deviations are standard deviations of the logarithm; the model itself declares those of its
    kinetic parameters.
    """

    spread: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Factor on all deviations, up to 10; 0 gives the nominal plant."""

    inoculum: NotNegative = 0.20
    """Deviation of the cell density at inoculation."""

    inoculum_states: Names = COMPLETED
    """States that make up the cell density; default: biomass, viable and dead cells."""

    pump_gain: NotNegative = 0.03
    """Deviation of what the pumps deliver from what they show."""

    deviations: dict[str, NotNegative] = Field(default_factory=dict)
    """Further deviations, by the name of the model's parameter."""

    parameters: dict[str, float] = Field(default_factory=dict)
    """Parameters of the model given instead of drawn, by name."""

    initial: dict[str, float] = Field(default_factory=dict)
    """States at inoculation given instead of drawn, by name; the volume is the vessel's."""


class DriftSettings(Section):
    """An input that wanders about its mean by itself, in the unit of the model's input."""

    deviation: NotNegative
    """Standard deviation in the long run; `culture.spread` is a factor on it."""

    time_h: Positive
    """How long it remembers: the time constant with which it returns to its mean."""


class ControlUnitSettings(Section):
    """The vendor's control unit: recipe, watchdog and fallback."""

    recipe_file: Annotated[Path, Field(strict=False)] | None = None
    """Approved profile (CSV), relative to the folder of this file; without one the control unit's
    own setpoints stop the feeds (SAFE)."""

    watchdog_s: Ticks = 1800.0
    """Remote control is given up when the heartbeat has not changed for this long."""

    lease_s: Ticks = 1800.0
    """The owner keeps its lease for this long after its last sign of life."""

    setpoint_validity_s: Annotated[float, Field(ge=60, le=86400)] = 1800.0
    """How long setpoints are followed after the last heartbeat, until a client writes another."""

    out_of_range: Literal["refuse", "clamp"] = "refuse"
    """What happens to a setpoint outside the actuator's range."""


class YardstickSettings(Section):
    """How the optimum of this plant, known perfectly, is computed."""

    model: str | None = None
    """Model of the library that the optimiser sees: a smooth version of the plant's, with the true
    parameters and initial state of the same names. Null: the plant's own."""

    decided: Names = COMPLETED
    """Actuators that the optimiser chooses; default: those that a controller may write, and those
    that the control unit's loops drive. The others do what they did in the recipe's batch. Empty:
    no optimum is computed."""

    held_states: Names = ()
    """States that the control unit keeps where they are at inoculation, such as a temperature
    whose heating and cooling are not decided."""

    piece_h: Positive | None = None
    """Length of the pieces of its grid; null: a 56th of the batch."""

    check_steps: Annotated[int, Field(ge=1)] | None = None
    """Integrator's steps between two points of the grid when the optimum is simulated; null: as
    many as the model needs."""

    defect_max: Positive = 0.5
    """Largest difference between grid and simulation, in units of each state's scale. Fast
    transients, of dissolved oxygen for instance, fall between the points of the grid; they do not
    matter for the product, which is that of the simulation."""
