"""The record of a batch: what goes in comes out, and nothing else is ever accepted for it."""

import os
import random
import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mpc_agent import codec
from mpc_agent.errors import ExitCode
from mpc_agent.journal import Break, Journal, JournalError
from mpc_agent.values import Event, Mode, Severity, SolveStatus, Verdict
from tests import record_values as values


def same(one: object, other: object) -> bool:
    return codec.encode(one) == codec.encode(other)


def memory_of(cycle: values.Cycle) -> values.Memory:
    steps = tuple(
        values.Step(float(i), cycle.decision.estimate.mean, cycle.decision.estimate.factor)
        for i in range(3)
    )
    return values.Memory(cycle.decision.mode, (values.Chapter(steps),), cycle.decision.plans)


def write(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        cycle = values.cycle(number)
        memory = memory_of(cycle)
        journal.intent(number, cycle.time_s, cycle.readings, memory, cycle.decision)
        journal.outcome(number, cycle.applied, cycle.durations)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "batch 42?.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.create(path, values.header(), values.SHARED) as journal:
        yield journal


def reopened(path: Path) -> Journal:
    return Journal.open(path, values.SHARED)


# ------------------------------------------------------------------ what goes in comes out


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
    journal.intent(1, cycle.time_s, cycle.readings, memory_of(cycle), cycle.decision)
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


# ------------------------------------------------------------------ no record, no write


def test_a_failed_commit_leaves_the_record_as_it_was(journal: Journal) -> None:
    write(journal, 0)
    head = journal.head
    with pytest.raises(JournalError, match="recorded already"):
        write(journal, 0)
    cycle = values.cycle(1)
    with pytest.raises(JournalError, match="no place in the record"):
        journal.intent(1, cycle.time_s, cycle.readings, object(), cycle.decision)
    assert journal.head == head
    write(journal, 1)
    assert journal.verify() == []


def test_a_full_disk_is_told_and_survived(journal: Journal, path: Path) -> None:
    write(journal, 0)
    sizes = [file.stat().st_size for file in path.parent.iterdir()]
    with largest_file(max(sizes) + 5000), pytest.raises(JournalError) as caught:
        write(journal, 1)
    assert "cannot be written: the disk" in caught.value.message
    assert caught.value.exit_code is ExitCode.CANNOT_WRITE
    write(journal, 1)
    assert journal.verify() == []
    assert len(list(journal.cycles())) == 2


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the operating system refuse to make any file larger, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_second_writer_of_the_same_record_is_refused(journal: Journal, path: Path) -> None:
    with reopened(path) as other:
        write(journal, 0)
        with pytest.raises(JournalError, match="another program continued the record"):
            write(other, 1)
    assert journal.verify() == []


def test_a_batch_has_one_record(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalError, match="exists already"):
        Journal.create(path, values.header())


def test_what_a_crash_left_of_an_unfinished_record_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(path.name + ".new").write_bytes(b"half a record")
    with Journal.create(path, values.header()) as journal:
        assert journal.verify() == []
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def nobody_may_write(folder: Path) -> Iterator[None]:
    """Take away the permission to write, from root too."""
    user = os.geteuid()
    folder.chmod(0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def test_a_read_only_folder_is_told(public_folder: Path) -> None:
    with (
        nobody_may_write(public_folder),
        pytest.raises(JournalError, match="cannot be written") as caught,
    ):
        Journal.create(public_folder / "batch.sqlite", values.header())
    assert caught.value.exit_code is ExitCode.CANNOT_WRITE


def test_a_record_in_a_read_only_folder_can_be_read(public_folder: Path) -> None:
    path = public_folder / "batch.sqlite"
    with Journal.create(path, values.header(), values.SHARED) as journal:
        write(journal, 0)
    with (
        nobody_may_write(public_folder),
        Journal.open(path, values.SHARED, read_only=True) as journal,
    ):
        assert journal.verify() == []
        assert len(list(journal.cycles())) == 1


def test_a_record_that_cannot_be_continued_is_told(public_folder: Path) -> None:
    path = public_folder / "batch.sqlite"
    Journal.create(path, values.header()).close()
    path.chmod(0o444)
    with nobody_may_write(public_folder), pytest.raises(JournalError, match="cannot be written"):
        Journal.open(path)


# ------------------------------------------------------------------ files that are no record


def test_a_missing_record_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no record at") as caught:
        Journal.open(tmp_path / "none.sqlite")
    assert caught.value.exit_code is ExitCode.NO_INPUT


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"", b"batch: CHO-0042\n" * 1000, b"SQLite format 3\0" * 99])
def test_a_file_that_is_no_record_is_told(tmp_path: Path, content: bytes, read_only: bool) -> None:
    path = tmp_path / "batch.sqlite"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is not the record of a batch"):
        Journal.open(path, read_only=read_only)
    assert path.read_bytes() == content


def test_another_programs_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "batch.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE header (content TEXT)")
    with pytest.raises(JournalError, match="is not the record of a batch"):
        Journal.open(path)


def test_a_record_of_another_version_is_told(journal: Journal, path: Path) -> None:
    journal._connection.execute("PRAGMA user_version = 7")
    with pytest.raises(JournalError, match="schema version 7; this program reads version 1"):
        Journal.open(path)


# ------------------------------------------------------------------ tampering and damage


def test_the_tables_refuse_changes(journal: Journal, path: Path) -> None:
    write(journal, 0)
    with closing(sqlite3.connect(path)) as tool:
        for table in ("header", "intents", "outcomes", "solves", "blobs"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                tool.execute(f"DELETE FROM {table}")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            tool.execute("UPDATE intents SET mode = 'SHADOW'")


TAMPERING = {
    "UPDATE intents SET mode = 'SHADOW' WHERE number = 1": "content was changed",
    "UPDATE header SET batch = 'other'": "content was changed",
    "DELETE FROM outcomes WHERE number = 1": "are missing",
    "UPDATE blobs SET data = zeroblob(9) WHERE rowid = 2": "was changed",
    "DELETE FROM blobs WHERE rowid = 1": "is missing",
    "UPDATE intents SET mode = CAST(x'ff00' AS TEXT) WHERE number = 1": "content was changed",
    "UPDATE intents SET decision = x'c1' WHERE number = 1": "cannot be decoded",
}


@pytest.mark.parametrize("statement", TAMPERING)
def test_tampering_is_found(journal: Journal, path: Path, statement: str) -> None:
    write(journal, 0, 1, 2)
    with closing(sqlite3.connect(path)) as tool:
        triggers = tool.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            tool.execute(f"DROP TRIGGER {name}")
        tool.execute(statement)
        tool.commit()
    breaks = journal.verify()
    assert any(TAMPERING[statement] in str(item) for item in breaks)


def test_a_break_says_where_it_is() -> None:
    assert str(Break(7, "intents", "its content was changed")) == (
        "intents, row 7: its content was changed"
    )
    assert str(Break(None, "file", "torn")) == "file: torn"


def dump(path: Path) -> list[object]:
    """All content of a record, to compare."""
    with closing(sqlite3.connect(path)) as tool:
        return [
            tool.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("header", "intents", "outcomes", "solves", "transitions", "blobs")
        ]


def complaint(path: Path) -> str:
    """What opening and verifying say; empty when they find nothing wrong."""
    try:
        with Journal.open(path, values.SHARED) as journal:
            return "; ".join(str(item) for item in journal.verify())
    except JournalError as error:
        return error.message


def test_flipped_bytes_are_found_wherever_they_change_anything(
    journal: Journal, path: Path, tmp_path: Path
) -> None:
    write(journal, *range(4))
    journal.close()
    original, content = path.read_bytes(), dump(path)
    chance = random.Random(4)
    found = 0
    for _ in range(150):
        damaged = bytearray(original)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        copy = tmp_path / "copy.sqlite"
        copy.write_bytes(damaged)
        if complaint(copy):
            found += 1
        else:
            assert dump(copy) == content
    assert found > 75


def test_torn_files_are_found(journal: Journal, path: Path, tmp_path: Path) -> None:
    write(journal, *range(4))
    journal.close()
    size = path.stat().st_size
    for part in (0.1, 0.5, 0.9, 0.999):
        copy = tmp_path / "copy.sqlite"
        shutil.copy(path, copy)
        os.truncate(copy, int(part * size))
        assert complaint(copy)
