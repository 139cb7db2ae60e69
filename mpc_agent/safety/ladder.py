"""The fallback ladder: plan, held plan, recipe, safe. One choice per problem, with its reason.

Every rung rests on the record of what was decided and approved, never on a suspect measurement:

- PLAN: a usable plan of this cycle, or a fresh one when no solve was due.
- HELD_PLAN: the last usable plan, read at the present time on its own grid, while it is young
  enough. Gases, whose plans are short, are held as the plant holds them beyond their plan's end.
- RECIPE: inputs that the approved recipe gives a rate for.
- SAFE: the configured values.

A problem steps down as a whole: its inputs never come from two rungs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from controllers.recipe import Recipe
from mpc_agent.safety.settings import SafetySettings
from mpc_agent.values import Origin, Plan

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sources:
    """What a problem's inputs can come from.

    Attributes:
        problem: name of the problem, as in `SafetySettings.fallbacks`.
        attempt: the plan of this cycle's solve, or None when none was due.
        usable: the youngest usable plan, possibly the attempt, or None.
        held: setpoints that the plant holds now, by input.
        recipe: the approved profile, or None.
        batch_time_h: hours since inoculation, or None before it.
    """

    problem: str
    attempt: Plan | None
    usable: Plan | None
    held: Mapping[str, float]
    recipe: Recipe | None
    batch_time_h: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a problem's inputs come from now.

    Attributes:
        problem: name of the problem.
        values: setpoint by input, finite, for all inputs of the problem.
        origin: rung of the ladder.
        reason: why, in words.
    """

    problem: str
    values: Mapping[str, float]
    origin: Origin
    reason: str


def plan_inputs_at(plan: Plan, time_s: float) -> dict[str, float] | None:
    """The decided inputs of a plan at a time, None before its start and from its end on."""
    return plan.inputs_at((time_s - plan.solved_at_s) / HOUR_S)


def choose(sources: Sources, now_s: float, settings: SafetySettings) -> Choice:
    """The highest rung that can give all inputs of the problem."""
    inputs = settings.fallbacks[sources.problem].inputs
    why = _why_no_fresh_plan(sources, now_s, settings)
    rungs = (
        _planned(sources, now_s, settings, why),
        _held_beyond_plan(sources, now_s, settings, why),
        _from_recipe(sources, inputs, why),
    )
    for choice in rungs:
        if choice is not None:
            return choice
    return Choice(
        problem=sources.problem,
        values={name: settings.safe_inputs[name] for name in inputs},
        origin=Origin.SAFE,
        reason=f"{sources.problem}: {why}; nothing else to follow, safe values.",
    )


def _why_no_fresh_plan(sources: Sources, now_s: float, settings: SafetySettings) -> str | None:
    """What speaks against the top rung, None when nothing does."""
    attempt, usable = sources.attempt, sources.usable
    if attempt is not None and not attempt.usable:
        return f"no usable plan ({attempt.status}: {attempt.message or 'no message'})"
    if usable is None or not usable.usable:
        return "no usable plan yet"
    age_s = now_s - usable.solved_at_s
    if age_s > settings.fallbacks[sources.problem].fresh_s:
        return f"the last plan is {age_s / 60:.0f} min old"
    return None


def _planned(
    sources: Sources, now_s: float, settings: SafetySettings, why: str | None
) -> Choice | None:
    """The last usable plan at the present time, while it is young enough and reaches so far."""
    plan, fallback = sources.usable, settings.fallbacks[sources.problem]
    if plan is None or not plan.usable or now_s - plan.solved_at_s > fallback.hold_s:
        return None
    values = _complete(plan_inputs_at(plan, now_s), fallback.inputs)
    if values is None:
        return None
    age_min = (now_s - plan.solved_at_s) / 60
    if why is None:
        reason = f"{sources.problem}: plan of {age_min:.0f} min ago ({plan.status})."
        return Choice(sources.problem, values, Origin.PLAN, reason)
    reason = f"{sources.problem}: {why}; following the plan of {age_min:.0f} min ago."
    return Choice(sources.problem, values, Origin.HELD_PLAN, reason)


def _held_beyond_plan(
    sources: Sources, now_s: float, settings: SafetySettings, why: str | None
) -> Choice | None:
    """Gases as the plant holds them, until the last usable plan is too old. Never feeds."""
    plan, fallback = sources.usable, settings.fallbacks[sources.problem]
    if plan is None or not plan.usable or not set(fallback.inputs) <= set(settings.gases):
        return None
    values = _complete(sources.held, fallback.inputs)
    if values is None or not 0.0 <= now_s - plan.solved_at_s <= fallback.hold_s:
        return None
    why = why or "the plan ends before now"
    reason = f"{sources.problem}: {why}; holding the gas flows."
    return Choice(sources.problem, values, Origin.HELD_PLAN, reason)


def _from_recipe(sources: Sources, inputs: Sequence[str], why: str | None) -> Choice | None:
    """The recipe's rates, when it gives one for every input of the problem."""
    recipe, time_h = sources.recipe, sources.batch_time_h
    if recipe is None or time_h is None or not isfinite(time_h):
        return None
    if not set(inputs) <= set(recipe.input_names):
        return None
    values = {name: recipe.rate(name, time_h) for name in inputs}
    why = why or "the plan ends before now"
    reason = f"{sources.problem}: {why}; following the recipe at {time_h:.1f} h."
    return Choice(sources.problem, values, Origin.RECIPE, reason)


def _complete(values: Mapping[str, float] | None, inputs: Sequence[str]) -> dict[str, float] | None:
    """The values of these inputs, None unless each is there and finite."""
    if values is None or not all(isfinite(values.get(name, float("nan"))) for name in inputs):
        return None
    return {name: values[name] for name in inputs}
