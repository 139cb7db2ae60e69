"""Settings of the process: batch, vessel, culture, actuators and the vendor's control unit."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from plant_models.cho_mab import FULL
from sim_plant.section import NotNegative, Positive, Section, Ticks


class BatchSettings(Section):
    """The batch."""

    id: Annotated[str, Field(min_length=1, max_length=64)] = "SIM-0001"
    """Name of the batch, as the plant's tag says it."""

    inoculated_at: datetime = datetime(2026, 1, 5, 8, tzinfo=UTC)
    """When the culture is inoculated: simulated time begins here."""

    duration_h: Positive = 336.0
    """Length of the batch; a run by the recipe alone ends here."""

    @field_validator("inoculated_at")
    @classmethod
    def _with_offset(cls, instant: datetime) -> datetime:
        if instant.tzinfo is None:
            raise ValueError("must say its offset from UTC, such as 2026-01-05T08:00:00Z")
        return instant.astimezone(UTC)


class VesselSettings(Section):
    """Vessel and conditions that stay as they are."""

    initial_volume_L: Positive = 1400.0
    """Broth volume at inoculation."""

    working_volume_L: Positive = 2002.0
    """Volume at which the high-weight interlock stops both feeds."""

    diameter_m: Positive = 1.2
    """Inner diameter."""

    temperature_degC: Annotated[float, Field(ge=20, le=45)] = 36.5
    """Broth temperature."""

    pressure_atm: Annotated[float, Field(ge=0.5, le=4)] = 1.1
    """Pressure at the sparger, absolute."""

    power_W_per_m3: Positive = 30.0
    """Stirrer power per broth volume."""


class CultureSettings(Section):
    """How this batch differs from the model's nominal values.

    Deviations are standard deviations of the logarithm; the model itself declares those of its
    kinetic parameters.
    """

    spread: NotNegative = 1.0
    """Factor on all deviations; 0 gives the nominal plant."""

    inoculum: NotNegative = 0.20
    """Deviation of the cell density at inoculation."""

    feed_concentration: NotNegative = 0.03
    """Deviation of the concentrations in the feeds."""

    pump_gain: NotNegative = 0.03
    """Deviation of what the pumps deliver from what they show."""

    oxygen_transfer: NotNegative = 0.25
    """Deviation of the constant of the kLa correlation."""

    parameters: dict[str, float] = Field(default_factory=dict)
    """Parameters of the model given instead of drawn, by name."""

    initial: dict[str, NotNegative] = Field(default_factory=dict)
    """States at inoculation given instead of drawn, by name; the volume is the vessel's."""

    @field_validator("parameters")
    @classmethod
    def _known_parameters(cls, given: dict[str, float]) -> dict[str, float]:
        for name, value in given.items():
            known = FULL.parameters.get(name)
            if known is None:
                raise ValueError(f"{name!r} is no parameter; known: {', '.join(FULL.parameters)}")
            if not known.lower <= value <= known.upper:
                raise ValueError(f"{name} must be within {known.lower:g} to {known.upper:g}")
        return given

    @field_validator("initial")
    @classmethod
    def _known_states(cls, given: dict[str, float]) -> dict[str, float]:
        known = [name for name in FULL.states if name != FULL.volume]
        for name in given:
            if name not in known:
                raise ValueError(f"{name!r} cannot be set here; known: {', '.join(known)}")
        return given


class ActuatorSettings(Section):
    """One pump or mass-flow controller: its range and how fast it follows."""

    lower_L_per_h: NotNegative = 0.0
    upper_L_per_h: Positive
    lag_s: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.lower_L_per_h < self.upper_L_per_h:
            raise ValueError("lower_L_per_h must be below upper_L_per_h")
        return self


def _pump(upper_L_per_h: float) -> ActuatorSettings:
    return ActuatorSettings(upper_L_per_h=upper_L_per_h, lag_s=30.0)


def _gas(lower_L_per_h: float, upper_L_per_h: float) -> ActuatorSettings:
    return ActuatorSettings(lower_L_per_h=lower_L_per_h, upper_L_per_h=upper_L_per_h, lag_s=10.0)


class ActuatorsSettings(Section):
    """All pumps and mass-flow controllers."""

    glucose_feed: ActuatorSettings = _pump(5.6)
    amino_feed: ActuatorSettings = _pump(5.6)
    base: ActuatorSettings = _pump(2.8)
    air: ActuatorSettings = _gas(84.0, 336.0)
    oxygen: ActuatorSettings = _gas(0.84, 840.0)
    carbon_dioxide: ActuatorSettings = _gas(0.0, 420.0)
    nitrogen: ActuatorSettings = _gas(0.0, 336.0)

    def of(self, flow: str) -> ActuatorSettings:
        """The actuator of a flow, by the name of the model's input."""
        actuator: ActuatorSettings = getattr(self, flow)
        return actuator


class LoopSettings(Section):
    """One proportional-integral loop of the control unit."""

    setpoint: float
    gain: float
    """Output (L/h) per unit of error, error being setpoint minus measurement."""

    integral_time_h: Positive

    @field_validator("gain")
    @classmethod
    def _acts(cls, gain: float) -> float:
        if not gain:
            raise ValueError("must not be zero")
        return gain


class ControlUnitSettings(Section):
    """The vendor's control unit: regulatory loops, watchdog and fallback."""

    recipe_file: Annotated[Path, Field(strict=False)] | None = None
    """Approved feed profile (CSV), relative to the folder of this file; without one the control
    unit's own setpoints stop the feeds (SAFE)."""

    watchdog_s: Ticks = 1800.0
    """Remote control is given up when the heartbeat has not changed for this long."""

    lease_s: Ticks = 1800.0
    """The owner keeps its lease for this long after its last sign of life."""

    setpoint_validity_s: Annotated[float, Field(ge=60, le=86400)] = 1800.0
    """How long setpoints are followed after the last heartbeat, until a client writes another."""

    out_of_range: Literal["refuse", "clamp"] = "refuse"
    """What happens to a setpoint outside the actuator's range."""

    air_L_per_h: NotNegative = 336.0
    """Air flow when the control unit sets the gases itself."""

    dissolved_oxygen: LoopSettings = LoopSettings(setpoint=40.0, gain=4.2, integral_time_h=0.2)
    """Oxygen above zero output, nitrogen below (split range)."""

    pH_high: LoopSettings = LoopSettings(setpoint=7.10, gain=-840.0, integral_time_h=0.5)
    """Carbon dioxide against high pH, when the control unit sets the gases itself."""

    pH_low: LoopSettings = LoopSettings(setpoint=6.90, gain=14.0, integral_time_h=1.0)
    """Base against low pH, always."""
