"""Units of the models: every one is known, and the equations balance in them.

The equations run once more, on units instead of numbers: a sum needs equal units on both sides, a
rate must come out in the unit of its state per hour. A bare number in a sum takes the unit of the
other side, as the guards of a few hundredths mmol/L do.

Three things are outside this algebra and are replaced by the unit that they are known to give: the
kLa correlation (empirical, with fractional powers), pH (its constants are in mol/L), and the step
from mmol/L to mmol/kg in osmolality (one litre is taken as one kilogram).
"""

import sys
from typing import Any

import pint
import pytest

from plant_models import gas_transfer
from plant_models.dialect import Maths
from plant_models.library import MODELS
from plant_models.model import PlantModel

REGISTRY: pint.UnitRegistry[float] = pint.UnitRegistry()
REGISTRY.define("gigacell = [cells]")
# Of a temperature only differences count: where an equation needs kelvin, it adds 273.15 itself.
KELVINS = {"degC": "kelvin", "delta_degC": "kelvin"}


def unit_of(text: str) -> Any:
    """One of this unit. Cells are counted in 1e9, which a unit's text writes as a number."""
    text = KELVINS.get(text, text).replace("1e9 cells", "gigacell")
    return REGISTRY.Quantity(1.0, "") * REGISTRY.parse_expression(text)


class Measured:
    """A scalar that has a unit and no value."""

    def __init__(self, unit: Any) -> None:
        self.unit = unit

    def _with(self, other: Any) -> "Measured":
        """The common unit of both sides of a sum."""
        if isinstance(other, Measured):
            ratio = (self.unit / other.unit).to_base_units()
            assert ratio.dimensionless, f"{self.unit:~} + {other.unit:~}"
            assert ratio.magnitude == pytest.approx(1.0), f"{self.unit:~} + {other.unit:~}"
        return self

    def __neg__(self) -> "Measured":
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = _with

    def __mul__(self, other: Any) -> "Measured":
        return Measured(self.unit * other.unit) if isinstance(other, Measured) else self

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Measured":
        return Measured(self.unit / other.unit) if isinstance(other, Measured) else self

    def __rtruediv__(self, other: Any) -> "Measured":
        return Measured(1 / self.unit)

    def __pow__(self, power: int) -> "Measured":
        return Measured(self.unit**power)


def pure(value: Any) -> Measured:
    """The result of a function that accepts and gives numbers without unit."""
    assert isinstance(value, Measured)
    assert value.unit.to_base_units().dimensionless, f"{value.unit:~} has a unit"
    return Measured(unit_of("1"))


def alike(first: Any, second: Any) -> Measured:
    """The result of a function whose arguments have one unit."""
    measured, other = (first, second) if isinstance(first, Measured) else (second, first)
    assert isinstance(measured, Measured)
    return measured._with(other)


UNITS = Maths(
    name="units",
    stack=list,
    unstack=tuple,
    exp=pure,
    log=pure,
    sqrt=lambda value: Measured(value.unit**0.5),
    tanh=pure,
    maximum=alike,
    minimum=alike,
    where=lambda _, first, second: alike(first, second),
)


def of_unit(text: str) -> Measured:
    return Measured(unit_of(text))


@pytest.fixture(autouse=True)
def constants_with_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the constants of the gas side their units, and the three empirical steps theirs."""
    gas_constant = of_unit("L * atm / (mmol * kelvin)")
    osmoles: dict[Any, Any] = {
        module: module._osmolality
        for module in {sys.modules[model.rhs.__module__] for model in MODELS.values()}
        if hasattr(module, "_osmolality")
    }
    replacements: dict[str, Any] = {
        "GAS_CONSTANT": gas_constant,
        "ATM_MMHG": of_unit("mmHg / atm"),
        "transfer_coefficient": lambda *_: of_unit("1 / h"),
        "ph": lambda *_: of_unit("1"),
    }
    for module in (gas_transfer, *(sys.modules[model.rhs.__module__] for model in MODELS.values())):
        for name, value in replacements.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    for module, osmolality in osmoles.items():
        # Percent of air saturation: relative to the oxygen pressure in air at one atmosphere.
        monkeypatch.setattr(module, "AIR_OXYGEN", of_unit("atm"))
        monkeypatch.setattr(
            module, "_osmolality", lambda x, inner=osmolality: inner(x) * of_unit("L / kg")
        )


def arguments(model: PlantModel) -> tuple[Any, Any, Any]:
    return (
        model.State(*(of_unit(item.unit) for item in model.states.values())),
        model.Inputs(*(of_unit(item.unit) for item in model.inputs.values())),
        model.Parameters(*(of_unit(item.unit) for item in model.parameters.values())),
    )


def units(model: PlantModel) -> dict[str, str]:
    """Unit of every field of the model, keyed by table and name."""
    return {
        **{f"state {name}": item.unit for name, item in model.states.items()},
        **{f"input {name}": item.unit for name, item in model.inputs.items()},
        **{f"parameter {name}": item.unit for name, item in model.parameters.items()},
        **{f"output {name}": item.unit for name, item in model.outputs_info.items()},
    }


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_unit_is_known(model: PlantModel) -> None:
    for name, text in units(model).items():
        assert unit_of(text).magnitude == 1.0, f"{name}: {text!r} is not a plain unit"


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_rates_are_states_per_hour(model: PlantModel) -> None:
    rates = model.rhs(*arguments(model), UNITS)
    for name, rate in zip(model.state_names, rates, strict=True):
        ratio = (rate.unit * unit_of("h") / unit_of(model.states[name].unit)).to_base_units()
        assert ratio.dimensionless, f"{name}: {rate.unit:~}"
        assert ratio.magnitude == pytest.approx(1.0), f"{name}: {rate.unit:~}"


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_outputs_have_the_dimension_they_declare(model: PlantModel) -> None:
    outputs = model.outputs(*arguments(model), UNITS)
    for (name, info), value in zip(model.outputs_info.items(), outputs, strict=True):
        assert value.unit.is_compatible_with(unit_of(info.unit)), f"{name}: {value.unit:~}"


def test_the_algebra_notices_a_wrong_unit() -> None:
    with pytest.raises(AssertionError):
        of_unit("mmol / L") + of_unit("g / L")
    with pytest.raises(AssertionError):
        of_unit("mmol / L") + of_unit("mol / L")
    with pytest.raises(AssertionError):
        UNITS.exp(of_unit("degC"))
