"""What happens to the broth besides pumps: samples, evaporation, and doses by hand."""

from typing import Any

import numpy as np
import pytest
from asyncua import ua

from plant_models.dialect import NUMPY
from plant_models.library import MODELS
from plant_models.model import PlantModel
from sim_plant.address_space import data_value, instant
from sim_plant.errors import PlantError
from sim_plant.instrument_settings import LabSettings, TruthSettings
from sim_plant.mixing import Mixing
from sim_plant.plant import SimulatedPlant, recipe_run
from sim_plant.process_settings import BatchSettings, DoseSettings
from sim_plant.settings import PlantSettings, parse_settings
from sim_plant.tags import Quality
from sim_plant.truth import Truth
from tests.sim_plant_support import CONFIGS, advance, plant_settings, small_plant

EVERY = TruthSettings(every_s=10.0)


def dose(
    what: str, volume_L: float, at_h: float = 1.0, later_h: float | None = 0.0
) -> DoseSettings:
    return DoseSettings(what=what, volume_L=volume_L, at_h=at_h, booked_after_h=later_h)


def with_doses(*doses: DoseSettings, **changed: Any) -> SimulatedPlant:
    return small_plant(doses=doses, truth=EVERY, **changed)


def pair(*doses: DoseSettings, **changed: Any) -> tuple[Truth, Truth]:
    """The same plant without and with doses, two hours long."""
    plants = small_plant(truth=EVERY), with_doses(*doses, **changed)
    for plant in plants:
        advance(plant, 2.0)
    return plants[0].truth, plants[1].truth


def row_at(truth: Truth, time_h: float) -> int:
    return int(np.abs(truth.time_h - time_h).argmin())


# ---------------------------------------------------------------- what a liquid does


def mixing(model: PlantModel) -> Mixing:
    return Mixing(model, np.array(model.nominal_parameters(), dtype=float))


def typical(model: PlantModel) -> tuple[Any, Any]:
    """A state and inputs where nothing is zero."""
    state = [item.initial or 0.5 * item.scale for item in model.states.values()]
    return np.array(state, dtype=float), np.array(model.nominal_inputs(), dtype=float)


FLOWS = [(name, flow) for name, model in MODELS.items() for flow in model.volume_flows]


@pytest.mark.parametrize(("name", "flow"), FLOWS)
def test_a_bolus_is_what_the_pump_would_give_at_once(name: str, flow: str) -> None:
    """Amounts, concentration times volume, grow by what a litre of the liquid brings."""
    model = MODELS[name]
    state, inputs = typical(model)
    row = model.state_names.index(model.volume)
    bolus = 0.1 * state[row]
    once = mixing(model).given(state, inputs, flow, bolus)
    assert once[row] == pytest.approx(1.1 * state[row], rel=1e-12)
    more = inputs.copy()
    more[model.input_names.index(flow)] += 1.0
    p = np.array(model.nominal_parameters())
    brought = np.asarray(model.derivative(state, more, p, NUMPY)) - np.asarray(
        model.derivative(state, inputs, p, NUMPY)
    )
    for other, item in model.states.items():
        if "/L" in item.unit and other not in model.undiluted:
            i = model.state_names.index(other)
            amount = state[i] * state[row] + bolus * (state[i] + brought[i] * state[row])
            assert once[i] == pytest.approx(amount / once[row], rel=1e-6, abs=1e-9), other


def test_a_bolus_of_feed_brings_what_the_feed_holds() -> None:
    model = MODELS["cho_mab_full"]
    p = model.nominal_parameters()._replace(glucose_feed_gain=0.9)
    state, inputs = typical(model)
    by_hand = Mixing(model, np.array(p, dtype=float))
    after = model.State(*by_hand.given(state, inputs, "glucose_feed", 100.0))
    before = model.State(*state)
    assert after.volume == pytest.approx(1500.0, rel=1e-12), "no pump's gain acts on it"
    glucose = (before.glucose * 1400.0 + p.glucose_feed_glucose * 100.0) / 1500.0
    assert after.glucose == pytest.approx(glucose, rel=1e-9)
    assert after.viable_cells == pytest.approx(before.viable_cells * 1400 / 1500, rel=1e-9)
    osmolytes = (before.osmolytes * 1400.0 + p.glucose_feed_osmolytes * 100.0) / 1500.0
    assert after.osmolytes == pytest.approx(osmolytes, rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_water_dilutes_what_is_dissolved_and_evaporation_takes_it_back(name: str) -> None:
    model = MODELS[name]
    state, inputs = typical(model)
    by_hand = mixing(model)
    row = model.state_names.index(model.volume)
    water = 0.2 * state[row]
    diluted = by_hand.diluted(state, water)
    assert by_hand.diluted(diluted, -water) == pytest.approx(state, rel=1e-12)
    withdrawn = by_hand.given(state, inputs, "withdrawn", water)
    for i, (other, item) in enumerate(model.states.items()):
        if other in model.undiluted:
            # What only some feeds dilute, such as the published substrate, water does dilute.
            shares = (state[i], state[i] / 1.2)
            assert any(diluted[i] == pytest.approx(share, rel=1e-12) for share in shares), other
            assert withdrawn[i] == state[i], other
        elif "/L" in item.unit:
            assert diluted[i] == pytest.approx(state[i] / 1.2, rel=1e-12), other
            assert withdrawn[i] == state[i], other
    assert withdrawn[row] == pytest.approx(0.8 * state[row])
    if "weight" in model.states:
        kg = model.state_names.index("weight")
        assert diluted[kg] == pytest.approx(state[kg] + water)
        assert withdrawn[kg] == pytest.approx(0.8 * state[kg])


def test_antifoam_dilutes_as_water_does() -> None:
    model = MODELS["cho_mab_full"]
    state, inputs = typical(model)
    water, antifoam = (mixing(model).given(state, inputs, w, 3.0) for w in ("water", "antifoam"))
    assert np.array_equal(water, antifoam)
    volume = model.state_names.index("volume")
    assert water[volume] == state[volume] + 3.0


# ---------------------------------------------------------------- in the plant


def test_unused_they_change_nothing() -> None:
    given = small_plant(
        lab=LabSettings(sample_volume_L=0.0), bookings=("withdrawn",), doses=(dose("water", 1, 3),)
    )
    plain = small_plant()
    advance(plain, 2.5)
    advance(given, 2.5)
    assert np.array_equal(given.truth.states, plain.truth.states)
    tags = given.tags()
    assert {name: tags[name] for name in plain.tags()} == plain.tags()
    assert set(tags) - set(plain.tags()) == {"Booked.Withdrawn", "Booked.Water"}


def test_a_dose_acts_from_the_tick_after_its_time() -> None:
    plain, dosed = pair(dose("glucose_feed", 14.0))
    before = dosed.time_h <= 1.0 + 1e-9
    assert np.array_equal(dosed.states[before], plain.states[before])
    after = row_at(dosed, 1.0) + 1
    added = dosed.state("volume") - plain.state("volume")
    assert added[after:] == pytest.approx(14.0, rel=1e-9)
    p = dict(zip(dosed.parameter_names, dosed.parameters, strict=True))
    brought = (
        dosed.state("glucose") * dosed.state("volume")
        - plain.state("glucose") * plain.state("volume")
    )[after]
    assert brought == pytest.approx(14.0 * p["glucose_feed_glucose"], rel=1e-4)
    assert np.array_equal(dosed.inputs[:after], plain.inputs[:after])
    assert dosed.output("weight")[-1] - plain.output("weight")[-1] == pytest.approx(14.0, rel=1e-6)


def test_it_does_not_matter_in_which_steps_time_moves() -> None:
    doses = (dose("water", 2.0, 0.5001), dose("withdrawn", 1.0, 0.0), dose("base", 0.1, 1.2, 0.3))
    extras: dict[str, Any] = {
        "vessel": {"evaporation_L_per_h": 0.3},
        "lab": LabSettings(sample_volume_L=0.05),
    }
    one, other = with_doses(*doses, **extras), with_doses(*doses, **extras)
    advance(one, 2.0)
    for _ in range(24):
        advance(other, 1 / 12)
    assert np.array_equal(one.truth.states, other.truth.states)
    assert one.tags() == other.tags()


def test_withdrawn_samples_leave_with_each_draw() -> None:
    plain = small_plant(truth=EVERY)
    sampled = small_plant(
        truth=EVERY, lab=LabSettings(first_h=0.5, every_h=1.0, sample_volume_L=2.0)
    )
    advance(plain, 2.1)
    advance(sampled, 2.1)
    lost = plain.truth.state("volume") - sampled.truth.state("volume")
    hours = plain.truth.time_h
    expected = np.select([hours <= 0.5, hours <= 1.0, hours <= 2.0], [0.0, 2.0, 4.0], 6.0)
    assert lost == pytest.approx(expected, abs=1e-9)
    cells = sampled.truth.state("viable_cells") / plain.truth.state("viable_cells")
    assert cells == pytest.approx(1.0, abs=1e-4)
    assert sampled.tag("Lab.ViableCells").quality is Quality.BAD


def test_evaporation_takes_water_alone() -> None:
    plain = small_plant(truth=EVERY)
    evaporating = small_plant(truth=EVERY, vessel={"evaporation_L_per_h": 7.0})
    advance(plain, 2.0)
    advance(evaporating, 2.0)
    lost = plain.truth.state("volume") - evaporating.truth.state("volume")
    assert lost == pytest.approx(7.0 * plain.truth.time_h, abs=1e-6)
    for name in ("osmolytes", "product", "alkalinity"):
        amounts = [
            truth.state(name) * truth.state("volume") for truth in (plain.truth, evaporating.truth)
        ]
        assert amounts[1] == pytest.approx(amounts[0], rel=2e-4), name
    kept = evaporating.truth.state("osmolytes")[-1] / plain.truth.state("osmolytes")[-1]
    assert kept == pytest.approx(1.01, rel=1e-3)


def test_a_dose_by_hand_fills_the_vessel_and_the_interlock_stops_the_feeds() -> None:
    plant = with_doses(dose("water", 650.0))
    advance(plant, 1.1)
    assert str(plant.tag("Control.Interlock").value).startswith("High weight")
    assert plant.truth.state("volume")[-1] > 2002.0


def test_more_than_there_is_cannot_be_taken() -> None:
    plant = with_doses(dose("withdrawn", 1500.0))
    with pytest.raises(PlantError, match=r"at 1 h, 1500 L cannot be withdrawn: .* holds 140\d\."):
        advance(plant, 1.1)
    dry = small_plant(vessel={"evaporation_L_per_h": 1e4})
    with pytest.raises(PlantError, match=r"L cannot evaporate: the vessel holds \d+\.\d+ L"):
        advance(dry, 0.2)


def test_other_organisms_can_be_dosed() -> None:
    folder = CONFIGS
    text = (folder / "penicillin_plant.yaml").read_text() + (
        "doses: [{what: water, volume_L: 500, at_h: 1},\n"
        "        {what: withdrawn, volume_L: 1000, at_h: 2}]\n"
    )
    plain = SimulatedPlant(
        parse_settings((folder / "penicillin_plant.yaml").read_text(), folder=folder)
    )
    dosed = SimulatedPlant(parse_settings(text, folder=folder))
    advance(plain, 3.0)
    advance(dosed, 3.0)
    changed = dosed.truth.output("volume")[-1] - plain.truth.output("volume")[-1]
    assert changed == pytest.approx(-500.0, abs=5.0)
    weight = dosed.truth.output("weight")[-1] - plain.truth.output("weight")[-1]
    density = plain.truth.output("weight")[-1] / plain.truth.output("volume")[-1]
    assert density > 1.05
    assert weight == pytest.approx(500.0 - 1000.0 * density, abs=5.0)


# ---------------------------------------------------------------- bookings


def test_a_dose_is_booked_when_somebody_writes_it_down() -> None:
    plant = with_doses(
        dose("glucose_feed", 5.0, 0.5, 1.0),
        dose("glucose_feed", 2.0, 1.0),
        dose("water", 1.0, 0.2, None),
        bookings=("withdrawn",),
    )
    start_s = plant.time_s

    def booked(tag: str) -> tuple[Any, ...]:
        value = plant.tag(f"Booked.{tag}")
        times = value.sampled_at_s - start_s, value.entered_at_s - start_s
        return value.value, value.quality, *times

    nothing = (None, Quality.BAD, 0.0, 0.0)
    advance(plant, 0.9)
    assert booked("GlucoseFeed") == nothing
    advance(plant, 0.1)
    assert booked("GlucoseFeed") == (2.0, Quality.GOOD, 3600.0, 3600.0)
    advance(plant, 0.4)
    assert booked("GlucoseFeed") == (2.0, Quality.GOOD, 3600.0, 3600.0)
    advance(plant, 0.1)
    assert booked("GlucoseFeed") == (5.0, Quality.GOOD, 1800.0, 5400.0)
    assert booked("Water") == booked("Withdrawn") == nothing
    tag = plant.table["Booked.GlucoseFeed"]
    assert (tag.unit, tag.data_type, tag.access) == ("L", "Double", "r")
    assert (tag.low, tag.high) == (0.0, 2002.0)
    assert tag.meaning == "booked by hand: volume of glucose feed"


def test_clients_see_bookings_as_they_see_assays() -> None:
    plant = with_doses(dose("water", 1.5))
    table, name = plant.table, "Booked.Water"
    waiting = data_value(table[name], plant.tag(name))
    assert waiting.StatusCode is not None
    assert waiting.StatusCode.value == ua.StatusCodes.BadWaitingForInitialData
    given_s = plant.time_s + 3600.0
    advance(plant, 2.0)
    shown = data_value(table[name], plant.tag(name))
    assert shown.Value == ua.Variant(1.5, ua.VariantType.Double)
    assert shown.SourceTimestamp == instant(given_s)


def test_the_recipe_alone_sees_the_same_doses() -> None:
    settings = plant_settings(batch=BatchSettings(duration_h=2.0))
    dosed = settings.model_copy(update={"doses": (dose("water", 10.0),)})
    more = recipe_run(dosed).output("volume")[-1] - recipe_run(settings).output("volume")[-1]
    assert more == pytest.approx(10.0, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "doses: [{what: salt, volume_L: 1, at_h: 1}]",
            "doses.0.what: 'salt' is no liquid here; known: glucose_feed, amino_feed, base, water",
        ),
        ("doses: [{what: water, volume_L: -1, at_h: 1}]", "doses.0.volume_L: must be above 0, but"),
        (
            "doses: [{what: water, volume_L: 1, at_h: 336}]",
            "doses.0.at_h: 336 is outside the batch, from 0 to before 336 h",
        ),
        ("doses: [{what: water, volume_L: 1, at_h: -1}]", "doses.0.at_h: must be at least 0, but"),
        (
            "doses: [{what: withdrawn, volume_L: 3000, at_h: 1}]",
            "doses.0.volume_L: must be less than the working volume, 2002 L, but is 3000",
        ),
        (
            "doses: [{what: water, volume_L: 1, at_h: 1, booked_after_h: -1}]",
            "doses.0.booked_after_h: must be at least 0, but is -1",
        ),
        ("doses: [{what: water, at_h: 1}]", "doses.0.volume_L: is missing"),
        ("bookings: [salt]", "bookings.0: 'salt' is no liquid here; known: glucose_feed"),
        (
            "bookings: [water]\nprobes: {pH: {tag: Booked.Water}}",
            "tags: the name Booked.Water is there already",
        ),
        ("lab: {sample_volume_L: 5000}", "lab.sample_volume_L: must be less than the working"),
        ("vessel: {evaporation_L_per_h: -1}", "vessel.evaporation_L_per_h: must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(PlantError) as caught:
        parse_settings(text, "plant.yaml")
    assert message in str(caught.value)


def test_the_tables_of_a_plant_without_doses_have_no_bookings() -> None:
    assert not [name for name in small_plant().table if name.startswith("Booked.")]
    assert PlantSettings().booked == ()
