"""Reading a plant file's YAML, and what is wrong with its values in words a person can act on."""

import json
import re
from collections.abc import Hashable, Mapping
from datetime import date, datetime
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from sim_plant.errors import PlantError

_LONGEST_VALUE = 60
"""Characters of a value that a message repeats."""

_LARGEST_TEXT = 1_000_000
"""Characters of a file that can be a plant's settings."""


class _PlantLoader(yaml.SafeLoader):
    """YAML in which a key stands once, and 1e-3 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A section; refused when a key is given twice, of which YAML keeps the last."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                text = f"{key.value!r} is given twice; the first one is in line {lines[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


_PlantLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def read_plant_yaml(text: str, source: str) -> dict[str, Any]:
    """The keys of a plant file with their values.

    Args:
        text: what the file says.
        source: its name, for messages.

    Raises:
        PlantError: it is not YAML, or not keys with values.
    """
    if len(text) > _LARGEST_TEXT:
        raise PlantError(f"{source}: is longer than {_LARGEST_TEXT} characters: no plant file")
    try:
        content = yaml.load(text, _PlantLoader)  # noqa: S506 - a safe loader
        # By way of JSON, so that keys are texts and times are not what YAML took them for.
        data: object = json.loads(
            json.dumps({} if content is None else content, default=_json_value)
        )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = source if mark is None else f"{source}:{mark.line + 1}"
        raise PlantError(f"{where}: {error.problem or error.context}") from None
    except RecursionError:
        raise PlantError(f"{source}: is nested too deeply") from None
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise PlantError(f"{source}: {error}") from None
    if not isinstance(data, dict):
        raise PlantError(f"{source}: a plant's settings must be keys with their values")
    return data


def _json_value(value: object) -> str:
    """YAML's own times as text, for strict parsing."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be used here")


def fault_lines(schema: type[BaseModel], fault: ErrorDetails) -> list[str]:
    """One fault of a validation: key, what is wrong, the value.

    Args:
        schema: what the file was read as.
        fault: of pydantic; those of the whole plant name their keys themselves.
    """
    key = ".".join(str(part) for part in fault["loc"])
    text = fault["msg"].removeprefix("Value error, ")
    if not key and fault["type"] == "value_error":
        return [f"  {line}" for line in text.splitlines()]
    return [f"  {key or 'settings'}: {_sentence(schema, fault, text)}{_given(fault)}"]


def _sentence(schema: type[BaseModel], fault: ErrorDetails, text: str) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(schema.model_fields) if len(fault["loc"]) == 1 else []
        return "is no key here" + (f"; known: {', '.join(known)}" if known else "")
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        return f"must be {words} {context[name]:g}"
    return _PLAIN.get(kind, text)


def _given(fault: ErrorDetails) -> str:
    """The value, unless it is a section or is not there."""
    value = fault["input"]
    if fault["type"] in ("missing", "extra_forbidden") or isinstance(value, Mapping | BaseModel):
        return ""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return f", but is {text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + '...'}"


_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}

_PLAIN = {
    "missing": "is missing",
    "float_type": "must be a number, without a unit",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "path_type": "must be the name of a file",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
    "tuple_type": "must be a list, such as [1, 2]",
    "is_instance_of": "must be a section with keys",
}
