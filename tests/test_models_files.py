"""A site's own model: its file, what is said when it cannot be used, and where it can be named."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mpc_agent.cli import main
from mpc_agent.config import ConfigError, Settings
from mpc_agent.errors import ExitCode
from mpc_agent.provenance import model_fingerprint
from plant_models.cho_mab import CORE
from plant_models.library import find_or_load_model, models_in_file
from plant_models.model_file import ModelFileError
from tests.examples_broken_models import EXAMPLES, changed_model, line_of, write_model


def ends(*arguments: str | Path) -> int:
    """Exit code of a command line."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


# ---------------------------------------------------------------- the file


def refusal(file: Path) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        models_in_file(str(file))
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "marked", "expected"),
    [
        (
            "    dilution = flow / x.volume",
            "    dilution = flow / / x.volume",
            "flow / /",
            "is not valid Python: invalid syntax",
        ),
        (
            "from typing import Any",
            "from typing import Any\nimport numpyy",
            "import numpyy",
            "imports what is not there: No module named 'numpyy'",
        ),
        (
            "organism=",
            "orgnism=",
            "MODEL = PlantModel(",
            "PlantModel(...) got an unexpected keyword argument 'orgnism'",
        ),
        (
            '"broth volume", 5.0, 10.0, 1.0, 20.0)',
            '"broth volume", 5.0, 10.0, 1.0)',
            '"broth volume", 5.0, 10.0, 1.0)',
            "State(...) missing 1 required positional argument: 'upper'",
        ),
        (
            "(item.nominal for item",
            "(item.usual for item",
            "item.usual",
            "AttributeError: 'Input' object has no attribute 'usual'",
        ),
        (
            "from typing import Any",
            "from typing import Any\nraise SystemExit(3)",
            "raise SystemExit",
            "ends the program instead of defining a model",
        ),
        (
            'YeastOutputs = record("YeastOutputs", OUTPUTS)',
            'YeastOutputs = record("YeastOutputs", ["volume"])',
            "MODEL = PlantModel(",
            "model phaffii_enzyme: fields of YeastOutputs ('volume',) differ from its table",
        ),
    ],
)
def test_a_file_that_does_not_run_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, marked: str, expected: str
) -> None:
    file = write_model(tmp_path, (old, new))
    error = refusal(file)
    assert error.text.startswith(expected)
    assert error.line == line_of(file, marked)
    assert str(error).startswith(f"{file}:{error.line}: ")


def test_a_file_must_be_there_and_define_a_model(tmp_path: Path) -> None:
    absent = tmp_path / "absent.py"
    assert str(refusal(absent)) == f"{absent}: cannot be read: No such file or directory"
    table = tmp_path / "table.csv"
    assert refusal(table).text == "is no Python file: its name must end in .py"
    encoded = tmp_path / "encoded.py"
    encoded.write_text("# -*- coding: none -*-\n")
    assert str(refusal(encoded)).startswith(f"{encoded}: is not valid Python: unknown encoding")
    empty = tmp_path / "empty.py"
    empty.write_text("from plant_models.cho_mab import CORE\n")
    assert refusal(empty).text.startswith("defines no model: there must be a name to which a Plant")


def test_a_file_leaves_nothing_behind_and_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    first = changed_model(tmp_path)
    assert changed_model(tmp_path) is first
    second = changed_model(tmp_path, ('name="phaffii_enzyme"', 'name="other"'))
    assert second.name == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["my_model.py"]


def test_a_file_may_be_called_like_a_module_of_python(tmp_path: Path) -> None:
    file = write_model(tmp_path).rename(tmp_path / "json.py")
    assert set(models_in_file(str(file))) == {"phaffii_enzyme"}
    assert sys.modules["json"] is json


TWO = """
OTHER = replace(MODEL, name="second")
"""


def two_models(folder: Path) -> Path:
    file = write_model(
        folder,
        ("from typing import Any", "from dataclasses import replace\nfrom typing import Any"),
    )
    file.write_text(file.read_text() + TWO)
    return file


def test_a_name_chooses_among_several_models(tmp_path: Path) -> None:
    file = str(two_models(tmp_path))
    assert find_or_load_model("second", file).name == "second"
    assert find_or_load_model(CORE.name, None) is CORE
    for name, expected in (
        (None, "the file defines several models, say which by name: phaffii_enzyme, second"),
        ("third", "no model named 'third'; known: phaffii_enzyme, second"),
    ):
        with pytest.raises(KeyError) as caught:
            find_or_load_model(name, file)
        assert caught.value.args[0] == expected


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    file = two_models(tmp_path)
    file.write_text(file.read_text().replace('name="second"', "accuracy=1e-3"))
    assert refusal(file).text == "model_file_my_model defines two models named 'phaffii_enzyme'"


DERIVED = '''"""CHO cells of our own cell bank.

Source of the growth rate: runs 12 to 15; all else as in `cho_mab`.
"""

from dataclasses import replace

from plant_models.cho_mab import CORE

PARAMETERS = {
    **CORE.parameters,
    "mu_max": replace(CORE.parameters["mu_max"], value=0.035, source="runs 12 to 15"),
}

OURS = replace(CORE, name="our_cells", parameters=PARAMETERS)
'''


def test_a_model_may_take_its_equations_from_the_library(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "our_cells.py"
    file.write_text(DERIVED)
    model = find_or_load_model(None, str(file))
    assert model.nominal_parameters().mu_max == 0.035
    assert model_fingerprint(model) != model_fingerprint(CORE)
    assert model_fingerprint(replace(model, name=CORE.name)) != model_fingerprint(CORE)
    assert ends("check", file) == ExitCode.OK, capsys.readouterr().out


# ---------------------------------------------------------------- the verb


def test_check_tells_people_and_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_model(tmp_path, ('"K_S": Parameter("g/L"', '"K_S": Parameter("mmol/L"'))
    assert ends("check", file) == ExitCode.CONFIG
    shown = capsys.readouterr().out
    assert shown.startswith("phaffii_enzyme (Komagataella phaffii): 1 fault\n")
    assert "    fault: my_model.py:74: adds, subtracts or compares mmol/L and g/L in" in shown
    assert ends("check", file, "--json") == ExitCode.CONFIG
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    (fault,) = found["faults"]
    assert fault["check"] == "units"
    assert (fault["severity"], fault["source"], fault["line"]) == ("fault", "my_model.py", 74)
    (model,) = found["models"]
    assert model["name"] == "phaffii_enzyme"
    assert all(item["done"] for item in model["checks"])


def test_check_of_a_file_that_does_not_run_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path, ("organism=", "orgnism="))
    assert ends("check", "my_model.py") == ExitCode.CONFIG
    shown = capsys.readouterr()
    assert shown.out.startswith("my_model.py:")
    assert "Traceback" not in shown.out + shown.err
    assert ends("check", "absent.py", "--json") == ExitCode.CONFIG
    found = json.loads(capsys.readouterr().out)
    assert found["faults"][0]["text"] == "cannot be read: No such file or directory"
    assert found["models"] == []


# ---------------------------------------------------------------- the configuration


def site(folder: Path, model: Mapping[str, Any] | None = None) -> Path:
    """The example's configuration in a folder of its own, with another model section."""
    for file in EXAMPLES.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    config = folder / "my_agent.yaml"
    if model is not None:
        data = yaml.safe_load(config.read_text())
        data["model"] = model
        config.write_text(yaml.safe_dump(data))
    return config


def faults_of(config: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Settings.load(config, {})
    return [str(fault).partition(": ")[2] for fault in caught.value.faults]


def test_a_configuration_names_the_file_relative_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    settings = Settings.load(site(tmp_path), {})
    assert settings.model.name == "phaffii_enzyme"
    named = site(tmp_path, {"file": "my_model.py", "name": "phaffii_enzyme"})
    assert Settings.load(named, {}).model is settings.model


def test_the_text_of_the_file_is_in_the_fingerprint(tmp_path: Path) -> None:
    before = model_fingerprint(changed_model(tmp_path))
    assert model_fingerprint(changed_model(tmp_path)) == before
    remark = changed_model(tmp_path, ('"""Monod (1949) on both', '"""Monod (1949) upon both'))
    assert model_fingerprint(remark) != before


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, "model: needs name, one of `mpc-agent models`, or the file of a model"),
        (
            {"file": "their_model.py"},
            "model.file = 'their_model.py': {folder}/their_model.py: cannot be read: No such file",
        ),
        (
            {"file": "my_model.py", "name": "phafii_enzyme"},
            "model.name = 'phafii_enzyme': 'phafii_enzyme' is no model of my_model.py; did you",
        ),
        (
            {"file": "my_model.py", "parameters": {"mu_max": 2.0}},
            "model.parameters.mu_max = 2.0: must be within 0.1..0.4 1/h",
        ),
    ],
)
def test_a_model_that_cannot_be_had_is_a_fault(
    tmp_path: Path, model: dict[str, Any], expected: str
) -> None:
    found = faults_of(site(tmp_path, model))
    assert any(fault.startswith(expected.format(folder=tmp_path)) for fault in found), found


def test_several_models_need_a_name(tmp_path: Path) -> None:
    config = site(tmp_path)
    two_models(tmp_path)
    (fault,) = faults_of(config)
    assert fault == (
        "model.file = 'my_model.py': defines several models: say which by model.name, one of "
        "phaffii_enzyme, second"
    )


def test_check_of_a_configuration_reads_the_model_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = site(tmp_path)
    write_model(tmp_path, ('"alpha": Parameter("g/g"', '"alpha": Parameter("1/h"'))
    assert ends("check", config) == ExitCode.CONFIG
    shown = capsys.readouterr().out
    assert "the configuration has 1 fault" in shown
    assert "my_model.py:83: model.file: adds, subtracts or compares 1/h^2 and 1/h" in shown


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "my_plant.yaml",
            "recipe_file: my_recipe.csv",
            "recipe_file: none.csv",
            "none.csv: No such",
        ),
        ("my_plant.yaml", "recipe_file: my_recipe.csv", "recipe_file: binary.csv", "binary.csv"),
        (
            "my_agent.yaml",
            "interval_s: 1800",
            "interval_s: 1800\n    from_h: 40",
            "control.feed.from_h = 40: must be before batch.harvest_h, 36: no feed would be",
        ),
    ],
)
def test_check_of_a_configuration_reads_what_a_simulation_would(
    file: str, old: str, new: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = site(tmp_path)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert ends("check", config) == ExitCode.CONFIG
    assert told in capsys.readouterr().out
