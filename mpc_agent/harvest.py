"""A harvest that is free: when it is planned, that it moved, and that it is due. Pure.

The agent advises, people harvest.
"""

from collections.abc import Iterator, Mapping

from mpc_agent.memory import Memory, Rooms
from mpc_agent.steps import FEED, Planned
from mpc_agent.values import Event, Plan, Severity

NEAR_H = 1.0
"""A planned harvest that is nearer than this is due; one that moves by less is not told."""

NEAR_SHARE = 0.05
"""Share of the time to harvest that it must move by to be told: far ahead it is not known to the
hour, and every plan would tell another one."""

HARVEST_DUE = "HARVEST_DUE"
"""Code of the advice to harvest."""


def planned_harvest_h(rooms: Rooms, plans: Mapping[str, Plan]) -> float | None:
    """When the feeds' plan has the harvest, hours since inoculation; None where it is not free."""
    plan = plans.get(FEED)
    if not rooms.feed.problem.free_harvest or plan is None or not plan.usable:
        return None
    return rooms.hours(plan.solved_at_s) + float(plan.grid_h[-1])


def told_harvest_h(rooms: Rooms, memory: Memory, planned: Planned) -> float | None:
    """The planned harvest as people know it after this cycle: small moves are not told."""
    harvest_h, known_h = planned_harvest_h(rooms, planned.usable), memory.harvest_h
    if harvest_h is None or known_h is None:
        return harvest_h
    left_h = harvest_h - rooms.hours(planned.usable[FEED].solved_at_s)
    moved = abs(harvest_h - known_h) > max(NEAR_H, NEAR_SHARE * left_h)
    return harvest_h if moved else known_h


def harvest_due(rooms: Rooms, planned: Planned, now_s: float) -> Mapping[str, Event]:
    """The advice to harvest, by its code, as long as hardly any time is left."""
    harvest_h = planned_harvest_h(rooms, planned.usable)
    if harvest_h is None:
        return {}
    left_h = harvest_h - rooms.hours(now_s)
    if left_h > NEAR_H:
        return {}
    when = f"in {60 * left_h:.0f} min, at" if left_h > 0 else "now; it was best at"
    text = f"Harvest {when} {harvest_h:.1f} h{_product(rooms, planned)}."
    return {HARVEST_DUE: Event(HARVEST_DUE, Severity.EVENT, text)}


def harvest_moved(rooms: Rooms, memory: Memory, planned: Planned, *, due: bool) -> Iterator[Event]:
    """When it is planned at first, and each time it moves; while it is due it only waits."""
    harvest_h, known_h = told_harvest_h(rooms, memory, planned), memory.harvest_h
    if harvest_h is None or harvest_h == known_h or due:
        return
    product = _product(rooms, planned)
    if known_h is None:
        text = f"Harvest is planned for {harvest_h:.1f} h{product}."
        yield Event("HARVEST_PLANNED", Severity.EVENT, text)
        return
    by = f"{abs(harvest_h - known_h):.1f} h {'later' if harvest_h > known_h else 'earlier'}"
    text = f"Harvest is planned for {harvest_h:.1f} h now, {by} than told before{product}."
    yield Event("HARVEST_MOVED", Severity.EVENT, text)


def _product(rooms: Rooms, planned: Planned) -> str:
    """What is expected then."""
    problem, forecast = rooms.feed.problem, planned.expected.get("plan")
    if forecast is None or problem.maximise is None:
        return ""
    output = problem.maximise.output
    unit = problem.model.outputs_info[output].unit
    return f", with {forecast.value:.4g} {unit} of {output} expected"
