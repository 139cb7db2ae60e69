"""Why a plan is as it is, as data: amounts, differences, limits and terms."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.plan import Active, Plan, SolveStatus, no_plan
from mpc_agent.explanation import Explanation, Followed, explain, follow
from mpc_agent.input_use import MOST, Difference, Use
from mpc_agent.record import BatchHeader, Forecast
from mpc_agent.values import Floats
from tests import record_values as values

HEADER = values.header()
START_H = 300.0
EXPECTED = {"plan": Forecast(4810.0, 220.0), "recipe": Forecast(4150.0, 190.0)}


def time_s(hour: float) -> float:
    return values.INOCULATED_AT_S + 3600 * hour


def planned(rates: list[list[float]], hour: float = START_H, piece_h: float = 6.0) -> Plan:
    """A plan of the feeds in even pieces, with these rates of both."""
    plan = values.plan("feed", time_s(hour), pieces=len(rates))
    grid_h: Floats = piece_h * np.arange(1.0, len(rates) + 1)
    return replace(plan, grid_h=grid_h, inputs=np.array(rates))


def explained(
    plan: Plan, previous: Plan | None = None, header: BatchHeader = HEADER
) -> Explanation:
    return explain(header, Followed(plan, EXPECTED, previous, EXPECTED if previous else {}))


def use_of(told: Explanation, name: str = "glucose_feed") -> Use:
    (found,) = [use for use in told.uses if use.name == name]
    return found


def poured(plan: Plan, hours: Floats, name: str) -> float:
    """What a plan gives of one input, added up from moment to moment as the pumps follow it."""
    rates = [(plan.inputs_at(hour) or {}).get(name, 0.0) for hour in hours]
    return float(np.sum(rates)) / 10


MOMENTS_H = (np.arange(360) + 0.5) / 10
"""The middles of ten equal parts of every hour."""


# ------------------------------------------------------------------ which plans


def test_each_new_usable_plan_is_followed_with_the_one_before() -> None:
    first, second = planned([[1.0, 0.0]]), planned([[2.0, 0.0]], 302.0)
    assert follow(None, None, {}) is None
    one = follow(None, first, EXPECTED)
    assert one == Followed(first, EXPECTED)
    assert follow(one, first, {}) is one
    assert follow(one, None, {}) is one
    assert follow(one, no_plan("feed", SolveStatus.INFEASIBLE, time_s(301.0)), {}) is one
    later = {"plan": Forecast(4900.0, 200.0)}
    assert follow(one, second, later) == Followed(second, later, first, EXPECTED)


def test_the_first_plan_differs_from_nothing() -> None:
    told = explained(planned([[1.0, 0.5]] * 6))
    assert isnan(told.previous_h)
    assert isnan(told.expected_change)
    assert use_of(told).from_previous is None
    assert isnan(use_of(told).by_previous)


# ------------------------------------------------------------------ amounts


def test_amounts_go_from_the_plans_start_to_harvest() -> None:
    plan = planned([[1.0, 0.5]] * 3 + [[2.0, 0.5]] * 3)
    before = planned([[1.5, 0.5]] * 7, hour=294.0)
    use = use_of(explained(plan, before))
    assert (use.unit, use.rate_unit, use.flows) == ("L", "L/h", True)
    assert use.by_plan == pytest.approx(54.0)
    assert use.by_previous == pytest.approx(1.5 * 36)
    # 0.6 L/h from 48 to 336 h.
    assert use.by_recipe == pytest.approx(0.6 * 36)
    assert use.whole_recipe == pytest.approx(0.6 * 288)


@given(
    st.lists(st.lists(st.floats(0.0, 5.0), min_size=2, max_size=2), min_size=6, max_size=6),
    st.lists(st.lists(st.floats(0.0, 5.0), min_size=2, max_size=2), min_size=7, max_size=7),
    st.floats(0.0, 3.0),
)
def test_amounts_are_what_the_pumps_would_give(
    rates: list[list[float]], rates_before: list[list[float]], bolus_L: float
) -> None:
    plan = replace(
        planned(rates),
        boluses=np.array([[0.0], [0.0], [bolus_L], [0.0], [0.0], [0.0]]),
        poured=("amino_feed",),
        pour_h=(0.5,),
    )
    before = planned(rates_before, hour=294.0)
    told = explained(plan, before)
    for name in values.FEEDS:
        use = use_of(told, name)
        mine, other = poured(plan, MOMENTS_H, name), poured(before, MOMENTS_H + 6.0, name)
        assert use.by_plan == pytest.approx(mine, abs=1e-6)
        assert use.by_previous == pytest.approx(other, abs=1e-6)
        assert use.from_previous is not None
        assert use.from_previous.amount == pytest.approx(mine - other, abs=1e-6)


def test_the_rest_of_a_bolus_counts_in_the_plan_before() -> None:
    before = replace(
        planned([[0.0, 0.0]] * 7, hour=294.0),
        boluses=np.array([[0.0]] * 6 + [[2.0]]),
        poured=("amino_feed",),
        pour_h=(4.0,),
    )
    plan = planned([[0.0, 0.0]], hour=331.0, piece_h=5.0)
    # The bolus began at 330 h and takes four hours.
    use = use_of(explained(plan, before), "amino_feed")
    assert use.by_previous == pytest.approx(1.5)


def test_what_does_not_flow_is_told_as_a_mean() -> None:
    plan = replace(planned([[20.0, 0.0]] * 3 + [[40.0, 0.0]] * 3), decided=("temperature", "base"))
    schedule = ((0.0, 30.0), (318.0, 36.0), (336.0, 36.0))
    use = use_of(
        explained(plan, header=replace(HEADER, recipe={"temperature": schedule})), "temperature"
    )
    assert (use.unit, use.flows) == ("degC", False)
    assert use.by_plan == pytest.approx(30.0)
    assert use.by_recipe == pytest.approx(33.0)
    assert use.from_recipe is not None
    assert use.from_recipe.amount == pytest.approx(-3.0)


def test_an_input_without_a_recipe_is_compared_with_the_plan_before_alone() -> None:
    use = use_of(explained(planned([[1.0, 0.5]] * 6), header=replace(HEADER, recipe={})))
    assert isnan(use.by_recipe)
    assert use.from_recipe is None


# ------------------------------------------------------------------ differences


def difference(rates: list[float], before: list[float]) -> Difference:
    told = explained(planned([[rate, 0.0] for rate in rates]), planned([[r, 0.0] for r in before]))
    found = use_of(told).from_previous
    assert found is not None
    return found


def test_a_difference_tells_how_far_it_went_on_the_way() -> None:
    found = difference([2.0, 2.0, 1.0, 0.0, 0.5, 1.0], [1.0] * 6)
    assert found.amount == pytest.approx(-3.0 - 6.0 + 12.0)
    assert (found.ahead, found.ahead_h) == pytest.approx((12.0, START_H + 12))
    assert (found.rate, found.rate_h) == pytest.approx((1.0, START_H))


def test_most_of_a_difference_comes_about_in_the_shortest_stretch() -> None:
    found = difference([1.0, 1.1, 3.0, 2.0, 1.0, 1.0], [1.0] * 6)
    assert found.most_h == (START_H + 12, START_H + 24)


@given(st.lists(st.floats(0.0, 5.0), min_size=6, max_size=6))
def test_a_stretch_holds_as_much_as_it_says(rates: list[float]) -> None:
    found = difference(rates, [2.0] * 6)
    begin, end = (round((hour - START_H) / 6) for hour in found.most_h)
    inside = 6.0 * sum(rate - 2.0 for rate in rates[begin:end])
    sign = 1.0 if found.amount >= 0 else -1.0
    assert sign * inside >= MOST * abs(found.amount) - 1e-9
    assert abs(found.ahead) >= abs(found.amount)


def test_an_earlier_harvest_gives_less_until_the_harvest_that_was_planned() -> None:
    told = explained(planned([[1.0, 0.0]] * 4), planned([[1.0, 0.0]] * 7, hour=294.0))
    assert told.end_h - told.previous_end_h == pytest.approx(-12.0)
    use = use_of(told)
    assert (use.by_plan, use.by_previous) == pytest.approx((24.0, 36.0))
    assert use.from_previous is not None
    assert use.from_previous.amount == pytest.approx(-12.0)
    assert use.from_previous.most_h == pytest.approx((324.0, 336.0))
    assert use.from_recipe is not None
    assert use.from_recipe.amount == pytest.approx(24.0 - 0.6 * 36)


# ------------------------------------------------------------------ harvest, limits, terms


def test_the_forecast_is_compared_with_recipe_and_plan_before() -> None:
    followed = Followed(
        planned([[1.0, 0.5]] * 6),
        EXPECTED,
        planned([[1.0, 0.5]] * 7, hour=294.0),
        {"plan": Forecast(4800.0, 240.0)},
    )
    told = explain(HEADER, followed)
    assert (told.maximised, told.unit) == ("product_mass", "g")
    assert told.recipe_lead == pytest.approx(660.0)
    assert told.expected_change == pytest.approx(10.0)
    assert (told.solved_h, told.end_h) == pytest.approx((300.0, 336.0))


def with_terms(plan: Plan, **violations: float) -> Plan:
    """The plan with 8 of product per unit of the objective, and these violations."""
    place = [item.name for item in HEADER.outputs].index("product_mass")
    product = float(plan.outputs[-1, place])
    terms = {"product_mass at harvest": -product / 8, "moves of glucose_feed": 0.25}
    return replace(plan, terms={**terms, **{f"violation of {k}": v for k, v in violations.items()}})


def test_a_limits_worth_is_told_in_product() -> None:
    active = Active("volume", "limit", "upper", 2002.0, 30.0, 36.0, worth=0.5, margin=1.5)
    bound = Active("amino_feed", "bound", "upper", 5.0, 0.0, 6.0, worth=0.0)
    plan = replace(with_terms(planned([[1.0, 0.5]] * 6)), active=(active, bound))
    first, last = explained(plan).limits
    assert (first.name, first.unit) == ("amino_feed", "L/h")
    assert first.from_h == pytest.approx(300.0)
    assert last.unit == "L"
    assert (last.worth, last.margin) == pytest.approx((4.0, 1.5))
    assert (last.from_h, last.to_h) == pytest.approx((330.0, 336.0))


def test_while_a_limit_is_missed_multipliers_are_not_told_as_product() -> None:
    plan = with_terms(planned([[1.0, 0.5]] * 6), volume=0.3)
    height = float(plan.outputs[0, [item.name for item in HEADER.outputs].index("volume")])
    active = Active("volume", "limit", "upper", height - 2.0, 0.0, 36.0, worth=0.5)
    (told,) = explained(replace(plan, active=(active,))).limits
    assert told.beyond == pytest.approx(2.0)
    assert isnan(told.worth)


def test_terms_are_told_by_size_as_gains_of_product() -> None:
    first, last = explained(with_terms(planned([[1.0, 0.5]] * 6))).terms
    assert (first.name, last.name) == ("product_mass at harvest", "moves of glucose_feed")
    assert first.worth == pytest.approx(-8 * first.value)
    assert last.worth == pytest.approx(-2.0)


def test_a_plan_that_maximises_nothing_has_limits_and_terms_alone() -> None:
    terms = {"distance of dissolved_oxygen": 0.2}
    plan = replace(values.plan("gas", time_s(10.0), 2), terms=terms)
    told = explained(plan)
    assert (told.maximised, told.expected, told.uses) == ("", {}, ())
    assert isnan(told.recipe_lead)
    assert isnan(told.terms[0].worth)
    assert [item.name for item in told.limits] == ["volume"]
    assert isnan(told.limits[0].worth)
