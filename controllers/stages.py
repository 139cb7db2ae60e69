"""A program of Runge-Kutta steps with its derivatives, evaluated piece by piece without copies.

One piece is written out once and mapped over all pieces of all scenarios: its instructions stay in
the processor's cache, which makes second derivatives several times as fast as written out flat.
"""

from dataclasses import dataclass

import casadi as ca
import numpy as np

from controllers.arrays import Floats, Places
from controllers.buffered import Buffered
from controllers.problem import Problem
from controllers.stage import Stage
from controllers.transcription import Program, state_scales


@dataclass(frozen=True)
class Slopes:
    """A program at one point, to first order.

    Attributes:
        cost: the objective.
        gradient: of the objective, shape (decisions,).
        rows: values of all constraints, shape (constraints,).
        stages: end of each piece by (state before, inputs, boluses), shape (scenarios, pieces,
            states, states + inputs + boluses).
        others: non-zeros of the other constraints' Jacobian, in the order of `Pattern`.
    """

    cost: float
    gradient: Floats
    rows: Floats
    stages: Floats
    others: Floats


@dataclass(frozen=True)
class Curves:
    """Second derivatives of the Lagrange function.

    Attributes:
        stages: of the pieces' ends, weighed, by (state before, inputs, boluses).
        others: non-zeros of what objective and other constraints contribute, as in `Pattern`.
    """

    stages: Floats
    others: Floats


@dataclass(frozen=True)
class Pattern:
    """Where the non-zeros of the flat part are.

    Attributes:
        row, column: of the other constraints' Jacobian, rows as in the whole constraint vector.
        left, right: of the flat part's second derivatives, both triangles.
    """

    row: Places
    column: Places
    left: Places
    right: Places


class Stages:
    """Evaluates a program of Runge-Kutta steps; one point at a time.

    Attributes:
        ends: places of the states at the ends of the pieces, (scenarios, pieces, states).
        decided: places of inputs and boluses, (scenarios, pieces, decided).
        equations: rows of the pieces' equations, (scenarios, pieces, states).
        carried: rows of the equations of the carried inputs, (scenarios, pieces, inputs).
        arguments: places of what each piece depends on: state before and decided; the place after
            the last one stands for the first states, which are given. Shape (scenarios, pieces,
            states + decided).
        pattern: where the non-zeros of the flat part are.
    """

    def __init__(self, problem: Problem, program: Program) -> None:
        """Write out the derivatives."""
        layout, rows = program.layout, program.rows
        self.ends = layout.states[:, :, 0]
        self.decided = np.concatenate([layout.inputs, layout.boluses], axis=2)
        states = self.ends.shape[2]
        given = np.full_like(self.ends[:, :1], layout.size)
        before = np.concatenate([given, self.ends[:, :-1]], axis=1)
        self.arguments = np.concatenate([before, self.decided], axis=2)
        self.equations = rows.equations[:, :, :states]
        self.carried = rows.equations[:, :, states:]
        self._layout, self._inputs = layout, program.inputs
        self._moving = [problem.model.state_names.index(name) for name in problem.moving_states]
        self._x_scale = state_scales(problem)
        self._rows = np.zeros(rows.size)
        self._map(Stage(problem))
        self.pattern = self._write_flat(program)

    def _map(self, one: Stage) -> None:
        """Derivatives of one piece, mapped over all."""
        scenarios, pieces, states = self.ends.shape
        self._first = Buffered(one.slopes.map(scenarios * pieces))
        self._second = Buffered(one.curves.map(scenarios * pieces))
        self._course = Buffered(one.end.mapaccum(pieces).map(scenarios))
        place = np.arange(states + self.decided.shape[2])
        low, high = np.minimum.outer(place, place), np.maximum.outer(place, place)
        self._mirrored = high * len(place) + low

    def _write_flat(self, program: Program) -> Pattern:
        """Objective and the other constraints, flat: they are short."""
        x, p = program.nlp["x"], program.nlp["p"]
        self._others = np.setdiff1d(np.arange(program.rows.size), program.rows.equations)
        f, g = program.nlp["f"], program.nlp["g"][self._others.tolist()]
        weights = ca.SX.sym("weights", g.numel())
        slopes, gradient = ca.jacobian(g, x), ca.densify(ca.gradient(f, x))
        curves, _ = ca.hessian(f + ca.dot(weights, g), x)
        self._flat = Buffered(ca.Function("flat", [x, p], [f, gradient, ca.densify(g), slopes]))
        self._bent = Buffered(ca.Function("bent", [x, p, weights], [curves]))
        row, column, left, right = (
            np.array(places, dtype=np.int64)
            for table in (slopes, curves)
            for places in table.sparsity().get_triplet()
        )
        return Pattern(self._others[row], column, left, right)

    def begin(self, parameters: Floats) -> None:
        """Take one solve's parameters."""
        self._parameters = parameters
        self._data, initial = self._inputs.stages(parameters)
        self._start = initial[:, None, self._moving] / self._x_scale

    def simulate(self, point: Floats) -> None:
        """Write the states that the decisions lead to, and the carried inputs, in place."""
        (states,) = self._course(self._start, point[self.decided], self._data)
        point[self.ends] = states.reshape(self.ends.shape)
        point[self._layout.before] = point[self._layout.inputs]

    def slopes(self, point: Floats) -> Slopes:
        """The program at a point, to first order."""
        scenarios, pieces, states = self.ends.shape
        end, stages = self._first(self._before(point), point[self.decided], self._data)
        cost, gradient, others, slopes = self._flat(point, self._parameters)
        rows = np.empty_like(self._rows)
        rows[self.equations] = end.reshape(self.ends.shape) - point[self.ends]
        rows[self.carried] = point[self._layout.inputs] - point[self._layout.before]
        rows[self._others] = others
        table = stages.reshape(scenarios, pieces, -1, states).swapaxes(2, 3)
        return Slopes(float(cost[0]), gradient.copy(), rows, table.copy(), slopes.copy())

    def curves(self, point: Floats, multipliers: Floats) -> Curves:
        """Second derivatives of the Lagrange function at a point."""
        scenarios, pieces, states = self.ends.shape
        weights = multipliers[self.equations]
        (stages,) = self._second(self._before(point), point[self.decided], self._data, weights)
        (others,) = self._bent(point, self._parameters, multipliers[self._others])
        width = states + self.decided.shape[2]
        table = stages.reshape(scenarios, pieces, width * width)[..., self._mirrored]
        return Curves(table, others)

    def _before(self, point: Floats) -> Floats:
        """States at the starts of the pieces, shape (scenarios, pieces, states)."""
        return np.concatenate([self._start, point[self.ends[:, :-1]]], axis=1)

    def pulled_by_others(self, slopes: Slopes, rows: Floats) -> Floats:
        """What the multipliers of all rows but the model's pull at the decisions, (decisions,)."""
        pattern = self.pattern
        weights = slopes.others * rows[pattern.row]
        return summed(pattern.column, weights, self._layout.size)

    def pulled_by_equations(self, slopes: Slopes, rows: Floats) -> Floats:
        """What the multipliers of the model's rows pull at the decisions, (decisions,)."""
        states, carried = rows[self.equations], rows[self.carried]
        pulls = (states[..., None, :] @ slopes.stages)[..., 0, :]
        pull = summed(self.arguments, pulls, self._layout.size)
        pull[self.ends] -= states
        pull[self._layout.before] -= carried
        return pull + summed(self._layout.inputs, carried, self._layout.size)

    def trace_back(self, slopes: Slopes, pull: Floats, rows: Floats) -> None:
        """Write the multipliers of the model's rows that balance a pull at states, in place.

        Args:
            slopes: the program at the point.
            pull: what everything else pulls at the decisions, shape (decisions,).
            rows: multipliers of all rows, shape (constraints,).
        """
        states = self.ends.shape[2]
        rows[self.carried] = pull[self._layout.before]
        by_state = slopes.stages[..., :states].swapaxes(0, 1).copy()
        needed = pull[self.ends].swapaxes(0, 1)[:, :, None].copy()
        multipliers = needed[-1]
        for k in range(len(needed) - 2, -1, -1):
            multipliers = needed[k] + multipliers @ by_state[k + 1]
            needed[k] = multipliers
        rows[self.equations] = needed[:, :, 0].swapaxes(0, 1)


def summed(places: Places, values: Floats, size: int) -> Floats:
    """Values added up at their places, shape (size,); what lies beyond is left out."""
    total = np.bincount(places.ravel(), values.ravel(), minlength=size + 1)[:size]
    return np.asarray(total, dtype=np.float64)
