"""The example of a site's own model, right and spoilt, for tests of what is said about it."""

from pathlib import Path

from mpc_agent.model_check.contract import Check
from mpc_agent.model_check.findings import Outcome
from mpc_agent.model_check.subject import Subject
from plant_models.library import models_in_file
from plant_models.model import PlantModel

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
EXAMPLE = EXAMPLES / "my_model.py"

Change = tuple[str, str]
"""A piece of the example's text, and what stands there instead."""


GUARD = 'x.glycerol / (x.glycerol + xp.quantity(0.01, "g/L"))'
METHOD = "method=Method.IMPLICIT,"
STEPS = "substeps_per_h=60,"
"""Pieces of its text."""


def write_model(folder: Path, *changes: Change) -> Path:
    """The example with some of its text changed."""
    text = EXAMPLE.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {EXAMPLE}"
        text = text.replace(old, new)
    file = folder / "my_model.py"
    file.write_text(text)
    return file


def changed_model(folder: Path, *changes: Change) -> PlantModel:
    """The model of the changed example."""
    (model,) = models_in_file(str(write_model(folder, *changes))).values()
    return model


def outcome_of(check: Check, folder: Path, *changes: Change) -> Outcome:
    """What a check finds in the changed example."""
    return check(Subject(changed_model(folder, *changes)))


def faults(check: Check, folder: Path, *changes: Change) -> list[str]:
    """What a check has against the changed example."""
    return [item.text for item in outcome_of(check, folder, *changes).faults]


def line_of(file: Path, text: str) -> int:
    """The line in which a text stands, from one."""
    lines = file.read_text().splitlines()
    (line,) = (number for number, content in enumerate(lines, 1) if text in content)
    return line
