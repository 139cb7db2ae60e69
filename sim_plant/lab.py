"""The laboratory: samples drawn by the day, results that come back hours later."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

import numpy as np
from numpy.typing import NDArray

from plant_models.model import PlantModel
from sim_plant.equipment_settings import AssaySettings
from sim_plant.faults import Fault, FaultKind, active_faults, faults_of
from sim_plant.instrument_settings import LabSettings
from sim_plant.tag_units import Scale

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Result:
    """One assay of one sample; ordered by when it is released.

    Attributes:
        entered_at_s: when the result is released, UTC seconds.
        drawn_at_s: when the sample left the vessel, UTC seconds.
        assay: output of the model.
        value: measured value, in the tag's unit.
    """

    entered_at_s: float
    drawn_at_s: float
    assay: str
    value: float


@dataclass(frozen=True, slots=True)
class _Assay:
    """One assay: its output of the model, and how that becomes what the laboratory reports."""

    name: str
    settings: AssaySettings
    row: int
    scale: Scale

    @property
    def lowest(self) -> float:
        """Smallest value reported: no laboratory reports less than nothing."""
        return 0.0 if self.settings.range is None else self.settings.range[0]

    @property
    def highest(self) -> float:
        """Largest value reported."""
        return inf if self.settings.range is None else self.settings.range[1]


class Laboratory:
    """Draws samples by schedule and releases their results.

    Attributes:
        results: latest released result of each assay; absent before the first one.
        next_event_s: nothing happens before this (UTC seconds).
    """

    def __init__(
        self,
        settings: LabSettings,
        assays: Mapping[str, AssaySettings],
        model: PlantModel,
        faults: tuple[Fault, ...],
        inoculated_at_s: float,
        generator: np.random.Generator,
    ) -> None:
        self._settings = settings
        self._assays = [
            _Assay(
                name,
                assay,
                model.output_names.index(name),
                Scale.between(assay.unit, model.outputs_info[name].unit),
            )
            for name, assay in assays.items()
        ]
        self._faults = faults_of(faults, "lab_")
        self._inoculated_at_s = inoculated_at_s
        self._generator = generator
        self._pending: list[Result] = []
        self._drawn = 0
        self._next_draw_s = self._draw_time_s(0)
        self.results: dict[str, Result] = {}
        self.next_event_s = self._next_draw_s

    def work(self, time_s: float, outputs: Floats) -> bool:
        """Draw the sample that is due and release what is ready, with the true outputs now.

        Returns:
            Whether a sample was drawn.
        """
        due = time_s >= self._next_draw_s
        if due:
            self._draw(time_s, outputs)
            self._drawn += 1
            self._next_draw_s = self._draw_time_s(self._drawn)
        while self._pending and self._pending[0].entered_at_s <= time_s:
            result = heappop(self._pending)
            known = self.results.get(result.assay)
            if known is None or known.drawn_at_s < result.drawn_at_s:
                self.results[result.assay] = result
        ready_s = self._pending[0].entered_at_s if self._pending else inf
        self.next_event_s = min(self._next_draw_s, ready_s)
        return due

    def _draw_time_s(self, number: int) -> float:
        """When sample `number` is due: the first one by itself, then the multiples after it."""
        first_h, every_h = self._settings.first_h, self._settings.every_h
        if number == 0:
            return self._inoculated_at_s + 3600 * first_h
        return self._inoculated_at_s + 3600 * every_h * (first_h // every_h + number)

    def _draw(self, time_s: float, outputs: Floats) -> None:
        """Assay one sample; noise and delays are drawn in a fixed order, faults or not."""
        noise = self._generator.standard_normal(len(self._assays))
        spread = self._generator.uniform(-1.0, 1.0, len(self._assays))
        active = active_faults(self._faults, (time_s - self._inoculated_at_s) / 3600)
        for assay, draw, jitter in zip(self._assays, noise, spread, strict=True):
            settings = assay.settings
            true = assay.scale.to_tag(float(outputs[assay.row]))
            deviation = settings.absolute + settings.relative * true
            factor, delay, missing = _effects(active, assay.name)
            value = factor * (true + float(draw) * deviation)
            delay *= settings.delay_h * (1.0 + self._settings.delay_spread * float(jitter))
            if missing:
                continue
            heappush(
                self._pending,
                Result(
                    entered_at_s=time_s + 3600 * delay,
                    drawn_at_s=time_s,
                    assay=assay.name,
                    value=min(max(value, assay.lowest), assay.highest),
                ),
            )


def _effects(active: tuple[Fault, ...], assay: str) -> tuple[float, float, bool]:
    """What faults do to one assay: factor on its value, factor on its delay, whether it is lost."""
    factor, delay, missing = 1.0, 1.0, False
    for fault in active:
        if fault.target == assay:
            match fault.kind:
                case FaultKind.LAB_OUTLIER:
                    factor *= fault.size
                case FaultKind.LAB_LATE:
                    delay *= fault.size
                case _:
                    missing = True
    return factor, delay, missing
