"""Parameter sets: all parameters of one model in a file of their own, with where they come from.

A set is complete, so that a file says by itself which plant it describes: nothing that it leaves
out could change under it when the model's nominal values do.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

from pydantic import Field, ValidationError

from mpc_agent.config.base import Section
from mpc_agent.config.explain import explain
from mpc_agent.config.faults import (
    ConfigError,
    Fault,
    KeyPath,
    Place,
    PlainValue,
    alternatives,
    in_order,
    shown,
)
from mpc_agent.config.schema_general import ModelSection
from mpc_agent.config.text import ConfigText, read_config_text
from plant_models.model import Parameter, PlantModel

_ENTRY_KEYS = ("value", "unit")


@dataclass(frozen=True)
class ParameterSet:
    """All parameters of a model.

    Attributes:
        model: name of the model.
        origin: who fitted the values, and from what.
        values: value by parameter, in the model's units and within its bounds.
    """

    model: str
    origin: str
    values: Mapping[str, float]

    def plain(self) -> dict[str, PlainValue]:
        """What the record keeps of it."""
        return {"model": self.model, "origin": self.origin, "values": dict(self.values)}


class _File(Section):
    """A file with a parameter set, as far as it looks the same for every model."""

    model: str
    """Name of the model that these are the parameters of."""
    origin: Annotated[str, Field(pattern=r"\S")]
    """Who fitted these values, and from what."""
    parameters: dict[str, Any]
    """Every parameter of the model by name: `{value: NUMBER, unit: UNIT}`."""


def read_parameter_set(file: Path, model: PlantModel) -> ParameterSet:
    """Read the parameters of a model.

    Raises:
        ConfigError: everything that is wrong with the file, with line and value.
    """
    text = read_config_text(file)
    faults = list(_faults(text, model))
    if faults:
        raise ConfigError(in_order(faults))
    entries = text.data["parameters"]
    return ParameterSet(
        model=model.name,
        origin=text.data["origin"].strip(),
        values={name: float(entries[name]["value"]) for name in model.parameters},
    )


def configured_parameter_set(
    name: str, folder: Path, model: PlantModel, place: Place | None, faults: list[Fault]
) -> ParameterSet | None:
    """The parameter set that a configuration names, or None and why not.

    Args:
        name: as it is written in the configuration.
        folder: that of the configuration.
        model: the model that the configuration uses.
        place: where the name is written.
        faults: takes what is wrong.
    """
    file = folder / name
    try:
        return read_parameter_set(file, model)
    except ConfigError as error:
        faults += [
            Fault(("model", "parameters_file"), f"{fault.text} ({file})", place, shown(name))
            if not fault.path and (fault.place is None or fault.place.line is None)
            else fault
            for fault in error.faults
        ]
    return None


def parameter_values(
    section: ModelSection, model: PlantModel, given: ParameterSet | None
) -> dict[str, float]:
    """All parameters of a model: as published, replaced by a set, then one by one."""
    nominal = {name: item.value for name, item in model.parameters.items()}
    return {**nominal, **(given.values if given else {}), **section.parameters}


def allowed(parameter: Parameter) -> str:
    """The range of a parameter with its unit: `0.01..0.2 1/h`."""
    unit = "" if parameter.unit == "1" else f" {parameter.unit}"
    return f"{parameter.lower:.10g}..{parameter.upper:.10g}{unit}"


def _faults(text: ConfigText, model: PlantModel) -> Iterator[Fault]:
    """Everything that is wrong; of another model's file only that it is another model's."""
    whose = text.data.get("model")
    if isinstance(whose, str) and whose != model.name:
        sentence = f"these are the parameters of another model; needed are those of {model.name}"
        yield _fault(text, ("model",), sentence)
        return
    try:
        _File.model_validate(text.data)
    except ValidationError as error:
        yield from explain(_File, text, error.errors(include_url=False))
    entries = text.data.get("parameters")
    if isinstance(entries, dict):
        for path, sentence in _parameter_findings(entries, model):
            yield _fault(text, ("parameters", *path), sentence)


def _fault(text: ConfigText, path: KeyPath, sentence: str) -> Fault:
    return Fault(path, sentence, text.place(path), shown(_value_at(text, path)))


def _value_at(text: ConfigText, path: KeyPath) -> PlainValue:
    """The value at a path; an empty list, which is not shown, when there is none."""
    found: PlainValue = text.data
    for part in path:
        if not isinstance(found, dict) or part not in found:
            return []
        found = found[part]
    return found


def _parameter_findings(
    entries: Mapping[str, PlainValue], model: PlantModel
) -> Iterator[tuple[KeyPath, str]]:
    for name, parameter in model.parameters.items():
        if name not in entries:
            yield (name,), f"is missing: {parameter.meaning}, within {allowed(parameter)}"
    for name, entry in entries.items():
        known = model.parameters.get(name)
        if known is None:
            yield (
                (name,),
                f"is no parameter of {model.name}; {alternatives(name, model.parameters)}",
            )
        else:
            for path, sentence in _entry_findings(entry, known):
                yield (name, *path), sentence


def _entry_findings(entry: PlainValue, known: Parameter) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with one parameter's value and unit."""
    if not isinstance(entry, dict):
        yield (), f"must be {{value: NUMBER, unit: {known.unit}}}, within {allowed(known)}"
        return
    for key in entry:
        if key not in _ENTRY_KEYS:
            yield (key,), f"is not a key here; {alternatives(key, _ENTRY_KEYS)}"
    if "value" not in entry:
        yield ("value",), f"is missing: a number within {allowed(known)}"
    elif not _is_number(entry["value"]):
        yield ("value",), f"must be a number within {allowed(known)}"
    elif not isfinite(entry["value"]):
        yield ("value",), f"must be a finite number within {allowed(known)}"
    elif not known.lower <= entry["value"] <= known.upper:
        yield ("value",), f"must be within {allowed(known)}"
    if "unit" not in entry:
        yield ("unit",), f"is missing: the model's unit is {known.unit}"
    elif str(entry["unit"]) != known.unit:
        remedy = f"must be {known.unit}, the model's unit, and the value within {allowed(known)}"
        yield ("unit",), remedy


def _is_number(value: PlainValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_HEAD = """\
# All parameters of {model}.
# Above each one: what it is, the range that is accepted, where the published value comes from.
# A configuration uses this file by
#
#   model:
#     name: {model}
#     parameters_file: FILE
"""


def nominal_parameter_set(model: PlantModel) -> str:
    """The parameters of a model as published, as the text of a file to start from."""
    origin = f"Nominal values of the model ({model.source}). Say here who fitted yours, from what."
    lines = [
        _HEAD.format(model=model.name),
        f"model: {_quoted(model.name)}",
        fill(f"origin: {_quoted(origin)}", subsequent_indent="  ", **_WHOLE_WORDS),
        "",
        "parameters:",
    ]
    for name, parameter in model.parameters.items():
        remark = f"{parameter.meaning}; {allowed(parameter)}; {parameter.source}"
        lines += [
            fill(remark, initial_indent="  # ", subsequent_indent="  # ", **_WHOLE_WORDS),
            f"  {name}: {{value: {float(parameter.value)!r}, unit: {_quoted(parameter.unit)}}}",
        ]
    return "\n".join(lines) + "\n"


_WHOLE_WORDS: dict[str, Any] = {
    "width": 98,
    "break_long_words": False,
    "break_on_hyphens": False,
}


def _quoted(text: str) -> str:
    """Text as YAML and JSON both write it, without line breaks."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
