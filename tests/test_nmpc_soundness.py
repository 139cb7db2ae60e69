"""Problems that cannot come to anything sensible are told in words before anything is solved."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.problem import (
    Bolus,
    DecidedInput,
    Limit,
    Maximise,
    Per,
    Problem,
    Rewarded,
    Tracked,
)
from controllers.soundness import Complaint, Structure, complaints, examine
from plant_models.cho_mab import CONTROL
from plant_models.evaluate import CompiledEquations, Points
from plant_models.library import MODELS
from plant_models.model import PlantModel
from tests.examples_core import BATCH_REACTOR, harvest_problem, long_situation

FEED = DecidedInput("feed", 0.0, 0.2, move_weight=1e-3)
FAST = ("oxygen", "carbon_dioxide", "alkalinity")


def feeds(**changes: Any) -> Problem:
    """The feeds of the CHO model to harvest; the gases are others' business."""
    plain: dict[str, Any] = {
        "name": "feeds",
        "model": CONTROL,
        "inputs": (DecidedInput("glucose_feed", 0.0, 5.0), DecidedInput("amino_feed", 0.0, 5.0)),
        "pieces": 10,
        "maximise": Maximise("product_mass", 5000.0),
        "held_states": FAST,
    }
    return Problem(**{**plain, **changes})


def gases(**changes: Any) -> Problem:
    """Dissolved oxygen at its setpoint by oxygen."""
    plain: dict[str, Any] = {
        "name": "gases",
        "model": CONTROL,
        "inputs": (DecidedInput("oxygen", 0.0, 800.0),),
        "pieces": 6,
        "tracked": (Tracked("dissolved_oxygen", 1.0, 10.0),),
        "held_states": tuple(name for name in CONTROL.states if name not in FAST),
    }
    return Problem(**{**plain, **changes})


HASTY = replace(BATCH_REACTOR, inputs={"feed": replace(BATCH_REACTOR.inputs["feed"], scale=2.0)})
"""The batch reactor with another scale of its feed."""


def told(problem: Problem, **changes: Any) -> list[tuple[tuple[str | int, ...], bool]]:
    """Where complaints belong, and whether they are hopeless."""
    return [(item.where, item.hopeless) for item in examine(problem, **changes)]


@pytest.mark.parametrize("problem", [harvest_problem(), feeds(), gases()], ids=lambda p: p.name)
def test_a_sound_problem_has_no_complaint(problem: Problem) -> None:
    assert complaints(problem) == []


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_every_model_of_the_library_can_be_optimised(model: PlantModel) -> None:
    inputs = tuple(
        DecidedInput(name, item.lower, item.upper)
        for name, item in model.inputs.items()
        if name in model.volume_flows
    )
    scale = 1.0 if model.product != model.volume else 1e3
    problem = Problem("any", model, inputs, 5, maximise=Maximise(model.product, scale))
    assert [str(item) for item in examine(problem) if item.hopeless] == []


# ------------------------------------------------------------------ structure


@pytest.mark.parametrize("name", ["cho_mab_control", "yeast_sk_control", "ecoli_anane"])
def test_the_structure_knows_of_every_dependence_that_numbers_show(name: str) -> None:
    model = MODELS[name]
    inputs = tuple(DecidedInput(key, item.lower, item.upper) for key, item in model.inputs.items())
    structure = Structure(Problem("all", model, inputs, 1))
    random = np.random.default_rng(1)
    scales = np.array([item.scale for item in model.states.values()])
    x = scales * random.uniform(0.2, 2.0, (30, len(scales)))
    u = np.tile(np.array(model.nominal_inputs(), dtype=np.float64), (30, 1))
    p = np.tile(np.array(model.nominal_parameters(), dtype=np.float64), (30, 1))
    found = CompiledEquations(model).at(Points(x, u, p))
    by_state, by_input = ((part != 0).any(axis=0) for part in (found.by_state, found.by_input))
    states = len(scales)
    assert (structure.acts_on | ~by_input[:states]).all()
    assert (structure.shows_input | ~by_input[states:]).all()
    assert (structure.shows_state | ~by_state[states:]).all()
    # What is reached in two steps is reached.
    twice = (by_state[:states] & ~np.eye(states, dtype=bool)) @ by_input[:states]
    assert (structure.reaches | ~twice).all()


def test_what_the_structure_says_cannot_change_does_not_change() -> None:
    problem = feeds(inputs=(DecidedInput("nitrogen", 0.0, 300.0),), maximise=None, pieces=3)
    structure, nmpc = Structure(problem), Nmpc(problem)
    given = np.array(CONTROL.nominal_inputs(), dtype=np.float64)
    situation = long_situation(
        problem, given=given, previous=np.zeros(1), guess=np.zeros((3, 1)), steps_h=np.full(3, 8.0)
    )
    little, much = (nmpc.predict(situation, np.full((3, 1), flow)) for flow in (0.0, 300.0))
    moved = (little != much).any(axis=0)
    fixed = ~structure.changes[:, structure.input_place("nitrogen")]
    assert fixed.sum() > 8
    assert not (moved & fixed).any()


def test_an_input_that_changes_nothing_that_counts_is_named() -> None:
    nitrogen = DecidedInput("nitrogen", 0.0, 300.0)
    (item,) = examine(feeds(inputs=(*feeds().inputs, nitrogen)))
    assert item == Complaint(
        ("inputs", "nitrogen"),
        "input nitrogen",
        "changes nothing that this problem asks about (product_mass): it acts on oxygen, "
        "carbon_dioxide alone, held here; leave it out",
    )
    # Where those states move, and are asked about, it counts.
    limit = Limit("dissolved_oxygen", 30.0, None, scale=10.0, weight=1.0)
    moving = feeds(inputs=(*feeds().inputs, nitrogen), limits=(limit,), held_states=())
    assert complaints(moving) == []


def test_an_input_that_reaches_the_wrong_states_is_told_which() -> None:
    """Oxygen and carbon dioxide move here, but the product does not depend on them."""
    nitrogen = DecidedInput("nitrogen", 0.0, 300.0)
    (item,) = examine(feeds(inputs=(*feeds().inputs, nitrogen), held_states=()))
    assert item.where == ("inputs", "nitrogen")
    assert "(product_mass): it reaches oxygen, carbon_dioxide" in item.text
    assert item.text.endswith(" alone; leave it out")


def test_what_is_held_carries_nothing_on() -> None:
    """The feed reaches the cells through the substrate, or by what it dilutes."""
    structure = Structure(harvest_problem())
    assert structure.reaches[:, 0].all()
    held = harvest_problem(held_states=("volume", "substrate"))
    assert Structure(held).reaches[:, 0].tolist() == [False, True, False, True]


def test_a_bolus_counts_as_its_liquid_does() -> None:
    pour = Bolus("glucose_feed", 1.0, 30.0)
    assert complaints(feeds(inputs=(), boluses=(pour,))) == []
    # Here it reaches carbon dioxide and alkalinity, and oxygen is asked about, which is held.
    held = tuple(name for name in CONTROL.states if name not in ("carbon_dioxide", "alkalinity"))
    pointless = gases(boluses=(Bolus("base", 1.0, 2.0),), held_states=held)
    assert (("boluses", "base"), True) in told(pointless)


def test_an_output_that_nothing_changes_is_named() -> None:
    (item,) = examine(feeds(tracked=(Tracked("dissolved_oxygen", 1.0, 10.0),)))
    assert (item.where, item.hopeless) == (("tracked", "dissolved_oxygen"), True)
    assert str(item) == (
        "tracked output dissolved_oxygen cannot be changed by what is decided (glucose_feed, "
        "amino_feed): it depends on oxygen, held here"
    )
    assert told(feeds(rewarded=(Rewarded("dissolved_oxygen", 1.0),))) == [
        (("rewarded", 0, "output"), True)
    ]
    aim = Maximise("dissolved_oxygen", 100.0)
    assert (("maximise", "output"), True) in told(feeds(maximise=aim))


def test_a_limit_that_nothing_changes_is_only_odd() -> None:
    limit = Limit("dissolved_oxygen", 30.0, None, scale=10.0, weight=None)
    assert told(feeds(limits=(limit,))) == [(("limits", 0, "output"), False)]


def test_a_free_harvest_changes_what_moves_by_itself() -> None:
    gas = (DecidedInput("oxygen", 0.0, 800.0),)
    volume = Limit("dissolved_oxygen", 30.0, None, scale=10.0, weight=1.0)
    changes: dict[str, Any] = {"inputs": gas, "limits": (volume,), "held_states": ()}
    best = Maximise("volume", 1e3, Per.HOUR, 24.0)
    assert told(feeds(**changes, maximise=best)) == [
        (("maximise", "output"), True),
        (("maximise", "per"), False),
    ]
    assert complaints(feeds(**changes, maximise=best, free_harvest=True)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"maximise": Maximise("product_mass", 100.0, Per.HOUR)},
            "hours that are the same for every plan: the harvest is not free",
        ),
        (
            {
                "model": CONTROL,
                "inputs": (DecidedInput("oxygen", 0.0, 800.0),),
                "maximise": Maximise("dissolved_oxygen", 100.0, Per.FEED, 5.0),
                "limits": (),
            },
            "litres that are the same for every plan: no liquid is decided",
        ),
    ],
)
def test_a_quotient_with_a_fixed_divisor_is_only_odd(changes: dict[str, Any], words: str) -> None:
    (item,) = examine(harvest_problem(**changes))
    assert not item.hopeless
    assert item.where == ("maximise", "per")
    assert str(item).endswith(words)


def test_litres_fed_count_where_the_yield_is_maximised() -> None:
    """The base reaches only the product here, which is not asked about; but its litres are."""
    problem = gases(
        inputs=(DecidedInput("air", 1.0, 300.0), DecidedInput("base", 0.0, 5.0)),
        tracked=(),
        maximise=Maximise("off_gas_oxygen", 20.0, Per.FEED, 10.0),
        held_states=tuple(name for name in CONTROL.states if name != "product"),
    )
    assert told(problem) == []
    whole = replace(problem, maximise=Maximise("off_gas_oxygen", 20.0))
    assert told(whole) == [(("inputs", "base"), True)]


# ------------------------------------------------------------------ weights, scales, limits


WRONG: dict[str, tuple[dict[str, Any], tuple[str | int, ...], str]] = {
    "weight that is no number": (
        {"rewarded": (Rewarded("cells", nan),)},
        ("rewarded", 0, "weight"),
        "rewarded output cells has the weight nan, which is no number to count with",
    ),
    "infinite weight": (
        {"limits": (Limit("volume", None, 124.0, 10.0, inf),)},
        ("limits", 0, "weight"),
        "limited output volume has the weight inf, which is no number to count with",
    ),
    "infinite price": (
        {"inputs": (replace(FEED, price=inf),)},
        ("inputs", "feed", "price"),
        "price of feed has the weight inf, which is no number to count with",
    ),
    "moves that gain": (
        {"inputs": (replace(FEED, move_weight=-1.0),)},
        ("inputs", "feed", "move_weight"),
        "moves of feed has the weight -1: what gains by being larger has no optimum",
    ),
    "distance that gains": (
        {"tracked": (Tracked("cells", -1.0, 1.0),)},
        ("tracked", "cells", "weight"),
        "tracked output cells has the weight -1: what gains by being larger has no optimum",
    ),
    "scale far too small": (
        {"maximise": Maximise("product_mass", 1e-9)},
        ("maximise", "scale"),
        (
            "maximised output product_mass has the scale 1e-09, but is about 100 in size: the "
            "scale is far too small"
        ),
    ),
    "limit above the range": (
        {"limits": (Limit("cells", 101.0, None, 1.0, None),)},
        ("limits", 0, "lower"),
        (
            "limited output cells must stay above 101, but the model has it within 0..100 g/L: no "
            "plan can keep that"
        ),
    ),
    "limit below the range": (
        {"limits": (Limit("substrate", None, -0.1, 1.0, 1.0),)},
        ("limits", 0, "upper"),
        (
            "limited output substrate must stay below -0.1, but the model has it within 0..200 "
            "g/L: no plan can keep that"
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_of_which_nothing_can_come_are_named(name: str) -> None:
    changes, where, words = WRONG[name]
    (item,) = examine(harvest_problem(**changes))
    assert (item.where, item.hopeless) == (where, True)
    assert str(item) == words
    assert complaints(harvest_problem(**changes)) == [f"problem harvest: {words}"]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"inputs": (replace(FEED, move_weight=1e-9),)}, ("inputs", "feed", "move_weight")),
        ({"inputs": (replace(FEED, effort_weight=1e9),)}, ("inputs", "feed", "effort_weight")),
        ({"rewarded": (Rewarded("cells", 1e-10),)}, ("rewarded", 0, "weight")),
        ({"boluses": (Bolus("feed", 0.1, 2.0, price=6e4),)}, ("boluses", "feed", "price")),
        (
            {"model": HASTY, "inputs": (replace(FEED, price=6e4),)},
            ("inputs", "feed", "price"),
        ),
    ],
)
def test_terms_too_far_apart_are_only_odd(
    changes: dict[str, Any], where: tuple[str | int, ...]
) -> None:
    (item,) = examine(harvest_problem(**changes))
    assert (item.where, item.hopeless) == (where, False)
    assert "apart the smaller one is lost" in item.text


def test_a_scale_far_too_large_is_only_odd() -> None:
    (item,) = examine(harvest_problem(maximise=Maximise("product_mass", 1e12)))
    assert (item.where, item.hopeless) == (("maximise", "scale"), False)
    assert "it will hardly count" in item.text


def test_a_limit_at_the_end_of_the_range_is_possible() -> None:
    limit = Limit("cells", 100.0, None, 1.0, None)
    assert complaints(harvest_problem(limits=(limit,))) == []


# ------------------------------------------------------------------ numbers of the model


def broken(**changes: Callable[..., Any]) -> PlantModel:
    """The batch reactor, with other equations for some fields of its rates or outputs."""

    def rhs(x: Any, u: Any, p: Any, xp: Any) -> Any:
        fields = {key: rate(x, xp) for key, rate in changes.items() if key in x._fields}
        return BATCH_REACTOR.rhs(x, u, p, xp)._replace(**fields)

    def outputs(x: Any, u: Any, p: Any, xp: Any) -> Any:
        fields = {key[2:]: value(x, xp) for key, value in changes.items() if key[:2] == "y_"}
        return BATCH_REACTOR.outputs(x, u, p, xp)._replace(**fields)

    return replace(BATCH_REACTOR, rhs=rhs, outputs=outputs)


def test_what_is_no_number_where_the_batch_begins_is_named() -> None:
    model = broken(
        product=lambda x, xp: xp.log(x.product),
        y_cells=lambda x, xp: x.cells / (x.product - x.product),
    )
    rate, output = examine(harvest_problem(model=model))
    assert (rate.where, rate.hopeless) == (("model",), True)
    assert str(rate) == (
        "the derivative of state product is -inf where the batch begins, at nominal inputs"
    )
    # Nobody asks for cells here.
    assert (str(output).partition(" where")[0], output.hopeless) == ("output cells is inf", False)
    limit = Limit("cells", None, 5.0, scale=1.0, weight=1.0)
    asked = examine(harvest_problem(model=model, limits=(limit,)))
    assert [item.hopeless for item in asked if item.subject == "output cells"] == [True]


def test_a_state_that_is_held_needs_no_derivative() -> None:
    model = broken(product=lambda x, xp: xp.log(x.product))
    problem = harvest_problem(model=model, held_states=("product",))
    assert [item.hopeless for item in examine(problem) if item.where == ("model",)] == [False]


def test_state_and_parameters_of_the_batch_count() -> None:
    model = broken(substrate=lambda x, xp: xp.sqrt(x.substrate - 0.1))
    problem = harvest_problem(model=model)
    assert complaints(problem) == []
    state = np.array([120.0, 1.0, 0.0, 0.0])
    assert complaints(problem, state) == [
        (
            "problem harvest: the derivative of state substrate is nan where the batch begins, at "
            "nominal inputs"
        )
    ]
    parameters = np.array(BATCH_REACTOR.nominal_parameters()._replace(Y_x=0.0))
    assert [item.subject for item in examine(harvest_problem(), parameters=parameters)] == [
        "the derivative of state substrate"
    ]


def test_equations_that_cannot_be_built_are_told() -> None:
    model = broken(product=lambda x, xp: 1.0 if x.product > 0 else 0.0)
    (item,) = examine(harvest_problem(model=model))
    assert item.where == ("model",)
    assert str(item).startswith("model batch_reactor has equations that cannot be built: ")
