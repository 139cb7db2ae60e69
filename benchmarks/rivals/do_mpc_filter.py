"""do-mpc's extended Kalman filter.

It fuses a whole vector with one covariance; a missing value is given a variance so large that it
says nothing. Two ways to describe the plant, as do-mpc offers them:

- continuous, as its users write a bioreactor: mean and covariance are integrated together by IDAS;
- discrete: the step of the model's own integrator, and F P F' + Q.

In both, the measurements are linearised at the mean before the prediction, not after it, and the
covariance is (I - K H) P, which rounding leaves not quite symmetric. The inverse of the
innovation's covariance is computed by cofactors, n! of them: two seconds for eight measurements,
hours for twelve.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import casadi
import numpy as np

from benchmarks.rivals.task import Floats, Problem
from plant_models.dialect import CASADI

with warnings.catch_warnings():
    # It tells of its optional parts that are not installed, and compares a text by `is`.
    warnings.simplefilter("ignore")
    import do_mpc

NOTHING = 1e12
"""Variance of a value that is missing."""


@contextmanager
def _inverse(function: Callable[[Any], Any]) -> Iterator[None]:
    """do-mpc inverts by this function meanwhile."""
    own = casadi.inv_minor
    casadi.inv_minor = function  # type: ignore[assignment]
    try:
        yield
    finally:
        casadi.inv_minor = own


class DoMpc:
    """do-mpc with the task's equations."""

    def __init__(
        self, problem: Problem, *, continuous: bool = True, cofactors: bool = True
    ) -> None:
        """Set up do-mpc's filter.

        Args:
            problem: the task.
            continuous: whether IDAS integrates, or the model's own integrator.
            cofactors: whether its own inverse is used, or one that is as exact and does not take
                hours for a dozen measurements: for what is compared in accuracy, not speed.
        """
        self.name = f"do-mpc, {'continuous' if continuous else 'discrete'} model"
        self.name += "" if cofactors else ", other inverse"
        self.problem = problem
        self._continuous = continuous
        self._inverse = casadi.inv_minor if cofactors else casadi.inv
        model = do_mpc.model.Model("continuous" if continuous else "discrete", "SX")
        z = model.set_variable("_x", "z", shape=(problem.size, 1))
        u = model.set_variable("_u", "u", shape=(len(problem.model.inputs), 1))
        equation = problem.derivative if continuous else problem.flow
        model.set_rhs("z", equation(z, u, CASADI))
        model.set_meas("y", problem.outputs(z, u, CASADI))
        model.setup()
        self._outputs = casadi.Function("outputs", [z, u], [problem.outputs(z, u, CASADI)])
        self._filter = do_mpc.estimator.EKF(model)
        self._filter.settings.t_step = problem.step_h
        self._filter.x0 = problem.initial_mean()[:, None]
        self._filter.P0 = problem.initial_covariance()
        self._filter.setup()
        self._filter.set_initial_guess()

    @property
    def mean(self) -> Floats:
        """Mean of z, shape (n,)."""
        return np.asarray(casadi.DM(self._filter.x0)).ravel()

    @property
    def covariance(self) -> Floats:
        """Covariance of z, shape (n, n)."""
        return np.asarray(self._filter.P0)

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict, fuse, and return the mean."""
        mean = self.mean
        predicted = np.asarray(self._outputs(mean, inputs)).ravel()
        there = np.isfinite(measured)
        variance = np.where(there, self.problem.measurement_variance(predicted), NOTHING)
        noise = self.problem.process_variance(mean)
        if self._continuous:
            noise = noise / self.problem.step_h
        y = np.where(there, measured, predicted)
        with _inverse(self._inverse):
            self._filter.make_step(y[:, None], inputs[:, None], np.diag(noise), np.diag(variance))
        return self.mean
