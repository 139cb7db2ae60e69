"""Whether signals and estimation fit the model, and whether what they say is possible together."""

from collections.abc import Iterator, Mapping

import numpy as np

from mpc_agent.config.faults import KeyPath, alternatives
from mpc_agent.config.findings import Finding, unknown
from mpc_agent.config.parameter_set import allowed
from mpc_agent.config.schema_estimation import (
    CorrelationSection,
    EstimationSection,
    SignalsSection,
    TrustSection,
)
from plant_models.model import PlantModel

LEAST_EIGENVALUE = 1e-6
"""Correlations with an eigenvalue below this leave some combination of unknowns no uncertainty."""


def check_signal_names(section: SignalsSection, model: PlantModel) -> Iterator[Finding]:
    """Outputs that the model does not have, and names that mislead."""
    groups: dict[str, Mapping[str, TrustSection]] = {
        "online": section.online,
        "assays": section.assays,
    }
    for group, items in groups.items():
        for name, item in items.items():
            path: KeyPath = ("signals", group, name)
            if item.output is None:
                yield from unknown(path, name, model.outputs_info, f"output of {model.name}")
                continue
            yield from unknown(
                (*path, "output"), item.output, model.outputs_info, f"output of {model.name}"
            )
            if name in model.outputs_info and item.output != name:
                text = f"is the name of an output, but shows {item.output}; name it otherwise"
                yield path, text
    for name in sorted(section.online.keys() & section.assays.keys()):
        text = (
            "is an online signal, too, and both are told by their names: rename one, such as "
            f"{name}_probe: {{output: {section.online[name].output or name}}}"
        )
        yield ("signals", "assays", name), text


def check_signal_times(signals: SignalsSection, estimation: EstimationSection) -> Iterator[Finding]:
    """Delays that reach further back than the filter does."""
    for name, item in signals.online.items():
        if item.delay_s >= 3600 * estimation.max_rewind_h:
            text = f"must be below estimation.max_rewind_h, {estimation.max_rewind_h:g} h"
            yield ("signals", "online", name, "delay_s"), text


def check_estimation(
    section: EstimationSection, model: PlantModel, values: Mapping[str, float]
) -> Iterator[Finding]:
    """States without an uncertainty, unknown names, bounds, correlations.

    `values` are the model's parameters; one that is not known is not compared with its bounds.
    """
    top: KeyPath = ("estimation", "uncertainty")
    for name in section.uncertainty:
        yield from unknown((*top, name), name, model.states, f"state of {model.name}")
    missing = [name for name in model.states if name not in section.uncertainty]
    if missing:
        yield top, f"says nothing about {', '.join(missing)}"
    yield from _check_adapted(section, model, values)
    yield from _check_correlations(section, model)
    for name in section.needed:
        path: KeyPath = ("estimation", "needed", name)
        yield from unknown(path, name, model.outputs_info, f"output of {model.name}")
    if section.evaporation_L_per_h > 0 and model.volume_loss is not None:
        text = f"must be 0: {model.name} itself loses volume ({model.volume_loss})"
        yield ("estimation", "evaporation_L_per_h"), text


def check_withdrawal(section: EstimationSection, initial_volume_L: float) -> Iterator[Finding]:
    """Drawings that would empty the vessel."""
    if section.sample_volume_L >= initial_volume_L:
        text = f"must be below the volume at inoculation, {initial_volume_L:g} L"
        yield ("estimation", "sample_volume_L"), text


def _check_adapted(
    section: EstimationSection, model: PlantModel, values: Mapping[str, float]
) -> Iterator[Finding]:
    for name, adapted in section.adapted.items():
        path: KeyPath = ("estimation", "adapted", name)
        yield from unknown(path, name, model.parameters, f"parameter of {model.name}")
        known = model.parameters.get(name)
        if known is None:
            continue
        if adapted.lower < known.lower or adapted.upper > known.upper:
            yield path, f"must stay within the model's bounds, {allowed(known)}"
        value = values.get(name)
        if value is not None and not adapted.lower <= value <= adapted.upper:
            yield path, f"must include the model's value, {value:g} {known.unit}"


def _check_correlations(section: EstimationSection, model: PlantModel) -> Iterator[Finding]:
    """Names, pairs given twice, and whether all of them can hold at once."""
    known = (*model.states, *section.adapted)
    sound: dict[frozenset[str], tuple[int, CorrelationSection]] = {}
    for i, item in enumerate(section.correlations):
        path: KeyPath = ("estimation", "correlations", i)
        wrong = [
            ((*path, "between", j), sentence)
            for j, name in enumerate(item.between)
            if (sentence := _why_not_correlated(name, known, section, model))
        ]
        yield from wrong
        first = sound.get(frozenset(item.between))
        if first is not None:
            pair = " and ".join(item.between)
            yield path, f"gives {pair} again; item {first[0]} has them already"
        elif not wrong:
            sound[frozenset(item.between)] = (i, item)
    yield from _impossible([item for _, item in sound.values()], [i for i, _ in sound.values()])


def _why_not_correlated(
    name: str, known: tuple[str, ...], section: EstimationSection, model: PlantModel
) -> str:
    """Why a name cannot be correlated with others, empty when it can."""
    if name not in known:
        if name in model.parameters:
            return f"{name!r} is locked: only parameters of estimation.adapted can be correlated"
        return f"{name!r} is no state or learnt parameter; {alternatives(name, known)}"
    uncertainty = section.uncertainty.get(name)
    if uncertainty is not None and uncertainty.initial_deviation == 0:
        return f"{name!r} has no uncertainty at inoculation: its initial_deviation is 0"
    return ""


def _impossible(items: list[CorrelationSection], places: list[int]) -> Iterator[Finding]:
    """Correlations that contradict each other, and the pairs without which they would not."""
    smallest = smallest_eigenvalue(items)
    if smallest >= LEAST_EIGENVALUE:
        return
    text = (
        "contradict each other: the smallest eigenvalue of the correlation matrix is "
        f"{smallest:.3g}, and must be above 0; "
    )
    path: KeyPath = ("estimation", "correlations")
    blamed = {}
    for i, item in zip(places, items, strict=True):
        without = smallest_eigenvalue([other for other in items if other is not item])
        if without >= LEAST_EIGENVALUE:
            blamed[i] = f"{' and '.join(item.between)} (item {i}) it would be {without:.3g}"
    if not blamed:
        yield path, f"{text}no single pair is to blame, so give smaller values"
    else:
        one_of = "" if len(blamed) == 1 else "any one of "
        yield path, f"{text}without {one_of}{', '.join(blamed.values())}"


def smallest_eigenvalue(items: list[CorrelationSection]) -> float:
    """Smallest eigenvalue of the correlation matrix; one when there are no correlations."""
    names = sorted({name for item in items for name in item.between})
    if not names:
        return 1.0
    matrix = np.eye(len(names))
    for item in items:
        i, j = (names.index(name) for name in item.between)
        matrix[i, j] = matrix[j, i] = item.value
    return float(np.linalg.eigvalsh(matrix)[0])
