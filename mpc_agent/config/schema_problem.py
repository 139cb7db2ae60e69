"""What both optimal control problems share: inputs, limits, sums, rewards, and how it is solved."""

from typing import Annotated

from pydantic import Field, model_validator

from controllers.problem import Method
from mpc_agent.config.base import Items, NotNegative, Positive, Section


class DecidedSection(Section):
    """One input that the optimiser chooses, in the unit of the model's input."""

    lower: float
    """Smallest value."""
    upper: float
    """Largest value."""
    move_weight: NotNegative = 1e-3
    """Cost of a squared change between pieces, in units of the input's scale. Larger: calmer plans
    that forgo a little; 0: it may jump wherever that gains anything."""
    effort_weight: NotNegative = 0.0
    """Cost of using the input, in units of its scale, per piece of mean length. Keeps an input down
    that is not needed, such as nitrogen, without saying what it costs."""
    price: NotNegative = 0.0
    """Cost of one unit of the input for an hour (of a litre, where the unit is L/h), in the
    objective's unit, where `maximise.scale` of the maximised output is worth one. With a price the
    plan stops feeding where a litre no longer earns what it costs."""
    max_move: Positive | None = None
    """Largest change from one piece to the next, however long the pieces are; null: any."""
    rise_per_h: Positive | None = None
    """Fastest rise, per hour; null: that of safety.inputs, which the plan keeps anyway. Only a
    slower one may be given."""
    fall_per_h: Positive | None = None
    """Fastest fall, per hour; null: that of safety.inputs, which the plan keeps anyway, and any for
    a feed, which the guard always lets fall at once. Only a slower one may be given."""

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
    """Cost of a violation of that size in one piece of mean length. A plan violates a soft limit
    where that gains more than it costs, or where it cannot be kept."""
    hard: bool = False
    """Whether a plan that violates the limit is refused."""
    gives_way: Annotated[int, Field(ge=1, le=100)] = 1
    """Order in which hard limits are given up when no plan keeps them all: the lowest number first.
    The plan says which one it is, when and by how much."""
    margin_deviations: NotNegative = 0.0
    """Standard deviations of the forecast to keep from the limit. Larger: fewer violations, less
    product."""
    margin_max: Positive | None = None
    """Largest distance so kept, in the output's unit; null for no bound. Far ahead the forecast is
    vague, but there will be measurements until then."""

    @model_validator(mode="after")
    def _possible(self) -> "LimitSection":
        if self.lower is None and self.upper is None:
            raise ValueError("needs lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        if self.hard == (self.weight is not None):
            raise ValueError("needs either hard: true or a weight, not both")
        if self.gives_way != 1 and not self.hard:
            raise ValueError("gives_way is for hard limits; a soft one gives way by its weight")
        return self


class TotalSection(Section):
    """A sum of inputs that no piece of the plan exceeds, such as all feeds through one filter."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    """How plans and reports call it."""
    inputs: Annotated[Items[str], Field(min_length=1)]
    """Inputs of the model with one common unit; those that are not decided count as they are
    expected to be."""
    upper: float
    """Largest sum, in that unit. The sum of the sparged gases is not given here: the plan keeps
    safety.max_sparge_L_per_h by itself."""


class RewardedSection(Section):
    """An output that counts at the end of every piece, not only at the end of the horizon."""

    output: str
    """Output of the model."""
    weight: float
    """What the value `scale` is worth at the end of one piece of mean length; negative makes it a
    cost."""
    scale: Positive
    """Value of the output that counts as one."""

    @model_validator(mode="after")
    def _counts(self) -> "RewardedSection":
        if self.weight == 0:
            raise ValueError("weight must not be 0: it would count for nothing")
        return self


class ProblemSection(Section):
    """What both problems share."""

    pieces: Annotated[int, Field(ge=1, le=200)]
    """Pieces of the horizon; inputs are constant in each. More pieces: a finer plan, a slower
    solve."""
    degree: Annotated[int, Field(ge=1, le=5)] = 3
    """Radau collocation points in each element; without effect with the method shooting. More:
    more exact on smooth courses, slower."""
    elements: Annotated[int, Field(ge=1, le=20)] = 1
    """Elements of collocation in each piece, or Runge-Kutta steps with the method shooting. More of
    them for states that move fast within a piece; the solve takes longer in proportion."""
    method: Method = Field(default=Method.COLLOCATION, strict=False)
    """How the model's equations become those of a program. `collocation`: any model, pieces of any
    length. `shooting`: Runge-Kutta steps and sequential quadratic programming, several times faster
    for small problems whose pieces are short against the model's fastest mode; not with a free
    harvest, nor with the worst case or more than one common piece of scenarios."""
    check_steps: Annotated[int, Field(ge=1, le=2000)] = 4
    """Integrator's steps between two collocation points where the simulation of a plan begins; they
    are doubled until that changes nothing any more. More saves doublings for fast models on long
    pieces; the result is the same."""
    defect_max: Positive = 0.02
    """Largest difference between a plan and its simulation, in units of each state's scale; a plan
    that differs more is refused. Larger for states that are much faster than a piece."""
    inputs: Annotated[dict[str, DecidedSection], Field(min_length=1)]
    """Inputs that are decided; all others are taken as they are."""
    limits: Items[LimitSection] = ()
    """Intervals for outputs."""
    totals: Items[TotalSection] = ()
    """Bounds of sums of inputs."""
    rewarded: Items[RewardedSection] = ()
    """Outputs that count at the end of every piece, besides what is maximised or tracked: those
    that earn or cost something as long as they are there."""
    held_states: Items[str] = ()
    """States taken as constant over the horizon, because they are much slower than it or because
    other loops hold them."""
    guess_held_states: Items[str] = ()
    """Further states held while the guess for a first solve is simulated, because a recipe that is
    a little off drives them far away, such as the substrate of a dense culture."""
    leaner_guesses: Items[Annotated[float, Field(ge=0, lt=1)]] = ()
    """Shares of the recipe's inputs from which a first or fresh solve begins besides, such as
    [0.3, 0.1]: where much substrate inhibits, a search from a rich guess may not find its way
    out."""

    @property
    def planned(self) -> tuple[str, ...]:
        """Inputs that a plan has values for."""
        return tuple(self.inputs)
