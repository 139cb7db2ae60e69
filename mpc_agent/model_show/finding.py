"""A model by its name in the library, or by the Python file that defines it."""

from pathlib import Path

from mpc_agent.config.faults import alternatives
from mpc_agent.errors import ExitCode, NoInputError, UserError
from mpc_agent.model_check.places import in_words, place_of
from plant_models.library import MODELS, models_in_file
from plant_models.model import PlantModel
from plant_models.model_file import ModelFileError


def named_model(name: str, chosen: str | None) -> PlantModel:
    """The model that a person means.

    Args:
        name: of a model of the library, or a Python file.
        chosen: which model of the file, when it defines several.

    Raises:
        UserError: there is none, or more than one.
    """
    if name in MODELS and chosen in (None, name):
        return MODELS[name]
    if not name.endswith(".py"):
        wanted = chosen if chosen is not None and name in MODELS else name
        text, known = f"no model is called {wanted!r}", alternatives(wanted, MODELS)
        own = "your own model is named by its Python file, such as my_model.py"
        raise UserError(f"{text}; {known}; {own}", ExitCode.USAGE)
    models = _models_of(Path(name))
    if chosen is None and len(models) == 1:
        return next(iter(models.values()))
    if chosen is None:
        text = f"{name} defines {len(models)} models: choose {', '.join(models)} with --model"
        raise UserError(text, ExitCode.USAGE)
    if chosen not in models:
        text = f"{name} defines no model called {chosen!r}; {alternatives(chosen, models)}"
        raise UserError(text, ExitCode.USAGE)
    return models[chosen]


def _models_of(file: Path) -> dict[str, PlantModel]:
    if not file.exists():
        raise NoInputError(f"{file} cannot be read: there is no such file")
    if file.is_dir():
        raise NoInputError(f"{file} cannot be read: it is a folder")
    try:
        return models_in_file(str(file.absolute()))
    except ModelFileError as error:
        raise UserError(str(error), ExitCode.CONFIG) from None


def told(error: Exception, file: Path) -> str:
    """What went wrong in a person's file, and in which line of it."""
    place = place_of(error, (str(file.absolute()),))
    return in_words(error) if place is None else f"{place}: {in_words(error)}"
