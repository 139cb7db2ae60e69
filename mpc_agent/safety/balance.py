"""What the scale says against what the ledger accounts for, and pumps that deliver otherwise.

The expected mass is the broth at inoculation, plus what the pumps showed and people gave, less what
was withdrawn and lost, times the density. The weight read is a second, independent witness: where
the two part, a pump delivers other than it shows, a dose or sample was not booked, something leaks,
or the scale is wrong. Which of them it is the weight alone cannot tell; a drifting pump the filter
can, where the site lets it learn the pump's gain.

Pure functions; the state of the balance is part of the agent's memory.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import median

from mpc_agent.safety.ledger import Ledger
from mpc_agent.safety.settings import BalanceSettings
from mpc_agent.values import Estimate, Event, Severity

WEIGHINGS = 7
"""Weights that the residual is the median of: an hour of ten-minute cycles. A median, because one
spike of the scale must not raise an alarm; seven, because four sound ones then suffice."""

FEWEST_WEIGHINGS = 4
"""Fewer weights than this give no residual."""

SPACING_S = 300.0
"""Weights closer together than this are passed over, so that an hour of short cycles is not all
that is looked at."""

RELIEF = 0.8
"""An alarm is over below this share of its limit, so that it does not flutter."""

SIGNIFICANT = 3.0
"""A pump's deviation is told when it exceeds so many of its standard deviations."""

MASS_BALANCE, PUMP_DRIFT = "MASS_BALANCE", "PUMP_DRIFT"


@dataclass(frozen=True, slots=True)
class Weighing:
    """One accepted weight.

    Attributes:
        time_s: when it was read.
        surplus_kg: weight less what initial volume, pumps and losses account for. Booked doses are
            not in it: a booking may come later than the weight that already shows it.
    """

    time_s: float
    surplus_kg: float


@dataclass(frozen=True, slots=True)
class MassBalance:
    """The balance after a cycle; part of the memory, and shown to people.

    Attributes:
        late: the agent came to the batch late: what went in before is not known, and the balance
            is kept from the first weights on.
        origin: those first weights, empty unless `late`.
        recent: the last weights, oldest first.
        expected_kg: mass that the ledger accounts for now, None before it can be told.
        measured_kg: last accepted weight.
        residual_kg: measured less expected, median of `recent`.
        limit_kg: how large the residual may be now.
        exceeded: the residual is over its limit and has not come well below it since.
    """

    late: bool = False
    origin: tuple[Weighing, ...] = ()
    recent: tuple[Weighing, ...] = ()
    expected_kg: float | None = None
    measured_kg: float | None = None
    residual_kg: float | None = None
    limit_kg: float | None = None
    exceeded: bool = False


def weigh(
    balance: MassBalance,
    ledger: Ledger,
    weight_kg: float,
    now_s: float,
    settings: BalanceSettings,
    initial_volume_L: float,
) -> MassBalance:
    """The balance with this cycle's weight.

    Args:
        balance: as the last cycle left it.
        ledger: carried on to now, bookings included.
        weight_kg: accepted weight, NaN when there is none: the residual then stays what it was,
            save for bookings.
        now_s: UTC seconds.
        settings: density and limits.
        initial_volume_L: volume at inoculation.
    """
    density = settings.density_kg_per_L
    unbooked_L = initial_volume_L + ledger.pumped_L - ledger.lost_L
    if isfinite(weight_kg):
        weighing = Weighing(now_s, weight_kg - density * unbooked_L)
        balance = _noted(replace(balance, measured_kg=weight_kg), weighing)
    limit_kg = max(settings.absolute_kg, settings.relative * density * ledger.delivered_L)
    offset_kg = _settled(balance.origin, ledger, density) if balance.late else 0.0
    if offset_kg is None:
        return replace(balance, limit_kg=limit_kg)
    surplus_kg = _settled(balance.recent, ledger, density)
    residual_kg = None if surplus_kg is None else surplus_kg - offset_kg
    bearable_kg = limit_kg * RELIEF if balance.exceeded else limit_kg
    return replace(
        balance,
        expected_kg=offset_kg + density * (unbooked_L + ledger.booked_L(now_s)),
        residual_kg=residual_kg,
        limit_kg=limit_kg,
        exceeded=residual_kg is not None and abs(residual_kg) > bearable_kg,
    )


def _noted(balance: MassBalance, weighing: Weighing) -> MassBalance:
    """The balance with one more weight, unless it comes too soon after the last one."""
    recent, origin = balance.recent, balance.origin
    if recent and weighing.time_s - recent[-1].time_s < SPACING_S:
        return balance
    if balance.late and len(origin) < WEIGHINGS:
        origin = (*origin, weighing)
    return replace(balance, origin=origin, recent=(*recent, weighing)[-WEIGHINGS:])


def _settled(weighings: Sequence[Weighing], ledger: Ledger, density: float) -> float | None:
    """Median surplus once doses are counted where they belong; None with too few weights."""
    if len(weighings) < FEWEST_WEIGHINGS:
        return None
    return median(item.surplus_kg - density * ledger.booked_L(item.time_s) for item in weighings)


def imbalance(balance: MassBalance) -> Mapping[str, Event]:
    """The alarm of a balance that does not close, by its key; empty when it does."""
    residual_kg, limit_kg = balance.residual_kg, balance.limit_kg
    if not balance.exceeded or residual_kg is None or limit_kg is None:
        return {}
    text = (
        f"The broth weighs {abs(residual_kg):.3g} kg {'more' if residual_kg > 0 else 'less'} than "
        f"the ledger accounts for ({limit_kg:.3g} kg are allowed): check the pumps, the scale and "
        "the vessel for leaks, and book doses and samples that are missing."
    )
    return {MASS_BALANCE: Event(MASS_BALANCE, Severity.ALARM, text)}


def drifting_pumps(
    estimate: Estimate,
    gains: Mapping[str, int],
    limit: float | None,
    told: Collection[str],
) -> Mapping[str, Event]:
    """Alarms of pumps whose learnt gain is off, by a key that stays while it is.

    One is raised when the gain is away from one by more than `limit` and by more than three of its
    standard deviations, and lasts until it comes well below the limit. An estimate that is not
    trusted raises none and ends none.

    Args:
        estimate: with the learnt gains in its mean: delivered over shown flow.
        gains: place of the gain in `estimate.mean`, by pump.
        limit: largest deviation of a gain from one; None for no alarm.
        told: keys of what was told and still lasted in the last cycle.
    """
    found: dict[str, Event] = {}
    if limit is None:
        return found
    for pump, place in gains.items():
        off, deviation = float(estimate.mean[place]) - 1.0, float(estimate.deviation[place])
        key = f"{PUMP_DRIFT} {pump}"
        lasts = key in told and (not estimate.healthy or abs(off) > RELIEF * limit)
        begins = estimate.healthy and abs(off) > max(limit, SIGNIFICANT * deviation)
        if lasts or begins:
            how = f"{100 * abs(off):.1f} +/- {100 * deviation:.1f} %"
            text = f"{pump} delivers {how} {'more' if off > 0 else 'less'} than it shows: "
            found[key] = Event(PUMP_DRIFT, Severity.ALARM, f"{text}check the pump.")
    return found


def reliefs(told: Collection[str], lasting: Collection[str]) -> Iterator[Event]:
    """What is over: alarms of this module that were told and no longer last."""
    for key in told:
        code, _, pump = key.partition(" ")
        if key in lasting or code not in (MASS_BALANCE, PUMP_DRIFT):
            continue
        text = "The weight is what the ledger accounts for again."
        if code == PUMP_DRIFT:
            text = f"{pump} delivers what it shows again."
        yield Event(f"{code}_CLEARED", Severity.EVENT, text)
