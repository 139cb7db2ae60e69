"""Every organism's demo: the agent against its recipe and against perfect knowledge.

python -m benchmarks.organisms              all configurations named *_demo.yaml, seeds 1 to 3
python -m benchmarks.organisms --seeds 7 --only ecoli_demo
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.results import PARALLEL, WIDTH, simulate

CONFIGS = Path(__file__).parents[1] / "configs"


def run(folder: Path, case: tuple[Path, int]) -> tuple[str, dict[str, Any]]:
    """One batch: name of its configuration, and all figures."""
    config, seed = case
    return config.stem, simulate(config, folder / config.stem, seed)


def median(values: Sequence[float]) -> str:
    """Median and range of a ratio."""
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def row(name: str, results: Sequence[dict[str, Any]]) -> list[str]:
    """One organism over its seeds."""
    made = [item["final_product_g"] for item in results]
    recipe = [item["final_product_g"] / item["recipe_product_g"] for item in results]
    known = [item for item in results if item["optimum_product_g"]]
    best = [item["final_product_g"] / item["optimum_product_g"] for item in known]
    broken = {limit for item in results for limit in item["hard_limits_violated"]}
    outside = {
        limit: max(item["constraint_violation_h"][limit] for item in results)
        for limit in results[0]["constraint_violation_h"]
    }
    extremes = [
        f"{limit} {min(item['lowest'][limit] for item in results):.3g} to "
        f"{max(item['highest'][limit] for item in results):.3g} (out {hours:.1f} h)"
        for limit, hours in outside.items()
    ]
    return [
        name.removesuffix("_demo"),
        f"{statistics.median(made):.4g}",
        median(recipe),
        median(best) if best else "not computed",
        "\n".join(extremes),
        ", ".join(sorted(broken)) or "none",
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", help="names of configurations, such as ecoli_demo")
    arguments = parser.parse_args()
    configs = sorted(CONFIGS.glob("*_demo.yaml"))
    if arguments.only:
        configs = [config for config in configs if config.stem in arguments.only]
    cases = [(config, seed) for config in configs for seed in arguments.seeds]
    console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(PARALLEL) as pool:
        done = pool.map(partial(run, Path(folder)), cases)
        results = list(track(done, "batches", total=len(cases), console=console))
    table = Table(title=f"Every organism's demo, seeds {arguments.seeds}", show_lines=True)
    for title in (
        "batch", "product g", "agent/recipe", "agent/optimum",
        "judged outputs: lowest to highest, longest time outside", "hard limits violated",
    ):  # fmt: skip
        table.add_column(title)
    for config in configs:
        table.add_row(*row(config.stem, [item for name, item in results if name == config.stem]))
    console.print(table)


if __name__ == "__main__":
    main()
