"""How the covariance is carried ahead: process noise, transition, and models of both methods."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.linalg import expm

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.kernel import MOVED_SHARE
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    EstimationSettings,
    SignalSettings,
    Uncertainty,
)
from mpc_agent.values import Floats
from plant_models.library import find_model
from tests.examples_core import (
    LINEAR_A,
    LINEAR_B,
    PERIOD_H,
    core_filter,
    linear_filter,
    predict,
    step,
)

FEED = np.array([0.3])
DRIFT = np.array([0.02, 0.3, 0.1, 0.2])
"""Of the linear plant's states."""


def van_loan(step_h: float) -> Floats:
    """The exact covariance of white noise carried through the linear plant.

    Source: Van Loan (1978), IEEE Trans. Automat. Contr. 23:395.
    """
    blocks = np.zeros((8, 8))
    blocks[:4, :4], blocks[:4, 4:], blocks[4:, 4:] = -LINEAR_A, np.diag(DRIFT**2), LINEAR_A.T
    powers = expm(blocks * step_h)
    return np.asarray(powers[4:, 4:].T @ powers[:4, 4:])


def test_process_noise_converges_to_the_exact_one_with_third_order() -> None:
    linear = linear_filter()
    known = replace(linear.initial(FEED), factor=np.zeros((4, 4)))
    steps_h = PERIOD_H * 0.5 ** np.arange(4)
    errors = [
        np.abs(predict(linear, known, FEED, step_h).covariance - van_loan(step_h)).max()
        for step_h in steps_h
    ]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (orders > 2.9).all()
    # At the length of a cycle it is right to a thousandth of what it adds.
    assert errors[0] < 1e-3 * van_loan(PERIOD_H).max()


def test_process_noise_does_not_depend_on_how_time_is_divided() -> None:
    linear = linear_filter()
    known = replace(linear.initial(FEED), factor=np.zeros((4, 4)))
    belief = known
    for _ in range(6):
        belief = predict(linear, belief, FEED, PERIOD_H / 6)
    once = predict(linear, known, FEED, PERIOD_H)
    np.testing.assert_allclose(once.covariance, belief.covariance, rtol=0, atol=2e-5)


def test_relative_noise_is_a_share_of_the_value_per_square_root_of_hour() -> None:
    core = core_filter()
    start = core.initial(np.zeros(2))
    known = replace(start, factor=np.zeros_like(start.factor))
    step_h = 1 / 600
    added = predict(core, known, np.zeros(2), step_h).deviation
    expected = np.array([0.01] * 8 + [0.01, 0.001]) + 0.005 * np.array([*start.mean[:8], 0, 0])
    np.testing.assert_allclose(added, expected * np.sqrt(step_h), rtol=2e-3)


# ------------------------------------------------------------------ the transition


@cache
def filter_for(name: str) -> ExtendedKalmanFilter:
    """A filter for any model of the library that learns some of its parameters."""
    model, learnt = find_model(name), MODELS[name]
    settings = EstimationSettings(
        model=model,
        initial={name: state.initial for name, state in model.states.items()},
        parameters={name: item.value for name, item in model.parameters.items()},
        uncertainty={
            name: Uncertainty(0.01 * state.scale, 0.001 * state.scale)
            for name, state in model.states.items()
        },
        signals=(SignalSettings(model.output_names[0], 1.0, 0.01, -1e9, 1e9),),
        assays=(),
        adapted=tuple(
            AdaptedParameter(name, 0.1, 0.01, item.lower, item.upper)
            for name, item in model.parameters.items()
            if name in learnt
        ),
    )
    return ExtendedKalmanFilter(settings, PERIOD_H)


def transition(
    kalman: ExtendedKalmanFilter, belief: Belief, u: Floats, step_h: float, scales: Floats
) -> Floats:
    """How the mean after a step depends on the mean before, from central differences.

    Those of half the width have a quarter of the error: both together, next to none.
    """
    found = np.zeros((kalman.size, kalman.size))
    for j, scale in enumerate(scales):
        by_width = []
        for width in (2e-4 * scale, 1e-4 * scale):
            moved = np.zeros_like(belief.mean)
            moved[j] = width
            up, down = (
                predict(kalman, replace(belief, mean=belief.mean + sign * moved), u, step_h).mean
                for sign in (1, -1)
            )
            by_width.append((up - down) / (2 * width))
        found[:, j] = (4 * by_width[1] - by_width[0]) / 3
    return found


MODELS = {
    "cho_mab_core": ("mu_max", "Q_mAb"),
    "ecoli_anane": ("qS_max",),
    "penicillin_indpensim_control": (),
}
"""One explicit and two implicit ones, and what is learnt."""


@pytest.mark.parametrize("name", MODELS)
def test_the_covariance_is_carried_by_the_derivative_of_the_step(name: str) -> None:
    model = find_model(name)
    kalman = filter_for(name)
    u, step_h = np.array(model.nominal_inputs(), dtype=np.float64), 1 / 60
    start = kalman.initial(u)
    mean, scales = start.mean.copy(), np.ones(kalman.size)
    scales[: kalman.states] = [state.scale for state in model.states.values()]
    mean[: kalman.states] += 0.05 * scales[: kalman.states]
    start = replace(start, mean=mean, factor=np.diag(scales))
    carried = predict(kalman, start, u, step_h).covariance
    F = transition(kalman, start, u, step_h, np.minimum(scales, np.maximum(np.abs(mean), 1e-3)))
    M = (np.eye(kalman.size) + F) / 2
    drift = np.append(0.001 * scales[: kalman.states], [0.01] * len(MODELS[name]))
    expected = F @ np.diag(scales**2) @ F.T + M @ np.diag(drift**2 * step_h) @ M.T
    size = np.sqrt(np.diag(expected))
    error = np.abs((carried - expected) / np.outer(size, size)).max()
    # Slopes are those in the middle of the step: exact enough for all that outlives it, and within
    # percents for what settles in it, such as the oxygen of the penicillin broth.
    assert error < (0.03 if name == "penicillin_indpensim_control" else 1e-7)


@pytest.mark.parametrize("name", list(MODELS)[1:])
def test_a_stiff_model_is_marched(name: str) -> None:
    model = find_model(name)
    kalman = filter_for(name)
    u = np.array(model.nominal_inputs(), dtype=np.float64)
    belief = kalman.initial(u)
    rows, _ = kalman.rows([PERIOD_H] * 36, u, np.full((36, 1), np.nan))
    after, report, told = kalman.march(belief, rows)
    assert report.sound.all()
    assert np.isfinite(told.deviation).all()
    assert (after.deviation[: kalman.states] > 0).all()
    value = float((told.expected + told.expected_deviation)[0])
    fused = step(kalman, after, u, PERIOD_H, {0: value})
    assert fused.sound
    assert fused.fused.all()
    assert (fused.belief.deviation[: kalman.states] > 0).all()


def test_an_input_that_moved_by_itself_is_known_as_well_as_it_moved() -> None:
    """The linear plant's states move by LINEAR_B for each litre an hour that may have flowed."""
    linear = linear_filter()
    begun = linear.initial(FEED)
    step_h = PERIOD_H / 10
    held = predict(linear, begun, FEED, step_h)
    moved = predict(linear, begun, FEED, step_h, inputs_before=FEED - 0.2)
    assert np.array_equal(held.mean, moved.mean)
    added = moved.covariance - held.covariance
    acted = MOVED_SHARE * 0.2 * step_h * LINEAR_B
    # Carried along for half of the step, as all noise is.
    np.testing.assert_allclose(added, np.outer(acted, acted), rtol=0.05, atol=1e-9)


def test_a_signal_that_shows_an_input_is_doubted_while_that_moves() -> None:
    """Off-gas follows the gas flows at once: while loops hunt, it tells less than else."""
    model = find_model("cho_mab_control")
    kalman = ExtendedKalmanFilter(
        EstimationSettings(
            model=model,
            initial={name: item.initial for name, item in model.states.items()},
            parameters=dict(zip(model.parameter_names, model.nominal_parameters(), strict=True)),
            uncertainty={name: Uncertainty(0.01 * s.scale) for name, s in model.states.items()},
            signals=(SignalSettings("off_gas_carbon_dioxide", 0.02, 0.0, 0.0, 100.0),),
            assays=(),
            adapted=(),
        ),
        PERIOD_H,
    )
    inputs = np.array(model.nominal_inputs())
    hunting = inputs.copy()
    hunting[model.input_names.index("carbon_dioxide")] += 10.0
    begun = kalman.initial(inputs)
    shown = step(kalman, begun, inputs, PERIOD_H).description.expected[0] + 0.5
    held = step(kalman, begun, inputs, PERIOD_H, {0: shown})
    moved = step(kalman, begun, inputs, PERIOD_H, {0: shown}, inputs_before=hunting)
    assert held.gate_ratios[0] > 1
    assert moved.gate_ratios[0] < 0.2
    assert moved.fused[0]
