import numpy as np
import pytest

from plant_models.cho_mab import FULL
from sim_plant.errors import PlantError
from sim_plant.instrument_settings import TruthSettings
from sim_plant.plant import SimulatedPlant, recipe_run
from sim_plant.process_settings import (
    BatchSettings,
    CultureSettings,
    VesselSettings,
)
from sim_plant.reactor import Culture, draw_culture
from sim_plant.settings import PlantSettings
from sim_plant.tags import Access, DataType, Quality
from tests.sim_plant_support import (
    advance,
    number,
    plant_settings,
    small_plant,
    take_control,
)

SHORT = BatchSettings(duration_h=6.0)
PUMPS = ("glucose_feed", "amino_feed", "base")


def test_the_same_seed_gives_the_same_batch_in_any_steps() -> None:
    one, other = small_plant(seed=7), small_plant(seed=7)
    advance(one, 3.0)
    for _ in range(18):
        advance(other, 1 / 6)
    assert one.tags() == other.tags()
    assert np.array_equal(one.truth.states, other.truth.states)


def test_another_seed_gives_another_batch() -> None:
    one, other = small_plant(seed=7), small_plant(seed=8)
    assert one.culture != other.culture
    assert one.tag("pH.Value") != other.tag("pH.Value")


def test_without_spread_the_plant_is_the_nominal_model() -> None:
    culture = small_plant(culture=CultureSettings(spread=0.0)).culture
    assert culture.parameters == FULL.nominal_parameters()._asdict()
    assert culture.initial == FULL.initial_state()._asdict()
    assert all(gain == 1.0 for gain in culture.pump_gains.values())


def test_what_is_given_replaces_what_is_drawn_and_moves_nothing_else() -> None:
    drawn = small_plant(seed=3).culture
    given = small_plant(
        seed=3, culture=CultureSettings(parameters={"mu_max": 0.03}, initial={"glucose": 20.0})
    ).culture
    assert given.parameters == {**drawn.parameters, "mu_max": 0.03}
    assert given.initial == {**drawn.initial, "glucose": 20.0}


def test_draws_have_the_declared_spread() -> None:
    names = ("mu_max", "Q_mAb", "k_kLa", "glucose_feed_glucose", "K_glc")
    factors = []
    for seed in range(300):
        culture = draw(seed)
        row = [culture.parameters[name] / FULL.parameters[name].value for name in names]
        factors.append([*row, culture.initial["viable_cells"] / 0.5, *culture.pump_gains.values()])
    deviation = np.log(np.array(factors)).std(axis=0)
    expected = np.array([0.12, 0.12, 0.25, 0.03, 0.0, 0.20, 0.03, 0.03, 0.03])
    assert np.allclose(deviation, expected, rtol=0.2, atol=1e-12)


def draw(seed: int) -> Culture:
    return draw_culture(PlantSettings(), np.random.default_rng(seed))


def test_volume_is_what_was_there_and_what_came() -> None:
    plant = small_plant(truth=TruthSettings(every_s=10.0))
    advance(plant, 8.0)
    truth = plant.truth
    fed = sum(truth.input(pump)[1:].sum() for pump in PUMPS) * 10 / 3600
    assert fed > 5.0
    assert truth.output("volume")[-1] == pytest.approx(1400.0 + fed, rel=1e-12)


def test_pumps_deliver_more_or_less_than_they_show() -> None:
    plant = small_plant(seed=5)
    advance(plant, 2.0)
    gain = plant.culture.pump_gains[PUMPS[0]]
    shown = number(plant, "GlucoseFeed.Actual")
    assert gain != 1.0
    assert plant.truth.input("glucose_feed")[-1] == pytest.approx(gain * shown * 0.06, rel=1e-6)


def test_an_idle_plant_follows_its_recipe_and_its_loops() -> None:
    plant = small_plant(culture=CultureSettings(spread=0.0))
    advance(plant, 12.0)
    assert plant.source == "RECIPE"
    working = plant.tag("GlucoseFeed.WorkingSetpoint").value
    assert working == plant.tag("GlucoseFeed.Setpoint").value
    assert plant.truth.output("dissolved_oxygen")[-1] == pytest.approx(40.0, abs=2.0)
    assert plant.truth.output("pH")[-1] == pytest.approx(7.10, abs=0.02)


def test_an_actuator_follows_with_its_lag() -> None:
    plant = small_plant()
    take_control(plant)
    plant.write("GlucoseFeed.Setpoint", 60.0)
    start = number(plant, "GlucoseFeed.Actual")
    plant.advance_to(plant.time_s + 30.0)
    expected = 60.0 + (start - 60.0) * np.exp(-1.0)
    assert plant.tag("GlucoseFeed.Actual").value == pytest.approx(expected, rel=1e-6)


def test_a_full_vessel_stops_the_feeds_whoever_asks() -> None:
    plant = small_plant(vessel=VesselSettings(working_volume_L=1400.5))
    take_control(plant)
    plant.write("GlucoseFeed.Setpoint", 93.0)
    advance(plant, 0.4)
    assert plant.tag("Control.Interlock").value == (
        "High weight: 1400 kg reached, all feeds stopped."
    )
    assert plant.tag("Control.Source").value == "REMOTE"
    assert plant.tag("GlucoseFeed.Setpoint").value == 93.0
    assert plant.tag("GlucoseFeed.WorkingSetpoint").value == 0.0
    assert plant.truth.output("volume")[-1] < 1400.7


def test_without_a_recipe_the_feeds_stand_still() -> None:
    plant = SimulatedPlant(PlantSettings())
    advance(plant, 1.0)
    assert plant.source == "SAFE"
    assert plant.tag("GlucoseFeed.WorkingSetpoint").value == 0.0
    with pytest.raises(PlantError, match=r"needs control_unit\.recipe_file"):
        recipe_run(PlantSettings())


def test_tags_fit_their_table() -> None:
    plant = small_plant()
    advance(plant, 30.0)
    values = plant.tags()
    assert values.keys() == plant.table.keys()
    kinds = {
        DataType.FLOAT: float,
        DataType.DOUBLE: float,
        DataType.DATE_TIME: float,
        DataType.UINT32: int,
        DataType.BOOLEAN: bool,
        DataType.STRING: str,
    }
    for name, tag in plant.table.items():
        assert type(values[name].value) is kinds[tag.data_type], name
        assert values[name].quality is Quality.GOOD
        assert values[name].sampled_at_s <= values[name].entered_at_s <= plant.time_s
        if tag.data_type is DataType.FLOAT:
            assert values[name].value == np.float32(values[name].value)
        if tag.low is not None and tag.high is not None:
            rounding = 1e-6 * (tag.high - tag.low)
            assert tag.low - rounding <= number(plant, name) <= tag.high + rounding, name
    assert [name for name, tag in plant.table.items() if tag.access is Access.OPERATOR] == [
        "Control.RemoteEnable"
    ]


def test_time_moves_by_whole_ticks_and_never_back() -> None:
    plant = small_plant()
    start_s = plant.time_s
    plant.advance_to(start_s + 19.9)
    assert plant.time_s == start_s + 10.0
    with pytest.raises(ValueError, match="has passed"):
        plant.advance_to(start_s)


def test_a_run_by_the_recipe_ends_with_the_batch() -> None:
    settings = plant_settings(batch=SHORT, seed=4)
    truth = recipe_run(settings)
    assert truth.time_h[-1] == 6.0
    assert truth.seed == 4
    assert set(truth.sources) == {"RECIPE"}
    assert truth.product_g == truth.output("titre")[-1] * truth.output("volume")[-1]


def test_a_broken_simulation_is_never_run_on() -> None:
    plant = small_plant()
    plant._reactor.state = np.where(plant._reactor.state > 1000, np.nan, plant._reactor.state)
    with pytest.raises(PlantError, match="broke down: volume nan"):
        advance(plant, 1.0)


def test_settings_for_other_seeds_are_copies() -> None:
    settings = plant_settings()
    assert settings.with_seed(9) == replace_seed(settings, 9)
    assert settings.seed == 1


def replace_seed(settings: PlantSettings, seed: int) -> PlantSettings:
    return PlantSettings(**{**dict(settings), "seed": seed})
