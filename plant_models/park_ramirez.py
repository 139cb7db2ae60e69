"""A secreted foreign protein from yeast in fed-batch: the optimal control problem of Park-Ramirez.

One model, `park_ramirez`, smooth, five states: cells grow on glucose, make a protein best with
little glucose, and secrete it best when they grow.

Sources. Park and Ramirez (1988), AIChE J. 34:1550-1558; equations and values agree in the PROPT
collection of optimal control problems, the example of AMIGO2, a GAMSPy model and the example
`scerevisiae_SEY2102_fedbatch` of HILO-MPC.

The problem: feed between 0 and 2 L/h over 15 h, most secreted protein at the end. The best values
known, by piecewise-constant feed on N equal pieces and integrated tightly: 32.688 (N = 150), 32.694
(300) and 32.695 (600). Values in the literature, 32.4 to 32.69, differ by their discretisation
alone. On few pieces a collocation of third degree has false local optima (31.4 to 32.0 with N = 15,
where 32.287 is the best); its plans must be integrated again. The optimum has singular arcs.

Decisions. The source gives protein in arbitrary units; here it is grams. Density, pump gain and the
deviations between batches are engineering additions of this project, marked "ours".

Units: g/L, L, h.
"""

from typing import Any

from plant_models.dialect import Maths, Scalar
from plant_models.model import Input, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile

_PARK_RAMIREZ = "Park and Ramirez 1988"
_OURS = "ours"

_STATES = {
    "volume": State("L", "broth volume", 1.0, 10.0, 0.1, 100.0),
    "biomass": State("g/L", "cells", 1.0, 2.0, 0.0, 100.0),
    "glucose": State("g/L", "glucose", 5.0, 2.0, 0.0, 50.0),
    "total_protein": State(
        "g/L", "foreign protein, in the cells and secreted", 0.0, 2.0, 0.0, 50.0
    ),
    "product": State("g/L", "secreted foreign protein", 0.0, 2.0, 0.0, 50.0),
}

_INPUTS = {"feed": Input("L/h", "glucose feed", 0.0, 1.0, 0.0, 10.0)}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter of the paper, admitted between a fifth and five times its value."""
    return Parameter(unit, meaning, value, value / 5, value * 5, deviation, _PARK_RAMIREZ)


_PARAMETERS = {
    "mu_c": _kinetic("g/L/h", "constant of growth", 21.87, 0.08),
    "K_s": _kinetic("g/L", "glucose at half growth", 0.4),
    "K_i": _kinetic("g/L", "glucose that inhibits growth", 62.5),
    "f_c": _kinetic("g/g/h", "constant of protein expression", 1.0, 0.08),
    "K_e": _kinetic("g/L", "glucose at half expression", 0.1),
    "k_r": _kinetic("L/g", "repression of expression by glucose", 5.0),
    "phi_max": _kinetic("1/h", "maximal secretion rate", 4.75),
    "K_mu": _kinetic("1/h", "growth rate at half secretion", 0.12),
    "Y": _kinetic("g/g", "glucose per cells grown", 7.3, 0.08),
    "S_in": _kinetic("g/L", "glucose in the feed", 20.0),
    "feed_gain": Parameter(
        "1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
    "density": Parameter("kg/L", "broth density", 1.0, 0.9, 1.2, 0.0, _OURS),
}

_OUTPUTS = {
    "biomass": Output("g/L", "cells", "assay"),
    "glucose": Output("g/L", "glucose", "assay"),
    "total_protein": Output("g/L", "foreign protein, in the cells and secreted", "assay"),
    "product": Output("g/L", "secreted foreign protein", "assay"),
    "weight": Output("kg", "broth weight", "online"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "secreted foreign protein in the vessel"),
}

ProteinState = record("ProteinState", _STATES)
ProteinInputs = record("ProteinInputs", _INPUTS)
ProteinParameters = record("ProteinParameters", _PARAMETERS)
ProteinOutputs = record("ProteinOutputs", _OUTPUTS)


def _growth(x: Any, p: Any) -> Scalar:
    """Specific growth rate, 1/h: Monod with inhibition, in the form of the paper."""
    return p.mu_c * x.glucose / ((x.glucose + p.K_s) * (x.glucose + p.K_i))


def _rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    flow = u.feed * p.feed_gain
    dilution = flow / x.volume
    growth = _growth(x, p)
    expression = p.f_c * x.glucose * xp.exp(-p.k_r * x.glucose) / (p.K_e + x.glucose)
    secretion = p.phi_max * growth / (p.K_mu + growth)
    return ProteinState(
        volume=flow,
        biomass=growth * x.biomass - dilution * x.biomass,
        glucose=-p.Y * growth * x.biomass + dilution * (p.S_in - x.glucose),
        total_protein=expression * x.biomass - dilution * x.total_protein,
        product=secretion * (x.total_protein - x.product) - dilution * x.product,
    )


def _outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    del u, xp
    return ProteinOutputs(
        biomass=x.biomass,
        glucose=x.glucose,
        total_protein=x.total_protein,
        product=x.product,
        weight=p.density * x.volume,
        volume=x.volume,
        product_mass=x.product * x.volume,
    )


_BEST_OF_15 = (
    *(0.164, 0.230, 0.307, 0.416, 0.560, 0.761, 1.005, 1.474),
    *(2.0, 2.0, 0.0, 0.860, 0.860, 0.888, 1.231),
)
"""The best of all feeds on fifteen pieces of an hour, L/h."""

MODEL = PlantModel(
    name="park_ramirez",
    organism="Saccharomyces cerevisiae",
    source="Park and Ramirez (1988), AIChE J. 34:1550-1558",
    validity=(
        "A benchmark for optimisers: batches of about 15 h from one litre, feeds up to 2 L/h "
        "(10 in variants), glucose 0 to 10 g/L. There is no oxygen, pH or temperature in the model."
    ),
    equations={
        "growth": "mu = mu_c S/((S+K_s)(S+K_i))  [g3]",
        "expression": "f = f_c S exp(-k_r S)/(K_e+S)  [g2]",
        "secretion": "phi = phi_max mu/(K_mu+mu)  [g1]",
        "secreted protein": "dP_M/dt = phi (P_T - P_M) - F/V P_M  [x1]",
        "total protein": "dP_T/dt = f X - F/V P_T  [x2]",
        "cells": "dX/dt = mu X - F/V X  [x3]",
        "glucose": "dS/dt = -Y mu X + F/V (S_in - S)  [x4]",
        "volume": "dV/dt = F  [x5]",
    },
    State=ProteinState,
    Inputs=ProteinInputs,
    Parameters=ProteinParameters,
    Outputs=ProteinOutputs,
    rhs=_rhs,
    outputs=_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "glucose", "product"),
    substeps_per_h=64,
    reference=ReferenceBatch(
        "the best feed on fifteen pieces of an hour: 32.287 g",
        15.0,
        1.0,
        profile(
            ProteinInputs(feed=0.0),
            [(float(hour), {"feed": feed}) for hour, feed in enumerate(_BEST_OF_15)],
        ),
    ),
)
