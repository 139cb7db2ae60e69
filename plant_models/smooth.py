"""Switches that a filter and an optimiser can differentiate.

`width` is the region, in the unit of what is compared, over which the switch is rounded; far from
it the function is exact to rounding.
"""

from plant_models.dialect import Maths, Scalar


def smooth_minimum(first: Scalar, second: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """The smaller of two, at most `width / 2` below it: (a + b - sqrt((a - b)^2 + width^2)) / 2."""
    return xp.minimum(first, second) - _rounding(first - second, width, xp)


def smooth_maximum(first: Scalar, second: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """The larger of two, at most `width / 2` above it: (a + b + sqrt((a - b)^2 + width^2)) / 2."""
    return xp.maximum(first, second) + _rounding(first - second, width, xp)


def _rounding(apart: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """(sqrt(d^2 + width^2) - |d|) / 2, written without cancellation far from the switch."""
    size = xp.maximum(apart, -apart)
    return width**2 / (2 * (size + xp.sqrt(apart**2 + width**2)))


def saturation(amount: Scalar, half: Scalar, xp: Maths) -> Scalar:
    """Monod's fraction, 0 to 1; none below zero, where the fraction would rise again."""
    present = xp.maximum(amount, 0.0)
    return present / (half + present)


def presence(amount: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """One where there is some, to rounding above 20 widths; nothing at zero (ours).

    Below zero, where only a step of an integrator can lead, uptake turns round, but far more
    gently than it ends above zero: otherwise large steps would go to and fro.
    """
    below = xp.minimum(amount, 0.0) / (100 * width)
    return xp.tanh(xp.maximum(amount, 0.0) / width) + xp.tanh(below)
