"""From the control section to the two problems, with their timing and setpoints."""

from math import inf

import numpy as np

from controllers.arrays import Floats
from controllers.grid import widening
from controllers.problem import (
    Bolus,
    DecidedInput,
    Limit,
    Maximise,
    Problem,
    Rewarded,
    Scenarios,
    Total,
    Tracked,
)
from controllers.settings import (
    ControlSettings,
    FeedSettings,
    GasSettings,
    Schedule,
    Uncertainty,
)
from mpc_agent.config.document import Document
from mpc_agent.config.schema_control import (
    FeedSection,
    GasSection,
    MaximiseSection,
    ScenariosSection,
    TrackedSection,
)
from mpc_agent.config.schema_problem import ProblemSection
from mpc_agent.config.schema_safety import SafetySection
from plant_models.model import PlantModel

SPARGE = "sparge"
"""The total that both problems keep because the guard does."""


def control_settings(document: Document, model: PlantModel) -> ControlSettings:
    """The optimal control problems."""
    gas = document.control.gas
    return ControlSettings(
        feed=_feed_settings(document, model),
        gas=None if gas is None else _gas_settings(gas, document.safety, model),
    )


def _feed_settings(document: Document, model: PlantModel) -> FeedSettings:
    """The economic problem."""
    feed, safety = document.control.feed, document.safety
    harvest_h, scenarios = document.batch.harvest_h, feed.scenarios
    problem = Problem(
        name="feed",
        model=model,
        inputs=(*_decided(feed, safety, model), *_left_to_others(feed)),
        pieces=feed.pieces,
        degree=feed.degree,
        elements=feed.elements,
        method=feed.method,
        maximise=_maximise(feed.maximise),
        rewarded=_rewarded(feed),
        limits=_limits(feed),
        totals=_totals(feed, safety),
        boluses=tuple(
            Bolus(name, item.smallest_L, item.largest_L, item.price, item.over_s / 3600)
            for name, item in feed.boluses.items()
        ),
        free_harvest=feed.harvest is not None,
        scenarios=_scenarios(feed, harvest_h),
        held_states=feed.held_states,
        guess_held=feed.guess_held_states,
        leaner_guesses=feed.leaner_guesses,
        check_steps=feed.check_steps,
        defect_max=feed.defect_max,
    )
    return FeedSettings(
        problem=problem,
        interval_s=feed.interval_s,
        after_samples=feed.after_samples,
        from_h=feed.from_h,
        foreseen={
            name: value for name, value in feed.foreseen.items() if not isinstance(value, tuple)
        },
        held_levels=feed.held_levels,
        first_piece_h=feed.first_piece_h,
        afresh_h=feed.afresh_h,
        uncertainty=(
            None if scenarios is None else Uncertainty(scenarios.directions, scenarios.deviations)
        ),
        bolus_times={
            name: np.array(item.times_h(feed.poured_until_h(harvest_h)), dtype=np.float64)
            for name, item in feed.boluses.items()
        },
        earliest_harvest_h=None if feed.harvest is None else feed.harvest.earliest_h,
    )


def _gas_settings(gas: GasSection, safety: SafetySection, model: PlantModel) -> GasSettings:
    """The tracking problem."""
    problem = Problem(
        name="gas",
        model=model,
        inputs=_decided(gas, safety, model),
        pieces=gas.pieces,
        degree=gas.degree,
        elements=gas.elements,
        method=gas.method,
        rewarded=_rewarded(gas),
        tracked=tuple(
            Tracked(output=name, weight=item.weight, scale=item.scale)
            for name, item in gas.tracked.items()
        ),
        limits=_limits(gas),
        totals=_totals(gas, safety),
        held_states=gas.held_states,
        guess_held=gas.guess_held_states,
        leaner_guesses=gas.leaner_guesses,
        check_steps=gas.check_steps,
        defect_max=gas.defect_max,
    )
    setpoints = {name: _schedule(item) for name, item in gas.tracked.items()}
    return GasSettings(problem, gas.piece_s, setpoints)


def _decided(
    part: ProblemSection, safety: SafetySection, model: PlantModel
) -> tuple[DecidedInput, ...]:
    """The inputs, no faster than the guard lets them be: a plan it would clip is no plan.

    The guard lets a feed fall at once, whatever it says of other falls.
    """
    found = []
    for name, item in part.inputs.items():
        guarded = safety.inputs[name]
        guarded_fall = None if name in model.volume_flows else guarded.fall_per_h
        found.append(
            DecidedInput(
                name=name,
                lower=item.lower,
                upper=item.upper,
                move_weight=item.move_weight,
                effort_weight=item.effort_weight,
                price=item.price,
                max_move=item.max_move,
                rise_per_h=_slower(item.rise_per_h, guarded.rise_per_h),
                fall_per_h=_slower(item.fall_per_h, guarded_fall),
            )
        )
    return tuple(found)


def _left_to_others(feed: FeedSection) -> tuple[DecidedInput, ...]:
    """Inputs that the control unit sets as the limits need: planned with, never written."""
    return tuple(
        DecidedInput(
            name=name,
            lower=lower,
            upper=upper,
            move_weight=NEXT_TO_NOTHING,
            effort_weight=NEXT_TO_NOTHING,
            written=False,
        )
        for name, (lower, upper) in feed.as_needed.items()
    )


NEXT_TO_NOTHING = 1e-5
"""Weight that decides between plans which are the same otherwise."""


def _slower(*rates: float | None) -> float | None:
    return min((rate for rate in rates if rate is not None), default=None)


def _limits(part: ProblemSection) -> tuple[Limit, ...]:
    return tuple(
        Limit(
            output=item.output,
            lower=item.lower,
            upper=item.upper,
            scale=item.scale,
            weight=item.weight,
            margin=item.margin_deviations,
            margin_max=inf if item.margin_max is None else item.margin_max,
            gives_way=item.gives_way,
        )
        for item in part.limits
    )


def _totals(part: ProblemSection, safety: SafetySection) -> tuple[Total, ...]:
    """Those given, and that of the sparged gases where the problem plans any of them."""
    totals = [Total(item.name, item.inputs, item.upper) for item in part.totals]
    largest, gases = safety.max_sparge_L_per_h, safety.sparge_gives_way
    if largest is not None and set(gases) & set(part.planned):
        totals.append(Total(SPARGE, gases, largest))
    return tuple(totals)


def _maximise(section: MaximiseSection | None) -> Maximise | None:
    if section is None:
        return None
    return Maximise(section.output, section.scale, section.per, section.extra)


def _rewarded(part: ProblemSection) -> tuple[Rewarded, ...]:
    return tuple(Rewarded(item.output, item.weight, item.scale) for item in part.rewarded)


def _scenarios(feed: FeedSection, harvest_h: float) -> Scenarios:
    section = feed.scenarios
    if section is None:
        return Scenarios()
    grid_h = first_grid(feed, harvest_h)
    return Scenarios(
        count=2 * section.directions + 1,
        common_pieces=common_pieces(section, grid_h),
        worst_case=section.objective == "worst",
    )


def first_grid(feed: FeedSection, harvest_h: float) -> Floats:
    """Lengths of the pieces of the first plan, shape (pieces,)."""
    return widening(harvest_h - feed.from_h, feed.pieces, feed.first_piece_h)


def common_pieces(section: ScenariosSection, steps_h: Floats) -> int:
    """Pieces in which all scenarios have the same inputs, on a grid with these lengths."""
    if section.common_h is None:
        return section.common_pieces or 1
    starts_h = np.cumsum(steps_h) - steps_h
    return int(np.count_nonzero(starts_h < section.common_h * (1 - 1e-9)))


def _schedule(item: TrackedSection) -> Schedule:
    hours, values = zip(*item.setpoint, strict=True)
    return Schedule(np.array(hours, dtype=np.float64), np.array(values, dtype=np.float64))
