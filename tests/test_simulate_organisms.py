"""Every organism's demo begins under control; as a long test, each beats its recipe."""

from pathlib import Path

import pytest

from mpc_agent.commands.simulation import load_for_simulation
from mpc_agent.simulate import Achieved, simulate

CONFIGS = Path(__file__).parent.parent / "configs"
DEMOS = ("ecoli_demo", "penicillin_demo", "yeast_demo")


def batch(name: str, folder: Path, cache: Path, hours: float | None) -> Achieved:
    """A batch of a demo, or its first hours, in this process."""
    settings, plant = load_for_simulation(CONFIGS / f"{name}.yaml", hours)
    return simulate(settings, plant, folder, compare=hours is None, cache=cache)


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_begins_under_control(name: str, tmp_path: Path) -> None:
    achieved = batch(name, tmp_path, tmp_path / "cache", hours=1.0)
    assert achieved.modes["CONTROL"] == achieved.cycles - 1
    assert achieved.hard_limits_violated == []
    assert not any(status == "NUMERICAL_ERROR" for status in achieved.solves.get("feed", {}))
    assert set(achieved.solves) <= {"feed"}


@pytest.mark.long
@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_beats_its_recipe(name: str, tmp_path: Path) -> None:
    achieved = batch(name, tmp_path, tmp_path / "cache", hours=None)
    assert achieved.recipe_product_g is not None
    assert achieved.final_product_g > 1.1 * achieved.recipe_product_g
    assert achieved.hard_limits_violated == []
    limits = achieved.constraint_violation_h
    assert max(limits.values()) < 0.5
