"""A recipe whose glucose feed is trimmed by a PI controller on the lab's glucose.

What a plant without a model does: the approved profile, and whenever the lab has told a glucose, a
correction towards the course that the profile was made for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controllers.arrays import Floats
from controllers.pid import PI, PIState
from controllers.recipe import Recipe
from sim_plant.plant import SimulatedPlant, recipe_run
from sim_plant.settings import PlantSettings

FEED = "glucose_feed"
ASSAY = "glucose"

GAIN = 0.08
"""L/h of feed per mmol/L of error."""

INTEGRAL_TIME_H = 72.0
"""Three samples."""


class Trim:
    """Adds to the feed what the PI controller says; it acts once for each result of the lab."""

    def __init__(self, plant: SimulatedPlant, wanted: Callable[[float], float], pi: PI) -> None:
        """Watch the lab of `plant`, towards `wanted` mmol/L at an hour since inoculation."""
        self._plant = plant
        self._tag = plant.settings.assays[ASSAY].tag
        self._wanted = wanted
        self._pi = pi
        self._state = PIState(integral=0.0, output=0.0)
        self._begun_at_s = plant.time_s
        self._seen_at_s = plant.time_s

    def now(self) -> float:
        """The trim in force, L/h."""
        told = self._plant.tag(self._tag)
        if isinstance(told.value, float) and told.sampled_at_s > self._seen_at_s:
            since_h = (told.sampled_at_s - self._seen_at_s) / 3600
            wanted = self._wanted((told.sampled_at_s - self._begun_at_s) / 3600)
            _, self._state = self._pi.step(self._state, wanted, told.value, since_h)
            self._seen_at_s = told.sampled_at_s
        return self._state.output


@dataclass(frozen=True, eq=False)
class TrimmedRecipe(Recipe):
    """The recipe with a trim on its feed of glucose.

    Attributes:
        trim: what is added now, L/h.
        highest: largest rate of the pump, L/h.
    """

    trim: Callable[[], float] = float
    highest: float = np.inf

    def rate(self, input_name: str, time_h: float) -> float:
        """Value of an input at a time, with the trim of now."""
        rate = super().rate(input_name, time_h)
        if input_name != FEED or time_h >= self.end_h:
            return rate
        return float(np.clip(rate + self.trim(), 0.0, self.highest))


def trimmed(recipe: Recipe, plant: SimulatedPlant, pi: PI | None = None) -> TrimmedRecipe:
    """The recipe trimmed by the lab of a plant, towards glucose as in the nominal batch."""
    course = nominal_glucose(plant.settings)
    pump = plant.settings.actuators[FEED].upper
    pi = pi or PI(GAIN, INTEGRAL_TIME_H, -pump, pump)
    trim = Trim(plant, lambda hour: float(np.interp(hour, *course)), pi)
    parts = (recipe.times_h, recipe.end_h, recipe.rates, recipe.units, recipe.after)
    return TrimmedRecipe(*parts, trim=trim.now, highest=pump)


def nominal_glucose(settings: PlantSettings) -> tuple[Floats, Floats]:
    """Hours and glucose of the batch without spread on the recipe alone, mmol/L."""
    culture = settings.culture.model_copy(update={"spread": 0.0})
    truth = recipe_run(settings.model_copy(update={"culture": culture}))
    return truth.time_h, truth.output(ASSAY)
