"""Writing plausible cycles to a record."""

from pathlib import Path

from mpc_agent import codec
from mpc_agent.journal import Journal
from tests import record_values as values


def same(one: object, other: object) -> bool:
    """Whether two values are the same in every bit that is recorded."""
    return codec.encode(one) == codec.encode(other)


def memory_of(cycle: values.Cycle) -> values.Memory:
    """A memory with some history, as before a cycle."""
    steps = tuple(
        values.Step(float(i), cycle.decision.estimate.mean, cycle.decision.estimate.factor)
        for i in range(3)
    )
    return values.Memory(cycle.decision.mode, (values.Chapter(steps),), cycle.decision.plans)


def write_intent(journal: Journal, number: int) -> None:
    """Record the intent of a cycle."""
    cycle = values.cycle(number)
    journal.intent(number, cycle.time_s, cycle.readings, memory_of(cycle), cycle.decision)


def write(journal: Journal, *numbers: int) -> None:
    """Record whole cycles."""
    for number in numbers:
        cycle = values.cycle(number)
        write_intent(journal, number)
        journal.outcome(number, cycle.applied, cycle.durations)


def reopened(path: Path) -> Journal:
    """A record, opened to be continued."""
    return Journal.open(path, values.SHARED)
