"""What an off-gas analyser computes: uptake, evolution and their quotient as outputs of models."""

from functools import cache

import numpy as np
import pytest

from plant_models.cho_mab import CONTROL, FULL
from plant_models.dialect import NUMPY
from plant_models.ecoli_xu import XU
from plant_models.gas_transfer import (
    AIR_CARBON_DIOXIDE,
    AIR_OXYGEN,
    GAS_CONSTANT,
    respiratory_quotient,
)
from plant_models.library import MODELS
from plant_models.model import PlantModel
from plant_models.reference_run import ReferenceRun, run_reference
from plant_models.yeast_sk import CONTROL as YEAST_CONTROL
from plant_models.yeast_sk import SK
from tests.examples_models import Floats

HOLDING = [FULL, CONTROL]


@cache
def reference(name: str) -> ReferenceRun:
    return run_reference(MODELS[name])


def run(model: PlantModel) -> ReferenceRun:
    return reference(model.name)


def output(model: PlantModel, name: str) -> Floats:
    return run(model).outputs[:, model.output_names.index(name)]


def state(model: PlantModel, name: str) -> Floats:
    return run(model).states[:, model.state_names.index(name)]


def given(model: PlantModel, name: str) -> Floats:
    return run(model).inputs[:, model.input_names.index(name)]


@pytest.mark.parametrize("model", HOLDING, ids=lambda model: model.name)
def test_rates_are_the_balance_of_the_gas_between_sparger_and_analyser(model: PlantModel) -> None:
    gases = [given(model, name) for name in ("air", "oxygen", "carbon_dioxide", "nitrogen")]
    flow = np.sum(gases, axis=0)
    oxygen_in = (AIR_OXYGEN * gases[0] + gases[1]) / flow
    dioxide_in = (AIR_CARBON_DIOXIDE * gases[0] + gases[2]) / flow
    kelvin = given(model, "temperature") + 273.15
    moles = flow * given(model, "pressure") / (GAS_CONSTANT * kelvin) / state(model, "volume")
    lost = moles * (oxygen_in - output(model, "off_gas_oxygen") / 100)
    gained = moles * (output(model, "off_gas_carbon_dioxide") / 100 - dioxide_in)
    assert output(model, "oxygen_uptake_rate") == pytest.approx(lost, rel=1e-9, abs=1e-9)
    assert output(model, "carbon_dioxide_evolution_rate") == pytest.approx(gained, rel=1e-9)
    assert output(model, "respiratory_quotient") == pytest.approx(gained / lost, rel=1e-4)


@pytest.mark.parametrize("model", HOLDING, ids=lambda model: model.name)
def test_the_gas_follows_the_cells_where_the_broth_is_steady(model: PlantModel) -> None:
    p = model.nominal_parameters()
    oxygen = state(model, "oxygen")
    taken_up = p.q_O2 * state(model, "viable_cells") * oxygen / (p.K_O2 + oxygen)
    rate = output(model, "oxygen_uptake_rate")
    assert rate - taken_up == pytest.approx(output(model, "oxygen_margin"), abs=1e-9)
    assert rate[-1] == pytest.approx(taken_up[-1], rel=2e-3)
    assert rate[0] > 2 * taken_up[0], "while the broth still fills with oxygen"
    assert output(model, "respiratory_quotient")[-1] == pytest.approx(p.RQ, abs=0.03)


@pytest.mark.parametrize("model", [SK, YEAST_CONTROL], ids=lambda model: model.name)
def test_the_quotient_tells_what_yeast_lives_on(model: PlantModel) -> None:
    hours, quotient = run(model).times_h, output(model, "respiratory_quotient")
    p = model.nominal_parameters()
    on_ethanol = (hours > 3.0) & (hours < 6.0)
    on_glucose = (hours > 12.0) & (hours < 15.0)
    assert quotient[on_ethanol] == pytest.approx(p.C_Er / p.O_Er, rel=2e-3)
    assert quotient[on_glucose] == pytest.approx(p.C_Gr / p.O_Gr, rel=0.02)
    assert quotient[1] > 2.0, "it ferments"


def test_carbon_of_escherichia_coli_is_accounted_for() -> None:
    p = XU.nominal_parameters()
    volume = state(XU, "volume")
    carbon = (
        p.C_x * state(XU, "biomass") + p.C_s * (state(XU, "glucose") + state(XU, "acetate"))
    ) * volume
    fine = run_reference(XU, points_per_step=60)
    rows = [fine.states[:, XU.state_names.index("volume")]]
    rows += [fine.outputs[:, XU.output_names.index("carbon_dioxide_evolution_rate")]]
    hours = fine.times_h
    released = np.trapezoid(rows[0] * rows[1] / 1000, hours)
    fed = p.C_s * p.feed_glucose * (volume[-1] - volume[0])
    assert carbon[-1] + released == pytest.approx(carbon[0] + fed, rel=1e-4)
    quotient = output(XU, "respiratory_quotient")
    assert quotient[0] == pytest.approx(1.09, abs=0.01), "overflow releases more"


def test_the_quotient_is_a_number_where_nothing_is_taken_up() -> None:
    for taken_up, quotient in ((0.0, 0.0), (1e-3, 500.0), (-1.0, -1.0), (1.0, 1.0)):
        found = respiratory_quotient(1.0, taken_up, NUMPY)
        assert found == pytest.approx(quotient, rel=1e-5)
