"""Tables of a report: events, lab results, solves, wall times, changes of mode."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import median

import numpy as np

from mpc_agent.estimate_reasons import with_deviation
from mpc_agent.journal import Journal
from mpc_agent.record import BatchHeader
from mpc_agent.report.panel import pretty_unit
from mpc_agent.report.series import Series
from mpc_agent.values import SampleResult, Severity, SolveStatus

MOST_EVENTS = 2000

STAGES = {
    "read": "Read the plant",
    "decide": "Estimate, plan, guard",
    "write": "Write and read back",
    "cycle": "Whole cycle",
}


@dataclass(frozen=True)
class EventRow:
    """One event, as people read it; `severity` is that of the record."""

    day: str
    severity: str
    code: str
    text: str
    actor: str


@dataclass(frozen=True)
class SampleRow:
    """One lab result, as people read it."""

    drawn: str
    fused: str
    analyte: str
    value: str
    innovation: str
    change: str
    verdict: str
    entered_by: str


@dataclass(frozen=True)
class SolveRow:
    """All solves of one problem that ended in one way."""

    problem: str
    status: str
    usable: bool
    count: int
    share: str
    iterations: str


@dataclass(frozen=True)
class DurationRow:
    """Wall times of one stage, ms."""

    stage: str
    median: str
    high: str
    highest: str


@dataclass(frozen=True)
class TransitionRow:
    """One change of the actual mode."""

    day: str
    mode_from: str
    mode_to: str
    reason: str


def day_of(header: BatchHeader, time_s: object) -> str:
    """When, as day and time of day since inoculation: "3 d 07:20"."""
    if not isinstance(time_s, float | int):
        return ""
    minutes = round((time_s - header.inoculated_at_s) / 60)
    sign = "\u2212" if minutes < 0 else ""
    days, rest = divmod(abs(minutes), 24 * 60)
    return f"{sign}{days} d {rest // 60:02d}:{rest % 60:02d}"


def events(journal: Journal) -> tuple[list[EventRow], int]:
    """The newest events, oldest first, and how many older ones were left out."""
    rows = [
        EventRow(
            day=day_of(journal.header, row["time_s"]),
            severity=str(row["severity"]),
            code=str(row["code"]),
            text=str(row["text"]),
            actor=str(row["actor"]),
        )
        for row in journal.rows("events")
    ]
    alarms = [row for row in rows if row.severity == Severity.ALARM]
    others = [row for row in rows if row.severity != Severity.ALARM]
    left_out = max(len(rows) - MOST_EVENTS, 0)
    if not left_out:
        return rows, 0
    # Alarms are never left out in favour of mere events.
    kept = {id(row) for row in (*others[left_out:], *alarms[-MOST_EVENTS:])}
    return [row for row in rows if id(row) in kept], len(rows) - len(kept)


def samples(journal: Journal, series: Series) -> list[SampleRow]:
    """All lab results in the order in which they were fused or refused."""
    changes: dict[tuple[object, object, object], str] = {
        (estimate.time_s, result.sample.analyte, result.sample.drawn_at_s): _change(result)
        for estimate in series.estimates
        for result in estimate.samples
    }
    return [
        SampleRow(
            drawn=day_of(journal.header, row["drawn_at_s"]),
            fused=day_of(journal.header, row["time_s"]),
            analyte=str(row["analyte"]).replace("_", " "),
            value=f"{_number(row['value'], '.4g')} {pretty_unit(str(row['unit']))}".strip(),
            innovation=_number(row["innovation"], "+.3g"),
            change=changes.get((row["time_s"], row["analyte"], row["drawn_at_s"]), ""),
            verdict=str(row["verdict"]),
            entered_by=str(row["entered_by"]),
        )
        for row in journal.rows("samples")
    ]


def _change(result: SampleResult) -> str:
    """The estimate when the result came, without it and with it."""
    if not all(map(isfinite, (*result.before, *result.after))):
        return ""
    told = f"{with_deviation(*result.before)} \u2192 {with_deviation(*result.after)}"
    return told.replace("+/-", "\u00b1")


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, float | int) else ""


def transitions(journal: Journal) -> list[TransitionRow]:
    """All changes of the actual mode."""
    return [
        TransitionRow(
            day=day_of(journal.header, row["time_s"]),
            mode_from=str(row["mode_from"]),
            mode_to=str(row["mode_to"]),
            reason=str(row["reason"]),
        )
        for row in journal.rows("transitions")
    ]


def solves(journal: Journal) -> list[SolveRow]:
    """Solves by problem and by how they ended."""
    counts: Counter[tuple[str, str]] = Counter()
    iterations: dict[tuple[str, str], list[int]] = {}
    for row in journal.rows("solves"):
        key = (str(row["problem"]), str(row["status"]))
        counts[key] += 1
        if isinstance(row["iterations"], int):
            iterations.setdefault(key, []).append(row["iterations"])
    totals = Counter[str]()
    for (problem, _), count in counts.items():
        totals[problem] += count
    return [
        SolveRow(
            problem=problem,
            status=status,
            usable=status in (SolveStatus.SOLVED, SolveStatus.ACCEPTABLE),
            count=count,
            share=f"{100 * count / totals[problem]:.1f} %",
            iterations=_spread(iterations.get((problem, status), [])),
        )
        for (problem, status), count in sorted(counts.items(), key=_problem_then_count)
    ]


def _problem_then_count(item: tuple[tuple[str, str], int]) -> tuple[str, int]:
    (problem, _), count = item
    return problem, -count


def _spread(values: list[int]) -> str:
    return f"{median(values):.0f} ({min(values)} to {max(values)})" if values else ""


def durations(series: Series) -> list[DurationRow]:
    """Wall times by stage: the known ones in the order of a cycle, then all others."""
    names: Mapping[str, str] = {
        **{name: label for name, label in STAGES.items() if name in series.durations},
        **{name: name for name in series.durations if name not in STAGES},
    }
    found = []
    for name, label in names.items():
        values = series.durations[name]
        values = 1000 * values[np.isfinite(values)]
        if len(values):
            middle, high, highest = np.percentile(values, [50, 95, 100])
            found.append(DurationRow(label, f"{middle:.0f}", f"{high:.0f}", f"{highest:.0f}"))
    return found
