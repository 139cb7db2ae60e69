"""What the agent is built from, what it remembers, and what it decides. Frozen values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from controllers.nmpc import Nmpc
from controllers.recipe import Recipe
from controllers.settings import ControlSettings
from mpc_agent.estimation.estimator import EstimatorMemory, begin_estimation
from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Book, Chapter, Step
from mpc_agent.estimation.validate import SignalMemory
from mpc_agent.record import Forecast
from mpc_agent.safety.balance import MassBalance
from mpc_agent.safety.flags import ModeState
from mpc_agent.safety.ledger import Bookings, Ledger
from mpc_agent.safety.oxygen import OxygenWatch
from mpc_agent.safety.settings import SafetySettings
from mpc_agent.values import (
    Applied,
    Estimate,
    Event,
    Measurement,
    Mode,
    Origin,
    Plan,
    Readings,
    Setpoints,
)

SHARED = (EstimatorMemory, Belief, Chapter, Step, Book, Bookings)
"""Values of the memory that repeat from cycle to cycle: the record stores each of them once."""


@dataclass(frozen=True)
class Rooms:
    """The pure rooms, built once: all that a decision depends on besides memory and readings.

    Attributes:
        kalman: the filter.
        feed: the economic problem.
        gas: the tracking problem, or None where the plant holds the gases by itself.
        control: when and towards what they are solved.
        recipe: the approved feed profile.
        safety: limits and graces.
        inoculated_at_s: start of the batch.
        harvest_h: planned harvest, hours since inoculation.
    """

    kalman: ExtendedKalmanFilter
    feed: Nmpc
    gas: Nmpc | None
    control: ControlSettings
    recipe: Recipe
    safety: SafetySettings
    inoculated_at_s: float
    harvest_h: float

    def hours(self, time_s: float) -> float:
        """Hours since inoculation."""
        return (time_s - self.inoculated_at_s) / 3600


@dataclass(frozen=True, slots=True)
class Memory:
    """All that the next cycle needs from the ones before, and all that a restart needs.

    Attributes:
        cycle: number of the cycle that comes.
        target: mode asked for by people.
        mode: the mode machine.
        signals: what validation remembers.
        estimation: the filter's history.
        plans: last usable plan by problem.
        expected: product at harvest as last forecast.
        ledger: volumes in and out of the vessel.
        balance: weight against ledger.
        oxygen: since when dissolved oxygen has been low.
        confirmed: setpoints last confirmed by read-back.
        limits: the plant's own setpoint ranges.
        origin: rung of the ladder by problem, in the last cycle.
        clipped: inputs and rules of the guard's interventions in the last cycle.
        refused: why the plant did not take setpoints of the last cycle, by input.
        told: what people were told of the plant's troubles that still last.
        harvest_h: where the harvest is free, when it is planned as people were told, hours since
            inoculation; None before.
        decision_late: the last decision came after its deadline.
        record_failed: the last entry could not be written to the record.
        operator_act: an operator acknowledged since the last cycle.
    """

    cycle: int
    target: Mode
    mode: ModeState
    signals: SignalMemory
    estimation: EstimatorMemory
    plans: Mapping[str, Plan] = field(default_factory=dict)
    expected: Mapping[str, Forecast] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    balance: MassBalance = field(default_factory=MassBalance)
    oxygen: OxygenWatch = field(default_factory=OxygenWatch)
    confirmed: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    origin: Mapping[str, Origin] = field(default_factory=dict)
    clipped: tuple[tuple[str, str], ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    harvest_h: float | None = None
    decision_late: bool = False
    record_failed: bool = False
    operator_act: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What one cycle decided, and the memory it leaves.

    Attributes:
        mode: actual mode of this cycle.
        mode_reason: why the mode is what it is, in words.
        measurement: readings as validated.
        estimate: belief about the plant.
        plans: plan of each problem solved in this cycle, and the last usable one of the others.
        setpoints: what the agent wants the plant to do, after the guard.
        expected: product at harvest by following the "plan" or the "recipe" from here on.
        events: what people should know.
        memory: for the next cycle; what the plant does with the setpoints is added by `remember`.
    """

    mode: Mode
    mode_reason: str
    measurement: Measurement
    estimate: Estimate
    plans: Mapping[str, Plan]
    setpoints: Setpoints
    expected: Mapping[str, Forecast]
    events: tuple[Event, ...]
    memory: Memory

    @property
    def balance(self) -> MassBalance:
        """Weight against ledger."""
        return self.memory.balance


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One finished cycle, as metrics and people see it.

    Attributes:
        number: number of the cycle.
        time_s: time of its scan.
        readings: what the plant said.
        decision: what was decided.
        applied: what the plant confirmed.
        durations: wall seconds by stage.
    """

    number: int
    time_s: float
    readings: Readings
    decision: Decision
    applied: Applied
    durations: Mapping[str, float]


def begin(rooms: Rooms, target: Mode) -> Memory:
    """Memory before the first cycle: the batch as it was inoculated."""
    inputs = np.array(rooms.kalman.settings.model.nominal_inputs())
    return Memory(
        cycle=0,
        target=target,
        mode=ModeState(),
        signals=SignalMemory.empty(len(rooms.kalman.settings.signals), inputs),
        estimation=begin_estimation(rooms.kalman, rooms.inoculated_at_s, inputs),
    )


def remember(decision: Decision, applied: Applied, *, late: bool, record_failed: bool) -> Memory:
    """Memory for the next cycle, with what became of this cycle's setpoints."""
    memory = decision.memory
    return replace(
        memory,
        confirmed={**memory.confirmed, **applied.confirmed},
        refused=applied.refused,
        decision_late=late,
        record_failed=record_failed,
        operator_act=False,
    )
