"""A model's equations at many points, on each engine: values, Jacobians and sizes of the terms."""

from dataclasses import dataclass
from typing import Any

import casadi
import jax
import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import CASADI, JAX, NUMPY, Maths
from plant_models.model import PlantModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """States, inputs and parameters, one row per point.

    Attributes:
        x: shape (points, states).
        u: shape (points, inputs).
        p: shape (points, parameters).
    """

    x: Floats
    u: Floats
    p: Floats

    def __len__(self) -> int:
        return len(self.x)

    def joined(self, other: "Points") -> "Points":
        """These points, then the others."""
        return Points(*(np.vstack(pair) for pair in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[Floats, Floats, Floats]:
        """States, inputs and parameters."""
        return self.x, self.u, self.p


@dataclass(frozen=True)
class Evaluation:
    """What the equations give at points; rows are derivatives, then outputs.

    Attributes:
        values: shape (points, rows).
        by_state: Jacobians, shape (points, rows, states).
        by_input: Jacobians, shape (points, rows, inputs).
        sizes: of the terms that make up each value, `|f| + sum |df/dz| |z|` over states, inputs
            and parameters z; shape (points, rows). A product counts once for each factor.
    """

    values: Floats
    by_state: Floats
    by_input: Floats
    sizes: Floats


def everything(model: PlantModel, x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """Derivatives, then outputs, as one vector."""
    state, inputs, parameters = (
        kind(*xp.unstack(part))
        for kind, part in ((model.State, x), (model.Inputs, u), (model.Parameters, p))
    )
    return xp.stack(
        [
            *model.rhs(state, inputs, parameters, xp),
            *model.outputs(state, inputs, parameters, xp),
        ]
    )


class CompiledEquations:
    """Derivatives and outputs of a model in CasADi, with their Jacobians."""

    def __init__(self, model: PlantModel) -> None:
        sizes = (len(model.states), len(model.inputs), len(model.parameters))
        x, u, p = (casadi.SX.sym(name, size) for name, size in zip("xup", sizes, strict=True))
        value = everything(model, x, u, p, CASADI)
        variables = casadi.vertcat(x, u, p)
        jacobian = casadi.jacobian(value, variables)
        terms = casadi.fabs(value) + casadi.mtimes(casadi.fabs(jacobian), casadi.fabs(variables))
        states, rows = sizes[0], value.numel()
        self._columns = (states, sizes[0] + sizes[1])
        self._shape = (rows, sum(sizes))
        self._function = casadi.Function(
            "everything", [x, u, p], [value, casadi.densify(jacobian), terms]
        )
        self._values = casadi.Function("values", [x, u, p], [value])
        rate = value[:states]
        self._rate = casadi.Function("rate", [x, u, p], [rate])
        self._slope = casadi.Function(
            "slope", [x, u, p], [casadi.densify(casadi.jacobian(rate, x))]
        )

    def at(self, points: Points) -> Evaluation:
        """Values, Jacobians and sizes of the terms."""
        values, jacobians, sizes = self._function(*(part.T for part in points.parts))
        rows, columns = self._shape
        stacked = np.array(jacobians).reshape(rows, len(points), columns).transpose(1, 0, 2)
        states, inputs = self._columns
        return Evaluation(
            values=np.array(values).T,
            by_state=stacked[:, :, :states],
            by_input=stacked[:, :, states:inputs],
            sizes=np.array(sizes).T,
        )

    def values(self, points: Points) -> Floats:
        """Derivatives, then outputs, shape (points, rows)."""
        return np.array(self._values(*(part.T for part in points.parts))).T

    def course(self, u: Floats, p: Floats) -> "Course":
        """Derivative and its Jacobian with these inputs and parameters, for an integrator."""
        return Course(self._rate, self._slope, u, p)


class Course:
    """Derivative of the states and its Jacobian while inputs are held: fast, one at a time."""

    def __init__(self, rate: casadi.Function, slope: casadi.Function, u: Floats, p: Floats) -> None:
        states = rate.size1_in(0)
        self._x = np.zeros(states)
        self._given = (self._x, np.array(u, dtype=np.float64), np.array(p, dtype=np.float64))
        self._rate = np.zeros(states)
        self._slope = np.zeros((states, states), order="F")
        self._buffers = []
        self._evaluate = []
        for function, result in ((rate, self._rate.data), (slope, self._slope.T.data)):
            buffer: Any
            buffer, evaluate = function.buffer()
            for i, argument in enumerate(self._given):
                buffer.set_arg(i, argument.data)
            buffer.set_res(0, result)
            self._buffers.append(buffer)  # owns the addresses that the engine writes to
            self._evaluate.append(evaluate)

    def rate(self, x: Floats) -> Floats:
        """Time derivative, 1/h, shape (states,); overwritten by the next call."""
        self._x[:] = x
        self._evaluate[0]()
        return self._rate

    def slope(self, x: Floats) -> Floats:
        """Jacobian of the derivative, shape (states, states); overwritten by the next call."""
        self._x[:] = x
        self._evaluate[1]()
        return self._slope


def with_jax(model: PlantModel, points: Points) -> tuple[Floats, Floats]:
    """Values and Jacobians by the states in JAX, in double precision, as in `Evaluation`."""

    def one(x: Any, u: Any, p: Any) -> Any:
        return everything(model, x, u, p, JAX)

    def both(x: Any, u: Any, p: Any) -> Any:
        return one(x, u, p), jax.jacfwd(one)(x, u, p)

    with jax.enable_x64(True):
        compiled = jax.jit(jax.vmap(both)).lower(*points.parts).compile(_UNOPTIMISED)
        values, jacobians = compiled(*points.parts)
        return np.asarray(values), np.asarray(jacobians)


_UNOPTIMISED: dict[str, str | bool] = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}
"""The equations run once here: compiling them well would take longer than running them."""


def with_numpy(model: PlantModel, points: Points) -> Floats:
    """Values in NumPy, as in `Evaluation`."""
    with np.errstate(all="ignore"):
        rows = zip(*points.parts, strict=True)
        return np.array([everything(model, x, u, p, NUMPY) for x, u, p in rows], dtype=np.float64)
