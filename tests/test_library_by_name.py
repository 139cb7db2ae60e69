"""Models, plans and the filter by name: nothing is lost, and what does not fit is told in words."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from controllers.by_name import boluses_of, inputs_of, plan_table, situation
from controllers.nmpc import Nmpc
from controllers.plan import SolveStatus, no_plan
from controllers.problem import (
    Bolus,
    DecidedInput,
    Limit,
    Maximise,
    Per,
    Problem,
    Scenarios,
    Tracked,
)
from controllers.program_inputs import spent
from mpc_agent.estimation.by_name import begin, filtered, follow, known, settings_for
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import AdaptedParameter, SignalSettings
from mpc_agent.values import Verdict
from plant_models.by_name import simulate, state_and_parameters
from plant_models.integrate import Simulator
from plant_models.library import load_model

MODEL = load_model("batch_bioreactor_control")

PROBLEM = Problem(
    "harvest",
    MODEL,
    inputs=(DecidedInput("feed", 0.0, 0.2),),
    pieces=10,
    maximise=Maximise("product_mass", scale=100.0),
    limits=(Limit("volume", upper=124.0, scale=10.0),),
)


# ------------------------------------------------------------------ models


def test_a_simulation_is_that_of_the_common_integrator() -> None:
    run = simulate(MODEL, 3, {"feed": 0.1}, known={"biomass": 2.0}, every_h=1)
    simulator = Simulator(MODEL, 1.0)
    x, p = state_and_parameters(MODEL, {"biomass": 2.0})
    for row in range(3):
        x = simulator.advance(x, np.array([0.1]), p)
        assert np.array_equal(x, [run.states[name][row + 1] for name in MODEL.states])
    assert run.end == dict(zip(MODEL.states, x.tolist(), strict=True))


def test_a_simulation_goes_on_where_another_ended() -> None:
    feed = {"feed": [(0.0, 0.05), (4.0, 0.2)]}
    whole = simulate(MODEL, 8, feed, known={"mu_m": 0.03})
    first = simulate(MODEL, 5, feed, known={"mu_m": 0.03})
    then = simulate(MODEL, 3, feed, known={"mu_m": 0.03, **first.end}, from_h=5)
    assert then.times_h[-1] == 8
    assert then.end == pytest.approx(whole.end, rel=1e-12)


def test_nothing_that_is_fed_is_lost() -> None:
    """The inputs' means hold what was fed and poured, however the changes lie between the rows."""
    run = simulate(
        MODEL, 10, {"feed": [(0.3, 0.1), (7.25, 0.0)]}, boluses=[(2.9, "feed", 1.5)], every_h=3
    )
    fed = 0.1 * (7.25 - 0.3) + 1.5
    assert run.times_h.tolist() == [0, 3, 6, 9, 10]
    assert run.inputs["feed"][1:] @ np.diff(run.times_h) == pytest.approx(fed)
    assert run["volume"][-1] - run["volume"][0] == pytest.approx(fed)


def test_a_name_that_is_both_a_state_and_an_input_is_not_guessed() -> None:
    run = simulate(load_model("cho_mab_control"), 1)
    with pytest.raises(KeyError, match="'oxygen' is a state and an input"):
        run["oxygen"]
    assert run.states["oxygen"][0] != run.inputs["oxygen"][0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"inputs": {"fed": 0.1}}, "has no input 'fed'; known: feed"),
        (
            {"inputs": {"feed": 99.0}},
            "feed is 99 L/h, but batch_bioreactor_control holds from 0 to",
        ),
        ({"known": {"biomas": 1.0}}, "has no state or parameter 'biomas'; known: volume"),
        ({"known": {"biomass": np.nan}}, "'biomass' is nan, but must be a finite number"),
        ({"boluses": [(9.0, "feed", 1.0)]}, "a bolus of 1 L of feed at 9 h: it must lie between"),
        ({"boluses": [(1.0, "water", 1.0)]}, "has no liquid 'water'; known: feed"),
        ({"every_h": 0.0}, "every_h 0.0: both must be positive"),
        ({"from_h": np.nan}, "from_h is nan, but must be a finite number"),
        ({"inputs": {"feed": [0.1, 0.2]}}, "feed must be a number, or pairs"),
        ({"inputs": {"feed": []}}, "feed must be a number, or pairs"),
        ({"inputs": {"feed": [(np.nan, 0.1)]}}, "feed must be a number, or pairs"),
    ],
)
def test_a_simulation_that_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        simulate(MODEL, 5, **given)


# ------------------------------------------------------------------ plans


@cache
def optimiser() -> Nmpc:
    return Nmpc(PROBLEM)


def test_a_plan_is_what_its_inputs_do() -> None:
    plan = optimiser().solve(situation(PROBLEM, 90, time_h=6, guess={"feed": 0.02}), None)
    planned = plan_table(PROBLEM, plan)
    run = simulate(PROBLEM.model, 90, inputs_of(plan), from_h=6, every_h=9)
    assert planned.times_h == pytest.approx(run.times_h[1:])
    assert planned.inputs["feed"] == pytest.approx(run.inputs["feed"][1:])
    assert planned["product"] == pytest.approx(run["product"][1:], rel=1e-3)
    assert planned["volume"][-1] == pytest.approx(124.0, abs=0.01)


def test_what_was_fed_before_counts_in_a_yield() -> None:
    best = Maximise("product_mass", per=Per.FEED, extra=1.0)
    problem = replace(PROBLEM, maximise=best)
    assert spent(problem, situation(problem, 24, time_h=12, fed_L=0.3)) == pytest.approx(1.3)


def test_a_plan_with_boluses_is_what_they_do() -> None:
    bolus = Bolus("feed", 0.0, 0.5)
    problem = replace(PROBLEM, inputs=(), boluses=(bolus,), pieces=8, elements=2)
    start = situation(problem, 24, bolus_times_h={"feed": [6.0, 12.0]})
    plan = Nmpc(problem).solve(start, None)
    poured = boluses_of(plan)
    assert [(at_h, name) for at_h, name, _ in poured] == [(6.0, "feed"), (12.0, "feed")]
    run = simulate(problem.model, 24, inputs_of(plan), boluses=poured, every_h=3)
    planned = plan_table(problem, plan)
    assert planned.inputs["feed"] == pytest.approx(run.inputs["feed"][1:])
    assert planned["volume"] == pytest.approx(run["volume"][1:])
    assert planned["substrate"] == pytest.approx(run["substrate"][1:], abs=0.01)


def test_a_free_harvest_leaves_the_times_of_boluses_to_the_clock() -> None:
    """Only what comes after the last of them stretches."""
    problem = replace(
        PROBLEM,
        inputs=(),
        boluses=(Bolus("feed", 0.0, 0.5),),
        pieces=8,
        elements=2,
        free_harvest=True,
        maximise=Maximise("product_mass", 100.0, Per.HOUR, extra=2.0),
    )
    start = situation(
        problem, 24, time_h=1, bolus_times_h={"feed": [13, 7]}, earliest_h=16, guess={}
    )
    assert start.loose is not None
    for factor, ends_h in zip(start.stretch, (16, 24), strict=True):
        nodes_h = np.cumsum(start.lengths_h(factor))
        assert nodes_h[-1] == pytest.approx(ends_h)
        assert np.abs(nodes_h - 6).min() == pytest.approx(0, abs=1e-9)
        assert np.abs(nodes_h - 12).min() == pytest.approx(0, abs=1e-9)
    plan = Nmpc(problem).solve(start, None)
    assert plan.usable, plan.message
    assert [at_h for at_h, _, _ in boluses_of(plan)] == pytest.approx([7, 13])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bolus_times_h": {"feed": [np.nan]}}, "times of boluses must be finite"),
        ({"bolus_times_h": {"feed": list(range(1, 11))}}, "at 10 times ahead, but each begins"),
        (
            {"bolus_times_h": {"feed": [60]}, "earliest_h": 50},
            "may be poured at 60 h, but must come before the earliest harvest, 50 h",
        ),
    ],
)
def test_times_of_boluses_that_cannot_be_are_refused(given: dict[str, Any], words: str) -> None:
    problem = replace(PROBLEM, boluses=(Bolus("feed", 0.0, 0.5),), free_harvest=True)
    with pytest.raises(ValueError, match=words):
        situation(problem, 90, **given)


def test_a_situation_says_what_it_is_told_and_else_what_the_model_says() -> None:
    problem = replace(PROBLEM, scenarios=Scenarios(2))
    here = situation(
        problem, 20, time_h=5, known={"biomass": 2.0}, inputs={"feed": 0.5}, others=[{"mu_m": 0.03}]
    )
    assert here.time_s == 18000
    assert here.batch_h == 5
    assert MODEL.State(*here.state) == MODEL.initial_state()._replace(biomass=2.0)
    assert here.previous.tolist() == [0.2]  # what acts, within its bounds
    assert (here.guess == 0.2).all()
    assert here.steps_h.sum() == pytest.approx(20)
    first, second = here.courses
    assert MODEL.Parameters(*first.parameters) == MODEL.nominal_parameters()
    assert MODEL.Parameters(*second.parameters) == MODEL.nominal_parameters()._replace(mu_m=0.03)
    assert first.share == second.share == 0.5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"known": {"x": 1.0}}, "no state or parameter 'x'"),
        ({"inputs": {"x": 1.0}}, "no such input here, 'x'; known: feed"),
        ({"guess": {"feed": [1.0, 2.0]}}, "feed must be one finite number or 10, one for each"),
        ({"setpoints": {"volume": 1.0}}, "needs setpoints of nothing, but got those of volume"),
        ({"bolus_times_h": {"feed": [1.0]}}, "needs times of boluses of nothing, but got those of"),
        ({"earliest_h": 80.0}, "which must be free"),
        ({"time_h": np.nan}, "time_h is nan, but must be finite"),
        ({"others": [{"mu_m": 0.03}]}, "has 1 scenarios: the expected one and 0 others, not 1"),
    ],
)
def test_a_situation_that_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        situation(PROBLEM, 90, **given)


def test_a_setpoint_is_wanted() -> None:
    tracking = replace(PROBLEM, tracked=(Tracked("biomass"),))
    with pytest.raises(ValueError, match="needs setpoints of biomass, but got those of nothing"):
        situation(tracking, 90)
    assert situation(tracking, 90, setpoints={"biomass": 3.0}).setpoints.tolist() == [3.0]


def test_no_plan_is_no_table() -> None:
    none = no_plan("harvest", SolveStatus.INFEASIBLE, 0.0, reason="Volume is beyond its limit.")
    with pytest.raises(ValueError, match=r"no plan, INFEASIBLE: .* Volume is beyond its limit\."):
        plan_table(PROBLEM, none)
    for read in (inputs_of, boluses_of):
        with pytest.raises(ValueError, match=r"no plan, INFEASIBLE: .* Volume is beyond"):
            read(none)


# ------------------------------------------------------------------ the filter


@cache
def kalman() -> ExtendedKalmanFilter:
    settings = settings_for(
        MODEL,
        signals=[SignalSettings("volume", 0.1)],
        assays=[SignalSettings("biomass", 0.02)],
        learnt=[AdaptedParameter("mu_m", 0.1, 0.001, 0.005, 0.1)],
        known={"biomass": 1.1},
    )
    return ExtendedKalmanFilter(settings, 1.0)


def measured(**changes: Any) -> dict[str, Any]:
    run = simulate(MODEL, 12, {"feed": 0.1})
    return {"time_h": run.times_h, "volume": run["volume"].copy(), **run.inputs, **changes}


def test_a_table_row_by_row_is_the_same_as_a_whole() -> None:
    table = measured()
    told = filtered(kalman(), table)
    memory = begin(kalman())
    for i, time_h in enumerate(table["time_h"]):
        row = {"volume": table["volume"][i], "feed": table["feed"][i]}
        estimate, memory = follow(kalman(), memory, time_h, row)
        assert np.array_equal(estimate.mean, told.estimates[i].mean)
        assert known(kalman(), estimate)["mu_m"] == told.mean["mu_m"][i]
    assert told.refused == ()
    assert told.mean["volume"] == pytest.approx(table["volume"], abs=0.1)
    assert told.deviation["biomass"][0] == pytest.approx(0.055)


def test_a_late_result_is_believed_from_when_it_was_known() -> None:
    lab = {"drawn_h": [3.0, 6.0], "entered_h": [8.5, 6.0], "biomass": [1.3, np.nan]}
    without, told = filtered(kalman(), measured()), filtered(kalman(), measured(), lab)
    before, after = told.mean.times_h < 8.5, told.mean.times_h > 8.5
    change = told.mean["biomass"] - without.mean["biomass"]
    assert (change[before] == 0).all()
    assert (change[after] > 0.05).all()


def test_what_is_refused_is_told() -> None:
    table = measured()
    table["volume"][5] += 50
    table["volume"][7] = np.nan
    lab = {"drawn_h": [4.0], "biomass": [9.0]}
    told = filtered(kalman(), table, lab)
    assert [(item.name, item.time_h, item.verdict) for item in told.refused] == [
        ("biomass", 4.0, Verdict.GATED),
        ("volume", 5.0, Verdict.GATED),
    ]
    assert str(told.refused[0]) == "biomass 9 g/L at 4 h: GATED"


def test_an_input_that_is_not_told_stays_as_it_was() -> None:
    table = measured(feed=np.array([0.0, 0.1, 0.1, 0.2, *[np.nan] * 9]))
    told = filtered(kalman(), table)
    assert told.mean.inputs["feed"].tolist() == [0.0, 0.1, 0.1, *[0.2] * 10]
    assert told.doubts == ()


def test_what_the_filter_cannot_follow_is_told() -> None:
    told = filtered(kalman(), measured(), doses=[(2.5, "withdrawn", 1e3)])
    assert told.doubts[0].startswith("at 3 h the model cannot follow the inputs")


def test_a_dose_by_hand_is_taken_in() -> None:
    table = measured(volume=np.full(13, np.nan))
    without, told = filtered(kalman(), table), filtered(kalman(), table, doses=[(5.5, "feed", 2.0)])
    more = told.mean["volume"] - without.mean["volume"]
    assert more == pytest.approx(np.where(told.mean.times_h > 5.5, 2.0, 0.0), abs=1e-6)


def test_a_dose_of_something_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="no liquid 'wine'; known: feed, water, withdrawn"):
        filtered(kalman(), measured(), doses=[(5.5, "wine", 2.0)])


@pytest.mark.parametrize("dose", [(5.5, "feed", np.nan), (5.5, "feed", -1.0), (-1.0, "feed", 1.0)])
def test_a_dose_that_cannot_be_is_refused(dose: tuple[float, str, float]) -> None:
    with pytest.raises(ValueError, match=r"a dose of .* L of feed at .* h: litres must not be neg"):
        filtered(kalman(), measured(), doses=[dose])


@pytest.mark.parametrize(
    ("table", "lab", "words"),
    [
        ({"volume": [1.0]}, {}, "table: there must be a column time_h"),
        ({"time_h": [0.0, 1.0], "volume": [1.0]}, {}, "each column needs one value for each row"),
        ({"time_h": [1.0, 1.0]}, {}, "time_h must rise from row to row"),
        ({"time_h": [1.0], "volume": ["a"]}, {}, "table: volume must be numbers"),
        ({"time_h": [1.0]}, {"drawn_h": [np.nan], "biomass": [1.0]}, "lab: drawn_h must be finite"),
        ({"time_h": [1.0], "x": [1.0]}, {}, "no signal or input 'x'; known: volume, feed"),
        ({"time_h": [1.0]}, {"drawn_h": [1.0], "x": [1.0]}, "no assay here, 'x'; known: biomass"),
        (
            {"time_h": [1.0]},
            {"drawn_h": [1.0], "entered_h": [0.5], "biomass": [1.0]},
            "no result can be entered before its sample was drawn",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    table: dict[str, Any], lab: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        filtered(kalman(), table, lab)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"signals": [SignalSettings("x", 1.0)]}, "no output 'x'"),
        ({"assays": [SignalSettings("feed", 1.0, output="biomass")]}, "has the name of an input"),
        ({"uncertainty": {"x": None}}, "no state 'x'"),
        ({"signals": [SignalSettings("volume", 0.0)]}, "volume: noise must be positive"),
        ({"assays": [SignalSettings("volume", np.nan)]}, "volume: noise must be positive"),
        ({"signals": [SignalSettings("volume", 1.0)] * 2}, "volume is there 2 times"),
        ({"learnt": ["x"]}, "no parameter 'x'"),
        ({"learnt": ["K_i"]}, "does not say how far K_i varies: give an AdaptedParameter"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings_for(MODEL, **given)
