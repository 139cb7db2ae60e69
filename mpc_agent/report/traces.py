"""Lines, bands and points in the report's one visual language, as plotly.js understands them.

One meaning, one look: the truth is a grey dashed line, the estimate blue with its 95 % band,
everything measured orange, limits red and dotted, the recipe green, setpoints purple. Arrays are
kept apart from the traces, so that traces which share a time axis share its numbers too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mpc_agent.values import Floats

Trace: TypeAlias = dict[str, Any]
"""One trace of plotly.js; texts that begin with `@` stand for arrays of the page."""

TRUTH = "#7d8590"
ESTIMATE = "#1f6feb"
BAND = "rgba(31,111,235,0.16)"
MEASURED = "#e36209"
LIMIT = "#d1242f"
RECIPE = "#1a9c4b"
RECIPE_BAND = "rgba(26,156,75,0.14)"
SETPOINT = "#8250df"
INK = "#24292f"

POSITIVE = (0.0, np.inf)
"""Where most quantities can be."""

POINTS_PER_TRACE = 900
SIGMAS_OF_BAND = 1.96
_DIGITS = 5
_HOURS_PER_UNIT = {"d": 24.0, "h": 1.0}


@dataclass
class Arrays:
    """The numbers of a page, each array once.

    Attributes:
        time_unit: of its time axes, "d" or "h".
        kept: arrays by name.
    """

    time_unit: str = "d"
    kept: dict[str, list[float | None]] = field(default_factory=dict)
    _names: dict[bytes, str] = field(default_factory=dict)

    def add(self, values: Floats) -> str:
        """Keep an array, rounded; gives what stands for it in traces."""
        rounded = [_rounded(value) for value in values.tolist()]
        key = repr(rounded).encode()
        if key not in self._names:
            self._names[key] = f"@{len(self._names)}"
            self.kept[self._names[key]] = rounded
        return self._names[key]

    @property
    def hours_per_unit(self) -> float:
        """Length of the unit of its time axes, h."""
        return _HOURS_PER_UNIT[self.time_unit]

    def times(self, time_h: Floats) -> str:
        """Keep times given in hours, in the unit of the time axes."""
        return self.add(np.round(time_h / self.hours_per_unit, 4))


def _rounded(value: float) -> float | None:
    """Five significant digits; None, a gap, when it is not finite."""
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None


def thinned(count: int, limit: int = POINTS_PER_TRACE) -> NDArray[np.intp]:
    """Rows to draw of a smooth curve: evenly spread, first and last included."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.intp))


def extremes(values: Floats, limit: int = POINTS_PER_TRACE) -> NDArray[np.intp]:
    """Rows to draw of a noisy curve: smallest and largest value of each stretch."""
    count = len(values)
    if count <= limit:
        return np.arange(count, dtype=np.intp)
    edges = np.linspace(0, count, limit // 2 + 1).astype(np.intp)
    filled = np.where(np.isfinite(values), values, np.nanmean(values))
    rows = [
        start + offset
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        for offset in (int(filled[start:end].argmin()), int(filled[start:end].argmax()))
    ]
    return np.unique(np.array(rows, dtype=np.intp))


def changes(values: Floats, limit: int = POINTS_PER_TRACE) -> NDArray[np.intp]:
    """Rows to draw of a staircase: where it changes, and its ends."""
    missing, count = np.isnan(values), len(values)
    different = (values[1:] != values[:-1]) & ~(missing[1:] & missing[:-1])
    # A stair ends where a gap begins, so its last value is needed too.
    before_gap = missing[1:] & ~missing[:-1]
    starts, ends = np.flatnonzero(different) + 1, np.flatnonzero(before_gap)
    rows = np.unique(np.concatenate([[0], starts, ends, [count - 1]]))
    return rows if len(rows) <= limit else rows[extremes(values[rows], limit)]


def line(
    arrays: Arrays,
    name: str,
    time_h: Floats,
    values: Floats,
    **look: Any,  # noqa: ANN401
) -> Trace:
    """A line through values; `look` overrides plotly.js attributes of the line."""
    return {
        "name": name,
        "x": arrays.times(time_h),
        "y": arrays.add(values),
        "mode": "lines",
        "type": "scatter",
        "line": {"width": 1.8} | look,
        "hovertemplate": "%{y:.4~g}",
    }


def band(
    arrays: Arrays,
    time_h: Floats,
    mean: Floats,
    deviation: Floats,
    color: str = BAND,
    bounds: tuple[float, float] = POSITIVE,
) -> list[Trace]:
    """The 95 % band around a line, cut where the quantity cannot go; silent under the pointer."""
    width = SIGMAS_OF_BAND * deviation
    edges = [np.clip(mean + sign * width, *bounds) for sign in (-1, 1)]
    traces = [line(arrays, "95 % band", time_h, edge, width=0) for edge in edges]
    for trace in traces:
        del trace["hovertemplate"]
        trace["hoverinfo"] = "skip"
    traces[1] |= {"fill": "tonexty", "fillcolor": color}
    return traces


def estimate(
    arrays: Arrays,
    time_h: Floats,
    mean: Floats,
    deviation: Floats,
    bounds: tuple[float, float] = POSITIVE,
) -> list[Trace]:
    """An estimate with its band."""
    rows = thinned(len(time_h))
    time_h, mean, deviation = time_h[rows], mean[rows], deviation[rows]
    traces = band(arrays, time_h, mean, deviation, bounds=bounds)
    return [*traces, line(arrays, "estimate", time_h, mean, color=ESTIMATE)]


def truth(arrays: Arrays, time_h: Floats, values: Floats) -> Trace:
    """What really happened."""
    rows = thinned(len(time_h))
    return line(arrays, "truth", time_h[rows], values[rows], color=TRUTH, dash="dash", width=1.6)


def stairs(
    arrays: Arrays,
    name: str,
    time_h: Floats,
    values: Floats,
    **look: Any,  # noqa: ANN401
) -> Trace:
    """Values that hold until the next one."""
    rows = changes(values)
    return line(arrays, name, time_h[rows], values[rows], shape="hv", **look)


def dots(arrays: Arrays, name: str, time_h: Floats, values: Floats) -> Trace:
    """Online values: many, small, faint."""
    rows = extremes(values)
    return line(arrays, name, time_h[rows], values[rows]) | {
        "mode": "markers",
        "marker": {"color": MEASURED, "size": 2.6, "opacity": 0.45},
    }


def points(arrays: Arrays, name: str, time_h: Floats, values: Floats) -> Trace:
    """Lab results: few, and each one matters."""
    return line(arrays, name, time_h, values) | {
        "mode": "markers",
        "marker": {"color": MEASURED, "size": 7, "line": {"color": "white", "width": 1}},
    }


def crosses(arrays: Arrays, name: str, time_h: Floats, values: Floats) -> Trace:
    """Values that were not believed."""
    rows = extremes(values)
    return line(arrays, name, time_h[rows], values[rows]) | {
        "mode": "markers",
        "marker": {"color": MEASURED, "size": 6, "symbol": "x-thin-open", "line": {"width": 1.4}},
    }


def level(arrays: Arrays, name: str, span_h: tuple[float, float], value: float) -> Trace:
    """A limit: one value from beginning to end."""
    time_h, values = np.array(span_h), np.array([value, value])
    return line(arrays, name, time_h, values, color=LIMIT, dash="dot", width=1.6)


def schedule(
    arrays: Arrays,
    name: str,
    rows: tuple[tuple[float, float], ...],
    end_h: float,
    color: str,
    **look: Any,  # noqa: ANN401
) -> Trace:
    """Rows of (hour, value), each holding until the next, the last one until the end."""
    begun = [row for row in rows if row[0] < end_h]
    table = np.array([*begun, (end_h, begun[-1][1])])
    return line(arrays, name, table[:, 0], table[:, 1], shape="hv", color=color, **look)


def states(
    arrays: Arrays, rows: Mapping[str, NDArray[np.str_]], time_h: Floats, colors: Mapping[str, str]
) -> list[Trace]:
    """A timeline: one bar per row and stretch of the same state, one trace per state."""
    bars: dict[str, list[tuple[str, float, float]]] = {}
    ends_h = np.append(time_h[1:], time_h[-1:])
    for row, values in rows.items():
        starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        for start, end in zip(starts, [*(starts[1:] - 1), len(values) - 1], strict=True):
            begin_h, end_h = float(time_h[start]), float(ends_h[end])
            bars.setdefault(str(values[start]), []).append((row, begin_h, end_h - begin_h))
    return [
        {
            "name": state,
            "type": "bar",
            "orientation": "h",
            "y": [row for row, _, _ in stretches],
            "base": arrays.times(np.array([begin for _, begin, _ in stretches])),
            "x": arrays.times(np.array([length for _, _, length in stretches])),
            "marker": {"color": colors.get(state, TRUTH)},
            "width": 0.66,
            "text": [state.replace("_", " ").lower()] * len(stretches),
            "textposition": "inside",
            "insidetextanchor": "middle",
            "hovertemplate": f"%{{y}}: {state}<extra></extra>",
        }
        for state, stretches in sorted(bars.items())
        if state
    ]
