"""Why a plan is as it is, as data: what binds it, what it weighs, what it changes. Pure.

Everything is computed from what a record holds: the plan and the one before, their forecasts and
the batch's header. So a report and the page of a running agent tell the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan

from controllers.plan import AT_HARVEST, VIOLATION_OF, Active, Plan
from mpc_agent.input_use import Use, end_h, uses
from mpc_agent.record import BatchHeader, Forecast

VIOLATED = 1e-4
"""Cost of violations above which multipliers tell of the limits' weights more than of product; what
an interior-point method leaves where nothing is violated is less."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The newest usable plan of a problem and the one before, each with its forecasts.

    Attributes:
        plan: the newest one.
        expected: what was expected at harvest when it was made, by "plan" and "recipe".
        previous: the one before; None for the first one, or the first since a start.
        previous_expected: what was expected then.
    """

    plan: Plan
    expected: Mapping[str, Forecast]
    previous: Plan | None = None
    previous_expected: Mapping[str, Forecast] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit, bound or sum that holds the plan back.

    Attributes:
        name: the output, input or sum.
        kind: "limit", "bound" or "total".
        side: "lower" or "upper".
        bound: its value.
        unit: its unit; empty where it is not known.
        from_h, to_h: from when to when it is reached, hours since inoculation; it need not be in
            between.
        margin: largest distance that is kept from it.
        beyond: by how much the plan is on its wrong side at worst; 0 where it is kept.
        worth: what one unit more would gain at harvest, in the unit of what is maximised; NaN where
            nothing is maximised, or while limits are violated: their weights, not product, are
            what a multiplier tells of then.
    """

    name: str
    kind: str
    side: str
    bound: float
    unit: str
    from_h: float
    to_h: float
    margin: float
    beyond: float
    worth: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one term of the objective contributes.

    Attributes:
        name: the term.
        value: in the objective's own unit; costs are positive.
        worth: the same as what would be gained at harvest, so that gains are positive; NaN where
            nothing is maximised.
    """

    name: str
    value: float
    worth: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a plan is as it is.

    Attributes:
        problem: which problem it solves.
        solved_h: when it was made, hours since inoculation.
        end_h: where it ends, which is the planned harvest for a plan of the feeds.
        previous_h, previous_end_h: the same of the plan before; NaN without one.
        maximised: the output that is maximised at harvest; empty where none is.
        unit: its unit.
        expected: what is expected at harvest by following the "plan" or the "recipe".
        previous_expected: what was expected when the plan before was made.
        uses: what it gives of each input, and what others would.
        limits: what holds it back, those reached first first.
        terms: what the objective is made of, the largest first.
    """

    problem: str
    solved_h: float
    end_h: float
    previous_h: float
    previous_end_h: float
    maximised: str
    unit: str
    expected: Mapping[str, Forecast]
    previous_expected: Mapping[str, Forecast]
    uses: tuple[Use, ...]
    limits: tuple[Reached, ...]
    terms: tuple[Contribution, ...]

    @property
    def expected_change(self) -> float:
        """By how much more is expected at harvest than when the plan before was made."""
        new, old = self.expected.get("plan"), self.previous_expected.get("plan")
        return nan if new is None or old is None else new.value - old.value

    @property
    def recipe_lead(self) -> float:
        """By how much more the plan is expected to give than the recipe from its start on."""
        plan, recipe = self.expected.get("plan"), self.expected.get("recipe")
        return nan if plan is None or recipe is None else plan.value - recipe.value


def follow(
    followed: Followed | None, plan: Plan | None, expected: Mapping[str, Forecast]
) -> Followed | None:
    """What is followed after another cycle, which knows this plan of the problem, or none."""
    if plan is None or not plan.usable:
        return followed
    if followed is None:
        return Followed(plan, expected)
    if plan.solved_at_s == followed.plan.solved_at_s:
        return followed
    return Followed(plan, expected, followed.plan, followed.expected)


def explain(header: BatchHeader, followed: Followed) -> Explanation:
    """Why the newest plan is as it is."""
    plan, previous = followed.plan, followed.previous
    start_h = header.hours(plan.solved_at_s)
    maximised, exchange = _exchange(header, plan)
    broken = [value for name, value in plan.terms.items() if name.startswith(VIOLATION_OF)]
    multipliers = exchange if sum(map(abs, broken)) <= VIOLATED else nan
    units = {item.name: item.unit for item in (*header.inputs, *header.outputs)}
    limits = [_reached(header, plan, active, units, multipliers) for active in plan.active]
    terms = [
        Contribution(name, value, -exchange * value)
        for name, value in sorted(plan.terms.items(), key=lambda item: -abs(item[1]))
    ]
    return Explanation(
        problem=plan.problem,
        solved_h=start_h,
        end_h=start_h + float(plan.grid_h[-1]),
        previous_h=nan if previous is None else header.hours(previous.solved_at_s),
        previous_end_h=nan if previous is None else end_h(header, previous),
        maximised=maximised,
        unit=units.get(maximised, ""),
        expected=followed.expected if maximised else {},
        previous_expected=followed.previous_expected if maximised else {},
        uses=tuple(uses(header, plan, previous)) if maximised else (),
        limits=tuple(sorted(limits, key=lambda item: (item.from_h, item.to_h))),
        terms=tuple(terms),
    )


def _exchange(header: BatchHeader, plan: Plan) -> tuple[str, float]:
    """What is maximised at harvest, and how much of it counts as one in the objective.

    A quotient, such as product per hour, counts as it would if only its dividend changed.
    """
    names = [item.name for item in header.outputs]
    for term, value in plan.terms.items():
        output = term.removesuffix(AT_HARVEST)
        if output != term and output in names and value < 0.0:
            return output, float(plan.outputs[-1, names.index(output)]) / -value
    return "", nan


# ------------------------------------------------------------------ limits


def _reached(
    header: BatchHeader, plan: Plan, active: Active, units: Mapping[str, str], exchange: float
) -> Reached:
    start_h = header.hours(plan.solved_at_s)
    return Reached(
        name=active.name,
        kind=active.kind,
        side=active.side,
        bound=active.bound,
        unit=units.get(active.name, ""),
        from_h=start_h + active.first_h,
        to_h=start_h + active.last_h,
        margin=active.margin,
        beyond=_beyond(header, plan, active),
        worth=active.worth * exchange,
    )


def _beyond(header: BatchHeader, plan: Plan, active: Active) -> float:
    """By how much the plan is on the wrong side of a limit, at worst; rounding is nothing."""
    names = [item.name for item in header.outputs]
    if active.kind != "limit" or plan.terms.get(f"{VIOLATION_OF}{active.name}", 0.0) <= VIOLATED:
        return 0.0
    sign = 1.0 if active.side == "upper" else -1.0
    values = plan.outputs[:, names.index(active.name)]
    return max(0.0, float((sign * (values - active.bound)).max()))
