"""Whether volume and substance are conserved by the liquid flows."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.subject import Floats, Subject, points_within
from plant_models.evaluate import Evaluation, Points
from plant_models.model import PlantModel
from plant_models.units import one

CHECK = "balances"

POINTS = 50

TOLERANCE = 1e-9
"""Of the terms, for what must be equal at every point."""

PER_VOLUME = -3
"""Power of a length in the unit of a concentration."""


def check_balances(subject: Subject) -> Outcome:
    """Volume against the liquid flows, and what each flow does to each concentration."""
    model = subject.model
    points = _points(model)
    found = subject.equations.at(points)
    diluted = [name for name in per_volume(model) if name not in model.undiluted]
    findings = [*_volume(subject, points, found)]
    for name in diluted:
        for flow in model.volume_flows:
            findings += _dilution(model, points, found, name, flow)
    flows = ", ".join(model.volume_flows) or "no liquid flow"
    loss = f" less {model.volume_loss}" if model.volume_loss else ""
    summary = f"volume against {flows}{loss}; dilution of {len(diluted)} states per volume by each"
    return Outcome(CHECK, summary, tuple(findings))


def _points(model: PlantModel) -> Points:
    """Random points with the nominal parameters, but for what the pumps deliver."""
    nominal = points_within(model, POINTS, seed=17, nominal=True)
    random = points_within(model, POINTS, seed=17)
    gains = {f"{flow}_gain" for flow in model.volume_flows}
    drawn = np.array([name in gains for name in model.parameter_names], dtype=bool)
    return replace(nominal, p=np.where(drawn, random.p, nominal.p))


def per_volume(model: PlantModel) -> list[str]:
    """States whose unit is something per volume."""
    return [
        name
        for name, state in model.states.items()
        if one(state.unit).dimensionality.get("[length]", 0) == PER_VOLUME
    ]


def _gain(model: PlantModel, points: Points, flow: str) -> Floats:
    """What a liquid flow delivers for each litre that it shows, at each point."""
    name = f"{flow}_gain"
    if name not in model.parameters:
        return np.ones(len(points))
    return points.p[:, model.parameter_names.index(name)]


def _volume(subject: Subject, points: Points, found: Evaluation) -> Iterator[Finding]:
    model = subject.model
    row = model.state_names.index(model.volume)
    expected = np.zeros(len(points))
    for flow in model.volume_flows:
        expected += points.u[:, model.input_names.index(flow)] * _gain(model, points, flow)
    added = expected.copy()
    if model.volume_loss is not None:
        expected -= found.values[:, len(model.states) + model.output_names.index(model.volume_loss)]
    error = np.abs(found.values[:, row] - expected)
    worst = int(error.argmax())
    if error[worst] > TOLERANCE * max(found.sizes[worst, row], abs(added[worst])):
        flows = " + ".join(
            f"{flow} {points.u[worst, model.input_names.index(flow)]:.4g}"
            for flow in model.volume_flows
        )
        loss = f" less {model.volume_loss}" if model.volume_loss else ""
        yield fault(
            CHECK,
            f"the volume changes by {found.values[worst, row]:.6g} L/h, but its flows{loss} are "
            f"{expected[worst]:.6g} L/h ({flows or 'none'})",
        )


def _dilution(
    model: PlantModel, points: Points, found: Evaluation, name: str, flow: str
) -> Iterator[Finding]:
    """A litre that flows in brings a fixed amount and shares out what is there.

    So volume times the slope of the rate by the flow, plus the concentration itself, is what the
    flow brings per litre: one number, not negative, whatever the state is.
    """
    row, column = model.state_names.index(name), model.input_names.index(flow)
    volumes = points.x[:, model.state_names.index(model.volume)]
    slope = volumes * found.by_input[:, row, column] / _gain(model, points, flow)
    present = points.x[:, row]
    brought = slope + present
    size = np.abs(slope) + np.abs(present)
    low, high = int(brought.argmin()), int(brought.argmax())
    unit, allowed = model.states[name].unit, TOLERANCE * size.max()
    if brought[high] - brought[low] > allowed:
        if slope.max() - slope.min() <= allowed:
            term = f"-{flow} / {model.volume} * {name}"
            text = f"{flow} does not dilute {name}: its rate lacks {term}"
        else:
            text = (
                f"a litre of {flow} brings {brought[low]:.6g} {unit} of {name} when {name} is "
                f"{present[low]:.4g}, and {brought[high]:.6g} when it is {present[high]:.4g}: it "
                "must bring one amount, whatever the state is"
            )
        yield fault(CHECK, f"{text} (or name it in `undiluted`, with the reason)")
    elif brought[low] < -allowed:
        yield fault(CHECK, f"a litre of {flow} brings {brought[low]:.6g} {unit} of {name}")
