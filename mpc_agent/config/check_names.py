"""Whether every name in a configuration exists in the model, and every tag fits."""

from collections.abc import Collection, Iterator

from mpc_agent.config.faults import KeyPath
from mpc_agent.config.findings import Finding, unknown
from mpc_agent.config.parameter_set import allowed
from mpc_agent.config.schema_control import ControlSection
from mpc_agent.config.schema_estimation import SignalsSection
from mpc_agent.config.schema_general import ModelSection, SimulationSection
from mpc_agent.config.schema_safety import SafetySection
from mpc_agent.drivers.tag_building import TagMapError, build_tag_map, signal_units
from mpc_agent.drivers.tagmap import TagMapSettings
from plant_models.model import PlantModel


def check_model(section: ModelSection, model: PlantModel) -> Iterator[Finding]:
    """Names and values that the configuration gives to the model."""
    for name, value in section.parameters.items():
        path = ("model", "parameters", name)
        yield from unknown(path, name, model.parameters, f"parameter of {model.name}")
        known = model.parameters.get(name)
        if known is not None and not known.lower <= value <= known.upper:
            yield path, f"must be within {allowed(known)}"
    for name, value in section.initial.items():
        path = ("model", "initial", name)
        yield from unknown(path, name, model.states, f"state of {model.name}")
        state = model.states.get(name)
        if state is not None and not state.lower <= value <= state.upper:
            yield path, f"must be within {state.lower:g}..{state.upper:g} {state.unit}"


def check_safety_names(
    section: SafetySection, model: PlantModel, signals: SignalsSection | None
) -> Iterator[Finding]:
    """Inputs and signals of the safety section that do not exist."""
    for name, item in section.inputs.items():
        path: KeyPath = ("safety", "inputs", name)
        yield from unknown(path, name, model.inputs, f"input of {model.name}")
        dosed = item.max_dose_L is not None or item.max_hourly_dose_L is not None
        if dosed and name not in model.volume_flows:
            yield path, "has a dose limit, but adds no volume"
    gases = [name for name in section.inputs if name not in model.volume_flows]
    for i, name in enumerate(section.sparge_gives_way):
        path = ("safety", "sparge_gives_way", i)
        yield from unknown(path, name, gases, "input of safety.inputs that is a gas")
    if section.oxygen.gas is not None:
        path = ("safety", "oxygen", "gas")
        yield from unknown(path, section.oxygen.gas, section.sparge_gives_way, "sparged gas")
    if signals is not None:
        for i, name in enumerate(section.critical_signals):
            path = ("safety", "critical_signals", i)
            yield from unknown(path, name, signals.online, "signal of signals.online")


def check_simulation(section: SimulationSection, plant: PlantModel) -> Iterator[Finding]:
    """Outputs that the simulated plant is judged by and does not have."""
    for i, limit in enumerate(section.limits):
        path = ("simulation", "limits", i, "output")
        yield from unknown(path, limit.output, plant.outputs_info, "output of the simulated plant")


def check_tag_names(
    tags: TagMapSettings, model: PlantModel, signals: SignalsSection | None
) -> Iterator[Finding]:
    """Tags of quantities that the model does not have.

    Which signals there are is not known while their section cannot be read.
    """
    for group, named, used in (
        ("measured", tags.measured, {} if signals is None else signals.online),
        ("assays", tags.assays, {} if signals is None else signals.assays),
    ):
        key = "online" if group == "measured" else group
        what = f"signal of signals.{key} or output of {model.name}"
        for name in named if signals is not None else ():
            path: KeyPath = ("tags", group, name)
            yield from unknown(path, name, dict.fromkeys((*used, *model.outputs_info)), what)
    for name in tags.inputs:
        path = ("tags", "inputs", name)
        yield from unknown(path, name, model.inputs, f"input of {model.name}")


def check_tag_map(
    tags: TagMapSettings,
    model: PlantModel,
    signals: SignalsSection | None,
    namespaces: Collection[str] | None,
) -> Iterator[Finding]:
    """Units that do not fit, aliases that are not declared, nodes written twice.

    Tags of signals whose output is not known are left out: their names are told elsewhere.
    """
    outputs = {name: output.unit for name, output in model.outputs_info.items()}
    units = signal_units(outputs, {} if signals is None else signals.shown)
    known = {
        "measured": {name: tag for name, tag in tags.measured.items() if name in units},
        "assays": {name: tag for name, tag in tags.assays.items() if name in units},
    }
    try:
        build_tag_map(
            tags.model_copy(update=known),
            units,
            {name: item.unit for name, item in model.inputs.items()},
            namespaces,
            model.volume_flows,
        )
    except TagMapError as error:
        for line in error.faults:
            label, _, text = line.partition(": ")
            path: KeyPath = tuple(label.split("."))
            yield ((*path, "unit") if text.startswith("unit ") else path), text


def check_tags_suffice(
    tags: TagMapSettings,
    signals: SignalsSection | None,
    control: ControlSection | None,
    safety: SafetySection | None,
) -> Iterator[Finding]:
    """Signals without a tag, and inputs that are decided or guarded but cannot be written."""
    if signals is not None:
        for group, names, known in (
            ("online", signals.online, tags.measured),
            ("assays", signals.assays, tags.assays),
        ):
            where = "tags.measured" if group == "online" else "tags.assays"
            for name in names:
                yield from unknown(("signals", group, name), name, known, f"tag of {where}")
    written = {name for name, item in tags.inputs.items() if item.setpoint is not None}
    if control is not None:
        for problem, part in control.problems:
            for name in part.inputs:
                path: KeyPath = ("control", problem, "inputs", name)
                yield from unknown(path, name, written, "setpoint of tags.inputs")
        for name in control.feed.boluses:
            path = ("control", "feed", "boluses", name)
            yield from unknown(path, name, written, "setpoint of tags.inputs")
    if safety is not None:
        for name in safety.inputs:
            path = ("safety", "inputs", name)
            yield from unknown(path, name, written, "setpoint of tags.inputs")
