"""Which readings may be believed: one verdict per signal, with what it needs to remember."""

from collections.abc import Mapping
from dataclasses import dataclass

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
        seen: last value seen at all.
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


def validate(
    readings: Readings,
    memory: SignalMemory,
    signals: tuple[SignalSettings, ...],
    wanted_inputs: Mapping[str, Input],
) -> tuple[Measurement, SignalMemory]:
    """Judge every reading; an input that cannot be read is taken as unchanged.

    Args:
        readings: what the plant said.
        memory: what earlier scans left.
        signals: what may be believed of each online signal.
        wanted_inputs: inputs of the model, by name in their order.

    Returns:
        Measurement in the order of `signals` (NaN unless OK), and the memory for the next scan.
    """
    values = np.full(len(signals), np.nan)
    verdicts: list[Verdict] = []
    accepted, accepted_at = memory.accepted.copy(), memory.accepted_at_s.copy()
    seen, changed_at = memory.seen.copy(), memory.changed_at_s.copy()
    for i, signal in enumerate(signals):
        reading = readings.measured.get(signal.name)
        if reading is not None and np.isfinite(reading.value) and reading.value != seen[i]:
            seen[i], changed_at[i] = reading.value, reading.sampled_at_s
        verdict = _verdict(
            reading, signal, readings.read_at_s, accepted[i], accepted_at[i], changed_at[i]
        )
        verdicts.append(verdict)
        if verdict is Verdict.OK and reading is not None:
            values[i] = accepted[i] = reading.value
            accepted_at[i] = reading.sampled_at_s
    inputs = _inputs(readings, memory.inputs, wanted_inputs)
    measurement = Measurement(
        tuple(signal.name for signal in signals), values, tuple(verdicts), inputs
    )
    return measurement, SignalMemory(accepted, accepted_at, seen, changed_at, inputs)


def _verdict(
    reading: Reading | None,
    signal: SignalSettings,
    now_s: float,
    accepted: float,
    accepted_at_s: float,
    changed_at_s: float,
) -> Verdict:
    if reading is None:
        return Verdict.MISSING
    usable = {Quality.GOOD, Quality.UNCERTAIN} if signal.accept_uncertain else {Quality.GOOD}
    age_s = now_s - reading.sampled_at_s
    frozen_after_s = np.inf if signal.frozen_after_s is None else signal.frozen_after_s
    checks = (
        (reading.quality in usable, Verdict.BAD_QUALITY),
        (bool(np.isfinite(reading.value)), Verdict.OUT_OF_RANGE),
        (-_CLOCK_TOLERANCE_S <= age_s <= signal.max_age_s, Verdict.STALE),
        (signal.lower <= reading.value <= signal.upper, Verdict.OUT_OF_RANGE),
        (not now_s - changed_at_s > frozen_after_s, Verdict.FROZEN),
        (not _too_fast(reading, signal, accepted, accepted_at_s), Verdict.TOO_FAST),
    )
    return next((verdict for passed, verdict in checks if not passed), Verdict.OK)


def _too_fast(
    reading: Reading, signal: SignalSettings, accepted: float, accepted_at_s: float
) -> bool:
    """Whether the value changed faster than it can since it was last accepted, noise aside."""
    elapsed_h = (reading.sampled_at_s - accepted_at_s) / 3600
    if signal.max_rate_per_h is None or not elapsed_h > 0:
        return False
    noise = 3 * (signal.absolute + signal.relative * abs(reading.value))
    return bool(abs(reading.value - accepted) > signal.max_rate_per_h * elapsed_h + noise)


_CLOCK_TOLERANCE_S = 5.0
"""How far a plant's clock may run ahead of ours before its readings count as from the future."""


_IMPLAUSIBLE_SCALES = 100.0
"""Beyond this many times its typical size, an input is no flow but a meter's nonsense."""


def _inputs(readings: Readings, known: Floats, wanted: Mapping[str, Input]) -> Floats:
    inputs = known.copy()
    for i, (name, item) in enumerate(wanted.items()):
        reading = readings.inputs.get(name)
        if reading is None or reading.quality is Quality.BAD:
            continue
        if abs(reading.value) <= _IMPLAUSIBLE_SCALES * item.scale:
            inputs[i] = reading.value
    return inputs
