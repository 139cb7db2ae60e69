"""The only reader of time: wall, the plant's clock, and a virtual clock that drives the plant."""

import asyncio
import math
import os
import time
from pathlib import Path
from typing import Protocol

from mpc_agent.drivers.protocol import Driver
from mpc_agent.errors import UnavailableError

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Stopwatch:
    """Wall time since it was started."""

    def __init__(self) -> None:
        self._started_s = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Wall seconds since the start."""
        return time.perf_counter() - self._started_s


def stopwatch() -> Stopwatch:
    """A running stopwatch."""
    return Stopwatch()


def process_age_s() -> float:
    """Wall seconds since the operating system started this process (Linux)."""
    status = Path("/proc/self/stat").read_text("ascii")
    started_ticks = float(status.rpartition(")")[2].split()[19])
    return time.clock_gettime(_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")


def utc_stamp() -> str:
    """The time now, UTC, as part of a file's name: 20260105T080000Z."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


class Clock(Protocol):
    """Tells the time by which the agent lives, UTC seconds."""

    async def now_s(self) -> float:
        """The time now."""
        ...

    async def sleep_until(self, time_s: float) -> None:
        """Return when it is `time_s`, at once when that has passed."""
        ...


class WallClock:
    """UTC as this machine knew it at the start, carried on by a clock that never jumps.

    When somebody sets the machine's clock by an hour, cycles neither burst nor stall; `jump_s`
    tells that it happened. Suspended time counts where the system can tell.
    """

    def __init__(self) -> None:
        self._started_utc_s = time.time()
        self._started_s = time.clock_gettime(_BOOTTIME)

    def read_s(self) -> float:
        """The time now, without waiting."""
        return self._started_utc_s + (time.clock_gettime(_BOOTTIME) - self._started_s)

    @property
    def jump_s(self) -> float:
        """By how much the machine's clock was set since the start."""
        return time.time() - self.read_s()

    async def now_s(self) -> float:
        """The time now."""
        return self.read_s()

    async def sleep_until(self, time_s: float) -> None:
        """Return when it is `time_s`."""
        # Twice, because a sleep may end a little early.
        for _ in range(2):
            await asyncio.sleep(max(time_s - self.read_s(), 0.0))


class PlantClock:
    """The plant's own clock, followed through the driver.

    A plant that cannot be heard is waited for. When its time has not moved for `patience_s` wall
    seconds, `sleep_until` returns all the same, and from then on the agent's time is the one it
    slept for until the plant's has caught up: time never runs backwards, and a lost plant never
    hangs the agent.
    """

    def __init__(
        self,
        driver: Driver,
        patience_s: float = 60.0,
        poll_first_s: float = 0.002,
        poll_max_s: float = 0.05,
    ) -> None:
        """Follow the clock of `driver`; the pause between looks grows from first to max."""
        self._driver = driver
        self._patience_s = patience_s
        self._poll_first_s = poll_first_s
        self._poll_max_s = poll_max_s
        self._latest_s: float | None = None

    async def now_s(self) -> float:
        """The plant's time now, or the latest known while it cannot be heard.

        Raises:
            UnavailableError: it has never been heard, for `patience_s` wall seconds.
        """
        waited, pause_s = stopwatch(), self._poll_first_s
        await self._look()
        while self._latest_s is None:
            if waited.elapsed_s > self._patience_s:
                raise UnavailableError(
                    f"the plant's clock could not be read for {self._patience_s:.0f} s; "
                    "is the plant running, and does tags.handshake.clock name its clock?"
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._poll_max_s)
            await self._look()
        return self._latest_s

    async def sleep_until(self, time_s: float) -> None:
        """Return when the plant says that it is `time_s`, or its time stands still too long."""
        standing, pause_s = stopwatch(), self._poll_first_s
        # Only time never seen before counts as moving: a plant that starts anew stands still here.
        furthest_s = -math.inf if self._latest_s is None else self._latest_s
        while True:
            plant_s = await self._look()
            if plant_s is not None and plant_s >= time_s:
                return
            if plant_s is not None and plant_s > furthest_s:
                standing, furthest_s = stopwatch(), plant_s
            if standing.elapsed_s > self._patience_s:
                self._latest_s = max(time_s, self._latest_s or time_s)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._poll_max_s)

    async def _look(self) -> float | None:
        """The plant's time, if it can be read."""
        plant_s = await self._driver.plant_time_s()
        if plant_s is not None:
            self._latest_s = plant_s if self._latest_s is None else max(plant_s, self._latest_s)
        return plant_s


class Advanceable(Protocol):
    """A plant whose time is ours to move."""

    @property
    def time_s(self) -> float:
        """The plant's time, UTC seconds."""
        ...

    def advance_to(self, time_s: float) -> None:
        """Simulate up to `time_s`."""
        ...


class VirtualClock:
    """Time passes only while the agent sleeps, and then the simulated plant lives through it."""

    def __init__(self, plant: Advanceable) -> None:
        self._plant = plant

    async def now_s(self) -> float:
        """The plant's time."""
        return self._plant.time_s

    async def sleep_until(self, time_s: float) -> None:
        """Let the plant live until `time_s`."""
        if time_s > self._plant.time_s:
            self._plant.advance_to(time_s)
        # Other tasks have their turn once in every cycle.
        await asyncio.sleep(0)
