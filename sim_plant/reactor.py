"""What really happens in the vessel: the model with parameters that nobody outside knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import NUMPY
from plant_models.integrate import substeps
from plant_models.model import PlantModel
from plant_models.stepper import Stepper
from sim_plant.drifts import Drifts
from sim_plant.errors import PlantError
from sim_plant.faults import active_faults, faults_of
from sim_plant.mixing import Mixing
from sim_plant.section import TICK_S
from sim_plant.settings import PlantSettings

Floats = NDArray[np.float64]

_ROUNDING: Final = 1e-5
"""How far below zero a state may seem to be, in units of its scale."""


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
    pump_gains: Mapping[str, float]


def draw_culture(settings: PlantSettings, generator: np.random.Generator) -> Culture:
    """Draw a batch: log-normal about the nominal values.

    The draws are made in the order of the model's tables, whatever is given instead of drawn, so
    that one such value does not move everything else.
    """
    model, culture = settings.plant_model, settings.culture

    def factor(deviation: float) -> float:
        return float(np.exp(culture.spread * deviation * generator.standard_normal()))

    parameters = {
        name: parameter.value * factor(parameter.deviation)
        if parameter.deviation
        else parameter.value
        for name, parameter in model.parameters.items()
    }
    for name in model.parameters:
        if name in culture.deviations:
            parameters[name] *= factor(culture.deviations[name])
    inoculum = factor(culture.inoculum)
    pumps = [name for name, actuator in settings.actuators.items() if actuator.pumps]
    gains = {pump: factor(culture.pump_gain) for pump in pumps}
    initial = {name: state.initial for name, state in model.states.items()}
    for name in culture.inoculum_states:
        initial[name] *= inoculum
    return Culture(
        parameters={**parameters, **culture.parameters},
        initial={**initial, **culture.initial, model.volume: settings.vessel.initial_volume_L},
        pump_gains=gains,
    )


class Reactor:
    """The vessel: state, and the inputs that act on it.

    Attributes:
        state: true state now, shape (states,).
        inputs: true inputs of the last tick, shape (inputs,).
        outputs: true outputs now, shape (outputs,).
    """

    def __init__(
        self, settings: PlantSettings, culture: Culture, drifts: Drifts, delivered: list[float]
    ) -> None:
        """Inoculate, with what the actuators deliver as in `advance`."""
        model = settings.plant_model
        step_h = TICK_S / 3600
        self._model = model
        self._drifts = drifts
        self._stepper = Stepper(model, step_h, settings.steps_per_tick or substeps(model, step_h))
        self.state: Floats = np.array([culture.initial[name] for name in model.state_names])
        self._sound = np.array([culture.parameters[name] for name in model.parameter_names])
        self._parameters = self._sound.copy()
        self._faults = faults_of(settings.faults, "parameter_")
        self._mixing = Mixing(model, self._parameters)
        self._evaporated_L = settings.vessel.evaporation_L_per_h * step_h
        self._least = np.array(
            [min(item.lower, 0.0) - _ROUNDING * item.scale for item in model.states.values()]
        )
        self.inputs: Floats = np.array(model.nominal_inputs()._replace(**settings.conditions))
        self._rows = [
            (
                model.input_names.index(name),
                culture.pump_gains.get(name, 1.0),
                model.inputs[name].lower,
            )
            for name in settings.actuators
        ]
        self._set(delivered)
        self.outputs = self._outputs_now()

    def advance(self, delivered: list[float], time_h: float) -> None:
        """One tick with what the actuators deliver (in their order, before the pumps' gains).

        Args:
            delivered: by each actuator.
            time_h: hours since inoculation when the tick begins.

        Raises:
            PlantError: the numbers broke down, for a plant is never run on with invented ones; or
                the vessel ran dry.
        """
        self._set(delivered)
        self._change(time_h)
        self._drifts.act(self.inputs)
        if self._evaporated_L:
            self.state = self._mixing.diluted(self.state, -self._evaporated_L)
        self.state, self.outputs = self._stepper.advance(self.state, self.inputs, self._parameters)
        # Numbers that are none fail every comparison.
        if not ((self.state - self._least).min() >= 0.0 and self.state.max() < inf):
            values = ", ".join(
                f"{name} {value:.6g}"
                for name, value in zip(self._model.state_names, self.state, strict=True)
            )
            raise PlantError(f"the simulation of the reactor broke down: {values}")

    def give(self, liquid: str, volume_L: float) -> None:
        """Give a dose by hand at once, or withdraw broth.

        Args:
            liquid: as `sim_plant.names.liquids` lists it.
            volume_L: how much.

        Raises:
            PlantError: more is withdrawn than there is.
        """
        self.state = self._mixing.given(self.state, self.inputs, liquid, volume_L)
        self.outputs = self._outputs_now()

    def _set(self, delivered: list[float]) -> None:
        """Let the inputs act; none less than what the equations bear, which is next to nothing.

        A lost air supply for instance lets in what leaks from the headspace.
        """
        for (row, gain, least), value in zip(self._rows, delivered, strict=True):
            self.inputs[row] = max(value * gain, least)

    def _change(self, time_h: float) -> None:
        """Let faults change what the plant is; the parameters are its own again after them."""
        if not self._faults:
            return
        self._parameters[:] = self._sound
        for fault in active_faults(self._faults, time_h):
            self._parameters[self._model.parameter_names.index(fault.target)] *= fault.size

    def _outputs_now(self) -> Floats:
        vector = self._model.output_vector(self.state, self.inputs, self._parameters, NUMPY)
        return np.asarray(vector, dtype=np.float64)


class Filling:
    """How full the vessel is, as the interlock sees it: by weight where the model has one.

    Attributes:
        what: what is looked at: weight or volume.
        unit: its unit.
        limit: value at the vessel's working volume.
    """

    def __init__(self, settings: PlantSettings) -> None:
        model, vessel = settings.plant_model, settings.vessel
        by_weight = "weight" in model.output_names
        self.what = "weight" if by_weight else "volume"
        self.unit = model.outputs_info["weight"].unit if by_weight else "L"
        self._row = (model.output_names if by_weight else model.state_names).index(
            "weight" if by_weight else model.volume
        )
        self._by_weight = by_weight
        self.limit = _nominal_density(model) * vessel.working_volume_L

    def of(self, reactor: Reactor) -> float:
        """True weight or volume now."""
        return float((reactor.outputs if self._by_weight else reactor.state)[self._row])


def _nominal_density(model: PlantModel) -> float:
    """Weight of a litre of broth at inoculation, one where the model has no weight."""
    if "weight" not in model.output_names:
        return 1.0
    state = model.initial_state()
    outputs = model.outputs(state, model.nominal_inputs(), model.nominal_parameters(), NUMPY)
    return float(outputs.weight / getattr(state, model.volume))
