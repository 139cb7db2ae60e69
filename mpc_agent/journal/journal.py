"""Writing and reading the record of a batch.

No record, no write: the intent of a cycle is committed before a setpoint goes to the plant, the
outcome after its read-back. The file alone is enough to restart, to replay and to report.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mpc_agent.codec import Codec
from mpc_agent.journal import reading
from mpc_agent.journal.chain import Break, find_breaks, row_hash
from mpc_agent.journal.file import (
    BlobTable,
    JournalError,
    create_record,
    explained,
    open_record,
    transaction,
)
from mpc_agent.journal.reading import LastCycle, RecordedCycle
from mpc_agent.journal.rows import event_row, intent_row, outcome_row, sample_row, solve_row
from mpc_agent.journal.schema import Cell, stored
from mpc_agent.record import BatchHeader, DecisionRecord
from mpc_agent.values import Applied, Estimate, Event, Mode, Plan, Readings, WarmStart

T = TypeVar("T")

ALWAYS_SHARED: tuple[type, ...] = (Estimate, Plan, WarmStart)
"""Types that every record stores once and refers to; a caller names its own besides."""


class Journal:
    """One batch's record, open. Synchronous; at most one call at a time.

    Attributes:
        path: the file.
        header: what was known before the first cycle.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, shared: Iterable[type]) -> None:
        """Continue an open record; use `create` or `open`."""
        self.path = path
        self._connection = connection
        self._codec = Codec((*ALWAYS_SHARED, *shared), BlobTable(connection))
        self._sequence, self._previous = reading.end_of_chain(connection)
        (content,) = connection.execute("SELECT content FROM header").fetchone()
        self.header: BatchHeader = self._codec.decode(content, BatchHeader)
        last = reading.last_cycle(connection)
        self._mode = last.mode if last else Mode.OFF
        solves = connection.execute("SELECT problem, max(time_s) FROM solves GROUP BY problem")
        self._solved_at_s: dict[str, float] = dict(solves.fetchall())

    @classmethod
    def create(cls, path: Path, header: BatchHeader, shared: Iterable[type] = ()) -> "Journal":
        """Begin a record.

        Args:
            path: the file, which must not exist.
            header: what is known of the batch.
            shared: dataclass types that repeat from cycle to cycle.

        Raises:
            JournalError: the file exists or cannot be written.
        """
        create_record(path, header)
        return cls.open(path, shared)

    @classmethod
    def open(cls, path: Path, shared: Iterable[type] = (), read_only: bool = False) -> "Journal":
        """Open a record to continue it, or only to read it, which an agent at work allows.

        Args:
            path: the file.
            shared: the types it was created with; only needed for `memory` and `decision`.
            read_only: never write, not even to recover from a crash.

        Raises:
            JournalError: there is none, it is something else, of another version, or damaged.
        """
        connection = open_record(path, read_only)
        try:
            with explained(path):
                return cls(path, connection, shared)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ write

    def intent(
        self,
        number: int,
        time_s: float,
        readings: Readings,
        memory: object,
        decision: DecisionRecord,
    ) -> None:
        """Commit what a cycle saw and decided. Nothing may be written to the plant before.

        Args:
            number: the cycle, never used before.
            time_s: when it began.
            readings: what the plant said.
            memory: what the decision was made from besides the readings.
            decision: what was decided.

        Raises:
            JournalError: it could not be committed; the record is as it was before.
        """
        cycle = {"number": number, "time_s": time_s}
        new = [plan for plan in decision.plans.values() if self._is_new(plan)]
        with self._transaction():
            self._append("intents", cycle | intent_row(readings, memory, decision, self._codec))
            for result in decision.estimate.samples:
                self._append("samples", cycle | sample_row(result))
            if decision.mode is not self._mode:
                change = {"mode_from": str(self._mode), "mode_to": str(decision.mode)}
                self._append("transitions", cycle | change | {"reason": decision.mode_reason})
            for plan in new:
                self._append("solves", {"number": number} | solve_row(plan))
            for event in decision.events:
                self._append("events", cycle | event_row(event, "agent"))
        self._mode = decision.mode
        self._solved_at_s |= {plan.problem: plan.solved_at_s for plan in new}

    def outcome(self, number: int, applied: Applied, durations: Mapping[str, float]) -> None:
        """Commit what the plant confirmed of a cycle's intent.

        Args:
            number: the cycle.
            applied: what was read back.
            durations: wall time by stage, s; empty when resolved after a restart.

        Raises:
            JournalError: it could not be committed, or the cycle's intent never was.
        """
        with self._transaction():
            if not reading.has_intent(self._connection, number):
                raise JournalError(f"{self.path}: cycle {number} has no recorded intent")
            row = outcome_row(applied, durations, self._codec)
            self._append("outcomes", {"number": number} | row)

    def event(
        self, time_s: float, event: Event, actor: str = "agent", number: int | None = None
    ) -> None:
        """Commit an event outside of a decision, such as a start or an operator's act.

        Args:
            time_s: when.
            event: what.
            actor: who did it.
            number: the cycle it belongs to, if any.

        Raises:
            JournalError: it could not be committed.
        """
        with self._transaction():
            self._append("events", {"number": number, "time_s": time_s} | event_row(event, actor))

    def _is_new(self, plan: Plan) -> bool:
        return plan.solved_at_s > self._solved_at_s.get(plan.problem, float("-inf"))

    def _append(self, table: str, row: Mapping[str, object]) -> None:
        sequence, cells = self._sequence + 1, stored(table, row)
        hashed = row_hash(self._previous, table, sequence, cells)
        marks = ", ".join("?" * (len(cells) + 3))
        self._connection.execute(
            f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608 - the names are ours
            (sequence, *cells, self._previous, hashed),
        )
        self._sequence, self._previous = sequence, hashed

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit all or nothing; after a failure the journal is where it was."""
        before = self._sequence, self._previous
        try:
            with explained(self.path), transaction(self._connection):
                yield
        except BaseException:
            self._sequence, self._previous = before
            self._codec.forget()
            raise

    # ------------------------------------------------------------------ read

    @property
    def head(self) -> str:
        """Hash of the newest row, in hexadecimal: it vouches for the whole record."""
        return self._previous.hex()

    @property
    def unresolved(self) -> tuple[int, ...]:
        """Cycles with an intent and without an outcome: only the plant knows what it applied."""
        with explained(self.path):
            return reading.unresolved(self._connection)

    def last(self) -> LastCycle | None:
        """The newest cycle; None before the first."""
        with explained(self.path):
            return reading.last_cycle(self._connection)

    def readings(self, number: int) -> Readings:
        """What the plant said in a cycle; KeyError when there is no such cycle."""
        return self._value("readings", number, Readings)

    def memory(self, number: int, kind: type[T]) -> T:
        """What a cycle's decision was made from; KeyError when there is no such cycle."""
        return self._value("memory", number, kind)

    def decision(self, number: int, kind: type[T]) -> T:
        """What a cycle decided; KeyError when there is no such cycle."""
        return self._value("decision", number, kind)

    def cycles(self, first: int = 0) -> Iterator[RecordedCycle]:
        """Cycles in the order they were recorded, from number `first` on."""
        with explained(self.path):
            yield from reading.cycles(self._connection, self._codec, first)

    def rows(self, table: str) -> Iterator[dict[str, Cell]]:
        """Rows of "samples", "events", "transitions", "solves" or any other table, in order."""
        with explained(self.path):
            yield from reading.rows(self._connection, table)

    def verify(self) -> list[Break]:
        """Everything in the file that is not as it was written; empty when it is intact."""
        return find_breaks(self._connection)

    def _value(self, column: str, number: int, kind: type[T]) -> T:
        with explained(self.path):
            return reading.value(self._connection, self._codec, column, number, kind)
