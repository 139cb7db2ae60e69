import pytest

from sim_plant.plant import OperatorAction, SimulatedPlant
from sim_plant.process_settings import ControlUnitSettings, CultureSettings
from sim_plant.tags import TagContent, WriteStatus
from tests.sim_plant_support import RECIPE, advance, small_plant, take_control


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
def test_writes_are_judged(name: str, value: TagContent, status: WriteStatus) -> None:
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
