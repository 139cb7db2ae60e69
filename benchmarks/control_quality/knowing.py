"""Optimisers that are told what only the simulated plant knows."""

from dataclasses import dataclass, replace

import numpy as np

from controllers.arrays import Floats
from controllers.plan import Plan
from controllers.problem import Problem
from controllers.situation import Situation
from mpc_agent.build import TimedNmpc
from plant_models.model import PlantModel
from sim_plant.plant import SimulatedPlant


class OpenPlant(SimulatedPlant):
    """The simulated plant with its true state in the open."""

    @property
    def state(self) -> Floats:
        """True state now, in the order of the plant's model, shape (states,)."""
        return self._reactor.state


def true_parameters(plant: SimulatedPlant, model: PlantModel, nominal: Floats) -> Floats:
    """The parameters of a controller's model as they really are.

    What the plant has under the same name is taken from it; a pump's gain, which the plant keeps
    beside its model, is put where the controller's model has it. The rest stays nominal.

    Args:
        plant: the simulated plant.
        model: the controller's model.
        nominal: its parameters as configured, shape (parameters,).
    """
    culture, values = plant.culture, dict(zip(model.parameter_names, nominal, strict=True))
    values |= {name: value for name, value in culture.parameters.items() if name in values}
    for pump, gain in culture.pump_gains.items():
        if f"{pump}_gain" in values:
            values[f"{pump}_gain"] *= gain
    return np.array([values[name] for name in model.parameter_names])


@dataclass(frozen=True)
class Insight:
    """What an optimiser is told in place of the estimate.

    Attributes:
        plant: the plant that it controls; its model has every state of the optimiser's.
        model: the optimiser's model.
        parameters: all of its parameters, shape (parameters,).
        foreseen: states that stay where the agent foresees them, as other loops will hold them.
    """

    plant: OpenPlant
    model: PlantModel
    parameters: Floats
    foreseen: tuple[str, ...] = ()

    def told(self, situation: Situation) -> Situation:
        """The situation with the true state, these parameters, and no doubt about either."""
        names = self.plant.settings.plant_model.state_names
        truth = dict(zip(names, self.plant.state, strict=True))
        kept = dict(zip(self.model.state_names, situation.state, strict=True))
        truth |= {name: kept[name] for name in self.foreseen}
        state = np.array([truth[name] for name in self.model.state_names])
        return replace(
            situation,
            state=state,
            parameters=self.parameters,
            output_deviation=None,
            courses=tuple(
                replace(course, state=state, parameters=self.parameters)
                for course in situation.courses
            ),
        )


class KnowingNmpc(TimedNmpc):
    """An optimiser that is told the truth, or part of it, whatever the filter believes."""

    def __init__(self, problem: Problem, insight: Insight) -> None:
        super().__init__(problem)
        self._insight = insight

    def solve(self, situation: Situation, last: Plan | None, *, afresh: bool = False) -> Plan:
        """Solve from what it is told."""
        return super().solve(self._insight.told(situation), last, afresh=afresh)

    def predict(
        self, situation: Situation, inputs: Floats, boluses: Floats | None = None
    ) -> Floats:
        """Predict from what it is told: its forecasts have no deviation."""
        return super().predict(self._insight.told(situation), inputs, boluses)
