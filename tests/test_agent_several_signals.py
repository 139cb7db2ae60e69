"""Several signals that show one output, and values offered again, in metrics and report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpc_agent.journal import Journal
from mpc_agent.metrics import Metrics
from mpc_agent.record import BatchHeader
from mpc_agent.report.panels import groups
from mpc_agent.report.series import Series, read_series
from mpc_agent.report.traces import Arrays
from mpc_agent.values import Reading, Verdict
from tests import record_values as values

SHOWS = {
    "probe_a": "dissolved_oxygen",
    "probe_b": "dissolved_oxygen",
    "raman": "glucose",
    "weight": "weight",
    "glucose": "glucose",
}
CYCLES = 6


def header() -> BatchHeader:
    signals = tuple(SHOWS)[:4]
    return replace(values.header(), signals=signals, assays=("glucose",), shows=SHOWS)


def cycle(number: int) -> values.Cycle:
    """Raman is measured in every third cycle, probe B refused in one."""
    plain = values.cycle(number)
    raman = Verdict.OK if number % 3 == 0 else Verdict.REPEATED
    probe = Verdict.GATED if number == 2 else Verdict.OK
    verdicts = (Verdict.OK, probe, raman, Verdict.OK)
    ratios = np.array([0.1, 0.2, 0.3 if raman is Verdict.OK else np.nan, 0.1])
    estimate = replace(plain.decision.estimate, verdicts=verdicts, gate_ratios=ratios)
    result = values.sample_result(plain.time_s)
    estimate = replace(estimate, samples=(result,) if number == 4 else ())
    shown = {"probe_a": 60.0, "probe_b": 61.0, "raman": 21.0, "weight": 1404.0}
    measured = {
        name: Reading(name, value + number, plain.time_s - 3) for name, value in shown.items()
    }
    readings = replace(plain.readings, measured=measured)
    return replace(plain, readings=readings, decision=replace(plain.decision, estimate=estimate))


@pytest.fixture
def series(tmp_path: Path) -> Series:
    """What a report reads of a record with these cycles."""
    with Journal.create(tmp_path / "batch.sqlite", header(), values.SHARED) as journal:
        for number in range(CYCLES):
            one = cycle(number)
            journal.intent(number, one.time_s, one.readings, None, one.decision)
            journal.outcome(number, one.applied, one.durations)
        return read_series(journal)


def test_what_was_offered_again_is_no_rejection(tmp_path: Path) -> None:
    metrics = Metrics(header(), tmp_path)
    for number in range(CYCLES):
        metrics.publish(cycle(number))

    def shown(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"mpc_agent_{name}", labels)

    assert shown("measurements_rejected_total", tag="probe_b", reason="GATED") == 1
    assert shown("measurements_rejected_total", tag="raman", reason="REPEATED") is None
    assert shown("innovation_ratio", tag="raman") == 0.3


def test_a_plot_shows_all_signals_of_its_output_by_their_names(series: Series) -> None:
    panels = {
        panel.title: (group.title, panel)
        for group in groups(series, None, Arrays(), span_h=2.0)
        for panel in group.panels
    }
    group, oxygen = panels["Dissolved oxygen"]
    assert group == "Environment"
    names = {trace["name"] for trace in oxygen.traces}
    assert names >= {"probe a, measured", "probe b, measured", "probe b, not used"}
    group, glucose = panels["Glucose"]
    assert group == "Culture"
    assert {trace["name"] for trace in glucose.traces} >= {"measured", "sample"}


def test_an_output_that_lab_and_probe_show_has_one_plot(series: Series) -> None:
    drawn = [
        panel.title
        for group in groups(series, None, Arrays(), span_h=2.0)
        for panel in group.panels
    ]
    assert drawn.count("Glucose") == 1
    assert len(drawn) == len(set(drawn))


def test_only_values_that_were_offered_are_drawn(series: Series) -> None:
    assert len(series.measured["raman"].value) == CYCLES / 3
    assert series.measured["raman"].accepted.all()
    assert len(series.measured["probe_b"].value) == CYCLES
    assert (~series.measured["probe_b"].accepted).sum() == 1
