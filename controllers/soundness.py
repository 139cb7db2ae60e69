"""Problems that cannot come to anything sensible, in words, before anything is solved.

From the structure of the model's equations: which states an input reaches, and which outputs these
reach; a state that is held carries nothing on. From the model's numbers where the batch begins:
what is not finite. From the problem's own numbers: weights, scales and limits that make no sense.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, log10

import casadi as ca
import numpy as np

from controllers.arrays import Flags, Floats
from controllers.problem import Limit, Per, Problem
from plant_models.dialect import CASADI
from plant_models.model import PlantModel

LARGEST_RATIO = 1e8
"""How much more one term of the objective may weigh than another, each at one of its scales. A
double has sixteen digits: beyond half of them the smaller term is lost in the second derivatives,
and it lies below the tolerances of all solvers here, so that it might as well not be there."""


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong with a problem.

    Attributes:
        where: names and places from the problem down, such as `("limits", 2, "upper")`; what
            concerns the equations begins with "model".
        subject: what is meant, in words, such as "input air".
        text: what is wrong with it and what would be right.
        hopeless: whether nothing sensible can follow; otherwise it is only odd.
    """

    where: tuple[str | int, ...]
    subject: str
    text: str
    hopeless: bool = True

    def __str__(self) -> str:
        """As a sentence."""
        return f"{self.subject} {self.text}"


def complaints(
    problem: Problem, state: Floats | None = None, parameters: Floats | None = None
) -> list[str]:
    """Everything that is wrong with a problem, in words; empty when nothing is.

    Args:
        problem: what is to be solved.
        state: where the batch begins, shape (states,); None for the model's initial state.
        parameters: shape (parameters,); None for the model's nominal ones.
    """
    return [f"problem {problem.name}: {item}" for item in examine(problem, state, parameters)]


def examine(
    problem: Problem, state: Floats | None = None, parameters: Floats | None = None
) -> list[Complaint]:
    """The same, one by one, for those who must tell where each belongs."""
    model = problem.model
    x = np.array(model.initial_state() if state is None else state, dtype=np.float64)
    p = np.array(model.nominal_parameters() if parameters is None else parameters, dtype=np.float64)
    try:
        structure = Structure(problem)
    except Exception as error:  # noqa: BLE001 - whatever a site's own equations raise
        reason = str(error).partition("\n")[0]
        text = f"has equations that cannot be built: {type(error).__name__}: {reason}"
        return [Complaint(("model",), f"model {model.name}", text)]
    found = [
        *_not_finite(structure, x, p),
        *_idle_inputs(structure),
        *_fixed_outputs(structure),
        *_odd_divisors(problem),
        *_odd_weights(problem),
        *_odd_scales(structure, p),
        *_impossible_limits(structure),
    ]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Asked:
    """An output that a problem asks about.

    Attributes:
        where: its place in the problem.
        kind: "maximised", "tracked", "rewarded" or "limited".
        output: output of the model.
        scale: what counts as one.
        weight: cost or gain of one; None for a hard limit.
    """

    where: tuple[str | int, ...]
    kind: str
    output: str
    scale: float
    weight: float | None

    @property
    def subject(self) -> str:
        """In words."""
        return f"{self.kind} output {self.output}"


def asked_of(problem: Problem) -> Iterator[Asked]:
    """All outputs that a problem asks about."""
    best = problem.maximise
    if best is not None:
        yield Asked(("maximise",), "maximised", best.output, best.scale, 1.0)
    for tracked in problem.tracked:
        where = ("tracked", tracked.output)
        yield Asked(where, "tracked", tracked.output, tracked.scale, tracked.weight)
    for i, rewarded in enumerate(problem.rewarded):
        where_i = ("rewarded", i)
        yield Asked(where_i, "rewarded", rewarded.output, rewarded.scale, rewarded.weight)
    for i, limit in enumerate(problem.limits):
        yield Asked(("limits", i), "limited", limit.output, limit.scale, limit.weight)


class Structure:
    """What depends on what in a problem's model, held states taken as constant."""

    def __init__(self, problem: Problem) -> None:
        """Trace the equations once, symbolically."""
        model = problem.model
        self.problem = problem
        self._x = ca.SX.sym("x", len(model.states))
        self._u = ca.SX.sym("u", len(model.inputs))
        self._p = ca.SX.sym("p", len(model.parameters))
        self._rate = model.derivative(self._x, self._u, self._p, CASADI)
        self._output = model.output_vector(self._x, self._u, self._p, CASADI)
        self.moving = np.array([name in problem.moving_states for name in model.state_names])

    @property
    def model(self) -> PlantModel:
        """The problem's model."""
        return self.problem.model

    @property
    def decided(self) -> tuple[str, ...]:
        """Inputs that are decided, as flows or as boluses."""
        poured = (item.input for item in self.problem.boluses)
        return tuple(dict.fromkeys((*self.problem.decided, *poured)))

    @cached_property
    def acts_on(self) -> Flags:
        """Whether an input is in a state's derivative, shape (states, inputs)."""
        return _depends(self._rate, self._u)

    @cached_property
    def shows_state(self) -> Flags:
        """Whether a state is in an output, shape (outputs, states)."""
        return _depends(self._output, self._x)

    @cached_property
    def shows_input(self) -> Flags:
        """Whether an input is itself in an output, shape (outputs, inputs)."""
        return _depends(self._output, self._u)

    @cached_property
    def reaches(self) -> Flags:
        """Whether an input changes a state, directly or through others, shape (states, inputs)."""
        passed_on = _depends(self._rate, self._x) & self.moving[:, None]
        reached: Flags = self.acts_on & self.moving[:, None]
        # No way from state to state has more steps than there are states.
        for _ in self.model.states:
            reached = reached | (passed_on @ reached)
        return reached

    @cached_property
    def changes(self) -> Flags:
        """Whether an input changes an output, shape (outputs, inputs)."""
        return np.asarray(self.shows_input | (self.shows_state @ self.reaches))

    def at(self, x: Floats, u: Floats, p: Floats) -> tuple[Floats, Floats]:
        """Derivatives and outputs in numbers."""
        evaluate = ca.Function("at", [self._x, self._u, self._p], [self._rate, self._output])
        rate, output = evaluate(x, u, p)
        return np.asarray(rate).ravel(), np.asarray(output).ravel()

    def is_state(self, output: str) -> str | None:
        """The state that an output is, without anything done to it; None when it is none."""
        shown = self._output[self.model.output_names.index(output)]
        for i, name in enumerate(self.model.state_names):
            if ca.is_equal(shown, self._x[i]):
                return name
        return None

    def input_place(self, name: str) -> int:
        """Place of an input in the model."""
        return self.model.input_names.index(name)

    def output_place(self, name: str) -> int:
        """Place of an output in the model."""
        return self.model.output_names.index(name)


def _depends(value: ca.SX, on: ca.SX) -> Flags:
    pattern = ca.DM(ca.jacobian_sparsity(value, on), 1).full()
    return np.asarray(pattern, dtype=bool).reshape(value.numel(), on.numel())


def _not_finite(structure: Structure, x: Floats, p: Floats) -> Iterator[Complaint]:
    """Derivatives and outputs that are no numbers where the batch begins, at nominal inputs."""
    model = structure.model
    rate, output = structure.at(x, np.array(model.nominal_inputs(), dtype=np.float64), p)
    asked = {item.output for item in asked_of(structure.problem)}
    when = "where the batch begins, at nominal inputs"
    for name, value, moves in zip(model.state_names, rate, structure.moving, strict=True):
        if not isfinite(value):
            subject = f"the derivative of state {name}"
            yield Complaint(("model",), subject, f"is {value:g} {when}", hopeless=bool(moves))
    for name, value in zip(model.output_names, output, strict=True):
        if not isfinite(value):
            text = f"is {value:g} {when}"
            yield Complaint(("model",), f"output {name}", text, hopeless=name in asked)


def _idle_inputs(structure: Structure) -> Iterator[Complaint]:
    """Decided inputs that change nothing that is asked about."""
    problem, model = structure.problem, structure.model
    asked = tuple(dict.fromkeys(item.output for item in asked_of(problem)))
    rows = [structure.output_place(name) for name in asked]
    best = problem.maximise
    for name in structure.decided:
        place = structure.input_place(name)
        counted = best is not None and best.per is Per.FEED and name in model.volume_flows
        if counted or structure.changes[rows, place].any():
            continue
        where = ("inputs" if name in problem.decided else "boluses", name)
        text = f"changes nothing that this problem asks about ({', '.join(asked)})"
        text = f"{text}: {_reach(structure, place)}; leave it out"
        yield Complaint(where, f"input {name}", text)


def _reach(structure: Structure, place: int) -> str:
    """What an input does reach, in words."""
    names = structure.model.state_names
    moved = _names(names, structure.reaches[:, place])
    held = _names(names, structure.acts_on[:, place] & ~structure.moving)
    if moved:
        return f"it reaches {moved} alone"
    return f"it acts on {held} alone, held here" if held else "it acts on no state"


def _fixed_outputs(structure: Structure) -> Iterator[Complaint]:
    """Outputs asked about that no decided input changes."""
    problem, names = structure.problem, structure.model.state_names
    columns = [structure.input_place(name) for name in structure.decided]
    for item in asked_of(problem):
        row = structure.output_place(item.output)
        shown = structure.shows_state[row]
        if structure.changes[row, columns].any():
            continue
        if problem.free_harvest and (shown & structure.moving).any():
            continue
        held = _names(names, shown & ~structure.moving)
        moving = _names(names, shown & structure.moving)
        of = " and ".join(part for part in (moving, f"{held}, held here" if held else "") if part)
        why = f": it depends on {of}" if of else ""
        text = f"cannot be changed by what is decided ({', '.join(structure.decided)}){why}"
        where = item.where if item.kind == "tracked" else (*item.where, "output")
        yield Complaint(where, item.subject, text, hopeless=item.kind != "limited")


def _odd_divisors(problem: Problem) -> Iterator[Complaint]:
    """A quotient whose divisor is the same for every plan."""
    best, flows = problem.maximise, problem.model.volume_flows
    if best is None:
        return
    subject = f"maximised output {best.output}"
    if best.per is Per.HOUR and not problem.free_harvest:
        text = "is divided by hours that are the same for every plan: the harvest is not free"
        yield Complaint(("maximise", "per"), subject, text, hopeless=False)
    if best.per is Per.FEED and not problem.boluses and not set(problem.decided) & set(flows):
        text = "is divided by litres that are the same for every plan: no liquid is decided"
        yield Complaint(("maximise", "per"), subject, text, hopeless=False)


@dataclass(frozen=True)
class _Weight:
    """A weight, what its term comes to at one of its scales, and whether that grows squared."""

    where: tuple[str | int, ...]
    subject: str
    value: float
    size: float
    squared: bool = False


def _weights(problem: Problem) -> Iterator[_Weight]:
    """All weights of a problem."""
    for item in asked_of(problem):
        if item.weight is not None:
            where = item.where if item.kind == "maximised" else (*item.where, "weight")
            squared = item.kind in ("tracked", "limited")
            yield _Weight(where, item.subject, item.weight, abs(item.weight), squared)
    for decided in problem.inputs:
        scale = problem.model.inputs[decided.name].scale
        for key, value, size in (
            ("move_weight", decided.move_weight, decided.move_weight),
            ("effort_weight", decided.effort_weight, decided.effort_weight),
            ("price", decided.price, decided.price * scale),
        ):
            where = ("inputs", decided.name, key)
            squared = key == "move_weight"
            yield _Weight(where, f"{_WORDS[key]} {decided.name}", value, abs(size), squared)
    for bolus in problem.boluses:
        where = ("boluses", bolus.input, "price")
        size = abs(bolus.price * bolus.largest)
        yield _Weight(where, f"price of a bolus of {bolus.input}", bolus.price, size)


_WORDS = {"move_weight": "moves of", "effort_weight": "effort of", "price": "price of"}


def _odd_weights(problem: Problem) -> Iterator[Complaint]:
    """Weights that are no numbers, and those that drown all others or are drowned by them."""
    weights = list(_weights(problem))
    for item in weights:
        if not isfinite(item.value):
            text = f"has the weight {item.value}, which is no number to count with"
            yield Complaint(item.where, item.subject, text)
        elif item.value < 0 and item.squared:
            text = f"has the weight {item.value:g}: what gains by being larger has no optimum"
            yield Complaint(item.where, item.subject, text)
    counted = [item for item in weights if isfinite(item.size) and item.size > 0]
    if not counted:
        return
    least, most = (choose(counted, key=lambda item: item.size) for choose in (min, max))
    if most.size / least.size <= LARGEST_RATIO:
        return
    # What is further from one is more likely the mistake.
    small_is_odd = abs(log10(least.size)) > abs(log10(most.size))
    odd, other = (least, most) if small_is_odd else (most, least)
    text = (
        f"counts {odd.size:.3g} for one of its scale, but {other.subject} {other.size:.3g}: of two "
        f"terms more than {LARGEST_RATIO:g} apart the smaller one is lost"
    )
    yield Complaint(odd.where, odd.subject, text, hopeless=False)


def _odd_scales(structure: Structure, p: Floats) -> Iterator[Complaint]:
    """Scales that are far from what their outputs are like."""
    model = structure.model
    x = np.array([item.scale for item in model.states.values()])
    u = np.array([min(max(i.scale, i.lower), i.upper) for i in model.inputs.values()])
    _, typical = structure.at(x, u, p)
    for item in asked_of(structure.problem):
        where = (*item.where, "scale")
        size = abs(float(typical[structure.output_place(item.output)]))
        unit = model.outputs_info[item.output].unit
        scale = f"{item.scale:g}" if unit == "1" else f"{item.scale:g} {unit}"
        text = f"has the scale {scale}, but is about {size:.3g} in size"
        if isfinite(size) and size / item.scale > LARGEST_RATIO:
            yield Complaint(where, item.subject, f"{text}: the scale is far too small")
        if isfinite(size) and size > 0 and item.scale / size > LARGEST_RATIO:
            # Only odd: what is nearly nothing at typical states may be large at others.
            said = f"{text} where all states are at their scales: it will hardly count"
            yield Complaint(where, item.subject, said, hopeless=False)


def _impossible_limits(structure: Structure) -> Iterator[Complaint]:
    """Limits of a state that no value it may have can keep."""
    model = structure.model
    for i, limit in enumerate(structure.problem.limits):
        name = structure.is_state(limit.output)
        if name is not None:
            state = model.states[name]
            yield from _excluded(i, limit, state.lower, state.upper, state.unit)


def _excluded(
    place: int, limit: Limit, lowest: float, highest: float, unit: str
) -> Iterator[Complaint]:
    """One limit against all that a state may be."""
    subject = f"limited output {limit.output}"
    but = f"but the model has it within {lowest:g}..{highest:g} {unit}: no plan can keep that"
    if limit.lower is not None and limit.lower > highest:
        text = f"must stay above {limit.lower:g}, {but}"
        yield Complaint(("limits", place, "lower"), subject, text)
    if limit.upper is not None and limit.upper < lowest:
        text = f"must stay below {limit.upper:g}, {but}"
        yield Complaint(("limits", place, "upper"), subject, text)


def _names(names: Iterable[str], chosen: Flags) -> str:
    return ", ".join(name for name, one in zip(names, chosen, strict=True) if one)
