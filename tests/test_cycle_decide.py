"""`decide` on garbage: it never raises, and what it lets out is always inside the limits."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc_agent.codec import encode
from mpc_agent.cycle import decide
from mpc_agent.memory import Decision, Memory
from mpc_agent.values import (
    Mode,
    PlantStatus,
    Quality,
    Reading,
    Readings,
    Sample,
    Verdict,
)
from tests.examples_batch import Batch, run_batch

PERIOD_S = 600.0


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Three hours of the demo: a culture under control."""
    return run_batch(tmp_path_factory.mktemp("decide"), cycles=19)


@pytest.fixture(scope="module")
def told(batch: Batch) -> Readings:
    """What the plant said last."""
    return batch.records[-1].readings


def next_readings(batch: Batch, told: Readings, **changes: Any) -> Readings:
    """The last readings again, a cycle later."""
    later_s = told.read_at_s + PERIOD_S
    measured = {name: replace(item, sampled_at_s=later_s) for name, item in told.measured.items()}
    return replace(told, **{"read_at_s": later_s, "measured": measured, **changes})


def outside(batch: Batch, decision: Decision) -> list[str]:
    """Setpoints that no guard should let through."""
    safety, values = batch.rooms.safety, decision.setpoints.values
    wrong = [
        f"{name} {values[name]} is outside {limit.lower} to {limit.upper}"
        for name, limit in safety.input_limits.items()
        if not limit.lower <= values[name] <= limit.upper
    ]
    sparge = sum(values[name] for name in safety.gases)
    if not sparge <= safety.max_sparge_L_per_h * (1 + 1e-12):
        wrong.append(f"sparge {sparge}")
    if set(values) != set(safety.input_limits):
        wrong.append(f"written are {sorted(values)}")
    return wrong


numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.floats(-1e3, 1e4), st.just(0.0)
)


@st.composite
def garbage(draw: st.DrawFn, told: Readings, later_s: float) -> Readings:
    """Anything a plant could say: values, qualities, times, samples and words on control."""

    def reading(name: str) -> Reading:
        times = st.one_of(st.just(later_s), numbers)
        return Reading(name, draw(numbers), draw(times), draw(st.sampled_from(Quality)))

    def readings(known: Any) -> dict[str, Reading]:
        """Some are missing, some true, most absurd."""
        kinds = {name: draw(st.sampled_from(("missing", "true", "wild"))) for name in known}
        true = {name: replace(known[name], sampled_at_s=later_s) for name in known}
        return {
            name: true[name] if kind == "true" else reading(name)
            for name, kind in kinds.items()
            if kind != "missing"
        }

    analytes = st.sampled_from(("glucose", "titre", "viability", "osmolality", "gold", ""))
    drawn = st.one_of(numbers, st.floats(later_s - 1e5, later_s + 1e5))
    sample = st.builds(Sample, analytes, numbers, st.just("mmol/L"), drawn, numbers, st.just("x"))
    held = st.dictionaries(st.sampled_from((*told.setpoints, "unknown")), numbers)
    flags = st.booleans()
    return Readings(
        read_at_s=later_s,
        measured=readings(told.measured),
        inputs=readings(told.inputs),
        setpoints=draw(held),
        samples=tuple(draw(st.lists(sample, max_size=4))),
        status=draw(st.builds(PlantStatus, flags, flags, flags, flags, st.just(""))),
    )


@given(data=st.data(), late_s=st.sampled_from((PERIOD_S, 0.0, -7200.0, 90_000.0)))
@settings(max_examples=40)
def test_whatever_the_plant_says_the_decision_is_safe_and_the_next_one_sane(
    batch: Batch, told: Readings, data: st.DataObject, late_s: float
) -> None:
    later_s = told.read_at_s + late_s
    decision = decide(batch.rooms, batch.memory, data.draw(garbage(told, later_s)))
    assert outside(batch, decision) == []
    assert np.isfinite(decision.memory.estimation.history.belief.mean).all()
    assert encode(decision)  # whatever it is, it can be recorded
    after = decide(
        batch.rooms,
        decision.memory,
        next_readings(batch, told, read_at_s=max(later_s, told.read_at_s) + PERIOD_S),
    )
    assert outside(batch, after) == []
    assert np.isfinite(after.estimate.mean).all()
    assert np.isfinite(after.estimate.outputs).all()


LIMITS = st.dictionaries(
    st.sampled_from(("glucose_feed", "amino_feed", "air", "oxygen", "carbon_dioxide", "nitrogen")),
    st.tuples(numbers, numbers),
)


@given(limits=LIMITS, confirmed=st.dictionaries(st.sampled_from(("air", "oxygen")), numbers))
@settings(max_examples=25)
def test_whatever_ranges_the_plant_reports_the_decision_is_safe(
    batch: Batch,
    told: Readings,
    limits: dict[str, tuple[float, float]],
    confirmed: dict[str, float],
) -> None:
    memory = replace(batch.memory, limits=limits, confirmed=confirmed)
    decision = decide(batch.rooms, memory, next_readings(batch, told, setpoints={}))
    assert outside(batch, decision) == []


def test_the_same_arguments_give_the_same_bits(batch: Batch, told: Readings) -> None:
    readings = next_readings(batch, told)
    first, second = (decide(batch.rooms, batch.memory, readings) for _ in range(2))
    assert encode(first) == encode(second)


def test_from_inoculation_on_nothing_but_silence_is_survived(batch: Batch, told: Readings) -> None:
    """A plant that is never heard: no value, no setpoint, no sample, for a whole day."""
    silent = PlantStatus(
        connected=False, remote_enabled=False, remote_active=False, watchdog_tripped=False
    )
    decision = batch.records[-1].decision
    for number in range(1, 145):
        readings = Readings(told.read_at_s + 600.0 * number, {}, {}, {}, (), silent)
        decision = decide(batch.rooms, decision.memory, readings)
        assert outside(batch, decision) == []
        assert decision.mode is Mode.SHADOW
    assert decision.estimate.verdicts == (Verdict.MISSING,) * len(decision.estimate.verdicts)
    assert decision.estimate.healthy
    assert (decision.estimate.deviation >= batch.records[-1].decision.estimate.deviation).sum() > 10


def test_gas_meters_that_all_show_zero_do_not_spoil_the_estimate_for_ever(
    batch: Batch, told: Readings
) -> None:
    gases = batch.rooms.safety.gases
    off = {
        name: replace(item, value=0.0) if name in gases else item
        for name, item in told.inputs.items()
    }
    memory = batch.memory
    for number in range(1, 4):
        at_s = told.read_at_s + PERIOD_S * number
        decision = decide(
            batch.rooms, memory, next_readings(batch, told, read_at_s=at_s, inputs=off)
        )
        memory = decision.memory
        assert not decision.estimate.healthy
        assert outside(batch, decision) == []
    back = next_readings(batch, told, read_at_s=told.read_at_s + PERIOD_S * 4)
    decision = decide(batch.rooms, memory, back)
    assert decision.estimate.healthy
    assert np.isfinite(decision.estimate.mean).all()


@pytest.mark.parametrize("value", [nan, inf, -5.0, 1e9])
def test_a_sample_that_is_no_number_is_told_once(
    batch: Batch, told: Readings, value: float
) -> None:
    sample = Sample("glucose", value, "mmol/L", told.read_at_s - 60, told.read_at_s, "lab")
    memory: Memory = batch.memory
    codes = []
    for number in range(1, 4):
        at_s = told.read_at_s + PERIOD_S * number
        readings = next_readings(batch, told, read_at_s=at_s, samples=(sample,))
        decision = decide(batch.rooms, memory, readings)
        memory = decision.memory
        codes += [event.code for event in decision.events if event.code.startswith("SAMPLE")]
    assert codes == ["SAMPLE_REFUSED"]
