"""The optimiser on a published example, in closed loop, against figures of another program."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from controllers.arrays import Floats
from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from plant_models.batch_bioreactor import CONTROL
from plant_models.integrate import Simulator
from tests.examples_plans import BIOMASS, published_problem, published_situation


@dataclass(frozen=True)
class Course:
    """A closed-loop run: plans, states after each step, inputs."""

    plans: list[Plan]
    states: Floats
    inputs: Floats


@pytest.fixture(scope="module")
def course() -> Course:
    """150 hours of the do-mpc example `batch_reactor`, nominal, with full state feedback.

    That example has two elements of degree two in an hour where we have one of degree three.
    """
    problem = published_problem()
    nmpc, plant = Nmpc(problem), Simulator(CONTROL, 1.0, count=16)
    situation = published_situation(problem)
    plans: list[Plan] = []
    states, inputs = [], []
    for _ in range(150):
        plan = nmpc.solve(situation, plans[-1] if plans else None)
        assert plan.status is SolveStatus.SOLVED, plan.message
        state = plant.advance(situation.state, plan.inputs[0], situation.parameters)
        plans.append(plan)
        states.append(state)
        inputs.append(plan.inputs[0])
        situation = replace(
            situation,
            time_s=situation.time_s + 3600,
            state=state,
            previous=plan.inputs[0],
            guess=plan.inputs,
        )
    return Course(plans, np.array(states), np.array(inputs))


def test_the_first_inputs_are_those_of_do_mpc(course: Course) -> None:
    published = [0.00809996, 0.01450173, 0.0192925, 0.02266675, 0.02487659]
    np.testing.assert_allclose(course.inputs[:5, 0], published, atol=1e-6)


@pytest.mark.parametrize(
    ("hour", "biomass", "substrate", "product", "volume"),
    [
        (50, 2.267349, 0.420099, 0.307841, 121.670322),
        (100, 3.70, 1.61e-4, 0.946091, 123.558851),
        (150, 3.70, 1.60e-4, 1.681883, 123.955096),
    ],
)
def test_the_states_are_those_of_do_mpc(
    course: Course, hour: int, biomass: float, substrate: float, product: float, volume: float
) -> None:
    expected = [volume, biomass, substrate, product]
    np.testing.assert_allclose(course.states[hour - 1], expected, rtol=1e-5, atol=1e-6)


def test_a_hard_limit_that_is_reached_is_held_and_not_crept_through(course: Course) -> None:
    # The limit is reached at about 81 h and held for 69 solves.
    assert course.states[85:, BIOMASS].min() > 3.69
    assert course.states[:, BIOMASS].max() < 3.7 + 1e-4
    assert any("biomass at its upper limit 3.7" in map(str, plan.active) for plan in course.plans)


def test_every_solve_but_the_first_is_warm(course: Course) -> None:
    assert course.plans[0].attempts == ("cold",)
    assert {plan.attempts for plan in course.plans[1:]} == {("warm",)}
    warm = [plan.iterations for plan in course.plans[1:]]
    assert np.mean(warm) < course.plans[0].iterations
