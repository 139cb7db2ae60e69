"""Escherichia coli W3110 in batch and fed-batch with overflow to acetate: the model of Xu (1999).

Glucose is taken up by Monod kinetics and oxidised as far as the respiratory capacity allows; the
rest overflows to acetate. Acetate is taken up again with what capacity is left.

Source. Xu, Jahic, Enfors (1999), Biotechnol. Prog. 15:81-90. Parameters from an implementation by
L. Hebing (Bayer, 2018).

Conflicts and decisions. The abstract of the paper says 9 g/L for acetate's inhibition and 0.12 to
0.18 g/g/h for acetate uptake in fed-batch; the values here (K_i_s 5 g/L, q_Ac_max 0.06 g/g/h) are a
calibrated set. The public code mixes mmol and g where acetate uptake meets the respiratory capacity
and switches that uptake off during overflow; the form here is consistent in its units. The minima
are sharp, as published: use `ecoli_anane_control` where an optimiser must differentiate.

Pump gain, optical density, broth density, the deviations between batches and the floors that keep
oxidation and spare capacity from being negative are engineering additions of this project, marked
"ours"; so is carbon dioxide, by carbon balance. Oxygen is taken to be plentiful.

Units: g/L, g/g/h, mmol/g/h for the respiratory capacity, mol of carbon per g, L, h.
"""

from typing import Any, NamedTuple

from plant_models.dialect import Maths, Scalar
from plant_models.gas_transfer import respiratory_quotient
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile
from plant_models.smooth import saturation

_XU = "Xu et al. 1999, values by Hebing 2018"
_OURS = "ours"

_STATES = {
    "volume": State("L", "broth volume", 7.0, 10.0, 0.1, 1e4),
    "biomass": State("g/L", "dry biomass", 0.035, 20.0, 0.0, 150.0),
    "glucose": State("g/L", "glucose", 13.86, 10.0, 0.0, 200.0),
    "acetate": State("g/L", "acetate", 0.02, 5.0, 0.0, 50.0),
}

_INPUTS = {
    "feed": Input("L/h", "glucose feed", 0.0, 0.1, 0.0, 100.0),
}


def _kinetic(
    unit: str, meaning: str, value: float, lower: float, upper: float, deviation: float = 0.0
) -> Parameter:
    """A parameter of the source."""
    return Parameter(unit, meaning, value, lower, upper, deviation, _XU)


def _own(unit: str, meaning: str, value: float, lower: float, upper: float) -> Parameter:
    """An engineering addition."""
    return Parameter(unit, meaning, value, lower, upper, 0.0, _OURS)


_PARAMETERS = {
    "q_S_max": _kinetic("g/g/h", "maximal glucose uptake", 1.30, 0.5, 2.5, 0.08),
    "q_O_max": _kinetic("mmol/g/h", "maximal oxygen uptake", 15.6, 8.0, 30.0, 0.1),
    "q_Ac_max": _kinetic("g/g/h", "maximal acetate uptake", 0.06, 0.005, 0.3, 0.1),
    "q_m": _kinetic("g/g/h", "glucose for maintenance", 0.04, 0.005, 0.08),
    "K_s": _kinetic("g/L", "glucose at half maximal uptake", 0.05, 0.01, 0.5),
    "K_a": _kinetic("g/L", "acetate at half maximal uptake", 0.05, 0.01, 0.5),
    "K_i_s": _kinetic("g/L", "acetate that halves glucose uptake", 5.0, 1.0, 20.0),
    "K_i_o": _kinetic("g/L", "acetate that halves oxygen uptake", 4.0, 1.0, 20.0),
    "C_s": _kinetic("mol/g", "carbon in glucose and in acetate", 1 / 30, 0.0325, 0.0342),
    "C_x": _kinetic("mol/g", "carbon in biomass", 0.04, 0.038, 0.042),
    "Y_as": _kinetic("g/g", "acetate from overflowing glucose", 0.667, 0.5, 0.8),
    "Y_oa": _kinetic("g/g", "oxygen per acetate respired", 1.067, 0.9, 1.2),
    "Y_os": _kinetic("g/g", "oxygen per glucose respired", 1.067, 0.9, 1.2),
    "Y_xa": _kinetic("g/g", "biomass from acetate", 0.4, 0.3, 0.5),
    "Y_of": _kinetic("g/g", "biomass from overflowing glucose", 0.15, 0.1, 0.2),
    "Y_ox": _kinetic(
        "g/g", "biomass from oxidised glucose, maintenance excluded", 0.51, 0.4, 0.6, 0.05
    ),
    "feed_glucose": _kinetic("g/L", "glucose in the feed", 520.0, 50.0, 800.0),
    "feed_gain": _own("1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25),
    "optical_density_factor": _own("L/g", "optical density per biomass", 2.8, 0.5, 10.0),
    "density": _own("kg/L", "broth density", 1.0, 0.9, 1.2),
}

_OUTPUTS = {
    "oxygen_uptake": Output("g/L/h", "oxygen taken up", "online"),
    "optical_density": Output("1", "optical density at 600 nm", "online"),
    "weight": Output("kg", "broth weight", "online"),
    "biomass": Output("g/L", "dry biomass", "assay"),
    "glucose": Output("g/L", "glucose", "assay"),
    "acetate": Output("g/L", "acetate", "assay"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "dry biomass in the vessel"),
    "growth_rate": Output("1/h", "specific growth rate"),
    "carbon_dioxide_evolution_rate": Output(
        "mmol/L/h",
        "carbon dioxide evolution rate by carbon balance, given to the gas at once",
        "online",
    ),
    "respiratory_quotient": Output(
        "mmol/mmol", "carbon dioxide given to the gas over oxygen taken up", "online"
    ),
}

XuState = record("XuState", _STATES)
XuInputs = record("XuInputs", _INPUTS)
XuParameters = record("XuParameters", _PARAMETERS)
XuOutputs = record("XuOutputs", _OUTPUTS)


class Rates(NamedTuple):
    """Specific rates: 1/h for growth, otherwise g/g/h."""

    growth: Scalar
    glucose: Scalar
    acetate: Scalar
    oxygen: Scalar


def _rates(x: Any, p: Any, xp: Maths) -> Rates:
    """Uptake, oxidation up to the respiratory capacity, overflow and re-use (Xu 1999)."""
    capacity = xp.quantity(0.032, "g/mmol") * p.q_O_max / (1 + x.acetate / p.K_i_o)
    glucose = p.q_S_max / (1 + x.acetate / p.K_i_s) * saturation(x.glucose, p.K_s, xp)
    # Shares of the carbon that become biomass.
    from_glucose, from_acetate = p.Y_ox * p.C_x / p.C_s, p.Y_xa * p.C_x / p.C_s
    bottleneck = (capacity / p.Y_os - p.q_m * from_glucose) / (1 - from_glucose)
    oxidised = xp.minimum(glucose, xp.maximum(bottleneck, 0.0))
    overflow = glucose - oxidised
    respired = (oxidised - (oxidised - p.q_m) * from_glucose) * p.Y_os
    spare = xp.maximum(capacity - respired, 0.0)
    reuse = xp.minimum(
        p.q_Ac_max * saturation(x.acetate, p.K_a, xp), spare / p.Y_oa / (1 - from_acetate)
    )
    return Rates(
        growth=(oxidised - p.q_m) * p.Y_ox + overflow * p.Y_of + reuse * p.Y_xa,
        glucose=glucose,
        acetate=overflow * (1 - p.Y_of * p.C_x / p.C_s) * p.Y_as - reuse,
        oxygen=respired + reuse * p.Y_oa * (1 - from_acetate),
    )


def _rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """Balances of a fed-batch."""
    rates = _rates(x, p, xp)
    feed = u.feed * p.feed_gain
    dilution = feed / x.volume
    return XuState(
        volume=feed,
        biomass=(rates.growth - dilution) * x.biomass,
        glucose=dilution * (p.feed_glucose - x.glucose) - rates.glucose * x.biomass,
        acetate=rates.acetate * x.biomass - dilution * x.acetate,
    )


def _outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    rates = _rates(x, p, xp)
    oxygen = rates.oxygen * x.biomass
    # Carbon that is neither in biomass nor in acetate is respired (ours).
    carbon = (rates.glucose - rates.acetate) * p.C_s - rates.growth * p.C_x
    released = xp.quantity(1000.0, "mmol/mol") * carbon * x.biomass
    return XuOutputs(
        oxygen_uptake=oxygen,
        optical_density=p.optical_density_factor * x.biomass,
        weight=p.density * x.volume,
        biomass=x.biomass,
        glucose=x.glucose,
        acetate=x.acetate,
        volume=x.volume,
        product_mass=x.biomass * x.volume,
        growth_rate=rates.growth,
        carbon_dioxide_evolution_rate=released,
        respiratory_quotient=respiratory_quotient(
            released, oxygen / xp.quantity(0.032, "g/mmol"), xp
        ),
    )


_FEEDS = ((0.0, 0.01), (7.0, 0.1), (11.0, 0.15), (13.0, 0.25))
"""From this hour on, L/h."""

XU = PlantModel(
    name="ecoli_xu",
    organism="Escherichia coli W3110",
    source="Xu, Jahic, Enfors 1999, Biotechnol. Prog. 15:81-90; values by L. Hebing 2018",
    State=XuState,
    Inputs=XuInputs,
    Parameters=XuParameters,
    Outputs=XuOutputs,
    rhs=_rhs,
    outputs=_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    validity=(
        "Escherichia coli W3110 on glucose at constant temperature and pH, with oxygen in plenty: "
        "dissolved oxygen is not part of it. Acetate up to about 10 g/L. The parameters are a "
        "calibrated set; the paper's abstract gives other values for acetate's inhibition and "
        "uptake."
    ),
    equations={
        "glucose uptake": "qS = qSmax/(1+A/KiS) S/(S+KS)",
        "respiratory capacity": "qOcap = 0.032 qOmax/(1+A/KiO), g/g/h",
        "oxidation": "qSox = min(qS, (qOcap - qm y1 YOS)/(YOS (1-y1))), y1 = Yox Cx/Cs",
        "oxygen on glucose": "qOS = (qSox - (qSox-qm) y1) YOS",
        "acetate made": "pA = (qS-qSox) (1 - Yof Cx/Cs) YAS",
        "acetate uptake": "qA = min(qAcmax A/(A+KA), (qOcap-qOS)/(YOA (1-z))), z = YXA Cx/Cs",
        "growth": "mu = (qSox-qm) Yox + (qS-qSox) Yof + qA YXA",
        "carbon dioxide": "CER = 1000 ((qS - pA + qA) Cs - mu Cx) X, mmol/(L h)  [carbon balance, "
        "ours]; RQ = CER OUR/(OUR^2 + 0.001^2)",
        "balances": "dX/dt = (mu-F/V) X, dS/dt = F/V (Sf-S) - qS X, dA/dt = (pA-qA) X - F/V A, "
        "dV/dt = F",
    },
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "glucose", "acetate"),
    substeps_per_h=60,
    reference=ReferenceBatch(
        "batch on 14 g/L of glucose with a feed in steps that lets acetate rise to 9 g/L",
        15.0,
        1.0,
        profile(XuInputs(feed=0.0), [(hour, {"feed": rate}) for hour, rate in _FEEDS]),
    ),
    # Glucose is not short in this batch. Where it is, as in any good fed-batch, it follows the feed
    # at q_S_max X / K_s, hundreds per hour.
    method=Method.IMPLICIT,
)
