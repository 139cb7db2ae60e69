"""CHO cells making a monoclonal antibody in fed-batch, with two feeds and gas.

Three models of one organism, from shared equations:

- `CORE`: Monod growth on glucose and glutamine with lactate and ammonia inhibition, 8 states.
- `CONTROL`: the core with basal death, starvation and lactate shift, the gas side and the acid-base
  balance, 12 states; smooth and cheap, meant for the filter and the optimiser.
- `FULL`: the same 12 states with growth depending on temperature, pH, CO2, oxygen and osmolality,
  and lysis; meant as the simulated plant.

Sources. Structure of the core: Xing, Bishop, Leister, Li (2010), Biotechnol. Prog. 26:208-219.
Parameter values: Bioengineering 2018, 5(1):25, Table 2, doi 10.3390/bioengineering5010025.
Temperature optimum: InSiliCHO, after Carcano and Parolini (2009). Basal death and lysis: Moeller
et al. (2020). Oxygen uptake and CO2 effects: Gray et al. (1996), Cytotechnology 22:65.
Where no literature gives an equation (pH, oxygen and osmolality factors, lactate shift, starvation,
product's dependence on glucose), it is an engineering construction of this project, marked "ours".
So are the deviations between cell lines. The solubility of carbon dioxide (0.0307 mmol/L per mmHg)
and the dissociation constant behind the pH (pK 6.1) are from general knowledge, not found in a
source. The solubility of oxygen is rounded from public simulations (1.04 and 1.07 mmol/L/atm) and
air-saturated medium (0.20 mmol/L).

Units: 1e9 cells/L (= 1e6 cells/mL), mmol/L, g/L for the antibody, L, h. 1 pg/cell/day is
4.1667e-5 g/(1e9 h).
"""

from typing import Any, NamedTuple

from plant_models.dialect import Maths, Scalar
from plant_models.gas_transfer import (
    AIR_OXYGEN,
    ATM_MMHG,
    Sparge,
    carbon_dioxide_transfer,
    molar_energy,
    oxygen_transfer,
    ph,
    respiratory_quotient,
    sparge,
    transfer_coefficient,
)
from plant_models.model import Input, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile

_XING = "Bioengineering 2018, 5(1):25, Table 2"
_OURS = "ours"


_CORE_STATES = {
    "volume": State("L", "broth volume", 1400.0, 1500.0, 1e-3, 1e5),
    "viable_cells": State("1e9 cells/L", "viable cell density", 0.5, 10.0, 0.0, 200.0),
    "dead_cells": State("1e9 cells/L", "dead cell density", 0.02, 2.0, 0.0, 200.0),
    "glucose": State("mmol/L", "glucose", 30.0, 20.0, 0.0, 200.0),
    "glutamine": State("mmol/L", "glutamine", 6.0, 3.0, 0.0, 100.0),
    "lactate": State("mmol/L", "lactate", 1.0, 20.0, 0.0, 200.0),
    "ammonia": State("mmol/L", "ammonia", 0.5, 3.0, 0.0, 50.0),
    "product": State("g/L", "antibody titre", 0.0, 2.0, 0.0, 50.0),
}

_FULL_STATES = {
    **_CORE_STATES,
    "oxygen": State("mmol/L", "dissolved oxygen", 0.10, 0.1, 0.0, 1.5),
    "carbon_dioxide": State(
        "mmol/L", "dissolved carbon dioxide", 23.3 * 45 / ATM_MMHG, 2.0, 0.0, 20.0
    ),
    "alkalinity": State(
        "mmol/L", "strong-ion difference, about bicarbonate", 22.0, 20.0, 0.1, 200.0
    ),
    "osmolytes": State("mmol/L", "inert osmolytes", 225.0, 300.0, 0.0, 1000.0),
}

_CORE_INPUTS = {
    "glucose_feed": Input("L/h", "glucose feed", 0.0, 2.0, 0.0, 100.0),
    "amino_feed": Input("L/h", "amino-acid feed", 0.0, 2.0, 0.0, 100.0),
}

_FULL_INPUTS = {
    **_CORE_INPUTS,
    "base": Input("L/h", "sodium bicarbonate solution", 0.0, 1.0, 0.0, 10.0),
    "air": Input("L/h", "air flow", 336.0, 300.0, 0.1, 2000.0),
    "oxygen": Input("L/h", "oxygen flow", 4.2, 300.0, 0.0, 2000.0),
    "carbon_dioxide": Input("L/h", "carbon dioxide flow", 0.0, 100.0, 0.0, 1000.0),
    "nitrogen": Input("L/h", "nitrogen flow", 0.0, 300.0, 0.0, 2000.0),
    "temperature": Input("degC", "broth temperature", 36.5, 36.5, 30.0, 40.0),
    "pressure": Input("atm", "pressure at the sparger", 1.1, 1.0, 0.8, 3.0),
    "power_per_volume": Input("W/m^3", "stirrer power input", 30.0, 30.0, 1.0, 300.0),
}


def _kinetic(
    unit: str, meaning: str, value: float, source: str, deviation: float = 0.0
) -> Parameter:
    """A positive parameter admitted between a fifth and five times its value."""
    return Parameter(unit, meaning, value, value / 5, value * 5, deviation, source)


def _fixed(unit: str, meaning: str, value: float, source: str) -> Parameter:
    """A composition or constant, admitted from zero to five times its value (or 1000)."""
    return Parameter(unit, meaning, value, 0.0, 5 * value if value else 1000.0, 0.0, source)


_SPECIFIC = "mmol/(1e9 cells)/h"

_CORE_PARAMETERS = {
    "mu_max": _kinetic("1/h", "maximal growth rate", 0.039, _XING, 0.12),
    "k_d": _kinetic("1/h", "maximal death rate by lactate and ammonia", 0.004, _XING, 0.12),
    "K_glc": _kinetic("mmol/L", "glucose at half growth", 1.0, _XING),
    "K_gln": _kinetic("mmol/L", "glutamine at half growth", 0.047, _XING),
    "KI_lac": _kinetic("mmol/L", "lactate that halves growth", 43.0, _XING, 0.12),
    "KI_amm": _kinetic("mmol/L", "ammonia that halves growth", 6.51, _XING),
    "KD_lac": _kinetic("mmol/L", "lactate at half maximal death", 45.8, _XING),
    "KD_amm": _kinetic("mmol/L", "ammonia at half maximal death", 6.51, _XING),
    "Y_Xglc": _kinetic("1e9 cells/mmol", "cells from glucose", 0.357, _XING, 0.12),
    "Y_Xgln": _kinetic("1e9 cells/mmol", "cells from glutamine", 0.974, _XING, 0.12),
    "Y_lac": _kinetic("mmol/mmol", "lactate from glucose", 0.70, _XING, 0.12),
    "Y_amm": _kinetic("mmol/mmol", "ammonia from glutamine", 0.67, _XING),
    "r_amm": _kinetic(_SPECIFIC, "ammonia removal", 6.3e-3, _XING),
    "m_glc": _kinetic(_SPECIFIC, "glucose for maintenance", 69.2e-3, _XING, 0.12),
    "a1": _kinetic(_SPECIFIC, "glutamine for maintenance", 3.2e-3, _XING),
    "a2": _kinetic("mmol/L", "glutamine at half maintenance uptake", 2.1, _XING),
    "Q_mAb": _kinetic("g/(1e9 cells)/h", "specific antibody production", 1.51e-3, _XING, 0.12),
    "glucose_feed_glucose": _fixed("mmol/L", "glucose in the glucose feed", 500.0, _OURS),
    "glucose_feed_glutamine": _fixed("mmol/L", "glutamine in the glucose feed", 0.0, _OURS),
    "amino_feed_glucose": _fixed("mmol/L", "glucose in the amino-acid feed", 0.0, _OURS),
    "amino_feed_glutamine": _fixed("mmol/L", "glutamine in the amino-acid feed", 100.0, _OURS),
}

_GRAY = "Gray et al. 1996"
_SOLUBILITY = "public simulations of CHO cultures, rounded"
_GENERAL_KNOWLEDGE = "general knowledge, not found in a source"

_CONTROL_PARAMETERS = {
    **_CORE_PARAMETERS,
    "mu_d_min": _kinetic("1/h", "basal death rate", 0.001, "Moeller 2020"),
    "k_starve": Parameter("1/h", "death rate without glucose", 0.02, 0.0, 0.1, 0.0, _OURS),
    "K_starve": _kinetic("mmol/L", "glucose at half starvation", 0.2, _OURS),
    "K_product": Parameter("mmol/L", "glucose at half production", 0.5, 0.0, 5.0, 0.0, _OURS),
    "mu_shift": _kinetic("1/h", "growth rate below which lactate is taken up", 0.012, _OURS),
    "mu_shift_width": _kinetic("1/h", "width of the lactate shift", 0.003, _OURS),
    "q_lac_uptake": _kinetic(
        _SPECIFIC, "maximal lactate uptake", 0.020, "CHO-cross-scale-simulator"
    ),
    "K_lac": _kinetic("mmol/L", "lactate at half uptake", 2.0, _OURS),
    "q_O2": _kinetic(_SPECIFIC, "oxygen uptake", 0.20, _GRAY),
    "K_O2": _kinetic("mmol/L", "oxygen at half uptake", 0.002, _OURS),
    "RQ": _kinetic("mmol/mmol", "carbon dioxide made per oxygen taken up", 0.97, _GRAY),
    "k_kLa": _kinetic("1/s", "constant of the kLa correlation", 0.026, "van 't Riet 1979"),
    "H_O2": _kinetic("mmol/L/atm", "oxygen solubility at 37 degC", 1.0, _SOLUBILITY),
    "H_CO2": _kinetic(
        "mmol/L/atm", "carbon dioxide solubility at 37 degC", 23.3, _GENERAL_KNOWLEDGE
    ),
    "largest_air": Parameter(
        "L/h", "air flow that oxygen_reserve counts with", 336.0, 0.1, 2000.0, 0.0, _OURS
    ),
    "largest_oxygen": Parameter(
        "L/h", "oxygen flow that oxygen_reserve counts with", 840.0, 0.0, 2000.0, 0.0, _OURS
    ),
    "least_oxygen": Parameter(
        "percent", "dissolved oxygen that oxygen_reserve counts with", 30.0, 0.0, 100.0, 0.0, _OURS
    ),
    "vessel_diameter": _kinetic("m", "inner diameter of the vessel", 1.20, _OURS),
    "feed_alkalinity": _fixed("mmol/L", "strong-ion difference of the feeds", 10.0, _OURS),
    "glucose_feed_osmolytes": _fixed("mmol/L", "inert osmolytes in the glucose feed", 400.0, _OURS),
    "amino_feed_osmolytes": _fixed(
        "mmol/L", "inert osmolytes in the amino-acid feed", 400.0, _OURS
    ),
    "base_strength": _kinetic("mmol/L", "bicarbonate in the base", 1000.0, _OURS),
    "cell_capacitance": _kinetic(
        "pF/cm/(1e9 cells/L)", "capacitance per viable cell density", 0.6, _OURS
    ),
    "density": Parameter("kg/L", "broth density", 1.0, 0.9, 1.2, 0.0, _OURS),
    "glucose_feed_gain": Parameter(
        "1", "delivered over shown flow of the glucose feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
    "amino_feed_gain": Parameter(
        "1", "delivered over shown flow of the amino-acid feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
}

_FULL_PARAMETERS = {
    **_CONTROL_PARAMETERS,
    "k_lys": _kinetic("1/h", "lysis of dead cells", 0.001, "Moeller 2020"),
    "T_optimum": Parameter(
        "degC", "temperature of fastest growth", 36.4, 34.0, 38.5, 0.0, "InSiliCHO"
    ),
    "T_width": _kinetic("delta_degC", "width of the temperature optimum", 3.12, "InSiliCHO"),
    "pH_optimum": Parameter("1", "pH of fastest growth", 7.0, 6.5, 7.5, 0.0, _OURS),
    "pH_width": _kinetic("1", "width of the pH optimum", 0.6, _OURS),
    "pCO2_half": _kinetic("mmHg", "pCO2 that halves growth", 180.0, f"{_OURS}, after {_GRAY}"),
    "osmolality_half": _kinetic("mmol/kg", "osmolality that halves growth", 430.0, _OURS),
    "osmolality_width": _kinetic("mmol/kg", "width of the osmolality effect", 25.0, _OURS),
}

_CORE_OUTPUTS = {
    "viable_cells": Output("1e9 cells/L", "viable cell density", "assay"),
    "viability": Output("percent", "viable fraction of all cells", "assay"),
    "glucose": Output("mmol/L", "glucose", "assay"),
    "glutamine": Output("mmol/L", "glutamine", "assay"),
    "lactate": Output("mmol/L", "lactate", "assay"),
    "ammonia": Output("mmol/L", "ammonia", "assay"),
    "titre": Output("g/L", "antibody titre", "assay"),
    "product_mass": Output("g", "antibody in the vessel"),
}

_FULL_OUTPUTS = {
    **_CORE_OUTPUTS,
    "osmolality": Output("mmol/kg", "osmolality", "assay"),
    "dissolved_oxygen": Output("percent", "dissolved oxygen, percent of air saturation", "online"),
    "pH": Output("1", "pH", "online"),
    "pCO2": Output("mmHg", "partial pressure of dissolved carbon dioxide", "online"),
    "weight": Output("kg", "broth weight", "online"),
    "capacitance": Output("pF/cm", "capacitance of viable cells", "online"),
    "off_gas_oxygen": Output("percent", "oxygen in the off-gas", "online"),
    "off_gas_carbon_dioxide": Output("percent", "carbon dioxide in the off-gas", "online"),
    "oxygen_margin": Output("mmol/L/h", "oxygen transfer minus uptake"),
    "volume": Output("L", "broth volume"),
    "oxygen_uptake_rate": Output(
        "mmol/L/h",
        "oxygen uptake rate by the gas balance: what the gas loses, oxygen transfer",
        "online",
    ),
    "carbon_dioxide_evolution_rate": Output(
        "mmol/L/h",
        "carbon dioxide evolution rate by the gas balance: what the gas gains, stripping",
        "online",
    ),
    "respiratory_quotient": Output(
        "mmol/mmol", "carbon dioxide over oxygen by the gas balance, not the cells' own", "online"
    ),
    "oxygen_reserve": Output(
        "mmol/L/h",
        "what the largest flows of air and oxygen could transfer at the least dissolved oxygen, "
        "minus unlimited uptake: what is left of the vessel's capacity",
    ),
}

CoreState = record("CoreState", _CORE_STATES)
FullState = record("FullState", _FULL_STATES)
CoreInputs = record("CoreInputs", _CORE_INPUTS)
FullInputs = record("FullInputs", _FULL_INPUTS)
CoreParameters = record("CoreParameters", _CORE_PARAMETERS)
ControlParameters = record("ControlParameters", _CONTROL_PARAMETERS)
FullParameters = record("FullParameters", _FULL_PARAMETERS)
CoreOutputs = record("CoreOutputs", _CORE_OUTPUTS)
FullOutputs = record("FullOutputs", _FULL_OUTPUTS)


class Rates(NamedTuple):
    """Specific rates: 1/h for growth and death, otherwise mmol or g per 1e9 cells and hour."""

    growth: Scalar
    death: Scalar
    glucose: Scalar
    glutamine: Scalar
    lactate: Scalar
    ammonia: Scalar
    product: Scalar


def _core_growth(x: Any, p: Any) -> Scalar:
    """Monod growth with lactate and ammonia inhibition, 1/h (Xing 2010)."""
    return (
        p.mu_max
        * (x.glucose / (p.K_glc + x.glucose))
        * (x.glutamine / (p.K_gln + x.glutamine))
        * (p.KI_lac / (p.KI_lac + x.lactate))
        * (p.KI_amm / (p.KI_amm + x.ammonia))
    )


def _core_rates(x: Any, p: Any, growth: Scalar, xp: Maths) -> Rates:
    """Rates of the core at a given growth rate (Xing 2010; 0.05 mmol/L guards are ours)."""
    glucose = growth / p.Y_Xglc + p.m_glc * x.glucose / (x.glucose + xp.quantity(0.05, "mmol/L"))
    return Rates(
        growth=growth,
        death=p.k_d * (x.lactate / (p.KD_lac + x.lactate)) * (x.ammonia / (p.KD_amm + x.ammonia)),
        glucose=glucose,
        glutamine=growth / p.Y_Xgln + p.a1 * x.glutamine / (p.a2 + x.glutamine),
        lactate=p.Y_lac * glucose,
        ammonia=p.Y_amm * growth / p.Y_Xgln
        - p.r_amm * x.ammonia / (x.ammonia + xp.quantity(0.05, "mmol/L")),
        product=p.Q_mAb,
    )


def _shifted_rates(x: Any, p: Any, growth: Scalar, xp: Maths) -> Rates:
    """Core rates with basal death (Moeller 2020), starvation, product by glucose, lactate shift."""
    core = _core_rates(x, p, growth, xp)
    producing = 1 / (1 + xp.exp(-(growth - p.mu_shift) / p.mu_shift_width))
    uptake = p.q_lac_uptake * x.lactate / (p.K_lac + x.lactate)
    return core._replace(
        death=core.death + p.mu_d_min + p.k_starve * p.K_starve / (p.K_starve + x.glucose),
        lactate=core.lactate * producing - uptake * (1 - producing),
        product=p.Q_mAb * x.glucose / (p.K_product + x.glucose),
    )


def _balances(x: Any, u: Any, p: Any, rates: Rates, lysis: Scalar, flow: Scalar) -> Any:
    """Cell and component balances of a fed-batch; `flow` is the sum of liquid flows, L/h."""
    dilution = flow / x.volume
    glucose_fed = u.glucose_feed * p.glucose_feed_glucose + u.amino_feed * p.amino_feed_glucose
    glutamine_fed = (
        u.glucose_feed * p.glucose_feed_glutamine + u.amino_feed * p.amino_feed_glutamine
    )
    cells = x.viable_cells
    return CoreState(
        volume=flow,
        viable_cells=(rates.growth - rates.death - dilution) * cells,
        dead_cells=rates.death * cells - (lysis + dilution) * x.dead_cells,
        glucose=-rates.glucose * cells + glucose_fed / x.volume - dilution * x.glucose,
        glutamine=-rates.glutamine * cells + glutamine_fed / x.volume - dilution * x.glutamine,
        lactate=rates.lactate * cells - dilution * x.lactate,
        ammonia=rates.ammonia * cells - dilution * x.ammonia,
        product=rates.product * cells - dilution * x.product,
    )


def _core_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """Core model: growth, death, yields, maintenance, balances."""
    rates = _core_rates(x, p, _core_growth(x, p), xp)
    return _balances(
        x, u, p, rates, lysis=xp.quantity(0.0, "1/h"), flow=u.glucose_feed + u.amino_feed
    )


def _viability(x: Any, xp: Maths) -> Scalar:
    return xp.quantity(100.0, "percent") * x.viable_cells / (x.viable_cells + x.dead_cells)


def _core_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    return CoreOutputs(
        viable_cells=x.viable_cells,
        viability=_viability(x, xp),
        glucose=x.glucose,
        glutamine=x.glutamine,
        lactate=x.lactate,
        ammonia=x.ammonia,
        titre=x.product,
        product_mass=x.product * x.volume,
    )


class GasRates(NamedTuple):
    """Gas exchange at this moment: mmol/(L h), and what was sparged."""

    oxygen_uptake: Scalar
    oxygen_transfer: Scalar
    carbon_dioxide_production: Scalar
    carbon_dioxide_stripping: Scalar
    gas: Sparge


def _oxygen_reserve(x: Any, u: Any, p: Any, xp: Maths) -> Scalar:
    """What the vessel could transfer at the least dissolved oxygen, minus what the cells want.

    Neither what is sparged nor what is dissolved now matters: a culture that is short of oxygen has
    no reserve.
    """
    dissolved = AIR_OXYGEN * p.H_O2 * p.least_oxygen / xp.quantity(100.0, "percent/atm")
    nothing = xp.quantity(0.0, "L/h")
    most = u._replace(
        air=p.largest_air, oxygen=p.largest_oxygen, carbon_dioxide=nothing, nitrogen=nothing
    )
    rates = _gas_rates(x._replace(oxygen=dissolved), most, p, xp)
    return rates.oxygen_transfer - p.q_O2 * x.viable_cells


def _gas_rates(x: Any, u: Any, p: Any, xp: Maths) -> GasRates:
    """Respiration (Gray 1996) against transfer (van 't Riet 1979, bubble depletion)."""
    gas = sparge(u.air, u.oxygen, u.carbon_dioxide, u.nitrogen)
    kLa = transfer_coefficient(gas.flow, u.power_per_volume, p.vessel_diameter, p.k_kLa, xp)
    vessel = (u.pressure, u.temperature, x.volume)
    respiration = p.q_O2 * _oxygen_limitation(x, p, xp)
    return GasRates(
        oxygen_uptake=respiration * x.viable_cells,
        oxygen_transfer=oxygen_transfer(x.oxygen, gas, kLa, p.H_O2, *vessel, xp),
        carbon_dioxide_production=p.RQ * respiration * x.viable_cells,
        carbon_dioxide_stripping=carbon_dioxide_transfer(
            x.carbon_dioxide, gas, kLa, p.H_CO2, *vessel, xp
        ),
        gas=gas,
    )


def _oxygen_limitation(x: Any, p: Any, xp: Maths) -> Scalar:
    """Share of full respiration, 0 to 1; none below zero, where the fraction would rise again."""
    oxygen = xp.maximum(x.oxygen, 0.0)
    return oxygen / (p.K_O2 + oxygen)


def _osmolality(x: Any, xp: Maths) -> Scalar:
    """mOsm/kg: inert osmolytes plus metabolites, lactate and ammonia with counter-ions (ours)."""
    solutes = x.osmolytes + x.glucose + x.glutamine + 2 * x.lactate + 2 * x.ammonia
    return solutes / xp.quantity(1.0, "kg/L")


def _pco2(x: Any, p: Any, xp: Maths) -> Scalar:
    return xp.quantity(ATM_MMHG, "mmHg/atm") * x.carbon_dioxide / p.H_CO2


def _with_gas(core: Any, x: Any, u: Any, p: Any, rates: Rates, xp: Maths) -> Any:
    """Add oxygen, total carbon, strong ions and osmolytes to the core's balances (ours)."""
    exchange = _gas_rates(x, u, p, xp)
    feed = (u.glucose_feed + u.amino_feed) / x.volume
    base = u.base / x.volume
    dilution = feed + base
    strong_ions = (rates.ammonia - rates.lactate) * x.viable_cells
    # Ions that bind carbon dioxide as bicarbonate take no more than there is.
    present = x.carbon_dioxide / (x.carbon_dioxide + xp.quantity(1e-4, "mmol/L"))
    bound = xp.maximum(strong_ions, 0.0) * present + xp.minimum(strong_ions, 0.0)
    feed_carbon_dioxide = xp.quantity(1.0, "mmol/L")
    osmolytes_fed = (
        u.glucose_feed * p.glucose_feed_osmolytes + u.amino_feed * p.amino_feed_osmolytes
    ) / x.volume
    return FullState(
        *core,
        oxygen=exchange.oxygen_transfer - exchange.oxygen_uptake - dilution * x.oxygen,
        carbon_dioxide=exchange.carbon_dioxide_production
        - exchange.carbon_dioxide_stripping
        - bound
        + feed * (feed_carbon_dioxide - x.carbon_dioxide)
        - base * x.carbon_dioxide,
        alkalinity=strong_ions
        + feed * (p.feed_alkalinity - x.alkalinity)
        + base * (p.base_strength - x.alkalinity),
        osmolytes=osmolytes_fed + 2 * base * p.base_strength - dilution * x.osmolytes,
    )


def _delivered(u: Any, p: Any) -> Any:
    """The inputs with the feeds as the pumps deliver them, not as they show them."""
    return u._replace(
        glucose_feed=u.glucose_feed * p.glucose_feed_gain,
        amino_feed=u.amino_feed * p.amino_feed_gain,
    )


def _control_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    u = _delivered(u, p)
    rates = _shifted_rates(x, p, _core_growth(x, p), xp)
    flow = u.glucose_feed + u.amino_feed + u.base
    return _with_gas(_balances(x, u, p, rates, xp.quantity(0.0, "1/h"), flow), x, u, p, rates, xp)


def _environment(x: Any, u: Any, p: Any, xp: Maths) -> Scalar:
    """How much of its growth the environment leaves the cell, 0 to 1.

    Temperature: InSiliCHO after Carcano and Parolini (2009). CO2: inhibition above 150 mmHg, Gray
    et al. (1996), Hill form ours. pH, oxygen and osmolality factors: ours.
    """
    temperature = xp.exp(-(((u.temperature - p.T_optimum) / p.T_width) ** 2))
    acidity = xp.exp(-(((ph(x.carbon_dioxide, x.alkalinity, xp) - p.pH_optimum) / p.pH_width) ** 2))
    carbon_dioxide = 1 / (1 + (_pco2(x, p, xp) / p.pCO2_half) ** 4)
    osmolality = 1 / (1 + xp.exp((_osmolality(x, xp) - p.osmolality_half) / p.osmolality_width))
    return temperature * acidity * carbon_dioxide * _oxygen_limitation(x, p, xp) * osmolality


def _full_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    u = _delivered(u, p)
    growth = _core_growth(x, p) * _environment(x, u, p, xp)
    rates = _shifted_rates(x, p, growth, xp)
    rates = rates._replace(product=rates.product * _oxygen_limitation(x, p, xp))
    flow = u.glucose_feed + u.amino_feed + u.base
    return _with_gas(_balances(x, u, p, rates, p.k_lys, flow), x, u, p, rates, xp)


def _full_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """Outputs; off-gas from a steady gas phase, oxygen margin is transfer minus uptake.

    Oxygen uptake and carbon dioxide evolution are what an off-gas analyser computes from the gas
    balance: transfer and stripping. They follow the cells' rates as the broth fills or empties: in
    2000 L within half an hour for oxygen, within three hours for carbon dioxide, which acids made
    by the cells drive out as well.
    """
    exchange = _gas_rates(x, u, p, xp)
    gas = exchange.gas
    exchanged = x.volume * molar_energy(u.temperature, xp) / u.pressure / gas.flow
    percent = xp.quantity(100.0, "percent")
    return FullOutputs(
        viable_cells=x.viable_cells,
        viability=_viability(x, xp),
        glucose=x.glucose,
        glutamine=x.glutamine,
        lactate=x.lactate,
        ammonia=x.ammonia,
        titre=x.product,
        product_mass=x.product * x.volume,
        osmolality=_osmolality(x, xp),
        dissolved_oxygen=xp.quantity(100.0, "percent/atm") * x.oxygen / (AIR_OXYGEN * p.H_O2),
        pH=ph(x.carbon_dioxide, x.alkalinity, xp),
        pCO2=_pco2(x, p, xp),
        weight=p.density * x.volume,
        capacitance=p.cell_capacitance * x.viable_cells,
        off_gas_oxygen=percent * (gas.oxygen - exchange.oxygen_transfer * exchanged),
        off_gas_carbon_dioxide=percent
        * (gas.carbon_dioxide + exchange.carbon_dioxide_stripping * exchanged),
        oxygen_margin=exchange.oxygen_transfer - exchange.oxygen_uptake,
        volume=x.volume,
        oxygen_uptake_rate=exchange.oxygen_transfer,
        carbon_dioxide_evolution_rate=exchange.carbon_dioxide_stripping,
        respiratory_quotient=respiratory_quotient(
            exchange.carbon_dioxide_stripping, exchange.oxygen_transfer, xp
        ),
        oxygen_reserve=_oxygen_reserve(x, u, p, xp),
    )


_VALIDITY = (
    "Fed-batch at 36 to 37.5 degC with glucose up to about 60 mmol/L and viable cells up to about "
    "30e9/L. The numbers are one published cell line's: fit them to your own before relying on "
    "them. There is no cell lysis in core and control; temperature, pH, carbon dioxide and "
    "osmolality act on growth in the full model only."
)

_CORE_EQUATIONS = {
    "growth": "mu = mu_max GLC/(K_glc+GLC) GLN/(K_gln+GLN) KI_lac/(KI_lac+LAC) "
    "KI_amm/(KI_amm+AMM)  [Xing 2010]",
    "death": "mu_d = k_d LAC/(KD_lac+LAC) AMM/(KD_amm+AMM)  [Xing 2010]",
    "glucose uptake": "q_glc = mu/Y_Xglc + m_glc GLC/(GLC+0.05)  [Xing 2010; guard ours]",
    "glutamine uptake": "q_gln = mu/Y_Xgln + a1 GLN/(a2+GLN)  [Xing 2010]",
    "lactate": "q_lac = Y_lac q_glc  [Xing 2010]",
    "ammonia": "q_amm = Y_amm mu/Y_Xgln - r_amm AMM/(AMM+0.05)  [Xing 2010; guard ours]",
    "balances": "d(c)/dt = q Xv + sum F/V (c_feed - c), dV/dt = sum F",
}

_FULL_EQUATIONS = {
    **_CORE_EQUATIONS,
    "basal death": "mu_d += mu_d_min  [Moeller 2020]",
    "starvation": "mu_d += k_starve K_starve/(K_starve+GLC)  [ours]",
    "lactate shift": "q_lac = s Y_lac q_glc - (1-s) q_lac_uptake LAC/(K_lac+LAC), "
    "s = 1/(1+exp(-(mu-mu_shift)/mu_shift_width))  [ours]",
    "product": "q_P = Q_mAb GLC/(K_product+GLC)  [ours]",
    "oxygen transfer": "OTR = (H_O2 p y_O2 - O)/(1/kLa + H_O2 R T V/Q)  [bubble depletion]",
    "kLa": "kLa = 3600 k_kLa (P/V)^0.4 v_s^0.5  [van 't Riet 1979]",
    "off-gas analyser": "OUR = OTR, CER = stripping, RQ = CER OUR/(OUR^2 + 0.001^2)  [gas balance]",
    "pH": "H^2 + S H - (K1 C + Kw) = 0, K1 = 10^-6.1 mol/L, Kw = 3e-14  [charge balance]",
}

_PLANT_EQUATIONS = {
    **_FULL_EQUATIONS,
    "environment": "mu times exp(-((T-T_optimum)/T_width)^2)  [InSiliCHO]; "
    "exp(-((pH-pH_optimum)/pH_width)^2)  [ours]; 1/(1+(pCO2/pCO2_half)^4)  [Gray 1996, form ours]; "
    "O/(K_O2+O)  [ours]; 1/(1+exp((osmolality-osmolality_half)/osmolality_width))  [ours]",
    "lysis": "dead cells lyse with k_lys  [Moeller 2020]",
    "product": "q_P = Q_mAb GLC/(K_product+GLC) O/(K_O2+O)  [ours]",
}

_FEED_STRETCHES = ((0.0, 0.0), (72.0, 0.03), (144.0, 0.04), (240.0, 0.03))
"""From this hour on, both feeds together in initial volumes per day."""

_GAS_STRETCHES = ((6.72, 20.0), (50.4, 10.0), (151.2, 0.0), (168.0, 0.0))
"""Oxygen and carbon dioxide in L/h: oxygen falls to 2 % of air saturation on day 5."""

_CORE_FEEDS = tuple(
    (hour, {"glucose_feed": 2 / 3 * share * 1400 / 24, "amino_feed": 1 / 3 * share * 1400 / 24})
    for hour, share in _FEED_STRETCHES
)

_FULL_FEEDS = tuple(
    (hour, {**feeds, "base": feeds["amino_feed"] * 0.15, "oxygen": oxygen, "carbon_dioxide": gas})
    for (hour, feeds), (oxygen, gas) in zip(_CORE_FEEDS, _GAS_STRETCHES, strict=True)
)


def _reference(meaning: str, rows: tuple[tuple[float, dict[str, float]], ...]) -> ReferenceBatch:
    """Fourteen days on these inputs."""
    inputs = FullInputs if "base" in rows[0][1] else CoreInputs
    table = _FULL_INPUTS if "base" in rows[0][1] else _CORE_INPUTS
    nominal = inputs(*(item.nominal for item in table.values()))
    return ReferenceBatch(meaning, 336.0, 1.0, profile(nominal, rows))


_UNCONTROLLED = (
    "two feeds and gas in four stretches, without control: glucose runs out, cells "
    "starve, and oxygen falls to a few percent on the way"
)

CORE = PlantModel(
    name="cho_mab_core",
    organism="CHO",
    source="Xing et al. 2010; Bioengineering 2018, 5(1):25",
    State=CoreState,
    Inputs=CoreInputs,
    Parameters=CoreParameters,
    Outputs=CoreOutputs,
    rhs=_core_rhs,
    outputs=_core_outputs,
    states=_CORE_STATES,
    inputs=_CORE_INPUTS,
    parameters=_CORE_PARAMETERS,
    outputs_info=_CORE_OUTPUTS,
    validity=_VALIDITY,
    equations=_CORE_EQUATIONS,
    volume="volume",
    volume_flows=("glucose_feed", "amino_feed"),
    product="product_mass",
    shown=("viable_cells", "glucose", "titre"),
    substeps_per_h=10,
    reference=_reference("two feeds in four stretches", _CORE_FEEDS),
)

CONTROL = PlantModel(
    name="cho_mab_control",
    organism="CHO",
    source="core: Xing et al. 2010, Bioengineering 2018, 5(1):25; gas side and shift: ours",
    State=FullState,
    Inputs=FullInputs,
    Parameters=ControlParameters,
    Outputs=FullOutputs,
    rhs=_control_rhs,
    outputs=_full_outputs,
    states=_FULL_STATES,
    inputs=_FULL_INPUTS,
    parameters=_CONTROL_PARAMETERS,
    outputs_info=_FULL_OUTPUTS,
    validity=_VALIDITY,
    equations=_FULL_EQUATIONS,
    volume="volume",
    volume_flows=("glucose_feed", "amino_feed", "base"),
    product="product_mass",
    shown=("viable_cells", "glucose", "titre"),
    substeps_per_h=60,
    accuracy=1e-5,
    reference=_reference(_UNCONTROLLED, _FULL_FEEDS),
)

FULL = PlantModel(
    name="cho_mab_full",
    organism="CHO",
    source="core: Xing et al. 2010, Bioengineering 2018, 5(1):25; extension: ours",
    State=FullState,
    Inputs=FullInputs,
    Parameters=FullParameters,
    Outputs=FullOutputs,
    rhs=_full_rhs,
    outputs=_full_outputs,
    states=_FULL_STATES,
    inputs=_FULL_INPUTS,
    parameters=_FULL_PARAMETERS,
    outputs_info=_FULL_OUTPUTS,
    validity=_VALIDITY,
    equations=_PLANT_EQUATIONS,
    volume="volume",
    volume_flows=("glucose_feed", "amino_feed", "base"),
    product="product_mass",
    shown=("viable_cells", "glucose", "titre"),
    substeps_per_h=600,
    reference=_reference(_UNCONTROLLED, _FULL_FEEDS),
)
