"""Where a solve starts: everything about one moment that the optimiser must be told."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controllers.arrays import Floats


@dataclass(frozen=True)
class Course:
    """One way in which the plant may really be: a scenario of the optimiser.

    Attributes:
        state: all states of the model, shape (states,).
        parameters: all parameters of the model, shape (parameters,).
        share: its weight in the mean; all shares together are one.
    """

    state: Floats
    parameters: Floats
    share: float


@dataclass(frozen=True)
class Situation:
    """Where a solve starts.

    Attributes:
        time_s: UTC seconds of the state.
        state: all states of the model, shape (states,).
        parameters: all parameters of the model, shape (parameters,).
        given: all inputs of the model; those that are decided are ignored. Constant over the
            horizon, shape (inputs,), or one row per piece, shape (pieces, inputs).
        previous: decided inputs in force now, shape (decided,).
        steps_h: lengths of the pieces, shape (pieces,).
        setpoints: setpoints of the tracked outputs, shape (tracked,).
        guess: decided inputs per piece to start a cold solve from, shape (pieces, decided).
        input_bounds: tighter bounds of decided inputs than the problem's, shape (decided, 2).
        output_deviation: standard deviations of the outputs at the ends of the pieces as forecast,
            for limits with a margin, shape (pieces, outputs).
        courses: the scenarios, the expected one first; none for a problem with one.
        bolus_allowed: whether each bolus may be poured at the start of each piece, shape (pieces,
            boluses); None where there are none.
        bolus_guess: volumes to start a cold solve from, same shape; None for none.
        stretch: bounds of the factor by which pieces are stretched, for a free harvest.
        loose: whether each piece is stretched, 1 or 0, shape (pieces,): those before the last time
            of a bolus are not, because that time is the clock's. None for all of them.
        batch_h: hours since inoculation.
        fed_L: litres of the decided and poured liquids fed so far.
    """

    time_s: float
    state: Floats
    parameters: Floats
    given: Floats
    previous: Floats
    steps_h: Floats
    setpoints: Floats
    guess: Floats
    input_bounds: Floats | None = None
    output_deviation: Floats | None = None
    courses: tuple[Course, ...] = ()
    bolus_allowed: Floats | None = None
    bolus_guess: Floats | None = None
    stretch: tuple[float, float] = (1.0, 1.0)
    loose: Floats | None = None
    batch_h: float = 0.0
    fed_L: float = 0.0

    def lengths_h(self, stretch: float) -> Floats:
        """Lengths of the pieces when those that may be are stretched, shape (pieces,)."""
        loose = 1.0 if self.loose is None else self.loose
        return self.steps_h * (1.0 + loose * (stretch - 1.0))

    @property
    def given_now(self) -> Floats:
        """The given inputs of the first piece, shape (inputs,)."""
        now: Floats = np.atleast_2d(self.given)[0]
        return now

    def given_pieces(self, pieces: int) -> Floats:
        """The given inputs of every piece, shape (pieces, inputs)."""
        if self.given.ndim == 1:
            return self.given[None].repeat(pieces, axis=0)
        return np.broadcast_to(self.given, (pieces, self.given.shape[-1]))

    @cached_property
    def states(self) -> Floats:
        """Initial state of every scenario, shape (scenarios, states)."""
        return np.array([course.state for course in self.courses] or [self.state])

    @cached_property
    def scenario_parameters(self) -> Floats:
        """Parameters of every scenario, shape (scenarios, parameters)."""
        return np.array([course.parameters for course in self.courses] or [self.parameters])

    @cached_property
    def shares(self) -> Floats:
        """Shares of the scenarios, shape (scenarios,)."""
        return np.array([course.share for course in self.courses] or [1.0])

    @property
    def finite(self) -> bool:
        """Whether every number can be computed with, and every piece has a length."""
        numbers = (
            self.states, self.scenario_parameters, self.shares, self.given, self.previous,
            self.steps_h, self.setpoints, self.guess, self.bolus_allowed, self.bolus_guess,
            self.loose, np.array([self.time_s, self.batch_h, self.fed_L, *self.stretch]),
        )  # fmt: skip
        together = np.concatenate([table.ravel() for table in numbers if table is not None])
        return bool(np.isfinite(together).all()) and bool((self.steps_h > 0.0).all())
