"""Many batches of one model at once, as one JAX program.

The integrator is the common one (`plant_models.integrate`), mapped over the batches with `jax.vmap`
and over time with `jax.lax.scan`. Steps are either of a given length, as in `Simulator`, or each
batch finds its own from the error that its step is estimated to make: then it takes few steps where
little happens and as many as stability needs where oxygen runs out.

Batches lie along the last axis inside, so that one machine instruction treats several of them.
JAX spreads even this small work over all cores, which may cost more than it gives: with the
environment variable NPROC=1, set before Python starts, one process keeps to one core.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from plant_models.dialect import JAX, Vector
from plant_models.integrate import (
    Floats,
    floors,
    jax_solution,
    jax_step,
    rk4_from,
    rodas3_with_error,
    substeps,
)
from plant_models.model import Method, PlantModel

Array: TypeAlias = Any
"""What JAX computes with: an array, or a tracer of one."""

Interval: TypeAlias = Callable[[Any, Array, Array], Any]
"""What is carried from interval to interval, the inputs and the parameters, to what is carried on;
batches along the last axis, `carried[0]` is the state."""

MOST_STEPS = 100
"""A batch that asks for this many times the steps its model declares is given up."""

SAFETY, LEAST_CHANGE, MOST_CHANGE = 0.9, 0.2, 3.0
"""A new step is 0.9 of what the estimated error would allow, and differs by these factors at most:
Hairer, Norsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.4."""


class Batches:
    """A model, compiled for many batches with inputs that are held from step to step.

    Compiled on the first run, and again when the number of batches or steps changes.
    """

    def __init__(
        self,
        model: PlantModel,
        step_h: float,
        count: int | None = None,
        tolerance: float | None = None,
    ) -> None:
        """Prepare `model` for intervals of `step_h` hours over which inputs are held.

        Args:
            model: the model.
            step_h: length of the intervals, and between the states that are returned, in hours.
            count: integrator's steps per interval; by default as many as the model declares, which
                is what `Simulator` takes.
            tolerance: instead of a count: largest error that a step may be estimated to make in
                any state, in units of that state's scale. Every batch then chooses its own steps,
                whatever the others do. The estimate is of the method one order lower, so a step is
                better than that, but the errors of many steps may add up to more.

        Raises:
            ValueError: a number is not positive, or both a count and a tolerance are given.
        """
        if not (np.isfinite(step_h) and step_h > 0):
            raise ValueError(f"step_h is {step_h!r}, but must be a positive number of hours")
        if count is not None and count < 1:
            raise ValueError(f"count is {count!r}, but an interval has at least one step")
        if tolerance is not None and not (np.isfinite(tolerance) and tolerance > 0):
            raise ValueError(f"tolerance is {tolerance!r}, but must be a positive number")
        if count is not None and tolerance is not None:
            raise ValueError("give either a count of steps or a tolerance that chooses them")
        self.model = model
        self.step_h = step_h
        self.count = substeps(model, step_h) if count is None else count
        self.tolerance = tolerance
        self._courses = jax.jit(self._traced)

    def courses(self, x: ArrayLike, u: ArrayLike, p: ArrayLike) -> Floats:
        """States of all batches at the start and after each interval.

        Args:
            x: initial states, shape (batches, states).
            u: inputs of each interval, shape (steps, inputs) for the same in all batches, or
                (batches, steps, inputs).
            p: parameters, shape (batches, parameters).

        Returns:
            Shape (batches, steps + 1, states). A batch whose numbers run away, or that needs more
            than `MOST_STEPS` times the declared steps in an interval, is nan from there on; the
            others are not affected.

        Raises:
            ValueError: a shape is another one.
        """
        states, inputs, parameters = (np.asarray(part, dtype=np.float64) for part in (x, u, p))
        self._check(states, inputs, parameters)
        with jax.enable_x64(True):
            courses = np.array(self._courses(states, inputs, parameters))
        assert courses.dtype == np.float64
        return courses

    def _check(self, x: Floats, u: Floats, p: Floats) -> None:
        """Refuse shapes that do not fit the model or each other."""
        model = self.model
        _check_columns("initial states", x, ("batches",), model.state_names, model.name)
        _check_columns("parameters", p, ("batches",), model.parameter_names, model.name)
        rows = ("batches", "steps") if u.ndim == 3 else ("steps",)
        _check_columns("inputs", u, rows, model.input_names, model.name)
        if len(p) != len(x):
            raise ValueError(f"parameters of {len(p)} batches, but initial states of {len(x)}")
        if u.ndim == 3 and len(u) != len(x):
            raise ValueError(f"inputs of {len(u)} batches, but initial states of {len(x)}")

    def _traced(self, x: Array, u: Array, p: Array) -> Array:
        """`courses` in JAX; batches go to the last axis and come back."""
        each = 1 if u.ndim == 3 else None
        u = jnp.moveaxis(u, 0, -1) if u.ndim == 3 else u
        x, p = x.T, p.T
        if self.tolerance is None:
            start: Any = (x,)
            interval = _even_steps(self.model, each, self.step_h, self.count)
        else:
            start = (x, jnp.full(x.shape[1], self.step_h / substeps(self.model, self.step_h)))
            interval = _chosen_steps(self.model, each, self.step_h, self.tolerance)

        def advance(carried: Any, now: Array) -> tuple[Any, Array]:
            carried = interval(carried, now, p)
            return carried, carried[0]

        _, after = jax.lax.scan(advance, start, u)
        return jnp.moveaxis(jnp.concatenate([x[None], after]), -1, 0)


def _check_columns(
    what: str, given: Floats, rows: tuple[str, ...], names: tuple[str, ...], model: str
) -> None:
    """Refuse an array that has not these axes, the last one over these names, or no row."""
    if given.ndim == len(rows) + 1 and given.shape[-1] == len(names) and 0 not in given.shape[:-1]:
        return
    axes = ", ".join(rows)
    raise ValueError(
        f"{what} of {model} have the shape {given.shape}, but must have ({axes}, {len(names)}), "
        f"with a column for each of {', '.join(names)}"
    )


def _even_steps(model: PlantModel, each: int | None, step_h: float, count: int) -> Interval:
    """Intervals of `count` steps of one length; `each` is the axis of batches in the inputs."""

    def one(x: Array, u: Array, p: Array) -> Array:
        return jax_step(model, x, u, p, step_h / count)

    step = jax.vmap(one, in_axes=(1, each, 1), out_axes=1)

    def interval(carried: Any, u: Array, p: Array) -> Any:
        return (jax.lax.fori_loop(0, count, lambda _, x: step(x, u, p), carried[0]),)

    return interval


class Progress(NamedTuple):
    """How far the batches are in an interval; batches along the last axis.

    Attributes:
        x: states, shape (states, batches).
        slope: their derivatives, shape (states, batches).
        left_h: what is left of the interval, shape (batches,).
        step_h: length to try next, shape (batches,).
        tries: steps tried in this interval.
    """

    x: Array
    slope: Array
    left_h: Array
    step_h: Array
    tries: Array


def _chosen_steps(
    model: PlantModel, each: int | None, interval_h: float, tolerance: float
) -> Interval:
    """Intervals in which each batch chooses its steps; carried are its state and its last step."""
    most = MOST_STEPS * substeps(model, interval_h)

    def rate(x: Array, u: Array, p: Array) -> Array:
        return model.derivative(x, u, p, JAX)

    derivative = jax.vmap(rate, in_axes=(1, each, 1), out_axes=1)
    attempt = jax.vmap(_attempt(model), in_axes=(1, 1, each, 1, 0), out_axes=1)
    limits = tolerance * np.array([state.scale for state in model.states.values()])[:, None]
    order = 4 if model.method is Method.EXPLICIT else 3

    def advance(now: Progress, u: Array, p: Array) -> Progress:
        """One step of the batches that are not at the end; one that is too bad is tried again."""
        running = now.left_h > 0
        steps_left = jnp.maximum(jnp.ceil(now.left_h / now.step_h - 1e-9), 1.0)
        step_h = jnp.where(running, now.left_h / steps_left, now.step_h)
        after, slope, error = attempt(now.x, now.slope, u, p, step_h)
        size = jnp.max(jnp.abs(error) / limits, axis=0)
        good = running & (size <= 1)
        change = SAFETY * jnp.maximum(size, 1e-9) ** (-1 / order)
        change = jnp.where(jnp.isfinite(size), change, LEAST_CHANGE)
        change = jnp.clip(change, LEAST_CHANGE, MOST_CHANGE)
        left_h = jnp.where(steps_left <= 1, 0.0, now.left_h - step_h)
        return Progress(
            x=jnp.where(good, after, now.x),
            slope=jnp.where(good, slope, now.slope),
            left_h=jnp.where(good, left_h, now.left_h),
            step_h=jnp.where(running, jnp.minimum(step_h * change, interval_h), now.step_h),
            tries=now.tries + 1,
        )

    def interval(carried: Any, u: Array, p: Array) -> Any:
        x, step_h = carried
        left_h = jnp.where(jnp.all(jnp.isfinite(x), axis=0), interval_h, 0.0)
        end = jax.lax.while_loop(
            lambda now: jnp.any(now.left_h > 0) & (now.tries < most),
            lambda now: advance(now, u, p),
            Progress(x, derivative(x, u, p), left_h, step_h, jnp.array(0)),
        )
        return jnp.where(end.left_h > 0, jnp.nan, end.x), end.step_h

    return interval


def _attempt(model: PlantModel) -> Callable[..., tuple[Vector, Vector, Vector]]:
    """One step of the model's own method: state and slope after it, and its estimated error."""

    def attempt(
        x: Vector, slope: Vector, u: Vector, p: Vector, step_h: Any
    ) -> tuple[Vector, Vector, Vector]:
        def f(state: Vector) -> Vector:
            return model.derivative(state, u, p, JAX)

        if model.method is Method.EXPLICIT:
            after, last = rk4_from(f, slope, x, step_h)
            slope_after = f(after)
            return after, slope_after, step_h / 6 * (last - slope_after)
        solve = jax_solution(f, x, step_h)
        after, error = rodas3_with_error(f, slope, solve, x, step_h)
        after = jnp.maximum(after, floors(model))
        return after, f(after), error

    return attempt
