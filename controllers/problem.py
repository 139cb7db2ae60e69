"""What to optimise, stated once, with names: inputs, horizon, objective, limits, scenarios."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import inf

import numpy as np

from controllers.arrays import Floats
from plant_models.model import PlantModel


class Method(StrEnum):
    """How the model's equations become equations of a program."""

    COLLOCATION = "collocation"
    """Radau collocation, solved by an interior-point method: any model, any length of pieces."""

    SHOOTING = "shooting"
    """Runge-Kutta steps, solved by sequential quadratic programming when there is a plan to begin
    with: small problems whose pieces are short against the model's modes, several times faster."""


class Per(StrEnum):
    """What the maximised output is divided by."""

    BATCH = "batch"
    """Nothing: the amount at harvest."""

    HOUR = "hour"
    """Hours from inoculation to harvest, and those of turning the vessel round: productivity."""

    FEED = "feed"
    """Litres fed until harvest, those that the medium is worth included: yield."""


@dataclass(frozen=True)
class Maximise:
    """An output whose value at the end of the horizon is maximised.

    Attributes:
        output: output of the model.
        scale: value that counts as one in the objective.
        per: what it is divided by; the quotient counts as one where the output has the value
            `scale` and the divisor its value by the guess's harvest time (HOUR) or `extra` (FEED).
        extra: hours of turning the vessel round (HOUR); litres of feed that the medium at
            inoculation is worth, positive (FEED).
    """

    output: str
    scale: float = 1.0
    per: Per = Per.BATCH
    extra: float = 0.0


@dataclass(frozen=True)
class Rewarded:
    """An output that counts at the end of every piece; a negative weight makes it a cost."""

    output: str
    weight: float
    scale: float = 1.0


@dataclass(frozen=True)
class Tracked:
    """A model output that follows a setpoint; the setpoint itself is given at each solve."""

    output: str
    weight: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True)
class DecidedInput:
    """An input the optimiser chooses, piecewise constant.

    Attributes:
        name: input of the model.
        lower: smallest value, in the model's unit.
        upper: largest value.
        move_weight: cost of a squared change between pieces, in units of the input's scale.
        effort_weight: cost of using the input, in units of its scale, per piece of mean length.
        price: cost of a unit of the input in an hour (a litre, of a flow), in the objective's unit.
        written: whether the plan is acted upon; False for an input that the control unit sets, of
            which the optimiser only foresees what it will be.
        max_move: largest change from one piece to the next, or None.
        rise_per_h: fastest rise, or None.
        fall_per_h: fastest fall, or None.
    """

    name: str
    lower: float
    upper: float
    move_weight: float = 1e-3
    effort_weight: float = 0.0
    price: float = 0.0
    written: bool = True
    max_move: float | None = None
    rise_per_h: float | None = None
    fall_per_h: float | None = None

    @property
    def move_limited(self) -> bool:
        """Whether its moves have a limit."""
        return not self.max_move is self.rise_per_h is self.fall_per_h is None

    def moves(self, lengths_h: Floats) -> tuple[Floats, Floats]:
        """Largest fall and rise onto each piece, as numbers that are not negative.

        Args:
            lengths_h: lengths of the pieces, shape (pieces,): a change takes as long as its piece.
        """
        largest = inf if self.max_move is None else self.max_move
        fall, rise = (
            np.full_like(lengths_h, largest)
            if rate is None
            else np.minimum(largest, rate * lengths_h)
            for rate in (self.fall_per_h, self.rise_per_h)
        )
        return fall, rise


@dataclass(frozen=True)
class Bolus:
    """A liquid that may also be poured at once, at the start of pieces where that is allowed.

    Attributes:
        input: input of the model that is a liquid flow.
        smallest: smallest volume worth pouring, L; less is none.
        largest: largest volume at one time, L.
        price: cost of a litre, in the objective's unit.
        over_h: how long its pump takes; short against a piece, so that the optimiser takes it for
            at once.
    """

    input: str
    smallest: float
    largest: float
    price: float = 0.0
    over_h: float = 0.25


@dataclass(frozen=True)
class Total:
    """A sum of inputs that must not be exceeded in any piece, such as all gases through a sparger.

    Attributes:
        name: how reports call it.
        inputs: inputs of the model, decided or given.
        upper: largest sum, in the inputs' common unit.
    """

    name: str
    inputs: tuple[str, ...]
    upper: float


@dataclass(frozen=True)
class Limit:
    """An interval a model output must stay in, checked at the end of every piece.

    Attributes:
        output: output of the model.
        lower: lower end, or None.
        upper: upper end, or None.
        scale: size of a violation that counts as one.
        weight: cost of a violation of that size in one piece; None makes the limit hard.
        margin: standard deviations of the forecast to keep from the limit.
        margin_max: largest distance so kept, in the output's unit: far ahead the forecast is vague,
            but there will be measurements until then.
        gives_way: order in which hard limits are given up when they cannot all be kept; the lowest
            number first.
    """

    output: str
    lower: float | None = None
    upper: float | None = None
    scale: float = 1.0
    weight: float | None = None
    margin: float = 0.0
    margin_max: float = inf
    gives_way: int = 1

    @property
    def hard(self) -> bool:
        """Whether a plan that violates the limit is refused."""
        return self.weight is None


@dataclass(frozen=True)
class Side:
    """One side of a limit: what is constrained, and slackened, as one row.

    Attributes:
        place: which limit.
        limit: the limit.
        sign: 1 for the upper side, -1 for the lower one.
        end: the limit's end on this side.
    """

    place: int
    limit: Limit
    sign: int
    end: float


@dataclass(frozen=True)
class Scenarios:
    """Courses of the plant that one plan must be good for.

    Attributes:
        count: how many; their initial states and parameters are given at each solve.
        common_pieces: pieces in which all have the same inputs; after that each has its own,
            because until then measurements will have told which of them is true.
        worst_case: whether the worst scenario counts, instead of the mean by their weights.
    """

    count: int = 1
    common_pieces: int = 1
    worst_case: bool = False


@dataclass(frozen=True)
class Problem:
    """One optimal control problem over one model.

    Attributes:
        name: how records and metrics name it.
        model: the plant as the optimiser sees it.
        inputs: what is decided; all other inputs are given.
        pieces: number of pieces of the horizon; their lengths are given at each solve.
        degree: Radau collocation points per element.
        elements: elements of collocation, or Runge-Kutta steps, per piece.
        method: how equations of the model become equations of the program.
        maximise: what is maximised at the end, or None.
        rewarded: outputs that count at the end of every piece.
        tracked: outputs that follow setpoints.
        limits: intervals for outputs.
        totals: bounds of sums of inputs.
        boluses: liquids that may be poured at once.
        free_harvest: whether the end of the horizon is decided too; the pieces stretch with it,
            save those before the last bolus, whose times are the clock's.
        scenarios: courses that the plan must be good for.
        held_states: states taken as constant over the horizon because they are much slower than
            it, or because other loops hold them.
        guess_held: further states held while a cold start's guess is simulated, because a guess
            that is a little off drives them far away, such as the substrate of a dense culture.
        leaner_guesses: shares of the guess from which a fresh search begins besides.
        check_steps: steps between two points of a piece that the simulation of a plan begins with;
            they are doubled until that changes nothing any more.
        defect_max: largest accepted difference between plan and simulation, in units of a state's
            scale: well under what an estimate knows, well over what collocation leaves.
    """

    name: str
    model: PlantModel
    inputs: tuple[DecidedInput, ...]
    pieces: int
    degree: int = 3
    elements: int = 1
    method: Method = Method.COLLOCATION
    maximise: Maximise | None = None
    rewarded: tuple[Rewarded, ...] = ()
    tracked: tuple[Tracked, ...] = ()
    limits: tuple[Limit, ...] = ()
    totals: tuple[Total, ...] = ()
    boluses: tuple[Bolus, ...] = ()
    free_harvest: bool = False
    scenarios: Scenarios = field(default_factory=Scenarios)
    held_states: tuple[str, ...] = ()
    guess_held: tuple[str, ...] = ()
    leaner_guesses: tuple[float, ...] = ()
    check_steps: int = 4
    defect_max: float = 0.02

    def __post_init__(self) -> None:
        """Refuse names that the model does not have, and a problem in which nothing moves."""
        faults = [*self._unknown_names(), *self._contradictions()]
        if faults:
            raise ValueError("\n".join(f"problem {self.name}: {fault}" for fault in faults))

    def _unknown_names(self) -> Iterator[str]:
        """Names that the model does not have."""
        model = self.model
        outputs = [item.output for item in self.limits]
        outputs += [item.output for item in self.tracked]
        outputs += [item.output for item in self.rewarded]
        outputs += [self.maximise.output] if self.maximise else []
        inputs = [item.name for item in self.inputs] + [n for t in self.totals for n in t.inputs]
        checked: tuple[tuple[Sequence[str], tuple[str, ...]], ...] = (
            (outputs, model.output_names),
            (inputs, model.input_names),
            ([item.input for item in self.boluses], model.volume_flows),
            ((*self.held_states, *self.guess_held), model.state_names),
        )
        for names, known in checked:
            for name in names:
                if name not in known:
                    yield f"{name!r} is not in model {model.name} ({', '.join(known)})"

    def _contradictions(self) -> Iterator[str]:
        """What cannot be asked together."""
        if not self.moving_states:
            yield "all states are held, so nothing can be decided"
        if not self.inputs and not self.boluses:
            yield "no input is decided"
        for total in self.totals:
            if not set(total.inputs) & set(self.decided):
                yield f"{total.name}: none of the inputs in this sum is decided"
        if self.maximise and self.maximise.per is Per.FEED and not self.maximise.extra > 0:
            yield "a yield needs the litres of feed that the medium is worth, positive"
        if not all(item.over_h > 0.0 for item in self.boluses):
            yield "a bolus takes some time to pour, so over_h must be positive"
        if not 1 <= self.scenarios.common_pieces <= self.pieces:
            yield f"common_pieces must be 1 to {self.pieces}"
        yield from self._impossible_numbers()
        yield from self._beyond_shooting()

    def _impossible_numbers(self) -> Iterator[str]:
        """Numbers that nothing can be computed with, and ends that are the wrong way round."""
        for what, number in (
            ("pieces", self.pieces),
            ("degree", self.degree),
            ("elements", self.elements),
            ("check_steps", self.check_steps),
            ("scenarios.count", self.scenarios.count),
        ):
            if number < 1:
                yield f"{what} is {number}, but must be at least 1"
        scales = [(item.output, item.scale) for item in self.limits]
        scales += [(item.output, item.scale) for item in self.rewarded]
        scales += [(item.output, item.scale) for item in self.tracked]
        scales += [(self.maximise.output, self.maximise.scale)] if self.maximise else []
        for name, scale in scales:
            if not 0.0 < scale < inf:
                yield f"{name}: scale is {scale:g}, but must be positive"
        ends = [(f"input {item.name}", item.lower, item.upper) for item in self.inputs]
        ends += [(f"bolus {item.input}", item.smallest, item.largest) for item in self.boluses]
        for name, low, high in ends:
            if not -inf < low <= high < inf:
                yield f"{name}: from {low:g} to {high:g} is no finite interval"
        for limit in self.limits:
            if limit.lower is not None and limit.upper is not None and limit.lower > limit.upper:
                yield f"{limit.output}: lower, {limit.lower:g}, is above upper, {limit.upper:g}"
        for name in sorted({name for name in self.decided if self.decided.count(name) > 1}):
            yield f"input {name} is decided twice"

    def _beyond_shooting(self) -> Iterator[str]:
        """What needs collocation."""
        if self.method is not Method.SHOOTING:
            return
        if self.free_harvest or self.scenarios.worst_case:
            yield "a free harvest or a worst case needs the method collocation"
        if self.scenarios.count > 1 and self.scenarios.common_pieces != 1:
            yield "the method shooting needs common_pieces: 1"

    @cached_property
    def moving_states(self) -> tuple[str, ...]:
        """States that the optimiser integrates, in the model's order."""
        return tuple(name for name in self.model.state_names if name not in self.held_states)

    @cached_property
    def decided(self) -> tuple[str, ...]:
        """Names of the decided inputs."""
        return tuple(item.name for item in self.inputs)

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        """Sides of the limits that exist, limit by limit, the lower one first."""
        return tuple(
            Side(place, limit, sign, end)
            for place, limit in enumerate(self.limits)
            for sign, end in ((-1, limit.lower), (1, limit.upper))
            if end is not None
        )

    @property
    def points(self) -> int:
        """Points of a piece at which the program has states."""
        return self.degree * self.elements if self.method is Method.COLLOCATION else 1
