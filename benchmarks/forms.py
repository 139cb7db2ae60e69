"""Three forms of the Kalman filter on the same equations: extended, iterated, unscented.

The iterated form finds the most probable state by Gauss and Newton, linearising the measurements
again at each iterate (Bell and Cathey (1993), IEEE Trans. Autom. Control 38:294). The unscented one
carries sigma points through the integrator and the measurements (Julier and Uhlmann (2004), Proc.
IEEE 92:401), with square roots by triangularisation: points at sqrt(3) deviations, and the free
parameter beta such that the centre has no weight in covariances, which are sums of squares then.
Points are kept within the bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mpc_agent.estimation.coordinates import Array, value_and_slopes
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.kernel import Kernel, Row

ITERATIONS = 4
"""Linearisations of the measurements in the iterated form; the first is the extended form's."""

REACH = float(np.sqrt(3.0))
"""Distance of sigma points in deviations: it matches a normal distribution's fourth moment."""


State: TypeAlias = tuple[Array, Array, Array]
"""Mean, factor, counts of rejections."""

Step: TypeAlias = Callable[[Kernel, State, Row], State]


@dataclass(frozen=True)
class Form:
    """One form of the filter."""

    name: str
    step: Step

    def march(self, kalman: ExtendedKalmanFilter) -> Callable[[State, Array], tuple[Array, Array]]:
        """March through a table of rows: means and factors after each."""
        kernel = kalman.kernel

        def one(state: State, columns: Array) -> tuple[State, tuple[Array, Array]]:
            after = self.step(kernel, state, kalman.columns(columns))
            return after, after[:2]

        def run(start: State, table: Array) -> tuple[Array, Array]:
            told: tuple[Array, Array] = jax.lax.scan(one, start, table)[1]
            return told

        return run


class Linear(NamedTuple):
    """Measurements in the coordinates a of z = mean + factor a, those that are fused alone.

    Attributes:
        slopes: of the expected values by a, zero where nothing is fused, shape (channels, n).
        residual: measured minus expected at a = 0, shape (channels,).
        noise: covariance of the noise, shape (channels, channels).
    """

    slopes: Array
    residual: Array
    noise: Array


def extended(kernel: Kernel, state: State, row: Row) -> State:
    """The agent's own step."""
    fused, _ = kernel.step(*state, row)
    return fused.mean, fused.factor, fused.rejections


def iterated(kernel: Kernel, state: State, row: Row) -> State:
    """Predict as the extended form; fuse at the most probable state."""
    predicted = kernel.predict(state[0], state[1], row)
    mean, factor = predicted.mean, predicted.factor

    def shown(z: Array) -> Array:
        return kernel.at.shown(z, kernel.at.outputs(z, row.inputs))

    expected, slopes = value_and_slopes(shown, mean)
    variance = _variance(kernel, expected)
    used, rejections = _gated(kernel, state[2], row, expected, slopes @ factor, variance)

    def iterate(_: int, offset: Array) -> Array:
        z = mean + factor @ offset
        there, steeper = value_and_slopes(shown, z)
        residual = row.measured - there + steeper @ (z - mean)
        return _solved(_masked(steeper @ factor, residual, jnp.diag(variance), used))[0]

    offset = jax.lax.fori_loop(0, ITERATIONS - 1, iterate, jnp.zeros_like(mean))
    z = mean + factor @ offset
    there, slopes = value_and_slopes(shown, z)
    residual = row.measured - there + slopes @ (z - mean)
    last = _masked(slopes @ factor, residual, jnp.diag(variance), used)
    offset, left = _solved(last)
    return _kept(kernel, state, (mean + factor @ offset, factor @ left, rejections))


def unscented(kernel: Kernel, state: State, row: Row) -> State:
    """Predict and fuse by sigma points."""
    mean, factor = _unscented_prediction(kernel, state[0], state[1], row)
    points = _points(kernel, mean, factor)
    shown = jax.vmap(lambda z: kernel.at.shown(z, kernel.at.outputs(z, row.inputs)))(points)
    expected, odd, even = _moments(shown)
    variance = _variance(kernel, expected)
    noise = jnp.diag(variance) + even.T @ even
    used, rejections = _gated(kernel, state[2], row, expected, odd.T, jnp.diag(noise))
    offset, left = _solved(_masked(odd.T, row.measured - expected, noise, used))
    return _kept(kernel, state, (mean + factor @ offset, factor @ left, rejections))


def _unscented_prediction(kernel: Kernel, z: Array, factor: Array, row: Row) -> tuple[Array, Array]:
    """Mean and factor one row later; half of the noise enters before and half after.

    The middle of the step, where the extended form's noise enters, is nowhere here; to second order
    in the step's length this is the same.
    """
    half = jnp.diag(kernel.at.drift(z) * jnp.sqrt(row.step_h / 2))
    factor = jnp.linalg.qr(jnp.concatenate([factor.T, half]), mode="r").T
    ahead = jax.vmap(lambda x: _ahead(kernel, x, row))(_points(kernel, z, factor))
    mean, odd, even = _moments(ahead)
    grown = jnp.linalg.qr(jnp.concatenate([odd, even, half]), mode="r").T
    return jnp.clip(mean, kernel.at.lower, kernel.at.upper), grown


def _ahead(kernel: Kernel, z: Array, row: Row) -> Array:
    """One point a row later, by the steps of the extended form."""
    count = jnp.maximum(1, jnp.ceil(row.step_h * kernel._substeps_per_h - 1e-9)).astype(int)  # noqa: SLF001

    def rate(x: Array) -> Array:
        return kernel.at.rate(x, row.inputs)

    def one(_: int, x: Array) -> Array:
        return kernel._plain_step(rate, x, row.step_h / count)  # noqa: SLF001

    begun = kernel._mixed(z, row)  # noqa: SLF001
    ended: Array = jax.lax.fori_loop(0, count, one, begun)
    return ended


def _points(kernel: Kernel, mean: Array, factor: Array) -> Array:
    """The mean, and a point on either side along each column, shape (1 + 2 n, n)."""
    away = REACH * factor.T
    points = jnp.concatenate([mean[None], mean + away, mean - away])
    return jnp.clip(points, kernel.at.lower, kernel.at.upper)


def _moments(values: Array) -> tuple[Array, Array, Array]:
    """Mean of what the points became, and two stacks of rows whose squares make its covariance.

    The first stack is what is odd along each column: the slopes by the coordinates a.
    """
    n = (len(values) - 1) // 2
    centre, plus, minus = values[0], values[1 : n + 1], values[n + 1 :]
    mean = centre + jnp.sum(plus + minus - 2 * centre, axis=0) / (2 * REACH**2)
    return mean, (plus - minus) / (2 * REACH), ((plus + minus) / 2 - mean) / REACH


def _variance(kernel: Kernel, expected: Array) -> Array:
    """Variances of the channels' noise."""
    channels = kernel.at.channels
    absolute = np.array([item.absolute for item in channels])
    relative = np.array([item.relative for item in channels])
    return absolute**2 + (relative * expected) ** 2


def _gated(
    kernel: Kernel, rejections: Array, row: Row, expected: Array, spread: Array, variance: Array
) -> tuple[Array, Array]:
    """Which channels are fused, and the counts of rejections, by the agent's rules.

    `spread` are the slopes by a, shape (channels, n).
    """
    rejections = jnp.where(row.opened > 0, 0.0, rejections)
    rejections = jnp.where(jnp.isfinite(row.marks), row.marks, rejections)
    there = jnp.isfinite(row.measured)
    gate = np.array([item.gate for item in kernel.at.channels])
    ratio = (row.measured - expected) ** 2 / (jnp.sum(spread**2, axis=1) + variance) / gate**2
    good, counts = jax.vmap(kernel._judge)(jnp.arange(len(gate)), ratio, rejections)  # noqa: SLF001
    return there & good, jnp.where(there, counts, rejections)


def _masked(slopes: Array, residual: Array, noise: Array, used: Array) -> Linear:
    """The measurements without those that are not used."""
    both = used[:, None] & used[None, :]
    return Linear(
        jnp.where(used[:, None], slopes, 0.0),
        jnp.where(used, residual, 0.0),
        jnp.where(both, noise, jnp.eye(len(used))),
    )


def _solved(linear: Linear) -> tuple[Array, Array]:
    """The most probable a, and a factor of its covariance."""
    root = jnp.linalg.cholesky(linear.noise)
    slopes = jax.scipy.linalg.solve_triangular(root, linear.slopes, lower=True)
    residual = jax.scipy.linalg.solve_triangular(root, linear.residual, lower=True)
    n = slopes.shape[1]
    information = jnp.linalg.cholesky(jnp.eye(n) + slopes.T @ slopes)
    offset = jax.scipy.linalg.cho_solve((information, True), slopes.T @ residual)
    left = jax.scipy.linalg.solve_triangular(information, jnp.eye(n), lower=True).T
    return offset, left


def _kept(kernel: Kernel, before: State, after: State) -> State:
    """The step, within bounds; one that cannot be computed changes nothing."""
    mean, factor, rejections = after
    sound = jnp.isfinite(mean).all() & jnp.isfinite(jnp.sum(factor**2))
    clipped = (jnp.clip(mean, kernel.at.lower, kernel.at.upper), factor, rejections)
    old_mean, old_factor, old_rejections = before
    return (
        jnp.where(sound, clipped[0], old_mean),
        jnp.where(sound, clipped[1], old_factor),
        jnp.where(sound, clipped[2], old_rejections),
    )


FORMS = (Form("extended", extended), Form("iterated", iterated), Form("unscented", unscented))
