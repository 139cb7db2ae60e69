"""Kills writers of a record at random moments; prints what had been acknowledged before each kill.

Run as `python -m tests.record_crash FILE KILLS SEED`. Each writer is a forked process that
continues the record; it reports every commit through a pipe once the journal has returned.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

from mpc_agent.journal import Journal
from mpc_agent.values import Applied
from tests import record_values


def write_until_killed(path: Path, acknowledge: int) -> None:
    """Continue the record for ever; one line per committed intent and outcome."""
    with Journal.open(path, record_values.SHARED) as journal:
        for number in journal.unresolved:
            journal.outcome(number, Applied(written=False), {})
            os.write(acknowledge, f"outcome {number}\n".encode())
        last = journal.last()
        number = last.number + 1 if last else 0
        while True:
            cycle = record_values.cycle(number)
            memory = record_values.Memory(cycle.decision.mode, (), cycle.decision.plans)
            journal.intent(number, cycle.time_s, cycle.readings, memory, cycle.decision)
            os.write(acknowledge, f"intent {number}\n".encode())
            journal.outcome(number, cycle.applied, cycle.durations)
            os.write(acknowledge, f"outcome {number}\n".encode())
            number += 1


def kill_one_writer(path: Path, commits: int) -> list[str]:
    """Let a writer make some commits, kill it in the middle of the next; all it acknowledged."""
    read_end, write_end = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(read_end)
        write_until_killed(path, write_end)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        acknowledged = [pipe.readline().strip() for _ in range(commits)]
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        return acknowledged + [line.strip() for line in pipe if line.endswith("\n")]


def main(path: Path, kills: int, seed: int) -> None:
    """Kill writers and print the acknowledgements of each as a line of JSON."""
    chance = random.Random(seed)
    Journal.create(path, record_values.header(), record_values.SHARED).close()
    for _ in range(kills):
        sys.stdout.write(json.dumps(kill_one_writer(path, chance.randint(1, 12))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
