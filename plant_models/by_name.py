"""A model used from a script or notebook: numbers by name, and batches simulated as tables.

Rooms pass arrays in the model's order; people think in names. What is named here goes into those
arrays and comes out of them, with words where a name is not the model's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, isfinite, isnan, log10
from typing import TypeAlias

import numpy as np

from plant_models.integrate import Floats, Simulator
from plant_models.model import PlantModel

BOLUS_H = 1 / 60
"""How long a bolus takes to flow in: at once for a culture, long for a step of the integrator."""

Stretches: TypeAlias = float | Sequence[tuple[float, float]]
"""What an input does: one number, or pairs of an hour and the value from then on."""


@dataclass(frozen=True, eq=False)
class Table:
    """A course by name, one row per moment; units are the model's.

    Attributes:
        model: whose quantities these are.
        times_h: moments, shape (rows,).
        states: by name, each of shape (rows,).
        outputs: by name, each of shape (rows,).
        inputs: by name, each of shape (rows,): the mean since the row before, what was poured at
            once included, so that nothing of it is lost.
        parameters: those that differ from row to row, such as learnt ones, each of shape (rows,).
    """

    model: PlantModel
    times_h: Floats
    states: Mapping[str, Floats]
    outputs: Mapping[str, Floats]
    inputs: Mapping[str, Floats]
    parameters: Mapping[str, Floats] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Floats:
        """A column: an output, or else a state, an input or a parameter.

        Raises:
            KeyError: there is none, or it is both a state and an input; the text says what to do.
        """
        if name in self.outputs:
            return self.outputs[name]
        groups = (self.states, self.inputs, self.parameters)
        found = [group[name] for group in groups if name in group]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{name!r} is a state and an input: say .states or .inputs")
        known = [*self.outputs, *(each for group in groups for each in group)]
        raise KeyError(f"no column {name!r}; known: {', '.join(dict.fromkeys(known))}")

    def unit(self, name: str) -> str:
        """Unit of a column."""
        self[name]
        model = self.model
        for table in (model.outputs_info, model.states, model.inputs, model.parameters):
            if name in table:
                return table[name].unit
        raise AssertionError(name)

    @property
    def end(self) -> dict[str, float]:
        """All states in the last row: where another simulation may go on."""
        return {name: float(column[-1]) for name, column in self.states.items()}

    def text(self, *names: str, every: int = 1, digits: int = 4) -> str:
        """Columns as text with their units, every so many rows; by default what the model shows.

        Args:
            names: columns.
            every: rows from one to the next that is shown.
            digits: significant ones of the largest number of a column.
        """
        shown = names or self.model.shown or tuple(self.outputs)
        columns = [["time", "h", *_as_text(self.times_h[::every], digits)]]
        columns += [
            [name, self.unit(name), *_as_text(self[name][::every], digits)] for name in shown
        ]
        widths = [max(len(cell) for cell in column) for column in columns]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in zip(*columns, strict=True)
        )


def _as_text(column: Floats, digits: int) -> list[str]:
    """Numbers with the decimals that give the largest of them so many significant digits."""
    sizes = np.abs(column[np.isfinite(column)])
    order = floor(log10(sizes.max())) if sizes.any() else 0
    decimals = max(0, digits - 1 - order)
    whole = bool((column == np.round(column)).all())
    return [f"{value:.{0 if whole else decimals}f}" for value in column.tolist()]


def state_and_parameters(
    model: PlantModel, known: Mapping[str, float] | None = None
) -> tuple[Floats, Floats]:
    """A state and parameters as arrays in the model's order.

    Args:
        model: the model.
        known: states and parameters by name; the others are as at inoculation and as published.

    Raises:
        ValueError: a name is neither a state nor a parameter, or a value is no finite number.
    """
    known = known or {}
    both = sorted(set(model.states) & set(model.parameters) & set(known))
    if both:
        raise ValueError(f"model {model.name} has states and parameters of one name: {both}")
    names = (*model.state_names, *model.parameter_names)
    nominal = (*model.initial_state(), *model.nominal_parameters())
    values = _numbers(model, "state or parameter", names, nominal, known)
    return values[: len(model.states)], values[len(model.states) :]


def input_vector(model: PlantModel, known: Mapping[str, float] | None = None) -> Floats:
    """Inputs as an array in the model's order; those that are not named are nominal.

    Raises:
        ValueError: a name is no input of the model, or a value is no finite number.
    """
    return _numbers(model, "input", model.input_names, model.nominal_inputs(), known or {})


def _numbers(
    model: PlantModel,
    what: str,
    names: Sequence[str],
    nominal: Sequence[float],
    known: Mapping[str, float],
) -> Floats:
    """Numbers in the order of `names`, nominal where nothing is known."""
    refuse_unknown(model, what, known, names)
    for name, value in known.items():
        if not isfinite(value):
            raise ValueError(f"{what} {name!r} is {value!r}, but must be a finite number")
    pairs = zip(names, nominal, strict=True)
    return np.array([known.get(name, value) for name, value in pairs], dtype=np.float64)


def refuse_unknown(
    model: PlantModel, what: str, given: Iterable[str], known: Collection[str]
) -> None:
    """Refuse a name that is not among those that are known, in words."""
    for name in given:
        if name not in known:
            raise ValueError(
                f"model {model.name} has no {what} {name!r}; known: {', '.join(known)}"
            )


def simulate(
    model: PlantModel,
    hours: float,
    inputs: Mapping[str, Stretches] | None = None,
    *,
    boluses: Iterable[tuple[float, str, float]] = (),
    known: Mapping[str, float] | None = None,
    every_h: float = 1.0,
    from_h: float = 0.0,
) -> Table:
    """Simulate a batch, or a part of one, with the integrator that filter and optimiser share.

    Args:
        model: the model.
        hours: how long.
        inputs: by name a number, or pairs (hour, value from then on); the others are nominal.
        boluses: liquids poured at once: (hour, input, litres).
        known: states at the beginning and parameters, by name; the others are the model's.
        every_h: hours from row to row.
        from_h: hour at which it begins.

    Raises:
        ValueError: a name is not the model's, a value is not finite or not admissible, or the
            state runs away.
    """
    if not (0 < hours < np.inf and 0 < every_h < np.inf):
        raise ValueError(f"hours is {hours!r} and every_h {every_h!r}: both must be positive")
    if not isfinite(from_h):
        raise ValueError(f"from_h is {from_h!r}, but must be a finite number")
    x, p = state_and_parameters(model, known)
    end_h = from_h + hours
    rows_h = np.append(from_h + every_h * np.arange(ceil(hours / every_h - 1e-9)), end_h)
    flows = _Flows(model, inputs or {}, tuple(boluses), from_h, end_h)
    simulator = Simulator(model, every_h)
    states, held, means = [x], [flows.at(from_h)], [flows.at(from_h)]
    for start_h, stop_h in pairwise(rows_h.tolist()):
        amount = np.zeros(len(model.inputs))
        edges_h = [start_h, *flows.between(start_h, stop_h), stop_h]
        for one_h, other_h in pairwise(edges_h):
            u = flows.at(0.5 * (one_h + other_h), poured=True)
            x = simulator.advance(x, u, p, other_h - one_h)
            amount += u * (other_h - one_h)
        if not np.isfinite(x).all():
            raise ValueError(f"model {model.name}: the state runs away before {stop_h:g} h")
        states.append(x)
        held.append(flows.at(0.5 * (edges_h[-2] + stop_h)))
        means.append(amount / (stop_h - start_h))
    outputs = [simulator.outputs(state, u, p) for state, u in zip(states, held, strict=True)]
    return table(model, rows_h, np.array(states), np.array(outputs), np.array(means))


def table(
    model: PlantModel, times_h: Floats, states: Floats, outputs: Floats, inputs: Floats
) -> Table:
    """A table from arrays of shape (rows, states), (rows, outputs) and (rows, inputs)."""
    return Table(
        model,
        times_h,
        dict(zip(model.state_names, states.T, strict=True)),
        dict(zip(model.output_names, outputs.T, strict=True)),
        dict(zip(model.input_names, inputs.T, strict=True)),
    )


class _Flows:
    """What the inputs do in time, boluses included."""

    def __init__(
        self,
        model: PlantModel,
        inputs: Mapping[str, Stretches],
        boluses: tuple[tuple[float, str, float], ...],
        from_h: float,
        end_h: float,
    ) -> None:
        refuse_unknown(model, "input", inputs, model.input_names)
        refuse_unknown(model, "liquid", [what for _, what, _ in boluses], model.volume_flows)
        self._nominal = input_vector(model)
        self._stretches = {
            model.input_names.index(name): _stretches(model, name, given)
            for name, given in inputs.items()
        }
        for at_h, what, litres in boluses:
            if not (from_h <= at_h <= end_h - BOLUS_H and 0 <= litres < np.inf):
                raise ValueError(
                    f"a bolus of {litres:g} L of {what} at {at_h:g} h: it must lie between "
                    f"{from_h:g} and {end_h:g} h, and not be negative"
                )
        self._boluses = [(at_h, model.input_names.index(name), L) for at_h, name, L in boluses]
        changes = {at_h for pairs in self._stretches.values() for at_h, _ in pairs}
        changes |= {edge for at_h, _, _ in self._boluses for edge in (at_h, at_h + BOLUS_H)}
        self._changes = sorted(changes)

    def between(self, start_h: float, stop_h: float) -> list[float]:
        """Moments inside at which something changes."""
        return [at_h for at_h in self._changes if start_h < at_h < stop_h]

    def at(self, time_h: float, *, poured: bool = False) -> Floats:
        """All inputs at a moment, with what is being poured if wanted."""
        values = self._nominal.copy()
        for place, pairs in self._stretches.items():
            begun = [value for at_h, value in pairs if at_h <= time_h]
            values[place] = begun[-1] if begun else values[place]
        for at_h, place, litres in self._boluses if poured else ():
            if at_h <= time_h < at_h + BOLUS_H:
                values[place] += litres / BOLUS_H
        return values


def _stretches(model: PlantModel, name: str, given: Stretches) -> list[tuple[float, float]]:
    """Hours and values from then on, in order and admissible."""
    try:
        table = [(-np.inf, given)] if np.ndim(given) == 0 else given
        rows = np.array(table, dtype=np.float64)
        pairs = sorted((at_h, value) for at_h, value in rows.reshape(len(rows), -1).tolist())
    except (TypeError, ValueError):
        pairs = []
    if not pairs or any(isnan(at_h) for at_h, _ in pairs):
        raise ValueError(f"{name} must be a number, or pairs (hour, value from then on): {given!r}")
    item = model.inputs[name]
    for _, value in pairs:
        if not item.lower <= value <= item.upper:
            raise ValueError(
                f"{name} is {value:g} {item.unit}, but {model.name} holds from {item.lower:g} to "
                f"{item.upper:g} {item.unit}"
            )
    return pairs
