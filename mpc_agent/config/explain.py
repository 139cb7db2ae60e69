"""What a schema has against a configuration, in sentences a person can act on."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mpc_agent.config.faults import Fault, KeyPath, PlainValue, alternatives, shown
from mpc_agent.config.text import ConfigText

Annotation: TypeAlias = Any
"""A type as it is written, such as `dict[str, Section]` or `A | B`."""


def explain(
    schema: type[BaseModel], text: ConfigText, errors: Iterable[ErrorDetails]
) -> list[Fault]:
    """Faults for the errors of a schema, one per key."""
    faults: dict[KeyPath, Fault] = {}
    for error in errors:
        path = _key_path(error, text.data)
        sentence = _sentence(error, path, schema)
        given = None if error["type"] in _MISSING else shown(text.value(path))
        faults.setdefault(path, Fault(path, sentence, text.place(path), given))
    return list(faults.values())


def _key_path(error: ErrorDetails, data: PlainValue) -> KeyPath:
    """Path of the error in the data, without the schema's own steps such as union tags."""
    path: KeyPath = ()
    here = data
    for part in error["loc"]:
        below = _step(here, part)
        if below is not None:
            path, here = (*path, part), below[0]
    if error["type"] == "missing":
        return (*path, error["loc"][-1])
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return (*path, str(error["ctx"]["discriminator"]).strip("'"))
    return path


def _step(here: PlainValue, part: str | int) -> tuple[PlainValue] | None:
    """What stands below a value at a key or position, or None when there is nothing."""
    if isinstance(here, Mapping):
        return (here[part],) if part in here else None
    if isinstance(here, list) and isinstance(part, int) and part < len(here):
        return (here[part],)
    return None


def _sentence(error: ErrorDetails, path: KeyPath, schema: type[BaseModel]) -> str:
    """What is wrong and what would be right."""
    context: Mapping[str, PlainValue] = error.get("ctx", {})
    kind = error["type"]
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _FROM_CONTEXT:
        return _FROM_CONTEXT[kind](context)
    if kind in (*_MISSING, "extra_forbidden", "string_pattern_mismatch"):
        return _about_key(kind, path, schema)
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        expected = str(context.get("expected", context.get("expected_tags", "")))
        given = str(context.get("tag", error["input"]))
        known = re.findall("'([^']*)'", expected)
        return f"is not known; {alternatives(given, known)}"
    return error["msg"][0].lower() + error["msg"][1:]


def _about_key(kind: str, path: KeyPath, schema: type[BaseModel]) -> str:
    """What the schema says of a key itself."""
    if kind == "extra_forbidden":
        known = known_keys(schema, path[:-1])
        return f"is not a key here; {alternatives(str(path[-1]), known)}"
    meaning = description(schema, path)
    if kind in _MISSING:
        return f"is missing: {meaning}" if meaning else "is missing"
    return f"is not allowed. {meaning}".rstrip()


_PLAIN = {
    "float_type": "must be a number, without a unit: the unit is fixed by the key",
    "int_type": "must be a whole number, without a unit",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty",
    "finite_number": "must be a finite number",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
    "tuple_type": "must be a list, such as [1, 2]",
    "list_type": "must be a list, such as [1, 2]",
}
_FROM_CONTEXT: dict[str, Callable[[Mapping[str, PlainValue]], str]] = {
    "greater_than": lambda context: f"must be above {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than": lambda context: f"must be below {context['lt']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "too_short": lambda context: f"needs at least {context['min_length']}",
    "too_long": lambda context: f"must have at most {context['max_length']}",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "value_error": lambda context: str(context["error"]),
}
_MISSING = ("missing", "union_tag_not_found")


def known_keys(schema: type[BaseModel], path: KeyPath) -> set[str]:
    """Keys that the section at a path may have."""
    keys: set[str] = set()
    for section in _sections(schema, path):
        keys.update(section.model_fields)
    return keys


def description(schema: type[BaseModel], path: KeyPath) -> str:
    """What a key means, in one line; empty when nothing is written."""
    if not path:
        return ""
    for section in _sections(schema, path[:-1]):
        if str(path[-1]) in section.model_fields:
            return field_description(section, str(path[-1]))
    return ""


def field_description(section: type[BaseModel], name: str) -> str:
    """What a key of a section means, in one line, from its own docstring or its class's."""
    written = section.model_fields[name].description or ""
    for owner in section.__mro__:
        if written or owner is BaseModel:
            break
        attributes = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:")[2]
        found = re.search(rf"^ {{4}}{name}: (.*(?:\n {{8,}}.*)*)", attributes, re.MULTILINE)
        written = found[1] if found else ""
    line = " ".join(written.split())
    return line[:1].upper() + line[1:]


def _sections(schema: type[BaseModel], path: KeyPath) -> list[type[BaseModel]]:
    """Section classes that may stand at a path; several where kinds differ."""
    annotations: list[Annotation] = [schema]
    for part in path:
        annotations = [inner for outer in annotations for inner in _below(outer, part)]
    return [section for outer in annotations for section in section_types(outer)]


def _below(annotation: Annotation, part: str | int) -> list[Annotation]:
    """Types of what stands below a type at a key or position."""
    sections = section_types(annotation)
    if sections:
        fields = (section.model_fields.get(str(part)) for section in sections)
        return [field.annotation for field in fields if field is not None]
    return [inner for inner in get_args(annotation) if section_types(inner)]


def section_types(annotation: Annotation) -> list[type[BaseModel]]:
    """Section classes that a type directly is: itself, or the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if getattr(annotation, "__metadata__", None):
        return section_types(annotation.__origin__)
    if is_union(annotation):
        return [found for inner in get_args(annotation) for found in section_types(inner)]
    return []


def is_union(annotation: Annotation) -> bool:
    """Whether a type is `A | B`."""
    return origin_of(annotation) in (Union, UnionType)


def origin_of(annotation: Annotation) -> object:
    """`dict` for `dict[str, float]` and so on; None for plain types."""
    return get_origin(annotation)
