"""The feeds of the CHO demo until harvest: a solve every four hours, 84 times, or less often.

The plant is the optimiser's own model, what the problem holds held there too, with parameters 5 to
10 % off; of its states the optimiser sees values that are 2 % off, the volume excepted, which a
scale tells. The horizon always ends at harvest, so that its pieces become shorter.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.control_speed.judge import Simulation
from benchmarks.rivals.task import Floats
from controllers.grid import widening
from controllers.problem import Problem
from controllers.situation import Situation
from mpc_agent.config import Settings

CONFIG = Path(__file__).parents[2] / "configs" / "cho_demo.yaml"
INTERVAL_H = 4.0
NOISE = 0.02
ROUNDING_H = 1e-9
LEAST_OFF, MOST_OFF = 0.05, 0.1
SEED = 2024


@cache
def settings() -> Settings:
    """The demo's, as the agent reads them."""
    return Settings.load(CONFIG, {})


def problem() -> Problem:
    """The demo's feed problem."""
    return settings().control.feed.problem


class Culture:
    """The closed loop.

    Attributes:
        steps: how many solves.
        product_g: what the vessel holds after the last of them.
    """

    def __init__(self, interval_h: float = INTERVAL_H, seed: int = SEED) -> None:
        """Compile the plant.

        Args:
            interval_h: hours between two solves.
            seed: of everything random.
        """
        self._problem = problem()
        self._harvest_h = settings().document.batch.harvest_h
        self._interval_h = interval_h
        self.steps = round(self._harvest_h / interval_h)
        self._random = np.random.default_rng(seed)
        one = replace(self._problem, pieces=1)
        self._plant = Simulation(one)
        initial = settings().estimation.initial
        self._state = np.array([initial[name] for name in one.model.state_names])
        self._known = np.array(
            [settings().estimation.parameters[name] for name in one.model.parameter_names]
        )
        self._true = self._known * self._factors()

    @property
    def product_g(self) -> float:
        """Product in the vessel now."""
        model = self._problem.model
        state = dict(zip(model.state_names, self._state, strict=True))
        return float(state["product"] * state[model.volume])

    def _factors(self) -> Floats:
        """By how much each kinetic parameter that the filter learns is really off."""
        names = self._problem.model.parameter_names
        factors = np.ones(len(names))
        for item in settings().estimation.adapted:
            if not item.name.endswith("_gain"):
                off = self._random.uniform(LEAST_OFF, MOST_OFF) * self._random.choice([-1, 1])
                factors[names.index(item.name)] = 1 + off
        return factors

    def first(self) -> Situation:
        """Inoculation."""
        model, feed = self._problem.model, settings().control.feed
        given = np.array(model.nominal_inputs(), dtype=np.float64)
        for name in model.volume_flows:
            given[model.input_names.index(name)] = 0.0
        for name, value in feed.foreseen.items():
            given[model.input_names.index(name)] = value
        guess = self._recipe(0.0)
        return Situation(
            time_s=0.0,
            state=self._seen(),
            parameters=self._known,
            given=given,
            previous=guess[0],
            steps_h=self._steps_h(0.0),
            setpoints=np.zeros(0),
            guess=guess,
        )

    def after(self, situation: Situation, inputs: Floats) -> Situation:
        """One interval later; the plan is followed piece by piece."""
        left_h, piece = self._interval_h, 0
        while left_h > ROUNDING_H:
            length_h = min(float(situation.steps_h[piece]), left_h)
            part = replace(
                situation,
                state=self._state,
                parameters=self._true,
                steps_h=np.array([length_h]),
            )
            self._state = self._plant.states(part, inputs[piece : piece + 1])[0, 0]
            left_h, piece = left_h - length_h, piece + 1
        time_h = situation.time_s / 3600 + self._interval_h
        return replace(
            situation,
            time_s=time_h * 3600,
            state=self._seen(),
            previous=inputs[piece - 1],
            steps_h=self._steps_h(time_h),
            guess=self._recipe(time_h),
        )

    def _seen(self) -> Floats:
        """The state as the optimiser sees it."""
        model = self._problem.model
        noise = NOISE * self._random.standard_normal(len(self._state))
        noise[model.state_names.index(model.volume)] = 0.0
        for name in self._problem.held_states:
            noise[model.state_names.index(name)] = 0.0
        return self._state * (1 + noise)

    def _steps_h(self, time_h: float) -> Floats:
        """Pieces until harvest, as the agent divides them; after it, none is solved any more."""
        remaining_h = max(self._harvest_h - time_h, self._interval_h)
        first_h = settings().control.feed.first_piece_h
        return widening(remaining_h, self._problem.pieces, first_h)

    def _recipe(self, time_h: float) -> Floats:
        """The recipe's feeds in the middle of each piece, shape (pieces, decided).

        Of what it says nothing about, as little as there may be.
        """
        steps_h = self._steps_h(time_h)
        middles_h = time_h + np.cumsum(steps_h) - steps_h / 2
        recipe = settings().recipe
        columns = [
            [recipe.rate(item.name, hour) for hour in middles_h]
            if item.name in recipe.rates
            else np.full(len(middles_h), item.lower)
            for item in self._problem.inputs
        ]
        return np.column_stack(columns)
