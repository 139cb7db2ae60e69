"""One cycle as people follow it: a small value that passes from the agent to whoever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import msgspec

from mpc_agent.memory import CycleRecord
from mpc_agent.record import SHORT_H, Forecast
from mpc_agent.values import Mode, Severity
from plant_models.model import PlantModel


@dataclass(frozen=True, slots=True)
class Estimated:
    """One estimated output of the model; None where it is not a number."""

    value: float | None
    deviation: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Solve:
    """How the newest solve of a problem ended."""

    problem: str
    status: str
    iterations: int
    solved_at_s: float


@dataclass(frozen=True, slots=True)
class Notice:
    """An event or alarm."""

    code: str
    alarm: bool
    text: str


@dataclass(frozen=True, slots=True)
class CycleView:
    """A finished cycle.

    Attributes:
        number: number of the cycle.
        time_s: when it began, UTC seconds.
        batch_h: hours since inoculation.
        harvest_h: planned harvest, hours since inoculation.
        mode: actual mode.
        mode_reason: why, in words.
        connected: the plant could be read.
        estimates: outputs of the model as estimated, by name.
        shown: names of those that people look at first.
        expected: product at harvest, g, by following the "plan" or the "recipe".
        solves: newest solve of each problem.
        notices: events and alarms of this cycle.
        cycle_s: wall time of the cycle.
    """

    number: int
    time_s: float
    batch_h: float
    harvest_h: float
    mode: Mode
    mode_reason: str
    connected: bool
    estimates: Mapping[str, Estimated]
    shown: tuple[str, ...]
    expected: Mapping[str, Forecast]
    solves: tuple[Solve, ...]
    notices: tuple[Notice, ...]
    cycle_s: float

    @property
    def when(self) -> str:
        """Time since inoculation, as people say it: days of a long batch, hours of a short one."""
        if self.harvest_h < SHORT_H:
            return f"{self.batch_h:5.1f} h"
        return f"day {self.batch_h / 24:5.2f}"

    @property
    def when_of_all(self) -> str:
        """The same, of how much."""
        if self.harvest_h < SHORT_H:
            return f"{self.batch_h:.1f} of {self.harvest_h:.4g} h"
        return f"day {self.batch_h / 24:.2f} of {self.harvest_h / 24:.4g}"


def cycle_view(
    record: CycleRecord, model: PlantModel, inoculated_at_s: float, harvest_h: float
) -> CycleView:
    """What people follow of a finished cycle."""
    decision = record.decision
    rows = zip(
        model.outputs_info.items(),
        decision.estimate.outputs.tolist(),
        decision.estimate.output_deviation.tolist(),
        strict=True,
    )
    return CycleView(
        number=record.number,
        time_s=record.time_s,
        batch_h=(record.time_s - inoculated_at_s) / 3600,
        harvest_h=harvest_h,
        mode=decision.mode,
        mode_reason=decision.mode_reason,
        connected=record.readings.status.connected,
        estimates={
            name: Estimated(_finite(value), _finite(deviation), output.unit)
            for (name, output), value, deviation in rows
        },
        shown=model.shown,
        expected=decision.expected,
        solves=tuple(
            Solve(plan.problem, str(plan.status), plan.iterations, plan.solved_at_s)
            for plan in decision.plans.values()
        ),
        notices=tuple(
            Notice(event.code, event.severity is Severity.ALARM, event.text)
            for event in decision.events
        ),
        cycle_s=record.durations.get("cycle", 0.0),
    )


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def to_line(view: CycleView) -> str:
    """A view as one line of JSON."""
    return msgspec.json.encode(view).decode()


def from_line(line: str | bytes) -> CycleView | None:
    """The view that a line holds, or None when it holds something else."""
    try:
        return msgspec.json.decode(line, type=CycleView)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def sentence(view: CycleView) -> str:
    """A view as one plain line for people."""
    parts = [view.when, f"{view.mode:<7}"]
    known = [(name, estimate_text(view, name)) for name in view.shown]
    parts += [f"{label(name)} {text}" for name, text in known if text]
    harvest = harvest_text(view)
    parts += [harvest] if harvest else []
    parts += [solve_text(view)] if view.solves else []
    if not view.connected:
        parts.append("plant not connected")
    return "  ".join(parts)


_LABELS = {"viable_cells": "cells"}
_UNITS = {"1e9 cells/L": "e9/L", "mmol/L": " mmol/L", "g/L": " g/L"}


def estimate_text(view: CycleView, name: str) -> str:
    """An estimate with its 95 % band; empty when the model has no such output."""
    found = view.estimates.get(name)
    if found is None or found.value is None:
        return ""
    unit = _UNITS.get(found.unit, f" {found.unit}")
    last = view.shown[-1]
    band = "" if found.deviation is None or name != last else f" ±{1.96 * found.deviation:.2f}"
    return f"{found.value:.2f}{band}{unit}"


def label(name: str) -> str:
    """An output's name, as people write it."""
    return _LABELS.get(name, name.replace("_", " "))


def harvest_text(view: CycleView) -> str:
    """Product expected at harvest, and what the recipe would give from here on."""
    plan, recipe = view.expected.get("plan"), view.expected.get("recipe")
    if plan is None or not isfinite(plan.value):
        return ""
    compared = "" if recipe is None else f" (recipe {short(recipe.value)} g)"
    return f"harvest {short(plan.value)} ±{short(1.96 * plan.deviation)} g{compared}"


def short(value: float) -> str:
    """Three significant digits, all before the point, and nothing for what is next to nothing."""
    if abs(value) >= 100:  # noqa: PLR2004 - digits
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 else "0"  # noqa: PLR2004 - digits


def solve_text(view: CycleView) -> str:
    """The newest solve."""
    last = max(view.solves, key=lambda solve: (solve.solved_at_s, solve.problem == "feed"))
    return f"{last.problem} {last.status.lower()}, {last.iterations} iterations"
