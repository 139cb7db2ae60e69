import asyncio
from collections.abc import Callable

from sim_plant.pace import keep_pace
from sim_plant.server_settings import LockstepPace, SpeedPace
from tests.sim_plant_support import until


class Steps:
    """Something to pace that only counts."""

    def __init__(self, beats: int, hours: float = 1.0) -> None:
        self.beats = beats
        self.advanced_s: list[float] = []
        self.hours = hours

    def finished(self) -> bool:
        return sum(self.advanced_s) >= 3600 * self.hours

    async def heartbeat(self) -> None:
        if not self.beats:
            await asyncio.Event().wait()
        self.beats -= 1

    async def advance(self, seconds: float) -> None:
        self.advanced_s.append(seconds)


async def paced(steps: Steps, pace: LockstepPace | SpeedPace, enough: Callable[[], bool]) -> None:
    task = asyncio.create_task(keep_pace(steps, pace))
    await until(enough)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_heartbeats_steps_are_made_until_the_batch_is_over() -> None:
    steps = Steps(beats=1)
    pace = LockstepPace(patience_s=0.001)
    await paced(steps, pace, steps.finished)
    assert steps.advanced_s == [600.0] * 6


async def test_time_stands_before_the_first_heartbeat_unless_told_otherwise() -> None:
    waiting, running = Steps(beats=0), Steps(beats=0)
    await paced(running, LockstepPace(patience_s=0.001, wait_for_heartbeat=False), running.finished)
    task = asyncio.create_task(keep_pace(waiting, LockstepPace(patience_s=0.001)))
    await asyncio.sleep(0.02)
    task.cancel()
    assert waiting.advanced_s == []


async def test_long_steps_are_made_in_slices() -> None:
    steps = Steps(beats=1)
    await paced(steps, LockstepPace(step_s=1500.0), lambda: len(steps.advanced_s) == 3)
    assert steps.advanced_s == [600.0, 600.0, 300.0]
