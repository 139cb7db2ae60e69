"""FilterPy's extended Kalman filter.

FilterPy takes the prediction and the Jacobians as given: they come from the same vectorised finite
differences as the textbook's. It fuses a whole vector or nothing; missing values are left out by
giving it shorter ones.
"""

import numpy as np
from filterpy.kalman import ExtendedKalmanFilter

from benchmarks.rivals.numpy_finite import FiniteDifferences
from benchmarks.rivals.task import Floats, Problem


class FilterPy:
    """FilterPy with the task's equations."""

    name = "FilterPy, finite differences"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._equations = FiniteDifferences(problem)
        self._filter = ExtendedKalmanFilter(problem.size, len(problem.measured))
        self._filter.x = problem.initial_mean()
        self._filter.P = problem.initial_covariance()
        self._ahead = self._filter.x
        # Its own prediction is linear; this is the place that it names for another one.
        self._filter.predict_x = self._predict_x

    def _predict_x(self, _: object = 0) -> None:
        self._filter.x = self._ahead

    @property
    def mean(self) -> Floats:
        """Mean of z, shape (n,)."""
        return np.asarray(self._filter.x)

    @property
    def covariance(self) -> Floats:
        """Covariance of z, shape (n, n)."""
        return np.asarray(self._filter.P)

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict, fuse, and return the mean."""
        self._filter.Q = np.diag(self.problem.process_variance(self.mean))
        self._ahead, self._filter.F = self._equations.flow(self.mean, inputs)
        self._filter.predict()
        there = np.isfinite(measured)
        if there.any():
            predicted, H = self._equations.outputs(self.mean, inputs)
            R = np.diag(self.problem.measurement_variance(predicted)[there])
            shown, slopes = predicted[there], H[there]
            self._filter.update(measured[there], lambda _: slopes, lambda _: shown, R=R)
        return self.mean
