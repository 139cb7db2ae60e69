"""Plants of other models: what their files may leave out, and what the control unit does there."""

from pathlib import Path

import numpy as np
import pytest

from mpc_agent.config.schema_general import JudgedLimit
from mpc_agent.yardsticks import PIECES, grid, optimum
from plant_models.library import MODELS
from sim_plant.errors import PlantError
from sim_plant.plant import SimulatedPlant, recipe_run
from sim_plant.settings import PlantSettings, load_settings, parse_settings
from sim_plant.tags import Access, WriteStatus
from sim_plant.truth import Truth
from tests.sim_plant_support import advance, number, take_control

ECOLI = """
model: ecoli_anane
batch: {duration_h: 6}
vessel: {working_volume_L: 2.3}
culture: {initial: {biomass: 3, glucose: 0.1}}
actuators:
  feed: {upper: 0.05, unit: mL/h}
  kLa: {lower: 20, upper: 600, tag: Stirrer}
loops:
  - {measured: dissolved_oxygen, setpoint: 40, gain: 2, integral_time_h: 0.05, output: kLa}
control_unit: {recipe_file: recipe.csv}
probes:
  dissolved_oxygen: {range: [0, 120], absolute: 0.2}
  weight: {absolute: 0.001}
lab: {first_h: 1, every_h: 2}
"""

ECOLI_RECIPE = "time_h,feed_L_per_h\n0,0.01\n3,0.014\n6,0\n"


def ecoli(folder: Path, text: str = ECOLI, recipe: str = ECOLI_RECIPE) -> PlantSettings:
    """An E. coli plant from its file."""
    (folder / "recipe.csv").write_text(recipe)
    (folder / "plant.yaml").write_text(text)
    return load_settings(folder / "plant.yaml")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_plant_needs_to_say_little_more_than_its_model(name: str) -> None:
    model = MODELS[name]
    full_L = 1.5 * model.states[model.volume].initial
    settings = parse_settings(f"model: {name}\nvessel: {{working_volume_L: {full_L}}}")
    assert settings.batch.duration_h > 0
    plant = SimulatedPlant(settings)
    advance(plant, 0.25)
    truth = plant.truth
    assert (truth.model, truth.product) == (name, model.product)
    assert truth.product_g == truth.output(model.product)[-1]
    assert set(plant.tags()) == set(plant.table)
    if name != "cho_mab_full":
        online = [n for n, output in model.outputs_info.items() if output.measured == "online"]
        assert list(settings.probes) == online
        assert list(settings.actuators) == list(model.volume_flows)


def test_what_a_file_leaves_out_comes_from_the_model(tmp_path: Path) -> None:
    settings = ecoli(tmp_path)
    feed, kLa = settings.actuators["feed"], settings.actuators["kLa"]
    assert (feed.kind, feed.remote, feed.safe, feed.lag_s, feed.tag) == (
        "feed",
        True,
        0,
        30,
        "Feed",
    )
    assert (kLa.kind, kLa.remote, kLa.safe, kLa.unit) == ("other", False, 220.0, "1/h")
    assert not PlantSettings().actuators["base"].remote
    assert settings.culture.inoculum_states == ("biomass",)
    assert set(settings.assays) == {"biomass", "glucose", "acetate"}
    assert settings.assays["glucose"].range == (0.0, 50.0)
    assert settings.yardstick.decided == ("feed", "kLa")
    table = SimulatedPlant(settings).table
    assert table["Feed.Setpoint"].access is Access.WRITE
    assert (table["Feed.Setpoint"].unit, table["Feed.Setpoint"].high) == ("mL/h", 50.0)
    assert "Stirrer.Setpoint" not in table
    assert (table["Weight.Value"].low, table["Weight.Value"].unit) == (None, "kg")
    assert table["Lab.Acetate"].meaning == "assay: acetate"


def test_a_loop_that_always_acts_holds_its_probe_whoever_controls(tmp_path: Path) -> None:
    plant = SimulatedPlant(ecoli(tmp_path))
    advance(plant, 2.0)
    assert plant.source == "RECIPE"
    assert number(plant, "Feed.WorkingSetpoint") == pytest.approx(10.0)
    assert number(plant, "Stirrer.Actual") > 50.0
    take_control(plant)
    assert plant.write("Feed.Setpoint", 5.0) == WriteStatus.GOOD
    advance(plant, 0.5)
    assert plant.source == "REMOTE"
    assert number(plant, "Feed.Actual") == pytest.approx(5.0)
    oxygen, hours = plant.truth.output("dissolved_oxygen"), plant.truth.time_h
    assert np.abs(oxygen[(hours > 1.0) & (hours <= 2.0)] - 40.0).max() < 2.0
    assert oxygen[-1] == pytest.approx(40.0, abs=2.0)


def test_a_loop_follows_its_schedule(tmp_path: Path) -> None:
    text = ECOLI.replace("setpoint: 40", "setpoint: [[0, 40], [1, 20]]")
    plant = SimulatedPlant(ecoli(tmp_path, text))
    advance(plant, 2.0)
    oxygen, hours = plant.truth.output("dissolved_oxygen"), plant.truth.time_h
    assert oxygen[hours < 1.0][-1] == pytest.approx(40.0, abs=2.0)
    assert oxygen[-1] == pytest.approx(20.0, abs=2.0)


def test_every_draw_has_its_name(tmp_path: Path) -> None:
    quiet = "{initial: {biomass: 3, glucose: 0.1}, inoculum: 0, pump_gain: 0.1"
    some = ecoli(tmp_path, ECOLI.replace("{initial: {biomass: 3, glucose: 0.1}", quiet))
    more = ecoli(
        tmp_path,
        ECOLI.replace("{initial: {biomass: 3, glucose: 0.1}", quiet + ", deviations: {H: 0.3}"),
    )
    model = some.plant_model
    cultures = [SimulatedPlant(settings).culture for settings in (some, more)]
    kinetic = {name for name, item in model.parameters.items() if item.deviation}
    for culture, drawn in zip(cultures, (kinetic, kinetic | {"H"}), strict=True):
        nominal = model.nominal_parameters()._asdict()
        assert {n for n, value in culture.parameters.items() if value != nominal[n]} == drawn
        assert set(culture.pump_gains) == {"feed"}
        assert culture.initial["biomass"] == 3


def test_a_full_vessel_stops_the_feed(tmp_path: Path) -> None:
    plant = SimulatedPlant(ecoli(tmp_path, ECOLI.replace("2.3", "2.01")))
    advance(plant, 3.0)
    assert (
        plant.tag("Control.Interlock").value == "High weight: 2.01 kg reached, all feeds stopped."
    )
    assert number(plant, "Feed.WorkingSetpoint") == 0.0


def test_without_a_weight_the_volume_fills_the_vessel() -> None:
    settings = parse_settings(
        "model: cho_mab_core\nvessel: {working_volume_L: 1400.1}\n"
        "actuators: {glucose_feed: {safe: 2}, amino_feed: {}}"
    )
    plant = SimulatedPlant(settings)
    advance(plant, 0.2)
    assert plant.tag("Control.Interlock").value == (
        "High volume: 1400 L reached, all feeds stopped."
    )


def test_what_drifts_wanders_about_its_mean_the_same_whoever_controls() -> None:
    drifts = {"temperature": {"deviation": 0.3, "time_h": 0.05}}
    settings = PlantSettings.model_validate({"drifts": drifts, "truth": {"every_s": 10.0}})
    plant, controlled = SimulatedPlant(settings), SimulatedPlant(settings)
    take_control(controlled)
    for each in (plant, controlled):
        advance(each, 12.0)
    temperature = plant.truth.input("temperature")
    assert temperature[0] == 36.5
    assert temperature.mean() == pytest.approx(36.5, abs=0.08)
    assert temperature.std() == pytest.approx(0.3, rel=0.15)
    lag = round(0.05 * 360)
    kept = np.corrcoef(temperature[lag:], temperature[:-lag])[0, 1]
    assert kept == pytest.approx(np.exp(-1.0), abs=0.1)
    assert np.array_equal(controlled.truth.input("temperature"), temperature)
    still = SimulatedPlant(settings.model_copy(update={"drifts": {}}))
    assert still.culture == plant.culture


# ------------------------------------------------------------------ recipes of every input

GASSED = """
model: cho_mab_full
control_unit: {recipe_file: recipe.csv}
loops: []
actuators:
  glucose_feed: {}
  amino_feed: {}
  base: {}
  air: {}
  pressure: {unit: bar}
  temperature: {remote: true, lower: 33, upper: 38, lag_s: 600}
conditions: {oxygen: 10}
"""

GASSED_RECIPE = """\
time_h,glucose_feed_L_per_h,air_L_per_h,pressure_atm,temperature_degC
0,1,100,1.2,36.5
1,2,200,1.4,34
2,0,0,1.3,37
"""


def test_a_recipe_drives_what_no_controller_may_write_whoever_controls(tmp_path: Path) -> None:
    plant = SimulatedPlant(ecoli(tmp_path, GASSED, GASSED_RECIPE))
    advance(plant, 0.7)
    assert plant.truth.input("oxygen")[-1] == 10.0
    take_control(plant)
    plant.write("GlucoseFeed.Setpoint", 50.0)
    advance(plant, 0.4)
    assert number(plant, "GlucoseFeed.WorkingSetpoint") == 50.0
    assert number(plant, "Air.WorkingSetpoint") == pytest.approx(100 / 60)
    assert number(plant, "Temperature.WorkingSetpoint") == pytest.approx(36.5)
    assert number(plant, "Pressure.WorkingSetpoint") == pytest.approx(1.4 * 1.01325)
    plant.write("Control.Request", False)
    advance(plant, 0.1)
    assert number(plant, "GlucoseFeed.WorkingSetpoint") == pytest.approx(2 / 0.06)
    assert number(plant, "Air.WorkingSetpoint") == pytest.approx(200 / 60)
    assert number(plant, "Temperature.WorkingSetpoint") == pytest.approx(34.0)
    assert 34.0 < number(plant, "Temperature.Actual") < 36.5


def test_after_the_recipe_feeds_stop_and_the_rest_stays(tmp_path: Path) -> None:
    plant = SimulatedPlant(ecoli(tmp_path, GASSED, GASSED_RECIPE))
    advance(plant, 2.5)
    assert number(plant, "GlucoseFeed.WorkingSetpoint") == 0.0
    assert number(plant, "AminoFeed.WorkingSetpoint") == 0.0
    assert number(plant, "Air.WorkingSetpoint") == pytest.approx(84 / 60)
    assert number(plant, "Pressure.WorkingSetpoint") == pytest.approx(1.3 * 1.01325)
    assert number(plant, "Temperature.WorkingSetpoint") == pytest.approx(37.0)


def test_a_recipe_outside_an_actuators_range_is_refused(tmp_path: Path) -> None:
    settings = ecoli(tmp_path, GASSED, GASSED_RECIPE.replace("2,0,0,1.3,37", "2,0,0,1.3,40"))
    with pytest.raises(PlantError, match="temperature: 40 is outside the actuator's range, 33 to"):
        SimulatedPlant(settings)


# ------------------------------------------------------------------ a site's own model


def test_a_plant_may_run_a_model_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(
        "from dataclasses import replace\n"
        "from plant_models.library import find_model\n"
        "OURS = replace(find_model('batch_bioreactor'), name='ours')\n"
    )
    plant = tmp_path / "plant.yaml"
    plant.write_text("model: {file: ours.py, name: ours}\nvessel: {working_volume_L: 150}\n")
    settings = load_settings(plant)
    assert settings.plant_model.name == "ours"
    assert SimulatedPlant(settings).truth.model == "ours"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("{file: none.py}", "none.py: cannot be read: No such file"),
        ("{}", "must be a name, or {file: my_model.py"),
        ("5", "must be a name, or {file: my_model.py"),
        ("{path: x}", "must be a name, or {file: my_model.py"),
        ("{name: 5}", "name and file must be texts"),
        ("nothing", "no model named 'nothing'"),
    ],
)
def test_a_model_that_is_none_is_told(tmp_path: Path, choice: str, message: str) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text(f"model: {choice}\n")
    with pytest.raises(PlantError) as caught:
        load_settings(plant)
    assert str(caught.value).startswith(f"{plant}: model: ")
    assert message in str(caught.value)


# ------------------------------------------------------------------ yardsticks


def test_perfect_knowledge_beats_the_recipe_of_any_plant(tmp_path: Path) -> None:
    settings = ecoli(tmp_path, ECOLI + "yardstick: {piece_h: 0.5}\n")
    recipe = recipe_run(settings)
    limits = (JudgedLimit(output="acetate", upper=0.5),)
    best = optimum(settings, limits, recipe)
    assert best.found.startswith("SOLVED"), best.found
    assert best.product_g > 1.05 * recipe.product_g
    assert {name: len(values) for name, values in best.inputs.items()} == {"feed": 12, "kLa": 12}
    assert best.inputs["kLa"].max() <= 600 * (1 + 1e-6)


def test_what_is_not_decided_does_what_it_did_in_the_recipes_batch(tmp_path: Path) -> None:
    settings = ecoli(tmp_path, ECOLI + "yardstick: {piece_h: 0.5, decided: [feed]}\n")
    recipe = recipe_run(settings)
    best = optimum(settings, (), recipe)
    assert set(best.inputs) == {"feed"}
    assert best.product_g > recipe.product_g


@pytest.mark.parametrize(
    ("duration_h", "every_s", "piece_h", "pieces"),
    [(336.0, 300.0, None, PIECES), (1.0, 300.0, None, 6), (7.0, 300.0, 2.0, 4)],
)
def test_the_grid_holds_whole_pieces_with_rows_of_the_truth(
    duration_h: float, every_s: float, piece_h: float | None, pieces: int
) -> None:
    settings = PlantSettings.model_validate(
        {
            "batch": {"duration_h": duration_h},
            "truth": {"every_s": every_s},
            "yardstick": {"piece_h": piece_h},
        }
    )
    assert grid(settings) == (pieces, duration_h / pieces)


def test_the_truth_of_another_plant_comes_back_from_its_file(tmp_path: Path) -> None:
    plant = SimulatedPlant(ecoli(tmp_path))
    advance(plant, 0.5)
    plant.save_truth(tmp_path / "truth.npz")
    loaded = Truth.load(tmp_path / "truth.npz")
    assert (loaded.model, loaded.product) == ("ecoli_anane", "product_mass")
    assert np.array_equal(loaded.output("biomass"), plant.truth.output("biomass"))


def test_the_yardstick_may_see_a_smooth_version_of_the_plant() -> None:
    text = "{model: yeast_sk, vessel: {working_volume_L: 7}, yardstick: {model: %s}}"
    settings = parse_settings(text % "yeast_sk_control")
    assert settings.plant_model.name == "yeast_sk"
    assert settings.yardstick_model.name == "yeast_sk_control"
    with pytest.raises(PlantError, match=r"yardstick.model: no model named 'yeats'"):
        parse_settings(text % "yeats")
