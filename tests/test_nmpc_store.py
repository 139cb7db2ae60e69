"""Derivatives kept between starts: used for the same program only, never needed."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from mpc_agent.codec import encode
from tests.examples_core import harvest_problem, long_situation


class Shelf:
    """Keeps texts as a disk would, and counts what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.puts = 0

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def put(self, name: str, text: str) -> None:
        self.kept[name] = text
        self.puts += 1


VOLUME = Limit("volume", None, 124.0, scale=10.0, weight=None)


@pytest.fixture
def shelf() -> Shelf:
    """What a first start leaves."""
    shelf = Shelf()
    Nmpc(harvest_problem(), shelf)
    assert shelf.puts == len(shelf.kept) > 0
    return shelf


def planned(nmpc: Nmpc) -> tuple[Plan, Plan]:
    """A cold plan and a warm one an hour later."""
    situation = long_situation(nmpc.problem)
    first = nmpc.solve(situation, None)
    assert first.usable, first.message
    return first, nmpc.solve(replace(situation, time_s=situation.time_s + 3600), first)


def test_a_second_start_builds_nothing_and_plans_the_same(shelf: Shelf) -> None:
    puts = shelf.puts
    again = planned(Nmpc(harvest_problem(), shelf))
    assert shelf.puts == puts
    assert [encode(plan) for plan in again] == [
        encode(plan) for plan in planned(Nmpc(harvest_problem()))
    ]


def test_weights_bounds_and_limits_are_parameters_of_the_same_program(shelf: Shelf) -> None:
    puts = shelf.puts
    other = harvest_problem(
        inputs=(DecidedInput("feed", 0.0, 0.1, move_weight=5.0, effort_weight=0.01, price=1e-3),),
        maximise=Maximise("product_mass", 30.0),
        limits=(replace(VOLUME, upper=123.0),),
    )
    plan, _ = planned(Nmpc(other, shelf))
    assert shelf.puts == puts
    expected, _ = planned(Nmpc(other))
    assert encode(plan) == encode(expected)
    usual, _ = planned(Nmpc(harvest_problem()))
    assert np.abs(plan.inputs - usual.inputs).max() > 1e-3


@pytest.mark.parametrize(
    "other",
    [
        harvest_problem(pieces=14),
        harvest_problem(degree=2),
        harvest_problem(elements=2),
        harvest_problem(maximise=Maximise("product")),
        harvest_problem(limits=(replace(VOLUME, scale=1.0),)),
        harvest_problem(limits=(VOLUME, Limit("cells", None, 3.0, 1.0, 1.0))),
        harvest_problem(held_states=("product",), maximise=Maximise("cells")),
    ],
)
def test_another_program_of_the_same_name_is_built_anew(shelf: Shelf, other: Problem) -> None:
    puts = shelf.puts
    plan, _ = planned(Nmpc(other, shelf))
    assert shelf.puts > puts
    expected, _ = planned(Nmpc(other))
    assert encode(plan) == encode(expected)


@pytest.mark.parametrize("damage", ["", "no function at all", None])
def test_what_cannot_be_read_is_built_again(shelf: Shelf, damage: str | None) -> None:
    for name, text in shelf.kept.items():
        shelf.kept[name] = text[: len(text) // 2] if damage is None else damage
    plan, _ = planned(Nmpc(harvest_problem(), shelf))
    expected, _ = planned(Nmpc(harvest_problem()))
    assert encode(plan) == encode(expected)


def test_a_shelf_with_a_part_missing_is_filled_again(shelf: Shelf) -> None:
    everything = dict(shelf.kept)
    shelf.kept.pop(min(everything))
    Nmpc(harvest_problem(), shelf)
    assert set(shelf.kept) == set(everything)
