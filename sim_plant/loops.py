"""The control unit's own loops: those that always act, and those that act when no controller does.

In the CHO plant: oxygen and nitrogen for dissolved oxygen, carbon dioxide and base for pH.
"""

from collections.abc import Iterable, Mapping
from math import inf, nan
from typing import Final

from controllers.pid import PI
from sim_plant.actuators import Actuators
from sim_plant.equipment_settings import ActuatorSettings, LoopSettings
from sim_plant.section import TICK_S
from sim_plant.settings import PlantSettings

_TICK_H: Final = TICK_S / 3600


class Loops:
    """Some of the plant's proportional-integral loops, each a step per tick."""

    def __init__(self, settings: PlantSettings, actuators: Actuators, when: str) -> None:
        """Those loops that act `always` or `local`."""
        probes = list(settings.probes)
        chosen = [loop for loop in settings.loops if loop.when == when]
        self._loops = [
            _Loop(loop, probes.index(loop.measured), settings.actuators, actuators)
            for loop in chosen
        ]

    def take_over(
        self, working: Mapping[str, float], measured: Mapping[int, float], time_h: float
    ) -> None:
        """Go on from the setpoints of now, without a bump.

        Args:
            working: setpoints of all actuators.
            measured: what the probes show, by their rows.
            time_h: hours since inoculation.
        """
        for loop in self._loops:
            loop.take_over(working, measured[loop.row], time_h)

    def step(self, measured: Mapping[int, float], time_h: float) -> dict[str, float]:
        """Setpoints for the next tick by actuator; a probe that shows NaN repeats the last ones."""
        setpoints: dict[str, float] = {}
        for loop in self._loops:
            setpoints.update(loop.step(measured[loop.row], time_h))
        return setpoints

    @property
    def rows(self) -> Iterable[int]:
        """Rows of the probes that these loops look at."""
        return (loop.row for loop in self._loops)


class _Loop:
    """One loop with its state."""

    def __init__(
        self,
        settings: LoopSettings,
        row: int,
        known: Mapping[str, ActuatorSettings],
        actuators: Actuators,
    ) -> None:
        self.row = row
        self._settings = settings
        self._actuators = actuators
        output, opposite = settings.output, settings.opposite
        self._pi = PI(
            gain=settings.gain,
            integral_time_h=settings.integral_time_h,
            lower=known[output].lower if opposite is None else -known[opposite].upper,
            upper=known[output].upper,
        )
        shown = dict(zip(actuators.names, actuators.shown, strict=True))
        self._state = self._pi.start(shown[output] if opposite is None else 0.0, nan)
        self._setpoint = nan
        self._until_h = -inf

    def take_over(self, working: Mapping[str, float], measured: float, time_h: float) -> None:
        settings = self._settings
        output = working[settings.output]
        if settings.opposite is not None:
            output -= working[settings.opposite]
        self._state = self._pi.start(output, self._setpoint_at(time_h) - measured)

    def step(self, measured: float, time_h: float) -> dict[str, float]:
        settings, limited = self._settings, self._actuators.limited
        wanted, self._state = self._pi.step(
            self._state, self._setpoint_at(time_h), measured, _TICK_H
        )
        if settings.opposite is None:
            return {settings.output: limited(settings.output, wanted)}
        return {
            settings.output: limited(settings.output, max(wanted, 0.0)),
            settings.opposite: limited(settings.opposite, max(-wanted, 0.0)),
        }

    def _setpoint_at(self, time_h: float) -> float:
        """The schedule's row of now; looked up once per row."""
        if time_h >= self._until_h:
            rows = self._settings.setpoint
            self._setpoint = [value for hour, value in rows if hour <= time_h][-1]
            self._until_h = next((hour for hour, _ in rows if hour > time_h), inf)
        return self._setpoint
