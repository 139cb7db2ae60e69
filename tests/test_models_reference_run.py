"""Running the reference batch: pulses, edges, points between, values that differ."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from plant_models.cho_mab import CORE
from plant_models.integrate import Simulator
from plant_models.model import PlantModel
from plant_models.reference import ReferenceBatch
from plant_models.reference_run import run_reference


def batch(**changes: Any) -> PlantModel:
    """Ten hours with a pulse of glucose at 2.5 h and a feed that counts its steps."""

    def act(time_h: float, state: Any, memory: int) -> tuple[Any, Any, int]:
        if abs(time_h - 2.5) < 1e-9:
            state = state._replace(glucose=state.glucose + 10)
        return CORE.nominal_inputs()._replace(glucose_feed=float(memory)), state, memory + 1

    given = {"memory": 1, "edges_h": (2.5,), **changes}
    return replace(CORE, reference=ReferenceBatch("test", 10.0, 1.0, act, **given))


def test_steps_begin_at_the_grid_and_at_the_edges() -> None:
    run = run_reference(batch())
    assert run.times_h.tolist() == [0, 1, 2, 2.5, *range(3, 11)]
    assert run.inputs[:, 0].tolist() == [*range(1, 12), 11]
    assert run.states.shape == (12, len(CORE.states))
    assert run.outputs.shape == (12, len(CORE.outputs_info))


def test_a_pulse_stands_between_before_and_after() -> None:
    run = run_reference(batch())
    glucose = CORE.state_names.index("glucose")
    changed = run.states - run.before
    assert changed[3, glucose] == 10
    changed[3, glucose] = 0
    assert not changed.any()
    shown = run.outputs[:, CORE.output_names.index("glucose")]
    assert shown == pytest.approx(run.states[:, glucose], rel=1e-15)


def test_each_step_is_one_of_the_common_integrator() -> None:
    run = run_reference(batch())
    p = np.array(CORE.nominal_parameters())
    for k, (start_h, end_h) in enumerate(pairwise(run.times_h)):
        length_h = float(end_h - start_h)
        simulator = Simulator(CORE, length_h)
        reached = simulator.advance(run.states[k], run.inputs[k], p)
        assert run.before[k + 1] == pytest.approx(reached, rel=1e-9)


def test_points_between_lie_on_the_same_course() -> None:
    coarse, fine = run_reference(batch()), run_reference(batch(), points_per_step=4)
    assert fine.times_h[::4] == pytest.approx(coarse.times_h, abs=1e-12)
    assert fine.states[::4] == pytest.approx(coarse.states, rel=1e-6)
    assert fine.before[::4] == pytest.approx(coarse.before, rel=1e-6)
    assert np.array_equal(fine.inputs[::4], coarse.inputs)
    assert len(fine.times_h) == 4 * 11 + 1


def test_a_batch_has_initial_states_and_parameters_of_its_own() -> None:
    plain = run_reference(batch())
    assert plain.states[0].tolist() == list(CORE.initial_state())
    other = run_reference(batch(initial={"viable_cells": 1.0}, parameters={"mu_max": 0.01}))
    cells = CORE.state_names.index("viable_cells")
    assert other.states[0, cells] == 1.0
    grown = other.states[-1, cells] / other.states[0, cells]
    assert grown < plain.states[-1, cells] / plain.states[0, cells]


def test_more_steps_change_little_where_few_are_enough() -> None:
    model = batch()
    few, many = run_reference(model), run_reference(model, substeps_per_h=100)
    assert few.states[-1] == pytest.approx(many.states[-1], rel=1e-6)
    assert not np.array_equal(few.states, many.states)
