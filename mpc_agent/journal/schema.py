"""The file format of a batch's record: its tables and what stands in their cells."""

import zlib
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TypeAlias

from mpc_agent.codec import CodecError

APPLICATION_ID = 0x4D504341
"""Marks a SQLite file as a batch record ("MPCA")."""

SCHEMA_VERSION = 1
"""Rises when the tables change."""

Cell: TypeAlias = float | int | str | bytes | None

TABLES: Mapping[str, Mapping[str, str]] = {
    "header": {"batch": "TEXT", "inoculated_at_s": "REAL", "content": "BLOB"},
    "intents": {
        "number": "INTEGER UNIQUE",
        "time_s": "REAL",
        "mode": "TEXT",
        "connected": "INTEGER",
        "remote_active": "INTEGER",
        "healthy": "INTEGER",
        "origins": "TEXT",
        "setpoints": "TEXT",
        "expected": "TEXT",
        "readings": "BLOB",
        "estimate": "BLOB",
        "plans": "BLOB",
        "guarded": "BLOB",
        "memory": "BLOB",
        "decision": "BLOB",
    },
    "outcomes": {
        "number": "INTEGER UNIQUE",
        "written": "INTEGER",
        "refused": "TEXT",
        "durations": "TEXT",
        "applied": "BLOB",
    },
    "samples": {
        "number": "INTEGER",
        "time_s": "REAL",
        "analyte": "TEXT",
        "value": "REAL",
        "unit": "TEXT",
        "drawn_at_s": "REAL",
        "entered_at_s": "REAL",
        "entered_by": "TEXT",
        "reason": "TEXT",
        "verdict": "TEXT",
        "innovation": "REAL",
        "gate_ratio": "REAL",
    },
    "events": {
        "number": "INTEGER",
        "time_s": "REAL",
        "code": "TEXT",
        "severity": "TEXT",
        "text": "TEXT",
        "actor": "TEXT",
    },
    "transitions": {
        "number": "INTEGER",
        "time_s": "REAL",
        "mode_from": "TEXT",
        "mode_to": "TEXT",
        "reason": "TEXT",
    },
    "solves": {
        "number": "INTEGER",
        "time_s": "REAL",
        "problem": "TEXT",
        "status": "TEXT",
        "iterations": "INTEGER",
        "objective": "REAL",
        "defect": "REAL",
        "attempts": "TEXT",
        "message": "TEXT",
    },
}
"""Columns of each table and their SQL types, `sequence`, `previous` and `hash` apart.

`number` is the number of the cycle. `intents` is what was decided, committed before anything is
written to the plant; `outcomes` is what the plant confirmed. The text columns origins, setpoints,
expected, refused, durations and attempts are JSON.
"""

ENCODED = ("content", "readings", "estimate", "plans", "guarded", "memory", "decision", "applied")
"""Columns that hold encoded values, possibly with keys of blobs."""


def statements() -> Iterator[str]:
    """SQL that makes an empty record."""
    for table, columns in TABLES.items():
        named = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        yield (
            f"CREATE TABLE {table} (sequence INTEGER PRIMARY KEY, {named}, "
            "previous BLOB NOT NULL, hash BLOB NOT NULL) STRICT"
        )
    yield (
        "CREATE TABLE blobs (key BLOB PRIMARY KEY, packed INTEGER NOT NULL, data BLOB NOT NULL) "
        "STRICT"
    )
    for table in (*TABLES, "blobs"):
        for action in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_refuses_{action.lower()} BEFORE {action} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END"
            )
    yield f"PRAGMA application_id = {APPLICATION_ID}"
    yield f"PRAGMA user_version = {SCHEMA_VERSION}"


def stored(table: str, row: Mapping[str, object]) -> tuple[Cell, ...]:
    """The cells of a row in the order of its table, as SQLite will give them back.

    Numbers that are not finite, which SQLite cannot tell from missing ones, become NULL.
    """
    return tuple(_cell(row[name], kind) for name, kind in TABLES[table].items())


def _cell(value: object, kind: str) -> Cell:
    if kind == "REAL" and isinstance(value, float | int):
        number = float(value) + 0.0  # SQLite drops the sign of zero
        return number if isfinite(number) else None
    if kind.startswith("INTEGER") and isinstance(value, int):
        return int(value)
    if value is None or isinstance(value, str | bytes):
        return value
    raise TypeError(f"{value!r} cannot stand in a column of type {kind}")


_WORTH_PACKING_BYTES = 2048
_LARGEST_PACKED = 0.85


def pack(data: bytes) -> tuple[int, bytes]:
    """Bytes as they are stored, and 1 when they are compressed because that pays."""
    if len(data) >= _WORTH_PACKING_BYTES:
        packed = zlib.compress(data, 1)
        if len(packed) < _LARGEST_PACKED * len(data):
            return 1, packed
    return 0, data


def unpack(packed: int, data: bytes) -> bytes:
    """The bytes that `pack` was given.

    Raises:
        CodecError: they are damaged.
    """
    try:
        return zlib.decompress(data) if packed else data
    except zlib.error as error:
        raise CodecError(f"a stored value is damaged: {error}") from error
