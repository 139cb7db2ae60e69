"""Penicillium chrysogenum making penicillin in fed-batch: the benchmark known as PenSim.

`MODEL`: growth with Contois kinetics in substrate and oxygen, penicillin with substrate inhibition,
six states; smooth and small, meant for plant, filter and optimiser alike.

Sources. Birol, Undey, Cinar (2002), "A modular simulation package for fed-batch fermentation:
penicillin production", Comput. Chem. Eng. 26:1553-1565; its kinetics go back to Bajpai and Reuss
(1980), J. Chem. Technol. Biotechnol. 30:332-344 (journal and pages from general knowledge, not
found in a source). Values as found alike in public implementations.

Decisions where implementations and paper differ:

- Temperature and pH are inputs: the control unit of the bioreactor holds them. With them fall the
  balances of heat and hydrogen ions (of which the printed heat balance has a wrong dimension).
- Evaporation: lambda = 1e-4 1/h as in the original program. The paper prints 2.5e-4, with which
  the volume would fall during the whole batch, against the paper's own figures. T_0 and T_v are
  the freezing and the boiling point, 0 and 100 degC (printed rounded, as 273 and 373 K).
- Oxygen limitation: K_ox and K_op are constants. The original program switches them on only below
  half of saturation, where this batch never goes.
- The oxygen saturation 1.16 is said to be in g/L. Real broth holds a hundredth of that; the yields
  on oxygen are in the same measure, so the percentage of saturation is right.
- The printed equation of carbon dioxide has a2 inside the factor a1; here they are apart.

The scale of the substrate is that of the fed-batch: a tenth of a gram, where the optimiser moves.

Ours: the guards that end maintenance and the uptake of oxygen as substrate and oxygen run out (1 to
rounding everywhere in the published batch), the one that keeps carbon dioxide from falling below
zero while biomass is diluted, the outputs, broth density, the gain of the feed pump and the spread
between batches.

Units: g/L, L, h; carbon dioxide in mmol/L (evolved, not stripped).
"""

from typing import Any, NamedTuple

from plant_models.dialect import Maths, Scalar
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile
from plant_models.smooth import presence, saturation

_BIROL = "Birol et al. 2002"
_PROGRAM = "original program of Undey, Birol and Cinar"
_OURS = "ours"

_STATES = {
    "biomass": State("g/L", "biomass", 0.1, 10.0, 1e-3, 100.0),
    "substrate": State("g/L", "glucose", 15.0, 0.2, 0.0, 200.0),
    "dissolved_oxygen": State("g/L", "dissolved oxygen, nominal", 1.16, 1.0, 0.0, 5.0),
    "penicillin": State("g/L", "penicillin titre", 0.0, 1.0, 0.0, 50.0),
    "volume": State("L", "broth volume", 100.0, 100.0, 1.0, 1000.0),
    "carbon_dioxide": State("mmol/L", "carbon dioxide evolved", 0.5, 2.0, 0.0, 100.0),
}

_INPUTS = {
    "feed": Input("L/h", "substrate feed", 0.0, 0.05, 0.0, 1.0),
    "acid_base": Input("L/h", "acid and base together", 0.0, 0.01, 0.0, 0.5),
    "aeration": Input("L/h", "air flow", 8.6, 8.6, 0.5, 50.0),
    "power": Input("W", "stirrer power input", 30.0, 30.0, 1.0, 200.0),
    "temperature": Input("degC", "broth temperature", 24.85, 25.0, 15.0, 35.0),
    "pH": Input("1", "pH", 5.0, 5.0, 3.5, 8.0),
}


def _kinetic(
    unit: str, meaning: str, value: float, source: str = _BIROL, deviation: float = 0.0
) -> Parameter:
    """A positive parameter admitted between a fifth and five times its value."""
    return Parameter(unit, meaning, value, value / 5, value * 5, deviation, source)


_PARAMETERS = {
    "mu_x": _kinetic("1/h", "maximal growth rate", 0.092, deviation=0.08),
    "K_x": _kinetic("g/g", "Contois constant of growth", 0.15),
    "K_ox": Parameter("g/g", "oxygen limitation of growth", 0.02, 0.0, 0.1, 0.0, _BIROL),
    "mu_p": _kinetic("g/g/h", "maximal specific production", 0.005, deviation=0.08),
    "K_p": _kinetic("g/L", "substrate at half production", 2e-4),
    "K_I": _kinetic("g/L", "substrate that inhibits production", 0.10),
    "K_op": Parameter("g^2/L^2", "oxygen limitation of production", 5e-4, 0.0, 5e-3, 0.0, _BIROL),
    "K": _kinetic("1/h", "penicillin hydrolysis", 0.04),
    "Y_xs": _kinetic("g/g", "biomass from substrate", 0.45, deviation=0.05),
    "Y_ps": _kinetic("g/g", "penicillin from substrate", 0.90),
    "Y_xo": _kinetic("g/g", "biomass from oxygen", 0.04),
    "Y_po": _kinetic("g/g", "penicillin from oxygen", 0.20),
    "m_x": _kinetic("g/g/h", "substrate for maintenance", 0.014, deviation=0.05),
    "m_o": _kinetic("g/g/h", "oxygen for maintenance", 0.467),
    "K_1": _kinetic("mol/L", "hydrogen ions below which growth halves", 1e-10),
    "K_2": _kinetic("mol/L", "hydrogen ions above which growth halves", 7e-5),
    "k_g": _kinetic("1", "Arrhenius factor of growth", 7e3),
    "E_g": Parameter("cal/mol", "activation energy of growth", 5100.0, 4e3, 6.5e3, 0.0, _BIROL),
    "k_d": _kinetic("1", "Arrhenius factor of death", 1e33),
    "E_d": Parameter("cal/mol", "activation energy of death", 5e4, 4.8e4, 5.5e4, 0.0, _BIROL),
    "C_star": _kinetic("g/L", "dissolved oxygen at saturation, nominal", 1.16),
    "alpha": _kinetic("1/h", "kLa at 1 L/h and 1 W/L", 70.0),
    "beta": Parameter("1", "exponent of power in kLa", 0.4, 0.2, 0.8, 0.0, _BIROL),
    "a_1": _kinetic("mmol/g", "carbon dioxide evolved by growth", 0.143),
    "a_2": _kinetic("mmol/g/h", "carbon dioxide evolved by biomass", 4e-7),
    "a_3": _kinetic("mmol/L/h", "carbon dioxide evolved otherwise", 1e-4),
    "lambda_": Parameter("1/h", "evaporation constant", 1e-4, 0.0, 1e-3, 0.0, _PROGRAM),
    "s_f": Parameter("g/L", "glucose in the feed", 600.0, 0.0, 900.0, 0.0, _BIROL),
    "density": Parameter("kg/L", "broth density", 1.0, 0.9, 1.2, 0.0, _OURS),
    "feed_gain": Parameter(
        "1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
}

_OUTPUTS = {
    "biomass": Output("g/L", "biomass", "assay"),
    "substrate": Output("g/L", "glucose", "assay"),
    "penicillin": Output("g/L", "penicillin titre", "assay"),
    "dissolved_oxygen": Output("percent", "dissolved oxygen, percent of saturation", "online"),
    "carbon_dioxide": Output("mmol/L", "carbon dioxide evolved", "online"),
    "weight": Output("kg", "broth weight", "online"),
    "growth_rate": Output("1/h", "specific growth rate"),
    "oxygen_uptake": Output("g/L/h", "oxygen uptake, nominal"),
    "oxygen_transfer": Output("1/h", "oxygen transfer coefficient kLa"),
    "volume_loss": Output("L/h", "evaporation"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "penicillin in the vessel"),
}

PensimState = record("PensimState", _STATES)
PensimInputs = record("PensimInputs", _INPUTS)
PensimParameters = record("PensimParameters", _PARAMETERS)
PensimOutputs = record("PensimOutputs", _OUTPUTS)


class Rates(NamedTuple):
    """What the cells do, and what the vessel does to them."""

    growth: Scalar
    """1/h."""
    production: Scalar
    """g/g/h."""
    substrate_uptake: Scalar
    """g/L/h."""
    oxygen_uptake: Scalar
    """g/L/h."""
    kLa: Scalar
    """1/h."""
    evaporation: Scalar
    """L/h."""


def _kelvin(u: Any, xp: Maths) -> Scalar:
    """Absolute temperature."""
    return xp.quantity(1.0, "K") * (xp.number(u.temperature, "degC") + 273.15)


def _growth(x: Any, u: Any, p: Any, xp: Maths) -> Scalar:
    """Contois growth times the effects of pH and temperature, 1/h."""
    hydrogen = xp.quantity(1.0, "mol/L") * xp.exp(-2.302585092994046 * u.pH)
    acidity = 1 / (1 + p.K_1 / hydrogen + hydrogen / p.K_2)
    energy = xp.quantity(1.987, "cal/mol/K") * _kelvin(u, xp)
    warmth = p.k_g * xp.exp(-p.E_g / energy) - p.k_d * xp.exp(-p.E_d / energy)
    substrate = saturation(x.substrate, p.K_x * x.biomass, xp)
    oxygen = saturation(x.dissolved_oxygen, p.K_ox * x.biomass + _trace(xp), xp)
    return p.mu_x * acidity * xp.maximum(warmth, 0.0) * substrate * oxygen


def _trace(xp: Maths) -> Scalar:
    """So little oxygen that it only keeps a fraction from being nothing over nothing (ours)."""
    return xp.quantity(1e-9, "g/L")


def _rates(x: Any, u: Any, p: Any, xp: Maths) -> Rates:
    """All rates; the guards of maintenance and oxygen uptake are ours."""
    growth = _growth(x, u, p, xp)
    cubed = xp.maximum(x.dissolved_oxygen, 0.0) ** 3
    oxygen = cubed / (p.K_op * x.biomass + cubed + _trace(xp) ** 3)
    present = xp.maximum(x.substrate, 0.0)
    production = p.mu_p * oxygen * present / (p.K_p + present * (1 + present / p.K_I))
    fed = presence(x.substrate, xp.quantity(2e-4, "g/L"), xp)
    breathing = presence(x.dissolved_oxygen, xp.quantity(0.02, "g/L"), xp)
    maintenance = p.m_x * fed
    power = xp.number(u.power / x.volume, "W/L")
    boiling = 5 * xp.number(u.temperature, "degC") / 100
    return Rates(
        growth=growth,
        production=production,
        substrate_uptake=(growth / p.Y_xs + production / p.Y_ps + maintenance) * x.biomass,
        oxygen_uptake=(growth / p.Y_xo + production / p.Y_po + p.m_o * breathing) * x.biomass,
        kLa=p.alpha * xp.sqrt(xp.number(u.aeration, "L/h")) * xp.exp(p.beta * xp.log(power)),
        evaporation=x.volume * p.lambda_ * (xp.exp(boiling) - 1),
    )


def _rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """Balances of a fed-batch that evaporates."""
    rates = _rates(x, u, p, xp)
    feed = u.feed * p.feed_gain
    flow = feed + u.acid_base - rates.evaporation
    dilution = flow / x.volume
    biomass = (rates.growth - dilution) * x.biomass
    present = xp.tanh(x.carbon_dioxide / xp.quantity(0.01, "mmol/L"))
    growing = xp.maximum(biomass, 0.0) + present * xp.minimum(biomass, 0.0)
    return PensimState(
        biomass=biomass,
        substrate=feed * p.s_f / x.volume - rates.substrate_uptake - dilution * x.substrate,
        dissolved_oxygen=rates.kLa * (p.C_star - x.dissolved_oxygen)
        - rates.oxygen_uptake
        - dilution * x.dissolved_oxygen,
        penicillin=rates.production * x.biomass - (p.K + dilution) * x.penicillin,
        volume=flow,
        carbon_dioxide=p.a_1 * growing + p.a_2 * x.biomass + p.a_3,
    )


def _outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    rates = _rates(x, u, p, xp)
    return PensimOutputs(
        biomass=x.biomass,
        substrate=x.substrate,
        penicillin=x.penicillin,
        dissolved_oxygen=xp.quantity(100.0, "percent") * x.dissolved_oxygen / p.C_star,
        carbon_dioxide=x.carbon_dioxide,
        weight=p.density * x.volume,
        growth_rate=rates.growth,
        oxygen_uptake=rates.oxygen_uptake,
        oxygen_transfer=rates.kLa,
        volume_loss=rates.evaporation,
        volume=x.volume,
        product_mass=x.penicillin * x.volume,
    )


MODEL = PlantModel(
    name="penicillin_pensim",
    organism="Penicillium chrysogenum",
    source="Birol, Undey, Cinar 2002, Comput. Chem. Eng. 26:1553; kinetics: Bajpai and Reuss 1980",
    validity=(
        "Batch growth on glucose to about 6 g/L of biomass, then fed-batch at 20 to 30 degC and "
        "pH 4.5 to 6 to about 15 g/L, 400 h. Hydrolysis of penicillin depends neither on pH nor on "
        "temperature, which must be held. Dissolved oxygen is right in percent of saturation only."
    ),
    equations={
        "growth": "mu = mu_x f_pH f_T S/(K_x X+S) C/(K_ox X+C), f_pH = 1/(1+K_1/H+H/K_2), "
        "f_T = k_g exp(-E_g/RT) - k_d exp(-E_d/RT)  [Birol 2002]",
        "production": "mu_pp = mu_p S/(K_p+S(1+S/K_I)) C^3/(K_op X+C^3)  [Bajpai and Reuss 1980]",
        "substrate": "dS/dt = -mu X/Y_xs - mu_pp X/Y_ps - m_x X + F s_f/V - D S  [Birol 2002; "
        "maintenance times tanh(S/2e-4 g/L), ours]",
        "oxygen": "dC/dt = kLa (C_star-C) - mu X/Y_xo - mu_pp X/Y_po - m_o X - D C  [Birol 2002; "
        "m_o times tanh(C/0.02 g/L), ours]",
        "kLa": "kLa = alpha sqrt(f_g) (P_w/V)^beta  [Birol 2002]",
        "penicillin": "dP/dt = mu_pp X - K P - D P  [Birol 2002]",
        "volume": "dV/dt = F + F_ab - V lambda (exp(5 T/100 degC) - 1), D = dV/dt / V  "
        "[Birol 2002]",
        "carbon dioxide": "dCO2/dt = a_1 dX/dt + a_2 X + a_3  [Birol 2002, misprint corrected]",
    },
    State=PensimState,
    Inputs=PensimInputs,
    Parameters=PensimParameters,
    Outputs=PensimOutputs,
    rhs=_rhs,
    outputs=_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed", "acid_base"),
    volume_loss="volume_loss",
    product="product_mass",
    shown=("biomass", "substrate", "penicillin"),
    substeps_per_h=10,
    method=Method.IMPLICIT,
    accuracy=5e-5,
    undiluted={
        "carbon_dioxide": "counts what was evolved; diluted biomass counts as negative growth"
    },
    reference=ReferenceBatch(
        "nominal batch of Birol et al. 2002: 0.042 L/h once glucose is below 0.3 g/L (44 h)",
        400.0,
        1.0,
        profile(
            PensimInputs(*(item.nominal for item in _INPUTS.values())),
            ((0.0, {"feed": 0.0}), (44.0, {"feed": 0.042})),
        ),
    ),
)
