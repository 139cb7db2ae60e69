"""Whether the common integrator, with the steps that a model declares, is stable and accurate."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from scipy.integrate import ODEintWarning, odeint

from mpc_agent.model_check.findings import Finding, Outcome, Severity, fault, note
from mpc_agent.model_check.subject import Floats, Subject
from plant_models.model import Input, Method, PlantModel, State
from plant_models.reference_run import ReferenceRun, run_reference

CHECK = "integrator"

STABLE = 2.5
"""Largest step times fastest rate of the explicit method, with a margin to its limit of 2.78."""

MOST_EXPLICIT = 3600
"""Steps per hour beyond which the implicit method is the cheaper one."""

ORDER = {Method.EXPLICIT: 4, Method.IMPLICIT: 3}

TIGHT = 1e-10
"""Relative tolerance of the reference."""

EIGENVALUE_POINTS = 200


def check_integration(subject: Subject) -> Outcome:
    """Stability and accuracy along the reference batch."""
    model = subject.model
    run, findings = _usable_run(subject)
    if findings:
        return Outcome(CHECK, "not compared with a tight reference", tuple(findings))
    fastest, at_h = fastest_rate(subject, run)
    product = f"step times fastest rate {fastest / model.substeps_per_h:.2g}"
    findings += _stability(model, fastest, at_h)
    if any(item.severity is Severity.FAULT for item in findings):
        summary = f"{product}; not compared with a tight reference"
        return Outcome(CHECK, summary, tuple(findings))
    error = largest_error(subject, run)
    findings += _accuracy(subject, error, fastest)
    summary = (
        f"{model.method}, {model.substeps_per_h} steps per hour: {product}, on the reference batch "
        f"within {error.size:.1e} of a tight reference (declared {model.accuracy:.0e} of each "
        "scale)"
    )
    return Outcome(CHECK, summary, tuple(findings))


def _usable_run(subject: Subject) -> tuple[ReferenceRun, list[Finding]]:
    """The reference batch, and what is wrong with it.

    Where too long a step has blown it up, it is run by the other method, which stands any step, so
    that the fastest rate can be told.
    """
    model, run = subject.model, subject.reference
    findings = list(_unfit(model, run))
    if findings and model.method is Method.EXPLICIT:
        calm = run_reference(replace(model, method=Method.IMPLICIT))
        if not list(_unfit(model, calm)):
            fastest, _ = fastest_rate(subject, calm)
            if fastest > STABLE * model.substeps_per_h:
                return calm, []
    return run, findings


def _unfit(model: PlantModel, run: ReferenceRun) -> Iterator[Finding]:
    """What is not finite in the reference batch, outside the model's bounds, or does not move."""
    broken = np.flatnonzero(~np.isfinite(run.before).all(axis=1))
    if len(broken):
        column = int(np.flatnonzero(~np.isfinite(run.before[broken[0]]))[0])
        text = f"{model.state_names[column]} is {run.before[broken[0], column]}"
        yield fault(CHECK, f"in the reference batch {text} at {run.times_h[broken[0]]:.4g} h")
        return
    tables: tuple[tuple[str, Mapping[str, State | Input], Floats], ...] = (
        ("state", model.states, run.before),
        ("input", model.inputs, run.inputs),
    )
    for kind, table, course in tables:
        for column, (name, item) in enumerate(table.items()):
            values = course[:, column]
            slack = max(SLACK, model.accuracy) * item.scale
            outside = (values < item.lower - slack) | (values > item.upper + slack)
            if outside.any():
                row = int(outside.argmax())
                yield fault(
                    CHECK,
                    f"in the reference batch {kind} {name} is {values[row]:.6g} {item.unit} at "
                    f"{run.times_h[row]:.4g} h, outside its bounds {item.lower:g}..{item.upper:g}",
                )
    moved = np.abs(run.before - run.before[0]) / np.array([s.scale for s in model.states.values()])
    if moved.max() < LEAST_MOVE:
        hours = f"{model.reference.duration_h:g} h"
        text = f"no state moves by more than {moved.max():.1g} of its scale in {hours}"
        yield fault(CHECK, f"nothing happens in the reference batch: {text}")


LEAST_MOVE = 0.01
"""Of its scale: what at least one state must move by in a batch that shows anything."""

SLACK = 1e-9
"""How far outside its bounds, in units of the scale, rounding may take a value."""


def fastest_rate(subject: Subject, run: ReferenceRun) -> tuple[float, float]:
    """Largest eigenvalue of the Jacobian along a batch, 1/h, and when: at both ends of steps."""
    steps = len(run.times_h) - 1
    chosen = np.unique(np.linspace(0, steps - 1, EIGENVALUE_POINTS).astype(int))
    p = subject.reference_parameters
    fastest, at_h = 0.0, 0.0
    for i in chosen:
        course = subject.equations.course(run.inputs[i], p)
        for state, time_h in (
            (run.states[i], run.times_h[i]),
            (run.before[i + 1], run.times_h[i + 1]),
        ):
            rate = float(np.abs(np.linalg.eigvals(course.slope(state))).max())
            if rate > fastest:
                fastest, at_h = rate, float(time_h)
    return fastest, at_h


def _stability(model: PlantModel, fastest: float, at_h: float) -> Iterator[Finding]:
    needed = ceil(fastest / STABLE)
    if model.method is Method.IMPLICIT:
        if needed <= model.substeps_per_h:
            yield note(
                CHECK,
                f"along the reference batch the fastest rate is {fastest:.4g} 1/h: Method.EXPLICIT "
                f"would be stable at {model.substeps_per_h} steps per hour too, and cheaper",
            )
    elif needed > MOST_EXPLICIT:
        yield fault(
            CHECK,
            f"the fastest rate is {fastest:.4g} 1/h at {at_h:.4g} h, for which the explicit method "
            f"needs {needed} steps per hour, declared are {model.substeps_per_h}: choose "
            "Method.IMPLICIT, or take the fast mode as steady",
        )
    elif needed > model.substeps_per_h:
        yield fault(
            CHECK,
            f"needs at least {needed} steps per hour, declared are {model.substeps_per_h}: the "
            f"fastest rate is {fastest:.4g} 1/h at {at_h:.4g} h, and step times rate must not "
            f"exceed {STABLE} (or choose Method.IMPLICIT)",
        )


@dataclass(frozen=True)
class Difference:
    """The largest difference between two runs.

    Attributes:
        size: in units of the state's scale.
        state: where.
        time_h: when.
    """

    size: float
    state: str
    time_h: float


def largest_error(subject: Subject, run: ReferenceRun) -> Difference:
    """How far a run of the common integrator is from a tight reference under the same inputs.

    What was done to the state between steps (pulses, resets) is done to the reference too.
    """
    model, scales, p = subject.model, subject.scales, subject.reference_parameters
    done = run.states - run.before
    x = run.states[0].copy()
    worst = Difference(0.0, model.state_names[0], 0.0)
    for first, last in _stretches(run):
        course = tight(subject, x, run.inputs[first], p, run.times_h[first : last + 1])
        errors = np.abs(run.before[first + 1 : last + 1] - course[1:]) / scales
        row, column = np.unravel_index(int(errors.argmax()), errors.shape)
        if errors[row, column] > worst.size:
            state, time_h = model.state_names[column], float(run.times_h[first + 1 + row])
            worst = Difference(float(errors[row, column]), state, time_h)
        x = course[-1] + done[last]
    return worst


def _stretches(run: ReferenceRun) -> Iterator[tuple[int, int]]:
    """Steps over which inputs stay and nothing is done to the state: first and last time's row."""
    first, end = 0, len(run.times_h) - 1
    for row in range(1, end):
        moved = np.any(run.inputs[row] != run.inputs[first])
        if moved or np.any(run.states[row] != run.before[row]):
            yield first, row
            first = row
    yield first, end


def tight(subject: Subject, x: Floats, u: Floats, p: Floats, times_h: Floats) -> Floats:
    """States at these times by LSODA with the exact Jacobian, shape (times, states)."""
    course = subject.equations.course(u, p)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ODEintWarning)
        try:
            states = odeint(
                lambda x, _: course.rate(x),
                x,
                times_h,
                Dfun=lambda x, _: course.slope(x),
                rtol=TIGHT,
                atol=TIGHT * 1e-2 * subject.scales,
                mxstep=100_000,
            )
        except ODEintWarning as error:
            raise ArithmeticError(f"the tight reference stopped: {error}") from None
    if not np.isfinite(states).all():
        raise ArithmeticError("the tight reference gives numbers that are not finite")
    return np.asarray(states, dtype=np.float64)


def _accuracy(subject: Subject, error: Difference, fastest: float) -> Iterator[Finding]:
    """Steps that are too long, or much shorter than they need be."""
    model = subject.model
    if error.size > model.accuracy:
        unit, scale = model.states[error.state].unit, model.states[error.state].scale
        more = (error.size / model.accuracy) ** (1 / ORDER[model.method])
        yield fault(
            CHECK,
            f"{error.state} is {error.size * scale:.3g} {unit} from a tight reference at "
            f"{error.time_h:.4g} h, {error.size:.1e} of its scale; declared is an accuracy of "
            f"{model.accuracy:.0e}. About {ceil(model.substeps_per_h * more)} steps per hour would "
            f"do, declared are {model.substeps_per_h}",
        )
        return
    fewer = model.substeps_per_h // FEWER
    stable = model.method is Method.IMPLICIT or fastest / STABLE <= fewer
    if fewer >= 1 / model.reference.step_h and stable:
        try:
            coarse = largest_error(subject, run_reference(model, fewer)).size
        except ArithmeticError:
            return
        if coarse <= model.accuracy / 2:
            yield note(
                CHECK,
                f"{fewer} steps per hour would do (within {coarse:.1e}); declared are "
                f"{model.substeps_per_h}",
            )


FEWER = 3
"""How many times too short a step may be before it is worth saying."""
