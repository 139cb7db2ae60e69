"""The filter's own coordinates z: what it knows and how it moves, as functions of JAX.

z holds, in this order, the states of the model; the learnt parameters, positive ones as logarithms;
the offsets of the signals that have one; and what lagging probes show. An unknown that drifts
slowly is a state with zero derivative: there is no second mechanism.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.values import Floats
from plant_models.dialect import JAX, NUMPY

Array: TypeAlias = Any
"""What JAX computes with: an array, or a tracer of one."""


class Coordinates:
    """Names, bounds, noise and equations of z for one model and one set of signals.

    Attributes:
        names: of each coordinate.
        size: how many there are, n.
        states: how many of them are states of the model.
        learnt: how many are learnt parameters.
        channels: every signal and then every assay, the order of all measurements.
        lower, upper: bounds of z, shape (n,).
        outputs: function `(z, u)` that gives the outputs of the model, shape (outputs,).
        rate: function `(z, u)` that gives dz/dt in 1/h, shape (n,).
    """

    def __init__(self, settings: EstimationSettings) -> None:
        model = settings.model
        self.settings = settings
        self.channels = (*settings.signals, *settings.assays)
        self.states, self.learnt = len(model.states), len(settings.adapted)
        biased = [item for item in self.channels if item.bias is not None]
        lagged = [item for item in self.channels if item.lag_s > 0]
        self.names = (
            *model.state_names,
            *(item.name for item in settings.adapted),
            *(f"{item.name}.bias" for item in biased),
            *(f"{item.name}.shown" for item in lagged),
        )
        self.size = len(self.names)
        self.biases = slice(self.states + self.learnt, self.states + self.learnt + len(biased))
        self._lags = slice(self.biases.stop, self.size)
        self._biased = np.array([self.channels.index(item) for item in biased], dtype=int)
        self._lagged = np.array([self.channels.index(item) for item in lagged], dtype=int)
        self._lag_h = np.array([item.lag_s / 3600 for item in lagged])
        names = model.output_names
        self._shown = np.array([names.index(item.shows) for item in self.channels], dtype=int)
        self._places = np.array(
            [model.parameter_names.index(item.name) for item in settings.adapted], dtype=int
        )
        self._logarithmic = np.array([item.logarithmic for item in settings.adapted], dtype=bool)
        self._nominal = np.array([settings.parameters[name] for name in model.parameter_names])
        self._set_bounds_and_noise()
        # Traced once and called from there on: the filter has them in half a dozen places.
        self.outputs: Callable[[Array, Array], Array] = jax.jit(self._outputs)
        self.rate: Callable[[Array, Array], Array] = jax.jit(self._rate)

    def _set_bounds_and_noise(self) -> None:
        settings, model = self.settings, self.settings.model
        rows = [settings.uncertainty[name] for name in model.state_names]
        biases = [item.bias for item in self.channels if item.bias is not None]
        free = self.size - self.states - self.learnt
        shown = self.size - self._lags.start
        ranges = [
            np.log([item.lower, item.upper]) if item.logarithmic else (item.lower, item.upper)
            for item in settings.adapted
        ]
        self.lower = np.array(
            [state.lower for state in model.states.values()]
            + [float(low) for low, _ in ranges]
            + [-np.inf] * free
        )
        self.upper = np.array(
            [state.upper for state in model.states.values()]
            + [float(high) for _, high in ranges]
            + [np.inf] * free
        )
        learnt = settings.adapted
        self.initial_deviation = np.array(
            [row.initial for row in rows]
            + [item.deviation for item in learnt]
            + [bias.deviation for bias in biases]
            + [self.channels[i].absolute for i in self._lagged]
        )
        self._drift = np.array(
            [row.drift for row in rows]
            + [item.drift for item in learnt]
            + [bias.drift for bias in biases]
            + [0.0] * shown
        )
        relative = [row.relative_drift for row in rows]
        self._relative_drift = np.array(relative + [0.0] * (self.size - self.states))
        started = np.array([settings.initial[name] for name in model.state_names])
        # How uncertain each state was at inoculation, as a share of its value where it had one.
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(started > 0, self.initial_deviation[: self.states] / started, 0.0)
        self._relative_initial = np.append(share, np.zeros(self.size - self.states))

    # ------------------------------------------------------------------ at inoculation

    def initial_mean(self, inputs: Floats) -> Floats:
        """The mean at inoculation under these inputs, shape (n,)."""
        settings, model = self.settings, self.settings.model
        state = np.array([settings.initial[name] for name in model.state_names])
        outputs = np.asarray(model.output_vector(state, inputs, self._nominal, NUMPY))
        learnt = [
            np.log(settings.parameters[item.name])
            if item.logarithmic
            else settings.parameters[item.name]
            for item in settings.adapted
        ]
        offsets = np.zeros(self.biases.stop - self.biases.start)
        mean: Floats = np.concatenate([state, learnt, offsets, outputs[self._shown[self._lagged]]])
        return mean

    def initial_factor(self, inputs: Floats) -> Floats:
        """Factor of the covariance at inoculation, with the correlations given, shape (n, n).

        What a lagging probe shows is as uncertain as what it measures, and together with it.
        """
        correlation = np.eye(self.size)
        for item in self.settings.correlations:
            i, j = self.names.index(item.first), self.names.index(item.second)
            correlation[i, j] = correlation[j, i] = item.value
        factor: Floats = self.initial_deviation[:, None] * np.linalg.cholesky(correlation)
        if self._lagged.size:
            mean = self.initial_mean(inputs)
            slopes = jax.jacfwd(lambda z: self._outputs(z, inputs))(mean)
            factor[self._lags] += np.asarray(slopes)[self._shown[self._lagged]] @ factor
        return factor

    # ------------------------------------------------------------------ in the model's units

    def from_natural(self, mean: Floats) -> Floats:
        """Coordinates of states and learnt parameters given in their own units."""
        z = mean.copy()
        learnt = z[self.states :]
        with np.errstate(invalid="ignore", divide="ignore"):
            z[self.states :] = np.where(self._logarithmic, np.log(learnt), learnt)
        return z

    def parameter_values(self, z: Floats) -> Floats:
        """All parameters of the model, the learnt ones from z, shape (parameters,)."""
        values = self._nominal.copy()
        learnt = z[self.states : self.states + self.learnt]
        values[self._places] = np.where(self._logarithmic, np.exp(learnt), learnt)
        return values

    # ------------------------------------------------------------------ equations

    def natural(self, z: Array) -> Array:
        """The coordinates with logarithms undone, shape (n,)."""
        learnt = z[self.states : self.states + self.learnt]
        undone = jnp.where(self._logarithmic, jnp.exp(learnt), learnt)
        return jnp.concatenate([z[: self.states], undone, z[self.states + self.learnt :]])

    def _outputs(self, z: Array, u: Array) -> Array:
        """Outputs of the model, shape (outputs,)."""
        return JAX.stack(self.settings.model.outputs(*self._given(z, u), JAX))

    def _rate(self, z: Array, u: Array) -> Array:
        """dz/dt in 1/h: the model's equations, and lagging probes that follow what they measure."""
        rate = JAX.stack(self.settings.model.rhs(*self._given(z, u), JAX))
        still = jnp.zeros(self._lags.start - self.states)
        if not self._lagged.size:
            return jnp.concatenate([rate, still])
        true = self.outputs(z, u)[self._shown[self._lagged]]
        return jnp.concatenate([rate, still, (true - z[self._lags]) / self._lag_h])

    def _given(self, z: Array, u: Array) -> tuple[Any, Any, Any]:
        """State, inputs and parameters by name.

        Parameters that are not learnt are plain numbers: the compiler computes with them before it
        starts, and nothing has to be put into a vector and taken out of it again.
        """
        model = self.settings.model
        values: dict[str, Array] = dict(self.settings.parameters)
        for i, item in enumerate(self.settings.adapted, start=self.states):
            values[item.name] = jnp.exp(z[i]) if item.logarithmic else z[i]
        return (
            model.State(*JAX.unstack(z[: self.states])),
            model.Inputs(*JAX.unstack(u)),
            model.Parameters(*(values[name] for name in model.parameter_names)),
        )

    def shown(self, z: Array, outputs: Array) -> Array:
        """What every channel is expected to show where these are the outputs, shape (channels,)."""
        values = outputs[self._shown]
        if self._lagged.size:
            values = values.at[self._lagged].set(z[self._lags])
        return values.at[self._biased].add(z[self.biases]) if self._biased.size else values

    def drift(self, z: Array) -> Array:
        """Process noise as standard deviation per square root of hour, shape (n,)."""
        return self._drift + self._relative_drift * jnp.abs(z)

    def opened_deviation(self, z: Array, deviation: Array) -> Array:
        """How uncertain z is when the filter turned out to be wrong, shape (n,).

        As at inoculation, in absolute terms or as a share of the value, and states at least OPENING
        times as uncertain as believed. What is learnt and never measured would not come back from
        that: it is opened to what the site thought of it.
        """
        once = jnp.maximum(self.initial_deviation, self._relative_initial * jnp.abs(z))
        return jnp.maximum(
            once, jnp.where(np.arange(self.size) < self.states, OPENING, 1) * deviation
        )

    # ------------------------------------------------------------------ speed

    def fastest_lag_per_h(self) -> float:
        """Steps per hour that the fastest lagging probe needs, zero without any."""
        return float(STEPS_PER_LAG / self._lag_h.min()) if self._lagged.size else 0.0


OPENING = 3.0
"""How many times as uncertain a filter becomes that turned out to be wrong: what was out of its
99 % band is then within one deviation."""

STEPS_PER_LAG = 1.0
"""Steps of the integrator per time constant of a probe: well inside the stability of both."""


def value_and_slopes(function: Callable[[Array], Array], z: Array) -> tuple[Array, Array]:
    """`function(z)` and its Jacobian, from one linearisation."""
    value, push = jax.linearize(function, z)
    return value, jax.vmap(push, out_axes=1)(jnp.eye(z.shape[0]))
