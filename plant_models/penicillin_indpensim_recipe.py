"""How the published batches of IndPenSim are run: recipe, pH and temperature loops, disturbances.

Source: IndPenSim version 2.02, Goldrick et al. (2015), J. Biotechnol. 193:70-82, and Goldrick et
al. (2019), Comput. Chem. Eng. 130:106471. Everything happens at samples, 0.2 h apart; inputs hold
between them. What is here acts on plain numbers and on records with named fields; the equations are
in `penicillin_indpensim`.

Kept as published: the base loop takes for the error of the sample before the negative pH, without
its setpoint, so that every sample adds half a litre per hour to the base flow until the error of
this sample takes it back. Putting that right changes the final titre by 0.03 %. The acid loop has
the sign of the base loop, so that hardly any acid ever flows.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import exp, log10
from typing import Any, NamedTuple

from numpy.random import default_rng

SAMPLE_H = 0.2
SAMPLES = 1150
PH_SETPOINT = 6.5
TEMPERATURE_SETPOINT_K = 298.0
SMALLEST_WATER_L_PER_H = 1e-4
"""The temperature loop never closes its valves altogether."""

# fmt: off
RECIPE: Mapping[str, tuple[tuple[float, float], ...]] = {
    "sugar_feed": (
        (15, 8), (60, 15), (80, 30), (100, 75), (120, 150), (140, 30), (160, 37), (180, 43),
        (200, 47), (220, 51), (240, 57), (260, 61), (280, 65), (300, 72), (320, 76), (340, 80),
        (360, 84), (380, 90), (400, 116), (800, 90), (1750, 80),
    ),
    "oil_feed": (
        (20, 22), (80, 30), (280, 35), (300, 34), (320, 33), (340, 32), (360, 31), (380, 30),
        (400, 29), (1750, 23),
    ),
    "aeration": ((40, 30), (100, 42), (200, 55), (450, 60), (1000, 75), (1250, 65), (1750, 60)),
    "head_pressure": (
        (62.5, 0.6), (125, 0.7), (150, 0.8), (200, 0.9), (500, 1.1), (750, 1.0), (1000, 0.9),
        (1750, 0.9),
    ),
    "water": (
        (250, 0), (375, 500), (750, 100), (800, 0), (850, 400), (1000, 150), (1250, 250),
        (1350, 0), (1750, 100),
    ),
    "phenylacetate_feed": ((25, 5), (200, 0), (1000, 10), (1500, 4), (1750, 0)),
    "discharge": (
        (500, 0), (510, 4000), (650, 0), (660, 4000), (750, 0), (760, 4000), (850, 0), (860, 4000),
        (950, 0), (960, 4000), (1050, 0), (1060, 4000), (1150, 0), (1160, 4000), (1250, 0),
        (1260, 4000), (1350, 0), (1360, 4000), (1750, 0),
    ),
}
# fmt: on
"""Each input: up to and including this sample (the first one is 1), this value."""


def recipe_at(sample: int) -> dict[str, float]:
    """Inputs of the recipe at a sample, in the units of the model's inputs."""
    return {name: _value_at(rows, sample) for name, rows in RECIPE.items()}


def _value_at(rows: Sequence[tuple[float, float]], sample: int) -> float:
    return float(next((value for last, value in rows if sample <= last), rows[-1][1]))


class Gains(NamedTuple):
    """Of one incremental PID loop: `K`, integral and derivative time in h, largest output."""

    K: float
    T_i: float
    T_d: float
    largest: float


BASE = Gains(0.08, 4e-5, 8.0, 225.0)
ACID = Gains(0.08, 12.5, 0.125, 225.0)
COOLING = Gains(-300.0, 1.6, 0.005, 1500.0)
HEATING = Gains(50.0, 0.05, 1.0, 1500.0)


def incremental_pid(
    before: float, errors: tuple[float, float], values: tuple[float, float, float], gains: Gains
) -> float:
    """Output of a PID loop from its output before, errors (now, before) and values (now, back)."""
    proportional = errors[0] - errors[1]
    integral = errors[0] * SAMPLE_H / gains.T_i
    derivative = gains.T_d / SAMPLE_H * (values[0] - 2 * values[1] + values[2])
    step = gains.K * (proportional + integral - derivative)
    return min(max(before + step, 0.0), gains.largest)


class Memory(NamedTuple):
    """What the loops remember from sample to sample.

    Attributes:
        pH, temperature: values at the last two samples, later one first; none at the first sample.
        base, acid, cooling, heating: flows in force, L/h.
        growth: growth rates integrated over each sample, as far back as the check for decline
            looks.
        declined: growth rate that the check has put in the place of the maximal one, or None.
    """

    pH: tuple[float, ...] = ()
    temperature: tuple[float, ...] = ()
    base: float = 0.0
    acid: float = 0.0
    cooling: float = SMALLEST_WATER_L_PER_H
    heating: float = SMALLEST_WATER_L_PER_H
    growth: tuple[float, ...] = ()
    declined: float | None = None


def _last_three(now: float, before: tuple[float, ...]) -> tuple[float, float, float]:
    """This value and the two before; the first ones repeat what there is."""
    values = (now, *before)
    return values[0], values[min(1, len(before))], values[-1]


def acid_and_base(pH: float, memory: Memory) -> tuple[float, float]:
    """Flows of acid and base in L/h: base unless the pH is more than 0.05 above its setpoint."""
    values = _last_three(pH, memory.pH)
    error = PH_SETPOINT - values[0]
    if error >= -0.05:
        # The published error of the sample before: see the text on top.
        before = -values[1] if memory.pH else error
        return 0.0, incremental_pid(memory.base, (error, before), values, BASE)
    errors = (error, PH_SETPOINT - values[1])
    return incremental_pid(memory.acid, errors, values, ACID), memory.base / 2


def cooling_and_heating(temperature_K: float, memory: Memory) -> tuple[float, float]:
    """Flows of cooling and heating water in L/h; as published, heating goes on from cooling."""
    values = _last_three(temperature_K, memory.temperature)
    errors = (TEMPERATURE_SETPOINT_K - values[0], TEMPERATURE_SETPOINT_K - values[1])
    if errors[0] <= 0.05:
        cooling = incremental_pid(memory.cooling, errors, values, COOLING)
        heating = 0.1 * memory.heating
    else:
        heating = incremental_pid(memory.cooling, errors, values, HEATING)
        cooling = 0.3 * memory.cooling
    return max(cooling, SMALLEST_WATER_L_PER_H), max(heating, SMALLEST_WATER_L_PER_H)


CHECKED_SAMPLES = 65
"""How many integrals of the growth rate the check for decline looks at."""
DECLINING = 63
"""How many of their 64 differences must be negative."""


def _declined(memory: Memory) -> float | None:
    """Growth rate that replaces the maximal one after a steady decline, 1/h, for good."""
    recent = memory.growth
    if len(recent) < CHECKED_SAMPLES:
        return memory.declined
    falls = sum(after < before for before, after in pairwise(recent))
    return recent[-1] / SAMPLE_H if falls >= DECLINING else memory.declined


def _passed_on(state: Any) -> Any:
    """The state as the published program passes it on: nothing zero, some oxygen, new integrals.

    That program puts 0.001 for whatever is not above zero. In exact arithmetic that is the titre
    alone, before production begins; everything else the equations keep above zero.
    """
    changes = {"growth_integral": 0.0, "production_integral": 0.0}
    if state.penicillin < 1e-9:
        changes["penicillin"] = 1e-3
    if state.dissolved_oxygen < 2.0:
        changes["dissolved_oxygen"] = 1.0
    return state._replace(**changes)


DRIFTS: Mapping[str, float] = {
    "production_drift": 0.03,
    "growth_drift": 0.25,
    "sugar_drift": 1500.0,
    "oil_drift": 300.0,
    "base_drift": 0.2,
    "phenylacetate_drift": 3e5,
    "coolant_drift": 100.0,
    "oxygen_drift": 0.02,
}
"""Standard deviation of the white noise whose slow part disturbs an input, in its unit."""

_POLE = 0.995


def drifts(seed: int) -> tuple[dict[str, float], ...]:
    """Disturbances at each sample: white noise through a first-order filter of 40 h.

    The random numbers are not those of the published batches.
    """
    generator = default_rng(seed)
    level = dict.fromkeys(DRIFTS, 0.0)
    courses = []
    for _ in range(SAMPLES):
        level = {
            name: _POLE * level[name] + (1 - _POLE) * float(generator.normal(0.0, size))
            for name, size in DRIFTS.items()
        }
        courses.append(level)
    return tuple(courses)


def draw(seed: int, typical: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Parameters of one batch.

    Args:
        seed: of the random numbers.
        typical: value and standard deviation of its logarithm, by name.
    """
    generator = default_rng([seed, 1])
    return {
        name: value * exp(generator.normal(0.0, size)) for name, (value, size) in typical.items()
    }


BASE_FLOW = ((50, 26), (100, 54), (125, 190), (250, 55), (400, 79), (800, 63), (1750, 53))
"""What the pH loop gives in the nominal batch, L/h, as `RECIPE` is written (ours, rounded)."""


def by_clock(inputs: Any) -> Callable[[float, Any, Any], tuple[Any, Any, Any]]:
    """The recipe for a model without loops: the base flows as in the nominal batch."""

    def act(time_h: float, state: Any, memory: Any) -> tuple[Any, Any, Any]:
        sample = round(time_h / SAMPLE_H) + 1
        base = _value_at(BASE_FLOW, sample)
        return inputs._replace(**recipe_at(sample), base=base), state, memory

    return act


def run(
    inputs: Any, mu_x: float, disturbances: tuple[dict[str, float], ...] = ()
) -> Callable[[float, Any, Any], tuple[Any, Any, Any]]:
    """What is done at each sample: recipe, loops, the published clips and the check for decline.

    Args:
        inputs: the model's nominal inputs.
        mu_x: maximal growth rate of the batch, 1/h; the check for decline replaces it.
        disturbances: of each sample; none when empty.
    """

    def act(time_h: float, state: Any, memory: Any) -> tuple[Any, Any, Any]:
        sample = round(time_h / SAMPLE_H) + 1
        if sample > 1:
            growth = (*memory.growth, state.growth_integral)[-CHECKED_SAMPLES:]
            memory = memory._replace(growth=growth)
            memory = memory._replace(declined=_declined(memory))
            state = _passed_on(state)
        pH = 6.0 - log10(state.hydrogen)
        acid, base = acid_and_base(pH, memory)
        cooling, heating = cooling_and_heating(state.temperature, memory)
        now = {
            **recipe_at(sample),
            "acid": acid,
            "base": base,
            "cooling_water": cooling,
            "heating_water": heating,
        }
        if disturbances:
            now |= disturbances[min(sample, len(disturbances)) - 1]
        if memory.declined is not None:
            now["growth_drift"] = now.get("growth_drift", 0.0) + memory.declined - mu_x
        memory = memory._replace(
            pH=(pH, *memory.pH)[:2],
            temperature=(state.temperature, *memory.temperature)[:2],
            base=base,
            acid=acid,
            cooling=cooling,
            heating=heating,
        )
        return inputs._replace(**now), state, memory

    return act
