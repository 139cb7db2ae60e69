"""The demo with daily boluses: planned, written as the pump's setpoint, delivered, left alone."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from mpc_agent.build import build_engines
from mpc_agent.commands.simulation import simulated_plant
from mpc_agent.config import Settings
from mpc_agent.memory import CycleRecord
from sim_plant.plant import SimulatedPlant
from tests.config_files import CONFIGS
from tests.examples_batch import Batch, run_batch

DAILY = CONFIGS / "cho_bolus.yaml"
SHORT = {
    "MPC_AGENT__BATCH__HARVEST_H": "20.0",
    "MPC_AGENT__CONTROL__FEED__HARVEST": "{earliest_h: 12}",
    "MPC_AGENT__CONTROL__FEED__PIECES": "10",
    "MPC_AGENT__CONTROL__FEED__BOLUSES__GLUCOSE_FEED__FROM_H": "1",
    "MPC_AGENT__CONTROL__FEED__BOLUSES__AMINO_FEED__FROM_H": "1",
}
"""A culture of a day that is fed after an hour, on a coarse grid."""
BEGINS, POURS = 6, 12
"""Cycle in which the pouring begins, and how many cycles it takes."""


@cache
def settings() -> Settings:
    return Settings.load(DAILY, SHORT)


class Poured(NamedTuple):
    """A batch over its bolus, interrupted once or not."""

    batch: Batch
    records: list[CycleRecord]


def ran(folder: Path, *parts: int) -> Poured:
    """So many cycles of one batch, each part by an agent of its own."""
    engines = build_engines(settings())
    plant, records = SimulatedPlant(simulated_plant(settings())), list[CycleRecord]()
    batches = [
        run_batch(folder, plant, settings=settings(), engines=engines, cycles=cycles)
        for cycles in parts
    ]
    for batch in batches:
        records += batch.records
    return Poured(batches[-1], records)


@pytest.fixture(scope="module")
def poured(tmp_path_factory: pytest.TempPathFactory) -> Poured:
    return ran(tmp_path_factory.mktemp("bolus"), BEGINS + POURS + 2)


def flows(records: list[CycleRecord], name: str = "glucose_feed") -> list[float]:
    return [record.decision.setpoints.values[name] for record in records]


def test_the_demo_is_read_as_it_stands() -> None:
    feed = Settings.load(DAILY, {}).control.feed
    assert feed.problem.free_harvest
    assert [item.input for item in feed.problem.boluses] == ["glucose_feed", "amino_feed"]
    assert feed.bolus_times["glucose_feed"].tolist() == [50.0 + 24 * day for day in range(11)]
    recipe = Settings.load(DAILY, {}).recipe
    assert recipe.rate("glucose_feed", 50.5) == 21.0
    assert recipe.rate("glucose_feed", 52.5) == 0.0


def test_a_bolus_flows_as_planned_and_then_stops(poured: Poured) -> None:
    plan = poured.records[BEGINS].decision.plans["feed"]
    assert plan.usable, plan.message
    planned_L = plan.boluses[0].tolist()
    assert planned_L[0] > 5.0
    for name, volume_L in zip(plan.poured, planned_L, strict=True):
        wanted = [0.0] * BEGINS + [volume_L / 2] * POURS + [0.0] * 2
        assert flows(poured.records, name) == pytest.approx(wanted, abs=1e-9)


def test_what_was_planned_arrives_and_is_booked(poured: Poured) -> None:
    """By the pump's display, the ledger and the vessel, whose pump gives a few per cent more."""
    plan = poured.records[BEGINS].decision.plans["feed"]
    ledger = poured.batch.memory.ledger
    for name, volume_L in zip(plan.poured, plan.boluses[0], strict=True):
        assert ledger.total_L(name) == pytest.approx(volume_L, rel=0.01, abs=0.01)
    volume = poured.batch.plant.truth.output("volume")
    assert volume[-1] - volume[0] == pytest.approx(plan.boluses[0].sum(), rel=0.12)
    estimate = poured.records[-1].decision.estimate
    place = poured.batch.rooms.kalman.settings.model.output_names.index("volume")
    assert estimate.outputs[place] == pytest.approx(volume[-1], abs=3.0)


def test_nobody_is_alarmed_by_a_bolus(poured: Poured) -> None:
    events = [event for record in poured.records for event in record.decision.events]
    assert [str(event.code) for event in events if "GUARD" in event.code] == []
    assert {
        name: str(origin)
        for name, origin in poured.records[BEGINS + 5].decision.setpoints.origin.items()
    } == {"feed": "PLAN", "gas": "PLAN"}


def test_an_agent_begun_anew_pours_what_is_left(poured: Poured, tmp_path: Path) -> None:
    """Neither a second bolus nor none: the record's plan goes on where the clock is."""
    half = POURS // 2
    again = ran(tmp_path, BEGINS + half, POURS - half + 2)
    rest = flows(again.records)[BEGINS + half :]
    volume_L = again.records[BEGINS].decision.plans["feed"].boluses[0, 0]
    done = next(i for i, flow in enumerate(rest) if flow == 0.0)
    assert rest[:done] == pytest.approx([volume_L / 2] * done)
    assert not np.any(rest[done:])
    ends_s = poured.records[BEGINS + POURS].time_s
    assert again.records[BEGINS + half + done].time_s == pytest.approx(ends_s)
