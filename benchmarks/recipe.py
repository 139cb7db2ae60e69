"""The approved feed profile: the optimum of the plant as published, known perfectly.

python -m benchmarks.recipe > configs/cho_recipe.csv
"""

import sys
from pathlib import Path

from mpc_agent.config import Settings
from mpc_agent.yardsticks import optimum, recipe_truth
from sim_plant.settings import load_settings

CONFIG = Path(__file__).parents[1] / "configs" / "cho_demo.yaml"

HEADER = """\
# Approved feed profile of the CHO batch at 2000 L: glucose feed 500 mmol/L, amino-acid feed
# 100 mmol/L glutamine. It is the optimum for nominal kinetics, inoculum and feeds, in pieces
# of 6 h, without nitrogen, as `python -m benchmarks.recipe` computes it.
# Each row starts a piece (hours since inoculation); the last row ends the recipe.
time_h,glucose_feed_L_per_h,amino_feed_L_per_h"""


def main() -> None:
    """Optimise the nominal plant and print its feeds; on stderr, what they are worth."""
    settings = Settings.load(CONFIG, {})
    simulation = settings.document.simulation
    if simulation is None or settings.plant_file is None:
        raise SystemExit(f"{CONFIG} names no simulated plant")
    plant = load_settings(settings.plant_file)
    nominal = plant.model_copy(update={"culture": plant.culture.model_copy(update={"spread": 0.0})})
    by_recipe = recipe_truth(nominal)
    best = optimum(nominal, simulation.limits, by_recipe)
    plain = optimum(nominal, simulation.limits, by_recipe, without=("nitrogen",))
    print(HEADER)
    feeds = (plain.inputs["glucose_feed"], plain.inputs["amino_feed"])
    for start_h, glucose, amino in zip(plain.starts_h, *feeds, strict=True):
        print(f"{start_h:g},{glucose:.3f},{amino:.3f}")
    print(f"{settings.document.batch.harvest_h:g},0,0")
    for what, product_g in (
        ("optimum with nitrogen", best.product_g),
        ("optimum without nitrogen", plain.product_g),
        ("present recipe on the control unit's own loops", by_recipe.product_g),
    ):
        print(f"nominal plant, {what}: {product_g:.0f} g", file=sys.stderr)


if __name__ == "__main__":
    main()
