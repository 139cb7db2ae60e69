"""What models share speaks the dialect, and the engines that speak it are told apart."""

from pathlib import Path

import pytest

from mpc_agent.model_check.source import dialect_findings
from plant_models import gas_transfer, smooth
from plant_models.dialect import ENGINES, JAX, NUMPY
from plant_models.units import UNITS


@pytest.mark.parametrize("module", [gas_transfer, smooth], ids=lambda module: module.__name__)
def test_what_models_share_speaks_the_dialect(module: object) -> None:
    file = str(module.__file__)  # type: ignore[attr-defined]
    assert dialect_findings(file, Path(file).read_text("utf-8"), set()) == []


def test_the_engines_have_different_names() -> None:
    assert [engine.name for engine in (*ENGINES, UNITS)] == ["numpy", "jax", "casadi", "units"]


def test_units_are_for_the_reader_on_the_engines() -> None:
    assert NUMPY.quantity(0.05, "mmol/L") == 0.05
    assert JAX.number(37.0, "degC") == 37.0
