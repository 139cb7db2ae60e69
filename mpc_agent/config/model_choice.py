"""Which model a configuration means: one of the library, or one of the site's own file."""

from pathlib import Path

from mpc_agent.config.findings import Finding, unknown
from mpc_agent.config.schema_general import ModelSection
from plant_models.library import MODELS, find_model, models_in_file
from plant_models.model import PlantModel
from plant_models.model_file import ModelFileError


def chosen_model(section: ModelSection, folder: Path) -> tuple[PlantModel | None, list[Finding]]:
    """The model, or None and why not.

    Args:
        section: what is written.
        folder: that of the configuration.
    """
    if section.file is None:
        name = section.name or ""
        faults = list(unknown(("model", "name"), name, MODELS, "model"))
        return (None, faults) if faults else (find_model(name), [])
    file = (folder / section.file).absolute()
    try:
        models = models_in_file(str(file))
    except ModelFileError as error:
        return None, [(("model", "file"), str(error))]
    if section.name is None:
        if len(models) == 1:
            return next(iter(models.values())), []
        text = f"defines several models: say which by model.name, one of {', '.join(models)}"
        return None, [(("model", "file"), text)]
    faults = list(unknown(("model", "name"), section.name, models, f"model of {section.file}"))
    return (None, faults) if faults else (models[section.name], [])
