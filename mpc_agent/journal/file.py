"""The record as a file: made whole or not at all, opened with care, its troubles in plain words."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import msgspec

from mpc_agent.codec import Codec, CodecError, key_of
from mpc_agent.errors import ExitCode, UserError
from mpc_agent.journal.chain import GENESIS, row_hash
from mpc_agent.journal.rows import header_row
from mpc_agent.journal.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    pack,
    statements,
    stored,
    unpack,
)
from mpc_agent.record import BatchHeader

_BUSY_TIMEOUT_S = 1.0


class JournalError(UserError):
    """The record cannot be read or written. Who cannot record must not write to the plant."""

    exit_code = ExitCode.BAD_RECORD


class BlobTable:
    """Shared values in their table."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, data: bytes) -> bytes:
        """Keep the bytes, unless they are there; gives their key."""
        key = key_of(data)
        known = self._connection.execute("SELECT 1 FROM blobs WHERE key = ?", (key,)).fetchone()
        if known is None:
            self._connection.execute("INSERT INTO blobs VALUES (?, ?, ?)", (key, *pack(data)))
        return key

    def get(self, key: bytes) -> bytes:
        """The bytes of a key."""
        query = "SELECT packed, data FROM blobs WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return unpack(*row)


def create_record(path: Path, header: BatchHeader) -> None:
    """Make a record that holds nothing but its header; a crash leaves none, never half of one.

    Raises:
        JournalError: the file exists or cannot be written.
    """
    if path.exists():
        raise JournalError(f"{path} exists already: a batch has one record", ExitCode.CANNOT_WRITE)
    growing = path.with_name(path.name + ".new")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        growing.unlink(missing_ok=True)
        with closing(_connect(growing, "mode=rwc")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN")
            for statement in statements():
                connection.execute(statement)
            cells = stored("header", header_row(header, Codec()))
            hashed = row_hash(GENESIS, "header", 0, cells)
            connection.execute(
                "INSERT INTO header VALUES (0, ?, ?, ?, ?, ?)", (*cells, GENESIS, hashed)
            )
            connection.execute("COMMIT")
        growing.replace(path)
        _settle(path.parent)


def open_record(path: Path, read_only: bool) -> sqlite3.Connection:
    """A connection to an existing record of this schema version.

    Raises:
        JournalError: there is none, it is something else, of another version, or unreadable.
    """
    if not path.is_file():
        raise JournalError(f"there is no record at {path}", ExitCode.NO_INPUT)
    with explained(path):
        connection = _connect_to_read(path) if read_only else _connect(path, "mode=rw")
        try:
            _check_version(connection, path)
            if not read_only:
                connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection with explicit transactions.

    It may move between threads, because SQLite itself takes one call after the other.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    # Damaged text must not stop a verification that would find it.
    connection.text_factory = lambda data: data.decode(errors="replace")
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Read beside an agent at work; from a folder that cannot be written, if none is at work."""
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("PRAGMA user_version")
    except sqlite3.Error as error:
        connection.close()
        waiting = path.with_name(path.name + "-wal")
        unused = not waiting.exists() or not waiting.stat().st_size
        if unused and isinstance(error, sqlite3.OperationalError):
            return _connect(path, "immutable=1")
        raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise JournalError(f"{path} is not the record of a batch")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        raise JournalError(
            f"{path} was written in schema version {version}; this program reads version "
            f"{SCHEMA_VERSION}. Use the version of the program that wrote it."
        )


def _settle(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite, the file system or the codec says into a `JournalError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(error, path) from error
    except CodecError as error:
        raise JournalError(f"{path}: {error}") from error
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise JournalError(f"{path} {_DAMAGED} ({error})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise JournalError(f"{path} cannot be written: {reason}", ExitCode.CANNOT_WRITE) from error


_WRITE_TROUBLES = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file or its folder is read-only",
    "SQLITE_CANTOPEN": "the file cannot be opened; check that its folder exists and can be written",
    "SQLITE_PERM": "permission denied",
    "SQLITE_BUSY": "another program is writing to it",
    "SQLITE_LOCKED": "another program is writing to it",
    "SQLITE_IOERR": "the disk failed or is full",
}
_DAMAGED = "is damaged; keep it, and continue from a copy or a backup"
_READ_TROUBLES = {"SQLITE_NOTADB": "is not the record of a batch", "SQLITE_CORRUPT": _DAMAGED}


def _in_words(error: sqlite3.Error, path: Path) -> JournalError:
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_CONSTRAINT"):
        return JournalError(
            f"{path}: this row is recorded already, or another program continued the record "
            f"({error})"
        )
    for start, text in _READ_TROUBLES.items():
        if code.startswith(start):
            return JournalError(f"{path} {text} ({error})")
    for start, text in _WRITE_TROUBLES.items():
        if code.startswith(start):
            message = f"{path} cannot be written: {text} ({error})"
            return JournalError(message, ExitCode.CANNOT_WRITE)
    return JournalError(f"{path}: {error}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all that happens inside, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some failures have rolled back by themselves
            connection.execute("ROLLBACK")
        raise
