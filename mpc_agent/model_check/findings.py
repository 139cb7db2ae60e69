"""What a check says of a model."""

from dataclasses import dataclass
from enum import StrEnum

from mpc_agent.config.faults import Place


class Severity(StrEnum):
    """How much a finding weighs."""

    FAULT = "fault"
    """The model must not be used like this."""

    NOTE = "note"
    """Worth knowing; the model can be used."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check noticed.

    Attributes:
        check: the check.
        severity: how much it weighs.
        text: what is wrong, with the offending numbers, and what would be right.
        place: line of the model's file, where there is one to point at.
    """

    check: str
    severity: Severity
    text: str
    place: Place | None = None

    def __str__(self) -> str:
        """One line, for people."""
        return ": ".join(str(part) for part in (self.place, self.text) if part)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found.

    Attributes:
        check: the check.
        summary: what was looked at, with figures; what was not, and why.
        findings: what is wrong or worth knowing.
        done: whether the check could be made.
    """

    check: str
    summary: str
    findings: tuple[Finding, ...] = ()
    done: bool = True

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that must be put right."""
        return tuple(item for item in self.findings if item.severity is Severity.FAULT)


def fault(check: str, text: str, place: Place | None = None) -> Finding:
    """Something that must be put right."""
    return Finding(check, Severity.FAULT, text, place)


def note(check: str, text: str, place: Place | None = None) -> Finding:
    """Something worth knowing."""
    return Finding(check, Severity.NOTE, text, place)
