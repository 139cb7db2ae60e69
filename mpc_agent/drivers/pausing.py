"""Looking at a plant again and again, a little less often each time, for a limited time."""

import asyncio
from typing import Self

from mpc_agent.clock import stopwatch

_FIRST_S, _LONGEST_S = 0.01, 0.1


class GrowingPauses:
    """Gives the wall seconds waited so far: at once, and then after each of its growing pauses.

    The last one is given at or after `within_s`.
    """

    def __init__(self, within_s: float) -> None:
        """Look for `within_s` wall seconds; only once when that is zero."""
        self._within_s = within_s
        self._waited = stopwatch()
        self._elapsed_s: float | None = None
        self._pause_s = _FIRST_S

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> float:
        if self._elapsed_s is not None:
            if self._elapsed_s >= self._within_s:
                raise StopAsyncIteration
            await asyncio.sleep(min(self._pause_s, self._within_s - self._elapsed_s + 1e-3))
            self._pause_s = min(2 * self._pause_s, _LONGEST_S)
        self._elapsed_s = self._waited.elapsed_s
        return self._elapsed_s
