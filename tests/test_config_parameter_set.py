"""Parameter sets: what a file must say, what becomes of it, and what is said of every fault."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc_agent.config import ConfigError, Settings
from mpc_agent.config.parameter_set import ParameterSet, nominal_parameter_set, read_parameter_set
from mpc_agent.config.reference import reference
from mpc_agent.config.settings import batch_identity
from plant_models.cho_mab import CONTROL
from plant_models.library import MODELS
from tests.config_files import write_config

NAME = "my_cells.yaml"
NOMINAL = nominal_parameter_set(CONTROL)
MU_MAX = '  mu_max: {value: 0.039, unit: "1/h"}'

Change = Callable[[str], str]


def line_of(text: str, part: str) -> int:
    """The line in which a text first has a part."""
    return next(i for i, line in enumerate(text.splitlines(), start=1) if part in line)


def faults(tmp_path: Path, text: str) -> list[str]:
    """What is said of a file, without its folder."""
    file = tmp_path / NAME
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_parameter_set(file, CONTROL)
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in caught.value.faults]


def with_set(folder: Path, text: str | None, change: Callable[[Any], object] | None = None) -> Path:
    """The right configuration with a parameter set beside it."""

    def both(data: Any) -> None:
        data["model"]["parameters_file"] = NAME
        if change is not None:
            change(data)

    if text is not None:
        (folder / NAME).write_text(text)
    return write_config(folder, both)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_nominal_set_of_every_model_is_read_as_it_was_written(
    model: Any, tmp_path: Path
) -> None:
    file = tmp_path / NAME
    text = nominal_parameter_set(model)
    file.write_text(text)
    found = read_parameter_set(file, model)
    assert found.values == {name: item.value for name, item in model.parameters.items()}
    assert (found.model, list(found.values)) == (model.name, list(model.parameters))
    assert found.origin.startswith("Nominal values of the model (")
    assert max(map(len, text.splitlines())) <= 110
    assert yaml.safe_load(text)["model"] == model.name


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0078, 0.195), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_every_value_and_every_origin_survive(tmp_path_factory: Any, value: float, by: str) -> None:
    file = tmp_path_factory.mktemp("set") / NAME
    data = yaml.safe_load(NOMINAL)
    data["parameters"]["mu_max"]["value"] = value
    file.write_text(json.dumps({**data, "origin": by}, ensure_ascii=False), "utf-8")
    found = read_parameter_set(file, CONTROL)
    assert (found.values["mu_max"], found.origin) == (value, by)


def changed(old: str, new: str) -> Change:
    assert NOMINAL.count(old) == 1
    return lambda text: text.replace(old, new)


ENTRY_CASES: dict[str, tuple[str, str, str]] = {
    "not finite": (
        "{value: .nan, unit: 1/h}",
        "mu_max.value = nan",
        "must be a finite number within 0.0078..0.195 1/h",
    ),
    "infinite": (
        "{value: -.inf, unit: 1/h}",
        "mu_max.value = -inf",
        "must be a finite number within 0.0078..0.195 1/h",
    ),
    "above the range": (
        "{value: 0.2, unit: 1/h}",
        "mu_max.value = 0.2",
        "must be within 0.0078..0.195 1/h",
    ),
    "below the range": (
        "{value: 0, unit: 1/h}",
        "mu_max.value = 0",
        "must be within 0.0078..0.195 1/h",
    ),
    "text": (
        "{value: fast, unit: 1/h}",
        "mu_max.value = 'fast'",
        "must be a number within 0.0078..0.195 1/h",
    ),
    "a flag": (
        "{value: true, unit: 1/h}",
        "mu_max.value = true",
        "must be a number within 0.0078..0.195 1/h",
    ),
    "another unit": (
        "{value: 0.9, unit: 1/d}",
        "mu_max.unit = '1/d'",
        "must be 1/h, the model's unit, and the value within 0.0078..0.195 1/h",
    ),
    "no unit": ("{value: 0.04}", "mu_max.unit", "is missing: the model's unit is 1/h"),
    "no value": ("{unit: 1/h}", "mu_max.value", "is missing: a number within 0.0078..0.195 1/h"),
    "a bare value": (
        "0.04",
        "mu_max = 0.04",
        "must be {value: NUMBER, unit: 1/h}, within 0.0078..0.195 1/h",
    ),
    "an unknown key": (
        "{value: 0.04, unit: 1/h, unti: 1/h}",
        "mu_max.unti = '1/h'",
        "is not a key here; did you mean unit? (known: unit, value)",
    ),
}


@pytest.mark.parametrize(("entry", "key", "sentence"), ENTRY_CASES.values(), ids=ENTRY_CASES)
def test_each_fault_of_a_value_names_line_value_and_range(
    entry: str, key: str, sentence: str, tmp_path: Path
) -> None:
    told = faults(tmp_path, NOMINAL.replace(MU_MAX, f"  mu_max: {entry}"))
    line = line_of(NOMINAL, MU_MAX)
    expected = f"{NAME}:{line}: parameters.{key}: {sentence}"
    assert expected in told
    # A value in another unit is out of range as well.
    assert len(told) == (2 if key == "mu_max.unit = '1/d'" else 1)


WHOLE_CASES: dict[str, tuple[Change, str]] = {
    "a missing parameter": (
        changed(MU_MAX + "\n", ""),
        "parameters.mu_max: is missing: maximal growth rate, within 0.0078..0.195 1/h",
    ),
    "an unknown parameter": (
        changed(MU_MAX, MU_MAX + "\n  mu_mx: {value: 1, unit: 1/h}"),
        "parameters.mu_mx: is no parameter of cho_mab_control; did you mean mu_max? (known: ",
    ),
    "a parameter given twice": (
        changed(MU_MAX, MU_MAX + "\n" + MU_MAX),
        f"parameters.mu_max: is given twice; the first one is in line {line_of(NOMINAL, MU_MAX)}",
    ),
    "another model's file": (
        changed('model: "cho_mab_control"', "model: cho_mab_full"),
        (
            "model = 'cho_mab_full': these are the parameters of another model; needed are those "
            "of cho_mab_control"
        ),
    ),
    "an unknown section": (
        changed("parameters:\n", "notes: none\nparameters:\n"),
        "notes = 'none': is not a key here; known: model, origin, parameters",
    ),
    "an empty origin": (
        lambda text: re.sub(r'origin: "[^"]*"', 'origin: " "', text),
        "origin = ' ': is not allowed. Who fitted these values, and from what.",
    ),
    "no section of parameters": (
        lambda text: text.partition("parameters:\n")[0] + "parameters: 3\n",
        "parameters = 3: must be a section with keys",
    ),
    "a list": (lambda _: "- mu_max\n", "must be sections with keys"),
    "no YAML": (lambda _: "model: [\n", "is not valid YAML"),
    "nothing at all": (lambda _: "", "parameters: is missing: Every parameter of the model"),
}


@pytest.mark.parametrize(("change", "sentence"), WHOLE_CASES.values(), ids=WHOLE_CASES)
def test_each_fault_of_the_whole_is_told(change: Change, sentence: str, tmp_path: Path) -> None:
    told = faults(tmp_path, change(NOMINAL))
    assert any(re.sub(r"^[^ ]*: ", "", line).startswith(sentence) for line in told), told


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = NOMINAL.replace("value: 0.039", "value: 9").replace("value: 43.0", "value: .inf")
    text = text.replace("  k_starve:", "  k_strave:")
    told = faults(tmp_path, text)
    assert [re.split(r"[ :]", line.partition("parameters.")[2])[0] for line in told] == [
        "k_starve",
        "mu_max.value",
        "KI_lac.value",
        "k_strave",
    ]


def test_whole_numbers_and_the_unit_of_bare_numbers_need_no_quotes(tmp_path: Path) -> None:
    file = tmp_path / NAME
    text = NOMINAL.replace(
        'glucose_feed_gain: {value: 1.0, unit: "1"}', "glucose_feed_gain: {value: 1, unit: 1}"
    )
    assert text != NOMINAL
    file.write_text(text)
    assert read_parameter_set(file, CONTROL).values["glucose_feed_gain"] == 1.0


def test_the_filter_starts_from_the_set_and_single_values_replace_it(tmp_path: Path) -> None:
    text = NOMINAL.replace("value: 0.039", "value: 0.045").replace("value: 0.047", "value: 0.06")
    file = with_set(tmp_path, text, lambda data: data["model"].update(parameters={"K_gln": 0.05}))
    found = Settings.load(file, {})
    assert found.estimation.parameters["mu_max"] == 0.045
    assert found.estimation.parameters["K_gln"] == 0.05
    assert found.estimation.parameters["K_glc"] == 1.0
    assert set(found.estimation.parameters) == set(CONTROL.parameters)


def test_adapted_bounds_are_held_against_the_set(tmp_path: Path) -> None:
    def narrow(data: Any) -> None:
        data["estimation"]["adapted"]["mu_max"].update(lower=0.03, upper=0.044)

    assert Settings.load(with_set(tmp_path, NOMINAL, narrow), {}).config_hash
    file = with_set(tmp_path, NOMINAL.replace("value: 0.039", "value: 0.045"), narrow)
    with pytest.raises(ConfigError, match=r"must include the model's value, 0\.045 1/h"):
        Settings.load(file, {})


def test_faults_of_the_set_stand_among_those_of_the_configuration(tmp_path: Path) -> None:
    file = with_set(
        tmp_path,
        NOMINAL.replace("value: 0.039", "value: 9"),
        lambda data: data["cycle"].update(perod_s=1),
    )
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, {})
    told = [str(fault) for fault in caught.value.faults]
    assert len(told) == 2
    assert any("cycle.perod_s" in line for line in told)
    line = line_of(NOMINAL, MU_MAX)
    assert any(line_.startswith(f"{tmp_path / NAME}:{line}: parameters.mu_max") for line_ in told)


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_told_where_it_is_named(kind: str, tmp_path: Path) -> None:
    if kind == "folder":
        (tmp_path / NAME).mkdir()
    elif kind == "binary":
        (tmp_path / NAME).write_bytes(b"\xff\xfe\x00")
    file = with_set(tmp_path, None)
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, {})
    (fault,) = caught.value.faults
    line = line_of(file.read_text(), "parameters_file")
    assert str(fault).startswith(f"{file}:{line}: model.parameters_file = '{NAME}': ")
    assert str(tmp_path / NAME) in fault.text


def test_the_hash_covers_what_the_set_says_not_how_it_is_written(tmp_path: Path) -> None:
    file = with_set(tmp_path, NOMINAL)
    first = Settings.load(file, {})
    (tmp_path / NAME).write_text(yaml.safe_dump(yaml.safe_load(NOMINAL)))
    assert Settings.load(file, {}).config_hash == first.config_hash
    (tmp_path / NAME).write_text(NOMINAL.replace("value: 0.039", "value: 0.0390001"))
    second = Settings.load(file, {})
    assert second.config_hash != first.config_hash
    assert batch_identity(second.text) != batch_identity(first.text)
    kept = json.loads(second.text)["model"]["parameter_set"]
    assert kept["values"]["mu_max"] == 0.0390001
    (tmp_path / NAME).write_text(NOMINAL.replace("fitted yours", "fitted ours"))
    assert Settings.load(file, {}).config_hash != first.config_hash


def test_a_set_is_plain_data() -> None:
    found = ParameterSet("m", "o", {"a": 1.0})
    assert json.loads(json.dumps(found.plain())) == {
        "model": "m",
        "origin": "o",
        "values": {"a": 1.0},
    }


def test_the_example_in_the_reference_fits_its_model() -> None:
    example = re.search(r"```yaml\n(model: .*?)```", reference(), re.DOTALL)
    assert example is not None
    data = yaml.safe_load(example[1])
    model = MODELS[data["model"]]
    for name, entry in data["parameters"].items():
        known = model.parameters[name]
        assert known.lower <= entry["value"] <= known.upper
        assert entry["unit"] == known.unit
