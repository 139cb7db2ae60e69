"""The reference batch of a model as one self-contained HTML page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mpc_agent.commands.progress import short
from mpc_agent.model_show.describing import integrator, numbered_sources
from mpc_agent.record import Quantity
from mpc_agent.report import traces as draw
from mpc_agent.report.html import embedded, numbered, rendered, write_page
from mpc_agent.report.panel import Group, Panel, pretty_title, pretty_unit
from mpc_agent.report.traces import Arrays, Trace
from mpc_agent.values import Floats
from plant_models.model import Input, Measured, Output, PlantModel, State
from plant_models.reference_run import ReferenceRun

Described: TypeAlias = State | Input | Output

STEADY = 5e-4
"""Relative change over the batch below which a quantity is told as a number, not drawn."""

MOST_PULSES = 100
"""More than these in a batch are no pulses."""

_SAME = 1e-9
_OUTPUT_GROUPS: tuple[tuple[Measured, str], ...] = (
    ("assay", "Measured by assay"),
    ("online", "Measured online"),
    ("computed", "Computed"),
)


@dataclass(frozen=True)
class Held:
    """A quantity that does not change over the batch, as people read it."""

    title: str
    name: str
    value: str


def write_model_page(model: PlantModel, run: ReferenceRun, path: Path) -> None:
    """Write the page of a model.

    Raises:
        CannotWriteError: it cannot be written.
    """
    write_page(path, model_page(model, run))


def model_page(model: PlantModel, run: ReferenceRun) -> str:
    """The page of a model as text: its reference batch, its equations, its parameters."""
    drawing = _Drawing(model, run, Arrays(time_unit="h"), [])
    groups = [group for group in drawing.groups() if group.panels]
    return rendered(
        Path(__file__).with_name("model.html.j2"),
        {
            "model": model,
            "facts": _facts(model, run),
            "groups": list(numbered(groups)),
            "held": drawing.held,
            "data": embedded(groups, drawing.arrays, float(run.times_h[-1])),
            "pretty_unit": pretty_unit,
            "sources": numbered_sources(model),
        },
    )


def _facts(model: PlantModel, run: ReferenceRun) -> list[tuple[str, str]]:
    """The lines under the title."""
    product = model.outputs_info[model.product]
    amount = run.outputs[-1, model.output_names.index(model.product)]
    return [
        ("Organism", model.organism),
        ("Length", f"{model.reference.duration_h:g} h"),
        ("Product at the end", f"{short(float(amount))} {pretty_unit(product.unit)}"),
        ("Integrator", integrator(model)),
    ]


@dataclass(frozen=True)
class _Drawing:
    """Makes the plots of one reference batch.

    Attributes:
        model: the model.
        run: its reference batch.
        arrays: where the numbers go.
        held: takes the quantities that do not change.
    """

    model: PlantModel
    run: ReferenceRun
    arrays: Arrays
    held: list[Held]

    def groups(self) -> Iterator[Group]:
        """All plots under their headings."""
        outputs = self.model.outputs_info
        shown = [self._shown_state(i) for i in range(len(outputs))]
        for how, title in _OUTPUT_GROUPS:
            found = (
                self._course(name, item, self.run.outputs[:, i], shown[i])
                for i, (name, item) in enumerate(outputs.items())
                if item.measured == how
            )
            yield Group(title, tuple(panel for panel in found if panel))
        found = (
            self._course(name, item, self.run.states[:, i], i)
            for i, (name, item) in enumerate(self.model.states.items())
            if i not in shown
        )
        yield Group("Further states", tuple(panel for panel in found if panel))
        found = (
            self._input(name, item, self.run.inputs[:, i])
            for i, (name, item) in enumerate(self.model.inputs.items())
        )
        yield Group("Inputs", tuple(panel for panel in found if panel))

    def _shown_state(self, output: int) -> int | None:
        """The state that an output shows as it is, by position."""
        values = self.run.outputs[:, output]
        unit = self.model.outputs_info[self.model.output_names[output]].unit
        for i, item in enumerate(self.model.states.values()):
            same = np.abs(self.run.states[:, i] - values) <= _SAME * item.scale
            if item.unit == unit and bool(same.all()):
                return i
        return None

    def _course(
        self, name: str, item: Described, values: Floats, state: int | None
    ) -> Panel | None:
        """A state or an output; pulses are drawn upright where it is a state."""
        if self._is_held(name, item, values):
            return None
        times_h = self.run.times_h
        if state is not None:
            times_h, values = _upright(
                times_h, self.run.before[:, state], self.run.states[:, state]
            )
        rows = draw.extremes(values)
        trace = draw.line(self.arrays, "model", times_h[rows], values[rows], color=draw.ESTIMATE)
        return self._panel(name, item, trace, "lines")

    def _input(self, name: str, item: Input, values: Floats) -> Panel | None:
        if self._is_held(name, item, values):
            return None
        trace = draw.stairs(self.arrays, "input", self.run.times_h, values, color=draw.RECIPE)
        return self._panel(name, item, trace, "flow" if item.lower == 0 else "lines")

    def _panel(self, name: str, item: Described, trace: Trace, kind: str) -> Panel:
        return Panel(_title(name, item), pretty_unit(item.unit), (trace,), kind=kind, name=name)

    def _is_held(self, name: str, item: Described, values: Floats) -> bool:
        """Whether a quantity does not change; then it is told as a number."""
        if float(np.ptp(values)) > STEADY * float(np.abs(values).max()):
            return False
        value = f"{float(values[-1]):.5g} {pretty_unit(item.unit)}".rstrip()
        self.held.append(Held(_title(name, item), name, value))
        return True


def _upright(times_h: Floats, before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Times and values of a state: a pulse has two, what was reached and what it became.

    Of a state that is reset again and again, a counter of one step, only what was reached.
    """
    pulses = before != after
    if pulses.sum() > MOST_PULSES:
        return times_h[pulses], before[pulses]
    values = np.stack([before, after], axis=1).ravel()
    kept = np.stack([np.full(len(pulses), True), pulses], axis=1).ravel()
    return np.repeat(times_h, 2)[kept], values[kept]


def _title(name: str, item: Described) -> str:
    """What a quantity is, without remarks."""
    return pretty_title(Quantity(name, item.unit, item.meaning.partition(";")[0]))
