"""The filter against an exact one, and what it promises whatever it is told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from plant_models.cho_mab import CORE
from tests.examples_core import (
    LINEAR_A,
    LINEAR_B,
    LINEAR_C,
    PERIOD_H,
    core_filter,
    fuse,
    linear_filter,
    predict,
    same,
    step,
)

FEED = np.array([0.3])
NO_FEED = np.zeros(2)
CELLS, GLUCOSE = 0, 1
"""Online channels of the core's filter; then come the assays glucose, lactate, titre."""

repeated = settings(max_examples=60)


@pytest.fixture(scope="module")
def linear() -> ExtendedKalmanFilter:
    return linear_filter()


@pytest.fixture(scope="module")
def core() -> ExtendedKalmanFilter:
    return core_filter()


@pytest.fixture
def start(core: ExtendedKalmanFilter) -> Belief:
    return core.initial(NO_FEED)


class ExactFilter:
    """The textbook's Kalman filter for the linear plant, in matrices."""

    drift = np.array([0.02, 0.3, 0.1, 0.2])

    def __init__(self) -> None:
        self.mean = np.array([10.0, 1.0, 2.0, -1.0])
        self.P = np.diag(np.array([1.0, 2.0, 0.5, 1.0]) ** 2)

    def predict(self, feed: float, step_h: float) -> None:
        augmented = np.zeros((5, 5))
        augmented[:4, :4], augmented[:4, 4] = LINEAR_A, LINEAR_B * feed
        transition = expm(augmented * step_h)
        F = transition[:4, :4]
        M = (np.eye(4) + F) / 2
        self.mean = F @ self.mean + transition[:4, 4]
        self.P = F @ self.P @ F.T + M @ np.diag(self.drift**2 * step_h) @ M.T

    def update(self, rows: list[int], deviations: list[float], measured: list[float]) -> None:
        H, R = LINEAR_C[rows], np.diag(np.square(deviations))
        S = H @ self.P @ H.T + R
        K = np.linalg.solve(S, H @ self.P).T
        self.mean = self.mean + K @ (np.array(measured) - H @ self.mean)
        shrink = np.eye(4) - K @ H
        self.P = shrink @ self.P @ shrink.T + K @ R @ K.T


def test_on_a_linear_plant_it_is_the_kalman_filter(linear: ExtendedKalmanFilter) -> None:
    random = np.random.default_rng(4)
    exact, belief = ExactFilter(), linear.initial(FEED)
    deviations = [0.2, 0.1, 0.3, 0.05]
    for _ in range(300):
        feed, step_h = random.uniform(0, 2), PERIOD_H * random.uniform(0.2, 1.0)
        measured = {i: random.normal() * 3 for i in range(4) if random.random() < 0.5}
        exact.predict(feed, step_h)
        if measured:
            there = list(measured)
            exact.update(there, [deviations[i] for i in there], list(measured.values()))
        belief = step(linear, belief, np.array([feed]), step_h, measured).belief
        np.testing.assert_allclose(belief.mean, exact.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(belief.covariance, exact.P, rtol=1e-9, atol=1e-9)


def test_rows_in_one_march_are_rows_one_by_one(linear: ExtendedKalmanFilter) -> None:
    """More than one block, to the last bit."""
    random = np.random.default_rng(5)
    lengths_h = PERIOD_H * random.uniform(0.1, 1.0, 150)
    inputs, measured = random.uniform(0, 2, (150, 1)), random.normal(size=(150, 4))
    measured[random.random((150, 4)) < 0.5] = np.nan
    rows, pieces = linear.rows(lengths_h, inputs, measured)
    assert pieces.tolist() == [1] * 150
    together, report, _ = linear.march(linear.initial(FEED), rows)
    belief = linear.initial(FEED)
    for i in range(150):
        belief, told, _ = linear.march(belief, rows[i : i + 1])
        assert np.array_equal(told.innovations[0], report.innovations[i], equal_nan=True)
        assert np.array_equal(told.fused[0], report.fused[i])
    assert same(together, belief)


def test_a_long_gap_is_bridged_in_several_steps(linear: ExtendedKalmanFilter) -> None:
    exact = ExactFilter()
    belief = predict(linear, linear.initial(FEED), FEED, 10 * PERIOD_H)
    for _ in range(10):
        exact.predict(0.3, PERIOD_H)
    np.testing.assert_allclose(belief.mean, exact.mean, rtol=1e-9)
    np.testing.assert_allclose(belief.covariance, exact.P, rtol=1e-9, atol=1e-9)


def test_what_begins_and_what_ends_a_gap_happens_once(linear: ExtendedKalmanFilter) -> None:
    """Water and broth at its beginning, marks, measurements and opening at its end."""
    measured = np.array([[9.0, 1.0, np.nan, 2.0]])
    rows, pieces = linear.rows(
        [3 * PERIOD_H], FEED, measured, water_L=2.0, withdrawn_L=0.5, opened=1.0, marks=4.0
    )
    assert pieces.tolist() == [3]
    taken = linear.columns(rows)
    assert taken.step_h == pytest.approx([PERIOD_H] * 3)
    assert taken.water_L.tolist() == [2.0, 0.0, 0.0]
    assert taken.withdrawn_L.tolist() == [0.5, 0.0, 0.0]
    assert taken.opened.tolist() == [0.0, 0.0, 1.0]
    assert np.isnan(taken.marks[:2]).all()
    assert taken.marks[2].tolist() == [4.0] * 4
    assert np.isnan(taken.measured[:2]).all()
    assert np.array_equal(taken.measured[2], measured[0], equal_nan=True)
    plain, _ = linear.rows([3 * PERIOD_H], FEED, measured)
    assert np.isnan(linear.columns(plain).marks).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    exponents=st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    steps=st.lists(st.sampled_from(["predict", "online", "assay"]), min_size=1, max_size=20),
)
@repeated
def test_the_covariance_stays_a_covariance(
    linear: ExtendedKalmanFilter, seed: int, exponents: list[float], steps: list[str]
) -> None:
    """Deviations from 1e-3 to 1e3 in skew directions: condition numbers up to 1e12."""
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(4, 4)))
    belief = replace(linear.initial(FEED), factor=turn @ np.diag(10.0 ** np.array(exponents)))
    for what in steps:
        before = belief
        if what == "predict":
            belief = predict(linear, belief, FEED, PERIOD_H)
        else:
            places = (0, 1, 2) if what == "online" else (3,)
            measured = {place: float(random.normal()) for place in places}
            belief = fuse(linear, belief, FEED, measured).belief
            assert (belief.deviation <= before.deviation * (1 + 1e-12)).all()
        assert np.isfinite(belief.mean).all()
        assert np.array_equal(belief.covariance, belief.covariance.T)
        assert np.linalg.svd(belief.factor, compute_uv=False)[-1] > 0


@given(seed=st.integers(0, 2**32 - 1), exponents=st.lists(st.floats(-3, 3), min_size=4, max_size=4))
@repeated
def test_an_update_is_right_even_when_the_covariance_is_ill_conditioned(
    linear: ExtendedKalmanFilter, seed: int, exponents: list[float]
) -> None:
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(4, 4)))
    before = replace(linear.initial(FEED), factor=turn @ np.diag(10.0 ** np.array(exponents)))
    after = fuse(linear, before, FEED, {0: 9.0}).belief
    L = before.factor.astype(np.longdouble)
    h, r = LINEAR_C[0].astype(np.longdouble), np.longdouble(0.2) ** 2
    P = L @ L.T
    k = P @ h / (h @ P @ h + r)
    joseph = np.eye(4) - np.outer(k, h)
    expected = joseph @ P @ joseph.T + r * np.outer(k, k)
    size = np.sqrt(np.outer(np.diag(P), np.diag(P)))
    # Joseph's form in eighteen digits; what is lost of sixteen digits is lost by the factor.
    assert np.abs((after.covariance - expected) / size).max() < 1e-12


def test_the_gate_refuses_an_outlier_and_nothing_moves(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    update = fuse(core, start, NO_FEED, {GLUCOSE: 150.0})
    assert not update.fused.any()
    assert update.gate_ratios[GLUCOSE] > 1
    assert np.array_equal(update.belief.mean, start.mean)
    np.testing.assert_allclose(update.belief.covariance, start.covariance, rtol=1e-13, atol=1e-15)
    assert update.belief.rejections.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_a_refused_signal_does_not_keep_the_others_out(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    both = fuse(core, start, NO_FEED, {CELLS: 0.52, GLUCOSE: 150.0})
    alone = fuse(core, start, NO_FEED, {CELLS: 0.52})
    assert both.fused.tolist() == [True, False, False, False, False]
    assert np.array_equal(both.belief.mean, alone.belief.mean)
    assert np.array_equal(both.belief.factor, alone.belief.factor)


def test_values_within_and_beyond_the_gate_are_told_apart_where_it_is(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    glucose = CORE.output_names.index("glucose")
    told = core.describe(start, NO_FEED)
    expected, known = told.outputs[glucose], told.output_deviation[glucose]
    edge = 5 * np.sqrt(known**2 + 0.5**2 + (0.03 * expected) ** 2)
    for part, fused in ((0.999, True), (-0.999, True), (1.001, False), (-1.001, False)):
        update = fuse(core, start, NO_FEED, {GLUCOSE: expected + part * edge})
        assert update.fused[GLUCOSE] == fused
        assert update.gate_ratios[GLUCOSE] == pytest.approx(part**2)


def test_refusals_are_counted_up_to_the_patience_and_no_further(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    """What follows is decided by rule, in sight of everything else."""
    belief, counts = start, []
    for _ in range(7):
        update = fuse(core, belief, NO_FEED, {GLUCOSE: 150.0})
        belief = update.belief
        counts.append(belief.rejections[GLUCOSE])
        assert not update.fused[GLUCOSE]
    assert counts == [1, 2, 3, 4, 4, 4, 4]
    within = fuse(core, belief, NO_FEED, {GLUCOSE: 30.0})
    assert within.fused[GLUCOSE]
    assert within.belief.rejections[GLUCOSE] == 0


def test_a_suspect_is_watched_until_it_agreed_as_often_in_a_row_as_its_patience(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    belief = replace(start, rejections=np.array([0.0, 8.0, 0.0, 0.0, 0.0]))
    for glucose in (30.0, 30.0, 150.0, 30.0, 30.0, 30.0, 30.0):
        update = fuse(core, belief, NO_FEED, {GLUCOSE: glucose})
        belief = update.belief
        assert not update.fused[GLUCOSE]
        assert update.innovations[GLUCOSE] == pytest.approx(glucose - 30.0)
        np.testing.assert_allclose(belief.covariance, start.covariance, rtol=1e-12, atol=1e-15)
    assert belief.rejections[GLUCOSE] == 0
    assert fuse(core, belief, NO_FEED, {GLUCOSE: 30.0}).fused[GLUCOSE]


def test_a_missing_signal_neither_counts_nor_clears(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    belief = fuse(core, start, NO_FEED, {GLUCOSE: 150.0}).belief
    silent = fuse(core, belief, NO_FEED, {})
    assert silent.belief.rejections.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert np.isnan(silent.innovations).all()
    assert np.isnan(silent.gate_ratios).all()
    assert np.array_equal(silent.belief.mean, belief.mean)


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 200), st.floats(0, 30)), min_size=1, max_size=12
    )
)
@repeated
def test_states_and_parameters_stay_within_their_bounds(
    core: ExtendedKalmanFilter, rows: list[tuple[float, float, float]]
) -> None:
    lower = [state.lower for state in CORE.states.values()]
    upper = [state.upper for state in CORE.states.values()]
    belief = core.initial(NO_FEED)
    for cells, glucose, feed in rows:
        told = dict(enumerate((cells, glucose, glucose / 10, cells, -0.1)))
        belief = step(core, belief, np.array([feed, 0.0]), PERIOD_H, told).belief
        assert np.isfinite(belief.factor).all()
        assert (belief.mean[:8] >= lower).all()
        assert (belief.mean[:8] <= upper).all()
        mu_max, Q_mAb = np.exp(belief.mean[8:])
        assert 0.03 * (1 - 1e-12) <= mu_max <= 0.05 * (1 + 1e-12)
        assert 5e-4 * (1 - 1e-12) <= Q_mAb <= 4.5e-3 * (1 + 1e-12)


def test_clipping_the_mean_leaves_the_covariance_alone(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    """A lactate of -0.9 is what noise makes of nothing: the mean ends at zero."""
    lactate = CORE.state_names.index("lactate")
    mean = start.mean.copy()
    mean[lactate] = 0.05
    at_zero = fuse(core, replace(start, mean=mean), NO_FEED, {3: -0.9})
    mean[lactate] = 5.0
    inside = fuse(core, replace(start, mean=mean), NO_FEED, {3: 4.8})
    assert at_zero.fused[3]
    assert at_zero.belief.mean[lactate] == 0.0
    # The noise's relative part, 0.03 of what is expected, is all that differs.
    gain = 0.3**2 / (0.3**2 + 0.1**2 + (0.03 * 0.05) ** 2)
    assert at_zero.belief.deviation[lactate] == pytest.approx(0.3 * np.sqrt(1 - gain))
    assert inside.belief.deviation[lactate] > at_zero.belief.deviation[lactate]


def test_a_prediction_ends_at_the_bounds(core: ExtendedKalmanFilter, start: Belief) -> None:
    full = start.mean.copy()
    full[0] = CORE.states["volume"].upper - 1
    ahead = predict(core, replace(start, mean=full), np.array([60.0, 0.0]), PERIOD_H)
    assert ahead.mean[0] == CORE.states["volume"].upper
    assert ahead.deviation[0] == pytest.approx(
        np.sqrt(1 + PERIOD_H * (0.01 + 0.005 * full[0]) ** 2)
    )


def test_a_parameter_is_learnt_up_to_the_value_the_site_approves(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    belief = start
    cells = CORE.output_names.index("viable_cells")
    for _ in range(300):
        ahead = step(core, belief, NO_FEED, PERIOD_H)
        measured = {CELLS: 1.03 * ahead.description.outputs[cells]}
        belief = step(core, belief, NO_FEED, PERIOD_H, measured).belief
    assert core.parameters(belief)[CORE.parameter_names.index("mu_max")] == pytest.approx(0.05)


def test_inputs_that_the_equations_cannot_take_change_nothing(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    wild = step(core, start, np.array([1e200, 0.0]), PERIOD_H, {CELLS: 0.5, GLUCOSE: 30.0})
    assert not wild.sound
    assert not wild.fused.any()
    assert np.isnan(wild.innovations).all()
    assert same(wild.belief, start)
    assert step(core, wild.belief, NO_FEED, PERIOD_H, {CELLS: 0.5}).sound


def test_everything_is_in_double_precision(core: ExtendedKalmanFilter, start: Belief) -> None:
    told = step(core, start, NO_FEED, PERIOD_H, {CELLS: 0.5, GLUCOSE: 30.0, 2: 30.0, 4: 0.0})
    arrays = [
        *(getattr(told.belief, name) for name in Belief.__slots__),
        *(getattr(told.description, name) for name in type(told.description).__slots__),
        told.innovations,
        told.gate_ratios,
        core.parameters(told.belief),
    ]
    assert {array.dtype for array in arrays} == {np.dtype(np.float64)}


def test_one_step_of_ten_minutes_is_two_of_five(core: ExtendedKalmanFilter, start: Belief) -> None:
    start = replace(start, mean=np.array([1400, 8, 0.5, 15, 3, 20, 2, 0.8, -3.2, -6.5]))
    feed = np.array([2.0, 1.0])
    once = predict(core, start, feed, PERIOD_H)
    twice = predict(core, predict(core, start, feed, PERIOD_H / 2), feed, PERIOD_H / 2)
    # The mean differs by the integrator's error alone, the covariance by third order.
    np.testing.assert_allclose(once.mean, twice.mean, rtol=1e-8)
    np.testing.assert_allclose(once.deviation, twice.deviation, rtol=1e-3)


def test_what_is_told_of_a_belief_is_in_the_models_units(
    core: ExtendedKalmanFilter, start: Belief
) -> None:
    mean = np.array([1400, 8, 0.5, 15, 3, 20, 2, 0.8, np.log(0.039), np.log(1.5e-3)])
    belief = replace(start, mean=mean)
    told = core.describe(belief, NO_FEED)
    assert told.mean[:8] == pytest.approx(mean[:8])
    assert told.mean[8:] == pytest.approx([0.039, 1.5e-3])
    assert told.deviation[8:] == pytest.approx([0.15 * 0.039, 0.12 * 1.5e-3])
    names = CORE.output_names
    assert told.outputs[names.index("viability")] == pytest.approx(100 * 8 / 8.5)
    assert told.output_deviation[names.index("glucose")] == pytest.approx(0.3)
    slope = np.array([100 * 0.5, -100 * 8]) / 8.5**2
    expected = np.hypot(slope[0] * 0.1, slope[1] * 0.02)
    assert told.output_deviation[names.index("viability")] == pytest.approx(expected)
    assert told.expected == pytest.approx([8, 15, 15, 20, 0.8])
    assert told.expected_deviation == pytest.approx([0.1, 0.3, 0.3, 0.3, 0.01])
    assert core.parameters(belief)[CORE.parameter_names.index("Q_mAb")] == pytest.approx(1.5e-3)
