"""A plan simulated and paid for by the problem's own words, whoever made it."""

from collections.abc import Collection, Sequence

import casadi
import numpy as np

from benchmarks.rivals.task import Floats
from controllers.problem import Per, Problem
from controllers.situation import Situation
from plant_models.dialect import CASADI
from plant_models.integrate import casadi_step

STEPS = 50
"""Steps of the model's integrator between two points that are asked for."""


class Simulation:
    """A problem's model over the pieces of its horizon; what the problem holds stays as it is."""

    def __init__(
        self, problem: Problem, places: Sequence[float] = (1.0,), also_held: Collection[str] = ()
    ) -> None:
        """Compile.

        Args:
            problem: the problem.
            places: where in a piece states are asked for, in (0, 1], rising.
            also_held: states that stay as they are, besides those that the problem holds.
        """
        model = problem.model
        self._decided = [model.input_names.index(name) for name in problem.decided]
        self._pieces, self._places = problem.pieces, len(places)
        x, u, p, piece_h = (
            casadi.MX.sym(name, size)
            for name, size in (
                ("x", len(model.states)),
                ("u", len(model.inputs)),
                ("p", len(model.parameters)),
                ("piece_h", 1),
            )
        )
        step = casadi_step(model, held={*problem.held_states, *also_held}).fold(STEPS)
        state, states = x, []
        for width in np.diff([0.0, *places]):
            state = step(state, u, p, piece_h * float(width) / STEPS)
            states.append(state)
        piece = casadi.Function("piece", [x, u, p, piece_h], [state, casadi.vertcat(*states)])
        self._simulate = piece.mapaccum("pieces", problem.pieces)

    def states(self, situation: Situation, inputs: Floats) -> Floats:
        """States at the places of each piece, shape (pieces, places, states).

        Args:
            situation: where it starts.
            inputs: decided inputs, shape (pieces, decided).
        """
        _, states = self._simulate(
            situation.state,
            self.whole_inputs(situation, inputs).T,
            np.tile(situation.parameters[:, None], (1, self._pieces)),
            situation.steps_h[None, :],
        )
        shape = (self._pieces, self._places, len(situation.state))
        return np.asarray(states, dtype=np.float64).T.reshape(shape)

    def whole_inputs(self, situation: Situation, inputs: Floats) -> Floats:
        """All inputs of the model, piece by piece, shape (pieces, inputs)."""
        whole = np.array(situation.given_pieces(self._pieces))
        whole[:, self._decided] = inputs
        return whole


class Judge:
    """Gives a plan's objective from the decided inputs alone."""

    def __init__(self, problem: Problem) -> None:
        model = problem.model
        self._problem = problem
        self._simulation = Simulation(problem)
        x, u, p = (
            casadi.SX.sym("values", len(table))
            for table in (model.states, model.inputs, model.parameters)
        )
        outputs = casadi.Function("outputs", [x, u, p], [model.output_vector(x, u, p, CASADI)])
        self._outputs = outputs.map(problem.pieces)
        self._scales = np.array([model.inputs[name].scale for name in problem.decided])

    def objective(self, situation: Situation, inputs: Floats) -> float:
        """What the plan costs, simulated; what breaks a hard limit costs nothing here.

        Args:
            situation: where it starts, without scenarios.
            inputs: decided inputs, shape (pieces, decided).
        """
        problem, names = self._problem, self._problem.model.output_names
        ends = self._simulation.states(situation, inputs)[:, -1]
        whole = self._simulation.whole_inputs(situation, inputs)
        tiled = np.tile(situation.parameters[:, None], (1, problem.pieces))
        table = np.asarray(self._outputs(ends.T, whole.T, tiled), dtype=np.float64)
        outputs = dict(zip(names, table, strict=True))
        steps_h = situation.steps_h
        share = steps_h / steps_h.mean()
        cost = float(share @ self._distances(situation, outputs))
        for limit, (low, high) in zip(problem.limits, limit_ends(problem, situation), strict=True):
            value = outputs[limit.output]
            for beyond in (low - value, value - high):
                slack = np.maximum(beyond / limit.scale, 0.0)
                cost += (limit.weight or 0.0) * float(share @ (slack + slack**2))
        return cost + self._handling(situation, inputs) - gain(problem, outputs)

    def _distances(self, situation: Situation, outputs: dict[str, Floats]) -> Floats:
        """What tracked and rewarded outputs cost at the end of each piece, shape (pieces,)."""
        cost = np.zeros(self._problem.pieces)
        for tracked, setpoint in zip(self._problem.tracked, situation.setpoints, strict=True):
            cost += tracked.weight * ((outputs[tracked.output] - setpoint) / tracked.scale) ** 2
        for item in self._problem.rewarded:
            cost -= item.weight * outputs[item.output] / item.scale
        return cost

    def _handling(self, situation: Situation, inputs: Floats) -> float:
        """What the inputs cost: moves, effort, price."""
        scaled = inputs / self._scales
        moves = np.diff(np.vstack([situation.previous / self._scales, scaled]), axis=0)
        share = situation.steps_h / situation.steps_h.mean()
        cost = 0.0
        for i, item in enumerate(self._problem.inputs):
            cost += item.move_weight * float(moves[:, i] @ moves[:, i])
            cost += item.effort_weight * float(share @ scaled[:, i])
            cost += item.price * float(situation.steps_h @ inputs[:, i])
        return cost


def gain(problem: Problem, outputs: dict[str, Floats]) -> float:
    """What is maximised, at the end of the horizon."""
    best = problem.maximise
    if best is None:
        return 0.0
    if best.per is not Per.BATCH:
        raise ValueError(f"problem {problem.name}: only an amount can be judged, not a quotient")
    return float(outputs[best.output][-1]) / best.scale


def limit_ends(problem: Problem, situation: Situation) -> list[tuple[Floats, Floats]]:
    """Lower and upper end of each limit less its margins, each of shape (pieces,)."""
    names, ends = problem.model.output_names, []
    for limit in problem.limits:
        low = np.full(problem.pieces, -np.inf if limit.lower is None else limit.lower)
        high = np.full(problem.pieces, np.inf if limit.upper is None else limit.upper)
        if limit.margin and situation.output_deviation is not None:
            deviation = situation.output_deviation[:, names.index(limit.output)]
            margin = np.minimum(limit.margin * deviation, limit.margin_max)
            margin = np.minimum(margin, (high - low) / 2)
            margin = np.where(np.isfinite(margin), margin, 0.0)
            low, high = low + margin, high - margin
        ends.append((low, high))
    return ends
