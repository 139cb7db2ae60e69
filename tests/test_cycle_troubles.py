"""What the plant refuses or says is told to people, once while it lasts, and counts as refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.safety.flags import Flag
from mpc_agent.values import Applied, Readings, Setpoints
from tests.examples_batch import Bench

CODES = ("SETPOINT_REFUSED", "PLANT_SAYS")
REFUSED = {"air": "refused by the plant: BadOutOfRange"}


def _told(bench: Bench) -> list[tuple[str, str]]:
    """What people are told in one cycle, without the names of modes and flags."""
    events = bench.cycle().decision.events
    return [(event.code, event.text) for event in events if event.code in CODES]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    assert not _told(bench)
    assert not _told(bench)
    return bench


def test_a_refusal_is_told_once_and_counts_even_when_nothing_was_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_driver: SimulatedDriver, _setpoints: Setpoints) -> Applied:
        return Applied(written=False, refused=REFUSED)

    monkeypatch.setattr(SimulatedDriver, "write", refuse)
    bench.cycle()
    assert _told(bench) == [("SETPOINT_REFUSED", "air: refused by the plant: BadOutOfRange.")]
    assert not _told(bench)
    flags = [bench.cycle().decision.memory.mode.flags for _ in range(3)]
    assert Flag.WRITE_REFUSED in flags[-1]
    bench.close()


def test_what_the_plant_says_is_told_once_until_it_says_something_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = ["interlock: foam"]
    read = SimulatedDriver.read

    async def read_with_message(driver: SimulatedDriver) -> Readings:
        readings = await read(driver)
        return replace(readings, status=replace(readings.status, message=says[0]))

    monkeypatch.setattr(SimulatedDriver, "read", read_with_message)
    assert _told(bench) == [("PLANT_SAYS", "interlock: foam.")]
    assert not _told(bench)
    says[0] = "interlock: pressure"
    assert _told(bench) == [("PLANT_SAYS", "interlock: pressure.")]
    says[0] = ""
    assert not _told(bench)
    bench.close()


def test_a_trouble_that_comes_back_is_told_again(bench: Bench) -> None:
    bench.memory = replace(bench.memory, refused=REFUSED)
    assert _told(bench)
    assert not _told(bench)
    bench.memory = replace(bench.memory, refused=REFUSED)
    assert _told(bench)
    bench.close()
