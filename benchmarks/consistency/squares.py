"""NEES and NIS of filtered batches, and the bands they should lie in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.consistency.filtering import Filtered
from benchmarks.consistency.prior import Drawn
from mpc_agent.values import Floats

Band = tuple[float, float]


def mean_band(degrees: float, values: float = 1.0) -> Band:
    """95 % band of a mean of squares: chi-square of `degrees` in all, divided by `values`."""
    low, high = chi2.ppf([0.025, 0.975], degrees) / values
    return float(low), float(high)


def within(values: Floats, band: Band) -> NDArray[np.bool_]:
    """Whether each value lies in the band."""
    inside: NDArray[np.bool_] = np.logical_and(values >= band[0], values <= band[1])
    return inside


@dataclass(frozen=True)
class Errors:
    """Normalised squared errors of all batches.

    Attributes:
        whole: of all unknowns together, shape (batches, looks).
        single: of each alone, signed and not squared, shape (batches, looks, n).
    """

    whole: Floats
    single: Floats

    @classmethod
    def of(cls, batches: Sequence[Drawn], filtered: Sequence[Filtered]) -> "Errors":
        """Errors at every look."""
        pairs = zip(batches, filtered, strict=True)
        errors = np.array([item.means - batch.truth[item.rows] for batch, item in pairs])
        factors = np.array([item.factors for item in filtered])
        whitened = np.linalg.solve(factors, errors[..., None])[..., 0]
        deviations = np.sqrt((factors**2).sum(axis=-1))
        return cls((whitened**2).sum(axis=-1), errors / deviations)

    @property
    def average(self) -> tuple[float, float]:
        """Mean over batches and looks, and its standard error by the spread between batches."""
        means = self.whole.mean(axis=1)
        return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


def innovations(filtered: Sequence[Filtered]) -> tuple[Floats, Floats]:
    """Mean squared normalised innovation of each channel, and how many there were."""
    squares = np.concatenate([item.squares for item in filtered])
    return np.nanmean(squares, axis=0), np.isfinite(squares).sum(axis=0)
