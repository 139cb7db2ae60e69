"""A plan that may be acted upon cannot be made without having passed every check."""

from dataclasses import fields, replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.arrays import Floats
from controllers.plan import ADVICE, Active, Checks, Plan, SolveStatus, no_plan
from mpc_agent import codec
from mpc_agent.codec import CodecError
from tests.record_values import PASSED
from tests.record_values import plan as recorded_plan

USABLE = (SolveStatus.SOLVED, SolveStatus.ACCEPTABLE)
UNUSABLE = tuple(status for status in SolveStatus if status not in USABLE)
TABLES = ("inputs", "states", "outputs")


def good(status: SolveStatus = SolveStatus.SOLVED) -> Plan:
    """A plan of four pieces that passed."""
    return recorded_plan("feed", 1e9, pieces=4, status=status)


def pouring() -> Plan:
    """The same with a liquid that is poured at 6 h and at 18 h, 1.5 L and 0.5 L in 15 minutes."""
    boluses = np.array([[0.0], [1.5], [0.0], [0.5]])
    return replace(good(), boluses=boluses, poured=("amino_feed",), pour_h=(0.25,))


excesses = st.one_of(st.floats(min_value=1e-300), st.just(nan))


@st.composite
def spoilt_checks(draw: st.DrawFn) -> Checks:
    """Checks of which at least one failed, by however little, or gave no number."""
    bad: dict[str, st.SearchStrategy[float]] = {
        "defect": st.one_of(st.floats(min_value=np.nextafter(0.02, 1.0)), st.just(nan)),
        "integration_error": st.one_of(st.floats(min_value=np.nextafter(0.02, 1.0)), st.just(nan)),
        "input_excess": excesses,
        "move_excess": excesses,
        "limit_excess": excesses,
        "defect_max": st.just(nan),
    }
    names = draw(st.sets(st.sampled_from(sorted(bad)), min_size=1))
    return replace(PASSED, **{name: draw(bad[name]) for name in names})


# ------------------------------------------------------------------ checks


def test_each_check_says_what_it_found() -> None:
    assert list(PASSED.faults()) == []
    assert list(Checks(0.03, 0.02, inf, 0.1, 0.2, 0.3).faults()) == [
        "cannot be simulated (error inf scales)",
        "differs by 0.03 scales from its simulation",
        "leaves the inputs' bounds by 0.1 scales",
        "moves faster than allowed by 0.2 scales",
        "breaks a hard limit by 0.3 scales",
    ]


@given(spoilt_checks(), st.sampled_from(USABLE))
def test_a_failed_check_makes_no_plan(checks: Checks, status: SolveStatus) -> None:
    assert list(checks.faults())
    with pytest.raises(ValueError, match="feed: an unchecked plan: "):
        replace(good(status), checks=checks)


def test_a_plan_that_nobody_checked_is_none() -> None:
    with pytest.raises(ValueError, match="an unchecked plan: nobody checked it"):
        replace(good(), checks=None)


# ------------------------------------------------------------------ numbers


@given(
    name=st.sampled_from(("grid_h", *TABLES, "boluses")),
    place=st.integers(0, 1000),
    wrong=st.sampled_from([nan, inf, -inf]),
)
def test_a_number_that_is_none_makes_no_plan(name: str, place: int, wrong: float) -> None:
    plan = pouring()
    table = np.array(getattr(plan, name))
    table.flat[place % table.size] = wrong
    changes: dict[str, Any] = {name: table}
    with pytest.raises(ValueError, match="not all of its numbers are finite"):
        replace(plan, **changes)


@given(name=st.sampled_from(TABLES), rows=st.integers(0, 8).filter(lambda rows: rows != 4))
def test_a_table_that_does_not_fit_the_grid_makes_no_plan(name: str, rows: int) -> None:
    plan = good()
    changes: dict[str, Any] = {name: np.zeros((rows, getattr(plan, name).shape[1]))}
    with pytest.raises(ValueError, match="do not have one row per piece"):
        replace(plan, **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"decided": ("glucose_feed",)}, "not those that are decided"),
        ({"inputs": np.zeros((4, 3))}, "not those that are decided"),
        ({"inputs": np.zeros(4)}, "not those that are decided"),
        ({"grid_h": np.array([6.0, 12.0, 12.0, 18.0])}, "have no length"),
        ({"grid_h": np.array([6.0, 12.0, 11.0, 18.0])}, "have no length"),
        ({"grid_h": np.array([0.0, 6.0, 12.0, 18.0])}, "have no length"),
        ({"grid_h": np.zeros(0)}, "one row per piece"),
        ({"output_deviation": np.zeros((4, 1))}, "deviations are not those of its outputs"),
        ({"output_deviation": np.zeros((3, 28))}, "deviations are not those of its outputs"),
        ({"poured": ("amino_feed",)}, "not those that are poured"),
        ({"poured": ("amino_feed",), "pour_h": (0.25,)}, "not those that are poured"),
        ({name: np.zeros((0, 2)) for name in ("grid_h", *TABLES)}, "one row per piece"),
    ],
)
def test_a_plan_of_the_wrong_shape_is_none(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(good(), **changes)


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = replace(PASSED, defect=1.0, limit_excess=0.5)
    with pytest.raises(ValueError, match=r"differs by 1 .*breaks .* 0.5 .*not those .*finite"):
        replace(good(), checks=wrong, inputs=np.full((4, 7), nan))


@pytest.mark.parametrize("boluses", [np.zeros((3, 1)), np.zeros((4, 2)), np.zeros((0, 0))])
def test_boluses_of_the_wrong_shape_make_no_plan(boluses: Floats) -> None:
    with pytest.raises(ValueError, match="not those that are poured"):
        replace(pouring(), boluses=boluses)


def test_nothing_can_be_poured_out() -> None:
    with pytest.raises(ValueError, match="a bolus is negative"):
        replace(pouring(), boluses=np.full((4, 1), -1e-9))


# ------------------------------------------------------------------ ways around


@given(spoilt_checks())
def test_the_record_gives_back_no_plan_that_could_not_be_made(checks: Checks) -> None:
    """Bytes of a plan whose checks were written over are refused."""
    plan = good()
    object.__setattr__(plan, "checks", checks)
    with pytest.raises(CodecError, match="an unchecked plan"):
        codec.decode(codec.encode(plan), Plan)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checks", None),
        ("inputs", np.full((4, 2), nan)),
        ("inputs", np.zeros((3, 2))),
        ("grid_h", np.zeros(4)),
    ],
)
def test_the_record_gives_back_no_plan_with_wrong_numbers(name: str, value: object) -> None:
    plan = good()
    object.__setattr__(plan, name, value)
    with pytest.raises(CodecError, match="an unchecked plan"):
        codec.decode(codec.encode(plan), Plan)


@pytest.mark.parametrize("name", ["grid_h", *TABLES, "boluses"])
def test_what_was_checked_cannot_be_written_over(name: str) -> None:
    table = getattr(pouring(), name)
    with pytest.raises(ValueError, match="read-only"):
        table[:] = nan


def test_the_record_gives_back_a_good_plan_as_it_was() -> None:
    plan = good()
    back = codec.decode(codec.encode(plan), Plan)
    assert codec.encode(back) == codec.encode(plan)
    assert back.usable
    assert (back.checks, back.active, back.terms) == (plan.checks, plan.active, dict(plan.terms))
    assert {field.name for field in fields(Plan)} >= {"chosen", "searched_at_s", "poured"}
    assert (back.chosen, back.searched_at_s) == ("warm", plan.searched_at_s)


@pytest.mark.parametrize("status", UNUSABLE)
def test_a_reason_for_no_plan_cannot_be_made_into_one(status: SolveStatus) -> None:
    reason = no_plan("feed", status, 1e9, ("warm", "cold"), 30, "because")
    assert not reason.usable
    assert reason.message == f"{ADVICE[status]} because"
    assert (reason.attempts, reason.iterations) == (("warm", "cold"), 30)
    assert reason.warm is None
    assert reason.inputs.size == 0
    assert np.isnan(reason.defect)
    for claimed in USABLE:
        with pytest.raises(ValueError, match="nobody checked it; its tables"):
            replace(reason, status=claimed)
        with pytest.raises(ValueError, match="nobody checked it"):
            no_plan("feed", claimed, 1e9)


@pytest.mark.parametrize("status", UNUSABLE)
def test_what_is_not_usable_may_hold_anything_and_stays_unusable(status: SolveStatus) -> None:
    assert not replace(good(status), checks=None, inputs=np.full((1, 1), nan)).usable


# ------------------------------------------------------------------ what a plan gives


@pytest.mark.parametrize(
    ("elapsed_h", "piece", "poured_L_per_h", "half_poured"),
    [
        (0.0, 0, 0.0, False),
        (5.99, 0, 0.0, False),
        # A clock that is a second early or late: the same number of cycles pours.
        (6.0 - 1e-4, 0, 6.0, False),
        (6.0, 1, 6.0, False),
        (6.01, 1, 6.0, True),
        (6.24, 1, 6.0, True),
        (6.25 - 1e-4, 1, 0.0, False),
        (6.25, 1, 0.0, False),
        (18.1, 3, 2.0, True),
        (23.99, 3, 0.0, False),
    ],
)
def test_a_plan_is_read_piece_by_piece_with_what_is_being_poured(
    elapsed_h: float, piece: int, poured_L_per_h: float, half_poured: bool
) -> None:
    plan = pouring()
    glucose, amino = plan.inputs[piece]
    values = plan.inputs_at(elapsed_h)
    assert values == {"glucose_feed": glucose, "amino_feed": amino + poured_L_per_h}
    assert plan.pouring(elapsed_h) is half_poured


def test_a_liquid_that_is_poured_alone_does_not_flow_in_between() -> None:
    alone = replace(pouring(), poured=("base",))
    assert (alone.inputs_at(6.1) or {})["base"] == 6.0
    assert (alone.inputs_at(7.0) or {})["base"] == 0.0


@pytest.mark.parametrize("elapsed_h", [-1e-9, 24.0, 30.0, nan])
def test_a_plan_says_nothing_outside_its_horizon(elapsed_h: float) -> None:
    assert pouring().inputs_at(elapsed_h) is None
    assert not pouring().pouring(elapsed_h)


def test_what_a_plan_pours_is_what_flows() -> None:
    """Read every minute, the litres are those of the plan."""
    plan = pouring()
    minutes = (np.arange(24 * 60) + 0.5) / 60
    values = [plan.inputs_at(float(hour)) for hour in minutes]
    litres = sum(value["amino_feed"] for value in values if value is not None) / 60
    continuous = 6.0 * plan.inputs[:, 1].sum()
    assert litres == pytest.approx(continuous + 2.0, rel=1e-9)


# ------------------------------------------------------------------ words


def test_what_holds_a_plan_back_is_told_in_words() -> None:
    limit = Active("volume", "limit", "upper", 2002.0, 330.0, 336.0, 1.5e-3)
    bound = Active("feed", "bound", "lower", 0.25, 0.0, 6.0, 0.0)
    assert str(limit) == "volume at its upper limit 2002"
    assert str(bound) == "feed at its lower bound 0.25"


def test_the_defect_of_a_plan_is_that_of_its_checks() -> None:
    assert good().defect == PASSED.defect == 2e-7
