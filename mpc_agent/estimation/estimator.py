"""One cycle of estimation: memory and readings in, estimate and memory out."""

from dataclasses import dataclass

import numpy as np

from mpc_agent.estimation.filter import Description, ExtendedKalmanFilter
from mpc_agent.estimation.history import Advance, History, advance, begin
from mpc_agent.values import Estimate, Floats, Measurement, Sample, Verdict

CONSISTENCY_MEMORY = 0.99
"""Forgetting factor of the running mean of the normalised innovations squared, per cycle."""

INCONSISTENT_ABOVE = 4.0
"""A mean normalised innovation squared above this, where one is expected, is divergence."""


@dataclass(frozen=True, slots=True)
class EstimatorMemory:
    """What estimation carries from cycle to cycle.

    Attributes:
        history: steps and samples.
        last_fused_s: when each online signal was last fused, NaN before.
        consistency: running mean of the normalised innovations squared.
    """

    history: History
    last_fused_s: Floats
    consistency: float


def begin_estimation(
    kalman: ExtendedKalmanFilter, time_s: float, inputs: Floats
) -> EstimatorMemory:
    """Memory at inoculation."""
    unknown = np.full(len(kalman.settings.signals), np.nan)
    return EstimatorMemory(begin(kalman, time_s, inputs), unknown, 1.0)


def estimate(
    kalman: ExtendedKalmanFilter,
    memory: EstimatorMemory,
    measurement: Measurement,
    samples: tuple[Sample, ...],
    now_s: float,
) -> tuple[Estimate, EstimatorMemory]:
    """Estimate at `now_s` from what was accepted online and from lab results.

    The inputs that acted since the last step are those that validation read now.
    """
    step = advance(kalman, memory.history, now_s, measurement.inputs, measurement.values, samples)
    fused = step.online.fused.astype(bool)
    last_fused_s = np.where(fused, now_s, memory.last_fused_s)
    consistency = _consistency(kalman, memory.consistency, step)
    belief = step.history.last.belief
    described = kalman.describe(belief, measurement.inputs)
    message = _doubts(step, described, consistency)
    result = Estimate(
        time_s=now_s,
        mean=described.mean,
        factor=belief.factor,
        deviation=described.deviation,
        outputs=described.outputs,
        output_deviation=described.output_deviation,
        innovations=step.online.innovations,
        gate_ratios=step.online.gate_ratios,
        verdicts=_final_verdicts(measurement, fused),
        last_fused_s=last_fused_s,
        samples=step.samples,
        healthy=not message,
        message=message,
    )
    return result, EstimatorMemory(step.history, last_fused_s, consistency)


def _final_verdicts(measurement: Measurement, fused: Floats) -> tuple[Verdict, ...]:
    return tuple(
        Verdict.GATED if verdict is Verdict.OK and not used else verdict
        for verdict, used in zip(measurement.verdicts, fused, strict=True)
    )


def _consistency(kalman: ExtendedKalmanFilter, before: float, step: Advance) -> float:
    """Running mean of normalised innovations squared; each is one on average when all is well."""
    gates = np.array([signal.gate for signal in kalman.settings.signals])
    normalised = step.online.gate_ratios * gates**2
    offered = normalised[np.isfinite(normalised)]
    if not offered.size:
        return before
    # A single wild reading is the gate's business, not a sign that the filter diverges.
    now = float(np.minimum(offered, 25.0).mean())
    return CONSISTENCY_MEMORY * before + (1 - CONSISTENCY_MEMORY) * now


def _doubts(step: Advance, described: Description, consistency: float) -> str:
    if not step.sound:
        return "the model cannot follow the inputs that were read; check flow meters and pumps"
    if not all(np.isfinite(values).all() for values in described):
        return "the estimate is not finite; check flow meters and pumps"
    if consistency > INCONSISTENT_ABOVE:
        return (
            f"squared innovations are {consistency:.1f} times as large as the filter expects; "
            "check probes, feeds and the model's parameters"
        )
    return ""
