"""Rows of the filter from what happened: every measurement at the time it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc_agent.estimation.filter import ExtendedKalmanFilter, Integers
from mpc_agent.estimation.happenings import Book, Jump, Step
from mpc_agent.values import WATER, WITHDRAWN, Dose, Floats, Sample

DOSE_S = 60.0
"""How long a booked dose of a feed takes to flow in: short against a culture, long against a step
of the integrator."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows, and where in time they end.

    Attributes:
        rows: what the filter marches through.
        ends_s: when each of them ends; those of a divided gap end with it.
    """

    rows: Floats
    ends_s: Floats

    def row_of(self, time_s: float) -> int:
        """The row at whose end something measured at that time is fused."""
        return int(np.searchsorted(self.ends_s, time_s, side="right")) - 1


@dataclass(frozen=True, slots=True)
class LateValues:
    """Online values that belong to another time than their step's.

    Attributes:
        belongs_at_s: when each was true of the broth, shape (values,).
        signals: place of its signal.
        values: what it was.
    """

    belongs_at_s: Floats
    signals: Integers
    values: Floats

    def between(self, start_s: float, last_s: float) -> "LateValues":
        """Those that belong to the time after `start_s` up to `last_s`."""
        inside = (self.belongs_at_s > start_s) & (self.belongs_at_s <= last_s)
        return LateValues(self.belongs_at_s[inside], self.signals[inside], self.values[inside])


def late_values(steps: Sequence[Step]) -> LateValues:
    """What came in these steps and belongs to an earlier time."""
    belongs_at_s, times_s, values = _table(steps)
    late = belongs_at_s < times_s
    return LateValues(belongs_at_s[late], np.nonzero(late)[1], values[late])


def _table(steps: Sequence[Step]) -> tuple[Floats, Floats, Floats]:
    """Belonging times, times (a column) and values of the signals, shape (steps, signals)."""
    return (
        np.array([step.belongs_at_s for step in steps]),
        np.array([[step.time_s] for step in steps]),
        np.array([step.measured for step in steps]),
    )


def timeline(
    kalman: ExtendedKalmanFilter,
    start_s: float,
    steps: Sequence[Step],
    late: LateValues,
    book: Book,
) -> Timeline:
    """Rows from `start_s` through some steps.

    Args:
        kalman: the filter, for the order of inputs and channels.
        start_s: time of the belief from which the rows go on.
        steps: consecutive steps after it, at least one.
        late: values of these and all later steps that belong to an earlier time.
        book: samples and bookings.
    """
    times_s = np.array([step.time_s for step in steps])
    last_s = times_s[-1]
    samples = [item for item in book.samples if start_s < item.drawn_at_s <= last_s]
    doses = [item for item in book.doses if start_s - DOSE_S < item.given_at_s < last_s]
    late = late.between(start_s, last_s)
    drawn_s = {item.drawn_at_s for item in book.samples if start_s <= item.drawn_at_s <= last_s}
    jumps = [step.jump for step in steps if step.jump is not None]
    edges = {*times_s, *drawn_s, *late.belongs_at_s.tolist(), *(jump.at_s for jump in jumps)}
    for dose in doses:
        edges |= {dose.given_at_s, dose.given_at_s + (0.0 if dose.what in LOSSES else DOSE_S)}
    ends_s = np.array(sorted(edge for edge in edges if start_s < edge <= last_s))
    starts_s = np.concatenate([[start_s], ends_s[:-1]])
    owner = np.searchsorted(times_s, ends_s)
    is_step = ends_s == times_s[owner]
    lengths_h = (ends_s - starts_s) / 3600
    inputs = np.array([step.inputs for step in steps])[owner]
    before = _before(kalman, steps, owner)
    measured = _measured(kalman, steps, samples, late, ends_s, owner, is_step)
    water_L = -kalman.settings.evaporation_L_per_h * lengths_h
    withdrawn_L = np.zeros_like(lengths_h)
    for time_s in drawn_s:
        withdrawn_L[starts_s == time_s] += kalman.settings.sample_volume_L
    for dose in doses:
        _pour(kalman, dose, starts_s, ends_s, (inputs, before), water_L, withdrawn_L)
    rows, pieces = kalman.rows(
        lengths_h,
        inputs,
        measured,
        water_L=water_L,
        withdrawn_L=withdrawn_L,
        opened=np.where(is_step, np.array([step.opened for step in steps])[owner], 0.0),
        jump=_jumped(kalman, jumps, starts_s),
        marks=_marks(kalman, steps, owner, is_step),
        inputs_before=before,
    )
    return Timeline(rows, np.repeat(ends_s, pieces))


LOSSES = frozenset({WATER, WITHDRAWN})
"""Doses that change the volume at once; all others flow in as an input does."""


def _measured(
    kalman: ExtendedKalmanFilter,
    steps: Sequence[Step],
    samples: Sequence[Sample],
    late: LateValues,
    ends_s: Floats,
    owner: Integers,
    is_step: NDArray[np.bool_],
) -> Floats:
    """What every channel showed at the end of each row, shape (rows, channels)."""
    measured = np.full((len(ends_s), kalman.channels), np.nan)
    belongs_at_s, times_s, values = _table(steps)
    now = np.where(belongs_at_s < times_s, np.nan, values)
    measured[is_step, : kalman.signals] = now[owner[is_step]]
    measured[np.searchsorted(ends_s, late.belongs_at_s), late.signals] = late.values
    places = {item.name: kalman.signals + i for i, item in enumerate(kalman.settings.assays)}
    for sample in samples:
        row = np.searchsorted(ends_s, sample.drawn_at_s)
        measured[row, places[sample.analyte]] = sample.value
    return measured


def _pour(
    kalman: ExtendedKalmanFilter,
    dose: Dose,
    starts_s: Floats,
    ends_s: Floats,
    flows: tuple[Floats, Floats],
    water_L: Floats,
    withdrawn_L: Floats,
) -> None:
    """Add one booking to the rows that it concerns.

    It flows beside the inputs now and before: that others moved by themselves makes it no less
    certain.

    A feed given by hand is taken as its pump would have shown it: a learnt gain acts on it, too,
    which is a few percent of a dose.
    """
    at_once = starts_s == dose.given_at_s
    if dose.what == WATER:
        water_L[at_once] += dose.volume_L
    elif dose.what == WITHDRAWN:
        withdrawn_L[at_once] += dose.volume_L
    else:
        flowing = (starts_s >= dose.given_at_s) & (ends_s <= dose.given_at_s + DOSE_S)
        column = kalman.settings.model.input_names.index(dose.what)
        for inputs in flows:
            inputs[flowing, column] += dose.volume_L / (DOSE_S / 3600)


def _before(kalman: ExtendedKalmanFilter, steps: Sequence[Step], owner: Integers) -> Floats:
    """Inputs before each row where they moved by themselves, else NaN, shape (rows, inputs)."""
    nothing = np.full(len(kalman.settings.model.inputs), np.nan)
    known = [nothing if step.inputs_before is None else step.inputs_before for step in steps]
    return np.array(known)[owner]


def _jumped(kalman: ExtendedKalmanFilter, jumps: Sequence[Jump], starts_s: Floats) -> Floats:
    """What changed suddenly as each row began, shape (rows, 4)."""
    table = np.full((len(starts_s), 4), np.nan)
    for jump in jumps:
        place = kalman.coordinates.names.index(jump.parameter)
        told = (place, jump.by, jump.deviation, jump.unsure_s / 3600)
        table[starts_s == jump.at_s] = told
    return table


def _marks(
    kalman: ExtendedKalmanFilter,
    steps: Sequence[Step],
    owner: Integers,
    is_step: NDArray[np.bool_],
) -> Floats:
    """Counts of rejections that were set by rule, shape (rows, channels)."""
    marks = np.full((len(owner), kalman.channels), np.nan)
    for row in np.flatnonzero(is_step):
        given = steps[owner[row]].marks
        if given is not None:
            marks[row] = given
    return marks
