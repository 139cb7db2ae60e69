from typing import Any

import numpy as np
import pytest

from sim_plant.faults import FAULT_TYPES, Fault, FaultKind
from sim_plant.fitting import fault_targets
from sim_plant.instrument_settings import LabSettings, TruthSettings
from sim_plant.plant import SimulatedPlant
from sim_plant.process_settings import CultureSettings
from sim_plant.tags import Quality
from tests.sim_plant_support import advance, number, plant_settings, small_plant

WINDOW = {"from_h": 1.0, "to_h": 1.5}


def fault(kind: str, target: str, size: float = 0.0) -> Fault:
    return Fault(kind=FaultKind(kind), target=target, size=size, **WINDOW)


def pair(*faults: Fault, **changed: Any) -> tuple[SimulatedPlant, SimulatedPlant]:
    """The same plant, once in order and once with faults, half an hour before they begin."""
    healthy, faulty = small_plant(**changed), small_plant(faults=faults, **changed)
    advance(healthy, 0.5)
    advance(faulty, 0.5)
    assert healthy.tags() == faulty.tags()
    return healthy, faulty


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_says_what_it_means_and_can_be_built(kind: FaultKind) -> None:
    known = FAULT_TYPES[kind]
    assert known.meaning
    targets = fault_targets(plant_settings(), known.target)
    assert targets
    for target in targets:
        size = 0.5 if known.size else 0.0
        small = Fault(kind=kind, target=target, size=size, from_h=1.0, to_h=2.0)
        assert plant_settings(faults=(small,)).faults == (small,)
        assert [small.active(hour) for hour in (0.9, 1.0, 1.9, 2.0)] == [False, True, True, False]


# Of the probes that no loop uses, so that nothing else in the plant changes.
@pytest.mark.parametrize(
    ("kind", "size", "quality", "moved"),
    [
        ("probe_offset", 5.0, Quality.GOOD, 5.0),
        ("probe_drift", 8.0, Quality.GOOD, 2.0),
        ("probe_uncertain", 0.0, Quality.UNCERTAIN, 0.0),
        ("probe_bad", 0.0, Quality.BAD, None),
    ],
)
def test_a_probe_fails_within_its_window_only(
    kind: str, size: float, quality: Quality, moved: float | None
) -> None:
    healthy, faulty = pair(fault(kind, "capacitance", size))
    advance(healthy, 0.75)
    advance(faulty, 0.75)
    assert faulty.tag("Capacitance.Value").quality is quality
    if moved is None:
        assert faulty.tag("Capacitance.Value").value is None
    else:
        good, bad = number(healthy, "Capacitance.Value"), number(faulty, "Capacitance.Value")
        assert bad - good == pytest.approx(moved, abs=1e-5)
    assert faulty.tag("pH.Value") == healthy.tag("pH.Value")
    advance(healthy, 0.25)
    advance(faulty, 0.25)
    assert healthy.tags() == faulty.tags()


@pytest.mark.parametrize(("kind", "stamp_moves"), [("probe_frozen", True), ("probe_stale", False)])
def test_a_probe_stands_still(kind: str, stamp_moves: bool) -> None:
    healthy, faulty = pair(fault(kind, "capacitance"))
    advance(healthy, 0.5)
    advance(faulty, 0.5)
    last = faulty.tag("Capacitance.Value")
    advance(faulty, 0.25)
    now = faulty.tag("Capacitance.Value")
    assert now.value == pytest.approx(last.value, rel=0.2)
    plant_moved = faulty.time_s - last.sampled_at_s
    assert now.sampled_at_s - last.sampled_at_s == (plant_moved if stamp_moves else 0.0)
    advance(faulty, 0.2)
    assert faulty.tag("Capacitance.Value").value == now.value


def test_spikes_are_single_readings() -> None:
    faults = (fault("probe_spike", "capacitance", -3.0), fault("probe_spike", "weight", 50.0))
    healthy, faulty = pair(*faults)
    spikes = {"Capacitance.Value": -3.0, "Weight.Value": 50.0}
    jumps: dict[str, list[float]] = {name: [] for name in spikes}
    for _ in range(360):
        for plant in (healthy, faulty):
            plant.advance_to(plant.time_s + 10.0)
        assert faulty.tag("pH.Value") == healthy.tag("pH.Value")
        for name in spikes:
            assert faulty.tag(name).quality is Quality.GOOD
            jumps[name].append(number(faulty, name) - number(healthy, name))
    for name, size in spikes.items():
        jumped = np.array(jumps[name]) != 0.0
        assert np.array(jumps[name])[jumped] == pytest.approx(size, abs=1e-3)
        inside = jumped[179:359]
        assert 0.03 < inside.mean() < 0.2
        assert jumped.sum() == inside.sum(), "only within the window"
    moments = [np.array(differences) != 0.0 for differences in jumps.values()]
    assert not np.array_equal(*moments), "each probe has its own moments"


def test_a_bad_oxygen_probe_makes_the_loop_hold() -> None:
    _, faulty = pair(fault("probe_bad", "dissolved_oxygen"))
    advance(faulty, 0.6)
    held = faulty.tag("Nitrogen.WorkingSetpoint").value
    advance(faulty, 0.3)
    assert faulty.tag("Nitrogen.WorkingSetpoint").value == held


def test_a_stuck_pump_shows_that_it_does_not_follow() -> None:
    _, faulty = pair(fault("pump_stuck", "glucose_feed"))
    before = faulty.tag("GlucoseFeed.Actual").value
    advance(faulty, 0.6)
    faulty.write("Control.Owner", "agent")
    faulty.write("Control.Request", True)
    faulty.write("GlucoseFeed.Setpoint", 80.0)
    advance(faulty, 0.3)
    assert faulty.tag("GlucoseFeed.WorkingSetpoint").value == 80.0
    assert faulty.tag("GlucoseFeed.Actual").value == before
    advance(faulty, 0.2)
    assert faulty.tag("GlucoseFeed.Actual").value == pytest.approx(80.0, rel=1e-3)


def test_a_blocked_line_is_seen_by_the_weight_alone() -> None:
    every = TruthSettings(every_s=10.0)
    healthy, faulty = pair(fault("pump_blocked", "glucose_feed", 0.0), truth=every)
    advance(healthy, 1.5)
    advance(faulty, 1.5)
    hours = faulty.truth.time_h
    inside = (hours > 1.0) & (hours <= 1.5)
    assert np.all(faulty.truth.input("glucose_feed")[inside] == 0.0)
    assert np.all(faulty.truth.input("glucose_feed")[hours > 1.51] > 0.0)
    assert faulty.tag("GlucoseFeed.Actual") == healthy.tag("GlucoseFeed.Actual")
    missing = healthy.truth.output("volume")[-1] - faulty.truth.output("volume")[-1]
    assert missing == pytest.approx(0.5 * healthy.truth.input("glucose_feed")[-1], rel=0.01)


@pytest.mark.parametrize(("size", "share"), [(0.4, 1.1), (-0.4, 0.9), (-9.0, 0.0)])
def test_a_pump_drifts_away_from_what_it_shows(size: float, share: float) -> None:
    healthy, faulty = pair(fault("pump_drift", "glucose_feed", size))
    advance(healthy, 0.75)
    advance(faulty, 0.75)
    flows = [plant.truth.input("glucose_feed")[-1] for plant in (healthy, faulty)]
    assert flows[1] / flows[0] == pytest.approx(share, abs=0.01)
    assert faulty.tag("GlucoseFeed.Actual") == healthy.tag("GlucoseFeed.Actual")
    advance(healthy, 0.5)
    advance(faulty, 0.5)
    flows = [plant.truth.input("glucose_feed")[-1] for plant in (healthy, faulty)]
    assert flows[1] == flows[0]


def test_faults_of_one_pump_add_up_in_any_order() -> None:
    both = fault("pump_blocked", "glucose_feed", 0.5), fault("pump_stuck", "glucose_feed")
    delivered = []
    for faults in (both, both[::-1]):
        plant = small_plant(faults=faults)
        advance(plant, 1.25)
        gain = plant.culture.pump_gains["glucose_feed"]
        shown = 0.06 * number(plant, "GlucoseFeed.Actual")
        delivered.append(plant.truth.input("glucose_feed")[-1] / (gain * shown))
    assert delivered == pytest.approx([0.5, 0.5])


def test_lost_gas_is_shown_and_comes_back() -> None:
    _, faulty = pair(fault("gas_lost", "air"))
    advance(faulty, 0.75)
    assert faulty.tag("Air.Actual").value == 0.0
    assert faulty.tag("Air.WorkingSetpoint").value == pytest.approx(5.6)
    advance(faulty, 0.3)
    assert faulty.tag("Air.Actual").value == pytest.approx(5.6, rel=1e-3)


def test_a_parameter_changes_and_nothing_shows_it() -> None:
    every = TruthSettings(every_s=10.0)
    healthy, faulty = pair(fault("parameter_changed", "k_kLa", 0.5), truth=every)
    advance(healthy, 0.5 + 10 / 3600)
    advance(faulty, 0.5 + 10 / 3600)
    uptakes = [plant.truth.output("oxygen_uptake_rate")[-1] for plant in (healthy, faulty)]
    assert 0.5 < uptakes[1] / uptakes[0] < 0.6, "the film is one of two resistances"
    assert faulty.tag("Air.Actual") == healthy.tag("Air.Actual")
    advance(healthy, 0.6)
    advance(faulty, 0.6)
    last = [plant.truth.output("dissolved_oxygen") for plant in (healthy, faulty)]
    assert last[1][-200:].min() < last[0].min() - 1
    assert faulty.culture == healthy.culture, "it is its own again"


@pytest.mark.parametrize("size", [0.0, -1.0])
def test_a_parameter_is_multiplied_by_a_positive_factor(size: float) -> None:
    with pytest.raises(ValueError, match=r"parameter_changed \(factor\)"):
        fault("parameter_changed", "k_kLa", size)


@pytest.mark.parametrize("cells", [10.0, 20.0, 30.0])
def test_a_dense_culture_survives_the_loss_of_all_gas_numerically(cells: float) -> None:
    lost = tuple(fault("gas_lost", gas) for gas in ("air", "oxygen", "carbon_dioxide", "nitrogen"))
    culture = CultureSettings(spread=0.0, initial={"viable_cells": cells, "glucose": 60.0})
    plant = small_plant(faults=lost, culture=culture, truth=TruthSettings(every_s=10.0))
    advance(plant, 2.0)
    oxygen = plant.truth.states[:, plant.truth.state_names.index("oxygen")]
    assert np.all(np.isfinite(plant.truth.states))
    assert oxygen.min() > -1e-6
    inside = (plant.truth.time_h > 1.2) & (plant.truth.time_h < 1.5)
    assert oxygen[inside].max() < 1e-4
    assert oxygen[-1] > 1e-3


@pytest.mark.parametrize(
    ("kind", "size"), [("lab_outlier", 2.0), ("lab_late", 3.0), ("lab_missing", 0.0)]
)
def test_the_laboratory_fails_for_samples_drawn_in_the_window(kind: str, size: float) -> None:
    hourly = LabSettings(first_h=0.25, every_h=1.2, delay_spread=0.0)
    healthy, faulty = pair(fault(kind, "glucose", size), lab=hourly)
    advance(healthy, 1.75)
    advance(faulty, 1.75)
    good, bad = healthy.tag("Lab.Glucose"), faulty.tag("Lab.Glucose")
    assert good.sampled_at_s - healthy.time_s == pytest.approx(-3600 * (2.25 - 1.2), abs=10)
    if kind == "lab_outlier":
        assert bad.value == pytest.approx(2 * number(healthy, "Lab.Glucose"))
        assert bad.sampled_at_s == good.sampled_at_s
    else:
        assert bad.sampled_at_s < good.sampled_at_s
    assert faulty.tag("Lab.Lactate") == healthy.tag("Lab.Lactate")
    advance(healthy, 2.0)
    advance(faulty, 2.0)
    if kind != "lab_late":
        assert faulty.tag("Lab.Glucose") == healthy.tag("Lab.Glucose")
