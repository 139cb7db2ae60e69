"""Sections about the two optimal control problems."""

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mpc_agent.config.base import Items, NotNegative, Positive, Section


class DecidedSection(Section):
    """One input that the optimiser chooses, in the unit of the model's input."""

    lower: float
    """Smallest value."""
    upper: float
    """Largest value."""
    move_weight: NotNegative = 1e-3
    """Cost of a squared change between pieces, in units of the input's scale."""
    effort_weight: NotNegative = 0.0
    """Cost of using the input, in units of its scale, per piece."""
    max_move: Positive | None = None
    """Largest change from one piece to the next."""

    @model_validator(mode="after")
    def _ordered(self) -> "DecidedSection":
        if self.lower >= self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        return self


class LimitSection(Section):
    """An interval that an output of the model must stay in, in the output's unit."""

    output: str
    """Output of the model."""
    lower: float | None = None
    """Lower end, or null."""
    upper: float | None = None
    """Upper end, or null."""
    scale: Positive
    """Size of a violation that counts as one."""
    weight: Positive | None = None
    """Cost of a violation of that size in one piece."""
    hard: bool = False
    """Whether a plan that violates the limit is refused."""
    margin_deviations: NotNegative = 0.0
    """Standard deviations of the forecast to keep from the limit."""
    margin_max: Positive | None = None
    """Largest distance so kept, in the output's unit; null for no bound."""

    @model_validator(mode="after")
    def _possible(self) -> "LimitSection":
        if self.lower is None and self.upper is None:
            raise ValueError("needs lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        if self.hard == (self.weight is not None):
            raise ValueError("needs either hard: true or a weight, not both")
        return self


class MaximiseSection(Section):
    """What a problem maximises at the end of its horizon."""

    output: str
    """Output of the model."""
    scale: Positive
    """Value of the output that counts as one in the objective."""


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


class ProblemSection(Section):
    """What both problems share."""

    pieces: Annotated[int, Field(ge=1, le=200)]
    """Pieces of the horizon; inputs are constant in each."""
    degree: Annotated[int, Field(ge=1, le=5)] = 3
    """Collocation points in each piece."""
    check_steps: Annotated[int, Field(ge=1, le=2000)] = 32
    """Integrator's steps between two collocation points when a plan is simulated. More for fast
    models on long pieces."""
    defect_max: Positive = 0.02
    """Largest difference between a plan and its simulation, in units of each state's scale; a plan
    that differs more is refused. Larger for states that are much faster than a piece."""
    inputs: Annotated[dict[str, DecidedSection], Field(min_length=1)]
    """Inputs that are decided; all others are taken as they are."""
    limits: Items[LimitSection] = ()
    """Intervals for outputs."""
    held_states: Items[str] = ()
    """States taken as constant over the horizon, because they are much slower than it or because
    other loops hold them."""
    guess_held_states: Items[str] = ()
    """Further states held while the guess for a first solve is simulated, because a recipe that is
    a little off drives them far away, such as the substrate of a dense culture."""


class FeedSection(ProblemSection):
    """The economic problem: feeds until harvest."""

    interval_s: Positive = 7200.0
    """Time between two solves."""
    maximise: MaximiseSection
    """What is maximised."""
    after_samples: bool = True
    """Whether the feeds are also planned again when a lab result was fused."""
    from_h: NotNegative = 0.0
    """Planning begins at this hour after inoculation; the recipe is followed before it. For batches
    that begin with a phase in which there is nothing to decide."""
    foreseen: dict[str, float] = Field(default_factory=dict)
    """Inputs that others set, as they are expected to be until harvest, in the model's unit: the
    largest kLa, where the control unit's oxygen loop will use it when it is needed. Inputs that
    are neither here nor in the recipe are expected to stay as they are, other liquids to stop."""


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
