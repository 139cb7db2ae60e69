"""Whether the culture is short of oxygen: the watch behind the guard's oxygen rule."""

from dataclasses import dataclass
from math import isfinite

from mpc_agent.safety.settings import SafetySettings


@dataclass(frozen=True, slots=True)
class OxygenWatch:
    """Since when dissolved oxygen has been low or unknown.

    Attributes:
        low_since_s: UTC seconds when it was first low or missing, None while it is well.
        missing: there is no usable value now.
    """

    low_since_s: float | None = None
    missing: bool = False


def watch_oxygen(
    watch: OxygenWatch, dissolved_oxygen_percent: float, now_s: float, settings: SafetySettings
) -> OxygenWatch:
    """The watch after another value of dissolved oxygen.

    Args:
        watch: the watch so far.
        dissolved_oxygen_percent: validated value, NaN when there is none; a missing value counts as
            a low one.
        now_s: UTC seconds.
        settings: the floor.
    """
    missing = not isfinite(dissolved_oxygen_percent)
    if not missing and dissolved_oxygen_percent >= settings.dissolved_oxygen_floor_percent:
        return OxygenWatch()
    since_s = now_s if watch.low_since_s is None else min(watch.low_since_s, now_s)
    return OxygenWatch(low_since_s=since_s, missing=missing)


def oxygen_short(
    watch: OxygenWatch, supply_exhausted: bool, now_s: float, settings: SafetySettings
) -> bool:
    """Whether feeds must be cut.

    Low longer than the grace, and more gas cannot help: supply is exhausted, or the value is
    missing so that nobody can tell. After twice the grace whatever the gases do: more gas was
    possible, but did not come.
    """
    if watch.low_since_s is None:
        return False
    low_s = now_s - watch.low_since_s
    if low_s < settings.dissolved_oxygen_grace_s:
        return False
    too_long = low_s >= 2.0 * settings.dissolved_oxygen_grace_s
    return supply_exhausted or watch.missing or too_long
