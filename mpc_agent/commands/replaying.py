"""What `mpc-agent replay` does: a record once more through the estimator, and how they differ."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mpc_agent.commands.service import cache_folder
from mpc_agent.commands.showing import shown_path
from mpc_agent.errors import BadRecordError, CannotWriteError, NoInputError
from mpc_agent.estimation.filter import ExtendedKalmanFilter, keep_compiled
from mpc_agent.journal import Journal
from mpc_agent.memory import SHARED
from mpc_agent.replay.courses import courses, write_csv
from mpc_agent.replay.page import write_replay_page
from mpc_agent.replay.rerun import Replay, replay, smoothed
from mpc_agent.replay.result import Compared, compared
from mpc_agent.replay.setup import Setup, names_of, other_setup, recorded_names, recorded_setup
from mpc_agent.report.series import read_series
from mpc_agent.report.sources import Sources, find_sources, read_truth

Progress = Callable[[float], None]
"""Told of the share that is done, 0..1."""


def run_replay(
    run: Path,
    config: Path | None,
    csv: Path | None,
    html: Path | None,
    progress: Progress,
) -> Compared:
    """Replay a record, compare, and write what was asked for.

    Args:
        run: the run's folder, or its record.
        config: another configuration than the recorded one.
        csv: file for every mean and deviation.
        html: file for the plots.
        progress: told of the share that is done.

    Raises:
        UserError: there is no record, it is damaged, the configuration does not fit, or a file
            cannot be written.
    """
    sources = find_sources(run)
    for path in (csv, html):
        if path is not None and path.exists() and not path.is_file():
            raise CannotWriteError(f"{path} cannot be written: it is not an ordinary file")
    with Journal.open(sources.record, SHARED, read_only=True) as journal:
        setup = _checked_setup(journal, sources, config)
        cache = cache_folder()
        if cache is not None:
            keep_compiled(str(cache))
        kalman = ExtendedKalmanFilter(setup.settings, setup.period_s / 3600)
        done = _replayed(journal, kalman, setup, progress)
        names = recorded_names(journal.header), names_of(setup.settings)
        record = shown_path(sources.record.absolute())
        told = compared(record, journal.header, setup.source, done, names)
        if csv is not None or html is not None:
            found = courses(journal.header, done, smoothed(kalman, done), names)
            if csv is not None:
                write_csv(csv, found)
            if html is not None:
                series = read_series(journal)
                write_replay_page(html, found, told, series, read_truth(sources))
    return told


def _checked_setup(journal: Journal, sources: Sources, config: Path | None) -> Setup:
    """What to replay with, for a record that is intact and has cycles.

    Raises:
        UserError: it is not, or the configuration does not fit.
    """
    breaks = journal.verify()
    if breaks:
        raise BadRecordError(
            f"{sources.record} is not as it was written ({len(breaks)} breaks, first: {breaks[0]})"
        )
    if journal.last() is None:
        raise NoInputError(f"{sources.record} holds no cycle yet: there is nothing to replay")
    if config is None:
        return recorded_setup(journal.header, sources.record)
    return other_setup(config, journal.header)


def _replayed(
    journal: Journal, kalman: ExtendedKalmanFilter, setup: Setup, progress: Progress
) -> Replay:
    last, begun_s = journal.last(), journal.header.inoculated_at_s
    span_s = max(0.0 if last is None else last.time_s - begun_s, 1.0)
    return replay(journal, kalman, setup, lambda time_s: progress((time_s - begun_s) / span_s))


@contextmanager
def progress_bar(stream: TextIO) -> Iterator[Progress]:
    """A bar on a terminal, which goes away at the end; nothing in a pipe."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(file=stream), transient=True, disable=not stream.isatty()) as bars:
        task = bars.add_task("replaying", total=1.0)
        yield lambda share: bars.update(task, completed=share)
