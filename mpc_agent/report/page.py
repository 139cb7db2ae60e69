"""One self-contained HTML page from a batch's record."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mpc_agent.journal import Journal
from mpc_agent.record import SHORT_H, BatchHeader
from mpc_agent.report import panels, tables
from mpc_agent.report.html import embedded, numbered, rendered, write_page
from mpc_agent.report.panel import Group
from mpc_agent.report.plan_tables import History, Plans, Why, history
from mpc_agent.report.series import Series, read_series
from mpc_agent.report.sources import (
    Result,
    Sources,
    find_sources,
    open_record,
    read_result,
    read_truth,
)
from mpc_agent.report.summary import is_finished, summarise
from mpc_agent.report.traces import Arrays
from mpc_agent.report.trust import Trust
from mpc_agent.values import Severity
from sim_plant.truth import Truth

REPORT_FILE = "report.html"


def write_report(run: Path, output: Path | None = None) -> Path:
    """Make the report of a run.

    Args:
        run: the run's folder, or its record.
        output: the page; `report.html` beside the record when not given.

    Returns:
        The page's path.

    Raises:
        UserError: there is no record, it cannot be read, or the page cannot be written.
    """
    sources = find_sources(run)
    page = render(sources)
    path = output or sources.record.with_name(REPORT_FILE)
    write_page(path, page)
    return path


def render(sources: Sources) -> str:
    """The page as text."""
    with open_record(sources) as journal:
        series = read_series(journal)
        content = _content(journal, series, read_truth(sources), read_result(sources))
    return rendered(Path(__file__).with_name("page.html.j2"), content)


def _content(
    journal: Journal, series: Series, truth: Truth | None, result: Result
) -> dict[str, Any]:
    """All that the template shows."""
    header = journal.header
    arrays = Arrays(time_unit="h" if header.harvest_h < SHORT_H else "d")
    last_h = float(series.time_h[-1]) if len(series.time_h) else 0.0
    span_h = max(header.harvest_h, last_h)
    shown = list(_groups(series, truth, result, arrays, span_h))
    events, left_out = tables.events(journal)
    alarms = sum(1 for row in journal.rows("events") if row["severity"] == Severity.ALARM)
    return {
        "header": header,
        "facts": _facts(header, series),
        "summary": summarise(series, result, alarms),
        "has_truth": truth is not None,
        "groups": list(numbered(shown)),
        "data": embedded(shown, arrays, span_h),
        "plans": _newest_plans(series),
        "plan_histories": list(_plan_histories(series)),
        "trust": _trust(series).content(),
        "events": events,
        "events_left_out": left_out,
        "alarms": alarms,
        "samples": tables.samples(journal, series),
        "transitions": tables.transitions(journal),
        "solves": tables.solves(journal),
        "durations": tables.durations(series),
        "breaks": [str(item) for item in journal.verify()],
        "head": journal.head,
        "unresolved": journal.unresolved,
    }


def _groups(
    series: Series, truth: Truth | None, result: Result, arrays: Arrays, span_h: float
) -> Iterator[Group]:
    """All plots under their headings; none at all for a batch without cycles."""
    if not len(series.time_h):
        return
    forecast = panels.forecast_panel(series, dict(result.product_g), arrays, span_h)
    timeline = panels.timeline_panel(series, arrays)
    yield Group("Course of the batch", (*([forecast] if forecast else []), timeline))
    yield from panels.groups(series, truth, arrays, span_h)
    duration = panels.duration_panel(series, arrays, span_h)
    if duration:
        yield Group("Operation", (duration,))
    consistency = panels.consistency_panel(series, arrays)
    if consistency:
        yield Group("Consistency of the estimate", (consistency,))


def _newest_plans(series: Series) -> list[Why]:
    """Why the plans in force are as they are; nothing any more after harvest."""
    if is_finished(series):
        return []
    newest = {name: plans[-1] for name, plans in series.plans.items()}
    return Plans(series.header, newest).content()


def _plan_histories(series: Series) -> Iterator[History]:
    """All plans of every problem that goes to harvest."""
    for plans in series.plans.values():
        # A look at one of them tells whether it does; the gases have thousands.
        found = history(series.header, plans[-1:]) and history(series.header, plans)
        if found:
            yield found


def _trust(series: Series) -> Trust:
    """How far everything was and is to be trusted."""
    trust = Trust(series.header)
    for estimate in series.estimates:
        trust.see(estimate)
    return trust


def _facts(header: BatchHeader, series: Series) -> list[tuple[str, str]]:
    """The lines under the title."""
    facts = [
        ("Inoculated", _utc(header.inoculated_at_s)),
        ("Planned harvest", f"{_duration(header, header.harvest_h)} after"),
        ("Model", header.model),
        ("Cycle", f"every {header.period_s / 60:g} min"),
    ]
    if len(series.time_h):
        last_s = header.inoculated_at_s + 3600 * float(series.time_h[-1])
        facts.insert(
            1,
            ("Last cycle", f"{_utc(last_s)}, after {_duration(header, float(series.time_h[-1]))}"),
        )
    return facts


def _duration(header: BatchHeader, hours: float) -> str:
    """Hours of a short batch, days of a long one."""
    return f"{hours:.3g} hours" if header.harvest_h < SHORT_H else f"{hours / 24:.3g} days"


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
