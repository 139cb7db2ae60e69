"""Small simulated plants for tests."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim_plant.plant import SimulatedPlant
from sim_plant.process_settings import ControlUnitSettings
from sim_plant.settings import PlantSettings

CONFIGS = Path(__file__).parents[1] / "configs"
RECIPE = CONFIGS / "cho_recipe.csv"


def plant_settings(**changed: Any) -> PlantSettings:
    """The default plant with the recipe of the examples; sections given replace the defaults."""
    unit = ControlUnitSettings(recipe_file=RECIPE)
    return PlantSettings(**{"control_unit": unit, **changed})


def small_plant(**changed: Any) -> SimulatedPlant:
    """A plant with such settings."""
    return SimulatedPlant(plant_settings(**changed))


def advance(plant: SimulatedPlant, hours: float) -> None:
    """Let time pass."""
    plant.advance_to(plant.time_s + 3600 * hours)


def take_control(plant: SimulatedPlant, owner: str = "agent", connection: str = "") -> None:
    """Do what a controller does to begin."""
    assert plant.write("Control.Owner", owner, connection) == "GOOD"
    assert plant.write("Control.Request", False, connection) == "GOOD"
    assert plant.write("Control.Request", True, connection) == "GOOD"


def number(plant: SimulatedPlant, name: str) -> float:
    """What a tag with a number says now."""
    value = plant.tag(name).value
    assert isinstance(value, float)
    return value


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must happen soon."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens over a real socket
            await asyncio.sleep(0.001)
