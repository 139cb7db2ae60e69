import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from sim_plant.errors import PlantError
from sim_plant.plant import SimulatedPlant
from sim_plant.process_settings import ControlUnitSettings
from sim_plant.server_settings import is_loopback
from sim_plant.settings import PlantSettings, load_settings, parse_settings
from tests.sim_plant_support import CONFIGS, RECIPE


def test_the_example_says_every_key_and_only_the_recipe_differs_from_the_defaults() -> None:
    path = CONFIGS / "cho_plant.yaml"
    settings = load_settings(path)
    assert settings.control_unit.recipe_file == RECIPE
    unit = settings.control_unit.model_copy(update={"recipe_file": None})
    assert settings.model_copy(update={"control_unit": unit}) == PlantSettings()
    written = yaml.safe_load(path.read_text())
    assert keys_missing(written, PlantSettings()) == []


def keys_missing(written: Any, settings: BaseModel, prefix: str = "") -> list[str]:
    missing = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name not in written:
            missing.append(prefix + name)
        elif isinstance(value, BaseModel):
            missing += keys_missing(written[name], value, f"{prefix}{name}.")
    return missing


def test_an_empty_text_gives_the_defaults() -> None:
    assert parse_settings("") == PlantSettings()


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("seed: -1\nbatch: {duration_h: .nan, x: 1}", ["seed", "batch.duration_h", "batch.x"]),
        ("seed: '1'", ["seed"]),
        ("a: [", ["expected the node content"]),
        ("[1, 2]", ["should be an object"]),
        ("batch: {inoculated_at: 2026-01-05T08:00:00}", ["must say its offset"]),
        ("control_unit: {watchdog_s: 15}", ["multiple of 10 s"]),
        ("control_unit: {air_L_per_h: 400}", ["within the range of actuators.air"]),
        ("vessel: {initial_volume_L: 3000}", ["below working_volume_L"]),
        ("actuators: {air: {lower_L_per_h: 9, upper_L_per_h: 8, lag_s: 1}}", ["below upper"]),
        ("culture: {parameters: {mu: 1}}", ["'mu' is no parameter", "mu_max"]),
        ("culture: {parameters: {mu_max: 9}}", ["mu_max must be within"]),
        ("culture: {initial: {volume: 9}}", ["'volume' cannot be set here"]),
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
        ("time_h,salt_L_per_h\n0,1\n6,0\n", "feeds what the plant has not: salt"),
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
