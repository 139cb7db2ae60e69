"""Whether what both problems are told fits the model, the guard and itself."""

from collections.abc import Iterator

from mpc_agent.config.build_control import SPARGE
from mpc_agent.config.faults import KeyPath
from mpc_agent.config.findings import Finding, unknown
from mpc_agent.config.schema_control import ControlSection
from mpc_agent.config.schema_problem import ProblemSection, TotalSection
from mpc_agent.config.schema_safety import SafetySection
from mpc_agent.drivers.units import same_unit
from plant_models.model import PlantModel


def check_problems(section: ControlSection, model: PlantModel) -> Iterator[Finding]:
    """Names, ranges and units of both problems that the model does not have."""
    for problem, part in section.problems:
        path: KeyPath = ("control", problem)
        yield from _check_inputs(path, part, model)
        yield from _check_outputs(path, part, model)
        yield from _check_held(path, part, model)
        yield from _check_totals(path, part, model)
    for name in section.gas.tracked if section.gas else ():
        place: KeyPath = ("control", "gas", "tracked", name)
        yield from unknown(place, name, model.outputs_info, f"output of {model.name}")


def _check_inputs(path: KeyPath, part: ProblemSection, model: PlantModel) -> Iterator[Finding]:
    """Inputs that the model does not have, or for which its equations do not hold."""
    for name, item in part.inputs.items():
        place = (*path, "inputs", name)
        yield from unknown(place, name, model.inputs, f"input of {model.name}")
        known = model.inputs.get(name)
        if known is not None and (item.lower < known.lower or item.upper > known.upper):
            bounds = f"{known.lower:g}..{known.upper:g} {known.unit}"
            yield place, f"must stay within what the equations of {model.name} hold for, {bounds}"


def _check_outputs(path: KeyPath, part: ProblemSection, model: PlantModel) -> Iterator[Finding]:
    """Outputs of limits and rewards."""
    what = f"output of {model.name}"
    for i, limit in enumerate(part.limits):
        place: KeyPath = (*path, "limits", i, "output")
        yield from unknown(place, limit.output, model.outputs_info, what)
    first: dict[str, int] = {}
    for i, rewarded in enumerate(part.rewarded):
        place = (*path, "rewarded", i, "output")
        yield from unknown(place, rewarded.output, model.outputs_info, what)
        if first.setdefault(rewarded.output, i) != i:
            yield place, f"is rewarded already by item {first[rewarded.output]}"


def _check_held(path: KeyPath, part: ProblemSection, model: PlantModel) -> Iterator[Finding]:
    """States that are held."""
    for key, names in (
        ("held_states", part.held_states),
        ("guess_held_states", part.guess_held_states),
    ):
        for i, name in enumerate(names):
            yield from unknown((*path, key, i), name, model.states, f"state of {model.name}")
    if set(model.states) <= set(part.held_states):
        yield (*path, "held_states"), "holds every state of the model: nothing can be decided"


def _check_totals(path: KeyPath, part: ProblemSection, model: PlantModel) -> Iterator[Finding]:
    """Sums one by one, and their names."""
    names: set[str] = set()
    for i, total in enumerate(part.totals):
        yield from _check_total((*path, "totals", i), total, part, model)
        if total.name == SPARGE:
            text = "is the name of the sum that safety.max_sparge_L_per_h bounds; choose another"
            yield (*path, "totals", i, "name"), text
        elif total.name in names:
            yield (*path, "totals", i, "name"), "is another total's name; choose another"
        names.add(total.name)


def _check_total(
    path: KeyPath, total: TotalSection, part: ProblemSection, model: PlantModel
) -> Iterator[Finding]:
    """A sum of what cannot be added up, that nobody decides, or that is always exceeded."""
    for i, name in enumerate(total.inputs):
        yield from unknown((*path, "inputs", i), name, model.inputs, f"input of {model.name}")
        if name in total.inputs[:i]:
            yield (*path, "inputs", i), "is in this sum already"
    known = [name for name in total.inputs if name in model.inputs]
    other = [n for n in known if not same_unit(model.inputs[n].unit, model.inputs[known[0]].unit)]
    if other:
        units = ", ".join(f"{name} in {model.inputs[name].unit}" for name in (known[0], *other))
        yield (*path, "inputs"), f"must have one common unit to be added up, not {units}"
    if known and not set(known) & set(part.planned):
        names = ", ".join(part.planned)
        yield (*path, "inputs"), f"none of these is decided by this problem ({names})"
    decided = [name for name in dict.fromkeys(known) if name in part.inputs]
    least = sum(part.inputs[name].lower for name in decided)
    if decided and total.upper < least:
        yield (*path, "upper"), f"is below what the smallest values add up to, {least:g}"


def check_against_guard(
    control: ControlSection, safety: SafetySection, model: PlantModel
) -> Iterator[Finding]:
    """Changes faster than the guard lets pass, and values that it never lets pass."""
    for problem, part in control.problems:
        for name, item in part.inputs.items():
            guarded = safety.inputs.get(name)
            if guarded is None:
                continue
            # A feed may always fall at once.
            guarded_fall = None if name in model.volume_flows else guarded.fall_per_h
            for key, own, allowed in (
                ("rise_per_h", item.rise_per_h, guarded.rise_per_h),
                ("fall_per_h", item.fall_per_h, guarded_fall),
            ):
                if own is not None and allowed is not None and own > allowed:
                    text = f"must not be above safety.inputs.{name}.{key}, {allowed:g}"
                    yield ("control", problem, "inputs", name, key), f"{text}; it may be left out"
    for name, (lower, upper) in control.feed.as_needed.items():
        guarded = safety.inputs.get(name)
        if guarded is not None and (lower < guarded.lower or upper > guarded.upper):
            bounds = f"{guarded.lower:g}..{guarded.upper:g}"
            text = f"must stay within safety.inputs.{name}, {bounds}"
            yield ("control", "feed", "foreseen", name), text
    yield from _check_sparge(control, safety)


def _check_sparge(control: ControlSection, safety: SafetySection) -> Iterator[Finding]:
    """Gases whose smallest values are too much together."""
    for problem, part in control.problems:
        gases = [name for name in safety.sparge_gives_way if name in part.inputs]
        least = sum(part.inputs[name].lower for name in gases)
        largest = safety.max_sparge_L_per_h
        if largest is not None and least > largest:
            text = f"{', '.join(gases)} are {least:g} L/h together at least, above"
            path = ("control", problem, "inputs")
            yield path, f"{text} safety.max_sparge_L_per_h, {largest:g}"
