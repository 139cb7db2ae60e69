"""Agent and plant in one process on a virtual clock: a whole batch in a minute, deterministic."""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from controllers.arrays import Floats
from mpc_agent.build import build_engines, tag_map
from mpc_agent.clock import VirtualClock, process_age_s, stopwatch
from mpc_agent.config import Settings
from mpc_agent.config.schema_general import JudgedLimit, SimulationSection
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.loop import prepare, run_agent
from mpc_agent.memory import CycleRecord
from mpc_agent.web.health import Health
from mpc_agent.yardsticks import Optimum, best_known, recipe_truth
from sim_plant.plant import SimulatedPlant
from sim_plant.settings import PlantSettings
from sim_plant.truth import Truth

RECORD_NAME = "journal.sqlite"
TRUTH_NAME = "truth.npz"

HELD_SCALES = 0.5
"""How near its setpoint a tracked output counts as held, in units of its scale."""

SETTLED_SHARE = 1 / 14
"""Extremes are judged after this share of the batch, the first of fourteen days."""


@dataclass(frozen=True)
class Achieved:
    """What a simulated batch came to: every figure that `simulate --json` prints.

    Units are in the names, else those of the simulated plant's outputs.

    Attributes:
        final_product_g: what the batch is judged by, at harvest.
        final: assayed outputs and volume at harvest.
        units: unit of each output.
        recipe_product_g: the same plant on the recipe alone.
        optimum_product_g: the same plant with perfect knowledge.
        constraint_violation_h: hours outside each judged limit.
        hard_limits_violated: outputs that were outside a hard one.
        lowest, highest: extremes of the judged outputs after the first fourteenth of the batch.
        held_percent: share of cycles in which each tracked output was within half its scale of its
            setpoint while the gases had room.
        coverage_percent: share of cycles with the truth inside the estimate's 95 % band, by
            output that an assay shows.
    """

    final_product_g: float
    final: dict[str, float]
    units: dict[str, str]
    recipe_product_g: float | None
    optimum_product_g: float | None
    constraint_violation_h: dict[str, float]
    hard_limits_violated: list[str]
    lowest: dict[str, float]
    highest: dict[str, float]
    held_percent: dict[str, float]
    coverage_percent: dict[str, float]
    cycles: int
    modes: dict[str, int]
    solves: dict[str, dict[str, int]]
    cycle_ms: dict[str, float]
    solve_ms: dict[str, dict[str, float]]
    startup_s: float
    wall_s: float
    peak_rss_mb: float
    seed: int
    config_hash: str
    folder: str


@dataclass
class Watch:
    """Collects what is needed of each cycle while the batch runs.

    Attributes:
        assayed: place of each output that an assay shows among the outputs of the model.
    """

    assayed: dict[str, int]
    times_h: list[float] = field(default_factory=list)
    means: list[Floats] = field(default_factory=list)
    deviations: list[Floats] = field(default_factory=list)
    saturated: list[bool] = field(default_factory=list)
    cycle_ms: list[float] = field(default_factory=list)
    solve_ms: dict[str, list[float]] = field(default_factory=dict)
    solves: dict[str, Counter[str]] = field(default_factory=dict)
    modes: Counter[str] = field(default_factory=Counter)

    def see(self, record: CycleRecord, batch_h: float, saturated: bool) -> None:
        """Note one cycle."""
        decision, rows = record.decision, list(self.assayed.values())
        self.times_h.append(batch_h)
        self.means.append(decision.estimate.outputs[rows])
        self.deviations.append(decision.estimate.output_deviation[rows])
        self.saturated.append(saturated)
        self.modes[str(decision.mode)] += 1
        self.cycle_ms.append(1e3 * record.durations["cycle"])
        for name, plan in decision.plans.items():
            seconds = record.durations.get(f"solve.{name}")
            if seconds is not None:
                self.solve_ms.setdefault(name, []).append(1e3 * seconds)
                self.solves.setdefault(name, Counter())[str(plan.status)] += 1


def simulate(
    settings: Settings,
    plant_settings: PlantSettings,
    folder: Path,
    *,
    compare: bool = True,
    cache: Path | None = None,
    progress: Callable[[CycleRecord], None] | None = None,
) -> Achieved:
    """Run a whole batch in this process and judge it: to harvest, where the plan chooses it, too.

    Args:
        settings: the agent's; its driver and clock are replaced, nothing else.
        plant_settings: the plant's, seed included.
        folder: empty folder for record and truth.
        compare: also run the recipe alone and optimise the plant with perfect knowledge.
        cache: folder that keeps the filter's compiled code from run to run, or None.
        progress: told of every finished cycle.
    """
    watch = stopwatch()
    engines = build_engines(settings, cache)
    plant = SimulatedPlant(plant_settings)
    driver = SimulatedDriver(plant, tag_map(settings))
    clock = VirtualClock(plant)
    names = settings.model.output_names
    seen = Watch({item.shows: names.index(item.shows) for item in settings.estimation.assays})
    startup_s = process_age_s()
    start_s = plant.time_s

    harvested = asyncio.Event()

    def note(record: CycleRecord) -> None:
        seen.see(record, (record.time_s - start_s) / 3600, _saturated(settings, record))
        if progress is not None:
            progress(record)
        if harvest_is_due(settings, record):
            harvested.set()

    async def whole_batch() -> None:
        run = await prepare(settings, engines, driver, clock, folder / RECORD_NAME)
        health = Health(run.period_s)
        try:
            await run_agent(run, clock, harvested, health, note)
        finally:
            await driver.close()
            run.agent.journal.close()

    asyncio.run(whole_batch())
    plant.save_truth(folder / TRUTH_NAME)
    section = settings.document.simulation or SimulationSection(plant="")
    plant_settings = _until_harvest(plant_settings, plant.truth)
    recipe = recipe_truth(plant_settings) if compare else None
    best = None
    if recipe is not None and plant_settings.yardstick.decided:
        best = best_known(plant_settings, section.limits, recipe, plant.truth)
    return achieved(
        settings, plant_settings, plant.truth, seen, recipe, best,
        startup_s=startup_s, wall_s=watch.elapsed_s, folder=folder,
    )  # fmt: skip


def harvest_is_due(settings: Settings, record: CycleRecord) -> bool:
    """Whether a plan that chooses the harvest ends before the next cycle."""
    plan = record.decision.memory.plans.get("feed")
    if plan is None or not settings.control.feed.problem.free_harvest:
        return False
    left_s = plan.solved_at_s + 3600 * float(plan.grid_h[-1]) - record.time_s
    return left_s < settings.document.cycle.period_s


def _until_harvest(plant: PlantSettings, truth: Truth) -> PlantSettings:
    """The plant with the length that the batch had: what it is compared with ends there, too."""
    hours = min(float(truth.time_h[-1]), plant.batch.duration_h)
    return plant.model_copy(update={"batch": plant.batch.model_copy(update={"duration_h": hours})})


def achieved(
    settings: Settings,
    plant: PlantSettings,
    truth: Truth,
    seen: Watch,
    recipe: Truth | None,
    best: Optimum | None,
    *,
    startup_s: float,
    wall_s: float,
    folder: Path,
) -> Achieved:
    """Judge a finished batch by its truth."""
    section = settings.document.simulation or SimulationSection(plant="")
    hours = {item.output: violation_h(truth, item) for item in section.limits}
    settled = truth.time_h >= SETTLED_SHARE * truth.time_h[-1]
    judged = {item.output: truth.output(item.output)[settled] for item in section.limits}
    return Achieved(
        final_product_g=truth.product_g,
        final=final_outputs(settings, truth, truth.time_h[-1]),
        units=output_units(settings),
        recipe_product_g=recipe.product_g if recipe else None,
        optimum_product_g=best.product_g if best else None,
        constraint_violation_h=hours,
        hard_limits_violated=[
            item.output for item in section.limits if item.hard and hours[item.output] > 0
        ],
        lowest={name: float(values.min()) for name, values in judged.items()},
        highest={name: float(values.max()) for name, values in judged.items()},
        held_percent=_held(settings, truth, seen),
        coverage_percent=coverage(truth, seen),
        cycles=len(seen.times_h),
        modes=dict(seen.modes),
        solves={name: dict(counts) for name, counts in seen.solves.items()},
        cycle_ms=spread(seen.cycle_ms),
        solve_ms={name: spread(values) for name, values in seen.solve_ms.items()},
        startup_s=startup_s,
        wall_s=wall_s,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        seed=plant.seed,
        config_hash=settings.config_hash,
        folder=str(folder),
    )


def final_outputs(settings: Settings, truth: Truth, harvest_h: float) -> dict[str, float]:
    """Assayed outputs and volume as they really were at harvest."""
    names = [*(item.shows for item in settings.estimation.assays), "volume"]
    return {
        name: float(np.interp(harvest_h, truth.time_h, truth.output(name)))
        for name in names
        if name in truth.output_names
    }


def output_units(settings: Settings) -> dict[str, str]:
    """Unit of each output of the model."""
    return {name: output.unit for name, output in settings.model.outputs_info.items()}


def violation_h(truth: Truth, limit: JudgedLimit) -> float:
    """Hours that an output spent outside its interval."""
    value = truth.output(limit.output)
    low = -np.inf if limit.lower is None else limit.lower
    high = np.inf if limit.upper is None else limit.upper
    outside = (value < low) | (value > high)
    lasting = np.diff(truth.time_h, prepend=truth.time_h[0])
    return float(lasting[outside].sum())


def spread(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    if not values:
        return {}
    return {
        "median": float(np.median(values)),
        "p99": float(np.percentile(values, 99)),
        "max": float(np.max(values)),
    }


def coverage(truth: Truth, seen: Watch) -> dict[str, float]:
    """Share of cycles with the truth inside the estimate's 95 % band, in percent, by output."""
    means, deviations = np.array(seen.means), np.array(seen.deviations)
    shares = {}
    for column, name in enumerate(seen.assayed):
        true = np.interp(seen.times_h, truth.time_h, truth.output(name))
        inside = np.abs(true - means[:, column]) <= 1.96 * deviations[:, column]
        shares[name] = float(100 * inside.mean())
    return shares


def _held(settings: Settings, truth: Truth, seen: Watch) -> dict[str, float]:
    """How often each tracked output was held, in percent; nothing where the plant holds the gases.

    Outputs that the simulated plant does not have cannot be judged.
    """
    gas = settings.control.gas
    if gas is None:
        return {}
    hours, free = np.array(seen.times_h), ~np.array(seen.saturated)
    shares = {}
    for item in gas.problem.tracked:
        if item.output in truth.output_names and free.any():
            true = np.interp(hours, truth.time_h, truth.output(item.output))
            wanted = np.array([gas.setpoints[item.output].at(hour) for hour in hours])
            held = np.abs(true - wanted) <= HELD_SCALES * item.scale
            shares[item.output] = float(100 * held[free].mean())
    return shares


def _saturated(settings: Settings, record: CycleRecord) -> bool:
    """Whether the gases have no room left to bring dissolved oxygen to its setpoint.

    Oxygen at its upper bound when more is needed, or oxygen and air at their lower ones (nitrogen
    at its upper one) when less is.
    """
    values, limits = record.decision.setpoints.values, settings.safety.input_limits
    gas = settings.safety.oxygen_gas
    if gas is None:
        return False
    top = values[gas] >= 0.99 * limits[gas].upper
    diluting = [name for name in ("air", "nitrogen") if name in values and name != gas]
    bottom = values[gas] <= limits[gas].lower + 0.01 * limits[gas].upper and all(
        values[name] >= 0.99 * limits[name].upper
        if name == "nitrogen"
        else values[name] <= 1.01 * limits[name].lower
        for name in diluting
    )
    return bool(top or bottom)
