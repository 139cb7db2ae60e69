"""Why a plan is as it is, in sentences that an engineer would say."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, log10

from mpc_agent.explanation import Explanation, Reached
from mpc_agent.input_use import Difference, Use
from mpc_agent.record import SHORT_H, BatchHeader, Forecast
from mpc_agent.report.panel import pretty_unit

BAND = 1.96
"""Standard deviations of a 95 % band."""

TRIFLE = 0.002
"""Share of the recipe's whole amount under which a difference from the recipe is none."""

MARKED = 0.01
"""Share of the recipe's whole amount over which a difference from the plan before is told."""

ASTRAY = 1.5
"""How much larger than the final difference one on the way must be, to be told of."""

TOLD_H = 0.1
"""Times that differ by less are told as one."""

WORTH_TELLING = 1e-4
"""Share of the expected product under which a limit's worth is not told."""


@dataclass(frozen=True)
class When:
    """How people tell the hours of one batch: days of a long one, hours of a short one."""

    header: BatchHeader

    @property
    def short(self) -> bool:
        """Whether the batch is told in hours."""
        return self.header.harvest_h < SHORT_H

    def number(self, hour: float) -> str:
        """An hour since inoculation, as the axes of the plots have it."""
        return f"{hour:.1f}" if self.short else f"{hour / 24:.1f}"

    def at(self, hour: float) -> str:
        """One moment."""
        return f"at {hour:.1f} h" if self.short else f"on day {hour / 24:.1f}"

    def span(self, told: Explanation, item: Reached) -> str:
        """When a limit is reached; in minutes from now for a plan that does not go to harvest."""
        begins, ends = item.from_h <= told.solved_h, item.to_h >= told.end_h
        if not told.maximised:
            first, last = (60 * (hour - told.solved_h) for hour in (item.from_h, item.to_h))
            return f"for the next {last:.0f} min" if begins else f"{first:.0f} to {last:.0f} min on"
        if begins:
            return f"from now to {'harvest' if ends else self._bare(item.to_h)}"
        if ends:
            return f"from {self._bare(item.from_h)} to harvest"
        return self.stretch(item.from_h, item.to_h)

    def _bare(self, hour: float) -> str:
        return f"{self.number(hour)} h" if self.short else f"day {self.number(hour)}"

    def stretch(self, from_h: float, to_h: float, words: tuple[str, str] = ("from", "to")) -> str:
        """From one moment to another."""
        begin, end = words
        day, unit = ("", " h") if self.short else ("day ", "")
        return f"{begin} {day}{self.number(from_h)} {end} {self.number(to_h)}{unit}"


def sentences(header: BatchHeader, told: Explanation) -> tuple[str, ...]:
    """What matters most about a plan, in the order in which people ask."""
    when = When(header)
    found = [*_harvest(when, told)]
    found += [line for use in told.uses for line in _from_recipe(when, told, use)]
    found += list(_from_previous(when, told))
    found += [_limit(when, told, item) for item in told.limits]
    return tuple(found)


def amount(value: float, unit: str, signed: bool = False) -> str:
    """A value with its unit, to a digit that matters."""
    value, unit = _handy(value, unit, value)
    text = f"{value:{'+' if signed else ''}.{_decimals(value)}f}"
    if abs(value) < 0.001:  # noqa: PLR2004 - three decimals
        text = f"{value:+.2g}" if signed and value else f"{value:.2g}"
    return f"{text} {pretty_unit(unit)}".strip().replace("-", "\u2212")


def banded(forecast: Forecast, unit: str) -> str:
    """A forecast with its 95 % band, alone where that is not known."""
    if not isfinite(forecast.deviation):
        return amount(forecast.value, unit)
    value, _ = _handy(forecast.value, unit, forecast.value)
    width, unit = _handy(BAND * forecast.deviation, unit, forecast.value)
    digits = _decimals(width)
    return f"{value:.{digits}f} \u00b1 {width:.{digits}f} {pretty_unit(unit)}".strip()


def _decimals(value: float) -> int:
    """Decimals that matter."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 1 else 2 if size >= 0.1 else 3  # noqa: PLR2004


def _handy(value: float, unit: str, largest: float) -> tuple[float, str]:
    """The value and its unit, kilograms where there are hundreds of them."""
    if unit == "g" and abs(largest) >= 1e5:  # noqa: PLR2004
        return value / 1000, "kg"
    return value, unit


# ------------------------------------------------------------------ harvest


def _harvest(when: When, told: Explanation) -> Iterator[str]:
    """What is expected, and when."""
    plan = told.expected.get("plan")
    if plan is None or not isfinite(plan.value):
        return
    band = " (95 %)" if isfinite(plan.deviation) else ""
    product = f"{banded(plan, told.unit)}{band} of {_what(when, told)}"
    text = f"Harvest {when.at(told.end_h)} with {product}"
    if isfinite(told.recipe_lead):
        recipe = _more(told.recipe_lead, told.unit, abs(plan.value))
        text += f", {recipe} by the recipe from here on"
        if abs(told.end_h - when.header.harvest_h) >= TOLD_H:
            text += f" with harvest {when.at(when.header.harvest_h)}"
    if isfinite(told.expected_change):
        change = _more(told.expected_change, told.unit, abs(plan.value))
        text += f"; {change} expected {when.at(told.previous_h)}, with the plan before"
    yield f"{text}."
    moved_h = told.end_h - told.previous_end_h
    if abs(moved_h) >= TOLD_H:
        direction = "later" if moved_h > 0 else "earlier"
        yield f"That is {abs(moved_h):.1f} h {direction} than planned before."


def _what(when: When, told: Explanation) -> str:
    """What is maximised, as people say it."""
    product = told.maximised == when.header.product
    return "product" if product else told.maximised.replace("_", " ")


def _more(difference: float, unit: str, of: float) -> str:
    """More or less than something; a thousandth is nothing."""
    if abs(difference) < 1e-3 * of:
        return "as much as"
    return f"{amount(abs(difference), unit)} {'more' if difference > 0 else 'less'} than"


# ------------------------------------------------------------------ inputs


def _from_recipe(when: When, told: Explanation, use: Use) -> Iterator[str]:
    if use.from_recipe is not None:
        trifle = TRIFLE * use.whole_recipe
        yield f"{use.name}: {_compared(when, told, use, use.from_recipe, 'the recipe', trifle)}."


def _from_previous(when: When, told: Explanation) -> Iterator[str]:
    """What is given otherwise than planned before; nothing for the first plan."""
    compared = [(use, use.from_previous) for use in told.uses if use.from_previous is not None]
    changed = [
        (use, difference) for use, difference in compared if marked(told, use, difference.ahead)
    ]
    for use, difference in changed:
        trifle = TRIFLE * _whole(told, use)
        words = _compared(when, told, use, difference, "the plan before", trifle)
        rate = amount(difference.rate, use.rate_unit, signed=True)
        yield f"{use.name}: {words}; its rate differs most {when.at(difference.rate_h)}, by {rate}."
    if compared and not changed:
        yield "All inputs are much as in the plan before."


def marked(told: Explanation, use: Use, difference: float) -> bool:
    """Whether an amount by which the plan before differed is worth telling."""
    return abs(difference) > MARKED * _whole(told, use)


def _whole(told: Explanation, use: Use) -> float:
    """What differences are judged by: the recipe's amount, or the largest one of all recipes."""
    if isfinite(use.whole_recipe):
        return use.whole_recipe
    others = [item.whole_recipe for item in told.uses if item.unit == use.unit]
    known = (*others, use.by_plan, use.by_previous)
    return max((abs(value) for value in known if isfinite(value)), default=0.0)


def _compared(
    when: When, told: Explanation, use: Use, difference: Difference, other: str, trifle: float
) -> str:
    """More or less than another course, and when that comes about."""
    mean = "until harvest" if use.flows else "on average until harvest"
    if abs(difference.ahead) <= trifle:
        return f"as by {other} {mean}"
    side = "ahead of" if difference.ahead > 0 else "behind"
    way = f"{amount(abs(difference.ahead), use.unit)} {side} it {when.at(difference.ahead_h)}"
    opposite = difference.ahead * difference.amount < 0
    if abs(difference.amount) <= trifle:
        return f"as much as by {other} {mean}, but {way}"
    more = "more" if difference.amount > 0 else "less"
    text = f"{amount(abs(difference.amount), use.unit)} {more} than by {other} {mean}"
    if use.flows and abs(difference.ahead) > ASTRAY * abs(difference.amount):
        return f"{text}, but {way}" if opposite else f"{text}, at most {way}"
    from_h, to_h = difference.most_h
    if to_h - from_h <= 0.5 * (told.end_h - told.solved_h):
        return f"{text}, most of it {when.stretch(from_h, to_h, ('between', 'and'))}"
    return text


# ------------------------------------------------------------------ limits


def _limit(when: When, told: Explanation, item: Reached) -> str:
    """What holds the plan back, when, and what it costs."""
    near = "is kept" if item.margin > 0.0 else "is at"
    text = f"{item.name} {near} {position(item)}, {when.span(told, item)}"
    if item.beyond > 0.0:
        return f"{text}, and beyond it by up to {amount(item.beyond, item.unit)}."
    gain = worth(when.header, told, item)
    return f"{text}; {gain}." if gain else f"{text}."


def position(item: Reached) -> str:
    """Where a quantity stands: which end of what, and how far from it."""
    bound = f"its {item.side} {item.kind}, {_plain(item.bound, item.unit)}"
    if item.margin > 0.0:
        away = "below" if item.side == "upper" else "above"
        return f"up to {amount(item.margin, item.unit)} {away} {bound}"
    return bound


def worth(header: BatchHeader, told: Explanation, item: Reached) -> str:
    """What a little more room would gain at harvest; empty where it is little, or not known."""
    step, whole = step_of(item), told.expected.get("plan")
    gain = item.worth * step
    if whole is None or not gain >= WORTH_TELLING * abs(whole.value):
        return ""
    more = "more" if item.side == "upper" else "less"
    value = f"{amount(gain, told.unit)} of {_what(When(header), told)}"
    return f"{_plain(step, item.unit)} {more} would be worth about {value}"


def step_of(item: Reached) -> float:
    """A round amount, about a hundredth of the bound, that people can think of."""
    return float(10.0 ** round(log10(abs(item.bound) / 100))) if item.bound else 0.1


def _plain(value: float, unit: str) -> str:
    """A configured number with its unit."""
    return f"{value:g} {pretty_unit(unit)}".strip().replace("-", "\u2212")
