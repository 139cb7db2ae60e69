"""The figures at the top of a report: what came out, against what it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mpc_agent.report.panel import pretty_unit
from mpc_agent.report.series import Series
from mpc_agent.report.sources import Result
from mpc_agent.report.traces import ESTIMATE, INK, RECIPE

_GRAMS_PER_KG = 1000.0
_SIGMAS = 1.96
PRODUCT = "product_mass"
SHOWN_OUTPUTS = {"titre": "Titre", "viability": "Viability", "volume": "Volume"}


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
        value: kilograms, as text.
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
    product, product_kg = _product(series, result, finished)
    return Summary(
        finished=finished,
        product=product,
        bars=tuple(_bars(series, result, product_kg, finished)),
        figures=(*_final(series, result, finished), *_operation(series, alarms)),
    )


def _product(series: Series, result: Result, finished: bool) -> tuple[Figure | None, float | None]:
    """Headline and kilograms: measured if known, else estimated, before harvest as expected."""
    if "achieved" in result.product_g:
        product_kg = result.product_g["achieved"] / _GRAMS_PER_KG
        return Figure("Product harvested", f"{product_kg:.2f}", "kg", ""), product_kg
    if finished and PRODUCT in series.outputs:
        mean, deviation = series.outputs[PRODUCT][-1], series.output_deviation[PRODUCT][-1]
        label, note = "Product at harvest", "estimated"
    elif "plan" in series.expected and np.isfinite(series.expected["plan"][-1]):
        mean, deviation = series.expected["plan"][-1], series.expected_deviation["plan"][-1]
        label, note = "Product expected", "at harvest, with the agent's plan"
    else:
        return None, None
    product_kg = float(mean) / _GRAMS_PER_KG
    width = _SIGMAS * float(deviation) / _GRAMS_PER_KG
    return Figure(label, f"{product_kg:.2f}", f"± {width:.2f} kg", note), product_kg


def _bars(
    series: Series, result: Result, product_kg: float | None, finished: bool
) -> Iterator[Bar]:
    """The agent's product beside what the recipe gives and what was possible."""
    recipe_g = result.product_g.get("recipe")
    if recipe_g is None and not finished and "recipe" in series.expected:
        recipe_g = float(series.expected["recipe"][-1])
    optimum_g = result.product_g.get("optimum")
    if product_kg is None or (recipe_g is None and optimum_g is None):
        return
    known = {"Recipe": recipe_g, "Optimum": optimum_g}
    others = {
        label: value_g / _GRAMS_PER_KG
        for label, value_g in known.items()
        if value_g is not None and np.isfinite(value_g)
    }
    longest = max(product_kg, *others.values())
    yield Bar("Agent", f"{product_kg:.2f}", 100 * product_kg / longest, ESTIMATE, "")
    for label, other_kg in others.items():
        if label == "Recipe":
            note, color = f"agent {100 * (product_kg / other_kg - 1):+.1f} %", RECIPE
        else:
            note, color = f"agent at {100 * product_kg / other_kg:.1f} %", INK
        yield Bar(label, f"{other_kg:.2f}", 100 * other_kg / longest, color, note)


def _final(series: Series, result: Result, finished: bool) -> Iterator[Figure]:
    """Titre, viability and volume at the end."""
    units = {quantity.name: pretty_unit(quantity.unit) for quantity in series.header.outputs}
    when = "at harvest" if finished else "now"
    for name, label in SHOWN_OUTPUTS.items():
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
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"  # noqa: PLR2004 - digits
