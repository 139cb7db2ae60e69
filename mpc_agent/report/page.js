"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  // A little room at both ends, so that no point is cut.
  const SPAN = [-0.008 * page.span, 1.008 * page.span];
  const FONT = getComputedStyle(document.body).fontFamily;

  // Texts such as "@7" stand for the arrays of the page; "@@" never occurs.
  const filled = (trace) => {
    for (const axis of ["x", "y", "base"]) {
      if (typeof trace[axis] === "string") trace[axis] = page.arrays[trace[axis]];
    }
    return trace;
  };

  const axis = () => ({
    gridcolor: "#eef1f4", zeroline: false, linecolor: "#dfe3e8", automargin: true, ticks: "",
  });

  const layoutOf = (panel) => {
    const legend = panel.wide && panel.kind === "lines";
    const layout = {
      height: panel.wide ? 270 : 205,
      margin: { l: 44, r: 18, t: legend ? 34 : 8, b: 26 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: FONT, size: 11, color: "#59636e" },
      hovermode: "x unified",
      hoverlabel: { bgcolor: "rgba(255,255,255,0.95)", bordercolor: "#dfe3e8", font: { size: 11.5 } },
      dragmode: "zoom",
      showlegend: legend,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      xaxis: { ...axis(), range: [...SPAN], ticksuffix: ` ${page.time_unit}`, showticksuffix: "last", hoverformat: ".2f", nticks: 9 },
      yaxis: { ...axis(), fixedrange: true, nticks: 6 },
    };
    if (panel.kind === "timeline") {
      Object.assign(layout, { height: 180, barmode: "overlay", hovermode: "closest" });
      layout.uniformtext = { minsize: 11, mode: "hide" };
      layout.yaxis = {
        ...layout.yaxis, showgrid: false, autorange: "reversed",
        categoryorder: "array", categoryarray: panel.rows,
      };
    }
    if (panel.kind === "flow") layout.yaxis.rangemode = "tozero";
    if (panel.kind === "logarithmic") {
      Object.assign(layout, { height: 190 });
      layout.yaxis = { ...layout.yaxis, type: "log", dtick: 1 };
    }
    return layout;
  };

  const plots = page.panels.map((_, number) => document.getElementById(`plot-${number}`));

  // One zoom for all plots.
  let following = false;
  const follow = (source) => (change) => {
    if (following) return;
    const range = change["xaxis.range"] || [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    const reset = change["xaxis.autorange"];
    if (range[0] === undefined && !reset) return;
    following = true;
    const next = reset ? SPAN : range;
    const targets = plots.filter((plot) => plot !== source || reset);
    Promise.all(targets.map((plot) => Plotly.relayout(plot, { "xaxis.range": [...next] })))
      .finally(() => { following = false; });
  };

  const shown = new Set();
  const named = (trace) => {
    // Legends name each thing once and no bands.
    const key = trace.name;
    if (trace.hoverinfo === "skip" || shown.has(key)) trace.showlegend = false;
    shown.add(key);
    return trace;
  };

  const draw = async (number) => {
    const panel = page.panels[number];
    shown.clear();
    await Plotly.newPlot(plots[number], panel.traces.map(filled).map(named), layoutOf(panel), {
      responsive: true, displayModeBar: false, doubleClick: "reset",
    });
    plots[number].on("plotly_relayout", follow(plots[number]));
  };

  const drawAll = async () => {
    for (const number of plots.keys()) await draw(number);
    document.documentElement.dataset.drawn = String(plots.length);
  };

  const filters = document.getElementById("filters");
  if (filters) filters.addEventListener("click", (event) => {
    const show = event.target.dataset.show;
    if (!show) return;
    for (const button of filters.querySelectorAll("button")) {
      button.classList.toggle("chosen", button === event.target);
    }
    for (const row of document.querySelectorAll("#events tbody tr")) {
      row.hidden = show !== "all" && row.dataset.severity !== show;
    }
  });

  drawAll();
})();
