"""Liquids poured in at once: mixed exactly, only where allowed, never more than allowed."""

from math import nan
from typing import Any

import casadi as ca
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.arrays import Floats
from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from controllers.problem import Bolus, DecidedInput, Limit, Maximise, Per, Problem
from controllers.situation import Situation
from controllers.transcription import poured
from plant_models.batch_bioreactor import CONTROL
from plant_models.library import MODELS
from plant_models.mixing import broth_of
from plant_models.model import PlantModel
from tests.examples_plans import (
    BIOMASS,
    PRODUCT,
    SUBSTRATE,
    VOLUME,
    integrated,
    named_parameters,
    published_situation,
)

PRICE = 0.05
PIECES, PIECE_H = 12, 2.0
FEED_G_PER_L = 200.0
ALLOWED = np.isin(np.arange(PIECES), (2, 5, 8))[:, None].astype(np.float64)


# ------------------------------------------------------------------ mixing


def after_pouring(problem: Problem, x: Floats, name: str, volume_L: float, p: Floats) -> Floats:
    """The state after a bolus, as the program has it."""
    state, parameters = ca.SX.sym("x", len(x)), ca.SX.sym("p", len(p))
    litres = ca.SX.sym("litres")
    mixed = poured(problem, state, name, litres, parameters)
    function = ca.Function("poured", [state, litres, parameters], [mixed])
    return np.asarray(function(x, volume_L, p), dtype=np.float64).ravel()


def pouring_problem(model: PlantModel, name: str, **changes: Any) -> Problem:
    boluses = (Bolus(name, 0.0, 1.0),)
    return Problem("pouring", model, (DecidedInput(name, 0.0, 1.0),), 1, boluses=boluses, **changes)


NOT_POURED = {
    ("penicillin_indpensim", "acid"),
    ("penicillin_indpensim", "base"),
    ("penicillin_indpensim", "water"),
    ("penicillin_indpensim_control", "water"),
}
"""Acid and base of that model act by what flows in an hour, not by litres; and a litre of its water
takes viscosity away so fast that a few steps cannot follow."""

MIXED = [
    (model, name)
    for model in MODELS.values()
    for name in model.volume_flows
    if (model.name, name) not in NOT_POURED
]


@pytest.mark.parametrize(("model", "name"), MIXED, ids=lambda value: getattr(value, "name", value))
def test_a_bolus_does_what_a_very_short_strong_flow_does(model: PlantModel, name: str) -> None:
    """Five per cent of the volume, in a few microseconds by SciPy."""
    scales = np.array([state.scale for state in model.states.values()])
    x = np.array([state.initial for state in model.states.values()]) + 0.1 * scales
    p = np.array(model.nominal_parameters(), dtype=np.float64)
    volume_L, over_h = 0.05 * x[model.state_names.index(model.volume)], 1e-9
    u = np.array(model.nominal_inputs(), dtype=np.float64)
    u[model.input_names.index(name)] = volume_L / over_h
    flowed = integrated(model, x, u[None], p, [over_h])[0]
    problem = pouring_problem(model, name)
    at_once = after_pouring(problem, x, name, volume_L, p)
    np.testing.assert_allclose(at_once / scales, flowed / scales, atol=1e-6)


@given(
    volume=st.floats(50.0, 500.0),
    biomass=st.floats(0.01, 50.0),
    substrate=st.floats(0.0, 50.0),
    litres=st.floats(0.0, 100.0),
)
def test_what_is_poured_dilutes_and_brings_what_is_in_it(
    volume: float, biomass: float, substrate: float, litres: float
) -> None:
    x = np.array([volume, biomass, substrate, 0.5])
    after = after_pouring(pouring_problem(CONTROL, "feed"), x, "feed", litres, named_parameters())
    assert after[VOLUME] == pytest.approx(volume + litres, rel=1e-12)
    grams = substrate * volume + FEED_G_PER_L * litres
    assert after[SUBSTRATE] * after[VOLUME] == pytest.approx(grams, rel=1e-10, abs=1e-9)
    assert after[BIOMASS] * after[VOLUME] == pytest.approx(biomass * volume, rel=1e-10, abs=1e-9)
    # What brings nothing of them dilutes them as water does.
    watered = broth_of(CONTROL).mixed(x, litres, 0.0)
    others = [VOLUME, BIOMASS, PRODUCT]
    np.testing.assert_allclose(after[others], watered[others], rtol=1e-12)


@given(st.floats(0.0, 20.0), st.floats(0.0, 20.0))
def test_two_boluses_are_one_of_both(first: float, second: float) -> None:
    problem, p = pouring_problem(CONTROL, "feed"), named_parameters()
    x = np.array([120.0, 3.0, 0.5, 0.5])
    once = after_pouring(problem, x, "feed", first + second, p)
    twice = after_pouring(problem, after_pouring(problem, x, "feed", first, p), "feed", second, p)
    np.testing.assert_allclose(twice, once, rtol=1e-10)


def test_held_states_stay_as_they_are() -> None:
    problem = pouring_problem(CONTROL, "feed", held_states=("volume", "product"))
    x = np.array([120.0, 3.0, 0.5, 0.5])
    after = after_pouring(problem, x, "feed", 6.0, named_parameters())
    assert after[[VOLUME, PRODUCT]].tolist() == [120.0, 0.5]
    assert after[BIOMASS] == pytest.approx(3.0 * 120 / 126)


# ------------------------------------------------------------------ plans


def poured_problem(**changes: Any) -> Problem:
    """A day in which substrate comes by boluses alone; the feed's flow is not decided."""
    plain: dict[str, Any] = {
        "name": "boluses",
        "model": CONTROL,
        "inputs": (),
        "pieces": PIECES,
        "degree": 3,
        "elements": 2,
        "maximise": Maximise("product", 0.1),
        "boluses": (Bolus("feed", 0.0, 0.5),),
    }
    return Problem(**{**plain, **changes})


def situated(problem: Problem, **changes: Any) -> Situation:
    decided = len(problem.inputs)
    plain: dict[str, Any] = {
        "steps_h": np.full(PIECES, PIECE_H),
        "previous": np.zeros(decided),
        "guess": np.zeros((PIECES, decided)),
        "bolus_allowed": ALLOWED,
    }
    return published_situation(problem, **{**plain, **changes})


@pytest.fixture(scope="module")
def nmpc() -> Nmpc:
    return Nmpc(poured_problem())


@pytest.fixture(scope="module")
def plan(nmpc: Nmpc) -> Plan:
    plan = nmpc.solve(situated(nmpc.problem), None)
    assert plan.status is SolveStatus.SOLVED, plan.message
    return plan


def poured_course(situation: Situation, boluses: Floats, inputs: Floats) -> Floats:
    """States at the ends of the pieces: mixed by hand, then by SciPy."""
    state, ends = situation.state, []
    for litres, u in zip(boluses[:, 0], inputs, strict=True):
        after = broth_of(CONTROL).mixed(state, litres, 0.0)
        after[SUBSTRATE] += FEED_G_PER_L * litres / after[VOLUME]
        state = integrated(CONTROL, after, u[None], situation.parameters, [PIECE_H])[0]
        ends.append(state)
    return np.array(ends)


def test_boluses_are_poured_where_allowed_and_no_more_than_allowed(plan: Plan) -> None:
    assert plan.boluses.shape == (PIECES, 1)
    assert plan.poured == ("feed",)
    assert (plan.boluses[ALLOWED == 0.0] == 0.0).all()
    assert plan.boluses.min() >= 0.0
    assert plan.boluses.max() <= 0.5
    assert (plan.boluses[ALLOWED == 1.0] > 0.01).all()


def test_the_plan_is_what_happens_when_they_are_poured(nmpc: Nmpc, plan: Plan) -> None:
    course = poured_course(situated(nmpc.problem), plan.boluses, np.zeros((PIECES, 1)))
    np.testing.assert_allclose(plan.states, course, rtol=1e-5, atol=1e-6)
    foreseen = nmpc.predict(situated(nmpc.problem), plan.inputs, plan.boluses)[0]
    np.testing.assert_allclose(foreseen, plan.outputs, rtol=1e-7, atol=1e-9)


RICH = np.array([120.0, 1.0, 2.0, 0.0])
"""A culture that lives for a day without any feed."""


def test_where_nothing_may_be_poured_nothing_is(nmpc: Nmpc) -> None:
    never = nmpc.solve(situated(nmpc.problem, state=RICH, bolus_allowed=None), None)
    assert never.usable, never.message
    assert never.boluses.shape == (PIECES, 1)
    assert not never.boluses.any()
    nowhere = situated(nmpc.problem, state=RICH, bolus_allowed=np.zeros((PIECES, 1)))
    np.testing.assert_array_equal(nmpc.solve(nowhere, None).outputs, never.outputs)


def test_the_largest_volume_holds(plan: Plan) -> None:
    """Less than is best the first two times."""
    small = Nmpc(poured_problem(boluses=(Bolus("feed", 0.0, 0.13),)))
    held = small.solve(situated(small.problem), None)
    assert held.usable, held.message
    assert held.boluses.max() <= 0.13
    volumes = held.boluses[ALLOWED == 1.0]
    np.testing.assert_allclose(volumes[:2], 0.13, atol=1e-4)
    assert (plan.boluses[ALLOWED == 1.0][:2] > 0.14).all()


def test_a_price_makes_boluses_smaller(plan: Plan) -> None:
    dear = Nmpc(poured_problem(boluses=(Bolus("feed", 0.0, 0.5, price=PRICE),)))
    cheaper = dear.solve(situated(dear.problem), None)
    assert cheaper.usable, cheaper.message
    assert cheaper.boluses.sum() < 0.9 * plan.boluses.sum()
    assert cheaper.terms["price of feed"] == pytest.approx(PRICE * cheaper.boluses.sum(), rel=1e-6)


def test_boluses_and_a_flow_of_the_same_liquid_are_decided_together() -> None:
    both = poured_problem(inputs=(DecidedInput("feed", 0.0, 0.01),))
    nmpc = Nmpc(both)
    plan = nmpc.solve(situated(both), None)
    assert plan.usable, plan.message
    assert plan.inputs.max() <= 0.01
    assert plan.boluses.sum() > 0.1
    course = poured_course(situated(both), plan.boluses, plan.inputs)
    np.testing.assert_allclose(plan.states, course, rtol=1e-5, atol=1e-6)


def test_a_hard_limit_holds_for_what_is_poured(plan: Plan) -> None:
    """The vessel has room for less than would be best."""
    room = 0.9 * float(plan.boluses.sum())
    limit = Limit("volume", None, 120.0 + room, scale=1.0, weight=None)
    full = Nmpc(poured_problem(limits=(limit,)))
    held = full.solve(situated(full.problem), None)
    assert held.usable, held.message
    assert held.boluses.sum() == pytest.approx(room, abs=1e-5)
    assert f"volume at its upper limit {120 + room:g}" in map(str, held.active)


def test_a_bolus_is_none_or_worth_pouring(plan: Plan) -> None:
    """Of what would be best the last is too small, and so is made larger, or left out."""
    smallest = 0.12
    coarse = Nmpc(poured_problem(boluses=(Bolus("feed", smallest, 0.5),)))
    whole = coarse.solve(situated(coarse.problem), None)
    assert whole.usable, whole.message
    volumes = whole.boluses[ALLOWED == 1.0]
    assert ((volumes == 0.0) | (volumes >= smallest * (1 - 1e-6))).all()
    assert 0.01 < plan.boluses[8, 0] < smallest
    assert whole.objective > plan.objective


def test_a_later_solve_begins_from_the_boluses_planned_before(nmpc: Nmpc, plan: Plan) -> None:
    situation = situated(
        nmpc.problem,
        time_s=2 * PIECE_H * 3600,
        state=plan.states[1],
        bolus_allowed=np.roll(ALLOWED, -2, axis=0),
    )
    later = nmpc.solve(situation, plan)
    assert later.attempts == ("warm",)
    np.testing.assert_allclose(later.boluses[0], plan.boluses[2], rtol=0.2)


@pytest.mark.parametrize("name", ["bolus_allowed", "bolus_guess"])
def test_numbers_that_are_none_are_a_status(nmpc: Nmpc, name: str) -> None:
    spoilt = ALLOWED.copy()
    spoilt[2] = nan
    plan = nmpc.solve(situated(nmpc.problem, **{name: spoilt}), None)
    assert plan.status is SolveStatus.NUMERICAL_ERROR
    assert not plan.usable


def test_only_liquids_can_be_poured() -> None:
    with pytest.raises(ValueError, match="'air' is not in model cho_mab_control"):
        Problem(
            "feed",
            MODELS["cho_mab_control"],
            (DecidedInput("glucose_feed", 0.0, 1.0),),
            4,
            boluses=(Bolus("air", 0.0, 1.0),),
        )


def test_a_free_harvest_moves_what_comes_after_the_last_bolus() -> None:
    """Boluses stay where the clock has them; the latest harvest allowed is at 22 h."""
    best = Maximise("product", 0.1, Per.HOUR, 4.0)
    problem = poured_problem(maximise=best, free_harvest=True)
    nmpc, loose = Nmpc(problem), (np.arange(PIECES) >= 8).astype(np.float64)
    plan = nmpc.solve(situated(problem, loose=loose, stretch=(0.25, 0.75)), None)
    assert plan.usable, plan.message
    begins_h = np.concatenate([[0.0], plan.grid_h[:-1]])
    assert begins_h[plan.boluses[:, 0] > 0.0].tolist() == pytest.approx([4.0, 10.0, 16.0])
    steps_h = np.diff(plan.grid_h, prepend=0.0)
    np.testing.assert_allclose(steps_h[:8], PIECE_H, rtol=1e-12)
    np.testing.assert_allclose(steps_h[8:], steps_h[8], rtol=1e-12)
    assert plan.grid_h[-1] == pytest.approx(22.0)
    later = nmpc.solve(
        situated(
            problem,
            time_s=2 * PIECE_H * 3600,
            state=plan.states[1],
            bolus_allowed=np.roll(ALLOWED, -2, axis=0),
            steps_h=np.full(PIECES, PIECE_H),
            loose=(np.arange(PIECES) >= 6).astype(np.float64),
            stretch=(0.25, 1.0),
        ),
        plan,
    )
    assert later.usable, later.message
    assert later.attempts == ("warm",)
