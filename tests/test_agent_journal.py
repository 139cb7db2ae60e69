"""The record of a batch: what goes in comes out."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mpc_agent.journal import Journal, JournalError
from mpc_agent.values import Event, Mode, Severity, SolveStatus, Verdict
from tests import record_values as values
from tests.record_writing import memory_of, reopened, same, write, write_intent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "batch 42?.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.create(path, values.header(), values.SHARED) as journal:
        yield journal


def test_a_new_record_holds_its_header_and_nothing_else(journal: Journal) -> None:
    assert same(journal.header, values.header())
    assert journal.last() is None
    assert journal.unresolved == ()
    assert list(journal.cycles()) == []
    assert journal.verify() == []


def test_cycles_come_back_exactly(journal: Journal, path: Path) -> None:
    write(journal, 0, 1, 2)
    journal.close()
    with reopened(path) as again:
        for told in again.cycles():
            cycle = values.cycle(told.number)
            assert same(told.readings, cycle.readings)
            assert same(told.estimate, cycle.decision.estimate)
            assert same(told.plans, cycle.decision.plans)
            assert same(told.setpoints, cycle.decision.setpoints)
            assert told.expected == cycle.decision.expected
            assert told.applied == cycle.applied
            assert told.durations == cycle.durations
            assert told.mode is Mode.CONTROL
        assert [told.number for told in again.cycles(first=1)] == [1, 2]


def test_memory_readings_and_decision_of_any_cycle_come_back_exactly(
    journal: Journal, path: Path
) -> None:
    write(journal, 0, 1, 2)
    journal.close()
    with reopened(path) as again:
        cycle = values.cycle(1)
        assert same(again.memory(1, values.Memory), memory_of(cycle))
        assert same(again.readings(1), cycle.readings)
        assert same(again.decision(1, values.Decision), cycle.decision)
        with pytest.raises(KeyError):
            again.readings(17)


def test_a_record_is_continued_where_it_stopped(journal: Journal, path: Path) -> None:
    write(journal, 0, 1)
    head = journal.head
    journal.close()
    with reopened(path) as again:
        assert again.head == head
        last = again.last()
        assert last is not None
        assert (last.number, last.mode, last.resolved) == (1, Mode.CONTROL, True)
        write(again, 2)
        assert again.verify() == []
        assert len(list(again.rows("transitions"))) == 1


def test_an_intent_without_outcome_is_reported_until_it_is_resolved(
    journal: Journal, path: Path
) -> None:
    write(journal, 0)
    cycle = values.cycle(1)
    write_intent(journal, 1)
    journal.close()
    with reopened(path) as again:
        assert list(again.unresolved) == [1]
        last = again.last()
        assert last is not None
        assert not last.resolved
        assert [told.applied is None for told in again.cycles()] == [False, True]
        again.outcome(1, cycle.applied, {})
        assert not again.unresolved


def test_samples_transitions_solves_and_events_have_their_tables(journal: Journal) -> None:
    time_s = values.INOCULATED_AT_S
    feed, gas = values.plan("feed", time_s), values.plan("gas", time_s, 6, SolveStatus.INFEASIBLE)
    plans = {"feed": feed, "gas": gas}
    late = values.sample_result(time_s, Verdict.STALE)
    first = values.decision(time_s, plans, samples=(late,), events=(values.ALARM,))
    journal.intent(0, time_s, values.readings(time_s), None, first)
    second = values.decision(time_s + 600, {**plans, "gas": values.plan("gas", time_s + 600, 6)})
    journal.intent(1, time_s + 600, values.readings(time_s + 600), None, second)
    journal.event(time_s + 700, Event("STOP", Severity.EVENT, "Stopped."), actor="operator")
    (sample,) = journal.rows("samples")
    assert (sample["analyte"], sample["verdict"], sample["innovation"]) == (
        "glucose",
        "STALE",
        None,
    )
    (transition,) = journal.rows("transitions")
    assert (transition["mode_from"], transition["mode_to"]) == ("OFF", "CONTROL")
    assert [(row["number"], row["problem"], row["status"]) for row in journal.rows("solves")] == [
        (0, "feed", "SOLVED"),
        (0, "gas", "INFEASIBLE"),
        (1, "gas", "SOLVED"),
    ]
    assert [(row["code"], row["actor"]) for row in journal.rows("events")] == [
        ("REMOTE_LOST", "agent"),
        ("STOP", "operator"),
    ]
    assert journal.verify() == []


def test_repeated_values_are_stored_once(journal: Journal) -> None:
    time_s = values.INOCULATED_AT_S
    plans = {"feed": values.plan("feed", time_s)}
    for number in range(5):
        decision = values.decision(time_s, plans)
        memory = values.Memory(Mode.CONTROL, (), plans, decision.estimate)
        journal.intent(number, time_s + number, values.readings(time_s), memory, decision)
    blobs = journal._connection.execute("SELECT count(*) FROM blobs").fetchone()[0]
    assert blobs == 3  # one plan, its warm start, five equal estimates
    rows = journal._connection.execute("SELECT length(memory), length(decision) FROM intents")
    assert max(max(row) for row in rows) < 1000


def test_any_sqlite_tool_can_read_what_was_decided(journal: Journal, path: Path) -> None:
    write(journal, 0)
    with closing(sqlite3.connect(path)) as tool:
        query = (
            "SELECT json_extract(setpoints, '$.glucose_feed'), json_extract(origins, '$.gas'), "
            "json_extract(expected, '$.plan.value') FROM intents"
        )
        assert tool.execute(query).fetchone() == (0.61, "HELD_PLAN", 4810.0)


def test_a_reader_follows_an_agent_at_work(journal: Journal, path: Path) -> None:
    with Journal.open(path, read_only=True) as reader:
        write(journal, 0)
        assert len(list(reader.cycles())) == 1
        write(journal, 1)
        assert len(list(reader.cycles())) == 2
        with pytest.raises(JournalError, match="read-only"):
            write(reader, 2)
