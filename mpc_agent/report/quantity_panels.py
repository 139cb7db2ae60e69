"""Single quantities, with everything that is known of each in one plot."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mpc_agent.record import Quantity
from mpc_agent.report import traces as draw
from mpc_agent.report.panel import Panel, pretty_title, pretty_unit
from mpc_agent.report.series import Points, Series
from mpc_agent.report.traces import Arrays, Trace
from mpc_agent.values import Floats
from sim_plant.truth import Truth

Drawn: TypeAlias = Callable[[Arrays, str, Floats, Floats], Trace]
"""How single values are drawn."""

BOUNDS = {"viability": (0.0, 100.0)}
"""Where a quantity can be, if not anywhere above zero."""


@dataclass(frozen=True)
class QuantityPanels:
    """Makes the plots of a batch's quantities.

    Attributes:
        series: the record.
        truth: what really happened, if anybody knows.
        arrays: where the numbers go.
        span_h: where the time axis ends, hours since inoculation.
    """

    series: Series
    truth: Truth | None
    arrays: Arrays
    span_h: float

    def output(self, quantity: Quantity) -> Panel:
        """An output of the model: truth, estimate, what was measured, limits and target."""
        return Panel(
            title=pretty_title(quantity),
            unit=pretty_unit(quantity.unit),
            traces=(
                *self._limits(quantity.name),
                *self._online(quantity.name),
                *self._estimate(quantity.name),
                *self._truth(quantity.name, "output"),
                *self._target(quantity.name),
                *self._samples(quantity.name),
            ),
        )

    def flow(self, quantity: Quantity) -> Panel:
        """An input: what flowed, what was asked for, what the recipe says."""
        name, series, arrays = quantity.name, self.series, self.arrays
        found: list[Trace] = []
        if name in series.header.recipe:
            rows = series.header.recipe[name]
            found.append(draw.schedule(arrays, "recipe", rows, self.span_h, draw.RECIPE, width=1.8))
        actual = _smooth_enough(series.flows[name])
        read_back = draw.stairs(
            arrays, "read back", series.time_h, actual, color=draw.MEASURED, width=4
        )
        found.append(read_back | {"opacity": 0.4})
        if name in series.setpoints:
            wanted = series.setpoints[name]
            found.append(
                draw.stairs(
                    arrays, "setpoint", series.time_h, wanted, color=draw.SETPOINT, width=1.3
                )
            )
        found += self._truth(name, "input")
        unit = pretty_unit(quantity.unit)
        return Panel(pretty_title(quantity), unit, tuple(found), kind="flow")

    def parameter(self, quantity: Quantity) -> Panel:
        """An adapted parameter: nominal value, estimate, truth."""
        name, series, arrays = quantity.name, self.series, self.arrays
        found: list[Trace] = [
            *draw.estimate(
                arrays, series.time_h, series.adapted[name], series.adapted_deviation[name]
            )
        ]
        nominal = series.header.parameters.get(name)
        if nominal is not None:
            rows = ((0.0, nominal),)
            found.append(
                draw.schedule(
                    arrays, "before learning", rows, self.span_h, draw.INK, dash="dot", width=1.2
                )
            )
        if self.truth is not None and name in self.truth.parameter_names:
            value = float(self.truth.parameters[self.truth.parameter_names.index(name)])
            ends = np.array([0.0, self.span_h])
            found.append(draw.truth(arrays, ends, np.array([value, value])))
        title = f"{name}: {quantity.meaning.split(',')[0]}"
        return Panel(title, pretty_unit(quantity.unit), tuple(found))

    def _limits(self, name: str) -> Iterator[Trace]:
        for value in self.series.header.limits.get(name, (None, None)):
            if value is not None:
                yield draw.level(self.arrays, "limit", (0.0, self.span_h), value)

    def _online(self, name: str) -> Iterator[Trace]:
        yield from self._values(name, self.series.measured, draw.dots, ("measured", "not used"))

    def _samples(self, name: str) -> Iterator[Trace]:
        yield from self._values(name, self.series.samples, draw.points, ("sample", "refused"))

    def _values(
        self, output: str, kept: Mapping[str, Points], drawn: Drawn, labels: tuple[str, str]
    ) -> Iterator[Trace]:
        """All that shows an output; where several do, each by its own name."""
        header = self.series.header
        showing = [name for name in kept if header.output_of(name) == output]
        for name in showing:
            found = kept[name]
            told = "" if len(showing) == 1 else f"{name.replace('_', ' ')}, "
            for accepted, look, label in (
                (found.accepted, drawn, labels[0]),
                (~found.accepted, draw.crosses, labels[1]),
            ):
                if accepted.any():
                    times, values = found.time_h[accepted], found.value[accepted]
                    yield look(self.arrays, told + label, times, values)

    def _estimate(self, name: str) -> list[Trace]:
        series = self.series
        return draw.estimate(
            self.arrays,
            series.time_h,
            series.outputs[name],
            series.output_deviation[name],
            BOUNDS.get(name, draw.POSITIVE),
        )

    def _truth(self, name: str, kind: str) -> Iterator[Trace]:
        truth = self.truth
        if truth is None:
            return
        if kind == "output" and name in truth.output_names:
            yield draw.truth(self.arrays, truth.time_h, truth.output(name))
        if kind == "input" and name in truth.input_names:
            yield draw.truth(self.arrays, truth.time_h, truth.input(name))

    def _target(self, name: str) -> Iterator[Trace]:
        rows = self.series.header.targets.get(name)
        if rows:
            look = {"width": 1.8, "dash": "dashdot"}
            yield draw.schedule(self.arrays, "setpoint", rows, self.span_h, draw.SETPOINT, **look)


def _smooth_enough(values: Floats) -> Floats:
    """A read-back without the flicker of its last digits, which would hide its stairs."""
    scale = np.nanmax(np.abs(values), initial=0.0)
    step = scale / 500 if scale > 0 else 1.0
    smoothed: Floats = np.round(values / step) * step
    return smoothed
