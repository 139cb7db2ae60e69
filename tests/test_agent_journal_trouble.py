"""The record of a batch: trouble is told in plain words, and damage is always found."""

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

from mpc_agent.errors import ExitCode
from mpc_agent.journal import Break, Journal, JournalError
from tests import record_values as values
from tests.record_writing import reopened, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "batch 42?.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.create(path, values.header(), values.SHARED) as journal:
        yield journal


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


def test_an_outcome_needs_its_intent(journal: Journal) -> None:
    with pytest.raises(JournalError, match="cycle 3 has no recorded intent"):
        journal.outcome(3, values.applied(), {})
    write(journal, 3)
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


def read_to_its_end(path: Path) -> None:
    """Everything that a report reads of a damaged record."""
    with Journal.open(path, values.SHARED, read_only=True) as damaged:
        assert damaged.verify()
        list(damaged.cycles())


def test_what_is_read_of_a_damaged_record_is_told_as_damage(
    journal: Journal, path: Path, tmp_path: Path
) -> None:
    write(journal, *range(4))
    journal.close()
    with closing(sqlite3.connect(path)) as tool:
        (packed,) = tool.execute("SELECT max(data) FROM blobs WHERE packed").fetchone()
        sql = tool.execute("SELECT sql FROM sqlite_schema WHERE name = 'header'").fetchone()[0]
    content = path.read_bytes()
    for was in (packed[:100], sql.encode()[:60]):
        assert content.count(was) == 1
        copy = tmp_path / "copy.sqlite"
        copy.write_bytes(content.replace(was, was[:20] + b"\xa3" * 20 + was[40:]))
        with pytest.raises(JournalError):
            read_to_its_end(copy)
