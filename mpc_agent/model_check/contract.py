"""All checks of a model, in the order in which their findings are best read."""

from collections.abc import Callable, Sequence

from mpc_agent.model_check.balances import check_balances
from mpc_agent.model_check.batches import check_batches
from mpc_agent.model_check.description import check_description
from mpc_agent.model_check.engines import check_engines
from mpc_agent.model_check.findings import Outcome, fault
from mpc_agent.model_check.integration import check_integration
from mpc_agent.model_check.places import in_words, place_of
from mpc_agent.model_check.signs import check_signs
from mpc_agent.model_check.source import check_source
from mpc_agent.model_check.subject import Subject
from mpc_agent.model_check.units import check_units
from plant_models.model import PlantModel

Check = Callable[[Subject], Outcome]

STRUCTURE: tuple[tuple[str, Check], ...] = (
    ("description", check_description),
    ("dialect", check_source),
)
"""What can be read; everything else needs it to be right."""

EQUATIONS: tuple[tuple[str, Check], ...] = (("engines", check_engines),)
"""Whether the equations can be computed."""

RATES: tuple[tuple[str, Check], ...] = (
    ("units", check_units),
    ("non-negative", check_signs),
    ("balances", check_balances),
    ("integrator", check_integration),
)
"""What sound equations promise."""

BATCHES: tuple[tuple[str, Check], ...] = (("batches", check_batches),)
"""What whole batches show, where they can be integrated."""


def check_model(model: PlantModel, file: str | None = None) -> tuple[Outcome, ...]:
    """Every check; those that need what a fault spoils are not made, and say so.

    Args:
        model: the model.
        file: the file that defines it, if that is not where its equations are.
    """
    subject = Subject(model, file)
    outcomes: list[Outcome] = []
    for group in (STRUCTURE, EQUATIONS, RATES, BATCHES):
        spoilt = [item.check for item in outcomes if item.faults and item.check in _NEEDED]
        for name, check in group:
            outcomes.append(_not_made(name, spoilt) if spoilt else _made(name, check, subject))
    return tuple(outcomes)


_NEEDED = ("description", "dialect", "engines", "integrator")
"""Checks without which the later ones cannot be made."""


def check_structure(model: PlantModel, file: str | None = None) -> tuple[Outcome, ...]:
    """The checks that take no time: what can be read, and units."""
    subject = Subject(model, file)
    outcomes = [_made(name, check, subject) for name, check in STRUCTURE]
    if not any(item.faults for item in outcomes):
        outcomes.append(_made("units", check_units, subject))
    return tuple(outcomes)


def _not_made(name: str, spoilt: Sequence[str]) -> Outcome:
    return Outcome(name, f"not checked: {' and '.join(spoilt)} must be right first", done=False)


def _made(name: str, check: Check, subject: Subject) -> Outcome:
    try:
        return check(subject)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is a finding about it
        where = place_of(error, subject.files)
        text = f"cannot be checked: {in_words(error)}"
        return Outcome(name, "not checked", (fault(name, text, where),), done=False)
