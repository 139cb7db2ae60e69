"""The filter against an exact one, and what it promises whatever it is told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.values import Floats
from plant_models.cho_mab import CORE
from tests.examples_core import (
    LINEAR_A,
    LINEAR_B,
    LINEAR_C,
    PERIOD_H,
    core_filter,
    linear_filter,
)

FEED = np.array([0.3])
NO_FEED = np.zeros(2)
NOTHING = np.full(2, np.nan)

repeated = settings(max_examples=60)


@pytest.fixture(scope="module")
def linear() -> ExtendedKalmanFilter:
    return linear_filter()


@pytest.fixture(scope="module")
def core() -> ExtendedKalmanFilter:
    return core_filter()


def covariance(belief: Belief) -> Floats:
    return np.asarray(belief.factor @ belief.factor.T)


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
        self.mean = F @ self.mean + transition[:4, 4]
        self.P = F @ self.P @ F.T + np.diag(self.drift**2) * step_h

    def update(self, rows: list[int], deviations: list[float], measured: list[float]) -> None:
        H, R = LINEAR_C[rows], np.diag(np.square(deviations))
        S = H @ self.P @ H.T + R
        K = np.linalg.solve(S, H @ self.P).T
        self.mean = self.mean + K @ (np.array(measured) - H @ self.mean)
        shrink = np.eye(4) - K @ H
        self.P = shrink @ self.P @ shrink.T + K @ R @ K.T


def test_on_a_linear_plant_it_is_the_kalman_filter(linear: ExtendedKalmanFilter) -> None:
    random = np.random.default_rng(4)
    exact, belief = ExactFilter(), linear.initial()
    deviations = [0.2, 0.1, 0.3]
    for step in range(300):
        feed, step_h = random.uniform(0, 2), PERIOD_H * random.uniform(0.2, 1.0)
        exact.predict(feed, step_h)
        belief = linear.predict(belief, np.array([feed]), step_h)
        measured = random.normal(size=3) * 3
        measured[random.random(3) < 0.4] = np.nan
        there = [i for i in range(3) if np.isfinite(measured[i])]
        if there:
            exact.update(there, [deviations[i] for i in there], [measured[i] for i in there])
        belief = linear.fuse_online(belief, FEED, measured).belief
        if step % 7 == 0:
            assay = float(random.normal())
            exact.update([3], [0.05], [assay])
            belief = linear.fuse_assays(belief, FEED, np.array([assay])).belief
        np.testing.assert_allclose(belief.mean, exact.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(covariance(belief), exact.P, rtol=1e-9, atol=1e-9)


def test_a_long_gap_is_bridged_in_several_steps(linear: ExtendedKalmanFilter) -> None:
    exact, belief = ExactFilter(), linear.initial()
    belief = linear.predict(belief, FEED, 10 * PERIOD_H)
    for _ in range(10):
        exact.predict(0.3, PERIOD_H)
    np.testing.assert_allclose(belief.mean, exact.mean, rtol=1e-9)
    np.testing.assert_allclose(covariance(belief), exact.P, rtol=1e-9, atol=1e-9)


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
    belief = replace(linear.initial(), factor=turn @ np.diag(10.0 ** np.array(exponents)))
    for step in steps:
        before = belief
        if step == "predict":
            belief = linear.predict(belief, FEED, PERIOD_H)
        elif step == "online":
            belief = linear.fuse_online(belief, FEED, random.normal(size=3)).belief
        else:
            belief = linear.fuse_assays(belief, FEED, random.normal(size=1)).belief
        if step != "predict":
            narrower = np.sum(belief.factor**2, axis=1) <= np.sum(before.factor**2, axis=1)
            assert (narrower | np.isclose(belief.factor, before.factor).all(axis=1)).all()
        P = covariance(belief)
        assert np.isfinite(belief.mean).all()
        assert np.array_equal(P, P.T)
        assert np.linalg.svd(belief.factor, compute_uv=False)[-1] > 0


@given(seed=st.integers(0, 2**32 - 1), exponents=st.lists(st.floats(-3, 3), min_size=4, max_size=4))
@repeated
def test_an_update_is_right_even_when_the_covariance_is_ill_conditioned(
    linear: ExtendedKalmanFilter, seed: int, exponents: list[float]
) -> None:
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(4, 4)))
    before = replace(linear.initial(), factor=turn @ np.diag(10.0 ** np.array(exponents)))
    after = linear.fuse_online(before, FEED, np.array([9.0, np.nan, np.nan])).belief
    L = before.factor.astype(np.longdouble)
    h, r = LINEAR_C[0].astype(np.longdouble), np.longdouble(0.2) ** 2
    P = L @ L.T
    k = P @ h / (h @ P @ h + r)
    joseph = np.eye(4) - np.outer(k, h)
    expected = joseph @ P @ joseph.T + r * np.outer(k, k)
    size = np.sqrt(np.outer(np.diag(P), np.diag(P)))
    # Joseph's form in eighteen digits; what is lost of sixteen digits is lost by the factor.
    assert np.abs((covariance(after) - expected) / size).max() < 1e-12


def test_the_gate_refuses_an_outlier_and_nothing_moves(core: ExtendedKalmanFilter) -> None:
    before = core.initial()
    update = core.fuse_online(before, NO_FEED, np.array([np.nan, 150.0]))
    assert not update.fused.any()
    assert update.gate_ratios[1] > 1
    assert np.array_equal(update.belief.mean, before.mean)
    assert np.array_equal(update.belief.factor, before.factor)
    assert update.belief.online_rejections.tolist() == [0.0, 1.0]


def test_a_refused_signal_does_not_keep_the_others_out(core: ExtendedKalmanFilter) -> None:
    both = core.fuse_online(core.initial(), NO_FEED, np.array([0.52, 150.0]))
    alone = core.fuse_online(core.initial(), NO_FEED, np.array([0.52, np.nan]))
    assert both.fused.tolist() == [True, False]
    assert np.array_equal(both.belief.mean, alone.belief.mean)
    assert np.array_equal(both.belief.factor, alone.belief.factor)


def test_a_signal_refused_for_long_is_readmitted_as_far_as_the_gate(
    core: ExtendedKalmanFilter,
) -> None:
    belief = core.initial()
    for _ in range(4):
        update = core.fuse_online(belief, NO_FEED, np.array([np.nan, 150.0]))
        assert not update.fused[1]
        belief = update.belief
    glucose = CORE.output_names.index("glucose")
    before = core.describe(belief, NO_FEED)
    readmitted = core.fuse_online(belief, NO_FEED, np.array([np.nan, 150.0]))
    after = core.describe(readmitted.belief, NO_FEED)
    moved = after.outputs[glucose] - before.outputs[glucose]
    assert readmitted.fused[1]
    assert 0 < moved <= 5.0 * before.output_deviation[glucose] * (1 + 1e-9)
    assert readmitted.belief.online_rejections[1] == 0
    # The count begins anew: one wild value does not open the gate for the next.
    again = core.fuse_online(readmitted.belief, NO_FEED, np.array([np.nan, 190.0]))
    assert not again.fused[1]


def test_a_value_within_the_gate_ends_the_count_of_refusals(core: ExtendedKalmanFilter) -> None:
    belief = core.initial()
    for glucose in (150.0, 150.0, 30.0, 150.0, 150.0, 150.0, 150.0):
        update = core.fuse_online(belief, NO_FEED, np.array([np.nan, glucose]))
        assert bool(update.fused[1]) == (glucose == 30.0)
        belief = update.belief


def test_a_missing_signal_neither_counts_nor_clears(core: ExtendedKalmanFilter) -> None:
    belief = core.fuse_online(core.initial(), NO_FEED, np.array([np.nan, 150.0])).belief
    silent = core.fuse_online(belief, NO_FEED, NOTHING)
    assert silent.belief.online_rejections.tolist() == [0.0, 1.0]
    assert np.isnan(silent.innovations).all()
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
    belief = core.initial()
    for cells, glucose, feed in rows:
        belief = core.predict(belief, np.array([feed, 0.0]), PERIOD_H)
        belief = core.fuse_online(belief, NO_FEED, np.array([cells, glucose])).belief
        belief = core.fuse_assays(belief, NO_FEED, np.array([glucose / 10, cells, -0.1])).belief
        assert belief.finite
        assert (belief.mean[:8] >= lower).all()
        assert (belief.mean[:8] <= upper).all()
        mu_max, Q_mAb = np.exp(belief.mean[8:])
        assert 0.03 * (1 - 1e-12) <= mu_max <= 0.05 * (1 + 1e-12)
        assert 5e-4 * (1 - 1e-12) <= Q_mAb <= 4.5e-3 * (1 + 1e-12)


def test_a_prediction_ends_at_the_bounds(core: ExtendedKalmanFilter) -> None:
    full = core.initial().mean.copy()
    full[0] = CORE.states["volume"].upper - 1
    ahead = core.predict(replace(core.initial(), mean=full), np.array([60.0, 0.0]), PERIOD_H)
    assert ahead.mean[0] == CORE.states["volume"].upper


def test_a_parameter_is_learnt_up_to_the_value_the_site_approves(
    core: ExtendedKalmanFilter,
) -> None:
    belief = core.initial()
    names = CORE.output_names
    for _ in range(300):
        belief = core.predict(belief, NO_FEED, PERIOD_H)
        expected = core.describe(belief, NO_FEED).outputs[names.index("viable_cells")]
        belief = core.fuse_online(belief, NO_FEED, np.array([1.03 * expected, np.nan])).belief
    assert core.parameters(belief)[CORE.parameter_names.index("mu_max")] == pytest.approx(0.05)


def test_everything_is_in_double_precision(core: ExtendedKalmanFilter) -> None:
    predicted = core.predict(core.initial(), NO_FEED, PERIOD_H)
    online = core.fuse_online(predicted, NO_FEED, np.array([0.5, 30.0]))
    assays = core.fuse_assays(online.belief, NO_FEED, np.array([30.0, np.nan, 0.0]))
    arrays = [
        *(getattr(predicted, name) for name in Belief.__slots__),
        *(getattr(assays.belief, name) for name in Belief.__slots__),
        online.innovations,
        online.gate_ratios,
        *core.describe(assays.belief, NO_FEED),
        core.parameters(assays.belief),
    ]
    assert {array.dtype for array in arrays} == {np.dtype(np.float64)}


def test_one_step_of_ten_minutes_is_two_of_five(core: ExtendedKalmanFilter) -> None:
    start = replace(core.initial(), mean=np.array([1400, 8, 0.5, 15, 3, 20, 2, 0.8, -3.2, -6.5]))
    feed = np.array([2.0, 1.0])
    once = core.predict(start, feed, PERIOD_H)
    twice = core.predict(core.predict(start, feed, PERIOD_H / 2), feed, PERIOD_H / 2)
    # The mean differs by the integrator's error alone.
    np.testing.assert_allclose(once.mean, twice.mean, rtol=1e-8)
    # Noise that enters half-way is carried on by the dynamics, whose fastest rate here is about
    # 0.1 /h: over five minutes that is within a percent.
    one, two = (np.sqrt(np.diag(covariance(belief))) for belief in (once, twice))
    np.testing.assert_allclose(one, two, rtol=0.01)


def test_the_covariance_is_carried_by_the_jacobian(core: ExtendedKalmanFilter) -> None:
    mean = np.array([1400, 8, 0.5, 15, 3, 20, 2, 0.8, np.log(0.039), np.log(1.5e-3)])
    feed, size = np.array([2.0, 1.0]), len(mean)
    start = replace(core.initial(), mean=mean, factor=np.eye(size))

    def ahead(z: Floats) -> Floats:
        return core.predict(replace(start, mean=z), feed, PERIOD_H).mean

    F = np.zeros((size, size))
    for j in range(size):
        step = np.zeros(size)
        step[j] = 1e-5 * max(abs(mean[j]), 1.0)
        F[:, j] = (ahead(mean + step) - ahead(mean - step)) / (2 * step[j])
    drift = np.array([0.01] * 8 + [0.01, 0.001])
    relative = np.array([0.005] * 8 + [0.0, 0.0])
    noise = (drift + relative * np.abs(mean)) ** 2 * PERIOD_H
    carried = covariance(core.predict(start, feed, PERIOD_H))
    np.testing.assert_allclose(carried, F @ F.T + np.diag(noise), rtol=1e-7, atol=1e-9)


def test_what_is_told_of_a_belief_is_in_the_models_units(core: ExtendedKalmanFilter) -> None:
    mean = np.array([1400, 8, 0.5, 15, 3, 20, 2, 0.8, np.log(0.039), np.log(1.5e-3)])
    belief = replace(core.initial(), mean=mean)
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
    assert core.parameters(belief)[CORE.parameter_names.index("Q_mAb")] == pytest.approx(1.5e-3)
