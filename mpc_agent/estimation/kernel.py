"""What one step of the filter computes: predict and fuse, in square-root form, in JAX.

The covariance is carried as a factor L with P = L L', so it is symmetric and positive by
construction. Prediction linearises the integrator's own step; its noise enters in the middle of
the step. Fusing takes one channel after the other, each with its gate; where a row moved the mean
far, it is fused again, linearised where that led.

Sources: prediction by triangularisation and scalar updates by Potter's form, Bierman (1977),
Factorization Methods for Discrete Sequential Estimation; gate on the normalised innovation,
Bar-Shalom, Li and Kirubarajan (2001), section 5.4.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mpc_agent.estimation.coordinates import Array, Coordinates, value_and_slopes
from plant_models.integrate import SHARE, floors, jax_solution, rk4_rolled, rodas3_step
from plant_models.mixing import broth_of
from plant_models.model import Method


class Row(NamedTuple):
    """What happens until one moment, and what was measured then; in the order of its columns.

    Attributes:
        step_h: length in hours; NaN ends the rows.
        inputs: held over it, shape (inputs,).
        water_L: water that came in at its beginning, beside the inputs; negative when it went.
        withdrawn_L: broth taken out at its beginning.
        opened: above zero: the filter turned out to be wrong and becomes so many times as uncertain
            as it was at inoculation.
        jump: what changed suddenly at its beginning: place of the coordinate, NaN for none; by how
            much; standard deviation of that; hours by which the moment is uncertain; shape (4,).
        marks: count of rejections that a channel is given, NaN where it keeps its own.
        measured: of every channel, NaN where nothing came, shape (channels,).
        inputs_before: inputs before, where they moved by themselves meanwhile; NaN where all that
            acted is known, shape (inputs,).
    """

    step_h: Array
    inputs: Array
    water_L: Array
    withdrawn_L: Array
    opened: Array
    jump: Array
    marks: Array
    measured: Array
    inputs_before: Array


class Predicted(NamedTuple):
    """A prediction: mean, factor, and the transition matrix that leads there."""

    mean: Array
    factor: Array
    transition: Array


class Fused(NamedTuple):
    """What fusing left: mean, factor, counts of rejections; and per channel what it did."""

    mean: Array
    factor: Array
    rejections: Array
    innovations: Array
    gate_ratios: Array
    fused: Array


FAR = 1.0
"""Standard deviations by which a row's channels must have moved the mean for them to be linearised
anew where they moved it: in the first hours, while much is learnt at once."""

MOVED_SHARE = 0.7
"""Standard deviation of what acted between two scans, as a share of how far an input moved in
between: one over the root of two, as for two readings of a loop that hunts."""


class Kernel:
    """The filter's equations for one set of coordinates."""

    def __init__(self, coordinates: Coordinates) -> None:
        self.at = coordinates
        settings, channels = coordinates.settings, coordinates.channels
        model = settings.model
        self._method = model.method
        self._substeps_per_h = max(model.substeps_per_h, coordinates.fastest_lag_per_h())
        self._broth = broth_of(model)
        unbounded = np.full(coordinates.size - coordinates.states, -np.inf)
        self._floors = np.append(floors(model), unbounded)
        self._absolute = np.array([item.absolute for item in channels])
        self._relative = np.array([item.relative for item in channels])
        self._gate = np.array([item.gate for item in channels])
        self._patience = np.array([float(item.readmit_after) for item in channels])
        self._identity = np.eye(coordinates.size)

    # ------------------------------------------------------------------ predict

    def predict(self, z: Array, factor: Array, row: Row) -> Predicted:
        """Mean and covariance one row later; nothing is fused yet."""
        z, unsure, early = self._jumped(z, row)
        z, mixing = value_and_slopes(lambda x: self._mixed(x, row), z)
        ahead, transition = self._flow(z, mixing, row.inputs, row.step_h)
        # Noise acts all the time: on average it has been carried along for half of the step.
        halfway = 0.5 * (transition + self._identity)
        carried = transition @ factor
        noise = jnp.where(
            row.opened > 0,
            self._opening(ahead, carried, row.opened),
            halfway * jnp.hypot(self.at.drift(z) * jnp.sqrt(row.step_h), unsure),
        )
        acted = halfway @ (row.step_h * self._doubt(lambda u: self.at.rate(z, u), row))
        # The lower triangular factor of the sum of these covariances.
        other = jnp.stack([acted, transition @ early], axis=1)
        wide = jnp.concatenate([carried, noise, other], axis=1)
        factor = triangular(wide.T).T
        return Predicted(jnp.clip(ahead, self.at.lower, self.at.upper), factor, transition)

    def _doubt(self, function: Callable[[Array], Array], row: Row) -> Array:
        """How uncertain `function(inputs)` is where inputs moved by themselves, else zero."""
        now = function(row.inputs)

        def apart() -> Array:
            return MOVED_SHARE * (now - function(row.inputs_before))

        moved = jnp.isfinite(row.inputs_before).any()
        doubt: Array = jax.lax.cond(moved, apart, lambda: jnp.zeros_like(now))
        return doubt

    def _jumped(self, z: Array, row: Row) -> tuple[Array, Array, Array]:
        """The mean after a sudden change, and how uncertain its size and its moment leave z.

        One that comes earlier acts for longer, at the rate that it changes.
        """
        place, by, deviation, unsure_h = row.jump
        here = np.arange(self.at.size) == place
        after = jnp.clip(z + jnp.where(here, by, 0.0), self.at.lower, self.at.upper)

        def earlier() -> Array:
            changed: Array = self.at.rate(after, row.inputs) - self.at.rate(z, row.inputs)
            return unsure_h * changed

        nothing = jnp.zeros_like(z)
        early: Array = jax.lax.cond(jnp.isfinite(place), earlier, lambda: nothing)
        return after, jnp.where(here, deviation, 0.0), early

    def _mixed(self, z: Array, row: Row) -> Array:
        """The mean after what came and went at the row's beginning.

        NaN, so that the row is not sound, where more is said to have gone than there was.
        """
        before = z[self._broth.volume]
        state = self._broth.mixed(z[: self.at.states], row.water_L, row.withdrawn_L)
        gone = row.withdrawn_L - row.water_L
        state = jnp.where((gone > 0) & (gone >= before), jnp.nan, state)
        return jnp.concatenate([state, z[self.at.states :]])

    def _flow(self, z: Array, mixing: Array, u: Array, step_h: Array) -> tuple[Array, Array]:
        """The mean after a row, and its derivative by the mean before `mixing` changed it."""
        count = jnp.maximum(1, jnp.ceil(step_h * self._substeps_per_h - 1e-9)).astype(int)
        length_h = step_h / count

        def one(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            before, transition = carry
            after = self._plain_step(lambda x: self.at.rate(x, u), before, length_h)
            middle = 0.5 * (before + after)
            slopes = value_and_slopes(lambda x: self.at.rate(x, u), middle)[1]
            return after, self._linear_step(slopes, transition, length_h)

        carried: tuple[Array, Array] = jax.lax.fori_loop(0, count, one, (z, mixing))
        return carried

    def _plain_step(self, rate: Callable[[Array], Array], z: Array, length_h: Array) -> Array:
        """The integrator's step of z."""
        if self._method is Method.EXPLICIT:
            return rk4_rolled(rate, z, length_h)
        after = rodas3_step(rate, rate(z), jax_solution(rate, z, length_h), z, length_h)
        return jnp.maximum(after, self._floors)

    def _linear_step(self, slopes: Array, transition: Array, length_h: Array) -> Array:
        """The integrator's step of `dT/dt = slopes T`."""

        def rate(matrix: Array) -> Array:
            return slopes @ matrix

        if self._method is Method.EXPLICIT:
            return rk4_rolled(rate, transition, length_h)
        left = self._identity / (SHARE * length_h) - slopes
        factors = jax.scipy.linalg.lu_factor(left)

        def solve(right: Array) -> Array:
            return jax.scipy.linalg.lu_solve(factors, right)

        return rodas3_step(rate, rate(transition), solve, transition, length_h)

    def _opening(self, z: Array, factor: Array, width: Array) -> Array:
        """Noise that makes a filter that turned out to be wrong as uncertain as it should be."""
        variance = jnp.sum(factor**2, axis=1)
        wanted = width * self.at.opened_deviation(z, jnp.sqrt(variance))
        return jnp.diag(jnp.sqrt(jnp.maximum(wanted**2 - variance, 0.0)))

    # ------------------------------------------------------------------ fuse

    def fuse(self, z: Array, factor: Array, rejections: Array, row: Row) -> Fused:
        """Fuse what was measured, channel after channel.

        A count of rejections above its patience marks a suspect: it is watched, not fused, until it
        has agreed as often in a row as its patience.
        """
        doubt = self._doubt(lambda u: self._shown(z, u), row)
        # As the noise is where the row was predicted, wherever it is linearised.
        variances = (
            self._absolute**2 + (self._relative * self._shown(z, row.inputs)) ** 2 + doubt**2
        )
        measured = row.measured
        there = jnp.isfinite(measured)
        order = jnp.argsort(~there)
        nothing = jnp.full(measured.shape, jnp.nan)
        begin = Fused(z, factor, rejections, nothing, nothing, jnp.zeros(measured.shape))
        if not measured.size:
            return begin

        def fused_about(about: Array) -> Fused:
            """All channels, linearised there."""
            expected, slopes = value_and_slopes(lambda x: self._shown(x, row.inputs), about)

            def update(place: int, carry: Fused) -> Fused:
                i = order[place]
                innovation = measured[i] - expected[i] - slopes[i] @ (carry.mean - about)
                return self._updated(carry, i, slopes[i], innovation, variances[i])

            done: Fused = jax.lax.fori_loop(0, there.sum(), update, begin)
            return done

        def is_far(carry: tuple[Array, Array, Fused]) -> Array:
            passes, about, done = carry
            far = (done.mean - about) ** 2 > FAR**2 * jnp.sum(done.factor**2, axis=1)
            return (passes == 0) | ((passes == 1) & far.any())

        def again(carry: tuple[Array, Array, Fused]) -> tuple[Array, Array, Fused]:
            passes, _, done = carry
            about = jnp.clip(done.mean, self.at.lower, self.at.upper)
            return passes + 1, about, fused_about(about)

        done: Fused = jax.lax.while_loop(is_far, again, (jnp.zeros((), int), z, begin))[2]
        return done._replace(mean=jnp.clip(done.mean, self.at.lower, self.at.upper))

    def _updated(
        self, carry: Fused, i: Array, slopes: Array, innovation: Array, variance: Array
    ) -> Fused:
        """One channel fused, or refused by its gate."""
        spread = carry.factor.T @ slopes
        weight = 1 / (spread @ spread + variance)
        ratio = innovation**2 * weight / jnp.asarray(self._gate)[i] ** 2
        fused, count = self._judge(i, ratio, carry.rejections[i])
        # What is not fused may not even be a number.
        gain = jnp.where(fused, weight * (carry.factor @ spread), 0.0)
        shrink = gain / (1 + jnp.where(fused, jnp.sqrt(weight * variance), 0.0))
        return Fused(
            carry.mean + gain * jnp.where(fused, innovation, 0.0),
            carry.factor - jnp.outer(shrink, jnp.where(fused, spread, 0.0)),
            carry.rejections.at[i].set(count),
            carry.innovations.at[i].set(innovation),
            carry.gate_ratios.at[i].set(ratio),
            carry.fused.at[i].set(fused.astype(float)),
        )

    def _shown(self, z: Array, u: Array) -> Array:
        """What every channel should show, shape (channels,)."""
        return self.at.shown(z, self.at.outputs(z, u))

    def counts(self, rejections: Array, row: Row) -> Array:
        """Counts of rejections at a row's end: suspects stay, all others begin anew when opened."""
        forgiven = (row.opened > 0) & (rejections <= self._patience)
        rejections = jnp.where(forgiven, 0.0, rejections)
        return jnp.where(jnp.isfinite(row.marks), row.marks, rejections)

    def _judge(self, i: Array, ratio: Array, count: Array) -> tuple[Array, Array]:
        """Whether a channel is fused, and its count of rejections afterwards."""
        patience = jnp.asarray(self._patience)[i]
        good, suspect = ratio <= 1, count > patience
        watched = jnp.where(count - 1 > patience, count - 1, 0.0)
        if_suspect = jnp.where(good, watched, 2 * patience)
        if_trusted = jnp.where(good, 0.0, jnp.minimum(count + 1, patience))
        return good & ~suspect, jnp.where(suspect, if_suspect, if_trusted)

    # ------------------------------------------------------------------ describe

    def describe(self, z: Array, factor: Array, u: Array) -> tuple[Array, ...]:
        """Means and standard deviations of z, of the outputs and of what is shown, as they are."""

        def natural(x: Array) -> Array:
            outputs = self.at.outputs(x, u)
            return jnp.concatenate([self.at.natural(x), outputs, self.at.shown(x, outputs)])

        values, slopes = value_and_slopes(natural, z)
        deviations = jnp.sqrt(jnp.sum((slopes @ factor) ** 2, axis=1))
        ends = np.cumsum([self.at.size, len(self.at.settings.model.output_names)])
        pairs = zip(jnp.split(values, ends), jnp.split(deviations, ends), strict=True)
        return tuple(item for pair in pairs for item in pair)

    # ------------------------------------------------------------------ a whole row

    def step(self, z: Array, factor: Array, rejections: Array, row: Row) -> tuple[Fused, Array]:
        """Predict and fuse one row; a row that the equations cannot take changes nothing.

        Inputs such as no gas at all must not spoil the belief for ever. Also returns whether the
        row was sound.
        """
        predicted = self.predict(z, factor, row)
        rejections = self.counts(rejections, row)
        fused = self.fuse(predicted.mean, predicted.factor, rejections, row)
        # In squares: a factor that large is no covariance, even where bounds hold the mean.
        sound = jnp.isfinite(fused.mean).all() & jnp.isfinite(jnp.sum(fused.factor**2))
        nothing = jnp.full(row.measured.shape, jnp.nan)
        before = Fused(z, factor, rejections, nothing, nothing, jnp.zeros(row.measured.shape))
        kept = [jnp.where(sound, new, old) for new, old in zip(fused, before, strict=True)]
        return Fused(*kept), sound


def triangular(stacked: Array) -> Array:
    """The upper triangular R with R' R = A' A, shape (n, n), of A with at least n rows.

    Householder's reflections, one column after the other; Golub and Van Loan (2013), Matrix
    Computations, section 5.2. As fast as the library's for matrices as small as these, and the
    library need not be loaded: the agent starts an eighth earlier.
    """
    rows = np.arange(stacked.shape[0])

    def reflect(column: Array, matrix: Array) -> Array:
        below = jnp.where(rows >= column, matrix[:, column], 0.0)
        length = jnp.sqrt(below @ below)
        # Away from the first entry, so that nothing cancels.
        target = jnp.where(below[column] > 0, -length, length)
        normal = below - jnp.where(rows == column, target, 0.0)
        squared = normal @ normal
        share = jnp.where(squared > 0, 2 / squared, 0.0)
        return matrix - jnp.outer(normal, share * (normal @ matrix))

    n = stacked.shape[1]
    reflected: Array = jax.lax.fori_loop(0, n, reflect, stacked)
    return jnp.triu(reflected[:n])
