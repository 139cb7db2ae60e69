"""The one discretisation that filter and simulator share: classical Runge-Kutta in the dialect."""

from collections.abc import Callable
from math import ceil
from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import CASADI, Vector
from plant_models.model import PlantModel

Floats = NDArray[np.float64]


def rk4_step(f: Callable[[Vector], Vector], x: Vector, step_h: Any) -> Vector:
    """One classical Runge-Kutta step of `dx/dt = f(x)`.

    Args:
        f: derivative with the inputs held constant, 1/h.
        x: state vector of any engine.
        step_h: step length in hours.

    Returns:
        State after the step; local error of order `step_h**5`.
    """
    k1 = f(x)
    k2 = f(x + step_h / 2 * k1)
    k3 = f(x + step_h / 2 * k2)
    k4 = f(x + step_h * k3)
    return x + step_h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def substeps(model: PlantModel, step_h: float) -> int:
    """How many Runge-Kutta steps an interval of `step_h` hours needs for this model."""
    return max(1, ceil(step_h * model.substeps_per_h - 1e-9))


class Simulator:
    """A model as plain functions of NumPy arrays, stepped by the common integrator.

    Compiled once for one interval length. Inputs are held constant over the interval.
    """

    def __init__(self, model: PlantModel, step_h: float, count: int | None = None) -> None:
        """Compile `model` for intervals of `step_h` hours, split into `count` Runge-Kutta steps.

        `count` defaults to what the model declares as accurate and stable.
        """
        self.model = model
        self.step_h = step_h
        self.count = substeps(model, step_h) if count is None else count
        x = casadi.SX.sym("x", len(model.states))
        u = casadi.SX.sym("u", len(model.inputs))
        p = casadi.SX.sym("p", len(model.parameters))
        small_h = step_h / self.count
        after = rk4_step(lambda z: model.derivative(z, u, p, CASADI), x, small_h)
        one = casadi.Function("step", [x, u, p], [after])
        self._advance = one if self.count == 1 else one.fold(self.count)
        self._outputs = casadi.Function(
            "outputs", [x, u, p], [model.output_vector(x, u, p, CASADI)]
        )

    def advance(self, x: Floats, u: Floats, p: Floats) -> Floats:
        """State one interval later; arrays of shape (states,), (inputs,), (parameters,)."""
        return np.asarray(self._advance(x, u, p), dtype=np.float64).ravel()

    def outputs(self, x: Floats, u: Floats, p: Floats) -> Floats:
        """Outputs at this state and input, shape (outputs,)."""
        return np.asarray(self._outputs(x, u, p), dtype=np.float64).ravel()
