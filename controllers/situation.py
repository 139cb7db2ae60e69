"""Where a solve starts: everything about one moment that the optimiser must be told."""

from dataclasses import dataclass

import numpy as np

from controllers.plan import Floats


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
        piece_h: length of a piece.
        setpoints: setpoints of the tracked outputs, shape (tracked,).
        guess: decided inputs per piece to start a cold solve from, shape (pieces, decided).
        input_bounds: tighter bounds of decided inputs than the problem's, shape (decided, 2).
        output_deviation: standard deviations of the outputs at the ends of the pieces as forecast,
            for limits with a margin, shape (pieces, outputs).
    """

    time_s: float
    state: Floats
    parameters: Floats
    given: Floats
    previous: Floats
    piece_h: float
    setpoints: Floats
    guess: Floats
    input_bounds: Floats | None = None
    output_deviation: Floats | None = None

    @property
    def given_now(self) -> Floats:
        """The given inputs of the first piece, shape (inputs,)."""
        now: Floats = np.atleast_2d(self.given)[0]
        return now

    def given_pieces(self, pieces: int) -> Floats:
        """The given inputs of every piece, shape (pieces, inputs)."""
        return np.broadcast_to(self.given, (pieces, self.given.shape[-1]))
