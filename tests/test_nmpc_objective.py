"""Every term of the objective alone moves a plan to where paper and pencil put it."""

from dataclasses import replace
from math import exp, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import (
    DecidedInput,
    Limit,
    Maximise,
    Per,
    Problem,
    Rewarded,
    Scenarios,
    Tracked,
)
from controllers.situation import Situation
from plant_models.model import Input, State
from tests.examples_core import small_model
from tests.examples_plans import published_problem, published_situation

START_L, HALF_L, RATE_PER_H = 10.0, 2.0, 0.3
PIECES, HORIZON_H = 10, 20.0
STEP_H = HORIZON_H / PIECES


def _rhs(x: Any, u: Any, p: Any, xp: Any) -> tuple[Any, ...]:
    return (u.feed, p.rate * (1.0 - x.ripeness))


def _outputs(x: Any, u: Any, p: Any, xp: Any) -> tuple[Any, ...]:
    fed_L = x.volume - START_L
    return (fed_L / (fed_L + HALF_L), x.ripeness, fed_L, u.feed)


SIMPLE = small_model(
    name="simple",
    rhs=_rhs,
    outputs=_outputs,
    states={
        "volume": State("L", "volume", START_L, 10.0, 0.0, 1e4),
        "ripeness": State("1", "ripeness", 0.0, 1.0, 0.0, 1.0),
    },
    inputs={"feed": Input("L/h", "feed", 0.0, 2.0, 0.0, 10.0)},
    parameters={"rate": RATE_PER_H},
    output_names=("saturating", "ripeness", "fed", "feed"),
    substeps_per_h=10,
)
"""Ripens by itself, 1 - exp(-0.3 t); of what is fed, the first litres count most: L / (L + 2)."""

FEED = DecidedInput("feed", 0.0, 1.0, move_weight=0.0)


def simple_problem(**changes: Any) -> Problem:
    plain: dict[str, Any] = {"name": "simple", "model": SIMPLE, "inputs": (FEED,), "pieces": PIECES}
    return Problem(**{**plain, **changes})


def simple_situation(problem: Problem, **changes: Any) -> Situation:
    plain: dict[str, Any] = {
        "time_s": 0.0,
        "state": np.array(SIMPLE.initial_state(), dtype=np.float64),
        "parameters": np.array(SIMPLE.nominal_parameters(), dtype=np.float64),
        "given": np.zeros(1),
        "previous": np.zeros(1),
        "steps_h": np.full(problem.pieces, STEP_H),
        "setpoints": np.zeros(len(problem.tracked)),
        "guess": np.full((problem.pieces, 1), 0.1),
    }
    return Situation(**{**plain, **changes})


def best(problem: Problem, **changes: Any) -> Plan:
    plan = Nmpc(problem).solve(simple_situation(problem, **changes), None)
    assert plan.usable, plan.message
    assert sum(plan.terms.values()) == pytest.approx(plan.objective, rel=1e-9, abs=1e-12)
    return plan


def fed_L(plan: Plan) -> float:
    """Litres that a plan feeds."""
    return float(plan.inputs[:, 0] @ np.diff(plan.grid_h, prepend=0.0))


# ------------------------------------------------------------------ term by term


@pytest.mark.parametrize("price", [0.05, 0.1, 0.2])
def test_a_price_ends_feeding_where_a_litre_brings_no_more_than_it_costs(price: float) -> None:
    """Of L / (L + h) - c L the best L is sqrt(h / c) - h."""
    feed = replace(FEED, price=price)
    plan = best(simple_problem(inputs=(feed,), maximise=Maximise("saturating")))
    litres = sqrt(HALF_L / price) - HALF_L
    assert fed_L(plan) == pytest.approx(litres, rel=1e-3)
    assert plan.terms["price of feed"] == pytest.approx(price * litres, rel=1e-3)
    assert plan.terms["saturating at harvest"] == pytest.approx(
        -litres / (litres + HALF_L), rel=1e-4
    )


def test_an_effort_is_a_price_of_the_inputs_scale_in_a_piece_of_mean_length() -> None:
    """Two litres an hour for two hours cost one unit of effort."""
    scale = SIMPLE.inputs["feed"].scale
    feed = replace(FEED, effort_weight=0.1 * scale * STEP_H)
    plan = best(simple_problem(inputs=(feed,), maximise=Maximise("saturating")))
    assert fed_L(plan) == pytest.approx(sqrt(HALF_L / 0.1) - HALF_L, rel=1e-3)
    assert set(plan.terms) == {"effort of feed", "saturating at harvest"}


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.5])
def test_a_reward_counts_at_the_end_of_every_piece(weight: float) -> None:
    """A litre in piece i counts in all later ones: fed as long as weight (pieces - i) > price."""
    feed = replace(FEED, price=4.2)
    plan = best(simple_problem(inputs=(feed,), rewarded=(Rewarded("fed", weight),)))
    worth = weight * (PIECES - np.arange(PIECES)) > 4.2
    np.testing.assert_allclose(plan.inputs[:, 0], np.where(worth, 1.0, 0.0), atol=1e-4)
    assert plan.terms["reward of fed"] == pytest.approx(
        -weight * plan.outputs[:, 2].sum(), rel=1e-6
    )


def test_a_negative_reward_is_a_cost() -> None:
    plan = best(simple_problem(rewarded=(Rewarded("fed", -1.0), Rewarded("saturating", 1.0))))
    # Each piece for itself: the best L / (L + h) - L is at sqrt(h) - h, which is less than nothing.
    assert fed_L(plan) == pytest.approx(0.0, abs=1e-4)
    cheaper = best(simple_problem(rewarded=(Rewarded("fed", -0.1), Rewarded("saturating", 1.0))))
    assert fed_L(cheaper) == pytest.approx(sqrt(HALF_L / 0.1) - HALF_L, rel=1e-3)


def test_a_reward_on_pieces_of_unequal_length_is_weighed_by_them() -> None:
    """The same horizon, fine first: nearly the same reward, that of the integral."""
    fine = np.concatenate([np.full(5, 1.0), np.full(5, 3.0)])
    problem = simple_problem(rewarded=(Rewarded("ripeness", 1.0),))
    plan = best(problem, steps_h=fine)
    ripe = 1 - np.exp(-RATE_PER_H * np.cumsum(fine))
    assert plan.objective == pytest.approx(-(ripe * fine).sum() / STEP_H, rel=1e-5)


def test_a_tracked_output_goes_to_its_setpoint_and_stays() -> None:
    problem = simple_problem(tracked=(Tracked("fed", weight=2.0, scale=0.5),))
    plan = best(problem, setpoints=np.array([5.0]))
    # At a litre an hour at most it takes five hours.
    assert plan.outputs[:2, 2] == pytest.approx([2.0, 4.0], abs=1e-3)
    assert plan.outputs[2:, 2] == pytest.approx(5.0, abs=1e-3)
    assert plan.terms["distance of fed"] == pytest.approx(2.0 * (3**2 + 1) / 0.5**2, rel=1e-3)


def test_moves_cost_by_their_squares_in_units_of_the_scale() -> None:
    """From 0.5 L/h in force to nothing, one step is dear and ten small ones are cheap."""
    feed = replace(FEED, move_weight=4.0, upper=5.0)
    problem = simple_problem(inputs=(feed,), tracked=(Tracked("feed", 1.0, 1.0),))
    plan = best(problem, previous=np.array([0.5]))
    moves = np.diff(plan.inputs[:, 0], prepend=0.5)
    cost = 4.0 * float(moves @ moves) / SIMPLE.inputs["feed"].scale ** 2
    assert plan.terms["moves of feed"] == pytest.approx(cost, rel=1e-6)
    # Stationary: the distance's gradient is carried by the moves' one.
    ratios = plan.inputs[1:4, 0] / plan.inputs[:3, 0]
    root = 1.5 - sqrt(1.25)  # of r + 1 / r = 2 + scale**2 / weight
    assert ratios == pytest.approx(root, rel=3e-3)


def test_a_violation_costs_in_proportion_first_and_then_by_its_square() -> None:
    limit = Limit("fed", None, 1.0, scale=2.0, weight=0.3)
    fixed = simple_problem(limits=(limit,), inputs=(replace(FEED, lower=0.5, upper=0.5),))
    plan = best(fixed)
    slack = np.maximum(plan.outputs[:, 2] - 1.0, 0.0) / 2.0
    cost = 0.3 * float((slack + slack**2).sum())
    assert plan.terms == {"violation of fed": pytest.approx(cost, rel=1e-4)}


# ------------------------------------------------------------------ quotients


@pytest.mark.parametrize(("turnround_h", "batch_h"), [(5.0, 0.0), (1.0, 0.0), (2.0, 3.0)])
def test_productivity_chooses_the_best_time_of_harvest(turnround_h: float, batch_h: float) -> None:
    """Of (1 - exp(-k t)) / (t + T) the best t has k exp(-k t) (t + T) = 1 - exp(-k t)."""
    spent_h = turnround_h + batch_h

    def stationary(time_h: float) -> float:
        left = exp(-RATE_PER_H * time_h)
        return RATE_PER_H * left * (time_h + spent_h) - (1 - left)

    best_h = float(brentq(stationary, 1e-3, 50.0))
    aim = Maximise("ripeness", per=Per.HOUR, extra=turnround_h)
    problem = simple_problem(maximise=aim, free_harvest=True)
    plan = best(problem, stretch=(0.05, 3.0), batch_h=batch_h)
    assert plan.grid_h[-1] == pytest.approx(best_h, rel=1e-3)
    ripe = 1 - exp(-RATE_PER_H * best_h)
    scaled = ripe * (spent_h + HORIZON_H) / (spent_h + best_h)
    assert plan.objective == pytest.approx(-scaled, rel=1e-5)
    assert plan.outputs[-1, 1] == pytest.approx(ripe, rel=1e-3)


def test_the_window_of_a_free_harvest_holds() -> None:
    """Best would be 5.1 h; 8 to 40 h are allowed."""
    aim = Maximise("ripeness", per=Per.HOUR, extra=5.0)
    plan = best(simple_problem(maximise=aim, free_harvest=True), stretch=(0.4, 2.0))
    assert plan.grid_h[-1] == pytest.approx(8.0, rel=1e-5)
    np.testing.assert_allclose(np.diff(plan.grid_h), 0.8, rtol=1e-5)


def test_without_a_free_harvest_productivity_is_the_amount() -> None:
    aim = Maximise("ripeness", scale=2.0, per=Per.HOUR, extra=5.0)
    plan = best(simple_problem(maximise=aim))
    assert plan.grid_h[-1] == pytest.approx(HORIZON_H)
    assert plan.objective == pytest.approx(-(1 - exp(-RATE_PER_H * HORIZON_H)) / 2.0, rel=1e-5)


@pytest.mark.parametrize(("medium_L", "already_L"), [(2.0, 0.0), (0.5, 0.0), (1.0, 3.0)])
def test_a_yield_feeds_as_much_as_serves_it(medium_L: float, already_L: float) -> None:
    """Of L / (L + h) / (L + E) the best L is sqrt(h E)."""
    aim = Maximise("saturating", per=Per.FEED, extra=medium_L)
    plan = best(simple_problem(maximise=aim), fed_L=already_L)
    litres = sqrt(HALF_L * (medium_L + already_L))
    assert fed_L(plan) == pytest.approx(litres, rel=1e-2)
    worth = litres / (litres + HALF_L) * medium_L / (medium_L + already_L + litres)
    assert plan.objective == pytest.approx(-worth, rel=1e-5)


def test_a_yield_needs_something_that_the_medium_is_worth() -> None:
    with pytest.raises(ValueError, match="a yield needs the litres of feed"):
        simple_problem(maximise=Maximise("saturating", per=Per.FEED))


# ------------------------------------------------------------------ all together


weights = st.floats(0.0, 3.0)


@given(
    move=weights,
    effort=weights,
    price=weights,
    reward=st.floats(-2.0, 2.0),
    tracking=weights,
    violation=st.floats(0.01, 3.0),
)
@settings(max_examples=8)
def test_terms_add_up_to_the_objective(
    move: float, effort: float, price: float, reward: float, tracking: float, violation: float
) -> None:
    problem = simple_problem(
        inputs=(replace(FEED, move_weight=move, effort_weight=effort, price=price),),
        maximise=Maximise("saturating", 0.5),
        rewarded=(Rewarded("ripeness", reward),),
        tracked=(Tracked("fed", tracking, 1.0),),
        limits=(Limit("feed", 0.1, 0.4, scale=0.1, weight=violation),),
    )
    plan = best(problem, setpoints=np.array([4.0]))
    names = {
        "moves of feed", "effort of feed", "price of feed", "saturating at harvest",
        "reward of ripeness", "distance of fed", "violation of feed",
    }  # fmt: skip
    assert set(plan.terms) <= names


def test_terms_of_scenarios_are_their_means() -> None:
    problem = published_problem(pieces=5, scenarios=Scenarios(2))
    plan = Nmpc(problem).solve(published_situation(problem), None)
    assert set(plan.terms) == {"moves of feed", "reward of product"} | {
        name for name in plan.terms if name.startswith("violation")
    }
    assert sum(plan.terms.values()) == pytest.approx(plan.objective, rel=1e-9)
