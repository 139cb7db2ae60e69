"""Whether a model's units are complete, consistent, and free of hidden factors.

The equations run twice: on bare numbers, as the engines run them, and on numbers with units. A sum
of unlike things cannot be computed with units. A conversion that somebody left out (mg and g, hours
and minutes) can, but then the two results differ, by the factor that was left out.
"""

import linecache
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pint

from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.places import equation_files, in_words, place_of
from mpc_agent.model_check.subject import Floats, Subject, points_within
from plant_models.dialect import NUMPY, Maths
from plant_models.evaluate import Points
from plant_models.model import PlantModel
from plant_models.units import UNITS, UnreadableUnitError, one, quantities, registry, without_unit

CHECK = "units"

TOLERANCE = 1e-4
"""Of the terms: constants of the literature are rounded (760 mmHg per atm), units are not."""

SAME_FACTOR = 1e-4
"""How closely a mismatch must be the ratio of two units to be explained by it."""

RANDOM_POINTS = 5
"""Points besides the typical one: a term that is small at one is not at all of them."""


def check_units(subject: Subject) -> Outcome:
    """Read every unit, then run the equations with and without them."""
    model = subject.model
    unread = list(_unreadable(model))
    if unread:
        return Outcome(CHECK, "equations not run with units", tuple(unread))
    points = _points(model)
    findings = dict.fromkeys([*_roles(model), *_mismatches(subject, points)])
    summary = f"{_count(model)} units; equations run with them at {len(points)} points"
    return Outcome(CHECK, summary, tuple(findings))


def _tables(model: PlantModel) -> dict[str, Mapping[str, Any]]:
    return {
        "state": model.states,
        "input": model.inputs,
        "parameter": model.parameters,
        "output": model.outputs_info,
    }


def _count(model: PlantModel) -> int:
    return sum(len(table) for table in _tables(model).values())


def _unreadable(model: PlantModel) -> Iterator[Finding]:
    for kind, table in _tables(model).items():
        for name, item in table.items():
            try:
                one(item.unit)
            except UnreadableUnitError as error:
                yield fault(CHECK, f"{kind} {name}: {error}")


def _roles(model: PlantModel) -> Iterator[Finding]:
    """Units that the rest of the product relies on."""
    wanted = [("state", model.volume, "L"), ("output", model.product, "g")]
    wanted += [("input", name, "L/h") for name in model.volume_flows]
    if model.volume_loss is not None:
        wanted.append(("output", model.volume_loss, "L/h"))
    gains = (f"{name}_gain" for name in model.volume_flows)
    wanted += [("parameter", name, "1") for name in gains if name in model.parameters]
    for kind, name, unit in wanted:
        item = _tables(model)[kind].get(name)
        if item is None:
            continue
        try:
            size = without_unit(one(item.unit), unit)
        except pint.DimensionalityError:
            yield fault(CHECK, f"{kind} {name} is in {item.unit}; it must be in {unit}")
            continue
        if kind != "output" and abs(size - 1) > TOLERANCE:
            yield fault(CHECK, f"{kind} {name} is in {item.unit}; it must be in {unit}")


def _points(model: PlantModel) -> Points:
    """The typical point, where nothing is zero, and random ones."""
    typical = [
        np.array(
            [
                item.scale if getattr(item, value) == 0 else getattr(item, value)
                for item in table.values()
            ]
        )
        for table, value in ((model.states, "initial"), (model.inputs, "nominal"))
    ]
    parameters = np.array(model.nominal_parameters(), dtype=np.float64)
    first = Points(*(np.atleast_2d(part) for part in (*typical, parameters)))
    return first.joined(points_within(model, RANDOM_POINTS, seed=5))


def _mismatches(subject: Subject, points: Points) -> Iterator[Finding]:
    """Both ways of running the equations, compared; of each value the first mismatch alone."""
    model = subject.model
    sizes = subject.equations.at(points).sizes
    halves: tuple[tuple[str, Equations, dict[str, str]], ...] = (
        ("rate of", model.derivative, {n: f"({s.unit})/h" for n, s in model.states.items()}),
        ("output", model.output_vector, {n: o.unit for n, o in model.outputs_info.items()}),
    )
    for start, (what, equations, wanted) in zip((0, len(model.states)), halves, strict=True):
        told: dict[str, str] = {}
        for row in range(len(points)):
            x, u, p = (part[row] for part in points.parts)
            try:
                with_units = equations(
                    _with_units(model.states, x),
                    _with_units(model.inputs, u),
                    _with_units(model.parameters, p),
                    UNITS,
                )
            except Exception as error:  # noqa: BLE001 - whatever the equations raise is the finding
                yield _broken(model, what, error)
                break
            with np.errstate(all="ignore"):
                bare = equations(x, u, p, NUMPY)
            for i, (name, unit) in enumerate(wanted.items()):
                text = _difference(with_units[i], float(bare[i]), unit, sizes[row, start + i])
                if text:
                    told.setdefault(name, text)
        yield from (fault(CHECK, f"{what} {name}: {text}") for name, text in told.items())


Equations = Callable[[Any, Any, Any, Maths], Any]


def _with_units(table: Mapping[str, Any], values: Floats) -> list[Any]:
    return list(quantities(values.tolist(), [item.unit for item in table.values()]))


def _difference(value: Any, bare: float, unit: str, size: float) -> str:  # noqa: ANN401
    """What is wrong with a value that was computed with units; empty when nothing is."""
    wanted = unit.replace("(", "").replace(")", "")
    try:
        number = without_unit(value, unit)
    except pint.DimensionalityError:
        return f"comes out in {_unit(value)}, which is no {wanted}"
    if not np.isfinite([number, bare]).all() or abs(number - bare) <= TOLERANCE * size:
        return ""
    factor = bare / number if number else np.inf
    if abs(_size(value, unit) * factor - 1) < SAME_FACTOR:
        return (
            f"comes out in {_unit(value)}, but must be in {wanted}: the numbers are off by a "
            f"factor of {factor:.6g}"
        )
    numbers = f"with units it is {number:.6g} {wanted}, the bare numbers give {bare:.6g}"
    if any(abs(factor / usual - 1) < SAME_FACTOR for usual in _USUAL_FACTORS):
        return (
            f"a factor of {factor:.6g} is hidden in it: {numbers}; write constants that convert "
            'units as such, xp.quantity(1000.0, "mg/g")'
        )
    return (
        f"terms in different units are added, such as g and mg: {numbers}; convert one of them, by "
        'xp.quantity(1000.0, "mg/g")'
    )


_USUAL_FACTORS = [
    base**sign
    for base in (*(10.0**power for power in range(1, 13)), 60.0, 3600.0, 24.0)
    for sign in (1, -1)
]
"""What people forget: prefixes, minutes, seconds, days."""


def _size(value: Any, unit: str) -> float:  # noqa: ANN401 - a quantity, or a bare number
    """How large one of the unit that a value happens to be in is in the unit wanted."""
    if not isinstance(value, registry().Quantity):
        return 1.0
    return without_unit(registry().Quantity(1.0, value.units), unit)


def _unit(value: Any) -> str:  # noqa: ANN401 - a quantity, or a bare number
    """The unit of a value, short."""
    return _short(value.units) if isinstance(value, registry().Quantity) else _BARE


_BARE = "bare numbers"


def _short(units: Any) -> str:  # noqa: ANN401 - the library's class is generic
    """A unit as the tables write it: mmol/L/h."""
    exponents: dict[str, Any] = dict(registry().Unit(units)._units)  # noqa: SLF001 - no public name
    powers = sorted(exponents.items(), key=lambda item: item[0] in _TIMES)
    above = [_power(_symbol(name), power) for name, power in powers if power > 0]
    below = [_power(_symbol(name), -power) for name, power in powers if power < 0]
    return "/".join(["*".join(above) or "1", *below]) if powers else _BARE


_TIMES = ("second", "minute", "hour", "day")
"""What a rate ends in."""


def _symbol(name: str) -> str:
    if name.endswith("liter"):
        return registry().get_symbol(name)[:-1] + "L"
    return {"degree_Celsius": "degC", "delta_degree_Celsius": "delta_degC"}.get(
        name, registry().get_symbol(name)
    )


def _power(symbol: str, power: float) -> str:
    return symbol if power == 1 else f"{symbol}^{power:g}"


_MEANINGS = {
    "_dimensionless": (
        "takes the exponential, logarithm or tanh of a quantity in {first}: divide it by its unit "
        "first, or write xp.number(x, unit)"
    ),
    "<lambda>": "reads a quantity in {first} as a number of {second}",
}
"""What a conversion that failed was for, by the function of the units engine that asked for it."""


def _broken(model: PlantModel, what: str, error: Exception) -> Finding:
    """Why the equations cannot be run with units, and in which line."""
    files = equation_files(model)
    where = place_of(error, files)
    code = "" if where is None else _line(error, files)
    text = _reason(error)
    half = "the rates" if what == "rate of" else "the outputs"
    return fault(CHECK, f"{text} in {code}" if code else f"{half}: {text}", where)


def _reason(error: Exception) -> str:
    if isinstance(error, pint.DimensionalityError):
        first, second = _short(error.units1), _short(error.units2)
        asked = set(_engine_functions(error))
        for name, meaning in _MEANINGS.items():
            if name in asked:
                return meaning.format(first=first, second=second)
        return f"adds, subtracts or compares {first} and {second}"
    if isinstance(error, pint.OffsetUnitCalculusError):
        return (
            "calculates with a temperature in degC, whose zero is arbitrary (differences are in "
            'delta_degC; for an absolute one write xp.number(T, "degC") + 273.15)'
        )
    if isinstance(error, UnreadableUnitError):
        return str(error)
    return in_words(error)


def _engine_functions(error: Exception) -> Iterator[str]:
    """Functions of the units engine that an error went through."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == _ENGINE_FILE:
            yield code.co_name
        trace = trace.tb_next


_ENGINE_FILE = without_unit.__code__.co_filename


def _line(error: Exception, files: tuple[str, ...]) -> str:
    """The text of the innermost line of the equations that an error went through."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in files:
            frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return f"`{linecache.getline(*frames[-1]).strip()}`" if frames else ""
