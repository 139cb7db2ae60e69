"""How much of each input a plan gives until harvest, and how it differs from others. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np

from controllers.arrays import Floats
from controllers.plan import Plan
from mpc_agent.record import BatchHeader, Schedule

MOST = 0.75
"""Share of a difference that counts as most of it."""

SAME_TIME_H = 1e-6
"""Times nearer than this are one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How what a plan gives of one input differs from what something else would give.

    Attributes:
        amount: from the plan's start to harvest, plan minus other.
        ahead: largest difference of what was given until some hour, negative when behind.
        ahead_h: that hour since inoculation.
        rate: largest difference of the mean rate of one piece of the plan.
        rate_h: begin of that piece, hours since inoculation.
        most_h: shortest stretch of pieces in which most of `amount` comes about, begin and end in
            hours since inoculation.
    """

    amount: float
    ahead: float
    ahead_h: float
    rate: float
    rate_h: float
    most_h: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one input is given from the plan's start to harvest.

    Attributes:
        name: the input.
        rate_unit: unit of the input.
        unit: unit of the amounts; that of the input where it is no flow, and all amounts are means
            over time.
        flows: whether amounts are integrals over time.
        by_plan: by this plan.
        by_previous: by the plan before, from the same moment on; NaN without one.
        by_recipe: by the recipe; NaN for an input that it says nothing about.
        whole_recipe: by the recipe over the whole batch, to judge the others by.
        from_previous: plan minus plan before.
        from_recipe: plan minus recipe.
    """

    name: str
    rate_unit: str
    unit: str
    flows: bool
    by_plan: float
    by_previous: float
    by_recipe: float
    whole_recipe: float
    from_previous: Difference | None
    from_recipe: Difference | None


def end_h(header: BatchHeader, plan: Plan) -> float:
    """Where a plan ends, hours since inoculation."""
    return header.hours(plan.solved_at_s) + float(plan.grid_h[-1])


@dataclass(frozen=True)
class _Course:
    """How much is given of one input until any hour.

    Attributes:
        hours: since inoculation, shape (points,).
        until: amount given until each of these hours, same shape.
        end_h: where it ends, hours since inoculation.
    """

    hours: Floats
    until: Floats
    end_h: float

    def amounts(self, at_h: Floats) -> Floats:
        """Amount given from the first of these hours until each; nothing after the end."""
        until: Floats = np.interp(at_h, self.hours, self.until)
        return until - float(until[0])


def uses(header: BatchHeader, plan: Plan, previous: Plan | None) -> Iterator[Use]:
    """Every input that the plan decides."""
    units = {item.name: item.unit for item in header.inputs}
    for name in dict.fromkeys((*plan.decided, *plan.poured)):
        rate_unit = units.get(name, "")
        flows = rate_unit.endswith("/h") and not rate_unit.startswith("1/")
        mine = _planned(header, plan, name)
        before = None if previous is None else _planned(header, previous, name)
        schedule = header.recipe.get(name)
        recipe = None if schedule is None else _scheduled(schedule)
        edges_h = header.hours(plan.solved_at_s) + np.concatenate([[0.0], plan.grid_h])
        yield Use(
            name=name,
            rate_unit=rate_unit,
            unit=rate_unit.removesuffix("/h") if flows else rate_unit,
            flows=flows,
            by_plan=_whole(mine, mine, edges_h, flows=flows),
            by_previous=_whole(before, mine, edges_h, flows=flows),
            by_recipe=_whole(recipe, mine, edges_h, flows=flows),
            whole_recipe=nan if recipe is None else _all_of(recipe, flows=flows),
            from_previous=_difference(mine, before, edges_h, flows=flows),
            from_recipe=_difference(mine, recipe, edges_h, flows=flows),
        )


def _planned(header: BatchHeader, plan: Plan, name: str) -> _Course:
    """What a plan gives, its boluses included."""
    edges_h = np.concatenate([[0.0], plan.grid_h])
    pours = [pour for liquid, *pour in plan.pours() if liquid == name]
    edges = (at for _, begin, over in pours for at in (begin, begin + over))
    hours = np.unique([*edges_h, *edges])
    until = np.zeros(len(hours))
    if name in plan.decided:
        rates = plan.inputs[:, plan.decided.index(name)]
        amounts = np.concatenate([[0.0], np.cumsum(rates * np.diff(edges_h))])
        until += np.interp(hours, edges_h, amounts)
    for volume_L, begin_h, over_h in pours:
        until += volume_L * np.clip((hours - begin_h) / over_h, 0.0, 1.0)
    return _Course(header.hours(plan.solved_at_s) + hours, until, end_h(header, plan))


def _scheduled(schedule: Schedule) -> _Course:
    """What the recipe gives."""
    hours = np.array([hour for hour, _ in schedule])
    rates = np.array([rate for _, rate in schedule])
    until = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(hours))])
    return _Course(hours, until, float(hours[-1]))


def _compared(mine: _Course, other: _Course, edges_h: Floats, *, flows: bool) -> Floats:
    """Hours at which two courses are compared: of a flow until the later harvest."""
    later = flows and other.end_h > mine.end_h + SAME_TIME_H
    return np.append(edges_h, other.end_h) if later else edges_h


def _per(edges_h: Floats, *, flows: bool) -> float:
    """What an integral is divided by to be an amount, or a mean."""
    return 1.0 if flows else float(edges_h[-1] - edges_h[0])


def _whole(course: _Course | None, mine: _Course, edges_h: Floats, *, flows: bool) -> float:
    """What a course gives from the plan's start to its own harvest; NaN without one."""
    if course is None:
        return nan
    at_h = _compared(mine, course, edges_h, flows=flows)
    return float(course.amounts(at_h)[-1]) / _per(edges_h, flows=flows)


def _all_of(course: _Course, *, flows: bool) -> float:
    """What a course gives from its begin to its end, or its mean."""
    return float(course.amounts(course.hours)[-1]) / _per(course.hours, flows=flows)


def _difference(
    mine: _Course, other: _Course | None, edges_h: Floats, *, flows: bool
) -> Difference | None:
    """How the plan differs from another course; None without one."""
    if other is None:
        return None
    at_h = _compared(mine, other, edges_h, flows=flows)
    gaps = mine.amounts(at_h) - other.amounts(at_h)
    rates = np.diff(gaps) / np.diff(at_h)
    gaps = gaps / _per(edges_h, flows=flows)
    farthest, fastest = int(np.abs(gaps).argmax()), int(np.abs(rates).argmax())
    return Difference(
        amount=float(gaps[-1]),
        ahead=float(gaps[farthest]),
        ahead_h=float(at_h[farthest]),
        rate=float(rates[fastest]),
        rate_h=float(at_h[fastest]),
        most_h=_most(at_h, gaps),
    )


def _most(at_h: Floats, gaps: Floats) -> tuple[float, float]:
    """The shortest stretch in which most of the last gap comes about."""
    sign = 1.0 if gaps[-1] >= 0.0 else -1.0
    found = float(at_h[0]), float(at_h[-1])
    for i, begin_h in enumerate(at_h.tolist()):
        enough = np.flatnonzero(sign * (gaps[i:] - gaps[i]) >= MOST * abs(gaps[-1]))
        if enough.size and at_h[i + enough[0]] - begin_h < found[1] - found[0]:
            found = begin_h, float(at_h[i + enough[0]])
    return found
