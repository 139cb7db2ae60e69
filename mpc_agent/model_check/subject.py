"""The model under examination, with what several checks need computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc_agent.model_check.places import equation_files
from plant_models.evaluate import CompiledEquations, Points
from plant_models.model import Input, PlantModel, State
from plant_models.reference_run import ReferenceRun, run_reference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """A model and what it gives.

    Attributes:
        model: the model.
        file: the file that defines it, where it is known; its equations may be in another one.
    """

    model: PlantModel
    file: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that define the model and hold its equations."""
        own = () if self.file is None else (self.file,)
        return tuple(dict.fromkeys((*own, *equation_files(self.model))))

    @cached_property
    def equations(self) -> CompiledEquations:
        """The equations, compiled."""
        return CompiledEquations(self.model)

    @cached_property
    def reference(self) -> ReferenceRun:
        """The reference batch."""
        return run_reference(self.model)

    @cached_property
    def starved(self) -> ReferenceRun:
        """The reference batch with every liquid flow shut."""
        model = self.model
        shut = {name: max(0.0, model.inputs[name].lower) for name in model.volume_flows}

        def act(time_h: float, state: Any, memory: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
            inputs, state, memory = model.reference.act(time_h, state, memory)
            return inputs._replace(**shut), state, memory

        return run_reference(replace(model, reference=replace(model.reference, act=act)))

    @property
    def scales(self) -> Floats:
        """Typical size of each state, shape (states,)."""
        return np.array([state.scale for state in self.model.states.values()])

    @property
    def reference_parameters(self) -> Floats:
        """Parameters of the reference batch, shape (parameters,)."""
        model = self.model
        given = model.nominal_parameters()._replace(**model.reference.parameters)
        return np.array(given, dtype=np.float64)


def points_within(model: PlantModel, count: int, seed: int, *, nominal: bool = False) -> Points:
    """Random points, evenly spread between the bounds that the model declares.

    Args:
        model: the model.
        count: how many.
        seed: draws them.
        nominal: whether all have the nominal parameters.
    """
    random = np.random.default_rng(seed)

    def between(pairs: list[tuple[float, float]]) -> Floats:
        lower, upper = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return np.asarray(lower + (upper - lower) * random.random((count, len(pairs))))

    parameters = between([(item.lower, item.upper) for item in model.parameters.values()])
    if nominal:
        parameters = np.tile(np.array(model.nominal_parameters(), dtype=np.float64), (count, 1))
    return Points(
        x=between([(item.lower, item.upper) for item in model.states.values()]),
        u=between([(item.lower, item.upper) for item in model.inputs.values()]),
        p=parameters,
    )


def points_at_bounds(model: PlantModel, seed: int) -> Points:
    """Random points that each have one state or input at its lower or its upper bound."""
    states, inputs = list(model.states.values()), list(model.inputs.values())
    points = points_within(model, 2 * (len(states) + len(inputs)), seed, nominal=True)
    row = 0
    tables: tuple[tuple[Floats, Sequence[State | Input]], ...] = (
        (points.x, states),
        (points.u, inputs),
    )
    for table, items in tables:
        for column, item in enumerate(items):
            for value in (item.lower, item.upper):
                table[row, column] = value
                row += 1
    return points
