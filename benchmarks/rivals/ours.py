"""Our own filter on the task: one row at a time, gates and all."""

import numpy as np

from benchmarks.rivals.task import Floats, Problem
from mpc_agent.estimation.filter import ExtendedKalmanFilter


class Ours:
    """The agent's filter with the task's settings."""

    name = "mpc-agent"

    def __init__(self, problem: Problem) -> None:
        self.kalman = ExtendedKalmanFilter(problem.settings, problem.step_h)
        self._lengths_h = [problem.step_h]
        self.belief = self.kalman.initial(np.array(problem.model.nominal_inputs(), dtype=float))

    @property
    def mean(self) -> Floats:
        """Mean of z, shape (n,)."""
        return self.belief.mean

    @property
    def covariance(self) -> Floats:
        """Covariance of z, shape (n, n)."""
        return self.belief.covariance

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict, fuse, and return the mean."""
        rows, _ = self.kalman.rows(self._lengths_h, inputs, measured)
        self.belief, _, _ = self.kalman.march(self.belief, rows)
        return self.belief.mean
