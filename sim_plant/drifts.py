"""Inputs that wander by themselves: what reaches a plant from outside and nobody controls."""

from collections.abc import Mapping
from math import exp, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plant_models.model import PlantModel
from sim_plant.section import TICK_S
from sim_plant.settings import PlantSettings

Floats = NDArray[np.float64]

_BLOCK: Final = 360
"""Ticks for which noise is drawn at once."""


class Drifts:
    """First-order random walks back to the mean (Ornstein-Uhlenbeck), exact from tick to tick.

    Each begins at its mean: what the conditions say, else the model's nominal value. It never
    leaves the model's bounds.
    """

    def __init__(self, settings: PlantSettings, generator: np.random.Generator) -> None:
        model, drifts = settings.plant_model, settings.drifts
        self._rows = [model.input_names.index(name) for name in drifts]
        self._mean = np.array([_mean(name, settings.conditions, model) for name in drifts])
        self._lower = np.array([model.inputs[name].lower for name in drifts])
        self._upper = np.array([model.inputs[name].upper for name in drifts])
        kept = [exp(-TICK_S / 3600 / drift.time_h) for drift in drifts.values()]
        spread = settings.culture.spread
        self._kept = np.array(kept)
        self._new = np.array(
            [
                spread * drift.deviation * sqrt(1 - share**2)
                for drift, share in zip(drifts.values(), kept, strict=True)
            ]
        )
        self._generator = generator
        self._noise = np.empty((0, len(drifts)))
        self._next = 0
        self._away: Floats = np.zeros(len(drifts))

    def act(self, inputs: Floats) -> None:
        """One tick further: put the values of now into the model's inputs."""
        if not self._rows:
            return
        if self._next == len(self._noise):
            self._noise = self._generator.standard_normal((_BLOCK, len(self._rows)))
            self._next = 0
        self._away = self._kept * self._away + self._new * self._noise[self._next]
        self._next += 1
        inputs[self._rows] = np.clip(self._mean + self._away, self._lower, self._upper)


def _mean(name: str, conditions: Mapping[str, float], model: PlantModel) -> float:
    return conditions.get(name, model.inputs[name].nominal)
