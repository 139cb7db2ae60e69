"""What is wrong with a configuration: every fault with its place, value and remedy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

from mpc_agent.errors import ExitCode, UserError

PlainValue: TypeAlias = Any
"""A value as YAML has it: dict, list, str, int, float, bool or None."""

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a configuration down to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written.

    Attributes:
        source: a file, or "environment variable NAME".
        line: line of the file from one, or None.
    """

    source: str
    line: int | None = None

    def __str__(self) -> str:
        """As compilers write it, so that editors can jump to it."""
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: the key, from the top of the configuration; empty for the file as a whole.
        text: what is wrong and what would be right.
        place: where it was written, or where it is missing.
        given: the value as it was given, None when there is none or it is a whole section.
    """

    path: KeyPath
    text: str
    place: Place | None = None
    given: str | None = None

    def __str__(self) -> str:
        """One line: place, key and value, what is wrong."""
        key = dotted(self.path)
        if key and self.given is not None:
            key += f" = {self.given}"
        return ": ".join(str(part) for part in (self.place, key, self.text) if part)


class ConfigError(UserError):
    """A configuration that cannot be used.

    Attributes:
        faults: everything that is wrong, in the order of the file.
    """

    exit_code = ExitCode.CONFIG

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"the configuration has {count}:\n{lines}")


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults as one meets them when reading: by source, line and key."""
    return sorted(faults, key=_reading_order)


def _reading_order(fault: Fault) -> tuple[str, int, str]:
    place = fault.place or Place("")
    return place.source, place.line or 0, dotted(fault.path)


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `control.feed.limits[2].upper`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def shown(value: object) -> str | None:
    """A value as a person would recognise it in a message; None for whole sections."""
    if isinstance(value, dict | list | tuple):
        return None
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}..."
        return repr(text)
    return str(value)[:LONGEST_SHOWN]


LONGEST_SHOWN = 80
"""Characters of a value that a message repeats."""


def alternatives(given: str, known: Iterable[str]) -> str:
    """Which names would have been right, closest first when one is close."""
    names = sorted(known)
    if not names:
        return "nothing is allowed here"
    by_lower = {name.lower(): name for name in names}
    close = get_close_matches(given.lower(), by_lower, n=1, cutoff=0.6)
    listed = ", ".join(names)
    if close:
        return f"did you mean {by_lower[close[0]]}? (known: {listed})"
    return f"known: {listed}"
