"""Escherichia coli in fed-batch on glucose: overflow by acetate cycling.

Acetate is made and taken up again at the same time; what appears in the broth is the difference.
Two models of one organism, from shared kinetics:

- `ANANE`, `ecoli_anane`: as published, with dissolved oxygen and its probe as states; meant as the
  simulated plant.
- `CONTROL`, `ecoli_anane_control`: dissolved oxygen quasi-steady, no probe, a gain of the feed
  pump; 4 states, meant for the filter and the optimiser.

Both have the same inputs and the same outputs.

Source. Anane, Lopez, Neubauer, Cruz Bournazou (2017), Biochem. Eng. J. 125:23-30, in the form and
with the values of the authors' own script; `SECOND_SET` is the set of an independent port of it.

Decisions where sources disagree. The authors' file of 2018 takes as overflow what cannot be
oxidised, qSof = qS - qSox, and grows on (qSof - pA) Yxsof; this is the form of 2017. The lag of the
probe is 35 s there, 25 s in another file.

Ours, not the authors':

- Oxygen's limitation of oxidation. The script has DOT/(DOT + Ko) with DOT in percent and Ko =
  1e-4: a switch within a millionth of saturation, 1e8 1/h fast, that no fixed step resolves. Here
  it is tanh(DOT / K_o) with K_o = 1 %, exact to 1e-7 above 9 %. While oxygen is exhausted both take
  up what is transferred, so that the run of the paper is the same to 2e-4.
- The respiration of acetate and for maintenance, which the script takes from oxygen without asking
  whether there is any, stops over the last 0.02 %, so that oxygen never becomes negative. In
  `CONTROL` it falls as the oxidation of glucose does, which makes the steady oxygen a square root.
- Optical density, broth density, the gains of pump and kLa, the largest kLa, and the spread between
  batches.

Why dissolved oxygen is quasi-steady in `CONTROL`: it follows within 1/kLa, 10 to 16 s, less than
the lag of a probe and far less than a cycle of the agent. Glucose is as fast in fed-batch
(qSmax X / Ks reaches 300 to 800 1/h) but slow in the batch phase, so it stays a state and both
models are stepped by the L-stable method.

Units: g/L, g/g/h, percent of air saturation, L, h.
"""

from typing import Any, NamedTuple

from plant_models.dialect import NUMPY, Maths, Scalar
from plant_models.model import Input, Method, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch
from plant_models.smooth import saturation

_ANANE = "Anane et al. 2017, the authors' script"
_OURS = "ours"

_CONTROL_STATES = {
    "volume": State("L", "broth volume", 2.0, 2.0, 0.1, 1e4),
    "biomass": State("g/L", "dry biomass", 0.17, 10.0, 0.0, 150.0),
    "glucose": State("g/L", "glucose", 4.94, 5.0, 0.0, 50.0),
    "acetate": State("g/L", "acetate", 0.0129, 0.5, 0.0, 20.0),
}

_STATES = {
    **_CONTROL_STATES,
    "oxygen": State("percent", "dissolved oxygen, of air saturation", 98.0, 100.0, 0.0, 300.0),
    "oxygen_probe": State("percent", "what the oxygen probe shows", 98.0, 100.0, 0.0, 300.0),
}

_INPUTS = {
    "feed": Input("L/h", "glucose feed", 0.0, 0.02, 0.0, 100.0),
    "kLa": Input("1/h", "oxygen transfer coefficient", 220.0, 300.0, 1.0, 1000.0),
}


def _kinetic(unit: str, meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A positive parameter of the paper, admitted between a third and three times its value."""
    return Parameter(unit, meaning, value, value / 3, value * 3, deviation, _ANANE)


def _yield(meaning: str, value: float, deviation: float = 0.0) -> Parameter:
    """A yield in g/g of the paper, known within a fifth."""
    return Parameter("g/g", meaning, value, value * 0.8, value * 1.2, deviation, _ANANE)


def _content(meaning: str, value: float) -> Parameter:
    """A carbon content, known within a few percent."""
    return Parameter("g/g", meaning, value, value * 0.95, value * 1.05, 0.0, _ANANE)


def _own(
    unit: str, meaning: str, value: float, lower: float, upper: float, deviation: float = 0.0
) -> Parameter:
    """An engineering addition."""
    return Parameter(unit, meaning, value, lower, upper, deviation, _OURS)


_COMMON = {
    "K_ap": _kinetic("g/g/h", "uptake at half maximal overflow", 0.5088),
    "K_sa": _kinetic("g/L", "acetate at half maximal uptake", 0.0128),
    "K_s": _kinetic("g/L", "glucose at half maximal uptake", 0.0381),
    "K_ia": _kinetic("g/L", "acetate that halves glucose uptake", 1.2602),
    "K_is": _kinetic("g/g/h", "glucose uptake that halves acetate uptake", 1.8383),
    "pA_max": _kinetic("g/g/h", "maximal overflow of glucose", 0.2286, 0.08),
    "qA_max": _kinetic("g/g/h", "maximal acetate uptake", 0.1148, 0.08),
    "q_m": _kinetic("g/g/h", "glucose for maintenance", 0.0133),
    "qS_max": _kinetic("g/g/h", "maximal glucose uptake", 0.635, 0.06),
    "Y_as": _yield("acetate from overflowing glucose", 0.8938),
    "Y_oa": _yield("oxygen per acetate taken up", 0.5221),
    "Y_xa": _yield("biomass from acetate", 0.5794),
    "Y_em": _yield("biomass from oxidised glucose, maintenance excluded", 0.5321, 0.05),
    "Y_os": _yield("oxygen per glucose respired for energy", 1.5722, 0.05),
    "Y_xsof": _yield("biomass from overflowing glucose", 0.229),
    "C_s": _content("carbon in glucose", 0.391),
    "C_x": _content("carbon in biomass", 0.488),
    "H": _kinetic("percent*L/g", "percent of saturation per dissolved oxygen", 14000.0),
    "oxygen_saturation": Parameter(
        "percent", "dissolved oxygen in equilibrium with the gas", 99.0, 20.0, 300.0, 0.0, _ANANE
    ),
    "feed_glucose": Parameter("g/L", "glucose in the feed", 300.0, 50.0, 800.0, 0.0, _ANANE),
    "kLa_gain": _own("1", "true over stated kLa", 1.0, 0.4, 2.5, 0.1),
    "kLa_largest": _own("1/h", "largest kLa of the vessel, as stated", 355.0, 1.0, 1000.0),
    "optical_density_factor": _own("L/g", "optical density per biomass", 2.8, 0.5, 10.0),
    "density": _own("kg/L", "broth density", 1.0, 0.9, 1.2),
}

_PARAMETERS = {
    **_COMMON,
    "K_o": _own("percent", "oxygen over which oxidation of glucose stops", 1.0, 0.3, 5.0),
    "K_breathing": _own("percent", "oxygen over which all respiration stops", 0.02, 0.01, 0.1),
    "tau": _kinetic("s", "lag of the oxygen probe", 35.0),
}

_CONTROL_PARAMETERS = {
    **_COMMON,
    "K_o": _own("percent", "oxygen at half respiration", 0.1, 0.02, 1.0),
    "feed_gain": _own("1", "delivered over shown flow of the feed", 1.0, 0.8, 1.25),
}

SECOND_SET = {
    "K_ap": 0.5052,
    "K_sa": 0.0134,
    "K_s": 0.0370,
    "K_ia": 1.2399,
    "K_is": 2.1231,
    "pA_max": 0.2268,
    "qA_max": 0.1148,
    "q_m": 0.0129,
    "qS_max": 0.6356,
    "Y_as": 0.9097,
    "Y_oa": 0.5440,
    "Y_xa": 0.5718,
    "Y_em": 0.5333,
    "Y_os": 1.5620,
    "Y_xsof": 0.2268,
}
"""Kinetic parameters of an independent port of the authors' script, fitted to the same culture."""

_OUTPUTS = {
    "dissolved_oxygen": Output("percent", "dissolved oxygen as the probe shows it", "online"),
    "oxygen_uptake": Output("g/L/h", "oxygen taken from the gas", "online"),
    "optical_density": Output("1", "optical density at 600 nm", "online"),
    "weight": Output("kg", "broth weight", "online"),
    "biomass": Output("g/L", "dry biomass", "assay"),
    "glucose": Output("g/L", "glucose", "assay"),
    "acetate": Output("g/L", "acetate", "assay"),
    "volume": Output("L", "broth volume"),
    "product_mass": Output("g", "dry biomass in the vessel"),
    "growth_rate": Output("1/h", "specific growth rate"),
    "steady_oxygen": Output(
        "percent", "dissolved oxygen at which transfer meets demand; negative: it falls short"
    ),
    "oxygen_reserve": Output(
        "percent", "steady oxygen that the largest kLa would leave; negative: it falls short"
    ),
}

AnaneState = record("AnaneState", _STATES)
ControlState = record("ControlState", _CONTROL_STATES)
Inputs = record("Inputs", _INPUTS)
AnaneParameters = record("AnaneParameters", _PARAMETERS)
ControlParameters = record("ControlParameters", _CONTROL_PARAMETERS)
Outputs = record("Outputs", _OUTPUTS)


class Uptake(NamedTuple):
    """What the culture takes up if oxygen is there, g/g/h.

    Attributes:
        glucose: all glucose.
        overflow: glucose that overflows.
        oxidised: glucose that is oxidised or becomes biomass.
        acetate: acetate.
    """

    glucose: Scalar
    overflow: Scalar
    oxidised: Scalar
    acetate: Scalar


class Rates(NamedTuple):
    """Specific rates: 1/h for growth, otherwise g/g/h."""

    growth: Scalar
    glucose: Scalar
    acetate: Scalar
    oxygen: Scalar


def _uptake(x: Any, p: Any, xp: Maths) -> Uptake:
    """Uptake and overflow of glucose, uptake of acetate (Anane 2017)."""
    glucose = p.qS_max / (1 + x.acetate / p.K_ia) * saturation(x.glucose, p.K_s, xp)
    overflow = p.pA_max * glucose / (glucose + p.K_ap)
    return Uptake(
        glucose=glucose,
        overflow=overflow,
        oxidised=glucose - overflow,
        acetate=p.qA_max / (1 + glucose / p.K_is) * saturation(x.acetate, p.K_sa, xp),
    )


def _rates(uptake: Uptake, p: Any, breathing: Scalar) -> Rates:
    """Growth and oxygen by carbon balance (Anane 2017).

    Oxidised glucose becomes biomass or is respired. What maintenance needs beyond it is taken from
    biomass; of the oxygen for that, `breathing` is the share that there is.
    """
    to_biomass = p.Y_em * p.C_x / p.C_s
    maintenance = p.q_m * to_biomass
    return Rates(
        growth=(uptake.oxidised - p.q_m) * p.Y_em
        + uptake.acetate * p.Y_xa
        + uptake.overflow * p.Y_xsof,
        glucose=uptake.glucose,
        acetate=uptake.overflow * p.Y_as - uptake.acetate,
        oxygen=p.Y_os * (uptake.oxidised * (1 - to_biomass) + maintenance * breathing)
        + uptake.acetate * p.Y_oa,
    )


def _balances(x: Any, rates: Rates, feed: Scalar, p: Any) -> Any:
    """Balances of a fed-batch; `feed` as delivered, L/h."""
    dilution = feed / x.volume
    return ControlState(
        volume=feed,
        biomass=(rates.growth - dilution) * x.biomass,
        glucose=dilution * (p.feed_glucose - x.glucose) - rates.glucose * x.biomass,
        acetate=rates.acetate * x.biomass - dilution * x.acetate,
    )


def _anane_rates(x: Any, p: Any, xp: Maths) -> Rates:
    """Rates at the dissolved oxygen there is (the switches are ours)."""
    uptake = _uptake(x, p, xp)
    breathing = xp.tanh(x.oxygen / p.K_breathing)
    limited = uptake._replace(
        oxidised=uptake.oxidised * xp.tanh(x.oxygen / p.K_o), acetate=uptake.acetate * breathing
    )
    return _rates(limited, p, breathing)


def _transfer(kLa: Scalar, oxygen: Scalar, p: Any) -> Scalar:
    """Oxygen transfer into the broth, percent of saturation per hour."""
    return p.kLa_gain * kLa * (p.oxygen_saturation - oxygen)


def _anane_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """The model as published: cells, substrates, oxygen and its probe."""
    rates = _anane_rates(x, p, xp)
    return AnaneState(
        *_balances(x, rates, u.feed, p),
        oxygen=_transfer(u.kLa, x.oxygen, p) - p.H * rates.oxygen * x.biomass,
        oxygen_probe=xp.quantity(3600.0, "s/h") / p.tau * (x.oxygen - x.oxygen_probe),
    )


def _demand(x: Any, p: Any, xp: Maths) -> Scalar:
    """Oxygen that the culture would take up if there were plenty, percent of saturation per h."""
    return p.H * _rates(_uptake(x, p, xp), p, 1.0).oxygen * x.biomass


def _steady_oxygen(x: Any, u: Any, p: Any, xp: Maths) -> Scalar:
    """Dissolved oxygen at which transfer equals uptake, percent (ours).

    The positive root O of kLa (O* - O) (O + K_o) = demand O.
    """
    half = (p.oxygen_saturation - p.K_o - _demand(x, p, xp) / (p.kLa_gain * u.kLa)) / 2
    product = p.K_o * p.oxygen_saturation
    # half + sqrt(half^2 + product), in a form that keeps its digits where half is negative.
    away = xp.sqrt(half**2 + product) + xp.maximum(half, -half)
    return 2 * xp.maximum(half, 0.0) + product / away


def _control_rates(x: Any, p: Any, oxygen: Scalar, xp: Maths) -> Rates:
    """Rates at a dissolved oxygen: all respiration falls together (ours)."""
    uptake = _uptake(x, p, xp)
    breathing = oxygen / (oxygen + p.K_o)
    limited = uptake._replace(
        oxidised=uptake.oxidised * breathing, acetate=uptake.acetate * breathing
    )
    return _rates(limited, p, breathing)


def _control_rhs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    """The reduced model: cells and substrates, oxygen at its steady value."""
    rates = _control_rates(x, p, _steady_oxygen(x, u, p, xp), xp)
    return _balances(x, rates, u.feed * p.feed_gain, p)


def _shown(x: Any, u: Any, p: Any, rates: Rates, oxygen: Scalar, probe: Scalar, xp: Maths) -> Any:
    """What probes and laboratory show at these rates, dissolved oxygen and reading of its probe."""
    demand = _demand(x, p, xp) / p.kLa_gain
    return Outputs(
        dissolved_oxygen=probe,
        oxygen_uptake=_transfer(u.kLa, oxygen, p) / p.H,
        optical_density=p.optical_density_factor * x.biomass,
        weight=p.density * x.volume,
        biomass=x.biomass,
        glucose=x.glucose,
        acetate=x.acetate,
        volume=x.volume,
        product_mass=x.biomass * x.volume,
        growth_rate=rates.growth,
        steady_oxygen=p.oxygen_saturation - demand / u.kLa,
        oxygen_reserve=p.oxygen_saturation - demand / p.kLa_largest,
    )


def _anane_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    return _shown(x, u, p, _anane_rates(x, p, xp), x.oxygen, x.oxygen_probe, xp)


def _control_outputs(x: Any, u: Any, p: Any, xp: Maths) -> Any:
    oxygen = _steady_oxygen(x, u, p, xp)
    return _shown(x, u, p, _control_rates(x, p, oxygen, xp), oxygen, oxygen, xp)


_VALIDITY = (
    "Escherichia coli on glucose as the only limiting nutrient, at constant temperature and pH, in "
    "batch and fed-batch up to about 25 g/L of biomass, the range of the paper. Nitrogen, salts, "
    "a product, foam and heat are not part of it. The oxygen transfer coefficient is an input: "
    "relate it to stirrer speed and gas flow of your own vessel."
)

_EQUATIONS = {
    "glucose uptake": "qS = qSmax/(1+A/Kia) S/(S+Ks)",
    "overflow": "qSof = pAmax qS/(qS+Kap), acetate made pA = Yas qSof",
    "oxidation": "qSox = (qS-qSof) tanh(DOT/K_o)  [paper: DOT/(DOT+Ko), Ko 1e-4 %; switch ours]",
    "acetate uptake": "qsA = qAmax/(1+qS/Kis) A/(A+Ksa)",
    "growth": "mu = (qSox-qm) Yem + qsA Yxa + qSof Yxsof",
    "oxygen uptake": "qO = Yos (qSox - (qSox-qm) Yem Cx/Cs) + qsA Yoa",
    "oxygen": "dDOT/dt = kLa (DOT*-DOT) - H qO X",
    "probe": "dDOTm/dt = 3600/tau (DOT-DOTm)",
    "balances": "dX/dt = (mu-F/V) X, dS/dt = F/V (Si-S) - qS X, dA/dt = (pA-qsA) X - F/V A, "
    "dV/dt = F",
    "steady oxygen": "DOT* - H qO X/kLa, qO with plenty of oxygen; oxygen reserve with the largest "
    "kLa  [ours]",
}

_CONTROL_EQUATIONS = {
    **{name: text for name, text in _EQUATIONS.items() if name not in ("oxygen", "probe")},
    "oxidation": "qSox = (qS-qSof) r, r = DOT/(DOT+K_o); acetate uptake and maintenance's "
    "respiration times r as well  [ours]",
    "oxygen": "kLa (DOT*-DOT) (DOT+K_o) = H qO X DOT, the positive root  [quasi-steady, ours]",
}

_FEED_START_H, _STIRRER_UP_H, _FEED_CONSTANT_H = 11.4469, 14.3417, 16.3028
_PULSES = {20.5833: 1.0, 22.3639: 0.04, 24.4472: 0.2, 29.5111: 0.2}
"""Glucose in g/L that is set at these hours."""

_EDGES_H = (_FEED_START_H, _STIRRER_UP_H, _FEED_CONSTANT_H, *_PULSES)
_STEP_H = 0.25


def _amount(until_h: float) -> float:
    """Feed given until an hour, L: exponential, then constant at half the rate reached."""
    growth, first = 0.222, 0.0087
    rising_h = min(max(until_h, _FEED_START_H), _FEED_CONSTANT_H) - _FEED_START_H
    constant_h = max(until_h - _FEED_CONSTANT_H, 0.0)
    risen = first / growth * (NUMPY.exp(growth * rising_h) - 1)
    return float(risen + first / 2 * NUMPY.exp(growth * rising_h) * constant_h)


def _recipe(time_h: float, state: Any, memory: Any) -> tuple[Any, Any, Any]:
    """The paper's batch; the rising feed is held at its mean over each step."""
    edges_h = [edge_h for edge_h in _EDGES_H if edge_h > time_h + 1e-9]
    end_h = min([(int(time_h / _STEP_H + 1e-9) + 1) * _STEP_H, *edges_h])
    feed = (_amount(end_h) - _amount(time_h)) / (end_h - time_h)
    kLa = 220.0 if time_h < _STIRRER_UP_H - 1e-9 else 355.0
    for hour, glucose in _PULSES.items():
        if abs(time_h - hour) < 1e-9:
            state = state._replace(glucose=glucose)
    return Inputs(feed=float(feed), kLa=kLa), state, memory


_REFERENCE = ReferenceBatch(
    "batch, exponential and constant feed with four pulses of glucose (Anane et al. 2017)",
    duration_h=33.0,
    step_h=_STEP_H,
    act=_recipe,
    edges_h=_EDGES_H,
)

ANANE = PlantModel(
    name="ecoli_anane",
    organism="Escherichia coli",
    source="Anane et al. 2017, Biochem. Eng. J. 125:23-30; switches at zero oxygen: ours",
    State=AnaneState,
    Inputs=Inputs,
    Parameters=AnaneParameters,
    Outputs=Outputs,
    rhs=_anane_rhs,
    outputs=_anane_outputs,
    states=_STATES,
    inputs=_INPUTS,
    parameters=_PARAMETERS,
    outputs_info=_OUTPUTS,
    validity=_VALIDITY,
    equations=_EQUATIONS,
    volume="volume",
    volume_flows=("feed",),
    product="product_mass",
    shown=("biomass", "glucose", "acetate"),
    substeps_per_h=7200,
    reference=_REFERENCE,
    method=Method.IMPLICIT,
    accuracy=1e-4,
    undiluted={
        "oxygen": "feed is taken to be as full of air as the broth, and transfer is far faster",
        "oxygen_probe": "it is a reading",
    },
)

CONTROL = PlantModel(
    name="ecoli_anane_control",
    organism="Escherichia coli",
    source="Anane et al. 2017, Biochem. Eng. J. 125:23-30; quasi-steady oxygen: ours",
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
    shown=("biomass", "glucose", "acetate"),
    substeps_per_h=120,
    reference=_REFERENCE,
    method=Method.IMPLICIT,
    accuracy=1e-4,
)
