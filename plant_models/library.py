"""Finding a model by the name a configuration uses."""

from plant_models import cho_mab
from plant_models.model import PlantModel

MODELS: dict[str, PlantModel] = {
    model.name: model for model in (cho_mab.CORE, cho_mab.CONTROL, cho_mab.FULL)
}


def find_model(name: str) -> PlantModel:
    """The model called `name`; KeyError with the known names otherwise."""
    if name not in MODELS:
        raise KeyError(f"no model named {name!r}; known: {', '.join(sorted(MODELS))}")
    return MODELS[name]
