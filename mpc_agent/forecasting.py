"""What the estimate foretells: outputs ahead, how well they are known, and what could matter. Pure.

Every column of the covariance's factor is one independent way in which the truth may differ by a
standard deviation. Each is simulated to harvest; what they change, together, is the forecast's
deviation, and their combinations that change most are the scenarios of a plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from controllers.arrays import Floats
from controllers.nmpc import Nmpc
from controllers.problem import Problem
from controllers.settings import Uncertainty
from controllers.situation import Course, Situation
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.values import Estimate

LEAST_SHARE = 0.1
"""Share of the expected course among the scenarios at least: it is the likeliest one."""

PRODUCT_SHARE = 0.05
"""Share of the product's scale that matters as much as a limit missed by its scale."""


@dataclass(frozen=True)
class Ahead:
    """Outputs ahead under given inputs.

    Attributes:
        means: outputs at the ends of the pieces, shape (pieces, outputs).
        differences: what a deviation along each column of the covariance's factor changes, shape
            (columns, pieces, outputs).
    """

    means: Floats
    differences: Floats

    @property
    def deviations(self) -> Floats:
        """Standard deviations of the outputs, shape (pieces, outputs)."""
        return np.asarray(np.sqrt((self.differences**2).sum(axis=0)), dtype=np.float64)


def ahead(
    nmpc: Nmpc,
    kalman: ExtendedKalmanFilter,
    estimate: Estimate,
    situation: Situation,
    inputs: Floats,
    boluses: Floats | None = None,
) -> Ahead:
    """Outputs ahead if `inputs` and `boluses` were applied, and how well they are known.

    Source of the idea: propagation by differences along the columns of a square root, as in a
    central-difference filter (Norgaard et al. 2000, Automatica 36:1627), one-sided.
    """
    expected = Course(situation.state, situation.parameters, 1.0)
    courses = (expected, *courses_along(nmpc, kalman, estimate, situation, estimate.factor.T))
    outputs = nmpc.predict(replace(situation, courses=courses), inputs, boluses)
    return Ahead(outputs[0], outputs[1:] - outputs[0])


def courses_along(
    nmpc: Nmpc,
    kalman: ExtendedKalmanFilter,
    estimate: Estimate,
    situation: Situation,
    steps: Sequence[Floats] | Floats,
) -> tuple[Course, ...]:
    """The estimate moved by each step of the filter's unknowns.

    States that the problem holds stay where the situation has them: their loops see to that.
    """
    names = nmpc.problem.model.state_names
    held = [names.index(name) for name in nmpc.problem.held_states]
    courses = []
    for step in steps:
        state, parameters = kalman.moved(estimate, step)
        state[held] = situation.state[held]
        courses.append(Course(state, parameters, share=0.0))
    return tuple(courses)


def scenarios(
    nmpc: Nmpc,
    kalman: ExtendedKalmanFilter,
    estimate: Estimate,
    situation: Situation,
    uncertainty: Uncertainty,
) -> tuple[Course, ...]:
    """The expected course, and two along each combination of unknowns that matters most.

    What matters is what is limited or maximised, each in units of its scale, over the horizon under
    the situation's guess. The combinations are the largest singular vectors of that response, so
    that few scenarios span most of what the plan must be good for.
    """
    guess, poured = situation.guess, situation.bolus_guess
    response = ahead(nmpc, kalman, estimate, situation, guess, poured).differences
    places, scales = _what_matters(nmpc.problem)
    weighed = np.nan_to_num(response[..., places] / scales).reshape(len(response), -1)
    mixtures, _, _ = np.linalg.svd(weighed, full_matrices=False)
    directions = (estimate.factor @ mixtures[:, : uncertainty.directions]).T
    # The sign of a singular vector is arbitrary; a rule makes results the same everywhere.
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    steps = [
        sign * uncertainty.deviations * direction for direction in directions for sign in (1, -1)
    ]
    # Shares that give the mean and the covariance of the sigma points their due.
    side = min(0.5 / uncertainty.deviations**2, (1.0 - LEAST_SHARE) / len(steps))
    moved = courses_along(nmpc, kalman, estimate, situation, steps)
    expected = Course(situation.state, situation.parameters, 1.0 - side * len(steps))
    return (expected, *(replace(course, share=side) for course in moved))


def _what_matters(problem: Problem) -> tuple[list[int], Floats]:
    """Outputs that are limited or maximised: places among the outputs, and scales."""
    scales = {limit.output: limit.scale for limit in problem.limits}
    if problem.maximise is not None:
        scales[problem.maximise.output] = PRODUCT_SHARE * problem.maximise.scale
    names = problem.model.output_names
    return [names.index(name) for name in scales], np.array(list(scales.values()))
