"""The hybridoma model of Amribt (2013) against tabulated runs that independent code produced.

Run A is experiment 4 of the paper, run B its comparison of feeds, run C the trade-off of a product
that growth suppresses. Printed values are met to 1e-3 and half of the last printed digit; the model
with rounded minima stays within 0.1 % of each state's scale of the published one.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from plant_models.cho_amribt import CONTROL, PLANT
from plant_models.dialect import NUMPY
from plant_models.model import PlantModel
from plant_models.reference_run import run_reference
from tests.examples_models import Course, compiled, reference_course

Steps = Sequence[tuple[float, float]]
"""Hours and the feed from then on, L/h."""


def course(
    model: PlantModel, initial: str, parameters: Mapping[str, float], steps: Steps, end_h: float
) -> Course:
    """A batch with a tight integrator.

    `initial` lists the states in the model's order, the product left out.
    """
    derivative, _ = compiled(model)
    p = np.array(model.nominal_parameters()._replace(**parameters))
    edges_h = [0.0, *(hour for hour, _ in steps), end_h]
    feeds = [0.0, *(feed for _, feed in steps)]

    def rhs(x: Any, time_h: float) -> Any:
        piece = next(i for i, (start, end) in enumerate(pairwise(edges_h)) if start < time_h < end)
        return np.array(derivative(x, [feeds[piece]], p)).ravel()

    states = np.array([*(float(text) for text in initial.split()), 0.0])
    return reference_course(rhs, states, edges_h, 1e-9)


def differing(state: Any, printed: str) -> dict[str, tuple[float, str]]:
    """States that are not as printed, `name value` after `name value`."""
    words = printed.split()
    wrong = {}
    for name, text in zip(words[::2], words[1::2], strict=True):
        value = getattr(state, name)
        half_digit = 0.5 * 10.0 ** -len(text.partition(".")[2])
        if abs(value - float(text)) > 1e-3 * abs(float(text)) + half_digit:
            wrong[name] = (value, text)
    return wrong


RUN_A = {
    63.5: "viable_cells 1.431 glucose 6.605 glutamine 0.976 lactate 20.34 ammonia 2.493",
    120.0: "viable_cells 2.970 lactate 24.31 ammonia 4.487",
    200.0: "volume 0.8687 viable_cells 2.102 dead_cells 1.141 lactate 15.69 ammonia 4.331",
}


def run_a(model: PlantModel) -> Course:
    start = "0.30 0.172 0.020 17.83 3.74 0.12 0.24"
    return course(model, start, {}, [(63.5, 0.1 / 24)], 200.0)


def test_experiment_4_meets_the_table() -> None:
    at = run_a(PLANT)
    for time_h, printed in RUN_A.items():
        assert differing(PLANT.State(*at(time_h)), printed) == {}


def test_experiment_4_peaks_as_the_figure_shows() -> None:
    at = run_a(PLANT)
    times_h = np.arange(100.0, 140.01, 0.5)
    cells = np.array([PLANT.State(*at(time_h)).viable_cells for time_h in times_h])
    assert cells.max() == pytest.approx(2.98, abs=0.005)
    assert times_h[cells.argmax()] == pytest.approx(116.0, abs=3.0)


PROFILES: dict[str, tuple[Steps, str, float]] = {
    "experiment": ([(49, 0.00417)], "volume 0.6669 viable_cells 2.4152", 1.6107),
    "one step": ([(52, 0.00625)], "volume 0.8063 viable_cells 2.6903", 2.1691),
    "three steps": (
        [(52, 0.002), (74, 0.0045), (98, 0.010)],
        "volume 0.7720 viable_cells 3.0694",
        2.3695,
    ),
    "five steps": (
        [(52, 0.0012), (64, 0.0020), (78, 0.0040), (92, 0.0080), (106, 0.012)],
        "volume 0.7884 viable_cells 3.1132",
        2.4544,
    ),
}
"""Feeds of the paper's comparison, what they end in after 125 h, and cells in the vessel, 1e9."""


@pytest.mark.parametrize("name", PROFILES)
def test_feed_comparison_meets_the_table(name: str) -> None:
    steps, printed, cells = PROFILES[name]
    at = course(PLANT, "0.35 0.2 0 18 2.4 0 0", {"feed_glutamine": 4.0}, steps, 125.0)
    end = PLANT.State(*at(125.0))
    assert differing(end, printed) == {}
    assert end.volume * end.viable_cells == pytest.approx(cells, rel=2e-4)


FULL_FEED = 0.1 / 24


@pytest.mark.parametrize(
    ("steps", "printed"),
    [
        ([(35.0, FULL_FEED)], "product 0.341"),
        ([(35.0, FULL_FEED), (100.0, 0.7 * FULL_FEED)], "product 0.504"),
    ],
    ids=["full feed", "reduced feed"],
)
@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
def test_product_trade_off_meets_the_figure(model: PlantModel, steps: Steps, printed: str) -> None:
    start = "0.35 0.29 0.01 17.17 3.02 1.12 0.29"
    at = course(model, start, {"alpha": -1.0, "beta": 0.01}, steps, 200.0)
    if model is PLANT:
        assert differing(model.State(*at(200.0)), printed) == {}
    else:
        expected = float(printed.split()[1])
        assert model.State(*at(200.0)).product == pytest.approx(expected, rel=0.01)


def test_rounded_minima_stay_close_to_the_published_ones() -> None:
    published, rounded = run_a(PLANT), run_a(CONTROL)
    scales = np.array([state.scale for state in PLANT.states.values()])
    for time_h in np.arange(0.0, 200.01, 2.0):
        assert np.all(np.abs(rounded(time_h) - published(time_h)) < 1e-3 * scales)


@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
def test_fastest_growth_is_what_the_bottlenecks_let_through(model: PlantModel) -> None:
    p = model.nominal_parameters()
    rich = model.initial_state()._replace(glucose=50.0, glutamine=10.0, ammonia=0.0)
    y = model.outputs(rich, model.nominal_inputs(), p, NUMPY)
    assert y.growth_rate == pytest.approx(0.03337, rel=1e-3)
    assert y.glucose_overflow > 0
    assert y.glutamine_overflow > 0


@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
def test_nothing_is_taken_up_or_grown_from_nothing(model: PlantModel) -> None:
    empty = model.initial_state()._replace(glucose=0.0, glutamine=0.0, lactate=0.0, ammonia=0.0)
    p, u = model.nominal_parameters(), model.nominal_inputs()
    rates = model.rhs(empty, u, p, NUMPY)
    assert (rates.glucose, rates.glutamine, rates.lactate, rates.ammonia) == (0, 0, 0, 0)
    assert model.outputs(empty, u, p, NUMPY).growth_rate == 0


@pytest.mark.parametrize("model", [PLANT, CONTROL], ids=lambda model: model.name)
def test_common_integrator_runs_experiment_4(model: PlantModel) -> None:
    run, at = run_reference(model), run_a(model)
    scales = np.array([state.scale for state in model.states.values()])
    assert run.times_h[-1] == 200.0
    for time_h, state in zip(run.times_h, run.states, strict=True):
        assert np.all(np.abs(state - at(time_h)) < 1e-6 * scales), time_h
