import numpy as np
import pytest

from plant_models.cho_mab import FULL
from sim_plant.errors import PlantError
from sim_plant.instrument_settings import TruthSettings
from sim_plant.names import PUMPS
from sim_plant.plant import OperatorAction, SimulatedPlant, recipe_run
from sim_plant.process_settings import (
    BatchSettings,
    ControlUnitSettings,
    CultureSettings,
    VesselSettings,
)
from sim_plant.settings import PlantSettings
from sim_plant.tags import Access, DataType, Quality, WriteStatus
from tests.sim_plant_support import RECIPE, advance, plant_settings, small_plant, take_control

SHORT = BatchSettings(duration_h=6.0)


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


def draw(seed: int):
    from sim_plant.reactor import draw_culture

    return draw_culture(PlantSettings(), np.random.default_rng(seed))


def test_volume_is_what_was_there_and_what_came() -> None:
    plant = small_plant(truth=TruthSettings(every_s=10.0))
    advance(plant, 8.0)
    truth = plant.truth
    fed = sum(truth.input(pump.value)[1:].sum() for pump in PUMPS) * 10 / 3600
    assert fed > 5.0
    assert truth.output("volume")[-1] == pytest.approx(1400.0 + fed, rel=1e-12)


def test_pumps_deliver_more_or_less_than_they_show() -> None:
    plant = small_plant(seed=5)
    advance(plant, 2.0)
    gain = plant.culture.pump_gains[PUMPS[0]]
    shown = plant.tag("GlucoseFeed.Actual").value
    assert isinstance(shown, float)
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


def test_a_controller_begins_without_a_bump_and_then_sets_the_flows() -> None:
    plant = small_plant()
    advance(plant, 2.0)
    before = {name: plant.tag(name).value for name in setpoints(plant)}
    take_control(plant)
    assert plant.tag("Control.Active").value is True
    assert plant.tag("Control.Source").value == "REMOTE"
    assert {name: plant.tag(name).value for name in setpoints(plant)} == before
    assert plant.write("GlucoseFeed.Setpoint", 50.0) == WriteStatus.GOOD
    advance(plant, 0.25)
    assert plant.tag("GlucoseFeed.WorkingSetpoint").value == 50.0
    assert plant.tag("GlucoseFeed.Actual").value == pytest.approx(50.0, rel=1e-5)
    assert plant.tag("AminoFeed.WorkingSetpoint").value == before["AminoFeed.Setpoint"]


def setpoints(plant: SimulatedPlant) -> list[str]:
    return [name for name in plant.table if name.endswith(".Setpoint")]


def test_an_actuator_follows_with_its_lag() -> None:
    plant = small_plant()
    take_control(plant)
    plant.write("GlucoseFeed.Setpoint", 60.0)
    start = plant.tag("GlucoseFeed.Actual").value
    assert isinstance(start, float)
    plant.advance_to(plant.time_s + 30.0)
    expected = 60.0 + (start - 60.0) * np.exp(-1.0)
    assert plant.tag("GlucoseFeed.Actual").value == pytest.approx(expected, rel=1e-6)


def test_a_silent_controller_loses_control_and_must_ask_anew() -> None:
    plant = small_plant()
    take_control(plant)
    plant.write("GlucoseFeed.Setpoint", 50.0)
    advance(plant, 0.5)
    assert plant.tag("Control.Active").value is True
    plant.advance_to(plant.time_s + 20.0)
    assert plant.tag("Control.Active").value is False
    assert plant.tag("Control.WatchdogTripped").value is True
    assert plant.tag("Control.Source").value == "RECIPE"
    assert plant.tag("GlucoseFeed.WorkingSetpoint").value != 50.0
    assert plant.write("Control.Request", True) == WriteStatus.GOOD
    assert plant.tag("Control.Active").value is False
    take_control(plant)
    assert plant.tag("Control.Active").value is True
    assert plant.tag("Control.WatchdogTripped").value is False


def test_heartbeats_keep_control() -> None:
    plant = small_plant()
    take_control(plant)
    for beat in range(1, 13):
        assert plant.write("Control.Heartbeat", beat) == WriteStatus.GOOD
        advance(plant, 1 / 6)
    assert plant.tag("Control.Active").value is True


def test_short_validity_ends_control_before_the_watchdog() -> None:
    plant = small_plant()
    take_control(plant)
    assert plant.write("Control.SetpointValidity", 300.0) == WriteStatus.GOOD
    plant.advance_to(plant.time_s + 320.0)
    assert plant.tag("Control.WatchdogTripped").value is True


def test_the_operator_takes_control_and_gives_it_back() -> None:
    plant = small_plant()
    take_control(plant)
    plant.operator(OperatorAction.DISABLE_REMOTE)
    assert plant.tag("Control.Active").value is False
    assert plant.tag("Control.Source").value == "LOCAL"
    assert plant.write("GlucoseFeed.Setpoint", 50.0) == WriteStatus.REFUSED
    take_control(plant)
    assert plant.tag("Control.Active").value is False
    plant.operator(OperatorAction.ENABLE_REMOTE)
    assert plant.tag("Control.Active").value is False
    take_control(plant)
    assert plant.tag("Control.Active").value is True


def test_a_second_controller_is_refused_while_the_lease_lives() -> None:
    plant = small_plant()
    take_control(plant, "first", "one")
    assert plant.write("Control.Owner", "second", "two") == WriteStatus.REFUSED
    assert plant.write("GlucoseFeed.Setpoint", 50.0, "two") == WriteStatus.REFUSED
    assert plant.write("Control.Request", False, "two") == WriteStatus.REFUSED
    assert plant.write("Control.Heartbeat", 99, "two") == WriteStatus.REFUSED
    advance(plant, 0.51)
    take_control(plant, "second", "two")
    assert plant.write("GlucoseFeed.Setpoint", 50.0, "one") == WriteStatus.REFUSED


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("GlucoseFeed.Setpoint", 93.33333587646484, WriteStatus.GOOD),  # 5.6 L/h in 32 bits
        ("GlucoseFeed.Setpoint", 94.0, WriteStatus.OUT_OF_RANGE),
        ("GlucoseFeed.Setpoint", -0.1, WriteStatus.OUT_OF_RANGE),
        ("GlucoseFeed.Setpoint", float("nan"), WriteStatus.OUT_OF_RANGE),
        ("GlucoseFeed.Setpoint", float("inf"), WriteStatus.OUT_OF_RANGE),
        ("GlucoseFeed.Setpoint", "1", WriteStatus.TYPE_MISMATCH),
        ("GlucoseFeed.Setpoint", True, WriteStatus.TYPE_MISMATCH),
        ("GlucoseFeed.Setpoint", None, WriteStatus.TYPE_MISMATCH),
        ("Control.Heartbeat", 1.0, WriteStatus.TYPE_MISMATCH),
        ("Control.Heartbeat", -1, WriteStatus.OUT_OF_RANGE),
        ("Control.Heartbeat", 2**32, WriteStatus.OUT_OF_RANGE),
        ("Control.Heartbeat", 2**32 - 1, WriteStatus.GOOD),
        ("Control.Request", 1, WriteStatus.TYPE_MISMATCH),
        ("Control.Owner", 1, WriteStatus.TYPE_MISMATCH),
        ("Control.Owner", "x" * 65, WriteStatus.OUT_OF_RANGE),
        ("Control.Owner", "a\nb", WriteStatus.OUT_OF_RANGE),
        ("Control.SetpointValidity", 5.0, WriteStatus.OUT_OF_RANGE),
        ("Control.RemoteEnable", False, WriteStatus.NOT_WRITABLE),
        ("Base.WorkingSetpoint", 1.0, WriteStatus.NOT_WRITABLE),
        ("pH.Value", 7.0, WriteStatus.NOT_WRITABLE),
    ],
)
def test_writes_are_judged(name: str, value, status: WriteStatus) -> None:
    plant = small_plant()
    take_control(plant)
    before = plant.tag(name)
    assert plant.write(name, value) == status
    if status is not WriteStatus.GOOD:
        assert plant.tag(name) == before


def test_a_clamping_plant_says_that_it_clamps() -> None:
    unit = ControlUnitSettings(recipe_file=RECIPE, out_of_range="clamp")
    plant = small_plant(control_unit=unit)
    take_control(plant)
    assert plant.write("GlucoseFeed.Setpoint", 500.0) == WriteStatus.CLAMPED
    assert plant.tag("GlucoseFeed.Setpoint").value == pytest.approx(5.6 / 0.06)
    assert plant.write("GlucoseFeed.Setpoint", float("nan")) == WriteStatus.OUT_OF_RANGE


def test_a_setpoint_without_control_is_refused() -> None:
    plant = small_plant()
    assert plant.write("GlucoseFeed.Setpoint", 10.0) == WriteStatus.REFUSED


def test_a_full_vessel_stops_the_feeds_whoever_asks() -> None:
    plant = small_plant(vessel=VesselSettings(working_volume_L=1400.5))
    take_control(plant)
    plant.write("GlucoseFeed.Setpoint", 93.0)
    advance(plant, 0.4)
    assert plant.tag("Control.Interlock").value == (
        "High weight: 1400 kg reached, both feeds stopped."
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
    with pytest.raises(PlantError, match="needs control_unit.recipe_file"):
        recipe_run(PlantSettings())


def test_the_gas_loops_take_over_without_a_bump() -> None:
    plant = small_plant(culture=CultureSettings(spread=0.0))
    advance(plant, 1.0)
    take_control(plant)
    plant.write("Oxygen.Setpoint", 2.0)
    plant.write("Nitrogen.Setpoint", 0.0)
    plant.advance_to(plant.time_s + 600.0)
    plant.write("Control.Request", False)
    plant.advance_to(plant.time_s + 10.0)
    noise = 4.2 * 5 * 0.5 / 60  # gain times five deviations of the probe, L/min
    assert plant.tag("Oxygen.WorkingSetpoint").value == pytest.approx(2.0, abs=noise)


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
            assert tag.low - rounding <= values[name].value <= tag.high + rounding, name
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
