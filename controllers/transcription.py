"""A problem as a nonlinear program: Radau collocation, compact, symbolic, built once.

Everything that changes between solves (initial state, piece length, previous and given inputs,
model parameters, setpoints) is a parameter of the program; bounds and limits are arguments of the
solver. Nothing is ever rebuilt.
"""

from dataclasses import dataclass

import casadi as ca
import numpy as np

from controllers.problem import Problem
from plant_models.dialect import CASADI


@dataclass(frozen=True)
class Layout:
    """Where things lie in the program's decision vector.

    The vector is the concatenation, piece by piece, of: states at the collocation points (scaled,
    `degree * states`), decided inputs (scaled), slacks of the limits (lower and upper side of one
    limit after the other).
    """

    pieces: int
    degree: int
    states: int
    inputs: int
    slacks: int

    @property
    def width(self) -> int:
        """Number of variables per piece."""
        return self.degree * self.states + self.inputs + self.slacks

    def table(self, vector: np.ndarray) -> np.ndarray:
        """The decision vector as one row per piece."""
        return np.asarray(vector, dtype=np.float64).reshape(self.pieces, self.width)

    @property
    def state_columns(self) -> slice:
        """Columns of `table` that hold states, collocation point by collocation point."""
        return slice(0, self.degree * self.states)

    @property
    def input_columns(self) -> slice:
        """Columns of `table` that hold inputs."""
        return slice(self.degree * self.states, self.degree * self.states + self.inputs)

    @property
    def slack_columns(self) -> slice:
        """Columns of `table` that hold slacks."""
        return slice(self.degree * self.states + self.inputs, self.width)


@dataclass(frozen=True)
class Program:
    """The symbolic program and how to read its vectors.

    Attributes:
        nlp: what `casadi.nlpsol` takes.
        layout: layout of the decision vector.
        collocation_times: Radau points in (0, 1], shape (degree,).
        equations: rows per piece of the constraint vector that are collocation equations (zero).
        moves: rows per piece that are input moves, after the equations.
        limits: rows per piece that are slackened outputs, after the moves; lower and upper side of
            one limit after the other.
    """

    nlp: dict[str, ca.SX]
    layout: Layout
    collocation_times: np.ndarray
    equations: int
    moves: int
    limits: int


def state_scales(problem: Problem) -> np.ndarray:
    """Scales of the moving states, shape (moving states,)."""
    return np.array([problem.model.states[name].scale for name in problem.moving_states])


def input_scales(problem: Problem) -> np.ndarray:
    """Scales of the decided inputs, shape (decided,)."""
    return np.array([problem.model.inputs[name].scale for name in problem.decided])


def radau(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Radau IIA points in (0, 1], shape (degree,), and differentiation matrix (degree + 1, degree).

    The derivative of the polynomial through the values v_0 (start) .. v_degree at point j is
    `sum_i matrix[i, j] v_i`. Source: Biegler (2010), Nonlinear Programming, chapter 10.
    """
    times = np.array(ca.collocation_points(degree, "radau"))
    matrix, _, _ = ca.collocation_coeff([float(t) for t in times])
    return times, np.asarray(matrix, dtype=np.float64)


class _Symbols:
    """The program's parameters as symbols, and the model in the scaled decision variables."""

    def __init__(self, problem: Problem) -> None:
        model = problem.model
        self._model = model
        self._x_scale, self._u_scale = state_scales(problem), input_scales(problem)
        self._moving = [model.state_names.index(name) for name in problem.moving_states]
        self._decided = [model.input_names.index(name) for name in problem.decided]
        self.initial = ca.SX.sym("initial", len(model.states))
        self.given = ca.SX.sym("given", len(model.inputs), problem.pieces)
        self.previous = ca.SX.sym("previous", len(problem.inputs))
        self.parameters = ca.SX.sym("parameters", len(model.parameters))
        self.piece_h = ca.SX.sym("piece_h")
        self.setpoints = ca.SX.sym("setpoints", len(problem.tracked))

    @property
    def vector(self) -> ca.SX:
        """All parameters of the program in one column."""
        return ca.vertcat(
            self.initial,
            ca.vec(self.given),
            self.previous,
            self.parameters,
            self.piece_h,
            self.setpoints,
        )

    @property
    def start(self) -> ca.SX:
        """The moving states at the start, scaled."""
        return ca.vertcat(*(self.initial[row] for row in self._moving)) / self._x_scale

    @property
    def before(self) -> ca.SX:
        """The decided inputs in force at the start, scaled."""
        return self.previous / self._u_scale

    def whole_input(self, scaled: ca.SX, piece: int) -> ca.SX:
        """All inputs of the model in a piece from the decided ones."""
        rows = ca.vertsplit(self.given[:, piece])
        for row, value, scale in zip(
            self._decided, ca.vertsplit(scaled), self._u_scale, strict=True
        ):
            rows[row] = value * scale
        return ca.vertcat(*rows)

    def derivative(self, scaled: ca.SX, u: ca.SX) -> ca.SX:
        """Time derivative of the moving states, scaled, 1/h."""
        rate = self._model.derivative(self._whole_state(scaled), u, self.parameters, CASADI)
        scaled_rate: ca.SX = ca.vertcat(*(rate[row] for row in self._moving)) / self._x_scale
        return scaled_rate

    def outputs(self, scaled: ca.SX, u: ca.SX) -> dict[str, ca.SX]:
        """Outputs of the model by name."""
        values = self._model.output_vector(self._whole_state(scaled), u, self.parameters, CASADI)
        return {name: values[i] for i, name in enumerate(self._model.output_names)}

    def _whole_state(self, scaled: ca.SX) -> ca.SX:
        rows = ca.vertsplit(self.initial)
        for row, value, scale in zip(
            self._moving, ca.vertsplit(scaled), self._x_scale, strict=True
        ):
            rows[row] = value * scale
        return ca.vertcat(*rows)


def transcribe(problem: Problem) -> Program:
    """Build the nonlinear program of a problem."""
    times, matrix = radau(problem.degree)
    states, inputs = len(problem.moving_states), len(problem.inputs)
    slacks = 2 * len(problem.limits)
    symbols = _Symbols(problem)
    variables, constraints = [], []
    cost = ca.SX(0)
    start, before = symbols.start, symbols.before
    outputs: dict[str, ca.SX] = {}
    for k in range(problem.pieces):
        points = [ca.SX.sym(f"x_{k}_{j}", states) for j in range(problem.degree)]
        u_k = ca.SX.sym(f"u_{k}", inputs)
        slack = ca.SX.sym(f"slack_{k}", slacks)
        variables += [*points, u_k, slack]
        u, move = symbols.whole_input(u_k, k), u_k - before
        nodes = [start, *points]
        for j in range(problem.degree):
            slope = sum(float(matrix[i, j]) * nodes[i] for i in range(problem.degree + 1))
            constraints.append(slope - symbols.piece_h * symbols.derivative(points[j], u))
        constraints += [move[i] for i, item in enumerate(problem.inputs) if item.move_limited]
        outputs = symbols.outputs(points[-1], u)
        constraints += _slackened(problem, outputs, slack)
        cost += _piece_cost(problem, outputs, slack, u_k, move, symbols.setpoints)
        start, before = points[-1], u_k
    if problem.maximise:
        cost -= outputs[problem.maximise] / problem.maximise_scale
    return Program(
        nlp={
            "x": ca.vertcat(*variables),
            "p": symbols.vector,
            "g": ca.vertcat(*constraints),
            "f": cost,
        },
        layout=Layout(problem.pieces, problem.degree, states, inputs, slacks),
        collocation_times=times,
        equations=problem.degree * states,
        moves=sum(1 for item in problem.inputs if item.move_limited),
        limits=slacks,
    )


def _slackened(problem: Problem, outputs: dict[str, ca.SX], slack: ca.SX) -> list[ca.SX]:
    """Limited outputs at the end of a piece in units of their scales: lower side, upper side."""
    rows = []
    for i, limit in enumerate(problem.limits):
        value = outputs[limit.output] / limit.scale
        rows += [value + slack[2 * i], value - slack[2 * i + 1]]
    return rows


def _piece_cost(
    problem: Problem,
    outputs: dict[str, ca.SX],
    slack: ca.SX,
    u_k: ca.SX,
    move: ca.SX,
    setpoints: ca.SX,
) -> ca.SX:
    """What one piece costs: violations, moves, efforts, distances from setpoints."""
    cost = ca.SX(0)
    for i, limit in enumerate(problem.limits):
        weight = HARD_WEIGHT if limit.weight is None else limit.weight
        both = slack[2 * i] + slack[2 * i + 1]
        cost += weight * (both + both**2)
    for i, item in enumerate(problem.inputs):
        cost += item.move_weight * move[i] ** 2 + item.effort_weight * u_k[i]
    for i, tracked in enumerate(problem.tracked):
        distance = (outputs[tracked.output] - setpoints[i]) / tracked.scale
        cost += tracked.weight * distance**2
    return cost


HARD_WEIGHT = 1e3
"""Cost of violating a hard limit once a relaxed solve has freed its slack."""
