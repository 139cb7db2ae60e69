"""Settings of what is seen of the process: probes, laboratory and the log of the truth."""

from typing import Annotated

from pydantic import Field

from sim_plant.section import NotNegative, Positive, Section, Ticks


class ProbeSettings(Section):
    """Noise of one probe: standard deviations, absolute (probe's unit) and of the value."""

    absolute: NotNegative = 0.0
    relative: NotNegative = 0.0


class SensorSettings(Section):
    """The probes."""

    dissolved_oxygen_lag_s: NotNegative = 30.0
    """First-order lag of the oxygen probe."""

    dissolved_oxygen: ProbeSettings = ProbeSettings(absolute=0.5)
    pH: ProbeSettings = ProbeSettings(absolute=0.01)
    pCO2: ProbeSettings = ProbeSettings(relative=0.02)
    weight: ProbeSettings = ProbeSettings(absolute=0.5)
    capacitance: ProbeSettings = ProbeSettings(relative=0.02)
    off_gas_oxygen: ProbeSettings = ProbeSettings(absolute=0.02)
    off_gas_carbon_dioxide: ProbeSettings = ProbeSettings(absolute=0.02)
    temperature: ProbeSettings = ProbeSettings(absolute=0.02)
    pressure: ProbeSettings = ProbeSettings(absolute=0.002)
    power_per_volume: ProbeSettings = ProbeSettings(absolute=0.1)

    def of(self, probe: str) -> ProbeSettings:
        """The noise of a probe, by the name of the model's output or input."""
        noise: ProbeSettings = getattr(self, probe)
        return noise


class AssaySettings(Section):
    """One assay: noise, and how long its result takes."""

    absolute: NotNegative = 0.0
    relative: NotNegative = 0.0
    delay_h: Positive = 1.0


class LabSettings(Section):
    """The laboratory."""

    first_h: Positive = 1 / 6
    """When the first sample is drawn, hours since inoculation."""

    every_h: Positive = 24.0
    """Further samples are drawn at multiples of this."""

    delay_spread: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Delays vary uniformly by this fraction."""

    viable_cells: AssaySettings = AssaySettings(absolute=0.02, relative=0.05, delay_h=2.0)
    viability: AssaySettings = AssaySettings(absolute=1.0, delay_h=2.0)
    glucose: AssaySettings = AssaySettings(absolute=0.1, relative=0.03)
    lactate: AssaySettings = AssaySettings(absolute=0.1, relative=0.03)
    glutamine: AssaySettings = AssaySettings(absolute=0.02, relative=0.04)
    ammonia: AssaySettings = AssaySettings(absolute=0.05, relative=0.04)
    titre: AssaySettings = AssaySettings(absolute=0.005, relative=0.03, delay_h=8.0)
    osmolality: AssaySettings = AssaySettings(absolute=3.0)

    def of(self, assay: str) -> AssaySettings:
        """An assay by the name of the model's output."""
        settings: AssaySettings = getattr(self, assay)
        return settings


class TruthSettings(Section):
    """The log of what really happens, which no controller sees."""

    every_s: Ticks = 300.0
    """One row each."""
