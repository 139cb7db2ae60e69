"""Whether what cannot be negative stays so: nothing is used up that is not there."""

from collections.abc import Iterator

import numpy as np

from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.subject import Floats, Subject, points_within
from plant_models.evaluate import Points
from plant_models.model import Input, PlantModel, State

CHECK = "non-negative"

POINTS = 300
"""Random points for each state."""

AT_A_BOUND = 0.25
"""Share of the inputs that are at their lower bound, and of those at their upper bound."""

ROUNDING = 1e-12
"""Of the terms: what a rate may be below zero because they cancel."""

MOST_SHOWN = 4
"""Values of a point that a finding shows: those that matter most to the rate."""


def check_signs(subject: Subject) -> Outcome:
    """At zero of each state that may be zero its rate is not negative."""
    names = amounts(subject.model)
    findings = [item for name in names for item in _at_zero(subject, name)]
    summary = f"{len(names)} states that may be zero: their rates there, at {POINTS} points each"
    return Outcome(CHECK, summary, tuple(findings))


def amounts(model: PlantModel) -> list[str]:
    """States whose lower bound is zero."""
    return [name for name, state in model.states.items() if state.lower == 0]


def _at_zero(subject: Subject, name: str) -> Iterator[Finding]:
    """The state is empty, everything else anywhere within its bounds."""
    model = subject.model
    row = model.state_names.index(name)
    points = _points(model, row)
    negative = np.flatnonzero(subject.equations.values(points)[:, row] < 0)
    if not len(negative):
        return
    points = Points(*(part[negative] for part in points.parts))
    found = subject.equations.at(points)
    depth = -found.values[:, row] / found.sizes[:, row]
    worst = int(depth.argmax())
    if depth[worst] > ROUNDING:
        reach = np.hstack(
            [
                np.abs(found.by_state[worst, row] * points.x[worst]),
                np.abs(found.by_input[worst, row] * points.u[worst]),
            ]
        )
        rate = f"{found.values[worst, row]:.4g} {model.states[name].unit}/h"
        yield fault(
            CHECK,
            f"at {name} = 0 its rate is {rate} ({_shown(model, points, worst, reach)}): it would "
            f"become negative; what takes {name} away must vanish with it, as in "
            f"{name} / ({name} + small)",
        )


def _points(model: PlantModel, row: int) -> Points:
    """Half of the points with the nominal parameters; the inputs often at their bounds."""
    half = POINTS // 2
    points = points_within(model, half, seed=11, nominal=True)
    points = points.joined(points_within(model, POINTS - half, seed=12))
    points.x[:, row] = 0.0
    random = np.random.default_rng(13).random(points.u.shape)
    lower, upper = np.array([(i.lower, i.upper) for i in model.inputs.values()]).reshape(-1, 2).T
    inputs = np.where(random < AT_A_BOUND, lower, points.u)
    inputs = np.where(random > 1 - AT_A_BOUND, upper, inputs)
    return Points(points.x, inputs, points.p)


def _shown(model: PlantModel, points: Points, row: int, reach: Floats) -> str:
    """The states and inputs that matter most to the rate at one point."""
    items: list[tuple[str, State | Input]] = [*model.states.items(), *model.inputs.items()]
    values = np.hstack([points.x[row], points.u[row]])
    order = [int(i) for i in np.argsort(-reach)[:MOST_SHOWN] if reach[i] > 0]
    return ", ".join(f"{items[i][0]} {values[i]:.4g} {items[i][1].unit}" for i in order)
