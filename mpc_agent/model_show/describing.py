"""A model as plain data: what lists, sheets and `--json` show of it."""

from dataclasses import asdict
from typing import Any

from plant_models.model import Measured, Method, PlantModel

METHODS = {
    Method.EXPLICIT: "classical Runge-Kutta, fourth order",
    Method.IMPLICIT: "RODAS3, third order, L-stable",
}
"""How the common integrator steps, in words."""


def measured(model: PlantModel, how: Measured) -> list[str]:
    """Outputs that are known in this way."""
    return [name for name, output in model.outputs_info.items() if output.measured == how]


def summary(model: PlantModel) -> dict[str, Any]:
    """What a list of models says of each."""
    return {
        "name": model.name,
        "organism": model.organism,
        "states": len(model.states),
        "inputs": list(model.inputs),
        "online": measured(model, "online"),
        "assay": measured(model, "assay"),
        "source": model.source,
    }


def description(model: PlantModel) -> dict[str, Any]:
    """Everything about a model but the code of its equations."""
    return {
        "name": model.name,
        "organism": model.organism,
        "source": model.source,
        "validity": model.validity,
        "equations": dict(model.equations),
        "states": {name: asdict(item) for name, item in model.states.items()},
        "inputs": {name: asdict(item) for name, item in model.inputs.items()},
        "parameters": {name: asdict(item) for name, item in model.parameters.items()},
        "outputs": {name: asdict(item) for name, item in model.outputs_info.items()},
        "volume": model.volume,
        "volume_flows": list(model.volume_flows),
        "volume_loss": model.volume_loss,
        "undiluted": dict(model.undiluted),
        "product": model.product,
        "method": str(model.method),
        "substeps_per_h": model.substeps_per_h,
        "accuracy": model.accuracy,
        "reference": {
            "meaning": model.reference.meaning,
            "duration_h": model.reference.duration_h,
            "step_h": model.reference.step_h,
            "initial": dict(model.reference.initial),
            "parameters": dict(model.reference.parameters),
        },
    }


def integrator(model: PlantModel) -> str:
    """How the common integrator steps a model, in one line."""
    return (
        f"{METHODS[model.method]}, {model.substeps_per_h} steps per hour; within "
        f"{model.accuracy:g} of each state's scale on the reference batch"
    )


def numbered_sources(model: PlantModel) -> dict[str, int]:
    """Every source of a parameter's value, numbered in the order in which they are met."""
    sources = dict.fromkeys(item.source for item in model.parameters.values())
    return {source: number for number, source in enumerate(sources, start=1)}
