"""Simulating a plan: guesses for the solver, and the check that does not trust it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import casadi as ca
import numpy as np

from controllers.arrays import Floats
from controllers.buffered import Buffered
from controllers.problem import Problem
from controllers.situation import Situation
from controllers.transcription import Equations, point_times, poured
from plant_models.integrate import casadi_step
from plant_models.model import Method

DOUBLINGS = 5
"""How often the steps are doubled at most: what needs more is no plan to be acted upon."""

TOLERANCE_SHARE = 0.05
"""Error of a simulation that is accepted, as a share of what a plan may differ by from it."""

BEYOND = 1e-3
"""How far a state may be beyond what is possible before its course is not believed, scaled."""

ROUNDING = 1e-10
"""Error that more steps cannot make smaller, in units of the states' scales."""

WRITTEN_OUT = 8
"""Steps that are written out one after the other, which is faster; more would be long code."""


@dataclass(frozen=True)
class Simulated:
    """Courses of all scenarios.

    Attributes:
        points: states at the points of the pieces, shape (scenarios, pieces, points, states).
        error: estimated error in units of the states' scales; infinite when it did not settle.
        steps: steps between two points of a piece, the larger of the two numbers that agreed.
    """

    points: Floats
    error: float
    steps: int

    @property
    def ends(self) -> Floats:
        """States at the ends of the pieces, shape (scenarios, pieces, states)."""
        return self.points[:, :, -1]


class Rollout:
    """A problem's model, held states included, integrated by its own method with error control.

    Every stretch between two points of a piece is done in n steps and again in 2 n; as long as
    that makes a difference, n is doubled. The difference bounds the error of the finer course.
    """

    def __init__(self, problem: Problem, also_held: Collection[str] = ()) -> None:
        """Compile.

        Args:
            problem: whose model, grid and held states count.
            also_held: states that stay as they are, besides those that the problem holds.
        """
        self._problem = problem
        model = problem.model
        self._held = {*problem.held_states, *also_held}
        self._widths = np.diff(np.concatenate([[0.0], point_times(problem)]))
        self._step = casadi_step(model, held=self._held)
        self._levels: dict[int, Buffered] = {}
        x = ca.SX.sym("x", len(model.states))
        p = ca.SX.sym("p", len(model.parameters))
        volumes_L = ca.SX.sym("volumes_L", len(problem.boluses))
        after = x
        for i, bolus in enumerate(problem.boluses):
            after = poured(problem, after, bolus.input, volumes_L[i], p)
        self._pour = ca.Function("pour", [x, p, volumes_L], [after])
        equations = Equations(model)
        self._outputs = Buffered(equations.output.map(problem.pieces))
        self._output = Buffered(equations.output)
        self._decided = [model.input_names.index(name) for name in problem.decided]
        states = model.states.values()
        self._scales = np.array([item.scale for item in states])
        self._lowest = np.array([item.lower for item in states]) / self._scales
        self._highest = np.array([item.upper for item in states]) / self._scales
        for steps in (problem.check_steps, 2 * problem.check_steps):
            self._pieces(steps)

    def _pieces(self, steps: int) -> Buffered:
        """All pieces in a row, `steps` steps between two points; built when first needed."""
        if steps not in self._levels:
            model, problem = self._problem.model, self._problem
            between = self._step.fold(steps) if steps > 1 else self._step
            if model.method is Method.EXPLICIT and steps <= WRITTEN_OUT:
                between = between.expand()
            start, inputs = ca.MX.sym("x", len(model.states)), ca.MX.sym("u", len(model.inputs))
            parameters, piece_h = ca.MX.sym("p", len(model.parameters)), ca.MX.sym("piece_h")
            volumes_L = ca.MX.sym("volumes_L", len(problem.boluses))
            state = self._pour(start, parameters, volumes_L) if problem.boluses else start
            points = []
            for width in self._widths:
                state = between(state, inputs, parameters, piece_h * width / steps)
                points.append(state)
            piece = ca.Function(
                "piece",
                [start, inputs, volumes_L, parameters, piece_h],
                [state, ca.vertcat(*points)],
            )
            self._levels[steps] = Buffered(piece.mapaccum("pieces", problem.pieces))
        return self._levels[steps]

    def simulated(
        self, situation: Situation, inputs: Floats, boluses: Floats, stretch: float = 1.0
    ) -> Simulated:
        """Every scenario's course.

        Args:
            situation: where it starts.
            inputs: decided ones, shape (scenarios or 1, pieces, decided).
            boluses: litres at the starts of the pieces, shape (scenarios or 1, pieces, boluses).
            stretch: factor of the loose pieces' lengths.
        """
        steps = self._problem.check_steps
        lengths_h = situation.lengths_h(stretch)
        allowed = max(TOLERANCE_SHARE * self._problem.defect_max, ROUNDING)
        told = self._told(situation, inputs, boluses, lengths_h)
        coarse = self._courses(steps, told)
        for _ in range(DOUBLINGS):
            steps *= 2
            fine = self._courses(steps, told)
            with np.errstate(invalid="ignore", over="ignore"):
                error = float(np.abs((fine - coarse) / self._scales).max())
            if error <= allowed:
                return Simulated(fine, error, steps)
            coarse = fine
        return Simulated(coarse, np.inf, steps)

    def neighbours(self, situation: Situation, inputs: Floats, boluses: Floats) -> Floats:
        """Courses near the first one, by which the steps are chosen.

        All are done in the smaller of the numbers of steps that agreed for the first one. Where
        that leads to what cannot be, because something is used up sooner than there, the course's
        own error is controlled.

        Args:
            situation: where they start.
            inputs: decided ones, shape (1, pieces, decided).
            boluses: litres at the starts of the pieces, shape (1, pieces, boluses).

        Returns:
            States at the ends of the pieces, shape (scenarios, pieces, states).
        """
        first = replace(situation, courses=situation.courses[:1])
        steps = self.simulated(first, inputs, boluses).steps // 2
        told = self._told(situation, inputs, boluses, situation.steps_h)
        ends = self._courses(steps, told)[:, :, -1]
        scaled = ends / self._scales
        possible = (scaled > self._lowest - BEYOND) & (scaled < self._highest + BEYOND)
        for astray in np.flatnonzero(~possible.all(axis=(1, 2))):
            alone = replace(situation, courses=situation.courses[astray : astray + 1])
            ends[astray] = self.simulated(alone, inputs, boluses).ends[0]
        return ends

    def _told(
        self, situation: Situation, inputs: Floats, boluses: Floats, lengths_h: Floats
    ) -> list[tuple[Floats, ...]]:
        """What the pieces are told in each scenario, in whatever steps they are done."""
        return [
            (
                state,
                self._whole_inputs(situation, inputs[min(s, len(inputs) - 1)]),
                boluses[min(s, len(boluses) - 1)],
                self._everywhere(parameters),
                lengths_h,
            )
            for s, (state, parameters) in enumerate(
                zip(situation.states, situation.scenario_parameters, strict=True)
            )
        ]

    def _courses(self, steps: int, told: list[tuple[Floats, ...]]) -> Floats:
        """States at the points of the pieces, shape (scenarios, pieces, points, states)."""
        pieces = self._pieces(steps)
        courses = np.empty((len(told), self._problem.pieces, len(self._widths), len(self._scales)))
        for course, scenario in zip(courses, told, strict=True):
            _, points = pieces(*scenario)
            course[:] = points.reshape(course.shape)
        return courses

    def outputs(self, situation: Situation, ends: Floats, inputs: Floats) -> Floats:
        """Outputs at the ends of the pieces, shape (scenarios, pieces, outputs).

        Args:
            situation: given inputs and parameters.
            ends: states, shape (scenarios, pieces, states).
            inputs: decided ones, shape (scenarios or 1, pieces, decided).
        """
        found = np.empty((*ends.shape[:2], len(self._problem.model.output_names)))
        for s, parameters in enumerate(situation.scenario_parameters):
            whole = self._whole_inputs(situation, inputs[min(s, len(inputs) - 1)])
            (values,) = self._outputs(ends[s], whole, self._everywhere(parameters))
            found[s] = values.reshape(found.shape[1:])
        return found

    def outputs_now(self, situation: Situation) -> Floats:
        """Outputs of every scenario's initial state, shape (scenarios, outputs)."""
        given = situation.given_now
        return np.array(
            [
                self._output(state, given, parameters)[0].copy()
                for state, parameters in zip(
                    situation.states, situation.scenario_parameters, strict=True
                )
            ]
        )

    def _everywhere(self, parameters: Floats) -> Floats:
        """The same parameters in every piece, shape (pieces, parameters)."""
        return parameters[None].repeat(self._problem.pieces, axis=0)

    def _whole_inputs(self, situation: Situation, inputs: Floats) -> Floats:
        """All inputs of the model per piece, shape (pieces, inputs), given ones by piece."""
        whole = np.array(situation.given_pieces(self._problem.pieces))
        whole[:, self._decided] = inputs
        return whole
