"""Whether the agent lives and whether it is ready, for whoever supervises the process."""

from mpc_agent.clock import stopwatch

ALLOWED_PERIODS = 3
LEAST_ALLOWED_S = 120.0
"""Compiling the filter and the optimisers at the start takes longer than a short period."""


class Health:
    """What the loop tells about itself.

    Alive means that the loop made progress lately; a plant that cannot be heard does not change
    that, because the loop goes on without it, and a restart would not help. Ready means that every
    condition is met.
    """

    def __init__(self, period_s: float) -> None:
        """Begin alive, and ready for nothing.

        Args:
            period_s: time from cycle to cycle.
        """
        self.allowed_s = max(ALLOWED_PERIODS * period_s, LEAST_ALLOWED_S)
        self._since_progress = stopwatch()
        self._unmet = {
            "record": "the record is not open yet",
            "estimate": "there is no estimate yet",
        }

    def progressed(self) -> None:
        """Tell that a cycle finished, or that the loop is waiting for its time as it should."""
        self._since_progress = stopwatch()

    def met(self, condition: str) -> None:
        """Tell that "record", "estimate" or another condition holds now."""
        self._unmet.pop(condition, None)

    def unmet(self, condition: str, reason: str) -> None:
        """Tell that a condition does not hold, and why."""
        self._unmet[condition] = reason

    @property
    def silent_s(self) -> float:
        """Wall seconds since the last progress."""
        return self._since_progress.elapsed_s

    @property
    def alive(self) -> bool:
        """Whether the loop made progress lately."""
        return self.silent_s <= self.allowed_s

    @property
    def waiting_for(self) -> dict[str, str]:
        """Conditions that are not met, with their reasons."""
        return dict(self._unmet)
