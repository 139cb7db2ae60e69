"""dynamax's extended Kalman filter, in JAX.

It filters whole series and knows no missing values and no gates: every value must be there. Its
noise may change with time, but not with the state.

- A single step is made of the two functions that its own loop is made of, compiled as one; between
  them there is room for noise that depends on the state.
- A whole day goes through its public function, `extended_kalman_filter`, with the noise of the
  first step throughout.
"""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.nonlinear_gaussian_ssm import ParamsNLGSSM, extended_kalman_filter
from dynamax.nonlinear_gaussian_ssm.inference_ekf import _condition_on, _predict

from benchmarks.rivals.task import Floats, Problem
from plant_models.dialect import JAX

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
# Threads that are handed over cost a small filter more than they give.
jax.config.update("jax_cpu_enable_async_dispatch", False)  # type: ignore[no-untyped-call]

Array: TypeAlias = Any
"""What JAX computes with."""

Series: TypeAlias = tuple[Array, Array]
"""Mean and covariance, or many of them."""


class Dynamax:
    """dynamax with the task's equations, one step at a time.

    Attributes:
        mean: mean of z, shape (n,).
        covariance: covariance of z, shape (n, n).
    """

    name = "dynamax, one step at a time"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.mean = problem.initial_mean()
        self.covariance = problem.initial_covariance()
        self._step = jax.jit(self._traced_step)
        self._day = jax.jit(self._traced_day)

    def _flow(self, z: Array, u: Array) -> Array:
        return self.problem.flow(z, u, JAX)

    def _outputs(self, z: Array, u: Array) -> Array:
        return self.problem.outputs(z, u, JAX)

    def _process_noise(self, mean: Array) -> Array:
        deviation = self.problem.drift + self.problem.relative_drift * jnp.abs(mean)
        return jnp.diag(deviation**2 * self.problem.step_h)

    def _measurement_noise(self, mean: Array, u: Array) -> Array:
        relative = self.problem.relative * self._outputs(mean, u)
        return jnp.diag(self.problem.absolute**2 + relative**2)

    def _predicted(self, mean: Array, covariance: Array, u: Array) -> Series:
        noise = self._process_noise(mean)
        ahead: Series = _predict(mean, covariance, self._flow, jax.jacfwd(self._flow), noise, u)
        return ahead

    def _traced_step(self, mean: Array, covariance: Array, u: Array, y: Array) -> Series:
        mean, covariance = self._predicted(mean, covariance, u)
        noise, slopes = self._measurement_noise(mean, u), jax.jacfwd(self._outputs)
        fused: Series = _condition_on(mean, covariance, self._outputs, slopes, noise, u, y, 1)
        return fused

    def _traced_day(self, mean: Array, covariance: Array, inputs: Array, measured: Array) -> Series:
        process, noise = self._process_noise(mean), self._measurement_noise(mean, inputs[0])
        # Its series begins with a measurement; ours with a prediction.
        mean, covariance = self._predicted(mean, covariance, inputs[0])
        parameters = ParamsNLGSSM(
            initial_mean=mean,
            initial_covariance=covariance,
            dynamics_function=self._flow,
            dynamics_covariance=process,
            emission_function=self._outputs,
            emission_covariance=noise,
        )
        wanted = ["filtered_means", "filtered_covariances"]
        done = extended_kalman_filter(parameters, measured, inputs, output_fields=wanted)
        return done.filtered_means, done.filtered_covariances

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict, fuse, and return the mean; a missing value would make everything NaN."""
        mean, covariance = self._step(self.mean, self.covariance, inputs, measured)
        self.mean, self.covariance = np.asarray(mean), np.asarray(covariance)
        return self.mean

    def day(self, inputs: Floats, measured: Floats) -> tuple[Floats, Floats]:
        """Means and covariances of a whole series, from the belief as it is."""
        means, covariances = self._day(self.mean, self.covariance, inputs, measured)
        return np.asarray(means), np.asarray(covariances)
