"""Runge-Kutta steps and sequential quadratic programming: the same plans, sooner."""

from dataclasses import dataclass, replace

import casadi
import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from controllers.problem import Method, Scenarios
from controllers.situation import Course
from controllers.stages import Stages
from controllers.transcription import transcribe
from plant_models.batch_bioreactor import CONTROL
from plant_models.integrate import Simulator
from tests.examples_plans import (
    BIOMASS,
    integrated,
    named_parameters,
    published_problem,
    published_situation,
)


@dataclass(frozen=True)
class Pair:
    """Plans of both methods from the same situations, one closed loop of twenty hours."""

    shooting: list[Plan]
    collocation: list[Plan]


@pytest.fixture(scope="module")
def pair() -> Pair:
    problem = published_problem(method=Method.SHOOTING, elements=3)
    quick, thorough = Nmpc(problem), Nmpc(published_problem())
    plant, situation = Simulator(CONTROL, 1.0, count=16), published_situation(problem)
    shooting: list[Plan] = []
    collocation: list[Plan] = []
    for _ in range(20):
        shooting.append(quick.solve(situation, shooting[-1] if shooting else None))
        collocation.append(thorough.solve(situation, collocation[-1] if collocation else None))
        assert shooting[-1].status is SolveStatus.SOLVED, shooting[-1].message
        u = shooting[-1].inputs[0]
        situation = replace(
            situation,
            time_s=situation.time_s + 3600,
            state=plant.advance(situation.state, u, situation.parameters),
            previous=u,
        )
    return Pair(shooting, collocation)


def test_both_methods_find_the_same_plans(pair: Pair) -> None:
    for one, other in zip(pair.shooting, pair.collocation, strict=True):
        assert one.objective == pytest.approx(other.objective, rel=1e-5)
        np.testing.assert_allclose(one.inputs, other.inputs, atol=1e-4)
        np.testing.assert_allclose(one.outputs, other.outputs, rtol=1e-3, atol=2e-4)


def test_every_solve_but_the_first_is_quick(pair: Pair) -> None:
    assert pair.shooting[0].attempts == ("cold",)
    assert {plan.attempts for plan in pair.shooting[1:]} == {("warm",)}
    assert max(plan.iterations for plan in pair.shooting[1:]) <= 5


def test_the_first_input_is_that_of_do_mpc(pair: Pair) -> None:
    published = [0.00809996, 0.01450173, 0.0192925, 0.02266675, 0.02487659]
    given = [plan.inputs[0, 0] for plan in pair.shooting[:5]]
    np.testing.assert_allclose(given, published, atol=1e-5)


def test_a_plan_by_shooting_is_what_the_model_does_under_its_inputs(pair: Pair) -> None:
    start = np.array(CONTROL.initial_state(), dtype=np.float64)
    plan = pair.shooting[0]
    states = integrated(CONTROL, start, plan.inputs, named_parameters(), np.ones(20))
    np.testing.assert_allclose(plan.states, states, rtol=1e-6, atol=1e-7)
    assert 0.0 < plan.defect < 1e-4


def test_too_few_steps_for_the_model_are_found_by_the_simulation() -> None:
    """At its limit a culture uses substrate up at a rate that a step of an hour cannot follow."""
    starved = np.array([120.0, 3.4, 0.3, 0.5])
    coarse = published_problem(method=Method.SHOOTING, elements=1)
    plan = Nmpc(coarse).solve(published_situation(coarse, state=starved), None)
    assert plan.status is SolveStatus.REFUSED
    assert "differs by" in plan.message
    finer = replace(coarse, elements=4)
    assert Nmpc(finer).solve(published_situation(finer, state=starved), None).usable


def test_a_limit_that_is_reached_is_held_in_a_warm_solve() -> None:
    """From a culture just under it, hour by hour."""
    problem = published_problem(method=Method.SHOOTING, elements=4)
    nmpc, plant = Nmpc(problem), Simulator(CONTROL, 1.0, count=16)
    situation = published_situation(problem, state=np.array([120.0, 3.5, 0.4, 0.5]))
    last: Plan | None = None
    highest = 0.0
    for _ in range(8):
        last = nmpc.solve(situation, last)
        assert last.usable, last.message
        state = plant.advance(situation.state, last.inputs[0], situation.parameters)
        highest = max(highest, float(state[BIOMASS]))
        situation = replace(
            situation, time_s=situation.time_s + 3600, state=state, previous=last.inputs[0]
        )
    assert 3.69 < highest < 3.7 + 1e-3


def test_scenarios_by_both_methods_are_the_same() -> None:
    three = Scenarios(3)
    quick = Nmpc(published_problem(method=Method.SHOOTING, elements=3, scenarios=three))
    thorough = Nmpc(published_problem(scenarios=three))
    situation = published_situation(quick.problem)
    courses = tuple(
        Course(situation.state, named_parameters(Y_x=Y_x), 1 / 3) for Y_x in (0.5, 0.4, 0.3)
    )
    situation = replace(situation, courses=courses)
    one, other = quick.solve(situation, None), thorough.solve(situation, None)
    assert one.objective == pytest.approx(other.objective, rel=1e-5)
    np.testing.assert_allclose(one.inputs, other.inputs, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"free_harvest": True}, "needs the method collocation"),
        ({"scenarios": Scenarios(3, worst_case=True)}, "needs the method collocation"),
        ({"scenarios": Scenarios(3, common_pieces=2)}, "needs common_pieces: 1"),
    ],
)
def test_what_shooting_cannot_do_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        published_problem(method=Method.SHOOTING, **changes)


def test_pieces_have_the_derivatives_of_the_flat_program() -> None:
    problem = published_problem(method=Method.SHOOTING, elements=2, pieces=3)
    program = transcribe(problem)
    stages, nlp = Stages(problem, program), program.nlp
    parameters = program.inputs.numbers(problem, published_situation(problem))
    stages.begin(parameters)
    random = np.random.default_rng(0)
    point = random.uniform(0.5, 1.0, program.layout.size)
    multipliers = random.normal(size=program.rows.size)
    found = stages.slopes(point)
    pull = found.gradient + stages.pulled_by_others(found, multipliers)
    pull = stages.trace_back(found, pull, multipliers)
    bent = stages.curves(point, found, multipliers)
    weights = casadi.SX.sym("weights", program.rows.size)
    lagrange = nlp["f"] + casadi.dot(weights, nlp["g"])
    curves, slopes = casadi.hessian(lagrange, nlp["x"])
    flat = casadi.Function("flat", [nlp["x"], nlp["p"], weights], [curves, slopes, nlp["g"]])
    expected, gradient, rows = (np.array(each) for each in flat(point, parameters, multipliers))
    np.testing.assert_allclose(found.rows, rows.ravel(), atol=1e-12)
    np.testing.assert_allclose(pull, gradient.ravel(), atol=1e-10)
    whole = np.zeros((program.layout.size + 1,) * 2)
    for piece in range(problem.pieces):
        places = stages.arguments[0, piece]
        whole[np.ix_(places, places)] += bent.stages[0, piece]
    whole[stages.pattern.left, stages.pattern.right] += bent.others
    np.testing.assert_allclose(whole[:-1, :-1], expected, atol=1e-10)


def test_a_warm_start_notices_that_a_bound_which_held_it_is_gone() -> None:
    problem = published_problem(method=Method.SHOOTING, elements=3)
    nmpc, free = Nmpc(problem), published_situation(problem)
    bounded = replace(free, input_bounds=np.array([[0.0, 0.008]]))
    held = nmpc.solve(bounded, nmpc.solve(bounded, None))
    plan, best = nmpc.solve(free, held), nmpc.solve(free, None)
    assert plan.attempts == ("warm",)
    assert held.objective > best.objective + 1e-3
    assert plan.objective == pytest.approx(best.objective, rel=1e-6)
