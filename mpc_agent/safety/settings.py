"""What the safety rooms must know about a site: limits, graces, fallbacks. Plain frozen data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite


@dataclass(frozen=True, slots=True)
class InputLimit:
    """How far and how fast one setpoint may go, in the unit of the model's input.

    Attributes:
        lower: smallest setpoint; zero for a feed, which must always be allowed to stop.
        upper: largest setpoint.
        rise_per_h: largest increase per hour.
        fall_per_h: largest decrease per hour. A feed's decrease is never limited, whatever this
            says: taking feed away at once is safe, holding it is not.
    """

    lower: float
    upper: float
    rise_per_h: float = inf
    fall_per_h: float = inf

    def faults(self, name: str) -> Iterator[str]:
        """What is wrong with these numbers, in words."""
        if not (isfinite(self.lower) and isfinite(self.upper) and self.lower <= self.upper):
            yield f"{name}: limits {self.lower} to {self.upper} must be finite and ordered"
        if not (self.rise_per_h > 0.0 and self.fall_per_h > 0.0):
            yield f"{name}: rise_per_h and fall_per_h must be positive"


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    """How long the plans of one problem may be acted upon.

    Attributes:
        inputs: the inputs the problem decides.
        fresh_s: a plan up to this age counts as fresh; covers problems not solved every cycle.
        hold_s: a plan up to this age is still followed when no newer one is usable.
    """

    inputs: tuple[str, ...]
    fresh_s: float
    hold_s: float

    def faults(self, name: str) -> Iterator[str]:
        """What is wrong with these numbers, in words."""
        if not 0.0 <= self.fresh_s <= self.hold_s < inf:
            yield f"{name}: fresh_s {self.fresh_s} must be between 0 and hold_s {self.hold_s}"


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """When ledger and weight count as disagreeing.

    Attributes:
        signal: online signal that shows the broth's weight in kg.
        density_kg_per_L: of the broth and of all that is fed.
        absolute_kg: a residual up to this is the scale's.
        relative: a residual up to this fraction of the mass delivered is the pumps'.
    """

    signal: str
    density_kg_per_L: float
    absolute_kg: float
    relative: float

    def faults(self) -> Iterator[str]:
        """What is wrong with these numbers, in words."""
        for name in ("density_kg_per_L", "absolute_kg"):
            if not 0.0 < getattr(self, name) < inf:
                yield f"balance: {name} must be positive and finite"
        if not 0.0 <= self.relative < inf:
            yield "balance: relative must not be negative, and finite"


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """Limits and graces of guard, ladder and mode machine.

    Attributes:
        input_limits: limits of every setpoint that the agent writes, by name of the model's input.
        feeds: written inputs that add volume; their doses are counted.
        gases: written inputs that are sparged, in the order in which they give way when their sum
            is too large.
        other_liquids: inputs that add volume but are not written, such as base.
        safe_inputs: setpoints of last resort for every written input.
        fallbacks: by name of the problem.
        period_s: length of a cycle; changes per cycle follow from it.
        validity_s: how long written setpoints stay valid. Doses and volume are judged as if they
            were held that long, because they are if the agent dies after the write.
        initial_volume_L: volume at inoculation, for the balance when the estimate is not trusted.
        max_volume_L: working volume that must never be exceeded.
        max_sparge_L_per_h: largest sum of the written gases.
        max_dose_L: largest volume of each feed over the batch; feeds left out have no limit.
        max_hourly_dose_L: largest volume of each feed in any hour; feeds left out have no limit.
        dissolved_oxygen_floor_percent: below it the culture is short of oxygen.
        dissolved_oxygen_grace_s: how long it may be short before the feeds are cut.
        oxygen_feed_factor: what the feeds are multiplied with while it is short, 0 to 1.
        oxygen_gas: the gas whose upper limit means that oxygen supply is exhausted, or None when
            the agent does not set it.
        critical_signals: online signals without which the agent gives control up.
        critical_grace_s: how long a critical signal may be lost.
        estimate_grace_s: how long the estimate may be unhealthy.
        safe_grace_s: how long the ladder may stand at SAFE.
        refused_grace_s: how long the plant may refuse setpoints.
        late_grace_s: how long decisions may come too late.
        unobservable_grace_s: how long something may be known less well than control needs.
        balance: how ledger and weight are compared, or None where they are not.
        max_pump_drift: largest deviation from one of a pump's learnt gain, or None.
    """

    input_limits: Mapping[str, InputLimit]
    feeds: tuple[str, ...]
    gases: tuple[str, ...]
    safe_inputs: Mapping[str, float]
    fallbacks: Mapping[str, FallbackSettings]
    period_s: float
    validity_s: float
    initial_volume_L: float
    max_volume_L: float
    max_sparge_L_per_h: float
    dissolved_oxygen_floor_percent: float
    dissolved_oxygen_grace_s: float
    oxygen_feed_factor: float
    oxygen_gas: str | None
    critical_signals: tuple[str, ...]
    critical_grace_s: float
    estimate_grace_s: float
    safe_grace_s: float
    refused_grace_s: float
    late_grace_s: float
    other_liquids: tuple[str, ...] = ()
    max_dose_L: Mapping[str, float] = field(default_factory=dict)
    max_hourly_dose_L: Mapping[str, float] = field(default_factory=dict)
    unobservable_grace_s: float = 7200.0
    balance: BalanceSettings | None = None
    max_pump_drift: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings under which the guard could not keep its promises.

        Raises:
            ValueError: every fault, one per line.
        """
        faults = [*self._name_faults(), *self._limit_faults(), *self._number_faults()]
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def liquids(self) -> tuple[str, ...]:
        """Inputs that add volume."""
        return (*self.feeds, *self.other_liquids)

    def _name_faults(self) -> Iterator[str]:
        written = self.input_limits
        for name in (*self.feeds, *self.gases):
            if name not in written:
                yield f"{name}: no limits"
        for name in written:
            if name not in self.safe_inputs:
                yield f"{name}: no safe value"
        for problem, fallback in self.fallbacks.items():
            yield from fallback.faults(problem)
            unknown = [name for name in fallback.inputs if name not in written]
            yield from (f"{problem}: {name} has no limits" for name in unknown)
        if self.oxygen_gas is not None and self.oxygen_gas not in self.gases:
            yield f"oxygen_gas: {self.oxygen_gas} is not one of the gases"
        for name in {*self.max_dose_L, *self.max_hourly_dose_L} - set(self.feeds):
            yield f"{name}: has a dose limit but is not a feed"

    def _limit_faults(self) -> Iterator[str]:
        for name, limit in self.input_limits.items():
            yield from limit.faults(name)
            safe = self.safe_inputs.get(name, limit.lower)
            if not limit.lower <= safe <= limit.upper:
                yield f"{name}: safe value {safe} is outside {limit.lower} to {limit.upper}"
            if name in self.feeds and limit.lower != 0.0:
                yield f"{name}: the lower limit of a feed must be 0, it must be able to stop"
        for what, values in (
            ("lower limits", {name: item.lower for name, item in self.input_limits.items()}),
            ("safe values", self.safe_inputs),
        ):
            total = sum(values.get(name, 0.0) for name in self.gases)
            if total > self.max_sparge_L_per_h:
                yield f"max_sparge_L_per_h: below the gases' {what} together, {total:g}"

    def _number_faults(self) -> Iterator[str]:
        for name in (
            "dissolved_oxygen_grace_s",
            "critical_grace_s",
            "estimate_grace_s",
            "safe_grace_s",
            "refused_grace_s",
            "late_grace_s",
            "unobservable_grace_s",
        ):
            if not getattr(self, name) >= 0.0:
                yield f"{name}: must not be negative"
        if not 0.0 < self.period_s < self.validity_s < inf:
            yield f"validity_s: must be longer than a cycle of {self.period_s} s, and finite"
        if not 0.0 < self.initial_volume_L < self.max_volume_L < inf:
            yield "max_volume_L: must be above the initial volume, and finite"
        if not 0.0 <= self.oxygen_feed_factor <= 1.0:
            yield "oxygen_feed_factor: must be between 0 and 1"
        if self.balance is not None:
            yield from self.balance.faults()
        if self.max_pump_drift is not None and not 0.0 < self.max_pump_drift < inf:
            yield "max_pump_drift: must be positive and finite"
        doses = [*self.max_dose_L.items(), *self.max_hourly_dose_L.items()]
        yield from (
            f"{name}: dose limit must not be negative" for name, dose in doses if not dose >= 0.0
        )
