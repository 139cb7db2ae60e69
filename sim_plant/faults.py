"""Faults of the simulated plant as data: what goes wrong, where, how much and when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from sim_plant.section import Section


class FaultKind(StrEnum):
    """What can go wrong; `FAULT_TYPES` says what each kind means."""

    PROBE_OFFSET = "probe_offset"
    PROBE_DRIFT = "probe_drift"
    PROBE_SPIKE = "probe_spike"
    PROBE_FROZEN = "probe_frozen"
    PROBE_STALE = "probe_stale"
    PROBE_UNCERTAIN = "probe_uncertain"
    PROBE_BAD = "probe_bad"
    PUMP_STUCK = "pump_stuck"
    PUMP_BLOCKED = "pump_blocked"
    PUMP_DRIFT = "pump_drift"
    GAS_LOST = "gas_lost"
    LAB_OUTLIER = "lab_outlier"
    LAB_LATE = "lab_late"
    LAB_MISSING = "lab_missing"
    PARAMETER_CHANGED = "parameter_changed"


class Target(StrEnum):
    """What a fault can happen to; pumps are actuators of kind feed and base."""

    PROBE = "probe"
    PUMP = "pump"
    GAS = "gas"
    ASSAY = "assay"
    PARAMETER = "parameter"


@dataclass(frozen=True, slots=True)
class FaultType:
    """What one kind of fault means.

    Attributes:
        meaning: what happens in the plant.
        target: what it can happen to.
        size: what the size means, empty when there is none.
    """

    meaning: str
    target: Target
    size: str = ""


FAULT_TYPES: Final[Mapping[FaultKind, FaultType]] = {
    FaultKind.PROBE_OFFSET: FaultType(
        "the value is off by a constant", Target.PROBE, "probe's unit"
    ),
    FaultKind.PROBE_DRIFT: FaultType("the value runs away", Target.PROBE, "probe's unit per hour"),
    FaultKind.PROBE_SPIKE: FaultType(
        "one reading in ten, at random, jumps", Target.PROBE, "probe's unit"
    ),
    FaultKind.PROBE_FROZEN: FaultType(
        "the value stands still, its timestamp goes on", Target.PROBE
    ),
    FaultKind.PROBE_STALE: FaultType("value and timestamp stand still", Target.PROBE),
    FaultKind.PROBE_UNCERTAIN: FaultType("the value is marked as uncertain", Target.PROBE),
    FaultKind.PROBE_BAD: FaultType("the probe reports its own failure: no value", Target.PROBE),
    FaultKind.PUMP_STUCK: FaultType(
        "the pump keeps its flow, whatever the setpoint; the read-back shows it", Target.PUMP
    ),
    FaultKind.PUMP_BLOCKED: FaultType(
        "less arrives than the read-back shows", Target.PUMP, "fraction that arrives"
    ),
    FaultKind.PUMP_DRIFT: FaultType(
        "more and more arrives than the read-back shows, or less and less",
        Target.PUMP,
        "fraction of the flow per hour",
    ),
    FaultKind.GAS_LOST: FaultType(
        "the supply pressure is gone; the read-back shows it", Target.GAS
    ),
    FaultKind.LAB_OUTLIER: FaultType(
        "results of samples drawn then are wrong", Target.ASSAY, "factor"
    ),
    FaultKind.LAB_LATE: FaultType(
        "results of samples drawn then come late", Target.ASSAY, "factor on the delay"
    ),
    FaultKind.LAB_MISSING: FaultType("results of samples drawn then never come", Target.ASSAY),
    FaultKind.PARAMETER_CHANGED: FaultType(
        "the plant itself is another one and nothing shows it: antifoam or a fouled sparger halve "
        "k_kLa",
        Target.PARAMETER,
        "factor",
    ),
}


class Fault(Section):
    """One fault, active from `from_h` to `to_h` (hours since inoculation)."""

    kind: Annotated[FaultKind, Field(strict=False)]
    """What goes wrong."""

    target: str
    """Probe, pump, gas or assay of this plant, by the name of the model's output or input, or a
    parameter of the model."""

    from_h: Annotated[float, Field(ge=0)]
    """When it begins, hours since inoculation."""

    to_h: float
    """When it ends."""

    size: float = 0.0
    """How much, where the kind has a size."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        """Refuse sizes that the kind does not have, and empty windows."""
        known = FAULT_TYPES[self.kind]
        if not self.from_h < self.to_h:
            raise ValueError(f"from_h ({self.from_h:g}) must be before to_h ({self.to_h:g})")
        if self.size and not known.size:
            raise ValueError(f"{self.kind} has no size")
        if self.size < 0.0 and self.kind in _NOT_NEGATIVE:
            raise ValueError(f"the size of {self.kind} ({known.size}) cannot be negative")
        if self.kind is FaultKind.PARAMETER_CHANGED and not self.size > 0.0:
            raise ValueError(f"the size of {self.kind} ({known.size}) must be above zero")
        return self

    def active(self, time_h: float) -> bool:
        """Whether the fault acts at this time."""
        return self.from_h <= time_h < self.to_h


_NOT_NEGATIVE = (FaultKind.PUMP_BLOCKED, FaultKind.LAB_OUTLIER, FaultKind.LAB_LATE)


def faults_of(faults: Iterable[Fault], prefix: str) -> tuple[Fault, ...]:
    """The faults whose kind begins with this prefix: those of one room of the plant."""
    return tuple(fault for fault in faults if fault.kind.value.startswith(prefix))


def active_faults(faults: tuple[Fault, ...], time_h: float) -> tuple[Fault, ...]:
    """The faults that act at this time (hours since inoculation), in the order given."""
    if not faults:
        return ()
    return tuple(fault for fault in faults if fault.active(time_h))
