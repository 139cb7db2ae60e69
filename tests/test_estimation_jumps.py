"""Sudden changes of a learnt parameter, which gates refuse: followed where one number explains all.

Oxygen in a vessel: a probe of what is dissolved, an analyser of what the gas loses. From one moment
on the transfer coefficient is another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import exp, inf, log
from typing import Any

import numpy as np
import pytest

from mpc_agent.codec import decode, encode
from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Chapter, Jump
from mpc_agent.estimation.history import marched
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    EstimationSettings,
    SignalSettings,
    Uncertainty,
)
from mpc_agent.values import Estimate, Floats, Judgement, Verdict
from plant_models.dialect import Maths
from plant_models.model import Input, State
from tests.examples_core import PERIOD_H, START_S, cycle_s, same, scanned, small_model

KLA, UPTAKE, SATURATION = 6.0, 300.0, 120.0
"""1/h, percent of air saturation per hour, and percent of air saturation."""

PROBE, ANALYSER = 0.5, 5.0
"""Noise of both, in percent and percent per hour."""

INPUTS = np.array([0.0, SATURATION])
PATIENCE = 12
CHANGED = 30
"""The step in which the transfer changes."""


def _rhs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    del xp
    return u.feed, p.kLa * (u.saturation - x.oxygen) - p.uptake


def _outputs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    del xp
    return x.oxygen, p.kLa * (u.saturation - x.oxygen), x.oxygen * x.volume


VESSEL = small_model(
    name="vessel",
    rhs=_rhs,
    outputs=_outputs,
    states={
        "volume": State("L", "volume", 10.0, 10.0, 0.0, 1e3),
        "oxygen": State("1", "dissolved oxygen", 70.0, 10.0, 0.0, 1e3),
    },
    inputs={
        "feed": Input("L/h", "feed", 0.0, 1.0, 0.0, 10.0),
        "saturation": Input("1", "saturation", SATURATION, 100.0, 0.0, 1e3),
    },
    parameters={"kLa": KLA, "uptake": UPTAKE},
    output_names=("dissolved", "transfer", "amount"),
    substeps_per_h=60,
)


def vessel_settings(jump: float = 0.7, analyser: bool = True) -> EstimationSettings:
    """Both numbers are learnt; the transfer coefficient may change suddenly."""
    signals = (
        SignalSettings("dissolved", PROBE, 0.0, -inf, inf, readmit_after=PATIENCE),
        SignalSettings("transfer", ANALYSER, 0.0, -inf, inf, readmit_after=PATIENCE),
    )
    return EstimationSettings(
        model=VESSEL,
        initial={"volume": 10.0, "oxygen": 70.0},
        parameters={"kLa": KLA, "uptake": UPTAKE},
        uncertainty={"volume": Uncertainty(0.1), "oxygen": Uncertainty(1.0, 1.0)},
        signals=signals if analyser else signals[:1],
        assays=(),
        adapted=(
            AdaptedParameter("kLa", 0.25, 0.002, 1.2, 30.0, jump=jump),
            AdaptedParameter("uptake", 0.05, 0.004, 60.0, 1500.0),
        ),
    )


@cache
def vessel_filter(jump: float = 0.7, analyser: bool = True) -> ExtendedKalmanFilter:
    return ExtendedKalmanFilter(vessel_settings(jump, analyser), PERIOD_H)


def truth(factor: float, moment: float, cycles: int) -> Floats:
    """What probe and analyser should show where kLa changes within a step, shape (cycles, 2)."""
    oxygen, rows = 70.0, []
    for number in range(cycles):
        for begins, ends in ((0.0, moment), (moment, 1.0)):
            kLa = KLA * (factor if (number, begins) >= (CHANGED, moment) else 1.0)
            level = SATURATION - UPTAKE / kLa
            oxygen = level + (oxygen - level) * exp(-kLa * (ends - begins) * PERIOD_H)
        kLa = KLA * (factor if number >= CHANGED else 1.0)
        rows.append((oxygen, kLa * (SATURATION - oxygen)))
    return np.array(rows)


@dataclass(frozen=True)
class Course:
    """What was estimated in each cycle, and what is remembered."""

    told: list[Estimate]
    memory: EstimatorMemory

    def judged(self) -> list[tuple[int, Judgement, str]]:
        return [
            (number, item.judgement, item.channel)
            for number, told in enumerate(self.told)
            for item in told.decided
        ]

    def kLa(self, number: int) -> float:
        return float(self.told[number].mean[2])

    def deviation(self, number: int) -> float:
        """Relative deviation of kLa."""
        return float(self.told[number].deviation[2])


Trouble = Callable[[int, Floats], Floats]


def course(
    factor: float = 1.0,
    moment: float = 0.0,
    trouble: Trouble = lambda _, values: values,
    cycles: int = CHANGED + 9,
    jump: float = 0.7,
    analyser: bool = True,
) -> Course:
    """A stretch of cycles with a change, or with a probe in trouble."""
    kalman, random = vessel_filter(jump, analyser), np.random.default_rng(5)
    memory, told = begin_estimation(kalman, START_S, INPUTS), []
    for number, true in enumerate(truth(factor, moment, cycles), start=1):
        shown = trouble(number - 1, true + np.array([PROBE, ANALYSER]) * random.normal(size=2))
        seen = scanned(kalman.settings.signals, shown[: kalman.signals], number, INPUTS)
        result, memory = estimate(kalman, memory, seen, (), cycle_s(number))
        told.append(result)
    return Course(told, memory)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("moment", [0.0, 0.45, 0.9])
def test_a_change_is_followed_as_soon_as_it_shows(factor: float, moment: float) -> None:
    told = course(factor, moment)
    (number, judgement, name), *others = told.judged()
    assert (judgement, name) == (Judgement.JUMPED, "kLa")
    late = 2 if moment > 0.5 else 0
    assert CHANGED <= number <= CHANGED + late
    assert others == []
    assert abs(log(told.kLa(-1) / (factor * KLA))) < 4 * told.deviation(-1) + 0.01
    assert told.told[-1].verdicts == (Verdict.OK, Verdict.OK)
    before, after = told.told[number].decided[0].moved or (0.0, 0.0)
    assert before == pytest.approx(KLA, rel=0.05)
    assert after == pytest.approx(factor * KLA, rel=0.2)


def test_without_a_change_there_is_no_jump() -> None:
    assert course(cycles=150).judged() == []


def test_what_did_not_jump_stays_as_certain_as_it_was() -> None:
    calm, told = course(), course(0.5)
    assert told.told[-1].deviation[3] < 2 * calm.told[-1].deviation[3]


def test_the_probe_alone_needs_a_second_value() -> None:
    told = course(0.5, analyser=False)
    (number, judgement, _), *others = told.judged()
    assert judgement is Judgement.JUMPED
    assert number == CHANGED + 1
    assert others == []
    assert told.kLa(-1) == pytest.approx(0.5 * KLA, rel=0.05)


def test_a_spike_is_no_jump() -> None:
    def spike(number: int, values: Floats) -> Floats:
        values[0] -= 25.0 * (number % 5 == 0 and number >= CHANGED)
        return values

    told = course(trouble=spike, cycles=CHANGED + 25)
    assert told.judged() == []
    assert told.kLa(-1) == pytest.approx(KLA, rel=0.05)


@pytest.mark.parametrize("size", [-25.0, -15.0, -10.5, 10.5, 40.0])
def test_a_probe_that_the_analyser_contradicts_is_no_jump(size: float) -> None:
    def offset(number: int, values: Floats) -> Floats:
        values[0] += size * (number >= CHANGED)
        return values

    told = course(trouble=offset, cycles=CHANGED + PATIENCE - 1)
    assert told.judged() == []
    assert told.kLa(-1) == pytest.approx(KLA, rel=0.05)


@pytest.mark.parametrize("share", [0.85, 1.15])
def test_a_probe_that_was_off_and_is_mended_is_trusted_again(share: float) -> None:
    def off(number: int, values: Floats) -> Floats:
        values[0] *= share if CHANGED <= number < CHANGED + 2 * PATIENCE else 1.0
        return values

    told = course(trouble=off, cycles=CHANGED + 4 * PATIENCE)
    judgements = [judgement for _, judgement, _ in told.judged()]
    assert judgements == [Judgement.SUSPECT, Judgement.TRUSTED]
    assert told.kLa(-1) == pytest.approx(KLA, rel=0.05)


def test_what_may_not_jump_waits_for_the_gates_to_be_judged() -> None:
    told = course(0.5, jump=0.0, cycles=CHANGED + PATIENCE + 2)
    (number, judgement, _), *_ = told.judged()
    assert number == CHANGED + PATIENCE - 1
    assert judgement in (Judgement.REOPENED, Judgement.SUSPECT)


def test_a_jump_back_is_followed_as_well() -> None:
    antifoam = truth(0.5, 0.0, CHANGED + 9)
    back = antifoam.copy()
    oxygen = antifoam[CHANGED + 3, 0]
    for number in range(CHANGED + 4, CHANGED + 9):
        level = SATURATION - UPTAKE / KLA
        oxygen = level + (oxygen - level) * exp(-KLA * PERIOD_H)
        back[number] = oxygen, KLA * (SATURATION - oxygen)
    told = course(0.5, trouble=lambda number, values: values + (back - antifoam)[number])
    assert [item[:2] for item in told.judged()] == [
        (CHANGED, Judgement.JUMPED),
        (CHANGED + 4, Judgement.JUMPED),
    ]
    assert told.kLa(-1) == pytest.approx(KLA, rel=0.05)


def test_history_and_record_keep_the_jump() -> None:
    told = course(0.5, 0.45)
    history = told.memory.history
    (step,) = (step for step in history.steps() if step.jump is not None)
    assert isinstance(step.jump, Jump)
    assert cycle_s(CHANGED) <= step.jump.at_s < step.time_s == cycle_s(CHANGED + 1)
    again = marched(vessel_filter(), history.chapters, history.book, 0)
    assert same(again.belief, history.belief)
    (chapter,) = history.chapters
    assert decode(encode(chapter), Chapter).steps[CHANGED].jump == step.jump
