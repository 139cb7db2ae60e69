"""One plan for several ways in which the plant may really be."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.arrays import Floats
from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from controllers.problem import Problem, Scenarios
from controllers.situation import Course, Situation
from plant_models.batch_bioreactor import CONTROL
from plant_models.integrate import Simulator
from tests.examples_plans import (
    BIOMASS,
    PRODUCT,
    integrated,
    named_parameters,
    published_problem,
    published_situation,
)

DENSE = np.array([120.0, 3.3, 0.5, 0.5])
"""A culture that reaches its limit within the horizon."""

YIELDS = (0.5, 0.6, 0.4)
SHARES = (0.5, 0.3, 0.2)


def problem(scenarios: Scenarios) -> Problem:
    return published_problem(pieces=12, scenarios=scenarios)


def growing(state: Floats, yields: tuple[float, ...] = YIELDS) -> tuple[Course, ...]:
    """Courses that differ in how much biomass a gram of substrate gives."""
    return tuple(
        Course(state, named_parameters(Y_x=value), share)
        for value, share in zip(yields, SHARES, strict=True)
    )


def dense(nmpc: Nmpc, courses: tuple[Course, ...] = ()) -> Situation:
    """Where every test here starts."""
    return published_situation(
        nmpc.problem, state=DENSE, previous=np.array([0.03]), courses=courses
    )


@pytest.fixture(scope="module")
def robust() -> Nmpc:
    return Nmpc(problem(Scenarios(3, common_pieces=2)))


@pytest.fixture(scope="module")
def plan(robust: Nmpc) -> Plan:
    plan = robust.solve(dense(robust, growing(DENSE)), None)
    assert plan.status is SolveStatus.SOLVED, plan.message
    return plan


def inputs_of(nmpc: Nmpc, plan: Plan) -> Floats:
    """Inputs of every scenario, shape (scenarios, pieces, decided)."""
    assert plan.warm is not None
    scaled = plan.warm.decision[nmpc._program.layout.inputs]
    return np.asarray(scaled * CONTROL.inputs["feed"].scale, dtype=np.float64)


def courses_of(inputs: Floats, courses: tuple[Course, ...]) -> Floats:
    """States at the ends of the pieces by SciPy, shape (scenarios, pieces, states)."""
    return np.array(
        [
            integrated(CONTROL, course.state, u, course.parameters, np.ones(len(u)))
            for u, course in zip(inputs, courses, strict=True)
        ]
    )


def costs_of(nmpc: Nmpc, plan: Plan, courses: tuple[Course, ...]) -> Floats:
    """What each scenario costs, from the integrated courses, shape (scenarios,)."""
    inputs = inputs_of(nmpc, plan)
    moves = np.diff(inputs[:, :, 0], prepend=0.03, axis=1)
    products = courses_of(inputs, courses)[:, :, PRODUCT]
    return np.asarray((moves**2).sum(axis=1) - products.sum(axis=1), dtype=np.float64)


# ------------------------------------------------------------------ limits and branches


def test_hard_limits_hold_whichever_scenario_is_true(robust: Nmpc, plan: Plan) -> None:
    biomass = courses_of(inputs_of(robust, plan), growing(DENSE))[:, :, BIOMASS]
    assert biomass.max() < 3.7 + 1e-4
    # The limit is reached in all of them.
    assert (biomass.max(axis=1) > 3.69).all()


def test_a_plan_for_one_scenario_breaks_the_limit_in_another(plan: Plan) -> None:
    """Otherwise the test above would hold for any plan."""
    nominal = Nmpc(problem(Scenarios()))
    alone = nominal.solve(dense(nominal), None)
    everywhere = np.tile(alone.inputs, (3, 1, 1))
    assert courses_of(everywhere, growing(DENSE))[:, :, BIOMASS].max() > 3.75


def test_inputs_are_common_until_measurements_tell_the_scenarios_apart(
    robust: Nmpc, plan: Plan
) -> None:
    inputs = inputs_of(robust, plan)
    assert (inputs[:, :2] == inputs[:1, :2]).all()
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(inputs[one, 2:] - inputs[other, 2:]).max() > 1e-3
    np.testing.assert_allclose(plan.inputs, inputs[0], atol=1e-9)


def test_what_other_loops_do_differs_between_scenarios_from_the_beginning() -> None:
    plain = problem(Scenarios(3, common_pieces=12))
    foreseen = replace(plain, inputs=tuple(replace(item, written=False) for item in plain.inputs))
    nmpc = Nmpc(foreseen)
    plan = nmpc.solve(dense(nmpc, growing(DENSE)), None)
    assert plan.status is SolveStatus.SOLVED, plan.message
    inputs = inputs_of(nmpc, plan)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(inputs[one, 0] - inputs[other, 0]).max() > 1e-3


def test_a_course_that_runs_out_is_foretold_as_well_as_one_that_does_not(robust: Nmpc) -> None:
    poor = Course(np.array([120.0, 3.3, 1e-4, 0.5]), named_parameters(mu_m=0.5), 0.2)
    expected = Course(DENSE, named_parameters(), 0.8)
    nothing = np.zeros((12, 1))
    foretold = robust.predict(dense(robust, (expected, poor)), nothing)
    alone = robust.predict(dense(robust, (poor,)), nothing)
    assert alone.min() >= -1e-3
    np.testing.assert_allclose(foretold[1], alone[0], rtol=1e-6, atol=1e-6)


def test_the_plan_shows_the_expected_scenario(robust: Nmpc, plan: Plan) -> None:
    expected = courses_of(inputs_of(robust, plan), growing(DENSE))[0]
    np.testing.assert_allclose(plan.states, expected, rtol=1e-6, atol=1e-8)


def test_caution_before_the_branching_and_none_after_it(robust: Nmpc, plan: Plan) -> None:
    """The longer all must share their inputs, the less product there is to be had."""
    late = Nmpc(problem(Scenarios(3, common_pieces=12)))
    cautious = late.solve(dense(late, growing(DENSE)), None)
    assert cautious.usable, cautious.message
    assert cautious.objective > plan.objective + 1e-4
    shared = inputs_of(late, cautious)
    assert (shared == shared[:1]).all()


# ------------------------------------------------------------------ what counts


def test_the_mean_by_shares_is_what_counts(robust: Nmpc, plan: Plan) -> None:
    costs = costs_of(robust, plan, growing(DENSE))
    assert plan.objective == pytest.approx(costs @ SHARES, rel=1e-6)
    assert sum(plan.terms.values()) == pytest.approx(plan.objective, rel=1e-9)


def test_in_the_worst_case_the_worst_scenario_is_what_counts(robust: Nmpc, plan: Plan) -> None:
    worst = Nmpc(problem(Scenarios(3, common_pieces=2, worst_case=True)))
    guarded = worst.solve(dense(worst, growing(DENSE)), None)
    assert guarded.status is SolveStatus.SOLVED, guarded.message
    costs = costs_of(worst, guarded, growing(DENSE))
    assert guarded.objective == pytest.approx(costs.max(), rel=1e-5)
    assert costs.max() <= costs_of(robust, plan, growing(DENSE)).max() + 1e-6


def test_the_same_scenario_three_times_is_one(robust: Nmpc) -> None:
    nominal = Nmpc(problem(Scenarios()))
    same = growing(DENSE, (0.5, 0.5, 0.5))
    alone = nominal.solve(dense(nominal), None)
    together = robust.solve(dense(robust, same), None)
    assert together.objective == pytest.approx(alone.objective, rel=1e-6)
    np.testing.assert_allclose(together.inputs, alone.inputs, atol=2e-4)
    np.testing.assert_allclose(inputs_of(robust, together)[2], alone.inputs, atol=2e-4)


def test_without_courses_all_scenarios_are_the_expected_one(robust: Nmpc) -> None:
    same = growing(DENSE, (0.5, 0.5, 0.5))
    equal = tuple(replace(course, share=1 / 3) for course in same)
    situation = dense(robust, equal)
    told, untold = robust.solve(situation, None), robust.solve(replace(situation, courses=()), None)
    np.testing.assert_array_equal(told.inputs, untold.inputs)


def test_another_number_of_courses_is_a_mistake(robust: Nmpc) -> None:
    situation = dense(robust, growing(DENSE)[:2])
    with pytest.raises(ValueError, match="has 3 scenarios, but the situation 2"):
        robust.solve(situation, None)


def test_a_scenario_that_is_not_finite_is_a_status(robust: Nmpc) -> None:
    broken = growing(np.array([120.0, np.nan, 0.5, 0.5]))
    situation = dense(robust, (*growing(DENSE)[:2], broken[2]))
    assert robust.solve(situation, None).status is SolveStatus.NUMERICAL_ERROR


# ------------------------------------------------------------------ another program's figures


def test_the_first_inputs_are_those_of_do_mpc() -> None:
    """Its example with a robust horizon of one: nine scenarios, equal shares, plant with Y_x 0.4.

    Its published figures carry the error of its solver at the usual tolerance, 2e-6; the others
    are its figures with a tolerance of 1e-11.
    """
    published = [0.01052153, 0.01872751, 0.0247725, 0.02894646, 0.03160635]
    converged = [0.01052026, 0.01872561, 0.02477041, 0.02894444, 0.03160456]
    nine = published_problem(degree=2, elements=2, scenarios=Scenarios(9))
    nmpc, plant = Nmpc(nine), Simulator(CONTROL, 1.0, count=16)
    situation, last = published_situation(nine), None
    given: list[float] = []
    for _ in range(5):
        courses = tuple(
            Course(situation.state, named_parameters(Y_x=Y_x, S_in=S_in), 1 / 9)
            for Y_x in (0.5, 0.4, 0.3)
            for S_in in (200.0, 220.0, 180.0)
        )
        last = nmpc.solve(replace(situation, courses=courses), last)
        assert last.status is SolveStatus.SOLVED, last.message
        state = plant.advance(situation.state, last.inputs[0], named_parameters(Y_x=0.4))
        later_s = situation.time_s + 3600
        situation = replace(situation, time_s=later_s, state=state, previous=last.inputs[0])
        given.append(float(last.inputs[0, 0]))
    np.testing.assert_allclose(given, converged, atol=2e-7)
    np.testing.assert_allclose(given, published, atol=3e-6)
