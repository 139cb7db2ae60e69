"""Who controls a batch: the agent as configured, agents that know more, and what has no model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np

from benchmarks.control_quality.glucose_pi import trimmed
from benchmarks.control_quality.knowing import Insight, KnowingNmpc, OpenPlant, true_parameters
from controllers.arrays import Floats
from mpc_agent.build import Engines
from mpc_agent.config import Settings

RIVAL = "do-mpc"
"""The variant that needs a package which is not installed everywhere."""


@dataclass(frozen=True)
class Variant:
    """One way to control the same batches.

    Attributes:
        title: in tables.
        meaning: a sentence.
        settings: what differs in the settings.
        engines: what differs in the engines.
        alone: nobody acts on the plant, which follows its own recipe and loops.
    """

    title: str
    meaning: str
    settings: Callable[[Settings, OpenPlant], Settings] = lambda settings, _: settings
    engines: Callable[[Settings, OpenPlant, Engines], Engines] = lambda _, __, engines: engines
    alone: bool = False


def _nominal(settings: Settings) -> Floats:
    """Parameters of the agent's model as configured, shape (parameters,)."""
    given = settings.estimation.parameters
    return np.array([given[name] for name in settings.model.parameter_names])


def _told(settings: Settings, plant: OpenPlant, engines: Engines, parameters: Floats) -> Engines:
    """Both optimisers told the true state and these parameters."""
    insight = Insight(plant, settings.model, parameters)
    feed, gas = settings.control.feed, settings.control.gas
    foreseen = tuple(feed.held_levels)
    return Engines(
        kalman=engines.kalman,
        feed=KnowingNmpc(feed.problem, replace(insight, foreseen=foreseen)),
        gas=None if gas is None else KnowingNmpc(gas.problem, insight),
    )


def _perfect(settings: Settings, plant: OpenPlant, engines: Engines) -> Engines:
    truth = true_parameters(plant, settings.model, _nominal(settings))
    return _told(settings, plant, engines, truth)


def _nominal_parameters(settings: Settings, plant: OpenPlant, engines: Engines) -> Engines:
    return _told(settings, plant, engines, _nominal(settings))


def _plants_model(settings: Settings, plant: OpenPlant, engines: Engines) -> Engines:
    """As with perfect knowledge, and the feeds are planned with the plant's own model.

    Its states and inputs are those of the agent's model in the same order.
    """
    model = plant.settings.plant_model
    values = np.array([item.value for item in model.parameters.values()])
    feed = settings.control.feed
    truth = true_parameters(plant, model, values)
    insight = Insight(plant, model, truth, tuple(feed.held_levels))
    known = KnowingNmpc(replace(feed.problem, model=model), insight)
    return replace(_perfect(settings, plant, engines), feed=known)


def _rival(settings: Settings, _: OpenPlant, engines: Engines) -> Engines:
    # Not installed everywhere, and slow to import.
    from benchmarks.control_quality.rival import RivalNmpc

    return replace(engines, feed=RivalNmpc(settings.control.feed.problem))


def _unplanned(settings: Settings) -> Settings:
    """The feeds are never planned: the agent stays on the recipe, its gases under control."""
    feed = replace(settings.control.feed, from_h=np.inf)
    return replace(settings, control=replace(settings.control, feed=feed))


def _trimmed(settings: Settings, plant: OpenPlant) -> Settings:
    return replace(_unplanned(settings), recipe=trimmed(settings.recipe, plant))


VARIANTS: Mapping[str, Variant] = {
    "agent": Variant("agent", "as configured"),
    "perfect": Variant(
        "perfect state and parameters",
        "the agent's model, told the plant's true state and parameters: what estimation costs",
        engines=_perfect,
    ),
    "nominal": Variant(
        "perfect state, nominal parameters",
        "the same with the published parameters: what adaptation gives",
        engines=_nominal_parameters,
    ),
    "plants-model": Variant(
        "plant's own model",
        "perfect state and parameters in the plant's own equations: what structure costs",
        engines=_plants_model,
    ),
    "recipe": Variant("recipe", "the plant's own recipe and loops", alone=True),
    "recipe-gases": Variant(
        "recipe, agent's gases",
        "the recipe's feeds; the agent controls the gases",
        settings=lambda settings, _: _unplanned(settings),
    ),
    "recipe-pi": Variant(
        "recipe and PI on glucose",
        "the recipe's glucose feed trimmed by the lab's glucose; the agent controls the gases",
        settings=_trimmed,
    ),
    RIVAL: Variant(
        "do-mpc",
        "the same problem solved by do-mpc, fed by the agent's estimates",
        engines=_rival,
    ),
}
"""All variants by name."""


def available() -> tuple[str, ...]:
    """Names of the variants that can run here: do-mpc only where it is installed."""
    return tuple(name for name in VARIANTS if name != RIVAL or find_spec("do_mpc") is not None)
