"""Why a plan is as it is: what holds it back, and what each wish contributes."""

from collections.abc import Iterator

import numpy as np

from controllers.arrays import Flags, Floats
from controllers.bounds import Ends
from controllers.check import Looked, Parts, totals
from controllers.plan import Active
from controllers.points import Candidate
from controllers.situation import Situation
from controllers.transcription import input_scales

NEAR = 0.02
"""Distance at which a limit counts as reached, in units of its scale."""


def terms_of(parts: Parts, candidate: Candidate, parameters: Floats) -> dict[str, float]:
    """What each term of the objective contributes; those that are nothing are left out."""
    (values,) = parts.program.term_values(candidate.point.decision, parameters)
    named = dict(zip(parts.program.terms, values.tolist(), strict=True))
    if parts.problem.scenarios.worst_case:
        named["worst scenario beyond the mean"] = candidate.objective - sum(named.values())
    return {name: value for name, value in named.items() if value != 0.0}


def active_of(
    parts: Parts, situation: Situation, ends: Ends, candidate: Candidate, looked: Looked
) -> tuple[Active, ...]:
    """Limits, bounds and sums that are reached somewhere, with what they cost."""
    return (
        *_limits(parts, situation, ends, candidate, looked),
        *_bounds(parts, situation, ends, candidate, looked),
        *_totals(parts, situation, ends, candidate, looked),
    )


def _limits(
    parts: Parts, situation: Situation, ends: Ends, candidate: Candidate, looked: Looked
) -> Iterator[Active]:
    """Limits of outputs, less their margins."""
    problem, names = parts.problem, parts.problem.model.output_names
    multipliers = candidate.point.constraint_multipliers[parts.program.rows.sides]
    for i, side in enumerate(problem.sides):
        limit = side.limit
        value = looked.outputs[..., names.index(limit.output)]
        # What holds the plan back is the limit less its margin.
        reached = side.sign * (value - ends.sides[:, i]) > -NEAR * limit.scale
        worth = float(np.abs(multipliers[..., i]).sum()) / limit.scale
        margins = np.where(reached.any(axis=0), np.abs(ends.sides[:, i] - side.end), 0.0)
        margin = float(margins.max())
        yield from _active(
            limit.output,
            "limit",
            side.sign,
            side.end,
            reached,
            worth,
            situation,
            looked.stretch,
            margin,
        )


def _bounds(
    parts: Parts, situation: Situation, ends: Ends, candidate: Candidate, looked: Looked
) -> Iterator[Active]:
    """Upper bounds of inputs; an input at its lower bound is not told."""
    scales = input_scales(parts.problem)
    multipliers = candidate.point.bound_multipliers[parts.program.layout.inputs]
    for i, name in enumerate(parts.problem.decided):
        value, high = looked.inputs[..., i], float(ends.inputs[i, 1])
        pressing = np.maximum(multipliers[..., i], 0.0)
        reached = value >= high - 1e-6 * abs(high)
        worth = float(pressing[reached].sum()) / scales[i]
        yield from _active(name, "bound", 1, high, reached, worth, situation, looked.stretch)


def _totals(
    parts: Parts, situation: Situation, ends: Ends, candidate: Candidate, looked: Looked
) -> Iterator[Active]:
    """Sums of inputs."""
    multipliers = candidate.point.constraint_multipliers[parts.program.rows.totals]
    sums = totals(parts.problem, situation, looked.inputs)
    for i, item in enumerate(parts.problem.totals):
        worth = float(np.abs(multipliers[..., i]).sum()) / item.upper
        reached = sums[..., i] >= ends.totals[:, i] * (1 - 1e-6)
        yield from _active(
            item.name, "total", 1, item.upper, reached, worth, situation, looked.stretch
        )


def _active(
    name: str,
    kind: str,
    sign: int,
    bound: float,
    reached: Flags,
    worth: float,
    situation: Situation,
    stretch: float,
    margin: float = 0.0,
) -> Iterator[Active]:
    """One bound if any scenario reaches it in any piece."""
    pieces = np.flatnonzero(reached.any(axis=0))
    if pieces.size:
        lengths_h = situation.lengths_h(stretch)
        ends_h = np.cumsum(lengths_h)
        begins_h = ends_h - lengths_h
        yield Active(
            name=name,
            kind=kind,
            side="upper" if sign > 0 else "lower",
            bound=bound,
            first_h=float(begins_h[pieces[0]]),
            last_h=float(ends_h[pieces[-1]]),
            worth=worth,
            margin=margin,
        )
