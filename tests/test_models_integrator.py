"""The common integrator: its order, its steps, and cells without oxygen."""

import numpy as np
import pytest

from plant_models.cho_mab import CONTROL, FULL
from plant_models.dialect import NUMPY
from plant_models.integrate import Simulator, rk4_step, substeps
from plant_models.model import PlantModel
from plant_models.stepper import Stepper
from tests.examples_models import Floats


def parts(model: PlantModel) -> tuple[Floats, Floats, Floats]:
    return (
        np.array(model.initial_state()),
        np.array(model.nominal_inputs()),
        np.array(model.nominal_parameters()),
    )


def test_runge_kutta_is_of_fourth_order() -> None:
    """Halving the step divides the error by sixteen: on the core of growth, x' = x (1 - x)."""
    exact = 1 / (1 + 9 * np.exp(-2.0))
    errors = []
    for count in (8, 16, 32, 64):
        x = np.array([0.1])
        for _ in range(count):
            x = rk4_step(lambda z: z * (1 - z), x, 2.0 / count)
        errors.append(abs(x[0] - exact))
    slopes = np.diff(np.log2(errors))
    assert np.allclose(slopes, -4.0, atol=0.15)


@pytest.mark.parametrize(
    ("step_h", "expected"), [(1.0, 60), (1 / 60, 1), (1 / 360, 1), (0.1, 6), (0.11, 7)]
)
def test_substeps_follow_from_the_model(step_h: float, expected: int) -> None:
    assert substeps(CONTROL, step_h) == expected
    assert Simulator(CONTROL, step_h).count == expected


def test_simulator_takes_the_steps_it_says() -> None:
    x, u, p = parts(CONTROL)
    by_hand = x
    for _ in range(6):
        by_hand = rk4_step(lambda z: CONTROL.derivative(z, u, p, NUMPY), by_hand, 0.1 / 6)
    assert Simulator(CONTROL, 0.1).advance(x, u, p) == pytest.approx(by_hand, rel=1e-13)
    outputs = Simulator(CONTROL, 0.1).outputs(x, u, p)
    assert outputs == pytest.approx(CONTROL.output_vector(x, u, p, NUMPY), rel=1e-13)


def test_stepper_and_simulator_are_one_integrator() -> None:
    x, u, p = parts(FULL)
    stepper, simulator = Stepper(FULL, 1 / 360, 2), Simulator(FULL, 1 / 360, 2)
    for _ in range(50):
        x_next, y = stepper.advance(x, u, p)
        assert x_next == pytest.approx(simulator.advance(x, u, p), rel=1e-14, abs=0.0)
        assert y == pytest.approx(simulator.outputs(x_next, u, p), rel=1e-14, abs=0.0)
        x = x_next


@pytest.mark.parametrize(
    ("model", "lowest"), [(CONTROL, -0.02), (FULL, 0.0)], ids=["cho_mab_control", "cho_mab_full"]
)
def test_a_loss_of_oxygen_is_survived(model: PlantModel, lowest: float) -> None:
    """A dense culture without oxygen supply for six hours, then with supply again.

    Uptake at nearly no oxygen is faster than the steps of the coarser model, which may overshoot
    zero by a tenth of air saturation; it must neither run away nor stay there.
    """
    x, u, p = parts(model)
    x = np.array(model.State(*x)._replace(viable_cells=15.0, glucose=40.0))
    row = model.state_names.index("oxygen")
    simulator = Simulator(model, step_h=1 / 6)
    course = []
    for supply in (0.84, 840.0):
        u = np.array(model.Inputs(*u)._replace(oxygen=supply, carbon_dioxide=20.0))
        for _ in range(36):
            x = simulator.advance(x, u, p)
            course.append(x[row])
    assert min(course) >= lowest
    assert max(course[6:36]) < 0.01
    assert course[-1] > 0.05
    assert np.all(np.delete(x, row) >= 0.0)
