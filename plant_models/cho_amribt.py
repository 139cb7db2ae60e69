"""Hybridoma cells with overflow metabolism in fed-batch: the macroscopic model of Amribt (2013).

Two models of one organism, from shared equations:

- `PLANT`: the equations as published, with the minimum of demand and respiratory bottleneck.
- `CONTROL`: the same with rounded minima, for the filter and the optimiser.

Sources. Amribt, Niu, Bogaerts (2013), Biochem. Eng. J. 70:196-209, cell line hybridoma ATCC HB-58;
related: Niu et al. (2013), Chem. Eng. Sci. Parameter values and the product rate: BPL_CHO_Fedbatch
(parameter file `Amribt_lab`), whose public figures 5 and 12 the tests' runs agree with. The product
is an addition of that library's author; the paper has no antibody data.

Ideas. A cell takes up what the medium offers; only so much of it passes the bottleneck and serves
growth, the rest overflows, glucose to lactate and glutamine to lactate and ammonia.

Decisions. Maintenance is the smaller of a constant and the concentration (as in BPL, so that it
vanishes with the substrate); the constant of that proportion, 1 L/(1e9 h), is implied there and
named here. BPL labels the product rate ng/1e6 cells/h, which does not fit its value; 0.4167 mg/(1e9
h), 10 pg/cell/day, is taken. The optional lysed cells of BPL, switched off there, are left out.
Oxygen, pH and gases are not part of the model. Capacitance, density, pump gain and the deviations
between cell lines are engineering additions of this project, marked "ours"; so is the width of the
rounding.

Units: 1e9 cells/L (= 1e6 cells/mL), mmol/L, mg/L for the antibody, L, h.
"""

from typing import Any, NamedTuple

from plant_models.dialect import Maths, Scalar
from plant_models.model import Input, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile
from plant_models.smooth import saturation

_AMRIBT = "Amribt et al. 2013, as in BPL_CHO_Fedbatch"
_BPL = "BPL_CHO_Fedbatch"
_OURS = "ours"

_STATES = {
    "volume": State("L", "broth volume", 0.30, 0.5, 1e-2, 10.0),
    "viable_cells": State("1e9 cells/L", "viable cell density", 0.172, 2.0, 0.0, 50.0),
    "dead_cells": State("1e9 cells/L", "dead cell density", 0.020, 1.0, 0.0, 50.0),
    "glucose": State("mmol/L", "glucose", 17.83, 10.0, 0.0, 100.0),
    "glutamine": State("mmol/L", "glutamine", 3.74, 2.0, 0.0, 50.0),
    "lactate": State("mmol/L", "lactate", 0.12, 20.0, 0.0, 100.0),
    "ammonia": State("mmol/L", "ammonia", 0.24, 3.0, 0.0, 50.0),
    "product": State("mg/L", "antibody titre", 0.0, 100.0, 0.0, 5000.0),
}

_INPUTS = {
    "feed": Input("L/h", "feed of glucose and glutamine", 0.0, 0.005, 0.0, 0.05),
}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter of the paper, admitted between a fifth and five times its value."""
    return Parameter(unit, meaning, value, value / 5, value * 5, deviation, _AMRIBT)


_SPECIFIC = "mmol/(1e9 cells)/h"
_PRODUCTION = "mg/(1e9 cells)"

_PARAMETERS = {
    "qGmax1": _kinetic(_SPECIFIC, "maximal glucose uptake", 0.2971),
    "qGmax2": _kinetic(_SPECIFIC, "glucose that passes the bottleneck", 0.0384, 0.08),
    "mG": _kinetic(_SPECIFIC, "glucose for maintenance", 0.0383, 0.08),
    "KG": _kinetic("mmol/L", "glucose at half uptake", 1.0016),
    "KGn1": _kinetic("mmol/L", "glutamine at half glucose uptake", 0.1029),
    "qGnmax1": _kinetic(_SPECIFIC, "maximal glutamine uptake", 0.1238),
    "qGnmax2": _kinetic(_SPECIFIC, "glutamine that passes the bottleneck", 0.0218, 0.08),
    "mGn": _kinetic(_SPECIFIC, "glutamine for maintenance", 0.0025),
    "KGn": _kinetic("mmol/L", "glutamine at half uptake", 0.0314),
    "KN": _kinetic("mmol/L", "ammonia that halves glutamine uptake", 1.9268),
    "a": _kinetic("1e9 cells/mmol", "cells from glucose", 0.6722, 0.08),
    "c": _kinetic("1e9 cells/mmol", "cells from glutamine", 0.3466),
    "b": _kinetic("mmol/mmol", "lactate from glucose that passes the bottleneck", 1.818),
    "d": _kinetic("mmol/mmol", "ammonia from glutamine that passes the bottleneck", 0.4929),
    "mu_dmax": _kinetic("1/h", "maximal death rate", 0.1302, 0.08),
    "KGd": _kinetic("mmol/L", "glucose at half maximal death", 0.4347),
    "KGnd": _kinetic("mmol/L", "glutamine at half maximal death", 0.002),
    "alpha": Parameter(
        _PRODUCTION, "antibody with growth (negative: against)", 0.0, -50.0, 50.0, 0.0, _BPL
    ),
    "beta": Parameter(
        f"{_PRODUCTION}/h", "antibody of a resting cell", 10 / 24, 0.0, 5.0, 0.1, _BPL
    ),
    "feed_glucose": Parameter("mmol/L", "glucose in the feed", 15.0, 0.0, 1000.0, 0.0, _AMRIBT),
    "feed_glutamine": Parameter("mmol/L", "glutamine in the feed", 9.3, 0.0, 200.0, 0.0, _AMRIBT),
    "feed_gain": Parameter(
        "1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
    "cell_capacitance": Parameter(
        "pF/cm/(1e9 cells/L)", "capacitance per viable cell density", 0.6, 0.12, 3.0, 0.0, _OURS
    ),
    "density": Parameter("kg/L", "broth density", 1.0, 0.9, 1.2, 0.0, _OURS),
}

_OUTPUTS = {
    "viable_cells": Output("1e9 cells/L", "viable cell density", "assay"),
    "viability": Output("percent", "viable fraction of all cells", "assay"),
    "glucose": Output("mmol/L", "glucose", "assay"),
    "glutamine": Output("mmol/L", "glutamine", "assay"),
    "lactate": Output("mmol/L", "lactate", "assay"),
    "ammonia": Output("mmol/L", "ammonia", "assay"),
    "titre": Output("mg/L", "antibody titre", "assay"),
    "weight": Output("kg", "broth weight", "online"),
    "capacitance": Output("pF/cm", "capacitance of viable cells", "online"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "antibody in the vessel"),
    "growth_rate": Output("1/h", "specific growth rate"),
    "glucose_overflow": Output(_SPECIFIC, "glucose taken up beyond the bottleneck"),
    "glutamine_overflow": Output(_SPECIFIC, "glutamine taken up beyond the bottleneck"),
}

AmribtState = record("AmribtState", _STATES)
AmribtInputs = record("AmribtInputs", _INPUTS)
AmribtParameters = record("AmribtParameters", _PARAMETERS)
AmribtOutputs = record("AmribtOutputs", _OUTPUTS)


class Nutrients(NamedTuple):
    """Specific rates of the two nutrients, mmol/(1e9 h)."""

    glucose: Scalar
    glutamine: Scalar


class Metabolism(NamedTuple):
    """What a cell does at this moment.

    Attributes:
        uptake: what it takes up for growth and overflow.
        used: the part that passes the bottleneck.
        overflow: the part beyond it.
        maintenance: what it takes up beside that.
        growth: 1/h.
        product: mg/(1e9 h).
    """

    uptake: Nutrients
    used: Nutrients
    overflow: Nutrients
    maintenance: Nutrients
    growth: Scalar
    product: Scalar


def _uptake(x: Any, p: Any, xp: Maths) -> Nutrients:
    """qG1 and qGn1: what the medium offers, glutamine less with ammonia."""
    return Nutrients(
        glucose=p.qGmax1 * saturation(x.glucose, p.KG, xp) * saturation(x.glutamine, p.KGn1, xp),
        glutamine=p.qGnmax1 * saturation(x.glutamine, p.KGn, xp) * (p.KN / (p.KN + x.ammonia)),
    )


def _growth(used: Nutrients, p: Any) -> Scalar:
    return p.a * used.glucose + p.c * used.glutamine


def _for_maintenance(x: Any, xp: Maths) -> Nutrients:
    """What substrates that run out leave for maintenance."""
    constant = xp.quantity(1.0, "L/(1e9 cells)/h")
    return Nutrients(constant * x.glucose, constant * x.glutamine)


def _published(x: Any, p: Any, xp: Maths) -> Metabolism:
    """Metabolism with the minima and the maximum as they stand in the source."""
    uptake, left = _uptake(x, p, xp), _for_maintenance(x, xp)
    used = Nutrients(xp.minimum(uptake.glucose, p.qGmax2), xp.minimum(uptake.glutamine, p.qGnmax2))
    growth = _growth(used, p)
    return Metabolism(
        uptake=uptake,
        used=used,
        overflow=Nutrients(uptake.glucose - used.glucose, uptake.glutamine - used.glutamine),
        maintenance=Nutrients(xp.minimum(p.mG, left.glucose), xp.minimum(p.mGn, left.glutamine)),
        growth=growth,
        product=xp.maximum(p.alpha * growth + p.beta, 0.0),
    )


class Split(NamedTuple):
    """An offer in two parts: the smaller of offer and capacity, and the rest."""

    smaller: Scalar
    rest: Scalar


def _positive_part(value: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """The value or zero, whichever is larger, rounded: (v + s)/2 with s = sqrt(v^2 + width^2).

    Written without a difference of like numbers, which would lose digits far below zero.
    """
    size = xp.maximum(value, -value)
    return xp.maximum(value, 0.0) + width**2 / (2 * (size + xp.sqrt(value**2 + width**2)))


def _split(offer: Scalar, capacity: Scalar, xp: Maths) -> Split:
    """The offer split at a capacity, rounded over a fiftieth of it.

    With s = sqrt((a - b)^2 + w^2), min(a, b) is about 2ab/(a + b + s): as good as (a + b - s)/2,
    but nothing of nothing. With e the positive part of a - b, a + b + s = 2 (b + e).
    """
    beyond = _positive_part(offer - capacity, capacity / 50, xp)
    share = capacity / (capacity + beyond)
    return Split(smaller=offer * share, rest=offer * beyond / (capacity + beyond))


def _rounded(x: Any, p: Any, xp: Maths) -> Metabolism:
    """Metabolism with a derivative everywhere (ours)."""
    uptake, left = _uptake(x, p, xp), _for_maintenance(x, xp)
    glucose = _split(uptake.glucose, p.qGmax2, xp)
    glutamine = _split(uptake.glutamine, p.qGnmax2, xp)
    used = Nutrients(glucose.smaller, glutamine.smaller)
    growth = _growth(used, p)
    width = xp.quantity(1e-4, f"{_PRODUCTION}/h")
    return Metabolism(
        uptake=uptake,
        used=used,
        overflow=Nutrients(glucose.rest, glutamine.rest),
        maintenance=Nutrients(
            _split(left.glucose, p.mG, xp).smaller, _split(left.glutamine, p.mGn, xp).smaller
        ),
        growth=growth,
        product=_positive_part(p.alpha * growth + p.beta, width, xp),
    )


def _death(x: Any, p: Any, xp: Maths) -> Scalar:
    """Specific death rate for want of glucose and glutamine, 1/h."""
    glucose, glutamine = xp.maximum(x.glucose, 0.0), xp.maximum(x.glutamine, 0.0)
    return p.mu_dmax * (p.KGd / (p.KGd + glucose)) * (p.KGnd / (p.KGnd + glutamine))


def _balances(x: Any, u: Any, p: Any, cell: Metabolism, xp: Maths) -> Any:
    """Balances of cells and components in a fed-batch.

    Glucose that overflows gives two lactate, glutamine half a lactate and one ammonia.
    """
    flow = u.feed * p.feed_gain
    dilution = flow / x.volume
    cells = x.viable_cells
    uptake, used, overflow = cell.uptake, cell.used, cell.overflow
    death = _death(x, p, xp)
    glucose = uptake.glucose + cell.maintenance.glucose
    glutamine = uptake.glutamine + cell.maintenance.glutamine
    lactate = p.b * used.glucose + 2 * overflow.glucose + 0.5 * overflow.glutamine
    ammonia = p.d * used.glutamine + overflow.glutamine
    return AmribtState(
        volume=flow,
        viable_cells=(cell.growth - death - dilution) * cells,
        dead_cells=death * cells - dilution * x.dead_cells,
        glucose=-glucose * cells + dilution * (p.feed_glucose - x.glucose),
        glutamine=-glutamine * cells + dilution * (p.feed_glutamine - x.glutamine),
        lactate=lactate * cells - dilution * x.lactate,
        ammonia=ammonia * cells - dilution * x.ammonia,
        product=cell.product * cells - dilution * x.product,
    )


def _outputs(x: Any, p: Any, cell: Metabolism, xp: Maths) -> Any:
    # A vessel without any cells has no viability; the guard of 1000 cells/L makes it zero.
    cells = x.viable_cells + x.dead_cells + xp.quantity(1e-6, "1e9 cells/L")
    return AmribtOutputs(
        viable_cells=x.viable_cells,
        viability=xp.quantity(100.0, "percent") * x.viable_cells / cells,
        glucose=x.glucose,
        glutamine=x.glutamine,
        lactate=x.lactate,
        ammonia=x.ammonia,
        titre=x.product,
        weight=p.density * x.volume,
        capacitance=p.cell_capacitance * x.viable_cells,
        volume=x.volume,
        product_mass=x.product * x.volume / xp.quantity(1000.0, "mg/g"),
        growth_rate=cell.growth,
        glucose_overflow=cell.overflow.glucose,
        glutamine_overflow=cell.overflow.glutamine,
    )


def _plant_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    return _balances(x, u, p, _published(x, p, xp), xp)


def _plant_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    del u
    return _outputs(x, p, _published(x, p, xp), xp)


def _control_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    return _balances(x, u, p, _rounded(x, p, xp), xp)


def _control_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    del u
    return _outputs(x, p, _rounded(x, p, xp), xp)


_SOURCE = (
    "Amribt, Niu, Bogaerts (2013), Biochem. Eng. J. 70:196-209; parameters and product rate: "
    "BPL_CHO_Fedbatch"
)

_VALIDITY = (
    "Hybridoma HB-58 in bench vessels at constant temperature, pH and oxygen: glucose up to about "
    "20 mmol/L, glutamine up to 5 mmol/L, viable cells up to about 4e9/L, feeds of 15 mmol/L "
    "glucose and 4 to 9 mmol/L glutamine. There is no oxygen or pH in the model. The antibody is "
    "not from the paper: fit alpha and beta before relying on them."
)

_EQUATIONS = {
    "glucose uptake": "qG1 = qGmax1 G/(KG+G) Gn/(KGn1+Gn)  [Amribt 2013]",
    "glutamine uptake": "qGn1 = qGnmax1 Gn/(KGn+Gn) KN/(KN+N)  [Amribt 2013]",
    "bottleneck": "qG = min(qG1, qGmax2), qN = min(qGn1, qGnmax2)  [Amribt 2013]",
    "overflow": "qGo = qG1 - qG, qNo = qGn1 - qN  [Amribt 2013]",
    "growth": "mu = a qG + c qN  [Amribt 2013]",
    "death": "mu_d = mu_dmax KGd/(KGd+G) KGnd/(KGnd+Gn)  [Amribt 2013]",
    "maintenance": "min(mG, G) and min(mGn, Gn), with 1 L/(1e9 h)  [BPL]",
    "lactate": "qL = b qG + 2 qGo + 0.5 qNo  [Amribt 2013]",
    "ammonia": "qA = d qN + qNo  [Amribt 2013]",
    "product": "qP = max(0, alpha mu + beta)  [BPL]",
    "balances": "d(c)/dt = q Xv + F/V (c_feed - c), dV/dt = F",
}

_CONTROL_EQUATIONS = {
    **_EQUATIONS,
    "bottleneck": "qG = smin(qG1, qGmax2), qN = smin(qGn1, qGnmax2), "
    "smin(a, b) = ab/(b + pos(a - b, b/50)), pos(v, w) = (v + sqrt(v^2 + w^2))/2  [ours]",
    "maintenance": "smin(G, mG) and smin(Gn, mGn), with 1 L/(1e9 h)  [ours]",
    "product": "qP = pos(alpha mu + beta, 0.0001)  [ours]",
}

_FEED_FROM = {"feed": 0.1 / 24}

_REFERENCE = ReferenceBatch(
    "experiment 4 of the paper (figure 5 of BPL_CHO_Fedbatch): feed of 0.1 L/day from 63.5 h",
    200.0,
    1.0,
    profile(AmribtInputs(feed=0.0), [(0.0, {}), (63.5, _FEED_FROM)]),
    edges_h=(63.5,),
)

PLANT = PlantModel(
    name="cho_amribt",
    organism="hybridoma",
    source=_SOURCE,
    validity=_VALIDITY,
    equations=_EQUATIONS,
    State=AmribtState,
    Inputs=AmribtInputs,
    Parameters=AmribtParameters,
    Outputs=AmribtOutputs,
    rhs=_plant_rhs,
    outputs=_plant_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("viable_cells", "glucose", "titre"),
    # Steps across the kinks of the minima lose accuracy, not stability.
    substeps_per_h=40,
    reference=_REFERENCE,
)

CONTROL = PlantModel(
    name="cho_amribt_control",
    organism="hybridoma",
    source=f"{_SOURCE}; rounded minima: ours",
    validity=_VALIDITY,
    equations=_CONTROL_EQUATIONS,
    State=AmribtState,
    Inputs=AmribtInputs,
    Parameters=AmribtParameters,
    Outputs=AmribtOutputs,
    rhs=_control_rhs,
    outputs=_control_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("viable_cells", "glucose", "titre"),
    # Three would do for the reference batch; 4e9 cells/L without glutamine take it up at 14 1/h.
    substeps_per_h=10,
    reference=_REFERENCE,
)
