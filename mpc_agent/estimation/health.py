"""Whether the filter is consistent: squared normalised innovations against their chi-square band.

Source: Bar-Shalom, Li and Kirubarajan (2001), Estimation with Applications to Tracking and
Navigation, section 5.4: over N independent values of one degree of freedom, N times their mean is
distributed as chi-square with N degrees.
"""

import numpy as np

from mpc_agent.estimation.settings import HealthSettings
from mpc_agent.values import Consistency, Floats


def empty_window(channels: int, settings: HealthSettings) -> Floats:
    """A window before the first value, shape (channels, window)."""
    return np.full((channels, settings.window), np.nan)


def noted(window: Floats, squares: Floats) -> Floats:
    """The window with new squared normalised innovations, NaN where none, shape (channels,)."""
    offered = np.isfinite(squares)
    after = window.copy()
    after[offered, :-1] = window[offered, 1:]
    after[offered, -1] = squares[offered]
    return after


def consistency(window: Floats, settings: HealthSettings) -> Consistency:
    """Means over the window, and the bands they should lie in."""
    there = np.isfinite(window)
    counts = there.sum(axis=1)
    sums = np.where(there, window, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        bands = chi_square_band(counts, settings.confidence)
        total = counts.sum()
        overall = float(sums.sum() / total)
    low, high = chi_square_band(np.array([total]), settings.confidence)[0]
    return Consistency(means, bands, overall, (float(low), float(high)))


def chi_square_band(counts: Floats, confidence: float) -> Floats:
    """Band of the mean of `counts` squared normal numbers, shape (..., 2); NaN for none."""
    # Loading it takes as long as a filter's step a hundred times, and no start waits for a band.
    from scipy.special import gammaincinv

    half = np.where(counts > 0, counts, np.nan) / 2
    tail = (1 - confidence) / 2
    ends = [gammaincinv(half, share) / half for share in (tail, 1 - tail)]
    return np.stack(ends, axis=-1)


def diverged(window: Floats, told: Consistency, settings: HealthSettings) -> bool:
    """Whether innovations are too large for the filter to be trusted.

    A model of a culture is never exact, so that the band itself is no limit for control: it is left
    in almost every batch. Divergence is far above it. What is missing to as many values as a
    window holds counts as expected, so that at the beginning no single wild value decides.
    """
    there = window[np.isfinite(window)]
    missing = max(settings.window - there.size, 0)
    mean = float(there.sum() + missing) / (there.size + missing)
    return mean > max(settings.diverged_above, told.band[1])
