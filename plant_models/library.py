"""Finding models: every file of this folder that defines one, by the name a configuration uses."""

import importlib
import pkgutil
from types import ModuleType

import plant_models
from plant_models.model import PlantModel
from plant_models.model_file import ModelFileError, load_module


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


def models_in_file(path: str) -> dict[str, PlantModel]:
    """The models that a file outside this package defines, by name.

    Args:
        path: absolute path of a Python file. It is a program, and it is run.

    Raises:
        ModelFileError: it cannot be read or run, or defines no model.
    """
    try:
        found = models_in(load_module(path))
    except ValueError as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(path, None, str(error)) from None
    library = {id(model) for model in MODELS.values()}
    own = {name: model for name, model in found.items() if id(model) not in library}
    if not own:
        text = "defines no model: there must be a name to which a PlantModel(...) is assigned"
        raise ModelFileError(path, None, text)
    return own


def find_or_load_model(name: str | None, path: str | None) -> PlantModel:
    """A model of the library, or of a file outside it.

    Args:
        name: its name; may be None when the file defines one alone.
        path: absolute path of the Python file; None for the library.

    Raises:
        KeyError: neither the library nor the file has a model of that name; the text says which
            there are.
        ModelFileError: the file cannot be read or run, or defines no model.
    """
    if path is None:
        return find_model("" if name is None else name)
    models = models_in_file(path)
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    if name is None:
        names = ", ".join(models)
        raise KeyError(f"the file defines several models, say which by name: {names}")
    if name not in models:
        raise KeyError(f"no model named {name!r}; known: {', '.join(sorted(models))}")
    return models[name]


def load_model(name_or_file: str, name: str | None = None) -> PlantModel:
    """A model by its name in the library, or from a site's own file.

    Args:
        name_or_file: name of a model of the library, or path of a Python file, ending in `.py`.
        name: which of the file's models; not needed when it defines one alone.

    Raises:
        KeyError: there is no model of that name; the text says which there are.
        ModelFileError: the file cannot be read or run, or defines no model.
    """
    if name_or_file.endswith(".py"):
        return find_or_load_model(name, name_or_file)
    return find_or_load_model(name_or_file, None)
