"""Sections about the two optimal control problems."""

from itertools import pairwise
from math import floor
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from controllers.problem import Per
from mpc_agent.config.base import NotNegative, NumberOrInterval, Positive, Section
from mpc_agent.config.schema_problem import DecidedSection, ProblemSection


class MaximiseSection(Section):
    """What a problem maximises at the end of its horizon."""

    output: str
    """Output of the model."""
    scale: Positive
    """Value of the output that counts as one in the objective: what a good batch has at harvest.
    All weights and prices are against this one."""
    per: Per = Field(default=Per.BATCH, strict=False)
    """What it is divided by. `batch`: nothing. `hour`: hours from inoculation to harvest and those
    of `extra`, which is productivity and moves a free harvest forward. `feed`: litres fed until
    harvest and those of `extra`, which is yield and saves feed."""
    extra: NotNegative = 0.0
    """Hours of turning the vessel round (per: hour); litres of feed that the medium at inoculation
    is worth, above 0 (per: feed)."""

    @model_validator(mode="after")
    def _divided(self) -> "MaximiseSection":
        if self.per is Per.FEED and self.extra == 0:
            raise ValueError(
                "per: feed needs extra, the litres of feed that the medium is worth, above 0"
            )
        if self.per is Per.BATCH and self.extra > 0:
            raise ValueError("extra counts only with per: hour or per: feed")
        return self


def _rows(value: object) -> object:
    """One value holds from the start, so it is a schedule of one row."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [[0.0, float(value)]]
    return value


def _rising(rows: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    hours = [hour for hour, _ in rows]
    if not rows or hours[0] != 0:
        raise ValueError("must begin at hour 0, such as [[0, 60], [72, 50]]")
    if any(later <= earlier for earlier, later in pairwise(hours)):
        raise ValueError("must have hours that rise from row to row")
    return rows


ScheduleRows = Annotated[
    tuple[Annotated[tuple[float, float], Field(strict=False)], ...],
    Field(strict=False),
    BeforeValidator(_rows),
    AfterValidator(_rising),
]


class TrackedSection(Section):
    """An output that follows a setpoint."""

    setpoint: ScheduleRows
    """One value for the whole batch, or rows `[hour since inoculation, value]`, each holding until
    the next."""
    weight: Positive = 1.0
    """Cost of a squared deviation of one scale."""
    scale: Positive
    """Deviation that counts as one, in the output's unit."""


class BolusSection(Section):
    """A liquid that may be poured at certain times, each time as much as the plan says."""

    smallest_L: NotNegative
    """Smallest volume worth pouring; less is none."""
    largest_L: Positive
    """Largest volume at one time."""
    at_h: Annotated[tuple[NotNegative, ...], Field(strict=False)] = ()
    """When it may be poured, such as [96, 144, 192]; the plan's grid goes through these hours."""
    every_h: Positive | None = None
    """In place of at_h: the hours between two times, from from_h until harvest, the earliest one
    where it is free."""
    from_h: NotNegative | None = None
    """With every_h: the first time."""
    over_s: Positive
    """How long the pump takes, in whole cycles: the agent spreads the volume evenly over them. The
    plan counts it as poured at once, so this is to be short against a piece."""
    price: NotNegative = 0.0
    """Cost of a litre, in the objective's unit, where `maximise.scale` of the maximised output is
    worth one."""

    @model_validator(mode="after")
    def _possible(self) -> "BolusSection":
        if self.smallest_L > self.largest_L:
            low, high = f"{self.smallest_L:g}", f"{self.largest_L:g}"
            raise ValueError(f"smallest_L, {low}, must not be above largest_L, {high}")
        if bool(self.at_h) == (self.every_h is not None):
            raise ValueError("needs either at_h, or every_h and from_h")
        if (self.every_h is None) != (self.from_h is None):
            raise ValueError("every_h and from_h go together")
        if any(later <= earlier for earlier, later in pairwise(self.at_h)):
            raise ValueError("at_h must have hours that rise")
        return self

    def count(self, harvest_h: float) -> int:
        """How many times there are before harvest."""
        if self.every_h is None or self.from_h is None:
            return sum(at_h < harvest_h for at_h in self.at_h)
        last_h = harvest_h - self.from_h - self.over_s / 3600
        return max(floor(last_h / self.every_h + 1e-9) + 1, 0)

    def times_h(self, harvest_h: float) -> tuple[float, ...]:
        """Hours since inoculation at which it may be poured, the last one done before harvest."""
        if self.every_h is None or self.from_h is None:
            return self.at_h
        return tuple(self.from_h + i * self.every_h for i in range(self.count(harvest_h)))


class ScenariosSection(Section):
    """Courses of the plant that one plan must be good for: hard limits hold in all of them.

    The first one is what the filter expects; two more for each direction, one on either side.
    """

    directions: Annotated[int, Field(ge=1, le=10)] = 2
    """How many combinations of what the filter does not know (states and learnt parameters) are
    followed: those that change most what is limited or maximised. With 2, five scenarios. More:
    safer, slower in proportion."""
    deviations: Annotated[float, Field(gt=0, le=10)] = 1.5
    """How far along each direction, in standard deviations. Larger: fewer violations, less
    product."""
    common_pieces: Annotated[int, Field(ge=1, le=200)] | None = None
    """Pieces in which all scenarios have the same inputs; null: one, or as common_h says. After
    that each may have its own, because until then measurements will have told which one is true.
    More: more cautious."""
    common_h: Positive | None = None
    """The same in hours: all pieces that begin within them, on the grid of the first plan."""
    objective: Literal["expected", "worst"] = "expected"
    """`expected`: the mean of all scenarios counts. `worst`: that of the worst one."""

    @model_validator(mode="after")
    def _either(self) -> "ScenariosSection":
        if self.common_h is not None and self.common_pieces is not None:
            raise ValueError("needs common_h or common_pieces, not both")
        return self


class HarvestSection(Section):
    """A harvest that the plan chooses."""

    earliest_h: NotNegative
    """Earliest harvest, hours since inoculation; the latest one is batch.harvest_h. Only what is
    maximised per hour, or what decays, makes an early one worth while."""


Interval = Annotated[tuple[float, float], Field(strict=False)]


class FeedSection(ProblemSection):
    """The economic problem: feeds until harvest."""

    inputs: dict[str, DecidedSection] = Field(default_factory=dict)
    """Inputs that are decided as flows; none where all that is decided is poured."""

    interval_s: Positive = 7200.0
    """Time between two solves."""
    maximise: MaximiseSection | None = None
    """What is maximised at harvest; null where `rewarded` says what counts."""
    after_samples: bool = True
    """Whether the feeds are also planned again when a lab result was fused."""
    from_h: NotNegative = 0.0
    """Planning begins at this hour after inoculation; the recipe is followed before it. For batches
    that begin with a phase in which there is nothing to decide."""
    foreseen: dict[str, NumberOrInterval] = Field(default_factory=dict)
    """Inputs that others set, as they are expected to be until harvest, in the model's unit: the
    largest kLa, where the control unit's oxygen loop will use it when it is needed. An interval
    `[lower, upper]` instead of a number: whatever the limits of this problem need, such as base
    where pH has a lower limit, so that the plan knows what volume it will take. Inputs that are
    neither here nor in the recipe are expected to stay as they are, other liquids to stop."""
    held_levels: dict[str, float] = Field(default_factory=dict)
    """Levels at which other loops will hold some of `held_states`, in the state's unit; the others
    are expected to stay as they are now."""
    first_piece_h: Positive | None = None
    """Length of the first piece; the others widen by a common factor until harvest. Fine now,
    coarse later: fewer pieces for the same plan. Null: equal ones."""
    afresh_h: Positive = 24.0
    """Hours between two solves that also begin afresh from the recipe, in case there is a better
    optimum than the one that the last plans are in. The better one of both is taken."""
    boluses: dict[str, BolusSection] = Field(default_factory=dict)
    """Liquids that may be poured at certain times, by input of the model. The same input may be
    decided as a flow, too."""
    harvest: HarvestSection | None = None
    """Whether the plan chooses the harvest; null: at batch.harvest_h. Boluses must then be done by
    its earliest_h, because their times are the clock's."""
    scenarios: ScenariosSection | None = None
    """Courses of the plant that the plan must be good for; null: the expected one alone, with the
    limits' margins for what is not known."""

    def poured_until_h(self, harvest_h: float) -> float:
        """When the last bolus must be done: at harvest, the earliest one where it is free."""
        return harvest_h if self.harvest is None else self.harvest.earliest_h

    @property
    def as_needed(self) -> dict[str, tuple[float, float]]:
        """Inputs that others set as the limits need them, with the interval they do it in."""
        return {name: value for name, value in self.foreseen.items() if isinstance(value, tuple)}

    @property
    def planned(self) -> tuple[str, ...]:
        """Inputs that a plan has values for: those decided, and those that others set."""
        return (*self.inputs, *self.as_needed)

    @model_validator(mode="after")
    def _wants_something(self) -> "FeedSection":
        if self.maximise is None and not self.rewarded:
            raise ValueError("needs maximise, rewarded or both")
        if not self.inputs and not self.boluses:
            raise ValueError("needs inputs, boluses or both")
        return self


class GasSection(ProblemSection):
    """The tracking problem: gases over the next tens of minutes, solved in every cycle."""

    piece_s: Positive = 600.0
    """Length of a piece."""
    tracked: Annotated[dict[str, TrackedSection], Field(min_length=1)]
    """Outputs that follow setpoints."""


class ControlSection(Section):
    """The optimal control problems."""

    feed: FeedSection
    """Feeds until harvest."""
    gas: GasSection | None = None
    """Gases over the next tens of minutes; null where the plant's control unit holds them."""

    @property
    def problems(self) -> tuple[tuple[str, ProblemSection], ...]:
        """The problems that are there, by name."""
        feed: tuple[tuple[str, ProblemSection], ...] = (("feed", self.feed),)
        return feed if self.gas is None else (*feed, ("gas", self.gas))

    @property
    def written(self) -> dict[str, tuple[str, ...]]:
        """The inputs that each problem's plans set, those of boluses included, by its name."""
        names = {name: tuple(part.inputs) for name, part in self.problems}
        names["feed"] = tuple(dict.fromkeys((*self.feed.inputs, *self.feed.boluses)))
        return names
