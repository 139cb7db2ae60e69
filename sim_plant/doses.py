"""Doses by hand: when they are given, and when the operator books them."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

from sim_plant.process_settings import DoseSettings


@dataclass(frozen=True, slots=True, order=True)
class Booking:
    """What the batch record says of one dose; ordered by when it says so.

    Attributes:
        entered_at_s: when it is booked, UTC seconds.
        given_at_s: when it was given, UTC seconds.
        what: liquid.
        volume_L: how much.
    """

    entered_at_s: float
    given_at_s: float
    what: str
    volume_L: float


class Doses:
    """Gives the doses that are due and books them.

    Attributes:
        booked: latest entry of each liquid, whenever it was given; absent before the first one.
        next_event_s: nothing happens before this (UTC seconds).
    """

    def __init__(self, doses: Iterable[DoseSettings], inoculated_at_s: float) -> None:
        """Doses in any order."""
        # The next one stands last; doses of one moment keep their order.
        self._coming = sorted(doses, key=lambda dose: dose.at_h)[::-1]
        self._inoculated_at_s = inoculated_at_s
        self._pending: list[Booking] = []
        self.booked: dict[str, Booking] = {}
        self.next_event_s = -inf if self._coming else inf

    def due(self, time_s: float) -> list[DoseSettings]:
        """The doses to be given now, in the order of their times; books what is to be booked."""
        given = []
        while self._coming and self._due_s(self._coming[-1]) <= time_s:
            dose = self._coming.pop()
            given.append(dose)
            if dose.booked_after_h is not None:
                entered_at_s = time_s + 3600 * dose.booked_after_h
                heappush(self._pending, Booking(entered_at_s, time_s, dose.what, dose.volume_L))
        while self._pending and self._pending[0].entered_at_s <= time_s:
            entry = heappop(self._pending)
            self.booked[entry.what] = entry
        coming_s = self._due_s(self._coming[-1]) if self._coming else inf
        booked_s = self._pending[0].entered_at_s if self._pending else inf
        self.next_event_s = min(coming_s, booked_s)
        return given

    def _due_s(self, dose: DoseSettings) -> float:
        """When a dose is due; a millisecond early, for hours are no whole numbers of seconds."""
        return self._inoculated_at_s + 3600 * dose.at_h - 1e-3
