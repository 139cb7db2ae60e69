"""What really happens in the vessel: the model with parameters that nobody outside knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plant_models.cho_mab import FULL
from plant_models.dialect import NUMPY
from plant_models.stepper import Stepper
from sim_plant.errors import PlantError
from sim_plant.names import FLOWS, GASES, PUMPS, Flow
from sim_plant.section import TICK_S
from sim_plant.settings import PlantSettings

Floats = NDArray[np.float64]

_SUBSTEPS: Final = 5
"""Runge-Kutta steps in a tick. Without oxygen, respiration reacts as fast as `q_O2 Xv / K_O2`,
3000 1/h at 30e9 cells/L, twice what this culture reaches; steps of 2 s are stable (h lambda < 2.78)
and keep oxygen from falling below zero."""

_LEAK_L_PER_H: Final = 0.1
"""Air that enters from the headspace when every gas supply is lost; keeps the gas balance
defined, transfers next to nothing."""

_MOST_NEGATIVE: Final = -1e-6
"""Rounding that a concentration may show below zero (model's unit)."""

_FED = (
    "glucose_feed_glucose",
    "glucose_feed_glutamine",
    "amino_feed_glucose",
    "amino_feed_glutamine",
)

_WEIGHT = FULL.output_names.index("weight")
_FLOW_ROWS = tuple(FULL.input_names.index(flow.value) for flow in FLOWS)
_GAS_ROWS = tuple(FULL.input_names.index(flow.value) for flow in GASES)
_AIR_ROW = FULL.input_names.index("air")


@dataclass(frozen=True)
class Culture:
    """What this batch really is.

    Attributes:
        parameters: true parameters of the model, by name.
        initial: true state at inoculation, by name.
        pump_gains: delivered flow over the flow that the pump shows, by pump.
    """

    parameters: Mapping[str, float]
    initial: Mapping[str, float]
    pump_gains: Mapping[Flow, float]


def draw_culture(settings: PlantSettings, generator: np.random.Generator) -> Culture:
    """Draw a batch: log-normal about the nominal values, with the model's own deviations.

    The draws are made in a fixed order, whatever is overridden, so that one override does not
    move everything else.
    """
    culture = settings.culture

    def factor(deviation: float) -> float:
        return float(np.exp(culture.spread * deviation * generator.standard_normal()))

    parameters = {
        name: parameter.value * factor(parameter.deviation)
        if parameter.deviation
        else parameter.value
        for name, parameter in FULL.parameters.items()
    }
    for name in _FED:
        parameters[name] *= factor(culture.feed_concentration)
    parameters["k_kLa"] *= factor(culture.oxygen_transfer)
    parameters["vessel_diameter"] = settings.vessel.diameter_m
    inoculum = factor(culture.inoculum)
    gains = {pump: factor(culture.pump_gain) for pump in PUMPS}
    initial = {name: state.initial for name, state in FULL.states.items()}
    initial["viable_cells"] *= inoculum
    initial["dead_cells"] *= inoculum
    return Culture(
        parameters={**parameters, **culture.parameters},
        initial={**initial, **culture.initial, FULL.volume: settings.vessel.initial_volume_L},
        pump_gains=gains,
    )


class Reactor:
    """The vessel: state, and the inputs that act on it.

    Attributes:
        state: true state now, shape (states,).
        inputs: true inputs of the last tick, shape (inputs,).
        outputs: true outputs now, shape (outputs,).
    """

    def __init__(self, settings: PlantSettings, culture: Culture, flows: list[float]) -> None:
        """Inoculate, with these flows as in `advance`."""
        vessel = settings.vessel
        self._stepper = Stepper(FULL, TICK_S / 3600, _SUBSTEPS)
        self.state: Floats = np.array([culture.initial[name] for name in FULL.state_names])
        self._parameters = np.array([culture.parameters[name] for name in FULL.parameter_names])
        self.inputs: Floats = np.array(
            FULL.nominal_inputs()._replace(
                temperature=vessel.temperature_degC,
                pressure=vessel.pressure_atm,
                power_per_volume=vessel.power_W_per_m3,
            )
        )
        self._gains = [culture.pump_gains.get(flow, 1.0) for flow in FLOWS]
        self._set_flows(flows)
        self.outputs = self._outputs_now()

    @property
    def weight_kg(self) -> float:
        """True weight of the broth."""
        return float(self.outputs[_WEIGHT])

    def advance(self, flows: list[float]) -> None:
        """One tick with these flows (L/h as the meters show them, in the order of `FLOWS`).

        Raises:
            PlantError: the numbers broke down; a plant is never run on with invented ones.
        """
        self._set_flows(flows)
        self.state, self.outputs = self._stepper.advance(self.state, self.inputs, self._parameters)
        if not self.state.min() >= _MOST_NEGATIVE or not np.isfinite(self.state.max()):
            values = ", ".join(
                f"{name} {value:.6g}"
                for name, value in zip(FULL.state_names, self.state, strict=True)
            )
            raise PlantError(f"the simulation of the reactor broke down: {values}")

    def _set_flows(self, flows: list[float]) -> None:
        for row, flow, gain in zip(_FLOW_ROWS, flows, self._gains, strict=True):
            self.inputs[row] = flow * gain
        if not any(self.inputs[row] > 0.0 for row in _GAS_ROWS):
            self.inputs[_AIR_ROW] = _LEAK_L_PER_H

    def _outputs_now(self) -> Floats:
        return np.asarray(
            FULL.output_vector(self.state, self.inputs, self._parameters, NUMPY), dtype=np.float64
        )
