"""The one discretisation that filter, optimiser's check and simulator share.

Two methods, chosen by the model's author: classical Runge-Kutta, and RODAS3 for stiff models.
"""

from collections.abc import Callable, Collection
from math import ceil
from typing import Any

import casadi
import jax
import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import CASADI, JAX, Vector
from plant_models.model import Method, PlantModel

Floats = NDArray[np.float64]

Derivative = Callable[[Vector], Vector]
"""Time derivative of a state vector with the inputs held constant, 1/h."""

SHARE = 0.5
"""RODAS3's diagonal coefficient: the step's share in its matrix 1/(h/2) - df/dx."""


def rk4_step(f: Derivative, x: Vector, step_h: Any) -> Vector:
    """One classical Runge-Kutta step of `dx/dt = f(x)`.

    Args:
        f: derivative with the inputs held constant, 1/h.
        x: state vector of any engine.
        step_h: step length in hours.

    Returns:
        State after the step; local error of order `step_h**5`.
    """
    return rk4_from(f, f(x), x, step_h)[0]


def rk4_from(f: Derivative, k1: Vector, x: Vector, step_h: Any) -> tuple[Vector, Vector]:
    """`rk4_step` where `k1 = f(x)` is known already: state after the step, and the last slope k4.

    `step_h / 6 * (k4 - f(after))` is what a solution of third order would differ by: all its
    conditions that hold for the weight of k4 hold when the slope after the step takes its place.
    """
    k2 = f(x + step_h / 2 * k1)
    k3 = f(x + step_h / 2 * k2)
    k4 = f(x + step_h * k3)
    return x + step_h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), k4


def rodas3_step(
    f: Derivative, at_start: Vector, solve: Callable[[Vector], Vector], x: Vector, step_h: Any
) -> Vector:
    """One step of RODAS3, a Rosenbrock method of third order: L-stable, without iterations.

    A mode too fast for the step is not followed but settles on its steady value. Source: Sandu et
    al. (1997), Atmos. Environ. 31:3459, in the form of Hairer and Wanner (1996), Solving Ordinary
    Differential Equations II, section IV.7.

    Args:
        f: derivative with the inputs held constant, 1/h.
        at_start: `f(x)`.
        solve: solution z of `(1/(SHARE * step_h) - df/dx) z = right side`.
        x: state vector.
        step_h: step length in hours.

    Returns:
        State after the step; local error of order `step_h**4`.
    """
    return rodas3_with_error(f, at_start, solve, x, step_h)[0]


def rodas3_with_error(
    f: Derivative, at_start: Vector, solve: Callable[[Vector], Vector], x: Vector, step_h: Any
) -> tuple[Vector, Vector]:
    """`rodas3_step`, and what its embedded solution of second order differs by."""
    k1 = solve(at_start)
    k2 = solve(at_start + 4 / step_h * k1)
    k3 = solve(f(x + 2 * k1) + (k1 - k2) / step_h)
    k4 = solve(f(x + 2 * k1 + k3) + (k1 - k2 - 8 / 3 * k3) / step_h)
    return x + 2 * k1 + k3 + k4, k4


def substeps(model: PlantModel, step_h: float) -> int:
    """How many steps of the integrator an interval of `step_h` hours needs for this model."""
    return max(1, ceil(step_h * model.substeps_per_h - 1e-9))


def floors(model: PlantModel) -> Floats:
    """Below what no implicit step may end, shape (states,): zero where the model says so.

    A linearised step knows of no saturation ahead: where oxygen runs out within the step, it goes
    below zero, and would ring about it. Ended at zero, it sees the slope there and settles.
    """
    lowest = [0.0 if state.lower == 0.0 else -np.inf for state in model.states.values()]
    return np.array(lowest)


def jax_step(model: PlantModel, x: Vector, u: Vector, p: Vector, step_h: Any) -> Vector:
    """One step of the model's own method in JAX; differentiable, and `vmap` runs many at once.

    Differentiated, the implicit method's matrix counts as constant, which saves all second
    derivatives and leaves out a term of the step's length times the curvature of `f` times its
    value: next to nothing for a covariance.
    """

    def f(state: Vector) -> Vector:
        return model.derivative(state, u, p, JAX)

    if model.method is Method.EXPLICIT:
        return rk4_step(f, x, step_h)
    after = rodas3_step(f, f(x), jax_solution(f, x, step_h), x, step_h)
    return jax.numpy.maximum(after, floors(model))


RK4_PLACES = np.array([0.0, 0.5, 0.5, 1.0])
RK4_WEIGHTS = np.array([1.0, 2.0, 2.0, 1.0]) / 6


def rk4_rolled(f: Derivative, x: Vector, step_h: Any) -> Vector:
    """`rk4_step` in JAX as a loop over its stages: `f` is compiled once instead of four times."""

    def stage(carry: Any, row: Any) -> Any:
        slope, total = carry
        slope = f(x + step_h * row[0] * slope)
        return (slope, total + row[1] * slope), None

    still = jax.numpy.zeros_like(x)
    (_, total), _ = jax.lax.scan(stage, (still, still), (RK4_PLACES, RK4_WEIGHTS))
    return x + step_h * total


def jax_solution(f: Derivative, x: Vector, step_h: Any) -> Callable[[Vector], Vector]:
    """What solves RODAS3's systems in a step from x; the matrix is factorised once."""
    slopes = jax.lax.stop_gradient(jax.jacfwd(f)(x))
    matrix = jax.numpy.eye(x.shape[0]) / (SHARE * step_h) - slopes
    factors = jax.scipy.linalg.lu_factor(matrix)
    return lambda right: jax.scipy.linalg.lu_solve(factors, right)


def casadi_step(model: PlantModel, held: Collection[str] = ()) -> casadi.Function:
    """One step of the model's own method in CasADi: `(x, u, p, step_h) -> x`.

    Args:
        model: the model.
        held: states that stay as they are.
    """
    x = casadi.SX.sym("x", len(model.states))
    u = casadi.SX.sym("u", len(model.inputs))
    p = casadi.SX.sym("p", len(model.parameters))
    moves = casadi.DM([name not in held for name in model.state_names])

    def derivative(state: Vector) -> Vector:
        return moves * model.derivative(state, u, p, CASADI)

    if model.method is Method.EXPLICIT:
        step_h = casadi.SX.sym("step_h")
        after = rk4_step(derivative, x, step_h)
        return casadi.Function("step", [x, u, p, step_h], [after])
    rate = derivative(x)
    slope = casadi.Function("slope", [x, u, p], [rate])
    slopes = casadi.jacobian(rate, x)
    # QR squares the entries: what is left of a substrate used up long ago would give 0/0.
    slopes *= casadi.fabs(slopes) > 1e-100
    both = casadi.Function("linear", [x, u, p], [rate, slopes])
    return _implicit_step(slope, both, floors(model))


def _implicit_step(
    slope: casadi.Function, both: casadi.Function, floors: Floats
) -> casadi.Function:
    """RODAS3 on numbers as they come: the matrix is factorised by sparse QR in every step."""
    x, u, p = (casadi.MX.sym(name, slope.size1_in(i)) for i, name in enumerate("xup"))
    step_h = casadi.MX.sym("step_h")
    at_start, jacobian = both(x, u, p)
    matrix = casadi.MX.eye(x.numel()) / (SHARE * step_h) - jacobian
    after = rodas3_step(
        lambda state: slope(state, u, p),
        at_start,
        lambda right: casadi.solve(matrix, right, "qr"),
        x,
        step_h,
    )
    return casadi.Function("step", [x, u, p, step_h], [casadi.fmax(after, floors)])


class Simulator:
    """A model as plain functions of NumPy arrays, stepped by the common integrator.

    Compiled once for one interval length. Inputs are held constant over the interval.
    """

    def __init__(self, model: PlantModel, step_h: float, count: int | None = None) -> None:
        """Compile `model` for intervals of `step_h` hours, split into `count` steps.

        `count` defaults to what the model declares as accurate and stable.
        """
        self.model = model
        self.step_h = step_h
        self.count = substeps(model, step_h) if count is None else count
        step = casadi_step(model)
        self._step = step if self.count == 1 else step.fold(self.count)
        x = casadi.SX.sym("x", len(model.states))
        u = casadi.SX.sym("u", len(model.inputs))
        p = casadi.SX.sym("p", len(model.parameters))
        self._outputs = casadi.Function(
            "outputs", [x, u, p], [model.output_vector(x, u, p, CASADI)]
        )

    def advance(self, x: Floats, u: Floats, p: Floats, length_h: float | None = None) -> Floats:
        """State one interval later; arrays of shape (states,), (inputs,), (parameters,).

        `length_h` makes this one interval longer or shorter, with the same number of steps.
        """
        length_h = self.step_h if length_h is None else length_h
        after = self._step(x, u, p, length_h / self.count)
        return np.asarray(after, dtype=np.float64).ravel()

    def outputs(self, x: Floats, u: Floats, p: Floats) -> Floats:
        """Outputs at this state and input, shape (outputs,)."""
        return np.asarray(self._outputs(x, u, p), dtype=np.float64).ravel()
