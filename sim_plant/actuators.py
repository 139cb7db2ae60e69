"""Pumps, mass-flow controllers and other actuators: they saturate, follow with a lag, and fail."""

from collections.abc import Mapping
from math import exp

from sim_plant.equipment_settings import ActuatorSettings
from sim_plant.faults import Fault, FaultKind, active_faults, faults_of
from sim_plant.section import TICK_S


class Actuators:
    """All actuators of the plant, in the order of the settings, in the units of the model.

    Attributes:
        names: inputs of the model that they act on.
        shown: what their meters show.
        delivered: what leaves the pump, valve or drive, before a pump's gain; it differs from what
            is shown only when a line is blocked or a pump drifts.
    """

    def __init__(self, settings: Mapping[str, ActuatorSettings], faults: tuple[Fault, ...]) -> None:
        """Begin with every flow at its lower end, and anything else where it is safe."""
        each = settings.values()
        self.names = tuple(settings)
        self._rows = {name: row for row, name in enumerate(settings)}
        self._lower = [actuator.lower for actuator in each]
        self._upper = [actuator.upper for actuator in each]
        self._share = [1.0 - exp(-TICK_S / actuator.lag_s) for actuator in each]
        self._faults = (*faults_of(faults, "pump_"), *faults_of(faults, "gas_"))
        self.shown = [
            actuator.safe if actuator.kind == "other" else actuator.lower for actuator in each
        ]
        self.delivered = list(self.shown)

    def limited(self, name: str, wanted: float) -> float:
        """The setpoint an actuator can follow that is closest to `wanted`."""
        row = self._rows[name]
        return min(max(wanted, self._lower[row]), self._upper[row])

    def follow(self, setpoints: list[float], time_h: float) -> None:
        """One tick towards these setpoints.

        First-order lags, exact for a setpoint that is constant over the tick.
        """
        before = self.shown
        self.shown = [
            flow + share * (min(max(wanted, lower), upper) - flow)
            for flow, share, wanted, lower, upper in zip(
                before, self._share, setpoints, self._lower, self._upper, strict=True
            )
        ]
        active = active_faults(self._faults, time_h)
        for fault in active:
            row = self._rows[fault.target]
            if fault.kind is FaultKind.PUMP_STUCK:
                self.shown[row] = before[row]
            elif fault.kind is FaultKind.GAS_LOST:
                self.shown[row] = 0.0
        self.delivered = list(self.shown) if active else self.shown
        for fault in active:
            self.delivered[self._rows[fault.target]] *= _arriving(fault, time_h)


def _arriving(fault: Fault, time_h: float) -> float:
    """Share of the flow shown that arrives in spite of a fault."""
    match fault.kind:
        case FaultKind.PUMP_BLOCKED:
            return fault.size
        case FaultKind.PUMP_DRIFT:
            return max(1.0 + fault.size * (time_h - fault.from_h), 0.0)
        case _:
            return 1.0
