"""The guide to adding a model, as a sequence of things to do and to see."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parent.parent / "docs" / "adding-a-model.md"

Change = tuple[str, str]


@dataclass(frozen=True)
class Run:
    """A command of the guide.

    Attributes:
        arguments: what follows `mpc-agent`.
        shown: the lines that the guide shows; `...` stands for any.
        change: what the guide has changed in the example before.
    """

    arguments: tuple[str, ...]
    shown: tuple[str, ...]
    change: Change | None


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for found, text in _fences() if found == language]


def _fences() -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE):
        yield match[1], match[2]


def runs() -> list[Run]:
    """The commands of the guide, each with the change before it."""
    found: list[Run] = []
    change: Change | None = None
    for language, text in _fences():
        lines = text.splitlines()
        if language == "diff":
            change = _change(lines)
        elif language == "console":
            command = lines[0].removeprefix("$ mpc-agent ").split()
            found.append(Run(tuple(command), tuple(lines[1:]), change))
            change = None
    return found


def _change(lines: list[str]) -> Change:
    old = "\n".join(line[1:] for line in lines if line.startswith("-"))
    new = "\n".join(line[1:] for line in lines if line.startswith("+"))
    return old, new


def comparable(line: str) -> str:
    """A line without the figures that rounding decides, and hashes."""
    line = re.sub(r"\d(\.\d+)?e-\d\d", "(small)", line)
    return re.sub(r"[0-9a-f]{64}", "(hash)", line).rstrip()


def as_shown(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether an output is what the guide shows."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(comparable(line)) + "\n"
        for line in shown
    )
    text = "".join(comparable(line) + "\n" for line in printed)
    return re.fullmatch(pattern, text) is not None
