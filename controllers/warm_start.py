"""Points to begin a solve from: the last plan's on a new grid, and a simulated guess."""

import numpy as np

from controllers.arrays import Floats
from controllers.layout import put
from controllers.plan import WarmStart
from controllers.points import Start
from controllers.problem import Problem
from controllers.transcription import Program, input_scales, state_scales

LEAST_STRETCH = 1e-3
"""How short a horizon may become before the bounds of the harvest say what is right."""

LEAST_H = 1e-12
"""Stretch between two points that is none, h."""


def shifted(
    program: Program,
    warm: WarmStart,
    elapsed_h: float,
    steps_h: Floats,
    loose: Floats | None = None,
) -> Start:
    """The last point read on the new grid: states interpolated, the rest piece by piece.

    Args:
        program: whose vectors they are.
        warm: last point.
        elapsed_h: hours since then.
        steps_h: lengths of the new pieces, shape (pieces,).
        loose: which of them a free harvest stretches, as a situation has it; None for all.
    """
    layout, rows = program.layout, program.rows
    stretch = 1.0
    if layout.stretch.size:
        loose = np.ones(len(steps_h)) if loose is None else loose
        # The harvest stays where it was; what does not stretch is there in any case.
        left_h, loose_h = warm.steps_h.sum() - elapsed_h, (loose * steps_h).sum()
        stretch = max(1.0 - (steps_h.sum() - left_h) / loose_h, LEAST_STRETCH)
        steps_h = steps_h * (1.0 + loose * (stretch - 1.0))
    old_edges, new_edges = _edges(warm.steps_h), _edges(steps_h) + elapsed_h
    old_h = (old_edges[:-1, None] + warm.steps_h[:, None] * program.point_times).ravel()
    new_h = (new_edges[:-1, None] + steps_h[:, None] * program.point_times).ravel()
    middle_h = 0.5 * (new_edges[:-1] + new_edges[1:])
    last = len(steps_h) - 1
    # Each new piece's entries are those of the old piece in which its middle lies.
    piece = np.clip(np.searchsorted(old_edges, middle_h, side="right") - 1, 0, last)

    after = np.clip(np.searchsorted(old_h, new_h), 1, len(old_h) - 1)
    width_h = np.maximum(old_h[after] - old_h[after - 1], LEAST_H)
    share = np.clip((new_h - old_h[after - 1]) / width_h, 0.0, 1.0)[:, None]

    def read(vector: Floats) -> Floats:
        moved = vector.copy()
        courses = vector[layout.states]
        scenarios, pieces, points, states = courses.shape
        flat = courses.reshape(scenarios, pieces * points, states)
        interpolated = (1.0 - share) * flat[:, after - 1] + share * flat[:, after]
        put(moved, layout.states, interpolated.reshape(courses.shape))
        put(moved, layout.by_piece, vector[layout.by_piece[:, piece]])
        return moved

    multipliers = warm.constraint_multipliers.copy()
    put(multipliers, rows.by_piece, warm.constraint_multipliers[rows.by_piece[:, piece]])
    decision = read(warm.decision)
    decision[layout.stretch] = stretch
    return Start(decision, read(warm.bound_multipliers), multipliers)


def _edges(steps_h: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(steps_h)])


def simulated_start(
    problem: Problem, program: Program, points: Floats, inputs: Floats, boluses: Floats
) -> Start:
    """A guess's inputs with the states that they lead to; no multipliers.

    Args:
        problem: for the scales.
        program: whose vectors they are.
        points: simulated states, shape (scenarios, pieces, points, states of the model).
        inputs: decided inputs, shape (pieces, decided).
        boluses: litres, shape (pieces, boluses).
    """
    layout = program.layout
    decision = np.zeros(layout.size)
    moving = [problem.model.state_names.index(name) for name in problem.moving_states]
    put(decision, layout.states, np.nan_to_num(points[..., moving] / state_scales(problem)))
    scaled = inputs / input_scales(problem)
    put(decision, layout.inputs, scaled)
    if layout.before.size:
        put(decision, layout.before, scaled)
    put(decision, layout.boluses, boluses)
    decision[layout.stretch] = 1.0
    return Start(decision, np.zeros(layout.size), np.zeros(program.rows.size))
