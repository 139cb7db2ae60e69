"""What a batch's record is made of: its header, and what each cycle must bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mpc_agent.safety.balance import MassBalance
from mpc_agent.values import Applied, Estimate, Event, Mode, Plan, Readings, Setpoints

Schedule = tuple[tuple[float, float], ...]
"""Rows of (hours since inoculation, value), each holding until the next."""

Interval = tuple[float | None, float | None]
"""Lower and upper end, None where it is open."""


SHORT_H = 48.0
"""Batches shorter than this are told in hours, longer ones in days."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One state, input, output or parameter, as people read it."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """All that must be known of a batch before its first cycle; never changes afterwards.

    With it the record can be read without the programs and configuration that made it.

    Attributes:
        batch: name of the batch.
        inoculated_at_s: start of model time, UTC seconds.
        created_at_s: when the record was begun, UTC seconds.
        harvest_h: planned harvest, hours since inoculation.
        period_s: time from cycle to cycle.
        deadline_s: wall time after which a decision is not applied.
        model: name of the plant model.
        model_hash: SHA-256 of the model's source text.
        parameters: value of each model parameter before adaptation.
        config: text of the configuration.
        config_hash: SHA-256 of that text.
        software: versions by name of the package.
        states: states in the order of `Estimate.mean`.
        adapted: adapted parameters, which follow the states in `Estimate.mean`.
        outputs: outputs in the order of `Estimate.outputs`.
        inputs: inputs of the model.
        signals: online signals in the order of `Estimate.innovations`.
        assays: assays of the lab.
        limits: interval that an output is to stay in, by output.
        targets: setpoint that an output is to follow, by output.
        recipe: approved feed rate by input; the last row ends the recipe.
        product: output that the batch is judged by, in grams.
        shown: outputs that people look at first.
        approved: range that a learnt parameter may be moved in, by parameter.
        shows: output by name of the signal or assay; one that is missing shows the output of its
            own name.
    """

    batch: str
    inoculated_at_s: float
    created_at_s: float
    harvest_h: float
    period_s: float
    deadline_s: float
    model: str
    model_hash: str
    parameters: Mapping[str, float]
    config: str
    config_hash: str
    software: Mapping[str, str]
    states: tuple[Quantity, ...]
    adapted: tuple[Quantity, ...]
    outputs: tuple[Quantity, ...]
    inputs: tuple[Quantity, ...]
    signals: tuple[str, ...]
    assays: tuple[str, ...]
    limits: Mapping[str, Interval] = field(default_factory=dict)
    targets: Mapping[str, Schedule] = field(default_factory=dict)
    recipe: Mapping[str, Schedule] = field(default_factory=dict)
    product: str = "product_mass"
    shown: tuple[str, ...] = ("viable_cells", "glucose", "titre")
    approved: Mapping[str, Interval] = field(default_factory=dict)
    shows: Mapping[str, str] = field(default_factory=dict)

    def hours(self, time_s: float) -> float:
        """Hours since inoculation of a UTC time."""
        return (time_s - self.inoculated_at_s) / 3600

    def output_of(self, name: str) -> str:
        """Output that a signal or assay shows."""
        return self.shows.get(name, name)


@dataclass(frozen=True, slots=True)
class Forecast:
    """A predicted value and its standard deviation, in the unit of what is predicted."""

    value: float
    deviation: float


class DecisionRecord(Protocol):
    """What the record, the metrics and the report read of a decision."""

    @property
    def mode(self) -> Mode:
        """Actual mode of this cycle."""
        ...

    @property
    def mode_reason(self) -> str:
        """Why the mode is what it is, in words."""
        ...

    @property
    def estimate(self) -> Estimate:
        """Belief about the plant."""
        ...

    @property
    def plans(self) -> Mapping[str, Plan]:
        """The latest plan of each problem, whether solved in this cycle or earlier."""
        ...

    @property
    def setpoints(self) -> Setpoints:
        """What the agent wants the plant to do, after the guard."""
        ...

    @property
    def events(self) -> tuple[Event, ...]:
        """What people should know of this cycle."""
        ...

    @property
    def expected(self) -> Mapping[str, Forecast]:
        """Product in the vessel at harvest, g, if the feeds follow the "plan" or the "recipe"."""
        ...

    @property
    def balance(self) -> MassBalance:
        """Weight against ledger."""
        ...


class CycleRecord(Protocol):
    """One finished cycle."""

    @property
    def number(self) -> int:
        """Number of the cycle, rising by one."""
        ...

    @property
    def time_s(self) -> float:
        """When it began, UTC seconds."""
        ...

    @property
    def readings(self) -> Readings:
        """What the plant said."""
        ...

    @property
    def decision(self) -> DecisionRecord:
        """What was decided."""
        ...

    @property
    def applied(self) -> Applied:
        """What the plant confirmed."""
        ...

    @property
    def durations(self) -> Mapping[str, float]:
        """Wall time in seconds by stage: "cycle" for the whole, "solve.feed" for a solve."""
        ...
