"""Faults between sections: each check runs as soon as the sections it needs could be read."""

from collections.abc import Iterator

from controllers.recipe import Recipe
from mpc_agent.config.check_estimation import (
    check_estimation,
    check_signal_names,
    check_signal_times,
    check_withdrawal,
)
from mpc_agent.config.check_feed import (
    check_bolus_guard,
    check_feed_method,
    check_feed_names,
    check_feed_times,
    check_scenarios,
)
from mpc_agent.config.check_limits import (
    check_driver,
    check_fallbacks,
    check_feasible,
    check_handshake,
    check_limits,
    check_recipe,
    check_safety,
    check_times,
    initial_volume_L,
)
from mpc_agent.config.check_names import (
    check_model,
    check_safety_names,
    check_tag_map,
    check_tag_names,
    check_tags_suffice,
)
from mpc_agent.config.check_problem import check_against_guard, check_problems
from mpc_agent.config.document import Sections
from mpc_agent.config.faults import Fault, KeyPath, shown
from mpc_agent.config.findings import Finding
from mpc_agent.config.parameter_set import ParameterSet, parameter_values
from mpc_agent.config.text import ConfigText
from mpc_agent.drivers.tagmap import OpcuaSettings
from plant_models.model import PlantModel


def cross_faults(
    sections: Sections,
    text: ConfigText,
    model: PlantModel | None,
    recipe: Recipe | None,
    given: ParameterSet | None,
) -> list[Fault]:
    """Faults that no section has by itself; of one key only the first, which explains the rest.

    What else was read comes along: the model, the recipe, the parameter set; None when it could not
    be read, or, for the parameter set, when there is none.
    """
    faults: list[Fault] = []
    seen: set[KeyPath] = set()
    for path, sentence in _findings(sections, model, recipe, given):
        if path not in seen or path[0] == "recipe":
            faults.append(Fault(path, sentence, text.place(path), shown(text.value(path))))
        seen.add(path)
    return faults


def _findings(
    s: Sections, model: PlantModel | None, recipe: Recipe | None, given: ParameterSet | None
) -> Iterator[Finding]:
    if s.cycle and s.clock:
        yield from check_times(s.cycle, s.clock, s.control)
        if s.driver:
            yield from check_driver(s.driver, s.cycle, s.clock)
        if s.tags:
            yield from check_handshake(s.tags, s.cycle, s.clock)
    if s.control:
        yield from check_limits(s.control)
        yield from check_feed_method(s.control.feed)
        yield from check_scenarios(s.control.feed, s.batch, s.estimation, model)
        if s.batch:
            yield from check_feed_times(s.control.feed, s.batch, s.cycle)
    if s.signals and s.estimation:
        yield from check_signal_times(s.signals, s.estimation)
    if s.safety and s.control and s.cycle:
        yield from check_fallbacks(s.safety, s.control, s.cycle)
    if s.model and model is not None:
        yield from _name_findings(s, model, given)
        yield from _limit_findings(s, model, recipe)
    if s.tags:
        yield from check_tags_suffice(s.tags, s.signals, s.control, s.safety)


def _name_findings(s: Sections, model: PlantModel, given: ParameterSet | None) -> Iterator[Finding]:
    """Names that the model must have."""
    if s.model:
        yield from check_model(s.model, model)
        if s.estimation:
            unread = s.model.parameters_file is not None and given is None
            values = s.model.parameters if unread else parameter_values(s.model, model, given)
            yield from check_estimation(s.estimation, model, values)
    if s.signals:
        yield from check_signal_names(s.signals, model)
    if s.control:
        yield from check_problems(s.control, model)
        yield from check_feed_names(s.control, model)
    if s.safety:
        yield from check_safety_names(s.safety, model, s.signals)
    if s.tags:
        yield from check_tag_names(s.tags, model, s.signals)
        namespaces = s.driver.namespaces if isinstance(s.driver, OpcuaSettings) else None
        yield from check_tag_map(s.tags, model, s.signals, namespaces)


def _limit_findings(s: Sections, model: PlantModel, recipe: Recipe | None) -> Iterator[Finding]:
    """Limits that depend on what the model is."""
    assert s.model is not None
    volume_L = initial_volume_L(s.model, model)
    if s.estimation:
        yield from check_withdrawal(s.estimation, volume_L)
    if s.safety and s.cycle:
        yield from check_safety(s.safety, model, s.cycle, volume_L)
    if s.control and s.safety:
        yield from check_feasible(s.control, s.safety, model, volume_L)
        yield from check_against_guard(s.control, s.safety, model)
        if s.cycle:
            yield from check_bolus_guard(s.control.feed, s.safety, s.cycle, model)
    if recipe is not None:
        yield from check_recipe(recipe, s.batch, s.safety, model, volume_L)
