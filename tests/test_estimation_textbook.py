"""The filter on cells against a textbook's, written anew with other tools.

States and sensitivities come from an adaptive integrator at tight tolerances, Jacobians from
central differences, updates from all values at once in Joseph's form.
Source: Simon (2006), Optimal State Estimation, section 13.2.
"""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.values import Floats
from plant_models.dialect import NUMPY
from tests.examples_core import PERIOD_H, core_filter, core_settings, step

SIZE, STATES = 10, 8


class TextbookFilter:
    """Extended Kalman filter of the core in NumPy and SciPy; z holds logarithms of parameters."""

    def __init__(self, settings: EstimationSettings) -> None:
        self.settings, self.model = settings, settings.model
        names = self.model.state_names
        self.channels = (*settings.signals, *settings.assays)
        initial = [settings.initial[name] for name in names]
        learnt = [np.log(settings.parameters[item.name]) for item in settings.adapted]
        self.mean = np.array([*initial, *learnt])
        rows = [settings.uncertainty[name] for name in names]
        deviations = [row.initial for row in rows] + [item.deviation for item in settings.adapted]
        self.P = np.diag(np.square(deviations))
        self.drift = np.array([r.drift for r in rows] + [i.drift for i in settings.adapted])
        self.relative = np.array([row.relative_drift for row in rows] + [0.0, 0.0])

    def parameters(self, z: Floats) -> Floats:
        values = dict(self.settings.parameters)
        for item, logarithm in zip(self.settings.adapted, z[STATES:], strict=True):
            values[item.name] = float(np.exp(logarithm))
        return np.array([values[name] for name in self.model.parameter_names])

    def rate(self, z: Floats, u: Floats) -> Floats:
        change = self.model.derivative(z[:STATES], u, self.parameters(z), NUMPY)
        return np.append(change, [0.0, 0.0])

    def shown(self, z: Floats, u: Floats) -> Floats:
        outputs = self.model.output_vector(z[:STATES], u, self.parameters(z), NUMPY)
        return np.array([outputs[self.model.output_names.index(i.shows)] for i in self.channels])

    def slopes(self, function: object, z: Floats, u: Floats) -> Floats:
        assert callable(function)
        columns = []
        for j in range(SIZE):
            width = np.zeros(SIZE)
            width[j] = 1e-5 * max(abs(z[j]), 0.1)
            difference = function(z + width, u) - function(z - width, u)
            columns.append(difference / (2 * width[j]))
        return np.array(columns).T

    def predict(self, u: Floats, step_h: float) -> None:
        def both(_: float, packed: Floats) -> Floats:
            z, F = packed[:SIZE], packed[SIZE:].reshape(SIZE, SIZE)
            return np.append(self.rate(z, u), self.slopes(self.rate, z, u) @ F)

        start = np.append(self.mean, np.eye(SIZE))
        end = solve_ivp(both, (0, step_h), start, rtol=1e-10, atol=1e-12).y[:, -1]
        F = end[SIZE:].reshape(SIZE, SIZE)
        M = (np.eye(SIZE) + F) / 2
        noise = np.square(self.drift + self.relative * np.abs(self.mean)) * step_h
        self.mean, self.P = end[:SIZE], F @ self.P @ F.T + M @ np.diag(noise) @ M.T

    def update(self, u: Floats, measured: Floats) -> None:
        there = np.isfinite(measured)
        expected = self.shown(self.mean, u)
        absolute = np.array([item.absolute for item in self.channels])
        relative = np.array([item.relative for item in self.channels])
        R = np.diag((absolute**2 + (relative * expected) ** 2)[there])
        H = self.slopes(self.shown, self.mean, u)[there]
        K = np.linalg.solve(H @ self.P @ H.T + R, H @ self.P).T
        self.mean = self.mean + K @ (measured - expected)[there]
        shrink = np.eye(SIZE) - K @ H
        self.P = shrink @ self.P @ shrink.T + K @ R @ K.T


def test_on_cells_it_is_the_textbooks_filter() -> None:
    """A day in steps of up to ten minutes: growth, feeds, all channels at their own rates."""
    random = np.random.default_rng(7)
    core, textbook = core_filter(), TextbookFilter(core_settings())
    belief = core.initial(np.zeros(2))
    for number in range(144):
        u = np.array([2.0, 1.0]) * (number % 3 == 0)
        step_h = PERIOD_H * (1.0 if number % 2 else 0.4)
        textbook.predict(u, step_h)
        wanted = random.random(5) < np.array([0.9, 0.5, 0.05, 0.05, 0.05])
        expected = textbook.shown(textbook.mean, u)
        noise = 0.3 * (0.05 + 0.02 * np.abs(expected)) * random.normal(size=5)
        measured = np.where(wanted, expected + noise, np.nan)
        if wanted.any():
            textbook.update(u, measured)
        told = step(core, belief, u, step_h, dict(enumerate(measured)))
        belief = told.belief
        assert told.fused.tolist() == wanted.tolist()
    scale = np.sqrt(np.diag(textbook.P))
    assert scale[0] == pytest.approx(belief.deviation[0])
    assert np.abs((belief.mean - textbook.mean) / scale).max() < 1e-5
    difference = np.abs(belief.covariance - textbook.P) / np.outer(scale, scale)
    assert difference.max() < 1e-5
