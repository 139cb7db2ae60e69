"""A record whose writer is killed loses nothing that was acknowledged."""

import json
import subprocess
import sys
from pathlib import Path

from mpc_agent.journal import Journal
from tests import record_values as values

KILLS = 25


def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "batch.sqlite"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.record_crash", path, str(KILLS), "11"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rounds = [json.loads(line) for line in told.stdout.splitlines()]
    acknowledged = [line for round_ in rounds for line in round_]
    assert len(rounds) == KILLS
    assert len(acknowledged) > 2 * KILLS
    with Journal.open(path, values.SHARED) as journal:
        assert journal.verify() == []
        intents = [told.number for told in journal.cycles()]
        outcomes = [told.number for told in journal.cycles() if told.applied is not None]
        assert intents == list(range(len(intents)))
        assert {int(line.split()[1]) for line in acknowledged if "intent" in line} <= set(intents)
        assert {int(line.split()[1]) for line in acknowledged if "outcome" in line} <= set(outcomes)
        assert set(journal.unresolved) == set(intents) - set(outcomes) <= {intents[-1]}
        newest = values.cycle(intents[-1])
        assert journal.memory(intents[-1], values.Memory).mode is newest.decision.mode
