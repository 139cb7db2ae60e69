"""What a plant model is: equations plus everything one must know to use them."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from plant_models.dialect import Maths, Vector
from plant_models.reference import ReferenceBatch


class Method(StrEnum):
    """How the common integrator steps a model; its author chooses by the fastest mode."""

    EXPLICIT = "explicit"
    """Classical Runge-Kutta, fourth order: cheap, stable while step times fastest rate is below
    2.78."""

    IMPLICIT = "implicit"
    """RODAS3, third order, L-stable: for modes that are much faster than what matters."""


Measured: TypeAlias = Literal["online", "assay", "computed"]
"""How an output is usually known: by a probe, by the laboratory, or not at all."""


def record(name: str, fields: Iterable[str]) -> type[Any]:
    """A NamedTuple of scalars with these fields: equations read by name, JAX sees a pytree."""
    return namedtuple(name, tuple(fields))  # noqa: PYI024 - the fields come from a table


@dataclass(frozen=True)
class State:
    """One state of a model.

    Attributes:
        unit: unit of the value, as pint reads it.
        meaning: what it is, in the field's words.
        initial: value at inoculation.
        scale: typical size; divides the value inside an optimiser.
        lower: smallest physical value (inclusive).
        upper: largest value that still makes sense.
    """

    unit: str
    meaning: str
    initial: float
    scale: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Input:
    """One input of a model: what acts on the plant from outside.

    Attributes:
        unit: unit of the value, as pint reads it.
        meaning: what it is.
        nominal: value used when nothing else is said.
        scale: typical size.
        lower: smallest admissible value: within both bounds the equations hold.
        upper: largest admissible value.
    """

    unit: str
    meaning: str
    nominal: float
    scale: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model.

    Attributes:
        unit: unit of the value, as pint reads it ("1" when dimensionless).
        meaning: what it is.
        value: nominal value.
        lower: smallest admissible value.
        upper: largest admissible value.
        deviation: relative standard deviation (of the logarithm) between cell lines or batches.
        source: where the value comes from.
    """

    unit: str
    meaning: str
    value: float
    lower: float
    upper: float
    deviation: float
    source: str


@dataclass(frozen=True)
class Output:
    """One quantity computed from state and input: what a sensor or an assay would show.

    Attributes:
        unit: unit of the value, as pint reads it.
        meaning: what it is.
        measured: how it is usually known.
    """

    unit: str
    meaning: str
    measured: Measured = "computed"


# Inside the class, `State` is the model's own NamedTuple.
StateTable: TypeAlias = Mapping[str, State]


@dataclass(frozen=True)
class PlantModel:
    """A fed-batch plant: `dx/dt = rhs(x, u, p)` and `y = outputs(x, u, p)`.

    States, inputs, parameters and outputs are NamedTuples of scalars: the order is written once,
    equations read by name, JAX sees a pytree. Time is in hours, volume in litres.

    Attributes:
        name: how a configuration names it.
        organism: what grows.
        source: papers and tables the equations and values come from.
        validity: where the equations hold and where not, in words.
        equations: the main equations as text with their number in the source, keyed by what they
            give; for people, who find the exact form in `rhs`.
        rhs: `rhs(x, u, p, xp)` gives the time derivatives, 1/h, in the order of the states.
        outputs: `outputs(x, u, p, xp)` gives the outputs in their order.
        states, inputs, parameters, outputs_info: what each field means, keyed by field name.
        volume: name of the state that holds the volume; its rate is the sum of `volume_flows` less
            `volume_loss`.
        volume_flows: inputs that add volume, each as much as the parameter `NAME_gain` says where
            the model has one.
        volume_loss: output that tells how fast volume is lost (evaporation, withdrawal), if any.
        product: output that a batch is judged by, in grams.
        shown: outputs that people look at first.
        substeps_per_h: steps per hour that keep the common integrator stable and, on the reference
            batch, within `accuracy` of a tight reference.
        reference: the batch that shows the model as published.
        method: how the common integrator steps it.
        accuracy: largest difference between the common integrator and a tight one on the reference
            batch, in units of each state's scale.
        undiluted: states per volume that liquid flows do not dilute, each with the reason.
    """

    name: str
    organism: str
    source: str
    validity: str
    equations: Mapping[str, str]
    State: type[Any]
    Inputs: type[Any]
    Parameters: type[Any]
    Outputs: type[Any]
    rhs: Callable[[Any, Any, Any, Maths], Any]
    outputs: Callable[[Any, Any, Any, Maths], Any]
    states: StateTable
    inputs: Mapping[str, Input]
    parameters: Mapping[str, Parameter]
    outputs_info: Mapping[str, Output]
    volume: str
    volume_flows: tuple[str, ...]
    product: str
    substeps_per_h: int
    reference: ReferenceBatch
    method: Method = Method.EXPLICIT
    accuracy: float = 1e-6
    volume_loss: str | None = None
    shown: tuple[str, ...] = ()
    undiluted: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a model whose tables and NamedTuples do not name the same fields."""
        for tuple_type, table in (
            (self.State, self.states),
            (self.Inputs, self.inputs),
            (self.Parameters, self.parameters),
            (self.Outputs, self.outputs_info),
        ):
            if tuple_type._fields != tuple(table):
                raise ValueError(
                    f"model {self.name}: fields of {tuple_type.__name__} {tuple_type._fields} "
                    f"differ from its table {tuple(table)}"
                )

    @property
    def state_names(self) -> tuple[str, ...]:
        """State names in order."""
        return tuple(self.states)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Input names in order."""
        return tuple(self.inputs)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Parameter names in order."""
        return tuple(self.parameters)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Output names in order."""
        return tuple(self.outputs_info)

    def initial_state(self) -> Any:
        """State at inoculation."""
        return self.State(*(state.initial for state in self.states.values()))

    def nominal_inputs(self) -> Any:
        """Inputs when nothing else is said."""
        return self.Inputs(*(item.nominal for item in self.inputs.values()))

    def nominal_parameters(self) -> Any:
        """Parameters as published."""
        return self.Parameters(*(item.value for item in self.parameters.values()))

    def derivative(self, x: Vector, u: Vector, p: Vector, xp: Maths) -> Vector:
        """`rhs` on vectors in field order instead of NamedTuples."""
        return xp.stack(
            self.rhs(
                self.State(*xp.unstack(x)),
                self.Inputs(*xp.unstack(u)),
                self.Parameters(*xp.unstack(p)),
                xp,
            )
        )

    def output_vector(self, x: Vector, u: Vector, p: Vector, xp: Maths) -> Vector:
        """`outputs` on vectors in field order instead of NamedTuples."""
        return xp.stack(
            self.outputs(
                self.State(*xp.unstack(x)),
                self.Inputs(*xp.unstack(u)),
                self.Parameters(*xp.unstack(p)),
                xp,
            )
        )
