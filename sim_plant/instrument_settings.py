"""Settings of the laboratory's days and of the log of the truth."""

from typing import Annotated

from pydantic import Field

from sim_plant.section import NotNegative, Positive, Section, Ticks


class LabSettings(Section):
    """When the laboratory draws samples, and how its delays vary."""

    first_h: Positive = 1 / 6
    """When the first sample is drawn, hours since inoculation."""

    every_h: Positive = 24.0
    """Further samples are drawn at multiples of this."""

    delay_spread: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Delays vary uniformly by this fraction."""

    sample_volume_L: NotNegative = 0.0
    """Broth that leaves the vessel with each sample. No booking: results tell when they were
    drawn."""


class TruthSettings(Section):
    """The log of what really happens, which no controller sees."""

    every_s: Ticks = 300.0
    """One row each."""
