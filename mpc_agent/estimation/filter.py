"""The extended Kalman filter: square-root form, in JAX, compiled once.

The filter's coordinates z are the model's states followed by the logarithms of the adapted
parameters, which drift slowly: an unknown parameter is a state with zero derivative. The covariance
is carried as a factor L with P = L L', so it is symmetric and positive by construction.

Sources: prediction by triangularisation and scalar updates by Potter's form, Bierman (1977),
Factorization Methods for Discrete Sequential Estimation; gate on the normalised innovation,
Bar-Shalom, Li and Kirubarajan (2001), section 5.4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mpc_agent.estimation.settings import EstimationSettings, SignalSettings
from mpc_agent.values import Estimate, Floats
from plant_models.dialect import JAX
from plant_models.integrate import jax_step, substeps


def _configure(option: str, value: object) -> None:
    jax.config.update(option, value)  # type: ignore[no-untyped-call]


_configure("jax_enable_x64", True)
# One process, one small filter: hopping threads costs more than it gives.
_configure("jax_cpu_enable_async_dispatch", False)

Array: TypeAlias = Any
"""What JAX computes with: an array, or a tracer of one."""

Carry: TypeAlias = tuple[Array, ...]
"""What passes from one scalar update to the next."""


MOST_STEPS = 5000
"""Most steps that a gap is bridged in, a month of ten minutes each: a wrong clock must not keep the
filter busy for ever."""


def keep_compiled(folder: str) -> None:
    """Keep compiled code in `folder`, so that the next start need not compile again."""
    _configure("jax_compilation_cache_dir", folder)
    _configure("jax_persistent_cache_min_compile_time_secs", 0.0)
    _configure("jax_persistent_cache_min_entry_size_bytes", -1)


@dataclass(frozen=True, slots=True)
class Belief:
    """Mean and covariance factor at one moment, and how often each signal was refused lately.

    Attributes:
        mean: z, shape (n,).
        factor: L with covariance L L', shape (n, n).
        online_rejections: consecutive gate rejections per online signal, shape (signals,).
        assay_rejections: the same per assay, shape (assays,).
    """

    mean: Floats
    factor: Floats
    online_rejections: Floats
    assay_rejections: Floats

    @property
    def finite(self) -> bool:
        """Whether mean and covariance are numbers."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(self.factor).all())


@dataclass(frozen=True, slots=True)
class Update:
    """What fusing one set of measurements did.

    Attributes:
        belief: belief afterwards.
        innovations: measured minus predicted, NaN where nothing was offered.
        gate_ratios: squared normalised innovation over the squared gate; above one is refused.
        fused: whether each measurement was used.
    """

    belief: Belief
    innovations: Floats
    gate_ratios: Floats
    fused: Floats


class Description(NamedTuple):
    """A belief in the model's own units: means and standard deviations."""

    mean: Floats
    deviation: Floats
    outputs: Floats
    output_deviation: Floats


class ExtendedKalmanFilter:
    """Predict, update and describe for one model and one set of signals."""

    def __init__(self, settings: EstimationSettings, period_h: float) -> None:
        """Trace the filter for cycles of up to `period_h` hours; compilation is at first use."""
        model = settings.model
        self.settings = settings
        self.period_h = period_h
        self.states = len(model.states)
        self.size = self.states + len(settings.adapted)
        self._build_noise(settings)
        nominal = np.array([settings.parameters[name] for name in model.parameter_names])
        learnt = np.array(
            [model.parameter_names.index(item.name) for item in settings.adapted], dtype=int
        )
        count = substeps(model, period_h)

        def parameters(z: Array) -> Array:
            return jnp.asarray(nominal).at[learnt].set(jnp.exp(z[self.states :]))

        def flow(z: Array, u: Array, step_h: Array) -> Array:
            p = parameters(z)

            def one(_: int, x: Array) -> Array:
                return jax_step(model, x, u, p, step_h / count)

            x = jax.lax.fori_loop(0, count, one, z[: self.states])
            return jnp.concatenate([x, z[self.states :]])

        def outputs(z: Array, u: Array) -> Array:
            return model.output_vector(z[: self.states], u, parameters(z), JAX)

        self._parameters = jax.jit(parameters)
        self._predict = jax.jit(self._predictor(flow))
        self._describe = jax.jit(self._describer(outputs))
        self._update_online = jax.jit(self._updater(outputs, settings.signals))
        self._update_assays = jax.jit(self._updater(outputs, settings.assays))

    def _build_noise(self, settings: EstimationSettings) -> None:
        model = settings.model
        rows = [settings.uncertainty[name] for name in model.state_names]
        self._initial_deviation = np.array(
            [row.initial for row in rows] + [item.deviation for item in settings.adapted]
        )
        self._drift = np.array(
            [row.drift for row in rows] + [item.drift for item in settings.adapted]
        )
        self._relative_drift = np.array(
            [row.relative_drift for row in rows] + [0.0] * len(settings.adapted)
        )
        self._lower = np.array(
            [state.lower for state in model.states.values()]
            + [np.log(item.lower) for item in settings.adapted]
        )
        self._upper = np.array(
            [state.upper for state in model.states.values()]
            + [np.log(item.upper) for item in settings.adapted]
        )

    def _predictor(self, flow: Callable[[Array, Array, Array], Array]) -> Callable[..., Any]:
        def predict(z: Array, factor: Array, u: Array, step_h: Array) -> tuple[Array, Array]:
            ahead = flow(z, u, step_h)
            jacobian = jax.jacfwd(flow)(z, u, step_h)
            deviation = self._drift + self._relative_drift * jnp.where(
                jnp.arange(self.size) < self.states, jnp.abs(z), 0.0
            )
            noise = jnp.diag(deviation * jnp.sqrt(step_h))
            wide = jnp.concatenate([jacobian @ factor, noise], axis=1)
            triangle = jnp.linalg.qr(wide.T, mode="r").T
            return jnp.clip(ahead, self._lower, self._upper), triangle

        return predict

    def _updater(
        self, outputs: Callable[[Array, Array], Array], signals: tuple[SignalSettings, ...]
    ) -> Callable[..., Any]:
        names = self.settings.model.output_names
        rows = np.array([names.index(item.name) for item in signals], dtype=int)
        absolute = jnp.array([item.absolute for item in signals])
        relative = jnp.array([item.relative for item in signals])
        gate = jnp.array([item.gate for item in signals])
        patience = jnp.array([item.readmit_after for item in signals])

        def scalar_update(carry: Carry, i: Array) -> tuple[Carry, tuple[Array, ...]]:
            z, factor, rejections, start, predicted, jacobian, measured = carry
            offered = jnp.isfinite(measured[i])
            h = jacobian[i]
            innovation = measured[i] - predicted[i] - h @ (z - start)
            variance = absolute[i] ** 2 + (relative[i] * predicted[i]) ** 2
            spread = factor.T @ h
            total = spread @ spread + variance
            ratio = innovation**2 / (total * gate[i] ** 2)
            # A signal refused for long is believed again, just as far as the gate allows: then it
            # is the filter that is wrong, and a filter must not lock itself out.
            readmitted = (ratio > 1) & (rejections[i] >= patience[i])
            variance = jnp.where(readmitted, variance + total * (ratio - 1), variance)
            fused = offered & ((ratio <= 1) | readmitted)
            weight = 1 / (spread @ spread + variance)
            gain = weight * (factor @ spread)
            shrink = weight / (1 + jnp.sqrt(weight * variance))
            z_after = z + gain * innovation
            factor_after = factor - shrink * jnp.outer(factor @ spread, spread)
            z = jnp.where(fused, z_after, z)
            factor = jnp.where(fused, factor_after, factor)
            count = jnp.where(fused, 0.0, rejections[i] + 1)
            rejections = rejections.at[i].set(jnp.where(offered, count, rejections[i]))
            carry = (z, factor, rejections, start, predicted, jacobian, measured)
            return carry, (innovation, ratio, fused)

        def update(
            z: Array, factor: Array, rejections: Array, u: Array, measured: Array
        ) -> tuple[Array, ...]:
            predicted = outputs(z, u)[rows]
            jacobian = jax.jacfwd(outputs)(z, u)[rows]
            carry: Carry = (z, factor, rejections, z, predicted, jacobian, measured)
            carry, (innovations, ratios, fused) = jax.lax.scan(
                scalar_update, carry, jnp.arange(len(signals))
            )
            mean = jnp.clip(carry[0], self._lower, self._upper)
            return mean, carry[1], carry[2], innovations, ratios, fused

        return update

    def _describer(self, outputs: Callable[[Array, Array], Array]) -> Callable[..., Any]:
        def describe(z: Array, factor: Array, u: Array) -> tuple[Array, ...]:
            values = outputs(z, u)
            spread = jax.jacfwd(outputs)(z, u) @ factor
            deviation = jnp.sqrt(jnp.sum(factor**2, axis=1))
            natural = jnp.concatenate([z[: self.states], jnp.exp(z[self.states :])])
            scale = jnp.concatenate([jnp.ones(self.states), jnp.exp(z[self.states :])])
            return natural, deviation * scale, values, jnp.sqrt(jnp.sum(spread**2, axis=1))

        return describe

    def compile(self) -> None:
        """Compile everything now, so that no cycle has to wait for it."""
        belief = self.initial()
        inputs = np.array(self.settings.model.nominal_inputs(), dtype=np.float64)
        belief = self.predict(belief, inputs, self.period_h)
        self.fuse_online(belief, inputs, np.full(len(self.settings.signals), np.nan))
        self.fuse_assays(belief, inputs, np.full(len(self.settings.assays), np.nan))
        self.describe(belief, inputs)
        self.parameters(belief)

    def initial(self) -> Belief:
        """Belief at inoculation."""
        settings, model = self.settings, self.settings.model
        mean = [settings.initial[name] for name in model.state_names]
        mean += [np.log(settings.parameters[item.name]) for item in settings.adapted]
        return Belief(
            mean=np.array(mean),
            factor=np.diag(self._initial_deviation),
            online_rejections=np.zeros(len(settings.signals)),
            assay_rejections=np.zeros(len(settings.assays)),
        )

    def predict(self, belief: Belief, inputs: Floats, step_h: float) -> Belief:
        """Belief `step_h` hours later under constant inputs; long gaps go in several steps."""
        mean, factor = belief.mean, belief.factor
        pieces = int(np.clip(np.ceil(step_h / self.period_h - 1e-9), 1, MOST_STEPS))
        for _ in range(pieces):
            mean, factor = self._predict(mean, factor, inputs, step_h / pieces)
        return Belief(
            np.asarray(mean), np.asarray(factor), belief.online_rejections, belief.assay_rejections
        )

    def fuse_online(self, belief: Belief, inputs: Floats, measured: Floats) -> Update:
        """Fuse online signals; NaN means not there. Inputs matter for the off-gas."""
        mean, factor, rejections, *report = self._update_online(
            belief.mean, belief.factor, belief.online_rejections, inputs, measured
        )
        after = Belief(
            np.asarray(mean), np.asarray(factor), np.asarray(rejections), belief.assay_rejections
        )
        return Update(after, *(np.asarray(item) for item in report))

    def fuse_assays(self, belief: Belief, inputs: Floats, measured: Floats) -> Update:
        """Fuse lab assays of one moment; NaN means not there."""
        mean, factor, rejections, *report = self._update_assays(
            belief.mean, belief.factor, belief.assay_rejections, inputs, measured
        )
        after = Belief(
            np.asarray(mean), np.asarray(factor), belief.online_rejections, np.asarray(rejections)
        )
        return Update(after, *(np.asarray(item) for item in report))

    def describe(self, belief: Belief, inputs: Floats) -> Description:
        """Means and deviations in the model's units."""
        return Description(
            *(np.asarray(item) for item in self._describe(belief.mean, belief.factor, inputs))
        )

    def moved(self, estimate: Estimate, step: Floats) -> tuple[Floats, Floats]:
        """State and parameters of the model at the estimate plus `step` in the filter's z."""
        z = estimate.mean.copy()
        z[self.states :] = np.log(z[self.states :])
        z = np.clip(z + step, self._lower, self._upper)
        return z[: self.states], np.asarray(self._parameters(z))

    def parameters(self, belief: Belief) -> Floats:
        """All parameters of the model, the learnt ones as believed, shape (parameters,)."""
        return np.asarray(self._parameters(belief.mean))
