"""The two problems with their timing and setpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from controllers.arrays import Floats
from controllers.problem import Problem


@dataclass(frozen=True, eq=False)
class Schedule:
    """A setpoint over the batch: piecewise constant, each value holds until the next.

    Attributes:
        hours: when each value begins, hours since inoculation, rising, first one 0, shape (rows,).
        values: setpoints in the output's unit, shape (rows,).
    """

    hours: Floats
    values: Floats

    def __post_init__(self) -> None:
        """Refuse rows that are not in order or not finite."""
        if self.hours.shape != self.values.shape or self.hours.ndim != 1 or not self.hours.size:
            raise ValueError("a schedule needs one value for each hour, and at least one")
        if not (np.all(np.isfinite(self.hours)) and np.all(np.isfinite(self.values))):
            raise ValueError("a schedule needs finite hours and values")
        if self.hours[0] != 0.0 or np.any(np.diff(self.hours) <= 0.0):
            raise ValueError("a schedule must begin at 0 h, with hours that rise")

    def at(self, time_h: float) -> float:
        """Setpoint at a time in hours since inoculation; before it, the first one."""
        row = int(np.searchsorted(self.hours, time_h, side="right")) - 1
        return float(self.values[max(row, 0)])


@dataclass(frozen=True)
class Uncertainty:
    """Which scenarios a plan must be good for.

    The expected course, and two for each direction, so far to one side and so far to the other.
    Directions are the combinations of what the filter does not know that change most what is
    limited or maximised.

    Attributes:
        directions: how many directions.
        deviations: how far, in standard deviations.
    """

    directions: int
    deviations: float


@dataclass(frozen=True)
class FeedSettings:
    """The economic problem.

    Attributes:
        problem: what is optimised, to harvest.
        interval_s: time between two solves.
        after_samples: solve again as soon as the lab told news.
        from_h: planning begins then, hours since inoculation; before it the recipe is followed.
        foreseen: inputs that others set, as they are expected to be until harvest, by name.
        held_levels: levels at which other loops will hold some of the problem's held states.
        first_piece_h: length of the first piece; the others widen to harvest. None: equal ones.
        afresh_h: hours between two solves that also begin afresh from the recipe.
        uncertainty: the problem's scenarios, or None for the expected course alone.
        bolus_times: hours since inoculation at which each of the problem's boluses may begin, by
            name, rising, shape (times,).
        earliest_harvest_h: where the harvest is free, its earliest hour since inoculation.
    """

    problem: Problem
    interval_s: float
    after_samples: bool = True
    from_h: float = 0.0
    foreseen: Mapping[str, float] = field(default_factory=dict)
    held_levels: Mapping[str, float] = field(default_factory=dict)
    first_piece_h: float | None = None
    afresh_h: float = 24.0
    uncertainty: Uncertainty | None = None
    bolus_times: Mapping[str, Floats] = field(default_factory=dict)
    earliest_harvest_h: float | None = None


@dataclass(frozen=True)
class GasSettings:
    """The tracking problem, solved in every cycle.

    Attributes:
        problem: what is optimised.
        piece_s: length of one piece of the horizon.
        setpoints: setpoint of each tracked output over the batch.
    """

    problem: Problem
    piece_s: float
    setpoints: Mapping[str, Schedule]


@dataclass(frozen=True)
class ControlSettings:
    """The problems.

    Attributes:
        feed: the economic problem.
        gas: the tracking problem, or None where the plant's control unit holds the gases.
    """

    feed: FeedSettings
    gas: GasSettings | None
