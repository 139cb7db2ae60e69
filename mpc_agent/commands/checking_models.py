"""What `mpc-agent check my_model.py` finds: the checks of every model that a file defines."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from mpc_agent.config.faults import Place
from mpc_agent.model_check.contract import check_model
from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.places import place
from plant_models.library import models_in_file
from plant_models.model import PlantModel
from plant_models.model_file import ModelFileError

WIDTH = 98

_NAMES = 14
"""Columns for the names of the checks."""


@dataclass(frozen=True)
class ModelCheck:
    """One model and what the checks say of it."""

    model: PlantModel
    outcomes: tuple[Outcome, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What must be put right."""
        return tuple(item for outcome in self.outcomes for item in outcome.faults)

    def lines(self) -> list[str]:
        """For people."""
        verdict = _count(len(self.faults)) if self.faults else "no fault"
        lines = [f"{self.model.name} ({self.model.organism}): {verdict}"]
        for outcome in self.outcomes:
            lines += _wrapped(f"  {outcome.check:<{_NAMES}}", outcome.summary)
            for item in outcome.findings:
                lines += _wrapped(f"    {item.severity}: ", str(item))
        return lines

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "name": self.model.name,
            "ok": not self.faults,
            "checks": [_outcome_json(outcome) for outcome in self.outcomes],
        }


@dataclass(frozen=True)
class ModelFileCheck:
    """A file and what the checks say of its models.

    Attributes:
        file: the file.
        broken: why it could not be run, None when it could.
        models: its models.
    """

    file: Path
    broken: Finding | None
    models: tuple[ModelCheck, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What must be put right."""
        own = () if self.broken is None else (self.broken,)
        return (*own, *(item for model in self.models for item in model.faults))

    def text(self) -> str:
        """For people."""
        if self.broken is not None:
            return str(self.broken)
        return "\n\n".join("\n".join(model.lines()) for model in self.models)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "ok": not self.faults,
            "file": str(self.file),
            "faults": [_finding_json(item) for item in self.faults],
            "models": [model.as_json() for model in self.models],
        }


def check_model_file(file: Path) -> ModelFileCheck:
    """Run a file and check every model that it defines."""
    path = str(file.absolute())
    try:
        models = models_in_file(path)
    except ModelFileError as error:
        where = place(error.path, error.line)
        return ModelFileCheck(file, fault("file", error.text, where))
    checks = (ModelCheck(model, check_model(model, path)) for model in models.values())
    return ModelFileCheck(file, None, tuple(checks))


def _count(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"


def _wrapped(start: str, text: str) -> list[str]:
    """A paragraph that hangs behind its start; names of files are not broken."""
    return wrap(
        start + text,
        WIDTH,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    return {
        "check": outcome.check,
        "done": outcome.done,
        "summary": outcome.summary,
        "findings": [_finding_json(item) for item in outcome.findings],
    }


def _finding_json(item: Finding) -> dict[str, object]:
    where = item.place or Place("")
    return {
        "check": item.check,
        "severity": item.severity.value,
        "text": item.text,
        "source": where.source or None,
        "line": where.line,
    }
