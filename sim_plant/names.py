"""Names: the model a plant runs, and what its tags are called when nobody says otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from plant_models.library import find_or_load_model
from plant_models.model import Input, Output, PlantModel
from plant_models.model_file import ModelFileError
from sim_plant.errors import PlantError

DEFAULT_MODEL: Final = "cho_mab_full"
"""The model of the plant that the package brings along."""

WATER: Final = "water"
ANTIFOAM: Final = "antifoam"
WITHDRAWN: Final = "withdrawn"
"""Broth taken out of the vessel."""


def model_of(setting: object) -> PlantModel:
    """The model that a plant's setting `model` means: the one place where models are found.

    Args:
        setting: name of a model of the library, or a mapping with `file`, a Python file outside
            it, and `name`, which may be left out when the file defines one model alone.

    Raises:
        PlantError: it means none.
    """
    choice = {"name": setting} if isinstance(setting, str) else setting
    if not isinstance(choice, Mapping) or not choice or not set(choice) <= {"name", "file"}:
        raise PlantError("model: must be a name, or {file: my_model.py, name: my_model}")
    name, file = choice.get("name"), choice.get("file")
    if not isinstance(name, str | None) or not isinstance(file, str | None):
        raise PlantError("model: name and file must be texts")
    try:
        return find_or_load_model(name, None if file is None else str(Path(file).resolve()))
    except KeyError as error:
        raise PlantError(f"model: {error.args[0]}") from None
    except ModelFileError as error:
        raise PlantError(f"model: {error}") from None


def shown(model: PlantModel, name: str) -> Input | Output:
    """What an instrument shows: an output of the model, else an input."""
    return model.outputs_info.get(name) or model.inputs[name]


def liquids(model: PlantModel) -> tuple[str, ...]:
    """What can be given or taken by hand: the model's feeds, water, antifoam, and broth."""
    return tuple(dict.fromkeys((*model.volume_flows, WATER, ANTIFOAM, WITHDRAWN)))


def booking_tag(liquid: str) -> str:
    """Name of the tag that shows the latest booked dose of a liquid: Booked.GlucoseFeed."""
    return f"Booked.{camel_case(liquid)}"


def camel_case(name: str) -> str:
    """A name as tags are written: `glucose_feed` becomes GlucoseFeed, and pH stays pH."""
    words = name.split("_")
    return "".join(word if word == "pH" else word[:1].upper() + word[1:] for word in words)
