"""The verbs in this process: what they print, and the code they end with."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import structlog

from mpc_agent.cli import main
from mpc_agent.commands.service import with_owner
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.errors import EXIT_CODE_MEANINGS, ExitCode
from tests.config_files import CONFIGS, DEMO, RECIPE, RIGHT, write_config

VERBS = (
    "demo",
    "run",
    "simulate",
    "sim-plant",
    "check",
    "models",
    "report",
    "replay",
    "version",
)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The verbs set up logging for their process; undo that after each test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def ends(*arguments: str | Path) -> int:
    """Exit code of a command line."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_help_names_every_verb_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("--help") == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)
    assert all(f"{code:>4}  " in shown for code in EXIT_CODE_MEANINGS)
    assert "yardsticks" not in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(verb, "--help") == ExitCode.OK
    assert f"mpc-agent {verb}" in capsys.readouterr().out.partition("Examples:")[2]


def test_the_readme_documents_every_exit_code() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert f"| {code.value} | {meaning} |" in readme


@pytest.mark.parametrize(
    "arguments", [("fly",), ("check",), ("run", "x.yaml", "--fast"), ("simulate", "x", "--seed=a")]
)
def test_a_wrong_command_line_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(*arguments) == ExitCode.USAGE
    assert capsys.readouterr().out == ""


def test_a_reader_that_goes_away_is_an_ordinary_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = (sys.executable, "-m", "mpc_agent", "version")
    with open(writing, "wb") as nobody:  # noqa: PTH123 - a descriptor, no path
        ended = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (ExitCode.OK, b"")


def test_version_tells_what_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("version", "--json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["mpc-agent"] == version("mpc-agent")
    assert {"python", "casadi", "jax", "numpy", "asyncua"} <= set(found)


EXAMPLES = (*sorted(path.name for path in CONFIGS.glob("*_demo.yaml")), "opcua_bioreactor.yaml")


@pytest.mark.parametrize("example", EXAMPLES)
def test_check_finds_nothing_wrong_with_the_examples(
    example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends("check", CONFIGS / example) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "no fault" in shown
    assert ("note: " in shown) == (example == "opcua_bioreactor.yaml")
    assert ends("check", CONFIGS / example, "--json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["faults"] == []
    assert re.fullmatch("[0-9a-f]{64}", found["config_hash"])


def test_check_lists_every_fault_for_people_and_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    text = RIGHT.read_text().replace("period_s: 600", "perod_s: 600", 1)
    file.write_text(text.replace("name: cho_mab_control", "name: cho_mab"))
    (tmp_path / RECIPE.name).write_text(RECIPE.read_text())
    assert ends("check", file) == ExitCode.CONFIG
    shown = capsys.readouterr().out
    assert "2 faults" in shown
    assert "did you mean period_s?" in shown
    assert ends("check", file, "--json") == ExitCode.CONFIG
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    keys = {fault["key"]: fault for fault in found["faults"]}
    assert set(keys) == {"cycle.perod_s", "model.name"}
    assert keys["model.name"]["value"] == "'cho_mab'"
    assert keys["model.name"]["source"] == str(file)
    line = keys["model.name"]["line"]
    assert text.splitlines()[line - 1].strip().startswith("name:")


def test_check_looks_into_the_plant_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path)
    (tmp_path / "cho_plant.yaml").write_text("vesel: {}\n")
    assert ends("check", file) == ExitCode.CONFIG
    assert "simulation.plant" in (shown := capsys.readouterr().out)
    assert "vesel" in shown


@pytest.mark.parametrize("verb", ["check", "simulate"])
def test_outputs_that_the_simulated_plant_does_not_have_are_named(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    def misspell(data: dict[str, Any]) -> None:
        data["simulation"]["limits"][0]["output"] = "glucos"

    file = write_config(tmp_path, misspell)
    (tmp_path / "cho_plant.yaml").write_text("seed: 2\n")
    assert ends(verb, file) == ExitCode.CONFIG
    told = capsys.readouterr()
    assert (
        "simulation.limits[0].output: 'glucos' is no output of the simulated plant; "
        "did you mean glucose?"
    ) in told.out + told.err


@pytest.mark.parametrize("verb", ["check", "simulate"])
def test_cycles_between_the_plants_ticks_are_refused(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path, lambda data: data["cycle"].update(period_s=125, deadline_s=60))
    (tmp_path / "cho_plant.yaml").write_text("seed: 2\n")
    assert ends(verb, file) == ExitCode.CONFIG
    told = capsys.readouterr()
    expected = "cycle.period_s: 125 must be a multiple of the simulated plant's tick, 10 s"
    assert expected in told.out + told.err


@pytest.mark.parametrize("verb", ["check", "run", "simulate"])
def test_a_missing_configuration_is_named(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(verb, tmp_path / "none.yaml") == ExitCode.CONFIG
    told = capsys.readouterr()
    assert f"{tmp_path / 'none.yaml'}: cannot be read: No such file" in told.out + told.err
    assert "Traceback" not in told.err


def test_a_missing_run_and_a_missing_plant_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends("report", tmp_path / "none") == ExitCode.NO_INPUT
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert ends("sim-plant", tmp_path / "none.yaml") == ExitCode.NO_INPUT
    assert str(tmp_path / "none.yaml") in capsys.readouterr().err


def test_secrets_that_are_missing_stop_run_with_the_config_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ends("run", CONFIGS / "opcua_bioreactor.yaml") == ExitCode.CONFIG
    told = capsys.readouterr().err
    assert "4 faults" in told
    assert "driver.security.password_file" in told


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    blocked = tmp_path / "file" / "runs"
    monkeypatch.setenv("MPC_AGENT__BATCH__FOLDER", str(blocked))
    assert ends("run", DEMO) == ExitCode.CANNOT_WRITE
    assert str(blocked) in capsys.readouterr().err
    for verb in ("simulate", "demo"):
        assert ends(verb, DEMO, "--folder", blocked) == ExitCode.CANNOT_WRITE
        assert str(blocked) in capsys.readouterr().err


def test_a_folder_in_use_is_not_written_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").touch()
    for verb in ("simulate", "demo"):
        assert ends(verb, DEMO, "--folder", tmp_path) == ExitCode.CANNOT_WRITE
        assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_port_in_use_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPC_AGENT__BATCH__FOLDER", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("MPC_AGENT__WEB__PORT", str(port))
        assert ends("run", DEMO) == ExitCode.UNAVAILABLE
        told = capsys.readouterr().err
        assert f"127.0.0.1:{port}" in told
        assert "web.port" in told
        endpoint = f"opc.tcp://127.0.0.1:{port}/"
        plant = CONFIGS / "cho_plant.yaml"
        assert ends("sim-plant", plant, "--endpoint", endpoint) == ExitCode.UNAVAILABLE
        assert f"port {port} on 127.0.0.1 is in use" in capsys.readouterr().err


def test_a_simulated_driver_is_sent_to_simulate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path, lambda data: data.update(driver={"kind": "simulated"}))
    (tmp_path / "cho_plant.yaml").write_text("{}\n")
    assert ends("run", file) == ExitCode.CONFIG
    assert "mpc-agent simulate" in capsys.readouterr().err
    assert ends("demo", file) == ExitCode.CONFIG
    assert "driver.kind opcua" in capsys.readouterr().err


def test_agents_of_two_batches_on_one_machine_have_names_of_their_own() -> None:
    settings = OpcuaSettings.model_validate(
        {"kind": "opcua", "endpoint": "opc.tcp://127.0.0.1:4840", "namespaces": {}}
    )
    names = {with_owner(settings, batch).owner for batch in ("A", "B")}
    assert len(names) == 2
    chosen = settings.model_copy(update={"owner": "reactor-7"})
    assert with_owner(chosen, "A").owner == "reactor-7"
