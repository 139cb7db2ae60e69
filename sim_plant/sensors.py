"""The probes: what the plant shows of itself while it runs."""

from collections.abc import Mapping
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plant_models.model import PlantModel
from sim_plant.equipment_settings import ProbeSettings
from sim_plant.faults import Fault, FaultKind, active_faults, faults_of
from sim_plant.names import shown
from sim_plant.section import TICK_S
from sim_plant.tag_units import Scale
from sim_plant.tags import Quality

Floats = NDArray[np.float64]

_BLOCK: Final = 360
"""Ticks for which noise is drawn at once."""

_SPIKES: Final = 0.1
"""How often a reading jumps while spikes act."""


class Probes:
    """All probes, in the order of the settings, read at every tick.

    Attributes:
        names: outputs or inputs of the model that they show.
        values: what they show, in the units of their tags, shape (probes,).
        qualities: what they say of it.
        sampled_at_s: when each value was taken, UTC seconds.
    """

    def __init__(
        self,
        settings: Mapping[str, ProbeSettings],
        model: PlantModel,
        faults: tuple[Fault, ...],
        generator: np.random.Generator,
    ) -> None:
        self.names = tuple(settings)
        each = settings.values()
        sources = (*model.output_names, *model.input_names)
        self._sources = [sources.index(name) for name in self.names]
        scales = [Scale.between(p.unit, shown(model, name).unit) for name, p in settings.items()]
        self._offset = np.array([scale.offset for scale in scales])
        self._factor = np.array([scale.divisor / scale.factor for scale in scales])
        self._absolute = np.array([probe.absolute for probe in each])
        self._relative = np.array([probe.relative for probe in each])
        self._lagging = [row for row, probe in enumerate(each) if probe.lag_s]
        self._shares = np.array([1.0 - exp(-TICK_S / p.lag_s) for p in each if p.lag_s])
        self._lagged: Floats | None = None
        self._faults = faults_of(faults, "probe_")
        self._generator = generator
        # Spikes have random numbers of their own: noise is the same with and without them.
        self._has_spikes = any(fault.kind is FaultKind.PROBE_SPIKE for fault in self._faults)
        self._spikes = generator.spawn(1)[0]
        self._jumps = np.zeros(len(self.names), dtype=bool)
        self._noise = np.empty((0, len(self.names)))
        self._row = 0
        self.values: Floats = np.full(len(self.names), np.nan)
        self.qualities = [Quality.GOOD] * len(self.names)
        self.sampled_at_s = [0.0] * len(self.names)

    def row(self, name: str) -> int:
        """Where the value of a probe stands."""
        return self.names.index(name)

    def read(self, time_s: float, time_h: float, outputs: Floats, inputs: Floats) -> None:
        """Take the next values.

        Args:
            time_s: UTC seconds.
            time_h: hours since inoculation.
            outputs: true outputs of the model.
            inputs: true inputs of the model.
        """
        truth = np.concatenate((outputs, inputs))[self._sources]
        truth = (truth - self._offset) * self._factor
        if self._lagging:
            now = truth[self._lagging]
            before = now if self._lagged is None else self._lagged
            self._lagged = before + self._shares * (now - before)
            truth[self._lagging] = self._lagged
        values = truth + self._next_noise() * (self._absolute + self._relative * truth)
        active = active_faults(self._faults, time_h)
        if self._has_spikes:
            self._jumps = self._spikes.random(len(self.names)) < _SPIKES
        if not active and self._faults:
            self.qualities = [Quality.GOOD] * len(self.names)
        stamps = [time_s] * len(self.names)
        if active:
            self._fail(active, time_h, values, stamps)
        self.values, self.sampled_at_s = values, stamps

    def _next_noise(self) -> Floats:
        """Standard normal numbers of one tick; drawn in blocks, the same whatever is asked."""
        if self._row == len(self._noise):
            self._noise = self._generator.standard_normal((_BLOCK, len(self.names)))
            self._row = 0
        row: Floats = self._noise[self._row]
        self._row += 1
        return row

    def _fail(
        self, active: tuple[Fault, ...], time_h: float, values: Floats, stamps: list[float]
    ) -> None:
        """Let the active faults act on the values of this tick, in place."""
        self.qualities = [Quality.GOOD] * len(self.names)
        for fault in active:
            row = self.row(fault.target)
            match fault.kind:
                case FaultKind.PROBE_OFFSET:
                    values[row] += fault.size
                case FaultKind.PROBE_DRIFT:
                    values[row] += fault.size * (time_h - fault.from_h)
                case FaultKind.PROBE_SPIKE:
                    values[row] += fault.size * float(self._jumps[row])
                case FaultKind.PROBE_FROZEN:
                    values[row] = self.values[row]
                case FaultKind.PROBE_STALE:
                    values[row] = self.values[row]
                    stamps[row] = self.sampled_at_s[row]
                case FaultKind.PROBE_UNCERTAIN:
                    self.qualities[row] = Quality.UNCERTAIN
                case _:
                    values[row] = np.nan
                    self.qualities[row] = Quality.BAD
