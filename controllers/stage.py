"""One piece of a program of Runge-Kutta steps as functions, to be mapped over all pieces."""

from dataclasses import replace

import casadi as ca

from controllers.problem import Problem, Scenarios
from controllers.program_inputs import ProgramInputs
from controllers.transcription import Equations, ScaledModel, stepped


class Stage:
    """One piece: where it ends, and how that depends on where it begins and what is decided.

    Attributes:
        end: function `(state, decided, data) -> state`, scaled; what is decided are inputs and
            boluses, the data are those of `ProgramInputs.stages`.
        slopes: the same with the end's dense Jacobian by state and decided.
        curves: function `(state, decided, data, weights)` that gives the upper triangle of the
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
        end = stepped(problem, lambda state: model.derivative(state, whole), start, piece_h)
        decided = ca.vertcat(u, volumes_L)
        data = ca.vertcat(symbols.given, symbols.initial, symbols.parameters, piece_h)
        weights = ca.SX.sym("weights", x.numel())
        both, arguments = ca.vertcat(x, decided), [x, decided, data]
        if problem.boluses:
            curves, _ = ca.hessian(ca.dot(weights, end), both)
        else:
            curves = _curves(problem, model, (x, u, piece_h), weights)
        slopes, triangle = ca.cse(ca.jacobian(end, both)), ca.cse(ca.triu(curves))
        self.end = ca.Function("end", arguments, [end])
        self.slopes = ca.Function("slopes", arguments, [end, ca.densify(slopes)])
        self.curves = ca.Function("curves", [*arguments, weights], [ca.densify(triangle)])


def _curves(
    problem: Problem, model: ScaledModel, piece: tuple[ca.SX, ca.SX, ca.SX], weights: ca.SX
) -> ca.SX:
    """Second derivatives of the weighed end by state and inputs, slope by slope.

    Each slope that the steps take bends as the model does there, and counts as much as the end
    depends on it: fewer operations than deriving the whole piece twice, and half the time.
    """
    x, u, piece_h = piece
    points: list[ca.SX] = []
    added: list[ca.SX] = []
    whole = model.whole_input(u, 0)

    def derivative(state: ca.SX) -> ca.SX:
        points.append(state)
        added.append(ca.SX.sym(f"added_{len(added)}", state.numel()))
        return model.derivative(state, whole) + added[-1]

    end = stepped(problem, derivative, x, piece_h)
    counts = ca.gradient(ca.dot(weights, end), ca.vertcat(*added))
    sensitivities = ca.jacobian(ca.vertcat(*points), ca.vertcat(x, u))
    state, count = ca.SX.sym("state", x.numel()), ca.SX.sym("count", x.numel())
    bent, _ = ca.hessian(ca.dot(count, model.derivative(state, whole)), ca.vertcat(state, u))
    inputs = ca.horzcat(ca.SX(u.numel(), x.numel()), ca.SX.eye(u.numel()))
    total = ca.SX(x.numel() + u.numel(), x.numel() + u.numel())
    for i, point in enumerate(points):
        rows = slice(i * x.numel(), (i + 1) * x.numel())
        (here,) = ca.substitute([bent], [state, count], [point, counts[rows]])
        turned = ca.vertcat(sensitivities[rows, :], inputs)
        total += ca.mtimes(turned.T, ca.mtimes(here, turned))
    (plain,) = ca.substitute([total], added, [ca.SX.zeros(each.numel()) for each in added])
    return plain
