"""What an estimate tells people: lab results, judgements, learnt parameters, lasting doubts. Pure.

What lasts is told once, by a key that stays while it does, and again when it is over.
"""

from collections.abc import Collection, Iterator, Mapping
from math import floor, isfinite, log, log10, sqrt

import numpy as np

from mpc_agent.estimation.happenings import Book
from mpc_agent.estimation.health import chi_square_band
from mpc_agent.estimation.settings import AdaptedParameter, EstimationSettings
from mpc_agent.values import (
    Dose,
    Estimate,
    Event,
    Judgement,
    Sample,
    SampleResult,
    Severity,
    Verdict,
)

PARAMETER_AT_BOUND = "PARAMETER_AT_BOUND"
SIGNAL_INCONSISTENT = "SIGNAL_INCONSISTENT"
OUTPUT_UNCERTAIN = "OUTPUT_UNCERTAIN"

LEFT_BOUND = 0.02
"""A parameter has left its bound once it is this share of its range away: it wanders at the end."""

CONSISTENT_AGAIN = 0.5
"""A signal is consistent again below this share of what it was told at."""

KNOWN_AGAIN = 0.9
"""An output is known again below this share of what control needs."""


# ------------------------------------------------------------------ lab results


def sample_events(estimate: Estimate, before: Book) -> Iterator[Event]:
    """What became of every lab result of this cycle.

    Args:
        estimate: the estimate after it.
        before: the lab's book one cycle ago, which knows what a correction replaces.
    """
    for result in estimate.samples:
        sample = result.sample
        what = f"{_measured(sample)}{_correcting(sample, before)}"
        drawn = f"{what}, drawn {(estimate.time_s - sample.drawn_at_s) / 3600:.1f} h ago,"
        if result.verdict is Verdict.OK:
            off = f"{result.innovation:+.3g} from expected{_moved(result)}"
            yield Event("SAMPLE_FUSED", Severity.EVENT, f"{drawn} fused at that time; {off}.")
        elif result.verdict is Verdict.STALE:
            text = f"{drawn} came too late; recorded, not fused."
            yield Event("SAMPLE_TOO_OLD", Severity.EVENT, text)
        elif sample.analyte in estimate.suspects:
            text = f"{drawn} watched, not fused: {sample.analyte} is a suspect."
            yield Event("SAMPLE_WATCHED", Severity.EVENT, text)
        else:
            off = f", {result.innovation:+.3g} from expected" if isfinite(result.innovation) else ""
            advice = "check the sample and its unit, then enter it again"
            text = f"{drawn} is {result.verdict}{off}; {advice}."
            yield Event("SAMPLE_REFUSED", Severity.ALARM, text)


def dose_events(estimate: Estimate, before: Book, inoculated_at_s: float) -> Iterator[Event]:
    """What became of bookings; what was given before inoculation is in the volume already."""
    known = {(dose.what, dose.given_at_s): dose.volume_L for dose in before.doses}
    for dose in estimate.poured:
        old_L = known.get((dose.what, dose.given_at_s))
        corrects = "" if old_L is None else f" (corrects {old_L:.4g} L)"
        text = f"{_given(dose, estimate.time_s)}, booked{corrects}: counted at that time."
        yield Event("DOSE_BOOKED", Severity.EVENT, text)
    for dose in estimate.unreached:
        if dose.given_at_s >= inoculated_at_s:
            text = (
                f"{_given(dose, estimate.time_s)}, was booked too late for the estimate, though "
                "the ledger counts it: check the volume, and book doses sooner."
            )
            yield Event("DOSE_TOO_OLD", Severity.ALARM, text)


def _given(dose: Dose, now_s: float) -> str:
    return f"{dose.volume_L:.4g} L of {dose.what}, {(now_s - dose.given_at_s) / 3600:.1f} h ago"


def _measured(sample: Sample) -> str:
    return f"{sample.analyte} {sample.value:.4g} {sample.unit}".strip()


def _correcting(sample: Sample, before: Book) -> str:
    """What a correction replaces, and why; empty for what was never told."""
    known = (*before.samples, *before.set_aside)
    key = (sample.analyte, sample.drawn_at_s)
    old = next((item for item in known if (item.analyte, item.drawn_at_s) == key), None)
    if old is None:
        return f" ({sample.reason})" if sample.reason else ""
    why = f": {sample.reason}" if sample.reason else ""
    return f" (corrects {old.value:.4g}{why})"


def _moved(result: SampleResult) -> str:
    """How the estimate of the same quantity is now, without the result and with it."""
    if not all(map(isfinite, (*result.before, *result.after))):
        return ""
    return f"; estimate now {with_deviation(*result.before)} -> {with_deviation(*result.after)}"


def with_deviation(value: float, deviation: float) -> str:
    """A value and its standard deviation, with the digits that the deviation leaves a meaning."""
    if not (isfinite(deviation) and deviation > 0):
        return f"{value:.4g}"
    decimals = max(1 - floor(log10(deviation)), 0)
    return f"{value:.{decimals}f} +/- {deviation:.{decimals}f}"


# ------------------------------------------------------------------ judgements and learning


ADVICE: Mapping[Judgement, tuple[str, Severity, str]] = {
    Judgement.SUSPECT: (
        "SIGNAL_SUSPECT",
        Severity.ALARM,
        (
            "{channel} has disagreed with the estimate for long and everything else contradicts "
            "it: it is watched, not used. Check and calibrate it, and book what was added or taken "
            "out; it is used again once it has agreed for some time."
        ),
    ),
    Judgement.TRUSTED: (
        "SIGNAL_TRUSTED",
        Severity.EVENT,
        "{channel} has agreed with the estimate for some time: it is used again.",
    ),
    Judgement.REOPENED: (
        "GATE_REOPENED",
        Severity.ALARM,
        (
            "{channel} has disagreed with the estimate for long and nothing else contradicts it: "
            "the estimate was wrong and follows it now. Take a lab sample to confirm; check "
            "inoculum, feeds and whether {channel} is calibrated."
        ),
    ),
    Judgement.RESET: (
        "ESTIMATE_RESET",
        Severity.ALARM,
        (
            "The estimate had lost the culture and began anew from the lab's sample. Take another "
            "sample soon to confirm; check probes and feeds, and look for contamination."
        ),
    ),
    Judgement.JUMPED: (
        "PARAMETER_JUMPED",
        Severity.ALARM,
        (
            "{channel} has changed suddenly{moved}: that alone explains several values that the "
            "gates refused, and the estimate follows. Look for the cause, such as antifoam or a "
            "fouled sparger where oxygen transfer is concerned."
        ),
    ),
}
"""Code, severity and text of each judgement: what it means and what to do."""


def judgement_events(settings: EstimationSettings, estimate: Estimate) -> Iterator[Event]:
    """What the filter decided in this cycle about signals, parameters and itself."""
    for decided in estimate.decided:
        code, severity, text = ADVICE[decided.judgement]
        name, moved = decided.channel, ""
        if decided.moved is not None:
            before, after = decided.moved
            moved = f", {before:.4g} -> {_valued(settings, name, after)}"
        yield Event(code, severity, text.format(channel=name, moved=moved))


def move_events(settings: EstimationSettings, estimate: Estimate) -> Iterator[Event]:
    """Learnt parameters that lab results moved, in one event."""
    moved = [
        f"{move.parameter} {move.before:.4g} -> {_valued(settings, move.parameter, move.after)}"
        for move in estimate.moves
    ]
    if moved:
        text = f"Lab results moved what the model has learnt: {'; '.join(moved)}."
        yield Event("PARAMETERS_MOVED", Severity.EVENT, text)


def _valued(settings: EstimationSettings, parameter: str, value: float) -> str:
    """A value of a parameter with its unit."""
    unit = settings.model.parameters[parameter].unit
    return f"{value:.4g}" if unit == "1" else f"{value:.4g} {unit}"


# ------------------------------------------------------------------ what lasts


def lasting(
    settings: EstimationSettings, estimate: Estimate, told: Collection[str]
) -> Mapping[str, Event]:
    """What is doubtful for longer than a cycle, by a key that stays while it is.

    Args:
        settings: of the filter.
        estimate: of this cycle.
        told: keys of what was told and still lasted in the last cycle.
    """
    found = (
        *_at_bounds(settings, estimate, told),
        *_inconsistent(settings, estimate, told),
        *_uncertain(settings, estimate, told),
    )
    return {f"{event.code} {name}": event for name, event in found}


Named = Iterator[tuple[str, Event]]
"""Events by the name of what they are about."""


def _at_bounds(settings: EstimationSettings, estimate: Estimate, told: Collection[str]) -> Named:
    """Learnt parameters that have reached the end of what the site approves."""
    for place, item in enumerate(settings.adapted, start=len(settings.model.states)):
        share = _share_of_range(item, float(estimate.mean[place]))
        lasts = f"{PARAMETER_AT_BOUND} {item.name}" in told and min(share, 1 - share) < LEFT_BOUND
        if item.name in estimate.at_bounds or lasts:
            reached = _valued(settings, item.name, item.lower if share < 1 / 2 else item.upper)
            text = (
                f"{item.name} has reached {reached}, the {'lower' if share < 1 / 2 else 'upper'} "
                "end of what is approved: the culture differs from the model by more than may be "
                "learnt. Check probes and feeds, and look for contamination."
            )
            yield item.name, Event(PARAMETER_AT_BOUND, Severity.ALARM, text)


def _share_of_range(item: AdaptedParameter, value: float) -> float:
    """Where in its range a learnt parameter is: 0 at the lower end, 1 at the upper."""
    lower, upper = item.lower, item.upper
    if item.logarithmic:
        lower, upper, value = log(lower), log(upper), log(max(value, lower))
    return (value - lower) / (upper - lower)


def _inconsistent(settings: EstimationSettings, estimate: Estimate, told: Collection[str]) -> Named:
    """Signals that are off by far more than they should, over a whole window.

    The band itself is left in almost every batch, because no model is exact: people are told when
    innovations are so large that the filter would count as diverged if all were, and again when
    they have come well below that.
    """
    health, consistency = settings.health, estimate.consistency
    if consistency is None:
        return
    high = chi_square_band(np.array([health.window]), health.confidence)[0, 1]
    channels = (*settings.signals, *settings.assays)
    for item, mean, band in zip(channels, consistency.means, consistency.bands, strict=True):
        full = band[1] <= high * (1 + 1e-9)
        limit = max(health.diverged_above, high)
        if f"{SIGNAL_INCONSISTENT} {item.name}" in told:
            limit *= CONSISTENT_AGAIN
        if full and mean > limit:
            text = (
                f"{item.name} is {sqrt(mean):.1f} times as far from what is expected as its noise "
                f"and the estimate's uncertainty allow, on average over {health.window} values: "
                "look whether probe, configured noise or model are to blame."
            )
            yield item.name, Event(SIGNAL_INCONSISTENT, Severity.EVENT, text)


def _uncertain(settings: EstimationSettings, estimate: Estimate, told: Collection[str]) -> Named:
    """Outputs that are known less well than control needs."""
    names = settings.model.output_names
    for item in settings.needed:
        place = names.index(item.output)
        deviation = float(estimate.output_deviation[place])
        largest = item.largest_deviation(float(estimate.outputs[place]))
        again = KNOWN_AGAIN if f"{OUTPUT_UNCERTAIN} {item.output}" in told else 1.0
        if not deviation <= again * largest:
            unit = settings.model.outputs_info[item.output].unit
            text = (
                f"{item.output} is known to +/- {deviation:.2g} {unit} only, control needs "
                f"+/- {largest:.2g}: take a lab sample, or repair the probe that tells of it."
            )
            yield item.output, Event(OUTPUT_UNCERTAIN, Severity.EVENT, text)


OVER: Mapping[str, str] = {
    PARAMETER_AT_BOUND: "{name} is inside its approved range again.",
    SIGNAL_INCONSISTENT: "{name} is about as far from what is expected as it should be again.",
    OUTPUT_UNCERTAIN: "{name} is known well enough for control again.",
}
"""What is said when something of `lasting` is over."""


def over_events(told: Collection[str], lasts: Collection[str]) -> Iterator[Event]:
    """What of `lasting` was told and is over."""
    for key in told:
        code, _, name = key.partition(" ")
        if key not in lasts and code in OVER:
            yield Event(f"{code}_CLEARED", Severity.EVENT, OVER[code].format(name=name))
