"""What `mpc-agent run` does: the agent in the foreground, its progress told as it goes."""

import asyncio
import signal
import sys
from dataclasses import dataclass

import structlog

from mpc_agent.commands.progress import CycleView, cycle_view, sentence, to_line
from mpc_agent.commands.service import serve_batch, stop_signals
from mpc_agent.config import Settings, record_file
from mpc_agent.errors import ExitCode
from mpc_agent.memory import CycleRecord, Rooms

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        settings: what was run.
        cycles: number of cycles of the batch so far, those of earlier runs included.
        harvested: the batch reached its harvest.
        stopped_by: the signal that ended it, or None.
    """

    settings: Settings
    cycles: int
    harvested: bool
    stopped_by: signal.Signals | None

    @property
    def exit_code(self) -> ExitCode:
        """130 after Ctrl-C; a service manager's stop is no failure."""
        return ExitCode.INTERRUPTED if self.stopped_by is signal.SIGINT else ExitCode.OK

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "batch": self.settings.document.batch.id,
            "record": str(record_file(self.settings)),
            "config_hash": self.settings.config_hash,
            "cycles": self.cycles,
            "harvested": self.harvested,
            "stopped_by": None if self.stopped_by is None else self.stopped_by.name,
        }


def run_batch(settings: Settings, *, progress_json: bool) -> RunOutcome:
    """Run the agent until harvest or until a signal stops it."""
    return asyncio.run(_run(settings, progress_json=progress_json))


async def _run(settings: Settings, *, progress_json: bool) -> RunOutcome:
    stop = asyncio.Event()

    def follow(record: CycleRecord, rooms: Rooms) -> None:
        view = cycle_view(record, settings.model, rooms.inoculated_at_s, rooms.harvest_h)
        _tell(view)
        if progress_json and not _emit(view):
            stop.set()

    with stop_signals(stop) as came:
        memory = await serve_batch(settings, follow, stop)
    cycles = 0 if memory is None else memory.cycle
    log.info("ended", cycles=cycles, record=str(record_file(settings)))
    return RunOutcome(settings, cycles, not stop.is_set(), came[0] if came else None)


def _tell(view: CycleView) -> None:
    for notice in view.notices:
        tell = log.warning if notice.alarm else log.info
        tell(notice.text, code=notice.code, cycle=view.number)
    log.info(sentence(view), cycle=view.number)


def _emit(view: CycleView) -> bool:
    """Print a view as a JSON line; False when nobody reads any more."""
    try:
        sys.stdout.write(to_line(view) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return False
    return True
