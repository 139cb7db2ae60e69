"""The same step in CasADi, generated to C and compiled: what the machine can do.

Sequential updates with one measurement at a time, which need no matrix inverse and give what the
vector gives, because the noise of the measurements is independent. No gates.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import casadi
import numpy as np

from benchmarks.rivals.task import Floats, Problem
from plant_models.dialect import CASADI

COMPILER = "gcc"
THERE = 1e300
"""Every measured value is smaller; NaN, which is missing, is not."""


def step_function(problem: Problem) -> casadi.Function:
    """`(z, P, u, y) -> (z, P)`: one step of the filter."""
    z, u = casadi.SX.sym("z", problem.size), casadi.SX.sym("u", len(problem.model.inputs))
    P = casadi.SX.sym("P", problem.size, problem.size)
    y = casadi.SX.sym("y", len(problem.measured))
    drift, relative_drift = casadi.DM(problem.drift), casadi.DM(problem.relative_drift)
    noise = (drift + relative_drift * casadi.fabs(z)) ** 2 * problem.step_h
    ahead = problem.flow(z, u, CASADI)
    F = casadi.jacobian(ahead, z)
    fused = fuse_function(problem)(ahead, F @ P @ F.T + casadi.diag(noise), u, y)
    return casadi.Function("filter_step", [z, P, u, y], list(fused))


def fuse_function(problem: Problem) -> casadi.Function:
    """`(z, P, u, y) -> (z, P)`: fuse what is there of y."""
    start, u = casadi.SX.sym("z", problem.size), casadi.SX.sym("u", len(problem.model.inputs))
    prior = casadi.SX.sym("P", problem.size, problem.size)
    y = casadi.SX.sym("y", len(problem.measured))
    predicted = problem.outputs(start, u, CASADI)
    H = casadi.jacobian(predicted, start)
    variance = casadi.DM(problem.absolute) ** 2 + (casadi.DM(problem.relative) * predicted) ** 2
    z, P = start, prior
    for i in range(len(problem.measured)):
        spread = P @ H[i, :].T
        there = casadi.fabs(y[i]) < THERE
        innovation = y[i] - predicted[i] - H[i, :] @ (z - start)
        weight = casadi.if_else(there, 1 / (H[i, :] @ spread + variance[i]), 0)
        z = z + spread * weight * casadi.if_else(there, innovation, 0)
        P = P - weight * (spread @ spread.T)
    return casadi.Function("fuse", [start, prior, u, y], [z, P])


def compiled(function: casadi.Function, folder: Path) -> casadi.Function:
    """The function as machine code."""
    if shutil.which(COMPILER) is None:
        raise SystemExit(f"The C compiler {COMPILER} is needed and not found.")
    # CasADi writes to the working directory only, unless the prefix says otherwise.
    generator = casadi.CodeGenerator(f"{function.name()}.c")
    generator.add(function)
    source = Path(generator.generate(f"{folder}/"))
    library = source.with_suffix(".so")
    command = [COMPILER, "-O3", "-fPIC", "-shared", "-o", str(library), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{COMPILER} failed:\n{done.stderr[-2000:]}")
    return casadi.external(function.name(), str(library))


class CasadiC:
    """The compiled step, evaluated on memory that it shares with the engine.

    Attributes:
        mean: mean of z, shape (n,).
        covariance: covariance of z, shape (n, n).
    """

    name = "CasADi, compiled C"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        with tempfile.TemporaryDirectory() as folder:
            # The library stays loaded when its file is gone.
            step = compiled(step_function(problem), Path(folder))
        self.mean = problem.initial_mean()
        self.covariance = problem.initial_covariance()
        self._inputs = np.zeros(len(problem.model.inputs))
        self._measured = np.zeros(len(problem.measured))
        self._mean, self._covariance = np.zeros_like(self.mean), np.zeros_like(self.covariance)
        buffer: Any
        buffer, self._evaluate = step.buffer()
        self._buffer = buffer  # owns the addresses that the engine writes to
        arguments = (self.mean, self.covariance, self._inputs, self._measured)
        for i, argument in enumerate(arguments):
            buffer.set_arg(i, argument.data)
        for i, result in enumerate((self._mean, self._covariance)):
            buffer.set_res(i, result.data)

    def step(self, inputs: Floats, measured: Floats) -> Floats:
        """Predict, fuse, and return the mean."""
        self._inputs[:] = inputs
        self._measured[:] = measured
        self._evaluate()
        self.mean[:] = self._mean
        # Symmetric: CasADi's columns are NumPy's rows.
        self.covariance[:] = self._covariance
        return self.mean.copy()
