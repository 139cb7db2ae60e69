"""Srinivasan's fed-batch: the published optimum, its trap, and what ends with the substrate.

Optimised inputs are integrated again by a tight integrator before anything is said about them. The
closed loop against another program is in the tests of the optimiser's benchmark.
"""

from typing import Any

import numpy as np
import pytest

from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import Plan, SolveStatus
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from plant_models.batch_bioreactor import CONTROL, PLANT
from plant_models.dialect import NUMPY
from plant_models.integrate import Simulator
from plant_models.model import PlantModel
from plant_models.reference_run import run_reference
from tests.examples_models import Course, Floats, compiled, reference_course

BATCH_H = 150.0
PIECES = 50
PIECE_H = BATCH_H / PIECES


def parts(model: PlantModel, **parameters: float) -> tuple[Floats, Floats]:
    """State at inoculation and parameters."""
    return (
        np.array(model.initial_state(), dtype=np.float64),
        np.array(model.nominal_parameters()._replace(**parameters), dtype=np.float64),
    )


def tight_course(
    model: PlantModel, initial: Floats, feeds: Floats, piece_h: float, p: Floats
) -> Course:
    """The course under piecewise-constant feeds, shape (pieces,)."""
    derivative, _ = compiled(model)

    def rhs(x: Floats, time_h: float) -> Floats:
        return np.array(derivative(x, [feeds[int(time_h / piece_h)]], p)).ravel()

    edges_h = [float(edge) for edge in np.arange(len(feeds) + 1) * piece_h]
    return reference_course(rhs, initial, edges_h, 1e-10)


def reference_feeds() -> Floats:
    """Feeds of the reference batch, averaged over pieces."""
    hourly = run_reference(CONTROL).inputs[:-1, 0]
    return np.asarray(hourly.reshape(PIECES, -1).mean(axis=1), dtype=np.float64)


def optimised(volume: float, feed_max: float, guess: Floats) -> tuple[Plan, Course]:
    """Most product at the end with biomass limited, and the tight course of the plan's feeds."""
    problem = Problem(
        name="srinivasan",
        model=CONTROL,
        inputs=(DecidedInput("feed", 0.0, feed_max, move_weight=0.0),),
        pieces=PIECES,
        maximise=Maximise("product"),
        limits=(Limit("biomass", None, 3.7, scale=1.0, weight=None),),
    )
    initial, p = parts(CONTROL)
    initial[CONTROL.state_names.index("volume")] = volume
    situation = Situation(
        time_s=0.0,
        state=initial,
        parameters=p,
        given=np.zeros(1),
        previous=np.zeros(1),
        steps_h=even(BATCH_H, PIECES),
        setpoints=np.zeros(0),
        guess=guess[:, None],
    )
    plan = Nmpc(problem).solve(situation, None)
    assert plan.status is SolveStatus.SOLVED, plan.message
    return plan, tight_course(CONTROL, initial, plan.inputs[:, 0], PIECE_H, p)


@pytest.mark.parametrize(
    ("volume", "feed_max", "published"),
    [(150.0, 1.0, 1.68268), (120.0, 0.2, 1.682696)],
    ids=["as in the paper", "as in do-mpc"],
)
def test_optimum_is_the_published_one(volume: float, feed_max: float, published: float) -> None:
    _, at = optimised(volume, feed_max, reference_feeds() * volume / 120.0)
    end = CONTROL.State(*at(BATCH_H))
    assert end.product == pytest.approx(published, rel=1e-4)
    course = np.array([at(time_h) for time_h in np.arange(0.0, BATCH_H + 0.01, 0.5)])
    biomass = course[:, CONTROL.state_names.index("biomass")]
    assert biomass.max() == pytest.approx(3.7, abs=1e-3)
    reached_h = 0.5 * int(np.argmax(biomass > 3.69))
    assert reached_h == pytest.approx(81.0, abs=2.0)


def test_a_rich_guess_ends_in_the_trap_that_the_docstring_warns_of() -> None:
    """Much substrate inhibits growth and so keeps biomass at its limit, with less product."""
    _, at = optimised(150.0, 1.0, np.full(PIECES, 0.1))
    assert CONTROL.State(*at(BATCH_H)).product == pytest.approx(1.487, abs=1e-3)


@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
def test_reference_batch_is_near_the_optimum_and_within_the_limit(model: PlantModel) -> None:
    run = run_reference(model)
    end = model.State(*run.states[-1])
    assert 1.67 < end.product < 1.6827
    assert run.states[:, model.state_names.index("biomass")].max() < 3.7
    assert run.outputs[-1][model.output_names.index("product_mass")] == pytest.approx(
        end.product * end.volume
    )


@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
def test_common_integrator_agrees_on_the_reference_batch(model: PlantModel) -> None:
    run, (initial, p) = run_reference(model), parts(model)
    at = tight_course(model, initial, run.inputs[:-1, 0], 1.0, p)
    for time_h, state in zip(run.times_h, run.states, strict=True):
        assert np.all(np.abs(state - at(time_h)) < 1e-6 * np.array([100.0, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
@pytest.mark.parametrize("S_in", [180.0, 200.0, 220.0])
@pytest.mark.parametrize("Y_x", [0.3, 0.4, 0.5])
def test_substrate_is_accounted_for_in_every_variant(
    model: PlantModel, Y_x: float, S_in: float
) -> None:
    """What was there and what was fed is substrate, biomass or product."""
    x, p = parts(model, Y_x=Y_x, S_in=S_in)

    def substrate(state: Any) -> float:
        bound = state.substrate + state.biomass / Y_x + state.product / 1.2
        return float(state.volume * bound)

    before = substrate(model.State(*x))
    simulator = Simulator(model, PIECE_H)
    feeds = reference_feeds()
    for feed in feeds:
        x = simulator.advance(x, np.array([feed]), p)
    fed = S_in * PIECE_H * feeds.sum()
    assert substrate(model.State(*x)) == pytest.approx(before + fed, rel=1e-9)


def test_nothing_is_made_without_substrate_in_the_plant() -> None:
    x, p = parts(PLANT)
    simulator = Simulator(PLANT, 1.0)
    for _ in range(100):
        x = simulator.advance(x, np.zeros(1), p)
        assert np.all(x >= 0)
    product = PLANT.State(*x).product
    later = simulator.advance(x, np.zeros(1), p)
    assert PLANT.State(*later).product == pytest.approx(product, rel=1e-9)


def test_published_equations_make_product_from_biomass_without_substrate() -> None:
    x, p = parts(CONTROL)
    simulator = Simulator(CONTROL, 1.0)
    for _ in range(200):
        x = simulator.advance(x, np.zeros(1), p)
        assert x[CONTROL.state_names.index("substrate")] > CONTROL.states["substrate"].lower
    rates = CONTROL.rhs(CONTROL.State(*x), CONTROL.nominal_inputs(), CONTROL.Parameters(*p), NUMPY)
    assert rates.product > 0
    assert rates.biomass < 0


def test_both_models_are_equal_with_substrate() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        x = np.array([120.0, 3.7, 1e-4, 1.0]) * (1 + 20 * random.random(4))
        u, p = np.array([random.random()]), parts(PLANT)[1]
        assert np.array_equal(PLANT.derivative(x, u, p, NUMPY), CONTROL.derivative(x, u, p, NUMPY))
