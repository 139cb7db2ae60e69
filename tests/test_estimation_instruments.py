"""What the filter knows of instruments and parameters: offsets, lags, logarithms, correlations."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from mpc_agent.estimation.coordinates import Coordinates
from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    Bias,
    Correlation,
    EstimationSettings,
)
from mpc_agent.values import Floats
from tests.examples_core import (
    PERIOD_H,
    core_settings,
    linear_settings,
    predict,
    signal,
    step,
)

FEED = np.array([0.3])
LAG_S = 600.0


def instruments(lag_s: float, bias: Bias | None) -> EstimationSettings:
    """The linear plant with a lagging level, and a probe of `first` beside the lab's."""
    return linear_settings(
        signals=(
            signal("level", 0.05, lag_s=lag_s),
            signal("first_probe", 0.1, output="first", bias=bias),
            signal("second", 0.3),
        ),
        assays=(signal("first_lab", 0.1, output="first"), signal("assay", 0.1)),
    )


LEVEL, PROBE, SECOND, LAB, ASSAY = range(5)


@cache
def knowing() -> ExtendedKalmanFilter:
    """Knows of the probe's offset and of the level's lag."""
    return ExtendedKalmanFilter(instruments(LAG_S, Bias(1.0)), PERIOD_H)


@cache
def trusting() -> ExtendedKalmanFilter:
    """Takes the same instruments for perfect."""
    return ExtendedKalmanFilter(instruments(0.0, None), PERIOD_H)


def test_coordinates_are_named_and_their_order_is_told() -> None:
    at = knowing().coordinates
    assert at.names == ("volume", "a", "b", "c", "first_probe.bias", "level.shown")
    assert (at.states, at.learnt, at.size, at.biases) == (4, 0, 6, slice(4, 5))


# ------------------------------------------------------------------ lag


@pytest.mark.parametrize("minutes", [1.0, 10.0, 60.0])
def test_a_lagging_probe_follows_the_exponential_of_a_ramp(minutes: float) -> None:
    """The level rises by 0.3 L/h; what is shown lags it by its time constant at last."""
    kalman = knowing()
    belief = predict(kalman, kalman.initial(FEED), FEED, minutes / 60)
    time_h, lag_h = minutes / 60, LAG_S / 3600
    behind = 0.3 * lag_h * (1 - np.exp(-time_h / lag_h))
    assert belief.mean[0] == pytest.approx(10 + 0.3 * time_h)
    assert belief.mean[5] == pytest.approx(10 + 0.3 * time_h - behind, abs=1e-7)
    told = kalman.describe(belief, FEED)
    assert told.expected[LEVEL] == belief.mean[5]
    assert told.outputs[0] == pytest.approx(belief.mean[0])


def test_a_lag_much_faster_than_the_cycle_is_followed_stably() -> None:
    fast = ExtendedKalmanFilter(instruments(20.0, None), PERIOD_H)
    belief = fast.initial(FEED)
    for _ in range(5):
        belief = predict(fast, belief, FEED, PERIOD_H)
    behind = 0.3 * 20 / 3600
    assert belief.mean[0] - belief.mean[4] == pytest.approx(behind, rel=0.02)


class Plant:
    """The linear plant with its true instruments: an offset of 0.5, a level ten minutes behind."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.kalman = knowing()
        exact = self.kalman.initial(FEED)
        noise = self.random.normal(size=4) * exact.deviation[:4]
        mean = exact.mean.copy()
        mean[:4] += noise
        mean[5] = mean[0]
        self.belief = replace(exact, mean=mean, factor=np.zeros((6, 6)))

    def move(self, feed: float) -> None:
        self.belief = predict(self.kalman, self.belief, np.array([feed]), PERIOD_H)
        drift = np.array([0.02, 0.3, 0.1, 0.2]) * np.sqrt(PERIOD_H)
        mean = self.belief.mean.copy()
        mean[:4] += drift * self.random.normal(size=4)
        self.belief = replace(self.belief, mean=mean, factor=np.zeros((6, 6)))

    def shown(self, lab: bool) -> dict[int, float]:
        z = self.belief.mean
        first = z[1] + 0.5 * z[2]
        true = {LEVEL: z[5], PROBE: first + 0.5, SECOND: z[2] - 2 * z[3]}
        true |= {LAB: first, ASSAY: 0.3 * z[1] + z[3]} if lab else {}
        deviations = (0.05, 0.1, 0.3, 0.1, 0.1)
        return {i: value + deviations[i] * self.random.normal() for i, value in true.items()}


def followed(seed: int, cycles: int = 200) -> tuple[Plant, Belief, Belief, Floats, Floats]:
    """Both filters beside the plant; errors of level and `first` from the 50th cycle on."""
    plant, errors = Plant(seed), []
    beliefs = [kalman.initial(FEED) for kalman in (knowing(), trusting())]
    for number in range(cycles):
        feed = 4.0 if number % 40 < 20 else 0.0
        plant.move(feed)
        values = plant.shown(lab=number % 6 == 0)
        beliefs = [
            step(kalman, belief, np.array([feed]), PERIOD_H, values).belief
            for kalman, belief in zip((knowing(), trusting()), beliefs, strict=True)
        ]
        truth = plant.belief.mean
        errors.append(
            [
                (belief.mean[0] - truth[0], belief.mean[1:3] @ (1, 0.5) - truth[1:3] @ (1, 0.5))
                for belief in beliefs
            ]
        )
    knows, trusts = np.swapaxes(np.array(errors[50:]), 0, 1)
    return plant, *beliefs, knows, trusts


def test_an_offset_beside_the_lab_is_found_and_a_lag_that_is_known_does_no_harm() -> None:
    _, belief, _, knows, trusts = followed(seed=11)
    offset, deviation = belief.mean[4], belief.deviation[4]
    assert abs(offset - 0.5) < 2.5 * deviation
    assert deviation < 0.05
    biased, unbiased = trusts[:, 1].mean(), knows[:, 1].mean()
    assert abs(unbiased) < 0.1
    assert biased > 0.25
    rms = [np.sqrt(np.mean(errors[:, 0] ** 2)) for errors in (knows, trusts)]
    assert rms[0] < 0.3 * rms[1]


def test_an_offset_that_nothing_else_tells_of_stays_unknown() -> None:
    kalman = knowing()
    belief = kalman.initial(FEED)
    for _ in range(50):
        belief = step(kalman, belief, FEED, PERIOD_H, {PROBE: 2.0}).belief
    assert belief.deviation[4] > 0.25


# ------------------------------------------------------------------ parameters


def core_with(
    adapted: tuple[AdaptedParameter, ...], correlations: tuple[Correlation, ...] = ()
) -> Coordinates:
    return Coordinates(replace(core_settings(), adapted=adapted, correlations=correlations))


def test_positive_parameters_are_learnt_as_logarithms_and_others_as_they_are() -> None:
    at = core_with(
        (
            AdaptedParameter("mu_max", 0.15, 0.01, 0.03, 0.05),
            AdaptedParameter("glucose_feed_glutamine", 2.0, 0.1, -5.0, 5.0),
        )
    )
    mean = at.initial_mean(np.zeros(2))
    names = at.settings.model.parameter_names
    assert mean[8:] == pytest.approx([np.log(0.039), 0.0])
    assert at.lower[8:] == pytest.approx([np.log(0.03), -5.0])
    assert at.upper[8:] == pytest.approx([np.log(0.05), 5.0])
    assert np.diag(at.initial_factor(np.zeros(2)))[8:] == pytest.approx([0.15, 2.0])
    mean[8:] = -20.0, -3.0
    values = at.parameter_values(mean)
    assert values[names.index("mu_max")] == pytest.approx(np.exp(-20))
    assert values[names.index("glucose_feed_glutamine")] == -3.0
    natural = np.asarray(at.natural(mean))
    assert natural[8:] == pytest.approx([np.exp(-20), -3.0])
    assert at.from_natural(natural) == pytest.approx(mean)


def test_correlations_at_inoculation_give_the_covariance_asked_for() -> None:
    at = core_with(
        core_settings().adapted,
        correlations=(
            Correlation("viable_cells", "dead_cells", 0.6),
            Correlation("viable_cells", "mu_max", -0.4),
            Correlation("mu_max", "Q_mAb", 0.3),
        ),
    )
    factor = at.initial_factor(np.zeros(2))
    correlated = ("viable_cells", "dead_cells", "mu_max", "Q_mAb")
    places = np.array([at.names.index(name) for name in correlated])
    covariance = (factor @ factor.T)[np.ix_(places, places)]
    deviations = np.array([0.1, 0.02, 0.15, 0.12])
    correlation = np.array(
        [[1, 0.6, -0.4, 0], [0.6, 1, 0, 0], [-0.4, 0, 1, 0.3], [0, 0, 0.3, 1]], dtype=float
    )
    expected = correlation * np.outer(deviations, deviations)
    np.testing.assert_allclose(covariance, expected, atol=1e-18)
    others = np.delete(np.arange(at.size), places)
    assert np.array_equal(factor[np.ix_(others, places)], np.zeros((len(others), 4)))


def test_a_step_from_an_estimate_is_taken_in_the_filters_coordinates() -> None:
    at = core_with(core_settings().adapted)
    z = at.initial_mean(np.zeros(2))
    assert at.from_natural(np.asarray(at.natural(z))) == pytest.approx(z)
