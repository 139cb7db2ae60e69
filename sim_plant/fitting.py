"""Whether a plant's settings fit each other and its model; every fault at once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from plant_models.model import Input, Parameter, PlantModel, State
from sim_plant.equipment_settings import ActuatorSettings, LoopSettings, ProbeSettings
from sim_plant.errors import PlantError
from sim_plant.faults import FAULT_TYPES, Target
from sim_plant.names import booking_tag, liquids, model_of, shown
from sim_plant.tag_units import Scale

if TYPE_CHECKING:
    from sim_plant.settings import PlantSettings


def misfits(settings: "PlantSettings") -> list[str]:
    """Everything that does not fit, each as `key: text`."""
    model = model_of(settings.model)
    return list(
        chain(
            _process(settings, model),
            _culture(settings, model),
            _actuators(settings, model),
            _instruments(settings, model),
            _by_hand(settings, model),
            _loops(settings),
            _yardstick(settings),
            _faults(settings),
        )
    )


def fault_targets(settings: "PlantSettings", target: Target) -> tuple[str, ...]:
    """What this plant has of one sort of thing that fails."""
    actuators = settings.actuators.items()
    match target:
        case Target.PROBE:
            return tuple(settings.probes)
        case Target.PUMP:
            return tuple(name for name, actuator in actuators if actuator.pumps)
        case Target.GAS:
            return tuple(name for name, actuator in actuators if actuator.kind == "gas")
        case Target.PARAMETER:
            return model_of(settings.model).parameter_names
        case _:
            return tuple(settings.assays)


def _process(settings: "PlantSettings", model: PlantModel) -> Iterator[str]:
    """Vessel and conditions."""
    initial, working = settings.vessel.initial_volume_L, settings.vessel.working_volume_L
    if initial >= working:
        yield f"vessel: initial_volume_L, {initial:g}, must be below working_volume_L, {working:g}"
    volume = {model.volume: initial}
    yield from _bounded("vessel.initial_volume_L", volume, model.states, "state")
    yield from _bounded("conditions", settings.conditions, model.inputs, "input")
    yield from _known("drifts", settings.drifts, model.inputs, "input")
    for section, names in (("conditions", settings.conditions), ("drifts", settings.drifts)):
        for name in names:
            if name in settings.actuators:
                yield f"{section}: {name} has an actuator, which says what it does"


def _culture(settings: "PlantSettings", model: PlantModel) -> Iterator[str]:
    """Parameters and states of the model that are given or drawn."""
    culture = settings.culture
    yield from _bounded("culture.parameters", culture.parameters, model.parameters, "parameter")
    yield from _known("culture.deviations", culture.deviations, model.parameters, "parameter")
    # The volume is the vessel's.
    states = {name: state for name, state in model.states.items() if name != model.volume}
    yield from _bounded("culture.initial", culture.initial, states, "state to be set")
    yield from _known("culture.inoculum_states", culture.inoculum_states, states, "state to be set")


def _known(key: str, names: Iterable[str], table: Mapping[str, object], what: str) -> Iterator[str]:
    """Names that a table of the model does not have."""
    for name in names:
        if name not in table:
            yield f"{key}: {name!r} is no {what}; known: {', '.join(table)}"


def _bounded(
    key: str,
    given: Mapping[str, float],
    table: Mapping[str, Input] | Mapping[str, Parameter] | Mapping[str, State],
    what: str,
) -> Iterator[str]:
    """Values outside the bounds that the model declares, and names that it does not have."""
    yield from _known(key, given, table, what)
    for name, value in given.items():
        known = table.get(name)
        if known is not None and not known.lower <= value <= known.upper:
            within = f"{known.lower:g} to {known.upper:g} {known.unit}"
            yield f"{key}: {name} must be within {within}, but is {value:g}"


def _actuators(settings: "PlantSettings", model: PlantModel) -> Iterator[str]:
    """Ranges and units of the actuators, and names of tags that are there twice."""
    for name, actuator in settings.actuators.items():
        yield from _unit(f"actuators.{name}", actuator.unit, model.inputs[name].unit)
        yield from _range(f"actuators.{name}", actuator, model.inputs[name].lower, "lower")
        yield from _range(f"actuators.{name}", actuator, model.inputs[name].upper, "upper")
    parts = ("Actual", "Setpoint", "WorkingSetpoint")
    tags = [f"{item.tag}.{part}" for item in settings.actuators.values() for part in parts]
    tags += [item.tag for item in (*settings.probes.values(), *settings.assays.values())]
    tags += map(booking_tag, settings.booked)
    for tag, count in Counter(tags).items():
        if count > 1 or tag.split(".")[0] in ("Control", "Clock", "Batch"):
            yield f"tags: the name {tag} is there already"


def _range(key: str, actuator: ActuatorSettings, bound: float, end: str) -> Iterator[str]:
    given = getattr(actuator, end)
    outside = given < bound if end == "lower" else given > bound
    if outside:
        yield f"{key}.{end}: {given:g} is outside what the model admits, {bound:g}"


def _unit(key: str, tag: str, model: str) -> Iterator[str]:
    try:
        Scale.between(tag, model)
    except ValueError as error:
        yield f"{key}.unit: {error}"


def _instruments(settings: "PlantSettings", model: PlantModel) -> Iterator[str]:
    """Units of probes and assays."""
    for section, items in (("probes", settings.probes), ("assays", settings.assays)):
        for name, item in items.items():
            yield from _unit(f"{section}.{name}", item.unit, shown(model, name).unit)


def _by_hand(settings: "PlantSettings", model: PlantModel) -> Iterator[str]:
    """Doses and samples that are no liquid, do not fit the vessel or are outside the batch."""
    known, duration_h = liquids(model), settings.batch.duration_h
    named = {f"doses.{number}.what": dose.what for number, dose in enumerate(settings.doses)}
    named |= {f"bookings.{number}": name for number, name in enumerate(settings.bookings)}
    for key, name in named.items():
        if name not in known:
            yield f"{key}: {name!r} is no liquid here; known: {', '.join(known)}"
    for number, dose in enumerate(settings.doses):
        if not dose.at_h < duration_h:
            within = f"from 0 to before {duration_h:g} h"
            yield f"doses.{number}.at_h: {dose.at_h:g} is outside the batch, {within}"
    volumes = {f"doses.{n}.volume_L": dose.volume_L for n, dose in enumerate(settings.doses)}
    volumes["lab.sample_volume_L"] = settings.lab.sample_volume_L
    working = settings.vessel.working_volume_L
    for key, volume in volumes.items():
        if volume >= working:
            yield f"{key}: must be less than the working volume, {working:g} L, but is {volume:g}"


def _loops(settings: "PlantSettings") -> Iterator[str]:
    """What loops look at and drive; every actuator belongs to one of them at most."""
    drivers: dict[str, int] = {}
    for number, loop in enumerate(settings.loops):
        key = f"loops.{number}"
        if loop.measured not in settings.probes:
            names = ", ".join(settings.probes) or "none here"
            yield f"{key}.measured: there is no probe of {loop.measured!r}; known: {names}"
        else:
            yield from _setpoints(f"{key}.setpoint", loop, settings.probes[loop.measured])
        for name in loop.drives:
            actuator = settings.actuators.get(name)
            if actuator is None:
                yield f"{key}: {_no_actuator(settings, name)}"
            elif name in drivers:
                yield f"{key}: {name} is driven by loops.{drivers[name]} already"
            elif loop.when == "always" and actuator.remote:
                yield f"{key}: {name} always belongs to this loop, so it cannot be remote: true"
            elif loop.when == "local" and not actuator.remote:
                yield f"{key}: no controller may write {name}, so this loop must act always"
            drivers.setdefault(name, number)


def _setpoints(key: str, loop: LoopSettings, probe: ProbeSettings) -> Iterator[str]:
    """Setpoints that the probe can never show."""
    if probe.range is None:
        return
    lower, upper = probe.range
    for _, value in loop.setpoint:
        if not lower <= value <= upper:
            within = f"{lower:g} to {upper:g} {probe.unit}"
            yield f"{key}: {value:g} is outside the range of its probe, {within}"


def _no_actuator(settings: "PlantSettings", name: str) -> str:
    return f"there is no actuator {name!r}; known: {', '.join(settings.actuators) or 'none here'}"


def _yardstick(settings: "PlantSettings") -> Iterator[str]:
    try:
        model = settings.yardstick_model
    except PlantError as error:
        yield f"yardstick.{error}"
        return
    for name in settings.yardstick.decided:
        if name not in settings.actuators:
            yield f"yardstick.decided: {_no_actuator(settings, name)}"
    yield from _known(
        "yardstick.held_states", settings.yardstick.held_states, model.states, "state"
    )


def _faults(settings: "PlantSettings") -> Iterator[str]:
    """Faults of what the plant has not."""
    for number, fault in enumerate(settings.faults):
        known = fault_targets(settings, FAULT_TYPES[fault.kind].target)
        if fault.target not in known:
            names = ", ".join(known) or "none here"
            yield f"faults.{number}: {fault.kind} cannot happen to {fault.target!r}; known: {names}"
