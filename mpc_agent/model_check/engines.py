"""Whether NumPy, JAX and CasADi give the same, Jacobians included, and finite numbers.

How closely two correct engines can agree is set by rounding: a rate is a sum of terms that may
cancel, and its error is that of the terms, not that of the sum. Differences are measured in units
of the terms' size (`Evaluation.sizes`); of a Jacobian entry, its part of the sum, `|dJ_ij| |x_j|`.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc_agent.model_check.findings import Finding, Outcome, fault, note
from mpc_agent.model_check.places import equation_files, in_words, place_of
from mpc_agent.model_check.subject import Subject, points_at_bounds, points_within
from plant_models.dialect import NUMPY
from plant_models.evaluate import Evaluation, Points, with_jax, with_numpy
from plant_models.model import PlantModel

CHECK = "engines"

POINTS = 200
ROUNDING = 1e-12
"""Up to here a difference is rounding."""

TOLERANCE = 1e-9
"""Up to here it is rounding that a step on the way has magnified; beyond it, the engines differ."""


def check_engines(subject: Subject) -> Outcome:
    """Run the equations on every engine at random points within bounds, and at bounds."""
    model = subject.model
    findings = [*_lengths(model)]
    results: dict[str, Any] = {}
    inside = points_within(model, POINTS, seed=7)
    runs: dict[str, Callable[[], Any]] = {
        "NumPy": lambda: with_numpy(model, inside),
        "JAX": lambda: with_jax(model, inside),
        "CasADi": lambda: subject.equations.at(inside),
    }
    for name, run in runs.items():
        if findings:
            break
        try:
            with warnings.catch_warnings():
                # A foreign function on a symbol warns; what it gives is judged below.
                warnings.simplefilter("ignore")
                results[name] = run()
        except Exception as error:  # noqa: BLE001 - whatever the equations raise is the finding
            findings.append(_stopped(model, name, error))
    if findings:
        return Outcome(CHECK, "not comparable", tuple(findings))
    findings += _not_finite(subject, inside)
    if findings:
        return Outcome(CHECK, "not comparable", tuple(findings))
    casadi, numpy, (jax, slopes) = results["CasADi"], results["NumPy"], results["JAX"]
    worst, findings = _compare(model, casadi, {"NumPy": numpy, "JAX": jax}, slopes, inside)
    summary = (
        f"NumPy, JAX and CasADi at {POINTS} points, Jacobians included: largest difference "
        f"{worst:.0e} of the terms (limit {TOLERANCE:.0e})"
    )
    return Outcome(CHECK, summary, tuple(findings))


def rows(model: PlantModel) -> list[str]:
    """What each row of an evaluation is."""
    rates = [f"rate of {name}" for name in model.state_names]
    return [*rates, *(f"output {name}" for name in model.output_names)]


def _stopped(model: PlantModel, engine: str, error: Exception) -> Finding:
    where = place_of(error, equation_files(model))
    return fault(CHECK, f"cannot be run by {engine}: {in_words(error)}", where)


def _lengths(model: PlantModel) -> Iterator[Finding]:
    """Results that are not as many as the table says."""
    x, u, p = model.initial_state(), model.nominal_inputs(), model.nominal_parameters()
    for function, table, what in (
        (model.rhs, model.states, "rates"),
        (model.outputs, model.outputs_info, "outputs"),
    ):
        try:
            with np.errstate(all="ignore"):
                found = tuple(function(x, u, p, NUMPY))
        except Exception as error:  # noqa: BLE001 - whatever the equations raise is the finding
            yield _stopped(model, "NumPy", error)
            continue
        if len(found) != len(table):
            name = function.__name__
            yield fault(CHECK, f"{name} gives {len(found)} {what}, the table has {len(table)}")


def _not_finite(subject: Subject, inside: Points) -> Iterator[Finding]:
    """Of each row the first point at which it is not a finite number, or its Jacobian is not."""
    model = subject.model
    start = (model.initial_state(), model.nominal_inputs(), model.nominal_parameters())
    points = inside.joined(Points(*(np.atleast_2d(np.array(part, float)) for part in start)))
    points = points.joined(points_at_bounds(model, seed=3))
    labels = [*["within bounds"] * len(inside), "at inoculation", *_bounds(model)]
    found = subject.equations.at(points)
    for i, name in enumerate(rows(model)):
        good = np.isfinite(found.values[:, i])
        sloped = np.isfinite(found.by_state[:, i]).all(axis=1)
        if (good & sloped).all():
            continue
        row = int((good & sloped).argmin())
        where = f"{labels[row]} ({_shown(model, points, row)})"
        if not good[row]:
            yield fault(CHECK, f"{name} is {found.values[row, i]} {where}")
        else:
            column = int(np.isfinite(found.by_state[row, i]).argmin())
            slope, by = found.by_state[row, i, column], model.state_names[column]
            yield fault(CHECK, f"{name} has the slope {slope} by {by} {where}")


def _bounds(model: PlantModel) -> list[str]:
    """What is at a bound in each row of `points_at_bounds`."""
    items = [(name, item) for table in (model.states, model.inputs) for name, item in table.items()]
    pairs = [(name, value) for name, item in items for value in (item.lower, item.upper)]
    return [f"at {name} = {value:g}" for name, value in pairs]


def _shown(model: PlantModel, points: Points, row: int) -> str:
    """The first few states and inputs of a point."""
    named = [
        *zip(model.state_names, points.x[row], strict=True),
        *zip(model.input_names, points.u[row], strict=True),
    ]
    text = ", ".join(f"{name} {value:.4g}" for name, value in named[:MOST_SHOWN])
    return text + (" ..." if len(named) > MOST_SHOWN else "")


MOST_SHOWN = 6
"""Values of a point that a finding shows."""


def _compare(
    model: PlantModel,
    casadi: Evaluation,
    others: dict[str, NDArray[Any]],
    slopes: NDArray[Any],
    points: Points,
) -> tuple[float, list[Finding]]:
    """The largest difference in units of the terms, and every row that differs too much."""
    sizes = np.maximum(casadi.sizes, np.finfo(np.float64).tiny)
    findings, worst = [], 0.0
    for engine, values in others.items():
        found = np.nan_to_num(np.abs(values - casadi.values) / sizes, nan=np.inf)
        worst = max(worst, float(found.max()))
        for i in np.flatnonzero((found > TOLERANCE).any(axis=0)):
            row = int(found[:, i].argmax())
            texts = (f"{values[row, i]:.9g} in {engine}", f"{casadi.values[row, i]:.9g} in CasADi")
            findings.append(fault(CHECK, f"{rows(model)[i]} is {' and '.join(texts)}"))
    parts = np.abs(slopes - casadi.by_state) * np.abs(points.x)[:, None, :] / sizes[:, :, None]
    parts = np.nan_to_num(parts, nan=np.inf)
    worst = max(worst, float(parts.max()))
    for i in np.flatnonzero((parts > TOLERANCE).any(axis=(0, 2))):
        row, column = map(int, np.unravel_index(parts[:, i].argmax(), parts[:, i].shape))
        name = f"the slope of {rows(model)[i]} by {model.state_names[column]}"
        pair = slopes[row, i, column], casadi.by_state[row, i, column]
        findings.append(fault(CHECK, f"{name} is {pair[0]:.9g} in JAX and {pair[1]:.9g} in CasADi"))
    if not findings and worst > ROUNDING:
        text = (
            f"the engines differ by {worst:.0e} of the terms: nearly equal numbers are subtracted"
        )
        findings.append(note(CHECK, f"{text} on the way"))
    return worst, findings
