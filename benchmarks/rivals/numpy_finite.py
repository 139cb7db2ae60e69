"""The textbook's filter: NumPy, Jacobians by finite differences, Joseph's form.

Central differences, all perturbed copies in one call of the equations: a column for each.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.rivals.task import Floats, Problem
from plant_models.dialect import NUMPY, Scalar, Vector

RELATIVE_STEP = float(np.cbrt(np.finfo(float).eps))
"""Least error of a central difference: rounding against curvature."""


class FiniteDifferences:
    """Values and Jacobians of flow and outputs."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._columns = 1 + 2 * problem.size
        self._batched = replace(NUMPY, stack=self._stack)
        # Where a value is next to nothing, the step is that of a hundredth of its usual size.
        scales = [state.scale for state in problem.model.states.values()]
        scales += [1.0] * len(problem.settings.adapted)
        self._least = np.array(scales) / 100

    def _stack(self, rows: Sequence[Scalar]) -> Vector:
        """Rows that may be numbers or have a value for each column, shape (rows, columns)."""
        stacked = np.empty((len(rows), self._columns))
        for i, row in enumerate(rows):
            stacked[i] = row
        return stacked

    def _perturbed(self, z: Floats) -> tuple[Floats, Floats]:
        """Copies of z, one coordinate more or less in each, shape (n, columns); the steps."""
        steps = RELATIVE_STEP * np.maximum(np.abs(z), self._least)
        moves = np.diag(steps)
        return z[:, None] + np.hstack([np.zeros((len(z), 1)), moves, -moves]), steps

    def _slopes(self, values: Floats, steps: Floats) -> tuple[Floats, Floats]:
        """Value at z, and the Jacobian there."""
        n = len(steps)
        jacobian: Floats = (values[:, 1 : n + 1] - values[:, n + 1 :]) / (2 * steps)
        return values[:, 0], jacobian

    def flow(self, z: Floats, inputs: Floats) -> tuple[Floats, Floats]:
        """What z is one step later, and its Jacobian."""
        copies, steps = self._perturbed(z)
        return self._slopes(self.problem.flow(copies, inputs.tolist(), self._batched), steps)

    def outputs(self, z: Floats, inputs: Floats) -> tuple[Floats, Floats]:
        """Predicted measurements, and their Jacobian."""
        copies, steps = self._perturbed(z)
        return self._slopes(self.problem.outputs(copies, inputs.tolist(), self._batched), steps)


class NumpyFinite:
    """The extended Kalman filter as a textbook prints it; what is missing is left out.

    Attributes:
        mean: mean of z, shape (n,).
        covariance: covariance of z, shape (n, n).
    """

    def __init__(self, problem: Problem, *, midway: bool = False) -> None:
        """Prepare.

        Args:
            problem: the task.
            midway: noise is added in the middle of the step, not at its end, so that it has been
                carried along for half of it.
        """
        self.name = "NumPy, finite differences"
        if problem.pieces is not None:
            self.name += f", {problem.pieces} steps a minute"
        self.problem = problem
        self._midway = midway
        self.mean = problem.initial_mean()
        self.covariance = problem.initial_covariance()
        self._equations = FiniteDifferences(problem)

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict, fuse, and return the mean."""
        self._predict(inputs)
        if np.isfinite(measured).any():
            self._fuse(inputs, measured)
        return self.mean

    def _predict(self, inputs: Floats) -> None:
        noise = np.diag(self.problem.process_variance(self.mean))
        self.mean, F = self._equations.flow(self.mean, inputs)
        if self._midway:
            halfway = (F + np.eye(len(F))) / 2
            noise = halfway @ noise @ halfway.T
        self.covariance = F @ self.covariance @ F.T + noise

    def _fuse(self, inputs: Floats, measured: Floats) -> None:
        predicted, H = self._equations.outputs(self.mean, inputs)
        there = np.isfinite(measured)
        R = np.diag(self.problem.measurement_variance(predicted)[there])
        H, P = H[there], self.covariance
        gain = np.linalg.solve(H @ P @ H.T + R, H @ P).T
        self.mean = self.mean + gain @ (measured - predicted)[there]
        rest = np.eye(len(P)) - gain @ H
        self.covariance = rest @ P @ rest.T + gain @ R @ gain.T
