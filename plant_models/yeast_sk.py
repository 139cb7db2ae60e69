"""Baker's yeast in fed-batch: the respiratory bottleneck of Sonnleitner and Kaeppeli (1986).

A cell's respiration has a capacity. Glucose up to that capacity is oxidised; the rest is fermented
to ethanol. Ethanol is respired with the capacity that glucose leaves. Two models of one organism:

- `SK`, `yeast_sk`: sharp minima as published, dissolved oxygen as a state; meant as the simulated
  plant.
- `CONTROL`, `yeast_sk_control`: rounded minima, dissolved oxygen quasi-steady, a gain of the feed
  pump; 4 states, meant for the filter and the optimiser.

Both have the same inputs and the same outputs.

Sources. Sonnleitner, Kaeppeli (1986), Biotechnol. Bioeng. 28:927-937. Stoichiometry, parameters
and gas transfer (kLa proportional to stirrer speed) as in the public simulation
BPL_YEAST_AIR_Fedbatch, strain H1022, whose rates this stoichiometry reproduces.

Conflicts and decisions. K_s is 0.001 mol/L in that simulation and 0.01 in its demonstration's
dictionary; the first is taken. Its maximal oxygen uptake, 0.221 g/g/h, is below the 0.256 of the
original; that original's values (3.5 g/g/h of glucose, yields 0.49, 0.05, 0.72 and 0.48 g/g) are
from general knowledge, not found in a source. The original lets glucose repress the uptake of
ethanol, Ki/(Ki+G); here glucose has priority for oxygen, which covers it. Stripping of ethanol,
1.4e-4 1/h per rpm in the simulation, is off: set `alpha_E`. Percent of air saturation refers to
`O_saturation`.

Ours: broth density, optical density, the pump's gain, the largest stirrer speed as a parameter,
the spread between batches, and in `CONTROL`:

- the rounded minimum, over 5 % of the capacity (`rounding`). It is zero where one of its arguments
  is. Sharper ones (1 to 3 %) also solve, but an optimiser then needs several times the iterations
  and ends in different optima;
- dissolved oxygen from the balance of transfer and uptake, the root of a quadratic. It follows
  within 1/kLa, 2 to 7 s, less than the lag of a probe. Where oxygen is short, all respiration falls
  together; in `SK` the capacity does.

Glucose is slow in the batch phase and fast in fed-batch (q_G_max X / K_s passes 1000 1/h), so it
stays a state and both models are stepped by the L-stable method.

Units: g/L, mol/(g h) for specific rates, mol/L inside kinetics, rpm, L, h.
"""

from typing import Any, NamedTuple

from plant_models.dialect import NUMPY, Maths, Scalar
from plant_models.gas_transfer import respiratory_quotient
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.reference import Act, ReferenceBatch
from plant_models.smooth import saturation

_SK = "Sonnleitner and Kaeppeli 1986, as in BPL_YEAST_AIR_Fedbatch"
_BPL = "BPL_YEAST_AIR_Fedbatch"
_OURS = "ours"

_CONTROL_STATES = {
    "volume": State("L", "broth volume", 4.5, 5.0, 0.1, 1e5),
    "biomass": State("g/L", "dry biomass", 2.0, 20.0, 0.0, 200.0),
    "glucose": State("g/L", "glucose", 30.0, 10.0, 0.0, 200.0),
    "ethanol": State("g/L", "ethanol", 0.0, 5.0, 0.0, 100.0),
}

_STATES = {
    **_CONTROL_STATES,
    "oxygen": State("g/L", "dissolved oxygen", 0.007, 0.007, 0.0, 0.05),
}

_INPUTS = {
    "feed": Input("L/h", "glucose feed", 0.0, 0.1, 0.0, 1000.0),
    "stirrer_speed": Input("rpm", "stirrer speed", 1000.0, 1000.0, 50.0, 3000.0),
}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter, admitted between a third and three times its value."""
    return Parameter(unit, meaning, value, value / 3, value * 3, deviation, _SK)


def _stoichiometric(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A stoichiometric coefficient, known within a fifth."""
    return Parameter(unit, meaning, value, value * 0.8, value * 1.2, deviation, _SK)


def _own(unit: str, meaning: str, value: float, lower: float, upper: float) -> Parameter:
    """An engineering addition."""
    return Parameter(unit, meaning, value, lower, upper, 0.0, _OURS)


_PARAMETERS = {
    "q_G_max": _kinetic("mol/g/h", "maximal glucose uptake", 0.02, 0.05),
    "q_O_max": _kinetic("mol/g/h", "maximal oxygen uptake", 0.0069, 0.08),
    "K_s": _kinetic("mol/L", "glucose at half maximal uptake", 0.001),
    "K_O": _kinetic("g/L", "oxygen at half of the capacity", 1e-5),
    "gamma_E": _kinetic("L/g/h", "ethanol uptake per ethanol", 10.0),
    "Y_Gr": _stoichiometric("g/mol", "biomass from glucose respired", 86.1, 0.05),
    "Y_Gf": _stoichiometric("g/mol", "biomass from glucose fermented", 8.856),
    "Y_Er": _stoichiometric("g/mol", "biomass from ethanol respired", 32.472),
    "O_Gr": _stoichiometric("mol/mol", "oxygen per glucose respired", 2.3, 0.03),
    "O_Er": _stoichiometric("mol/mol", "oxygen per ethanol respired", 1.6),
    "E_Gf": _stoichiometric("mol/mol", "ethanol from glucose fermented", 1.9),
    "C_Gr": _stoichiometric("mol/mol", "carbon dioxide per glucose respired", 2.5),
    "C_Gf": _stoichiometric("mol/mol", "carbon dioxide per glucose fermented", 1.89),
    "C_Er": _stoichiometric("mol/mol", "carbon dioxide per ethanol respired", 0.68),
    "alpha": Parameter("1/h/rpm", "kLa per stirrer speed", 1.0, 0.3, 3.0, 0.1, _BPL),
    "alpha_E": Parameter("1/h/rpm", "stripping of ethanol per speed", 0.0, 0.0, 1e-3, 0.0, _BPL),
    "O_saturation": Parameter(
        "g/L", "dissolved oxygen in equilibrium with the gas", 0.00714, 0.003, 0.04, 0.0, _BPL
    ),
    "feed_glucose": Parameter("g/L", "glucose in the feed", 500.0, 50.0, 800.0, 0.0, _BPL),
    "stirrer_speed_largest": _own("rpm", "largest stirrer speed", 2000.0, 50.0, 3000.0),
    "optical_density_factor": _own("L/g", "optical density per biomass", 2.0, 0.3, 10.0),
    "density": _own("kg/L", "broth density", 1.0, 0.9, 1.2),
}

_CONTROL_PARAMETERS = {
    **_PARAMETERS,
    "rounding": _own("1", "width of the rounded minima over the full capacity", 0.05, 0.005, 0.2),
    "feed_gain": _own("1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25),
}

_OUTPUTS = {
    "dissolved_oxygen": Output("percent", "dissolved oxygen, percent of saturation", "online"),
    "oxygen_uptake": Output("g/L/h", "oxygen taken from the gas", "online"),
    "carbon_dioxide_evolution": Output("g/L/h", "carbon dioxide given to the gas", "online"),
    "optical_density": Output("1", "optical density at 600 nm", "online"),
    "weight": Output("kg", "broth weight", "online"),
    "biomass": Output("g/L", "dry biomass", "assay"),
    "glucose": Output("g/L", "glucose", "assay"),
    "ethanol": Output("g/L", "ethanol", "assay"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "dry biomass in the vessel"),
    "growth_rate": Output("1/h", "specific growth rate"),
    "respiratory_reserve": Output(
        "g/g/h", "glucose that could be oxidised beyond what is taken up; negative: it overflows"
    ),
    "steady_oxygen": Output(
        "percent", "dissolved oxygen at which transfer meets demand; negative: it falls short"
    ),
    "oxygen_reserve": Output(
        "percent",
        "steady oxygen that the largest stirrer speed would leave; negative: it falls short",
    ),
    "respiratory_quotient": Output(
        "mmol/mmol", "carbon dioxide given to the gas over oxygen taken from it", "online"
    ),
}

SkState = record("SkState", _STATES)
ControlState = record("ControlState", _CONTROL_STATES)
Inputs = record("Inputs", _INPUTS)
SkParameters = record("SkParameters", _PARAMETERS)
ControlParameters = record("ControlParameters", _CONTROL_PARAMETERS)
Outputs = record("Outputs", _OUTPUTS)


class Offer(NamedTuple):
    """What the broth offers a cell, mol/(g h).

    Attributes:
        glucose: glucose that would be taken up.
        ethanol: ethanol that would be taken up if there were capacity.
    """

    glucose: Scalar
    ethanol: Scalar


class Fluxes(NamedTuple):
    """What a cell makes of it, mol/(g h): glucose respired, glucose fermented, ethanol respired."""

    respired: Scalar
    fermented: Scalar
    ethanol: Scalar


def _offer(x: Any, p: Any, xp: Maths) -> Offer:
    glucose = x.glucose / xp.quantity(180.0, "g/mol")
    ethanol = x.ethanol / xp.quantity(46.0, "g/mol")
    return Offer(p.q_G_max * saturation(glucose, p.K_s, xp), p.gamma_E * ethanol)


def _sharp(offer: Offer, capacity: Scalar, p: Any, xp: Maths) -> Fluxes:
    """Fluxes through the bottleneck at an oxygen uptake capacity in mol/(g h)."""
    respired = xp.minimum(offer.glucose, capacity / p.O_Gr)
    spare = capacity - p.O_Gr * respired
    return Fluxes(
        respired=respired,
        fermented=offer.glucose - respired,
        ethanol=xp.minimum(offer.ethanol, spare / p.O_Er),
    )


def _rounded(first: Scalar, second: Scalar, width: Scalar, xp: Maths) -> Scalar:
    """A smooth minimum of two that is zero where either is zero; up to `width` below the sharp.

    The rounded minimum less its values on the axes (ours), (A + B - C - w) / 2 with A and B for
    sqrt(a^2 + w^2) and sqrt(b^2 + w^2) and C for sqrt((a - b)^2 + w^2). Its factor a b is taken
    out: without differences of nearly equal numbers, small fluxes keep their digits.
    """
    on_first, on_second = xp.sqrt(first**2 + width**2), xp.sqrt(second**2 + width**2)
    corner = xp.sqrt((first - second) ** 2 + width**2)
    turn = second / (on_second + width) + (second - 2 * first) / (corner + on_first)
    scale = 2 * (on_first + width) * (on_second + corner)
    return first * second * (first * turn + 2 * (on_first + width)) / scale


def _smooth(offer: Offer, p: Any, xp: Maths) -> Fluxes:
    """`_sharp` in plenty of oxygen, with minima rounded over `rounding` of the capacity (ours).

    The capacity is raised by half of that, which is what rounding takes from it.
    """
    width = p.rounding * p.q_O_max
    capacity = p.q_O_max * (1 + p.rounding / 2)
    respired = _rounded(offer.glucose, capacity / p.O_Gr, width / p.O_Gr, xp)
    spare = capacity - p.O_Gr * respired
    return Fluxes(
        respired=respired,
        fermented=offer.glucose - respired,
        ethanol=_rounded(offer.ethanol, spare / p.O_Er, width / p.O_Er, xp),
    )


def _growth(fluxes: Fluxes, p: Any) -> Scalar:
    return p.Y_Gr * fluxes.respired + p.Y_Gf * fluxes.fermented + p.Y_Er * fluxes.ethanol


def _oxygen_uptake(fluxes: Fluxes, x: Any, p: Any, xp: Maths) -> Scalar:
    """Oxygen taken up by the culture, g/L/h."""
    specific = p.O_Gr * fluxes.respired + p.O_Er * fluxes.ethanol
    return xp.quantity(32.0, "g/mol") * specific * x.biomass


def _balances(x: Any, u: Any, p: Any, fluxes: Fluxes, feed: Scalar, xp: Maths) -> Any:
    """Balances of a fed-batch with stripping of ethanol; `feed` as delivered, L/h."""
    dilution = feed / x.volume
    glucose = xp.quantity(180.0, "g/mol") * (fluxes.respired + fluxes.fermented)
    ethanol = xp.quantity(46.0, "g/mol") * (p.E_Gf * fluxes.fermented - fluxes.ethanol)
    return ControlState(
        volume=feed,
        biomass=(_growth(fluxes, p) - dilution) * x.biomass,
        glucose=dilution * (p.feed_glucose - x.glucose) - glucose * x.biomass,
        ethanol=ethanol * x.biomass - (dilution + p.alpha_E * u.stirrer_speed) * x.ethanol,
    )


def _capacity(oxygen: Scalar, p: Any) -> Scalar:
    """Oxygen uptake capacity, mol/(g h)."""
    return p.q_O_max * oxygen / (p.K_O + oxygen)


def _sk_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """The model as published: cells, substrates, dissolved oxygen."""
    fluxes = _sharp(_offer(x, p, xp), _capacity(x.oxygen, p), p, xp)
    transfer = p.alpha * u.stirrer_speed * (p.O_saturation - x.oxygen)
    return SkState(
        *_balances(x, u, p, fluxes, u.feed, xp),
        oxygen=transfer - _oxygen_uptake(fluxes, x, p, xp),
    )


def _positive_root(half: Scalar, product: Scalar, xp: Maths) -> Scalar:
    """The sum of `half` and sqrt(half^2 + product), also to the last digit where both cancel."""
    away = xp.sqrt(half**2 + product) + xp.maximum(half, -half)
    return 2 * xp.maximum(half, 0.0) + product / away


def _steady_oxygen(plenty: Fluxes, x: Any, u: Any, p: Any, xp: Maths) -> Scalar:
    """Dissolved oxygen at which transfer equals uptake, g/L (ours).

    The positive root O of kLa (O* - O) (K_O + O) = D O, where D is the uptake in plenty of oxygen.
    """
    demand = _oxygen_uptake(plenty, x, p, xp) / (p.alpha * u.stirrer_speed)
    return _positive_root((p.O_saturation - p.K_O - demand) / 2, p.K_O * p.O_saturation, xp)


def _limited(plenty: Fluxes, oxygen: Scalar, p: Any) -> Fluxes:
    """Fluxes at a dissolved oxygen: all respiration falls together, glucose is fermented (ours)."""
    breathing = oxygen / (p.K_O + oxygen)
    return Fluxes(
        respired=plenty.respired * breathing,
        fermented=plenty.fermented + plenty.respired * (1 - breathing),
        ethanol=plenty.ethanol * breathing,
    )


def _control_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """The reduced model: cells and substrates, oxygen at its steady value."""
    plenty = _smooth(_offer(x, p, xp), p, xp)
    fluxes = _limited(plenty, _steady_oxygen(plenty, x, u, p, xp), p)
    return _balances(x, u, p, fluxes, u.feed * p.feed_gain, xp)


def _shown(
    x: Any, u: Any, p: Any, oxygen: Scalar, fluxes: Fluxes, plenty: Fluxes, xp: Maths
) -> Any:
    """What probes and laboratory show; `plenty` are the fluxes if there were oxygen in plenty."""
    percent = xp.quantity(100.0, "percent")
    specific = p.C_Gr * fluxes.respired + p.C_Gf * fluxes.fermented + p.C_Er * fluxes.ethanol
    needed = _oxygen_uptake(plenty, x, p, xp) / p.alpha / p.O_saturation
    offered = _offer(x, p, xp).glucose
    taken = p.alpha * u.stirrer_speed * (p.O_saturation - oxygen)
    evolved = xp.quantity(44.0, "g/mol") * specific * x.biomass
    return Outputs(
        dissolved_oxygen=percent * oxygen / p.O_saturation,
        oxygen_uptake=taken,
        carbon_dioxide_evolution=evolved,
        optical_density=p.optical_density_factor * x.biomass,
        weight=p.density * x.volume,
        biomass=x.biomass,
        glucose=x.glucose,
        ethanol=x.ethanol,
        volume=x.volume,
        product_mass=x.biomass * x.volume,
        growth_rate=_growth(fluxes, p),
        respiratory_reserve=xp.quantity(180.0, "g/mol") * (_capacity(oxygen, p) / p.O_Gr - offered),
        steady_oxygen=percent * (1 - needed / u.stirrer_speed),
        oxygen_reserve=percent * (1 - needed / p.stirrer_speed_largest),
        respiratory_quotient=respiratory_quotient(
            evolved / xp.quantity(0.044, "g/mmol"), taken / xp.quantity(0.032, "g/mmol"), xp
        ),
    )


def _sk_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    offer = _offer(x, p, xp)
    fluxes = _sharp(offer, _capacity(x.oxygen, p), p, xp)
    return _shown(x, u, p, x.oxygen, fluxes, _sharp(offer, p.q_O_max, p, xp), xp)


def _control_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    plenty = _smooth(_offer(x, p, xp), p, xp)
    oxygen = _steady_oxygen(plenty, x, u, p, xp)
    return _shown(x, u, p, oxygen, _limited(plenty, oxygen, p), plenty, xp)


_VALIDITY = (
    "Saccharomyces cerevisiae on glucose and its own ethanol at constant temperature and pH, "
    "aerobic, in batch and fed-batch up to about 70 g/L of biomass. Growth without oxygen, lags "
    "of adaptation, acetate, nitrogen, foam and heat are not part of it. kLa is proportional to "
    "stirrer speed at constant gas flow."
)

_EQUATIONS = {
    "capacity": "qOlim = qOmax O/(KO+O), mol/(g h)",
    "glucose uptake": "qG = qGmax Gm/(Ks+Gm), Gm = G/180",
    "respiration": "qGr = min(qG, qOlim/2.3), fermented qGf = qG - qGr",
    "ethanol uptake": "qEr = min(gamma Em, (qOlim - 2.3 qGr)/1.6), Em = E/46",
    "growth": "mu = 86.1 qGr + 8.856 qGf + 32.472 qEr",
    "carbon dioxide": "qCO2 = 2.5 qGr + 1.89 qGf + 0.68 qEr",
    "balances": "dX/dt = (mu-F/V) X, dG/dt = F/V (Gin-G) - 180 qG X, "
    "dE/dt = 46 (1.9 qGf - qEr) X - (F/V + alpha_E N) E, dV/dt = F",
    "respiratory quotient": "RQ = CER OUR/(OUR^2 + 0.001^2) of gas rates in mmol/(L h)  [ours]",
    "oxygen": "dO/dt = alpha N (O*-O) - 32 (2.3 qGr + 1.6 qEr) X",
    "respiratory reserve": "180 (qOlim/2.3 - qG)  [ours]",
    "steady oxygen": "1 - 32 (2.3 qGr + 1.6 qEr) X/(alpha N O*), fluxes with plenty of oxygen; "
    "oxygen reserve with the largest speed  [ours]",
}

_CONTROL_EQUATIONS = {
    **_EQUATIONS,
    "rounding": "min(a,b) becomes (sqrt(a^2+w^2) + sqrt(b^2+w^2) - sqrt((a-b)^2+w^2) - w)/2 with "
    "w of 5 % of the capacity  [ours]",
    "oxygen": "kLa (O*-O) (KO+O) = D O, the positive root; D uptake in plenty of oxygen; "
    "respiration times O/(KO+O)  [quasi-steady, ours]",
}


class Loop(NamedTuple):
    """Memory of the oxygen loop: integral part and stirrer speed, rpm."""

    integral: float
    speed: float


_STEP_H = 1 / 12


def _recipe(time_h: float, loop: Loop, dissolved_oxygen: float) -> tuple[Any, Loop]:
    """The published feed, with oxygen (percent of saturation) held at 40 % by the stirrer.

    The loop's gain is 3 rpm per percent, with 0.1 h (ours): it acts every five minutes, at which
    the public simulation's gain of 10 with 0.5 h swings between 20 and 50 %.
    """
    rising = 0.044 * float(NUMPY.exp(0.20 * (time_h + _STEP_H / 2 - 9.0)))
    feed = 0.0 if time_h < 9.0 - 1e-9 else min(rising, 0.18)
    missing = 40.0 - dissolved_oxygen
    integral = loop.integral + 3.0 * missing * _STEP_H / 0.1
    speed = min(max(3.0 * missing + integral, 500.0), 2000.0)
    # The integral stays within reach of the range.
    return Inputs(feed, speed), Loop(min(max(integral, 500.0), 2000.0), speed)


def _sk_recipe(time_h: float, state: Any, memory: Loop) -> tuple[Any, Any, Loop]:
    full = _PARAMETERS["O_saturation"].value
    inputs, loop = _recipe(time_h, memory, 100.0 * state.oxygen / full)
    return inputs, state, loop


def _control_recipe(time_h: float, state: Any, memory: Loop) -> tuple[Any, Any, Loop]:
    p = ControlParameters(*(item.value for item in _CONTROL_PARAMETERS.values()))
    outputs = _control_outputs(state, Inputs(0.0, memory.speed), p, NUMPY)
    inputs, loop = _recipe(time_h, memory, float(outputs.dissolved_oxygen))
    return inputs, state, loop


def _reference(act: Act) -> ReferenceBatch:
    return ReferenceBatch(
        "batch, then exponential feed up to 0.18 L/h, oxygen held at 40 % by the stirrer",
        duration_h=20.0,
        step_h=_STEP_H,
        act=act,
        memory=Loop(integral=500.0, speed=500.0),
    )


SK = PlantModel(
    name="yeast_sk",
    organism="Saccharomyces cerevisiae",
    source="Sonnleitner, Kaeppeli 1986, Biotechnol. Bioeng. 28:927-937; BPL_YEAST_AIR_Fedbatch",
    State=SkState,
    Inputs=Inputs,
    Parameters=SkParameters,
    Outputs=Outputs,
    rhs=_sk_rhs,
    outputs=_sk_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    validity=_VALIDITY,
    equations=_EQUATIONS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "glucose", "ethanol"),
    substeps_per_h=960,
    reference=_reference(_sk_recipe),
    method=Method.IMPLICIT,
    accuracy=1e-4,
    undiluted={
        "oxygen": "feed is taken to be as full of air as the broth, and transfer is far faster"
    },
)

CONTROL = PlantModel(
    name="yeast_sk_control",
    organism="Saccharomyces cerevisiae",
    source="Sonnleitner, Kaeppeli 1986, BPL_YEAST_AIR_Fedbatch; rounded and quasi-steady: ours",
    State=ControlState,
    Inputs=Inputs,
    Parameters=ControlParameters,
    Outputs=Outputs,
    rhs=_control_rhs,
    outputs=_control_outputs,
    states=_CONTROL_STATES,
    inputs=_INPUTS,
    parameters=_CONTROL_PARAMETERS,
    outputs_info=_OUTPUTS,
    validity=_VALIDITY,
    equations=_CONTROL_EQUATIONS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "glucose", "ethanol"),
    substeps_per_h=240,
    reference=_reference(_control_recipe),
    method=Method.IMPLICIT,
    accuracy=1e-4,
)
