"""Which readings may be believed: one verdict per signal, with what it needs to remember."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, inf, isfinite

import numpy as np

from mpc_agent.estimation.settings import SignalSettings
from mpc_agent.values import Floats, Measurement, Quality, Reading, Readings, Verdict
from plant_models.model import Input


@dataclass(frozen=True, slots=True)
class SignalMemory:
    """What validation remembers per online signal, in their order.

    Attributes:
        accepted: last accepted value, NaN before the first, shape (signals,).
        accepted_at_s: when it was sampled.
        seen: last value seen at a plausible time.
        changed_at_s: when the value last changed.
        inputs: last known input vector, shape (inputs,).
    """

    accepted: Floats
    accepted_at_s: Floats
    seen: Floats
    changed_at_s: Floats
    inputs: Floats

    @classmethod
    def empty(cls, signals: int, inputs: Floats) -> "SignalMemory":
        """Nothing seen yet; `inputs` are assumed until the plant reports them."""
        unknown = np.full(signals, np.nan)
        return cls(unknown, unknown, unknown, unknown, inputs)

    @property
    def is_empty(self) -> bool:
        """Whether no scan came before: the inputs are only assumed."""
        return bool(np.isnan(self.changed_at_s).all())


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one signal when its next reading is judged; see `SignalMemory`."""

    accepted: float
    accepted_at_s: float
    changed_at_s: float


def validate(
    readings: Readings,
    memory: SignalMemory,
    signals: tuple[SignalSettings, ...],
    wanted_inputs: Mapping[str, Input],
    period_s: float,
) -> tuple[Measurement, SignalMemory]:
    """Judge every reading; an input that cannot be read is taken as unchanged.

    Args:
        readings: what the plant said.
        memory: what earlier scans left.
        signals: what may be believed of each online signal.
        wanted_inputs: inputs of the model, by name in their order.
        period_s: time from scan to scan.

    Returns:
        Measurement in the order of `signals` (NaN unless OK), and the memory for the next scan.
    """
    now_s = readings.read_at_s
    values, belongs_at_s = np.full(len(signals), np.nan), np.full(len(signals), np.nan)
    verdicts: list[Verdict] = []
    accepted, accepted_at_s = memory.accepted.copy(), memory.accepted_at_s.copy()
    seen, changed_at_s = memory.seen.copy(), memory.changed_at_s.copy()
    for i, signal in enumerate(signals):
        reading = readings.measured.get(signal.name)
        if reading is None:
            verdicts.append(Verdict.MISSING)
            continue
        if _is_timely(reading, signal, now_s) and isfinite(reading.value):
            # A value that was never seen has changed, too: NaN differs from everything.
            moved = reading.value != seen[i]
            seen[i] = reading.value
            changed_at_s[i] = reading.sampled_at_s if moved else changed_at_s[i]
        known = _Known(float(accepted[i]), float(accepted_at_s[i]), float(changed_at_s[i]))
        verdict = _verdict(reading, signal, known, now_s, period_s)
        verdicts.append(verdict)
        if verdict is Verdict.OK:
            values[i] = accepted[i] = reading.value
            accepted_at_s[i] = reading.sampled_at_s
            belongs_at_s[i] = _belongs_at_s(reading, signal, now_s, period_s)
    inputs = _inputs(readings, memory.inputs, wanted_inputs)
    before = None if memory.is_empty else _inputs_before(readings, memory, inputs, wanted_inputs)
    names = tuple(signal.name for signal in signals)
    measurement = Measurement(names, values, tuple(verdicts), inputs, belongs_at_s, before)
    return measurement, SignalMemory(accepted, accepted_at_s, seen, changed_at_s, inputs)


def _verdict(
    reading: Reading, signal: SignalSettings, known: _Known, now_s: float, period_s: float
) -> Verdict:
    """The first check that fails.

    What the source, the clock and the value itself say is told of a repeated reading, too: only one
    that is sound and has been used before is no fault.
    """
    usable = {Quality.GOOD, Quality.UNCERTAIN} if signal.accept_uncertain else {Quality.GOOD}
    frozen_after_s = inf if signal.frozen_after_s is None else signal.frozen_after_s
    checks = (
        (reading.quality in usable, Verdict.BAD_QUALITY),
        (isfinite(reading.value), Verdict.OUT_OF_RANGE),
        (_is_timely(reading, signal, now_s), Verdict.STALE),
        (signal.lower <= reading.value <= signal.upper, Verdict.OUT_OF_RANGE),
        (not now_s - known.changed_at_s > frozen_after_s, Verdict.FROZEN),
        (_is_new(reading, signal, known, now_s, period_s), Verdict.REPEATED),
        (not _is_too_fast(reading, signal, known), Verdict.TOO_FAST),
    )
    return next((verdict for passed, verdict in checks if not passed), Verdict.OK)


def _is_timely(reading: Reading, signal: SignalSettings, now_s: float) -> bool:
    """Whether the reading is neither old nor from the future."""
    return -_CLOCK_TOLERANCE_S <= now_s - reading.sampled_at_s <= signal.max_age_s


def _is_new(
    reading: Reading, signal: SignalSettings, known: _Known, now_s: float, period_s: float
) -> bool:
    """Whether the reading is later than the last one used, by `every_s` where that is set.

    Nothing used yet, or a clock that was set back since, makes every reading a new one: a signal
    must not stay silent until the time it was last used at comes again.
    """
    if not known.accepted_at_s <= now_s + _CLOCK_TOLERANCE_S:
        return True
    waited_s = reading.sampled_at_s - known.accepted_at_s
    every_s = signal.every_s or 0.0
    tolerance_s = min(period_s / 2, _EARLY_SHARE * every_s)
    return waited_s > 0 and waited_s >= every_s - tolerance_s


def _is_too_fast(reading: Reading, signal: SignalSettings, known: _Known) -> bool:
    """Whether the value changed faster than it can since it was last accepted, noise aside.

    The longer ago that was, the further it may have come, so that a step which is real, such as a
    probe calibrated anew, is believed after a while.
    """
    elapsed_h = (reading.sampled_at_s - known.accepted_at_s) / 3600
    if signal.max_rate_per_h is None or not elapsed_h > 0:
        return False
    now, before = (
        signal.absolute + signal.relative * abs(value) for value in (reading.value, known.accepted)
    )
    most = signal.max_rate_per_h * elapsed_h + 3 * hypot(now, before)
    return abs(reading.value - known.accepted) > most


def _belongs_at_s(reading: Reading, signal: SignalSettings, now_s: float, period_s: float) -> float:
    """When the value was true of the broth: now, unless it is half a cycle older at least."""
    moment_s = reading.sampled_at_s - signal.delay_s
    return now_s if now_s - moment_s < period_s / 2 else moment_s


_CLOCK_TOLERANCE_S = 5.0
"""How far a plant's clock may run ahead of ours before its readings count as from the future."""


_EARLY_SHARE = 0.1
"""How much earlier than `every_s` a value may come, as a fraction of it: times of sampling jitter,
and a value that is a moment early must not cost a whole cycle."""


_IMPLAUSIBLE_SCALES = 100.0
"""Beyond this many times its typical size, an input is no flow but a meter's nonsense."""


_BACKWARDS_SCALES = 0.1
"""Below minus this many times its typical size, what cannot be negative is no noise about zero."""


def _inputs(readings: Readings, known: Floats, wanted: Mapping[str, Input]) -> Floats:
    inputs = known.copy()
    for i, (name, item) in enumerate(wanted.items()):
        reading = readings.inputs.get(name)
        if reading is None or reading.quality is Quality.BAD:
            continue
        least = _BACKWARDS_SCALES if item.lower >= 0 else _IMPLAUSIBLE_SCALES
        if -least * item.scale <= reading.value <= _IMPLAUSIBLE_SCALES * item.scale:
            inputs[i] = reading.value
    return inputs


_MOVED_SCALES = 0.01
"""By how much of its typical size an input must differ to count as moved; less is noise."""


def _inputs_before(
    readings: Readings, memory: SignalMemory, inputs: Floats, wanted: Mapping[str, Input]
) -> Floats | None:
    """Inputs at the last scan, of those that moved by themselves since; None when none did.

    What follows a setpoint while the plant is under remote control has been as it is now since that
    was written, right after the last scan. What other loops or people move did so in between.
    """
    before = inputs.copy()
    for i, (name, item) in enumerate(wanted.items()):
        nearly = _MOVED_SCALES * item.scale
        setpoint = readings.setpoints.get(name)
        follows = setpoint is not None and abs(setpoint - inputs[i]) <= nearly
        moved = abs(inputs[i] - memory.inputs[i]) > nearly
        if moved and not (readings.status.remote_active and follows):
            before[i] = memory.inputs[i]
    return None if np.array_equal(before, inputs) else before
