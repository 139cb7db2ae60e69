"""What to optimise, stated once, with names: inputs, horizon, objective, limits."""

from dataclasses import dataclass
from math import inf

from plant_models.model import PlantModel


@dataclass(frozen=True)
class DecidedInput:
    """An input the optimiser chooses, piecewise constant.

    Attributes:
        name: input of the model.
        lower: smallest value, in the model's unit.
        upper: largest value.
        move_weight: cost of a squared change between pieces, in units of the input's scale.
        effort_weight: cost of using the input, in units of its scale, per piece.
        max_move: largest change from one piece to the next, or None.
    """

    name: str
    lower: float
    upper: float
    move_weight: float = 1e-3
    effort_weight: float = 0.0
    max_move: float | None = None

    @property
    def move_limited(self) -> bool:
        """Whether its moves have a limit."""
        return self.max_move is not None


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
    """

    output: str
    lower: float | None
    upper: float | None
    scale: float
    weight: float | None
    margin: float = 0.0
    margin_max: float = inf

    @property
    def hard(self) -> bool:
        """Whether a plan that violates the limit is refused."""
        return self.weight is None


@dataclass(frozen=True)
class Tracked:
    """A model output that follows a setpoint; the setpoint itself is given at each solve."""

    output: str
    weight: float
    scale: float


@dataclass(frozen=True)
class Problem:
    """One optimal control problem over one model.

    Attributes:
        name: how records and metrics name it.
        model: the plant as the optimiser sees it.
        inputs: what is decided; all other inputs are given and constant over the horizon.
        pieces: number of pieces of the horizon; their length is given at each solve.
        degree: Radau collocation points per piece.
        maximise: output whose value at the end of the horizon is maximised, or None.
        maximise_scale: value of that output that counts as one in the objective.
        tracked: outputs that follow setpoints.
        limits: intervals for outputs.
        held_states: states taken as constant over the horizon because they are much slower than
            it, or because other loops hold them.
        guess_held: further states held while a cold start's guess is simulated, because a guess
            that is a little off drives them far away, such as the substrate of a dense culture.
        check_steps: Runge-Kutta steps between two collocation points when a plan is simulated.
        defect_max: largest accepted difference between plan and simulation, in units of a state's
            scale: well under what an estimate knows, well over what collocation leaves.
    """

    name: str
    model: PlantModel
    inputs: tuple[DecidedInput, ...]
    pieces: int
    degree: int = 3
    maximise: str | None = None
    maximise_scale: float = 1.0
    tracked: tuple[Tracked, ...] = ()
    limits: tuple[Limit, ...] = ()
    held_states: tuple[str, ...] = ()
    guess_held: tuple[str, ...] = ()
    check_steps: int = 32
    defect_max: float = 0.02

    def __post_init__(self) -> None:
        """Refuse names that the model does not have, and a problem in which nothing moves."""
        if not self.moving_states:
            raise ValueError(f"problem {self.name}: all states are held, so nothing can be decided")
        outputs, inputs = self.model.output_names, self.model.input_names
        wanted = [limit.output for limit in self.limits] + [item.output for item in self.tracked]
        wanted += [self.maximise] if self.maximise else []
        for name, known in (
            *((name, outputs) for name in wanted),
            *((item.name, inputs) for item in self.inputs),
            *((name, self.model.state_names) for name in (*self.held_states, *self.guess_held)),
        ):
            if name not in known:
                raise ValueError(
                    f"problem {self.name}: {name!r} is not in model {self.model.name} "
                    f"({', '.join(known)})"
                )

    @property
    def moving_states(self) -> tuple[str, ...]:
        """States that the optimiser integrates, in the model's order."""
        return tuple(name for name in self.model.state_names if name not in self.held_states)

    @property
    def decided(self) -> tuple[str, ...]:
        """Names of the decided inputs."""
        return tuple(item.name for item in self.inputs)
