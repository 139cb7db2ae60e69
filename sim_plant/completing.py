"""What a plant file leaves out: from the standard plant of its model, else from its tables.

Entries of `actuators`, `probes` and `assays` are exactly those that the file lists, in its order;
without the section they are the standard plant's, or what the model suggests. The keys of each
entry, and of `batch`, `vessel`, `culture` and `yardstick`, are completed one by one.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from plant_models.model import PlantModel
from sim_plant.names import DEFAULT_MODEL, camel_case, model_of, shown
from sim_plant.standard import STANDARD
from sim_plant.tag_units import Scale

Content = dict[str, Any]

_BY_KEY = ("batch", "vessel", "culture", "yardstick")
_BY_ENTRY = ("actuators", "probes", "assays")
_WHOLE = ("loops", "conditions", "steps_per_tick")

_CELLS = ("biomass", "viable_cells", "dead_cells")
"""Usual names of the states that an inoculum brings."""


def completed(content: Mapping[str, Any]) -> Content:
    """A plant's settings with nothing left out that has a default in the model.

    What is no mapping where one belongs stays as it is, for the sections to refuse.

    Raises:
        PlantError: there is no such model.
        ValueError: an entry is for something the model does not have, or its unit does not fit.
    """
    ours = (*_BY_KEY, *_BY_ENTRY, *_WHOLE)
    given = {name: _plain(value) if name in ours else value for name, value in content.items()}
    model = model_of(given.setdefault("model", DEFAULT_MODEL))
    standard = STANDARD.get(model.name, {})
    for name in _WHOLE:
        if name in standard:
            given.setdefault(name, standard[name])
    for name in _BY_KEY:
        given[name] = _merged(_by_model(name, model), standard.get(name, {}), given.get(name, {}))
    _check_names(given, model)
    for name in _BY_ENTRY:
        entries = given.get(name, standard.get(name) or _suggested(name, model))
        if isinstance(entries, dict):
            given[name] = {
                key: _entry(name, key, standard.get(name, {}).get(key, {}), entry, given, model)
                for key, entry in entries.items()
            }
    _decided(given)
    return given


def _plain(value: object) -> Any:  # noqa: ANN401 - settings are numbers, texts, lists, mappings
    """Sections built in Python as the mappings they would be in a file."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _merged(*layers: object) -> object:
    """The keys of all layers, later ones first; the last layer itself when it is no mapping."""
    merged: Content = {}
    for layer in layers:
        if layer is None:
            continue
        if not isinstance(layer, Mapping):
            return layer
        merged |= layer
    return merged


def _by_model(section: str, model: PlantModel) -> Content:
    """What the model says of a section."""
    match section:
        case "batch":
            return {"duration_h": model.reference.duration_h}
        case "vessel":
            return {"initial_volume_L": model.states[model.volume].initial}
        case "culture":
            return {"inoculum_states": [name for name in _CELLS if name in model.states]}
        case _:
            return {}


def _suggested(section: str, model: PlantModel) -> Content:
    """Entries where neither file nor standard plant lists any: all that the model has."""
    if section == "actuators":
        return {name: {} for name in model.volume_flows}
    wanted = "online" if section == "probes" else "assay"
    outputs = model.outputs_info.items()
    return {name: {} for name, output in outputs if output.measured == wanted}


def _check_names(given: Content, model: PlantModel) -> None:
    """Refuse entries for what the model does not have, all at once."""
    known = {
        "actuators": tuple(model.inputs),
        "probes": (*model.outputs_info, *model.inputs),
        "assays": tuple(model.outputs_info),
    }
    faults = [
        f"{section}: {name!r} is not in {model.name}; known: {', '.join(names)}"
        for section, names in known.items()
        if isinstance(given.get(section), dict)
        for name in given[section]
        if name not in names
    ]
    if faults:
        raise ValueError("\n".join(faults))


def _entry(
    section: str,
    name: str,
    standard: Mapping[str, Any],
    given: object,
    content: Content,
    model: PlantModel,
) -> object:
    """One actuator, probe or assay with all its keys."""
    merged = _merged(standard, given)
    if not isinstance(merged, dict):
        return merged
    if section == "actuators":
        return _actuator(name, merged, content, model)
    merged.setdefault("tag", _instrument_tag(section, name))
    merged.setdefault("unit", shown(model, name).unit)
    if "range" not in merged:
        merged["range"] = _range(f"{section}.{name}", name, merged["unit"], model)
    return merged


def _instrument_tag(section: str, name: str) -> str:
    return f"Lab.{camel_case(name)}" if section == "assays" else f"{camel_case(name)}.Value"


def _actuator(name: str, entry: Content, content: Content, model: PlantModel) -> Content:
    """An actuator: its range and unit are the model's, its habits those of its kind."""
    table = model.inputs[name]
    kind = entry.setdefault("kind", "feed" if name in model.volume_flows else "other")
    pumps = kind in ("feed", "base")
    defaults: Content = {
        "lower": table.lower,
        "upper": table.upper,
        "lag_s": 30.0 if pumps else 10.0,
        "remote": kind in ("feed", "gas") and name not in _driven(content, ("always",)),
        "tag": camel_case(name),
        "unit": table.unit,
    }
    entry = {**defaults, **entry}
    ends = (entry["lower"], entry["upper"])
    safe = 0.0 if pumps else table.nominal
    if all(isinstance(end, int | float) for end in ends):
        safe = min(max(safe, ends[0]), ends[1])
    return {"safe": safe, **entry}


def _range(key: str, name: str, unit: object, model: PlantModel) -> list[float] | None:
    """The model's bounds for what an instrument shows, in the unit of its tag."""
    table = model.states.get(name) if name in model.outputs_info else model.inputs[name]
    if table is None or not isinstance(unit, str) or table.unit != shown(model, name).unit:
        return None
    try:
        scale = Scale.between(unit, table.unit)
    except ValueError as error:
        raise ValueError(f"{key}.unit: {error}") from None
    return [scale.to_tag(table.lower), scale.to_tag(table.upper)]


def _decided(given: Content) -> None:
    """What the optimum decides: all that a controller may write or a loop drives."""
    section, actuators = given["yardstick"], given.get("actuators")
    if not isinstance(section, dict) or "decided" in section or not isinstance(actuators, dict):
        return
    driven = _driven(given, ("always", "local"))
    section["decided"] = [
        name
        for name, actuator in actuators.items()
        if name in driven or (isinstance(actuator, dict) and actuator.get("remote") is True)
    ]


def _driven(content: Content, when: tuple[str, ...]) -> list[object]:
    """Actuators that belong to loops which act so."""
    loops = content.get("loops")
    return [
        loop.get(role)
        for loop in (loops if isinstance(loops, list) else ())
        if isinstance(loop, dict) and loop.get("when", "always") in when
        for role in ("output", "opposite")
    ]
