"""Gates that recover: each trouble ends in sight of people, as a suspect or with the filter opened.

Cells in the small model, with four probes in cycles of ten minutes and a lab: each trouble lasts
some hours of one short batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import nan

import numpy as np
import pytest

from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.history import marched
from mpc_agent.estimation.settings import EstimationSettings, SignalSettings, Uncertainty
from mpc_agent.values import Decided, Estimate, Floats, Judgement, Sample, Verdict
from plant_models.cho_mab import CORE
from plant_models.integrate import Simulator
from tests.examples_core import (
    PERIOD_H,
    START_S,
    core_settings,
    cycle_s,
    same,
    sample,
    scanned,
)

FEED = np.array([0.3, 0.2])
PATIENCE = 6
PROBES = ("capacitance", "glucose_probe", "lactate_probe", "ammonia_probe")
SHOWS = ("viable_cells", "glucose", "lactate", "ammonia")
NOISE = (0.02, 0.3, 0.1, 0.05)
ASSAYS = ("viable_cells", "glucose", "lactate")
CELLS, GLUCOSE, LACTATE, AMMONIA = range(4)


def watched_settings() -> EstimationSettings:
    """Four probes and three assays; gates of four deviations."""
    deviations = {"volume": 1.0, "viable_cells": 0.06, "dead_cells": 0.02, "product": 0.01}
    return replace(
        core_settings(),
        uncertainty={
            name: Uncertainty(deviations.get(name, 0.3), 0.003, 0.002) for name in CORE.states
        },
        signals=tuple(
            SignalSettings(
                name, noise, 0.01, -1.0, 200.0, gate=4.0, output=output, readmit_after=PATIENCE
            )
            for name, output, noise in zip(PROBES, SHOWS, NOISE, strict=True)
        ),
        assays=tuple(
            SignalSettings(name, 0.05, 0.03, -1.0, 200.0, gate=4.0, readmit_after=3)
            for name in ASSAYS
        ),
    )


@cache
def watched() -> ExtendedKalmanFilter:
    return ExtendedKalmanFilter(watched_settings(), PERIOD_H)


@dataclass(frozen=True)
class Batch:
    """What was estimated in each cycle, and the truth."""

    told: Sequence[Estimate]
    truth: Floats
    memory: EstimatorMemory

    def decisions(self) -> list[tuple[int, Decided]]:
        return [(i, item) for i, told in enumerate(self.told) for item in told.decided]

    def judged(self, channel: str) -> list[Judgement]:
        return [item.judgement for _, item in self.decisions() if item.channel == channel]

    def off(self, state: str, number: int = -1) -> float:
        """How many deviations the estimate of a state is off."""
        place = CORE.state_names.index(state)
        told = self.told[number]
        return float((told.mean[place] - self.truth[number, place]) / told.deviation[place])


@cache
def truth(cells: float, cycles: int) -> Floats:
    """States of a batch that begins with so many cells."""
    simulator = Simulator(CORE, PERIOD_H)
    state = np.array(CORE.initial_state(), dtype=np.float64)
    state[CORE.state_names.index("viable_cells")] = cells
    states, p = [], np.array(CORE.nominal_parameters(), dtype=np.float64)
    for number in range(cycles):
        if number:
            state = simulator.advance(state, FEED, p)
        states.append(state)
    return np.array(states)


def shown_by(states: Floats) -> Floats:
    """What the probes would show without noise."""
    return states[:, [CORE.state_names.index(name) for name in SHOWS]]


Trouble = Callable[[int, Floats], Floats]
"""What the probes show in a cycle instead of what they should."""


def batch(
    trouble: Trouble = lambda _, values: values,
    cells: float = 0.5,
    cycles: int = 72,
    lab_every: int = 36,
    lab_delay: int = 6,
    arriving: Mapping[int, Sequence[Sample]] | None = None,
    lab_error: float = 0.0,
) -> Batch:
    """A batch with a trouble; the lab's results come an hour after they were drawn."""
    random = np.random.default_rng(3)
    states = truth(cells, cycles)
    kalman, told = watched(), []
    memory = begin_estimation(kalman, START_S, FEED)
    results: dict[int, list[Sample]] = {}
    for number in range(cycles):
        true = shown_by(states[number : number + 1])[0]
        noise = np.hypot(NOISE, 0.01 * true) * random.normal(size=4)
        values = trouble(number, true + noise)
        if number % lab_every == 0:
            results[number + lab_delay] = [
                sample(
                    name,
                    float(true[place] + lab_error + 0.02 * true[place] * random.normal()),
                    number * PERIOD_H,
                )
                for place, name in enumerate(ASSAYS)
            ]
        offered = [*results.get(number, ()), *(arriving or {}).get(number, ())]
        seen = scanned(kalman.settings.signals, values, number, FEED)
        result, memory = estimate(kalman, memory, seen, offered, cycle_s(number))
        told.append(result)
    return Batch(told, states, memory)


def changed(place: int, how: Callable[[int, float], float], first: int, last: int) -> Trouble:
    """One probe shows something else from one cycle up to another."""

    def trouble(number: int, values: Floats) -> Floats:
        if first <= number < last:
            values[place] = how(number, float(values[place]))
        return values

    return trouble


def held_at(place: int, first: int, last: int) -> Trouble:
    """One probe freezes."""
    frozen: list[float] = []

    def how(_: int, value: float) -> float:
        frozen.append(value)
        return frozen[0]

    return changed(place, how, first, last)


@cache
def undisturbed() -> Batch:
    return batch()


def test_without_a_trouble_nothing_is_decided() -> None:
    told = undisturbed()
    assert told.decisions() == []
    assert all(not result.suspects and result.healthy for result in told.told)
    assert all(set(result.verdicts) == {Verdict.OK} for result in told.told)


def test_spikes_are_refused_and_nothing_else() -> None:
    spikes = changed(GLUCOSE, lambda n, value: value + 15.0 * (n % 4 == 0), 20, 60)
    told = batch(spikes)
    assert told.decisions() == []
    for number, result in enumerate(told.told):
        wild = 20 <= number < 60 and number % 4 == 0
        assert result.verdicts[GLUCOSE] is (Verdict.GATED if wild else Verdict.OK)
    assert abs(told.off("glucose")) < 3


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("offset", changed(GLUCOSE, lambda _, value: value + 8.0, 24, 99)),
        ("drift", changed(GLUCOSE, lambda n, value: value + 0.6 * (n - 24), 24, 99)),
        ("dead", changed(GLUCOSE, lambda _, __: 0.0, 24, 99)),
    ],
)
def test_a_probe_that_goes_wrong_becomes_a_suspect_and_the_others_are_believed(
    name: str, trouble: Trouble
) -> None:
    told = batch(trouble)
    assert told.judged("glucose_probe") == [Judgement.SUSPECT]
    assert [item.channel for _, item in told.decisions()] == ["glucose_probe"]
    (when, _), *_ = told.decisions()
    assert when < 24 + (3 if name == "drift" else 1) * (PATIENCE + 6)
    for result in told.told[when:]:
        assert result.suspects == ("glucose_probe",)
        assert result.verdicts[GLUCOSE] is Verdict.SUSPECT
        assert np.isfinite(result.innovations[GLUCOSE])
    assert abs(told.off("glucose")) < 3.5
    assert abs(told.off("viable_cells")) < 3


def test_a_frozen_capacitance_does_not_outvote_the_lab() -> None:
    """What it shows is possible, if cells stopped growing: the filter follows until the lab's
    samples contradict it, and without the probe all agree.

    Whether a value moves at all is for validation to watch; here it does not.
    """
    told = batch(held_at(CELLS, 24, 999), cycles=200)
    (first, decided), *_ = told.decisions()
    refused = [
        number
        for number, result in enumerate(told.told)
        for item in result.samples
        if item.sample.analyte == "viable_cells" and item.verdict is Verdict.GATED
    ]
    assert decided == Decided(Judgement.SUSPECT, "capacitance")
    assert refused == [114, 150], "the third sample in a row decides, and is fused"
    assert first == 186
    assert all(result.suspects == ("capacitance",) for result in told.told[first:])
    assert abs(told.off("viable_cells")) < 3


def test_a_suspect_that_agrees_again_for_long_is_trusted_again() -> None:
    offset = changed(GLUCOSE, lambda _, value: value + 8.0, 20, 40)
    told = batch(offset)
    assert told.judged("glucose_probe") == [Judgement.SUSPECT, Judgement.TRUSTED]
    trusted = next(i for i, item in told.decisions() if item.judgement is Judgement.TRUSTED)
    assert 40 + PATIENCE - 1 <= trusted < 40 + 3 * PATIENCE
    for number in range(trusted + 1, 72):
        assert told.told[number].suspects == ()
        assert told.told[number].verdicts[GLUCOSE] in (Verdict.OK, Verdict.GATED)
    assert told.told[-1].verdicts[GLUCOSE] is Verdict.OK
    assert abs(told.off("glucose")) < 3


def test_a_wrong_inoculum_opens_the_filter() -> None:
    """Twice the cells that were believed, eight deviations away."""
    told = batch(cells=1.0)
    first, decided = told.decisions()[0]
    assert decided == Decided(Judgement.REOPENED, "capacitance")
    assert first < PATIENCE
    assert len(told.decisions()) == 1
    for result in told.told[first:]:
        assert not result.suspects
    assert abs(told.off("viable_cells")) < 3
    assert told.told[-1].outputs[0] == pytest.approx(told.truth[-1, 1], rel=0.05)


def test_half_the_inoculum_is_followed() -> None:
    told = batch(cells=0.25)
    assert {item.judgement for _, item in told.decisions()} <= {Judgement.REOPENED}
    assert abs(told.off("viable_cells")) < 3
    assert told.told[-1].outputs[0] == pytest.approx(told.truth[-1, 1], rel=0.05)


def test_two_probes_that_go_wrong_together_are_both_told() -> None:
    def trouble(number: int, values: Floats) -> Floats:
        return values + np.array([0, 8.0, 3.0, 0]) if number >= 24 else values

    told = batch(trouble)
    for name in ("glucose_probe", "lactate_probe"):
        assert told.judged(name)
    assert all(result.suspects for result in told.told[40:])
    assert abs(told.off("viable_cells")) < 3


def test_nothing_is_decided_twice_and_no_channel_stays_refused_in_silence() -> None:
    """After as many refusals as its patience a channel is a suspect, or it is fused again."""
    troubles = [
        changed(GLUCOSE, lambda _, value: value + 8.0, 24, 50),
        changed(LACTATE, lambda n, value: value + 0.2 * (n - 20), 20, 60),
        held_at(CELLS, 10, 70),
        changed(AMMONIA, lambda _, value: value * 2.0, 30, 99),
    ]
    for trouble in troubles:
        told = batch(trouble)
        refused = np.array(
            [[verdict is Verdict.GATED for verdict in item.verdicts] for item in told.told]
        )
        for i, name in enumerate(PROBES):
            run = longest = 0
            for gated in refused[:, i]:
                run = run + 1 if gated else 0
                longest = max(longest, run)
            assert longest <= PATIENCE
            judged = told.judged(name)
            assert all(a is not b for a, b in pairwise(judged))


def test_late_samples_keep_what_was_decided() -> None:
    offset = changed(GLUCOSE, lambda _, value: value + 8.0, 24, 99)
    late = [sample("glucose", float(truth(0.5, 72)[26, 3]), 26 * PERIOD_H)]
    plain, told = batch(offset), batch(offset, arriving={60: late})
    assert [item.verdict for item in told.told[60].samples if item.sample in late] == [Verdict.OK]
    assert told.decisions() == plain.decisions()
    history = told.memory.history
    assert told.told[-1].suspects == ("glucose_probe",)
    again = marched(watched(), history.chapters, history.book, 0)
    assert same(again.belief, history.belief)


def test_a_reopened_filter_stays_opened_when_late_samples_come() -> None:
    late = [sample("lactate", float(truth(1.0, 72)[1, 5]), 1.5 * PERIOD_H)]
    plain, told = batch(cells=1.0), batch(cells=1.0, arriving={40: late})
    assert told.decisions() == plain.decisions()
    assert abs(told.off("viable_cells")) < 3


def test_a_lab_that_is_wrong_in_everything_and_always_is_no_secret() -> None:
    """Nobody can tell who lies when all probes and assays part; it is told each time."""
    told = batch(lab_every=6, lab_delay=3, lab_error=4.0, cycles=72)
    first, _ = told.decisions()[0]
    assert first == 15, "the third sample in a row"
    assert all(result.suspects for result in told.told[first:])
    for result in told.told:
        for item in result.samples:
            assert item.verdict in (Verdict.OK, Verdict.GATED)
            assert np.isfinite(item.innovation)


def test_what_became_of_a_sample_is_told_even_in_a_cycle_of_decisions() -> None:
    """A sample from an earlier chapter arrives in the very cycle that makes a suspect."""
    offset = changed(GLUCOSE, lambda _, value: value + 8.0, 50, 99)
    (when, decided), *_ = batch(offset).decisions()
    assert decided == Decided(Judgement.SUSPECT, "glucose_probe")
    assert when > 48
    drawn = sample("lactate", float(truth(0.5, 72)[10, 5]), 10 * PERIOD_H)
    told = batch(offset, arriving={when: [drawn]})
    (result,) = (item for item in told.told[when].samples if item.sample == drawn)
    assert told.told[when].decided == (decided,)
    assert result.verdict is Verdict.OK
    assert np.isfinite([result.innovation, result.gate_ratio, *result.before, *result.after]).all()


def test_a_missing_probe_is_neither_suspected_nor_trusted() -> None:
    told = batch(changed(GLUCOSE, lambda _, __: nan, 20, 60))
    assert told.decisions() == []
    assert told.told[40].verdicts[GLUCOSE] is Verdict.STALE
