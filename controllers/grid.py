"""The horizon's pieces: how long each one is."""

from collections.abc import Iterable, Sequence

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

    Moments outside the horizon are left out. As long as there are fewer of them than pieces, each
    has a node of its own; of more, the first ones count.

    Args:
        steps_h: lengths of the pieces, shape (pieces,).
        moments_h: hours from the start.

    Returns:
        Lengths of the pieces, same shape and sum.
    """
    nodes = np.concatenate([[0.0], np.cumsum(steps_h)])
    last = len(nodes) - 1
    wanted = _apart(moments_h, float(nodes[-1]))[: last - 1]
    places, values = [0], [0.0]
    for i, moment_h in enumerate(wanted):
        # Every later moment needs a node as well.
        highest = last - (len(wanted) - i)
        free = np.arange(places[-1] + 1, highest + 1)
        places.append(int(free[np.argmin(np.abs(nodes[free] - moment_h))]))
        values.append(moment_h)
    moved = np.interp(nodes, nodes[[*places, last]], [*values, float(nodes[-1])])
    return np.asarray(np.diff(moved), dtype=np.float64)


def begins_at(steps_h: Floats, start_h: float, times_h: Sequence[Floats]) -> Floats:
    """Which pieces begin at one of some moments, 1 or 0, shape (pieces, kinds of moments).

    Args:
        steps_h: lengths of the pieces, shape (pieces,).
        start_h: hour at which the first one begins.
        times_h: hours of each kind of moment, such as the times of each bolus, shape (times,) each.
    """
    begins_h = start_h + np.concatenate([[0.0], np.cumsum(steps_h)[:-1]])
    found = np.zeros((len(begins_h), len(times_h)))
    for kind, moments_h in enumerate(times_h):
        found[:, kind] = (np.abs(begins_h[:, None] - moments_h) < SAME_H).any(axis=1)
    return found


def _apart(moments_h: Iterable[float], horizon_h: float) -> list[float]:
    """Moments inside the horizon, rising, each one once."""
    apart = [0.0]
    for moment_h in sorted(moments_h):
        if moment_h - apart[-1] >= SAME_H and horizon_h - moment_h >= SAME_H:
            apart.append(moment_h)
    return apart[1:]
