"""From estimate to plans: what each problem is told, and when it is solved again. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from controllers.arrays import Floats
from controllers.grid import SAME_H, begins_at, through, widening
from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.recipe import Recipe
from controllers.settings import FeedSettings, GasSettings
from controllers.situation import Situation
from mpc_agent.values import Estimate, Verdict

LAST_PLAN_SHARE = 0.003
"""The feeds are not planned again when less than this share of the batch is left, an hour of
fourteen days: nothing can change any more."""


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
        fed_L: litres of the decided and poured liquids delivered so far.
    """

    time_s: float
    batch_h: float
    remaining_h: float
    parameters: Floats
    inputs: Floats
    setpoints: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]
    fed_L: float = 0.0


def feed_is_due(
    settings: FeedSettings, estimate: Estimate, now: Situated, last: Plan | None
) -> bool:
    """Whether the feeds must be planned: nothing planned, time is up, or the lab told news.

    Also when the last plan has come to its end: the harvest that it chose is due, but not done.
    """
    too_late = now.remaining_h < LAST_PLAN_SHARE * (now.batch_h + now.remaining_h)
    if now.batch_h < settings.from_h or too_late:
        return False
    if last is None:
        return True
    age_s = now.time_s - last.solved_at_s
    # A new plan would not know of the rest of a bolus that is being poured.
    if last.pouring(age_s / 3600):
        return False
    bolus = bool(bolus_allowed(settings, now, np.ones(1)).any())
    told = any(result.verdict is Verdict.OK for result in estimate.samples)
    lasts_s = min(settings.interval_s, 3600 * float(last.grid_h[-1]))
    return bolus or age_s >= lasts_s - 1 or (told and settings.after_samples)


def search_is_due(settings: FeedSettings, now: Situated, last: Plan | None) -> bool:
    """Whether the next solve also begins afresh, to see whether there is a better optimum."""
    return last is None or now.time_s - last.searched_at_s >= settings.afresh_h * 3600 - 1


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
    steps_h = steps_ahead(settings, now)
    for name in model.volume_flows:
        given[:, model.input_names.index(name)] = 0.0
    poured = {item.input for item in problem.boluses}
    for name in set(recipe.rates) - set(problem.decided) - poured:
        given[:, model.input_names.index(name)] = recipe_ahead(recipe, name, now, steps_h)
    for name, value in settings.foreseen.items():
        given[:, model.input_names.index(name)] = value
    state = estimate.mean[: len(model.states)].copy()
    for name, level in settings.held_levels.items():
        state[model.state_names.index(name)] = level
    begun = _situation(
        nmpc,
        estimate,
        now,
        given=given,
        steps_h=steps_h,
        setpoints=np.zeros(0),
        guess=recipe_inputs(nmpc, recipe, now, steps_h),
        output_deviation=deviation_ahead(last, now, steps_h),
    )
    allowed = bolus_allowed(settings, now, steps_h)
    loose = loose_pieces(settings, now, steps_h)
    return replace(
        begun,
        state=state,
        bolus_allowed=allowed,
        bolus_guess=_bolus_guess(settings, recipe, now, steps_h, allowed),
        stretch=stretch(settings, now, float((loose * steps_h).sum())),
        loose=loose,
        batch_h=now.batch_h,
        fed_L=now.fed_L,
    )


def loose_pieces(settings: FeedSettings, now: Situated, steps_h: Floats) -> Floats:
    """Where a free harvest stretches the pieces: after the last bolus, 1 or 0, shape (pieces,)."""
    begins_h = now.batch_h + np.concatenate([[0.0], np.cumsum(steps_h)[:-1]])
    times_h = np.concatenate([*settings.bolus_times.values(), np.zeros(1)])
    last_h = float(times_h.max())
    return np.asarray(begins_h >= last_h - SAME_H, dtype=np.float64)


def stretch(settings: FeedSettings, now: Situated, loose_h: float) -> tuple[float, float]:
    """Bounds of the harvest as a factor of the time `loose_h` that the plan may stretch."""
    if settings.earliest_harvest_h is None:
        return 1.0, 1.0
    earliest_h = max(settings.earliest_harvest_h - now.batch_h, 0.0)
    fixed_h = now.remaining_h - loose_h
    return max((earliest_h - fixed_h) / loose_h, LAST_PLAN_SHARE), 1.0


def bolus_allowed(settings: FeedSettings, now: Situated, steps_h: Floats) -> Floats:
    """Where each bolus may begin, 1 or 0, shape (pieces, boluses)."""
    times_h = [settings.bolus_times[item.input] for item in settings.problem.boluses]
    return begins_at(steps_h, now.batch_h, times_h)


def _bolus_guess(
    settings: FeedSettings, recipe: Recipe, now: Situated, steps_h: Floats, allowed: Floats
) -> Floats:
    """What the recipe feeds until the next chance, poured at once, shape (pieces, boluses)."""
    guess = np.zeros_like(allowed)
    for column, item in enumerate(settings.problem.boluses):
        if item.input in recipe.rates and item.input not in settings.problem.decided:
            amounts = recipe_ahead(recipe, item.input, now, steps_h) * steps_h
            chances = np.flatnonzero(allowed[:, column])
            guess[chances, column] = np.add.reduceat(amounts, chances) if len(chances) else 0.0
    return guess


def steps_ahead(settings: FeedSettings, now: Situated) -> Floats:
    """Lengths of the pieces from here to harvest, with nodes where boluses may begin."""
    steps_h = widening(now.remaining_h, settings.problem.pieces, settings.first_piece_h)
    begins_h = _ahead_h(now, settings.bolus_times.values())
    ends_h = _ahead_h(
        now,
        (settings.bolus_times[item.input] + item.over_h for item in settings.problem.boluses),
    )
    # Limits are held where pieces end: right after a pouring, too, as far as there are pieces.
    spare = len(steps_h) - 1 - len(begins_h)
    return through(steps_h, [*begins_h, *ends_h[: max(spare, 0)]])


def _ahead_h(now: Situated, hours: Iterable[Floats]) -> list[float]:
    """Hours from now to moments that are ahead, rising, each once; one that is now is not."""
    moments_h = np.unique(np.round(np.concatenate([*hours, np.zeros(0)]), 6)) - now.batch_h
    return [float(moment_h) for moment_h in moments_h if SAME_H < moment_h < now.remaining_h]


def recipe_inputs(nmpc: Nmpc, recipe: Recipe, now: Situated, steps_h: Floats) -> Floats:
    """The recipe's rates on the pieces from here to harvest, shape (pieces, decided).

    What the recipe says nothing about is as small as it may be.
    """
    rates = [
        recipe_ahead(recipe, item.name, now, steps_h)
        if item.name in recipe.rates
        else np.full(len(steps_h), item.lower)
        for item in nmpc.problem.inputs
    ]
    return np.array(rates).reshape(-1, len(steps_h)).T


def recipe_ahead(recipe: Recipe, name: str, now: Situated, steps_h: Floats) -> Floats:
    """Mean of one input of the recipe over each piece from here to harvest, shape (pieces,)."""
    edges_h = now.batch_h + np.concatenate([[0.0], np.cumsum(steps_h)])
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
        steps_h=np.full(problem.pieces, settings.piece_s / 3600),
        setpoints=np.array(targets),
        guess=np.tile(_in_force(nmpc, now), (problem.pieces, 1)),
    )


def _situation(
    nmpc: Nmpc,
    estimate: Estimate,
    now: Situated,
    *,
    given: Floats,
    steps_h: Floats,
    setpoints: Floats,
    guess: Floats,
    output_deviation: Floats | None = None,
) -> Situation:
    """What both problems are told alike: state, parameters, inputs in force and their ranges."""
    problem = nmpc.problem
    bounds = [now.limits.get(name, (-np.inf, np.inf)) for name in problem.decided]
    return Situation(
        time_s=now.time_s,
        state=estimate.mean[: len(problem.model.states)],
        parameters=now.parameters,
        given=given,
        previous=_in_force(nmpc, now),
        steps_h=steps_h,
        setpoints=setpoints,
        guess=guess,
        input_bounds=np.array(bounds).reshape(-1, 2),
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


def deviation_ahead(last: Plan | None, now: Situated, steps_h: Floats) -> Floats | None:
    """Deviations that the last plan was forecast with, on the grid from here to harvest."""
    if last is None:
        return None
    ends_h = np.cumsum(steps_h)
    elapsed_h = (now.time_s - last.solved_at_s) / 3600
    columns = [
        np.interp(ends_h + elapsed_h, last.grid_h, column) for column in last.output_deviation.T
    ]
    return np.column_stack(columns)
