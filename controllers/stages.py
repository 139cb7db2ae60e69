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
        points, sensitivities: what second derivatives need of the way there, as in `Stage`.
    """

    cost: float
    gradient: Floats
    rows: Floats
    stages: Floats
    others: Floats
    points: Floats
    sensitivities: Floats


@dataclass(frozen=True)
class Curves:
    """Second derivatives of the Lagrange function; the next ones overwrite them.

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
        self._row_count = rows.size
        self._map(Stage(problem))
        self.pattern = self._write_flat(program)

    def _map(self, one: Stage) -> None:
        """Derivatives of one piece, mapped over all."""
        scenarios, pieces, states = self.ends.shape
        self._first = Buffered(one.slopes.mapaccum(pieces).map(scenarios))
        self._second = Buffered(one.curves.map(scenarios * pieces))
        self._back = Buffered(
            _carried_back(states, self.decided.shape[2]).mapaccum(pieces).map(scenarios)
        )

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

    def slopes(self, point: Floats) -> Slopes:
        """The program where the decisions lead, to first order.

        Args:
            point: decisions; states and carried inputs are written, in place, so that the model's
                equations hold.
        """
        scenarios, pieces, states = self.ends.shape
        ends, stages, *course = self._first(self._start, point[self.decided], self._data)
        point[self.ends] = ends.reshape(self.ends.shape)
        point[self._layout.before] = point[self._layout.inputs]
        cost, gradient, others, slopes = self._flat(point, self._parameters)
        rows = np.zeros(self._row_count)
        rows[self._others] = others
        table = stages.reshape(scenarios, pieces, -1, states).swapaxes(2, 3)
        # What a function gives is overwritten at its next call.
        kept = (each.copy() for each in (table, slopes, *course))
        return Slopes(float(cost[0]), gradient.copy(), rows, *kept)

    def curves(self, point: Floats, slopes: Slopes, multipliers: Floats) -> Curves:
        """Second derivatives of the Lagrange function at a point with its slopes."""
        scenarios, pieces, states = self.ends.shape
        weights = multipliers[self.equations]
        before = np.concatenate([self._start, point[self.ends[:, :-1]]], axis=1)
        course = slopes.points, slopes.sensitivities
        (stages,) = self._second(before, point[self.decided], self._data, weights, *course)
        (others,) = self._bent(point, self._parameters, multipliers[self._others])
        width = states + self.decided.shape[2]
        return Curves(stages.reshape(scenarios, pieces, width, width), others)

    def pulled_by_others(self, slopes: Slopes, rows: Floats) -> Floats:
        """What the multipliers of all rows but the model's pull at the decisions, (decisions,)."""
        pattern = self.pattern
        weights = slopes.others * rows[pattern.row]
        return summed(pattern.column, weights, self._layout.size)

    def trace_back(self, slopes: Slopes, pull: Floats, rows: Floats) -> Floats:
        """Write the multipliers of the model's rows that balance a pull at states, in place.

        Args:
            slopes: the program at the point.
            pull: what everything else pulls at the decisions, shape (decisions,).
            rows: multipliers of all rows, shape (constraints,).

        Returns:
            What all rows together pull at the decisions, nothing at states, shape (decisions,).
        """
        # CasADi stores matrices by columns, and the last piece comes first.
        by_argument = slopes.stages[:, ::-1].swapaxes(2, 3)
        _, multipliers, pulls = self._back(0.0, by_argument, pull[self.ends[:, ::-1]])
        carried = pull[self._layout.before]
        rows[self.equations] = multipliers.reshape(self.ends.shape)[:, ::-1]
        rows[self.carried] = carried
        size, everything = self._layout.size, pull.copy()
        everything[self.ends] = everything[self._layout.before] = 0.0
        everything += summed(self.decided[:, ::-1], pulls, size)
        return everything + summed(self._layout.inputs, carried, size)


def _carried_back(states: int, decided: int) -> ca.Function:
    """Function `(carried, slopes, pull) -> (carried, multipliers, pulls)` of one piece.

    What pulls at a piece's end, itself and carried back from the pieces after it, is what its
    equations' multipliers balance; the end's slopes carry it back to the state before and to what
    is decided.
    """
    carried, pull = ca.SX.sym("carried", states), ca.SX.sym("pull", states)
    slopes = ca.SX.sym("slopes", states, states + decided)
    balanced = pull + carried
    before, pulls = ca.vertsplit(ca.mtimes(slopes.T, balanced), [0, states, states + decided])
    return ca.Function("back", [carried, slopes, pull], [before, balanced, pulls])


def summed(places: Places, values: Floats, size: int) -> Floats:
    """Values added up at their places, shape (size,); what lies beyond is left out."""
    total = np.bincount(places.ravel(), values.ravel(), minlength=size + 1)[:size]
    return np.asarray(total, dtype=np.float64)
