"""Whether the tables of a model hold numbers where numbers belong, and texts where texts do."""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any

from plant_models.model import Input, Method, Output, Parameter, PlantModel, State
from plant_models.reference import ReferenceBatch

MOST_STEPS = 1_000_000
"""Steps of a reference batch; more are a slip of the pen, and would take hours."""

_TEXTS = ("unit", "meaning", "source")


def wrong_kinds(model: PlantModel) -> Iterator[str]:
    """What is not what it should be; all else can be judged only when there is none of it."""
    for what in ("name", "organism", "source", "validity", "volume", "product"):
        yield from _refused(f"`{what}`", getattr(model, what), _is_text, "a text")
    for what in ("volume_flows", "shown"):
        yield from _refused(f"`{what}`", getattr(model, what), _is_names, 'such as ("feed",)')
    for what in ("equations", "undiluted"):
        yield from _refused(f"`{what}`", getattr(model, what), _is_texts, "texts by their names")
    for what in ("rhs", "outputs"):
        yield from _refused(f"`{what}`", getattr(model, what), callable, "a function")
    yield from _refused("`method`", model.method, _is_method, "Method.EXPLICIT or .IMPLICIT")
    yield from _refused("`substeps_per_h`", model.substeps_per_h, _is_whole, "a whole number")
    yield from _refused("`accuracy`", model.accuracy, _is_number, "a number")
    tables: tuple[tuple[str, Mapping[str, Any], type], ...] = (
        ("state", model.states, State),
        ("input", model.inputs, Input),
        ("parameter", model.parameters, Parameter),
        ("output", model.outputs_info, Output),
    )
    for kind, table, entry in tables:
        for name, item in table.items():
            yield from _entry(f"{kind} {name}", item, entry)
    yield from _reference(model.reference)


def _entry(what: str, item: object, entry: type) -> Iterator[str]:
    """One row of a table."""
    if not isinstance(item, entry):
        yield f"{what} must be {entry.__name__}(...), but is {item!r}"
        return
    for name, value in vars(item).items():
        if name in _TEXTS:
            yield from _refused(f"{what}: {name}", value, _is_text, "a text")
        elif name != "measured":
            yield from _refused(f"{what}: {name}", value, _is_number, "a number")
        elif value not in ("online", "assay", "computed"):
            yield f"{what}: measured must be online, assay or computed, but is {value!r}"


def _reference(reference: object) -> Iterator[str]:
    if not isinstance(reference, ReferenceBatch):
        yield f"`reference` must be ReferenceBatch(...), but is {reference!r}"
        return
    yield from _refused("reference batch: meaning", reference.meaning, _is_text, "a text")
    yield from _refused("reference batch: act", reference.act, callable, "a function")
    for name, value in (("duration_h", reference.duration_h), ("step_h", reference.step_h)):
        yield from _refused(f"reference batch: {name}", value, _is_finite, "a finite number")
        if not _is_finite(value):
            return
    if reference.step_h > 0 and reference.duration_h / reference.step_h > MOST_STEPS:
        yield (
            f"reference batch: {reference.duration_h:g} h in steps of {reference.step_h:g} h are "
            f"more than {MOST_STEPS} steps"
        )


def _refused(
    what: str, value: object, fits: Callable[[object], bool], wanted: str
) -> Iterator[str]:
    if not fits(value):
        yield f"{what} must be {wanted}, but is {value!r}"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_names(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(name, str) for name in value)


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(text, str) for item in value.items() for text in item
    )


def _is_method(value: object) -> bool:
    return isinstance(value, Method)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and isfinite(value)
