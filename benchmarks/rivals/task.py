"""The task that all filters share: one minute of a CHO culture, eight signals, three parameters.

The coordinates are z: the model's states, then the logarithms of the adapted parameters. Inputs are
held constant over a step, the integrator is the model's own, and independent noise is added:

- to the prediction, (drift + relative_drift |z|)^2 times the step's length, taken at the mean
  before the step;
- to a measurement, absolute^2 + (relative y)^2, taken at the predicted measurement y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, isfinite
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpc_agent.estimation.settings import (
    AdaptedParameter,
    EstimationSettings,
    SignalSettings,
    Uncertainty,
)
from plant_models.cho_mab import CONTROL
from plant_models.dialect import Maths, Scalar, Vector
from plant_models.integrate import Simulator, rk4_step, substeps
from plant_models.model import PlantModel

Floats = NDArray[np.float64]

STEP_H = 1 / 60
"""One minute."""

DAY = 1440
"""Steps of one minute in a day."""


class Rival(Protocol):
    """A filter that steps with NumPy in and out."""

    name: str

    @property
    def mean(self) -> Floats:
        """Mean of z, shape (n,)."""

    @property
    def covariance(self) -> Floats:
        """Covariance of z, shape (n, n)."""

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict over one step, fuse what was measured at its end, return the mean.

        Args:
            inputs: inputs during the step, shape (inputs,).
            measured: what was measured at its end, NaN where nothing, shape (measured,).
        """


@dataclass(frozen=True)
class Problem:
    """What a filter has to solve, in the words of every engine.

    Attributes:
        settings: plant, uncertainty and adapted parameters, as our own filter takes them.
        measured: what a vector of measurements holds, in order.
        step_h: length of a step in hours.
        pieces: steps of the integrator in it, or None: as many as the model says.
    """

    settings: EstimationSettings
    measured: tuple[SignalSettings, ...]
    step_h: float
    pieces: int | None = None

    @property
    def model(self) -> PlantModel:
        """The plant as the filters see it; stepped by Runge-Kutta."""
        return self.settings.model

    @property
    def states(self) -> int:
        """How many coordinates are states of the model."""
        return len(self.model.states)

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        return self.states + len(self.settings.adapted)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Which of the model's outputs each measurement shows."""
        return tuple(self.model.output_names.index(item.shows) for item in self.measured)

    @cached_property
    def absolute(self) -> Floats:
        """Constant part of each measurement's deviation."""
        return np.array([item.absolute for item in self.measured])

    @cached_property
    def relative(self) -> Floats:
        """Part of each measurement's deviation that grows with its value."""
        return np.array([item.relative for item in self.measured])

    @cached_property
    def drift(self) -> Floats:
        """Constant part of each coordinate's process noise, per square root of hour."""
        own = [self.settings.uncertainty[name].drift for name in self.model.state_names]
        return np.array(own + [item.drift for item in self.settings.adapted])

    @cached_property
    def relative_drift(self) -> Floats:
        """Part of the process noise that grows with the value, per square root of hour."""
        own = [self.settings.uncertainty[name].relative_drift for name in self.model.state_names]
        return np.array(own + [0.0] * len(self.settings.adapted))

    def initial_mean(self) -> Floats:
        """Mean of z before the first step."""
        states = [self.settings.initial[name] for name in self.model.state_names]
        values = [self.settings.parameters[item.name] for item in self.settings.adapted]
        return np.concatenate([states, np.log(values)])

    def initial_covariance(self) -> Floats:
        """Covariance of z before the first step."""
        own = [self.settings.uncertainty[name].initial for name in self.model.state_names]
        deviation = np.array(own + [item.deviation for item in self.settings.adapted])
        return np.diag(deviation**2)

    def process_variance(self, mean: Floats) -> Floats:
        """What one step adds to the diagonal of the covariance."""
        variance: Floats = (self.drift + self.relative_drift * np.abs(mean)) ** 2 * self.step_h
        return variance

    def measurement_variance(self, predicted: Floats) -> Floats:
        """Variance of each measurement's noise."""
        variance: Floats = self.absolute**2 + (self.relative * predicted) ** 2
        return variance

    def derivative(self, z: Vector, u: Vector, xp: Maths) -> Vector:
        """dz/dt, 1/h; parameters stay as they are."""
        rows = xp.unstack(z)
        inputs, parameters = self._given(rows, u, xp)
        state = self.model.State(*rows[: self.states])
        slopes = self.model.rhs(state, inputs, parameters, xp)
        return xp.stack([*slopes, *(0.0 * row for row in rows[self.states :])])

    def flow(self, z: Vector, u: Vector, xp: Maths) -> Vector:
        """What z is one step later."""
        rows = xp.unstack(z)
        inputs, parameters = self._given(rows, u, xp)
        count = self.pieces or substeps(self.model, self.step_h)

        def slope(x: Vector) -> Vector:
            return xp.stack(
                self.model.rhs(self.model.State(*xp.unstack(x)), inputs, parameters, xp)
            )

        x = xp.stack(rows[: self.states])
        for _ in range(count):
            x = rk4_step(slope, x, self.step_h / count)
        return xp.stack([*xp.unstack(x), *rows[self.states :]])

    def outputs(self, z: Vector, u: Vector, xp: Maths) -> Vector:
        """What the measurements would be without noise."""
        rows = xp.unstack(z)
        inputs, parameters = self._given(rows, u, xp)
        state = self.model.State(*rows[: self.states])
        shown = self.model.outputs(state, inputs, parameters, xp)
        return xp.stack([shown[row] for row in self.rows])

    def _given(self, z: Sequence[Scalar], u: Vector, xp: Maths) -> tuple[Scalar, Scalar]:
        """Inputs and parameters by name; all that are not adapted are plain numbers."""
        values: dict[str, Scalar] = dict(self.settings.parameters)
        for item, logarithm in zip(self.settings.adapted, z[self.states :], strict=True):
            values[item.name] = xp.exp(logarithm)
        inputs = self.model.Inputs(*xp.unstack(u))
        return inputs, self.model.Parameters(*(values[name] for name in self.model.parameter_names))


@dataclass(frozen=True)
class DataSet:
    """A simulated stretch of a culture.

    Attributes:
        inputs: inputs during each step, shape (steps, inputs).
        measured: measurements after each step, NaN where missing, shape (steps, measured).
        truth: z after each step, shape (steps, n).
    """

    inputs: Floats
    measured: Floats
    truth: Floats


def data_set(problem: Problem, steps: int, seed: int, missing: float = 0.0) -> DataSet:
    """Simulate what the filter assumes: truth drawn from its prior, and its noise.

    Args:
        problem: the filter's problem.
        steps: how many steps.
        seed: of everything random.
        missing: share of measurements that are not there.
    """
    random = np.random.default_rng(seed)
    model, states = problem.model, problem.states
    simulator = Simulator(model, problem.step_h)
    lowest = np.full(problem.size, -np.inf)
    lowest[:states] = [state.lower for state in model.states.values()]
    inputs = course(model, steps, problem.step_h, random)
    spread = np.sqrt(np.diag(problem.initial_covariance()))
    z = problem.initial_mean() + spread * random.standard_normal(problem.size)
    z = np.maximum(z, lowest)
    truth, measured = np.empty((steps, problem.size)), np.empty((steps, len(problem.rows)))
    for k, u in enumerate(inputs):
        noise = np.sqrt(problem.process_variance(z)) * random.standard_normal(problem.size)
        p = np.array(model.Parameters(**{**problem.settings.parameters, **adapted(problem, z)}))
        z = np.concatenate([simulator.advance(z[:states], u, p), z[states:]]) + noise
        z = np.maximum(z, lowest)
        y = simulator.outputs(z[:states], u, p)[list(problem.rows)]
        deviation = np.sqrt(problem.measurement_variance(y))
        truth[k], measured[k] = z, y + deviation * random.standard_normal(len(y))
    measured[random.random(measured.shape) < missing] = np.nan
    return DataSet(inputs, measured, truth)


def adapted(problem: Problem, z: Floats) -> dict[str, float]:
    """The adapted parameters' values, by name."""
    logarithms = zip(problem.settings.adapted, z[problem.states :], strict=True)
    return {item.name: exp(logarithm) for item, logarithm in logarithms}


def course(model: PlantModel, steps: int, step_h: float, random: np.random.Generator) -> Floats:
    """Feeds and gases about the task's values, new in every hour, shape (steps, inputs)."""
    hours = int(np.ceil(steps * step_h))
    hourly = np.tile(np.array(model.nominal_inputs()._replace(**INPUTS)), (hours, 1))
    moved = [model.input_names.index(name) for name in INPUTS]
    hourly[:, moved] *= random.uniform(0.8, 1.2, (hours, len(moved)))
    hour = np.minimum(np.arange(steps) * step_h, hours - 1).astype(int)
    inputs: Floats = hourly[hour]
    return inputs


# ---------------------------------------------------------------- the task of the speed comparison

INPUTS = {
    "glucose_feed": 1.0,
    "amino_feed": 2.0,
    "base": 0.1,
    "air": 336.0,
    "oxygen": 150.0,
    "carbon_dioxide": 5.0,
}
"""About what a growing culture of this size is given, L/h."""

INITIAL = {
    "volume": 1450.0,
    "viable_cells": 4.0,
    "dead_cells": 0.3,
    "glucose": 25.0,
    "glutamine": 2.0,
    "lactate": 12.0,
    "ammonia": 2.5,
    "product": 0.6,
    "oxygen": 0.2,
    "carbon_dioxide": 2.2,
    "alkalinity": 20.0,
    "osmolytes": 240.0,
}
"""A growing culture on its fourth day: everything moves."""

# Uncertainty and noise as in the CHO demo's configuration.
UNCERTAINTY = {
    "volume": Uncertainty(2.0, 0.03),
    "viable_cells": Uncertainty(0.1, 0.0, 0.0015),
    "dead_cells": Uncertainty(0.01, 0.008, 0.02),
    "glucose": Uncertainty(0.5, 0.12),
    "glutamine": Uncertainty(0.2, 0.007),
    "lactate": Uncertainty(0.2, 0.05),
    "ammonia": Uncertainty(0.05, 0.01),
    "product": Uncertainty(0.003, 0.0005),
    "oxygen": Uncertainty(0.02, 0.005),
    "carbon_dioxide": Uncertainty(0.2, 0.02),
    "alkalinity": Uncertainty(1.0, 0.1),
    "osmolytes": Uncertainty(3.0, 0.12),
}

SIGNALS = (
    SignalSettings("dissolved_oxygen", 0.6, 0.0, 0.0, 250.0),
    SignalSettings("pH", 0.02, 0.0, 6.0, 8.0),
    SignalSettings("pCO2", 0.5, 0.02, 0.0, 400.0),
    SignalSettings("weight", 0.7, 0.0, 1000.0, 2200.0),
    SignalSettings("capacitance", 0.01, 0.02, 0.0, 100.0),
    SignalSettings("off_gas_oxygen", 0.15, 0.0, 0.0, 100.0),
    SignalSettings("off_gas_carbon_dioxide", 0.06, 0.0, 0.0, 100.0),
    # A probe, which the demo's plant does not have.
    SignalSettings("glucose", 0.5, 0.03, 0.0, 200.0),
)

ADAPTED = (
    AdaptedParameter("mu_max", 0.15, 0.01, 0.013, 0.117),
    AdaptedParameter("Y_Xglc", 0.12, 0.001, 0.12, 1.07),
    AdaptedParameter("q_O2", 0.05, 0.004, 0.07, 0.6),
)


def settings() -> EstimationSettings:
    """The task as our own filter takes it."""
    return EstimationSettings(
        model=CONTROL,
        initial=INITIAL,
        parameters=CONTROL.nominal_parameters()._asdict(),
        uncertainty=UNCERTAINTY,
        signals=SIGNALS,
        assays=(),
        adapted=ADAPTED,
    )


def problem() -> Problem:
    """The task of the speed comparison."""
    return Problem(settings(), SIGNALS, STEP_H)


def difference(mine: Rival, other: Rival) -> float:
    """Largest difference of two beliefs, in units of the other's standard deviations.

    Of the means; and of the covariances, each entry in units of the product of its two deviations.
    """
    deviation = np.sqrt(np.diag(other.covariance))
    mean = np.max(np.abs(mine.mean - other.mean) / deviation)
    covariance = np.abs(mine.covariance - other.covariance) / np.outer(deviation, deviation)
    largest = float(max(mean, np.max(covariance)))
    return largest if isfinite(largest) else float("inf")
