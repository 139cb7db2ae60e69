"""The reference batch of a model, integrated as filter, optimiser and simulator do."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np

from plant_models.integrate import Floats, Simulator
from plant_models.model import PlantModel


@dataclass(frozen=True)
class ReferenceRun:
    """Course of a reference batch at the starts of its steps, between if wanted, and at its end.

    Attributes:
        times_h: shape (points,).
        states: after what is done at each time (pulses, resets), shape (points, states).
        inputs: held from each time on; at the end those of the last step, shape (points, inputs).
        outputs: at `states` and `inputs`, shape (points, outputs).
        before: states as they were reached, before anything is done, shape (points, states).
    """

    times_h: Floats
    states: Floats
    inputs: Floats
    outputs: Floats
    before: Floats


def run_reference(
    model: PlantModel, substeps_per_h: int | None = None, points_per_step: int = 1
) -> ReferenceRun:
    """Integrate the reference batch with the common integrator.

    Args:
        model: the model, with its reference batch.
        substeps_per_h: steps per hour instead of those that the model declares.
        points_per_step: how many evenly spread points of each step to keep, its start included.
    """
    reference = model.reference
    p = np.array(model.nominal_parameters()._replace(**reference.parameters), dtype=np.float64)
    state = model.initial_state()._replace(**reference.initial)
    per_hour = model.substeps_per_h if substeps_per_h is None else substeps_per_h
    piece_h = reference.step_h / points_per_step
    simulator = Simulator(model, piece_h, max(1, ceil(piece_h * per_hour - 1e-9)))
    edges_h = reference.times_h()
    memory, held = reference.memory, model.nominal_inputs()
    before = [np.array(state, dtype=np.float64)]
    times_h, states, inputs = [], [], []
    for start_h, end_h in pairwise(edges_h):
        held, state, memory = reference.act(start_h, state, memory)
        reached, u = np.array(state, dtype=np.float64), np.array(held, dtype=np.float64)
        part_h = (end_h - start_h) / points_per_step
        for part in range(points_per_step):
            times_h.append(start_h + part * part_h)
            states.append(reached)
            inputs.append(u)
            reached = simulator.advance(reached, u, p, part_h)
            before.append(reached)
        state = model.State(*reached.tolist())
    times_h.append(edges_h[-1])
    states.append(before[-1])
    inputs.append(np.array(held, dtype=np.float64))
    outputs = [simulator.outputs(x, u, p) for x, u in zip(states, inputs, strict=True)]
    return ReferenceRun(
        times_h=np.array(times_h),
        states=np.array(states),
        inputs=np.array(inputs),
        outputs=np.array(outputs),
        before=np.array(before),
    )
