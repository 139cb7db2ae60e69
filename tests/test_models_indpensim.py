"""IndPenSim against its nominal batch, the reduced model against the full one, and the recipe."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from math import log10
from statistics import stdev
from typing import Any

import casadi
import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.plan import SolveStatus
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from plant_models.dialect import CASADI
from plant_models.integrate import Simulator
from plant_models.model import PlantModel
from plant_models.penicillin_indpensim import CONTROL, FULL, batch
from plant_models.penicillin_indpensim_recipe import (
    BASE,
    CHECKED_SAMPLES,
    DRIFTS,
    SAMPLE_H,
    SAMPLES,
    Memory,
    acid_and_base,
    cooling_and_heating,
    drifts,
    incremental_pid,
    recipe_at,
    run,
)
from plant_models.reference import ReferenceBatch
from tests.examples_models import Floats

Advance = Callable[[Floats, Floats, Floats], Floats]

COLUMNS = (
    "substrate",
    "dissolved_oxygen",
    "penicillin",
    "volume",
    "pH",
    "temperature",
    "viscosity",
    "growing",
    "non_growing",
    "biomass",
    "carbon_dioxide",
    "phenylacetate",
    "nitrogen",
)

NOMINAL = {
    10: "1.4473 12.505 .001 58147 6.506 298.15 9.8 1.109 1.320 2.429 .684 1537.6 1823.0",
    50: ".00222 11.958 4.513 62266 6.503 298.00 53.4 4.156 12.920 17.080 4.246 766.1 1817.0",
    100: ".00095 13.846 14.592 84132 6.502 297.99 40.3 4.017 18.471 22.688 6.202 1326.5 1668.9",
    150: ".00054 12.039 23.073 81193 6.501 298.02 74.5 2.250 21.700 24.869 6.081 1733.7 1820.2",
    230: ".00156 12.221 30.644 77867 6.501 297.96 67.3 1.314 17.638 22.311 5.088 1772.6 2043.4",
}
IN_VESSEL_KG, HARVESTED_KG, TOTAL_KG = 2386.0, 1137.0, 3523.0


def tight(model: PlantModel, step_h: float) -> Advance:
    """One interval by SUNDIALS' BDF method with exact Jacobians, at a tolerance of 1e-10."""
    x, u, p = (
        casadi.SX.sym("z", len(table)) for table in (model.states, model.inputs, model.parameters)
    )
    problem = {"x": x, "p": casadi.vertcat(u, p), "ode": model.derivative(x, u, p, CASADI)}
    options = {"reltol": 1e-10, "abstol": 1e-11, "max_num_steps": 100_000}
    solve = casadi.integrator("tight", "cvodes", problem, 0.0, step_h, options)

    def advance(x: Floats, u: Floats, p: Floats) -> Floats:
        return np.array(solve(x0=x, p=np.concatenate([u, p]))["xf"]).ravel()

    return advance


def run_batch(advance: Advance, reference: ReferenceBatch) -> tuple[list[Any], list[Any]]:
    """States at the samples and inputs between them."""
    p = np.array(FULL.nominal_parameters()._replace(**reference.parameters))
    state, memory = FULL.initial_state(), reference.memory
    states, inputs = [state], []
    for sample in range(SAMPLES):
        u, state, memory = reference.act(sample * reference.step_h, state, memory)
        state = FULL.State(*advance(np.array(state), np.array(u), p))
        states.append(state)
        inputs.append(u)
    return states, inputs


@cache
def nominal() -> tuple[list[Any], list[Any]]:
    """The nominal batch, tightly integrated."""
    return run_batch(tight(FULL, SAMPLE_H), FULL.reference)


def pH(state: Any) -> float:
    return float(6.0 - log10(state.hydrogen))


def row(state: Any) -> dict[str, float]:
    """A state as the table prints it."""
    biomass = state.growing + state.non_growing + state.degenerated + state.autolysed
    return {**state._asdict(), "pH": pH(state), "biomass": biomass}


def meets(value: float, printed: str) -> bool:
    """Whether a value is a printed one, to 1e-3 and half of the last printed digit."""
    digits = len(printed.partition(".")[2])
    return abs(value - float(printed)) <= 1e-3 * abs(float(printed)) + 0.5 * 10.0**-digits


def differing(state: Any, text: str) -> dict[str, tuple[float, str]]:
    values, printed = row(state), dict(zip(COLUMNS, text.split(), strict=True))
    return {name: (values[name], word) for name, word in printed.items()
            if not meets(values[name], word)}  # fmt: skip


def yield_kg(state: Any) -> tuple[float, float]:
    """Penicillin in the vessel and harvested."""
    return state.penicillin * state.volume / 1e3, state.harvested / 1e3


# ---------------------------------------------------------------- the full model


@pytest.mark.parametrize("time_h", NOMINAL)
def test_nominal_batch_meets_the_table(time_h: int) -> None:
    states, _ = nominal()
    assert differing(states[round(time_h / SAMPLE_H)], NOMINAL[time_h]) == {}


def test_nominal_batch_yields_what_is_published() -> None:
    last = nominal()[0][-1]
    in_vessel, harvested = yield_kg(last)
    assert last.penicillin == pytest.approx(30.644, rel=1e-4)
    assert in_vessel == pytest.approx(IN_VESSEL_KG, rel=1e-3)
    assert harvested == pytest.approx(HARVESTED_KG, rel=1e-3)
    assert in_vessel + harvested == pytest.approx(TOTAL_KG, rel=1e-3)


def test_common_integrator_runs_the_nominal_batch_with_its_loops() -> None:
    simulator = Simulator(FULL, SAMPLE_H)
    states, _ = run_batch(simulator.advance, FULL.reference)
    for time_h, text in NOMINAL.items():
        assert differing(states[round(time_h / SAMPLE_H)], text) == {}
    assert states[-1].penicillin == pytest.approx(30.644, rel=1e-4)
    assert sum(yield_kg(states[-1])) == pytest.approx(TOTAL_KG, rel=1e-4)


def test_penicillin_withdrawn_closes_the_balance_that_the_published_count_does_not() -> None:
    states, inputs = nominal()
    discharged = sum(u.discharge * SAMPLE_H for u in inputs)
    assert discharged == pytest.approx(6 * 2 * 4000.0)
    last = states[-1]
    assert last.withdrawn / 1e3 == pytest.approx(989.6, rel=1e-3)
    assert 1.12 < last.harvested / last.withdrawn < 1.16  # the density of the broth in kg/L


@pytest.mark.parametrize(
    ("changes", "penicillin"), [({"mu_p": 1.1 * 0.041}, 32.87), ({"alpha_kla": 70.0}, 30.64)]
)
def test_sensitivities_are_as_tabulated(changes: Mapping[str, float], penicillin: float) -> None:
    reference = batch()
    changed = ReferenceBatch(
        "changed", reference.duration_h, reference.step_h, reference.act, Memory(),
        parameters=changes,
    )  # fmt: skip
    states, _ = run_batch(tight(FULL, SAMPLE_H), changed)
    assert states[-1].penicillin == pytest.approx(penicillin, abs=0.006)


def test_a_disturbed_batch_stays_sound_and_differs_by_seed() -> None:
    states, inputs = run_batch(tight(FULL, SAMPLE_H), batch(7))
    assert all(np.isfinite(state).all() for state in states)
    assert 10.0 < states[-1].penicillin < 45.0
    assert abs(states[-1].penicillin - 30.644) > 0.05
    assert inputs == run_batch_inputs(batch(7), states)
    assert inputs != run_batch_inputs(batch(8), states)


def run_batch_inputs(reference: ReferenceBatch, states: list[Any]) -> list[Any]:
    """The inputs that a batch would give along known states."""
    memory, inputs = reference.memory, []
    for sample, state in enumerate(states[:-1]):
        u, _, memory = reference.act(sample * SAMPLE_H, state, memory)
        inputs.append(u)
    return inputs


# ---------------------------------------------------------------- the reduced model


def control_inputs(sample: int) -> Any:
    """The full model's inputs at a sample, pH and temperature as its loops held them."""
    states, inputs = nominal()
    before, after, u = states[sample], states[sample + 1], inputs[sample]
    shared = {name: getattr(u, name) for name in CONTROL.input_names if name in FULL.input_names}
    return CONTROL.Inputs(
        **shared,
        temperature=(before.temperature + after.temperature) / 2 - 273.15,
        pH=(pH(before) + pH(after)) / 2,
    )


@cache
def reduced() -> list[Any]:
    """The reduced model on the inputs of the full one's nominal batch."""
    advance, p = tight(CONTROL, SAMPLE_H), np.array(CONTROL.nominal_parameters())
    states = [CONTROL.initial_state()]
    for sample in range(SAMPLES):
        u = np.array(control_inputs(sample))
        states.append(CONTROL.State(*advance(np.array(states[-1]), u, p)))
    return states


NEAR = {
    "biomass": 1e-3,
    "penicillin": 3e-3,
    "phenylacetate": 5e-3,
    "nitrogen": 3e-3,
    "viscosity": 3e-3,
    "dissolved_oxygen": 3e-3,
    "off_gas_oxygen": 3e-3,
    "weight": 1e-3,
    "volume": 1e-3,
    "product_mass": 2e-3,
}
"""How near the reduced model's outputs are to the full model's from 30 h on, relative."""


@pytest.mark.parametrize("time_h", [30, 50, 80, 100, 150, 200, 230])
def test_reduced_model_stays_near_the_full_one(time_h: int) -> None:
    sample = round(time_h / SAMPLE_H)
    full, control = (
        dict(zip(model.output_names, model_outputs(model, state, u), strict=True))
        for model, state, u in (
            (FULL, nominal()[0][sample], nominal()[1][sample - 1]),
            (CONTROL, reduced()[sample], control_inputs(sample - 1)),
        )
    )
    for name, relative in NEAR.items():
        assert control[name] == pytest.approx(full[name], rel=relative), name
    assert control["substrate"] == pytest.approx(full["substrate"], abs=2e-4)
    assert control["off_gas_carbon_dioxide"] == pytest.approx(
        full["off_gas_carbon_dioxide"], rel=0.01
    )


def model_outputs(model: PlantModel, state: Any, u: Any) -> Floats:
    return Simulator(model, SAMPLE_H).outputs(
        np.array(state), np.array(u), np.array(model.nominal_parameters())
    )


def test_optimiser_beats_the_recipe_from_50_h_on() -> None:
    """Both feeds in pieces of 4 h, the substrate kept on the safe side of where it runs away."""
    pieces = 45
    decided = ("sugar_feed", "phenylacetate_feed")
    problem = Problem(
        "feed",
        CONTROL,
        (
            DecidedInput("sugar_feed", 0.0, 200.0, move_weight=1.0),
            DecidedInput("phenylacetate_feed", 0.0, 15.0, move_weight=1.0),
        ),
        pieces=pieces,
        degree=2,
        maximise=Maximise("product_mass", 1e6),
        limits=(
            Limit("substrate", None, 0.0015, 0.001, 10.0),
            Limit("phenylacetate", 300.0, 2000.0, 200.0, 1.0),
            Limit("dissolved_oxygen", 40.0, None, 10.0, 1.0),
        ),
        held_states=("weight",),
    )
    start = round(50 / SAMPLE_H)
    samples = np.array([control_inputs(sample) for sample in range(start, SAMPLES)])
    given = samples.reshape(pieces, -1, len(CONTROL.inputs)).mean(axis=1)
    recipe = given[:, [CONTROL.input_names.index(name) for name in decided]]
    p = np.array(CONTROL.nominal_parameters())
    state, steps_h = np.array(reduced()[start]), np.full(pieces, 4.0)
    situation = Situation(0.0, state, p, given, recipe[0], steps_h, np.zeros(0), recipe)
    nmpc = Nmpc(problem)
    product = CONTROL.output_names.index("product_mass")
    by_recipe = nmpc.predict(situation, recipe)[0, -1, product]
    plan = nmpc.solve(situation, None)
    assert by_recipe == pytest.approx(1e3 * TOTAL_KG, rel=5e-3)
    assert plan.status is SolveStatus.SOLVED
    assert plan.attempts == ("cold",)
    assert plan.outputs[-1, product] > 1.2 * by_recipe


# ---------------------------------------------------------------- recipe and loops


def test_recipe_holds_each_value_up_to_its_sample() -> None:
    assert recipe_at(15)["sugar_feed"] == 8.0
    assert recipe_at(16)["sugar_feed"] == 15.0
    assert [recipe_at(sample)["discharge"] for sample in (500, 501, 510, 511)] == [0, 4000, 4000, 0]
    assert recipe_at(62)["head_pressure"] == 0.6
    assert recipe_at(63)["head_pressure"] == 0.7
    assert recipe_at(9999) == recipe_at(1750)


def test_incremental_pid_adds_its_three_parts_and_keeps_its_bounds() -> None:
    assert incremental_pid(10.0, (-0.03, -0.03), (6.53, 6.53, 6.53), BASE) == 0.0
    flow = incremental_pid(10.0, (0.001, 0.0), (6.499, 6.5, 6.5), BASE)
    expected = 10.0 + 0.08 * (0.001 + 0.001 * 0.2 / 4e-5 + 8.0 / 0.2 * 0.001)
    assert flow == pytest.approx(expected, rel=1e-12)
    assert incremental_pid(10.0, (1.0, 0.0), (5.5, 6.5, 6.5), BASE) == BASE.largest


def test_base_gives_way_to_acid_when_the_ph_is_high() -> None:
    memory = Memory(pH=(6.55, 6.55), base=20.0, acid=1.0)
    acid, base = acid_and_base(6.6, memory)
    # Published gains of the acid loop: a higher pH takes acid away, its acceleration too.
    assert acid == pytest.approx(1.0 - 0.08 * (0.05 + 0.1 * 0.2 / 12.5 + 0.125 / 0.2 * 0.05))
    assert base == 10.0
    acid, base = acid_and_base(6.4, memory)
    assert acid == 0.0
    assert base > 20.0


def test_cooling_and_heating_take_turns_and_never_close() -> None:
    cold = Memory(temperature=(297.0, 297.0), cooling=10.0, heating=10.0)
    cooling, heating = cooling_and_heating(297.0, cold)
    assert cooling == 3.0
    assert heating > 10.0
    warm = Memory(temperature=(298.5, 298.5), cooling=1e-4, heating=1e-4)
    cooling, heating = cooling_and_heating(298.5, warm)
    assert cooling > 1.0
    assert heating == 1e-4


def test_a_growth_rate_that_only_falls_replaces_the_maximal_one() -> None:
    act = run(FULL.nominal_inputs(), mu_x=0.41)
    state, memory = FULL.initial_state(), Memory()
    u, after, sample = FULL.nominal_inputs(), state, 0
    for sample in range(CHECKED_SAMPLES + 2):
        falling = state._replace(growth_integral=0.08 - 1e-4 * sample)
        u, after, memory = act(sample * SAMPLE_H, falling, memory)
        assert (u.growth_drift != 0.0) is (sample >= CHECKED_SAMPLES)
    assert u.growth_drift == pytest.approx((0.08 - 1e-4 * sample) / SAMPLE_H - 0.41)
    assert after.growth_integral == 0.0


def test_oxygen_that_is_nearly_gone_is_put_back_as_published() -> None:
    act = run(FULL.nominal_inputs(), mu_x=0.41)
    state = FULL.initial_state()._replace(dissolved_oxygen=1.5)
    _, after, _ = act(SAMPLE_H, state, Memory())
    assert after.dissolved_oxygen == 1.0
    assert after.penicillin == 1e-3


def test_drifts_are_slow_and_as_large_as_published() -> None:
    """White noise through a pole of 0.995 with gain 0.005 has a twentieth of its deviation."""
    courses = [level for seed in range(12) for level in drifts(seed)]
    for name, size in DRIFTS.items():
        values = [level[name] for level in courses]
        assert stdev(values) == pytest.approx(0.05 * size, rel=0.3)
        steps = [abs(after - before) for before, after in pairwise(values[:500])]
        assert max(steps) < 0.03 * size
    assert drifts(3) == drifts(3)
    assert drifts(3) != drifts(4)
