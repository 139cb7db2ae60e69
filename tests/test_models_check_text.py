"""What is said of models whose text, tables or equations are wrong."""

from pathlib import Path

import pytest

from mpc_agent.model_check.description import check_description
from mpc_agent.model_check.engines import check_engines
from mpc_agent.model_check.source import check_source
from tests.examples_broken_models import (
    GUARD,
    METHOD,
    STEPS,
    Change,
    faults,
    line_of,
    outcome_of,
)

# ---------------------------------------------------------------- what is written about a model


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name="phaffii_enzyme"', 'name="My model"', "name 'My model' must be small letters"),
        (
            '"dry biomass", 0.5, 20.0',
            '"dry biomass", "0.5", 20.0',
            "state biomass: initial must be a number, but is '0.5'",
        ),
        ('volume_flows=("feed",)', 'volume_flows="feed"', '`volume_flows` must be such as ("feed'),
        (METHOD, 'method="implicit",', "`method` must be Method.EXPLICIT or .IMPLICIT, but is"),
        (STEPS, "substeps_per_h=1.5,", "`substeps_per_h` must be a whole number, but is 1.5"),
        ("rhs=rhs", "rhs=None", "`rhs` must be a function, but is None"),
        ("step_h=0.5", "step_h=1e-9", "36 h in steps of 1e-09 h are more than 1000000 steps"),
        ('organism="Komagataella phaffii"', 'organism=" "', "`organism` is empty"),
        ('meaning="batch on 20 g/L', 'meaning="" and "', "`reference.meaning` is empty"),
        ('"broth volume", 5.0', '"", 5.0', "state volume has no meaning"),
        ("0.4, 0.1, _EXAMPLE", '0.4, 0.1, ""', "parameter mu_max has no source"),
        (
            '"dry biomass", 0.5, 20.0, 0.0, 150.0',
            '"dry biomass", 0.5, 20.0, 1.0, 150.0',
            "state biomass is 0.5, outside its own bounds 1..150 g/L",
        ),
        (
            '"glycerol", 20.0, 10.0, 0.0, 100.0',
            '"glycerol", 20.0, 10.0, 100.0, 0.0',
            "state glycerol: lower must be below upper; they are 100..0 g/L",
        ),
        ('"broth volume", 5.0, 10.0', '"broth volume", 5.0, 0.0', "scale, 0, must be above zero"),
        ("5.0, 10.0, 1.0, 20.0)", "5.0, 10.0, 0.0, 20.0)", "state volume: lower, 0, must be above"),
        ("0.25, 0.1, 0.4, 0.1", 'float("nan"), 0.1, 0.4, 0.1', "mu_max has a value that is no fin"),
        ("0.4, 0.1, _EXAMPLE", "0.4, -0.1, _EXAMPLE", "deviation, -0.1, must not be negative"),
        (
            "0.25, 0.1, 0.4, 0.1",
            "0.0, 0.0, 0.4, 0.1",
            "parameter mu_max has a deviation, which is of its logarithm, so its value, 0, must be",
        ),
        (
            'product="product_mass"',
            'product="titre"',
            "`product` names 'titre', which is no output",
        ),
        ('volume_flows=("feed",)', 'volume_flows=("fed",)', "`volume_flows` names 'fed', which is"),
        (METHOD, 'undiluted={"oxygen": ""},', "`undiluted` gives no reason for oxygen"),
        (STEPS, "substeps_per_h=0,", "`substeps_per_h` is 0; it must be at least 1"),
        ("accuracy=1e-4", "accuracy=1", "`accuracy` is 1; it must be above 0 and at most 0.01"),
        (
            "step_h=0.5",
            "step_h=48",
            "step, 48 h, must be above zero and at most its duration, 36 h",
        ),
        (
            "step_h=0.5,",
            'step_h=0.5, initial={"glucose": 1.0, "biomass": 200.0},',
            "reference batch sets 'glucose', which is no state",
        ),
        (
            "step_h=0.5,",
            'step_h=0.5, parameters={"mu_max": 1.0},',
            "reference batch sets parameter mu_max to 1, outside its bounds 0.1..0.4 1/h",
        ),
    ],
)
def test_descriptions_that_are_wrong(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in "\n".join(faults(check_description, tmp_path, (old, new)))


def test_a_file_says_its_sources(tmp_path: Path) -> None:
    (finding,) = outcome_of(
        check_description, tmp_path, ("Sources. ", ""), ("as their\nsource.", "as theirs.")
    ).faults
    assert finding.text == "the file's docstring names no source (write `Source: ...`)"
    assert finding.place is not None
    assert (finding.place.source, finding.place.line) == (str(tmp_path / "my_model.py"), 1)


# ---------------------------------------------------------------- the dialect


IMPORT = "from typing import Any"


@pytest.mark.parametrize(
    ("old", "new", "marked", "expected"),
    [
        (
            IMPORT,
            f"import math\n{IMPORT}",
            "import math",
            "imports math, which is not of the dialect; write `from math import pi`, and xp.exp",
        ),
        (
            IMPORT,
            f"from numpy import exp\n{IMPORT}",
            "from numpy",
            "imports numpy.exp, which is not of the dialect",
        ),
        (
            IMPORT,
            f"from plant_models.integrate import rk4_step\n{IMPORT}",
            "rk4_step",
            "imports plant_models.integrate.rk4_step, which is not of the dialect",
        ),
        (
            "    dilution = flow / x.volume",
            "    dilution = flow / x.volume if x.volume > 0 else 0.0",
            "dilution = flow",
            "decides in Python (if): write xp.where or a smooth switch (in rhs)",
        ),
        (
            "    dilution = flow / x.volume",
            "    dilution = flow * (x.volume > 0) / x.volume",
            "dilution = flow",
            "compares in Python: only the condition of xp.where may (in rhs)",
        ),
        (
            "    dilution = flow / x.volume",
            "    dilution = (flow and flow) / x.volume",
            "dilution = flow",
            "decides in Python (and, or, not): write xp.where or a smooth switch (in rhs)",
        ),
        (
            "    dilution = flow / x.volume",
            "    dilution = max(flow, 0.0) / x.volume",
            "dilution = max",
            "calls Python's max: write xp.maximum (in rhs)",
        ),
    ],
)
def test_what_is_not_the_dialect(
    tmp_path: Path, old: str, new: str, marked: str, expected: str
) -> None:
    (finding,) = outcome_of(check_source, tmp_path, (old, new)).faults
    assert finding.text.startswith(expected)
    assert finding.place is not None
    marked = marked.replace("dilution = flow", "    dilution = ")
    assert finding.place.line == line_of(tmp_path / "my_model.py", marked)


def test_a_condition_of_where_may_compare(tmp_path: Path) -> None:
    change = (
        "    flow = u.feed",
        '    flow = xp.where(u.feed > xp.quantity(0.0, "L/h"), 1.0, 1.0) * u.feed',
    )
    assert faults(check_source, tmp_path, change) == []


# ---------------------------------------------------------------- engines


HELPER = "def growth_rate(x: Any, p: Any) -> Any:"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [
                (
                    HELPER,
                    f"def switch(a: Any) -> Any:\n    return a if a > 0 else -a\n\n\n{HELPER}",
                ),
                ("u.feed * p.feed_gain", "switch(u.feed) * p.feed_gain"),
            ],
            (
                "cannot be run by JAX: decides in Python on a value (if, and, or, not, max, min, a "
                "comparison), which no engine can follow: write xp.where, xp.maximum"
            ),
        ),
        (
            [
                (IMPORT, f"import math\n{IMPORT}"),
                ("u.feed * p.feed_gain", "u.feed * math.exp(p.feed_gain)"),
            ],
            (
                "cannot be run by JAX: gives a value to a function of Python or NumPy (math.exp, "
                "numpy.exp, float): write the engine's own, such as xp.exp"
            ),
        ),
        (
            [("x.glycerol / (p.K_S + x.glycerol) *", "x.glucose / (p.K_S + x.glycerol) *")],
            "cannot be run by NumPy: reads 'glucose', which is no field of YeastState",
        ),
        (
            [("        enzyme=production * x.biomass - dilution * x.enzyme,\n", "")],
            "cannot be run by NumPy: YeastState(...) is not given 'enzyme'",
        ),
        (
            [("volume=flow,", "volume=xp.log(-flow),")],
            "rate of volume is nan within bounds (volume ",
        ),
        (
            [(GUARD, 'x.glycerol / (x.glycerol * xp.quantity(2.0, "1"))')],
            "rate of glycerol is nan at glycerol = 0 (volume",
        ),
        (
            [(GUARD, 'xp.sqrt(x.glycerol / xp.quantity(1.0, "g/L"))')],
            "rate of glycerol has the slope -inf by glycerol at glycerol = 0 (volume",
        ),
        (
            [("production = p.alpha", "production = xp.sqrt(x.enzyme) + p.alpha")],
            "rate of enzyme has the slope inf by enzyme at inoculation (volume 5, biomass 0.5,",
        ),
        (
            [("u.feed * p.feed_gain", "u.feed * p.feed_gain * (1.01 - 0.01 * len(xp.name) / 5)")],
            "rate of volume is",
        ),
        (
            [("outputs=outputs,", "outputs=lambda *given: outputs(*given)[:-1],")],
            "<lambda> gives 7 outputs, the table has 8",
        ),
    ],
)
def test_equations_that_engines_cannot_share(
    tmp_path: Path, changes: list[Change], expected: str
) -> None:
    found = faults(check_engines, tmp_path, *changes)
    assert expected in "\n".join(found)


def test_a_line_is_named_where_an_engine_stops(tmp_path: Path) -> None:
    change = ("u.feed * p.feed_gain", "u.feed * float(p.feed_gain)")
    (finding,) = outcome_of(check_engines, tmp_path, change).faults
    assert finding.place is not None
    assert finding.place.line == line_of(tmp_path / "my_model.py", "float(p.feed_gain)")
