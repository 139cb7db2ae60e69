"""What is said of equations whose units do not fit."""

from pathlib import Path

import pytest

from mpc_agent.model_check.units import check_units
from tests.examples_broken_models import (
    GUARD,
    Change,
    faults,
    line_of,
    outcome_of,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [('"K_S": Parameter("g/L"', '"K_S": Parameter("mmol/L"')],
            "adds, subtracts or compares mmol/L and g/L in `return p.mu_max * x.glycerol / (p.K_S",
        ),
        (
            [(GUARD, "x.glycerol / (x.glycerol + 0.01)")],
            "adds, subtracts or compares g/L and bare numbers in `maintenance = p.m_S",
        ),
        (
            [('"enzyme": State("g/L"', '"enzyme": State("mg/L"')],
            "rate of enzyme: terms in different units are added, such as g and mg: with units it",
        ),
        (
            [('"feed": Input("L/h"', '"feed": Input("mL/h"')],
            "input feed is in mL/h; it must be in L/h",
        ),
        (
            [('"feed": Input("L/h"', '"feed": Input("mL/h"')],
            (
                "rate of volume: comes out in mL/h, but must be in L/h: the numbers are off by a "
                "factor of 1000"
            ),
        ),
        (
            [('"Y_OX": Parameter("mmol/g"', '"Y_OX": Parameter("mol/g"')],
            "rate of oxygen: terms in different units are added, such as g and mg: with units it",
        ),
        (
            [('"Y_OX": Parameter("mmol/g"', '"Y_OX": Parameter("mol/g"')],
            "output oxygen_uptake: comes out in mol/L/h, but must be in mmol/L/h: the numbers",
        ),
        (
            [('"weight": Output("kg"', '"weight": Output("g"')],
            (
                "output weight: comes out in kg, but must be in g: the numbers are off by a "
                "factor of 0.001"
            ),
        ),
        (
            [('"weight": Output("kg"', '"weight": Output("L"')],
            "output weight: comes out in kg, which is no L",
        ),
        (
            [('"alpha": Parameter("g/g"', '"alpha": Parameter("1/h"')],
            "adds, subtracts or compares 1/h^2 and 1/h in `production = p.alpha * growth + p.beta`",
        ),
        (
            [("u.feed * p.feed_gain", "u.feed * xp.exp(p.K_S)")],
            "takes the exponential, logarithm or tanh of a quantity in g/L: divide it by its unit",
        ),
        (
            [("u.feed * p.feed_gain", 'u.feed * xp.number(p.K_S, "degC")')],
            "reads a quantity in g/L as a number of degC in `flow = u.feed",
        ),
        (
            [("u.feed * p.feed_gain", 'u.feed * xp.quantity(1.0, "gramm")')],
            "unit 'gramm' cannot be read ('gramm' is not defined in the unit registry)",
        ),
        (
            [("u.feed * p.feed_gain", 'u.feed * (xp.quantity(30.0, "degC") * p.feed_gain)')],
            "calculates with a temperature in degC, whose zero is arbitrary",
        ),
        ([('"K_S": Parameter("g/L"', '"K_S": Parameter("g/Liter!"')], "parameter K_S: unit"),
        ([('"K_S": Parameter("g/L"', '"K_S": Parameter(""')], "parameter K_S: unit '' cannot be"),
        ([('"volume": State("L"', '"volume": State("mL"')], "state volume is in mL; it must be in"),
        (
            [('"product_mass": Output("g"', '"product_mass": Output("mol"')],
            "output product_mass is in mol; it must be in g",
        ),
    ],
)
def test_units_that_do_not_fit(tmp_path: Path, changes: list[Change], expected: str) -> None:
    assert expected in "\n".join(faults(check_units, tmp_path, *changes))


def test_the_line_of_a_wrong_sum_is_named(tmp_path: Path) -> None:
    change = ('"K_S": Parameter("g/L"', '"K_S": Parameter("mmol/L"')
    found = outcome_of(check_units, tmp_path, change).faults[0]
    assert found.place is not None
    assert found.place.line == line_of(tmp_path / "my_model.py", "return p.mu_max")


def test_a_product_may_be_in_any_unit_of_mass(tmp_path: Path) -> None:
    change = ('"product_mass": Output("g"', '"product_mass": Output("kg"')
    (text,) = faults(check_units, tmp_path, change)
    assert text.startswith("output product_mass: comes out in g, but must be in kg")
