"""One cycle of estimation: memory and readings in, estimate and memory out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mpc_agent.estimation.filter import Description, ExtendedKalmanFilter
from mpc_agent.estimation.gates import judge_gates, reset
from mpc_agent.estimation.health import consistency, diverged, empty_window, noted
from mpc_agent.estimation.history import (
    Advance,
    History,
    Run,
    advance,
    begin,
    online_report,
    sample_results,
)
from mpc_agent.estimation.jumps import judge_jumps
from mpc_agent.estimation.observability import gains
from mpc_agent.values import (
    Consistency,
    Decided,
    Dose,
    Estimate,
    Floats,
    Judgement,
    Measurement,
    Move,
    Sample,
    Verdict,
)

FUSABLE = (Verdict.OK, Verdict.GATED)
"""Verdicts of samples that the filter was offered."""

OBSERVABILITY_STEPS = 12
"""The gains are computed anew every so many steps: they cost a run over their whole window."""

TELLING_MOVE = 0.5
"""Part of its deviation that lab results must move a parameter by for people to be told."""


@dataclass(frozen=True, slots=True)
class EstimatorMemory:
    """What estimation carries from cycle to cycle.

    Attributes:
        history: steps, samples and bookings.
        last_fused_s: when each online signal was last fused, NaN before.
        window: squared normalised innovations of late, shape (channels, window).
        diverged: the filter does not trust itself; the next lab sample resets it.
        observability: gain of each unknown when it was last computed, empty before.
    """

    history: History
    last_fused_s: Floats
    window: Floats
    diverged: bool = False
    observability: Floats = field(default_factory=lambda: np.zeros(0))


def begin_estimation(
    kalman: ExtendedKalmanFilter, time_s: float, inputs: Floats
) -> EstimatorMemory:
    """Memory at inoculation."""
    return EstimatorMemory(
        history=begin(kalman, time_s, inputs),
        last_fused_s=np.full(kalman.signals, np.nan),
        window=empty_window(kalman.channels, kalman.settings.health),
    )


def estimate(
    kalman: ExtendedKalmanFilter,
    memory: EstimatorMemory,
    measurement: Measurement,
    samples: Iterable[Sample],
    now_s: float,
    doses: Iterable[Dose] = (),
) -> tuple[Estimate, EstimatorMemory]:
    """Estimate at `now_s` from what was accepted online, from lab results and from bookings.

    The inputs that acted since the last step are those that validation read now.
    """
    step = advance(kalman, memory.history, now_s, measurement, samples, doses)
    step, decided = _judged(kalman, memory, step)
    history = step.history
    told, window = _consistency(kalman, memory, step, decided)
    lost = diverged(window, told, kalman.settings.health)
    observability = _observability(kalman, memory, step)
    fused = step.online.fused[: kalman.signals].astype(bool)
    last_fused_s = np.where(fused, now_s, memory.last_fused_s)
    suspects = _suspects(kalman, history)
    ahead_s = memory.history.end_s - now_s
    message = _doubts(step, ahead_s, told, lost)
    described, known = step.description, kalman.states + kalman.coordinates.learnt
    result = Estimate(
        time_s=now_s,
        mean=described.mean[:known],
        factor=history.belief.factor,
        deviation=described.deviation[:known],
        outputs=described.outputs,
        output_deviation=described.output_deviation,
        innovations=step.online.innovations[: kalman.signals],
        gate_ratios=step.online.gate_ratios[: kalman.signals],
        verdicts=_final_verdicts(measurement, fused, _unreached(step), suspects),
        last_fused_s=last_fused_s,
        samples=step.samples,
        healthy=not message,
        message=message,
        consistency=told,
        observability=observability,
        suspects=suspects,
        decided=decided,
        moves=tuple(_moves(kalman, step)),
        at_bounds=_at_bounds(kalman, history),
        offsets=_offsets(kalman, described),
        poured=step.poured,
        unreached=step.unreached,
    )
    return result, EstimatorMemory(history, last_fused_s, window, lost, observability)


def _judged(
    kalman: ExtendedKalmanFilter, memory: EstimatorMemory, step: Advance
) -> tuple[Advance, tuple[Decided, ...]]:
    """The cycle after the rules on divergence, on sudden changes and on gates had their say.

    A filter that has diverged is reset by the next lab sample: opened before it was drawn.
    """
    offered = [item.sample for item in step.samples if item.verdict in FUSABLE]
    if memory.diverged and offered:
        run = reset(kalman, step.history, offered)
        return _replaced(kalman, step, run), (Decided(Judgement.RESET),)
    jumped = judge_jumps(kalman, step.history, step.online.gate_ratios)
    if jumped is not None:
        run, decided = jumped
        return _replaced(kalman, step, run), (decided,)
    judged = judge_gates(kalman, memory.history.belief.rejections, step.history)
    return (step if judged.run is None else _replaced(kalman, step, judged.run)), judged.decided


def _replaced(kalman: ExtendedKalmanFilter, step: Advance, run: Run) -> Advance:
    """The cycle with what came of computing its history again."""
    fresh = [item.sample for item in step.samples if item.verdict in FUSABLE]
    aside = [item for item in step.samples if item.sample not in fresh]
    return replace(
        step,
        history=History(run.chapters, step.history.book, run.belief),
        description=run.description,
        online=online_report(run, run.chapters[-1].steps[-1], step.online),
        samples=(*aside, *sample_results(kalman, run, fresh, step.without, step.samples)),
    )


def _consistency(
    kalman: ExtendedKalmanFilter,
    memory: EstimatorMemory,
    step: Advance,
    decided: tuple[Decided, ...],
) -> tuple[Consistency, Floats]:
    """The window with this cycle's innovations.

    It begins anew when the filter was opened, and a channel's when it was judged: what it showed
    before tells of what is over.
    """
    settings, channels = kalman.settings.health, kalman.coordinates.channels
    gates = np.array([item.gate for item in channels]) ** 2
    ratios = step.online.gate_ratios.copy()
    names = [item.name for item in kalman.settings.assays]
    for item in step.samples:
        if np.isfinite(item.gate_ratio):
            ratios[kalman.signals + names.index(item.sample.analyte)] = item.gate_ratio
    # A suspect's innovations tell of the suspect; a single wild value is the gate's business.
    ratios[step.history.belief.rejections > [item.readmit_after for item in channels]] = np.nan
    opened = any(item.judgement in (Judgement.REOPENED, Judgement.RESET) for item in decided)
    judged = [item.name in {decision.channel for decision in decided} for item in channels]
    begins_anew = np.array(judged, dtype=bool) | opened
    before = np.where(begins_anew[:, None], np.nan, memory.window)
    window = noted(before, np.minimum(ratios, 1.0) * gates)
    return consistency(window, settings), window


def _observability(kalman: ExtendedKalmanFilter, memory: EstimatorMemory, step: Advance) -> Floats:
    """The gains, computed anew from time to time."""
    if memory.observability.size and len(step.history.chapters[-1].steps) % OBSERVABILITY_STEPS:
        return memory.observability
    known = kalman.states + kalman.coordinates.learnt
    return gains(kalman, step.history)[:known]


def _suspects(kalman: ExtendedKalmanFilter, history: History) -> tuple[str, ...]:
    channels = kalman.coordinates.channels
    pairs = zip(channels, history.belief.rejections, strict=True)
    return tuple(item.name for item, count in pairs if count > item.readmit_after)


def _unreached(step: Advance) -> NDArray[np.bool_]:
    """Which channels were not offered to the filter although it could compute this step."""
    return np.isnan(step.online.gate_ratios) & step.sound


def _final_verdicts(
    measurement: Measurement, fused: Floats, unreached: NDArray[np.bool_], suspects: tuple[str, ...]
) -> tuple[Verdict, ...]:
    """Verdicts of validation, with those of the gates.

    What belongs to a time that the filter cannot reach was offered to no gate: it is stale.
    """
    verdicts = []
    for i, (name, verdict) in enumerate(
        zip(measurement.signals, measurement.verdicts, strict=True)
    ):
        if verdict is Verdict.OK and name in suspects:
            verdicts.append(Verdict.SUSPECT)
        elif verdict is Verdict.OK and not fused[i]:
            verdicts.append(Verdict.STALE if unreached[i] else Verdict.GATED)
        else:
            verdicts.append(verdict)
    return tuple(verdicts)


def _moves(kalman: ExtendedKalmanFilter, step: Advance) -> Iterator[Move]:
    """Learnt parameters that are elsewhere than they would be without the new samples."""
    if step.without is None:
        return
    for i, item in enumerate(kalman.settings.adapted, start=kalman.states):
        before, after = float(step.without.mean[i]), float(step.description.mean[i])
        if abs(after - before) > TELLING_MOVE * step.without.deviation[i]:
            yield Move(item.name, before, after)


def _at_bounds(kalman: ExtendedKalmanFilter, history: History) -> tuple[str, ...]:
    """Learnt parameters at an end of their approved range, unless they began there."""
    at, z = kalman.coordinates, history.belief.mean
    begun = at.initial_mean(np.array(kalman.settings.model.nominal_inputs()))
    reached = ((z <= at.lower) | (z >= at.upper)) & (z != begun)
    return tuple(
        item.name for i, item in enumerate(kalman.settings.adapted, at.states) if reached[i]
    )


def _offsets(
    kalman: ExtendedKalmanFilter, described: Description
) -> dict[str, tuple[float, float]]:
    """Learnt offsets with their deviations, by channel."""
    biased = [item.name for item in kalman.coordinates.channels if item.bias is not None]
    places = range(kalman.coordinates.biases.start, kalman.coordinates.biases.stop)
    return {
        name: (float(described.mean[i]), float(described.deviation[i]))
        for name, i in zip(biased, places, strict=True)
    }


def _doubts(step: Advance, ahead_s: float, told: Consistency, lost: bool) -> str:
    if ahead_s >= 0:
        return (
            f"the clock is {ahead_s:.0f} s behind the estimate, and nothing can be placed in time "
            "until it has caught up; check the clocks of agent and plant"
        )
    if not step.sound:
        return "the model cannot follow the inputs that were read; check flow meters and pumps"
    described = step.description
    if not all(np.isfinite(values).all() for values in (described.mean, described.deviation)):
        return "the estimate is not finite; check flow meters and pumps"
    if not np.isfinite(described.outputs).all():
        return "the model's outputs are not finite; check flow meters and pumps"
    if lost:
        return (
            f"squared innovations are {told.overall:.1f} times as large as the filter expects; "
            "check probes, feeds and the model's parameters; the next lab sample resets the filter"
        )
    return ""
