"""Why a plan is as it is, in sentences and tables."""

from dataclasses import replace
from math import nan
from typing import Any

import pytest

from mpc_agent.explanation import Contribution, Explanation, Reached
from mpc_agent.input_use import Difference, Use
from mpc_agent.record import Forecast
from mpc_agent.report.plan_tables import Plans, why
from mpc_agent.report.plan_words import amount, banded, sentences, step_of
from tests import record_values as values

LONG = values.header()
SHORT = replace(LONG, harvest_h=30.0)


def explanation(**changes: Any) -> Explanation:
    plain: dict[str, Any] = {
        "problem": "feed",
        "solved_h": 48.0,
        "end_h": 336.0,
        "previous_h": 46.0,
        "previous_end_h": 336.0,
        "maximised": "product_mass",
        "unit": "g",
        "expected": {"plan": Forecast(5000.0, 100.0), "recipe": Forecast(4600.0, 100.0)},
        "previous_expected": {"plan": Forecast(5024.0, 110.0)},
        "uses": (),
        "limits": (),
        "terms": (),
    }
    return Explanation(**{**plain, **changes})


def use(
    from_recipe: Difference | None = None, from_previous: Difference | None = None, **changes: Any
) -> Use:
    plain = Use(
        name="glucose_feed",
        rate_unit="L/h",
        unit="L",
        flows=True,
        by_plan=300.0,
        by_previous=300.0,
        by_recipe=300.0,
        whole_recipe=500.0,
        from_previous=from_previous,
        from_recipe=from_recipe,
    )
    return replace(plain, **changes)


def differs(total: float, ahead: float | None = None, **changes: Any) -> Difference:
    plain = Difference(
        amount=total,
        ahead=total if ahead is None else ahead,
        ahead_h=240.0,
        rate=0.4,
        rate_h=204.0,
        most_h=(192.0, 216.0),
    )
    return replace(plain, **changes)


def reached(**changes: Any) -> Reached:
    plain = Reached(
        name="volume",
        kind="limit",
        side="upper",
        bound=2001.5,
        unit="L",
        from_h=312.0,
        to_h=336.0,
        margin=0.0,
        beyond=0.0,
        worth=5.8,
    )
    return replace(plain, **changes)


# ------------------------------------------------------------------ harvest


def test_the_harvest_is_told_first() -> None:
    assert sentences(LONG, explanation()) == (
        (
            "Harvest on day 14.0 with 5000 \u00b1 196 g (95 %) of product, 400 g more than by the "
            "recipe from here on; 24.0 g less than expected on day 1.9, with the plan before."
        ),
    )


def test_a_forecast_that_is_no_number_is_not_told() -> None:
    vague = explanation(expected={"plan": Forecast(5000.0, nan)}, previous_expected={})
    assert sentences(LONG, vague) == ("Harvest on day 14.0 with 5000 g of product.",)
    assert sentences(LONG, explanation(expected={"plan": Forecast(nan, nan)})) == ()


def test_a_harvest_that_moved_is_told_with_that_of_the_recipe() -> None:
    told = explanation(end_h=300.0, previous_end_h=304.5, previous_expected={})
    first, second = sentences(LONG, told)
    assert first.startswith("Harvest on day 12.5 with ")
    assert first.endswith("by the recipe from here on with harvest on day 14.0.")
    assert second == "That is 4.5 h earlier than planned before."


def test_a_short_batch_is_told_in_hours() -> None:
    told = explanation(solved_h=5.0, end_h=30.0, previous_h=4.9, previous_end_h=30.0)
    (line,) = sentences(SHORT, told)
    assert line.startswith("Harvest at 30.0 h with ")
    assert "expected at 4.9 h, with the plan before" in line


# ------------------------------------------------------------------ inputs


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (
            differs(12.4),
            "12.4 L more than by the recipe until harvest, most of it between day 8.0 and 9.0.",
        ),
        (differs(-12.4, most_h=(48.0, 330.0)), "12.4 L less than by the recipe until harvest."),
        (differs(0.3, 0.4), "as by the recipe until harvest."),
        (
            differs(0.3, -8.0),
            "as much as by the recipe until harvest, but 8.0 L behind it on day 10.0.",
        ),
        (
            differs(2.0, -8.0),
            "2.0 L more than by the recipe until harvest, but 8.0 L behind it on day 10.0.",
        ),
        (
            differs(2.0, 8.0),
            "2.0 L more than by the recipe until harvest, at most 8.0 L ahead of it on day 10.0.",
        ),
    ],
)
def test_inputs_are_compared_with_the_recipe(difference: Difference, words: str) -> None:
    told = explanation(uses=(use(from_recipe=difference),))
    assert sentences(LONG, told)[1] == f"glucose_feed: {words}"


def test_what_changed_markedly_since_the_plan_before_is_told_with_its_rate() -> None:
    told = explanation(uses=(use(from_previous=differs(-6.0)),))
    assert sentences(LONG, told)[1] == (
        "glucose_feed: 6.0 L less than by the plan before until harvest, most of it between day "
        "8.0 and 9.0; its rate differs most on day 8.5, by +0.40 L/h."
    )


def test_small_changes_are_told_as_none() -> None:
    base = use(name="base", from_previous=differs(2.0), by_recipe=nan, whole_recipe=nan)
    told = explanation(uses=(use(from_previous=differs(-4.0)), base))
    assert sentences(LONG, told)[1:] == ("All inputs are much as in the plan before.",)


def test_what_does_not_flow_is_compared_on_average() -> None:
    stirrer = use(
        from_recipe=differs(40.0, 60.0), name="stirrer", unit="rpm", rate_unit="rpm", flows=False
    )
    line = sentences(LONG, explanation(uses=(stirrer,)))[1]
    assert line.startswith("stirrer: 40.0 rpm more than by the recipe on average until harvest")


# ------------------------------------------------------------------ limits


FULL = "volume is at its upper limit, 2001.5 L, from day 13.0 to harvest"
PH = reached(name="pH", unit="1", side="lower", bound=6.9, worth=280.0, from_h=48.0, to_h=60.0)
GLUCOSE = reached(name="glucose", unit="mmol/L", side="lower", bound=4.0, margin=3.9, worth=nan)
FEED = reached(name="feed", kind="bound", from_h=48.0, unit="L/h", bound=0.06, worth=nan)


@pytest.mark.parametrize(
    ("limit", "where", "costs"),
    [
        (reached(), FULL, "; 10 L more would be worth about 58.0 g of product."),
        (reached(worth=0.01), FULL, "."),
        (reached(worth=nan, beyond=0.11), FULL, ", and beyond it by up to 0.11 L."),
        (
            PH,
            "pH is at its lower limit, 6.9, from now to day 2.5",
            "; 0.1 less would be worth about 28.0 g of product.",
        ),
        (
            replace(GLUCOSE, from_h=72.0, to_h=96.0),
            "glucose is kept up to 3.9 mmol/L above its lower limit, 4 mmol/L",
            ", from day 3.0 to 4.0.",
        ),
        (FEED, "feed is at its upper bound, 0.06 L/h", ", from now to harvest."),
    ],
)
def test_limits_are_told_with_their_time_and_worth(limit: Reached, where: str, costs: str) -> None:
    assert sentences(LONG, explanation(limits=(limit,)))[1] == where + costs


def test_limits_of_a_plan_of_an_hour_are_told_in_minutes() -> None:
    air = reached(name="air", kind="bound", unit="L/h", bound=336.0, from_h=48.0, to_h=48.5)
    later = replace(air, from_h=48.5, to_h=49.0)
    told = explanation(
        maximised="", expected={}, previous_expected={}, end_h=49.0, limits=(air, later)
    )
    assert sentences(LONG, told) == (
        "air is at its upper bound, 336 L/h, for the next 30 min.",
        "air is at its upper bound, 336 L/h, 30 to 60 min on.",
    )


@pytest.mark.parametrize(
    ("bound", "step"), [(2001.5, 10.0), (57.5, 1.0), (6.9, 0.1), (0.0015, 1e-5), (-20.0, 0.1)]
)
def test_steps_are_round_numbers_about_a_hundredth_of_the_bound(bound: float, step: float) -> None:
    assert step_of(reached(bound=bound)) == pytest.approx(step)
    assert step_of(reached(bound=0.0)) == 0.1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1234 L"),
        (-12.44, "\u221212.4 L"),
        (0.123, "0.12 L"),
        (0.0123, "0.012 L"),
        (1.5e-5, "1.5e\u221205 L"),
        (0.0, "0 L"),
    ],
)
def test_amounts_have_the_digits_that_matter(value: float, text: str) -> None:
    assert amount(value, "L") == text


def test_hundreds_of_kilograms_are_told_as_such() -> None:
    assert amount(1.375e6, "g") == "1375 kg"
    assert amount(5563.0, "g") == "5563 g"
    assert banded(Forecast(4.07e6, 1.2e5), "g") == "4070 \u00b1 235 kg"
    assert banded(Forecast(99.04, 0.41), "g") == "99.04 \u00b1 0.80 g"


def test_amounts_may_have_their_sign() -> None:
    assert amount(2.0, "L/h", signed=True) == "+2.0 L/h"
    assert amount(0.0, "L/h", signed=True) == "0 L/h"


# ------------------------------------------------------------------ tables


def test_a_table_shows_gains_and_costs_in_product() -> None:
    terms = (
        Contribution("product_mass at harvest", -1.0, 5000.0),
        Contribution("moves of glucose_feed", 0.002, -10.0),
        Contribution("violation of volume", 1e-7, -5e-4),
    )
    told = why(LONG, explanation(terms=terms, limits=(reached(),)))
    assert [(row.name, row.value, row.gain) for row in told.terms] == [
        ("product mass at harvest", "+5000", True),
        ("moves of glucose feed", "\u221210.0", False),
    ]
    (limit,) = told.limits
    assert (limit.begin, limit.width) == pytest.approx((100 * 264 / 288, 100 / 12))


def test_the_newest_plans_are_kept_with_those_before() -> None:
    plans = Plans(LONG)
    for number in range(3):
        cycle = values.cycle(12 * number)
        feed = values.plan("feed", cycle.time_s)
        gas = values.plan("gas", cycle.time_s, 2)
        plans.see({"gas": gas, "feed": feed}, cycle.decision.expected)
    feed_told, gas_told = plans.content()
    assert (feed_told.title, gas_told.title) == ("Feeds", "Gases")
    assert (feed_told.made, feed_told.compared) == ("0 d 04:00", True)
    assert [row.name for row in feed_told.uses] == list(values.FEEDS)
    assert gas_told.uses == ()
