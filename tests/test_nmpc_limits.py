"""Limits, bounds, margins and costs of a plan."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import ADVICE, Plan, SolveStatus
from controllers.problem import DecidedInput, Limit
from tests.examples_core import (
    BATCH_REACTOR,
    harvest_problem,
    long_situation,
    reactor_situation,
    solved,
)

VOLUME, PRODUCT_MASS = 0, 4
FEED = DecidedInput("feed", 0.0, 0.2, move_weight=1e-3)


def words(plan: Plan) -> set[str]:
    """What holds a plan back."""
    return {str(active) for active in plan.active}


@pytest.fixture(scope="module")
def harvest() -> Nmpc:
    return Nmpc(harvest_problem())


def test_a_hard_limit_holds_for_the_integrated_plan_and_is_named(harvest: Nmpc) -> None:
    plan = harvest.solve(long_situation(harvest.problem), None)
    assert plan.outputs[:, VOLUME].max() <= 124.0 + 1e-5
    assert plan.outputs[-1, VOLUME] > 123.9
    assert "volume at its upper limit 124" in words(plan)


def test_at_a_hard_limit_that_cannot_be_left_there_is_still_a_plan(harvest: Nmpc) -> None:
    """Volume never falls: at the limit the only plan is to feed nothing, solve after solve."""
    situation = reactor_situation(harvest.problem, state=np.array([124.0, 3.0, 9.0, 0.5]))
    last: Plan | None = None
    for _ in range(20):
        last = harvest.solve(situation, last)
        assert last.status is SolveStatus.SOLVED, last.message
        later_s = situation.time_s + 3600
        situation = replace(situation, state=last.states[0], time_s=later_s)
    assert situation.state[VOLUME] < 124.0 + 1e-4


def test_beyond_a_hard_limit_the_plan_goes_no_further_and_comes_back_if_it_can(
    harvest: Nmpc,
) -> None:
    full = reactor_situation(harvest.problem, state=np.array([130.0, 3.0, 9.0, 0.5]))
    plan = harvest.solve(full, None)
    assert plan.status is SolveStatus.SOLVED
    assert plan.outputs[:, VOLUME].max() < 130.0 + 1e-4
    # A thin feed dilutes.
    limit = Limit("cells", None, 3.0, scale=1.0, weight=None)
    crowded = harvest_problem(limits=(limit,), inputs=(replace(FEED, upper=2.0),))
    thin = np.array(BATCH_REACTOR.nominal_parameters()._replace(S_in=1.0))
    plan = solved(
        crowded, state=np.array([100.0, 3.3, 0.5, 0.5]), parameters=thin, steps_h=np.ones(15)
    )
    assert plan.status is SolveStatus.SOLVED
    assert plan.outputs[:, 1].max() < 3.3 + 1e-4
    assert plan.outputs[-1, 1] < 3.0 + 1e-4


def test_a_soft_limit_gives_way_when_it_is_worth_it() -> None:
    def highest(weight: float) -> float:
        limit = Limit("volume", None, 121.0, scale=1.0, weight=weight)
        return float(solved(harvest_problem(limits=(limit,))).outputs[:, VOLUME].max())

    assert highest(1e-6) > 123
    assert highest(10.0) < 121 + 1e-3


@pytest.mark.parametrize(("lower", "upper"), [(5.0, None), (None, -1.0)])
def test_a_soft_limit_out_of_reach_is_no_obstacle(lower: float | None, upper: float | None) -> None:
    limit = Limit("product", lower, upper, scale=1.0, weight=0.1)
    volume = Limit("volume", None, 124.0, scale=10.0, weight=None)
    plan = solved(harvest_problem(limits=(limit, volume)))
    assert plan.status is SolveStatus.SOLVED
    assert plan.attempts == ("cold",)


def test_contradicting_hard_limits_are_relaxed_and_named() -> None:
    limits = (
        Limit("volume", None, 120.5, scale=10.0, weight=None),
        Limit("substrate", 0.4, None, scale=1.0, weight=None),
    )
    plan = solved(harvest_problem(limits=limits), steps_h=even(60.0, 15))
    assert plan.status is SolveStatus.ACCEPTABLE
    assert plan.usable
    assert plan.attempts == ("cold", "relaxed")
    beyond = plan.outputs[-1, VOLUME] - 120.5
    told = f"volume is beyond its limit by {beyond:.3g} after 60.0 h."
    assert plan.message == f"{ADVICE[SolveStatus.ACCEPTABLE]} {told}"
    assert {"volume at its upper limit 120.5", "substrate at its lower limit 0.4"} & words(plan)
    assert np.isfinite(plan.inputs).all()


def test_margins_keep_a_distance_that_grows_with_the_forecasts_deviation() -> None:
    def highest(deviation: float | None, **changes: Any) -> float:
        limit = Limit("volume", None, 124.0, scale=10.0, weight=None, **changes)
        problem = harvest_problem(limits=(limit,))
        deviations = None if deviation is None else np.full((15, 6), deviation)
        plan = solved(problem, output_deviation=deviations)
        return float(plan.outputs[:, VOLUME].max())

    assert highest(0.5, margin=2.0) == pytest.approx(123.0, abs=1e-3)
    assert highest(0.5) == pytest.approx(124.0, abs=1e-3)
    assert highest(None, margin=2.0) == pytest.approx(124.0, abs=1e-3)
    assert highest(0.5, margin=2.0, margin_max=0.4) == pytest.approx(123.6, abs=1e-3)
    assert highest(nan, margin=2.0) == pytest.approx(124.0, abs=1e-3)
    assert highest(inf, margin=2.0) == pytest.approx(124.0, abs=1e-3)
    assert highest(inf, margin=2.0, margin_max=0.4) == pytest.approx(123.6, abs=1e-3)


def test_margins_that_overlap_meet_in_the_middle() -> None:
    limit = Limit("substrate", 0.2, 0.6, scale=0.1, weight=10.0, margin=1.0)
    problem = harvest_problem(limits=(limit,), pieces=30)
    plan = solved(problem, steps_h=np.ones(30), output_deviation=np.full((30, 6), 5.0))
    assert plan.usable
    assert plan.outputs[-10:, 2] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [
        ((-inf, inf), (0.0, 0.2)),
        ((0.0, 0.03), (0.0, 0.03)),
        ((0.03, 0.05), (0.03, 0.05)),
        ((nan, nan), (0.0, 0.2)),
        ((nan, 0.03), (0.0, 0.03)),
        # However narrow the range is.
        ((0.0, 0.004), (0.0, 0.004)),
        ((0.03, 0.0301), (0.03, 0.0301)),
        ((0.02, 0.02 + 1e-9), (0.02, 0.02 + 1e-9)),
        # Nothing satisfies both: the lower one of the upper bounds counts.
        ((0.5, 0.6), (0.2, 0.2)),
        ((0.05, 0.03), (0.03, 0.03)),
    ],
)
def test_the_plants_own_range_of_an_input_is_respected(
    harvest: Nmpc, bounds: tuple[float, float], allowed: tuple[float, float]
) -> None:
    # At full rate the vessel has room for a day.
    steps_h = even(15.0 if allowed[0] == 0.2 else 90.0, 15)
    situation = long_situation(harvest.problem, input_bounds=np.array([bounds]), steps_h=steps_h)
    plan = harvest.solve(situation, None)
    assert plan.usable, plan.message
    assert plan.inputs.min() >= allowed[0]
    assert plan.inputs.max() <= allowed[1]
    if allowed[1] == 0.03:
        assert "feed at its upper bound 0.03" in words(plan)


@pytest.mark.parametrize("largest", [0.002, 0.0])
def test_moves_are_limited_from_what_is_in_force(largest: float) -> None:
    problem = harvest_problem(inputs=(replace(FEED, max_move=largest),))
    plan = solved(problem, previous=np.array([0.01]))
    assert plan.usable, plan.message
    moves = np.diff(plan.inputs[:, 0], prepend=0.01)
    assert np.abs(moves).max() == pytest.approx(largest, abs=1e-7)


def test_a_cost_of_movement_makes_a_plan_calmer() -> None:
    def unrest(weight: float) -> float:
        plan = solved(harvest_problem(inputs=(replace(FEED, move_weight=weight),)))
        return float(np.abs(np.diff(plan.inputs[:, 0])).sum())

    assert unrest(100.0) < 0.5 * unrest(1e-6)


def test_a_cost_of_use_makes_a_plan_use_less() -> None:
    def used(weight: float) -> float:
        plan = solved(harvest_problem(inputs=(replace(FEED, effort_weight=weight),)))
        return float(plan.inputs.sum())

    assert used(1.0) < used(0.0)


def test_held_states_stay_and_are_part_of_the_model_all_the_same() -> None:
    problem = harvest_problem(held_states=("volume",), limits=())
    plan = solved(problem, steps_h=np.ones(15))
    assert plan.usable
    assert (plan.states[:, VOLUME] == 120.0).all()
    assert plan.states[-1, 1] > 1.0


def test_a_limit_that_is_kept_by_its_margin_holds_the_plan_back_and_says_so() -> None:
    limit = Limit("volume", None, 124.0, scale=10.0, weight=None, margin=2.0)
    deviations = np.full((15, 6), 0.5)
    plan = solved(harvest_problem(limits=(limit,)), output_deviation=deviations)
    (told,) = [active for active in plan.active if active.name == "volume"]
    assert (told.bound, told.margin) == pytest.approx((124.0, 1.0))
    assert told.worth > 0.0
    plan = solved(harvest_problem(limits=(replace(limit, margin=0.0),)))
    (told,) = [active for active in plan.active if active.name == "volume"]
    assert told.margin == 0.0


def test_a_limits_worth_is_what_one_unit_more_would_gain() -> None:
    """The multiplier against the difference of two solves."""

    def plan(upper: float) -> Plan:
        limit = Limit("volume", None, upper, scale=10.0, weight=None)
        return solved(harvest_problem(limits=(limit,)))

    (told,) = [active for active in plan(122.0).active if active.name == "volume"]
    gained = plan(121.9).objective - plan(122.1).objective
    # Ways to feed that are practically as good differ in their multipliers.
    assert told.worth == pytest.approx(gained / 0.2, rel=0.1)
