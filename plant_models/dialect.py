"""The words of maths a model may use, spoken by three engines.

A model's equations use arithmetic on scalars and the words of `Maths`. The same text then runs in
NumPy (simulation), CasADi (optimisation) and JAX (estimation), Jacobians included. Anything else
(`math.exp`, a Python `if` on a state) would fail or, worse, silently give `nan` on one of them.

Two words are about units. `quantity(0.05, "mmol/L")` is a constant with a unit, `number(x, "degC")`
is what a quantity reads in a unit, for correlations that take bare numbers. The three engines
compute with the numbers alone; a fourth (`plant_models.units`) computes with the units as well and
finds every sum, factor and result that does not fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import casadi
import jax.numpy
import numpy

Scalar: TypeAlias = Any
"""A number of any engine: float, numpy.float64, casadi.SX or a JAX tracer of shape ()."""

Vector: TypeAlias = Any
"""A column of scalars of one engine, shape (n,) or (n, 1) in CasADi."""


@dataclass(frozen=True)
class Maths:
    """One engine's version of the dialect; all functions act on scalars."""

    name: str
    stack: Callable[[Sequence[Scalar]], Vector]
    unstack: Callable[[Vector], Sequence[Scalar]]
    exp: Callable[[Scalar], Scalar]
    log: Callable[[Scalar], Scalar]
    sqrt: Callable[[Scalar], Scalar]
    tanh: Callable[[Scalar], Scalar]
    maximum: Callable[[Scalar, Scalar], Scalar]
    minimum: Callable[[Scalar, Scalar], Scalar]
    where: Callable[[Scalar, Scalar, Scalar], Scalar]
    quantity: Callable[[float, str], Scalar]
    number: Callable[[Scalar, str], Scalar]


def _bare_quantity(value: float, unit: str) -> Scalar:
    """A constant whose unit is for the reader and for the check of units."""
    return value


def _bare_number(value: Scalar, unit: str) -> Scalar:
    """A quantity that is a bare number already, in this unit."""
    return value


NUMPY = Maths(
    name="numpy",
    stack=numpy.array,
    unstack=tuple,
    exp=numpy.exp,
    log=numpy.log,
    sqrt=numpy.sqrt,
    tanh=numpy.tanh,
    maximum=numpy.maximum,
    minimum=numpy.minimum,
    where=numpy.where,
    quantity=_bare_quantity,
    number=_bare_number,
)

JAX = Maths(
    name="jax",
    stack=lambda scalars: jax.numpy.stack([jax.numpy.asarray(value) for value in scalars]),
    unstack=lambda vector: tuple(vector[i] for i in range(vector.shape[0])),
    exp=jax.numpy.exp,
    log=jax.numpy.log,
    sqrt=jax.numpy.sqrt,
    tanh=jax.numpy.tanh,
    maximum=jax.numpy.maximum,
    minimum=jax.numpy.minimum,
    where=jax.numpy.where,
    quantity=_bare_quantity,
    number=_bare_number,
)

CASADI = Maths(
    name="casadi",
    stack=lambda scalars: casadi.vertcat(*scalars),
    unstack=casadi.vertsplit,
    exp=casadi.exp,
    log=casadi.log,
    sqrt=casadi.sqrt,
    tanh=casadi.tanh,
    maximum=casadi.fmax,
    minimum=casadi.fmin,
    where=casadi.if_else,
    quantity=_bare_quantity,
    number=_bare_number,
)

ENGINES = (NUMPY, JAX, CASADI)
