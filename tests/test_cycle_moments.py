"""When the feeds are planned, where boluses may begin, and how far a harvest may move."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import Bolus
from controllers.recipe import Recipe
from controllers.settings import FeedSettings
from mpc_agent.planning import (
    Situated,
    bolus_allowed,
    feed_is_due,
    feed_situation,
    loose_pieces,
    search_is_due,
    steps_ahead,
    stretch,
)
from mpc_agent.values import Estimate
from tests import record_values
from tests.examples_core import START_S, harvest_problem

HARVEST_H = 96.0


def told(**changes: Any) -> FeedSettings:
    """Boluses at 24 h, 48 h and 72 h, a quarter of an hour each."""
    problem = harvest_problem(boluses=(Bolus("feed", 0.1, 1.0, over_h=0.25),))
    plain: dict[str, Any] = {
        "problem": problem,
        "interval_s": 7200.0,
        "bolus_times": {"feed": np.array([24.0, 48.0, 72.0])},
    }
    return FeedSettings(**{**plain, **changes})


def at(batch_h: float) -> Situated:
    return Situated(
        time_s=START_S + 3600 * batch_h,
        batch_h=batch_h,
        remaining_h=HARVEST_H - batch_h,
        parameters=np.zeros(7),
        inputs=np.zeros(1),
        setpoints={},
        limits={},
    )


def planned(batch_h: float, searched_h: float | None = None, pours_h: float | None = None) -> Plan:
    """A plan of some time ago; it may pour for a quarter of an hour."""
    searched_s = START_S + 3600 * (batch_h if searched_h is None else searched_h)
    boluses = np.zeros((4, 1))
    boluses[1] = 0.0 if pours_h is None else 0.5
    first_h = 1.0 if pours_h is None else pours_h - batch_h
    return replace(
        record_values.plan("feed", START_S + 3600 * batch_h, pieces=4),
        grid_h=first_h + np.array([0.0, 8.0, 16.0, 24.0]),
        boluses=boluses,
        poured=("glucose_feed",),
        pour_h=(0.25,),
        searched_at_s=searched_s,
    )


@pytest.fixture
def estimate() -> Estimate:
    """Without any news from the lab."""
    return record_values.estimate(START_S)


@pytest.mark.parametrize(
    ("last_h", "pours_h", "batch_h", "due"),
    [
        # Two hours between solves.
        (44.0, None, 45.9, False),
        (44.0, None, 46.0, True),
        # A bolus may begin, however young the last plan is.
        (47.5, None, 47.9, False),
        (47.5, None, 48.0, True),
        (47.5, None, 48.0 + 1e-9, True),
        (47.5, None, 48.1, False),
        # The last plan's own bolus: thought over once more when it begins, then left alone.
        (47.5, 48.0, 48.0 - 2e-4, True),
        (47.5, 48.0, 48.0, True),
        (47.5, 48.0, 48.0 + 2e-4, True),
        (44.0, 48.0, 48.1, False),
        (44.0, 48.0, 48.2, False),
        (44.0, 48.0, 48.25 - 2e-4, True),
        (44.0, 48.0, 48.25 + 1e-9, True),
        (47.5, 48.0, 48.5, False),
    ],
)
def test_feeds_are_planned_where_a_bolus_may_begin_and_not_while_one_is_poured(
    estimate: Estimate, last_h: float, pours_h: float | None, batch_h: float, due: bool
) -> None:
    last = planned(last_h, pours_h=pours_h)
    assert feed_is_due(told(), estimate, at(batch_h), last) is due


@pytest.mark.parametrize(
    ("searched_h", "due"), [(10.0, True), (24.0, True), (24.1, False), (40.0, False)]
)
def test_a_fresh_start_is_due_once_a_day(searched_h: float, due: bool) -> None:
    assert search_is_due(told(), at(48.0), planned(47.0, searched_h)) is due


def test_the_first_solve_is_a_fresh_start() -> None:
    assert search_is_due(told(), at(0.0), None)


@given(st.floats(0.0, 95.0), st.one_of(st.none(), st.floats(0.1, 5.0)))
def test_the_grid_has_a_node_wherever_a_bolus_may_begin(
    batch_h: float, first_h: float | None
) -> None:
    settings = told(first_piece_h=first_h)
    steps_h = steps_ahead(settings, at(batch_h))
    assert steps_h.shape == (15,)
    assert (steps_h > 0).all()
    assert steps_h.sum() == pytest.approx(HARVEST_H - batch_h, rel=1e-9)
    allowed = bolus_allowed(settings, at(batch_h), steps_h)
    assert allowed.shape == (15, 1)
    begins_h = batch_h + np.concatenate([[0.0], np.cumsum(steps_h)[:-1]])
    ahead = [hour for hour in (24.0, 48.0, 72.0) if hour >= batch_h]
    assert begins_h[allowed[:, 0] == 1.0] == pytest.approx(ahead, abs=1e-6)
    # Limits are held where pieces end: right after each pouring, too.
    for hour in (hour + 0.25 for hour in ahead if hour > batch_h + 0.01):
        assert np.abs(begins_h - hour).min() < 1e-6


def test_a_bolus_that_is_due_now_begins_with_the_first_piece() -> None:
    for batch_h in (48.0, 48.0 - 1e-12, 48.0 + 1e-12):
        steps_h = steps_ahead(told(), at(batch_h))
        assert steps_h.min() > 0.2
        assert bolus_allowed(told(), at(batch_h), steps_h)[0, 0] == 1.0


@pytest.mark.parametrize(
    ("earliest_h", "batch_h", "shortest"),
    [(None, 20.0, 1.0), (72.0, 0.0, 0.75), (72.0, 48.0, 0.5), (72.0, 80.0, 0.003)],
)
def test_a_free_harvest_moves_between_its_earliest_hour_and_the_latest(
    earliest_h: float | None, batch_h: float, shortest: float
) -> None:
    settings = told(earliest_harvest_h=earliest_h, bolus_times={})
    now = at(batch_h)
    least, most = stretch(settings, now, now.remaining_h)
    assert least == pytest.approx(shortest)
    assert most == 1.0


@given(st.floats(0.0, 95.0))
def test_a_free_harvest_leaves_the_times_of_boluses_to_the_clock(batch_h: float) -> None:
    """Only what comes after the last of them is stretched, and the earliest harvest is met."""
    settings, now = told(earliest_harvest_h=80.0), at(batch_h)
    steps_h = steps_ahead(settings, now)
    loose = loose_pieces(settings, now, steps_h)
    begins_h = batch_h + np.concatenate([[0.0], np.cumsum(steps_h)[:-1]])
    np.testing.assert_array_equal(loose == 1.0, begins_h >= 72.0 - 1e-3)
    least, most = stretch(settings, now, float((loose * steps_h).sum()))
    shortest_h = (steps_h * (1.0 + loose * (least - 1.0))).sum()
    assert most == 1.0
    if batch_h < 79.0:
        assert batch_h + shortest_h == pytest.approx(80.0)
    assert shortest_h > 0.0


def test_a_feed_problem_of_boluses_alone_has_a_situation(estimate: Estimate) -> None:
    """Nothing is decided as a flow; what the recipe feeds until the next chance is the guess."""
    settings = told()
    settings = replace(settings, problem=replace(settings.problem, inputs=()))
    nmpc = Nmpc(settings.problem)
    recipe = Recipe.from_rows([0.0, 24.0, 24.25, 48.0], 96.0, {"feed": [0.0, 2.0, 0.0, 0.01]})
    model = settings.problem.model
    now = replace(at(20.0), parameters=np.array(model.nominal_parameters(), dtype=np.float64))
    mean = np.array(model.initial_state(), dtype=np.float64)
    here = replace(estimate, mean=mean)
    situation = feed_situation(nmpc, settings, recipe, here, now, None)
    assert situation.guess.shape == (15, 0)
    assert situation.input_bounds is not None
    assert situation.input_bounds.shape == (0, 2)
    assert situation.bolus_guess is not None
    guessed = situation.bolus_guess[situation.bolus_guess > 0.0]
    assert guessed == pytest.approx([0.5, 0.24, 0.24])
    plan = nmpc.solve(situation, None)
    assert plan.usable, plan.message
