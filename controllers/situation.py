"""Where a solve starts: everything about one moment that the optimiser must be told."""

from dataclasses import dataclass

from controllers.plan import Floats


@dataclass(frozen=True)
class Situation:
    """Where a solve starts.

    Attributes:
        time_s: UTC seconds of the state.
        state: all states of the model, shape (states,).
        parameters: all parameters of the model, shape (parameters,).
        given: all inputs of the model; those that are decided are ignored, shape (inputs,).
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
