"""What a cycle makes of verdicts: which signals are lost, and what the guard sees of oxygen."""

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

from mpc_agent.estimation.settings import SignalSettings
from mpc_agent.steps import dissolved_oxygen, lost_signals
from mpc_agent.values import Measurement, PlantStatus, Reading, Readings, Verdict

NOW_S = 1_767_600_000.0
PLAIN = SignalSettings("weight", absolute=1.0, relative=0.0, lower=0.0, upper=2000.0)
SIGNALS = (
    PLAIN,
    replace(PLAIN, name="probe_a", output="dissolved_oxygen"),
    replace(PLAIN, name="probe_b", output="dissolved_oxygen"),
)
NO_FAULT = (Verdict.OK, Verdict.REPEATED)


def measured(weight: Verdict, probe_a: Verdict, probe_b: Verdict) -> Measurement:
    unknown = np.full(3, nan)
    names = tuple(signal.name for signal in SIGNALS)
    return Measurement(names, unknown, (weight, probe_a, probe_b), np.zeros(0), unknown)


def read(**shown: float) -> Readings:
    status = PlantStatus(
        connected=True, remote_enabled=True, remote_active=True, watchdog_tripped=False
    )
    values = {name: Reading(name, value, NOW_S) for name, value in shown.items()}
    return Readings(NOW_S, values, {}, {}, (), status)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_critical_signal_is_lost_by_every_fault_but_not_by_being_repeated(
    verdict: Verdict,
) -> None:
    lost = lost_signals(("weight", "probe_b"), measured(verdict, verdict, Verdict.OK))
    assert lost == (() if verdict in NO_FAULT else ("weight",))


@pytest.mark.parametrize("verdict", Verdict)
def test_the_guard_sees_the_lowest_usable_probe(verdict: Verdict) -> None:
    shown = read(weight=1.0, probe_a=60.0, probe_b=20.0)
    oxygen = dissolved_oxygen(SIGNALS, measured(Verdict.OK, Verdict.REPEATED, verdict), shown)
    assert oxygen == (20.0 if verdict in NO_FAULT else 60.0)


def test_a_suspect_is_lost_although_it_shows_a_value() -> None:
    well = measured(Verdict.OK, Verdict.REPEATED, Verdict.OK)
    assert lost_signals(("weight", "probe_a"), well, suspects=("probe_a", "glucose")) == (
        "probe_a",
    )
    assert lost_signals(("weight",), well, suspects=("probe_a",)) == ()


@pytest.mark.parametrize("shown", [5.0, 60.0, 120.0])
def test_a_suspect_probe_neither_cuts_feeds_nor_reassures(shown: float) -> None:
    well, both = measured(Verdict.OK, Verdict.OK, Verdict.OK), read(probe_a=shown, probe_b=50.0)
    assert dissolved_oxygen(SIGNALS, well, both, suspects=("probe_a",)) == 50.0
    assert isnan(dissolved_oxygen(SIGNALS, well, both, suspects=("probe_a", "probe_b")))


def test_without_a_usable_probe_oxygen_is_unknown() -> None:
    lost = measured(Verdict.OK, Verdict.MISSING, Verdict.FROZEN)
    assert isnan(dissolved_oxygen(SIGNALS, lost, read(weight=1.0, probe_b=20.0)))
    assert isnan(dissolved_oxygen((), replace(lost, signals=(), verdicts=()), read(weight=1.0)))
