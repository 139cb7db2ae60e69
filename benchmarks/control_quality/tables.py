"""What came of the batches, as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from benchmarks.control_quality.batches import Outcome
from benchmarks.control_quality.variants import VARIANTS

MEDIAN_GOAL = 0.98
TENTH_GOAL = 0.96
OUTSIDE_GOAL_PERCENT = 1.0


@dataclass(frozen=True)
class Results:
    """All outcomes.

    Attributes:
        outcomes: by variant and seed.
        optima_g: by seed.
    """

    outcomes: Mapping[tuple[str, int], Outcome]
    optima_g: Mapping[int, float]

    def of(self, variant: str) -> dict[int, Outcome]:
        """Outcomes of one variant by seed."""
        return {seed: item for (name, seed), item in self.outcomes.items() if name == variant}

    def ratios(self, variant: str) -> list[float]:
        """Product over the optimum of each seed."""
        done = self.of(variant)
        return [item.product_g / self.optima_g[seed] for seed, item in done.items()]

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants with any outcome, in their order."""
        return tuple(name for name in VARIANTS if self.of(name))


def outside_percent(outcomes: Sequence[Outcome]) -> float:
    """Time outside any soft limit, as a share of all batches' time, in percent."""
    hours = [
        sum(value for name, value in item.outside_h.items() if name not in item.hard_broken)
        for item in outcomes
    ]
    return 100 * sum(hours) / sum(item.duration_h for item in outcomes)


def summary(results: Results) -> Table:
    """One line per variant."""
    table = Table(title="Product over each plant's own optimum")
    table.add_column("controlled by", no_wrap=True)
    for title in (
        "batches", "median", "10th pct", "lowest", "soft limits outside %", "hard broken",
        "glucose left mM", "base L", "feed solve ms (median, p99)", "not solved",
    ):  # fmt: skip
        table.add_column(title, justify="right")
    for name in results.variants:
        table.add_row(VARIANTS[name].title, *_figures(results, name))
    return table


def _figures(results: Results, variant: str) -> list[str]:
    ratios, done = results.ratios(variant), list(results.of(variant).values())
    times = np.array([item.solve_ms for item in done if item.solve_ms])
    failed = sum(sum(item.solves.values()) - item.solves.get("SOLVED", 0) for item in done)
    return [
        str(len(done)),
        f"{np.median(ratios):.4f}",
        f"{np.percentile(ratios, 10):.4f}",
        f"{min(ratios):.4f}",
        f"{outside_percent(done):.2f}",
        str(sum(1 for item in done if item.hard_broken)),
        f"{np.median([item.left.get('glucose', np.nan) for item in done]):.1f}",
        f"{np.median([item.left.get('base', np.nan) for item in done]):.1f}",
        f"{np.median(times[:, 0]):.0f}, {np.max(times[:, 1]):.0f}" if len(times) else "",
        str(failed) if len(times) else "",
    ]


def by_seed(results: Results) -> Table:
    """One line per seed: the ratio of every variant, and what it violated."""
    table = Table(title="Ratio by seed; in brackets hours outside limits")
    table.add_column("seed", justify="right")
    table.add_column("optimum g", justify="right")
    for name in results.variants:
        table.add_column(VARIANTS[name].title, justify="right")
    for seed, best_g in sorted(results.optima_g.items()):
        cells = [
            _cell(outcome, best_g) if (outcome := results.of(name).get(seed)) else ""
            for name in results.variants
        ]
        table.add_row(str(seed), f"{best_g:.0f}", *cells)
    return table


def _cell(outcome: Outcome, best_g: float) -> str:
    outside = ", ".join(f"{name} {h:.1f}" for name, h in outcome.outside_h.items() if h >= 1.0)
    return f"{outcome.product_g / best_g:.4f}" + (f" ({outside})" if outside else "")


def verdicts(results: Results, variant: str = "agent") -> list[str]:
    """Whether the variant meets each goal, in words."""
    done = list(results.of(variant).values())
    if not done:
        return []
    ratios = results.ratios(variant)
    broken = sum(1 for item in done if item.hard_broken)
    figures = (
        ("median ratio", float(np.median(ratios)), MEDIAN_GOAL, True),
        ("10th percentile", float(np.percentile(ratios, 10)), TENTH_GOAL, True),
        ("soft limits outside, % of time", outside_percent(done), OUTSIDE_GOAL_PERCENT, False),
        ("batches with a hard limit broken", float(broken), 0.0, False),
    )
    alarms = sum((Counter(item.alarms) for item in done), Counter[str]())
    told = ", ".join(f"{code} {count}" for code, count in sorted(alarms.items())) or "none"
    return [
        *(
            f"{VARIANTS[variant].title}: {name} {value:.4g}, goal {goal:g}: "
            f"{'met' if (value >= goal if more else value <= goal) else 'NOT met'}"
            for name, value, goal, more in figures
        ),
        f"{VARIANTS[variant].title}: alarms in {len(done)} batches: {told}",
    ]
