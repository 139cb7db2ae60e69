"""What a record is replayed with: the configuration in its header, or another one."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpc_agent.config import Settings
from mpc_agent.config.build_estimation import estimation_settings
from mpc_agent.config.document import Document, read_document
from mpc_agent.config.model_choice import chosen_model
from mpc_agent.config.parameter_set import ParameterSet
from mpc_agent.config.settings import batch_identity
from mpc_agent.config.text import ConfigText
from mpc_agent.errors import BadRecordError, ExitCode, NoInputError, UserError
from mpc_agent.estimation.settings import EstimationSettings, SignalSettings
from mpc_agent.provenance import model_fingerprint, quantities, software_versions
from mpc_agent.record import BatchHeader, Quantity
from mpc_agent.replay.comparing import LAB, Names
from plant_models.model import PlantModel


@dataclass(frozen=True)
class Setup:
    """What estimates are made with.

    Attributes:
        source: where it is from, as people read it.
        settings: what the filter is built from.
        period_s: time from cycle to cycle.
        recorded: it is the configuration that the record was made with.
        notes: what people should know of it.
    """

    source: str
    settings: EstimationSettings
    period_s: float
    recorded: bool
    notes: tuple[str, ...] = ()


def recorded_setup(header: BatchHeader, record: Path) -> Setup:
    """The setup that a record was made with, from its header.

    Args:
        header: the record's.
        record: its file; a site's own model is looked for beside it and in the working directory.

    Raises:
        BadRecordError: the configuration is not one of this version.
        NoInputError: the site's own model cannot be found.
    """
    content, kept = _recorded_content(header)
    sections = read_document(ConfigText(content))
    if sections.document is None:
        raise BadRecordError(
            f"the configuration in {record} is not one of this version ({sections.faults[0]}); "
            "give one with --config"
        )
    model = _recorded_model(sections.document, record)
    given = None if kept is None else _parameter_set(kept)
    settings = estimation_settings(sections.document, model, given)
    period_s = sections.document.cycle.period_s
    notes = tuple(_changes(header, model))
    return Setup("the recorded configuration", settings, period_s, recorded=True, notes=notes)


def other_setup(config: Path, header: BatchHeader) -> Setup:
    """The setup of a configuration, for the record of the same kind of plant.

    Raises:
        ConfigError: everything that is wrong with the configuration.
        UserError: it is for another model.
    """
    settings = Settings.load(config, os.environ)
    _same_plant(settings.model, header, config)
    mine, theirs = names_of(settings.estimation), recorded_names(header)
    same_order = (mine.signals, mine.adapted) == (theirs.signals, theirs.adapted)
    same_text = batch_identity(settings.text) == batch_identity(header.config)
    return Setup(
        source=str(config),
        settings=settings.estimation,
        period_s=settings.document.cycle.period_s,
        recorded=same_text and same_order,
        notes=tuple(_changes(header, settings.model)),
    )


def _recorded_content(header: BatchHeader) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """The recorded configuration as it was written, and the parameter set it named.

    Its text is sorted by key, but signals, assays and learnt parameters have an order, which the
    header knows.
    """
    content: dict[str, Any] = json.loads(header.config)
    content["recipe"].pop("rows", None)
    kept = content["model"].pop("parameter_set", None)
    adapted = tuple(item.name for item in header.adapted)
    for section, key, names in (
        ("signals", "online", header.signals),
        ("signals", "assays", header.assays),
        ("estimation", "adapted", adapted),
    ):
        unordered = content[section][key]
        content[section][key] = {name: unordered[name] for name in names}
    return content, kept


def recorded_names(header: BatchHeader) -> Names:
    """What the recorded estimates stand for."""
    signals = json.loads(header.config)["signals"]
    gates = {
        **{name: _gate(signals["online"], name) for name in header.signals},
        **{name + LAB: _gate(signals["assays"], name) for name in header.assays},
    }
    return Names(
        states=tuple(item.name for item in header.states),
        adapted=tuple(item.name for item in header.adapted),
        outputs=tuple(item.name for item in header.outputs),
        signals=header.signals,
        gates=gates,
        locked=header.parameters,
    )


def names_of(settings: EstimationSettings) -> Names:
    """What the estimates of a filter stand for."""
    return Names(
        states=settings.model.state_names,
        adapted=tuple(item.name for item in settings.adapted),
        outputs=settings.model.output_names,
        signals=tuple(item.name for item in settings.signals),
        gates={
            **{item.name: item.gate for item in settings.signals},
            **{item.name + LAB: item.gate for item in settings.assays},
        },
        locked=settings.parameters,
    )


def _gate(section: Mapping[str, Any], name: str) -> float:
    return float(section.get(name, {}).get("gate_sigmas", SignalSettings.gate))


def _parameter_set(kept: Mapping[str, Any]) -> ParameterSet:
    return ParameterSet(kept["model"], kept["origin"], kept["values"])


def _recorded_model(document: Document, record: Path) -> PlantModel:
    section = document.model
    folders = list(dict.fromkeys([Path.cwd(), record.absolute().parent]))
    if section.file is not None:
        there = [folder for folder in folders if (folder / section.file).is_file()]
        if not there:
            places = " or ".join(map(str, folders))
            raise NoInputError(
                f"the batch's own model, {section.file}, is not in {places}; start from the folder "
                "of its configuration, or give that with --config"
            )
        folders = there
    model, findings = chosen_model(section, folders[0])
    if model is None:
        raise BadRecordError(
            f"the model of {record} cannot be had any more: {section.file or section.name} "
            f"{findings[0][1]}"
        )
    return model


def _same_plant(model: PlantModel, header: BatchHeader, config: Path) -> None:
    """Refuse a model whose states, outputs or inputs the record does not have.

    Raises:
        UserError: with the first that differs.
    """
    found = next(_differences(model, header), None)
    if found is not None:
        raise UserError(
            f"{config} is for the model {model.name}, the record for {header.model}: {found}. "
            "Replay needs the same states, outputs and inputs.",
            ExitCode.CONFIG,
        )


def _differences(model: PlantModel, header: BatchHeader) -> Iterator[str]:
    kinds: tuple[tuple[str, tuple[Quantity, ...]], ...] = (
        ("states", header.states),
        ("outputs", header.outputs),
        ("inputs", header.inputs),
    )
    for kind, recorded in kinds:
        mine = [(item.name, item.unit) for item in quantities(model, kind)]
        theirs = [(item.name, item.unit) for item in recorded]
        missing = [name for name, unit in theirs if (name, unit) not in mine]
        added = [name for name, unit in mine if (name, unit) not in theirs]
        if missing:
            yield f"of the record's {kind} it lacks {', '.join(missing)}"
        if added:
            yield f"the record has no {kind} {', '.join(added)}"
        if mine != theirs:
            yield f"its {kind} are in another order"


def _changes(header: BatchHeader, model: PlantModel) -> Iterator[str]:
    """What else is not as it was when the record was made."""
    if model_fingerprint(model) != header.model_hash:
        yield "the model's source text is not the recorded one"
    now = software_versions()
    changed = [
        f"{name} {then} is now {now.get(name, 'not installed')}"
        for name, then in header.software.items()
        if now.get(name) != then
    ]
    if changed:
        yield f"the software is not the recorded one: {', '.join(changed)}"
