"""Overrides of single keys by environment variables.

`MPC_AGENT__CYCLE__PERIOD_S=300` replaces `cycle.period_s`; a number between the double underscores
picks an item of a list. Names are those of the file, compared without regard to
case; a name that the file does not have counts as lower case when it is written in capitals only.
The value is read as YAML, so `null`, `true` and `[60, 80]` mean what they mean in the file.
"""

from collections.abc import Mapping
from copy import deepcopy

from mpc_agent.config.faults import ConfigError, Fault, KeyPath, Place, PlainValue
from mpc_agent.config.text import ConfigText, parse_scalar

PREFIX = "MPC_AGENT__"
SEPARATOR = "__"


def with_environment(text: ConfigText, environment: Mapping[str, str]) -> ConfigText:
    """A configuration with its overrides applied.

    Raises:
        ConfigError: a variable that cannot be read or points below a plain value; all of them.
    """
    data, places, faults = deepcopy(text.data), dict(text.places), []
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX):
            continue
        place = Place(f"environment variable {name}")
        parts = name[len(PREFIX) :].split(SEPARATOR)
        try:
            path = _override(data, parts, parse_scalar(environment[name]))
        except ValueError as error:
            faults.append(Fault((), str(error), place, repr(environment[name])))
        else:
            places = {key: at for key, at in places.items() if key[: len(path)] != path}
            places[path] = place
    if faults:
        raise ConfigError(faults)
    return ConfigText(data, places)


def _override(data: dict[str, PlainValue], parts: list[str], value: PlainValue) -> KeyPath:
    """Put a value where the parts lead, and return the path of keys that it took.

    Raises:
        ValueError: the parts lead nowhere.
    """
    if not all(parts):
        raise ValueError("has an empty part; write MPC_AGENT__SECTION__KEY")
    path: KeyPath = ()
    container: PlainValue = data
    for position, part in enumerate(parts):
        key = _key_in(container, part, path)
        path = (*path, key)
        if position == len(parts) - 1:
            container[key] = value
        else:
            if isinstance(container, dict) and container.get(str(key)) is None:
                container[key] = {}
            container = container[key]
    return path


def _key_in(container: PlainValue, part: str, path: KeyPath) -> str | int:
    """The key of a section, or the position in a list, that a part of a variable's name means."""
    above = ".".join(str(key) for key in path)
    if isinstance(container, dict):
        if part in container:
            return part
        same: list[str] = [key for key in container if key.lower() == part.lower()]
        return same[0] if same else part.lower() if part.isupper() else part
    if isinstance(container, list):
        if not part.isdecimal() or int(part) >= len(container):
            raise ValueError(f"{above} has items 0 to {len(container) - 1}, not {part}")
        return int(part)
    raise ValueError(f"{above} is a plain value; it has no key {part}")
