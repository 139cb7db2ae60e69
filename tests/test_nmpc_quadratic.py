"""Quadratic programs: guessed active sets and the interior point find the same optimum."""

import numpy as np
import pytest

from controllers import active_set
from controllers.arrays import Floats
from controllers.interior import interior_point
from controllers.quadratic import Quadratic, convex

SCENARIOS, COLUMNS, ROWS, SHARED = 3, 6, 9, 2


def program(seed: int, *, most: float = 0.3) -> Quadratic:
    """A strictly convex program whose scenarios share their first columns."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(SCENARIOS, COLUMNS, COLUMNS))
    upper = np.full((SCENARIOS, COLUMNS + ROWS), most)
    upper[1:, :SHARED] = np.inf
    tied = np.zeros((SCENARIOS, COLUMNS), dtype=bool)
    tied[1, -1] = True
    return Quadratic(
        curves=root @ root.swapaxes(1, 2) + np.eye(COLUMNS),
        slope=random.normal(size=(SCENARIOS, COLUMNS)),
        rows=random.normal(size=(SCENARIOS, ROWS, COLUMNS)),
        lower=-upper,
        upper=upper,
        tied=tied,
        shared=SHARED,
    )


def unbalanced(one: Quadratic, x: Floats, multipliers: Floats) -> float:
    """Largest gradient of the Lagrange function over what is free."""
    pull = one.pull(x, multipliers)
    pull[:, :SHARED] = pull[:, :SHARED].sum(axis=0)
    return float(np.abs(pull[~one.tied]).max())


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_meet_the_conditions_of_the_same_optimum(seed: int) -> None:
    one = program(seed)
    guess = np.zeros(one.lower.shape, dtype=np.int64)
    found, rough = active_set.solve(one, guess), interior_point(one)
    assert found is not None
    assert rough is not None
    np.testing.assert_allclose(found.x, rough.x, atol=3e-3)
    values = one.values(found.x)
    assert (values <= one.upper + 1e-8).all()
    assert (values >= one.lower - 1e-8).all()
    assert unbalanced(one, found.x, found.multipliers) < 1e-6
    np.testing.assert_array_equal(found.x[:, :SHARED], found.x[[0, 0, 0], :SHARED])
    assert found.x[1, -1] == 0.0


def test_bounds_that_contradict_each_other_have_no_optimum() -> None:
    one = program(0)
    one.lower[0, COLUMNS], one.upper[0, COLUMNS] = 2.0, 1.0
    assert active_set.solve(one, np.zeros(one.lower.shape, dtype=np.int64)) is None


def test_only_what_is_not_convex_is_changed() -> None:
    bowl = program(1).curves
    assert convex(bowl) is bowl
    saddle = bowl.copy()
    saddle[0] -= 1e3 * np.eye(COLUMNS)
    assert np.linalg.eigvalsh(convex(saddle)).min() > 0.0
