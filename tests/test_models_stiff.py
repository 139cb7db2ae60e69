"""Stiff models run in integrator, filter and optimiser without tricks by whoever uses them.

The culture of these tests has two modes that are a thousand times faster than its growth: its
substrate, taken up at hundreds per hour, and its oxygen, at a hundred thousand where it runs out.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from controllers.nmpc import Nmpc
from controllers.plan import SolveStatus
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import EstimationSettings, Uncertainty
from plant_models.dialect import JAX, NUMPY, Maths
from plant_models.integrate import SHARE, Simulator, casadi_step, jax_step, rodas3_step, substeps
from plant_models.model import Input, Method, State
from plant_models.smooth import saturation
from plant_models.stepper import Stepper
from tests.examples_core import Floats, signal, small_model


def rhs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    """Growth on a substrate and oxygen, both nearly used up."""
    uptake = 1.2 * saturation(x.substrate, 0.03, xp) * saturation(x.oxygen, 1e-3, xp)
    dilution = u.feed / x.volume
    return (
        u.feed,
        (p.gain * 0.5 * uptake - dilution) * x.biomass,
        -uptake * x.biomass + dilution * (300.0 - x.substrate),
        400.0 * (8.0 - x.oxygen) - 150.0 * uptake * x.biomass - dilution * x.oxygen,
    )


STIFF = replace(
    small_model(
        name="stiff",
        rhs=rhs,
        outputs=lambda x, u, p, xp: (
            x.volume,
            x.oxygen,
            x.substrate,
            x.biomass,
            x.biomass * x.volume,
        ),
        states={
            "volume": State("L", "volume", 2.0, 1.0, 0.1, 10.0),
            "biomass": State("g/L", "biomass", 10.0, 10.0, 0.0, 200.0),
            "substrate": State("g/L", "substrate", 0.02, 1.0, 0.0, 20.0),
            "oxygen": State("mg/L", "dissolved oxygen", 6.0, 8.0, 0.0, 8.0),
        },
        inputs={"feed": Input("L/h", "feed", 0.01, 0.05, 0.0, 0.2)},
        parameters={"gain": 1.0},
        output_names=("level", "oxygen", "substrate", "assay", "mass"),
        substeps_per_h=60,
    ),
    method=Method.IMPLICIT,
    product="mass",
)

X = np.array(STIFF.initial_state())
U = np.array([0.03])
P = np.array([1.0])


def exact(x: Floats, u: Floats, length_h: float) -> Floats:
    """The state after some hours of constant inputs, to ten digits."""
    answer = solve_ivp(
        lambda _, z: STIFF.derivative(z, u, P, NUMPY),
        (0.0, length_h),
        x,
        method="Radau",
        rtol=1e-10,
        atol=1e-12,
    )
    assert answer.success
    return np.asarray(answer.y[:, -1])


def scales() -> Floats:
    return np.array([state.scale for state in STIFF.states.values()])


# ------------------------------------------------------------------ the method


def scalar_step(rate: float, x: float, step_h: float) -> float:
    """One step of x' = rate x."""
    weight = 1 / (SHARE * step_h) - rate
    return float(rodas3_step(lambda z: rate * z, rate * x, lambda b: b / weight, x, step_h))


def logistic_step(x: float, step_h: float) -> float:
    """One step of x' = x (1 - x)."""
    weight = 1 / (SHARE * step_h) - (1 - 2 * x)
    after = rodas3_step(lambda z: z * (1 - z), x * (1 - x), lambda b: b / weight, x, step_h)
    return float(after)


def test_the_implicit_method_is_of_third_order() -> None:
    """Halving the step divides the error by eight: on x' = x (1 - x)."""
    exact_value, errors = 1 / (1 + 9 * np.exp(-2.0)), []
    for count in (16, 32, 64, 128):
        x, h = 0.1, 2.0 / count
        for _ in range(count):
            x = logistic_step(x, h)
        errors.append(abs(x - exact_value))
    assert np.allclose(np.diff(np.log2(errors)), -3.0, atol=0.15)


def test_a_mode_much_faster_than_the_step_is_gone_after_it() -> None:
    """L-stability: what is left of it falls with the ratio of step and mode, not only below one."""
    left = [abs(scalar_step(-rate, 1.0, 0.1)) for rate in (1e4, 1e6, 1e8)]
    assert left[0] < 0.01
    assert all(later < 0.02 * earlier for earlier, later in pairwise(left))


def test_both_engines_take_the_same_step() -> None:
    step = casadi_step(STIFF)
    x = X
    for step_h in (1e-4, 1e-3, 0.02, 0.1):
        by_casadi = np.asarray(step(x, U, P, step_h)).ravel()
        by_jax = np.asarray(jax_step(STIFF, x, U, P, step_h))
        assert by_jax == pytest.approx(by_casadi, rel=1e-11, abs=1e-13)
        x = by_casadi


def test_simulator_and_stepper_follow_the_slow_modes() -> None:
    """Sixty steps an hour, where Runge-Kutta would need a thousand and more."""
    jacobian = np.asarray(jax.jacfwd(lambda z: STIFF.derivative(z, U, P, JAX))(X))
    assert np.abs(np.linalg.eigvals(jacobian)).max() > 2.78 * STIFF.substeps_per_h
    x = Simulator(STIFF, 2.0).advance(X, U, P)
    assert np.abs(x - exact(X, U, 2.0)).max() / scales().max() < 1e-4
    stepped = X
    stepper = Stepper(STIFF, 0.1, substeps(STIFF, 0.1))
    for _ in range(20):
        stepped, _ = stepper.advance(stepped, U, P)
    assert stepped == pytest.approx(x, rel=1e-10)


def test_oxygen_that_runs_out_neither_rings_nor_becomes_negative() -> None:
    x_start = np.array(STIFF.State(*X)._replace(biomass=60.0, substrate=2.0))
    x, simulator, course = x_start, Simulator(STIFF, 1 / 60, count=4), []
    for _ in range(60):
        x = simulator.advance(x, U, P)
        course.append(x)
    table = np.array(course)
    expected = exact(x_start, U, 0.05)
    assert table.min() >= 0.0
    assert table[0, 3] < 0.01
    assert table[2] == pytest.approx(expected, rel=0.07)
    assert np.all(np.diff(table[:5, 2]) < 0)
    assert np.all(np.diff(table[:, 1]) > 0)


def test_the_step_can_be_differentiated() -> None:
    """With settled fast modes, to what a covariance needs: the matrix counts as constant."""
    settled = Simulator(STIFF, 0.5).advance(X, U, P)

    def advance(x: Any) -> Any:
        return jax_step(STIFF, x, U, P, 0.02)

    jacobian = np.asarray(jax.jacfwd(advance)(settled))
    worst = 0.0
    for column in range(4):
        nudge = np.zeros(4)
        nudge[column] = 1e-6 * scales()[column]
        slope = (np.asarray(advance(settled + nudge)) - np.asarray(advance(settled - nudge))) / 2
        apart = (jacobian[:, column] - slope / nudge[column]) / scales() * scales()[column]
        worst = max(worst, float(np.abs(apart).max()))
    assert worst < 5e-3


# ------------------------------------------------------------------ filter and optimiser


def test_the_filter_follows_a_stiff_culture() -> None:
    """From a biomass 20 % off; oxygen and level every six minutes, biomass once from the lab."""
    kalman = ExtendedKalmanFilter(
        EstimationSettings(
            model=STIFF,
            parameters={"gain": 1.0},
            initial={**dict(zip(STIFF.state_names, X, strict=True)), "biomass": 12.0},
            uncertainty={
                "volume": Uncertainty(0.01, 1e-4, 0.0),
                "biomass": Uncertainty(2.0, 0.01, 0.0),
                "substrate": Uncertainty(0.01, 0.001, 0.0),
                "oxygen": Uncertainty(1.0, 0.1, 0.0),
            },
            adapted=(),
            signals=(signal("level", 0.01), signal("oxygen", 0.05)),
            assays=(signal("assay", 0.1),),
            max_rewind_h=24.0,
        ),
        0.1,
    )
    belief, truth = kalman.initial(U), X
    generator = np.random.default_rng(3)
    for cycle in range(40):
        truth = exact(truth, U, 0.1)
        online = truth[[0, 3]] + generator.normal(0.0, [0.01, 0.05])
        assay = truth[1] if cycle == 20 else np.nan
        rows, _ = kalman.rows([0.1], U, np.append(online, assay)[None])
        belief, report, _ = kalman.march(belief, rows)
        assert report.sound.all()
    assert abs(belief.mean[1] - truth[1]) < 3 * belief.deviation[1]
    assert belief.deviation[1] < 0.5


def test_the_optimiser_feeds_up_to_what_oxygen_allows() -> None:
    problem = Problem(
        name="stiff",
        model=STIFF,
        inputs=(DecidedInput("feed", 0.0, 0.2),),
        pieces=24,
        degree=2,
        defect_max=0.05,
        maximise=Maximise("mass", 50.0),
        limits=(
            Limit("oxygen", 2.0, None, 1.0, 10.0),
            Limit("substrate", None, 0.2, 0.1, 1.0),
        ),
    )
    plan = Nmpc(problem).solve(
        Situation(
            time_s=0.0,
            state=X,
            parameters=P,
            given=U,
            previous=U,
            steps_h=np.full(24, 0.25),
            setpoints=np.zeros(0),
            guess=np.full((24, 1), 0.03),
        ),
        None,
    )
    assert plan.status is SolveStatus.SOLVED, plan.message
    oxygen = plan.outputs[:, STIFF.output_names.index("oxygen")]
    assert oxygen[4:] == pytest.approx(2.0, abs=0.02)
    x = X
    for feed in plan.inputs[:, 0]:
        x = exact(x, np.array([feed]), 0.25)
    assert plan.states[-1] == pytest.approx(x, rel=2e-3)
