"""Whether whole batches keep what the rates promise: volume is conserved, nothing is below zero."""

from collections.abc import Iterator

import numpy as np

from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.signs import amounts
from mpc_agent.model_check.subject import Subject

CHECK = "batches"

ROUNDING = 1e-9
"""Of the volume: what may be missing in a batch that loses none."""

LOSS_TOLERANCE = 1e-3
"""Of the volume lost: its rate is known at the ends of the steps alone."""

UNDERSHOOT = 10
"""How many times the declared accuracy a step may go below zero where a substrate runs out: that
corner is sharper than those of the reference batch."""


def check_batches(subject: Subject) -> Outcome:
    """The reference batch, and the same with every liquid flow shut."""
    findings = [*_volume(subject), *_starved(subject)]
    hours = subject.model.reference.duration_h
    product = subject.reference.outputs[-1, subject.model.output_names.index(subject.model.product)]
    unit = subject.model.outputs_info[subject.model.product].unit
    summary = (
        f"reference batch of {hours:g} h with {product:.4g} {unit} of product: volume in and out; "
        "the same with its liquid flows shut"
    )
    return Outcome(CHECK, summary, tuple(findings))


def _volume(subject: Subject) -> Iterator[Finding]:
    """What was there, plus what flowed in, less what was lost, is there at the end."""
    model, run = subject.model, subject.reference
    column = model.state_names.index(model.volume)
    hours = np.diff(run.times_h)
    parameters = dict(zip(model.parameter_names, subject.reference_parameters, strict=True))
    added = np.zeros(len(hours))
    for flow in model.volume_flows:
        shown = run.inputs[:-1, model.input_names.index(flow)]
        added += shown * parameters.get(f"{flow}_gain", 1.0) * hours
    lost, allowed = np.zeros(len(hours)), ROUNDING * run.before[:, column].max()
    if model.volume_loss is not None:
        rate = run.outputs[:, model.output_names.index(model.volume_loss)]
        lost = (rate[:-1] + rate[1:]) / 2 * hours
        allowed += LOSS_TOLERANCE * float(np.abs(lost).sum())
    changed = run.before[1:, column] - run.states[:-1, column]
    missing = float(np.sum(changed - added + lost))
    if not abs(missing) <= allowed:
        yield fault(
            CHECK,
            f"over the reference batch {missing:.4g} L come from nowhere: the volume grew by "
            f"{float(np.sum(changed)):.6g} L, {float(np.sum(added)):.6g} L flowed in, "
            f"{float(np.sum(lost)):.6g} L were lost",
        )


def _starved(subject: Subject) -> Iterator[Finding]:
    """Without feeds, substrates run out, and nothing becomes negative."""
    model, run = subject.model, subject.starved
    allowed = -UNDERSHOOT * model.accuracy * subject.scales
    for name in amounts(model):
        row = model.state_names.index(name)
        # A number that is not finite is the smallest there is.
        lowest = int(np.nan_to_num(run.before[:, row], nan=-np.inf).argmin())
        value, time_h = run.before[lowest, row], run.times_h[lowest]
        if not value >= allowed[row]:
            yield fault(
                CHECK,
                f"in the reference batch with its liquid flows shut, {name} is {value:.4g} "
                f"{model.states[name].unit} at {time_h:.4g} h",
            )
