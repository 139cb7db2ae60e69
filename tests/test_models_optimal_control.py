"""Two classical problems of optimal control: their best known values are reached.

A plan of the optimiser is not believed: its inputs are integrated again by a tight integrator, and
what that gives is held against the values of independent programs.
"""

from collections.abc import Callable
from functools import cache
from math import exp

import numpy as np
import pytest

from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import SolveStatus
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from plant_models import cuthrell_biegler, park_ramirez
from plant_models.dialect import NUMPY
from plant_models.integrate import Simulator
from plant_models.model import PlantModel
from plant_models.reference_run import run_reference
from tests.examples_models import Course, Floats, compiled, reference_course

PARK_RAMIREZ = park_ramirez.MODEL
CUTHRELL_BIEGLER = cuthrell_biegler.MODEL

RTOL = 1e-10


def tight_course(model: PlantModel, feeds: Floats, piece_h: float) -> Course:
    """The course from inoculation under piecewise-constant feeds, shape (pieces,)."""
    derivative, _ = compiled(model)
    p = np.array(model.nominal_parameters())

    def rhs(x: Floats, time_h: float) -> Floats:
        return np.array(derivative(x, [feeds[int(time_h / piece_h)]], p)).ravel()

    edges_h = [float(edge) for edge in np.arange(len(feeds) + 1) * piece_h]
    return reference_course(rhs, np.array(model.initial_state(), dtype=np.float64), edges_h, RTOL)


def best_course(
    problem: Problem, batch_h: float, guess: Callable[[float], float]
) -> tuple[Floats, Course]:
    """The optimiser's feeds and their tight course, from a guess of the feed at each hour."""
    model, piece_h = problem.model, batch_h / problem.pieces
    guesses = [[guess((piece + 0.5) * piece_h)] for piece in range(problem.pieces)]
    situation = Situation(
        time_s=0.0,
        state=np.array(model.initial_state(), dtype=np.float64),
        parameters=np.array(model.nominal_parameters(), dtype=np.float64),
        given=np.zeros(1),
        previous=np.zeros(1),
        steps_h=even(batch_h, problem.pieces),
        setpoints=np.zeros(0),
        guess=np.array(guesses),
    )
    plan = Nmpc(problem).solve(situation, None)
    assert plan.status is SolveStatus.SOLVED, plan.message
    feeds = plan.inputs[:, 0]
    return feeds, tight_course(model, feeds, piece_h)


def product_mass(model: PlantModel, state: Floats) -> float:
    """Grams of product in the vessel."""
    named = model.State(*state)
    return float(named.product * named.volume)


# ------------------------------------------------------------------ Park-Ramirez


def protein_problem(pieces: int) -> Problem:
    return Problem(
        name="park_ramirez",
        model=PARK_RAMIREZ,
        inputs=(DecidedInput("feed", 0.0, 2.0, move_weight=0.0),),
        pieces=pieces,
        maximise=Maximise("product_mass", 30.0),
    )


def test_park_ramirez_reaches_the_best_known_value() -> None:
    """With 150 pieces, from nothing better than a rising feed."""
    feeds, at = best_course(protein_problem(150), 15.0, lambda time_h: 0.2 + 1.3 * time_h / 15)
    assert product_mass(PARK_RAMIREZ, at(15.0)) == pytest.approx(32.6877, abs=1e-3)
    assert product_mass(PARK_RAMIREZ, at(15.0)) >= 32.68
    # Exponential growth, then a burst at the bound, a pause, and a long singular arc.
    assert feeds[0] == pytest.approx(0.15, abs=0.01)
    assert feeds.max() == pytest.approx(2.0, abs=1e-3)
    assert feeds.min() == pytest.approx(0.0, abs=1e-3)
    assert feeds[120] == pytest.approx(0.80, abs=0.01)
    assert PARK_RAMIREZ.State(*at(15.0)).volume == pytest.approx(13.0, abs=0.1)


def test_park_ramirez_on_few_pieces_is_within_its_bound() -> None:
    """Fifty pieces, from the feed of the reference batch: a little less than with 150."""
    hourly = run_reference(PARK_RAMIREZ).inputs[:-1, 0]
    _, at = best_course(protein_problem(50), 15.0, lambda time_h: float(hourly[int(time_h)]))
    assert 32.58 < product_mass(PARK_RAMIREZ, at(15.0)) < 32.6951


def test_park_ramirez_reference_batch_is_the_best_on_fifteen_pieces() -> None:
    run = run_reference(PARK_RAMIREZ)
    feeds = run.inputs[:-1, 0]
    at = tight_course(PARK_RAMIREZ, feeds, 1.0)
    best = product_mass(PARK_RAMIREZ, at(15.0))
    assert best == pytest.approx(32.287, abs=1e-3)
    assert product_mass(PARK_RAMIREZ, run.states[-1]) == pytest.approx(best, rel=1e-6)
    for piece in range(15):
        for change in (-0.02, 0.02):
            moved = feeds.copy()
            moved[piece] = np.clip(moved[piece] + change, 0.0, 2.0)
            other = product_mass(PARK_RAMIREZ, tight_course(PARK_RAMIREZ, moved, 1.0)(15.0))
            assert other <= best + 1e-6


# ------------------------------------------------------------------ Cuthrell-Biegler


def penicillin_problem(pieces: int) -> Problem:
    return Problem(
        name="cuthrell_biegler",
        model=CUTHRELL_BIEGLER,
        inputs=(DecidedInput("feed", 0.0, 0.1, move_weight=0.0),),
        pieces=pieces,
        maximise=Maximise("product_mass", 90.0),
        limits=(
            Limit("volume", None, 10.0, scale=10.0, weight=None),
            Limit("biomass", None, 40.0, scale=20.0, weight=None),
            Limit("substrate", None, 25.0, scale=10.0, weight=None),
        ),
        # Collocation cannot follow the hour in which the substrate of the burst is used up: it may
        # be off by 0.25 g/L there. That hour costs 0.001 g of product, as the tight course tells.
        defect_max=0.1,
    )


def penicillin_guess(time_h: float) -> float:
    """The structure of the literature: exponential feed, a burst, a slow rise; L/h."""
    if time_h < 24:
        return 3.2 * exp(0.076 * time_h) / 500
    return 0.1 if time_h < 32 else (8.4 + 0.012 * (time_h - 32)) / 500


@cache
def penicillin_course(hours: int) -> tuple[Floats, Course]:
    """The best feeds in pieces of an hour, and their tight course."""
    return best_course(penicillin_problem(hours), float(hours), penicillin_guess)


@pytest.mark.parametrize(("hours", "best_known"), [(132, 88.027), (126, 87.816)])
def test_cuthrell_biegler_reaches_the_best_known_value(hours: int, best_known: float) -> None:
    _, at = penicillin_course(hours)
    mass = product_mass(CUTHRELL_BIEGLER, at(float(hours)))
    assert mass == pytest.approx(best_known, abs=0.02)
    assert mass >= best_known


def test_cuthrell_biegler_ends_as_published() -> None:
    _, at = penicillin_course(132)
    end = CUTHRELL_BIEGLER.State(*at(132.0))
    # The optimum is flat in the hour of the burst, and biomass at the end tells that hour.
    published = [("biomass", 28.6, 0.2), ("product", 8.80, 0.01), ("substrate", 0.0015, 1e-4)]
    for name, value, width in published:
        assert getattr(end, name) == pytest.approx(value, abs=width), name
    assert end.volume == pytest.approx(10.0, abs=1e-5)


def test_cuthrell_biegler_has_the_structure_of_the_literature() -> None:
    """Exponential feed, one burst at the bound around 30 h, a slow rise; no state at its limit."""
    feeds, at = penicillin_course(126)
    per_hour = 500 * feeds
    burst = np.flatnonzero(per_hour > 49.9)
    assert np.all(np.diff(burst) == 1)
    assert burst.min() < 30 < burst.max() + 5
    assert per_hour[15] == pytest.approx(9.3, abs=1.0)
    assert per_hour[60] == pytest.approx(9.4, abs=0.1)
    assert per_hour[-1] == pytest.approx(9.9, abs=0.1)
    course = np.array([at(time_h) for time_h in np.arange(0.0, 126.0, 0.5)])
    assert course[:, 1].max() < 33.0
    assert course[:, 2].max() < 20.0


def test_cuthrell_biegler_reference_batch_is_close_to_the_best() -> None:
    run = run_reference(CUTHRELL_BIEGLER)
    at = tight_course(CUTHRELL_BIEGLER, run.inputs[:-1, 0], 1.0)
    assert product_mass(CUTHRELL_BIEGLER, at(132.0)) == pytest.approx(87.97, abs=0.005)
    scales = np.array([state.scale for state in CUTHRELL_BIEGLER.states.values()])
    for time_h, state in zip(run.times_h, run.states, strict=True):
        difference = np.abs(state - at(time_h)) / scales
        assert np.all(difference < CUTHRELL_BIEGLER.accuracy), time_h


def test_cuthrell_biegler_stays_positive_when_the_feed_of_a_dense_culture_stops() -> None:
    model = CUTHRELL_BIEGLER
    p = np.array(model.nominal_parameters())
    x = np.array([8.0, 30.0, 5.0, 5.0])
    simulator = Simulator(model, 0.1)
    for feed in (0.0, 0.1):
        for _ in range(50):
            x = simulator.advance(x, np.array([feed]), p)
            assert np.all(x >= 0)
    empty = model.initial_state()._replace(biomass=0.0)
    assert np.all(
        np.isfinite(model.rhs(empty, model.nominal_inputs(), model.Parameters(*p), NUMPY))
    )
