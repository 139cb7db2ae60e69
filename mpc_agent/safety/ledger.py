"""How much of each liquid went into the vessel, and out of it: over the batch and the last hour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from mpc_agent.values import WITHDRAWN, Dose

HOUR_S = 3600.0
ENTRY_S = 60.0
"""Entries of the last hour shorter than this are joined, so that their number is bounded."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was delivered between two times, taken as evenly spread.

    Attributes:
        start_s: UTC seconds.
        end_s: UTC seconds, after `start_s`.
        volumes_L: volume by input.
    """

    start_s: float
    end_s: float
    volumes_L: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bookings:
    """Doses that are counted, each as last told, in the order in which they were first seen."""

    doses: tuple[Dose, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Volumes in and out of the vessel: what the pumps show, what was booked, what is lost.

    Attributes:
        updated_at_s: up to when it is kept, or None before the first entry.
        flows_L_per_h: flow last known of each input.
        totals_L: volume that the pumps showed since inoculation.
        recent: deliveries of the pumps that reach into the last hour, oldest first.
        bookings: doses given and broth withdrawn since inoculation.
        loss_L_per_h: rate of losses (evaporation, overflow) last known.
        lost_L: volume lost since inoculation.
    """

    updated_at_s: float | None = None
    flows_L_per_h: Mapping[str, float] = field(default_factory=dict)
    totals_L: Mapping[str, float] = field(default_factory=dict)
    recent: tuple[Delivery, ...] = ()
    bookings: Bookings = field(default_factory=Bookings)
    loss_L_per_h: float = 0.0
    lost_L: float = 0.0

    @property
    def pumped_L(self) -> float:
        """Volume of all pumps together since inoculation, as they show it."""
        return sum(self.totals_L.values())

    @property
    def delivered_L(self) -> float:
        """Volume of all liquids together since inoculation, by pumps and by hand."""
        given = (dose.volume_L for dose in self.bookings.doses if dose.what != WITHDRAWN)
        return self.pumped_L + sum(given)

    @property
    def withdrawn_L(self) -> float:
        """Volume of broth taken out since inoculation."""
        return sum(dose.volume_L for dose in self.bookings.doses if dose.what == WITHDRAWN)

    def booked_L(self, until_s: float = inf) -> float:
        """Volume given less withdrawn by hand until a time, that time included."""
        return sum(
            -dose.volume_L if dose.what == WITHDRAWN else dose.volume_L
            for dose in self.bookings.doses
            if dose.given_at_s <= until_s
        )

    def total_L(self, name: str) -> float:
        """Volume of one input since inoculation, by its pump and by hand."""
        given = (dose.volume_L for dose in self.bookings.doses if dose.what == name)
        return self.totals_L.get(name, 0.0) + sum(given)

    def flow_L_per_h(self, name: str) -> float:
        """Flow last known of one input, zero when it was never known."""
        return self.flows_L_per_h.get(name, 0.0)

    def delivered_since_L(self, name: str, time_s: float) -> float:
        """Volume of one input since a time within the last hour, doses at that time included."""
        volume = sum(
            dose.volume_L
            for dose in self.bookings.doses
            if dose.what == name and dose.given_at_s >= time_s - _ROUNDING_S
        )
        for item in self.recent:
            share = (item.end_s - max(item.start_s, time_s)) / (item.end_s - item.start_s)
            volume += max(share, 0.0) * item.volumes_L.get(name, 0.0)
        return volume


def record_delivery(
    ledger: Ledger,
    liquids: Sequence[str],
    flows_L_per_h: Mapping[str, float],
    commanded_L_per_h: Mapping[str, float],
    time_s: float,
) -> Ledger:
    """The ledger carried on to a time, losses included.

    The flow read at the end of a cycle stands for the whole cycle, because setpoints change at its
    start. A time before the last entry adds nothing.

    Args:
        ledger: the ledger so far.
        liquids: the inputs to count.
        flows_L_per_h: flows that the plant reports, by input; where one is missing, negative or not
            finite, the commanded flow counts, else the flow last known.
        commanded_L_per_h: setpoints that the plant holds, or confirmed last.
        time_s: UTC seconds.
    """
    flows = {
        name: _first_flow(
            flows_L_per_h.get(name), commanded_L_per_h.get(name), ledger.flow_L_per_h(name)
        )
        for name in liquids
    }
    start_s = time_s if ledger.updated_at_s is None else ledger.updated_at_s
    elapsed_h = max(time_s - start_s, 0.0) / HOUR_S
    volumes = {name: flow * elapsed_h for name, flow in flows.items()}
    totals = {name: ledger.totals_L.get(name, 0.0) + volume for name, volume in volumes.items()}
    recent = ledger.recent
    if time_s > start_s:
        recent = _joined(recent, Delivery(start_s, time_s, volumes))
    return replace(
        ledger,
        updated_at_s=time_s,
        flows_L_per_h=flows,
        totals_L={**ledger.totals_L, **totals},
        recent=tuple(item for item in recent if item.end_s > time_s - HOUR_S),
        lost_L=ledger.lost_L + ledger.loss_L_per_h * elapsed_h,
    )


def record_doses(ledger: Ledger, doses: Iterable[Dose], inoculated_at_s: float) -> Ledger:
    """The ledger with bookings that it does not have yet.

    A plant shows the same booking in many scans, so that one is known by what was given and when;
    another volume is a correction, zero takes back what was booked and says nothing otherwise.
    What was given before inoculation is in the volume at inoculation already.
    """
    known = {(dose.what, dose.given_at_s): dose for dose in ledger.bookings.doses}
    told = {
        (dose.what, dose.given_at_s): dose
        for dose in doses
        if dose.given_at_s >= inoculated_at_s
        and (dose.volume_L > 0.0 or (dose.what, dose.given_at_s) in known)
    }
    # The same object while nothing is new: the record stores it once.
    if all(known.get(key) == dose for key, dose in told.items()):
        return ledger
    return replace(ledger, bookings=Bookings(tuple({**known, **told}.values())))


def losing(ledger: Ledger, loss_L_per_h: float) -> Ledger:
    """The ledger with the rate of losses from now on; unchanged when it is not known."""
    if not (isfinite(loss_L_per_h) and loss_L_per_h >= 0.0):
        return ledger
    return replace(ledger, loss_L_per_h=loss_L_per_h)


def highest_flow(
    ledger: Ledger, name: str, max_hourly_L: float, now_s: float, held_h: float
) -> float:
    """Largest flow in L/h that, held for `held_h` hours, keeps every hour within its dose.

    The dose of the hour that ends `ahead` hours from now is what the ledger delivered in its past
    part plus `flow * ahead`: piecewise linear in `ahead`, so that only its corners need a look. A
    dose by hand leaves the hour at once; at its corner it still counts.

    Args:
        ledger: deliveries up to now.
        name: input.
        max_hourly_L: largest volume in any hour.
        now_s: UTC seconds.
        held_h: how long the flow would be held.
    """
    if ledger.delivered_since_L(name, now_s - HOUR_S) > max_hourly_L:
        return 0.0
    last = min(held_h, 1.0)
    edges = [edge for item in ledger.recent for edge in (item.start_s, item.end_s)]
    edges += [dose.given_at_s for dose in ledger.bookings.doses if dose.what == name]
    corners = {(edge + HOUR_S - now_s) / HOUR_S for edge in edges}
    highest = inf
    for ahead in (*(corner for corner in sorted(corners) if 0.0 < corner < last), last):
        past = ledger.delivered_since_L(name, now_s + (ahead - 1.0) * HOUR_S)
        highest = min(highest, (max_hourly_L - past) / ahead)
    return max(highest, 0.0)


_ROUNDING_S = 1e-3
"""A time computed from another one is the same within this."""


def _first_flow(*candidates: float | None) -> float:
    """The first candidate that is a flow."""
    for flow in candidates:
        if flow is not None and isfinite(flow) and flow >= 0.0:
            return flow
    return 0.0


def _joined(recent: tuple[Delivery, ...], new: Delivery) -> tuple[Delivery, ...]:
    """Append a delivery, or join it to the last one while that is short and they touch."""
    last = recent[-1] if recent else None
    if last is None or last.end_s != new.start_s or last.end_s - last.start_s >= ENTRY_S:
        return (*recent, new)
    names = {**last.volumes_L, **new.volumes_L}
    volumes = {name: last.volumes_L.get(name, 0.0) + new.volumes_L.get(name, 0.0) for name in names}
    return (*recent[:-1], Delivery(last.start_s, new.end_s, volumes))
