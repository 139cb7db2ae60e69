"""A proportional-integral controller as a pure function: the regulatory loops of a control unit."""

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True, slots=True)
class PIState:
    """What a PI controller remembers between steps, both in the unit of its output.

    Attributes:
        integral: integral part.
        output: last output, repeated while the measurement is not a number.
    """

    integral: float
    output: float


@dataclass(frozen=True, slots=True)
class PI:
    """PI controller in ideal form: `output = gain * (error + integral(error) / integral_time_h)`.

    The error is setpoint minus measurement; a negative gain makes the controller reverse-acting.
    The integral stops while the output is at a limit and the error pushes further out (conditional
    integration, Astrom and Hagglund 2006, Advanced PID Control, section 3.5), so that the output
    leaves the limit as soon as the error changes sign.

    Attributes:
        gain: output units per unit of error.
        integral_time_h: integral time in hours; infinity switches integration off.
        lower: smallest output.
        upper: largest output.
    """

    gain: float
    integral_time_h: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse settings that no controller can have."""
        if not (isfinite(self.gain) and self.gain != 0.0):
            raise ValueError(f"gain must be finite and not zero, but is {self.gain}")
        if not self.integral_time_h > 0.0:
            raise ValueError(f"integral_time_h must be positive, but is {self.integral_time_h}")
        if not (isfinite(self.lower) and isfinite(self.upper) and self.lower <= self.upper):
            raise ValueError(f"limits must be finite and ordered: {self.lower} to {self.upper}")

    def start(self, output: float, error: float) -> PIState:
        """The state from which the controller goes on without a bump.

        Args:
            output: what the actuator does now; taken inside the limits.
            error: setpoint minus measurement now; taken as zero when it is not finite.

        Returns:
            State from which a step of no duration at this error gives `output` again.
        """
        output = self._limited(output)
        proportional = self.gain * error if isfinite(error) else 0.0
        return PIState(integral=output - proportional, output=output)

    def step(
        self, state: PIState, setpoint: float, measured: float, step_h: float
    ) -> tuple[float, PIState]:
        """Output for the next `step_h` hours, always inside the limits, and the new state.

        A setpoint or measurement that is not finite repeats the last output.
        """
        error = setpoint - measured
        if not isfinite(error):
            return state.output, state
        proportional = self.gain * error
        increment = proportional * step_h / self.integral_time_h
        wanted = proportional + state.integral + increment
        output = self._limited(wanted)
        pushes_out = (wanted - output) * increment > 0.0
        integral = state.integral if pushes_out else state.integral + increment
        return output, PIState(integral=integral, output=output)

    def _limited(self, output: float) -> float:
        return min(max(output, self.lower), self.upper)
