"""Progress: a view survives its trip as a line, and people see it as text or as a table."""

import io
from dataclasses import replace

from rich.console import Console

from mpc_agent.commands.progress import (
    CycleView,
    Estimated,
    Notice,
    Solve,
    from_line,
    sentence,
    to_line,
)
from mpc_agent.commands.showing import LiveTable, PlainLines, progress_display
from mpc_agent.record import Forecast
from mpc_agent.values import Mode

VIEW = CycleView(
    number=72,
    time_s=1_767_643_200.0,
    batch_h=12.0,
    harvest_h=336.0,
    mode=Mode.CONTROL,
    mode_reason="As asked for: CONTROL.",
    connected=True,
    estimates={
        "viable_cells": Estimated(0.64, 0.02, "1e9 cells/L"),
        "glucose": Estimated(28.1, 0.4, "mmol/L"),
        "titre": Estimated(0.5, 0.1, "g/L"),
        "pH": Estimated(None, None, "1"),
    },
    shown=("viable_cells", "glucose", "titre"),
    expected={"plan": Forecast(4950.4, 100.0), "recipe": Forecast(4820.0, 90.0)},
    solves=(
        Solve("feed", "SOLVED", 12, 1_767_643_200.0),
        Solve("gas", "SOLVED", 3, 1_767_643_200.0),
    ),
    notices=(Notice("REMOTE_LOST", alarm=True, text="The operator took [over]."),),
    cycle_s=0.02,
)


def test_a_view_survives_its_trip_as_a_line() -> None:
    assert from_line(to_line(VIEW)) == VIEW
    assert "\n" not in to_line(VIEW)


def test_other_lines_are_no_views() -> None:
    for line in (b"", b"{", b"{}", b"Traceback", b"\xff\xfe", b"[1]"):
        assert from_line(line) is None


def test_a_line_says_what_matters() -> None:
    assert sentence(VIEW) == (
        "day  0.50  CONTROL  cells 0.64e9/L  glucose 28.10 mmol/L  titre 0.50 ±0.20 g/L  "
        "harvest 4950 ±196 g (recipe 4820 g)  feed solved, 12 iterations"
    )
    bare = replace(VIEW, estimates={}, expected={}, solves=(), connected=False)
    assert sentence(bare) == "day  0.50  CONTROL  plant not connected"


def test_plain_lines_come_28_times_over_a_batch_and_at_its_end() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    for number in range(6 * 336 + 1):
        lines.show(replace(VIEW, batch_h=number / 6, notices=()))
    days = [line.split()[1] for line in stream.getvalue().splitlines()]
    assert days == [f"{day / 2:.2f}" for day in range(29)]


def test_short_batches_are_told_in_hours() -> None:
    short = replace(VIEW, harvest_h=33.0, estimates={}, expected={}, solves=())
    assert sentence(short) == " 12.0 h  CONTROL"


def test_alarms_are_said_at_once() -> None:
    stream = io.StringIO()
    PlainLines(stream).show(VIEW)
    assert stream.getvalue().startswith("day  0.50  ALARM REMOTE_LOST: The operator took [over].\n")


def test_a_terminal_gets_a_table() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with LiveTable(console) as table:
        table.say("plant   serving at opc.tcp://[::1]:4840/")
        table.show(VIEW)
    shown = stream.getvalue()
    for text in (
        "opc.tcp://[::1]:4840/",
        "0.50 of 14",
        "CONTROL  As asked for",
        "28.10 mmol/L",
        "0.50 ±0.20 g/L",
        "4950 ±196 g (recipe 4820 g)",
        "feed solved, 12 iterations",
        "REMOTE_LOST: The operator took [over].",
    ):
        assert text in shown


def test_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    with progress_display(stream) as display:
        display.say("hello")
    assert stream.getvalue() == "hello\n"
