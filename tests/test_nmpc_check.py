"""The look at a solver's answer: whatever the solver says, what is wrong is found."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from controllers.arrays import Floats
from controllers.check import Looked, look
from controllers.layout import put
from controllers.nmpc import Nmpc
from controllers.plan import SolveStatus
from controllers.points import Candidate, Start
from controllers.problem import DecidedInput, Total
from controllers.situation import Situation
from controllers.warm_start import simulated_start
from tests.examples_core import harvest_problem, long_situation

VOLUME = 0
FEED = DecidedInput("feed", 0.0, 0.2, move_weight=1e-3, max_move=0.03)


@dataclass(frozen=True)
class Answered:
    """A solved problem, and what its solver answered."""

    nmpc: Nmpc
    situation: Situation
    candidate: Candidate

    def looked(self, vector: Floats, given_up: tuple[int, ...] = ()) -> Looked:
        """What is found of another answer, which the solver would call solved."""
        parts, point = self.nmpc._parts, replace(self.candidate.point, decision=vector)
        ends = parts.bounds.ends(self.situation)
        return look(parts, self.situation, ends, replace(self.candidate, point=point), given_up)

    def changed(self, change: Callable[[Floats], Floats]) -> Floats:
        """The answer with other inputs, and with the states that these lead to."""
        layout, problem = self.nmpc._program.layout, self.nmpc.problem
        inputs = change(self.candidate.point.decision[layout.inputs][0])
        none = np.zeros((problem.pieces, 0))
        points = self.nmpc._rollout.simulated(self.situation, inputs[None], none[None]).points
        return simulated_start(problem, self.nmpc._program, points, inputs, none).decision


@pytest.fixture(scope="module")
def answered() -> Answered:
    nmpc = Nmpc(harvest_problem(inputs=(FEED,), totals=(Total("feeds", ("feed",), 0.15),)))
    situation = long_situation(nmpc.problem)
    plan = nmpc.solve(situation, None)
    assert plan.warm is not None
    point = Start(plan.warm.decision, plan.warm.bound_multipliers, plan.warm.constraint_multipliers)
    candidate = Candidate("cold", SolveStatus.SOLVED, 10, plan.objective, point)
    return Answered(nmpc, situation, candidate)


def faults(looked: Looked) -> str:
    return "; ".join(looked.checks.faults())


def test_an_honest_answer_has_no_faults(answered: Answered) -> None:
    looked = answered.looked(answered.candidate.point.decision)
    assert faults(looked) == ""
    assert 1e-6 < looked.checks.defect < 0.02
    assert looked.checks.integration_error < 1e-3
    assert looked.broken == ()


@pytest.mark.parametrize("size", [0.03, 1.0])
def test_states_that_the_inputs_do_not_lead_to_are_found(answered: Answered, size: float) -> None:
    layout, vector = answered.nmpc._program.layout, answered.candidate.point.decision.copy()
    states = vector[layout.states]
    states[0, 7, 1, 1] += size
    put(vector, layout.states, states)
    looked = answered.looked(vector)
    assert looked.checks.defect == pytest.approx(size, rel=0.01)
    assert faults(looked) == f"differs by {looked.checks.defect:.3g} scales from its simulation"


def test_a_hard_limit_that_is_broken_is_found_named_and_timed(answered: Answered) -> None:
    vector = answered.changed(lambda inputs: inputs + 0.006)
    looked = answered.looked(vector)
    volume = looked.outputs[0, :, VOLUME]
    assert volume.max() > 124.5
    assert looked.checks.defect < 1e-9
    beyond = volume.max() - 124.0
    # Scale 10, and two hundredths of it are accepted.
    assert looked.checks.limit_excess == pytest.approx(beyond / 10.0 - 0.02)
    assert faults(looked).startswith("breaks a hard limit by")
    ((output, by, at_h),) = looked.broken
    assert (output, at_h) == ("volume", 90.0)
    assert by == pytest.approx(beyond)


def test_a_limit_that_was_given_up_is_named_and_no_fault(answered: Answered) -> None:
    looked = answered.looked(answered.changed(lambda inputs: inputs + 0.006), given_up=(0,))
    assert looked.checks.limit_excess == 0.0
    assert [name for name, _, _ in looked.broken] == ["volume"]


@pytest.mark.parametrize("excess", [1e-4, 0.1])
def test_an_input_outside_its_bounds_is_found(answered: Answered, excess: float) -> None:
    vector = answered.changed(np.zeros_like)
    vector[answered.nmpc._program.layout.inputs[0, 3]] = -excess
    looked = answered.looked(vector)
    assert looked.checks.input_excess == pytest.approx(excess, rel=0.02)
    assert looked.inputs.min() >= 0.0


def test_a_sum_beyond_its_bound_is_found(answered: Answered) -> None:
    def steep(inputs: Floats) -> Floats:
        rising = 0.03 * np.arange(1.0, len(inputs) + 1)
        return np.minimum(rising, 0.16)[:, None]

    looked = answered.looked(answered.changed(steep), given_up=(0,))
    assert looked.checks.move_excess == 0.0
    assert looked.checks.input_excess == pytest.approx(0.01 / 0.15, rel=1e-3)


def test_a_move_that_is_too_fast_is_found(answered: Answered) -> None:
    def jump(inputs: Floats) -> Floats:
        inputs = np.zeros_like(inputs)
        inputs[5:8] = 0.05
        return inputs

    looked = answered.looked(answered.changed(jump))
    assert looked.checks.move_excess == pytest.approx(0.02, abs=1e-5)
    assert faults(looked) == "moves faster than allowed by 0.02 scales"


def test_a_first_move_counts_from_what_is_in_force(answered: Answered) -> None:
    looked = answered.looked(answered.changed(lambda inputs: np.full_like(inputs, 0.035)))
    assert looked.checks.move_excess == pytest.approx(0.005, abs=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_none_are_faults(answered: Answered, wrong: float) -> None:
    for places in (answered.nmpc._program.layout.states, answered.nmpc._program.layout.inputs):
        vector = answered.candidate.point.decision.copy()
        vector[places.ravel()[4]] = wrong
        assert faults(answered.looked(vector))


def test_what_cannot_be_simulated_is_a_fault(answered: Answered) -> None:
    """A step that never settles: the state is beyond all measure."""
    absurd = replace(answered.situation, state=np.array([120.0, 1e200, 1e200, 0.0]))
    looked = replace(answered, situation=absurd).looked(answered.candidate.point.decision)
    assert not looked.checks.integration_error <= 0.02
    assert "cannot be simulated" in faults(looked)
