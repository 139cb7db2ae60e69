"""Plans of a batch as rows of tables: why each is as it is, and how it differs from others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from mpc_agent.explanation import Explanation, Followed, Reached, explain, follow
from mpc_agent.input_use import Difference, Use
from mpc_agent.record import BatchHeader, Forecast
from mpc_agent.report.panel import pretty_unit
from mpc_agent.report.plan_words import (
    When,
    amount,
    banded,
    marked,
    position,
    sentences,
    worth,
)
from mpc_agent.report.tables import day_of
from mpc_agent.report.traces import thinned
from mpc_agent.values import Plan

TITLES = {"feed": "Feeds", "gas": "Gases"}
"""Problems as people call them."""

MOST_PLANS = 400
"""Plans in a table."""

SHOWN_SHARE = 1e-4
"""Share of the largest term of an objective under which a term is not shown."""


@dataclass(frozen=True)
class UseRow:
    """One input until harvest.

    Attributes:
        name: in the model.
        unit: of the amounts, as people write it.
        plan, before, recipe: amounts by this plan, by the plan before, by the recipe.
        from_before, from_recipe: differences from them.
        marked: whether the plan before gave markedly more or less.
        rate: largest difference of the rate from the plan before, and when; empty where nothing
            differs markedly on the way.
    """

    name: str
    unit: str
    plan: str
    before: str
    recipe: str
    from_before: str
    from_recipe: str
    marked: bool
    rate: str


@dataclass(frozen=True)
class LimitRow:
    """One limit that holds a plan back.

    Attributes:
        name: of the limited quantity.
        position: which end, and how near.
        when: from when to when.
        begin, width: the same in percent of the time until the plan's end.
        beyond: by how much it is missed, empty where it is kept.
        worth: what a little more room would gain; empty where that is little, or not known.
    """

    name: str
    position: str
    when: str
    begin: float
    width: float
    beyond: str
    worth: str


@dataclass(frozen=True)
class TermRow:
    """One term of the objective.

    Attributes:
        name: the term.
        value: what it gains or costs.
        percent: its size against the largest term.
        gain: whether it is a gain.
    """

    name: str
    value: str
    percent: float
    gain: bool


@dataclass(frozen=True)
class Why:
    """Why the newest plan of one problem is as it is.

    Attributes:
        title: of the problem.
        made: when it was made.
        sentences: what matters most.
        uses: inputs until harvest; empty for a problem without a harvest.
        limits: what holds it back.
        terms: what the objective is made of.
        unit: of the terms, empty for the objective's own.
        compared: whether there is a plan before.
    """

    title: str
    made: str
    sentences: tuple[str, ...]
    uses: tuple[UseRow, ...]
    limits: tuple[LimitRow, ...]
    terms: tuple[TermRow, ...]
    unit: str
    compared: bool


@dataclass(frozen=True)
class HistoryRow:
    """One plan among all of a batch.

    Attributes:
        when: it was made.
        end: planned harvest.
        expected: product at harvest, with its band.
        change: from what was expected with the plan before.
        lead: over the recipe.
        uses: its inputs.
        limits: what holds it back, in a few words.
        sentences: all of it in words.
    """

    when: str
    end: str
    expected: str
    change: str
    lead: str
    uses: tuple[UseRow, ...]
    limits: str
    sentences: tuple[str, ...]


@dataclass
class Plans:
    """The plans of a batch, seen cycle by cycle.

    Attributes:
        header: what was known of the batch before.
        newest: newest usable plan of each problem, with the one before.
    """

    header: BatchHeader
    newest: dict[str, Followed] = field(default_factory=dict)

    def see(self, plans: Mapping[str, Plan], expected: Mapping[str, Forecast]) -> None:
        """Take in one cycle's plans and forecasts."""
        for name, plan in plans.items():
            followed = follow(self.newest.get(name), plan, expected)
            if followed is not None:
                self.newest[name] = followed

    def explanations(self) -> tuple[Explanation, ...]:
        """Of the newest plans, those that end at harvest first."""
        told = [explain(self.header, followed) for followed in self.newest.values()]
        return tuple(sorted(told, key=lambda item: (not item.maximised, item.problem)))

    def content(self) -> list[Why]:
        """The same, ready to be shown."""
        return [why(self.header, told) for told in self.explanations()]


def why(header: BatchHeader, told: Explanation) -> Why:
    """An explanation, ready to be shown."""
    in_product = bool(told.unit) and bool(told.expected)
    return Why(
        title=TITLES.get(told.problem, told.problem),
        made=day_of(header, header.inoculated_at_s + 3600 * told.solved_h),
        sentences=sentences(header, told),
        uses=tuple(_use(header, told, use) for use in told.uses),
        limits=tuple(_limit(header, told, item) for item in told.limits),
        terms=tuple(_terms(told, in_product=in_product)),
        unit=pretty_unit(told.unit) if in_product else "",
        compared=isfinite(told.previous_h),
    )


@dataclass(frozen=True)
class History:
    """The plans that end at harvest, in order.

    Attributes:
        rows: those that are shown, evenly chosen if there are too many.
        count: how many there are.
    """

    rows: tuple[HistoryRow, ...]
    count: int


def history(header: BatchHeader, plans: Sequence[Followed]) -> History | None:
    """All plans of one problem; None for a problem that does not go to harvest."""
    told = [explain(header, plans[place]) for place in thinned(len(plans), MOST_PLANS)]
    rows = tuple(_history_row(header, item) for item in told if item.expected)
    return History(rows, len(plans)) if rows else None


def _history_row(header: BatchHeader, told: Explanation) -> HistoryRow:
    return HistoryRow(
        when=day_of(header, header.inoculated_at_s + 3600 * told.solved_h),
        end=When(header).number(told.end_h),
        expected=banded(told.expected["plan"], told.unit) if "plan" in told.expected else "",
        change=_signed(told.expected_change),
        lead=_signed(told.recipe_lead),
        uses=tuple(_use(header, told, use) for use in told.uses),
        limits=_limits_in_brief(told),
        sentences=sentences(header, told),
    )


def _limits_in_brief(told: Explanation) -> str:
    """Names of what is reached, with arrows for upper and lower ends."""
    sides: dict[str, str] = {}
    for item in told.limits:
        arrow = "\u2191" if item.side == "upper" else "\u2193"
        sides[item.name] = sides.get(item.name, "").replace(arrow, "") + arrow
    return ", ".join(f"{name} {arrows}" for name, arrows in sides.items())


def _use(header: BatchHeader, told: Explanation, use: Use) -> UseRow:
    before, rate = use.from_previous, ""
    if before is not None and marked(told, use, before.ahead):
        changed = amount(before.rate, use.rate_unit, signed=True)
        rate = f"{changed} {When(header).at(before.rate_h)}"
    return UseRow(
        name=use.name,
        unit=pretty_unit(use.unit),
        plan=_known(use.by_plan),
        before=_known(use.by_previous),
        recipe=_known(use.by_recipe),
        from_before=_amount_of(before),
        from_recipe=_amount_of(use.from_recipe),
        marked=before is not None and marked(told, use, before.amount),
        rate=rate,
    )


def _known(value: float) -> str:
    return amount(value, "") if isfinite(value) else ""


def _signed(value: float) -> str:
    return amount(value, "", signed=True) if isfinite(value) else ""


def _amount_of(difference: Difference | None) -> str:
    return "" if difference is None else _signed(difference.amount)


def _limit(header: BatchHeader, told: Explanation, item: Reached) -> LimitRow:
    whole_h = told.end_h - told.solved_h
    begin = 100 * (item.from_h - told.solved_h) / whole_h
    return LimitRow(
        name=item.name,
        position=position(item),
        when=When(header).span(told, item),
        begin=begin,
        width=100 * (item.to_h - item.from_h) / whole_h,
        beyond=amount(item.beyond, item.unit) if item.beyond > 0.0 else "",
        worth=worth(header, told, item),
    )


def _terms(told: Explanation, *, in_product: bool) -> Iterator[TermRow]:
    """Terms by size; traces are left out."""
    largest = max((abs(item.value) for item in told.terms), default=0.0)
    for item in told.terms:
        if abs(item.value) > SHOWN_SHARE * largest:
            shown = item.worth if in_product else -item.value
            value = amount(shown, "", signed=True) if in_product else f"{shown:+.3g}"
            yield TermRow(
                name=item.name.replace("_", " "),
                value=value.replace("-", "\u2212"),
                percent=100 * abs(item.value) / largest,
                gain=item.value < 0.0,
            )
