"""The common integrator: its accuracy on a batch, its order, volume and non-negativity."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plant_models.cho_mab import CONTROL, FULL
from plant_models.dialect import NUMPY
from plant_models.integrate import Simulator, rk4_step, substeps
from plant_models.library import MODELS
from plant_models.model import PlantModel
from plant_models.stepper import Stepper
from tests.examples_models import Floats, compiled, random_points, reference_course

FEED_PER_DAY = (0.0, 0.03, 0.04, 0.03)
"""Both feeds in initial volumes per day, over four stretches of the batch."""
EDGES_H = (0.0, 72.0, 144.0, 240.0, 336.0)
OXYGEN_PER_AIR = (0.02, 0.15, 0.45, 0.5)
CARBON_DIOXIDE = (20.0, 10.0, 0.0, 0.0)
"""Gas flows over the same stretches, CO2 in L/h: oxygen falls to 2 % of air saturation on day 5."""
STATED = 1e-6


def recipe_inputs(model: PlantModel, time_h: float) -> Floats:
    """Inputs of a plain recipe: feeds shared two to one, gases stepped up as the cells grow."""
    piece = int(np.searchsorted(EDGES_H[1:-1], time_h, side="right"))
    feed = FEED_PER_DAY[piece] * model.states[model.volume].initial / 24
    changes: dict[str, float] = {"glucose_feed": 2 * feed / 3, "amino_feed": feed / 3}
    if "oxygen" in model.input_names:
        changes["oxygen"] = OXYGEN_PER_AIR[piece] * model.inputs["air"].nominal
        changes["carbon_dioxide"] = CARBON_DIOXIDE[piece]
        changes["base"] = feed / 20
    return np.array(model.nominal_inputs()._replace(**changes))


def parts(model: PlantModel) -> tuple[Floats, Floats, Floats]:
    return (
        np.array(model.initial_state()),
        np.array(model.nominal_inputs()),
        np.array(model.nominal_parameters()),
    )


def scales(model: PlantModel) -> Floats:
    return np.array([state.scale for state in model.states.values()])


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_batch_is_within_the_stated_tolerance_of_a_tight_reference(model: PlantModel) -> None:
    derivative, _ = compiled(model)
    x, _, p = parts(model)
    course = reference_course(
        lambda x, time_h: np.array(derivative(x, recipe_inputs(model, time_h), p)).ravel(),
        x,
        EDGES_H,
        1e-11,
    )
    simulator = Simulator(model, step_h=1.0)
    worst = 0.0
    for hour in range(336):
        x = simulator.advance(x, recipe_inputs(model, hour + 0.5), p)
        if hour % 12 == 11:
            worst = max(worst, np.max(np.abs(x - course(hour + 1.0)) / scales(model)))
    assert worst < STATED


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


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_volume_changes_by_the_liquid_flows_and_nothing_else(model: PlantModel) -> None:
    points = random_points(model, 100, seed=11)
    row = model.state_names.index(model.volume)
    for x, u, p in zip(points.x, points.u, points.p, strict=True):
        rate = model.derivative(x, u, p, NUMPY)[row]
        inputs = dict(zip(model.input_names, u, strict=True))
        parameters = dict(zip(model.parameter_names, p, strict=True))
        delivered = sum(
            inputs[name] * parameters.get(f"{name}_gain", 1.0) for name in model.volume_flows
        )
        assert rate == pytest.approx(delivered, rel=1e-14)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_volume_after_a_batch_is_the_initial_one_plus_what_flowed(model: PlantModel) -> None:
    x, _, p = parts(model)
    row = model.state_names.index(model.volume)
    columns = [model.input_names.index(name) for name in model.volume_flows]
    expected = x[row]
    simulator = Simulator(model, step_h=6.0)
    for hour in range(0, 336, 6):
        u = recipe_inputs(model, hour + 3.0)
        expected += 6.0 * u[columns].sum()
        x = simulator.advance(x, u, p)
    assert x[row] == pytest.approx(expected, rel=1e-10)


@given(st.data())
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_what_is_used_up_is_not_used_further(model: PlantModel, data: Any) -> None:
    """At zero of any state the rate is not negative, so that no state ever becomes negative.

    Two states of the gas side are left out because they are not amounts that cells use up:
    bicarbonate formed from strong ions may take carbon dioxide, and the strong-ion difference has
    a lower bound above zero.
    """
    names = [name for name in model.state_names if name not in ("carbon_dioxide", "alkalinity")]
    points = random_points(model, 1, seed=data.draw(st.integers(0, 2**32 - 1)))
    x, u, p = points.x[0], points.u[0], points.p[0]
    for name in set(names) - {model.volume}:
        empty = x.copy()
        empty[model.state_names.index(name)] = 0.0
        assert model.derivative(empty, u, p, NUMPY)[model.state_names.index(name)] >= 0.0


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_starved_batch_stays_non_negative(model: PlantModel) -> None:
    x, u, p = parts(model)
    if "oxygen" in model.input_names:
        u = np.array(model.Inputs(*u)._replace(oxygen=100.0, carbon_dioxide=20.0))
    simulator = Simulator(model, step_h=1.0)
    for _ in range(336):
        x = simulator.advance(x, u, p)
        assert np.all(x >= -1e-9 * scales(model))
    assert x[model.state_names.index("glucose")] < 0.01


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
