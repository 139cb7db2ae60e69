"""What mixing does to a broth: water that comes or evaporates, broth taken out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import NUMPY, Vector
from plant_models.model import PlantModel

WEIGHT = "weight"
"""Name of the weight where a model has it as a state, kg; a litre of water weighs one."""


@dataclass(frozen=True)
class Broth:
    """Where a model keeps what mixing changes.

    Attributes:
        volume: place of the volume among the states.
        diluted: which states a litre of liquid dilutes, shape (states,).
        weight: which state is the weight, if any, shape (states,).
    """

    volume: int
    diluted: NDArray[np.bool_]
    weight: NDArray[np.bool_]

    def mixed(self, x: Vector, water_L: Any, withdrawn_L: Any) -> Vector:
        """State after water came in (negative: evaporated), and then broth was taken out.

        Broth that is taken out takes its share along and changes no concentration.

        Args:
            x: state vector of NumPy or JAX, shape (states,).
            water_L: litres of water that came.
            withdrawn_L: litres of broth taken out.
        """
        before = x[self.volume]
        watered = before + water_L
        left = watered - withdrawn_L
        after = x * (1 - self.diluted * (1 - before / watered))
        after = after + self.weight * ((x + water_L) * (left / watered) - x)
        return after + (np.arange(len(self.diluted)) == self.volume) * (left - before)


def broth_of(model: PlantModel) -> Broth:
    """Find in the equations what is diluted.

    A liquid flow changes a diluted concentration c by (c_feed - c) / V for each litre: volume times
    that change falls by exactly what c rises. Nothing is diluted in a model without liquid flows.
    """
    volume = model.state_names.index(model.volume)
    weight = np.array([name == WEIGHT for name in model.state_names])
    found = np.zeros(len(model.states), dtype=bool)
    if model.volume_flows:
        x = np.array([item.initial + 0.1 * item.scale for item in model.states.values()])
        before = _brought(model, x, volume)
        for i, state in enumerate(model.states.values()):
            moved = x.copy()
            moved[i] += 0.1 * state.scale
            slope = (_brought(model, moved, volume) - before)[i] / (moved[i] - x[i])
            found[i] = i != volume and abs(slope + 1) < 1e-6
    return Broth(volume, found, weight)


def _brought(model: PlantModel, x: NDArray[np.float64], volume: int) -> NDArray[np.float64]:
    """Volume times what a litre of the first liquid flow changes, shape (states,)."""
    p = np.array(model.nominal_parameters())
    without, with_flow = (np.array(model.nominal_inputs()) for _ in range(2))
    flow = model.input_names.index(model.volume_flows[0])
    without[flow], with_flow[flow] = 0.0, model.inputs[model.volume_flows[0]].scale
    change = np.asarray(
        model.derivative(x, with_flow, p, NUMPY) - model.derivative(x, without, p, NUMPY)
    )
    scaled: NDArray[np.float64] = x[volume] * change / change[volume]
    return scaled
