"""Convex quadratic programs by a primal-dual interior point: no guess, and no going in circles."""

from dataclasses import dataclass

import numpy as np

from controllers.arrays import Flags, Floats
from controllers.quadratic import Arrow, Optimum, Quadratic

NEARLY = 1e-6
"""Mean product at which a point is kept, in case rounding spoils what comes after it."""

STEPS = 50
"""Most iterations; a dozen or two are usual, and what has no solution needs them all."""

EXACT, BALANCED, CLOSED = 1e-9, 1e-6, 1e-8
"""Largest residuals of a solution: of bounds, of the gradient, and mean product of slacks and
multipliers. Nearer to the end rounding makes the gradient's larger again."""

SHARE = 0.995
"""How far towards the nearest bound a step goes."""

WIDEST = 0.1
"""Slack and multiplier to begin with, where the bound does not leave more room."""


@dataclass
class _Side:
    """One side of all bounds: `sign * (values - ends) + slack = 0`; slack and force move.

    Attributes:
        sign: -1 for the lower side, 1 for the upper one.
        has: where there is a bound on this side, shape (scenarios, columns + rows) as all below.
        ends: the bounds, zero where there is none.
        slack: distance from the bound, positive.
        force: multiplier of the bound, positive where there is one.
    """

    sign: int
    has: Flags
    ends: Floats
    slack: Floats
    force: Floats

    @classmethod
    def begin(cls, sign: int, ends: Floats, free: Flags) -> "_Side":
        """Slacks and forces at the point zero, clear of the bounds; what is not free has none."""
        has = np.isfinite(ends) & free
        room = np.where(has, sign * ends, 1.0)
        slack = np.where(has, np.maximum(room, WIDEST), 1.0)
        return cls(sign, has, np.where(has, ends, 0.0), slack, np.where(has, WIDEST, 0.0))

    def off(self, values: Floats) -> Floats:
        """What is missing of the equation."""
        return np.where(self.has, self.sign * (values - self.ends) + self.slack, 0.0)

    def moves(self, off: Floats, change: Floats, aim: Floats) -> tuple[Floats, Floats]:
        """Steps of slack and force for a change of the values; `aim` is for their product."""
        slack = np.where(self.has, -off - self.sign * change, 0.0)
        return slack, np.where(self.has, (aim - self.force * slack) / self.slack, 0.0)


def interior_point(program: Quadratic) -> Optimum | None:
    """The optimum; None where there is none, or it cannot be found.

    All bounds are met from inside, beginning at the point zero; `program` stays as it is.

    Source: Mehrotra (1992), SIAM J. Optim. 2:575; Nocedal and Wright (2006), section 16.6.
    """
    width = program.slope.shape[1]
    free = np.ones(program.lower.shape, dtype=bool)
    free[:, :width] = ~program.tied
    sides = [_Side.begin(-1, program.lower, free), _Side.begin(1, program.upper, free)]
    count = max(1, sum(int(side.has.sum()) for side in sides))
    x = np.zeros_like(program.slope)
    best: Optimum | None = None
    for _ in range(STEPS):
        values = program.values(x)
        multipliers = sides[1].force - sides[0].force
        pull = program.pull(x, multipliers)
        pull[program.tied] = 0.0
        gap = sum(float((side.slack * side.force).sum()) for side in sides) / count
        offs = [side.off(values) for side in sides]
        worst = max(float(np.abs(off).max(initial=0.0)) for off in offs)
        if not np.isfinite(gap + worst):
            return None
        rest = float(np.abs(_summed(pull, program.shared)).max(initial=0.0))
        if worst <= EXACT and rest <= BALANCED and gap <= NEARLY:
            best = _finished(x, sides)
            if gap <= CLOSED:
                return best
        elif best is not None:
            return best
        try:
            low, high = (side.force / side.slack for side in sides)
            system = program.system(low + high)
        except np.linalg.LinAlgError:
            return None
        x = _stepped(program, system, x, pull, sides, offs, gap, count)
    return None


def _summed(pull: Floats, shared: int) -> Floats:
    """The pull where that at common columns is the sum over scenarios."""
    summed = pull.copy()
    summed[:, :shared] = pull[:, :shared].sum(axis=0)
    return summed


def _finished(x: Floats, sides: list[_Side]) -> Optimum:
    """The solution; a force that is weaker than its slack is a trace."""
    lower, upper = (np.where(side.force > side.slack, side.force, 0.0) for side in sides)
    return Optimum(x, upper - lower)


def _stepped(
    program: Quadratic,
    system: Arrow,
    x: Floats,
    pull: Floats,
    sides: list[_Side],
    offs: list[Floats],
    gap: float,
    count: int,
) -> Floats:
    """The next x; slacks and forces move in place.

    A first step aims at the optimum and is only tried: how far it gets tells how much the real one
    must keep to the centre, and what its curvature must be corrected by.
    """
    aims = [-side.slack * side.force for side in sides]
    _, moves = _direction(program, system, pull, sides, offs, aims)
    share = _share(sides, moves, 1.0)
    after = sum(
        float(((side.slack + share * s) * (side.force + share * f)).sum())
        for side, (s, f) in zip(sides, moves, strict=True)
    )
    centre = gap * (after / count / gap) ** 3
    aims = [
        np.where(side.has, aim + centre - s * f, 0.0)
        for side, aim, (s, f) in zip(sides, aims, moves, strict=True)
    ]
    step, moves = _direction(program, system, pull, sides, offs, aims)
    share = _share(sides, moves, SHARE)
    for side, (slack, force) in zip(sides, moves, strict=True):
        side.slack = side.slack + share * slack
        side.force = side.force + share * force
    return x + share * step


def _direction(
    program: Quadratic,
    system: Arrow,
    pull: Floats,
    sides: list[_Side],
    offs: list[Floats],
    aims: list[Floats],
) -> tuple[Floats, list[tuple[Floats, Floats]]]:
    """Newton's step of x, and those of slacks and forces, side by side.

    Args:
        program: what is solved.
        system: its matrix with the bounds' weights, factorised.
        pull: gradient of the Lagrange function, shape (scenarios, columns).
        sides: lower and upper bounds.
        offs: what is missing of the equation of each side.
        aims: by how much each product of slack and force is to change.
    """
    width = pull.shape[1]
    low, high = (
        side.sign * (aim + side.force * off) / side.slack
        for side, off, aim in zip(sides, offs, aims, strict=True)
    )
    push = low + high
    right = pull + push[:, :width] + (push[:, None, width:] @ program.rows)[:, 0]
    step = system.solve(-right)
    change = program.values(step)
    moves = [side.moves(off, change, aim) for side, off, aim in zip(sides, offs, aims, strict=True)]
    return step, moves


def _share(sides: list[_Side], moves: list[tuple[Floats, Floats]], most: float) -> float:
    """How much of the step keeps slacks and forces positive."""
    share = 1.0
    for side, (slack, force) in zip(sides, moves, strict=True):
        for value, move in ((side.slack, slack), (side.force, force)):
            falling = move < 0.0
            if falling.any():
                share = min(share, most * float((-value[falling] / move[falling]).min()))
    return share
