"""The horizon's pieces: they fill it, begin as short as asked for, and meet chosen moments."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controllers.arrays import Floats
from controllers.grid import begins_at, even, through, widening

horizons = st.floats(0.1, 500.0)
counts = st.integers(1, 80)
shares = st.floats(0.01, 0.99)


@given(horizons, counts)
def test_even_pieces_fill_the_horizon(horizon_h: float, pieces: int) -> None:
    steps_h = even(horizon_h, pieces)
    assert steps_h.shape == (pieces,)
    assert (steps_h == steps_h[0]).all()
    assert steps_h.sum() == pytest.approx(horizon_h, rel=1e-12)


@given(horizons, st.integers(2, 80), shares)
def test_widening_pieces_fill_the_horizon_from_the_first_one_on(
    horizon_h: float, pieces: int, share: float
) -> None:
    first_h = share * horizon_h / pieces
    steps_h = widening(horizon_h, pieces, first_h)
    assert steps_h.shape == (pieces,)
    assert steps_h.sum() == pytest.approx(horizon_h, rel=1e-12)
    assert steps_h[0] == pytest.approx(first_h, rel=1e-9)
    factors = steps_h[1:] / steps_h[:-1]
    assert (factors > 1.0).all()
    assert factors == pytest.approx(factors[0], rel=1e-9)


@given(horizons, counts, st.floats(1.0, 100.0))
def test_where_there_is_no_room_to_widen_pieces_are_even(
    horizon_h: float, pieces: int, times: float
) -> None:
    first_h = times * horizon_h / pieces * (1 + 1e-12)
    np.testing.assert_array_equal(widening(horizon_h, pieces, first_h), even(horizon_h, pieces))
    np.testing.assert_array_equal(widening(horizon_h, pieces, None), even(horizon_h, pieces))


def test_one_piece_is_the_horizon() -> None:
    assert widening(10.0, 1, 0.5).tolist() == [10.0]


@st.composite
def grids(draw: st.DrawFn) -> Floats:
    """Even and widening grids."""
    horizon_h, pieces = draw(horizons), draw(st.integers(2, 40))
    share = draw(st.one_of(st.none(), shares))
    first_h = None if share is None else share * horizon_h / pieces
    return widening(horizon_h, pieces, first_h)


@given(grids(), st.lists(st.floats(-0.5, 1.5), max_size=6))
def test_moved_nodes_leave_the_horizon_and_the_count_as_they_are(
    steps_h: Floats, places: list[float]
) -> None:
    moved = through(steps_h, [place * steps_h.sum() for place in places])
    assert moved.shape == steps_h.shape
    assert moved.sum() == pytest.approx(steps_h.sum(), rel=1e-12)
    assert (moved > 0.0).all()


@given(grids(), st.lists(st.floats(0.001, 0.999), min_size=1, max_size=5, unique=True))
def test_every_moment_that_finds_a_node_of_its_own_is_met(
    steps_h: Floats, places: list[float]
) -> None:
    """Half as many moments as inner nodes at most, none nearer to another than the widest piece."""
    moments_h = np.sort(places) * steps_h.sum()
    assume(len(moments_h) <= (len(steps_h) - 1) // 2)
    nodes = np.concatenate([[0.0], moments_h, [steps_h.sum()]])
    assume(np.diff(nodes).min() > 2 * steps_h.max())
    starts_h = np.cumsum(through(steps_h, moments_h))
    for moment_h in moments_h:
        assert np.abs(starts_h - moment_h).min() < 1e-9 * steps_h.sum()


@given(grids(), st.floats(0.01, 0.99))
def test_a_single_moment_is_met_by_moving_nothing_far(steps_h: Floats, place: float) -> None:
    """The nearest inner node goes there; all others keep their order and move less than it."""
    moment_h = place * steps_h.sum()
    before, after = np.cumsum(steps_h), np.cumsum(through(steps_h, [moment_h]))
    nearest = int(np.argmin(np.abs(before[:-1] - moment_h)))
    assert after[nearest] == pytest.approx(moment_h, rel=1e-12)
    distance = abs(before[nearest] - moment_h)
    assert (np.abs(after - before) <= distance * (1 + 1e-9) + 1e-12).all()


def test_a_moment_on_a_node_moves_nothing() -> None:
    np.testing.assert_allclose(through(even(12.0, 6), [4.0, 8.0]), even(12.0, 6), rtol=1e-12)


@pytest.mark.parametrize("moment_h", [1e-14, 1e-9, 12.0 - 1e-14])
def test_a_moment_that_is_an_end_but_for_rounding_makes_no_piece_of_nothing(
    moment_h: float,
) -> None:
    np.testing.assert_allclose(through(even(12.0, 6), [moment_h]), even(12.0, 6), rtol=1e-12)


def test_moments_that_are_the_same_but_for_rounding_are_one() -> None:
    """48.0 and 0.1 + 47.9 hours."""
    steps_h = through(even(12.0, 6), [3.0, 3.0 + 1e-14, 3.0])
    assert steps_h.min() > 1.0
    assert steps_h.tolist() == through(even(12.0, 6), [3.0]).tolist()


def test_of_moments_that_share_a_node_the_first_counts() -> None:
    """One inner node for three moments; those outside the horizon are nobody's."""
    assert through(even(10.0, 2), [-1.0, 0.0, 4.0, 5.0, 6.0, 10.0, 12.0]).tolist() == [4.0, 6.0]


@given(grids(), st.lists(st.floats(0.0, 1.0), max_size=6))
def test_the_order_in_which_moments_are_named_does_not_matter(
    steps_h: Floats, places: list[float]
) -> None:
    moments_h = [place * float(steps_h.sum()) for place in places]
    one, other = through(steps_h, moments_h), through(steps_h, moments_h[::-1])
    np.testing.assert_array_equal(one, other)


@given(grids(), st.lists(st.floats(0.05, 0.95), min_size=1, max_size=40, unique=True))
def test_every_moment_is_met_as_long_as_there_are_pieces(
    steps_h: Floats, places: list[float]
) -> None:
    """However crowded they are: two days of boluses within the last wide piece, too."""
    moments_h = np.sort(places) * steps_h.sum()
    assume(len(moments_h) < len(steps_h))
    assume(len(moments_h) == 1 or np.diff(moments_h).min() > 0.002)
    moved = through(steps_h, moments_h)
    assert (moved > 0.0).all()
    starts_h = np.cumsum(moved)[:-1]
    for moment_h in moments_h:
        assert np.abs(starts_h - moment_h).min() < 1e-9 * steps_h.sum()


def test_pieces_that_begin_at_a_moment_are_told_for_each_kind_of_moment() -> None:
    steps_h = np.array([2.0, 3.0, 5.0])
    told = begins_at(steps_h, 10.0, [np.array([12.0, 20.0]), np.array([10.0, 15.0]), np.zeros(0)])
    np.testing.assert_array_equal(told, [[0, 1, 0], [1, 0, 0], [0, 1, 0]])
    assert begins_at(steps_h, 10.0, []).shape == (3, 0)
