"""The batch that a model is known by: what its paper ran, or the standard recipe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Act: TypeAlias = Callable[[float, Any, Any], tuple[Any, Any, Any]]
"""`act(time_h, state, memory)` at the start of a step gives the inputs to hold over it, the state
(another one after a pulse) and the memory for the next step. Plain floats, pure, no engine."""


@dataclass(frozen=True)
class ReferenceBatch:
    """A batch with inputs that are held from step to step.

    Attributes:
        meaning: which batch it is: paper, figure, recipe.
        duration_h: its length.
        step_h: inputs are constant over steps of this length.
        act: what is done at the start of each step.
        memory: what `act` is given first.
        initial: states at inoculation that differ from the model's.
        parameters: parameters that differ from the model's.
        edges_h: times between steps at which inputs jump or the state is reset; steps are cut
            there.
    """

    meaning: str
    duration_h: float
    step_h: float
    act: Act
    memory: Any = None
    initial: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    edges_h: Sequence[float] = ()

    def times_h(self) -> list[float]:
        """Starts of the steps, and the end of the batch."""
        count = round(self.duration_h / self.step_h)
        grid = {round(k * self.step_h, 9) for k in range(count)}
        grid |= {edge for edge in self.edges_h if 0 < edge < self.duration_h}
        return [*sorted(time for time in grid if time < self.duration_h), self.duration_h]


def profile(inputs: Any, rows: Sequence[tuple[float, Mapping[str, float]]]) -> Act:
    """Inputs by the clock alone: from each row's hour on, its values replace those before.

    Args:
        inputs: the model's nominal inputs.
        rows: hours, the first one 0, rising, and what changes there.
    """
    courses: list[tuple[float, Any]] = []
    for hour, changes in rows:
        inputs = inputs._replace(**changes)
        courses.append((hour, inputs))

    def act(time_h: float, state: Any, memory: Any) -> tuple[Any, Any, Any]:
        now = [course for hour, course in courses if hour <= time_h + 1e-9][-1]
        return now, state, memory

    return act
