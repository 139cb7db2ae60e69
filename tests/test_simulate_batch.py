"""A simulated batch: deterministic, judged by its truth, complete in its figures."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pytest

from mpc_agent.codec import encode
from mpc_agent.commands.simulation import simulated_plant
from mpc_agent.config.schema_general import JudgedLimit
from mpc_agent.journal import Journal
from mpc_agent.memory import SHARED, CycleRecord, Decision
from mpc_agent.simulate import (
    RECORD_NAME,
    TRUTH_NAME,
    Achieved,
    Watch,
    coverage,
    simulate,
    spread,
    violation_h,
)
from mpc_agent.yardsticks import optimum, recipe_truth
from sim_plant.truth import Truth
from tests.examples_batch import demo_settings

HOURS = 12.0


@dataclass(frozen=True)
class Simulated:
    """A simulated batch with the last decision of its record."""

    achieved: Achieved
    last: bytes
    told: list[int]


def simulated(folder: Path, seed: int, *, compare: bool) -> Simulated:
    settings = demo_settings(HOURS)
    told: list[int] = []

    def follow(record: CycleRecord) -> None:
        told.append(record.number)

    plant = simulated_plant(settings, seed)
    achieved = simulate(settings, plant, folder, compare=compare, progress=follow)
    with Journal.open(folder / RECORD_NAME, SHARED, read_only=True) as journal:
        last = journal.last()
        assert last is not None
        return Simulated(achieved, encode(journal.decision(last.number, Decision)), told)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulate")


@pytest.fixture(scope="module")
def compared(folder: Path) -> Simulated:
    (folder / "compared").mkdir()
    return simulated(folder / "compared", 1, compare=True)


@pytest.fixture(scope="module")
def again(folder: Path) -> Simulated:
    (folder / "again").mkdir()
    return simulated(folder / "again", 1, compare=False)


def test_every_cycle_from_inoculation_to_harvest_is_there(compared: Simulated) -> None:
    assert compared.told == list(range(73))
    assert compared.achieved.cycles == 73
    assert sum(compared.achieved.modes.values()) == 73
    assert compared.achieved.modes["CONTROL"] == 72


def test_every_figure_is_a_number(compared: Simulated) -> None:
    achieved = asdict(compared.achieved)
    assert set(achieved) == {field.name for field in fields(Achieved)}

    def numbers(value: object) -> list[float]:
        if isinstance(value, dict):
            return [number for item in value.values() for number in numbers(item)]
        return [float(value)] if isinstance(value, int | float) else []

    figures = {name: numbers(value) for name, value in achieved.items()}
    texts = {"config_hash", "folder", "hard_limits_violated", "units"}
    assert {name for name, found in figures.items() if not found} <= texts
    assert all(np.isfinite(found).all() for found in figures.values())
    assert compared.achieved.seed == 1
    assert compared.achieved.config_hash == demo_settings(HOURS).config_hash
    assert set(compared.achieved.solves) == {"feed", "gas"}
    assert compared.achieved.solves["gas"] == {"SOLVED": 73}
    assert compared.achieved.startup_s > 0
    assert compared.achieved.wall_s > 0
    assert compared.achieved.peak_rss_mb > 50


def test_the_same_seed_gives_the_same_batch_to_the_last_bit(
    compared: Simulated, again: Simulated
) -> None:
    assert compared.achieved.final_product_g == again.achieved.final_product_g
    assert compared.last == again.last
    timings = {"cycle_ms", "solve_ms", "startup_s", "wall_s", "peak_rss_mb", "folder"}
    comparisons = {"recipe_product_g", "optimum_product_g"}
    one, other = asdict(compared.achieved), asdict(again.achieved)
    for name in set(one) - timings - comparisons:
        assert one[name] == other[name], name


def test_without_comparison_there_is_none(again: Simulated) -> None:
    assert again.achieved.recipe_product_g is None
    assert again.achieved.optimum_product_g is None


def test_the_figures_are_those_of_the_truth(compared: Simulated) -> None:
    truth = Truth.load(Path(compared.achieved.folder) / TRUTH_NAME)
    achieved = compared.achieved
    assert achieved.final_product_g == truth.product_g
    assert achieved.final["titre"] == truth.output("titre")[-1]
    assert achieved.final["volume"] == truth.output("volume")[-1]
    assert achieved.final_product_g == pytest.approx(
        achieved.final["titre"] * achieved.final["volume"]
    )
    settled = truth.time_h >= truth.time_h[-1] / 14
    assert achieved.lowest["glucose"] == truth.output("glucose")[settled].min()
    assert achieved.highest["glucose"] == truth.output("glucose")[settled].max()
    assert set(achieved.held_percent) == {"dissolved_oxygen", "pCO2"}
    assert achieved.held_percent["dissolved_oxygen"] > 90
    assert achieved.units["titre"] == "g/L"


def test_perfect_knowledge_beats_the_recipe_and_the_agent(compared: Simulated) -> None:
    achieved = compared.achieved
    assert achieved.recipe_product_g is not None
    assert achieved.optimum_product_g is not None
    assert achieved.optimum_product_g > achieved.final_product_g
    assert achieved.optimum_product_g > achieved.recipe_product_g


@pytest.mark.parametrize("hours", [2.0, 10.0])
def test_the_optimum_reaches_to_the_harvest_of_any_batch(hours: float) -> None:
    settings = demo_settings(hours)
    plant, section = simulated_plant(settings), settings.document.simulation
    assert section is not None
    recipe = recipe_truth(plant)
    assert recipe.time_h[-1] == pytest.approx(hours)
    best = optimum(plant, section.limits, recipe)
    assert best.found.startswith("SOLVED"), best.found
    assert best.product_g > recipe.product_g
    pieces = {name: len(flow) for name, flow in best.inputs.items()}
    assert set(pieces.values()) == {max(1, round(hours / 6))}


# ------------------------------------------------------------------ the judges


@pytest.mark.parametrize(
    ("lower", "upper", "hours"),
    [(None, None, 0.0), (None, 1e9, 0.0), (1e9, None, HOURS), (None, -1.0, HOURS)],
)
def test_hours_outside_an_interval_are_counted(
    compared: Simulated, lower: float | None, upper: float | None, hours: float
) -> None:
    truth = Truth.load(Path(compared.achieved.folder) / TRUTH_NAME)
    limit = JudgedLimit(output="volume", lower=lower, upper=upper)
    assert violation_h(truth, limit) == pytest.approx(hours)


def test_a_part_of_the_batch_outside_counts_as_this_part(compared: Simulated) -> None:
    truth = Truth.load(Path(compared.achieved.folder) / TRUTH_NAME)
    glucose, half = truth.output("glucose"), len(truth.time_h) // 2
    assert (np.diff(glucose) < 0).all()
    limit = JudgedLimit(output="glucose", upper=float(glucose[half]))
    assert violation_h(truth, limit) == pytest.approx(truth.time_h[half - 1])


def test_coverage_is_the_share_of_cycles_with_the_truth_in_the_band(compared: Simulated) -> None:
    truth = Truth.load(Path(compared.achieved.folder) / TRUTH_NAME)
    volume = np.interp([1.0, 2.0, 3.0, 4.0], truth.time_h, truth.output("volume"))
    seen = Watch(
        assayed={"volume": 0},
        times_h=[1.0, 2.0, 3.0, 4.0],
        means=[np.array([value + 1.9]) for value in volume],
        deviations=[np.array([width]) for width in (1.0, 1.0, 0.9, 1.0)],
    )
    assert coverage(truth, seen) == {"volume": 75.0}


def test_a_spread_is_median_high_percentile_and_maximum() -> None:
    assert spread([]) == {}
    values = [float(value) for value in range(1, 102)]
    assert spread(values) == {"median": 51.0, "p99": 100.0, "max": 101.0}
