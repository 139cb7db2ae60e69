"""A problem as a nonlinear program, symbolic, built once.

Everything that changes between solves (initial states, lengths of the pieces, previous and given
inputs, model parameters, setpoints, weights) is a parameter of the program; bounds and limits are
arguments of the solver. Nothing is ever rebuilt.
"""

from collections.abc import Callable
from dataclasses import dataclass

import casadi as ca
import numpy as np

from controllers.arrays import Floats, Places
from controllers.buffered import Buffered
from controllers.layout import Collector, Layout, Rows
from controllers.objective import Terms, objective_terms
from controllers.problem import Method, Problem
from controllers.program_inputs import ProgramInputs
from plant_models.dialect import CASADI
from plant_models.integrate import rk4_step
from plant_models.model import PlantModel

POURING_STEPS = 2
"""Runge-Kutta steps in which a bolus is mixed in: a tenth of the volume to eight digits."""


@dataclass(frozen=True)
class Program:
    """The symbolic program and how to read its vectors.

    Attributes:
        nlp: what `casadi.nlpsol` takes.
        layout: places in the decision vector.
        rows: places in the constraint vector.
        point_times: points of a piece at which it has states, in (0, 1], shape (points,).
        terms: names of the objective's terms.
        term_values: function `(x, p)` that gives the terms.
        inputs: packs the program's parameters.
    """

    nlp: dict[str, ca.SX]
    layout: Layout
    rows: Rows
    point_times: Floats
    terms: tuple[str, ...]
    term_values: Buffered
    inputs: ProgramInputs


def state_scales(problem: Problem) -> Floats:
    """Scales of the moving states, shape (moving states,)."""
    return np.array([problem.model.states[name].scale for name in problem.moving_states])


def input_scales(problem: Problem) -> Floats:
    """Scales of the decided inputs, shape (decided,)."""
    return np.array([problem.model.inputs[name].scale for name in problem.decided])


def radau(degree: int) -> tuple[Floats, Floats]:
    """Radau IIA points in (0, 1], shape (degree,), and differentiation matrix (degree + 1, degree).

    The derivative of the polynomial through the values v_0 (start) .. v_degree at point j is
    `sum_i matrix[i, j] v_i`. Source: Biegler (2010), Nonlinear Programming, chapter 10.
    """
    times = np.array(ca.collocation_points(degree, "radau"))
    matrix, _, _ = ca.collocation_coeff([float(t) for t in times])
    return times, np.asarray(matrix, dtype=np.float64)


def point_times(problem: Problem) -> Floats:
    """Points of a piece at which the program has states, in (0, 1], shape (points,)."""
    if problem.method is Method.SHOOTING:
        return np.ones(1)
    times, _ = radau(problem.degree)
    starts = np.arange(problem.elements)[:, None]
    return np.asarray((starts + times) / problem.elements, dtype=np.float64).ravel()


def poured(problem: Problem, x: ca.SX, name: str, volume_L: ca.SX, p: ca.SX) -> ca.SX:
    """State after a liquid was poured in at once.

    What a litre brings is the derivative of the model by the flow; it is integrated over the litres
    by Runge-Kutta steps, so that whatever the model says of a flow holds for a bolus.

    Args:
        problem: whose model and held states count.
        x: state before, in the model's units.
        name: input that is a liquid flow.
        volume_L: litres, as the pump counts them.
        p: parameters.
    """
    model = problem.model
    u, state = ca.SX.sym("u", len(model.inputs)), ca.SX.sym("x", len(model.states))
    q = ca.SX.sym("p", len(model.parameters))
    flow = u[model.input_names.index(name)]
    effect = ca.jacobian(model.derivative(state, u, q, CASADI), flow)
    nominal = ca.DM(list(model.nominal_inputs()))
    brought = ca.Function("brought", [state, u, q], [effect])
    after = x
    for _ in range(POURING_STEPS):
        after = rk4_step(lambda at: brought(at, nominal, p), after, volume_L / POURING_STEPS)
    held = ca.DM([state in problem.held_states for state in model.state_names])
    return held * x + (1 - held) * after


class Equations:
    """A model's equations as functions: written out once, then repeated in every piece.

    Attributes:
        rate: function `(x, u, p)` that gives the time derivative.
        output: function `(x, u, p)` that gives the outputs.
    """

    def __init__(self, model: PlantModel) -> None:
        """Write them out."""
        x = ca.SX.sym("x", len(model.states))
        u = ca.SX.sym("u", len(model.inputs))
        p = ca.SX.sym("p", len(model.parameters))
        self.rate = ca.Function("rate", [x, u, p], [model.derivative(x, u, p, CASADI)])
        self.output = ca.Function("output", [x, u, p], [model.output_vector(x, u, p, CASADI)])


class ScaledModel:
    """The model in the program's scaled variables, of one scenario."""

    def __init__(
        self, problem: Problem, symbols: ProgramInputs, equations: Equations, scenario: int
    ) -> None:
        model = problem.model
        self._problem, self._symbols, self._equations = problem, symbols, equations
        # Vectors of CasADi: those of NumPy would be turned into such in every operation.
        self._x_scale, self._u_scale = ca.DM(state_scales(problem)), ca.DM(input_scales(problem))
        self._moving = [model.state_names.index(name) for name in problem.moving_states]
        self._decided = [model.input_names.index(name) for name in problem.decided]
        self._initial = symbols.initial[:, scenario]
        self._parameters = symbols.parameters[:, scenario]

    @property
    def start(self) -> ca.SX:
        """The moving states at the start, scaled."""
        return ca.vertcat(*(self._initial[row] for row in self._moving)) / self._x_scale

    @property
    def before(self) -> ca.SX:
        """The decided inputs in force at the start, scaled."""
        return self._symbols.previous / self._u_scale

    def whole_input(self, scaled: ca.SX, piece: int) -> ca.SX:
        """All inputs of the model in a piece from the decided ones."""
        rows = ca.vertsplit(self._symbols.given[:, piece])
        for row, value in zip(self._decided, ca.vertsplit(scaled * self._u_scale), strict=True):
            rows[row] = value
        return ca.vertcat(*rows)

    def derivative(self, scaled: ca.SX, u: ca.SX) -> ca.SX:
        """Time derivative of the moving states, scaled, 1/h."""
        rate = self._equations.rate(self._whole_state(scaled), u, self._parameters)
        scaled_rate: ca.SX = ca.vertcat(*(rate[row] for row in self._moving)) / self._x_scale
        return scaled_rate

    def outputs(self, scaled: ca.SX, u: ca.SX) -> dict[str, ca.SX]:
        """Outputs of the model by name."""
        values = self._equations.output(self._whole_state(scaled), u, self._parameters)
        return {name: values[i] for i, name in enumerate(self._problem.model.output_names)}

    def after_boluses(self, scaled: ca.SX, volumes_L: ca.SX) -> ca.SX:
        """Scaled states after what is poured at the start of a piece."""
        state = self._whole_state(scaled)
        for i, bolus in enumerate(self._problem.boluses):
            state = poured(self._problem, state, bolus.input, volumes_L[i], self._parameters)
        scaled_state: ca.SX = ca.vertcat(*(state[row] for row in self._moving)) / self._x_scale
        return scaled_state

    def _whole_state(self, scaled: ca.SX) -> ca.SX:
        rows = ca.vertsplit(self._initial)
        for row, value in zip(self._moving, ca.vertsplit(scaled * self._x_scale), strict=True):
            rows[row] = value
        return ca.vertcat(*rows)


def stepped(
    problem: Problem, derivative: Callable[[ca.SX], ca.SX], start: ca.SX, piece_h: ca.SX
) -> ca.SX:
    """State after a piece by Runge-Kutta steps, scaled as the derivative is."""
    state = start
    for _ in range(problem.elements):
        state = rk4_step(derivative, state, piece_h / problem.elements)
    return state


class _Builder:
    """Builds the program, scenario by scenario, piece by piece."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.symbols, self.equations = ProgramInputs(problem), Equations(problem.model)
        self.variables, self.constraints = Collector(), Collector()
        self.stretch: ca.SX | float = 1.0
        self.stretch_places = np.zeros(0, dtype=np.int64)
        if problem.free_harvest:
            self.stretch, self.stretch_places = self.variables.new("stretch", 1)
        self._times, self._matrix = radau(problem.degree)
        self._shared: dict[tuple[str, int], tuple[ca.SX, Places]] = {}

    def inputs(self, scenario: int, piece: int) -> tuple[ca.SX, Places]:
        """The decided inputs of one piece.

        Inputs that are foreseen, not written, are what other loops do: they differ from scenario
        to scenario from the beginning.
        """
        found = [
            self.decision(f"u_{item.name}", 1, scenario, piece, reacts=not item.written)
            for item in self.problem.inputs
        ]
        places = np.array([at for _, at in found], dtype=np.int64).ravel()
        return ca.vertcat(ca.SX(0, 1), *(symbol for symbol, _ in found)), places

    def decision(
        self, name: str, length: int, scenario: int, piece: int, *, reacts: bool = False
    ) -> tuple[ca.SX, Places]:
        """A new decision, or the first scenario's where all have the same."""
        if reacts or piece >= self.problem.scenarios.common_pieces:
            return self.variables.new(f"{name}_{scenario}_{piece}", length)
        key = (name, piece)
        if key not in self._shared:
            self._shared[key] = self.variables.new(f"{name}_{piece}", length)
        return self._shared[key]

    def piece(
        self, model: ScaledModel, start: ca.SX, u: ca.SX, piece_h: ca.SX, name: str
    ) -> tuple[ca.SX, Places, Places]:
        """States of one piece and their equations: last state, places of states, of equations."""
        if self.problem.method is Method.SHOOTING:
            state = stepped(self.problem, lambda x: model.derivative(x, u), start, piece_h)
            end, places = self.variables.new(f"x_{name}", start.numel())
            return end, places[None], self.constraints.add(state - end)
        element_h, states, rows = piece_h / self.problem.elements, [], []
        for element in range(self.problem.elements):
            nodes = [start]
            for j in range(self.problem.degree):
                symbol, places = self.variables.new(f"x_{name}_{element}_{j}", start.numel())
                nodes.append(symbol)
                states.append(places)
            for j in range(self.problem.degree):
                slope = sum(float(self._matrix[i, j]) * nodes[i] for i in range(len(nodes)))
                residual = slope - element_h * model.derivative(nodes[j + 1], u)
                rows.append(self.constraints.add(residual))
            start = nodes[-1]
        return start, np.array(states), np.concatenate(rows)

    def scenario(self, scenario: int) -> tuple[dict[str, list[Places]], Terms]:
        """One course of the plant: places by table, one row per piece, and objective terms."""
        problem = self.problem
        model = ScaledModel(problem, self.symbols, self.equations, scenario)
        outputs: dict[str, ca.SX] = {}
        start, before = model.start, model.before
        terms = Terms(problem, self.symbols, self.stretch)
        lengths_h = self.symbols.lengths_h(self.stretch)
        found: dict[str, list[Places]] = {
            name: []
            for name in ("states", "inputs", "slacks", "boluses", "before", "equations", "moves",
                         "totals", "sides")
        }  # fmt: skip
        for k in range(problem.pieces):
            u_k, inputs = self.inputs(scenario, k)
            poured_k, boluses = self.decision("bolus", len(problem.boluses), scenario, k)
            slack, slacks = self.variables.new(f"slack_{scenario}_{k}", len(problem.sides))
            u = model.whole_input(u_k, k)
            if problem.boluses:
                start = model.after_boluses(start, poured_k)
            start, states, equations = self.piece(model, start, u, lengths_h[k], f"{scenario}_{k}")
            move = u_k - before
            carried, before_places, equations = self._carried(u_k, equations, f"{scenario}_{k}")
            # Shooting reads the end's outputs by the carried inputs: no two blocks of the Hessian
            # are coupled then.
            outputs = model.outputs(start, model.whole_input(carried, k))
            found["totals"].append(self.constraints.add(_totals(problem, u)))
            limited = [move[i] for i, item in enumerate(problem.inputs) if item.move_limited]
            found["moves"].append(self.constraints.add(ca.vertcat(*limited)))
            found["sides"].append(self.constraints.add(_slackened(problem, outputs, slack)))
            terms.add_piece(k, outputs, slack, u_k, move, poured_k)
            before = carried
            for name, places in (
                ("states", states), ("inputs", inputs), ("slacks", slacks), ("boluses", boluses),
                ("before", before_places), ("equations", equations),
            ):  # fmt: skip
                found[name].append(places)
        terms.add_end(outputs)
        return found, terms

    def _carried(self, u_k: ca.SX, equations: Places, name: str) -> tuple[ca.SX, Places, Places]:
        """For shooting, the inputs as variables of the next piece: them, places, all equations."""
        if self.problem.method is not Method.SHOOTING:
            return u_k, np.zeros(0, dtype=np.int64), equations
        carried, places = self.variables.new(f"before_{name}", u_k.numel())
        return carried, places, np.concatenate([equations, self.constraints.add(u_k - carried)])


def transcribe(problem: Problem) -> Program:
    """Build the nonlinear program of a problem."""
    builder = _Builder(problem)
    tables, terms = [], []
    for scenario in range(problem.scenarios.count):
        found, term = builder.scenario(scenario)
        tables.append(found)
        terms.append(term)
    values, names = objective_terms(terms, builder.symbols)
    cost, worst, worst_rows = ca.sum1(values), np.zeros(0, dtype=np.int64), []
    if problem.scenarios.worst_case:
        bound, worst = builder.variables.new("worst", 1)
        worst_rows = [builder.constraints.add(bound - term.total) for term in terms]
        cost = bound

    def table(name: str) -> Places:
        return np.array([found[name] for found in tables], dtype=np.int64)

    x, p = builder.variables.vector, builder.symbols.vector
    return Program(
        nlp={"x": x, "p": p, "g": builder.constraints.vector, "f": cost},
        layout=Layout(
            states=table("states"),
            inputs=table("inputs"),
            slacks=table("slacks"),
            boluses=table("boluses"),
            before=table("before"),
            stretch=builder.stretch_places,
            worst=worst,
        ),
        rows=Rows(
            equations=table("equations"),
            moves=table("moves"),
            totals=table("totals"),
            sides=table("sides"),
            worst=np.array(worst_rows, dtype=np.int64).ravel(),
        ),
        point_times=point_times(problem),
        terms=names,
        term_values=Buffered(ca.Function("terms", [x, p], [ca.densify(values)])),
        inputs=builder.symbols,
    )


def _totals(problem: Problem, u: ca.SX) -> ca.SX:
    """Sums of inputs that have a bound, each in units of the bound."""
    names = problem.model.input_names
    sums = [sum(u[names.index(name)] for name in item.inputs) for item in problem.totals]
    return ca.vertcat(
        *(value / item.upper for value, item in zip(sums, problem.totals, strict=True))
    )


def _slackened(problem: Problem, outputs: dict[str, ca.SX], slack: ca.SX) -> ca.SX:
    """Limited outputs at the end of a piece in units of their scales, slack taken off."""
    rows = [
        outputs[side.limit.output] / side.limit.scale - side.sign * slack[i]
        for i, side in enumerate(problem.sides)
    ]
    return ca.vertcat(*rows)
