"""What each problem is told, when the feeds are planned again, and what happens without a plan."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.plan import SolveStatus
from controllers.recipe import Recipe
from controllers.settings import GasSettings, Uncertainty
from mpc_agent.cycle import decide
from mpc_agent.forecasting import ahead, scenarios
from mpc_agent.memory import Decision, Memory, Rooms
from mpc_agent.planning import (
    Situated,
    deviation_ahead,
    feed_is_due,
    feed_situation,
    gas_situation,
    recipe_inputs,
)
from mpc_agent.values import Floats, Origin, Sample, SampleResult, Severity, Verdict
from tests import record_values
from tests.examples_batch import Batch, run_batch


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Two hours of the demo."""
    return run_batch(tmp_path_factory.mktemp("planning"), cycles=13)


@pytest.fixture(scope="module")
def last(batch: Batch) -> Decision:
    return batch.records[-1].decision


@pytest.fixture(scope="module")
def now(batch: Batch, last: Decision) -> Situated:
    rooms, record = batch.rooms, batch.records[-1]
    batch_h = rooms.hours(record.time_s)
    return Situated(
        time_s=record.time_s,
        batch_h=batch_h,
        remaining_h=rooms.harvest_h - batch_h,
        parameters=rooms.kalman.parameters(last.memory.estimation.history.belief),
        inputs=last.measurement.inputs,
        setpoints=record.readings.setpoints,
        limits=batch.memory.limits,
    )


# ------------------------------------------------------------------ when


def gas_rooms(rooms: Rooms) -> tuple[Nmpc, GasSettings]:
    """The tracking problem, which the demo has."""
    assert rooms.gas is not None
    assert rooms.control.gas is not None
    return rooms.gas, rooms.control.gas


def sampled(decision: Decision, verdict: Verdict) -> Decision:
    """The decision with one sample of this verdict in its estimate."""
    sample = Sample("glucose", 20.0, "mmol/L", 0.0, 0.0, "lab")
    samples = (SampleResult(sample, verdict, 0.0, 0.0),)
    return replace(decision, estimate=replace(decision.estimate, samples=samples))


@pytest.mark.parametrize(
    ("age_s", "verdict", "remaining_h", "due"),
    [
        (7000.0, None, 4.0, False),
        (7200.0, None, 4.0, True),
        (600.0, Verdict.OK, 4.0, True),
        (600.0, Verdict.GATED, 4.0, False),
        (600.0, Verdict.STALE, 4.0, False),
        (1e5, Verdict.OK, 0.005, False),
        (1e5, None, 0.01, True),
    ],
)
def test_feeds_are_planned_when_time_is_up_or_the_lab_tells_news(
    batch: Batch,
    last: Decision,
    now: Situated,
    age_s: float,
    verdict: Verdict | None,
    remaining_h: float,
    due: bool,
) -> None:
    plan = replace(last.plans["feed"], solved_at_s=now.time_s - age_s)
    told = replace(last, estimate=replace(last.estimate, samples=()))
    told = told if verdict is None else sampled(told, verdict)
    situated = replace(now, remaining_h=remaining_h)
    assert feed_is_due(batch.rooms.control.feed, told.estimate, situated, plan) == due


def test_feeds_are_planned_when_there_is_no_plan_yet(
    batch: Batch, last: Decision, now: Situated
) -> None:
    assert feed_is_due(batch.rooms.control.feed, last.estimate, now, None)


# ------------------------------------------------------------------ what


def test_the_feed_problem_starts_here_and_ends_at_harvest(
    batch: Batch, last: Decision, now: Situated
) -> None:
    rooms = batch.rooms
    nmpc, model = rooms.feed, rooms.feed.problem.model
    situation = feed_situation(nmpc, rooms.control.feed, rooms.recipe, last.estimate, now, None)
    assert situation.steps_h.shape == (nmpc.problem.pieces,)
    assert situation.steps_h.sum() == pytest.approx(4.0)
    # As estimated, but for a state that another loop will bring to its level.
    state = last.estimate.mean[: len(model.states)].copy()
    state[model.state_names.index("carbon_dioxide")] = 1.84
    np.testing.assert_array_equal(situation.state, state)
    assert situation.given.shape == (nmpc.problem.pieces, len(model.inputs))
    given = dict(zip(model.input_names, situation.given[-1], strict=True))
    assert [given[name] for name in model.volume_flows] == [0.0, 0.0, 0.0]
    assert given["air"] == now.inputs[model.input_names.index("air")]
    # Base is foreseen alone: the control unit sets it, and the recipe says nothing about it.
    assert nmpc.problem.decided == ("glucose_feed", "amino_feed", "base")
    in_force = [now.setpoints[name] for name in ("glucose_feed", "amino_feed")]
    flowing = now.inputs[model.input_names.index("base")]
    np.testing.assert_array_equal(situation.previous, [*in_force, flowing])
    hour = now.batch_h + 0.5 * situation.steps_h[0]
    expected = [rooms.recipe.rate(name, hour) for name in ("glucose_feed", "amino_feed")]
    assert situation.guess[0] == pytest.approx([*expected, 0.0], rel=1e-12)
    assert situation.output_deviation is None


def test_what_the_recipe_says_of_other_inputs_is_expected_piece_by_piece(
    batch: Batch, last: Decision, now: Situated
) -> None:
    """Base at 3 L/h for the first of the four hours left; its amount is kept, whatever the grid."""
    problem, model = batch.rooms.feed.problem, batch.rooms.feed.problem.model
    feeds_alone = tuple(item for item in problem.inputs if item.name != "base")
    nmpc = Nmpc(replace(problem, inputs=feeds_alone))
    given = {**batch.rooms.recipe.rates}
    end_h = now.batch_h + now.remaining_h
    times_h, base = [0.0, now.batch_h, now.batch_h + 1.0], [0.0, 3.0, 0.0]
    feeds = {name: [float(rates[0])] * 3 for name, rates in given.items()}
    recipe = Recipe.from_rows(times_h, end_h, {**feeds, "base": base})
    settings = replace(batch.rooms.control.feed, foreseen={"power_per_volume": 45.0})
    situation = feed_situation(nmpc, settings, recipe, last.estimate, now, None)
    column = situation.given[:, model.input_names.index("base")]
    assert column @ situation.steps_h == pytest.approx(3.0)
    assert column[0] == pytest.approx(3.0)
    assert column[-1] == 0.0
    assert (situation.given[:, model.input_names.index("power_per_volume")] == 45.0).all()


def test_the_gas_problem_knows_the_feeds_to_come_and_the_setpoints_of_the_hour(
    batch: Batch, last: Decision, now: Situated
) -> None:
    gas, settings = gas_rooms(batch.rooms)
    model = gas.problem.model
    situation = gas_situation(
        gas, settings, last.estimate, now, {"glucose_feed": 3.0, "amino_feed": 1.5}
    )
    given = dict(zip(model.input_names, situation.given, strict=True))
    assert (given["glucose_feed"], given["amino_feed"]) == (3.0, 1.5)
    targets = {
        item.output: value
        for item, value in zip(gas.problem.tracked, situation.setpoints, strict=True)
    }
    schedule = settings.setpoints
    assert targets == {name: schedule[name].at(now.batch_h) for name in targets}
    assert (situation.steps_h == settings.piece_s / 3600).all()
    assert situation.steps_h.shape == (gas.problem.pieces,)


def test_where_no_setpoint_is_known_what_flows_is_in_force(
    batch: Batch, last: Decision, now: Situated
) -> None:
    gas, settings = gas_rooms(batch.rooms)
    unknown = replace(now, setpoints={})
    situation = gas_situation(gas, settings, last.estimate, unknown, {})
    names = gas.problem.model.input_names
    flowing = [now.inputs[names.index(name)] for name in gas.problem.decided]
    assert situation.previous.tolist() == flowing


def test_the_plants_ranges_reach_the_problems(batch: Batch, last: Decision, now: Situated) -> None:
    gas, settings = gas_rooms(batch.rooms)
    assert set(now.limits) == set(batch.rooms.safety.input_limits)
    narrow = replace(now, limits={"air": (100.0, 200.0)})
    situation = gas_situation(gas, settings, last.estimate, narrow, {})
    assert situation.input_bounds is not None
    place = gas.problem.decided.index("air")
    assert situation.input_bounds[place].tolist() == [100.0, 200.0]
    assert np.isinf(np.delete(situation.input_bounds, place, axis=0)).all()


# ------------------------------------------------------------------ forecasts


def factor_of(rooms: Rooms, columns: dict[int, dict[str, float]]) -> Floats:
    """A covariance factor whose columns move only these coordinates."""
    kalman = rooms.kalman
    names = (
        *kalman.settings.model.state_names,
        *(item.name for item in kalman.settings.adapted),
    )
    factor = np.zeros((kalman.size, kalman.size))
    for column, moves in columns.items():
        for name, size in moves.items():
            factor[names.index(name), column] = size
    return factor


def test_a_forecast_follows_the_model_and_its_deviation_the_covariance(
    batch: Batch, last: Decision, now: Situated
) -> None:
    rooms = batch.rooms
    nmpc, kalman = rooms.feed, rooms.kalman
    situation = feed_situation(nmpc, rooms.control.feed, rooms.recipe, last.estimate, now, None)
    inputs = recipe_inputs(nmpc, rooms.recipe, now, situation.steps_h)
    # One direction alone: growth 1 % faster, cells 0.001e9/L more.
    moves = {"mu_max": 0.01, "viable_cells": 1e-3}
    estimate = replace(last.estimate, factor=factor_of(rooms, {3: moves}))
    foretold = ahead(nmpc, kalman, estimate, situation, inputs)
    expected = nmpc.predict(situation, inputs)[0]
    np.testing.assert_allclose(foretold.means, expected, rtol=1e-6, atol=1e-9)
    state, parameters = kalman.moved(estimate, estimate.factor[:, 3])
    model = nmpc.problem.model
    mu_max, cells = model.parameter_names.index("mu_max"), model.state_names.index("viable_cells")
    assert parameters[mu_max] == pytest.approx(now.parameters[mu_max] * np.exp(0.01))
    assert state[cells] == pytest.approx(situation.state[cells] + 1e-3)
    held = [model.state_names.index(name) for name in nmpc.problem.held_states]
    state[held] = situation.state[held]
    moved = replace(situation, state=state, parameters=parameters)
    change = nmpc.predict(moved, inputs)[0] - expected
    np.testing.assert_allclose(foretold.differences[3], change, rtol=0.02, atol=1e-6)
    np.testing.assert_allclose(foretold.deviations, np.abs(change), rtol=0.02, atol=1e-6)


def test_a_certain_estimate_has_no_deviation(batch: Batch, last: Decision, now: Situated) -> None:
    rooms = batch.rooms
    certain = replace(last.estimate, factor=factor_of(rooms, {}))
    situation = feed_situation(rooms.feed, rooms.control.feed, rooms.recipe, certain, now, None)
    inputs = recipe_inputs(rooms.feed, rooms.recipe, now, situation.steps_h)
    foretold = ahead(rooms.feed, rooms.kalman, certain, situation, inputs)
    assert np.abs(foretold.deviations).max() < 1e-9


def test_scenarios_lie_where_it_matters_and_mean_what_is_expected(
    batch: Batch, last: Decision, now: Situated
) -> None:
    rooms = batch.rooms
    nmpc, kalman, model = rooms.feed, rooms.kalman, rooms.feed.problem.model
    situation = feed_situation(nmpc, rooms.control.feed, rooms.recipe, last.estimate, now, None)
    # Known a little badly: what glucose consumption depends on. Known badly: what no limit reads.
    factor = factor_of(rooms, {0: {"m_glc": 0.1}, 5: {"RQ": 0.5}})
    estimate = replace(last.estimate, factor=factor)
    courses = scenarios(nmpc, kalman, estimate, situation, Uncertainty(1, 2.0))
    assert [course.share for course in courses] == pytest.approx([0.75, 0.125, 0.125])
    m_glc, rq = (model.parameter_names.index(name) for name in ("m_glc", "RQ"))
    ratios = [course.parameters[m_glc] / now.parameters[m_glc] for course in courses]
    assert ratios == pytest.approx([1.0, np.exp(0.2), np.exp(-0.2)])
    assert [course.parameters[rq] for course in courses] == pytest.approx([now.parameters[rq]] * 3)
    # The shares give back the variance that was put in.
    variance = sum(course.share * np.log(r) ** 2 for course, r in zip(courses, ratios, strict=True))
    assert variance == pytest.approx(0.1**2)


def test_a_deviation_is_read_from_the_last_plan_where_it_is_now(now: Situated) -> None:
    assert deviation_ahead(None, now, np.ones(5)) is None
    grid_h = np.array([2.0, 4.0, 6.0])
    plan = replace(
        record_values.plan("feed", now.time_s - 3600, pieces=3),
        grid_h=grid_h,
        outputs=np.zeros((3, 2)),
        output_deviation=np.column_stack([grid_h, 10 * grid_h]),
    )
    read = deviation_ahead(plan, now, np.ones(5))
    assert read is not None
    assert read[:, 0].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert read[:, 1].tolist() == [20.0, 30.0, 40.0, 50.0, 60.0]


def test_what_is_expected_at_harvest_is_told_with_the_plan(last: Decision) -> None:
    assert set(last.expected) == {"plan", "recipe"}
    # In six hours feeding changes next to nothing; what moves cost may count for more.
    assert last.expected["plan"].value > 0.99 * last.expected["recipe"].value > 0
    assert last.expected["plan"].deviation > 0
    assert last.plans["feed"].output_deviation.shape == last.plans["feed"].outputs.shape


# ------------------------------------------------------------------ without a plan


@pytest.fixture(scope="module")
def refusing(batch: Batch) -> Rooms:
    """The rooms with optimisers whose every plan fails its check."""
    rooms = batch.rooms
    return replace(
        rooms,
        feed=Nmpc(replace(rooms.feed.problem, defect_max=0.0)),
        gas=Nmpc(replace(gas_rooms(rooms)[0].problem, defect_max=0.0)),
    )


def later(batch: Batch, rooms: Rooms, memory: Memory, minutes: float) -> Decision:
    """A decision some time after the last scan, which is read again."""
    readings = batch.records[-1].readings
    at_s = readings.read_at_s + 60 * minutes
    measured = {name: replace(item, sampled_at_s=at_s) for name, item in readings.measured.items()}
    return decide(rooms, memory, replace(readings, read_at_s=at_s, measured=measured))


def test_without_plans_the_ladder_is_stepped_down_and_told_once(
    batch: Batch, refusing: Rooms
) -> None:
    memory, steps = batch.memory, []
    codes: list[str] = []
    for minutes in range(10, 230, 10):
        decision = later(batch, refusing, memory, minutes)
        steps.append((decision.setpoints.origin["feed"], decision.setpoints.origin["gas"]))
        memory = decision.memory
        codes += [event.code for event in decision.events]
    feeds, gases = zip(*steps, strict=True)
    assert list(dict.fromkeys(feeds)) == [Origin.PLAN, Origin.HELD_PLAN]
    assert list(dict.fromkeys(gases)) == [Origin.HELD_PLAN, Origin.SAFE]
    assert codes.count("PLAN_UNUSABLE") == 2
    assert codes.count("LADDER_HELD_PLAN") == 2
    assert codes.count("LADDER_SAFE") == 1
    assert memory.plans == batch.memory.plans


def test_from_the_first_cycle_without_plans_the_recipe_feeds(batch: Batch, refusing: Rooms) -> None:
    memory = replace(batch.memory, plans={}, origin={})
    decision = later(batch, refusing, memory, 10)
    assert decision.plans["feed"].status is SolveStatus.REFUSED
    assert dict(decision.setpoints.origin) == {"feed": Origin.RECIPE, "gas": Origin.SAFE}
    hour = batch.rooms.hours(decision.estimate.time_s)
    held, limits = batch.records[-1].readings.setpoints, batch.rooms.safety.input_limits
    for name, rate in batch.rooms.recipe.rates_at(hour).items():
        soon = held[name] + limits[name].rise_per_h / 6
        assert decision.setpoints.values[name] == pytest.approx(min(rate, soon))
    ladder = [event for event in decision.events if event.code.startswith("LADDER")]
    assert [event.code for event in ladder] == ["LADDER_RECIPE", "LADDER_SAFE"]
    assert all(event.severity is Severity.EVENT and event.text for event in ladder)
    again = later(batch, refusing, decision.memory, 20)
    assert not [event for event in again.events if event.code.startswith("LADDER")]


def test_samples_are_told_with_what_became_of_them(batch: Batch) -> None:
    readings = batch.records[-1].readings
    at_s = readings.read_at_s
    samples = tuple(
        Sample(analyte, value, unit, drawn_at_s, at_s, "lab")
        for analyte, value, unit, drawn_at_s in (
            ("glucose", 29.5, "mmol/L", at_s - 300),
            ("lactate", 150.0, "mmol/L", at_s - 300),
            ("titre", 1e6, "g/L", at_s - 300),
            ("ammonia", 1.0, "mmol/L", at_s - 1e6),
        )
    )
    decision = decide(
        batch.rooms, batch.memory, replace(readings, read_at_s=at_s + 600, samples=samples)
    )
    told = {
        event.text.split()[0]: (event.code, event.severity)
        for event in decision.events
        if event.code.startswith("SAMPLE")
    }
    assert told == {
        "glucose": ("SAMPLE_FUSED", Severity.EVENT),
        "lactate": ("SAMPLE_REFUSED", Severity.ALARM),
        "titre": ("SAMPLE_REFUSED", Severity.ALARM),
        "ammonia": ("SAMPLE_TOO_OLD", Severity.EVENT),
    }
    # News from the lab: the feeds are planned again.
    assert decision.plans["feed"].solved_at_s == at_s + 600
