"""The report of a batch."""

import json
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc_agent.errors import BadRecordError, CannotWriteError, NoInputError
from mpc_agent.journal import Journal
from mpc_agent.report import find_sources, traces, write_report
from mpc_agent.report.series import read_series
from mpc_agent.report.sources import Result, read_result, read_truth
from mpc_agent.report.summary import summarise
from mpc_agent.values import Event, Severity
from plant_models.cho_mab import CONTROL
from tests import record_values as values
from tests.report_batch import record_batch
from tests.report_plant import ADAPTED, ASSAYS, SIGNALS

HOURS = 60.0
LARGEST_PAGE_BYTES = 6_000_000
LEARNT = [name for name in CONTROL.parameters if name in ADAPTED]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    record_batch(folder, HOURS)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_report(run).read_text("utf-8")


def embedded(page: str) -> dict[str, Any]:
    """The numbers of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def traces_of(page: str, title: str) -> dict[str, dict[str, Any]]:
    """Traces of the plot with this title, by name, their arrays filled in."""
    titles = re.findall(r'<span class="title">(.*?)</span>', page)
    data = embedded(page)
    found = data["panels"][titles.index(title)]["traces"]
    for trace in found:
        for axis in ("x", "y"):
            if isinstance(trace[axis], str):
                trace[axis] = data["arrays"][trace[axis]]
    return {trace["name"]: trace for trace in found}


class Outline(HTMLParser):
    """Tags that are open, and everything that would be fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [f"{tag} {value}" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_one_file_of_modest_size_that_fetches_nothing(page: str) -> None:
    assert len(page.encode()) < LARGEST_PAGE_BYTES
    outline = Outline()
    outline.feed(page)
    assert outline.fetched == []
    assert "default-src 'none'" in page


def test_every_quantity_has_its_plot(page: str) -> None:
    data = embedded(page)
    assert len(data["panels"]) == page.count('class="plot"')
    # forecast, timeline, consistency, wall time; volume; seven flows; six learnt parameters; weight
    # is online
    assert len(data["panels"]) == len(ASSAYS) + len(SIGNALS) + 4 + 1 + 7 + 6
    used = {
        trace[axis]
        for panel in data["panels"]
        for trace in panel["traces"]
        for axis in ("x", "y", "base")
        if isinstance(trace.get(axis), str)
    }
    assert used == set(data["arrays"])
    longest = max(len(values) for values in data["arrays"].values())
    assert longest <= traces.POINTS_PER_TRACE + 2


def test_a_lab_quantity_shows_truth_estimate_samples_and_limits(page: str) -> None:
    glucose = traces_of(page, "Glucose")
    assert set(glucose) == {"limit", "95 % band", "estimate", "truth", "sample"}
    assert glucose["limit"]["x"] == [0.0, 2.5]
    assert glucose["estimate"]["line"]["color"] == traces.ESTIMATE
    assert glucose["truth"]["line"]["dash"] == "dash"
    drawn = glucose["sample"]["x"]
    assert drawn == pytest.approx([0.0069, 1.0069, 2.0069], abs=1e-3)


def test_a_feed_shows_recipe_setpoint_read_back_and_truth(page: str) -> None:
    feed = traces_of(page, "Glucose feed")
    assert set(feed) == {"recipe", "read back", "setpoint", "truth"}
    assert feed["recipe"]["line"]["shape"] == "hv"
    assert max(feed["recipe"]["x"]) == HOURS / 24


def test_targets_show_as_setpoints(page: str) -> None:
    pressure = traces_of(page, "Partial pressure of dissolved carbon dioxide")
    assert pressure["setpoint"]["y"][0] == 60.0


def test_the_headline_compares_with_recipe_and_optimum(page: str) -> None:
    assert "Product harvested" in page
    assert "agent +13.3 %" in page
    assert "agent at 97.9 %" in page


def table(page: str, name: str) -> dict[str, list[str]]:
    """Cells of a table's rows, by the first of them."""
    found = re.search(rf'<table id="{name}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert found
    rows = [re.findall(r"<td.*?>(.*?)</td>", row) for row in found[1].split("</tr>")]
    cells = [[re.sub(r"<.*?>", " ", cell).strip() for cell in row] for row in rows if row]
    return {first: rest for first, *rest in cells}


def test_every_signal_shows_how_far_it_is_trusted(page: str) -> None:
    rows = table(page, "signals")
    assert list(rows) == [name.replace("_", " ") for name in (*SIGNALS, *ASSAYS)]
    source, verdict, used, refused, _, consistency, judged, offset = rows["pH"]
    assert (source, verdict) == ("online", "OK")
    assert (int(used), int(refused)) == (360, 0)
    assert re.fullmatch(r"\d\.\d\d \(0\.64 to 1\.44\)", consistency)
    assert judged == "estimate wrong 1\u00d7"
    assert offset == "0.0210 \u00b1 0.0060"
    assert rows["capacitance"][-1] == "\u22120.04 \u00b1 0.10 pF/cm"
    assert rows["glucose"][:4] == ["lab", "OK", "3", "0"]


def test_states_and_parameters_show_what_measurements_tell_of_them(page: str) -> None:
    rows = table(page, "unknowns")
    assert list(rows) == [*CONTROL.state_names, *LEARNT]
    assert rows["volume"][-1] == "95 %"
    assert rows[LEARNT[-1]][-1].split() == ["1", "%", "not", "seen"]


def test_learnt_parameters_show_their_range_and_moves(page: str) -> None:
    rows = table(page, "learnt")
    assert [name.split()[0] for name in rows] == LEARNT
    before, now, unit, _, approved, moves = rows["mu_max"]
    nominal = CONTROL.parameters["mu_max"].value
    assert (before, unit, moves) == (f"{nominal:.4g}", "1/h", "1")
    assert "\u00b1" in now
    assert approved == f"{0.7 * nominal:g} to {1.3 * nominal:g}"
    assert [name for name in rows if "at its end" in name] == [f"{LEARNT[-1]}  at its end"]


def test_every_plan_is_shown_with_its_reasons(page: str) -> None:
    rows = re.findall(r"<tr>.*?</tr>", page[page.index('id="plans"') :])
    plans = [row for row in rows if "<details>" in row]
    assert len(plans) == HOURS / 2
    assert "volume \u2191" in plans[0]
    assert "than expected on day 0.1, with the plan before" in plans[2]
    # What is over has no plan in force.
    assert 'id="limits"' not in page


def test_lab_results_show_the_estimate_without_and_with_them(page: str) -> None:
    assert re.search(r"\d \u00b1 [\d.]+ \u2192 [\d.]+ \u00b1", page)


def test_identity_and_tables_are_there(run: Path, page: str) -> None:
    with Journal.open(run / "CHO-DEMO.sqlite", read_only=True) as journal:
        header, head = journal.header, journal.head
    for text in (header.config_hash, header.model_hash, head, "record intact", "SAMPLE_FUSED"):
        assert text in page


# ------------------------------------------------------------------ less than everything


def test_the_record_alone_is_enough(tmp_path: Path) -> None:
    record = record_batch(tmp_path, HOURS, truth=False)
    page = write_report(record, tmp_path / "out" / "page.html").read_text("utf-8")
    assert "Product at harvest" in page
    assert "estimated" in page
    assert "simulated plant" not in page
    assert "truth" not in traces_of(page, "Glucose")


def test_a_batch_in_progress_is_compared_with_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "batch.sqlite"
    with Journal.create(path, values.header(), values.SHARED) as journal:
        for number in range(3):
            cycle = values.cycle(number)
            journal.intent(number, cycle.time_s, cycle.readings, None, cycle.decision)
            journal.outcome(number, cycle.applied, cycle.durations)
    page = write_report(tmp_path).read_text("utf-8")
    assert "in progress" in page
    assert "Product expected" in page
    assert "4.81" in page
    assert "agent +15.9 %" in page
    rows = table(page, "uses")
    assert list(rows) == list(values.FEEDS)
    assert "its upper limit, 2002 L" in page


def test_a_batch_without_cycles_has_a_page(tmp_path: Path) -> None:
    Journal.create(tmp_path / "batch.sqlite", values.header()).close()
    page = write_report(tmp_path).read_text("utf-8")
    assert "No cycle has been recorded yet." in page
    assert embedded(page)["panels"] == []


def test_an_interrupted_cycle_does_not_disturb(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "batch.sqlite", values.header(), values.SHARED) as journal:
        cycle = values.cycle(0)
        journal.intent(0, cycle.time_s, cycle.readings, None, cycle.decision)
    assert "Cycles without outcome" in write_report(tmp_path).read_text("utf-8")


def test_a_damaged_record_is_told_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "batch.sqlite"
    with Journal.create(path, values.header()) as journal:
        journal.event(1.0, Event("NOTE", Severity.EVENT, "said"))
    with closing(sqlite3.connect(path)) as tool:
        tool.execute("DROP TRIGGER events_refuses_update")
        tool.execute("UPDATE events SET text = 'never said'")
        tool.commit()
    page = write_report(tmp_path).read_text("utf-8")
    assert "record damaged" in page
    assert "events, row 1: its content was changed" in page


def test_texts_of_the_record_cannot_become_markup(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script><b>&amp;"
    header = replace(values.header(batch=nasty), config=nasty)
    with Journal.create(tmp_path / "batch.sqlite", header, values.SHARED) as journal:
        journal.event(values.INOCULATED_AT_S, Event(nasty, Severity.ALARM, nasty), actor=nasty)
        cycle = values.cycle(0)
        decision = replace(cycle.decision, expected={}, mode_reason=nasty)
        journal.intent(0, cycle.time_s, cycle.readings, None, decision)
    page = write_report(tmp_path).read_text("utf-8")
    assert "<script>alert" not in page
    outline = Outline()
    outline.feed(page)
    assert nasty in outline.text


# ------------------------------------------------------------------ what a person can correct


def test_a_missing_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="there is no run at"):
        write_report(tmp_path / "none")
    with pytest.raises(NoInputError, match="there is no record"):
        write_report(tmp_path)


def test_several_records_in_one_folder_are_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Journal.create(tmp_path / f"{name}.sqlite", values.header()).close()
    with pytest.raises(NoInputError, match=r"name one of a\.sqlite, b\.sqlite"):
        write_report(tmp_path)


def test_a_page_that_cannot_be_written_is_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="cannot be written"):
        write_report(run, tmp_path / "file" / "page.html")


def test_what_is_no_ordinary_file_is_not_replaced(run: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(CannotWriteError, match="not an ordinary file"):
        write_report(run, pipe)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "read"), [("truth.npz", read_truth), ("result.json", read_result)]
)
def test_other_files_that_are_damaged_are_told(tmp_path: Path, name: str, read: Any) -> None:
    Journal.create(tmp_path / "batch.sqlite", values.header()).close()
    (tmp_path / name).write_bytes(b"\0nothing")
    with pytest.raises(BadRecordError, match="is no"):
        read(find_sources(tmp_path))


# ------------------------------------------------------------------ drawing


def test_decimation_keeps_ends_extremes_and_stairs() -> None:
    wave = np.sin(np.arange(50_000) / 7)
    wave[31_234] = 9.0
    assert {0, 49_999} <= set(traces.thinned(len(wave)).tolist())
    kept = traces.extremes(wave)
    assert len(kept) <= traces.POINTS_PER_TRACE
    assert 31_234 in kept
    stairs = np.repeat([1.0, 2.0, np.nan, 2.0], 1000)
    assert traces.changes(stairs).tolist() == [0, 1000, 1999, 2000, 3000, 3999]
    assert len(traces.changes(wave)) <= traces.POINTS_PER_TRACE


def test_arrays_are_kept_once_rounded_and_without_nan() -> None:
    arrays = traces.Arrays()
    first = arrays.add(np.array([1.23456789, np.nan, np.inf]))
    assert arrays.add(np.array([1.2345678, np.nan, np.nan])) == first
    assert arrays.kept == {first: [1.2346, None, None]}


def test_a_band_never_leaves_where_the_quantity_can_be() -> None:
    arrays = traces.Arrays()
    mean, deviation = np.array([0.5, 99.0]), np.array([1.0, 2.0])
    lower, upper = traces.band(arrays, np.arange(2.0), mean, deviation, bounds=(0.0, 100.0))
    assert arrays.kept[lower["y"]] == [0.0, 95.08]
    assert arrays.kept[upper["y"]] == [2.46, 100.0]


def test_the_summary_leaves_out_what_nobody_knows(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "batch.sqlite", values.header(), values.SHARED) as journal:
        told = summarise(read_series(journal), Result(), alarms=0)
    assert told.product is None
    assert told.bars == ()
    assert [figure.label for figure in told.figures] == ["Alarms"]
