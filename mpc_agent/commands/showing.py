"""How progress is shown: a live table on a terminal, a line now and then in a pipe."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import floor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mpc_agent.commands.progress import (
    CycleView,
    estimate_text,
    harvest_text,
    label,
    sentence,
    solve_text,
)

LINES = 28
"""Parts of a batch that get a line each: half-days of fourteen days."""

LATEST_NOTICES = 6


class Display(Protocol):
    """Where progress is shown."""

    def say(self, text: str) -> None:
        """A sentence about what happens around the batch."""
        ...

    def show(self, view: CycleView) -> None:
        """A finished cycle."""
        ...


class PlainLines:
    """Some thirty lines over the batch, and every alarm, for pipes and logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = -1

    def say(self, text: str) -> None:
        """A sentence about what happens around the batch."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def show(self, view: CycleView) -> None:
        """A finished cycle: said when it is the first of its part of the batch, or the last."""
        for notice in view.notices:
            if notice.alarm:
                self.say(f"{view.when}  ALARM {notice.code}: {notice.text}")
        part = floor(LINES * view.batch_h / view.harvest_h + 1e-6)
        if part > self._shown or view.batch_h >= view.harvest_h - 1e-3:
            self._shown = part
            self.say(sentence(view))


class LiveTable:
    """A table that is drawn anew with every cycle, for terminals; a context manager."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._console = console
        self._notices: deque[Text] = deque(maxlen=LATEST_NOTICES)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """A sentence about what happens around the batch."""
        self._live.console.print(text, highlight=False, markup=False)

    def show(self, view: CycleView) -> None:
        """A finished cycle."""
        for notice in view.notices:
            style = "bold red" if notice.alarm else "dim"
            self._notices.append(Text(f"{view.when}  {notice.code}: {notice.text}", style=style))
        self._live.update(self._drawn(view))

    def _drawn(self, view: CycleView) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", min_width=9)
        table.add_column()
        table.add_row("batch", view.when_of_all)
        table.add_row("", ProgressBar(total=view.harvest_h, completed=view.batch_h, width=40))
        table.add_row("mode", f"{view.mode}  [dim]{escape(view.mode_reason)}[/dim]")
        if not view.connected:
            table.add_row("plant", Text("not connected", style="bold red"))
        for name in view.shown:
            value = estimate_text(view, name)
            if value:
                table.add_row(label(name), value)
        table.add_row("expected", harvest_text(view).removeprefix("harvest "))
        table.add_row("last solve", solve_text(view) if view.solves else "none yet")
        return Group(table, *self._notices)


def shown_path(path: Path) -> str:
    """A path as people would type it: relative where it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@contextmanager
def progress_display(stream: TextIO) -> Iterator[Display]:
    """The right display for a stream."""
    if stream.isatty():
        with LiveTable(Console(file=stream)) as live:
            yield live
    else:
        yield PlainLines(stream)
