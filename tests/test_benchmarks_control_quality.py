"""The benchmark of control quality: what its agents are told, its PI recipe, its judging."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.control_quality.batches import Outcome, Watch, judged
from benchmarks.control_quality.glucose_pi import Trim, TrimmedRecipe
from benchmarks.control_quality.knowing import Insight, OpenPlant, true_parameters
from benchmarks.control_quality.tables import Results, outside_percent, verdicts
from controllers.pid import PI
from controllers.situation import Course, Situation
from mpc_agent.config.schema_general import JudgedLimit
from plant_models.cho_mab import CONTROL
from sim_plant.settings import PlantSettings


@pytest.fixture(scope="module")
def plant() -> OpenPlant:
    """A plant whose first sample was told."""
    plant = OpenPlant(PlantSettings(seed=3))
    plant.advance_to(plant.time_s + 3 * 3600)
    return plant


def test_the_true_parameters_are_the_plants_with_the_gains_of_its_pumps(plant: OpenPlant) -> None:
    nominal = np.array(CONTROL.nominal_parameters())
    found = dict(
        zip(CONTROL.parameter_names, true_parameters(plant, CONTROL, nominal), strict=True)
    )
    culture = plant.culture
    assert found["m_glc"] == culture.parameters["m_glc"]
    assert found["amino_feed_gain"] == pytest.approx(culture.pump_gains["amino_feed"])
    assert found["K_glc"] == CONTROL.parameters["K_glc"].value


def test_what_is_told_is_the_truth_but_for_states_that_are_foreseen(plant: OpenPlant) -> None:
    believed, guess = np.full(len(CONTROL.states), 7.0), np.zeros((2, 1))
    parameters = np.array(CONTROL.nominal_parameters())
    course = Course(believed, parameters, 1.0)
    situation = Situation(
        time_s=0.0, state=believed, parameters=parameters, given=np.zeros(3),
        previous=np.zeros(1), steps_h=np.ones(2), setpoints=np.zeros(0), guess=guess,
        output_deviation=np.ones((2, 3)), courses=(course,),
    )  # fmt: skip
    insight = Insight(plant, CONTROL, 2 * parameters, foreseen=("carbon_dioxide",))
    told = insight.told(situation)
    place = CONTROL.state_names.index("carbon_dioxide")
    assert told.state[place] == 7.0
    assert np.delete(told.state, place).tolist() == np.delete(plant.state, place).tolist()
    assert told.output_deviation is None
    assert told.parameters.tolist() == (2 * parameters).tolist()
    assert told.courses[0].state.tolist() == told.state.tolist()


def test_the_trim_acts_once_for_each_result_of_the_lab() -> None:
    plant = OpenPlant(PlantSettings(seed=3))
    trim = Trim(plant, lambda _: 100.0, PI(0.01, 72.0, -5.0, 5.0))
    assert trim.now() == 0.0
    plant.advance_to(plant.time_s + 3 * 3600)
    first = trim.now()
    assert 0.5 < first < 1.0
    assert trim.now() == first


def test_a_trimmed_recipe_stays_within_its_pump_and_ends() -> None:
    recipe = TrimmedRecipe.from_rows([0.0], 10.0, {"glucose_feed": [2.0], "amino_feed": [1.0]})
    more = replace(recipe, trim=lambda: 9.0, highest=5.6)
    assert more.rate("glucose_feed", 1.0) == 5.6
    assert more.rate("amino_feed", 1.0) == 1.0
    assert more.rate("glucose_feed", 10.0) == 0.0
    assert replace(recipe, trim=lambda: -9.0).rate("glucose_feed", 1.0) == 0.0


def test_an_outcome_is_judged_by_its_truth_and_kept(plant: OpenPlant, tmp_path: Path) -> None:
    limits = (
        JudgedLimit(output="glucose", lower=1000.0),
        JudgedLimit(output="volume", upper=1.0, hard=True),
    )
    outcome = judged(plant.truth, limits, Watch())
    assert outcome.outside_h["glucose"] == pytest.approx(3.0)
    assert outcome.hard_broken == ("volume",)
    outcome.save(tmp_path / "one.json")
    assert Outcome.load(tmp_path / "one.json") == outcome


def test_soft_limits_count_as_a_share_of_all_time_and_hard_ones_apart() -> None:
    fine = Outcome(99.0, {"glucose": 0.0}, (), 100.0, {})
    alarms = {"PUMP_DRIFT": 2}
    poor = Outcome(95.0, {"glucose": 1.0, "volume": 50.0}, ("volume",), 100.0, {}, alarms=alarms)
    assert outside_percent([fine, poor]) == pytest.approx(0.5)
    results = Results({("agent", 1): fine, ("agent", 2): poor}, {1: 100.0, 2: 100.0})
    *told, last = verdicts(results)
    assert last == "agent: alarms in 2 batches: PUMP_DRIFT 2"
    assert [sentence.endswith(": met") for sentence in told] == [False, False, True, False]
