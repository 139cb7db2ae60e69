"""The fixed-interval smoother: what every moment was like, by all that is known afterwards.

It marches forward as the filter does, gates included, and then back from the end (Rauch, Tung and
Striebel). Covariances are carried as factors in both directions. With P = L L' before a row, its
transition F and its noise N N', one triangularisation

    [ L' F'  L' ]       [ A  B ]
    [ N'     0  ]  = Q  [ 0  C ]

gives the smoother's gain G' = A^-1 B and a factor C of what the future cannot tell of the past,
C' C = P - G (F P F' + N N') G'. The smoothed covariance is a sum of two squares, C' C + G S G' with
the smoothed covariance S one row later, so it is positive by construction: nothing is ever
subtracted, whatever the conditioning.

Sources: Rauch, Tung and Striebel (1965), AIAA J. 3:1445-1450; in square-root form Park and Kailath
(1995), Int. J. Control 62:1049-1060, and Arasaratnam and Haykin (2011), Automatica 47:2245-2250.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mpc_agent.estimation.booking import enter
from mpc_agent.estimation.coordinates import Array
from mpc_agent.estimation.filter import COMPILER, Belief, ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Book, Step
from mpc_agent.estimation.kernel import Kernel, Predicted, Row
from mpc_agent.estimation.timeline import Timeline, late_values, timeline
from mpc_agent.values import Dose, Floats, Sample

CHUNK = 256
"""Rows in one call: their links stay in the processor's cache, and little is lost by padding."""

ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What was believed at the end of every row, in the model's own units.

    Attributes:
        means: states, then learnt parameters, then offsets and what lagging probes show, shape
            (rows, n).
        deviations: standard deviations of `means`.
        outputs: outputs of the model, shape (rows, outputs).
        output_deviations: standard deviations of `outputs`.
    """

    means: Floats
    deviations: Floats
    outputs: Floats
    output_deviations: Floats


class _Link(NamedTuple):
    """How the belief before a row depends on the one after it.

    Attributes:
        before: mean before the row, shape (n,).
        predicted: mean at its end before anything was fused, shape (n,).
        gain: G', shape (n, n).
        rest: C, shape (n, n).
    """

    before: Array
    predicted: Array
    gain: Array
    rest: Array


def smooth(kalman: ExtendedKalmanFilter, belief: Belief, rows: Floats) -> Smoothed:
    """Smooth over rows; compiled at first use.

    Args:
        kalman: the filter.
        belief: before the first row.
        rows: as made by `ExtendedKalmanFilter.rows`, shape (rows, width).
    """
    kernel, count = kalman.kernel, len(rows)
    padded = np.full((max(1, -(-count // CHUNK)) * CHUNK, kalman.width), np.nan)
    padded[:count] = rows
    chunks = np.split(padded, len(padded) // CHUNK)
    state = (belief.mean, belief.factor, belief.rejections)
    links = []
    for chunk in chunks:
        state, link = _forward(kernel, state, chunk)
        links.append(link)
    later, told = state[:2], []
    for chunk in reversed(chunks):
        # Each chunk's links are let go as soon as they were used.
        later, described = _backward(kernel, later, links.pop(), chunk)
        told.append([np.asarray(part) for part in described])
    columns = zip(*reversed(told), strict=True)
    return Smoothed(*(np.concatenate(column)[:count] for column in columns))


def whole_timeline(
    kalman: ExtendedKalmanFilter,
    start_s: float,
    steps: Sequence[Step],
    samples: Iterable[Sample] = (),
    doses: Iterable[Dose] = (),
) -> Timeline:
    """Rows of a whole batch with everything at the time it belongs to, however late it came.

    Args:
        kalman: the filter.
        start_s: when the belief at inoculation holds.
        steps: all cycles after it, oldest first, at least one, with what was judged in them.
        samples: lab results in the order in which they came: a later one corrects an earlier one.
        doses: bookings.
    """
    begin_s = float(np.nextafter(start_s, np.inf))
    entries = enter(kalman.settings, Book(), samples, doses, begin_s, steps[-1].time_s)
    return timeline(kalman, start_s, steps, late_values(steps), entries.book)


# ------------------------------------------------------------------ forward


@partial(jax.jit, static_argnums=0, compiler_options=COMPILER)
def _forward(
    kernel: Kernel, state: tuple[Array, Array, Array], chunk: Array
) -> tuple[tuple[Array, Array, Array], _Link]:
    """Belief after a chunk of rows, and the links through it."""

    def body(
        carry: tuple[Array, Array, Array], row: Row
    ) -> tuple[tuple[Array, Array, Array], _Link]:
        z, factor, rejections = carry
        predicted, noise = _predicted(kernel, z, factor, row)
        # As in the filter's own step, whose prediction the links need too.
        rejections = kernel.counts(rejections, row)
        fused = kernel.fuse(predicted.mean, predicted.factor, rejections, row)
        sound = jnp.isfinite(fused.mean).all() & jnp.isfinite(jnp.sum(fused.factor**2))
        after = (
            jnp.where(sound, fused.mean, z),
            jnp.where(sound, fused.factor, factor),
            jnp.where(sound, fused.rejections, rejections),
        )
        # A row that the equations cannot take changes nothing.
        transition = jnp.where(sound, predicted.transition, jnp.eye(len(z)))
        gain, rest = _split(transition @ factor, factor, jnp.where(sound, noise, 0.0))
        return after, _Link(z, jnp.where(sound, predicted.mean, z), gain, rest)

    carried: tuple[tuple[Array, Array, Array], _Link] = jax.lax.scan(
        body, state, _columns(kernel, chunk)
    )
    return carried


def _columns(kernel: Kernel, chunk: Array) -> Row:
    """A chunk's columns by name."""
    channels, inputs = len(kernel.at.channels), len(kernel.at.settings.model.inputs)
    widths = (1, inputs, 1, 1, 1, 4, channels, channels, inputs)
    names = zip(Row._fields, jnp.split(chunk, np.cumsum(widths)[:-1], axis=1), strict=True)
    single = ("step_h", "water_L", "withdrawn_L", "opened")
    return Row(**{name: part[:, 0] if name in single else part for name, part in names})


def _predicted(kernel: Kernel, z: Array, factor: Array, row: Row) -> tuple[Predicted, Array]:
    """The filter's prediction, and a factor of the noise in it.

    The noise is what a belief without any uncertainty would be left with. Only where the filter is
    opened does it depend on the uncertainty before; there it is what every coordinate gained.
    """

    def predict(given: Array) -> Predicted:
        return kernel.predict(z, given, row)

    both = jnp.stack([factor, jnp.zeros_like(factor)])
    # The mean does not depend on the factor, and is worked out once.
    predicted: Predicted = jax.vmap(predict, out_axes=Predicted(None, 0, None))(both)
    mine, noise = predicted._replace(factor=predicted.factor[0]), predicted.factor[1]
    carried = mine.transition @ factor
    gained = jnp.sum(mine.factor**2, axis=1) - jnp.sum(carried**2, axis=1)
    opening = jnp.diag(jnp.sqrt(jnp.maximum(gained, 0.0)))
    return mine, jnp.where(row.opened > 0, opening, noise)


def _split(carried: Array, factor: Array, noise: Array) -> tuple[Array, Array]:
    """G' and C of one row, from F L, L and N."""
    n = len(factor)
    left = jnp.concatenate([carried.T, noise.T])
    table = jnp.concatenate([left, jnp.concatenate([factor.T, jnp.zeros_like(factor)])], axis=1)
    triangle = jnp.linalg.qr(table, mode="r")
    corner, right, rest = triangle[:n, :n], triangle[:n, n:], triangle[n:, n:]
    # A coordinate that the ones before it determine adds nothing; dividing by its rounding would.
    pivots, scale = jnp.diag(corner), jnp.sqrt(jnp.sum(corner**2, axis=0))
    empty = jnp.abs(pivots) <= n * ROUNDING * scale
    corner = corner + jnp.diag(jnp.where(empty, 1 - pivots, 0.0))
    right = jnp.where(empty[:, None], 0.0, right)
    return jax.scipy.linalg.solve_triangular(corner, right), rest


# ------------------------------------------------------------------ backward


@partial(jax.jit, static_argnums=0, compiler_options=COMPILER)
def _backward(
    kernel: Kernel, later: tuple[Array, Array], links: _Link, chunk: Array
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    """Belief before a chunk of rows from the one after it, and the description of every row."""

    def body(
        carry: tuple[Array, Array], link: _Link
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        z, factor = carry
        before = link.before + (z - link.predicted) @ link.gain
        squares = jnp.concatenate([link.rest, factor.T @ link.gain])
        return (before, jnp.linalg.qr(squares, mode="r").T), carry

    before, passed = jax.lax.scan(body, later, links, reverse=True)

    def described(z: Array, factor: Array, inputs: Array) -> tuple[Array, ...]:
        inside = jnp.clip(z, kernel.at.lower, kernel.at.upper)
        return kernel.describe(inside, factor, inputs)[:4]

    return before, jax.vmap(described)(*passed, _columns(kernel, chunk).inputs)
