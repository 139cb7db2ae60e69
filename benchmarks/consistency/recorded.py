"""Recorded runs of the simulated plant, estimated again with another configuration.

A run is a folder that `mpc-agent simulate` left: what the plant showed, cycle by cycle, and what
really happened. The inputs stay what they were; only the estimator runs again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mpc_agent.estimation.estimator import begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.validate import SignalMemory, validate
from mpc_agent.journal import Journal
from mpc_agent.simulate import RECORD_NAME, TRUTH_NAME
from mpc_agent.values import Floats, Readings
from sim_plant.plant import SimulatedPlant
from sim_plant.settings import PlantSettings
from sim_plant.truth import Truth

BAND_SIGMAS = 1.96
"""Half of a 95 % band."""

OUTPUT = "output "
"""Before the name of an output, which may be that of a state as well."""


@dataclass(frozen=True)
class Recorded:
    """One run: the readings of every cycle, and what really happened."""

    readings: Sequence[Readings]
    truth: Truth

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a run's folder."""
        with Journal.open(folder / RECORD_NAME, read_only=True) as journal:
            readings = [cycle.readings for cycle in journal.cycles()]
        return cls(readings, Truth.load(folder / TRUTH_NAME))


@dataclass(frozen=True)
class Followed:
    """What a filter believed of a run, against the truth, at every cycle.

    Attributes:
        names: states, learnt parameters, and outputs with `OUTPUT` before them.
        errors: estimate minus truth, NaN where there is no truth, shape (cycles, names).
        deviations: what the filter believes of its errors, shape (cycles, names).
    """

    names: tuple[str, ...]
    errors: Floats
    deviations: Floats

    @property
    def coverage_percent(self) -> Floats:
        """How often the truth was in the 95 % band, shape (names,); NaN without a truth."""
        inside = np.abs(self.errors) <= BAND_SIGMAS * self.deviations
        known = np.isfinite(self.errors).all(axis=0)
        return np.where(known, 100 * inside.mean(axis=0), np.nan)

    @property
    def rms(self) -> Floats:
        """Root mean squared error, shape (names,)."""
        root: Floats = np.sqrt((self.errors**2).mean(axis=0))
        return root

    @property
    def rms_deviations(self) -> Floats:
        """The same in standard deviations believed, about one when they are right."""
        root: Floats = np.sqrt(((self.errors / self.deviations) ** 2).mean(axis=0))
        return root


def follow(kalman: ExtendedKalmanFilter, run: Recorded, plant: PlantSettings) -> Followed:
    """Estimate a run again, cycle by cycle, as the agent did."""
    settings, model = kalman.settings, kalman.settings.model
    begun_at_s, inputs = run.truth.inoculated_at_s, np.array(model.nominal_inputs())
    memory = begin_estimation(kalman, begun_at_s, inputs)
    signals = SignalMemory.empty(len(settings.signals), inputs)
    means, deviations, times_h = [], [], []
    for readings in run.readings:
        measurement, signals = validate(
            readings, signals, settings.signals, model.inputs, 3600 * kalman.period_h
        )
        now_s = readings.read_at_s
        told, memory = estimate(
            kalman, memory, measurement, readings.samples, now_s, readings.doses
        )
        means.append(np.concatenate([told.mean, told.outputs]))
        deviations.append(np.concatenate([told.deviation, told.output_deviation]))
        times_h.append((now_s - begun_at_s) / 3600)
    learnt = (item.name for item in settings.adapted)
    names = (*model.state_names, *learnt, *(f"{OUTPUT}{name}" for name in model.output_names))
    true = _true(run.truth, names, np.array(times_h), plant)
    return Followed(names, np.array(means) - true, np.array(deviations))


def _true(truth: Truth, names: Sequence[str], times_h: Floats, plant: PlantSettings) -> Floats:
    """The truth of each name at these times, NaN where the plant has none."""
    seeded = plant.model_copy(update={"seed": truth.seed})
    gains = SimulatedPlant(seeded).culture.pump_gains
    constant = dict(zip(truth.parameter_names, truth.parameters.tolist(), strict=True))
    # A pump's gain is the plant's actuator's, and no parameter of its model.
    constant |= {f"{pump}_gain": gain for pump, gain in gains.items()}
    columns = []
    for name in names:
        output = name.removeprefix(OUTPUT)
        if name in truth.state_names:
            column = np.interp(times_h, truth.time_h, truth.state(name))
        elif name != output and output in truth.output_names:
            column = np.interp(times_h, truth.time_h, truth.output(output))
        else:
            column = np.full(len(times_h), constant.get(name, np.nan))
        columns.append(column)
    return np.array(columns).T
