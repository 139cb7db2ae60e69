"""What `python -m benchmarks.control_quality` does."""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.control_quality.batches import Case, Outcome, run
from benchmarks.control_quality.courses import write_courses
from benchmarks.control_quality.optimum import Yardstick
from benchmarks.control_quality.tables import Results, by_seed, summary, verdicts
from benchmarks.control_quality.variants import VARIANTS, available
from sim_plant.truth import Truth

CONFIG = Path(__file__).parents[2] / "configs" / "cho_demo.yaml"
KEPT = Path(__file__).parents[2] / "runs" / "control_quality"
WIDTH = 160
MOST_JOBS = 2
"""Each batch needs one core and up to 1 GB."""


def main(about: str | None) -> None:
    """Run what is missing, and print."""
    given = _arguments(about)
    console = Console(width=WIDTH)
    if given.list:
        for name, variant in VARIANTS.items():
            console.print(f"{name:14} {variant.meaning}")
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    cases = [
        Case(given.config.resolve(), seed, variant, given.folder.resolve())
        for seed in given.seeds
        for variant in given.variants
    ]
    outcomes = run_all(cases, min(given.jobs, MOST_JOBS), console)
    optima = find_optima(cases, console)
    results = Results(
        {(case.variant, case.seed): outcomes[case] for case in cases},
        {seed: truth.product_g for seed, truth in optima.items()},
    )
    console.print(by_seed(results))
    console.print(summary(results))
    for sentence in verdicts(results):
        console.print(sentence)
    if given.courses:
        pages(cases, optima, given.folder, console)


def _arguments(about: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 31)))
    parser.add_argument("--variants", nargs="+", choices=available(), default=["agent"])
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--folder", type=Path, default=KEPT, help="where results are kept")
    parser.add_argument("--jobs", type=int, default=1, help="batches at a time, at most two")
    parser.add_argument("--courses", action="store_true", help="write a page for each seed")
    parser.add_argument("--list", action="store_true", help="say what the variants are")
    return parser.parse_args()


def run_all(cases: Sequence[Case], jobs: int, console: Console) -> dict[Case, Outcome]:
    """All outcomes; each batch in a process of its own."""
    outcomes: dict[Case, Outcome] = {}
    cache = cases[0].folder / "compiled"
    with (
        _progress(console) as progress,
        ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        task = progress.add_task("batches", total=len(cases))
        coming = {pool.submit(run, case, cache): case for case in cases}
        for done in as_completed(coming):
            case = coming[done]
            outcomes[case] = done.result()
            progress.update(
                task,
                advance=1,
                description=f"seed {case.seed}, {case.variant}: {outcomes[case].product_g:.0f} g",
            )
    return outcomes


def find_optima(cases: Sequence[Case], console: Console) -> dict[int, Truth]:
    """The optimum of every seed, searched for from the recipe's and all other batches."""
    yardstick, optima = Yardstick(cases[0].config, cases[0].folder), dict[int, Truth]()
    seeds = sorted({case.seed for case in cases})
    with _progress(console) as progress:
        for seed in progress.track(seeds, description="optima"):
            batches = [Path(f"{case.stem}.npz") for case in cases if case.seed == seed]
            optima[seed] = yardstick.truth(seed, batches)
    return optima


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def pages(cases: Sequence[Case], optima: dict[int, Truth], folder: Path, console: Console) -> None:
    """A page of courses for each seed."""
    for seed, optimum in optima.items():
        batches = {
            VARIANTS[case.variant].title: Truth.load(Path(f"{case.stem}.npz"))
            for case in cases
            if case.seed == seed
        }
        path = folder / f"courses-seed{seed}.html"
        write_courses(path, seed, optimum, batches)
        console.print(f"courses of seed {seed}: {path}")
