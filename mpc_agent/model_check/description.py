"""Whether a model says what must be known of it, and whether its tables make sense."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import TypeAlias

from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.kinds import wrong_kinds
from mpc_agent.model_check.places import place
from mpc_agent.model_check.subject import Subject
from plant_models.model import Input, Parameter, PlantModel, State

CHECK = "description"

SHORTEST_VALIDITY = 5
"""Words that it takes to say where equations hold."""

LARGEST_ERROR = 1e-2
"""A coarser integrator than this, in units of a state's scale, would spoil what is computed."""

Quantity: TypeAlias = State | Input | Parameter


def check_description(subject: Subject) -> Outcome:
    """Names, texts, values within bounds, and what the tables refer to."""
    model = subject.model
    sentences = list(wrong_kinds(model))
    if not sentences:
        sentences = [*_texts(model), *_meanings(model), *_ranges(model), *_roles(model)]
        sentences += [*_choices(model), *_batch(model)]
    findings = [*_docstrings(subject.files), *(fault(CHECK, text) for text in sentences)]
    counts = (
        (model.states, "states"),
        (model.inputs, "inputs"),
        (model.parameters, "parameters"),
        (model.outputs_info, "outputs"),
    )
    summary = ", ".join(f"{len(table)} {what}" for table, what in counts)
    return Outcome(CHECK, f"{summary}; sources, validity, bounds", tuple(findings))


def _texts(model: PlantModel) -> Iterator[str]:
    """What must be written in words of the model as a whole."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", model.name):
        yield f"name {model.name!r} must be small letters, digits and underscores"
    for what in ("organism", "source"):
        if not getattr(model, what).strip():
            yield f"`{what}` is empty"
    if len(model.validity.split()) < SHORTEST_VALIDITY:
        yield f"`validity` must say where the equations hold and where not, not {model.validity!r}"
    if not model.equations:
        yield "`equations` is empty: write the main ones as text, with their number in the source"
    for name, text in model.equations.items():
        if not text.strip():
            yield f"equation {name!r} has no text"
    if not model.reference.meaning.strip():
        yield "`reference.meaning` is empty: say which batch it is (paper, figure, recipe)"


def _meanings(model: PlantModel) -> Iterator[str]:
    """What must be written in words of each quantity."""
    for kind, name, item in _quantities(model):
        if not item.meaning.strip():
            yield f"{kind} {name} has no meaning"
    for name, output in model.outputs_info.items():
        if not output.meaning.strip():
            yield f"output {name} has no meaning"
    for name, parameter in model.parameters.items():
        if not parameter.source.strip():
            yield f"parameter {name} has no source"


def _docstrings(files: Iterable[str]) -> Iterator[Finding]:
    """Every file says where its equations and values come from."""
    for file in files:
        text = ast.get_docstring(ast.parse(Path(file).read_text("utf-8"))) or ""
        if not text:
            sentence = "the file has no docstring: say which models, from which sources, and units"
            yield fault(CHECK, sentence, place(file, 1))
        elif not re.search("source", text, re.IGNORECASE):
            sentence = "the file's docstring names no source (write `Source: ...`)"
            yield fault(CHECK, sentence, place(file, 1))


def _quantities(model: PlantModel) -> Iterator[tuple[str, str, Quantity]]:
    """Kind, name and entry of states, inputs and parameters."""
    tables: tuple[tuple[str, Mapping[str, Quantity]], ...] = (
        ("state", model.states),
        ("input", model.inputs),
        ("parameter", model.parameters),
    )
    for kind, table in tables:
        for name, item in table.items():
            yield kind, name, item


def _value(item: Quantity) -> float:
    if isinstance(item, State):
        return item.initial
    return item.nominal if isinstance(item, Input) else item.value


def _ranges(model: PlantModel) -> Iterator[str]:
    """Numbers that are finite, in order, and within their bounds."""
    for kind, name, item in _quantities(model):
        numbers = [value for value in vars(item).values() if isinstance(value, int | float)]
        bounds = f"{item.lower:g}..{item.upper:g} {item.unit}"
        if not all(map(isfinite, numbers)):
            yield f"{kind} {name} has a value that is no finite number"
        elif item.lower > item.upper or (item.lower == item.upper and kind != "parameter"):
            yield f"{kind} {name}: lower must be below upper; they are {bounds}"
        elif not item.lower <= _value(item) <= item.upper:
            yield f"{kind} {name} is {_value(item):g}, outside its own bounds {bounds}"
        else:
            yield from _sizes(kind, name, item)


def _sizes(kind: str, name: str, item: Quantity) -> Iterator[str]:
    if not isinstance(item, Parameter):
        if item.scale <= 0:
            yield f"{kind} {name}: scale, {item.scale:g}, must be above zero"
    elif item.deviation < 0:
        yield f"parameter {name}: deviation, {item.deviation:g}, must not be negative"
    elif item.deviation > 0 and item.value <= 0:
        yield (
            f"parameter {name} has a deviation, which is of its logarithm, so its value, "
            f"{item.value:g}, must be above zero"
        )


def _roles(model: PlantModel) -> Iterator[str]:
    """What the model says of its own states, inputs and outputs."""
    lost = () if model.volume_loss is None else (model.volume_loss,)
    named: tuple[tuple[str, tuple[str, ...], str, Mapping[str, object]], ...] = (
        ("volume", (model.volume,), "state", model.states),
        ("volume_flows", model.volume_flows, "input", model.inputs),
        ("volume_loss", lost, "output", model.outputs_info),
        ("product", (model.product,), "output", model.outputs_info),
        ("shown", model.shown, "output", model.outputs_info),
        ("undiluted", tuple(model.undiluted), "state", model.states),
    )
    for what, names, kind, table in named:
        for name in names:
            if name not in table:
                yield f"`{what}` names {name!r}, which is no {kind}"
    volume = model.states.get(model.volume)
    if volume is not None and volume.lower <= 0:
        yield (
            f"state {model.volume}: lower, {volume.lower:g}, must be above zero, because "
            "equations divide by it"
        )
    for name in model.volume_flows:
        if name in model.inputs and model.inputs[name].lower < 0:
            yield f"input {name} adds volume, so its lower bound must not be negative"


def _choices(model: PlantModel) -> Iterator[str]:
    """What the author chose: exceptions and the integrator."""
    for name, reason in model.undiluted.items():
        if not reason.strip():
            yield f"`undiluted` gives no reason for {name}"
    if model.substeps_per_h < 1:
        yield f"`substeps_per_h` is {model.substeps_per_h}; it must be at least 1"
    if not 0 < model.accuracy <= LARGEST_ERROR:
        yield f"`accuracy` is {model.accuracy:g}; it must be above 0 and at most {LARGEST_ERROR:g}"


def _batch(model: PlantModel) -> Iterator[str]:
    """Whether the reference batch is about this model."""
    reference = model.reference
    if not 0 < reference.step_h <= reference.duration_h:
        yield (
            f"reference batch: step, {reference.step_h:g} h, must be above zero and at most its "
            f"duration, {reference.duration_h:g} h"
        )
    tables: tuple[tuple[str, Mapping[str, float], Mapping[str, Quantity]], ...] = (
        ("state", reference.initial, model.states),
        ("parameter", reference.parameters, model.parameters),
    )
    for kind, given, table in tables:
        for name, value in given.items():
            item = table.get(name)
            if item is None:
                yield f"reference batch sets {name!r}, which is no {kind}"
            elif not item.lower <= value <= item.upper:
                yield (
                    f"reference batch sets {kind} {name} to {value:g}, outside its bounds "
                    f"{item.lower:g}..{item.upper:g} {item.unit}"
                )
