"""What a solve gives: the program behind it, a plan that holds, and a warm start for the next."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controllers.arrays import Floats
from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import ADVICE, Plan, SolveStatus
from controllers.problem import Limit, Maximise, Rewarded, Scenarios, Tracked
from controllers.transcription import radau
from controllers.warm_start import shifted
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
    low, high = (
        solved(harvest_problem(degree=degree), steps_h=even(30.0, 15)).defect for degree in (2, 3)
    )
    assert 1e-5 > low > 100 * high > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("maximise", Maximise("cels")),
        ("rewarded", (Rewarded("cels", 1.0),)),
        ("held_states", ("cels",)),
        ("tracked", (Tracked("cels", 1.0, 1.0),)),
    ],
)
def test_a_problem_refuses_names_that_the_model_does_not_have(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"'cels' is not in model batch_reactor \(.*cells"):
        harvest_problem(**{field: value})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"degree": 0}, "degree is 0, but must be at least 1"),
        ({"elements": 0}, "elements is 0, but must be at least 1"),
        ({"scenarios": Scenarios(0)}, "scenarios.count is 0, but must be at least 1"),
        ({"maximise": Maximise("cells", scale=0.0)}, "cells: scale is 0, but must be positive"),
        ({"limits": (Limit("cells", 3.0, 2.0),)}, "cells: lower, 3, is above upper, 2"),
    ],
)
def test_a_problem_refuses_numbers_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        harvest_problem(**changes)


def test_a_problem_refuses_inputs_whose_ends_are_the_wrong_way_round() -> None:
    feed = harvest_problem().inputs[0]
    turned = replace(feed, lower=feed.upper, upper=feed.lower)
    with pytest.raises(ValueError, match=rf"input {feed.name}: from .* is no finite interval"):
        harvest_problem(inputs=(turned,))
    with pytest.raises(ValueError, match=f"input {feed.name} is decided twice"):
        harvest_problem(inputs=(feed, feed))


# ------------------------------------------------------------------ a good plan


def test_a_plan_is_what_the_model_does_under_its_inputs(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    plan = harvest.solve(situation, None)
    assert plan.status is SolveStatus.SOLVED
    assert plan.message == ADVICE[SolveStatus.SOLVED]
    plant = Simulator(BATCH_REACTOR, 6.0, count=200)
    state = situation.state
    for piece in range(harvest.problem.pieces):
        state = plant.advance(state, plan.inputs[piece], situation.parameters)
        np.testing.assert_allclose(plan.states[piece], state, rtol=1e-6, atol=1e-6)
        outputs = plant.outputs(state, plan.inputs[piece], situation.parameters)
        np.testing.assert_allclose(plan.outputs[piece], outputs, rtol=1e-6, atol=1e-6)
    assert plan.grid_h == pytest.approx(np.arange(1, 16) * 6.0)
    foreseen = harvest.predict(situation, plan.inputs)[0]
    np.testing.assert_allclose(foreseen, plan.outputs, rtol=1e-6, atol=1e-6)


def test_no_change_of_a_plan_within_its_limits_is_better(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    plan = harvest.solve(situation, None)

    def worth(inputs: Any) -> float:
        moves = np.diff(inputs[:, 0], prepend=0.0)
        mass = harvest.predict(situation, inputs)[0, -1, PRODUCT_MASS]
        return float(mass / 100 - 1e-3 * moves @ moves)

    best, random = worth(plan.inputs), np.random.default_rng(3)
    for _ in range(50):
        change = random.normal(size=plan.inputs.shape) * 1e-3
        other = np.clip(plan.inputs + change - change.mean(), 0.0, 0.2)
        within = harvest.predict(situation, other)[0, -1, VOLUME] <= 124.0
        assert not within or worth(other) <= best + 1e-6


def test_the_same_problem_gives_the_same_bits(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    first = harvest.solve(situation, None)
    again = harvest.solve(situation, None)
    elsewhere = Nmpc(harvest_problem()).solve(situation, None)
    assert encode(first) == encode(again) == encode(elsewhere)
    later = replace(situation, time_s=situation.time_s + 3600, steps_h=even(89.0, 15))
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
        steps_h=even(88.0, 15),
    )
    cold, warm = harvest.solve(later, None), harvest.solve(later, first)
    assert (cold.attempts, warm.attempts) == (("cold",), ("warm",))
    assert warm.iterations < cold.iterations
    assert warm.objective == pytest.approx(cold.objective, rel=1e-6)
    np.testing.assert_allclose(warm.inputs, cold.inputs, atol=2e-4)


def test_the_last_point_is_read_where_it_is_now(harvest: Nmpc) -> None:
    """A piece later on the same grid, each piece is the one after it; the end is held."""
    plan = harvest.solve(long_situation(harvest.problem), None)
    assert plan.warm is not None
    old, program = plan.warm.decision, harvest._program
    layout, rows = program.layout, program.rows
    later = shifted(program, plan.warm, elapsed_h=6.0, steps_h=even(90.0, 15))
    for places in (layout.states, layout.inputs, layout.slacks):
        moved, were = later.decision[places], old[places]
        np.testing.assert_allclose(moved[:, :-1], were[:, 1:], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(later.decision[layout.inputs][:, -1], old[layout.inputs][:, -1])
    states, end = later.decision[layout.states], old[layout.states][:, -1, -1]
    np.testing.assert_array_equal(states[:, -1], np.broadcast_to(end[:, None], states[:, -1].shape))
    for places in (rows.equations, rows.sides):
        moved, were = (at[places] for at in (later.constraint_multipliers, multipliers(plan)))
        np.testing.assert_array_equal(moved[:, :-1], were[:, 1:])
    # Half a piece later on pieces half as long, the second half of a piece is in two pieces.
    halved = shifted(program, plan.warm, elapsed_h=3.0, steps_h=even(45.0, 15)).decision
    four = halved[layout.inputs][:, :4]
    np.testing.assert_array_equal(four, old[layout.inputs][:, [0, 1, 1, 2]])


def multipliers(plan: Plan) -> Floats:
    """Multipliers of a plan's constraints."""
    assert plan.warm is not None
    return plan.warm.constraint_multipliers


def test_a_shrinking_horizon_is_never_rebuilt_and_keeps_its_promise() -> None:
    nmpc = Nmpc(harvest_problem())
    solvers = (nmpc._solvers._cold, nmpc._solvers._near)
    situation, left_h = long_situation(nmpc.problem), 90.0
    plans: list[Plan] = []
    while left_h > 6.0:
        situation = replace(situation, steps_h=even(left_h, 15))
        plan = nmpc.solve(situation, plans[-1] if plans else None)
        assert plan.usable, plan.message
        assert plan.grid_h[-1] == pytest.approx(left_h)
        situation = replace(
            situation,
            time_s=situation.time_s + 3600 * left_h / 15,
            state=plan.states[0],
            previous=plan.inputs[0],
        )
        left_h -= left_h / 15
        plans.append(plan)
    assert len(plans) > 35
    assert solvers == (nmpc._solvers._cold, nmpc._solvers._near)
    first, last = plans[0].outputs[-1], plans[-1].outputs[-1]
    # What is won is the finer grid towards the end.
    assert first[PRODUCT_MASS] <= last[PRODUCT_MASS] < 1.02 * first[PRODUCT_MASS]
    assert last[VOLUME] < 124.0 + 1e-4
