"""Which plots a report has, and in which order."""

from collections.abc import Iterable

import numpy as np

from mpc_agent.record import Quantity
from mpc_agent.report import traces as draw
from mpc_agent.report.panel import Group, Panel, mass_unit
from mpc_agent.report.quantity_panels import QuantityPanels
from mpc_agent.report.series import Series
from mpc_agent.report.traces import Arrays, Trace
from sim_plant.truth import Truth

STATE_COLORS = {
    "CONTROL": draw.ESTIMATE,
    "ADVISE": "#79b8ff",
    "SHADOW": "#c8d1db",
    "OFF": "#57606a",
    "PLAN": draw.ESTIMATE,
    "HELD_PLAN": "#79b8ff",
    "RECIPE": draw.RECIPE,
    "SAFE": draw.LIMIT,
    "OPERATOR": draw.SETPOINT,
    "REMOTE": draw.ESTIMATE,
    "LOCAL": draw.RECIPE,
    "WATCHDOG": "#bf8700",
    "NOT CONNECTED": draw.LIMIT,
}

TIMELINE_LABELS = {"mode": "Mode", "feed": "Feeds from", "gas": "Gases from", "plant": "Plant"}


def groups(series: Series, truth: Truth | None, arrays: Arrays, span_h: float) -> list[Group]:
    """All plots of a report.

    Args:
        series: the record.
        truth: what really happened, if anybody knows.
        arrays: where the numbers go.
        span_h: where the time axis ends, hours since inoculation.
    """
    header = series.header
    outputs = {quantity.name: quantity for quantity in header.outputs}
    volumes = [name for name in ("volume", "weight") if name in outputs]
    culture = [name for name in _shown(series, header.assays) if name in outputs]
    online = [
        name
        for name in _shown(series, series.measured)
        if name in outputs and name not in (*volumes, *culture)
    ]
    flows = [quantity for quantity in header.inputs if _moves(series, quantity)]
    drawer = QuantityPanels(series, truth, arrays, span_h)
    found = [
        Group("Culture", tuple(drawer.output(outputs[name]) for name in culture)),
        Group("Environment", tuple(drawer.output(outputs[name]) for name in online)),
        Group(
            "Volume, feeds and gases",
            (
                *(drawer.output(outputs[name]) for name in volumes),
                *(drawer.flow(quantity) for quantity in flows),
            ),
        ),
        Group(
            "Learnt parameters",
            tuple(drawer.parameter(item) for item in header.adapted),
            note="black and dotted: the value before learning",
        ),
    ]
    return [group for group in found if group.panels]


def _moves(series: Series, quantity: Quantity) -> bool:
    """Whether an input is a flow of liquid or gas, or was moved."""
    values = series.flows[quantity.name]
    known = values[np.isfinite(values)]
    moved = bool(known.size) and float(np.ptp(known)) > 0.05 * float(np.abs(known).max())
    return quantity.unit == "L/h" or quantity.name in series.setpoints or moved


def _shown(series: Series, names: Iterable[str]) -> list[str]:
    """Outputs that these signals or assays show, each once."""
    return list(dict.fromkeys(series.header.output_of(name) for name in names))


def forecast_panel(
    series: Series, product_g: dict[str, float], arrays: Arrays, span_h: float
) -> Panel | None:
    """What was expected at harvest while the batch went on; None when nothing was."""
    if not series.expected:
        return None
    found: list[Trace] = []
    looks = {
        "recipe": ("with the recipe from there on", draw.RECIPE, draw.RECIPE_BAND),
        "plan": ("with the agent's plan", draw.ESTIMATE, draw.BAND),
    }
    rows = draw.thinned(len(series.time_h))
    time_h = series.time_h[rows]
    highest = [np.nanmax(series.expected[name], initial=0.0) for name in series.expected]
    mass = mass_unit(max([*highest, *product_g.values()]))
    for name, (label, color, fill) in looks.items():
        if name in series.expected:
            mean = series.expected[name][rows] / mass.grams
            deviation = series.expected_deviation[name][rows] / mass.grams
            found += draw.band(arrays, time_h, mean, deviation, fill)
            found.append(draw.line(arrays, label, time_h, mean, color=color, width=2.2))
    ends = np.array([0.0, span_h])
    for name, label, look in (
        ("recipe", "harvest with the recipe alone", {"color": draw.RECIPE, "dash": "dot"}),
        ("optimum", "optimum with perfect knowledge", {"color": draw.INK, "dash": "dashdot"}),
        ("achieved", "harvested", {"color": draw.TRUTH, "dash": "dash"}),
    ):
        if name in product_g:
            value = np.full(2, product_g[name] / mass.grams)
            found.append(draw.line(arrays, label, ends, value, width=1.6, **look))
    return Panel("Product expected at harvest", mass.name, tuple(found), wide=True)


def consistency_panel(series: Series, arrays: Arrays) -> Panel | None:
    """Squared innovations of all signals against their band; None when it was not recorded."""
    told = [(i, item.consistency) for i, item in enumerate(series.estimates) if item.consistency]
    told = [(i, item) for i, item in told if np.isfinite(item.overall)]
    if not told:
        return None
    places = np.array([i for i, _ in told])
    time_h = series.time_h[places]
    values = np.array([item.overall for _, item in told])
    rows = draw.extremes(values)
    bands = np.array([item.band for _, item in told])
    found = [
        draw.line(
            arrays, label, time_h[rows], bands[rows, end], color=draw.LIMIT, dash="dot", width=1.2
        )
        for end, label in enumerate(("lower end of its band", "upper end of its band"))
    ]
    found.append(
        draw.line(arrays, "mean", time_h[rows], values[rows], color=draw.ESTIMATE, width=1.8)
    )
    title = "Squared innovations of all signals, as multiples of what is expected"
    return Panel(title, "", tuple(found), wide=True)


def timeline_panel(series: Series, arrays: Arrays) -> Panel:
    """Modes, origins of the setpoints, and who controlled the plant."""
    rows = {
        TIMELINE_LABELS.get(name, f"{name} from"): values for name, values in series.states.items()
    }
    found = draw.states(arrays, rows, series.time_h, STATE_COLORS)
    return Panel("Who did what", "", tuple(found), wide=True, kind="timeline", rows=tuple(rows))


def duration_panel(series: Series, arrays: Arrays, span_h: float) -> Panel | None:
    """Wall time of the cycles against their deadline; None when it was not recorded."""
    if "cycle" not in series.durations:
        return None
    label = "wall time"
    rows = draw.extremes(series.durations["cycle"])
    found = draw.line(
        arrays, label, series.time_h[rows], series.durations["cycle"][rows], color=draw.INK
    )
    found |= {"mode": "markers", "marker": {"color": draw.INK, "size": 2.6, "opacity": 0.5}}
    limit = draw.level(arrays, "deadline", (0.0, span_h), series.header.deadline_s)
    return Panel("Wall time of each cycle", "s", (limit, found), wide=True, kind="logarithmic")
