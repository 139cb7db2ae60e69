"""How simulated time moves while the plant is served: in steps with a controller, or with time."""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from sim_plant.server_settings import LockstepPace, SpeedPace

_SLICE_S: Final = 600.0
"""Simulated seconds computed at once; clients are answered in between."""

_UPDATE_S: Final = 0.2
"""Wall seconds between two updates when time runs by speed."""


class Paced(Protocol):
    """What a pace drives."""

    def finished(self) -> bool:
        """Whether the batch is over."""
        ...

    async def heartbeat(self) -> None:
        """Wait for the next heartbeat that has not been answered by a step."""
        ...

    async def advance(self, seconds: float) -> None:
        """Move simulated time, and show it."""
        ...


async def keep_pace(plant: Paced, pace: LockstepPace | SpeedPace) -> None:
    """Move time for ever, until cancelled."""
    if isinstance(pace, LockstepPace):
        await _lockstep(plant, pace)
    else:
        await _by_speed(plant, pace)


async def _lockstep(plant: Paced, pace: LockstepPace) -> None:
    """One step for each heartbeat, and one when patience ends while the batch is on."""
    patient = pace.wait_for_heartbeat
    while True:
        if patient or plant.finished():
            await plant.heartbeat()
        else:
            with suppress(TimeoutError):  # nobody came: the step is made anyway
                await asyncio.wait_for(plant.heartbeat(), pace.patience_s)
        patient = False
        await _in_slices(plant, pace.step_s)


async def _by_speed(plant: Paced, pace: SpeedPace) -> None:
    """Follow the loop's clock; time that could not be computed in time is made up for."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.sleep(_UPDATE_S)
        now = loop.time()
        await _in_slices(plant, (now - last) * pace.factor)
        last = now


async def _in_slices(plant: Paced, seconds: float) -> None:
    """Advance, leaving the event loop free every few milliseconds."""
    while seconds > 0.0:
        await plant.advance(min(seconds, _SLICE_S))
        seconds -= _SLICE_S
        await asyncio.sleep(0)
