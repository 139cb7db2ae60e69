"""The figures at the top of a report: what came out, against what it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mpc_agent.report.panel import mass_unit, pretty_title, pretty_unit
from mpc_agent.report.series import Series
from mpc_agent.report.sources import Result
from mpc_agent.report.traces import ESTIMATE, INK, RECIPE

_SIGMAS = 1.96
_NOTHING = 1e-4
"""Below this a quantity is used up, whatever an integrator leaves of it."""


@dataclass(frozen=True)
class Figure:
    """One number with its context.

    Attributes:
        label: what it is.
        value: the number, as text.
        unit: its unit.
        note: what makes it meaningful.
    """

    label: str
    value: str
    unit: str
    note: str


@dataclass(frozen=True)
class Bar:
    """One bar of the comparison.

    Attributes:
        label: whose product it is.
        value: product, as text.
        percent: length of the bar.
        color: as everywhere in the report.
        note: relation to the agent's product.
    """

    label: str
    value: str
    percent: float
    color: str
    note: str


@dataclass(frozen=True)
class Summary:
    """The top of a report.

    Attributes:
        finished: whether the batch reached its planned harvest.
        product: the headline.
        bars: the agent's product against recipe and optimum; empty when neither is known.
        figures: further numbers.
    """

    finished: bool
    product: Figure | None
    bars: tuple[Bar, ...]
    figures: tuple[Figure, ...]


def is_finished(series: Series) -> bool:
    """Whether the record reaches the planned harvest, give or take one cycle."""
    header = series.header
    last_h = float(series.time_h[-1]) if len(series.time_h) else 0.0
    return last_h >= header.harvest_h - 1.5 * header.period_s / 3600


def summarise(series: Series, result: Result, alarms: int) -> Summary:
    """The figures of a batch; what is not known is left out."""
    finished = is_finished(series)
    product, product_g = _product(series, result, finished)
    return Summary(
        finished=finished,
        product=product,
        bars=tuple(_bars(series, result, product_g, finished)),
        figures=(*_final(series, result, finished), *_operation(series, alarms)),
    )


def _product(series: Series, result: Result, finished: bool) -> tuple[Figure | None, float | None]:
    """Headline and grams: measured if known, else estimated, before harvest as expected."""
    name = series.header.product
    if "achieved" in result.product_g:
        product_g = result.product_g["achieved"]
        mass = mass_unit(product_g)
        return Figure(
            "Product harvested", f"{product_g / mass.grams:.2f}", mass.name, ""
        ), product_g
    if finished and name in series.outputs:
        mean, deviation = series.outputs[name][-1], series.output_deviation[name][-1]
        label, note = "Product at harvest", "estimated"
    elif "plan" in series.expected and np.isfinite(series.expected["plan"][-1]):
        mean, deviation = series.expected["plan"][-1], series.expected_deviation["plan"][-1]
        label, note = "Product expected", "at harvest, with the agent's plan"
    else:
        return None, None
    mass = mass_unit(float(mean))
    width = _SIGMAS * float(deviation) / mass.grams
    value = f"{float(mean) / mass.grams:.2f}"
    return Figure(label, value, f"± {width:.2f} {mass.name}", note), float(mean)


def _bars(series: Series, result: Result, product_g: float | None, finished: bool) -> Iterator[Bar]:
    """The agent's product beside what the recipe gives and what was possible."""
    recipe_g = result.product_g.get("recipe")
    if recipe_g is None and not finished and "recipe" in series.expected:
        recipe_g = float(series.expected["recipe"][-1])
    optimum_g = result.product_g.get("optimum")
    if product_g is None or (recipe_g is None and optimum_g is None):
        return
    known = {"Recipe": recipe_g, "Optimum": optimum_g}
    others = {
        label: value_g
        for label, value_g in known.items()
        if value_g is not None and np.isfinite(value_g)
    }
    longest = max(product_g, *others.values())
    mass = mass_unit(longest)

    def bar(label: str, grams: float, color: str, note: str) -> Bar:
        value = f"{grams / mass.grams:.2f} {mass.name}"
        return Bar(label, value, 100 * grams / longest, color, note)

    yield bar("Agent", product_g, ESTIMATE, "")
    for label, other_g in others.items():
        if label == "Recipe":
            yield bar(label, other_g, RECIPE, f"agent {100 * (product_g / other_g - 1):+.1f} %")
        else:
            yield bar(label, other_g, INK, f"agent at {100 * product_g / other_g:.1f} %")


def _final(series: Series, result: Result, finished: bool) -> Iterator[Figure]:
    """What people look at first, and the volume, at the end."""
    outputs = {quantity.name: quantity for quantity in series.header.outputs}
    units = {name: pretty_unit(quantity.unit) for name, quantity in outputs.items()}
    when = "at harvest" if finished else "now"
    for name in (*series.header.shown, "volume"):
        label = pretty_title(outputs[name]) if name in outputs else name
        if name in result.final:
            yield Figure(label, _short(result.final[name]), units.get(name, ""), when)
        elif name in series.outputs and len(series.time_h):
            width = _SIGMAS * float(series.output_deviation[name][-1])
            yield Figure(
                label,
                _short(float(series.outputs[name][-1])),
                units[name],
                f"{when}, estimated ± {width:.2g}",
            )


def _operation(series: Series, alarms: int) -> Iterator[Figure]:
    """How much of the batch the agent controlled, and how often it called for help."""
    if len(series.time_h):
        share = 100 * float(np.mean(series.states["mode"] == "CONTROL"))
        hours = f"{len(series.time_h)} cycles"
        yield Figure("In control", f"{share:.1f}", "%", f"of {hours}")
    yield Figure("Alarms", str(alarms), "", "for an operator")
    if "cycle" in series.durations:
        middle_s = float(np.nanmedian(series.durations["cycle"]))
        yield Figure("Wall time", f"{1000 * middle_s:.0f}", "ms", "of a cycle, median")


def _short(value: float) -> str:
    """Three significant digits, all of them before the point if there are more."""
    if abs(value) < _NOTHING:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"  # noqa: PLR2004 - digits
