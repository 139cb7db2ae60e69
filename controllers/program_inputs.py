"""What a program must be told at each solve: its parameters, as symbols and as numbers."""

import casadi as ca
import numpy as np

from controllers.arrays import Floats
from controllers.problem import Per, Problem
from controllers.situation import Situation

HARD_WEIGHT = 1e3
"""Cost of violating a hard limit once a relaxed solve has freed its slack."""


class ProgramInputs:
    """The program's parameters as symbols; `numbers` fills them in from a situation."""

    def __init__(self, problem: Problem) -> None:
        """Make the symbols, and remember the weights."""
        model, scenarios = problem.model, problem.scenarios.count
        self.initial = ca.SX.sym("initial", len(model.states), scenarios)
        self.parameters = ca.SX.sym("parameters", len(model.parameters), scenarios)
        self.shares = ca.SX.sym("shares", scenarios)
        self.given = ca.SX.sym("given", len(model.inputs), problem.pieces)
        self.previous = ca.SX.sym("previous", len(problem.inputs))
        self.steps_h = ca.SX.sym("steps_h", problem.pieces)
        self.loose = ca.SX.sym("loose", problem.pieces if problem.free_harvest else 0)
        self.setpoints = ca.SX.sym("setpoints", len(problem.tracked))
        self.spent = ca.SX.sym("spent")
        # Weights, each in the order of the problem's tables.
        self.maximise = ca.SX.sym("maximise")
        self.rewards = ca.SX.sym("rewards", len(problem.rewarded))
        self.tracking = ca.SX.sym("tracking", len(problem.tracked))
        self.violations = ca.SX.sym("violations", len(problem.sides))
        self.moves = ca.SX.sym("moves", len(problem.inputs))
        self.efforts = ca.SX.sym("efforts", len(problem.inputs))
        self.prices = ca.SX.sym("prices", len(problem.inputs))
        self.bolus_prices = ca.SX.sym("bolus_prices", len(problem.boluses))
        self._weights = _weights(problem)
        first = self.initial, self.parameters, self.shares, self.given, self.previous, self.steps_h
        self._ends = np.cumsum([part.numel() for part in first]).tolist()
        self._shape = scenarios, problem.pieces

    @property
    def vector(self) -> ca.SX:
        """All parameters of the program in one column."""
        return ca.vertcat(
            ca.vec(self.initial), ca.vec(self.parameters), self.shares, ca.vec(self.given),
            self.previous, self.steps_h, self.loose, self.setpoints, self.spent, self.maximise,
            self.rewards, self.tracking, self.violations, self.moves, self.efforts, self.prices,
            self.bolus_prices,
        )  # fmt: skip

    def lengths_h(self, stretch: ca.SX | float) -> ca.SX:
        """Lengths of the pieces: a free harvest stretches those that are loose."""
        if not self.loose.numel():
            return self.steps_h
        return self.steps_h * (1.0 + self.loose * (stretch - 1.0))

    def numbers(self, problem: Problem, situation: Situation) -> Floats:
        """The parameters' values in the order of `vector`; weights are the problem's."""
        loose = np.ones(problem.pieces) if situation.loose is None else situation.loose
        parts = (
            situation.states.ravel(),
            situation.scenario_parameters.ravel(),
            situation.shares,
            situation.given_pieces(problem.pieces).ravel(),
            situation.previous,
            situation.steps_h,
            loose if problem.free_harvest else np.zeros(0),
            situation.setpoints,
            np.array([spent(problem, situation)]),
            self._weights,
        )
        return np.concatenate(parts, dtype=np.float64)

    def stages(self, parameters: Floats) -> tuple[Floats, Floats]:
        """What each piece of each scenario must be told, cut out of `numbers`.

        Returns:
            Given inputs, initial states, parameters and length of the piece, shape (scenarios,
            pieces, data), and the initial states, shape (scenarios, states of the model).
        """
        scenarios, pieces = self._shape
        initial, others, _, given, _, steps_h, _ = np.split(parameters, self._ends)
        initial, others = initial.reshape(scenarios, 1, -1), others.reshape(scenarios, 1, -1)
        given, steps_h = given.reshape(1, pieces, -1), steps_h.reshape(1, pieces, 1)
        parts = given, initial, others, steps_h
        ends = np.cumsum([part.shape[2] for part in parts]).tolist()
        data = np.empty((scenarios, pieces, ends[-1]))
        for part, begin, end in zip(parts, [0, *ends], ends, strict=False):
            data[..., begin:end] = part
        return data, initial[:, 0]


def _weights(problem: Problem) -> Floats:
    """The weights in the order of `ProgramInputs.vector`, from what is maximised on."""
    limits, inputs = [side.limit for side in problem.sides], problem.inputs
    best = problem.maximise
    return np.array(
        [
            0.0 if best is None else 1.0 / best.scale,
            *(item.weight / item.scale for item in problem.rewarded),
            *(item.weight / item.scale**2 for item in problem.tracked),
            *(HARD_WEIGHT if limit.weight is None else limit.weight for limit in limits),
            *(item.move_weight for item in inputs),
            *(item.effort_weight for item in inputs),
            *(item.price for item in inputs),
            *(item.price for item in problem.boluses),
        ]
    )


def spent(problem: Problem, situation: Situation) -> float:
    """Hours or litres that count already in the divisor of what is maximised; 1 without one."""
    best = problem.maximise
    if best is None or best.per is Per.BATCH:
        return 1.0
    return best.extra + (situation.batch_h if best.per is Per.HOUR else situation.fed_L)
