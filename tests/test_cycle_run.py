"""What a cycle does to the plant: nothing without a record, nothing too late, only in control."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mpc_agent.cycle import run_cycle
from mpc_agent.memory import Decision
from mpc_agent.safety.flags import Flag
from mpc_agent.values import Mode, Origin
from tests.examples_batch import (
    Bench,
    demo_plant,
    demo_settings,
    run_batch,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """In control after two cycles."""
    bench = Bench(tmp_path)
    assert bench.cycle().decision.mode is Mode.ADVISE
    assert bench.cycle().applied.written
    return bench


def test_what_was_decided_is_written_and_read_back(bench: Bench) -> None:
    before = bench.setpoints()
    record = bench.cycle()
    assert record.decision.mode is Mode.CONTROL
    assert record.applied.written
    assert bench.setpoints() != before
    bench.close()


def test_without_a_record_nothing_is_written(bench: Bench) -> None:
    before = bench.setpoints()
    bench.fill_disk()
    failed = bench.cycle()
    assert failed.decision.mode is Mode.CONTROL
    assert not failed.applied.written
    assert bench.setpoints() == before
    assert bench.memory.record_failed
    shadow = bench.cycle()
    assert shadow.decision.mode is Mode.SHADOW
    assert Flag.RECORD_FAILED in shadow.decision.memory.mode.flags
    assert not shadow.applied.written
    assert bench.plant.tag("Control.Active").value is False
    bench.empty_disk()
    modes = [bench.cycle().decision.mode for _ in range(3)]
    assert modes[-1] is Mode.CONTROL
    with_outcome = [row["number"] for row in bench.agent.journal.rows("outcomes")]
    assert with_outcome == [0, 1, 4, 5, 6]
    assert bench.agent.journal.verify() == []
    bench.close()


def test_a_decision_after_its_deadline_is_recorded_and_not_written(bench: Bench) -> None:
    before = bench.setpoints()
    record = bench.cycle(deadline_s=0.0)
    assert record.decision.mode is Mode.CONTROL
    assert not record.applied.written
    assert bench.setpoints() == before
    assert bench.memory.decision_late
    assert bench.agent.journal.decision(record.number, Decision).setpoints.values
    assert bench.cycle().applied.written
    bench.close()


def test_who_no_longer_wants_control_writes_nothing_while_the_plant_still_follows(
    bench: Bench,
) -> None:
    before = bench.setpoints()
    bench.memory = replace(bench.memory, target=Mode.SHADOW)
    record, bench.memory = asyncio.run(run_cycle(bench.agent, bench.memory))
    assert record.readings.status.remote_active
    assert record.decision.mode is Mode.SHADOW
    assert not record.applied.written
    assert bench.setpoints() == before
    assert bench.plant.tag("Control.Active").value is False
    bench.close()


def test_the_heart_beats_once_for_every_finished_cycle(bench: Bench) -> None:
    beats = []
    for _ in range(3):
        bench.cycle()
        beats.append(bench.heartbeat())
    assert beats == [3, 4, 5]
    bench.close()


@pytest.mark.parametrize("mode", ["OFF", "SHADOW", "ADVISE"])
def test_only_control_writes_setpoints(tmp_path: Path, mode: str) -> None:
    settings = demo_settings(1.0, mode)
    batch = run_batch(tmp_path, settings=settings)
    assert set(batch.modes) == {mode}
    assert not any(record.applied.written for record in batch.records)
    # The plant lives as if there were no agent.
    left_alone = demo_plant(settings)
    left_alone.advance_to(batch.plant.time_s)
    mine, its = batch.plant.tags(), left_alone.tags()
    assert [name for name in mine if mine[name] != its[name]] == ["Control.Heartbeat"]
    assert batch.records[-1].decision.estimate.healthy
    assert batch.records[-1].decision.setpoints.origin["gas"] is Origin.PLAN
