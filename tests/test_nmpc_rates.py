"""How fast inputs may change, and how much they may be together."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.arrays import Floats
from controllers.grid import widening
from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from controllers.problem import DecidedInput, Method, Problem, Rewarded, Scenarios, Total, Tracked
from controllers.situation import Situation
from plant_models.model import Input, State
from tests.examples_core import small_model

PIECES = 8
AIR, OXYGEN, NITROGEN = 0, 1, 2


def _rhs(x: Any, u: Any, p: Any, xp: Any) -> tuple[Any, ...]:
    return (u.feed, p.rate * (u.air + 3.0 * u.oxygen - x.dissolved))


def _outputs(x: Any, u: Any, p: Any, xp: Any) -> tuple[Any, ...]:
    return (x.dissolved, u.air, u.oxygen, x.volume)


SPARGED = small_model(
    name="sparged",
    rhs=_rhs,
    outputs=_outputs,
    states={
        "volume": State("L", "volume", 10.0, 10.0, 0.0, 1e4),
        "dissolved": State("1", "dissolved", 0.0, 100.0, 0.0, 1e3),
    },
    inputs={
        name: Input("L/h", name, 0.0, scale, 0.0, 1e3)
        for name, scale in (("air", 10.0), ("oxygen", 2.0), ("nitrogen", 10.0), ("feed", 1.0))
    },
    parameters={"rate": 0.5},
    output_names=("dissolved", "air", "oxygen", "volume"),
    substeps_per_h=20,
)
"""Air, and oxygen that is worth three times as much, through one sparger."""

SPARGE = Total("sparge", ("air", "oxygen", "nitrogen"), 12.0)
DECIDED = (
    DecidedInput("air", 1.0, 20.0, move_weight=0.0),
    DecidedInput("oxygen", 0.0, 5.0, move_weight=0.0),
)


def gas_problem(**changes: Any) -> Problem:
    """As much dissolved as can be."""
    plain: dict[str, Any] = {
        "name": "gas",
        "model": SPARGED,
        "inputs": DECIDED,
        "pieces": PIECES,
        "rewarded": (Rewarded("dissolved", 1.0),),
        "totals": (SPARGE,),
    }
    return Problem(**{**plain, **changes})


def gas_situation(problem: Problem, **changes: Any) -> Situation:
    decided = len(problem.inputs)
    plain: dict[str, Any] = {
        "time_s": 0.0,
        "state": np.array(SPARGED.initial_state(), dtype=np.float64),
        "parameters": np.array(SPARGED.nominal_parameters(), dtype=np.float64),
        "given": np.zeros(4),
        "previous": np.full(decided, 1.0),
        "steps_h": np.full(problem.pieces, 0.5),
        "setpoints": np.zeros(len(problem.tracked)),
        "guess": np.full((problem.pieces, decided), 1.0),
    }
    return Situation(**{**plain, **changes})


def planned(problem: Problem, **changes: Any) -> Plan:
    plan = Nmpc(problem).solve(gas_situation(problem, **changes), None)
    assert plan.status is SolveStatus.SOLVED, plan.message
    return plan


# ------------------------------------------------------------------ sums


def test_a_sum_is_filled_with_what_is_worth_most() -> None:
    plan = planned(gas_problem())
    np.testing.assert_allclose(plan.inputs[:, OXYGEN], 5.0, atol=1e-5)
    np.testing.assert_allclose(plan.inputs[:, AIR], 7.0, atol=1e-4)
    assert "sparge at its upper total 12" in map(str, plan.active)
    (active,) = [item for item in plan.active if item.kind == "total"]
    assert (active.first_h, active.last_h) == (0.0, 4.0)
    # A litre more of air for four hours: what it dissolves, by the linear equations.
    slope = 1 - np.exp(-0.5 * 0.5 * np.arange(1, PIECES + 1))
    assert active.worth == pytest.approx(slope.sum(), rel=0.02)


def test_a_sum_that_is_not_reached_is_not_told() -> None:
    plan = planned(gas_problem(totals=(replace(SPARGE, upper=30.0),)))
    np.testing.assert_allclose(plan.inputs, [[20.0, 5.0]] * PIECES, atol=1e-3)
    assert not [item for item in plan.active if item.kind == "total"]


def test_what_is_given_counts_in_the_sum_piece_by_piece() -> None:
    given = np.zeros((PIECES, 4))
    given[4:, NITROGEN] = 3.0
    plan = planned(gas_problem(), given=given)
    sums = plan.inputs.sum(axis=1) + given[:, NITROGEN]
    np.testing.assert_allclose(sums, 12.0, atol=1e-4)
    np.testing.assert_allclose(plan.inputs[4:, AIR], 4.0, atol=1e-4)


def test_more_given_than_the_sum_allows_leaves_the_least_that_is_possible() -> None:
    given = np.zeros(4)
    given[NITROGEN] = 15.0
    plan = planned(gas_problem(), given=given)
    np.testing.assert_allclose(plan.inputs, [[1.0, 0.0]] * PIECES, atol=1e-5)


@given(st.floats(1.5, 24.0), st.floats(0.0, 8.0))
@settings(max_examples=12)
def test_no_sum_is_ever_exceeded(upper: float, nitrogen: float) -> None:
    given = np.array([0.0, 0.0, nitrogen, 0.0])
    plan = planned(gas_problem(totals=(replace(SPARGE, upper=upper),)), given=given)
    sums = plan.inputs.sum(axis=1) + nitrogen
    assert sums.max() <= max(upper, 1.0 + nitrogen) * (1 + 2e-6)


def test_a_sum_holds_in_every_scenario_and_by_shooting() -> None:
    for problem in (
        gas_problem(scenarios=Scenarios(2)),
        gas_problem(method=Method.SHOOTING, elements=2),
    ):
        plan = planned(problem)
        np.testing.assert_allclose(plan.inputs.sum(axis=1), 12.0, atol=1e-3)


def test_a_sum_needs_an_input_that_is_decided() -> None:
    with pytest.raises(ValueError, match="sparge: none of the inputs in this sum is decided"):
        gas_problem(totals=(Total("sparge", ("nitrogen", "feed"), 1.0),))
    with pytest.raises(ValueError, match="'helium' is not in model sparged"):
        gas_problem(totals=(Total("sparge", ("air", "helium"), 1.0),))


# ------------------------------------------------------------------ rates


def following(**limits: Any) -> Problem:
    """Air that would jump to a setpoint if it could."""
    air = DecidedInput("air", 0.0, 20.0, move_weight=0.0, **limits)
    return gas_problem(inputs=(air,), rewarded=(), totals=(), tracked=(Tracked("air", 1.0, 10.0),))


def air_moves(plan: Plan, before: float) -> Floats:
    return np.diff(plan.inputs[:, 0], prepend=before)


GRID = widening(10.0, PIECES, 0.2)


def test_an_input_rises_no_faster_than_allowed_on_pieces_of_any_length() -> None:
    plan = planned(
        following(rise_per_h=2.0), steps_h=GRID, previous=np.zeros(1), setpoints=np.array([15.0])
    )
    moves = air_moves(plan, 0.0)
    reached = np.cumsum(2.0 * GRID) >= 15.0
    np.testing.assert_allclose(moves[~reached], (2.0 * GRID)[~reached], rtol=1e-4)
    assert (moves <= 2.0 * GRID * (1 + 1e-6) + 1e-6).all()
    np.testing.assert_allclose(plan.inputs[reached, 0], 15.0, atol=1e-3)


def test_an_input_falls_no_faster_than_allowed_and_may_rise_at_once() -> None:
    problem = following(fall_per_h=3.0)
    nmpc = Nmpc(problem)
    falling = nmpc.solve(
        gas_situation(problem, steps_h=GRID, previous=np.full(1, 15.0), setpoints=np.array([2.0])),
        None,
    )
    expected = np.maximum(15.0 - np.cumsum(3.0 * GRID), 2.0)
    np.testing.assert_allclose(falling.inputs[:, 0], expected, atol=1e-3)
    rising = nmpc.solve(
        gas_situation(problem, steps_h=GRID, previous=np.zeros(1), setpoints=np.array([15.0])), None
    )
    np.testing.assert_allclose(rising.inputs[:, 0], 15.0, atol=1e-3)


def test_of_a_rate_and_a_largest_move_the_tighter_one_counts() -> None:
    plan = planned(
        following(rise_per_h=2.0, max_move=1.0),
        steps_h=GRID,
        previous=np.zeros(1),
        setpoints=np.array([20.0]),
    )
    np.testing.assert_allclose(air_moves(plan, 0.0), np.minimum(2.0 * GRID, 1.0), rtol=1e-4)


def test_a_rate_holds_through_a_warm_solve_on_a_shrinking_grid() -> None:
    problem = following(rise_per_h=2.0, fall_per_h=2.0)
    nmpc = Nmpc(problem)
    last: Plan | None = None
    before, time_h = 0.0, 0.0
    for target in (15.0, 15.0, 3.0, 3.0, 9.0):
        steps_h = widening(10.0 - time_h, PIECES, 0.2)
        last = nmpc.solve(
            gas_situation(
                problem,
                time_s=3600 * time_h,
                steps_h=steps_h,
                previous=np.array([before]),
                setpoints=np.array([target]),
            ),
            last,
        )
        assert last.usable, last.message
        assert (np.abs(air_moves(last, before)) <= 2.0 * steps_h + 1e-5).all()
        assert (last.inputs[0, 0] - before) * (target - before) > 0
        before, time_h = float(last.inputs[0, 0]), time_h + float(steps_h[0])


def test_what_is_in_force_and_out_of_reach_of_the_bounds_is_still_planned() -> None:
    """The plant's range became narrower than a move away."""
    problem = following(max_move=1.0)
    situation = gas_situation(
        problem,
        previous=np.array([15.0]),
        setpoints=np.array([15.0]),
        input_bounds=np.array([[0.0, 5.0]]),
    )
    plan = Nmpc(problem).solve(situation, None)
    assert plan.usable, plan.message
    assert plan.inputs.max() <= 5.0


def test_a_sum_that_is_exceeded_now_is_come_down_to_as_fast_as_allowed() -> None:
    """Nitrogen came on: what flows already is above the sum, and falls by a litre per piece."""
    limits: dict[str, Any] = {"move_weight": 0.0, "max_move": 1.0}
    decided = (DecidedInput("air", 1.0, 20.0, **limits), DecidedInput("oxygen", 0.0, 5.0, **limits))
    given = np.zeros(4)
    given[NITROGEN] = 4.0
    problem = gas_problem(inputs=decided)
    situation = gas_situation(problem, previous=np.array([9.0, 3.0]), given=given)
    plan = Nmpc(problem).solve(situation, None)
    assert plan.usable, plan.message
    sums = plan.inputs.sum(axis=1) + 4.0
    assert (np.diff(sums, prepend=16.0) >= -2.0 - 1e-5).all()
    assert sums[1:].max() <= 12.0 + 1e-4
