"""The hash chain over a record's rows, and its verification.

Every row of every table has a sequence number, counted over the whole file, and the SHA-256 of the
row before it together with its own content: no row can be changed, removed or inserted without
breaking the chain. Large values lie in `blobs` under the SHA-256 of their bytes, and rows hold
those keys, so the chain covers them too.

Cutting off the newest rows leaves a shorter, unbroken chain. Who must exclude that keeps the hash
of the last row (`Journal.head`) elsewhere; the report prints it.
"""

import hashlib
import heapq
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from mpc_agent.codec import CodecError, key_of, references
from mpc_agent.journal.schema import ENCODED, TABLES, Cell, unpack


def row_hash(previous: bytes, table: str, sequence: int, cells: tuple[Cell, ...]) -> bytes:
    """What binds a row to its content, its place and the row before it."""
    content = msgspec.msgpack.encode((table, sequence, cells))
    return hashlib.sha256(previous + content).digest()


GENESIS = bytes(32)
"""What stands as the hash before the first row."""


@dataclass(frozen=True, slots=True)
class Break:
    """One place where a record is not what was written.

    Attributes:
        sequence: row of the chain, None for the file as a whole and for shared values.
        where: table, or part of the file.
        what: what is wrong, in words.
    """

    sequence: int | None
    where: str
    what: str

    def __str__(self) -> str:
        """One line."""
        place = self.where if self.sequence is None else f"{self.where}, row {self.sequence}"
        return f"{place}: {self.what}"


def find_breaks(connection: sqlite3.Connection) -> list[Break]:
    """Everything in a record that is not as it was written; empty when it is intact."""
    breaks: list[Break] = []
    needed: dict[bytes, tuple[int, str]] = {}
    try:
        breaks += [
            Break(None, "file", str(text))
            for (text,) in connection.execute("PRAGMA integrity_check(20)")
            if text != "ok"
        ]
        breaks += _chain_breaks(connection, needed)
        breaks += _blob_breaks(connection, needed)
    except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError) as error:
        breaks.append(Break(None, "file", f"cannot be read to its end: {error}"))
    return breaks


def _chain_breaks(
    connection: sqlite3.Connection, needed: dict[bytes, tuple[int, str]]
) -> Iterator[Break]:
    """Walk the chain; collects in `needed` which blobs its rows refer to."""
    expected, previous = 0, GENESIS
    rows = heapq.merge(*(_rows(connection, table) for table in TABLES))
    for sequence, table, cells, stored_previous, stored_hash in rows:
        if sequence != expected:
            yield Break(sequence, table, f"rows {expected} to {sequence - 1} are missing")
        elif stored_previous != previous:
            yield Break(sequence, table, "does not follow the row before it")
        if row_hash(stored_previous, table, sequence, cells) != stored_hash:
            yield Break(sequence, table, "its content was changed")
        for column, cell in zip(TABLES[table], cells, strict=True):
            if column in ENCODED and isinstance(cell, bytes):
                try:
                    found = references(cell)
                except CodecError as error:
                    yield Break(sequence, table, f"{column} cannot be decoded: {error}")
                else:
                    needed.update(dict.fromkeys(found, (sequence, table)))
        expected, previous = sequence + 1, stored_hash


def _rows(
    connection: sqlite3.Connection, table: str
) -> Iterator[tuple[int, str, tuple[Cell, ...], bytes, bytes]]:
    names = ", ".join(TABLES[table])
    query = f"SELECT sequence, {names}, previous, hash FROM {table} ORDER BY sequence"  # noqa: S608
    for sequence, *cells, previous, hashed in connection.execute(query):
        yield sequence, table, tuple(cells), previous, hashed


def _blob_breaks(
    connection: sqlite3.Connection, needed: Mapping[bytes, tuple[int, str]]
) -> Iterator[Break]:
    """Compare every blob with its key, and look for blobs that rows or blobs need in vain."""
    needed = dict(needed)
    present: set[bytes] = set()
    for key, packed, data in connection.execute("SELECT key, packed, data FROM blobs"):
        try:
            content = unpack(packed, data)
        except CodecError:
            content = b""
        if key_of(content) != key:
            yield Break(None, "blobs", f"shared value {key.hex()[:12]} was changed")
        else:
            present.add(key)
            for inner in references(content):
                needed.setdefault(inner, (-1, "blobs"))
    for key in needed.keys() - present:
        sequence, table = needed[key]
        place = sequence if sequence >= 0 else None
        yield Break(place, table, f"shared value {key.hex()[:12]} is missing or changed")
