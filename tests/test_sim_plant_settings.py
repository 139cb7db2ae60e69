import copy
import datetime as dt
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from sim_plant.errors import PlantError
from sim_plant.plant import SimulatedPlant
from sim_plant.process_settings import (
    ControlUnitSettings,
    CultureSettings,
    VesselSettings,
)
from sim_plant.server_settings import is_loopback
from sim_plant.settings import PlantSettings, load_settings, parse_settings
from sim_plant.tag_units import Scale
from tests.sim_plant_support import CONFIGS, RECIPE


def test_the_example_says_every_key_and_only_the_recipe_differs_from_the_defaults() -> None:
    path = CONFIGS / "cho_plant.yaml"
    settings = load_settings(path)
    assert settings.control_unit.recipe_file == RECIPE
    unit = settings.control_unit.model_copy(update={"recipe_file": None})
    assert settings.model_copy(update={"control_unit": unit}) == PlantSettings()
    written = yaml.safe_load(path.read_text())
    assert keys_missing(written, PlantSettings()) == []


def keys_missing(written: Any, settings: Any, prefix: str = "") -> list[str]:
    """Keys that settings have and a file does not say."""
    if isinstance(settings, BaseModel):
        settings = {name: getattr(settings, name) for name in type(settings).model_fields}
    if isinstance(settings, tuple) and settings and isinstance(settings[0], BaseModel):
        written, settings = dict(enumerate(written)), dict(enumerate(settings))
    if not isinstance(settings, dict):
        return []
    missing = []
    for name, value in settings.items():
        if name in written:
            missing += keys_missing(written[name], value, f"{prefix}{name}.")
        else:
            missing.append(f"{prefix}{name}")
    return missing


def test_sections_built_in_python_are_completed_like_those_of_a_file() -> None:
    text = "culture: {spread: 0.5}\nvessel: {working_volume_L: 1500}"
    in_python = PlantSettings(
        culture=CultureSettings(spread=0.5), vessel=VesselSettings(working_volume_L=1500.0)
    )
    assert parse_settings(text) == in_python
    assert PlantSettings(**dict(in_python)) == in_python


def test_an_empty_text_gives_the_defaults() -> None:
    assert parse_settings("") == PlantSettings()


def loop(measured: str, output: str, **changed: Any) -> str:
    """A plant file with one loop."""
    common = {"setpoint": 7, "gain": 1, "integral_time_h": 1}
    return yaml.safe_dump(
        {"loops": [{**common, "measured": measured, "output": output, **changed}]}
    )


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("seed: -1\nbatch: {duration_h: .nan, x: 1}", ["seed", "batch.duration_h", "batch.x"]),
        ("seed: '1'", ["seed"]),
        ("a: [", ["plant.yaml:1: expected the node content"]),
        ("seed: 1\nseed: 2", ["plant.yaml:2: 'seed' is given twice; the first one is in line 1"]),
        ("[" * 5000, ["is nested too deeply"]),
        ("sed: 1", ["sed: is no key here; known: seed, model"]),
        ("batch: {duration_h: -1e0}", ["batch.duration_h: must be above 0, but is -1.0"]),
        ("batch: {duration_h: 3 h}", ["batch.duration_h: must be a number, without a unit"]),
        (loop("pH", "base", setpoint=70), ["loops.0.setpoint: 70 is outside the range of its"]),
        ("[1, 2]", ["must be keys with their values"]),
        ("batch: {inoculated_at: 2026-01-05T08:00:00}", ["must say its offset"]),
        ("control_unit: {watchdog_s: 15}", ["multiple of 10 s"]),
        ("vessel: {initial_volume_L: 3000}", ["below working_volume_L"]),
        ("vessel: {initial_volume_L: 1e-6}", ["vessel.initial_volume_L: volume must be within"]),
        ("culture: {spread: 1e5}", ["culture.spread: must be at most 10, but is 100000.0"]),
        ("model: cho", ["no model named 'cho'", "cho_mab_full"]),
        ("actuators: {salt: {}}\nassays: {x: }", ["actuators: 'salt' is not in", "assays: 'x'"]),
        ("actuators: 5", ["actuators: must be a section with keys, but is 5"]),
        ("actuators: {air: {lower: 9, upper: 8, lag_s: 1}}", ["actuators.air: lower, 9, must"]),
        ("actuators: {air: {safe: 1}}", ["safe, 1, must be within 84 to 336"]),
        ("actuators: {air: {upper: 9000}}", ["air.upper: 9000 is outside what the model admits"]),
        ("actuators: {air: {unit: kg}}", ["air.unit: unit 'kg' does not fit the model's, L/h"]),
        ("actuators: {air: {tag: Base}}", ["there is no actuator 'base'"]),
        ("actuators: {air: {tag: A.B}}", ["air.tag: String should match"]),
        ("probes: {pH: {unit: 5 apples}}", ["probes.pH.unit: unit '5 apples' cannot be read"]),
        ("probes: {pH: {tag: Control.Owner}}", ["the name Control.Owner is there already"]),
        ("probes: {pH: {range: [8, 2]}}", ["probes.pH.range", "must be below the upper end"]),
        ("conditions: {salt: 1}", ["conditions: 'salt' is no input"]),
        ("conditions: {air: 100}", ["conditions: air has an actuator"]),
        ("drifts: {air: {deviation: 1, time_h: 1}}", ["drifts: air has an actuator"]),
        ("drifts: {salt: {deviation: 1, time_h: 1}}", ["drifts: 'salt' is no input"]),
        ("conditions: {temperature: 80}", ["must be within 30 to 40 degC, but is 80"]),
        ("culture: {deviations: {mu: 1}}", ["'mu' is no parameter", "mu_max"]),
        ("culture: {inoculum_states: [volume]}", ["'volume' is no state to be set"]),
        ("culture: {initial: {glucose: -1}}", ["glucose must be within 0 to 200 mmol/L"]),
        ("culture: {parameters: {mu: 1}}", ["'mu' is no parameter", "mu_max"]),
        ("yardstick: {decided: [salt], held_states: [salt]}", ["no actuator 'salt'", "no state"]),
        (loop("pO2", "oxygen"), ["loops.0.measured: there is no probe of 'pO2'"]),
        (loop("pH", "salt"), ["loops.0: there is no actuator 'salt'"]),
        (loop("pH", "air", opposite="air"), ["output and opposite are both air"]),
        (loop("pH", "air", gain=0), ["gain must not be zero"]),
        (loop("pH", "air", setpoint=[[1, 7]]), ["must begin at hour 0"]),
        (loop("pH", "air", setpoint=[[0, 7], [0, 8]]), ["must have hours that rise"]),
        (loop("pH", "air", when="never"), ["loops.0.when"]),
        (
            loop("pH", "air") + "actuators: {air: {remote: true}}",
            ["air always belongs to this loop, so it cannot be remote: true"],
        ),
        (
            loop("pH", "air", when="local") + "actuators: {air: {remote: false}}",
            ["no controller may write air, so this loop must act always"],
        ),
        (
            yaml.safe_dump({"loops": 2 * yaml.safe_load(loop("pH", "air"))["loops"]}),
            ["loops.1: air is driven by loops.0 already"],
        ),
        ("culture: {parameters: {mu_max: 9}}", ["mu_max must be within"]),
        ("culture: {initial: {volume: 9}}", ["'volume' is no state to be set"]),
        ("server: {pace: {kind: fast}}", ["'lockstep', 'speed'"]),
        ("server: {endpoint: 'opc.tcp://0.0.0.0:4840/'}", ["can be reached from the network"]),
        ("server: {endpoint: 'http://127.0.0.1/'}", ["must be like opc.tcp://"]),
        ("server: {endpoint: 'opc.tcp://127.0.0.1:99999/'}", ["must be like opc.tcp://"]),
        ("server: {security: {policy: Basic256Sha256}}", ["needs certificate, private_key"]),
        ("faults: [{kind: probe_bad, target: glucose, from_h: 1, to_h: 2}]", ["cannot happen to"]),
        ("faults: [{kind: gas_lost, target: air, from_h: 2, to_h: 2}]", ["before to_h"]),
        ("faults: [{kind: gas_lost, target: air, from_h: 1, to_h: 2, size: 1}]", ["has no size"]),
        (
            "faults: [{kind: lab_late, target: titre, from_h: 1, to_h: 2, size: -1}]",
            ["cannot be negative"],
        ),
    ],
)
def test_wrong_settings_are_told_by_key(text: str, fragments: list[str]) -> None:
    with pytest.raises(PlantError) as caught:
        parse_settings(text, "plant.yaml")
    assert str(caught.value).startswith("plant.yaml:")
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_loop_may_look_at_a_probe_that_shows_anything() -> None:
    text = loop("weight", "base", setpoint=1e6) + "probes: {weight: {range: null}}"
    assert parse_settings(text).loops[0].setpoint == ((0.0, 1e6),)


def test_all_faults_of_a_plant_are_told_at_once() -> None:
    with pytest.raises(PlantError) as caught:
        parse_settings("vessel: {initial_volume_L: 3000}\nconditions: {x: 1, y: 2}", "plant.yaml")
    assert len(str(caught.value).splitlines()) == 4


def test_any_damage_to_a_file_gives_settings_or_faults() -> None:
    chance = random.Random(1)
    junk: tuple[Any, ...] = (
        None,
        5,
        -1.5,
        "x",
        "",
        True,
        [],
        [1],
        ["x", {}],
        {},
        {"x": 1},
        {"unit": "furlong"},
    )
    whole = yaml.safe_load((CONFIGS / "cho_plant.yaml").read_text())
    for _ in range(400):
        data: Any = copy.deepcopy(whole)
        place = data
        while True:
            key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or chance.random() < 0.3:
                break
            place = inner
        place[key] = chance.choice(junk)
        with suppress(PlantError, ValidationError):
            PlantSettings.model_validate(data)


@pytest.mark.parametrize(
    ("tag", "model", "shown", "value"),
    [
        ("mL/min", "L/h", 50.0, 3.0),
        ("bar", "atm", 1.01325, 1.0),
        ("K", "degC", 310.15, 37.0),
        ("m^3/min", "L/h", 2.0, 120000.0),
        ("1e6 cells/mL", "1e9 cells/L", 4.5, 4.5),
        ("1", "percent", 0.4, 40.0),
    ],
)
def test_tags_have_their_own_units(tag: str, model: str, shown: float, value: float) -> None:
    scale = Scale.between(tag, model)
    assert scale.to_model(shown) == pytest.approx(value, rel=1e-12)
    assert scale.to_tag(value) == pytest.approx(shown, rel=1e-12)


def test_times_are_kept_in_utc() -> None:
    settings = parse_settings("batch: {inoculated_at: '2026-01-05T09:00:00+01:00'}")
    assert settings.batch.inoculated_at == dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"cannot read .*none\.yaml: No such file"):
        load_settings(tmp_path / "none.yaml")


def test_file_names_are_relative_to_the_settings_folder(tmp_path: Path) -> None:
    (tmp_path / "plant.yaml").write_text(
        "control_unit: {recipe_file: r.csv}\n"
        "server: {security: {policy: Basic256Sha256, certificate: c.pem, private_key: k.pem,"
        " password_file: p}}\n"
    )
    settings = load_settings(tmp_path / "plant.yaml")
    assert settings.control_unit.recipe_file == tmp_path / "r.csv"
    assert settings.server.security.private_key == tmp_path / "k.pem"
    assert settings.server.security.trusted_clients is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read the recipe .*: No such file"),
        ("time_h,glucose_feed_L_per_h\n0,x\n", "cannot be used:\n.*not a number"),
        ("time_h,salt_L_per_h\n0,1\n6,0\n", "salt: the plant has no such actuator; known:"),
        ("time_h,oxygen_L_per_h\n0,1\n6,0\n", "oxygen: a loop of the control unit drives it"),
        ("time_h,air_m3_per_h\n0,1\n6,0\n", "air: its unit, m.3/h, must be the model's, L/h"),
        ("time_h,air_bar\n0,1\n6,0\n", "air: its unit, bar, must be the model's, L/h"),
        ("time_h,air_L_per_h\n0,1\n6,0\n", "air: 1 is outside the actuator's range, 84 to 336"),
    ],
)
def test_a_useless_recipe_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "recipe.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PlantError, match=message):
        SimulatedPlant(PlantSettings(control_unit=ControlUnitSettings(recipe_file=path)))


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("opc.tcp://127.0.0.1:4840/", True),
        ("opc.tcp://127.9.9.9:4840/", True),
        ("opc.tcp://[::1]:4840/", True),
        ("opc.tcp://localhost:4840/", True),
        ("opc.tcp://0.0.0.0:4840/", False),
        ("opc.tcp://plant:4840/", False),
        ("", False),
    ],
)
def test_loopback_is_known(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) is expected
