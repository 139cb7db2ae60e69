"""A yeast that secretes an enzyme, grown on glycerol in fed-batch: the example of a site's model.

Model `phaffii_enzyme`: Monod growth on glycerol and oxygen, Pirt's maintenance, a product that is
formed with growth and without it, and oxygen transfer that follows the stirrer.

Sources. Growth: Monod (1949), Annu. Rev. Microbiol. 3:371. Maintenance: Pirt (1965), Proc. R. Soc.
B 163:224. Product: Luedeking and Piret (1959), J. Biochem. Microbiol. Technol. Eng. 1:393. Oxygen:
ours. All numbers are illustrative: replace them by what your runs say, and name the runs as their
source.

Units: g/L, L, h; oxygen in mmol.
"""

from typing import Any

from plant_models.dialect import Maths
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile

STATES = {
    # unit, meaning, at inoculation, typical size, lower, upper
    "volume": State("L", "broth volume", 5.0, 10.0, 1.0, 20.0),
    "biomass": State("g/L", "dry biomass", 0.5, 20.0, 0.0, 150.0),
    "glycerol": State("g/L", "glycerol", 20.0, 10.0, 0.0, 100.0),
    "enzyme": State("g/L", "secreted enzyme", 0.0, 1.0, 0.0, 20.0),
    "oxygen": State("mmol/L", "dissolved oxygen", 0.24, 0.2, 0.0, 1.5),
}

INPUTS = {
    # unit, meaning, nominal, typical size, lower, upper
    "feed": Input("L/h", "glycerol feed", 0.0, 0.05, 0.0, 0.5),
    "stirrer": Input("rpm", "stirrer speed", 600.0, 1000.0, 100.0, 2000.0),
}

_EXAMPLE = "illustrative"

PARAMETERS = {
    # unit, meaning, value, lower, upper, deviation of its logarithm between batches, source
    "mu_max": Parameter("1/h", "maximal growth rate", 0.25, 0.1, 0.4, 0.1, _EXAMPLE),
    "K_S": Parameter("g/L", "glycerol at half growth", 0.1, 0.01, 1.0, 0.0, _EXAMPLE),
    "Y_XS": Parameter("g/g", "biomass from glycerol", 0.5, 0.3, 0.7, 0.05, _EXAMPLE),
    "m_S": Parameter("g/g/h", "glycerol for maintenance", 0.01, 0.0, 0.05, 0.0, _EXAMPLE),
    "alpha": Parameter("g/g", "enzyme formed with growth", 0.02, 0.0, 0.2, 0.0, _EXAMPLE),
    "beta": Parameter("g/g/h", "enzyme formed without growth", 5e-4, 0.0, 0.01, 0.1, _EXAMPLE),
    "Y_OX": Parameter("mmol/g", "oxygen for biomass", 30.0, 10.0, 60.0, 0.0, _EXAMPLE),
    "K_O": Parameter("mmol/L", "oxygen at half growth", 0.003, 1e-4, 0.05, 0.0, _EXAMPLE),
    "k_kLa": Parameter("1/h/rpm", "kLa per stirrer speed", 0.4, 0.05, 2.0, 0.1, _EXAMPLE),
    "saturation": Parameter("mmol/L", "oxygen under air", 0.24, 0.1, 1.2, 0.0, _EXAMPLE),
    "feed_glycerol": Parameter("g/L", "glycerol in the feed", 600.0, 100.0, 1e3, 0.0, _EXAMPLE),
    "feed_gain": Parameter("1", "delivered over shown flow", 1.0, 0.8, 1.25, 0.0, "ours"),
    "density": Parameter("kg/L", "broth density", 1.02, 0.95, 1.2, 0.0, _EXAMPLE),
}

OUTPUTS = {
    # unit, meaning, how it is known: "online", "assay" or, by default, "computed"
    "weight": Output("kg", "broth weight", "online"),
    "volume": Output("L", "broth volume"),
    "biomass": Output("g/L", "dry biomass", "assay"),
    "glycerol": Output("g/L", "glycerol", "assay"),
    "enzyme": Output("g/L", "secreted enzyme", "assay"),
    "dissolved_oxygen": Output("percent", "dissolved oxygen, percent of air", "online"),
    "oxygen_uptake": Output("mmol/L/h", "oxygen uptake rate", "online"),
    "product_mass": Output("g", "enzyme in the vessel"),
}

YeastState = record("YeastState", STATES)
YeastInputs = record("YeastInputs", INPUTS)
YeastParameters = record("YeastParameters", PARAMETERS)
YeastOutputs = record("YeastOutputs", OUTPUTS)


def growth_rate(x: Any, p: Any) -> Any:
    """Monod (1949) on both substrates, 1/h."""
    return p.mu_max * x.glycerol / (p.K_S + x.glycerol) * x.oxygen / (p.K_O + x.oxygen)


def rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """Time derivatives of the states, per hour."""
    growth = growth_rate(x, p)
    # Maintenance ends with the last 0.01 g/L, so that glycerol cannot become negative: ours.
    maintenance = p.m_S * x.glycerol / (x.glycerol + xp.quantity(0.01, "g/L"))
    uptake = growth / p.Y_XS + maintenance
    production = p.alpha * growth + p.beta
    transfer = p.k_kLa * u.stirrer * (p.saturation - x.oxygen)
    flow = u.feed * p.feed_gain
    dilution = flow / x.volume
    return YeastState(
        volume=flow,
        biomass=(growth - dilution) * x.biomass,
        glycerol=-uptake * x.biomass + dilution * (p.feed_glycerol - x.glycerol),
        enzyme=production * x.biomass - dilution * x.enzyme,
        oxygen=transfer - p.Y_OX * growth * x.biomass - dilution * x.oxygen,
    )


def outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """What probes and assays show."""
    return YeastOutputs(
        weight=p.density * x.volume,
        volume=x.volume,
        biomass=x.biomass,
        glycerol=x.glycerol,
        enzyme=x.enzyme,
        dissolved_oxygen=xp.quantity(100.0, "percent") * x.oxygen / p.saturation,
        oxygen_uptake=p.Y_OX * growth_rate(x, p) * x.biomass,
        product_mass=x.enzyme * x.volume,
    )


NOMINAL = YeastInputs(*(item.nominal for item in INPUTS.values()))

MODEL = PlantModel(
    name="phaffii_enzyme",
    organism="Komagataella phaffii",
    source="Monod 1949; Pirt 1965; Luedeking and Piret 1959; numbers illustrative",
    validity=(
        "Growth limited by glycerol or oxygen at constant temperature and pH, up to 100 g/L of "
        "biomass. By-products of cells that are short of oxygen are not part of it."
    ),
    equations={
        "growth": "mu = mu_max S/(K_S+S) O/(K_O+O)  [Monod 1949]",
        "uptake": "q_S = mu/Y_XS + m_S S/(S+0.01)  [Pirt 1965; guard ours]",
        "product": "q_P = alpha mu + beta  [Luedeking and Piret 1959]",
        "oxygen": "dO/dt = k_kLa N (O* - O) - Y_OX mu X - F/V O  [ours]",
        "balances": "dc/dt = q X + F/V (c_feed - c), dV/dt = F",
    },
    State=YeastState,
    Inputs=YeastInputs,
    Parameters=YeastParameters,
    Outputs=YeastOutputs,
    rhs=rhs,
    outputs=outputs,
    states=STATES,
    inputs=INPUTS,
    parameters=PARAMETERS,
    outputs_info=OUTPUTS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "glycerol", "enzyme"),
    reference=ReferenceBatch(
        meaning="batch on 20 g/L of glycerol, then feed in three stretches",
        duration_h=36.0,
        step_h=0.5,
        act=profile(
            NOMINAL,
            [
                (0.0, {}),
                (10.0, {"stirrer": 1000.0}),
                (16.0, {"feed": 0.03}),
                (20.0, {"feed": 0.05}),
                (28.0, {"feed": 0.06, "stirrer": 1200.0}),
            ],
        ),
    ),
    method=Method.IMPLICIT,
    substeps_per_h=60,
    accuracy=1e-4,
)
