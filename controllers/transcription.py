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
    `degree * states`), decided inputs (scaled), slacks of the limits (lower side, then upper).
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
        limits: rows per piece that are slackened outputs, after the moves: lower sides, upper sides.
        terms: CasADi function of (decision, parameters) giving the objective's named terms.
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


def transcribe(problem: Problem) -> Program:
    """Build the nonlinear program of a problem."""
    model = problem.model
    times, matrix = radau(problem.degree)
    states, inputs = len(problem.moving_states), len(problem.inputs)
    limits = problem.limits
    layout = Layout(problem.pieces, problem.degree, states, inputs, 2 * len(limits))
    x_scale, u_scale = state_scales(problem), input_scales(problem)

    initial = ca.SX.sym("initial", len(model.states))
    given = ca.SX.sym("given", len(model.inputs))
    previous = ca.SX.sym("previous", inputs)
    parameters = ca.SX.sym("parameters", len(model.parameters))
    piece_h = ca.SX.sym("piece_h")
    setpoints = ca.SX.sym("setpoints", len(problem.tracked))

    moving = [model.state_names.index(name) for name in problem.moving_states]
    decided = [model.input_names.index(name) for name in problem.decided]

    def whole_state(scaled: ca.SX) -> ca.SX:
        rows = ca.vertsplit(initial)
        for row, value, scale in zip(moving, ca.vertsplit(scaled), x_scale, strict=True):
            rows[row] = value * scale
        return ca.vertcat(*rows)

    def whole_input(scaled: ca.SX) -> ca.SX:
        rows = ca.vertsplit(given)
        for row, value, scale in zip(decided, ca.vertsplit(scaled), u_scale, strict=True):
            rows[row] = value * scale
        return ca.vertcat(*rows)

    def derivative(scaled: ca.SX, u: ca.SX) -> ca.SX:
        rate = model.derivative(whole_state(scaled), u, parameters, CASADI)
        return ca.vertcat(*(rate[row] for row in moving)) / x_scale

    variables, constraints = [], []
    cost = ca.SX(0)
    start = ca.vertcat(*(initial[row] for row in moving)) / x_scale
    before = previous / u_scale
    outputs = ca.SX(0)
    for k in range(problem.pieces):
        points = [ca.SX.sym(f"x_{k}_{j}", states) for j in range(problem.degree)]
        u_k = ca.SX.sym(f"u_{k}", inputs)
        slack = ca.SX.sym(f"slack_{k}", 2 * len(limits))
        variables += [*points, u_k, slack]
        u = whole_input(u_k)
        nodes = [start, *points]
        for j in range(problem.degree):
            slope = sum(float(matrix[i, j]) * nodes[i] for i in range(problem.degree + 1))
            constraints.append(slope - piece_h * derivative(points[j], u))
        move = u_k - before
        constraints += [move[i] for i, item in enumerate(problem.inputs) if item.max_move]
        outputs = model.output_vector(whole_state(points[-1]), u, parameters, CASADI)
        for i, limit in enumerate(limits):
            value = outputs[model.output_names.index(limit.output)] / limit.scale
            constraints.append(value + slack[2 * i])
            constraints.append(value - slack[2 * i + 1])
            weight = limit.weight if limit.weight is not None else HARD_WEIGHT
            both = slack[2 * i] + slack[2 * i + 1]
            cost += weight * (both + both**2)
        for i, item in enumerate(problem.inputs):
            cost += item.move_weight * move[i] ** 2 + item.effort_weight * u_k[i]
        for i, item in enumerate(problem.tracked):
            value = outputs[model.output_names.index(item.output)]
            cost += item.weight * ((value - setpoints[i]) / item.scale) ** 2
        start, before = points[-1], u_k
    if problem.maximise:
        final = outputs[model.output_names.index(problem.maximise)]
        cost -= final / problem.maximise_scale
    return Program(
        nlp={
            "x": ca.vertcat(*variables),
            "p": ca.vertcat(initial, given, previous, parameters, piece_h, setpoints),
            "g": ca.vertcat(*constraints),
            "f": cost,
        },
        layout=layout,
        collocation_times=times,
        equations=problem.degree * states,
        moves=sum(1 for item in problem.inputs if item.max_move),
        limits=2 * len(limits),
    )


HARD_WEIGHT = 1e3
"""Cost of violating a hard limit once a relaxed solve has freed its slack."""
