"""The guard: whatever is wanted, what leaves the agent is inside the limits.

It knows nothing of the optimiser, and nothing the optimiser says can widen it. The rules act in
the order of `RULES`; each one that changes a setpoint names itself in a `Clip`:

1. finite: what is missing or not a number becomes zero for a feed (holding a feed that nobody asks
   for is not safe) and what the plant holds for anything else.
2. limits: the site's limits, narrowed by the plant's own ranges.
3. oxygen: feeds are multiplied with a factor while the culture is short of oxygen. Before the
   change limit, so that the cut takes effect at once and does not compound from cycle to cycle.
4. change: largest rise and fall in one cycle, counted from what the plant holds now, so that taking
   control over is free of bumps. A feed may always fall at once.
5. hourly dose, 6. total dose, 7. volume, 8. sparge: what may be held for the setpoints' validity
   without exceeding the limit, because it is held that long if the agent dies after the write.
   They only take away, so that they never undo an earlier rule, save that sparge may make a gas
   fall faster than rule 4 would.

Setpoints carry their expiry: `valid_until_s` is `validity_s` after the decision.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from typing import TypeAlias

from mpc_agent.safety.ledger import HOUR_S, Ledger, highest_flow
from mpc_agent.safety.oxygen import OxygenWatch, oxygen_short
from mpc_agent.safety.settings import SafetySettings
from mpc_agent.values import Clip, Origin, Setpoints

ROUNDING = 1e-6
"""Share of a value by which optimisers round, and plants that keep setpoints in single precision.
It is taken away like any excess, but is no intervention that people should hear of."""

EXHAUSTED = 0.99
"""Share of its upper limit from which a gas counts as having no reserve."""


@dataclass(frozen=True, slots=True)
class GuardContext:
    """What the guard knows about the plant.

    Attributes:
        settings: limits and graces.
        now_s: UTC seconds.
        held: setpoints that the control unit follows now, by input, in control of whomever.
        confirmed: setpoints last confirmed by read-back, used where `held` says nothing.
        plant_limits: the plant's own setpoint ranges by input, possibly incomplete.
        ledger: deliveries up to now.
        oxygen: the oxygen watch, up to now.
        volume_L: estimated volume, NaN when the estimate is not trusted; then the ledger counts.
        volume_deviation_L: its standard deviation.
        weighed_L: volume that the scale shows for certain, its noise taken off; NaN without one.
    """

    settings: SafetySettings
    now_s: float
    held: Mapping[str, float]
    confirmed: Mapping[str, float]
    plant_limits: Mapping[str, tuple[float, float]]
    ledger: Ledger
    oxygen: OxygenWatch
    volume_L: float
    volume_deviation_L: float
    weighed_L: float = nan


Values: TypeAlias = dict[str, float]
Limits: TypeAlias = Mapping[str, tuple[float, float]]


def guard(
    wanted: Mapping[str, float | None],
    origin: Mapping[str, Origin],
    context: GuardContext,
    reasons: Sequence[str] = (),
) -> Setpoints:
    """Setpoints for every written input, inside the limits for any `wanted`.

    Args:
        wanted: setpoints by input; may miss inputs and hold anything.
        origin: rung of the ladder by problem, passed on.
        context: what is known of the plant.
        reasons: why the ladder stands where it stands, passed on; inputs that have no limits, and
            therefore never leave, are added.
    """
    settings = context.settings
    limits = effective_limits(settings, context.plant_limits)
    values = {name: _number(wanted.get(name)) for name in settings.input_limits}
    clips: list[Clip] = []
    for rule, apply in RULES:
        allowed = apply(values, limits, context)
        clips += [
            Clip(name, rule, values[name], allowed[name])
            for name in values
            if _differs(values[name], allowed[name])
        ]
        values = allowed
    unknown = [name for name in wanted if name not in settings.input_limits]
    return Setpoints(
        decided_at_s=context.now_s,
        valid_until_s=context.now_s + settings.validity_s,
        values=values,
        origin=dict(origin),
        clips=tuple(clips),
        reasons=(*reasons, *(f"{name} has no limits and is not written." for name in unknown)),
    )


def effective_limits(
    settings: SafetySettings, plant_limits: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The site's limits narrowed by the plant's; the site's alone where they do not overlap.

    A feed may always stop: the plant's lower limit is ignored for feeds.
    """
    contradicting = contradicting_limits(settings, plant_limits)
    limits = {}
    for name, limit in settings.input_limits.items():
        lower, upper = limit.lower, limit.upper
        if name not in contradicting:
            plant_lower, plant_upper = _range(plant_limits.get(name))
            lower = lower if name in settings.feeds else max(lower, plant_lower)
            upper = min(upper, plant_upper)
        limits[name] = (lower, upper)
    return limits


def contradicting_limits(
    settings: SafetySettings, plant_limits: Mapping[str, tuple[float, float]]
) -> tuple[str, ...]:
    """Inputs for which no setpoint satisfies both the site and the plant.

    The plant's range lies outside the site's limits, or forces the gases above the sparge limit.
    """
    apart = []
    lowers = {}
    for name, limit in settings.input_limits.items():
        plant_lower, plant_upper = _range(plant_limits.get(name))
        lower = limit.lower if name in settings.feeds else max(limit.lower, plant_lower)
        lowers[name] = lower
        if lower > min(limit.upper, plant_upper):
            apart.append(name)
    gases = [name for name in settings.gases if name not in apart]
    floor = sum(settings.input_limits[name].lower for name in settings.gases if name in apart)
    if floor + sum(lowers[name] for name in gases) > settings.max_sparge_L_per_h:
        apart += gases
    return tuple(apart)


def _finite(values: Values, limits: Limits, context: GuardContext) -> Values:
    allowed = dict(values)
    for name, value in values.items():
        if not isfinite(value):
            is_feed = name in context.settings.feeds
            allowed[name] = 0.0 if is_feed else _reference(name, limits, context)
    return allowed


def _within_limits(values: Values, limits: Limits, context: GuardContext) -> Values:
    del context
    return {name: _clipped(value, *limits[name]) for name, value in values.items()}


def _oxygen(values: Values, limits: Limits, context: GuardContext) -> Values:
    settings = context.settings
    exhausted = supply_exhausted(limits, context)
    if not oxygen_short(context.oxygen, exhausted, context.now_s, settings):
        return values
    return _scaled(values, settings.feeds, settings.oxygen_feed_factor)


def supply_exhausted(limits: Limits, context: GuardContext) -> bool:
    """Whether the gases the plant holds leave no room for more oxygen."""
    settings = context.settings
    if settings.oxygen_gas is None:
        return True
    held = {name: _reference(name, limits, context) for name in settings.gases}
    at_limit = held[settings.oxygen_gas] >= EXHAUSTED * limits[settings.oxygen_gas][1]
    return at_limit or sum(held.values()) >= EXHAUSTED * settings.max_sparge_L_per_h


def _change(values: Values, limits: Limits, context: GuardContext) -> Values:
    settings = context.settings
    period_h = settings.period_s / HOUR_S
    allowed = {}
    for name, value in values.items():
        limit, held = settings.input_limits[name], _reference(name, limits, context)
        fall = inf if name in settings.feeds else limit.fall_per_h * period_h
        allowed[name] = _clipped(value, held - fall, held + limit.rise_per_h * period_h)
    return allowed


def _hourly_dose(values: Values, limits: Limits, context: GuardContext) -> Values:
    del limits
    settings, allowed = context.settings, dict(values)
    for name, dose in settings.max_hourly_dose_L.items():
        held_h = settings.validity_s / HOUR_S
        highest = highest_flow(context.ledger, name, dose, context.now_s, held_h)
        allowed[name] = min(allowed[name], highest)
    return allowed


def _total_dose(values: Values, limits: Limits, context: GuardContext) -> Values:
    del limits
    settings, allowed = context.settings, dict(values)
    for name, dose in settings.max_dose_L.items():
        left = max(dose - context.ledger.total_L(name), 0.0)
        allowed[name] = min(allowed[name], left * HOUR_S / settings.validity_s)
    return allowed


def _volume(values: Values, limits: Limits, context: GuardContext) -> Values:
    del limits
    settings = context.settings
    headroom_h = (settings.max_volume_L - largest_volume_L(context)) * HOUR_S / settings.validity_s
    others = sum(context.ledger.flow_L_per_h(name) for name in settings.other_liquids)
    room = max(headroom_h - others, 0.0)
    feeding = sum(values[name] for name in settings.feeds)
    if feeding <= room:
        return values
    return _scaled(values, settings.feeds, room / feeding)


def largest_volume_L(context: GuardContext) -> float:
    """Volume that is not exceeded: the estimate plus two standard deviations, or the balance.

    The balance counts what was delivered and booked, withdrawn samples included, but no evaporation
    or overflow, which nobody measures: it errs on the large side. Estimate and balance both believe
    a booking; the scale does not read them, and what it shows is there at least.
    """
    bound = context.volume_L + 2.0 * context.volume_deviation_L
    trusted = isfinite(bound) and context.volume_L > 0.0 and context.volume_deviation_L >= 0.0
    ledger = context.ledger
    balance = context.settings.initial_volume_L + ledger.delivered_L - ledger.withdrawn_L
    counted = bound if trusted else balance
    return max(counted, context.weighed_L) if isfinite(context.weighed_L) else counted


def _sparge(values: Values, limits: Limits, context: GuardContext) -> Values:
    settings = context.settings
    allowed = dict(values)
    for name in settings.gases:
        excess = sum(allowed[gas] for gas in settings.gases) - settings.max_sparge_L_per_h
        if excess > 0.0:
            allowed[name] = max(allowed[name] - excess, limits[name][0])
    return allowed


RULES: tuple[tuple[str, Callable[[Values, Limits, GuardContext], Values]], ...] = (
    ("finite", _finite),
    ("limits", _within_limits),
    ("oxygen", _oxygen),
    ("change", _change),
    ("hourly dose", _hourly_dose),
    ("total dose", _total_dose),
    ("volume", _volume),
    ("sparge", _sparge),
)
"""Rules in the order in which they act."""


def _reference(name: str, limits: Limits, context: GuardContext) -> float:
    """What the plant holds now, inside the limits; last confirmed or safe where it does not say."""
    candidates = (context.held.get(name), context.confirmed.get(name))
    for value in map(_number, candidates):
        if isfinite(value):
            return _clipped(value, *limits[name])
    return _clipped(context.settings.safe_inputs[name], *limits[name])


def _scaled(values: Values, names: Sequence[str], factor: float) -> Values:
    return {name: value * factor if name in names else value for name, value in values.items()}


def _range(limits: tuple[float, float] | None) -> tuple[float, float]:
    """A range that the plant reported; no range when it makes no sense."""
    if limits is None or any(map(isnan, limits)) or limits[0] > limits[1]:
        return -inf, inf
    return limits


def _number(value: float | None) -> float:
    """The value as a float, NaN when it is none."""
    try:
        return nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return nan


def _clipped(value: float, lower: float, upper: float) -> float:
    return min(max(value, lower), upper)


def _differs(before: float, after: float) -> bool:
    """Whether a rule changed a value by more than rounding."""
    return not abs(after - before) <= ROUNDING * max(abs(after), 1e-3)
