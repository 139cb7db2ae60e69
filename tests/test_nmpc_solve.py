"""What a solve promises: limits held, a checked plan, a status for everything else."""

from dataclasses import replace
from functools import cache
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import nmpc as rooms
from controllers.nmpc import Nmpc
from controllers.plan import ADVICE, Plan, SolveStatus
from controllers.problem import DecidedInput, Limit, Problem, Tracked
from controllers.situation import Situation
from controllers.transcription import radau
from mpc_agent.codec import encode
from plant_models.integrate import Simulator
from tests.examples_core import BATCH_REACTOR, harvest_problem, reactor_situation

VOLUME, PRODUCT_MASS = 0, 4
FEED = DecidedInput("feed", 0.0, 0.2, move_weight=1e-3)


@pytest.fixture(scope="module")
def harvest() -> Nmpc:
    return Nmpc(harvest_problem())


def long_situation(problem: Problem, **changes: Any) -> Situation:
    """Ninety hours from inoculation to harvest."""
    return reactor_situation(problem, **{"piece_h": 90 / problem.pieces, **changes})


def solved(problem: Problem, **changes: Any) -> Plan:
    return Nmpc(problem).solve(long_situation(problem, **changes), None)


# ------------------------------------------------------------------ the program


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_the_differentiation_matrix_is_exact_for_polynomials(degree: int) -> None:
    times, matrix = radau(degree)
    nodes = np.concatenate([[0.0], times])
    assert times[-1] == pytest.approx(1.0)
    for power in range(degree + 1):
        slopes = power * times ** max(power - 1, 0)
        np.testing.assert_allclose(nodes**power @ matrix, slopes, atol=1e-11)


def test_a_higher_degree_is_nearer_to_the_integrated_truth() -> None:
    low, high = (solved(harvest_problem(degree=degree), piece_h=2.0).defect for degree in (2, 3))
    assert 1e-5 > low > 100 * high > 0


@pytest.mark.parametrize(
    ("field", "name"), [("maximise", "cels"), ("held_states", ("cels",)), ("tracked", "cels")]
)
def test_a_problem_refuses_names_that_the_model_does_not_have(field: str, name: Any) -> None:
    value = (Tracked(name, 1.0, 1.0),) if field == "tracked" else name
    with pytest.raises(ValueError, match=r"'cels' is not in model batch_reactor \(.*cells"):
        harvest_problem(**{field: value})


# ------------------------------------------------------------------ a good plan


def test_a_plan_is_what_the_model_does_under_its_inputs(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    plan = harvest.solve(situation, None)
    assert plan.status is SolveStatus.SOLVED
    assert plan.message == ADVICE[SolveStatus.SOLVED]
    plant = Simulator(BATCH_REACTOR, situation.piece_h, count=200)
    state = situation.state
    for piece in range(harvest.problem.pieces):
        state = plant.advance(state, plan.inputs[piece], situation.parameters)
        np.testing.assert_allclose(plan.states[piece], state, rtol=1e-6, atol=1e-6)
        outputs = plant.outputs(state, plan.inputs[piece], situation.parameters)
        np.testing.assert_allclose(plan.outputs[piece], outputs, rtol=1e-6, atol=1e-6)
    assert plan.grid_h == pytest.approx(np.arange(1, 16) * 6.0)
    foreseen = harvest.predict(situation, plan.inputs)
    np.testing.assert_allclose(foreseen, plan.outputs, rtol=1e-12)


def test_no_change_of_a_plan_within_its_limits_is_better(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    plan = harvest.solve(situation, None)

    def worth(inputs: Any) -> float:
        moves = np.diff(inputs[:, 0], prepend=0.0)
        mass = harvest.predict(situation, inputs)[-1, PRODUCT_MASS]
        return float(mass / 100 - 1e-3 * moves @ moves)

    best, random = worth(plan.inputs), np.random.default_rng(3)
    for _ in range(50):
        change = random.normal(size=plan.inputs.shape) * 1e-3
        other = np.clip(plan.inputs + change - change.mean(), 0.0, 0.2)
        within = harvest.predict(situation, other)[-1, VOLUME] <= 124.0
        assert not within or worth(other) <= best + 1e-6


def test_the_same_problem_gives_the_same_bits(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    first = harvest.solve(situation, None)
    again = harvest.solve(situation, None)
    elsewhere = Nmpc(harvest_problem()).solve(situation, None)
    assert encode(first) == encode(again) == encode(elsewhere)
    later = replace(situation, time_s=situation.time_s + 3600, piece_h=89 / 15)
    assert encode(harvest.solve(later, first)) == encode(harvest.solve(later, again))


def test_a_warm_start_needs_fewer_iterations_and_finds_the_same(harvest: Nmpc) -> None:
    situation = long_situation(harvest.problem)
    first = harvest.solve(situation, None)
    plant = Simulator(BATCH_REACTOR, 2.0)
    later = replace(
        situation,
        time_s=situation.time_s + 7200,
        state=plant.advance(situation.state, first.inputs[0], situation.parameters),
        previous=first.inputs[0],
        piece_h=88 / 15,
    )
    cold, warm = harvest.solve(later, None), harvest.solve(later, first)
    assert (cold.attempts, warm.attempts) == (("cold",), ("warm",))
    assert warm.iterations < cold.iterations
    assert warm.objective == pytest.approx(cold.objective, rel=1e-6)
    np.testing.assert_allclose(warm.inputs, cold.inputs, atol=2e-4)


def test_the_last_point_is_read_where_it_is_now(harvest: Nmpc) -> None:
    """A piece later on the same grid, each row is the one after it; the end is held."""
    plan = harvest.solve(long_situation(harvest.problem), None)
    assert plan.warm is not None
    shifted = harvest._shifted(plan.warm, elapsed_h=6.0, piece_h=6.0)
    old, new = plan.warm.decision, shifted.decision
    layout = harvest._program.layout
    np.testing.assert_allclose(new[:-1], old[1:], rtol=1e-9)
    np.testing.assert_allclose(new[-1, layout.input_columns], old[-1, layout.input_columns])
    final = old[-1, layout.state_columns][-layout.states :]
    np.testing.assert_allclose(new[-1, layout.state_columns], np.tile(final, layout.degree))
    multipliers = plan.warm.constraint_multipliers
    np.testing.assert_array_equal(shifted.constraint_multipliers[:-1], multipliers[1:])
    # Half a piece later on pieces half as long, the second half of a row is in two rows.
    halved = harvest._shifted(plan.warm, elapsed_h=3.0, piece_h=3.0).decision
    column = layout.input_columns
    np.testing.assert_array_equal(halved[:4, column], old[[0, 1, 1, 2]][:, column])


def test_a_shrinking_horizon_is_never_rebuilt_and_keeps_its_promise() -> None:
    nmpc = Nmpc(harvest_problem())
    solvers = (nmpc._cold, nmpc._warm)
    situation, left_h = long_situation(nmpc.problem), 90.0
    plans: list[Plan] = []
    while left_h > 6.0:
        situation = replace(situation, piece_h=left_h / 15)
        plan = nmpc.solve(situation, plans[-1] if plans else None)
        assert plan.usable, plan.message
        assert plan.grid_h[-1] == pytest.approx(left_h)
        situation = replace(
            situation,
            time_s=situation.time_s + 3600 * situation.piece_h,
            state=plan.states[0],
            previous=plan.inputs[0],
        )
        left_h -= left_h / 15
        plans.append(plan)
    assert len(plans) > 35
    assert solvers == (nmpc._cold, nmpc._warm)
    first, last = plans[0].outputs[-1], plans[-1].outputs[-1]
    # What is won is the finer grid towards the end.
    assert first[PRODUCT_MASS] <= last[PRODUCT_MASS] < 1.02 * first[PRODUCT_MASS]
    assert last[VOLUME] < 124.0 + 1e-4


# ------------------------------------------------------------------ limits


def test_a_hard_limit_holds_for_the_integrated_plan_and_is_named(harvest: Nmpc) -> None:
    plan = harvest.solve(long_situation(harvest.problem), None)
    assert plan.outputs[:, VOLUME].max() <= 124.0 + 1e-6
    assert plan.outputs[-1, VOLUME] > 123.9
    assert "volume at its upper limit 124" in plan.active


def test_at_a_hard_limit_that_cannot_be_left_there_is_still_a_plan(harvest: Nmpc) -> None:
    """Volume never falls: at the limit the only plan is to feed nothing, solve after solve."""
    situation = reactor_situation(harvest.problem, state=np.array([124.0, 3.0, 9.0, 0.5]))
    last: Plan | None = None
    for _ in range(20):
        last = harvest.solve(situation, last)
        assert last.status is SolveStatus.SOLVED, last.message
        later_s = situation.time_s + 3600
        situation = replace(situation, state=last.states[0], time_s=later_s)
    assert situation.state[VOLUME] < 124.0 + 1e-4


def test_beyond_a_hard_limit_the_plan_goes_no_further_and_comes_back_if_it_can(
    harvest: Nmpc,
) -> None:
    full = reactor_situation(harvest.problem, state=np.array([130.0, 3.0, 9.0, 0.5]))
    plan = harvest.solve(full, None)
    assert plan.status is SolveStatus.SOLVED
    assert plan.outputs[:, VOLUME].max() < 130.0 + 1e-4
    # A thin feed dilutes.
    limit = Limit("cells", None, 3.0, scale=1.0, weight=None)
    crowded = harvest_problem(limits=(limit,), inputs=(replace(FEED, upper=2.0),))
    thin = np.array(BATCH_REACTOR.nominal_parameters()._replace(S_in=1.0))
    plan = solved(crowded, state=np.array([100.0, 3.3, 0.5, 0.5]), parameters=thin, piece_h=1.0)
    assert plan.status is SolveStatus.SOLVED
    assert plan.outputs[:, 1].max() < 3.3 + 1e-4
    assert plan.outputs[-1, 1] < 3.0 + 1e-4


def test_a_soft_limit_gives_way_when_it_is_worth_it() -> None:
    def highest(weight: float) -> float:
        limit = Limit("volume", None, 121.0, scale=1.0, weight=weight)
        return float(solved(harvest_problem(limits=(limit,))).outputs[:, VOLUME].max())

    assert highest(1e-6) > 123
    assert highest(10.0) < 121 + 1e-3


@pytest.mark.parametrize(("lower", "upper"), [(5.0, None), (None, -1.0)])
def test_a_soft_limit_out_of_reach_is_no_obstacle(lower: float | None, upper: float | None) -> None:
    limit = Limit("product", lower, upper, scale=1.0, weight=0.1)
    volume = Limit("volume", None, 124.0, scale=10.0, weight=None)
    plan = solved(harvest_problem(limits=(limit, volume)))
    assert plan.status is SolveStatus.SOLVED
    assert plan.attempts == ("cold",)


def test_contradicting_hard_limits_are_relaxed_and_named() -> None:
    limits = (
        Limit("volume", None, 120.5, scale=10.0, weight=None),
        Limit("substrate", 0.4, None, scale=1.0, weight=None),
    )
    plan = solved(harvest_problem(limits=limits), piece_h=4.0)
    assert plan.status is SolveStatus.ACCEPTABLE
    assert plan.usable
    assert plan.attempts == ("cold", "relaxed")
    assert plan.message == ADVICE[SolveStatus.ACCEPTABLE]
    assert {"volume at its upper limit 120.5", "substrate at its lower limit 0.4"} & {*plan.active}
    assert np.isfinite(plan.inputs).all()


def test_margins_keep_a_distance_that_grows_with_the_forecasts_deviation() -> None:
    def highest(deviation: float | None, **changes: float) -> float:
        limit = Limit("volume", None, 124.0, scale=10.0, weight=None, **changes)
        problem = harvest_problem(limits=(limit,))
        deviations = None if deviation is None else np.full((15, 6), deviation)
        plan = solved(problem, output_deviation=deviations)
        return float(plan.outputs[:, VOLUME].max())

    assert highest(0.5, margin=2.0) == pytest.approx(123.0, abs=1e-3)
    assert highest(0.5) == pytest.approx(124.0, abs=1e-3)
    assert highest(None, margin=2.0) == pytest.approx(124.0, abs=1e-3)
    assert highest(0.5, margin=2.0, margin_max=0.4) == pytest.approx(123.6, abs=1e-3)
    assert highest(nan, margin=2.0) == pytest.approx(124.0, abs=1e-3)
    assert highest(inf, margin=2.0) == pytest.approx(124.0, abs=1e-3)
    assert highest(inf, margin=2.0, margin_max=0.4) == pytest.approx(123.6, abs=1e-3)


def test_margins_that_overlap_meet_in_the_middle() -> None:
    limit = Limit("substrate", 0.2, 0.6, scale=0.1, weight=10.0, margin=1.0)
    problem = harvest_problem(limits=(limit,), pieces=30)
    plan = solved(problem, piece_h=1.0, output_deviation=np.full((30, 6), 5.0))
    assert plan.usable
    assert plan.outputs[-10:, 2] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [
        ((-inf, inf), (0.0, 0.2)),
        ((0.0, 0.03), (0.0, 0.03)),
        ((0.03, 0.05), (0.03, 0.05)),
        ((nan, nan), (0.0, 0.2)),
        ((nan, 0.03), (0.0, 0.03)),
        # Nothing satisfies both: the lower one of the upper bounds counts.
        ((0.5, 0.6), (0.2, 0.2)),
        ((0.05, 0.03), (0.03, 0.03)),
    ],
)
def test_the_plants_own_range_of_an_input_is_respected(
    harvest: Nmpc, bounds: tuple[float, float], allowed: tuple[float, float]
) -> None:
    # At full rate the vessel has room for a day.
    piece_h = 1.0 if allowed[0] == 0.2 else 6.0
    situation = long_situation(harvest.problem, input_bounds=np.array([bounds]), piece_h=piece_h)
    plan = harvest.solve(situation, None)
    assert plan.usable, plan.message
    assert plan.inputs.min() >= allowed[0]
    assert plan.inputs.max() <= allowed[1]
    if allowed[1] == 0.03:
        assert "feed at its upper bound 0.03" in plan.active


@pytest.mark.parametrize("largest", [0.002, 0.0])
def test_moves_are_limited_from_what_is_in_force(largest: float) -> None:
    problem = harvest_problem(inputs=(replace(FEED, max_move=largest),))
    plan = solved(problem, previous=np.array([0.01]))
    assert plan.usable, plan.message
    moves = np.diff(plan.inputs[:, 0], prepend=0.01)
    assert np.abs(moves).max() == pytest.approx(largest, abs=1e-7)


def test_a_cost_of_movement_makes_a_plan_calmer() -> None:
    def unrest(weight: float) -> float:
        plan = solved(harvest_problem(inputs=(replace(FEED, move_weight=weight),)))
        return float(np.abs(np.diff(plan.inputs[:, 0])).sum())

    assert unrest(100.0) < 0.5 * unrest(1e-6)


def test_a_cost_of_use_makes_a_plan_use_less() -> None:
    def used(weight: float) -> float:
        plan = solved(harvest_problem(inputs=(replace(FEED, effort_weight=weight),)))
        return float(plan.inputs.sum())

    assert used(1.0) < used(0.0)


def test_held_states_stay_and_are_part_of_the_model_all_the_same() -> None:
    problem = harvest_problem(held_states=("volume",), limits=())
    plan = solved(problem, piece_h=1.0)
    assert plan.usable
    assert (plan.states[:, VOLUME] == 120.0).all()
    assert plan.states[-1, 1] > 1.0


# ------------------------------------------------------------------ everything else is a status


@pytest.mark.parametrize(
    "field", ["state", "parameters", "given", "previous", "piece_h", "guess", "setpoints"]
)
@pytest.mark.parametrize("wrong", [nan, inf])
def test_numbers_that_are_none_are_a_status(harvest: Nmpc, field: str, wrong: float) -> None:
    situation = long_situation(harvest.problem)
    spoilt = np.atleast_1d(np.array(getattr(situation, field)))
    if not spoilt.size:
        spoilt = np.zeros(1)
    spoilt[-1] = wrong
    changes: dict[str, Any] = {field: spoilt[0] if field == "piece_h" else spoilt}
    plan = harvest.solve(replace(situation, **changes), None)
    assert plan.status is SolveStatus.NUMERICAL_ERROR
    assert not plan.usable
    assert plan.attempts == ()
    assert plan.warm is None
    assert plan.message == ADVICE[SolveStatus.NUMERICAL_ERROR]


def test_a_plan_that_differs_from_its_simulation_is_refused() -> None:
    plan = solved(harvest_problem(defect_max=1e-12))
    assert plan.status is SolveStatus.REFUSED
    assert plan.attempts == ("cold", "relaxed")
    assert not plan.usable
    assert plan.inputs.size == 0
    assert "differs by" in plan.message


def test_the_iteration_limit_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rooms._COLD, "ipopt.max_iter", 3)
    plan = solved(harvest_problem(limits=()))
    assert plan.status is SolveStatus.ITERATION_LIMIT
    assert plan.iterations == 3
    assert plan.message == ADVICE[SolveStatus.ITERATION_LIMIT]
    assert not plan.usable


def test_when_the_warm_start_leads_nowhere_it_is_thrown_away(
    harvest: Nmpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rooms._WARM, "ipopt.max_iter", 1)
    impatient = Nmpc(harvest_problem())
    situation = long_situation(harvest.problem)
    first = impatient.solve(situation, None)
    later = replace(situation, piece_h=5.0, time_s=situation.time_s + 15 * 3600)
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
        piece_h=piece_h,
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
