"""Replay is `decide` over a record, and gives the same bytes."""

from dataclasses import replace
from pathlib import Path

import pytest

from mpc_agent.build import build_engines, build_rooms
from mpc_agent.codec import encode
from mpc_agent.cycle import decide
from mpc_agent.memory import Decision, Memory, Rooms, remember
from mpc_agent.values import Readings
from tests.examples_batch import Batch, demo_settings, run_batch


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Six hours of the demo, a cycle every ten minutes."""
    return run_batch(tmp_path_factory.mktemp("replay"))


def recorded(batch: Batch) -> list[tuple[Memory, Readings, Decision]]:
    """What every cycle was told and what it decided, from the record alone."""
    with batch.journal() as journal:
        return [
            (
                journal.memory(record.number, Memory),
                journal.readings(record.number),
                journal.decision(record.number, Decision),
            )
            for record in batch.records
        ]


def differing(batch: Batch, rooms: Rooms) -> list[int]:
    """Cycles whose decision is another one when it is taken again from the record."""
    return [
        number
        for number, (memory, readings, decision) in enumerate(recorded(batch))
        if encode(decide(rooms, memory, readings)) != encode(decision)
    ]


def test_the_batch_was_controlled_from_the_second_cycle_to_the_harvest(batch: Batch) -> None:
    assert [record.number for record in batch.records] == list(range(37))
    assert batch.modes == ["ADVISE"] + ["CONTROL"] * 36
    assert batch.records[-1].time_s == batch.rooms.inoculated_at_s + 6 * 3600
    fused = [result for record in batch.records for result in record.decision.estimate.samples]
    assert len(fused) > 4


def test_the_record_holds_what_happened(batch: Batch) -> None:
    with batch.journal() as journal:
        assert journal.verify() == []
        assert journal.unresolved == ()
    for record, (_, readings, decision) in zip(batch.records, recorded(batch), strict=True):
        assert encode(readings) == encode(record.readings)
        assert encode(decision) == encode(record.decision)


def test_every_decision_taken_again_from_the_record_is_the_same(batch: Batch) -> None:
    assert differing(batch, batch.rooms) == []


def test_the_same_in_rooms_that_were_built_anew(batch: Batch) -> None:
    settings = demo_settings()
    rooms = build_rooms(settings, build_engines(settings), batch.rooms.inoculated_at_s)
    assert rooms.kalman is not batch.rooms.kalman
    assert rooms.feed is not batch.rooms.feed
    assert differing(batch, rooms) == []


def test_a_decision_in_the_wrong_order_is_the_same_too(batch: Batch) -> None:
    """Solvers and filter keep nothing from one call to the next."""
    cycles = recorded(batch)
    for number in (30, 0, 13, 12):
        memory, readings, decision = cycles[number]
        assert encode(decide(batch.rooms, memory, readings)) == encode(decision)


def test_a_decision_changes_nothing_that_it_is_given(batch: Batch) -> None:
    memory, readings, _ = recorded(batch)[20]
    before = encode(memory), encode(readings)
    decide(batch.rooms, memory, readings)
    assert (encode(memory), encode(readings)) == before


def test_each_memory_is_what_the_cycle_before_left(batch: Batch) -> None:
    cycles = recorded(batch)
    for record, (_, _, decision), (memory, _, _) in zip(
        batch.records, cycles, cycles[1:], strict=False
    ):
        left = remember(decision, record.applied, late=False, record_failed=False)
        assert encode(replace(memory, limits={})) == encode(replace(left, limits={}))


def test_the_plant_got_what_was_decided(batch: Batch) -> None:
    for record in batch.records[1:]:
        assert record.applied.written
        assert not record.applied.refused
        wanted = record.decision.setpoints.values
        assert set(record.applied.confirmed) == set(wanted)
        for name, value in record.applied.confirmed.items():
            assert value == pytest.approx(wanted[name], rel=1e-5, abs=1e-3)


def test_a_record_is_small_enough_for_two_weeks(batch: Batch) -> None:
    size = Path(batch.file).stat().st_size / len(batch.records)
    # 2017 cycles of 14 days stay within some hundred megabytes.
    assert size < 150e3
