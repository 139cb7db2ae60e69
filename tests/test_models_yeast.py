"""The yeast models against tabulated runs of independent code and a public simulation's events.

The tabulated run holds dissolved oxygen at 3 mg/L and strips no ethanol; its feed rises
continuously from 9 h on until 0.18 L/h. The public simulation runs out of glucose at 2.5 h and,
with stripping, out of ethanol at 8.0 h.
"""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from plant_models.dialect import NUMPY
from plant_models.reference_run import ReferenceRun, run_reference
from plant_models.yeast_sk import CONTROL, SK
from tests.examples_models import Course, Floats, compiled

RELATIVE = 1e-3
FEED_H = 9.0
FULL_H = FEED_H + 5 * float(np.log(0.18 / 0.044))
EDGES_H = (0.0, 2.5, 8.0, FEED_H, FULL_H, 20.0)


def meets(value: float, printed: str) -> bool:
    """Whether a value is a printed one, to 1e-3 and half of the last printed digit."""
    digits = len(printed.partition(".")[2])
    return abs(value - float(printed)) <= RELATIVE * abs(float(printed)) + 0.5 * 10.0**-digits


@cache
def course(alpha_E: float, speed: float) -> Course:
    """The batch at 3 mg/L of dissolved oxygen."""
    derivative, _ = compiled(SK)
    p = np.array(SK.nominal_parameters()._replace(alpha_E=alpha_E))
    moves = np.array([name != "oxygen" for name in SK.state_names], dtype=float)
    pieces = []
    state = np.array(SK.initial_state()._replace(oxygen=0.003))
    for start_h, end_h in pairwise(EDGES_H):

        def rhs(time_h: float, x: Floats, fed: bool = start_h >= FEED_H) -> Floats:
            feed = min(0.044 * np.exp(0.20 * (time_h - FEED_H)), 0.18) if fed else 0.0
            rate = np.array(derivative(x, [feed, speed], p)).ravel()
            return np.asarray(moves * rate, dtype=np.float64)

        answer = solve_ivp(
            rhs, (start_h, end_h), state, "LSODA", rtol=1e-9, atol=1e-11, dense_output=True
        )
        assert answer.success, answer.message
        state = answer.y[:, -1]
        pieces.append((end_h, answer.sol))

    def at(time_h: float) -> Floats:
        return np.asarray(next(sol(time_h) for end_h, sol in pieces if time_h <= end_h))

    return at


def batch(time_h: float, alpha_E: float = 0.0, speed: float = 1000.0) -> Any:
    return SK.State(*course(alpha_E, speed)(time_h))


TABLE = [
    (2.5, "biomass", "5.477"),
    (2.5, "glucose", ".031"),
    (2.5, "ethanol", "12.286"),
    (8.0, "biomass", "11.815"),
    (8.0, "ethanol", "3.328"),
    (9.0, "biomass", "13.585"),
    (9.0, "ethanol", ".821"),
    (12.0, "biomass", "22.848"),
    (20.0, "biomass", "67.32"),
    (20.0, "volume", "5.892"),
]


@pytest.mark.parametrize(("time_h", "name", "printed"), TABLE)
def test_the_batch_meets_the_table(time_h: float, name: str, printed: str) -> None:
    assert meets(getattr(batch(time_h), name), printed)


def test_glucose_is_used_up_at_two_and_a_half_hours() -> None:
    assert batch(2.45).glucose > 0.5
    assert batch(2.55).glucose < 0.01


def test_with_stripping_ethanol_is_used_up_at_eight_hours() -> None:
    assert batch(7.9, 1.4e-4, 500.0).ethanol > 0.2
    assert batch(8.1, 1.4e-4, 500.0).ethanol < 0.01
    assert batch(8.1).ethanol > 2.0


# ---------------------------------------------------------------- stoichiometry


def rates(**state: float) -> Any:
    """Rates in plenty of oxygen, per biomass, without feed."""
    x = SK.initial_state()._replace(biomass=1.0, oxygen=0.007, **state)
    return SK.rhs(x, SK.Inputs(0.0, 1000.0), SK.nominal_parameters(), NUMPY)


def test_mass_yields_are_the_published_ones() -> None:
    slow = rates(glucose=0.02, ethanol=0.0)
    assert slow.biomass / -slow.glucose == pytest.approx(0.478, abs=5e-4)
    assert slow.ethanol == 0.0
    feasting, richer = rates(glucose=5.0, ethanol=0.0), rates(glucose=50.0, ethanol=0.0)
    more = feasting.glucose - richer.glucose
    assert (richer.biomass - feasting.biomass) / more == pytest.approx(0.0492, abs=5e-5)
    assert (richer.ethanol - feasting.ethanol) / more == pytest.approx(0.486, abs=5e-4)
    starving = rates(glucose=0.0, ethanol=1.0)
    assert starving.biomass / -starving.ethanol == pytest.approx(0.706, abs=5e-4)


def test_carbon_is_conserved() -> None:
    """Biomass has one mole of carbon in 24.6 g; fermentation's published sum is 1 % over."""
    p = SK.nominal_parameters()
    assert p.Y_Gr / 24.6 + p.C_Gr == pytest.approx(6.0, rel=1e-6)
    assert p.Y_Gf / 24.6 + p.C_Gf + 2 * p.E_Gf == pytest.approx(6.0, rel=0.01)
    assert p.Y_Er / 24.6 + p.C_Er == pytest.approx(2.0, rel=1e-6)


def test_carbon_dioxide_per_oxygen_tells_ethanol() -> None:
    p, inputs = SK.nominal_parameters(), SK.Inputs(0.0, 1000.0)

    def quotient(glucose: float, ethanol: float) -> float:
        x = SK.State(4.5, 5.0, glucose, ethanol, oxygen=0.006)
        y = SK.outputs(x, inputs, p, NUMPY)
        # What the culture takes up is what the gas gives less what dissolves.
        uptake = y.oxygen_uptake - SK.rhs(x, inputs, p, NUMPY).oxygen
        return float(y.carbon_dioxide_evolution / 44 / (uptake / 32))

    assert quotient(0.01, 0.0) == pytest.approx(2.5 / 2.3, rel=1e-9)
    assert quotient(20.0, 0.0) > 3.0
    assert quotient(0.0, 1.0) == pytest.approx(0.68 / 1.6, rel=1e-9)


# ---------------------------------------------------------------- reference batch


@cache
def reference_run(name: str) -> ReferenceRun:
    """The reference batch by the common integrator."""
    return run_reference({model.name: model for model in (SK, CONTROL)}[name])


@pytest.mark.parametrize(("model", "within"), [(SK, 1e-3), (CONTROL, 1e-2)])
def test_the_common_integrator_ends_where_the_table_does(model: Any, within: float) -> None:
    final = model.State(*reference_run(model.name).before[-1])
    assert final.biomass == pytest.approx(67.32, rel=within)
    assert final.volume == pytest.approx(5.892, abs=5e-4)
    assert final.ethanol < 0.01


@pytest.mark.parametrize("model", [SK, CONTROL], ids=lambda model: model.name)
def test_the_stirrer_holds_oxygen(model: Any) -> None:
    run = reference_run(model.name)
    oxygen = run.outputs[:, model.output_names.index("dissolved_oxygen")]
    speed = run.inputs[:, model.input_names.index("stirrer_speed")]
    assert oxygen[run.times_h > 1.0].min() > 20.0
    assert np.all(np.abs(oxygen[run.times_h > 18.0] - 40.0) < 3.0)
    assert speed.min() == 500.0
    assert 1400.0 < speed.max() < 2000.0


def test_the_control_model_follows_the_published_one() -> None:
    """Biomass within 1 %, ethanol within 1 % of what the batch phase makes."""
    full, reduced = reference_run(SK.name), reference_run(CONTROL.name)
    biomass, ethanol = SK.state_names.index("biomass"), SK.state_names.index("ethanol")
    np.testing.assert_allclose(reduced.states[:, biomass], full.states[:, biomass], rtol=1e-2)
    np.testing.assert_allclose(reduced.states[:, ethanol], full.states[:, ethanol], atol=0.12)


# ---------------------------------------------------------------- the control model


def control_points(count: int) -> Any:
    """States and inputs from hunger to feast and from little oxygen to plenty."""
    random = np.random.default_rng(6)
    for _ in range(count):
        glucose = 0.3 * random.random() ** 3
        state = CONTROL.State(5.0, 70.0 * random.random(), glucose, random.random() ** 4)
        yield state, CONTROL.Inputs(0.1, 100.0 + 1900.0 * random.random())


def test_steady_oxygen_balances_transfer_and_uptake() -> None:
    """In the published model too, but for what the rounded minima take up less at the corner."""
    p, sharp = CONTROL.nominal_parameters(), SK.nominal_parameters()
    for state, inputs in control_points(300):
        y = CONTROL.outputs(state, inputs, p, NUMPY)
        assert 0.0 < y.dissolved_oxygen <= 100.0
        if y.dissolved_oxygen > 10.0:
            assert y.dissolved_oxygen == pytest.approx(y.steady_oxygen, abs=2.0)
            full = SK.State(*state, oxygen=y.dissolved_oxygen / 100 * p.O_saturation)
            capacity = 32 * p.q_O_max * state.biomass
            assert abs(SK.rhs(full, inputs, sharp, NUMPY).oxygen) < 0.07 * capacity


def test_the_oxygen_reserve_is_what_the_largest_speed_leaves() -> None:
    p = CONTROL.nominal_parameters()
    for state, inputs in control_points(300):
        fastest = inputs._replace(stirrer_speed=p.stirrer_speed_largest)
        outputs = CONTROL.outputs(state, fastest, p, NUMPY)
        assert outputs.oxygen_reserve == CONTROL.outputs(state, inputs, p, NUMPY).oxygen_reserve
        if outputs.oxygen_reserve > 15.0:
            assert outputs.dissolved_oxygen == pytest.approx(outputs.oxygen_reserve, abs=2.0)


def test_the_respiratory_reserve_is_negative_where_glucose_overflows() -> None:
    p, inputs = CONTROL.nominal_parameters(), CONTROL.Inputs(0.0, 2000.0)
    hungry = CONTROL.State(5.0, 20.0, 0.01, 0.0)
    full = hungry._replace(glucose=0.5)
    assert CONTROL.outputs(hungry, inputs, p, NUMPY).respiratory_reserve > 0.1
    assert CONTROL.outputs(full, inputs, p, NUMPY).respiratory_reserve < -0.1
    assert CONTROL.rhs(full, inputs, p, NUMPY).ethanol > 1.0
    little = CONTROL.rhs(hungry, inputs, p, NUMPY)
    assert 0.0 <= little.ethanol < p.rounding * -little.glucose


def test_rates_vanish_with_their_substrates() -> None:
    """The rounded minima are exactly zero where a substrate is, whatever the rest."""
    p = CONTROL.nominal_parameters()
    for state, inputs in control_points(100):
        idle = inputs._replace(feed=0.0)
        assert CONTROL.rhs(state._replace(glucose=0.0), idle, p, NUMPY).glucose == 0.0
        assert CONTROL.rhs(state._replace(glucose=0.0, ethanol=0.0), idle, p, NUMPY).ethanol == 0.0


def test_the_pump_gain_scales_the_feed() -> None:
    state = CONTROL.initial_state()
    p = CONTROL.nominal_parameters()
    weak = CONTROL.rhs(state, CONTROL.Inputs(0.1, 1000.0), p._replace(feed_gain=0.9), NUMPY)
    less = CONTROL.rhs(state, CONTROL.Inputs(0.09, 1000.0), p, NUMPY)
    np.testing.assert_allclose(weak, less, rtol=1e-12)
