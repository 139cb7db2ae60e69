"""One text, three engines: NumPy, JAX and CasADi agree on every model, Jacobians included.

How closely two correct engines can agree is set by rounding: a rate is a sum of terms that may
cancel, and its error is that of the terms, not that of the sum. The terms are measured by
`|f_i| + sum_j |df_i/dz_j| |z_j|` over states, inputs and parameters z: a product contributes its
own size once for each of its factors. Differences are held to 1e-12 of that sum; for a Jacobian
entry, its part of the sum, `|dJ_ij| |x_j|`, is held to the same.
"""

from collections.abc import Callable
from typing import Any

import casadi
import jax
import numpy as np
import pytest

from plant_models.dialect import CASADI, JAX, NUMPY, Maths
from plant_models.library import MODELS
from plant_models.model import PlantModel
from tests.examples_models import Floats, Points, random_points

POINTS = 200
TOLERANCE = 1e-12

Equations = Callable[[Any, Any, Any, Maths], Any]


def with_casadi(equations: Equations, points: Points) -> tuple[Floats, Floats, Floats]:
    """Values, Jacobians with respect to the states, and sizes of the terms, per point."""
    x, u, p = (casadi.SX.sym("z", table.shape[1]) for table in (points.x, points.u, points.p))
    value = equations(x, u, p, CASADI)
    jacobian = casadi.jacobian(value, x)
    everything = casadi.vertcat(x, u, p)
    terms = casadi.fabs(value) + casadi.mtimes(
        casadi.fabs(casadi.jacobian(value, everything)), casadi.fabs(everything)
    )
    function = casadi.Function("all", [x, u, p], [value, jacobian, terms])
    values, jacobians, sizes = [], [], []
    for row in zip(points.x, points.u, points.p, strict=True):
        answer = [np.array(part) for part in function(*row)]
        values.append(answer[0].ravel())
        jacobians.append(answer[1])
        sizes.append(answer[2].ravel())
    return np.array(values), np.array(jacobians), np.array(sizes)


def with_jax(equations: Equations, points: Points) -> tuple[Floats, Floats]:
    """Values and Jacobians with respect to the states, per point."""

    def one(x: Any, u: Any, p: Any) -> Any:
        return equations(x, u, p, JAX)

    both = jax.jit(jax.vmap(lambda x, u, p: (one(x, u, p), jax.jacfwd(one)(x, u, p))))
    values, jacobians = both(points.x, points.u, points.p)
    return np.asarray(values), np.asarray(jacobians)


def with_numpy(equations: Equations, points: Points) -> Floats:
    """Values, per point."""
    rows = zip(points.x, points.u, points.p, strict=True)
    return np.array([equations(x, u, p, NUMPY) for x, u, p in rows])


@pytest.mark.parametrize("what", ["derivative", "output_vector"])
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_engines_agree(model: PlantModel, what: str) -> None:
    equations: Equations = getattr(model, what)
    points = random_points(model, POINTS, seed=7)
    values, jacobians, sizes = with_casadi(equations, points)
    jax_values, jax_jacobians = with_jax(equations, points)
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(jacobians))
    assert jax_values.dtype == np.float64
    assert np.all(np.abs(jax_values - values) <= TOLERANCE * sizes)
    assert np.all(np.abs(with_numpy(equations, points) - values) <= TOLERANCE * sizes)
    parts = np.abs(jax_jacobians - jacobians) * np.abs(points.x)[:, None, :]
    assert np.all(parts <= TOLERANCE * sizes[:, :, None])


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_engines_agree_where_the_batch_begins(model: PlantModel) -> None:
    x, u, p = (
        np.array(part)
        for part in (model.initial_state(), model.nominal_inputs(), model.nominal_parameters())
    )
    one = Points(x[None], u[None], p[None])
    values, _, sizes = with_casadi(model.derivative, one)
    assert np.all(np.abs(with_numpy(model.derivative, one) - values) <= TOLERANCE * sizes)
    assert np.all(np.isfinite(values))
