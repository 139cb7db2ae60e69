"""The recipe: piecewise constant, and a text whose faults are all told with their lines."""

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.recipe import Recipe, split_column, unit_text

TEXT = """\
# approved 2026-01-02
time_h,glucose_feed_L_per_h,amino_feed_L_per_h

0,0,0
72,1.75,0.5
144,2.25,0.75
336,0,0
"""


@pytest.mark.parametrize(
    ("time_h", "glucose", "amino"),
    [
        (-1.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (71.999, 0.0, 0.0),
        (72.0, 1.75, 0.5),
        (143.0, 1.75, 0.5),
        (335.9, 2.25, 0.75),
        (336.0, 0.0, 0.0),
        (1e6, 0.0, 0.0),
        (nan, 0.0, 0.0),
    ],
)
def test_rates_are_constant_from_start_to_start_and_zero_outside(
    time_h: float, glucose: float, amino: float
) -> None:
    recipe = Recipe.parse(TEXT)
    assert recipe.input_names == ("glucose_feed", "amino_feed")
    assert recipe.rate("glucose_feed", time_h) == glucose
    assert recipe.rates_at(time_h) == {"glucose_feed": glucose, "amino_feed": amino}


def test_an_unknown_input_is_an_error() -> None:
    with pytest.raises(KeyError):
        Recipe.parse(TEXT).rate("air", 0.0)


OTHERS = """\
time_h,feed_L_per_h,aeration_m3_per_min,pressure_bar,kLa_per_h,pH_1,head_temperature_degC
0,0,30,0.6,200,7,-5
10,2,65,0.9,300,6.8,-10
20,0,50,0.8,300,6.8,4
"""


@pytest.mark.parametrize(
    ("time_h", "values"),
    [
        (-1.0, (0.0, 30.0, 0.6, 200.0, 7.0, -5.0)),
        (nan, (0.0, 30.0, 0.6, 200.0, 7.0, -5.0)),
        (0.0, (0.0, 30.0, 0.6, 200.0, 7.0, -5.0)),
        (19.9, (2.0, 65.0, 0.9, 300.0, 6.8, -10.0)),
        (20.0, (0.0, 50.0, 0.8, 300.0, 6.8, 4.0)),
        (1e6, (0.0, 50.0, 0.8, 300.0, 6.8, 4.0)),
    ],
)
def test_what_does_not_flow_stays_as_the_recipe_leaves_it(
    time_h: float, values: tuple[float, ...]
) -> None:
    recipe = Recipe.parse(OTHERS)
    assert tuple(recipe.rates_at(time_h).values()) == values
    units = ("L/h", "m^3/min", "bar", "1/h", "1", "degC")
    assert tuple(recipe.unit(name) for name in recipe.input_names) == units
    assert Recipe.parse(recipe.text()).text() == recipe.text()


def test_without_a_last_word_an_input_keeps_its_last_value() -> None:
    recipe = Recipe.from_rows([0.0], 5.0, {"a": [1.0], "b": [2.0]}, {"b": "bar"})
    assert recipe.rates_at(9.0) == {"a": 0.0, "b": 2.0}


@pytest.mark.parametrize(
    ("column", "name", "unit"),
    [
        ("glucose_feed_L_per_h", "glucose_feed", "L/h"),
        ("pressure_bar", "pressure", "bar"),
        ("kLa_per_h", "kLa", "1/h"),
        ("stirrer_kLa_1_per_h", "stirrer_kLa", "1/h"),
        ("shear_per_h_per_kg", "shear", "1/h/kg"),
        ("power_W_per_m3", "power", "W/m^3"),
        ("pH_1", "pH", "1"),
        ("feed", "", ""),
        ("_bar", "", ""),
        ("feed_", "", ""),
        ("a__bar", "", ""),
    ],
)
def test_a_column_is_an_input_and_its_unit(column: str, name: str, unit: str) -> None:
    found, words = split_column(column)
    assert (found, unit_text(words) if words else "") == (name, unit)


def test_what_a_spreadsheet_adds_is_understood() -> None:
    text = TEXT.replace("\n", "\r\n").replace("time_h", '"time_h"').replace(",", " , ")
    assert Recipe.parse("\ufeff" + text).rates_at(100.0) == Recipe.parse(TEXT).rates_at(100.0)


rates = st.floats(0.0, 1e3)


@given(
    st.lists(st.tuples(st.floats(1e-3, 100.0), rates, rates), min_size=1, max_size=20),
    st.floats(1e-3, 100.0),
)
def test_text_and_recipe_are_the_same(
    pieces: list[tuple[float, float, float]], last_h: float
) -> None:
    edges = np.concatenate([[0.0], np.cumsum([*(piece[0] for piece in pieces[1:]), last_h])])
    recipe = Recipe.from_rows(
        list(edges[:-1]),
        float(edges[-1]),
        {"glucose_feed": [p[1] for p in pieces], "amino_feed": [p[2] for p in pieces]},
    )
    again = Recipe.parse(recipe.text())
    assert np.array_equal(again.times_h, recipe.times_h)
    assert again.end_h == recipe.end_h
    for name, values in recipe.rates.items():
        assert np.array_equal(again.rates[name], values)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Recipe.parse(TEXT).rates["glucose_feed"][0] = 5.0


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["line 1: the recipe is empty"]),
        ("# nothing\n\n", ["line 1: the recipe is empty"]),
        ("time_h,a_L_per_h\n", ["line 1: a recipe needs a row at 0 h and a last row"]),
        ("time_h,a_L_per_h\n0,1\n", ["line 2: a recipe needs a row at 0 h and a last row"]),
        (
            "hours,a,a\n0,1\n",
            ["line 1: the first column must be time_h", "column 'a' must", "'a' appears twice"],
        ),
        ("time_h\n0\n1\n", ["line 1: no column of an input"]),
        ("time_h,_L_per_h\n0,0\n1,0\n", ["line 1: column '_L_per_h' must be an input"]),
        (
            "time_h,a_L_per_h,b_L_per_h\n0,x,1_0\n6,nan,-2\n6,1\n12,0,3\n",
            [
                "line 2: a_L_per_h is not a number: 'x'",
                "line 2: b_L_per_h is not a number: '1_0'",
                "line 3: a_L_per_h is not finite: 'nan'",
                "line 3: b_L_per_h is negative: '-2'",
                "line 4: 2 values, but 3 columns",
                "line 4: time_h 6 does not come after 6",
                "line 5: the last row ends the recipe, so b_L_per_h must be 0",
            ],
        ),
        ("time_h,a_L_per_h\n1,0\n2,0\n", ["line 2: the first piece must start at 0 h"]),
        (
            "time_h,a_bar,a_L_per_h\n0,-1,-1\n-2,1,1\n",
            [
                "line 1: a has two columns, in different units",
            ],
        ),
        (
            "time_h,a_bar,b_L_per_h\n0,-1,-1\n-2,x,1\n",
            [
                "line 2: b_L_per_h is negative: '-1'",
                "line 3: time_h is negative: '-2'",
                "line 3: a_bar is not a number: 'x'",
                "line 3: the last row ends the recipe, so b_L_per_h must be 0",
            ],
        ),
    ],
)
def test_all_faults_of_a_text_are_told_with_their_lines(text: str, faults: list[str]) -> None:
    with pytest.raises(ValueError, match="line") as error:
        Recipe.parse(text)
    told = str(error.value).splitlines()
    assert len(told) >= len(faults)
    for fault in faults:
        assert any(fault in line for line in told), f"{fault!r} not among {told}"


@given(st.text(alphabet='time_h,glucose_L_per_h0123456789.-+einf"#\n\r\t \x0b\x00', max_size=80))
def test_any_text_gives_a_recipe_or_a_list_of_faults(text: str) -> None:
    told = ""
    try:
        recipe = Recipe.parse("time_h,a_L_per_h\n" + text)
    except ValueError as error:
        told = str(error)
    else:
        assert recipe.end_h > 0.0
    assert all(line.startswith("line ") for line in told.splitlines())


@pytest.mark.parametrize(
    "change",
    [
        {"times_h": []},
        {"times_h": [0.0, nan]},
        {"times_h": [1.0, 2.0]},
        {"times_h": [0.0, 0.0]},
        {"end_h": 6.0},
        {"end_h": inf},
        {"rates": {"a": [1.0]}},
        {"rates": {"a": [1.0, -1.0]}},
        {"rates": {"a": [1.0, nan]}},
        {"after": {"a": 1.0}},
        {"after": {"b": 0.0}},
        {"units": {"a": "bar"}, "after": {"a": inf}},
    ],
)
def test_impossible_rows_are_refused(change: dict[str, Any]) -> None:
    rows: dict[str, Any] = {"times_h": [0.0, 6.0], "end_h": 12.0, "rates": {"a": [1.0, 2.0]}}
    with pytest.raises(ValueError, match=r"recipe|rate"):
        Recipe.from_rows(**{**rows, **change})
