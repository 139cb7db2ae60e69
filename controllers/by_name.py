"""Problems solved from a script or notebook: where a solve starts, and its plan, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import TypeAlias

import numpy as np

from controllers.arrays import Floats
from controllers.grid import SAME_H, begins_at, even, through
from controllers.plan import Plan
from controllers.problem import Problem
from controllers.situation import Course, Situation
from plant_models.by_name import Table, input_vector, refuse_unknown, state_and_parameters
from plant_models.by_name import table as table_of

Pieces: TypeAlias = float | Sequence[float] | Floats
"""One number, or one for each piece of the horizon."""


def situation(
    problem: Problem,
    hours: float,
    *,
    time_h: float = 0.0,
    known: Mapping[str, float] | None = None,
    inputs: Mapping[str, Pieces] | None = None,
    guess: Mapping[str, Pieces] | None = None,
    setpoints: Mapping[str, float] | None = None,
    others: Sequence[Mapping[str, float]] = (),
    bolus_times_h: Mapping[str, Sequence[float]] | None = None,
    earliest_h: float | None = None,
    fed_L: float = 0.0,
) -> Situation:
    """Where a solve starts, by names, in pieces of one length; what is not said is the model's.

    Args:
        problem: what will be solved.
        hours: from here to the end of the horizon; at the latest, where the harvest is free.
        time_h: hours since inoculation.
        known: states and parameters as they are, or as they are believed to be.
        inputs: inputs as they act now. What is decided moves from there; all else stays there, or
            does what is said for each piece.
        guess: decided inputs from which a cold solve begins; by default as they act now.
        setpoints: of all tracked outputs.
        others: further scenarios of the problem, each by the states and parameters that differ
            from `known`; all scenarios count the same.
        bolus_times_h: hours since inoculation at which each bolus may be poured.
        earliest_h: where the harvest is free, the least hours from here.
        fed_L: litres of the decided and poured liquids that were fed before `time_h`; they count
            where a yield is maximised.

    Raises:
        ValueError: a name is not the problem's, something is missing, or a number is not finite.
    """
    setpoints, bolus_times_h = setpoints or {}, bolus_times_h or {}
    _check(problem, hours, time_h, setpoints, bolus_times_h, others, earliest_h)
    known = known or {}
    state, parameters = state_and_parameters(problem.model, known)
    moments_h = _ahead(problem, hours, time_h, bolus_times_h, earliest_h)
    steps_h = through(even(hours, problem.pieces), moments_h)
    # The times of boluses are the clock's: a free harvest stretches what comes after the last one.
    loose = (np.cumsum(steps_h) - steps_h >= max(moments_h, default=0.0) - SAME_H).astype(float)
    loose_h = float((loose * steps_h).sum())
    names = problem.model.input_names
    given = _pieces(problem, inputs or {}, names, input_vector(problem.model))
    lower, upper = ([getattr(item, end) for item in problem.inputs] for end in ("lower", "upper"))
    previous = np.clip(given[0, [names.index(name) for name in problem.decided]], lower, upper)
    return Situation(
        time_s=3600 * time_h,
        state=state,
        parameters=parameters,
        given=given,
        previous=previous,
        steps_h=steps_h,
        setpoints=np.array([setpoints[item.output] for item in problem.tracked]),
        guess=_pieces(problem, guess or {}, problem.decided, previous),
        courses=_courses(problem, known, others),
        bolus_allowed=begins_at(
            steps_h, time_h, [np.array(bolus_times_h[item.input]) for item in problem.boluses]
        ),
        stretch=(1.0 if earliest_h is None else 1.0 - (hours - earliest_h) / loose_h, 1.0),
        loose=loose,
        batch_h=time_h,
        fed_L=fed_L,
    )


def _courses(
    problem: Problem, known: Mapping[str, float], others: Sequence[Mapping[str, float]]
) -> tuple[Course, ...]:
    """The expected course and the others; none where there are no others."""
    share = 1 / (1 + len(others))
    courses = [state_and_parameters(problem.model, {**known, **each}) for each in ({}, *others)]
    return tuple(Course(*course, share) for course in courses) if others else ()


def _check(
    problem: Problem,
    hours: float,
    time_h: float,
    setpoints: Mapping[str, float],
    bolus_times_h: Mapping[str, Sequence[float]],
    others: Sequence[Mapping[str, float]],
    earliest_h: float | None,
) -> None:
    """Refuse what does not fit the problem."""
    if not 0 < hours < np.inf:
        raise ValueError(f"problem {problem.name}: hours is {hours!r}, but must be positive")
    if not isfinite(time_h):
        raise ValueError(f"problem {problem.name}: time_h is {time_h!r}, but must be finite")
    for what, given, wanted in (
        ("setpoints", setpoints, [item.output for item in problem.tracked]),
        ("times of boluses", bolus_times_h, [item.input for item in problem.boluses]),
    ):
        if sorted(given) != sorted(wanted):
            raise ValueError(
                f"problem {problem.name} needs {what} of {', '.join(wanted) or 'nothing'}, but got "
                f"those of {', '.join(given) or 'nothing'}"
            )
    if earliest_h is not None and not (problem.free_harvest and 0 < earliest_h <= hours):
        raise ValueError(
            f"problem {problem.name}: earliest_h is {earliest_h!r}, but must be within the hours "
            "to harvest, which must be free (free_harvest=True)"
        )
    if others and problem.scenarios.count != 1 + len(others):
        raise ValueError(
            f"problem {problem.name} has {problem.scenarios.count} scenarios: the expected one and "
            f"{problem.scenarios.count - 1} others, not {len(others)}"
        )


def _ahead(
    problem: Problem,
    hours: float,
    time_h: float,
    bolus_times_h: Mapping[str, Sequence[float]],
    earliest_h: float | None,
) -> list[float]:
    """Hours from here to the times of boluses that are ahead, rising."""
    times_h = np.array([at_h for times in bolus_times_h.values() for at_h in times], dtype=float)
    if not np.isfinite(times_h).all():
        raise ValueError(f"problem {problem.name}: times of boluses must be finite, not {times_h}")
    ahead_h = np.unique(times_h) - time_h
    found = [at_h for at_h in ahead_h.tolist() if -SAME_H < at_h < hours - SAME_H]
    inner = [at_h for at_h in found if at_h >= SAME_H]
    if len(inner) >= problem.pieces:
        raise ValueError(
            f"problem {problem.name}: boluses may be poured at {len(inner)} times ahead, but each "
            f"begins a piece: there must be more pieces than {problem.pieces}"
        )
    if earliest_h is not None and found and found[-1] >= earliest_h:
        raise ValueError(
            f"problem {problem.name}: a bolus may be poured at {time_h + found[-1]:g} h, but must "
            f"come before the earliest harvest, {time_h + earliest_h:g} h"
        )
    return found


def _pieces(
    problem: Problem, given: Mapping[str, Pieces], names: Sequence[str], otherwise: Floats
) -> Floats:
    """A row per piece and a column per name."""
    refuse_unknown(problem.model, "such input here,", given, names)
    rows = np.tile(otherwise, (problem.pieces, 1))
    for name, values in given.items():
        column = np.asarray(values, dtype=np.float64)
        if column.shape not in ((), (problem.pieces,)) or not np.isfinite(column).all():
            raise ValueError(
                f"{name} must be one finite number or {problem.pieces}, one for each piece, not "
                f"{values!r}"
            )
        rows[:, list(names).index(name)] = column
    return rows


def plan_table(problem: Problem, plan: Plan) -> Table:
    """A plan as a table: a row for the end of each piece, hours since inoculation.

    Inputs are those that are decided or poured, each as its mean over the piece; columns are in the
    model's units, those of the expected course.

    Raises:
        ValueError: there is no plan; the text says why.
    """
    _refuse_none(plan)
    model = problem.model
    lengths_h = np.diff(plan.grid_h, prepend=0.0)
    columns = dict(zip(plan.decided, plan.inputs.T, strict=True))
    for name, litres in zip(plan.poured, plan.boluses.T, strict=True):
        columns[name] = columns.get(name, 0.0) + litres / lengths_h
    times_h = plan.solved_at_s / 3600 + plan.grid_h
    nothing = np.zeros((len(times_h), len(model.inputs)))
    return replace(table_of(model, times_h, plan.states, plan.outputs, nothing), inputs=columns)


def _refuse_none(plan: Plan) -> None:
    """Refuse what is no plan: read as one, it would stand for the model's nominal inputs."""
    if not plan.usable:
        raise ValueError(f"problem {plan.problem}: no plan, {plan.status}: {plan.message}")


def inputs_of(plan: Plan) -> dict[str, list[tuple[float, float]]]:
    """What a plan decides, as `simulate` takes it: by input, pairs (hour, value from then on).

    Raises:
        ValueError: there is no plan; the text says why.
    """
    _refuse_none(plan)
    begins_h = plan.solved_at_s / 3600 + np.concatenate([[0.0], plan.grid_h[:-1]])
    return {
        name: list(zip(begins_h.tolist(), column.tolist(), strict=True))
        for name, column in zip(plan.decided, plan.inputs.T, strict=True)
    }


def boluses_of(plan: Plan) -> list[tuple[float, str, float]]:
    """What a plan pours, as `simulate` takes it: hour, input, litres.

    Raises:
        ValueError: there is no plan; the text says why.
    """
    _refuse_none(plan)
    return [
        (plan.solved_at_s / 3600 + begin_h, name, litres)
        for name, litres, begin_h, _ in plan.pours()
    ]
