"""The E. coli models against tabulated runs of independent code, by an independent integrator.

The authors' batch of `ecoli_anane`: 11.4469 h of batch, exponential feed until 16.3028 h, half of
the last rate from then on, and four pulses that set glucose. The feed rises continuously here; the
model's reference batch holds its mean over each step.
"""

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from plant_models.dialect import NUMPY
from plant_models.ecoli_anane import ANANE, CONTROL, SECOND_SET
from plant_models.ecoli_xu import XU
from plant_models.reference_run import ReferenceRun, run_reference
from tests.examples_models import Course, Floats, compiled, reference_course

RELATIVE = 1e-3


def meets(value: float, printed: str) -> bool:
    """Whether a value is a printed one, to 1e-3 and half of the last printed digit."""
    digits = len(printed.partition(".")[2])
    return abs(value - float(printed)) <= RELATIVE * abs(float(printed)) + 0.5 * 10.0**-digits


# ---------------------------------------------------------------- acetate cycling, as published

FEED_H, STIRRER_H, CONSTANT_H = 11.4469, 14.3417, 16.3028
PULSES = {20.5833: 1.0, 22.3639: 0.04, 24.4472: 0.2, 29.5111: 0.2}
EDGES_H = (0.0, FEED_H, STIRRER_H, CONSTANT_H, *PULSES, 33.0)

SETS: Mapping[str, Mapping[str, float]] = {"set 1": {}, "set 2": SECOND_SET}


def feed_rate(time_h: float) -> float:
    """L/h."""
    rising = 0.0087 * np.exp(0.222 * (min(time_h, CONSTANT_H) - FEED_H))
    return 0.0 if time_h < FEED_H else float(rising if time_h < CONSTANT_H else rising / 2)


@cache
def anane_course(values: str) -> Course:
    """The authors' batch with a set of parameters."""
    derivative, _ = compiled(ANANE)
    p = np.array(ANANE.nominal_parameters()._replace(**SETS[values]))
    glucose = ANANE.state_names.index("glucose")
    pieces = []
    state = np.array(ANANE.initial_state())
    for start_h, end_h in pairwise(EDGES_H):
        state[glucose] = PULSES.get(start_h, state[glucose])
        kLa = 220.0 if start_h < STIRRER_H else 355.0
        middle_h = (start_h + end_h) / 2
        rising = middle_h < CONSTANT_H

        def rhs(
            time_h: float,
            x: Floats,
            kLa: float = kLa,
            at_h: float = middle_h,
            rising: bool = rising,
        ) -> Floats:
            feed = feed_rate(at_h) if at_h < FEED_H or not rising else feed_rate(time_h + 1e-12)
            return np.array(derivative(x, [feed, kLa], p)).ravel()

        answer = solve_ivp(
            rhs, (start_h, end_h), state, "LSODA", rtol=1e-9, atol=1e-11, dense_output=True
        )
        assert answer.success, answer.message
        state = answer.y[:, -1]
        pieces.append((start_h, end_h, answer.sol))

    def course(time_h: float) -> Floats:
        return np.asarray(next(sol(time_h) for _, end_h, sol in pieces if time_h <= end_h))

    return course


def anane(values: str, time_h: float) -> Any:
    """State of the authors' batch; at a pulse, before it."""
    return ANANE.State(*anane_course(values)(time_h))


TABLE = [
    ("set 1", FEED_H, "biomass", "2.926"),
    ("set 1", CONSTANT_H, "biomass", "8.847"),
    ("set 1", CONSTANT_H, "acetate", ".2297"),
    ("set 1", 20.5833, "biomass", "13.141"),
    ("set 1", 33.0, "biomass", "23.884"),
    ("set 1", 33.0, "volume", "2.2894"),
    ("set 2", FEED_H, "biomass", "2.932"),
    ("set 2", CONSTANT_H, "biomass", "8.881"),
    ("set 2", CONSTANT_H, "acetate", ".2160"),
    ("set 2", 33.0, "biomass", "23.964"),
]


@pytest.mark.parametrize(("values", "time_h", "name", "printed"), TABLE)
def test_acetate_cycling_meets_the_table(
    values: str, time_h: float, name: str, printed: str
) -> None:
    assert meets(getattr(anane(values, time_h), name), printed)


@pytest.mark.parametrize(("values", "printed"), [("set 1", ".2448"), ("set 2", ".2394")])
def test_acetate_peaks_in_the_batch_phase_as_the_table_says(values: str, printed: str) -> None:
    acetate = [anane(values, time_h).acetate for time_h in np.arange(8.0, FEED_H, 0.01)]
    assert meets(max(acetate), printed)
    assert acetate[-1] < 1e-3


def test_the_switch_at_zero_oxygen_changes_the_run_by_no_more_than_it_says() -> None:
    assert anane("set 1", 33.0).biomass == pytest.approx(23.884, rel=2e-4)


def test_a_pulse_of_glucose_exhausts_oxygen_and_the_probe_follows() -> None:
    times_h = np.arange(20.5834, 21.2, 0.001)
    oxygen = np.array([anane("set 1", time_h).oxygen for time_h in times_h])
    probe = np.array([anane("set 1", time_h).oxygen_probe for time_h in times_h])
    assert 0.0 < oxygen.min() < 2.0
    assert oxygen[-1] > 50.0
    # The probe reads what was there 35 s before.
    middle = (oxygen[0] + oxygen.min()) / 2
    late_s = 3600 * (times_h[np.argmax(probe < middle)] - times_h[np.argmax(oxygen < middle)])
    assert 15.0 < late_s < 60.0


# ---------------------------------------------------------------- its reference batch


@cache
def reference_run(name: str) -> ReferenceRun:
    """The reference batch by the common integrator."""
    return run_reference({model.name: model for model in (ANANE, CONTROL, XU)}[name])


def state_at(run: ReferenceRun, row: int, model: Any) -> Any:
    return model.State(*run.before[row])


@pytest.mark.parametrize("model", [ANANE, CONTROL], ids=lambda model: model.name)
def test_the_common_integrator_ends_where_the_table_does(model: Any) -> None:
    final = state_at(reference_run(model.name), -1, model)
    assert meets(final.biomass, "23.884")
    assert meets(final.volume, "2.2894")


def test_the_control_model_follows_the_published_one() -> None:
    """States at every quarter of an hour; oxygen where it has settled after a step."""
    full, reduced = reference_run(ANANE.name), reference_run(CONTROL.name)
    count = len(CONTROL.states)
    difference = np.abs(full.states[:, :count] - reduced.states)
    assert np.all(difference.max(axis=0) < np.array([1e-9, 0.03, 0.02, 0.05]))
    settled = np.array(
        [all(abs(time_h - edge) > 0.45 for edge in EDGES_H) for time_h in full.times_h]
    )
    place = ANANE.output_names.index("dissolved_oxygen")
    oxygen = np.abs(full.outputs[:, place] - reduced.outputs[:, place])
    assert oxygen[settled].max() < 1.5


# ---------------------------------------------------------------- the control model's oxygen


def control_points(count: int) -> Any:
    """States, inputs and parameters with oxygen from nearly none to plenty."""
    random = np.random.default_rng(5)
    for _ in range(count):
        state = CONTROL.State(2.0, *(random.random(3) * np.array([40.0, 0.5, 0.5])))
        inputs = CONTROL.Inputs(feed=0.01, kLa=50.0 + 500.0 * random.random())
        yield state, inputs, CONTROL.nominal_parameters()


def test_steady_oxygen_balances_transfer_and_uptake() -> None:
    """In the published model's balance too, whose switch is sharper: to 1 % of the transfer."""
    p = ANANE.nominal_parameters()
    for state, inputs, parameters in control_points(200):
        oxygen = CONTROL.outputs(state, inputs, parameters, NUMPY).dissolved_oxygen
        assert 0.0 < oxygen <= 99.0
        full = ANANE.State(*state, oxygen=oxygen, oxygen_probe=oxygen)
        if oxygen > 10.0:
            rate = ANANE.rhs(full, inputs, p, NUMPY).oxygen
            assert abs(rate) < 0.01 * inputs.kLa * 99.0


def test_the_oxygen_reserve_is_what_the_largest_kLa_leaves() -> None:
    for state, inputs, parameters in control_points(100):
        largest = inputs._replace(kLa=parameters.kLa_largest)
        outputs = CONTROL.outputs(state, largest, parameters, NUMPY)
        assert outputs.oxygen_reserve == outputs.steady_oxygen
        elsewhere = CONTROL.outputs(state, inputs, parameters, NUMPY)
        assert elsewhere.oxygen_reserve == outputs.oxygen_reserve
        if outputs.oxygen_reserve > 20.0:
            assert outputs.dissolved_oxygen == pytest.approx(outputs.oxygen_reserve, abs=0.5)
        else:
            assert outputs.dissolved_oxygen < 21.0


def test_the_pump_gain_scales_the_feed() -> None:
    state = CONTROL.initial_state()._replace(biomass=10.0)
    p = CONTROL.nominal_parameters()
    weak = CONTROL.rhs(state, CONTROL.Inputs(0.01, 300.0), p._replace(feed_gain=0.9), NUMPY)
    less = CONTROL.rhs(state, CONTROL.Inputs(0.009, 300.0), p, NUMPY)
    np.testing.assert_allclose(weak, less, rtol=1e-12)


# ---------------------------------------------------------------- Xu


@cache
def xu_course() -> Course:
    derivative, _ = compiled(XU)
    p = np.array(XU.nominal_parameters())

    def rhs(x: Floats, time_h: float) -> Floats:
        inputs, _, _ = XU.reference.act(time_h, None, None)
        return np.array(derivative(x, np.array(inputs), p)).ravel()

    edges_h = (0.0, 7.0, 9.0, 11.0, 13.0, 15.0)
    return reference_course(rhs, np.array(XU.initial_state()), edges_h, 1e-9)


@pytest.mark.parametrize(
    ("name", "printed"),
    [("glucose", "21.783"), ("acetate", "9.255"), ("biomass", "27.538"), ("volume", "8.27")],
)
def test_the_overfed_batch_ends_as_the_table_says(name: str, printed: str) -> None:
    assert meets(getattr(XU.State(*xu_course()(15.0)), name), printed)
    assert meets(getattr(state_at(reference_run(XU.name), -1, XU), name), printed)


def test_oxygen_uptake_stays_within_the_respiratory_capacity() -> None:
    p = XU.nominal_parameters()
    for time_h in np.arange(0.0, 15.0, 0.25):
        state = XU.State(*xu_course()(time_h))
        capacity = 0.032 * p.q_O_max / (1 + state.acetate / p.K_i_o)
        uptake = XU.outputs(state, XU.Inputs(0.1), p, NUMPY).oxygen_uptake / state.biomass
        assert uptake <= capacity * (1 + 1e-12)


def test_acetate_is_taken_up_again_when_glucose_is_short() -> None:
    p, inputs = XU.nominal_parameters(), XU.Inputs(0.0)
    state = XU.State(volume=8.0, biomass=10.0, glucose=0.0, acetate=2.0)
    rates = XU.rhs(state, inputs, p, NUMPY)
    assert rates.acetate == pytest.approx(-p.q_Ac_max * 2.0 / 2.05 * 10.0)
    fed = XU.rhs(state._replace(glucose=10.0), inputs, p, NUMPY)
    assert fed.acetate > 0.0
