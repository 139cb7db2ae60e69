"""The courses of a seed's batches beside its optimum, as one HTML page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from sim_plant.truth import Truth

POINTS = 700

COLORS = ("#24292f", "#1f6feb", "#e36209", "#1a9c4b", "#8250df", "#d1242f", "#9a6700", "#0a8ea0")

PAGE = """<!doctype html>
<meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:sans-serif;margin:1em}} #plots{{display:grid;
grid-template-columns:repeat(auto-fill,minmax(420px,1fr))}} .plot{{height:280px}}</style>
<h1>{title}</h1><p>{text}</p><div id="plots"></div>
<script>{plotly}</script>
<script>
const panels = {panels};
panels.forEach((panel, place) => {{
  const box = document.createElement("div");
  box.className = "plot";
  document.getElementById("plots").append(box);
  Plotly.newPlot(box, panel.traces, {{title: {{text: panel.title}}, showlegend: place === 0,
    legend: {{orientation: "h"}}, margin: {{t: 36, l: 48, r: 8, b: 32}}}}, {{displaylogo: false}});
}});
</script>
"""


def write_courses(path: Path, seed: int, optimum: Truth, batches: Mapping[str, Truth]) -> None:
    """Write the page: every output that is judged or assayed, and every input that moved."""
    courses = {"perfect knowledge": optimum, **batches}
    names = [("output", name) for name in optimum.output_names]
    names += [("input", name) for name in optimum.input_names]
    panels = [
        {"title": name.replace("_", " "), "traces": _traces(courses, kind, name)}
        for kind, name in names
        if any(np.ptp(_course(truth, kind, name)) > 0 for truth in courses.values())
    ]
    text = ", ".join(
        f"{title} {truth.product_g / optimum.product_g:.4f}" for title, truth in batches.items()
    )
    page = PAGE.format(
        title=f"Seed {seed}: the batches beside the optimum",
        text=f"Product over the optimum, {optimum.product_g:.0f} g: {text}",
        plotly=get_plotlyjs(),
        panels=json.dumps(panels),
    )
    path.write_text(page, "utf-8")


def _course(truth: Truth, kind: str, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return truth.output(name) if kind == "output" else truth.input(name)


def _traces(courses: Mapping[str, Truth], kind: str, name: str) -> list[dict[str, Any]]:
    traces = []
    for place, (title, truth) in enumerate(courses.items()):
        rows = np.unique(np.linspace(0, len(truth.time_h) - 1, POINTS).astype(int))
        values = _course(truth, kind, name)[rows]
        traces.append(
            {
                "name": title,
                "x": [float(f"{hour:.4g}") for hour in truth.time_h[rows]],
                "y": [float(f"{value:.5g}") if np.isfinite(value) else None for value in values],
                "mode": "lines",
                "line": {"color": COLORS[place % len(COLORS)], "width": 1.4},
            }
        )
    return traces
