"""Where results come from: versions of the software and fingerprints of texts."""

import hashlib
import inspect
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import plant_models.dialect
import plant_models.gas_transfer
import plant_models.integrate
import plant_models.model
import plant_models.smooth
from mpc_agent.record import Quantity
from plant_models.model import Input, Output, Parameter, PlantModel, State

PACKAGES = ("mpc-agent", "casadi", "jax", "jaxlib", "numpy", "asyncua", "msgspec")
"""Packages whose version may change a decision or a record."""

_SHARED: tuple[ModuleType, ...] = (
    plant_models.dialect,
    plant_models.gas_transfer,
    plant_models.integrate,
    plant_models.model,
    plant_models.smooth,
)


def fingerprint(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def software_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide and record, by name."""
    versions = {"python": platform.python_version(), "platform": sys.platform}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def model_fingerprint(model: PlantModel) -> str:
    """SHA-256 over the source text of the model's files and of all that models share.

    The tables are part of it as well: a model may take its equations from another file and change
    the values.
    """
    files = {module.__file__ for module in _SHARED}
    for function in (model.rhs, model.outputs):
        files |= {inspect.getsourcefile(function), *_borrowed(function)}
    texts = [Path(file).read_text("utf-8") for file in sorted(name for name in files if name)]
    tables = [model.states, model.inputs, model.parameters, model.outputs_info]
    chosen = [model.method, model.substeps_per_h, model.volume_flows, model.volume_loss]
    facts = [repr(dict(table)) for table in tables] + [str(item) for item in chosen]
    return fingerprint("\0".join([model.name, *sorted(texts), *facts]))


def _borrowed(function: Callable[..., object]) -> set[str]:
    """Files of the library whose functions the file of a function has imported."""
    names: Mapping[str, object] = getattr(function, "__globals__", {})
    return {
        code.co_filename
        for value in names.values()
        if getattr(value, "__module__", None) != function.__module__
        and str(getattr(value, "__module__", "")).startswith("plant_models.")
        and (code := getattr(value, "__code__", None)) is not None
    }


def quantities(model: PlantModel, kind: str) -> tuple[Quantity, ...]:
    """The "states", "inputs", "parameters" or "outputs" of a model, in its order."""
    tables: Mapping[str, Mapping[str, State | Input | Parameter | Output]] = {
        "states": model.states,
        "inputs": model.inputs,
        "parameters": model.parameters,
        "outputs": model.outputs_info,
    }
    return tuple(Quantity(name, item.unit, item.meaning) for name, item in tables[kind].items())
