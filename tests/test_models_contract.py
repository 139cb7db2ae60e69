"""Every model of the library is held to the same checks, and so is a site's own."""

from pathlib import Path

import pytest

from mpc_agent.model_check.contract import check_model, check_structure
from plant_models.library import MODELS
from plant_models.model import PlantModel
from tests.examples_broken_models import METHOD, changed_model


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_model_of_the_library_passes_every_check(model: PlantModel) -> None:
    outcomes = check_model(model)
    assert [str(item) for outcome in outcomes for item in outcome.faults] == []
    assert all(outcome.done for outcome in outcomes)


def test_the_example_passes_every_check(tmp_path: Path) -> None:
    outcomes = check_model(changed_model(tmp_path))
    assert [item for outcome in outcomes for item in outcome.findings] == []
    names = ["description", "dialect", "engines", "units", "non-negative", "balances"]
    assert [outcome.check for outcome in outcomes] == [*names, "integrator", "batches"]


def test_checks_that_need_what_is_wrong_are_not_made(tmp_path: Path) -> None:
    outcomes = check_model(changed_model(tmp_path, ("accuracy=1e-4", "accuracy=1")))
    assert [outcome.done for outcome in outcomes] == 2 * [True] + 6 * [False]
    assert outcomes[2].summary == "not checked: description must be right first"
    outcomes = check_model(changed_model(tmp_path, (METHOD, "")))
    assert [outcome.done for outcome in outcomes] == 7 * [True] + [False]


def test_a_batch_that_stops_is_a_finding(tmp_path: Path) -> None:
    outcomes = check_model(changed_model(tmp_path, ("(0.0, {}),", "")))
    assert [outcome.done for outcome in outcomes] == 6 * [True] + 2 * [False]
    (finding,) = outcomes[6].faults
    assert finding.text.startswith("cannot be checked: IndexError")


def test_the_quick_checks_are_those_of_text_and_units(tmp_path: Path) -> None:
    outcomes = check_structure(changed_model(tmp_path))
    assert [outcome.check for outcome in outcomes] == ["description", "dialect", "units"]
