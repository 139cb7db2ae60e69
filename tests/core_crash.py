"""Runs the demo's batch in this process until it is killed; prints each cycle once it is over.

Run as `python -m tests.core_crash CONFIG FOLDER COMPILED`.
"""

import sys
from pathlib import Path

from mpc_agent.config import Settings
from mpc_agent.estimation.filter import keep_compiled
from mpc_agent.memory import CycleRecord
from tests.examples_batch import run_batch


def tell(record: CycleRecord) -> None:
    """Say which cycle is over."""
    sys.stdout.write(f"{record.number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    keep_compiled(sys.argv[3])
    run_batch(Path(sys.argv[2]), settings=Settings.load(Path(sys.argv[1]), {}), follow=tell)
