"""Whether what the feed problem alone is told is possible: grid, boluses, harvest, scenarios."""

from collections.abc import Iterator

from controllers.problem import Method
from mpc_agent.config.build_control import common_pieces, first_grid
from mpc_agent.config.faults import KeyPath
from mpc_agent.config.findings import Finding, unknown
from mpc_agent.config.schema_control import BolusSection, ControlSection, FeedSection
from mpc_agent.config.schema_estimation import EstimationSection
from mpc_agent.config.schema_general import BatchSection, CycleSection
from mpc_agent.config.schema_safety import GuardedInputSection, SafetySection
from plant_models.model import PlantModel

FEED: KeyPath = ("control", "feed")


def check_feed_names(section: ControlSection, model: PlantModel) -> Iterator[Finding]:
    """Outputs and inputs of the feed problem, and those that both problems would decide."""
    feed, gas = section.feed, section.gas
    if feed.maximise is not None:
        path: KeyPath = (*FEED, "maximise", "output")
        what = f"output of {model.name}"
        yield from unknown(path, feed.maximise.output, model.outputs_info, what)
    for name in feed.boluses:
        path = (*FEED, "boluses", name)
        yield from unknown(path, name, model.volume_flows, f"liquid flow of {model.name}")
    for name, value in feed.foreseen.items():
        path = (*FEED, "foreseen", name)
        yield from unknown(path, name, model.inputs, f"input of {model.name}")
        known = model.inputs.get(name)
        if name in (*feed.inputs, *feed.boluses):
            yield path, "is decided, so it cannot be foreseen"
        lower, upper = value if isinstance(value, tuple) else (value, value)
        if known is not None and not known.lower <= lower <= upper <= known.upper:
            yield path, f"must be within {known.lower:g}..{known.upper:g} {known.unit}"
    for name, level in feed.held_levels.items():
        path, state = (*FEED, "held_levels", name), model.states.get(name)
        yield from unknown(path, name, feed.held_states, "state of control.feed.held_states")
        if state is not None and not state.lower <= level <= state.upper:
            yield path, f"must be within {state.lower:g}..{state.upper:g} {state.unit}"
    for name in sorted({*feed.inputs, *feed.boluses} & set(gas.inputs if gas else ())):
        yield ("control", "gas", "inputs", name), "is already decided by control.feed"


def check_feed_method(feed: FeedSection) -> Iterator[Finding]:
    """What Runge-Kutta steps and sequential quadratic programming cannot do."""
    if feed.method is not Method.SHOOTING:
        return
    path: KeyPath = (*FEED, "method")
    scenarios = feed.scenarios
    if feed.harvest is not None:
        yield path, "must be collocation where control.feed.harvest is given"
    elif scenarios is not None and scenarios.objective == "worst":
        yield path, "must be collocation for the worst of scenarios; or set objective: expected"
    elif scenarios is not None and (scenarios.common_pieces or 1) != 1:
        yield path, "must be collocation for scenarios with more than one piece in common"


def check_feed_times(
    feed: FeedSection, batch: BatchSection, cycle: CycleSection | None
) -> Iterator[Finding]:
    """Pieces, harvest and boluses against the length of the batch."""
    harvest_h, planned_h = batch.harvest_h, batch.harvest_h - feed.from_h
    first_h = feed.first_piece_h
    if first_h is not None and planned_h > 0:
        equal_h = planned_h / feed.pieces
        if first_h >= equal_h and feed.pieces > 1:
            text = f"must be below {equal_h:g}, the length of equal pieces: the others are to widen"
            yield (*FEED, "first_piece_h"), text
        if cycle is not None and first_h < cycle.period_s / 3600:
            text = f"must be at least a cycle, {cycle.period_s / 3600:g} h"
            yield (*FEED, "first_piece_h"), text
    if feed.harvest is not None and not feed.from_h < feed.harvest.earliest_h < harvest_h:
        text = f"must be before batch.harvest_h, {harvest_h:g}, which is the latest"
        if feed.harvest.earliest_h <= feed.from_h:
            text = f"must be after control.feed.from_h, {feed.from_h:g}"
        yield (*FEED, "harvest", "earliest_h"), text
    for name, item in feed.boluses.items():
        yield from _bolus_times((*FEED, "boluses", name), item, feed, harvest_h)
    yield from _grid_for_boluses(feed, feed.poured_until_h(harvest_h))


def _bolus_times(
    path: KeyPath, item: BolusSection, feed: FeedSection, harvest_h: float
) -> Iterator[Finding]:
    """Times before planning begins, too late for harvest, or before the last pouring is done."""
    from_h, over_h = feed.from_h, item.over_s / 3600
    until_h = feed.poured_until_h(harvest_h)
    name = "batch.harvest_h" if feed.harvest is None else "control.feed.harvest.earliest_h"
    late = f"must be done before {name}, {until_h:g}: it takes {over_h:g} h"
    for i, at_h in enumerate(item.at_h):
        if at_h < from_h:
            yield (*path, "at_h", i), f"must not be before control.feed.from_h, {from_h:g}"
        elif at_h + over_h > until_h:
            yield (*path, "at_h", i), late
        elif i > 0 and at_h - item.at_h[i - 1] < over_h:
            yield (*path, "at_h", i), f"comes before the last one is done: it takes {over_h:g} h"
    if item.every_h is not None and item.from_h is not None:
        if item.from_h < from_h:
            yield (*path, "from_h"), f"must not be before control.feed.from_h, {from_h:g}"
        elif item.from_h + over_h > until_h:
            yield (*path, "from_h"), late
        if item.every_h < over_h:
            yield (*path, "every_h"), f"must be at least over_s, {over_h:g} h"


def _grid_for_boluses(feed: FeedSection, harvest_h: float) -> Iterator[Finding]:
    """More times than the grid has nodes between now and harvest."""
    most = max((item.count(harvest_h) for item in feed.boluses.values()), default=0)
    if most < feed.pieces:
        times = {at_h for item in feed.boluses.values() for at_h in item.times_h(harvest_h)}
        most = len(times)
    if most >= feed.pieces:
        text = f"must be above the number of times at which something may be poured, {most}"
        yield (*FEED, "pieces"), f"{text}: each begins a piece"


def check_bolus_guard(
    feed: FeedSection, safety: SafetySection, cycle: CycleSection, model: PlantModel
) -> Iterator[Finding]:
    """Boluses that the pump could not deliver under the guard."""
    for name, item in feed.boluses.items():
        path: KeyPath = (*FEED, "boluses", name)
        guarded, known = safety.inputs.get(name), model.inputs.get(name)
        cycles = item.over_s / cycle.period_s
        if guarded is None:
            yield path, "has no limits in safety.inputs"
        elif cycles < 1 - ROUNDING or abs(cycles - round(cycles)) > ROUNDING:
            yield (*path, "over_s"), f"must be one or more whole cycles of {cycle.period_s:g} s"
        elif known is not None:
            most_L_per_h = min(guarded.upper, known.upper)
            # What flows besides takes its part of the pump.
            flow = feed.inputs.get(name)
            beside_L_per_h = 0.0 if flow is None else flow.upper
            path = (*path, "largest_L")
            yield from _fast_enough(path, item, guarded, most_L_per_h, beside_L_per_h, cycle)
            yield from _within_the_hour(path, item, guarded, beside_L_per_h, safety, cycle)


ROUNDING = 1e-9
"""What is the same up to the rounding of numbers."""


def _fast_enough(
    path: KeyPath,
    item: BolusSection,
    guarded: GuardedInputSection,
    most_L_per_h: float,
    beside_L_per_h: float,
    cycle: CycleSection,
) -> Iterator[Finding]:
    """A flow beyond the pump's, or one that the guard would not let it begin with."""
    fastest_L_per_h, why = most_L_per_h, "upper"
    if guarded.rise_per_h is not None:
        rise_L_per_h = guarded.rise_per_h * cycle.period_s / 3600
        if rise_L_per_h < most_L_per_h:
            fastest_L_per_h, why = rise_L_per_h, "rise_per_h in one cycle"
    rest_L_per_h = min(fastest_L_per_h, most_L_per_h - beside_L_per_h)
    most_L = max(rest_L_per_h, 0.0) * item.over_s / 3600
    if item.largest_L > most_L * (1 + ROUNDING):
        flow = f"{fastest_L_per_h:.4g} L/h, its {why} in safety.inputs"
        if rest_L_per_h < fastest_L_per_h:
            flow = (
                f"{rest_L_per_h:.4g} L/h, what the flow of up to {beside_L_per_h:.4g} L/h in "
                "control.feed.inputs leaves"
            )
        yield path, f"must not be above {most_L:.4g}: the pump gives no more in over_s at {flow}"


def _within_the_hour(
    path: KeyPath,
    item: BolusSection,
    guarded: GuardedInputSection,
    beside_L_per_h: float,
    safety: SafetySection,
    cycle: CycleSection,
) -> Iterator[Finding]:
    """More than the dose of an hour, as the guard counts: setpoints held as long as valid."""
    if guarded.max_hourly_dose_L is None:
        return
    over_h, beyond_h = item.over_s / 3600, (safety.validity_s - cycle.period_s) / 3600
    poured_L = item.largest_L / over_h * min(over_h + beyond_h, 1.0)
    hourly_L = poured_L + beside_L_per_h
    if hourly_L > guarded.max_hourly_dose_L * (1 + ROUNDING):
        text = f"counts as {hourly_L:.4g} L in an hour, setpoints being valid for"
        limit = f"max_hourly_dose_L in safety.inputs, {guarded.max_hourly_dose_L:g}"
        yield path, f"{text} {safety.validity_s:g} s, above {limit}"


def check_scenarios(
    feed: FeedSection,
    batch: BatchSection | None,
    estimation: EstimationSection | None,
    model: PlantModel | None,
) -> Iterator[Finding]:
    """More directions than there are, and more pieces in common than there are."""
    section = feed.scenarios
    if section is None:
        return
    path: KeyPath = (*FEED, "scenarios")
    if estimation is not None and model is not None:
        known = len(model.states) + len(estimation.adapted)
        if section.directions > known:
            text = f"must be at most {known}, the number of states and learnt parameters"
            yield (*path, "directions"), text
    if section.common_pieces is not None and section.common_pieces > feed.pieces:
        yield (*path, "common_pieces"), f"must be at most control.feed.pieces, {feed.pieces}"
    if section.common_h is not None and batch is not None and batch.harvest_h > feed.from_h:
        planned_h = batch.harvest_h - feed.from_h
        if section.common_h > planned_h:
            yield (*path, "common_h"), f"must be at most the hours to harvest, {planned_h:g}"
        elif (
            feed.method is Method.SHOOTING
            and common_pieces(section, first_grid(feed, batch.harvest_h)) > 1
        ):
            yield (*path, "common_h"), "must be within the first piece for the method shooting"
