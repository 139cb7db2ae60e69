"""Finding models: every file of this folder that defines one, by the name a configuration uses."""

import importlib
import pkgutil
from types import ModuleType

import plant_models
from plant_models.model import PlantModel


def models_in(module: ModuleType) -> dict[str, PlantModel]:
    """The models that a module defines, by name, in the order of definition.

    Raises:
        ValueError: two of them have one name.
    """
    found: dict[str, PlantModel] = {}
    for value in vars(module).values():
        if isinstance(value, PlantModel) and found.setdefault(value.name, value) is not value:
            raise ValueError(f"{module.__name__} defines two models named {value.name!r}")
    return found


def _library() -> dict[str, PlantModel]:
    names = sorted(info.name for info in pkgutil.iter_modules(plant_models.__path__))
    models: dict[str, PlantModel] = {}
    for name in names:
        if name != "library":
            models |= models_in(importlib.import_module(f"plant_models.{name}"))
    return models


MODELS: dict[str, PlantModel] = _library()
"""Every model of the library."""


def find_model(name: str) -> PlantModel:
    """The model called `name`; KeyError with the known names otherwise."""
    if name not in MODELS:
        raise KeyError(f"no model named {name!r}; known: {', '.join(sorted(MODELS))}")
    return MODELS[name]
