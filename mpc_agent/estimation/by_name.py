"""The filter used from a script or notebook: a table of measurements in, estimates out, by name.

Rows go through validation and estimation as the agent's cycles do; there is no other way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    EstimationSettings,
    SignalSettings,
    Uncertainty,
)
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.values import (
    WATER,
    WITHDRAWN,
    Dose,
    Estimate,
    Floats,
    PlantStatus,
    Reading,
    Readings,
    Sample,
    Verdict,
)
from plant_models.by_name import Table, input_vector, refuse_unknown, state_and_parameters
from plant_models.by_name import table as table_of
from plant_models.model import PlantModel

INITIAL_SHARE, LEAST_SCALES, DRIFT_SCALES = 0.05, 0.01, 0.002
"""How uncertain a state is that nothing is said about: a twentieth of its value at inoculation, a
hundredth of its typical size at least, and it drifts by a hundredth of that in a day."""

LEARNT_DRIFT = 0.02
"""Part of its deviation by which a learnt parameter drifts in an hour."""


def settings_for(
    model: PlantModel,
    *,
    signals: Sequence[SignalSettings] = (),
    assays: Sequence[SignalSettings] = (),
    learnt: Sequence[str | AdaptedParameter] = (),
    uncertainty: Mapping[str, Uncertainty] | None = None,
    known: Mapping[str, float] | None = None,
) -> EstimationSettings:
    """What a filter is built from; whatever is not said is the model's.

    Args:
        model: the plant as the filter sees it.
        signals: what is measured online.
        assays: what the laboratory measures.
        learnt: parameters that are learnt; of one given by its name alone, range and deviation are
            the model's.
        uncertainty: by state; one that is not named is as uncertain as `INITIAL_SHARE` says.
        known: states at inoculation and parameters, by name.

    Raises:
        ValueError: a name is not the model's, or the model does not say how far a parameter varies.
    """
    for item in (*signals, *assays):
        refuse_unknown(model, "output", [item.shows], model.output_names)
        if item.name in model.inputs:
            raise ValueError(f"signal {item.name!r} has the name of an input: give it another")
        _refuse_noise(item)
    names = [item if isinstance(item, str) else item.name for item in learnt]
    _refuse_twice([item.name for item in signals], [item.name for item in assays], names)
    refuse_unknown(model, "state", uncertainty or {}, model.state_names)
    state, parameters = state_and_parameters(model, known)
    initial = dict(zip(model.state_names, state.tolist(), strict=True))
    usual = {
        name: Uncertainty(
            max(INITIAL_SHARE * abs(initial[name]), LEAST_SCALES * item.scale),
            DRIFT_SCALES * item.scale,
        )
        for name, item in model.states.items()
    }
    return EstimationSettings(
        model=model,
        initial=initial,
        parameters=dict(zip(model.parameter_names, parameters.tolist(), strict=True)),
        uncertainty={**usual, **(uncertainty or {})},
        signals=tuple(signals),
        assays=tuple(assays),
        adapted=tuple(_learnt(model, item) for item in learnt),
    )


def _refuse_noise(item: SignalSettings) -> None:
    """Refuse noise that is none, or no number."""
    parts = item.absolute, item.relative
    if not all(0.0 <= part < np.inf for part in parts) or sum(parts) == 0.0:
        raise ValueError(f"{item.name}: noise must be positive, or a share of the value")


def _refuse_twice(*groups: Sequence[str]) -> None:
    """Refuse a name that is in one group more than once."""
    for group in groups:
        for name in group:
            if group.count(name) > 1:
                raise ValueError(f"{name} is there {group.count(name)} times, but must be once")


def _learnt(model: PlantModel, item: str | AdaptedParameter) -> AdaptedParameter:
    name = item if isinstance(item, str) else item.name
    refuse_unknown(model, "parameter", [name], model.parameter_names)
    if not isinstance(item, str):
        return item
    told = model.parameters[name]
    if not (told.deviation > 0 and told.lower > 0):
        raise ValueError(
            f"model {model.name} does not say how far {name} varies: give an AdaptedParameter"
        )
    drift = LEARNT_DRIFT * told.deviation
    return AdaptedParameter(name, told.deviation, drift, told.lower, told.upper)


@dataclass(frozen=True, slots=True)
class Following:
    """What is remembered from row to row."""

    signals: SignalMemory
    estimation: EstimatorMemory


def begin(kalman: ExtendedKalmanFilter, inputs: Mapping[str, float] | None = None) -> Following:
    """The belief at inoculation, hour zero, while these inputs act."""
    u = input_vector(kalman.settings.model, inputs)
    return Following(SignalMemory.empty(kalman.signals, u), begin_estimation(kalman, 0.0, u))


def follow(
    kalman: ExtendedKalmanFilter,
    memory: Following,
    time_h: float,
    row: Mapping[str, float],
    samples: Iterable[Sample] = (),
    doses: Iterable[Dose] = (),
) -> tuple[Estimate, Following]:
    """Predict to `time_h` and take in what was measured.

    Args:
        kalman: the filter.
        memory: of the row before.
        time_h: hours since inoculation, later than the row before.
        row: signals, NaN or left out where there is no value, and inputs as their mean since the
            row before; an input that is left out stays as it was. In the model's units.
        samples: results of the laboratory that came in since the row before.
        doses: bookings; one that was told before, or lies ahead, changes nothing.

    Raises:
        ValueError: a name is neither a signal nor an input.
    """
    settings = kalman.settings
    names = [item.name for item in settings.signals]
    refuse_unknown(settings.model, "signal or input", row, (*names, *settings.model.input_names))
    now_s = 3600 * time_h
    there = {
        name: Reading(name, float(value), now_s) for name, value in row.items() if isfinite(value)
    }
    inputs = {name: there[name] for name in settings.model.input_names if name in there}
    readings = Readings(
        read_at_s=now_s,
        measured={name: there[name] for name in names if name in there},
        inputs=inputs,
        # What acted since the row before is known, as of setpoints that were followed.
        setpoints={name: item.value for name, item in inputs.items()},
        samples=tuple(samples),
        status=PlantStatus(
            connected=True, remote_enabled=True, remote_active=True, watchdog_tripped=False
        ),
        doses=tuple(doses),
    )
    measurement, signals = validate(
        readings, memory.signals, settings.signals, settings.model.inputs, 3600 * kalman.period_h
    )
    told, estimation = estimate(
        kalman, memory.estimation, measurement, readings.samples, now_s, readings.doses
    )
    return told, Following(signals, estimation)


def sample(analyte: str, value: float, drawn_h: float, entered_h: float) -> Sample:
    """A result of the laboratory.

    Args:
        analyte: name of the assay.
        value: in the model's unit.
        drawn_h: when the sample was drawn, hours since inoculation.
        entered_h: when the result was entered, the same.
    """
    return Sample(analyte, float(value), "", 3600 * drawn_h, 3600 * entered_h, "")


def known(kalman: ExtendedKalmanFilter, told: Estimate) -> dict[str, float]:
    """States and learnt parameters as estimated, by name."""
    names = kalman.coordinates.names[: len(told.mean)]
    return dict(zip(names, told.mean.tolist(), strict=True))


@dataclass(frozen=True)
class Refused:
    """A value that was not believed.

    Attributes:
        time_h: when it was measured, or its sample drawn.
        name: signal or assay.
        value: what it was.
        unit: of the value.
        verdict: why.
    """

    time_h: float
    name: str
    value: float
    unit: str
    verdict: Verdict

    def __str__(self) -> str:
        """In words."""
        return f"{self.name} {self.value:.4g} {self.unit} at {self.time_h:g} h: {self.verdict}"


@dataclass(frozen=True, eq=False)
class Filtered:
    """Estimates of every row, each made from what was known by then.

    Attributes:
        mean: estimates.
        deviation: their standard deviations (of inputs: zero).
        refused: values that were not believed, in the order in which that was found.
        estimates: everything that the filter told, row by row.
        memory: to go on from, with `follow`.
    """

    mean: Table
    deviation: Table
    refused: tuple[Refused, ...]
    estimates: tuple[Estimate, ...]
    memory: Following

    @property
    def doubts(self) -> tuple[str, ...]:
        """When the filter did not trust itself, and why."""
        pairs = zip(self.mean.times_h, self.estimates, strict=True)
        return tuple(f"at {time_h:g} h {item.message}" for time_h, item in pairs if item.message)


def filtered(
    kalman: ExtendedKalmanFilter,
    table: Mapping[str, Sequence[float] | Floats],
    lab: Mapping[str, Sequence[float] | Floats] | None = None,
    doses: Iterable[tuple[float, str, float]] = (),
) -> Filtered:
    """Filter a table of measurements, row by row, as the agent would have in that batch.

    Args:
        kalman: the filter.
        table: columns `time_h` (hours since inoculation, rising), signals (NaN where there is no
            value) and inputs (mean since the row before), in the model's units.
        lab: columns `drawn_h`, `entered_h` (when the result was known, the same by default) and
            analytes, a row for each sample, NaN where nothing was measured. A result is taken in
            by the first row after it was entered, at the moment it was drawn.
        doses: liquids poured by hand and not in the table's inputs, water, and broth withdrawn:
            (hour, what, litres).

    Raises:
        ValueError: a column is missing or unknown, or lengths or times do not fit.
    """
    columns = _columns("table", table, "time_h")
    times_h = columns.pop("time_h")
    if not np.isfinite(times_h).all() or not (np.diff(times_h) > 0).all() or times_h[0] < 0:
        raise ValueError("table: time_h must rise from row to row, from 0 or later")
    samples = sorted(_samples(kalman.settings, lab or {}), key=lambda item: item.entered_at_s)
    booked = tuple(Dose(what, litres, 3600 * at_h) for at_h, what, litres in doses)
    _refuse_doses(kalman.settings.model, booked)
    rows = [{name: column[i] for name, column in columns.items()} for i in range(len(times_h))]
    memory = begin(kalman)
    estimates: list[Estimate] = []
    acted: list[Floats] = []
    refused: list[Refused] = []
    for time_h, row in zip(times_h.tolist(), rows, strict=True):
        arrived = [item for item in samples if item.entered_at_s <= 3600 * time_h]
        del samples[: len(arrived)]
        told, memory = follow(kalman, memory, time_h, row, arrived, booked)
        estimates.append(told)
        acted.append(memory.signals.inputs)
        refused += _refused(kalman.settings, time_h, row, told)
    return Filtered(
        *_tables(kalman, times_h, np.array(acted), estimates),
        tuple(refused),
        tuple(estimates),
        memory,
    )


def _refuse_doses(model: PlantModel, booked: Iterable[Dose]) -> None:
    """Refuse liquids that are not the model's, and bookings that cannot be."""
    for item in booked:
        refuse_unknown(model, "liquid", [item.what], (*model.volume_flows, WATER, WITHDRAWN))
        if not (0.0 <= item.given_at_s < np.inf and 0.0 <= item.volume_L < np.inf):
            raise ValueError(
                f"a dose of {item.volume_L:g} L of {item.what} at {item.given_at_s / 3600:g} h: "
                "litres must not be negative, and the hour not before inoculation"
            )


def _columns(
    what: str, given: Mapping[str, Sequence[float] | Floats], first: str
) -> dict[str, Floats]:
    """Columns as arrays of one length."""
    columns = {}
    for name, values in given.items():
        try:
            columns[name] = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{what}: {name} must be numbers, NaN where there is none") from None
    if first not in columns:
        raise ValueError(f"{what}: there must be a column {first}")
    for name, column in columns.items():
        if column.shape != columns[first].shape or column.ndim != 1 or not column.size:
            raise ValueError(
                f"{what}: {name} has the shape {column.shape}, and {first} {columns[first].shape}; "
                "each column needs one value for each row"
            )
    return columns


def _samples(
    settings: EstimationSettings, lab: Mapping[str, Sequence[float] | Floats]
) -> Iterator[Sample]:
    """Results of the laboratory, one by one."""
    if not lab:
        return
    columns = _columns("lab", lab, "drawn_h")
    drawn_h = columns.pop("drawn_h")
    entered_h = columns.pop("entered_h", drawn_h)
    names = [item.name for item in settings.assays]
    refuse_unknown(settings.model, "assay here,", columns, names)
    if not np.isfinite(drawn_h).all():
        raise ValueError("lab: drawn_h must be finite in every row")
    if not (entered_h >= drawn_h).all():
        raise ValueError("lab: no result can be entered before its sample was drawn")
    for name, column in columns.items():
        for place in np.flatnonzero(np.isfinite(column)):
            yield sample(name, column[place], float(drawn_h[place]), float(entered_h[place]))


def _refused(
    settings: EstimationSettings, time_h: float, row: Mapping[str, float], told: Estimate
) -> Iterator[Refused]:
    """What was not believed in one row."""
    units = settings.model.outputs_info
    fine = (Verdict.OK, Verdict.MISSING, Verdict.REPEATED)
    for item, verdict in zip(settings.signals, told.verdicts, strict=True):
        if verdict not in fine:
            value, unit = float(row[item.name]), units[item.shows].unit
            yield Refused(time_h, item.name, value, unit, verdict)
    shown = {item.name: item.shows for item in settings.assays}
    for result in told.samples:
        if result.verdict not in fine:
            drawn_h, name = result.sample.drawn_at_s / 3600, result.sample.analyte
            unit = units[shown[name]].unit
            yield Refused(drawn_h, name, result.sample.value, unit, result.verdict)


def _tables(
    kalman: ExtendedKalmanFilter, times_h: Floats, acted: Floats, estimates: Sequence[Estimate]
) -> tuple[Table, Table]:
    """Means and deviations of all rows."""

    def one(known: Floats, outputs: Floats, inputs: Floats) -> Table:
        model, count = kalman.settings.model, kalman.states
        learnt = [item.name for item in kalman.settings.adapted]
        told = table_of(model, times_h, known[:, :count], outputs, inputs)
        return replace(told, parameters=dict(zip(learnt, known[:, count:].T, strict=True)))

    means, deviations, outputs, output_deviations = (
        np.array(rows)
        for rows in zip(
            *(
                (item.mean, item.deviation, item.outputs, item.output_deviation)
                for item in estimates
            ),
            strict=True,
        )
    )
    return one(means, outputs, acted), one(deviations, output_deviations, np.zeros_like(acted))
