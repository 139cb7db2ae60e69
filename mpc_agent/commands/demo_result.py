"""What a demo came to: the truth of the simulated plant, and what it is compared with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.table import Table

from mpc_agent.commands.progress import CycleView, short
from mpc_agent.commands.simulating import amount, words, write_result
from mpc_agent.config import Settings
from mpc_agent.errors import BadRecordError
from mpc_agent.report import write_report
from mpc_agent.report.sources import find_sources, open_record
from mpc_agent.simulate import final_outputs, output_units, violation_h
from sim_plant.errors import PlantError
from sim_plant.truth import Truth


@dataclass(frozen=True)
class DemoResult:
    """Figures of a demo; units are in the names.

    Attributes:
        final: assayed outputs and volume at harvest.
        units: unit of each output.
        hours_outside_limits: by output, judged by the truth.
        modes: cycles by mode.
        alarms: number of alarms by code.
        folder: record, truth, result, logs and report.
        report: the report, once it is written.
    """

    final_product_g: float
    final: dict[str, float]
    units: dict[str, str]
    recipe_product_g: float | None
    optimum_product_g: float | None
    hours_outside_limits: dict[str, float]
    cycles: int
    modes: dict[str, int]
    alarms: dict[str, int]
    wall_s: float
    seed: int
    config_hash: str
    folder: str
    report: str = ""
    events: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def judge(
    settings: Settings,
    folder: Path,
    views: Sequence[CycleView],
    yardsticks: dict[str, float | None],
    wall_s: float,
) -> DemoResult:
    """Judge a finished demo by the truth that the plant left, and leave the result beside it.

    Raises:
        BadRecordError: the plant left no truth that can be read.
    """
    try:
        truth = Truth.load(folder / "truth.npz")
    except PlantError as error:
        raise BadRecordError(str(error)) from None
    with open_record(find_sources(folder)) as journal:
        config_hash = journal.header.config_hash
    harvest_h = settings.document.batch.harvest_h

    section = settings.document.simulation
    limits = () if section is None else section.limits
    notices = [notice for view in views for notice in view.notices]
    result = DemoResult(
        final_product_g=float(
            np.interp(harvest_h, truth.time_h, truth.output(settings.model.product))
        ),
        final=final_outputs(settings, truth, harvest_h),
        units=output_units(settings),
        recipe_product_g=yardsticks.get("recipe_product_g"),
        optimum_product_g=yardsticks.get("optimum_product_g"),
        hours_outside_limits={item.output: violation_h(truth, item) for item in limits},
        cycles=len(views),
        modes=dict(Counter(str(view.mode) for view in views)),
        alarms=dict(Counter(notice.code for notice in notices if notice.alarm)),
        events=dict(Counter(notice.code for notice in notices if not notice.alarm)),
        wall_s=wall_s,
        seed=truth.seed,
        config_hash=config_hash,
        folder=str(folder),
    )
    write_result(
        folder,
        result.final_product_g,
        result.recipe_product_g,
        result.optimum_product_g,
        result.final,
    )
    return replace(result, report=str(write_report(folder)))


def result_table(result: DemoResult) -> Table:
    """The figures that people look at first."""
    table = Table(title="The batch", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    product_g = result.final_product_g
    table.add_row("product at harvest", f"{short(product_g)} g", "")
    for name, value in (
        ("by the recipe alone", result.recipe_product_g),
        ("with perfect knowledge", result.optimum_product_g),
    ):
        if value is not None:
            share = f"the agent reached {100 * product_g / value:.1f} %"
            table.add_row(f"  {name}", f"{short(value)} g", share)
    for name, value in result.final.items():
        table.add_row(words(name), amount(value, result.units.get(name, "")), "")
    outside = [f"{name} {h:.1f} h" for name, h in result.hours_outside_limits.items() if h > 0]
    table.add_row("outside limits", "", ", ".join(outside) or "never")
    modes = ", ".join(f"{count} {mode}" for mode, count in result.modes.items())
    table.add_row("cycles", str(result.cycles), modes)
    alarms = ", ".join(f"{count} {code}" for code, count in result.alarms.items())
    table.add_row("alarms", str(sum(result.alarms.values())), alarms)
    table.add_row("time", f"{result.wall_s:.0f} s", f"seed {result.seed}")
    return table
