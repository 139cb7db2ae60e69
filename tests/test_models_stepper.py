import numpy as np

from plant_models.cho_mab import FULL
from plant_models.dialect import NUMPY
from plant_models.integrate import rk4_step
from plant_models.stepper import Stepper


def test_a_step_is_the_common_discretisation_and_its_outputs() -> None:
    stepper = Stepper(FULL, 10 / 3600, 4)
    x = np.array(FULL.initial_state())
    u = np.array(FULL.nominal_inputs())
    p = np.array(FULL.nominal_parameters())
    expected = x
    for _ in range(3 * 4):
        expected = rk4_step(lambda z: FULL.derivative(z, u, p, NUMPY), expected, 10 / 3600 / 4)
    after, outputs = x, np.zeros(0)
    for _ in range(3):
        after, outputs = stepper.advance(after, u, p)
    assert np.allclose(after, expected, rtol=1e-12)
    assert np.allclose(outputs, FULL.output_vector(after, u, p, NUMPY), rtol=1e-12)


def test_results_are_not_overwritten_by_the_next_step() -> None:
    stepper = Stepper(FULL, 10 / 3600, 4)
    x = np.array(FULL.initial_state())
    u, p = np.array(FULL.nominal_inputs()), np.array(FULL.nominal_parameters())
    first, outputs = stepper.advance(x, u, p)
    kept = first.copy(), outputs.copy()
    stepper.advance(first, u, p)
    assert np.array_equal(first, kept[0])
    assert np.array_equal(outputs, kept[1])
