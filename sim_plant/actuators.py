"""Pumps and mass-flow controllers: they saturate, follow with a lag, and fail."""

from math import exp
from typing import Final

from sim_plant.faults import Fault, FaultKind, active_faults, faults_of
from sim_plant.names import FLOWS, Flow
from sim_plant.process_settings import ActuatorsSettings
from sim_plant.section import TICK_S

_ORDER: Final = {flow.value: row for row, flow in enumerate(FLOWS)}


class Actuators:
    """All flows of the plant, in the order of `FLOWS`, in L/h.

    Attributes:
        shown: flows as the meters show them.
        delivered: flows that leave the pump or valve, before the pump's gain; they differ from what
            is shown only when a line is blocked.
    """

    def __init__(self, settings: ActuatorsSettings, faults: tuple[Fault, ...]) -> None:
        """Begin with every flow at its lower end."""
        each = [settings.of(flow.value) for flow in FLOWS]
        self._lower = [actuator.lower_L_per_h for actuator in each]
        self._upper = [actuator.upper_L_per_h for actuator in each]
        self._share = [1.0 - exp(-TICK_S / actuator.lag_s) for actuator in each]
        self._faults = (*faults_of(faults, "pump_"), *faults_of(faults, "gas_"))
        self.shown = list(self._lower)
        self.delivered = list(self._lower)

    def limited(self, flow: Flow, wanted: float) -> float:
        """The setpoint an actuator can follow that is closest to `wanted`, L/h."""
        row = _ORDER[flow.value]
        return min(max(wanted, self._lower[row]), self._upper[row])

    def follow(self, setpoints: list[float], time_h: float) -> None:
        """One tick towards these setpoints (L/h).

        First-order lags, exact for a setpoint that is constant over the tick.
        """
        before = self.shown
        self.shown = [
            flow + share * (min(max(wanted, lower), upper) - flow)
            for flow, share, wanted, lower, upper in zip(
                before, self._share, setpoints, self._lower, self._upper, strict=True
            )
        ]
        self.delivered = self.shown
        for fault in active_faults(self._faults, time_h):
            self._fail(fault, before)

    def _fail(self, fault: Fault, before: list[float]) -> None:
        """Let one fault act on the flows of this tick."""
        row = _ORDER[fault.target]
        if fault.kind is FaultKind.PUMP_BLOCKED:
            self.delivered = list(self.delivered)
            self.delivered[row] *= fault.size
            return
        flow = before[row] if fault.kind is FaultKind.PUMP_STUCK else 0.0
        self.shown[row] = flow
        if self.delivered is not self.shown:
            self.delivered[row] = flow
