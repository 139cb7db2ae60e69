"""Penicillin in fed-batch: the optimal control problem of Cuthrell and Biegler.

One model, `cuthrell_biegler`, smooth, four states: growth of Contois type, a product that substrate
inhibits, maintenance.

Sources. Cuthrell and Biegler (1989), Comput. Chem. Eng. 13:49-62; Lim et al. (1986); Dadebo and
McAuley (1995); Banga et al. (2005), case I. The equations are those of the example of dt-qp-project
and of the PROPT collection (whose web page has slips: the substrate balance needs -h1 x1/0.47 and
u/x4, and h2 is a quotient).

The problem: substrate feed between 0 and 50 g/h, at 500 g/L, at most 10 L (and biomass at most 40,
substrate at most 25 g/L, which do not matter), most penicillin at the end. What this
project's optimiser reaches with a piecewise-constant feed on N equal pieces, integrated tightly:
87.827 g at 126 h (N = 126); 88.033 g (N = 132) and 88.040 g (N = 264) at 132 h. The best value
known is 88.085 g at the best time, 144 to 145 h, very flat. The literature has 87.69 to 87.99 at
128 to 132 h. An optimiser that begins from a constant feed stops up to 0.2 g below: begin with
exponential feed, a burst near 30 h and a slow rise.

Decisions. The feed is a flow, L/h: the source's u/500. Growth divides by 0.006 X + S, which is zero
in an empty vessel; 1e-8 g/L are added to it ("ours"). Without substrate, uptake is a fast mode
(hundreds per hour in the first hour, thousands in a dense culture without feed), hence an L-stable
method. Its steps, and the stated accuracy, follow from the hour in which the substrate of the burst
is used up. Density, pump gain and the deviations between batches are engineering additions of this
project, marked "ours".

Units: g/L, L, h.
"""

from typing import Any, NamedTuple

from plant_models.dialect import Maths, Scalar
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile

_CUTHRELL = "Cuthrell and Biegler 1989"
_OURS = "ours"

_STATES = {
    "volume": State("L", "broth volume", 7.0, 10.0, 1.0, 20.0),
    "biomass": State("g/L", "biomass", 1.5, 20.0, 0.0, 50.0),
    "substrate": State("g/L", "substrate", 0.0, 5.0, 0.0, 50.0),
    "product": State("g/L", "penicillin", 0.0, 5.0, 0.0, 50.0),
}

_INPUTS = {"feed": Input("L/h", "substrate feed", 0.0, 0.02, 0.0, 0.1)}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter of the paper, admitted between a fifth and five times its value."""
    return Parameter(unit, meaning, value, value / 5, value * 5, deviation, _CUTHRELL)


_PARAMETERS = {
    "mu_max": _kinetic("1/h", "maximal growth rate", 0.11, 0.08),
    "K_x": _kinetic("g/g", "substrate at half growth, per biomass (Contois)", 0.006),
    "rho_max": _kinetic("1/h", "maximal penicillin per biomass and hour", 0.0055, 0.08),
    "K_p": _kinetic("g/L", "substrate at half production", 0.0001),
    "K_in": _kinetic("g/L", "substrate that inhibits production", 0.1),
    "k_h": _kinetic("1/h", "hydrolysis of penicillin", 0.01),
    "Y_xs": _kinetic("g/g", "biomass from substrate", 0.47, 0.05),
    "Y_ps": _kinetic("g/g", "penicillin from substrate", 1.2),
    "m_s": _kinetic("1/h", "substrate for maintenance per biomass and hour", 0.029, 0.08),
    "K_m": _kinetic("g/L", "substrate at half maintenance", 0.0001),
    "S_in": _kinetic("g/L", "substrate in the feed", 500.0),
    "feed_gain": Parameter(
        "1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
    "density": Parameter("kg/L", "broth density", 1.0, 0.9, 1.2, 0.0, _OURS),
}

_OUTPUTS = {
    "biomass": Output("g/L", "biomass", "assay"),
    "substrate": Output("g/L", "substrate", "assay"),
    "product": Output("g/L", "penicillin", "assay"),
    "weight": Output("kg", "broth weight", "online"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "penicillin in the vessel"),
}

PenicillinState = record("PenicillinState", _STATES)
PenicillinInputs = record("PenicillinInputs", _INPUTS)
PenicillinParameters = record("PenicillinParameters", _PARAMETERS)
PenicillinOutputs = record("PenicillinOutputs", _OUTPUTS)


class Rates(NamedTuple):
    """Specific rates, 1/h."""

    growth: Scalar
    production: Scalar
    maintenance: Scalar


def _rates(x: Any, p: Any, xp: Maths) -> Rates:
    """Growth (Contois), production (inhibited by substrate) and maintenance, 1/h."""
    # Below zero the fractions would rise again and hold an integrator there.
    present = xp.maximum(x.substrate, 0.0)
    return Rates(
        growth=p.mu_max * present / (p.K_x * x.biomass + present + xp.quantity(1e-8, "g/L")),
        production=p.rho_max * present / (p.K_p + present * (1 + present / p.K_in)),
        maintenance=p.m_s * present / (p.K_m + present),
    )


def _rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    flow = u.feed * p.feed_gain
    dilution = flow / x.volume
    rates = _rates(x, p, xp)
    uptake = rates.growth / p.Y_xs + rates.production / p.Y_ps + rates.maintenance
    return PenicillinState(
        volume=flow,
        biomass=rates.growth * x.biomass - dilution * x.biomass,
        substrate=-uptake * x.biomass + dilution * (p.S_in - x.substrate),
        product=rates.production * x.biomass - (p.k_h + dilution) * x.product,
    )


def _outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    del u, xp
    return PenicillinOutputs(
        biomass=x.biomass,
        substrate=x.substrate,
        product=x.product,
        weight=p.density * x.volume,
        volume=x.volume,
        product_mass=x.product * x.volume,
    )


_BEST_OF_22 = (
    *(3.186, 4.907, 7.440, 11.191, 50.0, 24.915, 8.648, 8.838, 8.963, 9.055, 9.129),
    *(9.191, 9.247, 9.298, 9.345, 9.391, 9.436, 9.479, 9.522, 9.565, 9.607, 9.646),
)
"""A near-optimal feed on 22 pieces of six hours, g/h of substrate."""

MODEL = PlantModel(
    name="cuthrell_biegler",
    organism="Penicillium chrysogenum",
    source="Cuthrell and Biegler (1989), Comput. Chem. Eng. 13:49-62",
    validity=(
        "A benchmark for optimisers: batches of about 130 h from 7 to 10 L, biomass up to 40 g/L, "
        "substrate up to 25 g/L. There is no oxygen, pH or temperature in the model."
    ),
    equations={
        "growth": "mu = mu_max S/(K_x X+S+1e-8)  [h1; guard ours]",
        "production": "rho = rho_max S/(K_p+S(1+S/K_in))  [h2]",
        "biomass": "dX/dt = mu X - F/V X  [x1]",
        "penicillin": "dP/dt = rho X - k_h P - F/V P  [x2]",
        "substrate": "dS/dt = -mu X/Y_xs - rho X/Y_ps - m_s X S/(K_m+S) + F/V (S_in - S)  [x3]",
        "volume": "dV/dt = F, F = u/S_in  [x4]",
    },
    State=PenicillinState,
    Inputs=PenicillinInputs,
    Parameters=PenicillinParameters,
    Outputs=PenicillinOutputs,
    rhs=_rhs,
    outputs=_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "substrate", "product"),
    substeps_per_h=200,
    reference=ReferenceBatch(
        "a near-optimal feed on 22 pieces of six hours: 87.97 g",
        132.0,
        1.0,
        profile(
            PenicillinInputs(feed=0.0),
            [(6.0 * piece, {"feed": feed / 500}) for piece, feed in enumerate(_BEST_OF_22)],
        ),
    ),
    method=Method.IMPLICIT,
    accuracy=1e-4,
)
