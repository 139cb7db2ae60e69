"""What `mpc-agent simulate` does: a batch in this process, judged, with its files in one folder."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec

from mpc_agent.commands.progress import CycleView, cycle_view, short
from mpc_agent.commands.service import cache_folder
from mpc_agent.commands.simulation import load_for_simulation, new_folder, plant_trouble
from mpc_agent.errors import CannotWriteError, StoppedError
from mpc_agent.memory import CycleRecord
from mpc_agent.report.panel import pretty_unit
from mpc_agent.report.sources import RESULT_FILE, Result
from mpc_agent.simulate import RECORD_NAME, Achieved, simulate
from mpc_agent.yardsticks import optimum, recipe_truth
from sim_plant.errors import PlantError


def run_simulation(
    config: Path,
    seed: int | None,
    hours: float | None,
    folder: Path | None,
    *,
    compare: bool,
    progress: Callable[[CycleView], None],
) -> Achieved:
    """Simulate a batch and leave record, truth and result in a folder.

    Raises:
        UserError: configuration, plant or folder cannot be used.
    """
    settings, plant = load_for_simulation(config, hours)
    plant = plant if seed is None else plant.with_seed(seed)
    where = new_folder(folder, settings, f"simulate-seed{plant.seed}")
    inoculated_at_s = plant.batch.inoculated_at.timestamp()

    def follow(record: CycleRecord) -> None:
        progress(cycle_view(record, settings.model, inoculated_at_s, plant.batch.duration_h))

    try:
        achieved = simulate(
            settings, plant, where, compare=compare, cache=cache_folder(), progress=follow
        )
    except PlantError as error:
        raise plant_trouble(error) from None
    except KeyboardInterrupt:
        begun = (where / RECORD_NAME).is_file()
        told = f"the record up to there is in {where}" if begun else "before the first cycle"
        raise StoppedError(f"stopped; {told}") from None
    write_result(
        where,
        achieved.final_product_g,
        achieved.recipe_product_g,
        achieved.optimum_product_g,
        achieved.final,
    )
    return achieved


def yardstick_products(config: Path, seed: int | None) -> dict[str, float | str]:
    """What the recipe alone, and perfect knowledge, make of the simulated plant.

    Raises:
        UserError: configuration or plant cannot be used.
    """
    settings, plant = load_for_simulation(config)
    plant = plant if seed is None else plant.with_seed(seed)
    section = settings.document.simulation
    try:
        recipe = recipe_truth(plant)
        best = None
        if plant.yardstick.decided:
            best = optimum(plant, () if section is None else section.limits, recipe)
    except PlantError as error:
        raise plant_trouble(error) from None
    known: dict[str, float | str] = {"recipe_product_g": recipe.product_g}
    if best is not None:
        known |= {"optimum_product_g": best.product_g, "found": best.found}
    return known


def write_result(
    folder: Path,
    achieved_g: float,
    recipe_g: float | None,
    optimum_g: float | None,
    final: dict[str, float],
) -> None:
    """Leave the result beside the record, for the report.

    Raises:
        CannotWriteError: the folder does not take it.
    """
    products = {"achieved": achieved_g, "recipe": recipe_g, "optimum": optimum_g}
    known = {name: value for name, value in products.items() if value is not None}
    content = msgspec.json.encode(Result(product_g=known, final=final))
    path = folder / RESULT_FILE
    try:
        path.write_bytes(msgspec.json.format(content, indent=2) + b"\n")
    except OSError as error:
        raise CannotWriteError(f"{path} cannot be written: {error.strerror}") from None


def achieved_json(achieved: Achieved) -> dict[str, object]:
    """Every figure, for programs."""
    return asdict(achieved)


def achieved_text(achieved: Achieved) -> str:
    """The figures that people look at first."""

    def amounts(values: dict[str, float]) -> str:
        found = [(name, amount(v, achieved.units.get(name, ""))) for name, v in values.items()]
        return ", ".join(f"{words(name)} {text}" for name, text in found)

    rows = [("product at harvest", f"{short(achieved.final_product_g)} g")]
    for name, value in (
        ("  the recipe alone", achieved.recipe_product_g),
        ("  perfect knowledge", achieved.optimum_product_g),
    ):
        if value is not None:
            share = 100 * achieved.final_product_g / value
            rows.append((name, f"{short(value)} g (the agent reached {share:.1f} % of it)"))
    held = achieved.held_percent
    outside = {name: h for name, h in achieved.constraint_violation_h.items() if h > 0}
    solves = {name: _counts(counts) for name, counts in achieved.solves.items()}
    rows += [
        ("at harvest", amounts(achieved.final)),
        ("lowest", amounts(achieved.lowest)),
        ("highest", amounts(achieved.highest)),
        ("hours outside limits", _hours(outside) or "none"),
        *((f"{words(name)} held", f"{held:.1f} % of cycles") for name, held in held.items()),
        ("cycles", f"{achieved.cycles} ({_counts(achieved.modes)})"),
        *((f"{name} solves", text) for name, text in solves.items()),
        ("time", f"{achieved.wall_s:.0f} s, and {achieved.startup_s:.0f} s to start"),
        ("seed", str(achieved.seed)),
        ("files", achieved.folder),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def amount(value: float, unit: str) -> str:
    """A value with its unit, as people write it."""
    return f"{short(value)} {pretty_unit(unit)}".strip()


def words(name: str) -> str:
    """A name as people write it."""
    return name.replace("_", " ")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.lower()}" for name, count in counts.items())


def _hours(outside: dict[str, float]) -> str:
    return ", ".join(f"{name} {hours:.1f} h" for name, hours in outside.items())
