"""The approved feed profile: the optimum of the plant as published, known perfectly.

python -m benchmarks.recipe > configs/cho_recipe.csv
"""

import argparse
import sys
from pathlib import Path

from mpc_agent.config import Settings
from mpc_agent.yardsticks import Optimum, optimum, recipe_truth
from sim_plant.settings import PlantSettings, load_settings

CONFIG = Path(__file__).parents[1] / "configs" / "cho_demo.yaml"

CHO_HEADER = """\
# Approved feed profile of the CHO batch at 2000 L: glucose feed 500 mmol/L, amino-acid feed
# 100 mmol/L glutamine. It is the optimum for nominal kinetics, inoculum and feeds, in pieces
# of 6 h, without nitrogen, as `python -m benchmarks.recipe` computes it.
# Each row starts a piece (hours since inoculation); the last row ends the recipe."""


def header(plant: PlantSettings, pieces: int) -> str:
    """Comment lines that say what the profile is."""
    if plant.model == "cho_mab_full":
        return CHO_HEADER
    return (
        f"# Approved feed profile for {plant.plant_model.name}: the optimum for nominal kinetics,\n"
        f"# inoculum and feeds, in {pieces} pieces, as `python -m benchmarks.recipe` computes it.\n"
        "# Each row starts a piece (hours since inoculation); the last row ends the recipe."
    )


def table(plant: PlantSettings, best: Optimum) -> str:
    """The optimum's feeds as the rows of a recipe."""
    feeds = [name for name, item in plant.actuators.items() if item.kind == "feed" and item.remote]
    digits = {name: f".{4 if plant.actuators[name].upper < 1 else 3}f" for name in feeds}
    rows = [",".join(["time_h", *(f"{name}_L_per_h" for name in feeds)])]
    for piece, start_h in enumerate(best.starts_h):
        flows = (format(best.inputs[name][piece], digits[name]) for name in feeds)
        rows.append(",".join([f"{start_h:.6g}", *flows]))
    rows.append(",".join([f"{plant.batch.duration_h:g}", *("0" for _ in feeds)]))
    return "\n".join(rows)


def main() -> None:
    """Optimise the nominal plant and print its feeds; on stderr, what they are worth."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help="the agent's YAML")
    parser.add_argument(
        "--without", nargs="*", default=["nitrogen"], help="inputs that stay as the batch began"
    )
    given = parser.parse_args()
    settings = Settings.load(given.config, {})
    simulation = settings.document.simulation
    if simulation is None or settings.plant_file is None:
        raise SystemExit(f"{given.config} names no simulated plant")
    plant = load_settings(settings.plant_file)
    plant = plant.model_copy(
        update={
            "culture": plant.culture.model_copy(update={"spread": 0.0}),
            "batch": plant.batch.model_copy(
                update={"duration_h": settings.document.batch.harvest_h}
            ),
        }
    )
    without = [name for name in given.without if name in plant.yardstick.decided]
    by_recipe = recipe_truth(plant)
    best = optimum(plant, simulation.limits, by_recipe)
    plain = optimum(plant, simulation.limits, by_recipe, without) if without else best
    if not plain.inputs:
        raise SystemExit(f"no optimum: {plain.found}")
    print(header(plant, len(plain.starts_h)))
    print(table(plant, plain))
    for what, product_g in (
        ("optimum with everything", best.product_g),
        (f"optimum without {', '.join(without) or 'nothing'}", plain.product_g),
        ("present recipe on the control unit's own loops", by_recipe.product_g),
    ):
        print(f"nominal plant, {what}: {product_g:.6g} g", file=sys.stderr)


if __name__ == "__main__":
    main()
