"""Penicillium chrysogenum in 100 m3, penicillin G in fed-batch: the benchmark known as IndPenSim.

- `FULL`: the published model, 33 states, with the published recipe, loops and disturbances as its
  reference batch (`penicillin_indpensim_recipe`); meant as the simulated plant.
- `CONTROL`: the same kinetics with 17 smooth states, pH and temperature as inputs; meant for the
  filter and the optimiser. On the inputs of the nominal batch it stays within 0.3 % of the full one
  in titre and biomass, 0.1 % in volume and product.

`CONTROL` is ours where it differs: the ten classes of vacuoles are a chain of two lags (fitted to
the nominal batch: 51 h, 2.864 and the volumes per vacuole), autolysed biomass counts as
degenerated, off-gas and dissolved carbon dioxide are those of a steady gas phase, switches are
wider. Substrate and oxygen stay states of their own: they move within seconds, which the implicit
method stands.

The steps are short for another reason, too. Above about 3.5 mg/L of substrate the production falls
faster than growth rises, and the substrate runs away from there at up to 120 per hour: a linearly
implicit step as long as that is worthless.

Sources. Goldrick, Stefan, Lovett, Montague, Lennox (2015), "The development of an industrial-scale
fed-batch fermentation simulation", J. Biotechnol. 193:70-82; Goldrick et al. (2019), "Modern day
monitoring and control challenges outlined on an industrial-scale benchmark fermentation process",
Comput. Chem. Eng. 130:106471 (volume and number of this one from general knowledge, not found in a
source). Equations are those of version 2.02 of the published program; on its batches they were
found to meet its titres to 2e-4 and its states to 8e-4 of their peaks (the heat gathered: 3e-2).
The structure of the biomass goes back to Paul and Thomas (1996), Biotechnol. Bioeng. 51:558-572
(from general knowledge, not found in a source): branching tips, non-growing regions whose vacuoles
grow until the hypha degenerates, and what autolyses.

States beyond the published 33: `age`, because the viscosity depends on time; `harvested`,
penicillin taken away by discharges as the published yield counts it, a kilogram of broth for a
litre (1137 kg in the nominal batch); and `withdrawn`, the same by the volume balance (990 kg), with
which the mass of penicillin closes. `product_mass`, 3523 kg in the end, counts `harvested`.

Kept as published although one would not write it so:

- A discharge takes volume but is not a dilution, and neither are vacuoles diluted.
- Soya bean oil adds weight and substrate, but no volume.
- Air flow is in m3/min where it drives kLa and power (one volume per volume and minute), but its
  number counts as m3/h in the off-gas; the factors 0.06 and q_CO2 belong to that.
- The oldest vacuoles follow the rate of change of those before them, not their number.
- The heat balance adds kW to kJ/h and takes the heat in the vapour without a temperature.
- pH moves towards its equilibrium with 1 h, and sees acid and base added over 0.01 h (the step of
  the published program). Its other form, above pH 7, drives the hydrogen ions below zero; no
  published batch goes there, and here the acid form holds there, too (ours).
- Biomass diluted counts as negative growth in the uptake of oxygen, phenylacetate and ammonia.

Ours: guards that end every uptake as what is taken up runs out, that keep a volume or a rate from
being negative (all of them 1 to rounding in the published batches), 1e-9 g/L of biomass in a
denominator; feed gains; the spread of Y_sX and m_O2 between batches (the other spreads are the
published program's); the outputs; and the reduction that makes `CONTROL`.

Units: g/L, mg/L for gases and nutrients, L, h, K; pH apart, hydrogen ions in umol/L, vacuoles in
1e12 per cm of radius and L of broth. Figures inside published correlations are wrapped as bare
numbers where no unit makes sense of them.
"""

from math import pi
from typing import Any, NamedTuple

from plant_models.dialect import Maths, Scalar
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.penicillin_indpensim_recipe import (
    SAMPLE_H,
    SAMPLES,
    Memory,
    by_clock,
    draw,
    drifts,
    run,
)
from plant_models.reference import ReferenceBatch
from plant_models.smooth import presence, saturation, smooth_maximum

_GOLDRICK = "Goldrick et al. 2015, program 2.02"
_OURS = "ours"

_VACUOLES = tuple(f"vacuoles_{j}" for j in range(10))
"""Classes of vacuoles by radius, 0.75 um apart, the first one newly formed."""

_DENSITY = "1e12/cm/L"

_FULL_STATES = {
    "substrate": State("g/L", "sugar and oil as substrate", 1.0, 0.01, 0.0, 100.0),
    "dissolved_oxygen": State("mg/L", "dissolved oxygen", 15.0, 10.0, 0.0, 60.0),
    "off_gas_oxygen": State("1", "oxygen in the off-gas, mole fraction", 0.20, 0.2, 0.0, 0.5),
    "penicillin": State("g/L", "penicillin titre", 0.0, 10.0, 0.0, 100.0),
    "volume": State("L", "broth volume", 58000.0, 60000.0, 5e3, 2e5),
    "weight": State("kg", "broth weight", 62000.0, 60000.0, 1e3, 3e5),
    "hydrogen": State("umol/L", "hydrogen ions", 10**-0.5, 0.3, 1e-4, 1e3),
    "temperature": State("K", "broth temperature", 297.0, 300.0, 263.0, 323.0),
    "heat": State("kJ", "heat gathered by the broth", 0.0, 1e6, -1e10, 1e10),
    "viscosity": State("cP", "broth viscosity", 4.0, 50.0, 0.0, 500.0),
    "biomass_time": State("g*h/L", "biomass integrated over time", 0.0, 1000.0, 0.0, 1e5),
    "growing": State("g/L", "branching and growing regions", 0.5 / 3, 2.0, 0.0, 50.0),
    "non_growing": State("g/L", "non-growing regions", 1 / 3, 10.0, 0.0, 100.0),
    "degenerated": State("g/L", "degenerated regions", 0.0, 2.0, 0.0, 50.0),
    "autolysed": State("g/L", "autolysed regions", 0.0, 1.0, 0.0, 50.0),
    **{
        name: State(_DENSITY, f"vacuoles of class {j}", 0.0, 1.0, -1.0, 50.0)
        for j, name in enumerate(_VACUOLES)
    },
    "vacuoles_mature": State(_DENSITY, "vacuoles about to burst", 0.0, 1.0, -1.0, 50.0),
    "vacuole_volume": State("cm^3/L", "volume of newly formed vacuoles", 0.0, 10.0, 0.0, 200.0),
    "off_gas_carbon_dioxide": State("percent", "carbon dioxide in off-gas", 0.038, 1.0, 0.0, 20.0),
    "carbon_dioxide": State("g/L", "dissolved carbon dioxide", 0.0, 5.0, 0.0, 50.0),
    "phenylacetate": State("mg/L", "phenylacetic acid", 1400.0, 1000.0, 0.0, 2e4),
    "nitrogen": State("mg/L", "ammonia", 1700.0, 1000.0, 0.0, 2e4),
    "production_integral": State("g/g", "specific production over time", 0.0, 1.0, 0.0, 1e3),
    "growth_integral": State("1", "growth rate over time", 0.0, 1.0, 0.0, 1e3),
    "age": State("h", "time since inoculation", 0.0, 100.0, 0.0, 1e3),
    "harvested": State("g", "penicillin in discharges as published", 0.0, 1e6, 0.0, 1e8),
    "withdrawn": State("g", "penicillin in discharges by volume", 0.0, 1e6, 0.0, 1e8),
}

_FEEDS = {
    "sugar_feed": Input("L/h", "sugar feed", 80.0, 80.0, 0.0, 300.0),
    "phenylacetate_feed": Input("L/h", "phenylacetic acid feed", 4.0, 5.0, 0.0, 30.0),
    "oil_feed": Input("L/h", "soya bean oil feed", 23.0, 30.0, 0.0, 100.0),
    "water": Input("L/h", "water for dilution", 0.0, 200.0, 0.0, 1000.0),
    "discharge": Input("kg/h", "broth taken away", 0.0, 4000.0, 0.0, 8000.0),
    "base": Input("L/h", "ammonium hydroxide solution", 0.0, 50.0, 0.0, 300.0),
}

_GAS = {
    "aeration": Input("m^3/min", "air flow", 60.0, 60.0, 10.0, 120.0),
    "stirrer_speed": Input("1/min", "stirrer speed", 100.0, 100.0, 30.0, 200.0),
    "head_pressure": Input("bar", "gauge pressure in the head space", 0.9, 1.0, 0.0, 2.0),
}

_FULL_INPUTS = {
    **_FEEDS,
    **_GAS,
    "acid": Input("L/h", "sulphuric acid solution", 0.0, 50.0, 0.0, 300.0),
    "cooling_water": Input("L/h", "cooling water", 50.0, 100.0, 1e-4, 1500.0),
    "heating_water": Input("L/h", "heating water", 1e-4, 100.0, 1e-4, 1500.0),
    "nitrogen_shot": Input("kg/h", "ammonium sulphate by hand", 0.0, 100.0, 0.0, 500.0),
    "production_drift": Input("1/h", "disturbance of mu_p", 0.0, 0.002, -0.02, 0.02),
    "growth_drift": Input("1/h", "disturbance of mu_x", 0.0, 0.02, -0.5, 0.2),
    "sugar_drift": Input("g/L", "disturbance of c_s", 0.0, 80.0, -400.0, 400.0),
    "oil_drift": Input("g/L", "disturbance of c_oil", 0.0, 20.0, -100.0, 100.0),
    "base_drift": Input("mol/L", "disturbance of abc", 0.0, 0.01, -0.03, 0.06),
    "phenylacetate_drift": Input("mg/L", "disturbance of PAA_c", 0.0, 2e4, -1e5, 1e5),
    "coolant_drift": Input("K", "disturbance of T_cin", 0.0, 5.0, -25.0, 25.0),
    "oxygen_drift": Input("1", "disturbance of O2_in", 0.0, 1e-3, -6e-3, 6e-3),
}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter admitted between half and twice its value."""
    return Parameter(unit, meaning, value, value / 2, value * 2, deviation, _GOLDRICK)


def _narrow(unit: str, meaning: str, value: float, relative: float = 0.02) -> Parameter:
    """A parameter of an exponent or a physical constant, admitted this near to its value."""
    width = relative * value if value > 0 else -relative * value
    return Parameter(unit, meaning, value, value - width, value + width, 0.0, _GOLDRICK)


def _gain(feed: str) -> Parameter:
    return Parameter("1", f"delivered over shown flow of the {feed}", 1.0, 0.8, 1.25, 0.0, _OURS)


_KINETICS = {
    "mu_p": _kinetic("1/h", "maximal specific production", 0.041, 0.061),
    "mu_x": _kinetic("1/h", "maximal growth rate", 0.41, 0.061),
    "branching": _kinetic("1", "branching over extension rate", 0.4),
    "mu_v": _kinetic("g/L/h", "vacuole formation", 1.71e-4),
    "mu_a4": _kinetic("1/h", "autolysis", 3.5e-3),
    "mu_diff": _kinetic("g/L/h", "differentiation", 5.36e-3),
    "K_b": _kinetic("g/L", "substrate at half branching", 0.05),
    "K_e": _kinetic("g/L", "substrate at half extension", 0.009),
    "K_v": _kinetic("g/L", "substrate at half vacuole formation", 0.05),
    "K_diff": _kinetic("g/L", "substrate at half differentiation, fresh", 0.75),
    "K_diff_fall": _kinetic("g/L/h", "its fall with the mean age of biomass", 0.006),
    "K_diff_least": _kinetic("g/L", "its smallest value", 0.09),
    "k_v": _kinetic("cm/h", "growth of the vacuoles' radius", 3.22e-5),
    "r_0": _narrow("cm", "radius of new vacuoles", 1.5e-4),
    "delta_0": _narrow("cm", "increment of their radius", 1e-4),
    "delta_r": _narrow("cm", "distance between classes of radius", 7.5e-5),
    "rho_a0": _narrow("g/cm^3", "density of growing regions", 0.35, 0.2),
    "rho_d": _kinetic("g/cm^3", "density of degenerated regions", 0.18),
    "Y_sX": _kinetic("g/g", "substrate per biomass", 1.85, 0.03),
    "Y_sP": _kinetic("g/g", "substrate per penicillin", 0.9),
    "m_s": _kinetic("1/h", "substrate for maintenance", 0.029),
    "c_s": _kinetic("g/L", "sugar in the sugar feed", 600.0),
    "c_oil": _kinetic("g/L", "substrate in the oil feed", 1000.0),
    "S_p": _kinetic("g/L", "substrate of fastest production", 0.002),
    "S_width": _kinetic("g/L", "width of the productive substrate", 0.0015),
    "K_1": _kinetic("mol/L", "hydrogen ions above which growth halves", 1e-5),
    "K_2": _kinetic("mol/L", "hydrogen ions below which growth halves", 2.5e-8),
    "k_g": _kinetic("1", "Arrhenius factor of growth", 450.0),
    "E_g": _narrow("J/mol", "activation energy of growth", 14880.0),
    "k_d": _kinetic("1", "Arrhenius factor of death", 2.5e29),
    "E_d": _narrow("J/mol", "activation energy of death", 173250.0),
    "R": _narrow("J/mol/K", "gas constant", 8.314, 1e-3),
    "Xc_N": _kinetic("mg/L", "ammonia below which growth stops", 150.0),
    "Xc_CO2": _kinetic("mg/L", "carbon dioxide above which growth stops", 7570.0),
    "Xc_PAAx": _kinetic("mg/L", "phenylacetate above which growth stops", 2400.0),
    "Xc_PAAp": _kinetic("mg/L", "phenylacetate below which production stops", 200.0),
    "B_1": _narrow("1", "hydrolysis, constant", -64.29),
    "B_2": _narrow("1", "hydrolysis, pH", -1.825),
    "B_3": _narrow("1", "hydrolysis, temperature", 0.3649),
    "B_4": _narrow("1", "hydrolysis, pH squared", 0.1280),
    "B_5": _narrow("1", "hydrolysis, temperature squared", -4.9496e-4),
    "Y_O2X": _kinetic("mg/g", "oxygen per biomass", 650.0),
    "Y_O2P": _kinetic("mg/g", "oxygen per penicillin", 160.0),
    "m_O2": _kinetic("mg/g/h", "oxygen for maintenance", 17.5, 0.05),
    "PAA_c": _kinetic("mg/L", "phenylacetic acid in its feed", 530000.0, 0.038),
    "Y_PP": _kinetic("mg/g", "phenylacetate per penicillin", 187.5),
    "Y_PX": _kinetic("mg/g", "phenylacetate per biomass", 45.0),
    "m_PAA": _kinetic("mg/g/h", "phenylacetate used per penicillin present", 1.05),
    "N_paa": _kinetic("mg/L", "ammonia in the phenylacetic acid feed", 150000.0, 0.013),
    "N_oil": _kinetic("mg/L", "ammonia in the oil feed", 20000.0),
    "Y_NX": _kinetic("mg/g", "ammonia per biomass", 10.0),
    "Y_NP": _kinetic("mg/g", "ammonia per penicillin", 80.0),
    "m_N": _kinetic("mg/g/h", "ammonia for maintenance", 0.03),
    "k_1": _kinetic("1/h", "viscosity, first rise", 0.001),
    "k_2": _kinetic("1/h", "viscosity, second rise", 1e-4),
    "t_1": _kinetic("h", "viscosity, time of the first rise", 1.0),
    "t_2": _kinetic("h", "viscosity, time of the second rise", 250.0),
    "k_3": _kinetic("cP/L", "viscosity taken by water", 0.005),
    "q_CO2": _kinetic("percent/h", "carbon dioxide per biomass (see air flow)", 0.1353),
    "alpha_kla": _kinetic("1/h", "constant of kLa", 85.0, 0.118),
    "H_O2": _kinetic("bar*L/mg", "Henry's constant of oxygen", 0.0251),
    "n_imp": _kinetic("1", "impellers", 3.0),
    "Po": _kinetic("1", "power number", 5.0),
    "r_vessel": _narrow("m", "radius of the vessel", 2.1, 0.2),
    "r_imp": _narrow("m", "radius of the impellers", 0.85, 0.2),
    "hold_up": _narrow("1", "share of gas in the broth", 0.1, 0.5),
    "a_evp": _kinetic("1/h", "evaporation", 5.24e-4),
    "O2_in": _narrow("1", "oxygen in the air, mole fraction", 0.21),
    "N2_in": _narrow("1", "nitrogen in the air, mole fraction", 0.79),
    "CO2_in": _kinetic("percent", "carbon dioxide in the air", 0.033),
    "rho_g": _narrow("kg/m^3", "density of sugar", 1540.0),
    "rho_w": _narrow("kg/m^3", "density of water", 1000.0),
    "sugar_feed_gain": _gain("sugar feed"),
    "phenylacetate_feed_gain": _gain("phenylacetic acid feed"),
}

_FULL_PARAMETERS = {
    **_KINETICS,
    "D_v": _kinetic("cm^2/h", "spread of the vacuoles' radius", 2.66e-11),
    "N_shot": _kinetic("mg/kg", "ammonia in ammonium sulphate", 400000.0),
    "abc": _kinetic("mol/L", "acid and base effective strength", 0.033),
    "gamma_1": _kinetic("mol/g", "hydrogen ions per biomass and penicillin", 3.25e-7),
    "gamma_2": _kinetic("mol/L^2", "hydrogen ions per flow", 2.5e-11),
    "m_ph": _kinetic("1/h", "hydrogen ions of maintenance, as growth", 0.0025),
    "T_f": _narrow("K", "temperature of the sugar feed", 288.0),
    "T_w": _narrow("K", "temperature of the water", 288.0),
    "T_cin": _narrow("K", "temperature of the cooling water", 285.0),
    "T_h": _narrow("K", "temperature of the heating water", 333.0),
    "T_air": _narrow("K", "temperature of the air", 290.0),
    "C_ps": _kinetic("kJ/kg/K", "heat capacity of the sugar feed", 5.9),
    "C_pw": _kinetic("kJ/kg/K", "heat capacity of water", 4.18),
    "dH_e": _kinetic("kJ/kg", "heat of evaporation", 2430.7),
    "U": _kinetic("kJ/h/m^2/K", "heat transfer through the wall", 36.0),
    "A_c": _kinetic("m^2", "area of the wall", 105.0),
    "Y_QX": _kinetic("kJ/g", "heat per oxygen", 25.0),
    "alpha_1": _kinetic("1", "constant of the jacket", 2451.8),
    "beta_T": _narrow("1", "exponent of the jacket", 2.88),
}

_ASSAYED = {
    "substrate": Output("g/L", "substrate", "assay"),
    "biomass": Output("g/L", "all biomass", "assay"),
    "penicillin": Output("g/L", "penicillin titre", "assay"),
    "phenylacetate": Output("mg/L", "phenylacetic acid", "assay"),
    "nitrogen": Output("mg/L", "ammonia", "assay"),
    "viscosity": Output("cP", "broth viscosity", "assay"),
}

_ONLINE = {
    "dissolved_oxygen": Output(
        "percent", "dissolved oxygen, percent of saturation at this pressure", "online"
    ),
    "off_gas_oxygen": Output("percent", "oxygen in the off-gas", "online"),
    "off_gas_carbon_dioxide": Output("percent", "carbon dioxide in the off-gas", "online"),
    "weight": Output("kg", "broth weight", "online"),
}

_COMPUTED = {
    "oxygen_transfer": Output("1/h", "oxygen transfer coefficient kLa"),
    "growth_rate": Output("1/h", "rate of extension mu_e"),
    "volume_loss": Output("L/h", "evaporation and discharge"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "penicillin in the vessel and harvested"),
}

_CONTROL_OUTPUTS = {**_ASSAYED, **_ONLINE, **_COMPUTED}

_FULL_OUTPUTS = {
    **_CONTROL_OUTPUTS,
    "pH": Output("1", "pH", "online"),
    "temperature": Output("degC", "broth temperature", "online"),
    "dissolved_carbon_dioxide": Output("g/L", "dissolved carbon dioxide", "assay"),
}

FullState = record("FullState", _FULL_STATES)
FullInputs = record("FullInputs", _FULL_INPUTS)
FullParameters = record("FullParameters", _FULL_PARAMETERS)
FullOutputs = record("FullOutputs", _FULL_OUTPUTS)


# ---------------------------------------------------------------- shared by both models


class Widths(NamedTuple):
    """Half widths of the switches of growth and production, mg/L."""

    nitrogen: Scalar
    carbon_dioxide: Scalar
    oxygen: Scalar
    phenylacetate: Scalar


class Broth(NamedTuple):
    """What the equations need of the broth besides the states they share."""

    biomass: Scalar
    """g/L."""
    temperature: Scalar
    """K."""
    pH: Scalar
    K_diff: Scalar
    """g/L."""
    vacuole_volume: Scalar
    """Volume of all vacuoles, cm3/L."""
    aged: Scalar
    """Vacuoles that burst, number per cm of radius and L."""
    mu_x: Scalar
    """Maximal growth rate, disturbance included, 1/h."""
    mu_p: Scalar
    """Maximal specific production, disturbance included, 1/h."""
    carbon_dioxide: Scalar
    """Dissolved, mg/L."""


class Vessel(NamedTuple):
    """Gas, power and transfer at this moment."""

    density: Scalar
    """Of the broth, kg/m3."""
    pressure: Scalar
    """Mean over the broth, bar."""
    saturation: Scalar
    """Dissolved oxygen at saturation, mg/L."""
    power: Scalar
    """Of stirrer and gas, kW."""
    kLa: Scalar
    """1/h."""
    gas: Scalar
    """Gas leaving, mol/h by the published count."""
    evaporation: Scalar
    """L/h."""


class Rates(NamedTuple):
    """What the biomass does; g/L/h where nothing else is said."""

    growth: Scalar
    """Rate of extension, 1/h."""
    specific_production: Scalar
    """Production over the density of what produces, 1/h."""
    branching: Scalar
    extension: Scalar
    differentiation: Scalar
    degeneration: Scalar
    autolysis: Scalar
    production: Scalar
    hydrolysis: Scalar
    maintenance: Scalar
    vacuoles: Scalar
    """Volume of new vacuoles, cm3/L/h."""


def _above(amount: Scalar, threshold: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """The published switch (1 + tanh(z)) / 2, written so that what is nearly off keeps digits.

    What is off is off by a factor of 4e-18.
    """
    distance = xp.maximum((amount - threshold) / width, -20.0)
    return 1 / (1 + xp.exp(-2 * distance))


def _warmth(temperature: Scalar, p: Any, xp: Maths) -> Scalar:
    """Effect of temperature on growth; none below zero (ours), which is beyond 38 degC."""
    energy = p.R * temperature
    return xp.maximum(p.k_g * xp.exp(-p.E_g / energy) - p.k_d * xp.exp(-p.E_d / energy), 0.0)


def _hydrolysis(broth: Broth, p: Any, xp: Maths) -> Scalar:
    """Rate of penicillin hydrolysis mu_h, 1/h; temperature as a number of kelvin."""
    kelvin = xp.number(broth.temperature, "K")
    acidity = p.B_2 * broth.pH + p.B_4 * broth.pH**2
    return xp.quantity(1.0, "1/h") * xp.exp(p.B_1 + acidity + p.B_3 * kelvin + p.B_5 * kelvin**2)


def _vessel(x: Any, u: Any, p: Any, broth: Broth, oxygen_in: Scalar, xp: Maths) -> Vessel:
    """Pressure, saturation, power and kLa (published correlations)."""
    litres = xp.quantity(1000.0, "L/m^3")
    gas = u.aeration / xp.quantity(60.0, "s/min")
    volume = x.volume / litres
    section = pi * p.r_vessel**2
    height = volume / section * (1 - p.hold_up)
    mass = broth.biomass + x.penicillin
    density = xp.quantity(1100.0, "kg/m^3") + mass * xp.quantity(1.0, "kg/m^3/(g/L)")
    top = xp.quantity(1.0, "bar") + u.head_pressure
    head = density * xp.quantity(9.81, "m/s^2") * height / xp.quantity(1e5, "Pa/bar")
    pressure = head / xp.log((top + head) / top)
    velocity = gas / section
    power = _stirring(u, p, density, gas, xp) + _gassing(
        broth, p, velocity, volume / height, head / top, xp
    )
    viscosity = xp.maximum(xp.number(x.viscosity, "cP"), 1.0)
    per_volume = xp.number(power / volume, "kW/m^3")
    # 1e-12 keeps the slope finite without oil (ours).
    oil = (xp.number(u.oil_feed / x.volume, "1/h") + 1e-12) ** 0.25
    boiling = 2.5 * (broth.temperature - xp.quantity(273.0, "K")) / xp.quantity(100.0, "K")
    return Vessel(
        density=density,
        pressure=pressure,
        saturation=pressure * oxygen_in / p.H_O2,
        power=power,
        kLa=p.alpha_kla
        * xp.number(velocity, "m/s") ** 0.38
        * per_volume**0.34
        * (viscosity / 100) ** -0.38
        * (1 - oil),
        gas=_counted_gas(u, xp),
        evaporation=x.volume * p.a_evp * (xp.exp(boiling) - 1),
    )


def _counted_gas(u: Any, xp: Maths) -> Scalar:
    """Gas that leaves, mol/h: m3/min counted as m3/h, as published."""
    cubic_metres = xp.quantity(1.0, "m^3/h") * xp.number(u.aeration, "m^3/min")
    return cubic_metres * xp.quantity(1000.0, "L/m^3") / xp.quantity(22.4, "L/mol")


def _stirring(u: Any, p: Any, density: Scalar, gas: Scalar, xp: Maths) -> Scalar:
    """Power of the stirrer in gassed broth, kW (Michel and Miller's correlation, in SI)."""
    speed = xp.number(u.stirrer_speed / xp.quantity(60.0, "s/min"), "1/s")
    diameter = 2 * xp.number(p.r_imp, "m")
    ungassed = p.n_imp * p.Po * xp.number(density, "kg/m^3") * speed**3 * diameter**5
    flow = xp.number(gas, "m^3/s")
    gassed = 0.706 * (ungassed**2 * speed * diameter**3 / flow**0.56) ** 0.45
    return xp.quantity(1e-3, "kW") * gassed


def _gassing(
    broth: Broth, p: Any, velocity: Scalar, section: Scalar, relative: Scalar, xp: Maths
) -> Scalar:
    """Power of the rising gas, kW; `relative` is the broth's head over the pressure on top."""
    molar = p.R * broth.temperature / xp.quantity(22.4, "L/mol")
    return velocity * section * molar * xp.log(1 + relative)


def _growth(x: Any, p: Any, broth: Broth, widths: Widths, saturated: Scalar, xp: Maths) -> Scalar:
    """Rate of extension mu_e, 1/h; `saturated` is the saturation of oxygen, mg/L."""
    hydrogen = xp.quantity(1.0, "mol/L") * xp.exp(-2.302585092994046 * broth.pH)
    return (
        broth.mu_x
        / (1 + hydrogen / p.K_1 + p.K_2 / hydrogen)
        * _warmth(broth.temperature, p, xp)
        * _above(x.nitrogen, p.Xc_N, widths.nitrogen, xp)
        * _above(p.Xc_CO2, broth.carbon_dioxide, widths.carbon_dioxide, xp)
        * _above(x.dissolved_oxygen, 0.1 * saturated, widths.oxygen, xp)
        * _above(p.Xc_PAAx, x.phenylacetate, widths.phenylacetate, xp)
    )


def _rates(x: Any, p: Any, broth: Broth, widths: Widths, saturated: Scalar, xp: Maths) -> Rates:
    """Growth, differentiation, production and maintenance; arguments as `_growth`."""
    growth = _growth(x, p, broth, widths, saturated, xp)
    some = presence(x.substrate, xp.quantity(4e-5, "g/L"), xp)
    substrate = xp.maximum(x.substrate, 0.0)
    productive = 2.5 * (2 * pi) ** -0.5 * xp.exp(-(((x.substrate - p.S_p) / p.S_width) ** 2) / 2)
    cytoplasm = xp.maximum(x.non_growing / p.rho_a0 - broth.vacuole_volume, 0.0) / 2
    dense = p.rho_a0 * cytoplasm
    specific = (
        broth.mu_p
        * productive
        * some
        * _above(x.dissolved_oxygen, 0.3 * saturated, widths.oxygen, xp)
        * _above(x.phenylacetate, p.Xc_PAAp, widths.phenylacetate, xp)
    )
    young = p.m_s * x.growing * xp.quantity(1.0, "g/L") / (broth.K_diff + substrate)
    radius = 2 * p.r_0 + 18 * p.delta_r
    burst = pi / 6 * radius**3 * p.rho_d * p.k_v * xp.maximum(broth.aged, 0.0)
    return Rates(
        growth=growth,
        specific_production=specific,
        branching=p.branching * growth * x.non_growing * saturation(x.substrate, p.K_b, xp),
        extension=growth * x.growing * saturation(x.substrate, p.K_e, xp),
        differentiation=p.mu_diff * x.growing / (broth.K_diff + substrate),
        degeneration=burst * presence(x.non_growing, xp.quantity(1e-3, "g/L"), xp),
        autolysis=p.mu_a4 * x.degenerated,
        production=specific * dense,
        hydrolysis=_hydrolysis(broth, p, xp) * x.penicillin,
        maintenance=young * some + p.m_s * dense * saturation(x.substrate, p.K_v, xp),
        vacuoles=p.mu_v * cytoplasm / (p.K_v + substrate),
    )


class Change(NamedTuple):
    """Rates of change of what both models have, in unit per hour."""

    substrate: Scalar
    dissolved_oxygen: Scalar
    penicillin: Scalar
    volume: Scalar
    weight: Scalar
    viscosity: Scalar
    biomass_time: Scalar
    growing: Scalar
    non_growing: Scalar
    phenylacetate: Scalar
    nitrogen: Scalar
    harvested: Scalar


class Feeds(NamedTuple):
    """Strength of the feeds, disturbances included."""

    sugar: Scalar
    """g/L."""
    oil: Scalar
    """g/L."""
    phenylacetate: Scalar
    """mg/L."""
    flow: Scalar
    """All that adds volume, L/h."""


def _balances(
    x: Any, u: Any, p: Any, broth: Broth, vessel: Vessel, rates: Rates, feeds: Feeds, xp: Maths
) -> Change:
    """Balances of a fed-batch; the guards of uptake are ours."""
    dilution = (feeds.flow - vessel.evaporation) / x.volume
    discharge = u.discharge / (vessel.density / xp.quantity(1000.0, "L/m^3"))
    biomass = rates.extension - broth.biomass * dilution
    penicillin = rates.production - rates.hydrolysis - x.penicillin * dilution
    breathing = p.Y_O2X * biomass + p.m_O2 * broth.biomass + p.Y_O2P * penicillin
    incorporated = p.Y_PP * penicillin + p.Y_PX * biomass + p.m_PAA * x.penicillin
    assimilated = (
        p.Y_NX * (rates.branching + rates.extension + rates.differentiation + rates.autolysis)
        + p.Y_NP * penicillin
        + p.m_N * broth.biomass
    )
    some_oxygen = presence(x.dissolved_oxygen, xp.quantity(0.3, "mg/L"), xp)
    some_phenylacetate = presence(x.phenylacetate, xp.quantity(5.0, "mg/L"), xp)
    some_nitrogen = presence(x.nitrogen, xp.quantity(5.0, "mg/L"), xp)
    return Change(
        substrate=(u.sugar_feed * feeds.sugar + u.oil_feed * feeds.oil) / x.volume
        - p.Y_sX * (rates.extension + rates.branching)
        - rates.maintenance
        - p.Y_sP * rates.production
        - x.substrate * dilution,
        dissolved_oxygen=vessel.kLa * (vessel.saturation - x.dissolved_oxygen)
        - breathing * some_oxygen
        - x.dissolved_oxygen * dilution,
        penicillin=penicillin,
        volume=feeds.flow - vessel.evaporation - discharge,
        weight=_gained_weight(u, p, vessel, feeds, xp),
        viscosity=_thickening(x, u, p, xp),
        biomass_time=broth.biomass,
        growing=rates.branching - rates.differentiation - x.growing * dilution,
        non_growing=rates.extension
        - rates.branching
        + rates.differentiation
        - rates.degeneration
        - x.non_growing * dilution,
        phenylacetate=u.phenylacetate_feed * feeds.phenylacetate / x.volume
        - incorporated * some_phenylacetate
        - x.phenylacetate * dilution,
        nitrogen=(p.N_paa * u.phenylacetate_feed + p.N_oil * u.oil_feed) / x.volume
        - assimilated * some_nitrogen
        - x.nitrogen * dilution,
        harvested=u.discharge * x.penicillin / xp.quantity(1.0, "kg/L"),
    )


def _gained_weight(u: Any, p: Any, vessel: Vessel, feeds: Feeds, xp: Maths) -> Scalar:
    """kg/h; all liquids but sugar and oil have the density of water."""
    share = feeds.sugar / xp.quantity(1000.0, "g/L")
    sugar = (share * p.rho_g + (1 - share) * p.rho_w) / xp.quantity(1000.0, "L/m^3")
    others = feeds.flow - u.sugar_feed - vessel.evaporation
    oil = xp.quantity(0.9, "kg/L") * u.oil_feed
    return u.sugar_feed * sugar + oil + xp.quantity(1.0, "kg/L") * others - u.discharge


def _thickening(x: Any, u: Any, p: Any, xp: Maths) -> Scalar:
    """Rate of change of the viscosity, cP/h; 1e-9 g/L keeps the root's slope finite (ours)."""
    root = (xp.number(xp.maximum(x.growing, 0.0), "g/L") + 1e-9) ** (1 / 3)
    first = 1 + xp.exp(-p.k_1 * (x.age - p.t_1))
    second = 1 + xp.exp(-p.k_2 * (x.age - p.t_2))
    some = presence(x.viscosity, xp.quantity(0.2, "cP"), xp)
    return xp.quantity(3.0, "cP/h") * root / (first * second) - p.k_3 * u.water * some


def _mature(x: Any, p: Any, biomass: Scalar, xp: Maths) -> Scalar:
    """Half-saturation of differentiation before its floor, g/L (1e-9 g/L in the ratio: ours)."""
    mean_age = x.biomass_time / (biomass + xp.quantity(1e-9, "g/L"))
    return p.K_diff - p.K_diff_fall * mean_age


def _delivered(u: Any, p: Any) -> Any:
    """The inputs with the feeds as the pumps deliver them, not as they show them."""
    return u._replace(
        sugar_feed=u.sugar_feed * p.sugar_feed_gain,
        phenylacetate_feed=u.phenylacetate_feed * p.phenylacetate_feed_gain,
    )


# ---------------------------------------------------------------- the published model


def _hydrogen(x: Any, xp: Maths) -> Scalar:
    """Hydrogen ions in mol/L; none fewer than at pH 10 (ours)."""
    ions = xp.maximum(x.hydrogen, xp.quantity(1e-4, "umol/L"))
    return ions / xp.quantity(1e6, "umol/mol")


def _ph(x: Any, xp: Maths) -> Scalar:
    return -xp.log(xp.number(_hydrogen(x, xp), "mol/L")) / 2.302585092994046


def _per_cm(vacuoles: Scalar, xp: Maths) -> Scalar:
    """Vacuoles in 1/cm/L from a state in 1e12/cm/L."""
    return vacuoles * xp.quantity(1e12, "1e-12")


def _classes(x: Any, xp: Maths) -> list[Scalar]:
    """Vacuoles by class, the mature ones last, 1/cm/L."""
    classes = [_per_cm(getattr(x, name), xp) for name in _VACUOLES]
    return [*classes, _per_cm(x.vacuoles_mature, xp)]


def _full_broth(x: Any, u: Any, p: Any, xp: Maths) -> Broth:
    classes = _classes(x, xp)
    volume = x.vacuole_volume
    for j in range(1, 10):
        volume = volume + 4 / 3 * pi * (p.r_0 + (j - 1) * p.delta_r) ** 3 * classes[j] * p.delta_r
    biomass = x.growing + x.non_growing + x.degenerated + x.autolysed
    return Broth(
        biomass=biomass,
        temperature=x.temperature,
        pH=_ph(x, xp),
        K_diff=xp.maximum(_mature(x, p, biomass, xp), p.K_diff_least),
        vacuole_volume=volume,
        aged=classes[9],
        mu_x=xp.maximum(p.mu_x + u.growth_drift, 0.0),
        mu_p=xp.maximum(p.mu_p + u.production_drift, 0.0),
        carbon_dioxide=x.carbon_dioxide * xp.quantity(1000.0, "mg/g"),
    )


def _full_vessel(x: Any, u: Any, p: Any, broth: Broth, xp: Maths) -> Vessel:
    """The vessel, with the published floor of the viscosity."""
    read = xp.number(x.viscosity, "cP")
    thin = xp.where(read <= 4.0, xp.quantity(1.0, "cP"), x.viscosity)
    return _vessel(x._replace(viscosity=thin), u, p, broth, p.O2_in + u.oxygen_drift, xp)


def _full_parts(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Broth, Vessel, Rates, Feeds]:
    broth = _full_broth(x, u, p, xp)
    vessel = _full_vessel(x, u, p, broth, xp)
    step = xp.quantity(1.0, "mg/L")
    rates = _rates(x, p, broth, Widths(step, step, step, step), vessel.saturation, xp)
    feeds = Feeds(
        sugar=xp.maximum(p.c_s + u.sugar_drift, 0.0),
        oil=xp.maximum(p.c_oil + u.oil_drift, 0.0),
        phenylacetate=xp.maximum(p.PAA_c + u.phenylacetate_drift, 0.0),
        flow=u.sugar_feed + u.phenylacetate_feed + u.water + u.base + u.acid,
    )
    return broth, vessel, rates, feeds


def _vacuole_rates(x: Any, p: Any, rates: Rates, xp: Maths) -> dict[str, Scalar]:
    """Vacuoles grow through the classes of radius; central differences, as published."""
    n = _classes(x, xp)
    fresh = pi / 6 * (p.r_0 + p.delta_0) ** 3
    # Published: formed and lost per cm of radius, as if the first class were 1 cm wide.
    wide = xp.quantity(1.0, "cm")
    change = [rates.vacuoles / fresh / wide - p.k_v * n[0] / wide]
    for j in range(1, 10):
        moved = p.k_v * (n[j + 1] - n[j - 1]) / (2 * p.delta_r)
        spread = p.D_v * (n[j + 1] - 2 * n[j] + n[j - 1]) / p.delta_r**2
        change.append(spread - moved)
    # Published: the rate of change stands where the number of vacuoles would be expected.
    mature = p.k_v * change[9] * xp.quantity(1.0, "h") / (2 * p.delta_r) - p.mu_a4 * n[10]
    named = dict(zip((*_VACUOLES, "vacuoles_mature"), (*change, mature), strict=True))
    per_state = {name: rate / xp.quantity(1e12, "1e-12") for name, rate in named.items()}
    some = presence(x.vacuole_volume, xp.quantity(1e-4, "cm^3/L"), xp)
    lost = p.k_v * xp.maximum(n[0], 0.0) * fresh * some
    return {**per_state, "vacuole_volume": rates.vacuoles - lost}


def _hydrogen_rate(x: Any, u: Any, p: Any, broth: Broth, rates: Rates, xp: Maths) -> Scalar:
    """Balance of hydrogen ions, umol/L/h: the published acid form (see the text on top)."""
    ions = _hydrogen(x, xp)
    step = xp.quantity(0.01, "h")
    made = rates.branching + rates.extension + rates.autolysis + rates.differentiation
    made = made + p.m_ph * broth.biomass + rates.production - rates.hydrolysis
    poured = u.sugar_feed + u.oil_feed + u.base + u.acid + u.water
    poured = poured - u.discharge * xp.quantity(1.0, "L/kg")
    # Ours: above pH 7, what binds ions binds the less, the fewer there are.
    share = xp.minimum(ions / xp.quantity(1e-7, "mol/L"), xp.quantity(1.0, "1"))
    source = p.gamma_1 * made + p.gamma_2 * poured
    source = xp.maximum(source, 0.0) + share * xp.minimum(source, 0.0)
    strength = (p.abc + u.base_drift) * (u.acid - u.base) * step
    balance = (ions * x.volume + strength) / (x.volume + (u.acid + u.base) * step)
    water = xp.quantity(1e-14, "mol^2/L^2")
    settled = (balance + xp.sqrt(balance**2 + 4 * water)) / 2
    rate = source + xp.quantity(1.0, "1/h") * (settled - ions)
    return rate * xp.quantity(1e6, "umol/mol")


def _jacket(flow: Scalar, water: Scalar, x: Any, p: Any, density: Scalar, xp: Maths) -> Scalar:
    """Heat given to water in the jacket, kJ/h; published correlation in m3/h, divided by flow."""
    litres = xp.number(flow, "L/h")
    heat = xp.number(density, "kg/m^3") * xp.number(p.C_ps, "kJ/kg/K")
    resistance = 1 + p.alpha_1 * (litres / 1000) ** (p.beta_T - 1) / 2 * heat
    conductance = p.alpha_1 * litres**p.beta_T / resistance
    return xp.quantity(1.0, "kJ/h/K") * conductance * (x.temperature - water)


def _heat_rate(
    x: Any, u: Any, p: Any, vessel: Vessel, oxygen: Scalar, feeds: Feeds, xp: Maths
) -> Scalar:
    """Heat balance, kJ/h; `oxygen` is what growth and production take up, mg/L/h."""
    litres = xp.quantity(1000.0, "L/m^3")
    share = feeds.sugar / xp.quantity(1000.0, "g/L")
    density = share * p.rho_g + (1 - share) * p.rho_w
    metabolic = p.Y_QX * x.volume / litres * oxygen
    vapour = vessel.evaporation / litres
    return (
        u.sugar_feed * density * p.C_ps * (p.T_f - x.temperature) / litres
        + u.water * p.rho_w * p.C_pw * (p.T_w - x.temperature) / litres
        - vapour * vessel.density * p.C_pw * xp.quantity(1.0, "K")
        - vapour * p.rho_w * p.dH_e
        + xp.maximum(metabolic, 0.0)
        + vessel.power * xp.quantity(1.0, "kJ/h/kW")
        - _jacket(u.cooling_water, p.T_cin + u.coolant_drift, x, p, vessel.density, xp)
        - _jacket(u.heating_water, p.T_h, x, p, vessel.density, xp)
        - p.U * p.A_c * (x.temperature - p.T_air)
    )


def _gas_rates(x: Any, u: Any, p: Any, vessel: Vessel, xp: Maths) -> dict[str, Scalar]:
    """Off-gas and dissolved carbon dioxide, with the published factors."""
    percent = xp.quantity(100.0, "percent")
    held = p.hold_up * x.volume * xp.quantity(28.97, "g/mol") / xp.quantity(22.4, "L/mol")
    oxygen = vessel.gas * xp.quantity(32.0, "g/mol")
    transfer = vessel.kLa * (vessel.saturation - x.dissolved_oxygen) * x.volume
    taken = 0.06 * transfer / xp.quantity(1000.0, "mg/g")
    some = presence(x.off_gas_oxygen, xp.quantity(0.005, "1"), xp)
    inert = 1 - x.off_gas_oxygen - x.off_gas_carbon_dioxide / percent
    dioxide = vessel.gas * xp.quantity(44.0, "g/mol")
    made = (x.growing + x.non_growing) * p.q_CO2 * x.volume
    equilibrium = _dissolving(x.off_gas_carbon_dioxide, vessel, x.temperature, xp)
    return {
        "off_gas_oxygen": (
            oxygen * (p.O2_in + u.oxygen_drift - p.N2_in * x.off_gas_oxygen / inert) - taken * some
        )
        / held,
        "off_gas_carbon_dioxide": (dioxide * (p.CO2_in - x.off_gas_carbon_dioxide) + made) / held,
        "carbon_dioxide": 0.89 * vessel.kLa * (equilibrium - x.carbon_dioxide),
    }


def _dissolving(dioxide: Scalar, vessel: Vessel, temperature: Scalar, xp: Maths) -> Scalar:
    """Dissolved carbon dioxide in equilibrium with off-gas of so many percent, g/L."""
    kelvin = xp.number(temperature, "K")
    henry = xp.exp(11.25 - 395.9 / (kelvin - 175.9)) / 4400
    return xp.quantity(1.0, "g/L/bar/percent") * vessel.pressure * dioxide / henry


def _full_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    u = _delivered(u, p)
    broth, vessel, rates, feeds = _full_parts(x, u, p, xp)
    change = _balances(x, u, p, broth, vessel, rates, feeds, xp)
    dilution = (feeds.flow - vessel.evaporation) / x.volume
    gas = _gas_rates(x, u, p, vessel, xp)
    grown = rates.extension - broth.biomass * dilution
    heat = _heat_rate(x, u, p, vessel, p.Y_O2X * grown + p.Y_O2P * change.penicillin, feeds, xp)
    shot = p.N_shot * u.nitrogen_shot / x.volume
    mass = x.volume * vessel.density / xp.quantity(1000.0, "L/m^3")
    own = {
        **_vacuole_rates(x, p, rates, xp),
        **gas,
        "carbon_dioxide": gas["carbon_dioxide"] - x.carbon_dioxide * dilution,
        "nitrogen": change.nitrogen + shot,
        "hydrogen": _hydrogen_rate(x, u, p, broth, rates, xp),
        "heat": heat,
        "temperature": heat / (mass * p.C_pw),
        "degenerated": rates.degeneration - rates.autolysis - x.degenerated * dilution,
        "autolysed": rates.autolysis - x.autolysed * dilution,
        "production_integral": rates.specific_production,
        "growth_integral": rates.growth,
        "age": xp.quantity(1.0, "h/h"),
        "withdrawn": u.discharge * x.penicillin / vessel.density * xp.quantity(1000.0, "L/m^3"),
    }
    return FullState(**{**change._asdict(), **own})


def _outputs(
    x: Any,
    u: Any,
    broth: Broth,
    vessel: Vessel,
    rates: Rates,
    gas: tuple[Scalar, Scalar],
    xp: Maths,
) -> dict[str, Scalar]:
    """Outputs of both models; `gas` is off-gas oxygen and carbon dioxide in percent."""
    percent = xp.quantity(100.0, "percent")
    discharge = u.discharge / vessel.density * xp.quantity(1000.0, "L/m^3")
    return {
        "substrate": x.substrate,
        "biomass": broth.biomass,
        "penicillin": x.penicillin,
        "phenylacetate": x.phenylacetate,
        "nitrogen": x.nitrogen,
        "viscosity": x.viscosity,
        "dissolved_oxygen": percent * x.dissolved_oxygen / vessel.saturation,
        "off_gas_oxygen": gas[0],
        "off_gas_carbon_dioxide": gas[1],
        "weight": x.weight,
        "oxygen_transfer": vessel.kLa,
        "growth_rate": rates.growth,
        "volume_loss": vessel.evaporation + discharge,
        "volume": x.volume,
        "product_mass": x.penicillin * x.volume + x.harvested,
    }


def _full_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    u = _delivered(u, p)
    broth, vessel, rates, _ = _full_parts(x, u, p, xp)
    gas = (xp.quantity(100.0, "percent") * x.off_gas_oxygen, x.off_gas_carbon_dioxide)
    celsius = xp.number(x.temperature, "K") - 273.15
    return FullOutputs(
        **_outputs(x, u, broth, vessel, rates, gas, xp),
        pH=broth.pH,
        temperature=xp.quantity(0.0, "degC") + xp.quantity(1.0, "delta_degC") * celsius,
        dissolved_carbon_dioxide=x.carbon_dioxide,
    )


_DRAWN = {
    name: (_FULL_PARAMETERS[name].value, _FULL_PARAMETERS[name].deviation)
    for name in ("mu_p", "mu_x", "alpha_kla", "PAA_c", "N_paa")
}
"""Parameters that the published program draws for each batch, and their relative deviations."""


def batch(seed: int | None = None) -> ReferenceBatch:
    """The published batch: nominal without a seed, else disturbed as the published ones are.

    With a seed, eight inputs drift and those parameters are drawn that the published program draws
    (here from a lognormal distribution with the same deviation).
    """
    inputs = FullInputs(*(item.nominal for item in _FULL_INPUTS.values()))
    drawn = {} if seed is None else draw(seed, _DRAWN)
    mu_x = drawn.get("mu_x", _FULL_PARAMETERS["mu_x"].value)
    return ReferenceBatch(
        "nominal batch: recipe, loops of pH and temperature, no disturbances"
        if seed is None
        else f"batch with recipe, loops and the disturbances of seed {seed}",
        duration_h=SAMPLES * SAMPLE_H,
        step_h=SAMPLE_H,
        act=run(inputs, mu_x, () if seed is None else drifts(seed)),
        memory=Memory(),
        parameters=drawn,
    )


# ---------------------------------------------------------------- the model for control

_CONTROL_STATES = {
    **{
        name: _FULL_STATES[name]
        for name in (
            "substrate",
            "dissolved_oxygen",
            "penicillin",
            "volume",
            "weight",
            "viscosity",
            "biomass_time",
            "growing",
            "non_growing",
        )
    },
    "degenerated": State("g/L", "degenerated and autolysed regions", 0.0, 2.0, 0.0, 50.0),
    "vacuoles": State(_DENSITY, "newly formed vacuoles", 0.0, 1.0, 0.0, 50.0),
    "vacuoles_growing": State(_DENSITY, "vacuoles on their way", 0.0, 1.0, 0.0, 50.0),
    "vacuoles_aged": State(_DENSITY, "vacuoles soon to burst", 0.0, 1.0, 0.0, 50.0),
    **{name: _FULL_STATES[name] for name in ("phenylacetate", "nitrogen", "age", "harvested")},
}

_CONTROL_INPUTS = {
    **_FEEDS,
    **_GAS,
    "temperature": Input("degC", "broth temperature", 24.85, 25.0, 15.0, 35.0),
    "pH": Input("1", "pH", 6.5, 6.5, 5.0, 8.0),
}

_CONTROL_PARAMETERS = {
    **_KINETICS,
    "tau_v": Parameter("h", "time from new to bursting vacuoles", 51.0, 20.0, 100.0, 0.0, _OURS),
    "a_v": Parameter("1", "bursting per aged vacuoles", 2.864, 1.0, 6.0, 0.0, _OURS),
    "b_v": Parameter(
        "cm^4", "volume of growing per new vacuoles", 8.16e-14, 0.0, 1e-12, 0.0, _OURS
    ),
    "c_v": Parameter("cm^4", "volume of aged vacuoles", 6.89e-13, 0.0, 5e-12, 0.0, _OURS),
}

ControlState = record("ControlState", _CONTROL_STATES)
ControlInputs = record("ControlInputs", _CONTROL_INPUTS)
ControlParameters = record("ControlParameters", _CONTROL_PARAMETERS)
ControlOutputs = record("ControlOutputs", _CONTROL_OUTPUTS)


def _control_off_gas(x: Any, u: Any, p: Any, vessel: Vessel, xp: Maths) -> tuple[Scalar, Scalar]:
    """Off-gas oxygen and carbon dioxide in percent, from a steady gas phase (ours)."""
    percent = xp.quantity(100.0, "percent")
    made = (x.growing + x.non_growing) * p.q_CO2 * x.volume
    dioxide = p.CO2_in + made / (vessel.gas * xp.quantity(44.0, "g/mol"))
    transfer = vessel.kLa * (vessel.saturation - x.dissolved_oxygen) * x.volume
    taken = 0.06 * transfer / xp.quantity(1000.0, "mg/g")
    left = p.O2_in - taken / (vessel.gas * xp.quantity(32.0, "g/mol"))
    per_inert = xp.maximum(left, 0.0) / p.N2_in
    oxygen = per_inert * (1 - dioxide / percent) / (1 + per_inert)
    return percent * oxygen, dioxide


def _control_parts(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Broth, Vessel, Rates, Feeds]:
    """The broth with steady gases and lumped vacuoles; switches as wide as a plan needs (ours)."""
    kelvin = xp.quantity(1.0, "K") * (xp.number(u.temperature, "degC") + 273.15)
    biomass = x.growing + x.non_growing + x.degenerated
    new, aged = _per_cm(x.vacuoles, xp), _per_cm(x.vacuoles_aged, xp)
    fresh = pi / 6 * (p.r_0 + p.delta_0) ** 3 * xp.quantity(1.0, "cm")
    blank = xp.quantity(0.0, "mg/L")
    least = p.K_diff_least
    broth = Broth(
        biomass=biomass,
        temperature=kelvin,
        pH=u.pH,
        K_diff=smooth_maximum(_mature(x, p, biomass, xp), least, xp.quantity(0.01, "g/L"), xp),
        vacuole_volume=fresh * new + p.b_v * new + p.c_v * aged,
        aged=p.a_v * aged,
        mu_x=p.mu_x,
        mu_p=p.mu_p,
        carbon_dioxide=blank,
    )
    vessel = _vessel(x, u, p, broth, p.O2_in, xp)
    dioxide = _dissolving(_control_off_gas(x, u, p, vessel, xp)[1], vessel, kelvin, xp)
    broth = broth._replace(carbon_dioxide=dioxide * xp.quantity(1000.0, "mg/g"))
    widths = Widths(
        nitrogen=xp.quantity(20.0, "mg/L"),
        carbon_dioxide=xp.quantity(100.0, "mg/L"),
        oxygen=xp.quantity(1.0, "mg/L"),
        phenylacetate=xp.quantity(50.0, "mg/L"),
    )
    rates = _rates(x, p, broth, widths, vessel.saturation, xp)
    flow = u.sugar_feed + u.phenylacetate_feed + u.water + u.base
    return broth, vessel, rates, Feeds(p.c_s, p.c_oil, p.PAA_c, flow)


def _control_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    u = _delivered(u, p)
    broth, vessel, rates, feeds = _control_parts(x, u, p, xp)
    change = _balances(x, u, p, broth, vessel, rates, feeds, xp)
    dilution = (feeds.flow - vessel.evaporation) / x.volume
    fresh = pi / 6 * (p.r_0 + p.delta_0) ** 3
    wide = xp.quantity(1.0, "cm")
    formed = rates.vacuoles / fresh / wide / xp.quantity(1e12, "1e-12")
    lag = 2 / p.tau_v
    return ControlState(
        **change._asdict(),
        degenerated=rates.degeneration - x.degenerated * dilution,
        vacuoles=formed - p.k_v * x.vacuoles / wide,
        vacuoles_growing=lag * (x.vacuoles - x.vacuoles_growing),
        vacuoles_aged=lag * (x.vacuoles_growing - x.vacuoles_aged),
        age=xp.quantity(1.0, "h/h"),
    )


def _control_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    u = _delivered(u, p)
    broth, vessel, rates, _ = _control_parts(x, u, p, xp)
    gas = _control_off_gas(x, u, p, vessel, xp)
    return ControlOutputs(**_outputs(x, u, broth, vessel, rates, gas, xp))


_RELEASING = "diluted, but as published dilution of biomass and penicillin gives back {0}"

_CONTROL_UNDILUTED = {
    "biomass_time": "an integral over time that no flow changes",
    "dissolved_oxygen": _RELEASING.format("the oxygen it took"),
    "phenylacetate": _RELEASING.format("the phenylacetate it took"),
    "nitrogen": _RELEASING.format("the ammonia it took"),
    **dict.fromkeys(
        ("vacuoles", "vacuoles_growing", "vacuoles_aged"), "as published, vacuoles are not diluted"
    ),
}

_FULL_UNDILUTED = {
    **{name: text for name, text in _CONTROL_UNDILUTED.items() if name in _FULL_STATES},
    "substrate": "diluted, but what a litre of sugar feed brings drifts with sugar_drift",
    "hydrogen": "a balance of its own, as published",
    **dict.fromkeys(
        (*_VACUOLES, "vacuoles_mature", "vacuole_volume"), "as published, vacuoles are not diluted"
    ),
}

_VALIDITY = (
    "Fed-batch of 230 h in 100 m3 (58 to 90 m3 of broth) at 297 to 299 K and pH 6.4 to 6.6, "
    "substrate limited to a few mg/L. Above about 3.5 mg/L of substrate production falls faster "
    "than growth rises, the substrate then runs away and production stops: keep feeds below that. "
    "Above 2400 mg/L of phenylacetate growth stops, below 200 mg/L production. Discharges do not "
    "dilute; the published yield counts a kilogram of harvested broth as a litre."
)

_EQUATIONS = {
    "growth": "mu_e = mu_x f_pH f_T f_N f_CO2 f_O2 f_PAA, f_pH = 1/(1+H/K_1+K_2/H), "
    "f_T = k_g exp(-E_g/RT) - k_d exp(-E_d/RT), the others (1 +- tanh(distance to threshold))/2",
    "branching, extension": "r_b = 0.4 mu_e a1 S/(K_b+S), r_e = mu_e a0 S/(K_e+S) with growing a0 "
    "and non-growing a1",
    "differentiation": "r_d = mu_diff a0/(K_diff+S), K_diff = max(0.75-0.006 int(X)/X, 0.09)",
    "vacuoles": "v = volume of all classes; new ones: mu_v v_a1/(K_v+S); they grow by k_v; those "
    "of the last class take pi/6 (r_k+r_m)^3 rho_d k_v n_9 of a1 with them (degeneration)",
    "cytoplasm": "v_a1 = (a1/rho_a0 - v)/2",
    "production": "q_P = mu_p rho_a0 v_a1 f_S f_O2 f_PAA, "
    "f_S = 2.5/sqrt(2 pi) exp(-((S-0.002)/0.0015)^2/2); less mu_h P, "
    "mu_h = exp(B_1+B_2 pH+B_3 T+B_4 pH^2+B_5 T^2)",
    "substrate": "dS/dt = -Y_sX (r_e+r_b) - r_m - Y_sP q_P + (F_s c_s+F_oil c_oil)/V - S D",
    "oxygen": "dDO/dt = kLa (DO_sat-DO) - Y_O2X dX/dt - m_O2 X - Y_O2P dP/dt - DO D",
    "kLa": "kLa = alpha_kla v_s^0.38 (P/V)^0.34 (vis/100)^-0.38 (1-(F_oil/V)^0.25)",
    "phenylacetate": "dPAA/dt = F_paa PAA_c/V - Y_PP dP/dt - Y_PX dX/dt - m_PAA P - PAA D",
    "ammonia": "dN/dt = (F_paa N_paa+F_oil N_oil+shots)/V - Y_NX (rates) - Y_NP dP/dt - m_N X "
    "- N D",
    "volume": "dV/dt = F_s+F_b+F_a+F_w+F_paa - evaporation - discharge/rho, D = (flows - "
    "evaporation)/V",
    "viscosity": "dvis/dt = 3 a0^(1/3)/((1+exp(-k_1(t-t_1)))(1+exp(-k_2(t-t_2)))) - k_3 F_w",
}
"""As in the published program; the papers number theirs otherwise."""

_FULL_EQUATIONS = {
    **_EQUATIONS,
    "hydrogen ions": "dH/dt = gamma_1 (rates) + gamma_2 (flows) + (B+sqrt(B^2+4e-14))/2 - H, "
    "B = (H V+abc (F_a-F_b) h)/(V+(F_a+F_b) h), h = 0.01 h",
    "heat": "dQ/dt = feeds + evaporation + Y_QX V oxygen uptake + power - jacket - wall, "
    "dT/dt = dQ/dt / (V rho C_pw)",
    "off-gas": "balances of oxygen and carbon dioxide in the gas held up; CO2 dissolves with "
    "0.89 kLa",
}

_CONTROL_EQUATIONS = {
    **_EQUATIONS,
    "vacuoles": "new ones z as in the full model; two lags of tau_v/2 in a row lead to aged ones "
    "z_2, of which a_v z_2 burst; v = (new + b_v) z + c_v z_2  [ours, in place of ten classes]",
    "gases": "off-gas and dissolved carbon dioxide from a steady gas phase  [ours]",
    "switches": "half widths 20 mg/L (ammonia), 100 (CO2), 1 (oxygen), 50 (phenylacetate) in place "
    "of 1; K_diff with a smooth floor  [ours]",
}


FULL = PlantModel(
    name="penicillin_indpensim",
    organism="Penicillium chrysogenum",
    source="Goldrick et al. 2015, J. Biotechnol. 193:70, and 2019, Comput. Chem. Eng. 130:106471",
    validity=_VALIDITY,
    equations=_FULL_EQUATIONS,
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
    volume="volume",
    volume_flows=("sugar_feed", "phenylacetate_feed", "water", "base", "acid"),
    volume_loss="volume_loss",
    product="product_mass",
    shown=("biomass", "substrate", "penicillin"),
    substeps_per_h=200,
    method=Method.IMPLICIT,
    accuracy=1e-4,
    undiluted=_FULL_UNDILUTED,
    reference=batch(),
)

CONTROL = PlantModel(
    name="penicillin_indpensim_control",
    organism="Penicillium chrysogenum",
    source="Goldrick et al. 2015, J. Biotechnol. 193:70; reduction: ours",
    validity=_VALIDITY + " Temperature and pH must be held.",
    equations=_CONTROL_EQUATIONS,
    State=ControlState,
    Inputs=ControlInputs,
    Parameters=ControlParameters,
    Outputs=ControlOutputs,
    rhs=_control_rhs,
    outputs=_control_outputs,
    states=_CONTROL_STATES,
    inputs=_CONTROL_INPUTS,
    parameters=_CONTROL_PARAMETERS,
    outputs_info=_CONTROL_OUTPUTS,
    volume="volume",
    volume_flows=("sugar_feed", "phenylacetate_feed", "water", "base"),
    volume_loss="volume_loss",
    product="product_mass",
    shown=("biomass", "substrate", "penicillin"),
    substeps_per_h=200,
    method=Method.IMPLICIT,
    accuracy=1e-4,
    undiluted=_CONTROL_UNDILUTED,
    reference=ReferenceBatch(
        "the recipe, with pH and temperature held",
        duration_h=SAMPLES * SAMPLE_H,
        step_h=SAMPLE_H,
        act=by_clock(ControlInputs(*(item.nominal for item in _CONTROL_INPUTS.values()))),
    ),
)
