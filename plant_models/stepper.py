"""A model compiled for a loop that ticks fast: state and outputs of one step in one call."""

from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from plant_models.dialect import CASADI
from plant_models.integrate import casadi_step
from plant_models.model import Method, PlantModel

Floats = NDArray[np.float64]


class Stepper:
    """A model with one step length, evaluated on memory it shares with the engine.

    The same discretisation as `Simulator`, some ten times faster for a single step, because no
    array is converted. One instance belongs to one thread.
    """

    def __init__(self, model: PlantModel, step_h: float, count: int) -> None:
        """Compile `model` for steps of `step_h` hours, each of `count` steps of the integrator."""
        self.model = model
        self.step_h = step_h
        self.count = count
        x = casadi.SX.sym("x", len(model.states))
        u = casadi.SX.sym("u", len(model.inputs))
        p = casadi.SX.sym("p", len(model.parameters))
        outputs = casadi.Function("outputs", [x, u, p], [model.output_vector(x, u, p, CASADI)])
        step = self._inlined(casadi_step(model), outputs)
        self._arguments = tuple(np.zeros(step.size1_in(i)) for i in range(step.n_in()))
        self._results = tuple(np.zeros(step.size1_out(i)) for i in range(step.n_out()))
        buffer: Any
        buffer, self._evaluate = step.buffer()
        self._buffer = buffer  # owns the addresses that the engine writes to
        for i, argument in enumerate(self._arguments):
            buffer.set_arg(i, argument.data)
        for i, result in enumerate(self._results):
            buffer.set_res(i, result.data)

    def _inlined(self, one: casadi.Function, outputs: casadi.Function) -> casadi.Function:
        """All small steps and the outputs in one function, expanded where the method allows it."""
        symbol: Any = casadi.SX.sym if self.model.method is Method.EXPLICIT else casadi.MX.sym
        x, u, p = (symbol(name, one.size1_in(i)) for i, name in enumerate("xup"))
        after = x
        for _ in range(self.count):
            after = one(after, u, p, self.step_h / self.count)
        return casadi.Function("step", [x, u, p], [after, outputs(after, u, p)])

    def advance(self, x: Floats, u: Floats, p: Floats) -> tuple[Floats, Floats]:
        """State one step later, and the outputs there with the inputs that acted.

        Args:
            x: state, shape (states,).
            u: inputs, held constant over the step, shape (inputs,).
            p: parameters, shape (parameters,).
        """
        for own, given in zip(self._arguments, (x, u, p), strict=True):
            own[:] = given
        self._evaluate()
        after, outputs = self._results
        return after.copy(), outputs.copy()
