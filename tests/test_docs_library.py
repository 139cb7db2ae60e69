"""The page about use as a library: it is run as one script, and prints what it shows."""

import re
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "library.md"

FENCES = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def steps() -> list[tuple[str, str]]:
    """The page's code, block by block, each with the output shown after it, maybe none."""
    found: list[tuple[str, str]] = []
    for language, text in FENCES.findall(PAGE.read_text()):
        if language == "python":
            found.append((text, ""))
        else:
            assert language == "text", language
            code, shown = found.pop()
            assert not shown, "two outputs of one block"
            found.append((code, text))
    return found


def words(text: str) -> list[str]:
    """Everything but the numbers, without regard to the widths of columns."""
    return NUMBER.sub("#", text).split()


def numbers(text: str) -> list[str]:
    return NUMBER.findall(text)


def as_near_as_shown(shown: str, printed: str) -> bool:
    """Whether two numbers differ by no more than the last digit that is shown."""
    last_digit = 0.1 ** len(shown.partition(".")[2])
    return abs(float(shown) - float(printed)) <= 1.01 * last_digit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somewhere to run the page: it writes a plot, and loads the example of a site's model."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(DOCS / "examples", tmp_path / "docs" / "examples", ignore=ignored)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_prints_what_it_shows(folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "library"}
    for code, shown in steps():
        told = StringIO()
        with redirect_stdout(told):
            exec(compile(code, str(PAGE), "exec"), names)
        printed = told.getvalue()
        assert words(printed) == words(shown), f"{code}\nprinted:\n{printed}"
        pairs = zip(numbers(shown), numbers(printed), strict=True)
        assert all(as_near_as_shown(*pair) for pair in pairs), f"{code}\nprinted:\n{printed}"
    assert "plotly" in (folder / "glucose.html").read_text()


def test_the_page_is_short_blocks() -> None:
    lengths = [len(code.splitlines()) for code, _ in steps()]
    assert len(lengths) > 10
    assert max(lengths) <= 20
