"""What a configuration becomes: settings of the rooms, overrides, secrets, hash."""

import json
from contextlib import suppress
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mpc_agent.config import ConfigError, Settings, missing_files, record_file, record_folder
from mpc_agent.config.reference import reference
from mpc_agent.config.text import parse_config_text
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.errors import CannotWriteError
from mpc_agent.values import Mode
from tests.config_files import CONFIGS, RIGHT, write_config

EXAMPLES = sorted(
    path for path in CONFIGS.glob("*.yaml") if path.read_text().find("\nestimation:") > 0
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_right(example: Path) -> None:
    assert Settings.load(example, {}).document.batch.id


def test_sections_become_the_settings_of_the_rooms() -> None:
    found = Settings.load(RIGHT, {})
    assert found.model.name == "cho_mab_control"
    assert set(found.estimation.uncertainty) == set(found.model.states)
    assert found.estimation.parameters["mu_max"] == 0.039
    assert found.estimation.initial["volume"] == 1400
    assert [signal.name for signal in found.estimation.signals][:2] == ["dissolved_oxygen", "pH"]
    feed, gas = found.control.feed, found.control.gas
    assert gas is not None
    assert feed.problem.decided == ("glucose_feed", "amino_feed")
    assert feed.problem.maximise is not None
    assert feed.problem.maximise.output == "product_mass"
    assert [limit.hard for limit in feed.problem.limits] == [False, False, True]
    assert gas.problem.moving_states == ("oxygen", "carbon_dioxide", "alkalinity")
    assert gas.setpoints["pCO2"].at(71.9) == 60
    assert gas.setpoints["pCO2"].at(72.0) == 80
    assert gas.setpoints["dissolved_oxygen"].at(-1.0) == 60
    assert found.safety.feeds == ("glucose_feed", "amino_feed")
    assert found.safety.other_liquids == ("base",)
    assert found.safety.fallbacks["gas"].inputs == gas.problem.decided
    assert found.safety.period_s == found.document.cycle.period_s == 600
    assert found.recipe.end_h == 336
    assert found.document.cycle.target_mode is Mode.CONTROL
    assert found.plant_file == RIGHT.parent / "cho_plant.yaml"


def test_what_is_given_replaces_what_the_model_says(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["model"]["parameters"] = {"mu_max": 0.041}
        data["model"]["initial"] = {"viable_cells": 0.6}
        data["tags"]["measured"]["pH"]["max_age_s"] = 60

    found = Settings.load(write_config(tmp_path, change), {})
    assert found.estimation.parameters["mu_max"] == 0.041
    assert found.estimation.initial["viable_cells"] == 0.6
    ages = {signal.name: signal.max_age_s for signal in found.estimation.signals}
    assert (ages["pH"], ages["weight"]) == (60, 900)


def test_environment_overrides_single_keys() -> None:
    found = Settings.load(
        RIGHT,
        {
            "MPC_AGENT__CYCLE__PERIOD_S": "300",
            "mpc_agent__cycle__target_mode": "SHADOW",
            "MPC_AGENT__CONTROL__FEED__LIMITS__0__UPPER": "4.5e1",
            "MPC_AGENT__CONTROL__GAS__TRACKED__PCO2__SETPOINT": "[[0, 55], [48, 75]]",
            "MPC_AGENT__TAGS__MEASURED__PH__MAX_AGE_S": "120",
            "MPC_AGENT__MODEL__PARAMETERS__mu_max": "0.04",
            "MPC_AGENT__DRIVER__OWNER": "reactor-7",
            "MPC_AGENT__BATCH__INOCULATED_AT": "2026-01-05T09:00:00+01:00",
            "MPC_AGENT_SOMETHING_ELSE": "ignored",
        },
    )
    assert found.document.cycle.period_s == 300
    assert found.document.cycle.target_mode is Mode.SHADOW
    assert found.control.feed.problem.limits[0].upper == 45
    assert found.control.gas is not None
    assert found.control.gas.setpoints["pCO2"].at(50) == 75
    assert found.document.tags.measured["pH"].max_age_s == 120
    assert found.estimation.parameters["mu_max"] == 0.04
    assert found.driver.owner == "reactor-7"
    assert found.document.batch.inoculated_at == datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MPC_AGENT__CYCLE__PEROD_S", "1", "is not a key here; did you mean period_s?"),
        ("MPC_AGENT__CYCLE__PERIOD_S", "soon", "must be a number"),
        ("MPC_AGENT__CYCLE__PERIOD_S", "[", "is not valid YAML"),
        ("MPC_AGENT__BATCH__ID", "one\nother: 2", "is more than one value"),
        ("MPC_AGENT__CYCLE__PERIOD_S__X", "1", "cycle.period_s is a plain value"),
        ("MPC_AGENT__CONTROL__FEED__LIMITS__9__UPPER", "1", "control.feed.limits has items 0 to 2"),
        ("MPC_AGENT__CYCLE____X", "1", "has an empty part"),
    ],
)
def test_a_wrong_override_names_the_variable(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load(RIGHT, {name: value})
    (fault,) = caught.value.faults
    assert sentence in fault.text
    assert str(fault).startswith(f"environment variable {name}: ")


def test_settings_are_frozen() -> None:
    found = Settings.load(RIGHT, {})
    with pytest.raises(ValidationError, match="frozen"):
        found.document.cycle.period_s = 1.0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        found.config_hash = ""  # type: ignore[misc]


def test_the_hash_is_of_the_meaning_not_of_the_writing(tmp_path: Path) -> None:
    original = Settings.load(RIGHT, {})
    rewritten = Settings.load(write_config(tmp_path), {})
    assert original.text == rewritten.text
    assert original.config_hash == rewritten.config_hash
    assert original.config_hash != Settings.load(RIGHT, {"MPC_AGENT__WEB__PORT": "1"}).config_hash
    (tmp_path / "cho_recipe.csv").write_text(
        "time_h,glucose_feed_L_per_h,amino_feed_L_per_h\n0,1,0\n336,0,0\n"
    )
    other_recipe = Settings.load(tmp_path / "config.yaml", {})
    assert original.config_hash != other_recipe.config_hash
    assert json.loads(original.text)["cycle"]["period_s"] == 600


def test_secrets_stay_in_their_files(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["driver"]["endpoint"] = "opc.tcp://plant.example:4840"
        data["driver"]["security"] = {
            "policy": "Basic256Sha256",
            "mode": "SignAndEncrypt",
            "certificate": "pki/agent.der",
            "private_key": "pki/agent.pem",
            "server_certificate": "pki/plant.der",
            "user": "mpc",
            "password_file": "secrets/password",
        }

    file = write_config(tmp_path, change)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "password").write_text("correct horse")
    found = Settings.load(file, {})
    assert isinstance(found.driver, OpcuaSettings)
    assert found.driver.security.password_file == tmp_path / "secrets" / "password"
    assert "correct horse" not in found.text
    assert "correct horse" not in repr(found)
    assert json.loads(found.text)["driver"]["security"]["password_file"] == "secrets/password"
    missing = [str(fault) for fault in missing_files(found)]
    assert len(missing) == 3
    assert f"{tmp_path / 'pki' / 'agent.der'}: cannot be read: no such file" in missing[0]


def test_the_folder_of_the_record_is_made_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "runs"
    found = Settings.load(RIGHT, {"MPC_AGENT__BATCH__FOLDER": str(folder)})
    assert record_folder(found) == folder
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert record_file(found) == folder / "TEST.sqlite"
    (tmp_path / "file").touch()
    blocked = Settings.load(RIGHT, {"MPC_AGENT__BATCH__FOLDER": str(tmp_path / "file" / "runs")})
    with pytest.raises(CannotWriteError, match="choose another folder"):
        record_folder(blocked)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-3", 1e-3),
        ("1_000", "1_000"),
        ("010", 10),
        ("0x10", "0x10"),
        ("12:30", "12:30"),
        ("on", "on"),
        ("no", "no"),
        ("TRUE", True),
        ("~", None),
        ("2026-01-05T08:00:00Z", "2026-01-05T08:00:00Z"),
        ("'600'", "600"),
        ("9" * 400, float("inf")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, meant: object) -> None:
    assert parse_config_text(f"x: {written}", "text").data["x"] == meant


def test_the_reference_is_that_of_the_schema() -> None:
    page = Path(__file__).parent.parent / "docs" / "configuration.md"
    assert page.read_text() == reference(), "python -m mpc_agent.config.reference > docs/..."


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("opcua")
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
SECTIONS = ("batch", "model", "cycle", "driver", "tags", "signals", "control", "safety", "web")
KEYS = ("feed", "gas", "inputs", "limits", "online", "measured", "kind", "security", "id")
PATHS = st.lists(
    st.one_of(st.sampled_from(SECTIONS), st.sampled_from(KEYS), st.integers(0, 2)),
    min_size=1,
    max_size=4,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=PATHS, junk=JUNK)
def test_junk_anywhere_never_ends_in_anything_but_a_config_error(
    path: list[str | int], junk: object, tmp_path: Path
) -> None:
    def change(data: Any) -> None:
        for part in path[:-1]:
            try:
                data = data[part]
            except (KeyError, IndexError, TypeError):
                return
        if isinstance(data, dict):
            data[str(path[-1])] = junk

    with suppress(ConfigError):
        Settings.load(write_config(tmp_path, change), {})


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_never_end_in_anything_but_a_config_error(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "junk.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError):
        Settings.load(file, {})
