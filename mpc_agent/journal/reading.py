"""Questions to a record."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from mpc_agent.codec import Codec
from mpc_agent.journal.chain import GENESIS
from mpc_agent.journal.schema import TABLES, Cell
from mpc_agent.record import Forecast
from mpc_agent.values import Applied, Estimate, Mode, Plan, Readings, Setpoints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LastCycle:
    """Where a record stops.

    Attributes:
        number: the newest cycle.
        time_s: when it began.
        mode: its mode.
        resolved: whether its outcome is recorded; if not, only the plant knows what was applied.
    """

    number: int
    time_s: float
    mode: Mode
    resolved: bool


@dataclass(frozen=True, slots=True)
class RecordedCycle:
    """One cycle as the record tells it; `applied` is None when its outcome is missing."""

    number: int
    time_s: float
    mode: Mode
    readings: Readings
    estimate: Estimate
    plans: Mapping[str, Plan]
    setpoints: Setpoints
    expected: Mapping[str, Forecast]
    applied: Applied | None
    durations: Mapping[str, float]


def end_of_chain(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Sequence number and hash of the newest row; before the first one, what stands for it."""
    newest = (
        connection.execute(
            f"SELECT sequence, hash FROM {table} ORDER BY sequence DESC LIMIT 1"  # noqa: S608
        ).fetchone()
        for table in TABLES
    )
    return max((row for row in newest if row), default=(-1, GENESIS))


def last_cycle(connection: sqlite3.Connection) -> LastCycle | None:
    """The newest cycle; None before the first."""
    row = connection.execute(
        "SELECT number, time_s, mode, number IN (SELECT number FROM outcomes) FROM intents "
        "ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    return LastCycle(row[0], row[1], Mode(row[2]), bool(row[3])) if row else None


def has_intent(connection: sqlite3.Connection, number: int) -> bool:
    """Whether a cycle's intent is recorded."""
    query = "SELECT 1 FROM intents WHERE number = ?"
    return connection.execute(query, (number,)).fetchone() is not None


def unresolved(connection: sqlite3.Connection) -> tuple[int, ...]:
    """Cycles with an intent and without an outcome."""
    query = (
        "SELECT number FROM intents WHERE number NOT IN (SELECT number FROM outcomes) "
        "ORDER BY sequence"
    )
    return tuple(number for (number,) in connection.execute(query))


def value(
    connection: sqlite3.Connection, codec: Codec, column: str, number: int, kind: type[T]
) -> T:
    """An encoded column of a cycle's intent; KeyError when there is no such cycle."""
    query = f"SELECT {column} FROM intents WHERE number = ?"  # noqa: S608 - columns are ours
    row = connection.execute(query, (number,)).fetchone()
    if row is None:
        raise KeyError(number)
    return codec.decode(row[0], kind)


def cycles(connection: sqlite3.Connection, codec: Codec, first: int) -> Iterator[RecordedCycle]:
    """Cycles in the order they were recorded, from number `first` on."""
    decode = codec.decode
    plans_kind: type[Mapping[str, Plan]] = Mapping[str, Plan]  # type: ignore[type-abstract]
    for row in connection.execute(
        "SELECT number, time_s, mode, readings, estimate, plans, guarded, expected, applied, "
        "durations FROM intents LEFT JOIN outcomes USING (number) WHERE number >= ? "
        "ORDER BY intents.sequence",
        (first,),
    ):
        number, time_s, mode, readings, estimate, plans, guarded, expected, applied, durations = row
        yield RecordedCycle(
            number=number,
            time_s=time_s,
            mode=Mode(mode),
            readings=decode(readings, Readings),
            estimate=decode(estimate, Estimate),
            plans=decode(plans, plans_kind),
            setpoints=decode(guarded, Setpoints),
            expected=msgspec.json.decode(expected, type=dict[str, Forecast]),
            applied=decode(applied, Applied) if applied else None,
            durations=msgspec.json.decode(durations or "{}", type=dict[str, float]),
        )


def rows(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Cell]]:
    """Rows of a table by column name, in order; KeyError when there is no such table."""
    names = ("sequence", *TABLES[table])
    query = f"SELECT {', '.join(names)} FROM {table} ORDER BY sequence"  # noqa: S608
    for row in connection.execute(query):
        yield dict(zip(names, row, strict=True))
