"""YAML text to plain values, remembering the line of every key.

YAML as version 1.2 defines its core: `1e-3` is a number, `on`, `yes` and `12:30` are text. A key
given twice, tags, and documents that unfold without end are refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mpc_agent.config.faults import ConfigError, Fault, KeyPath, Place, PlainValue

LARGEST_FILE_BYTES = 1_000_000
MOST_VALUES = 50_000
DEEPEST_NESTING = 30


class _CoreLoader(yaml.SafeLoader):
    """YAML with the scalar types of the 1.2 core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN", ""),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", None),
    "int": (r"[-+]?[0-9]+", "-+0123456789", None),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
        None,
    ),
}
for _name, (_pattern, _first, _empty) in _SCALARS.items():
    _starts = [*_first, *([""] if _empty is not None else [])]
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _starts)


@dataclass(frozen=True)
class ConfigText:
    """Plain values with their places.

    Attributes:
        data: nested dicts, lists and scalars.
        places: where each value was written, by key path.
    """

    data: dict[str, PlainValue]
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place | None:
        """Where a value was written; for one that is missing, where its section begins."""
        for length in range(len(path), -1, -1):
            found = self.places.get(path[:length])
            if found is not None:
                return found
        return None

    def value(self, path: KeyPath) -> PlainValue:
        """The value at a key path; None when there is none."""
        found: PlainValue = self.data
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found


def read_config_text(path: Path) -> ConfigText:
    """Values and places of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is not a mapping at its top.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise _whole(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _whole(path, "is not text in UTF-8") from None
    if len(content) > LARGEST_FILE_BYTES:
        raise _whole(path, f"is larger than {LARGEST_FILE_BYTES} bytes: not a configuration")
    return parse_config_text(text, str(path))


def parse_config_text(text: str, source: str) -> ConfigText:
    """Values and places of a YAML text; `source` names it in messages.

    Raises:
        ConfigError: not YAML, or not a mapping at its top.
    """
    node = _compose(text, source)
    reader = _Reader(source)
    data = {} if node is None else reader.value(node, ())
    if not isinstance(data, dict):
        reader.fault((), node, "must be sections with keys, such as `model:`")
    if reader.faults:
        raise ConfigError(reader.faults)
    return ConfigText(data, {**reader.places, (): Place(source)})


def parse_scalar(text: str) -> PlainValue:
    """A value written in an environment variable, read as in a file.

    Raises:
        ValueError: not YAML, or more than one value.
    """
    try:
        data = parse_config_text(f"value: {text}", "value").data
    except ConfigError as error:
        raise ValueError(error.faults[0].text) from None
    if len(data) > 1:
        raise ValueError("is more than one value")
    return data["value"]


def _compose(text: str, source: str) -> yaml.Node | None:
    loader: _CoreLoader | None = None
    try:
        loader = _CoreLoader(text)
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        text = f"is not valid YAML: {error.problem or error.context}"
        raise ConfigError([Fault((), text, Place(source, line))]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise ConfigError([Fault((), f"is not valid YAML: {reason}", Place(source))]) from None
    finally:
        if loader is not None:
            loader.dispose()
    return node


def _whole(path: Path, text: str) -> ConfigError:
    return ConfigError([Fault((), text, Place(str(path)))])


class _Reader:
    """Turns YAML nodes into plain values, collecting places and faults."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[KeyPath, Place] = {}
        self.faults: list[Fault] = []

    def fault(self, path: KeyPath, node: yaml.Node | None, text: str) -> None:
        """Record what is wrong at a node."""
        line = None if node is None else node.start_mark.line + 1
        self.faults.append(Fault(path, text, Place(self.source, line)))

    def value(self, node: yaml.Node, path: KeyPath) -> PlainValue:
        """The plain value of a node and of everything below it."""
        self.places.setdefault(path, Place(self.source, node.start_mark.line + 1))
        if len(path) > DEEPEST_NESTING or len(self.places) > MOST_VALUES:
            if not self.faults:
                self.fault(path[:3], node, "is nested too deeply or unfolds into too many values")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items: list[yaml.Node] = node.value
            return [self.value(item, (*path, i)) for i, item in enumerate(items)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, PlainValue]:
        values: dict[str, PlainValue] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(path, key, "has a key that is not a plain name")
                continue
            name = str(key.value)
            inner = (*path, name)
            if name in values:
                first = self.places[inner].line
                self.fault(inner, key, f"is given twice; the first one is in line {first}")
                continue
            self.places[inner] = Place(self.source, key.start_mark.line + 1)
            values[name] = self.value(value, inner)
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath) -> PlainValue:
        text, tag = str(node.value), node.tag.removeprefix(_TAG)
        convert = _CONVERTERS.get(tag)
        if convert is None:
            self.fault(path, node, f"has the tag {tag!r}, which is not used here")
            return None
        try:
            return convert(text)
        except ValueError:
            self.fault(path, node, f"is marked as {tag}, but {text!r} is none")
            return None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= LONGEST_INTEGER else float(text)


def _number(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _null(_text: str) -> None:
    return None


_CONVERTERS: dict[str, Callable[[str], PlainValue]] = {
    "str": str,
    "null": _null,
    "bool": _boolean,
    "int": _integer,
    "float": _number,
}

LONGEST_INTEGER = 18
"""Digits of a whole number; longer ones are read as approximate numbers."""
