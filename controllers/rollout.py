"""Simulating a plan: guesses for the solver, and the check that does not trust it."""

from collections.abc import Collection

import casadi as ca
import numpy as np

from controllers.plan import Floats
from controllers.problem import Problem
from controllers.transcription import radau
from plant_models.dialect import CASADI
from plant_models.integrate import casadi_step


class Rollout:
    """A problem's model, held states included, integrated over all pieces by its own method."""

    def __init__(self, problem: Problem, also_held: Collection[str] = ()) -> None:
        """Compile; `problem.check_steps` steps between two collocation points.

        `also_held` are states that stay as they are, besides those that the problem holds.
        """
        self._problem = problem
        model = problem.model
        times, _ = radau(problem.degree)
        widths = np.diff(np.concatenate([[0.0], times]))
        x = ca.SX.sym("x", len(model.states))
        u = ca.SX.sym("u", len(model.inputs))
        p = ca.SX.sym("p", len(model.parameters))
        step = casadi_step(model, held={*problem.held_states, *also_held})
        between = step.fold(problem.check_steps) if problem.check_steps > 1 else step

        start, inputs = ca.MX.sym("x", len(model.states)), ca.MX.sym("u", len(model.inputs))
        parameters, piece_h = ca.MX.sym("p", len(model.parameters)), ca.MX.sym("piece_h")
        points, state = [], start
        for width in widths:
            state = between(state, inputs, parameters, piece_h * width / problem.check_steps)
            points.append(state)
        piece = ca.Function(
            "piece", [start, inputs, parameters, piece_h], [state, ca.vertcat(*points)]
        )
        self._pieces = piece.mapaccum("pieces", problem.pieces)
        output = ca.Function("output", [x, u, p], [model.output_vector(x, u, p, CASADI)])
        self._output = output
        self._outputs = output.map(problem.pieces)
        self._decided = [model.input_names.index(name) for name in problem.decided]

    def _whole_inputs(self, inputs: Floats, given: Floats) -> Floats:
        """All inputs of the model per piece, shape (inputs, pieces), given ones by piece."""
        whole = np.array(given.T)
        whole[self._decided] = inputs.T
        return whole

    def points(
        self, state: Floats, inputs: Floats, given: Floats, parameters: Floats, piece_h: float
    ) -> Floats:
        """States at all collocation points, shape (pieces, degree, states).

        Args:
            state: at the start, shape (states,).
            inputs: decided ones, shape (pieces, decided).
            given: all inputs, shape (pieces, inputs); the decided ones are ignored.
            parameters: shape (parameters,).
            piece_h: length of a piece.
        """
        pieces = self._problem.pieces
        _, points = self._pieces(
            state,
            self._whole_inputs(inputs, given),
            np.tile(parameters[:, None], (1, pieces)),
            np.full((1, pieces), piece_h),
        )
        shape = (pieces, self._problem.degree, len(state))
        return np.asarray(points, dtype=np.float64).T.reshape(shape)

    def outputs(self, states: Floats, inputs: Floats, given: Floats, parameters: Floats) -> Floats:
        """Outputs at the ends of the pieces, shape (pieces, outputs)."""
        whole = self._whole_inputs(inputs, given)
        tiled = np.tile(parameters[:, None], (1, self._problem.pieces))
        return np.asarray(self._outputs(states.T, whole, tiled), dtype=np.float64).T

    def outputs_now(self, state: Floats, given: Floats, parameters: Floats) -> Floats:
        """Outputs at one state and input, shape (outputs,)."""
        return np.asarray(self._output(state, given, parameters), dtype=np.float64).ravel()
