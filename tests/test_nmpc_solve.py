"""What a solve gives: the program behind it, a plan that holds, and a warm start for the next."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.plan import ADVICE, Plan, SolveStatus
from controllers.problem import Tracked
from controllers.transcription import radau
from mpc_agent.codec import encode
from plant_models.integrate import Simulator
from tests.examples_core import (
    BATCH_REACTOR,
    harvest_problem,
    long_situation,
    solved,
)

VOLUME, PRODUCT_MASS = 0, 4


@pytest.fixture(scope="module")
def harvest() -> Nmpc:
    return Nmpc(harvest_problem())


# ------------------------------------------------------------------ the program


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_the_differentiation_matrix_is_exact_for_polynomials(degree: int) -> None:
    times, matrix = radau(degree)
    nodes = np.concatenate([[0.0], times])
    assert times[-1] == pytest.approx(1.0)
    for power in range(degree + 1):
        slopes = power * times ** max(power - 1, 0)
        np.testing.assert_allclose(nodes**power @ matrix, slopes, atol=1e-11)


def test_a_higher_degree_is_nearer_to_the_integrated_truth() -> None:
    low, high = (solved(harvest_problem(degree=degree), piece_h=2.0).defect for degree in (2, 3))
    assert 1e-5 > low > 100 * high > 0


@pytest.mark.parametrize(
    ("field", "name"), [("maximise", "cels"), ("held_states", ("cels",)), ("tracked", "cels")]
)
def test_a_problem_refuses_names_that_the_model_does_not_have(field: str, name: Any) -> None:
    value = (Tracked(name, 1.0, 1.0),) if field == "tracked" else name
    with pytest.raises(ValueError, match=r"'cels' is not in model batch_reactor \(.*cells"):
        harvest_problem(**{field: value})


# ------------------------------------------------------------------ a good plan


def test_a_plan_is_what_the_model_does_under_its_inputs(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    plan = harvest.solve(situation, None)
    assert plan.status is SolveStatus.SOLVED
    assert plan.message == ADVICE[SolveStatus.SOLVED]
    plant = Simulator(BATCH_REACTOR, situation.piece_h, count=200)
    state = situation.state
    for piece in range(harvest.problem.pieces):
        state = plant.advance(state, plan.inputs[piece], situation.parameters)
        np.testing.assert_allclose(plan.states[piece], state, rtol=1e-6, atol=1e-6)
        outputs = plant.outputs(state, plan.inputs[piece], situation.parameters)
        np.testing.assert_allclose(plan.outputs[piece], outputs, rtol=1e-6, atol=1e-6)
    assert plan.grid_h == pytest.approx(np.arange(1, 16) * 6.0)
    foreseen = harvest.predict(situation, plan.inputs)
    np.testing.assert_allclose(foreseen, plan.outputs, rtol=1e-12)


def test_no_change_of_a_plan_within_its_limits_is_better(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    plan = harvest.solve(situation, None)

    def worth(inputs: Any) -> float:
        moves = np.diff(inputs[:, 0], prepend=0.0)
        mass = harvest.predict(situation, inputs)[-1, PRODUCT_MASS]
        return float(mass / 100 - 1e-3 * moves @ moves)

    best, random = worth(plan.inputs), np.random.default_rng(3)
    for _ in range(50):
        change = random.normal(size=plan.inputs.shape) * 1e-3
        other = np.clip(plan.inputs + change - change.mean(), 0.0, 0.2)
        within = harvest.predict(situation, other)[-1, VOLUME] <= 124.0
        assert not within or worth(other) <= best + 1e-6


def test_the_same_problem_gives_the_same_bits(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    first = harvest.solve(situation, None)
    again = harvest.solve(situation, None)
    elsewhere = Nmpc(harvest_problem()).solve(situation, None)
    assert encode(first) == encode(again) == encode(elsewhere)
    later = replace(situation, time_s=situation.time_s + 3600, piece_h=89 / 15)
    assert encode(harvest.solve(later, first)) == encode(harvest.solve(later, again))


def test_a_warm_start_needs_fewer_iterations_and_finds_the_same(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    first = harvest.solve(situation, None)
    plant = Simulator(BATCH_REACTOR, 2.0)
    later = replace(
        situation,
        time_s=situation.time_s + 7200,
        state=plant.advance(situation.state, first.inputs[0], situation.parameters),
        previous=first.inputs[0],
        piece_h=88 / 15,
    )
    cold, warm = harvest.solve(later, None), harvest.solve(later, first)
    assert (cold.attempts, warm.attempts) == (("cold",), ("warm",))
    assert warm.iterations < cold.iterations
    assert warm.objective == pytest.approx(cold.objective, rel=1e-6)
    np.testing.assert_allclose(warm.inputs, cold.inputs, atol=2e-4)


def test_the_last_point_is_read_where_it_is_now(harvest: Nmpc) -> None:
    """A piece later on the same grid, each row is the one after it; the end is held."""
    plan = harvest.solve(long_situation(harvest.problem), None)
    assert plan.warm is not None
    shifted = harvest._shifted(plan.warm, elapsed_h=6.0, piece_h=6.0)
    old, new = plan.warm.decision, shifted.decision
    layout = harvest._program.layout
    np.testing.assert_allclose(new[:-1], old[1:], rtol=1e-9)
    np.testing.assert_allclose(new[-1, layout.input_columns], old[-1, layout.input_columns])
    final = old[-1, layout.state_columns][-layout.states :]
    np.testing.assert_allclose(new[-1, layout.state_columns], np.tile(final, layout.degree))
    multipliers = plan.warm.constraint_multipliers
    np.testing.assert_array_equal(shifted.constraint_multipliers[:-1], multipliers[1:])
    # Half a piece later on pieces half as long, the second half of a row is in two rows.
    halved = harvest._shifted(plan.warm, elapsed_h=3.0, piece_h=3.0).decision
    column = layout.input_columns
    np.testing.assert_array_equal(halved[:4, column], old[[0, 1, 1, 2]][:, column])


def test_a_shrinking_horizon_is_never_rebuilt_and_keeps_its_promise() -> None:
    nmpc = Nmpc(harvest_problem())
    solvers = (nmpc._cold, nmpc._warm)
    situation, left_h = long_situation(nmpc.problem), 90.0
    plans: list[Plan] = []
    while left_h > 6.0:
        situation = replace(situation, piece_h=left_h / 15)
        plan = nmpc.solve(situation, plans[-1] if plans else None)
        assert plan.usable, plan.message
        assert plan.grid_h[-1] == pytest.approx(left_h)
        situation = replace(
            situation,
            time_s=situation.time_s + 3600 * situation.piece_h,
            state=plan.states[0],
            previous=plan.inputs[0],
        )
        left_h -= left_h / 15
        plans.append(plan)
    assert len(plans) > 35
    assert solvers == (nmpc._cold, nmpc._warm)
    first, last = plans[0].outputs[-1], plans[-1].outputs[-1]
    # What is won is the finer grid towards the end.
    assert first[PRODUCT_MASS] <= last[PRODUCT_MASS] < 1.02 * first[PRODUCT_MASS]
    assert last[VOLUME] < 124.0 + 1e-4
