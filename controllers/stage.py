"""One piece of a program of Runge-Kutta steps as functions, to be mapped over all pieces."""

from dataclasses import replace

import casadi as ca

from controllers.problem import Problem, Scenarios
from controllers.program_inputs import ProgramInputs
from controllers.transcription import Equations, ScaledModel, stepped


class Stage:
    """One piece: where it ends, and how that depends on where it begins and what is decided.

    Attributes:
        slopes: function `(state, decided, data) -> (end, slopes, points, sensitivities)`, scaled;
            what is decided are inputs and boluses, the data are those of `ProgramInputs.stages`.
            The slopes are the end's dense Jacobian by state and decided. Points are the states
            where the steps evaluate the model, and sensitivities their Jacobian, for `curves`;
            none with boluses.
        curves: function `(state, decided, data, weights, points, sensitivities)` that gives the
            weighed end's second derivatives, dense.
    """

    def __init__(self, problem: Problem) -> None:
        """Write them out."""
        problem = replace(problem, pieces=1, scenarios=Scenarios())
        symbols = ProgramInputs(problem)
        model = ScaledModel(problem, symbols, Equations(problem.model), 0)
        x = ca.SX.sym("x", len(problem.moving_states))
        u = ca.SX.sym("u", len(problem.inputs))
        volumes_L = ca.SX.sym("volumes_L", len(problem.boluses))
        start = model.after_boluses(x, volumes_L) if problem.boluses else x
        whole, piece_h = model.whole_input(u, 0), symbols.steps_h
        passed: list[ca.SX] = []

        def derivative(state: ca.SX) -> ca.SX:
            passed.append(state)
            return model.derivative(state, whole)

        end = stepped(problem, derivative, start, piece_h)
        decided = ca.vertcat(u, volumes_L)
        data = ca.vertcat(symbols.given, symbols.initial, symbols.parameters, piece_h)
        weights = ca.SX.sym("weights", x.numel())
        both, arguments = ca.vertcat(x, decided), [x, decided, data]
        points = ca.SX(0, 1) if problem.boluses else ca.vertcat(*passed)
        sensitivities = ca.jacobian(points, both)
        found = ca.cse([end, ca.densify(ca.jacobian(end, both)), points, sensitivities])
        self.slopes = ca.Function("slopes", arguments, found)
        points = ca.SX.sym("points", points.sparsity())
        sensitivities = ca.SX.sym("sensitivities", sensitivities.sparsity())
        if problem.boluses:
            curves, _ = ca.hessian(ca.dot(weights, end), both)
        else:
            curves = _curves(problem, model, (u, piece_h), weights, (points, sensitivities))
        # They are symmetric: half of them are computed.
        curves = ca.triu2symm(ca.triu(ca.densify(ca.cse(curves))))
        self.curves = ca.Function("curves", [*arguments, weights, points, sensitivities], [curves])


def _curves(
    problem: Problem,
    model: ScaledModel,
    piece: tuple[ca.SX, ca.SX],
    weights: ca.SX,
    course: tuple[ca.SX, ca.SX],
) -> ca.SX:
    """Second derivatives of the weighed end by state and inputs, slope by slope.

    Each slope that the steps take bends as the model does there, and counts as much as the end
    depends on it: fewer operations than deriving the whole piece twice, and a quarter of the time.
    """
    (u, piece_h), (points, sensitivities) = piece, course
    whole = model.whole_input(u, 0)
    state, count = (ca.SX.sym(name, weights.numel()) for name in ("state", "count"))
    slope = model.derivative(state, whole)
    by_state = ca.jacobian(slope, state)
    bent, _ = ca.hessian(ca.dot(count, slope), ca.vertcat(state, u))
    added: list[ca.SX] = []

    def linear(at: ca.SX) -> ca.SX:
        """The model linearised at the next point, and something added, which tells its count."""
        (here,) = ca.substitute([by_state], [state], [ca.vertsplit(points, at.numel())[len(added)]])
        added.append(ca.SX.sym(f"added_{len(added)}", at.numel()))
        return ca.mtimes(here, at) + added[-1]

    end = stepped(problem, linear, state, piece_h)
    counts = ca.gradient(ca.dot(weights, end), ca.vertcat(*added))
    inputs = ca.horzcat(ca.SX(u.numel(), state.numel()), ca.SX.eye(u.numel()))
    total = ca.SX(inputs.shape[1], inputs.shape[1])
    for i in range(len(added)):
        rows = slice(i * state.numel(), (i + 1) * state.numel())
        (here,) = ca.substitute([bent], [state, count], [points[rows], counts[rows]])
        turned = ca.vertcat(sensitivities[rows, :], inputs)
        total += ca.mtimes(turned.T, ca.mtimes(here, turned))
    return total
