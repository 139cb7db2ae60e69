"""Many batches at once: the same as one by one, each with its own inputs and parameters."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from plant_models.batches import Batches
from plant_models.cho_mab import CORE, FULL
from plant_models.integrate import SHARE, Simulator, rk4_from, rodas3_with_error
from plant_models.model import Method, PlantModel
from tests.examples_models import Floats, compiled, reference_course

STIFF_CORE = replace(CORE, method=Method.IMPLICIT)
STEPS = 12


def scales(model: PlantModel) -> Floats:
    return np.array([state.scale for state in model.states.values()])


def drawn(model: PlantModel, count: int, steps: int = STEPS) -> tuple[Floats, Floats, Floats]:
    """Initial states, inputs of each batch and parameters, all different in every batch."""
    random = np.random.default_rng(5)
    x = np.array(model.initial_state()) * random.uniform(0.8, 1.2, (count, len(model.states)))
    nominal = np.array(model.nominal_inputs())
    scale = np.array([item.scale for item in model.inputs.values()])
    u = nominal + 0.1 * scale * random.random((count, steps, len(nominal)))
    deviation = np.array([item.deviation for item in model.parameters.values()])
    spread = np.exp(deviation * random.standard_normal((count, len(deviation))))
    return x, u, np.array(model.nominal_parameters()) * spread


def one_by_one(simulator: Simulator, x: Floats, u: Floats, p: Floats) -> Floats:
    """What `Batches` gives, by the simulator of one batch."""
    courses = []
    for state, inputs, parameters in zip(x, u, p, strict=True):
        course = [state]
        for now in inputs:
            course.append(simulator.advance(course[-1], now, parameters))
        courses.append(course)
    return np.array(courses)


def tight(model: PlantModel, step_h: float, x: Floats, u: Floats, p: Floats) -> Floats:
    """Final states by an independent integrator."""
    derivative, _ = compiled(model)
    finals = []
    for state, inputs, parameters in zip(x, u, p, strict=True):

        def rhs(x: Floats, hour: float, u: Floats = inputs, p: Floats = parameters) -> Floats:
            return np.array(derivative(x, u[int(hour / step_h)], p)).ravel()

        edges_h = [step_h * k for k in range(len(inputs) + 1)]
        finals.append(reference_course(rhs, state, edges_h, 1e-10)(edges_h[-1]))
    return np.array(finals)


def error(model: PlantModel, given: Floats, exact: Floats) -> float:
    """Largest difference in units of the states' scales."""
    return float(np.max(np.abs(given - exact) / scales(model)))


@pytest.mark.parametrize("model", [CORE, STIFF_CORE], ids=["explicit", "implicit"])
def test_many_at_once_are_the_same_as_one_by_one(model: PlantModel) -> None:
    x, u, p = drawn(model, 3)
    courses = Batches(model, 0.5, 4).courses(x, u, p)
    assert courses.shape == (3, STEPS + 1, len(model.states))
    assert courses.dtype == np.float64
    expected = one_by_one(Simulator(model, 0.5, 4), x, u, p)
    assert courses == pytest.approx(expected, rel=1e-11, abs=1e-13)


def test_a_count_is_what_the_model_declares_unless_said() -> None:
    x, u, p = drawn(CORE, 2, steps=3)
    courses = Batches(CORE, 1.0).courses(x, u, p)
    expected = one_by_one(Simulator(CORE, 1.0), x, u, p)
    assert courses == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("steps", [{"count": 2}, {"tolerance": 1e-6}], ids=["even", "chosen"])
def test_inputs_may_be_shared_or_each_batch_s_own(steps: dict[str, float]) -> None:
    x, u, p = drawn(CORE, 3)
    batches = Batches(CORE, 1.0, **steps)  # type: ignore[arg-type]
    own = batches.courses(x, u, p)
    shared = batches.courses(x, u[1], p)
    assert shared[1] == pytest.approx(own[1], rel=1e-11)
    assert error(CORE, shared[0, -1], own[0, -1]) > 1e-5
    repeated = batches.courses(x, np.broadcast_to(u[1], u.shape), p)
    assert repeated == pytest.approx(shared, rel=1e-11)


@pytest.mark.parametrize("steps", [{"count": 2}, {"tolerance": 1e-6}], ids=["even", "chosen"])
def test_every_batch_has_its_own_parameters_and_start(steps: dict[str, float]) -> None:
    x, u, p = drawn(CORE, 2)
    batches = Batches(CORE, 1.0, **steps)  # type: ignore[arg-type]
    same = np.array([0, 0])
    for start, parameters in ((x[same], p), (x, p[same])):
        courses = batches.courses(start, u[0], parameters)
        assert error(CORE, courses[0, -1], courses[1, -1]) > 1e-4
    courses = batches.courses(x[same], u[0], p[same])
    assert np.array_equal(courses[0], courses[1])


@pytest.mark.parametrize("model", [CORE, STIFF_CORE], ids=["explicit", "implicit"])
def test_chosen_steps_are_as_accurate_as_asked(model: PlantModel) -> None:
    """The errors of many steps add up, but to no more than some times the tolerance."""
    x, u, p = drawn(model, 3, steps=5)
    exact = tight(model, 48.0, x, u, p)
    errors = [
        error(model, Batches(model, 48.0, tolerance=tolerance).courses(x, u, p)[:, -1], exact)
        for tolerance in (1e-4, 1e-6)
    ]
    assert errors[0] < 5e-4
    assert errors[1] < 5e-6
    assert errors[1] < errors[0] / 10


def test_chosen_steps_stay_stable_where_oxygen_runs_out() -> None:
    """A dense culture that loses its oxygen, beside one that does not: rates of 1000 1/h."""
    x, u, p = drawn(FULL, 2, steps=4)
    x[0, FULL.state_names.index("viable_cells")] = 15.0
    u[:, :, FULL.input_names.index("oxygen")] = 0.84
    finals = Batches(FULL, 1.0, tolerance=1e-5).courses(x, u, p)[:, -1]
    assert finals[0, FULL.state_names.index("oxygen")] < 1e-3
    assert finals[1, FULL.state_names.index("oxygen")] > 0.05
    assert error(FULL, finals, tight(FULL, 1.0, x, u, p)) < 1e-5


def test_a_batch_does_not_depend_on_the_others() -> None:
    x, u, p = drawn(CORE, 4, steps=24)
    batches = Batches(CORE, 1.0, tolerance=1e-5)
    together = batches.courses(x, u, p)
    alone = batches.courses(x[2:3], u[2:3], p[2:3])
    assert together[2] == pytest.approx(alone[0], rel=1e-9)


@pytest.mark.parametrize("steps", [{"count": 2}, {"tolerance": 1e-6}], ids=["even", "chosen"])
def test_a_batch_that_runs_away_leaves_the_others_alone(steps: dict[str, float]) -> None:
    x, u, p = drawn(CORE, 3)
    batches = Batches(CORE, 1.0, **steps)  # type: ignore[arg-type]
    expected = batches.courses(x, u, p)
    p[1, CORE.parameter_names.index("mu_max")] = 1e308
    courses = batches.courses(x, u, p)
    assert np.isnan(courses[1, -1, CORE.state_names.index("viable_cells")])
    assert courses[[0, 2]] == pytest.approx(expected[[0, 2]], rel=1e-11)


def test_what_no_number_of_steps_can_meet_is_given_up() -> None:
    x, u, p = drawn(CORE, 1, steps=2)
    courses = Batches(CORE, 1.0, tolerance=1e-30).courses(x, u, p)
    assert np.array_equal(courses[:, 0], x)
    assert np.all(np.isnan(courses[:, 1:]))


def test_numbers_are_double_whatever_the_process_uses() -> None:
    x, u, p = drawn(CORE, 2)
    batches = Batches(CORE, 1.0, 2)
    expected = batches.courses(x, u, p)
    with jax.enable_x64(False):
        courses = batches.courses(x, u, p)
    assert courses.dtype == np.float64
    assert np.array_equal(courses, expected)


@pytest.mark.parametrize(
    ("part", "shape", "expected"),
    [
        ("x", (8,), r"initial states of cho_mab_core .* \(8,\), but must have \(batches, 8\)"),
        ("x", (3, 7), r"initial states .* \(3, 7\), but must have \(batches, 8\)"),
        ("x", (0, 8), r"initial states .* \(0, 8\), but must have \(batches, 8\)"),
        ("x", (2, 8), r"parameters of 3 batches, but initial states of 2"),
        ("u", (12, 3), r"inputs .* \(12, 3\), but must have \(steps, 2\), .* glucose_feed"),
        ("u", (2,), r"inputs .* \(2,\), but must have \(steps, 2\)"),
        ("u", (3, 12, 1), r"inputs .* \(3, 12, 1\), but must have \(batches, steps, 2\)"),
        ("u", (2, 12, 2), r"inputs of 2 batches, but initial states of 3"),
        ("u", (3, 0, 2), r"inputs .* \(3, 0, 2\), but must have \(batches, steps, 2\)"),
        ("p", (21,), r"parameters .* \(21,\), but must have \(batches, 21\), .* mu_max"),
        ("p", (4, 21), r"parameters of 4 batches, but initial states of 3"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_refused_in_words(
    part: str, shape: tuple[int, ...], expected: str
) -> None:
    parts = dict(zip("xup", drawn(CORE, 3), strict=True)) | {part: np.ones(shape)}
    with pytest.raises(ValueError, match=expected):
        Batches(CORE, 1.0).courses(**parts)


@pytest.mark.parametrize(
    ("step_h", "count", "tolerance", "expected"),
    [
        (0.0, None, None, "step_h is 0.0"),
        (np.inf, None, None, "step_h is inf"),
        (1.0, 0, None, "count is 0"),
        (1.0, None, 0.0, "tolerance is 0.0"),
        (1.0, None, np.nan, "tolerance is nan"),
        (1.0, 2, 1e-6, "either a count of steps or a tolerance"),
    ],
)
def test_a_wrong_step_is_refused_in_words(
    step_h: float, count: int | None, tolerance: float | None, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        Batches(CORE, step_h, count, tolerance)


def logistic(x: Floats) -> Floats:
    """Derivative of the core of growth."""
    return x * (1 - x)


def estimate(method: Method, step_h: float) -> float:
    """What a step of the logistic equation is estimated to be wrong by."""
    x = np.array([0.1])
    if method is Method.EXPLICIT:
        after, last = rk4_from(logistic, logistic(x), x, step_h)
        return float((step_h / 6 * (last - logistic(after)))[0])

    def solve(right: Floats) -> Floats:
        return right / (1 / (SHARE * step_h) - (1 - 2 * x))

    return float(rodas3_with_error(logistic, logistic(x), solve, x, step_h)[1][0])


@pytest.mark.parametrize(("method", "order"), [(Method.EXPLICIT, 4), (Method.IMPLICIT, 3)])
def test_estimated_errors_are_of_the_method_one_order_lower(method: Method, order: int) -> None:
    """Halving the step divides the estimate by two to the order."""
    estimates = [abs(estimate(method, step_h)) for step_h in (0.1, 0.05, 0.025)]
    assert np.diff(np.log2(estimates)) == pytest.approx([-order] * 2, abs=0.15)
