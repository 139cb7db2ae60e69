"""The probes: what the plant shows of itself while it runs."""

from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plant_models.cho_mab import FULL
from sim_plant.faults import Fault, FaultKind, active_faults, faults_of
from sim_plant.instrument_settings import SensorSettings
from sim_plant.names import PROBE_TAGS
from sim_plant.section import TICK_S
from sim_plant.tags import Quality

Floats = NDArray[np.float64]

PROBES: Final = tuple(PROBE_TAGS)
"""Probes in the order of their values."""

DISSOLVED_OXYGEN: Final = PROBES.index("dissolved_oxygen")
PH: Final = PROBES.index("pH")

BAR_PER_ATM: Final = 1.01325

_FROM_OUTPUTS = [FULL.output_names.index(name) for name in PROBES if name in FULL.outputs_info]
_FROM_INPUTS = [FULL.input_names.index(name) for name in PROBES if name in FULL.inputs]
_PRESSURE = PROBES.index("pressure")
_BLOCK = 360
"""Ticks for which noise is drawn at once."""


class Probes:
    """All probes, in the order of `PROBES`, read at every tick.

    Attributes:
        values: what they show, in the units of their tags, shape (probes,).
        qualities: what they say of it.
        sampled_at_s: when each value was taken, UTC seconds.
    """

    def __init__(
        self,
        settings: SensorSettings,
        faults: tuple[Fault, ...],
        generator: np.random.Generator,
    ) -> None:
        each = [settings.of(probe) for probe in PROBES]
        self._absolute = np.array([noise.absolute for noise in each])
        self._relative = np.array([noise.relative for noise in each])
        lag_s = settings.dissolved_oxygen_lag_s
        self._share = 1.0 - exp(-TICK_S / lag_s) if lag_s else 1.0
        self._lagged_oxygen: float | None = None
        self._faults = faults_of(faults, "probe_")
        self._generator = generator
        self._noise = np.empty((0, len(PROBES)))
        self._row = 0
        self.values: Floats = np.full(len(PROBES), np.nan)
        self.qualities = [Quality.GOOD] * len(PROBES)
        self.sampled_at_s = [0.0] * len(PROBES)

    def read(self, time_s: float, time_h: float, outputs: Floats, inputs: Floats) -> None:
        """Take the next values.

        Args:
            time_s: UTC seconds.
            time_h: hours since inoculation.
            outputs: true outputs of the model.
            inputs: true inputs of the model.
        """
        truth = np.concatenate((outputs[_FROM_OUTPUTS], inputs[_FROM_INPUTS]))
        truth[_PRESSURE] *= BAR_PER_ATM
        oxygen = float(truth[DISSOLVED_OXYGEN])
        before = oxygen if self._lagged_oxygen is None else self._lagged_oxygen
        self._lagged_oxygen = before + self._share * (oxygen - before)
        truth[DISSOLVED_OXYGEN] = self._lagged_oxygen
        shown = truth + self._next_noise() * (self._absolute + self._relative * truth)
        active = active_faults(self._faults, time_h)
        if not active and self._faults:
            self.qualities = [Quality.GOOD] * len(PROBES)
        stamps = [time_s] * len(PROBES)
        if active:
            self._fail(active, time_h, shown, stamps)
        self.values, self.sampled_at_s = shown, stamps

    def _next_noise(self) -> Floats:
        """Standard normal numbers of one tick; drawn in blocks, the same whatever is asked."""
        if self._row == len(self._noise):
            self._noise = self._generator.standard_normal((_BLOCK, len(PROBES)))
            self._row = 0
        row: Floats = self._noise[self._row]
        self._row += 1
        return row

    def _fail(
        self, active: tuple[Fault, ...], time_h: float, shown: Floats, stamps: list[float]
    ) -> None:
        """Let the active faults act on the values of this tick, in place."""
        self.qualities = [Quality.GOOD] * len(PROBES)
        for fault in active:
            row = PROBES.index(fault.target)
            match fault.kind:
                case FaultKind.PROBE_OFFSET:
                    shown[row] += fault.size
                case FaultKind.PROBE_DRIFT:
                    shown[row] += fault.size * (time_h - fault.from_h)
                case FaultKind.PROBE_FROZEN:
                    shown[row] = self.values[row]
                case FaultKind.PROBE_STALE:
                    shown[row] = self.values[row]
                    stamps[row] = self.sampled_at_s[row]
                case FaultKind.PROBE_UNCERTAIN:
                    self.qualities[row] = Quality.UNCERTAIN
                case _:
                    shown[row] = np.nan
                    self.qualities[row] = Quality.BAD
