"""From estimate to plans: what each problem is told, and when it is solved again. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from controllers.nmpc import Nmpc
from controllers.plan import Floats, Plan
from controllers.recipe import Recipe
from controllers.settings import FeedSettings, GasSettings
from controllers.situation import Situation
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.values import Estimate, Verdict

LAST_PLAN_SHARE = 0.003
"""The feeds are not planned again when less than this share of the batch is left, an hour of
fourteen days: nothing can change any more."""

DIRECTIONS = 4
"""Directions of largest uncertainty that are simulated to harvest for a forecast's deviation."""


@dataclass(frozen=True)
class Situated:
    """What planning must know besides the estimate.

    Attributes:
        time_s: now.
        batch_h: hours since inoculation.
        remaining_h: hours to harvest.
        parameters: the model's parameters as estimated, shape (parameters,).
        inputs: inputs acting on the plant, shape (inputs,).
        setpoints: setpoints in force, by input name.
        limits: the plant's own setpoint ranges, by input name.
    """

    time_s: float
    batch_h: float
    remaining_h: float
    parameters: Floats
    inputs: Floats
    setpoints: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]


def feed_is_due(
    settings: FeedSettings, estimate: Estimate, now: Situated, last: Plan | None
) -> bool:
    """Whether the feeds must be planned: nothing planned, time is up, or the lab told news."""
    if now.batch_h < settings.from_h:
        return False
    if now.remaining_h < LAST_PLAN_SHARE * (now.batch_h + now.remaining_h):
        return False
    if last is None or now.time_s - last.solved_at_s >= settings.interval_s - 1:
        return True
    told = any(result.verdict is Verdict.OK for result in estimate.samples)
    return told and settings.after_samples


def feed_situation(
    nmpc: Nmpc,
    settings: FeedSettings,
    recipe: Recipe,
    estimate: Estimate,
    now: Situated,
    last: Plan | None,
) -> Situation:
    """Where the feed problem starts.

    What the problem does not decide is as foreseen, or follows the recipe where that says
    something; other liquids are expected to stop, and all else to stay as it is.
    """
    model, problem = nmpc.problem.model, nmpc.problem
    given = np.tile(now.inputs, (problem.pieces, 1))
    for name in model.volume_flows:
        given[:, model.input_names.index(name)] = 0.0
    for name in set(recipe.rates) - set(problem.decided):
        given[:, model.input_names.index(name)] = recipe_ahead(recipe, name, now, problem.pieces)
    for name, value in settings.foreseen.items():
        given[:, model.input_names.index(name)] = value
    return _situation(
        nmpc,
        estimate,
        now,
        given=given,
        piece_h=now.remaining_h / problem.pieces,
        setpoints=np.zeros(0),
        guess=recipe_inputs(nmpc, recipe, now),
        output_deviation=deviation_ahead(last, now, problem.pieces),
    )


def recipe_inputs(nmpc: Nmpc, recipe: Recipe, now: Situated) -> Floats:
    """The recipe's rates on the pieces from here to harvest, shape (pieces, decided)."""
    pieces = nmpc.problem.pieces
    rates = [recipe_ahead(recipe, name, now, pieces) for name in nmpc.problem.decided]
    return np.column_stack(rates)


def recipe_ahead(recipe: Recipe, name: str, now: Situated, pieces: int) -> Floats:
    """Mean of one input of the recipe over each piece from here to harvest, shape (pieces,)."""
    edges_h = now.batch_h + np.arange(pieces + 1) * now.remaining_h / pieces
    starts_h = np.append(recipe.times_h, recipe.end_h)
    # The amount given until the start of each piece of the recipe; linear in between.
    until = np.concatenate([[0.0], np.cumsum(recipe.rates[name] * np.diff(starts_h))])
    amounts: Floats = np.diff(np.interp(edges_h, starts_h, until))
    return amounts / np.diff(edges_h)


def gas_situation(
    nmpc: Nmpc,
    settings: GasSettings,
    estimate: Estimate,
    now: Situated,
    feeds: Mapping[str, float],
) -> Situation:
    """Where the gas problem starts; feeds as they will be."""
    model, problem = nmpc.problem.model, nmpc.problem
    given = now.inputs.copy()
    for name, rate in feeds.items():
        given[model.input_names.index(name)] = rate
    targets = [settings.setpoints[item.output].at(now.batch_h) for item in problem.tracked]
    return _situation(
        nmpc,
        estimate,
        now,
        given=given,
        piece_h=settings.piece_s / 3600,
        setpoints=np.array(targets),
        guess=np.tile(_in_force(nmpc, now), (problem.pieces, 1)),
    )


def _situation(
    nmpc: Nmpc,
    estimate: Estimate,
    now: Situated,
    *,
    given: Floats,
    piece_h: float,
    setpoints: Floats,
    guess: Floats,
    output_deviation: Floats | None = None,
) -> Situation:
    problem = nmpc.problem
    bounds = [now.limits.get(name, (-np.inf, np.inf)) for name in problem.decided]
    return Situation(
        time_s=now.time_s,
        state=estimate.mean[: len(problem.model.states)],
        parameters=now.parameters,
        given=given,
        previous=_in_force(nmpc, now),
        piece_h=piece_h,
        setpoints=setpoints,
        guess=guess,
        input_bounds=np.array(bounds),
        output_deviation=output_deviation,
    )


def _in_force(nmpc: Nmpc, now: Situated) -> Floats:
    """Decided inputs in force: the setpoints, or what flows where no setpoint is known.

    Clipped to the problem's bounds: a plan begins there even if the plant is held elsewhere, or a
    limited move could never lead back inside.
    """
    names = nmpc.problem.model.input_names
    held = [now.setpoints.get(name, now.inputs[names.index(name)]) for name in nmpc.problem.decided]
    lower = [item.lower for item in nmpc.problem.inputs]
    upper = [item.upper for item in nmpc.problem.inputs]
    clipped: Floats = np.clip(np.array(held), lower, upper)
    return clipped


def forecast(
    nmpc: Nmpc,
    kalman: ExtendedKalmanFilter,
    estimate: Estimate,
    situation: Situation,
    inputs: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Outputs at the ends of the pieces if `inputs` were applied, and their deviations.

    The largest principal directions of the estimate's covariance (states in units of their scale,
    parameters in logarithms) are simulated to harvest.

    Returns:
        Means and standard deviations, both of shape (pieces, outputs), and the part of the outputs'
        deviation now that these directions do not explain, shape (outputs,).
    """
    model = nmpc.problem.model
    scale = np.ones(kalman.size)
    scale[: len(model.states)] = [state.scale for state in model.states.values()]
    directions, sizes, _ = np.linalg.svd(estimate.factor / scale[:, None])
    means, now = nmpc.predict(situation, inputs), nmpc.outputs_now(situation)
    variances = np.zeros_like(means)
    others = estimate.output_deviation**2
    for direction, size in zip(directions.T[:DIRECTIONS], sizes, strict=False):
        state, parameters = kalman.moved(estimate, direction * size * scale)
        elsewhere = replace(situation, state=state, parameters=parameters)
        variances += (nmpc.predict(elsewhere, inputs) - means) ** 2
        others = others - (nmpc.outputs_now(elsewhere) - now) ** 2
    return means, np.sqrt(variances), np.sqrt(np.maximum(others, 0.0))


def deviation_ahead(last: Plan | None, now: Situated, pieces: int) -> Floats | None:
    """Deviations that the last plan was forecast with, on the grid from here to harvest."""
    if last is None:
        return None
    ends_h = now.remaining_h / pieces * np.arange(1, pieces + 1)
    elapsed_h = (now.time_s - last.solved_at_s) / 3600
    columns = [
        np.interp(ends_h + elapsed_h, last.grid_h, column) for column in last.output_deviation.T
    ]
    return np.column_stack(columns)
