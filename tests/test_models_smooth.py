"""Smooth switches: exact far away, rounded near, the same on every engine, smooth throughout."""

import casadi
import jax
import numpy as np
import pytest

from plant_models.dialect import CASADI, JAX, NUMPY
from plant_models.smooth import presence, saturation, smooth_maximum, smooth_minimum


@pytest.mark.parametrize("smooth", [smooth_minimum, smooth_maximum])
def test_far_from_the_switch_nothing_is_rounded(smooth: object) -> None:
    assert callable(smooth)
    exact = min if smooth is smooth_minimum else max
    for first, second in ((0.03, 1e6), (1e6, 0.03), (-5.0, 7.0)):
        assert smooth(first, second, 1e-3, NUMPY) == pytest.approx(
            exact(first, second), abs=1e-6, rel=1e-15
        )


def test_at_the_switch_half_the_width_is_missing() -> None:
    assert smooth_minimum(2.0, 2.0, 0.1, NUMPY) == pytest.approx(1.95)
    assert smooth_maximum(2.0, 2.0, 0.1, NUMPY) == pytest.approx(2.05)


def test_the_published_form_is_the_same_function() -> None:
    for first in np.linspace(-1, 1, 21):
        root = np.sqrt((first - 0.2) ** 2 + 0.3**2)
        assert smooth_minimum(first, 0.2, 0.3, NUMPY) == pytest.approx((first + 0.2 - root) / 2)
        assert smooth_maximum(first, 0.2, 0.3, NUMPY) == pytest.approx((first + 0.2 + root) / 2)


@pytest.mark.parametrize("first", [-3.0, 0.49, 0.5, 0.51, 3.0])
def test_slopes_are_those_of_a_smooth_function_on_both_engines(first: float) -> None:
    """d/da (a + b - r) / 2 with r = sqrt((a - b)^2 + w^2) is (1 - (a - b)/r) / 2, also at a = b."""
    expected = (1 - (first - 0.5) / np.hypot(first - 0.5, 0.1)) / 2
    by_jax = jax.grad(lambda a: smooth_minimum(a, 0.5, 0.1, JAX))(first)
    symbol = casadi.SX.sym("a")
    slope = casadi.gradient(smooth_minimum(symbol, 0.5, 0.1, CASADI), symbol)
    by_casadi = float(casadi.Function("slope", [symbol], [slope])(first))
    assert float(by_jax) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert by_casadi == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_saturation_takes_nothing_where_there_is_nothing() -> None:
    assert saturation(0.0, 0.1, NUMPY) == 0.0
    assert saturation(-0.05, 0.1, NUMPY) == 0.0
    assert saturation(0.1, 0.1, NUMPY) == 0.5


def test_presence_ends_with_the_amount_and_turns_round_gently_below() -> None:
    assert presence(0.0, 1e-3, NUMPY) == 0.0
    assert presence(0.02, 1e-3, NUMPY) == pytest.approx(1.0, abs=1e-15)
    assert -0.011 < presence(-1e-3, 1e-3, NUMPY) < 0.0
