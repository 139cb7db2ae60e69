"""Penicillin in a fed-batch with substrate inhibition: the example of Srinivasan (2003).

Growth with substrate inhibition (Haldane) and a product that cells make at a constant rate, in two
models:

- `CONTROL`: the equations as published; smooth, meant for the filter and the optimiser.
- `PLANT`: the same, except that the product ends with the substrate; the simulated plant.

Sources. Srinivasan, Palanki, Bonvin (2003), Comput. Chem. Eng. 27:1-26 (part I) and 27:27-44 (part
II); also the bioreactor of Lucia and Engell (NMPC 2012) and the example `batch_reactor` of do-mpc,
whose values stand here and whose closed-loop course the tests reproduce. Units are the paper's,
g/L, L and h; those in the files of the examples contradict each other.

Variants. The yield `Y_x` (0.5; 0.4 and 0.3) and the feed's substrate `S_in` (200; 180 and 220 g/L)
are the uncertain parameters of Lucia and Engell. The paper starts with 150 L and a feed of at most
1 L/h, do-mpc with 120 L (here) and 0.2 L/h; both limit biomass to 3.7 g/L.

The problem of the paper, most product at 150 h, and its trap. The best feed keeps the substrate
where growth is fastest, sqrt(K_m K_i) = 0.5 g/L, until the biomass is at its limit (about 81 h),
then holds the biomass with next to no substrate: 1.6827 g/L of product. Beside it there are many
local optima on which an optimiser stops and calls the problem solved: with much substrate growth is
inhibited and the biomass keeps its limit as well, with 1.49 to 1.62 g/L. So begin an optimisation
from a course like the reference batch, and keep the feed's upper bound low (0.2 L/h removes most
traps).

Decision. As published, the product is made, and takes substrate, even where there is none; the
substrate then settles at about -0.004 g/L (do-mpc admits -0.01, and so does `CONTROL`): product is
made from biomass. In `PLANT` the product ends with the last 1e-4 g/L of substrate, by a factor
z (2 - z), "ours", so that nothing becomes negative. Above that the equations are equal; the
published courses stay there, but for a moment when the biomass reaches its limit. When substrate
runs out, the end of the product is a fast mode (250 1/h), for which the steps of `PLANT` are
chosen.

Density, pump gain and the deviations between batches are engineering additions of this project,
marked "ours".
"""

from typing import Any

from plant_models.dialect import Maths, Scalar
from plant_models.model import Input, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch

_SRINIVASAN = "Srinivasan et al. 2003, as in do-mpc"
_OURS = "ours"

_STATES = {
    "volume": State("L", "broth volume", 120.0, 100.0, 1.0, 1000.0),
    "biomass": State("g/L", "biomass", 1.0, 1.0, 0.0, 50.0),
    "substrate": State("g/L", "substrate", 0.5, 1.0, 0.0, 200.0),
    "product": State("g/L", "product", 0.0, 1.0, 0.0, 50.0),
}

# As published, product may be made from biomass: substrate settles a little below zero.
_CONTROL_STATES = {
    **_STATES,
    "substrate": State("g/L", "substrate", 0.5, 1.0, -0.01, 200.0),
}

_INPUTS = {"feed": Input("L/h", "substrate feed", 0.0, 1.0, 0.0, 1.0)}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter of the paper, admitted between a fifth and five times its value."""
    return Parameter(unit, meaning, value, value / 5, value * 5, deviation, _SRINIVASAN)


_PARAMETERS = {
    "mu_m": _kinetic("1/h", "growth rate without inhibition", 0.02, 0.05),
    "K_m": _kinetic("g/L", "substrate at half growth", 0.05),
    "K_i": _kinetic("g/L", "substrate that inhibits growth", 5.0),
    "v": _kinetic("1/h", "product per biomass and hour", 0.004, 0.05),
    "Y_p": _kinetic("g/g", "product from substrate", 1.2),
    "Y_x": _kinetic("g/g", "biomass from substrate", 0.5, 0.12),
    "S_in": _kinetic("g/L", "substrate in the feed", 200.0, 0.05),
    "feed_gain": Parameter(
        "1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25, 0.0, _OURS
    ),
    "density": Parameter("kg/L", "broth density", 1.0, 0.9, 1.2, 0.0, _OURS),
}

_OUTPUTS = {
    "biomass": Output("g/L", "biomass", "assay"),
    "substrate": Output("g/L", "substrate", "assay"),
    "product": Output("g/L", "product", "assay"),
    "weight": Output("kg", "broth weight", "online"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "product in the vessel"),
}

BatchState = record("BatchState", _STATES)
BatchInputs = record("BatchInputs", _INPUTS)
BatchParameters = record("BatchParameters", _PARAMETERS)
BatchOutputs = record("BatchOutputs", _OUTPUTS)


def _growth(x: Any, p: Any) -> Scalar:
    """Specific growth rate with substrate inhibition, 1/h."""
    return p.mu_m * x.substrate / (p.K_m + x.substrate + x.substrate**2 / p.K_i)


def _balances(x: Any, u: Any, p: Any, production: Scalar) -> Any:
    """Balances of the fed-batch; `production` is product per biomass, 1/h."""
    flow = u.feed * p.feed_gain
    dilution = flow / x.volume
    growth = _growth(x, p) * x.biomass
    formation = production * x.biomass
    return BatchState(
        volume=flow,
        biomass=growth - dilution * x.biomass,
        substrate=-growth / p.Y_x - formation / p.Y_p + dilution * (p.S_in - x.substrate),
        product=formation - dilution * x.product,
    )


def _control_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """The equations as published."""
    del xp
    return _balances(x, u, p, p.v)


def _plant_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """As published, but the product ends smoothly with the last 1e-4 g/L of substrate (ours)."""
    left = xp.minimum(xp.maximum(x.substrate / xp.quantity(1e-4, "g/L"), 0.0), 1.0)
    return _balances(x, u, p, p.v * left * (2 - left))


def _outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    del u, xp
    return BatchOutputs(
        biomass=x.biomass,
        substrate=x.substrate,
        product=x.product,
        weight=p.density * x.volume,
        volume=x.volume,
        product_mass=x.product * x.volume,
    )


_BIOMASS_LIMIT = 3.7
"""Limit of the published problem, g/L: what the oxygen supply can bear."""


def _published_structure(time_h: float, state: Any, dense: Any) -> tuple[Any, Any, Any]:
    """Hold the substrate at 0.5 g/L until the biomass is at its limit, then the biomass.

    Both feeds follow from the balances with the nominal parameters; `dense` remembers that the
    limit has been reached.
    """
    del time_h
    # Fastest growth is mu_m / (1 + 2 sqrt(K_m / K_i)) = 0.02 / 1.2 per hour. Another hour of it is
    # left out when it and the substrate that is left would bring the biomass beyond its limit.
    fastest = 0.02 / 1.2
    dense = dense or state.biomass * (1 + fastest) + 0.5 * state.substrate >= _BIOMASS_LIMIT
    growing = state.biomass * (fastest / 0.5 + 0.004 / 1.2) / (200.0 - state.substrate)
    holding = _BIOMASS_LIMIT * 0.004 / 1.2 / (200.0 - _BIOMASS_LIMIT / 0.5)
    return BatchInputs(feed=state.volume * (holding if dense else growing)), state, dense


_SOURCE = (
    "Srinivasan, Palanki, Bonvin (2003), Comput. Chem. Eng. 27:27-44; values as in the do-mpc "
    "example batch_reactor"
)

_VALIDITY = (
    "A benchmark for optimisers, not a description of one strain: biomass up to 3.7 g/L, batches "
    "of about 150 h, substrate 0 to 20 g/L. Many local optima: begin an optimisation near the "
    "reference batch. There is no oxygen, pH or temperature in the model."
)

_EQUATIONS = {
    "growth": "mu = mu_m S/(K_m + S + S^2/K_i)  [Srinivasan 2003]",
    "product": "q_P = v  [Srinivasan 2003]",
    "substrate": "dS/dt = -mu X/Y_x - q_P X/Y_p + F/V (S_in - S)  [Srinivasan 2003]",
    "balances": "dX/dt = mu X - F/V X, dP/dt = q_P X - F/V P, dV/dt = F  [Srinivasan 2003]",
}

_PLANT_EQUATIONS = {
    **_EQUATIONS,
    "product": "q_P = v z (2 - z), z = S/1e-4, at least 0, at most 1  [Srinivasan 2003; z ours]",
}

_REFERENCE = ReferenceBatch(
    "the structure of the published optimum: substrate at 0.5 g/L until the biomass reaches about "
    "3.7 g/L, then biomass held",
    150.0,
    1.0,
    _published_structure,
    memory=False,
)

PLANT = PlantModel(
    name="batch_bioreactor",
    organism="Penicillium chrysogenum",
    source=f"{_SOURCE}; end of the product: ours",
    validity=_VALIDITY,
    equations=_PLANT_EQUATIONS,
    State=BatchState,
    Inputs=BatchInputs,
    Parameters=BatchParameters,
    Outputs=BatchOutputs,
    rhs=_plant_rhs,
    outputs=_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "substrate", "product"),
    substeps_per_h=100,
    reference=_REFERENCE,
)

CONTROL = PlantModel(
    name="batch_bioreactor_control",
    organism="Penicillium chrysogenum",
    source=_SOURCE,
    validity=_VALIDITY,
    equations=_EQUATIONS,
    State=BatchState,
    Inputs=BatchInputs,
    Parameters=BatchParameters,
    Outputs=BatchOutputs,
    rhs=_control_rhs,
    outputs=_outputs,
    states=_CONTROL_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "substrate", "product"),
    substeps_per_h=8,
    reference=_REFERENCE,
)
