"""The record of one batch: one SQLite file, append-only, hash-chained."""

from mpc_agent.journal.chain import Break
from mpc_agent.journal.file import JournalError
from mpc_agent.journal.journal import Journal
from mpc_agent.journal.reading import LastCycle, RecordedCycle

__all__ = ["Break", "Journal", "JournalError", "LastCycle", "RecordedCycle"]
