"""The objective as named terms: what each part of it costs, piece by piece."""

from collections.abc import Sequence

import casadi as ca

from controllers.plan import AT_HARVEST, VIOLATION_OF
from controllers.problem import Per, Problem
from controllers.program_inputs import ProgramInputs


class Terms:
    """Terms of one scenario, each a cost; gains are negative.

    Sums over pieces weigh each piece by its length over the mean one, so that a grid that is fine
    now and coarse later means the same as an even one.
    """

    def __init__(self, problem: Problem, symbols: ProgramInputs, stretch: ca.SX | float) -> None:
        self._problem, self._symbols = problem, symbols
        self._lengths_h = symbols.lengths_h(stretch)
        self._mean_h = ca.sum1(symbols.steps_h) / problem.pieces
        self._fed_L = ca.SX(0)
        self.values: dict[str, ca.SX] = {}

    @property
    def total(self) -> ca.SX:
        """The scenario's cost."""
        return sum(self.values.values(), ca.SX(0))

    def add_piece(
        self,
        piece: int,
        outputs: dict[str, ca.SX],
        slack: ca.SX,
        u: ca.SX,
        move: ca.SX,
        poured_L: ca.SX,
    ) -> None:
        """What one piece costs: violations, moves, efforts, prices, distances from setpoints.

        Args:
            piece: which one.
            outputs: outputs at its end.
            slack: violations of the limits' sides, in units of the limits' scales.
            u: decided inputs, scaled.
            move: their changes, scaled.
            poured_L: boluses at its start.
        """
        problem, symbols = self._problem, self._symbols
        share, length_h = symbols.steps_h[piece] / self._mean_h, self._lengths_h[piece]
        violations = share * (symbols.violations * (slack + slack**2))
        for i, side in enumerate(problem.sides):
            self._add(f"{VIOLATION_OF}{side.limit.output}", violations[i])
        for i, item in enumerate(problem.inputs):
            scale = problem.model.inputs[item.name].scale
            self._add(f"moves of {item.name}", symbols.moves[i] * move[i] ** 2)
            self._add(f"effort of {item.name}", share * symbols.efforts[i] * u[i])
            self._add(f"price of {item.name}", symbols.prices[i] * u[i] * scale * length_h)
            if item.name in problem.model.volume_flows:
                self._fed_L += u[i] * scale * length_h
        for i, bolus in enumerate(problem.boluses):
            self._add(f"price of {bolus.input}", symbols.bolus_prices[i] * poured_L[i])
            self._fed_L += poured_L[i]
        for i, tracked in enumerate(problem.tracked):
            distance = outputs[tracked.output] - symbols.setpoints[i]
            cost = symbols.tracking[i] * distance**2
            self._add(f"distance of {tracked.output}", share * cost)
        for i, rewarded in enumerate(problem.rewarded):
            gain = symbols.rewards[i] * outputs[rewarded.output]
            self._add(f"reward of {rewarded.output}", -share * gain)

    def add_end(self, outputs: dict[str, ca.SX]) -> None:
        """What is maximised at the end of the horizon."""
        best, symbols = self._problem.maximise, self._symbols
        if best is None:
            return
        gain = symbols.maximise * outputs[best.output]
        if best.per is Per.HOUR:
            planned_h = symbols.spent + ca.sum1(symbols.steps_h)
            gain = gain * planned_h / (symbols.spent + ca.sum1(self._lengths_h))
        elif best.per is Per.FEED:
            gain = gain * best.extra / (symbols.spent + self._fed_L)
        self._add(f"{best.output}{AT_HARVEST}", -gain)

    def _add(self, name: str, cost: ca.SX) -> None:
        self.values[name] = self.values.get(name, ca.SX(0)) + cost


def objective_terms(
    scenarios: Sequence[Terms], symbols: ProgramInputs
) -> tuple[ca.SX, tuple[str, ...]]:
    """Terms over all scenarios by their shares: values in a column, and names."""
    names = tuple(scenarios[0].values)
    values = [
        sum((symbols.shares[s] * terms.values[name] for s, terms in enumerate(scenarios)), ca.SX(0))
        for name in names
    ]
    return ca.vertcat(*values), names
