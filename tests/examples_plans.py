"""What the tests of plans share: the published example, and courses by an independent integrator.

A plan is never judged by the room that made it: its inputs go through SciPy's integrator and the
model's equations in NumPy.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from controllers.arrays import Floats
from controllers.problem import DecidedInput, Limit, Problem, Rewarded
from controllers.situation import Situation
from plant_models.batch_bioreactor import CONTROL
from plant_models.dialect import NUMPY
from plant_models.model import PlantModel

VOLUME, BIOMASS, SUBSTRATE, PRODUCT = (
    CONTROL.state_names.index(name) for name in ("volume", "biomass", "substrate", "product")
)


@cache
def published_problem(**changes: Any) -> Problem:
    """The do-mpc example `batch_reactor`: maximise the sum of the product over the next 20 h."""
    plain: dict[str, Any] = {
        "name": "batch_bioreactor",
        "model": CONTROL,
        "inputs": (DecidedInput("feed", 0.0, 0.2, move_weight=1.0),),
        "pieces": 20,
        "rewarded": (Rewarded("product", 1.0),),
        "limits": (
            Limit("biomass", None, 3.7, scale=1.0, weight=None),
            Limit("product", None, 3.0, scale=1.0, weight=None),
        ),
    }
    return Problem(**{**plain, **changes})


def published_situation(problem: Problem, **changes: Any) -> Situation:
    """That example at its start, in pieces of an hour."""
    plain: dict[str, Any] = {
        "time_s": 0.0,
        "state": np.array(CONTROL.initial_state(), dtype=np.float64),
        "parameters": named_parameters(),
        "given": np.zeros(1),
        "previous": np.zeros(1),
        "steps_h": np.ones(problem.pieces),
        "setpoints": np.zeros(0),
        "guess": np.full((problem.pieces, 1), 0.02),
    }
    return Situation(**{**plain, **changes})


def named_parameters(**changes: float) -> Floats:
    """The example's parameters, some of them others."""
    return np.array(CONTROL.nominal_parameters()._replace(**changes), dtype=np.float64)


def integrated(
    model: PlantModel,
    state: Floats,
    inputs: Floats,
    parameters: Floats,
    steps_h: Sequence[float] | Floats,
) -> Floats:
    """States at the ends of the pieces by SciPy's LSODA, shape (pieces, states).

    Args:
        model: whose equations.
        state: at the start, shape (states,).
        inputs: all inputs of the model, shape (pieces, inputs).
        parameters: shape (parameters,).
        steps_h: lengths of the pieces, shape (pieces,).
    """
    ends = []
    for u, step_h in zip(inputs, steps_h, strict=True):

        def slope(time_h: float, x: Floats, u: Floats = u) -> Floats:
            return np.asarray(model.derivative(x, u, parameters, NUMPY), dtype=np.float64)

        course = solve_ivp(slope, (0.0, step_h), state, "LSODA", rtol=1e-10, atol=1e-12)
        assert course.success, course.message
        state = course.y[:, -1]
        ends.append(state)
    return np.array(ends)
