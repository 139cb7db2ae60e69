"""Quadratic programs by guessing which bounds are active, and by an interior point if that fails.

From one cycle to the next few active bounds change, so that a guess is usually right at once; but
guesses may go in circles where many bounds meet, which an interior point does not mind.
"""

import numpy as np

from controllers.arrays import Places
from controllers.interior import interior_point
from controllers.quadratic import Optimum, Quadratic, signs

EXACT = 1e-9
"""What counts as kept."""

GUESSES = 5
"""How many active sets are guessed."""

STIFF, REPEATS = 1e5, 6
"""Weight of an active bound relative to the largest curvature, and how often at most multipliers
are corrected for its being finite."""


def solve(program: Quadratic, active: Places) -> Optimum | None:
    """The optimum; None where there is none.

    Args:
        program: what to solve.
        active: first guess of what is active: -1 at its lower bound, 1 at its upper one, 0 not;
            shape (scenarios, columns + rows).
    """
    found = _guessed(program, active, GUESSES)
    if found is not None:
        return found
    rough = interior_point(program)
    if rough is None:
        return None
    return _guessed(program, signs(rough.multipliers), 1) or rough


def _guessed(program: Quadratic, active: Places, guesses: int) -> Optimum | None:
    """The optimum if one of a few active sets proves right.

    Source: Hintermueller, Ito and Kunisch (2003), SIAM J. Optim. 13:865.
    """
    for _ in range(guesses):
        found = _with_active(program, active)
        if found is None:
            return None
        values = program.values(found.x)
        kept = np.where(active * found.multipliers >= 0.0, active, 0)
        low, high = values < program.lower - EXACT, values > program.upper + EXACT
        corrected = np.where(active != 0, kept, high.astype(np.int64) - low)
        if np.array_equal(corrected, active):
            return found
        active = corrected
    return None


def _with_active(program: Quadratic, active: Places) -> Optimum | None:
    """The optimum where exactly these bounds are met; None where they clash."""
    stiff = STIFF * float(np.abs(program.curves).max())
    weights = np.where(active != 0, stiff, 0.0)
    ends = np.where(active > 0, program.upper, np.where(active < 0, program.lower, 0.0))
    try:
        system = program.system(weights)
    except np.linalg.LinAlgError:
        return None
    x, multipliers, off = np.zeros_like(program.slope), np.zeros_like(weights), -ends
    for _ in range(REPEATS):
        x = x - system.solve(program.pull(x, multipliers + weights * off))
        off = np.where(active != 0, program.values(x) - ends, 0.0)
        multipliers = multipliers + weights * off
        if np.abs(off).max(initial=0.0) <= EXACT:
            return Optimum(x, multipliers)
    return None
