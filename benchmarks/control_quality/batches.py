"""One batch of one seed under one variant, judged by its truth and kept in a folder."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from benchmarks.control_quality.knowing import OpenPlant
from benchmarks.control_quality.variants import VARIANTS
from mpc_agent.build import build_engines, tag_map
from mpc_agent.clock import VirtualClock, stopwatch
from mpc_agent.commands.simulation import load_for_simulation
from mpc_agent.config import Settings
from mpc_agent.config.schema_general import JudgedLimit
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.loop import prepare, run_agent
from mpc_agent.memory import CycleRecord
from mpc_agent.simulate import RECORD_NAME, violation_h
from mpc_agent.values import Severity
from mpc_agent.web.health import Health
from mpc_agent.yardsticks import recipe_truth
from sim_plant.settings import PlantSettings
from sim_plant.truth import Truth

ROOT = Path(__file__).parents[2]
PACKAGES = ("controllers", "mpc_agent", "plant_models", "sim_plant")
PLANT_PACKAGES = ("plant_models", "sim_plant")


@dataclass(frozen=True)
class Case:
    """A batch to run.

    Attributes:
        config: the agent's YAML.
        seed: of the plant.
        variant: name in `VARIANTS`.
        folder: where results are kept.
    """

    config: Path
    seed: int
    variant: str
    folder: Path

    @property
    def key(self) -> str:
        """What the result depends on: sources, files of the configuration, seed, variant."""
        sources = sources_hash(
            PACKAGES + (("benchmarks/rivals",) if self.variant == "do-mpc" else ())
        )
        text = f"{sources} {own_sources_hash()} {files_hash(self.config)}"
        return sha256(text.encode()).hexdigest()[:16]

    @property
    def stem(self) -> Path:
        """The files' common beginning."""
        return self.folder / f"{self.config.stem}-{self.variant}-seed{self.seed}-{self.key}"


@dataclass(frozen=True)
class Outcome:
    """What a batch came to.

    Attributes:
        product_g: at harvest.
        outside_h: hours outside each judged limit.
        hard_broken: outputs that were outside a hard limit.
        duration_h: length of the batch.
        left: a few quantities at harvest, in the outputs' units; base in L over the batch.
        solves: how the feed solves ended, and how often.
        alarms: how often each was told; a batch without faults should have none.
        solve_ms: median, 99th percentile and maximum of the feed solves.
        wall_s: how long it took.
    """

    product_g: float
    outside_h: dict[str, float]
    hard_broken: tuple[str, ...]
    duration_h: float
    left: dict[str, float]
    solves: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)
    solve_ms: tuple[float, ...] = ()
    wall_s: float = 0.0

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        content = json.loads(path.read_text("utf-8"))
        content["hard_broken"] = tuple(content["hard_broken"])
        content["solve_ms"] = tuple(content["solve_ms"])
        return cls(**content)

    def save(self, path: Path) -> None:
        """Write it; a reader never sees half a file."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1), "utf-8")
        part.replace(path)


@dataclass
class Watch:
    """Collects what is needed of each cycle."""

    solve_ms: list[float] = field(default_factory=list)
    solves: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)

    def see(self, record: CycleRecord) -> None:
        """Note one cycle."""
        events = record.decision.events
        self.alarms.update(item.code for item in events if item.severity is Severity.ALARM)
        seconds = record.durations.get("solve.feed")
        plan = record.decision.plans.get("feed")
        if seconds is not None and plan is not None:
            self.solve_ms.append(1e3 * seconds)
            self.solves[str(plan.status)] += 1


def run(case: Case, cache: Path, progress: Callable[[float], None] = lambda _: None) -> Outcome:
    """The outcome of a case: from the folder if it was run before.

    Args:
        case: what to run.
        cache: folder that keeps the filter's compiled code.
        progress: told the hour of the batch after every cycle.
    """
    result = Path(f"{case.stem}.json")
    if result.exists():
        return Outcome.load(result)
    settings, plant_settings = load_for_simulation(case.config)
    watch, seen = stopwatch(), Watch()
    if VARIANTS[case.variant].alone:
        truth = recipe_truth(plant_settings.with_seed(case.seed))
    else:
        plant = OpenPlant(plant_settings.with_seed(case.seed))
        truth = controlled(case, settings, plant, cache, seen, progress)
    truth.save(Path(f"{case.stem}.npz"))
    section = settings.document.simulation
    limits = () if section is None else section.limits
    outcome = judged(truth, limits, seen, watch.elapsed_s)
    outcome.save(result)
    return outcome


def controlled(
    case: Case,
    settings: Settings,
    plant: OpenPlant,
    cache: Path,
    seen: Watch,
    progress: Callable[[float], None],
) -> Truth:
    """What really happens when the variant's agent controls the plant to harvest."""
    variant = VARIANTS[case.variant]
    settings = variant.settings(settings, plant)
    engines = variant.engines(settings, plant, build_engines(settings, cache))
    driver = SimulatedDriver(plant, tag_map(settings))
    clock, start_s = VirtualClock(plant), plant.time_s

    def note(record: CycleRecord) -> None:
        seen.see(record)
        progress((record.time_s - start_s) / 3600)

    async def whole_batch(folder: Path) -> None:
        run = await prepare(settings, engines, driver, clock, folder / RECORD_NAME)
        try:
            await run_agent(run, clock, asyncio.Event(), Health(run.period_s), note)
        finally:
            await driver.close()
            run.agent.journal.close()

    with TemporaryDirectory() as folder:
        asyncio.run(whole_batch(Path(folder)))
    return plant.truth


def judged(
    truth: Truth, limits: tuple[JudgedLimit, ...], seen: Watch, wall_s: float = 0.0
) -> Outcome:
    """Judge a finished batch by its truth."""
    outside = {item.output: violation_h(truth, item) for item in limits}
    ends = ("glucose", "volume", "viable_cells", "lactate")
    left = {name: float(truth.output(name)[-1]) for name in ends if name in truth.output_names}
    if "base" in truth.input_names:
        left["base"] = float(truth.input("base").mean() * truth.time_h[-1])
    times = seen.solve_ms
    return Outcome(
        product_g=truth.product_g,
        outside_h=outside,
        hard_broken=tuple(item.output for item in limits if item.hard and outside[item.output]),
        duration_h=float(truth.time_h[-1]),
        left=left,
        solves=dict(seen.solves),
        alarms=dict(seen.alarms),
        solve_ms=tuple(np.percentile(times, [50, 99, 100]).tolist()) if times else (),
        wall_s=wall_s,
    )


def plant_of(config: Path, seed: int) -> tuple[PlantSettings, tuple[JudgedLimit, ...]]:
    """The plant of a seed, and what it is judged by."""
    settings, plant = load_for_simulation(config)
    section = settings.document.simulation
    return plant.with_seed(seed), () if section is None else section.limits


def sources_hash(packages: tuple[str, ...]) -> str:
    """Hash of all Python sources of some packages."""
    digest = sha256()
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def own_sources_hash() -> str:
    """Hash of what here decides how a batch goes."""
    here = Path(__file__).parent
    names = ("batches.py", "knowing.py", "variants.py", "glucose_pi.py", "rival.py")
    return sha256(b"".join((here / name).read_bytes() for name in names)).hexdigest()


def files_hash(config: Path) -> str:
    """Hash of the agent's configuration as it is built, and of the plant's file."""
    settings, plant = load_for_simulation(config)
    return sha256(f"{settings.config_hash} {plant.model_dump_json()}".encode()).hexdigest()
