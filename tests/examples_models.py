"""What the tests of the models share: compiled equations and a reference integrator."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import casadi
import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from plant_models.dialect import CASADI
from plant_models.model import PlantModel

Floats = NDArray[np.float64]
Course = Callable[[float], Floats]
"""State at a time in hours, shape (states,)."""


def compiled(model: PlantModel) -> tuple[casadi.Function, casadi.Function]:
    """Derivative and outputs as CasADi functions of (x, u, p)."""
    x = casadi.SX.sym("x", len(model.states))
    u = casadi.SX.sym("u", len(model.inputs))
    p = casadi.SX.sym("p", len(model.parameters))
    return (
        casadi.Function("derivative", [x, u, p], [model.derivative(x, u, p, CASADI)]),
        casadi.Function("outputs", [x, u, p], [model.output_vector(x, u, p, CASADI)]),
    )


def reference_course(
    rhs: Callable[[Floats, float], Floats], initial: Floats, edges_h: Sequence[float], rtol: float
) -> Course:
    """Solve `dx/dt = rhs(x, middle of the piece)` piece by piece with LSODA, densely.

    The pieces keep steps of the inputs out of the integrator, which may otherwise miss them.
    """
    pieces = []
    state = initial
    for start_h, end_h in pairwise(edges_h):
        middle_h = (start_h + end_h) / 2
        answer = solve_ivp(
            lambda _, x, middle_h=middle_h: rhs(x, middle_h),
            (start_h, end_h),
            state,
            method="LSODA",
            rtol=rtol,
            atol=1e-11,
            dense_output=True,
        )
        assert answer.success, answer.message
        state = answer.y[:, -1]
        pieces.append((start_h, end_h, answer.sol))

    def course(time_h: float) -> Floats:
        for start_h, end_h, solution in pieces:
            if start_h <= time_h <= end_h:
                return np.asarray(solution(time_h), dtype=np.float64)
        raise ValueError(f"{time_h} h is outside {edges_h[0]} to {edges_h[-1]} h")

    return course
