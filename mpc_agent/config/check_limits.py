"""Whether limits, times and recipe are possible, one by one and together."""

from collections.abc import Iterator
from math import inf

from controllers.recipe import Recipe
from mpc_agent.config.faults import KeyPath
from mpc_agent.config.findings import Finding
from mpc_agent.config.schema_control import ControlSection
from mpc_agent.config.schema_general import BatchSection, ClockSection, CycleSection, ModelSection
from mpc_agent.config.schema_safety import SafetySection
from mpc_agent.drivers.tagmap import DriverSettings, OpcuaSettings, TagMapSettings
from mpc_agent.drivers.units import UnitMismatchError, conversion, same_unit
from mpc_agent.values import Mode
from plant_models.model import PlantModel


def check_times(
    cycle: CycleSection, clock: ClockSection, control: ControlSection | None
) -> Iterator[Finding]:
    """Deadline against period, and solves that would come more often than cycles."""
    if clock.kind == "wall" and cycle.deadline_s >= cycle.period_s:
        yield ("cycle", "deadline_s"), f"must be below period_s, {cycle.period_s:g}"
    if control is not None:
        if control.feed.interval_s < cycle.period_s:
            path: KeyPath = ("control", "feed", "interval_s")
            yield path, f"must be at least cycle.period_s, {cycle.period_s:g}"
        gas = control.gas
        reach_s = inf if gas is None else gas.pieces * gas.piece_s
        if reach_s < cycle.period_s:
            text = f"the horizon, {reach_s:g} s, must reach over one cycle, {cycle.period_s:g} s"
            yield ("control", "gas", "pieces"), text


def check_driver(
    driver: DriverSettings, cycle: CycleSection, clock: ClockSection
) -> Iterator[Finding]:
    """Whether the plant is read fast enough for the rhythm."""
    if isinstance(driver, OpcuaSettings) and clock.kind == "wall":
        scan_s = driver.timeouts.scan_s
        if scan_s + cycle.deadline_s >= cycle.period_s:
            text = f"with cycle.deadline_s, {cycle.deadline_s:g}, must stay below cycle.period_s"
            yield ("driver", "timeouts", "scan_s"), f"{text}, {cycle.period_s:g}"


def check_handshake(
    tags: TagMapSettings, cycle: CycleSection, clock: ClockSection
) -> Iterator[Finding]:
    """Nodes that the target mode and the clock need."""
    top: KeyPath = ("tags", "handshake")
    if cycle.target_mode is Mode.CONTROL:
        needed = ("remote_enable", "request", "active", "heartbeat")
        missing = [name for name in needed if getattr(tags.handshake, name) is None]
        if missing:
            yield top, f"needs {', '.join(missing)} for cycle.target_mode CONTROL"
    if clock.kind == "plant" and tags.handshake.clock is None:
        yield top, "needs clock for clock.kind plant"


def check_feasible(
    control: ControlSection, safety: SafetySection, model: PlantModel, initial_volume_L: float
) -> Iterator[Finding]:
    """What is decided against what is guarded, volumes, and sums of gases."""
    decided = {
        (problem, name): item
        for problem, part in control.problems
        for name, item in part.inputs.items()
    }
    for (problem, name), item in decided.items():
        path: KeyPath = ("control", problem, "inputs", name)
        guarded = safety.inputs.get(name)
        if guarded is None:
            yield path, "has no limits in safety.inputs"
        elif item.lower < guarded.lower or item.upper > guarded.upper:
            bounds = f"{guarded.lower:g}..{guarded.upper:g}"
            yield path, f"must stay within safety.inputs.{name}, {bounds}"
        if name in model.volume_flows and item.lower < 0:
            yield (*path, "lower"), "must not be negative for a feed"
    for problem, part in control.problems:
        for i, limit in enumerate(part.limits):
            if (
                limit.output == model.volume
                and limit.upper is not None
                and limit.upper <= initial_volume_L
            ):
                path = ("control", problem, "limits", i, "upper")
                yield path, f"must be above the volume at inoculation, {initial_volume_L:g} L"


def check_limits(control: ControlSection) -> Iterator[Finding]:
    """Whether the limits that several rows put on one output leave room between them."""
    for problem, part in control.problems:
        uppers: dict[str, float] = {}
        for limit in part.limits:
            if limit.upper is not None:
                uppers[limit.output] = min(limit.upper, uppers.get(limit.output, inf))
        for i, limit in enumerate(part.limits):
            upper = uppers.get(limit.output, inf)
            if limit.lower is not None and limit.lower >= upper:
                text = f"must be below the lowest upper limit of {limit.output}, {upper:g}"
                yield ("control", problem, "limits", i, "lower"), text


def check_safety(
    safety: SafetySection, model: PlantModel, cycle: CycleSection, initial_volume_L: float
) -> Iterator[Finding]:
    """Whether the guard can keep its promises."""
    if safety.max_volume_L <= initial_volume_L:
        path: KeyPath = ("safety", "max_volume_L")
        yield path, f"must be above the volume at inoculation, {initial_volume_L:g} L"
    if safety.validity_s <= cycle.period_s:
        path = ("safety", "validity_s")
        yield path, f"must be longer than a cycle, {cycle.period_s:g} s"
    for name, item in safety.inputs.items():
        if name in model.volume_flows and item.lower != 0:
            yield (
                ("safety", "inputs", name, "lower"),
                "must be 0 for a feed: it must be able to stop",
            )
    yield from _check_sparge(safety, model)


def _check_sparge(safety: SafetySection, model: PlantModel) -> Iterator[Finding]:
    """Gases that the guard would have to add up."""
    gases = [name for name in safety.inputs if _is_gas(name, model)]
    missing = [name for name in gases if name not in safety.sparge_gives_way]
    if missing:
        yield ("safety", "sparge_gives_way"), f"must name every written gas: {', '.join(missing)}"
    for i, name in enumerate(safety.sparge_gives_way):
        unit = model.inputs[name].unit if name in model.inputs else SPARGE_UNIT
        if not same_unit(unit, SPARGE_UNIT):
            text = f"cannot be added up to max_sparge_L_per_h: {model.name} has it in {unit}"
            yield ("safety", "sparge_gives_way", i), text
    if safety.max_sparge_L_per_h is None:
        if gases:
            yield ("safety", "max_sparge_L_per_h"), f"is needed: {', '.join(gases)} are written"
        return
    for what in ("lower", "safe"):
        total = sum(getattr(safety.inputs[name], what) for name in gases)
        if total > safety.max_sparge_L_per_h:
            text = f"is below the sum of the gases' {what} values, {total:g} L/h"
            yield ("safety", "max_sparge_L_per_h"), text


SPARGE_UNIT = "L/h"
"""Unit in which the sparged gases are added up."""


def _is_gas(name: str, model: PlantModel) -> bool:
    """Whether an input is a flow that adds no volume; power or temperature are none."""
    if name not in model.inputs or name in model.volume_flows:
        return False
    try:
        conversion(name, model.inputs[name].unit, SPARGE_UNIT)
    except UnitMismatchError:
        return False
    return True


def check_fallbacks(
    safety: SafetySection, control: ControlSection, cycle: CycleSection
) -> Iterator[Finding]:
    """Plans must count as fresh at least until the next one is due."""
    if (safety.fallbacks.gas is None) != (control.gas is None):
        says = "is needed for" if safety.fallbacks.gas is None else "must be null without"
        yield ("safety", "fallbacks", "gas"), f"{says} control.gas"
    for problem, part, due_s in (
        ("feed", safety.fallbacks.feed, control.feed.interval_s),
        ("gas", safety.fallbacks.gas, cycle.period_s),
    ):
        if part is not None and part.fresh_s < due_s:
            path = ("safety", "fallbacks", problem, "fresh_s")
            yield path, f"must be at least the time between two solves, {due_s:g} s"


def check_recipe(
    recipe: Recipe,
    batch: BatchSection | None,
    safety: SafetySection | None,
    model: PlantModel,
    initial_volume_L: float,
) -> Iterator[Finding]:
    """Whether the approved profile covers the batch and stays inside the limits."""
    path: KeyPath = ("recipe", "file")
    yield from ((path, text) for text in _recipe_columns(recipe, model))
    if batch is not None and recipe.end_h < batch.harvest_h:
        yield path, f"ends at {recipe.end_h:g} h, before the harvest at {batch.harvest_h:g} h"
    if safety is None:
        return
    for name, item in safety.inputs.items():
        if name not in model.volume_flows:
            continue
        if name not in recipe.rates:
            yield path, f"says nothing about {name}, which the agent writes"
        elif float(max(recipe.rates[name])) > item.upper:
            highest = float(max(recipe.rates[name]))
            yield path, f"asks for {highest:g} L/h of {name}, above safety.inputs.{name}.upper"
    volume_L = initial_volume_L + recipe_volume_L(recipe, model)
    # Where volume is lost or withdrawn as well, only a simulation can tell how full it gets.
    if model.volume_loss is None and volume_L > safety.max_volume_L:
        yield path, f"fills the vessel to {volume_L:.4g} L, above safety.max_volume_L"


def _recipe_columns(recipe: Recipe, model: PlantModel) -> Iterator[str]:
    """Columns for inputs that the model does not have, or has in another unit."""
    for name in recipe.rates:
        if name not in model.inputs:
            inputs = ", ".join(model.inputs)
            yield f"gives a rate for {name}, which is no input of {model.name} ({inputs})"
        elif not same_unit(recipe.unit(name), model.inputs[name].unit):
            unit = model.inputs[name].unit
            yield f"gives {name} in {recipe.unit(name)}, but its unit in the model is {unit}"


def recipe_volume_L(recipe: Recipe, model: PlantModel) -> float:
    """Volume that a recipe adds altogether."""
    ends = [*recipe.times_h[1:], recipe.end_h]
    hours = [end - start for start, end in zip(recipe.times_h, ends, strict=True)]
    return float(
        sum(
            rate * duration
            for name, rates in recipe.rates.items()
            if name in model.volume_flows
            for rate, duration in zip(rates, hours, strict=True)
        )
    )


def initial_volume_L(section: ModelSection, model: PlantModel) -> float:
    """Volume at inoculation."""
    return section.initial.get(model.volume, model.states[model.volume].initial)
