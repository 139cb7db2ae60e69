"""From settings to the rooms and the header of the record."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import Problem
from controllers.situation import Situation
from controllers.solvers import SolverStore
from mpc_agent.clock import stopwatch
from mpc_agent.config import Settings
from mpc_agent.drivers.tag_building import build_tag_map, signal_units
from mpc_agent.drivers.tags import TagMap
from mpc_agent.estimation.filter import ExtendedKalmanFilter, keep_compiled
from mpc_agent.memory import Rooms
from mpc_agent.provenance import model_fingerprint, quantities, software_versions
from mpc_agent.record import BatchHeader, Interval, Schedule
from mpc_agent.solver_folder import SolverFolder


class TimedNmpc(Nmpc):
    """The same optimiser, which also notes how long it took: never part of a decision."""

    def __init__(self, problem: Problem, store: SolverStore | None = None) -> None:
        super().__init__(problem, store)
        self.solve_s: float | None = None

    def solve(self, situation: Situation, last: Plan | None, *, afresh: bool = False) -> Plan:
        """Solve, and note the wall time."""
        watch = stopwatch()
        plan = super().solve(situation, last, afresh=afresh)
        self.solve_s = watch.elapsed_s
        return plan

    def take_solve_s(self) -> float | None:
        """Wall seconds of the last solve, once."""
        taken, self.solve_s = self.solve_s, None
        return taken


@dataclass(frozen=True)
class Engines:
    """What takes seconds to build and does not depend on when the batch began."""

    kalman: ExtendedKalmanFilter
    feed: TimedNmpc
    gas: TimedNmpc | None


def build_engines(settings: Settings, cache: Path | None = None) -> Engines:
    """Filter and optimisers, compiled; `cache` keeps what was compiled between starts."""
    store = None
    if cache is not None:
        keep_compiled(str(cache))
        store = SolverFolder(cache)
    period_h = settings.document.cycle.period_s / 3600
    gas = settings.control.gas
    with _no_garbage_collection():
        kalman = ExtendedKalmanFilter(settings.estimation, period_h)
        kalman.compile()
        return Engines(
            kalman=kalman,
            feed=TimedNmpc(settings.control.feed.problem, store),
            gas=None if gas is None else TimedNmpc(gas.problem, store),
        )


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Do not look for garbage: among the many objects of a build, all in use, it takes a tenth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def build_rooms(settings: Settings, engines: Engines, inoculated_at_s: float) -> Rooms:
    """The pure rooms of one batch."""
    return Rooms(
        kalman=engines.kalman,
        feed=engines.feed,
        gas=engines.gas,
        control=settings.control,
        recipe=settings.recipe,
        safety=settings.safety,
        inoculated_at_s=inoculated_at_s,
        harvest_h=settings.document.batch.harvest_h,
    )


def tag_map(settings: Settings) -> TagMap:
    """The tag map, in the model's units."""
    model = settings.model
    outputs = {name: item.unit for name, item in model.outputs_info.items()}
    return build_tag_map(
        settings.document.tags,
        signal_units(outputs, settings.document.signals.shown),
        {name: item.unit for name, item in model.inputs.items()},
        liquids=model.volume_flows,
    )


def batch_header(settings: Settings, rooms: Rooms, created_at_s: float) -> BatchHeader:
    """What the record must know before the first cycle."""
    model, document = settings.model, settings.document
    parameters = {item.name: item for item in quantities(model, "parameters")}
    return BatchHeader(
        batch=document.batch.id,
        inoculated_at_s=rooms.inoculated_at_s,
        created_at_s=created_at_s,
        harvest_h=rooms.harvest_h,
        period_s=document.cycle.period_s,
        deadline_s=document.cycle.deadline_s,
        model=model.name,
        model_hash=model_fingerprint(model),
        parameters=dict(settings.estimation.parameters),
        config=settings.text,
        config_hash=settings.config_hash,
        software=software_versions(),
        states=quantities(model, "states"),
        adapted=tuple(parameters[item.name] for item in settings.estimation.adapted),
        outputs=quantities(model, "outputs"),
        inputs=quantities(model, "inputs"),
        signals=tuple(item.name for item in settings.estimation.signals),
        assays=tuple(item.name for item in settings.estimation.assays),
        approved={item.name: (item.lower, item.upper) for item in settings.estimation.adapted},
        shows=settings.document.signals.shown,
        limits=_limits(rooms),
        targets=_targets(rooms),
        recipe=_recipe(rooms),
        product=model.product,
        shown=model.shown,
    )


def _limits(rooms: Rooms) -> dict[str, Interval]:
    limits: dict[str, Interval] = {
        limit.output: (limit.lower, limit.upper)
        for room in (rooms.gas, rooms.feed)
        if room is not None
        for limit in room.problem.limits
    }
    return {**limits, "volume": (None, rooms.safety.max_volume_L)}


def _targets(rooms: Rooms) -> dict[str, Schedule]:
    gas = rooms.control.gas
    return {
        name: tuple(zip(schedule.hours.tolist(), schedule.values.tolist(), strict=True))
        for name, schedule in (gas.setpoints if gas else {}).items()
    }


def _recipe(rooms: Rooms) -> dict[str, Schedule]:
    recipe = rooms.recipe
    hours = np.append(recipe.times_h, recipe.end_h).tolist()
    return {
        name: tuple(zip(hours, [*rates.tolist(), recipe.rate(name, recipe.end_h)], strict=True))
        for name, rates in recipe.rates.items()
    }
