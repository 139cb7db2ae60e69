"""The control unit's loops: oxygen and nitrogen for DO, carbon dioxide and base for pH."""

from collections.abc import Mapping
from math import nan
from typing import Final

from controllers.pid import PI
from sim_plant.names import Flow
from sim_plant.process_settings import ActuatorsSettings, LoopSettings
from sim_plant.section import TICK_S
from sim_plant.settings import PlantSettings

_TICK_H: Final = TICK_S / 3600


class Loops:
    """Proportional-integral loops, each a step per tick."""

    def __init__(self, settings: PlantSettings) -> None:
        unit, actuators = settings.control_unit, settings.actuators
        self._dissolved_oxygen = unit.dissolved_oxygen
        self._pH_high = unit.pH_high
        self._pH_low = unit.pH_low
        self._oxygen = PI(
            gain=unit.dissolved_oxygen.gain,
            integral_time_h=unit.dissolved_oxygen.integral_time_h,
            lower=-actuators.nitrogen.upper_L_per_h,
            upper=actuators.oxygen.upper_L_per_h,
        )
        self._carbon_dioxide = _loop(unit.pH_high, actuators, Flow.CARBON_DIOXIDE)
        self._base = _loop(unit.pH_low, actuators, Flow.BASE)
        self._oxygen_state = self._oxygen.start(0.0, nan)
        self._carbon_dioxide_state = self._carbon_dioxide.start(0.0, nan)
        self._base_state = self._base.start(0.0, nan)

    def take_over(self, working: Mapping[Flow, float], dissolved_oxygen: float, pH: float) -> None:
        """Go on with the gases from the setpoints of now (L/h), without a bump."""
        self._oxygen_state = self._oxygen.start(
            working[Flow.OXYGEN] - working[Flow.NITROGEN],
            self._dissolved_oxygen.setpoint - dissolved_oxygen,
        )
        self._carbon_dioxide_state = self._carbon_dioxide.start(
            working[Flow.CARBON_DIOXIDE], self._pH_high.setpoint - pH
        )

    def gases(self, dissolved_oxygen: float, pH: float) -> tuple[float, float, float]:
        """Oxygen, carbon dioxide and nitrogen for the next tick, L/h; NaN repeats the last."""
        output, self._oxygen_state = self._oxygen.step(
            self._oxygen_state, self._dissolved_oxygen.setpoint, dissolved_oxygen, _TICK_H
        )
        carbon_dioxide, self._carbon_dioxide_state = self._carbon_dioxide.step(
            self._carbon_dioxide_state, self._pH_high.setpoint, pH, _TICK_H
        )
        return max(output, 0.0), carbon_dioxide, max(-output, 0.0)

    def base(self, pH: float) -> float:
        """Base for the next tick, L/h; NaN repeats the last."""
        output, self._base_state = self._base.step(
            self._base_state, self._pH_low.setpoint, pH, _TICK_H
        )
        return output


def _loop(loop: LoopSettings, actuators: ActuatorsSettings, flow: Flow) -> PI:
    """A loop that drives one actuator over its whole range."""
    actuator = actuators.of(flow.value)
    return PI(
        gain=loop.gain,
        integral_time_h=loop.integral_time_h,
        lower=actuator.lower_L_per_h,
        upper=actuator.upper_L_per_h,
    )
