"""The demo's batch for several seeds, judged against recipe and perfect knowledge.

python -m benchmarks.results                  seeds 1 to 10
python -m benchmarks.results --seeds 3 4      only these
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

CONFIG = Path(__file__).parents[1] / "configs" / "cho_demo.yaml"
WIDTH = 140

PARALLEL = 2
"""Batches at a time; each needs one core and up to 1 GB."""


def simulate(config: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Run `mpc-agent simulate` in a process of its own; its JSON object."""
    command = [sys.executable, "-m", "mpc_agent", "simulate", str(config), "--seed", str(seed)]
    command += ["--folder", str(folder / f"seed{seed}"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"seed {seed} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def row(result: dict[str, Any]) -> list[str]:
    """One line of the table."""
    best = result["optimum_product_g"]
    outside = {name: hours for name, hours in result["constraint_violation_h"].items() if hours}
    covered = result["coverage_percent"]
    return [
        str(result["seed"]),
        f"{result['final_product_g']:.0f}",
        f"{best:.0f}",
        f"{result['final_product_g'] / best:.3f}",
        f"{result['recipe_product_g'] / best:.3f}",
        f"{result['lowest']['glucose']:.1f}",
        ", ".join(f"{name} {hours:.1f}" for name, hours in outside.items()) or "none",
        ", ".join(result["hard_limits_violated"]) or "none",
        f"{result['held_percent']['dissolved_oxygen']:.1f}",
        f"{min(covered.values()):.0f}-{max(covered.values()):.0f}",
        f"{result['wall_s']:.0f}",
    ]


def quartiles(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--config", type=Path, default=CONFIG)
    arguments = parser.parse_args()
    console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(PARALLEL) as pool:
        run = partial(simulate, arguments.config, Path(folder))
        done = pool.map(run, arguments.seeds)
        results = list(track(done, "batches", total=len(arguments.seeds), console=console))
    show(console, results)


def show(console: Console, results: list[dict[str, Any]]) -> None:
    """The table, its medians, and how often each assay's truth lay in its 95 % band."""
    table = Table(title="CHO 2000 L, 14 days: the agent against perfect knowledge and the recipe")
    for title in (
        "seed", "agent g", "optimum g", "agent/opt", "recipe/opt", "lowest glucose mM",
        "hours outside", "hard limits", "DO held %", "coverage %", "wall s",
    ):  # fmt: skip
        table.add_column(title, justify="right")
    for result in results:
        table.add_row(*row(result))
    console.print(table)
    for name in ("final", "recipe"):
        ratios = [item[f"{name}_product_g"] / item["optimum_product_g"] for item in results]
        console.print(f"{name} / optimum: median {quartiles(ratios)}")
    for assay in results[0]["coverage_percent"]:
        shares = [item["coverage_percent"][assay] for item in results]
        console.print(
            f"95 % band of {assay}: truth inside {statistics.mean(shares):.1f} % of cycles"
        )


if __name__ == "__main__":
    main()
