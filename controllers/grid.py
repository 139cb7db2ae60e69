"""The horizon's pieces: how long each one is."""

from collections.abc import Iterable

import numpy as np

from controllers.arrays import Floats

SAME_H = 1e-3
"""Moments that are nearer to each other, four seconds, are the same."""


def even(horizon_h: float, pieces: int) -> Floats:
    """Pieces of equal length, shape (pieces,)."""
    return np.full(pieces, horizon_h / pieces)


def widening(horizon_h: float, pieces: int, first_h: float | None) -> Floats:
    """Pieces that begin with `first_h` and widen by a common factor, shape (pieces,).

    Equal ones where `first_h` is None, or where the horizon is too short to widen.
    """
    if first_h is None or pieces == 1 or first_h * pieces >= horizon_h:
        return even(horizon_h, pieces)
    low, high = 1.0, horizon_h / first_h
    powers = np.arange(pieces, dtype=np.float64)
    # Halving the interval down to the last bit: the sum rises with the factor.
    for _ in range(200):
        factor = 0.5 * (low + high)
        if first_h * float((factor**powers).sum()) < horizon_h:
            low = factor
        else:
            high = factor
    steps_h = first_h * high**powers
    return np.asarray(steps_h * (horizon_h / steps_h.sum()), dtype=np.float64)


def through(steps_h: Floats, moments_h: Iterable[float]) -> Floats:
    """The grid with its nearest inner nodes moved onto moments, such as those of boluses.

    Moments outside the horizon are left out; of those that share a node, the first one counts.

    Args:
        steps_h: lengths of the pieces, shape (pieces,).
        moments_h: hours from the start.

    Returns:
        Lengths of the pieces, same shape and sum.
    """
    nodes = np.concatenate([[0.0], np.cumsum(steps_h)])
    fixed: dict[int, float] = {0: 0.0, len(nodes) - 1: float(nodes[-1])}
    for moment_h in sorted(moments_h):
        if not 0.0 < moment_h < nodes[-1]:
            continue
        if min(abs(at_h - moment_h) for at_h in fixed.values()) < SAME_H:
            continue
        below = max(node for node, at_h in fixed.items() if at_h <= moment_h)
        above = min(node for node, at_h in fixed.items() if at_h > moment_h)
        free = [node for node in range(below + 1, above) if node not in fixed]
        if free:
            nearest = min(free, key=lambda node: abs(nodes[node] - moment_h))
            fixed[nearest] = moment_h
    places = sorted(fixed)
    moved = np.interp(nodes, nodes[places], [fixed[place] for place in places])
    return np.asarray(np.diff(moved), dtype=np.float64)
