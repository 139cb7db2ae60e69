"""A solve never raises for numbers: what cannot be planned is a status with advice."""

from dataclasses import replace
from functools import cache
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import solvers
from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import ADVICE, SolveStatus
from controllers.problem import Method
from mpc_agent.codec import encode
from tests.examples_core import (
    harvest_problem,
    long_situation,
    reactor_situation,
    solved,
)
from tests.examples_plans import published_problem, published_situation


@pytest.fixture(scope="module")
def harvest() -> Nmpc:
    return Nmpc(harvest_problem())


@pytest.mark.parametrize(
    "field", ["state", "parameters", "given", "previous", "steps_h", "guess", "setpoints"]
)
@pytest.mark.parametrize("wrong", [nan, inf])
def test_numbers_that_are_none_are_a_status(harvest: Nmpc, field: str, wrong: float) -> None:
    situation = long_situation(harvest.problem)
    spoilt = np.array(getattr(situation, field))
    if not spoilt.size:
        spoilt = np.zeros(1)
    spoilt[-1] = wrong
    changes: dict[str, Any] = {field: spoilt}
    plan = harvest.solve(replace(situation, **changes), None)
    assert plan.status is SolveStatus.NUMERICAL_ERROR
    assert not plan.usable
    assert plan.attempts == ()
    assert plan.warm is None
    assert plan.message == ADVICE[SolveStatus.NUMERICAL_ERROR]


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_pieces_without_length_are_a_status(harvest: Nmpc, wrong: float) -> None:
    situation = long_situation(harvest.problem)
    steps_h = situation.steps_h.copy()
    steps_h[3] = wrong
    plan = harvest.solve(replace(situation, steps_h=steps_h), None)
    assert plan.status is SolveStatus.NUMERICAL_ERROR
    assert plan.attempts == ()


@pytest.mark.parametrize("vector", ["decision", "constraint_multipliers", "bound_multipliers"])
@pytest.mark.parametrize("method", Method)
def test_a_last_point_that_is_no_number_is_not_begun_from(vector: str, method: Method) -> None:
    """IPOPT does not come back from one multiplier that is none."""
    nmpc = Nmpc(published_problem(method=method, elements=2))
    situation = published_situation(nmpc.problem)
    first = nmpc.solve(situation, None)
    assert first.warm is not None
    spoilt = getattr(first.warm, vector).copy()
    spoilt[spoilt.size // 2] = nan
    changes: dict[str, Any] = {vector: spoilt}
    again = nmpc.solve(situation, replace(first, warm=replace(first.warm, **changes)))
    assert again.attempts == ("warm", "cold")
    np.testing.assert_array_equal(again.inputs, first.inputs)


def test_a_plan_that_differs_from_its_simulation_is_refused() -> None:
    plan = solved(harvest_problem(defect_max=1e-9))
    assert plan.status is SolveStatus.REFUSED
    assert plan.attempts == ("cold", "relaxed")
    assert not plan.usable
    assert plan.inputs.size == 0
    assert "differs by" in plan.message


def test_the_iteration_limit_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(solvers._COLD, "ipopt.max_iter", 3)
    plan = solved(harvest_problem(limits=()))
    assert plan.status is SolveStatus.ITERATION_LIMIT
    assert plan.iterations == 3
    assert plan.message == ADVICE[SolveStatus.ITERATION_LIMIT]
    assert not plan.usable


def test_when_the_warm_start_leads_nowhere_it_is_thrown_away(
    harvest: Nmpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(solvers._WARM, "ipopt.max_iter", 1)
    impatient = Nmpc(harvest_problem())
    situation = long_situation(harvest.problem)
    first = impatient.solve(situation, None)
    later = replace(situation, steps_h=even(75.0, 15), time_s=situation.time_s + 15 * 3600)
    second = impatient.solve(later, first)
    cold = harvest.solve(later, None)
    assert second.attempts == ("warm", "cold")
    assert second.iterations == 1 + cold.iterations
    np.testing.assert_array_equal(second.inputs, cold.inputs)


def test_a_last_plan_that_was_not_usable_does_no_harm(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    failed = harvest.solve(replace(situation, state=np.full(4, nan)), None)
    assert encode(harvest.solve(situation, failed)) == encode(harvest.solve(situation, None))


wild = st.floats(allow_nan=True, allow_infinity=True)


@given(
    state=st.lists(st.one_of(st.floats(0, 200), wild), min_size=4, max_size=4),
    parameters=st.lists(st.floats(1e-3, 300), min_size=7, max_size=7),
    piece_h=st.one_of(st.floats(1e-6, 30), wild),
    previous=wild,
    bounds=st.tuples(wild, wild),
)
@settings(max_examples=25)
def test_whatever_the_situation_it_gives_a_plan_within_bounds_or_a_status(
    state: list[float],
    parameters: list[float],
    piece_h: float,
    previous: float,
    bounds: tuple[float, float],
) -> None:
    nmpc = small()
    situation = reactor_situation(
        nmpc.problem,
        state=np.array(state),
        parameters=np.array(parameters),
        steps_h=np.full(5, piece_h),
        previous=np.array([previous]),
        input_bounds=np.array([bounds]),
    )
    plan = nmpc.solve(situation, None)
    assert plan.message
    if plan.usable:
        assert np.isfinite(plan.inputs).all()
        assert np.isfinite(plan.outputs).all()
        assert plan.inputs.max() <= 0.2
        assert plan.inputs.max() <= bounds[1] or np.isnan(bounds[1])
        assert plan.warm is not None
    else:
        assert plan.inputs.size == 0
        assert plan.warm is None


@cache
def small() -> Nmpc:
    return Nmpc(harvest_problem(pieces=5))
