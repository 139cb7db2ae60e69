"""What a volume of liquid that comes or goes by hand does to the broth."""

from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import NUMPY
from plant_models.integrate import floors, rk4_step
from plant_models.mixing import broth_of
from plant_models.model import PlantModel
from sim_plant.errors import PlantError
from sim_plant.names import WITHDRAWN

Floats = NDArray[np.float64]

_PIECE: Final = 0.02
"""Of the broth: a bolus is integrated along its volume in pieces no larger than this."""


class Mixing:
    """Boluses, withdrawn broth and evaporated water, each exact for its volume.

    Feeds bring what the model's equations say. Water dilutes what the equations let a feed dilute;
    broth that is withdrawn takes along its share and changes no concentration. States that are no
    concentrations stay, but for the weight.
    """

    def __init__(self, model: PlantModel, parameters: Floats) -> None:
        """Prepare for one batch with its true parameters, shape (parameters,)."""
        self._model = model
        self._parameters = parameters
        self._volume = model.state_names.index(model.volume)
        self._broth = broth_of(model)
        self._floors = floors(model)

    def given(self, state: Floats, inputs: Floats, liquid: str, volume_L: float) -> Floats:
        """State after a dose.

        Args:
            state: before, shape (states,).
            inputs: what acts on the broth meanwhile, shape (inputs,).
            liquid: what was given or withdrawn, as `sim_plant.names.liquids` lists it.
            volume_L: how much.

        Raises:
            PlantError: more is withdrawn than there is.
        """
        if liquid in self._model.volume_flows:
            return self._fed(state, inputs, liquid, volume_L)
        if liquid == WITHDRAWN:
            self._check(state, volume_L, "be withdrawn")
            return np.asarray(self._broth.mixed(state, 0.0, volume_L))
        return self.diluted(state, volume_L)

    def diluted(self, state: Floats, water_L: float) -> Floats:
        """State after water has come, or has evaporated where `water_L` is below zero.

        Raises:
            PlantError: more evaporates than there is.
        """
        self._check(state, -water_L, "evaporate")
        return np.asarray(self._broth.mixed(state, water_L, 0.0))

    def _check(self, state: Floats, loss_L: float, what: str) -> None:
        before = float(state[self._volume])
        if not before - loss_L > self._model.states[self._model.volume].lower:
            raise PlantError(f"{loss_L:.4g} L cannot {what}: the vessel holds {before:.6g} L")

    def _fed(self, state: Floats, inputs: Floats, liquid: str, volume_L: float) -> Floats:
        """Along the volume given: dx/dV is what one more L/h of the flow changes, per its litre.

        Flows enter the balances linearly, so this holds for boluses as well. What they do to an
        empirical viscosity or pH is followed as far as the equations tell it. A pump's gain in the
        equations falls out, for a dose by hand is what it is.
        """
        more = inputs.copy()
        more[self._model.input_names.index(liquid)] += 1.0

        def slope(x: Floats) -> Floats:
            change = self._rate(x, more) - self._rate(x, inputs)
            brought: Floats = change / change[self._volume]
            return brought

        pieces = max(1, ceil(volume_L / (_PIECE * state[self._volume])))
        for _ in range(pieces):
            state = np.maximum(rk4_step(slope, state, volume_L / pieces), self._floors)
        return state

    def _rate(self, state: Floats, inputs: Floats) -> Floats:
        rate = self._model.derivative(state, inputs, self._parameters, NUMPY)
        return np.asarray(rate, dtype=np.float64)
