"""How drawn batches of CHO cells are run: by what is measured, and by nothing else.

The recipe is made for one culture. One drawn from the prior grows faster or slower, would starve or
suffocate on it, and would then be at zero, where normal noise means nothing. So operators feed
after each sample what glucose lacks, the amino-acid feed never falls, and loops like those of the
plant's control unit set gases and base once in a row. Inputs are known to the filter: nothing of
this makes it more or less consistent.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from controllers.recipe import Recipe
from mpc_agent.estimation.coordinates import Coordinates
from mpc_agent.values import Floats

GLUCOSE_WANTED = 25.0
"""What a correction of the glucose feed leads to within a day, mmol/L."""

MOST_FEED_L_PER_H = 5.6
"""What the pump can deliver."""

OXYGEN_WANTED, PH_MOST, PH_LEAST = 40.0, 7.1, 6.9
"""Setpoints of the control unit's loops, percent of air saturation and pH."""


class Memory(NamedTuple):
    """What loops and operators remember: integrals in L/h, and the latest glucose in mmol/L."""

    oxygen: Any
    carbon_dioxide: Any
    drawn: Any
    known: Any


class Operation:
    """Feeds, gases and base of one batch, as functions of JAX.

    Args:
        at: the filter's coordinates, for the order of channels and inputs.
        recipe: the feeds to begin with.
        every_rows: rows from sample to sample.
        answered_rows: rows from a sample to its glucose's result.
    """

    def __init__(
        self, at: Coordinates, recipe: Recipe, every_rows: int, answered_rows: int
    ) -> None:
        self._recipe, self._model = recipe, at.settings.model
        self._every, self._answered = every_rows, answered_rows
        shows = [item.shows for item in at.channels]
        wanted = ("dissolved_oxygen", "pH", "weight", "glucose")
        self._places = [shows.index(name) for name in wanted]
        self._strength = at.settings.parameters["glucose_feed_glucose"]

    def rows(self, count: int, period_h: float) -> tuple[Any, Any]:
        """For each row: its number, and the inputs before anything measured acts on them."""
        fed: Floats = np.tile(np.array(self._model.nominal_inputs()), (count, 1))
        for name in self._recipe.rates:
            rates = [self._recipe.rate(name, row * period_h) for row in range(count)]
            column = self._model.input_names.index(name)
            fed[:, column] = np.maximum.accumulate(rates) if name == "amino_feed" else rates
        return jnp.arange(count), jnp.asarray(fed)

    def begin(self) -> Memory:
        """Memory before the first row: nothing known of glucose."""
        return Memory(*(jnp.array(value) for value in (0.0, 0.0, jnp.nan, jnp.nan)))

    def act(self, row: Any, shown: Any, memory: Memory) -> tuple[Any, Memory]:  # noqa: ANN401 - JAX
        """Inputs of a row, from what the channels showed at its beginning."""
        number, inputs = row
        oxygen_percent, acidity, weight, glucose = (shown[place] for place in self._places)
        lacking = 3.0 * (OXYGEN_WANTED - oxygen_percent)
        alkaline = 400.0 * (acidity - PH_MOST)
        begins = number % self._every == 0
        memory = Memory(
            oxygen=jnp.clip(memory.oxygen + 0.3 * lacking, -336.0, 840.0),
            carbon_dioxide=jnp.clip(memory.carbon_dioxide + 0.15 * alkaline, 0.0, 420.0),
            drawn=jnp.where(begins & (number > 0), glucose, memory.drawn),
            known=jnp.where(number % self._every == self._answered, memory.drawn, memory.known),
        )
        oxygen = jnp.clip(lacking + memory.oxygen, -336.0, 840.0)
        feed = inputs[self._model.input_names.index("glucose_feed")]
        missing = (GLUCOSE_WANTED - memory.known) * weight / self._strength / 24
        set_to = {
            "glucose_feed": jnp.clip(
                feed + jnp.where(jnp.isfinite(missing), missing, 0.0), 0.0, MOST_FEED_L_PER_H
            ),
            "oxygen": jnp.maximum(oxygen, 0.84),
            "nitrogen": jnp.maximum(-oxygen, 0.0),
            "carbon_dioxide": jnp.clip(alkaline + memory.carbon_dioxide, 0.0, 420.0),
            "base": jnp.clip(14.0 * (PH_LEAST - acidity), 0.0, 2.8),
        }
        for name, value in set_to.items():
            inputs = inputs.at[self._model.input_names.index(name)].set(value)
        return inputs, memory
