"""A replay as one self-contained HTML page: recorded, replayed and smoothed estimates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mpc_agent.record import SHORT_H, BatchHeader, Quantity
from mpc_agent.replay.comparing import Key
from mpc_agent.replay.courses import Courses
from mpc_agent.replay.result import Compared
from mpc_agent.report import traces as draw
from mpc_agent.report.html import embedded, numbered, rendered, write_page
from mpc_agent.report.panel import Group, Panel, pretty_title, pretty_unit
from mpc_agent.report.quantity_panels import BOUNDS
from mpc_agent.report.series import Points, Series
from mpc_agent.report.traces import Arrays, Trace
from sim_plant.truth import Truth


def write_replay_page(
    path: Path, found: Courses, told: Compared, series: Series, truth: Truth | None
) -> None:
    """Write the page of a replay.

    Args:
        path: of the page.
        found: all estimates.
        told: what came of comparing them.
        series: the record, for what was measured.
        truth: what really happened, if anybody knows.

    Raises:
        CannotWriteError: it cannot be written.
    """
    header = series.header
    arrays = Arrays(time_unit="h" if header.harvest_h < SHORT_H else "d")
    drawing = _Drawing(found, series, truth, arrays, identical=not told.different)
    shown = [group for group in drawing.groups() if group.panels]
    page = rendered(
        Path(__file__).with_name("replay.html.j2"),
        {
            "header": header,
            "told": told,
            "has_truth": truth is not None,
            "groups": list(numbered(shown)),
            "data": embedded(shown, arrays, float(found.time_h[-1])),
        },
    )
    write_page(path, page)


@dataclass(frozen=True)
class _Drawing:
    """Makes the plots of one replay.

    Attributes:
        found: all estimates.
        series: the record.
        truth: what really happened, if anybody knows.
        arrays: where the numbers go.
        identical: the recorded estimates are the replayed ones.
    """

    found: Courses
    series: Series
    truth: Truth | None
    arrays: Arrays
    identical: bool

    def groups(self) -> Iterator[Group]:
        """All plots under their headings."""
        header = self.series.header
        outputs = {item.name: item for item in header.outputs}
        assayed = self._shown(header, header.assays)
        online = [name for name in self._shown(header, header.signals) if name not in assayed]
        hidden = [item for item in header.states if item.name not in (*assayed, *online)]
        learnt = [item for item in header.adapted if Key("parameter", item.name) in self._keys]
        yield Group("Assayed by the lab", tuple(self._output(outputs[name]) for name in assayed))
        yield Group("Measured online", tuple(self._output(outputs[name]) for name in online))
        yield Group("Other states", tuple(self._panel("state", item) for item in hidden))
        yield Group("Learnt parameters", tuple(self._panel("parameter", item) for item in learnt))

    @property
    def _keys(self) -> Mapping[Key, object]:
        return self.found.replayed.means

    def _shown(self, header: BatchHeader, names: tuple[str, ...]) -> list[str]:
        """Outputs that these signals or assays show, each once."""
        return list(dict.fromkeys(header.output_of(name) for name in names))

    def _output(self, quantity: Quantity) -> Panel:
        plain = self._panel("output", quantity)
        kept = self.series
        return Panel(
            plain.title,
            plain.unit,
            (
                *self._values(quantity.name, kept.measured, "measured"),
                *plain.traces,
                *self._values(quantity.name, kept.samples, "sample"),
            ),
        )

    def _panel(self, kind: str, quantity: Quantity) -> Panel:
        key = Key(kind, quantity.name)
        title = pretty_title(quantity)
        if kind == "parameter":
            title = f"{quantity.name}: {quantity.meaning.split(',')[0]}"
        return Panel(title, pretty_unit(quantity.unit), tuple(self._estimates(key)))

    def _estimates(self, key: Key) -> Iterator[Trace]:
        """Replayed with its band, smoothed with its own, recorded as a line, and the truth."""
        found, arrays = self.found, self.arrays
        rows = draw.thinned(len(found.time_h))
        time_h, bounds = found.time_h[rows], BOUNDS.get(key.name, draw.POSITIVE)
        for course, name, color, fill in (
            (found.replayed, "replayed", draw.ESTIMATE, draw.BAND),
            (found.smoothed, "smoothed", draw.RECIPE, draw.RECIPE_BAND),
        ):
            mean, deviation = course.means[key][rows], course.deviations[key][rows]
            yield from draw.band(arrays, time_h, mean, deviation, fill, bounds)
            yield draw.line(arrays, name, time_h, mean, color=color)
        if not self.identical and key in found.recorded.means:
            mean = found.recorded.means[key][rows]
            yield draw.line(arrays, "recorded", time_h, mean, color=draw.SETPOINT, width=1.3)
        truth = self.truth
        if truth is not None and key.kind == "output" and key.name in truth.output_names:
            yield draw.truth(arrays, truth.time_h, truth.output(key.name))

    def _values(self, output: str, kept: Mapping[str, Points], label: str) -> Iterator[Trace]:
        """What was measured of an output, online or by the lab; crosses where it was not used."""
        look = draw.points if label == "sample" else draw.dots
        for name, points in kept.items():
            if self.series.header.output_of(name) != output:
                continue
            for chosen, drawn, told in (
                (points.accepted, look, label),
                (~points.accepted, draw.crosses, f"{label}, not used"),
            ):
                if chosen.any():
                    yield drawn(self.arrays, told, points.time_h[chosen], points.value[chosen])
