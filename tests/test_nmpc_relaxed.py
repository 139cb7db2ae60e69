"""Hard limits that cannot all be kept: which gives way first, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import ADVICE, Plan, SolveStatus
from controllers.problem import Limit, Problem
from tests.examples_core import harvest_problem, long_situation

VOLUME, SUBSTRATE = 0, 2
FULL = Limit("volume", None, 120.5, scale=10.0, weight=None)
"""Room for half a litre."""

FED = Limit("substrate", 0.4, None, scale=1.0, weight=None)
"""Sixty hours of it take more than that."""


def starving(volume_gives_way: int, substrate_gives_way: int) -> Problem:
    limits = (
        replace(FULL, gives_way=volume_gives_way),
        replace(FED, gives_way=substrate_gives_way),
    )
    return harvest_problem(limits=limits)


def planned(problem: Problem) -> Plan:
    return Nmpc(problem).solve(long_situation(problem, steps_h=even(60.0, 15)), None)


def test_what_gives_way_first_is_given_up_and_the_other_is_kept() -> None:
    volume_first, substrate_first = planned(starving(1, 2)), planned(starving(2, 1))
    for plan in (volume_first, substrate_first):
        assert plan.status is SolveStatus.ACCEPTABLE, plan.message
        assert plan.attempts == ("cold", "relaxed")
        assert plan.chosen == "relaxed"
    assert volume_first.outputs[:, SUBSTRATE].min() > 0.4 - 1e-4
    assert volume_first.outputs[:, VOLUME].max() > 121.0
    assert substrate_first.outputs[:, VOLUME].max() < 120.5 + 1e-4
    assert substrate_first.outputs[:, SUBSTRATE].min() < 0.3


def test_limits_of_one_rank_give_way_together() -> None:
    plan = planned(starving(1, 1))
    assert plan.status is SolveStatus.ACCEPTABLE
    assert plan.attempts == ("cold", "relaxed")
    beyond = (plan.outputs[:, VOLUME].max() - 120.5) / 10.0
    short = 0.4 - plan.outputs[:, SUBSTRATE].min()
    assert beyond > 0
    assert beyond + short > 0.05


def test_a_higher_rank_gives_way_only_when_the_lower_ones_did_not_suffice() -> None:
    """That more volume is of no use leaves but one way out."""
    useless = Limit("product", None, 5.0, scale=1.0, weight=None, gives_way=1)
    problem = harvest_problem(
        limits=(useless, replace(FULL, gives_way=2), replace(FED, gives_way=3))
    )
    plan = planned(problem)
    assert plan.status is SolveStatus.ACCEPTABLE, plan.message
    assert plan.attempts == ("cold", "relaxed", "relaxed")
    assert plan.outputs[:, SUBSTRATE].min() > 0.4 - 1e-4


def test_what_gave_way_in_vain_stays_given_up() -> None:
    """Fed enough, cells grow beyond their limit and the vessel is too small: both must go."""
    crowded = Limit("cells", None, 1.2, scale=1.0, weight=None, gives_way=1)
    problem = harvest_problem(
        limits=(crowded, replace(FULL, gives_way=2), replace(FED, gives_way=3))
    )
    plan = planned(problem)
    assert plan.status is SolveStatus.ACCEPTABLE, plan.message
    assert plan.attempts == ("cold", "relaxed", "relaxed")
    assert plan.outputs[:, SUBSTRATE].min() > 0.4 - 1e-4
    for told in ("cells is beyond its limit by", "volume is beyond its limit by"):
        assert told in plan.message
    assert "substrate" not in plan.message


@pytest.mark.parametrize(("ranks", "named"), [((1, 2), "volume"), ((2, 1), "substrate")])
def test_the_message_names_which_limit_is_broken_by_how_much_and_when(
    ranks: tuple[int, int], named: str
) -> None:
    plan = planned(starving(*ranks))
    beyond = np.column_stack([plan.outputs[:, VOLUME] - 120.5, 0.4 - plan.outputs[:, SUBSTRATE]])[
        :, 0 if named == "volume" else 1
    ]
    worst = int(np.argmax(beyond))
    told = f"{named} is beyond its limit by {beyond[worst]:.3g} after {plan.grid_h[worst]:.1f} h."
    assert plan.message == f"{ADVICE[SolveStatus.ACCEPTABLE]} {told}"


def test_where_the_limits_can_be_kept_none_gives_way() -> None:
    """The ranks of limits mean nothing then."""
    roomy = (Limit("volume", None, 124.0, 10.0, None, gives_way=1), replace(FED, gives_way=2))
    ranked = planned(harvest_problem(limits=roomy))
    assert ranked.status is SolveStatus.SOLVED, ranked.message
    same = planned(harvest_problem(limits=tuple(replace(item, gives_way=1) for item in roomy)))
    np.testing.assert_array_equal(ranked.inputs, same.inputs)


def test_a_soft_limit_never_counts_as_broken() -> None:
    soft = replace(FULL, weight=1.0)
    plan = planned(harvest_problem(limits=(soft, FED)))
    assert plan.status is SolveStatus.SOLVED
    assert plan.message == ADVICE[SolveStatus.SOLVED]
    assert plan.outputs[:, VOLUME].max() > 121.0


def test_after_a_relaxed_plan_the_next_solve_keeps_what_it_can() -> None:
    """With room again the hard limits count again, from the relaxed plan on."""
    nmpc = Nmpc(starving(1, 2))
    situation = long_situation(nmpc.problem, steps_h=even(60.0, 15))
    relaxed = nmpc.solve(situation, None)
    assert relaxed.chosen == "relaxed"
    later = nmpc.solve(replace(situation, time_s=situation.time_s + 3600), relaxed)
    assert later.status is SolveStatus.ACCEPTABLE
    assert later.attempts[0] == "warm"
    emptied = np.array([118.0, 1.0, 0.5, 0.0])
    roomy = replace(situation, state=emptied, time_s=situation.time_s + 3600)
    again = nmpc.solve(roomy, relaxed)
    assert again.status is SolveStatus.SOLVED, again.message
    assert again.outputs[:, VOLUME].max() < 120.5 + 1e-4
    assert again.outputs[:, SUBSTRATE].min() > 0.4 - 1e-4
