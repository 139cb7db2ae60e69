"""Section about what must hold whatever the optimiser says."""

from typing import Annotated

from pydantic import Field, model_validator

from mpc_agent.config.base import Items, NotNegative, Positive, Section


class GuardedInputSection(Section):
    """How far and how fast one setpoint may go, in the unit of the model's input."""

    lower: float
    """Smallest setpoint; 0 for a feed, which must always be allowed to stop."""
    upper: float
    """Largest setpoint."""
    rise_per_h: Positive | None = None
    """Largest increase per hour; null: not limited."""
    fall_per_h: Positive | None = None
    """Largest decrease per hour; null: not limited. A feed may always be taken away at once."""
    safe: float
    """Setpoint of last resort."""
    max_dose_L: NotNegative | None = None
    """Largest volume over the batch (feeds only); null: not limited."""
    max_hourly_dose_L: NotNegative | None = None
    """Largest volume in any hour (feeds only); null: not limited."""

    @model_validator(mode="after")
    def _possible(self) -> "GuardedInputSection":
        if self.lower > self.upper:
            raise ValueError(f"lower, {self.lower:g}, must not be above upper, {self.upper:g}")
        if not self.lower <= self.safe <= self.upper:
            raise ValueError(f"safe, {self.safe:g}, must be within {self.lower:g}..{self.upper:g}")
        return self


class FallbackSection(Section):
    """How long the plans of one problem may be acted upon."""

    fresh_s: Positive
    """A plan up to this age counts as fresh."""
    hold_s: Positive
    """A plan up to this age is still followed when no newer one is usable; then comes the
    recipe."""

    @model_validator(mode="after")
    def _ordered(self) -> "FallbackSection":
        if self.fresh_s > self.hold_s:
            raise ValueError(f"hold_s, {self.hold_s:g}, must be at least fresh_s, {self.fresh_s:g}")
        return self


class FallbacksSection(Section):
    """How long plans may be acted upon, by problem."""

    feed: FallbackSection
    """Plans of the feed problem."""
    gas: FallbackSection | None = None
    """Plans of the gas problem, where there is one."""


class OxygenSection(Section):
    """What happens when the culture is short of oxygen."""

    floor_percent: Annotated[float, Field(ge=0, le=100)]
    """Below this dissolved oxygen the culture is short of it."""
    grace_s: NotNegative = 900.0
    """How long it may be short before the feeds are cut."""
    feed_factor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """What the feeds are multiplied with while it is short."""
    gas: str | None = None
    """Gas whose upper limit means that the supply of oxygen is exhausted; null when the agent
    does not set it."""


class GracesSection(Section):
    """How long something may be wrong before the agent gives control up."""

    critical_signal_s: NotNegative = 3600.0
    """A critical signal is lost."""
    estimate_s: NotNegative = 7200.0
    """The estimate is unhealthy."""
    safe_s: NotNegative = 3600.0
    """Only the setpoints of last resort are left."""
    refused_s: NotNegative = 1800.0
    """The plant refuses setpoints."""
    late_s: NotNegative = 3600.0
    """Decisions come too late."""
    unobservable_s: NotNegative = 7200.0
    """Something in `estimation.needed` is known less well than control needs."""


class BalanceSection(Section):
    """When the agent calls people because weight, ledger and pumps disagree.

    Kept where a signal shows the output `weight` and the density of the broth is known. What may
    differ by default follows from what the site says of its scale: an alarm that comes without
    cause is soon one that nobody hears.
    """

    absolute_kg: Positive | None = None
    """Difference of weight and ledger that is the scale's; null: five times the signal's noise, and
    0.5 % of the broth at inoculation at least, which is as well as a vessel is filled."""
    relative: NotNegative = 0.05
    """Difference that is the pumps', as a fraction of the mass delivered. The larger of the two
    counts."""
    density_kg_per_L: Positive | None = None
    """Density of the broth and of all that is fed; null: the model's parameter `density`, and no
    balance where the model has none, because then weight and volume cannot be compared."""
    pump_drift: Positive | None = 0.05
    """A pump whose learnt gain (parameter NAME_gain, where estimation.adapted has it) is further
    from 1 than this, and by more than three standard deviations, raises an alarm; null: none."""


class SafetySection(Section):
    """What the guard enforces, whatever the optimiser says."""

    inputs: Annotated[dict[str, GuardedInputSection], Field(min_length=1)]
    """Every setpoint that the agent writes, by name of the model's input."""
    max_volume_L: Positive
    """Working volume that is never exceeded."""
    max_sparge_L_per_h: Positive | None = None
    """Largest sum of the written gases; needed when any is written."""
    sparge_gives_way: Items[str] = ()
    """The written gases, in the order in which they give way when their sum is too large."""
    validity_s: Positive
    """How long written setpoints stay valid: the plant falls back when no newer ones come. Longer
    than a cycle."""
    fallbacks: FallbacksSection
    """How long plans may be acted upon."""
    oxygen: OxygenSection
    """Shortage of oxygen."""
    critical_signals: Items[str] = ()
    """Online signals without which the agent gives control up."""
    graces: GracesSection = GracesSection()
    """How long something may be wrong."""
    balance: BalanceSection | None = BalanceSection()
    """Weight against ledger, and drifting pumps; null: no alarms of either."""
