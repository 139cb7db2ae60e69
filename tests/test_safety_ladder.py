"""The fallback ladder: a table of situations, each with the rung it must stand on."""

from dataclasses import dataclass, field
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.plan import no_plan
from controllers.recipe import Recipe
from mpc_agent.safety.ladder import Sources, choose, plan_inputs_at
from mpc_agent.values import Origin, Plan, SolveStatus
from tests.examples_safety import HELD, NOW_S, SETTINGS
from tests.record_values import PASSED

FEEDS = ("glucose_feed", "amino_feed")
GASES = ("nitrogen", "carbon_dioxide", "air", "oxygen")
RECIPE = Recipe.from_rows(
    [0.0, 72.0], 336.0, {"glucose_feed": [0.0, 1.75], "amino_feed": [0.0, 0.5]}
)


def plan(
    age_s: float = 0.0,
    status: SolveStatus = SolveStatus.SOLVED,
    decided: tuple[str, ...] = FEEDS,
    pieces: int = 4,
    piece_h: float = 6.0,
    value: float = 1.0,
) -> Plan:
    """A plan that gives `value + piece` to every decided input."""
    inputs = np.tile(value + np.arange(pieces)[:, None], (1, len(decided)))
    return Plan(
        problem="feed" if decided == FEEDS else "gas",
        status=status,
        solved_at_s=NOW_S - age_s,
        grid_h=piece_h * np.arange(1.0, pieces + 1),
        decided=decided,
        inputs=inputs,
        states=np.zeros((pieces, 1)),
        outputs=np.zeros((pieces, 1)),
        output_deviation=np.zeros((pieces, 1)),
        active=(),
        objective=0.0,
        iterations=10,
        attempts=("warm",),
        checks=PASSED,
        warm=None,
        message="gave up" if status is SolveStatus.NUMERICAL_ERROR else "",
    )


FAILED = plan(status=SolveStatus.NUMERICAL_ERROR)
FAILED_GAS = plan(status=SolveStatus.NUMERICAL_ERROR, decided=GASES)


def gas(age_s: float = 0.0, pieces: int = 6) -> Plan:
    return plan(age_s, decided=GASES, pieces=pieces, piece_h=0.1, value=100.0)


@dataclass(frozen=True)
class Situation:
    name: str
    origin: Origin
    problem: str = "feed"
    attempt: Plan | None = None
    usable: Plan | None = None
    recipe: Recipe | None = RECIPE
    batch_time_h: float | None = 100.0
    held: dict[str, float] = field(default_factory=lambda: dict(HELD))
    glucose_feed: float | None = None
    oxygen: float | None = None
    reason: str = ""


SITUATIONS = (
    Situation("fresh plan", Origin.PLAN, attempt=plan(), usable=plan(), glucose_feed=1.0),
    Situation(
        "acceptable plan",
        Origin.PLAN,
        attempt=plan(status=SolveStatus.ACCEPTABLE),
        usable=plan(status=SolveStatus.ACCEPTABLE),
        reason="ACCEPTABLE",
    ),
    Situation(
        "no solve due, plan fresh", Origin.PLAN, usable=plan(3600.0), reason="plan of 60 min ago"
    ),
    Situation(
        "solve failed, plan young",
        Origin.HELD_PLAN,
        attempt=FAILED,
        usable=plan(1200.0),
        glucose_feed=1.0,
        reason="NUMERICAL_ERROR: gave up",
    ),
    Situation(
        "no solve for long, plan young",
        Origin.HELD_PLAN,
        usable=plan(7 * 1800.0, piece_h=1.0),
        glucose_feed=4.0,
        reason="the last plan is 210 min old",
    ),
    Situation(
        "plan too old",
        Origin.RECIPE,
        attempt=FAILED,
        usable=plan(14401.0),
        glucose_feed=1.75,
        reason="following the recipe at 100.0 h",
    ),
    Situation(
        "plan ended",
        Origin.RECIPE,
        usable=plan(3600.0, pieces=1, piece_h=1.0),
        reason="the plan ends before now",
    ),
    Situation("plan from the future", Origin.RECIPE, usable=plan(-60.0)),
    Situation("plan lacks an input", Origin.RECIPE, usable=plan(decided=("glucose_feed",))),
    Situation("never a plan", Origin.RECIPE, reason="no usable plan yet"),
    Situation("unusable plan kept as usable", Origin.RECIPE, usable=FAILED),
    Situation("recipe over", Origin.RECIPE, batch_time_h=400.0, glucose_feed=0.0),
    Situation("no recipe", Origin.SAFE, recipe=None, glucose_feed=0.0, reason="safe values"),
    Situation("not inoculated", Origin.SAFE, batch_time_h=None, glucose_feed=0.0),
    Situation("batch time unknown", Origin.SAFE, batch_time_h=nan),
    Situation(
        "recipe lacks an input",
        Origin.SAFE,
        recipe=Recipe.from_rows([0.0], 336.0, {"glucose_feed": [1.0]}),
        glucose_feed=0.0,
    ),
    Situation("gas plan", Origin.PLAN, "gas", attempt=gas(), usable=gas(), oxygen=100.0),
    Situation(
        "gas plan held on its grid",
        Origin.HELD_PLAN,
        "gas",
        attempt=FAILED_GAS,
        usable=gas(1200.0),
        oxygen=103.0,
    ),
    Situation(
        "gas plan ended, flows held",
        Origin.HELD_PLAN,
        "gas",
        attempt=FAILED_GAS,
        usable=gas(1200.0, pieces=2),
        oxygen=100.0,
        reason="holding the gas flows",
    ),
    Situation("gas plan too old", Origin.SAFE, "gas", usable=gas(1801.0), oxygen=100.0),
    Situation(
        "gas flows unknown", Origin.SAFE, "gas", usable=gas(1200.0, pieces=2), held={"air": 300.0}
    ),
    Situation("gas, never a plan", Origin.SAFE, "gas", oxygen=100.0),
)


@pytest.mark.parametrize("case", SITUATIONS, ids=lambda case: case.name)
def test_the_ladder_stands_on_the_right_rung(case: Situation) -> None:
    sources = Sources(
        case.problem, case.attempt, case.usable, case.held, case.recipe, case.batch_time_h
    )
    choice = choose(sources, NOW_S, SETTINGS)
    assert choice.origin is case.origin
    assert set(choice.values) == set(SETTINGS.fallbacks[case.problem].inputs)
    assert np.all(np.isfinite(list(choice.values.values())))
    assert choice.reason.startswith(f"{case.problem}: ")
    assert choice.reason.endswith(".")
    assert case.reason in choice.reason
    for name, expected in (("glucose_feed", case.glucose_feed), ("oxygen", case.oxygen)):
        if expected is not None:
            assert choice.values[name] == expected


@pytest.mark.parametrize(
    ("elapsed_s", "expected"),
    [(-1.0, None), (0.0, 1.0), (3599.0, 1.0), (3600.0, 2.0), (7199.0, 2.0), (7200.0, None)],
)
def test_a_plan_is_read_piece_by_piece_and_not_beyond_its_end(
    elapsed_s: float, expected: float | None
) -> None:
    values = plan_inputs_at(plan(pieces=2, piece_h=1.0), NOW_S + elapsed_s)
    assert (values and values["glucose_feed"]) == expected


def test_a_plan_without_pieces_says_nothing() -> None:
    nothing = no_plan("feed", SolveStatus.INFEASIBLE, NOW_S)
    assert plan_inputs_at(nothing, NOW_S) is None
    assert plan_inputs_at(plan(), nan) is None


ORDER = [Origin.PLAN, Origin.HELD_PLAN, Origin.RECIPE, Origin.SAFE]


@given(
    attempt=st.one_of(st.none(), st.sampled_from(list(SolveStatus))),
    ages=st.tuples(st.floats(0.0, 20000.0), st.floats(0.0, 20000.0)),
    recipe=st.sampled_from([None, RECIPE]),
)
def test_an_older_plan_never_climbs_the_ladder(
    attempt: SolveStatus | None, ages: tuple[float, float], recipe: Recipe | None
) -> None:
    rungs = []
    for age_s in sorted(ages):
        tried = None if attempt is None else plan(age_s, status=attempt)
        sources = Sources("feed", tried, plan(age_s), HELD, recipe, 100.0)
        rungs.append(ORDER.index(choose(sources, NOW_S, SETTINGS).origin))
    assert rungs[0] <= rungs[1]
