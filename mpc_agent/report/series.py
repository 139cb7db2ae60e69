"""A batch's record as arrays over time, ready to be drawn and counted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc_agent.explanation import Followed, follow
from mpc_agent.journal import Journal, RecordedCycle
from mpc_agent.record import BatchHeader
from mpc_agent.values import Estimate, Floats, Quality, Verdict

Texts = NDArray[np.str_]


@dataclass(frozen=True)
class Points:
    """Single values over time.

    Attributes:
        time_h: hours since inoculation, shape (n,).
        value: in the unit of the output, shape (n,).
        accepted: whether the value was fused, shape (n,).
    """

    time_h: Floats
    value: Floats
    accepted: NDArray[np.bool_]


@dataclass(frozen=True)
class Series:
    """All that a report draws, one row per cycle unless said otherwise.

    Attributes:
        header: what was known of the batch before.
        time_h: hours since inoculation, shape (cycles,).
        outputs, output_deviation: estimate by output, each of shape (cycles,).
        adapted, adapted_deviation: estimate by adapted parameter.
        measured: online values by signal, as often as they were read.
        samples: lab results by analyte, at the time they were drawn.
        flows: inputs read back, by input.
        setpoints: setpoints decided, by input.
        expected, expected_deviation: product at harvest by "plan" and "recipe", g.
        states: rows of a timeline by name: mode, origin of each problem's inputs, control.
        durations: wall seconds by stage.
        estimates: every cycle's.
        plans: every usable plan by problem, each with the one before.
    """

    header: BatchHeader
    time_h: Floats
    outputs: Mapping[str, Floats]
    output_deviation: Mapping[str, Floats]
    adapted: Mapping[str, Floats]
    adapted_deviation: Mapping[str, Floats]
    measured: Mapping[str, Points]
    samples: Mapping[str, Points]
    flows: Mapping[str, Floats]
    setpoints: Mapping[str, Floats]
    expected: Mapping[str, Floats]
    expected_deviation: Mapping[str, Floats]
    states: Mapping[str, Texts]
    durations: Mapping[str, Floats]
    estimates: tuple[Estimate, ...]
    plans: Mapping[str, tuple[Followed, ...]]


def read_series(journal: Journal) -> Series:
    """Everything in a record that is drawn."""
    header = journal.header
    cycles = list(journal.cycles())
    estimates = [cycle.estimate for cycle in cycles]
    outputs = [quantity.name for quantity in header.outputs]
    adapted = [quantity.name for quantity in header.adapted]
    first = len(header.states)
    expected = sorted({name for cycle in cycles for name in cycle.expected})
    return Series(
        header=header,
        time_h=np.array([header.hours(cycle.time_s) for cycle in cycles]),
        outputs=_columns(outputs, [item.outputs for item in estimates]),
        output_deviation=_columns(outputs, [item.output_deviation for item in estimates]),
        adapted=_columns(adapted, [item.mean[first:] for item in estimates]),
        adapted_deviation=_columns(adapted, [item.deviation[first:] for item in estimates]),
        measured=_measured(header, cycles),
        samples=_samples(header, journal),
        flows=_named(
            (
                {
                    name: reading.value
                    for name, reading in cycle.readings.inputs.items()
                    if reading.quality is not Quality.BAD
                }
                for cycle in cycles
            ),
            [quantity.name for quantity in header.inputs],
        ),
        setpoints=_named((cycle.setpoints.values for cycle in cycles), _decided(cycles)),
        expected=_named(
            ({name: item.value for name, item in cycle.expected.items()} for cycle in cycles),
            expected,
        ),
        expected_deviation=_named(
            ({name: item.deviation for name, item in cycle.expected.items()} for cycle in cycles),
            expected,
        ),
        states=_states(cycles),
        durations=_named(
            (cycle.durations for cycle in cycles),
            sorted({name for cycle in cycles for name in cycle.durations}),
        ),
        estimates=tuple(estimates),
        plans=_plans(cycles),
    )


def _plans(cycles: list[RecordedCycle]) -> dict[str, tuple[Followed, ...]]:
    """Every usable plan by problem."""
    found: dict[str, list[Followed]] = {}
    for cycle in cycles:
        for name, plan in cycle.plans.items():
            last = found[name][-1] if name in found else None
            followed = follow(last, plan, cycle.expected)
            if followed is not None and followed is not last:
                found.setdefault(name, []).append(followed)
    return {name: tuple(plans) for name, plans in found.items()}


def _columns(names: list[str], rows: list[Floats]) -> dict[str, Floats]:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return dict(zip(names, table.T, strict=True))


def _named(rows: Iterable[Mapping[str, float]], names: list[str]) -> dict[str, Floats]:
    """Mappings as columns, NaN where a row says nothing."""
    table = [[row.get(name, np.nan) for name in names] for row in rows]
    return _columns(names, [np.array(row, dtype=np.float64) for row in table])


def _decided(cycles: list[RecordedCycle]) -> list[str]:
    return sorted({name for cycle in cycles for name in cycle.setpoints.values})


def _measured(header: BatchHeader, cycles: list[RecordedCycle]) -> dict[str, Points]:
    """Online values with a value; what the filter was not offered again is left out."""
    found: dict[str, list[tuple[float, float, bool]]] = {}
    for cycle in cycles:
        verdicts = dict(zip(header.signals, cycle.estimate.verdicts, strict=True))
        for name, reading in cycle.readings.measured.items():
            rows = found.setdefault(name, [])
            verdict = verdicts.get(name, Verdict.OK)
            row = (header.hours(reading.sampled_at_s), reading.value, verdict is Verdict.OK)
            new = verdict is not Verdict.REPEATED and (not rows or rows[-1][0] != row[0])
            if new and np.isfinite(reading.value):
                rows.append(row)
    return {name: _points(rows) for name, rows in found.items()}


def _samples(header: BatchHeader, journal: Journal) -> dict[str, Points]:
    found: dict[str, list[tuple[float, float, bool]]] = {}
    for row in journal.rows("samples"):
        drawn_at_s, value = row["drawn_at_s"], row["value"]
        if isinstance(drawn_at_s, float) and isinstance(value, float):
            point = (header.hours(drawn_at_s), value, row["verdict"] == Verdict.OK)
            found.setdefault(str(row["analyte"]), []).append(point)
    return {name: _points(rows) for name, rows in found.items()}


def _points(rows: list[tuple[float, float, bool]]) -> Points:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    return Points(table[:, 0], table[:, 1], table[:, 2] > 0)


def _states(cycles: list[RecordedCycle]) -> dict[str, Texts]:
    """Rows of the timeline; problems in alphabetical order between mode and plant."""
    problems = sorted({name for cycle in cycles for name in cycle.setpoints.origin})
    rows: dict[str, list[str]] = {"mode": [str(cycle.mode) for cycle in cycles]}
    for problem in problems:
        rows[problem] = [str(cycle.setpoints.origin.get(problem, "")) for cycle in cycles]
    rows["plant"] = [_control(cycle) for cycle in cycles]
    return {name: np.array(values, dtype=np.str_) for name, values in rows.items()}


def _control(cycle: RecordedCycle) -> str:
    """Who controls the plant, as the plant says."""
    status = cycle.readings.status
    if not status.connected:
        return "NOT CONNECTED"
    if status.watchdog_tripped:
        return "WATCHDOG"
    return "REMOTE" if status.remote_active else "LOCAL"
