"""do-mpc's own example, a bioreactor of four states and one feed, in closed loop.

Source: do-mpc, examples/batch_reactor (template_mpc.py and the notebook); the model is Srinivasan's
(2003), `plant_models.batch_bioreactor`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import casadi
import numpy as np

from benchmarks.literature import do_mpc_problem
from benchmarks.rivals.do_mpc_control import SOLVED, Answer
from benchmarks.rivals.do_mpc_statement import do_mpc
from benchmarks.rivals.task import Floats
from controllers.problem import (
    Method,
    Problem,
    Scenarios,
)
from controllers.situation import Course as Scenario
from controllers.situation import Situation
from plant_models.batch_bioreactor import CONTROL
from plant_models.dialect import CASADI
from plant_models.integrate import Simulator

PIECES, STEP_H = 20, 1.0
YIELDS, FEEDS = (0.5, 0.4, 0.3), (200.0, 220.0, 180.0)
"""What the example's robust variant takes `Y_x` and `S_in` to be, in all combinations."""

PROBLEM = do_mpc_problem()
"""The example in our words; what it rewards at the start of a plan, where nothing can be changed,
is left out."""

ROBUST = replace(PROBLEM, scenarios=Scenarios(count=len(YIELDS) * len(FEEDS)))


def shooting(problem: Problem) -> Problem:
    """The same problem for our solver of small problems: two Runge-Kutta steps an hour.

    One is not stable once the substrate is used up: it then settles within 20 minutes.
    """
    return replace(problem, method=Method.SHOOTING, elements=2)


@dataclass(frozen=True)
class Published:
    """What do-mpc's example comes to.

    Attributes:
        first: first five inputs, L/h.
        step: after how many solves the product is compared.
        product: then, g/L.
    """

    first: tuple[float, ...]
    step: int
    product: float


NOMINAL_RUN = Published((0.00809996, 0.01450173, 0.0192925, 0.02266675, 0.02487659), 150, 1.681883)
ROBUST_RUN = Published((0.01052153, 0.01872751, 0.0247725, 0.02894646, 0.03160635), 100, 0.941573)


class Example:
    """do-mpc with the settings of its example, silent."""

    def __init__(self, robust: bool = False, options: Mapping[str, Any] | None = None) -> None:
        """Set up do-mpc.

        Args:
            robust: with nine scenarios that part after the first hour, or with the first alone.
            options: IPOPT's, over do-mpc's own.
        """
        self.name = "do-mpc, its example" + (", IPOPT warm" if options else "")
        model = do_mpc.model.Model("continuous", "SX")
        x = [model.set_variable("_x", name) for name in CONTROL.state_names]
        feed = model.set_variable("_u", "feed")
        nominal = CONTROL.nominal_parameters()._asdict()
        for name in ("Y_x", "S_in"):
            nominal[name] = model.set_variable("_p", name)
        slopes = CONTROL.rhs(
            CONTROL.State(*x), CONTROL.Inputs(feed), CONTROL.Parameters(**nominal), CASADI
        )
        for name, slope in slopes._asdict().items():
            model.set_rhs(name, slope)
        model.setup()
        self._mpc = do_mpc.controller.MPC(model)
        self._configure(robust, options or {})
        self._mpc.setup()
        nlp = self._mpc.nlp
        self._objective = casadi.Function("objective", [nlp["x"], nlp["p"]], [nlp["f"]])
        self._guessed = False

    def _configure(self, robust: bool, options: Mapping[str, Any]) -> None:
        mpc = self._mpc
        settings = mpc.settings
        settings.n_horizon, settings.t_step, settings.n_robust = PIECES, STEP_H, int(robust)
        settings.collocation_deg, settings.collocation_ni = 2, 2
        settings.supress_ipopt_output()
        settings.nlpsol_opts.update(options)
        product = mpc.model.x["product"]
        mpc.set_objective(mterm=-product, lterm=-product)
        mpc.set_rterm(feed=1.0)
        for name, lower in (
            ("volume", 0.0), ("biomass", 0.0), ("substrate", -0.01), ("product", 0.0),
        ):  # fmt: skip
            mpc.bounds["lower", "_x", name] = lower
        mpc.bounds["upper", "_x", "biomass"] = 3.7
        mpc.bounds["upper", "_x", "product"] = 3.0
        mpc.bounds["lower", "_u", "feed"] = 0.0
        mpc.bounds["upper", "_u", "feed"] = 0.2
        mpc.set_uncertainty_values(Y_x=np.array(YIELDS), S_in=np.array(FEEDS))

    @property
    def iterations(self) -> int:
        """Iterations of the last solve."""
        return int(self._mpc.solver_stats["iter_count"])

    def solve(self, situation: Situation) -> Answer:
        """Solve as the example does: from its last answer, first from the state held."""
        mpc = self._mpc
        if not self._guessed:
            mpc.x0 = situation.state
            mpc.set_initial_guess()
            self._guessed = True
        mpc.u0 = situation.previous
        mpc.make_step(situation.state[:, None])
        word = str(mpc.solver_stats["return_status"])
        inputs = [np.asarray(mpc.opt_x_num_unscaled["_u", k, 0]).ravel() for k in range(PIECES)]
        # It also counts the product that is there, which our words leave out.
        product = situation.state[CONTROL.state_names.index("product")]
        objective = float(self._objective(mpc.opt_x_num, mpc.opt_p_num)) + float(product)
        return Answer(np.array(inputs), objective, SOLVED if word == "Solve_Succeeded" else word)


class Reactor:
    """The closed loop: full state feedback, a solve an hour.

    Attributes:
        steps: how many solves.
        states: of the plant after each of them.
        inputs: during each of them.
    """

    def __init__(self, steps: int, robust: bool = False) -> None:
        """Compile the plant; in the robust variant its yield is 0.4 instead of 0.5."""
        self.steps = steps
        self.states: list[Floats] = []
        self.inputs: list[Floats] = []
        self._robust = robust
        self._plant = Simulator(CONTROL, STEP_H, count=16)
        true = CONTROL.nominal_parameters()._replace(Y_x=YIELDS[1] if robust else YIELDS[0])
        self._true = np.array(true, dtype=np.float64)

    def first(self) -> Situation:
        """Where it begins."""
        state = np.array(CONTROL.initial_state(), dtype=np.float64)
        return Situation(
            time_s=0.0,
            state=state,
            parameters=np.array(CONTROL.nominal_parameters(), dtype=np.float64),
            given=np.zeros(1),
            previous=np.zeros(1),
            steps_h=np.full(PIECES, STEP_H),
            setpoints=np.zeros(0),
            guess=np.full((PIECES, 1), 0.02),
            courses=self._courses(state),
        )

    def after(self, situation: Situation, inputs: Floats) -> Situation:
        """An hour later, the plan's first piece."""
        state = self._plant.advance(situation.state, inputs[0], self._true)
        self.states.append(state)
        self.inputs.append(inputs[0])
        return replace(
            situation,
            time_s=situation.time_s + 3600 * STEP_H,
            state=state,
            previous=inputs[0],
            courses=self._courses(state),
        )

    def _courses(self, state: Floats) -> tuple[Scenario, ...]:
        """The scenarios in do-mpc's order."""
        if not self._robust:
            return ()
        nominal = CONTROL.nominal_parameters()
        values = [nominal._replace(Y_x=y, S_in=s) for y in YIELDS for s in FEEDS]
        return tuple(Scenario(state, np.array(value), 1 / len(values)) for value in values)

    def differences(self, published: Published) -> tuple[float, float | None]:
        """How far the course is from what is published: first feeds, L/h, and product, g/L."""
        count = len(published.first)
        feeds = np.array(self.inputs[:count]).ravel()
        off = float(np.abs(feeds - published.first).max())
        if len(self.states) < published.step:
            return off, None
        product = self.states[published.step - 1][CONTROL.state_names.index("product")]
        return off, float(abs(product - published.product))
