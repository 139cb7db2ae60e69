"""Dense convex quadratic programs of several scenarios that share their first decisions."""

from dataclasses import dataclass

import numpy as np

from controllers.arrays import Flags, Floats, Places

FLATTEST = 1e-8
"""Least curvature that a program made convex has, relative to its largest."""


@dataclass(frozen=True)
class Quadratic:
    """Minimise the sum over scenarios of `x H x / 2 + g x`; x and `G x` stay in their bounds.

    Every scenario has its own columns of x; the first of them are common to all, and bounded in
    the first scenario alone.

    Attributes:
        curves: H, positive definite, shape (scenarios, columns, columns).
        slope: g, shape (scenarios, columns).
        rows: G, shape (scenarios, rows, columns).
        lower, upper: bounds of x and then of `G x`, shape (scenarios, columns + rows).
        tied: which columns stay zero, shape (scenarios, columns).
        shared: how many columns are common.
    """

    curves: Floats
    slope: Floats
    rows: Floats
    lower: Floats
    upper: Floats
    tied: Flags
    shared: int

    def values(self, x: Floats) -> Floats:
        """What has bounds: x, and then `G x`, shape (scenarios, columns + rows)."""
        return np.concatenate([x, (self.rows @ x[..., None])[..., 0]], axis=1)

    def pull(self, x: Floats, multipliers: Floats) -> Floats:
        """Gradient of the Lagrange function, shape (scenarios, columns)."""
        width = x.shape[1]
        pull = (self.curves @ x[..., None])[..., 0] + self.slope + multipliers[:, :width]
        return pull + (multipliers[:, None, width:] @ self.rows)[:, 0]

    def system(self, weights: Floats) -> "Arrow":
        """What solves systems in H with weights added for what has bounds."""
        width = self.curves.shape[1]
        matrix = self.curves + self.rows.swapaxes(1, 2) @ (weights[:, width:, None] * self.rows)
        diagonal = np.arange(width)
        matrix[:, diagonal, diagonal] += weights[:, :width]
        if self.tied.any():
            kept = np.where(self.tied, 0.0, 1.0)
            matrix *= kept[:, :, None] * kept[:, None]
            matrix[:, diagonal, diagonal] += 1.0 - kept
        return Arrow(matrix, self.shared, self.tied)


class Arrow:
    """Scenarios' systems of equations whose first unknowns are common to all."""

    def __init__(self, matrix: Floats, shared: int, tied: Flags) -> None:
        """Factorise; raises `numpy.linalg.LinAlgError` for a singular one."""
        self._matrix, self._shared, self._tied = matrix, shared, tied
        self._inverse = np.linalg.inv(matrix[:, shared:, shared:])
        if not shared:
            return
        self._border = matrix[:, shared:, :shared]
        self._carried = self._inverse @ self._border
        corner = matrix[:, :shared, :shared] - self._border.swapaxes(1, 2) @ self._carried
        self._corner = np.linalg.inv(corner.sum(axis=0))

    def solve(self, right: Floats) -> Floats:
        """Solution, shape (scenarios, columns); refined once, for stiff weights round off much."""
        right = np.where(self._tied, 0.0, right)
        x = self._once(right)
        return x + self._once(right - (self._matrix @ x[..., None])[..., 0])

    def _once(self, right: Floats) -> Floats:
        """Solution as the factors give it."""
        own = self._inverse @ right[:, self._shared :, None]
        if not self._shared:
            return own[..., 0]
        rest = right[:, : self._shared, None] - self._border.swapaxes(1, 2) @ own
        common = self._corner @ rest.sum(axis=0)
        own -= self._carried @ common
        everywhere = np.broadcast_to(common[:, 0], (len(right), self._shared))
        return np.concatenate([everywhere, own[..., 0]], axis=1)


@dataclass(frozen=True)
class Optimum:
    """A solution with multipliers, positive at upper bounds: `pull(x, multipliers)` is zero.

    Attributes:
        x: shape (scenarios, columns).
        multipliers: of what has bounds, shape (scenarios, columns + rows).
    """

    x: Floats
    multipliers: Floats


def convex(curves: Floats) -> Floats:
    """The same matrices, or where one is not positive definite, ones without negative curvature."""
    try:
        np.linalg.cholesky(curves)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(curves)
        least = FLATTEST * np.maximum(np.abs(values).max(axis=1), 1.0)
        lifted = np.maximum(values, least[:, None])
        clipped: Floats = (vectors * lifted[:, None]) @ vectors.swapaxes(1, 2)
        return clipped
    return curves


def signs(multipliers: Floats) -> Places:
    """Which bounds are active by their multipliers: -1 lower, 1 upper, 0 none."""
    return np.sign(multipliers).astype(np.int64)
