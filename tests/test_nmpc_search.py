"""Local optima: a solve that begins afresh besides, and takes the better plan."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.arrays import Floats
from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from plant_models.batch_bioreactor import CONTROL
from plant_models.reference_run import run_reference
from tests.examples_plans import PRODUCT, published_problem, published_situation

PIECES, BATCH_H = 30, 150.0

RICH = np.full((PIECES, 1), 0.1)
"""Leads into a culture that is held back by too much substrate: 1.49 g/L."""


def lean() -> Floats:
    """Feeds of the reference batch of a vessel as large: leads to the optimum, 1.68 g/L."""
    hourly = run_reference(CONTROL).inputs[:-1, 0] * 150.0 / 120.0
    return np.asarray(hourly.reshape(PIECES, -1).mean(axis=1)[:, None], dtype=np.float64)


def trap() -> Problem:
    """Srinivasan's fed-batch to its end."""
    return published_problem(
        inputs=(DecidedInput("feed", 0.0, 1.0, move_weight=0.0),),
        pieces=PIECES,
        rewarded=(),
        maximise=Maximise("product"),
        limits=(Limit("biomass", None, 3.7, scale=1.0, weight=None),),
    )


def from_start(problem: Problem, guess: Floats, time_s: float = 0.0) -> Situation:
    state = np.array([150.0, 1.0, 0.5, 0.0])
    return published_situation(
        problem, time_s=time_s, state=state, steps_h=even(BATCH_H, PIECES), guess=guess
    )


@pytest.fixture(scope="module")
def nmpc() -> Nmpc:
    return Nmpc(trap())


@pytest.fixture(scope="module")
def trapped(nmpc: Nmpc) -> Plan:
    plan = nmpc.solve(from_start(nmpc.problem, RICH), None)
    assert plan.usable, plan.message
    assert plan.states[-1, PRODUCT] < 1.6
    return plan


@pytest.fixture(scope="module")
def best(nmpc: Nmpc) -> Plan:
    plan = nmpc.solve(from_start(nmpc.problem, lean()), None)
    assert plan.usable, plan.message
    assert plan.states[-1, PRODUCT] == pytest.approx(1.68, abs=0.005)
    return plan


def test_a_warm_solve_stays_in_the_optimum_it_is_in(nmpc: Nmpc, trapped: Plan) -> None:
    plan = nmpc.solve(from_start(nmpc.problem, lean(), 60.0), trapped)
    assert plan.attempts == ("warm",)
    assert plan.chosen == "warm"
    assert plan.states[-1, PRODUCT] < 1.6


def test_a_fresh_start_finds_the_better_one_and_says_so(nmpc: Nmpc, trapped: Plan) -> None:
    plan = nmpc.solve(from_start(nmpc.problem, lean(), 60.0), trapped, afresh=True)
    assert plan.attempts == ("warm", "cold")
    assert plan.chosen == "cold"
    assert plan.states[-1, PRODUCT] == pytest.approx(1.68, abs=0.005)
    assert plan.objective < trapped.objective - 0.05


def test_a_fresh_start_that_finds_nothing_better_changes_nothing(nmpc: Nmpc, best: Plan) -> None:
    situation = from_start(nmpc.problem, RICH, 60.0)
    plan, usual = nmpc.solve(situation, best, afresh=True), nmpc.solve(situation, best)
    assert plan.attempts == ("warm", "cold")
    assert plan.chosen == "warm"
    np.testing.assert_array_equal(plan.inputs, usual.inputs)
    assert plan.iterations > usual.iterations


def test_when_it_was_last_looked_elsewhere_is_remembered(nmpc: Nmpc, best: Plan) -> None:
    assert best.searched_at_s == best.solved_at_s == 0.0
    usual = nmpc.solve(from_start(nmpc.problem, lean(), 60.0), best)
    assert (usual.solved_at_s, usual.searched_at_s) == (60.0, 0.0)
    fresh = nmpc.solve(from_start(nmpc.problem, lean(), 120.0), usual, afresh=True)
    assert (fresh.solved_at_s, fresh.searched_at_s) == (120.0, 120.0)


def test_leaner_guesses_lead_out_of_the_trap(nmpc: Nmpc) -> None:
    """From the rich guess alone, a tenth of it besides."""
    problem = replace(trap(), leaner_guesses=(0.3, 0.1))
    plan = Nmpc(problem).solve(from_start(problem, RICH), None)
    assert plan.usable, plan.message
    assert plan.attempts == ("cold",) * 3
    assert plan.states[-1, PRODUCT] == pytest.approx(1.68, abs=0.005)
