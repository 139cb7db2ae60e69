"""Dissolved oxygen and carbon dioxide held by the gases: without offset, whatever becomes of kLa.

The demo's agent against the simulated plant, which begins as dense as on its sixth day, so that a
quarter of a day shows what else would take a week.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mpc_agent.build import Engines, TimedNmpc, build_engines
from mpc_agent.commands.simulation import simulated_plant
from mpc_agent.config import Settings
from mpc_agent.values import Floats, Judgement
from sim_plant.faults import Fault, FaultKind
from sim_plant.instrument_settings import TruthSettings
from sim_plant.plant import SimulatedPlant
from tests.config_files import DEMO
from tests.examples_batch import Batch, run_batch

CELLS = 6.0
"""1e9/L at inoculation, in plant and model."""

CHANGED_H = 4.0
"""Until then the filter learns kLa."""

GASES = ("air", "oxygen", "carbon_dioxide", "nitrogen")


@cache
def dense_settings(sparge_L_per_h: float = 1500.0) -> Settings:
    return Settings.load(
        DEMO,
        {
            "MPC_AGENT__BATCH__HARVEST_H": "48",
            "MPC_AGENT__MODEL__INITIAL__VIABLE_CELLS": repr(CELLS),
            "MPC_AGENT__SAFETY__MAX_SPARGE_L_PER_H": repr(sparge_L_per_h),
        },
    )


@cache
def dense_engines(sparge_L_per_h: float = 1500.0) -> Engines:
    """Filter and optimisers; with another limit of the gases only their own problem differs."""
    settings = dense_settings(sparge_L_per_h)
    if sparge_L_per_h == 1500.0:
        return build_engines(settings)
    gas = settings.control.gas
    assert gas is not None
    known = dense_engines()
    return Engines(known.kalman, known.feed, TimedNmpc(gas.problem))


def dense_plant(*changes: tuple[float, float, float]) -> SimulatedPlant:
    """A nominal plant whose kLa is multiplied with a factor from one hour to another."""
    plant = simulated_plant(dense_settings())
    faults = tuple(
        Fault(kind=FaultKind.PARAMETER_CHANGED, target="k_kLa", size=size, from_h=begin, to_h=end)
        for size, begin, end in changes
    )
    known = plant.culture
    initial = {**known.initial, "viable_cells": CELLS}
    culture = known.model_copy(update={"spread": 0.0, "initial": initial})
    every = TruthSettings(every_s=60.0)
    changed = {"faults": faults, "culture": culture, "truth": every}
    return SimulatedPlant(plant.model_copy(update=changed))


def run(folder: Path, hours: float, *changes: tuple[float, float, float]) -> Batch:
    plant = dense_plant(*changes)
    return run_batch(
        folder,
        plant,
        settings=dense_settings(),
        engines=dense_engines(),
        cycles=round(hours * 6),
    )


def away(batch: Batch, output: str, begin_h: float, end_h: float) -> Floats:
    """Truth minus setpoint, minute by minute."""
    gas, truth = batch.rooms.control.gas, batch.plant.truth
    assert gas is not None
    inside = (truth.time_h > begin_h) & (truth.time_h <= end_h)
    return truth.output(output)[inside] - gas.setpoints[output].at(begin_h)


def judged(batch: Batch) -> list[tuple[float, Judgement]]:
    """What the filter decided, by hours since inoculation."""
    rooms = batch.rooms
    return [
        (round(rooms.hours(record.time_s), 2), item.judgement)
        for record in batch.records
        for item in record.decision.estimate.decided
    ]


def kLa(batch: Batch) -> float:
    """The constant of kLa as estimated at the end, as a share of what it was at inoculation."""
    kalman = batch.rooms.kalman
    names = kalman.coordinates.names
    estimate = batch.records[-1].decision.estimate
    return float(estimate.mean[names.index("k_kLa")] / kalman.settings.parameters["k_kLa"])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_no_offset_when_oxygen_transfer_halves_or_doubles(factor: float, tmp_path: Path) -> None:
    batch = run(tmp_path, 8.0, (factor, CHANGED_H, 99.0))
    before = away(batch, "dissolved_oxygen", 2.0, CHANGED_H)
    assert np.abs(before).max() < 2, "uptake is known ahead while the culture grows"
    assert judged(batch) == [(round(CHANGED_H + 1 / 6, 2), Judgement.JUMPED)]
    assert kLa(batch) == pytest.approx(factor, rel=0.03)
    assert np.abs(away(batch, "dissolved_oxygen", CHANGED_H, 8.0)).max() < 45
    after = away(batch, "dissolved_oxygen", CHANGED_H + 2 / 3, 8.0)
    assert np.abs(after).max() < 2
    assert abs(after.mean()) < 0.3
    assert np.abs(away(batch, "pCO2", CHANGED_H, 8.0)).max() < 7
    assert np.abs(away(batch, "pCO2", CHANGED_H + 1, 8.0)).max() < 2


def test_nothing_winds_up_while_oxygen_is_at_its_end(tmp_path: Path) -> None:
    """A fifth of the transfer for three hours: all the oxygen there is, and not enough."""
    batch = run(tmp_path, 9.5, (0.2, CHANGED_H, 7.0))
    short = away(batch, "dissolved_oxygen", 6.0, 7.0)
    flow = batch.plant.truth.input("oxygen")[(batch.plant.truth.time_h > 6.0)]
    assert short.max() < -15
    assert flow.max() == pytest.approx(840, rel=0.01)
    after = away(batch, "dissolved_oxygen", 7.0 + 2 / 3, 9.5)
    assert np.abs(after).max() < 2
    assert kLa(batch) == pytest.approx(1.0, rel=0.05)


def test_the_plan_itself_keeps_the_sparge_limit(tmp_path: Path) -> None:
    """Less gas than carbon dioxide asks for: the plan leaves it and holds the oxygen."""
    largest = 640.0
    batch = run_batch(
        tmp_path,
        dense_plant(),
        settings=dense_settings(largest),
        engines=dense_engines(largest),
        cycles=36,
    )
    plans = [record.decision.plans["gas"] for record in batch.records]
    assert all(plan.usable for plan in plans)
    assert max(plan.inputs.sum(axis=1).max() for plan in plans) <= largest * (1 + 1e-6)
    rules = {clip.rule for record in batch.records for clip in record.decision.setpoints.clips}
    assert "sparge" not in rules
    assert "sparge at its upper total 640" in {str(active) for active in plans[-1].active}
    assert np.abs(away(batch, "dissolved_oxygen", 2.0, 6.0)).max() < 2
    assert away(batch, "pCO2", 5.0, 6.0).min() > 2


def test_a_plan_rises_no_faster_than_the_guard_lets_it(tmp_path: Path) -> None:
    """Half the transfer: much more oxygen is wanted at once than may come in a cycle."""
    batch = run(tmp_path, 5.0, (0.5, CHANGED_H, 99.0))
    changed = next(record for record in batch.records if record.decision.estimate.decided)
    plan, names = changed.decision.plans["gas"], changed.decision.plans["gas"].decided
    place = names.index("oxygen")
    rises = np.diff([changed.readings.setpoints["oxygen"], *plan.inputs[:, place]])
    assert rises[0] == pytest.approx(1200 / 6, rel=1e-6)
    assert rises.max() <= 1200 / 6 * (1 + 1e-6)
    clips = [clip for record in batch.records for clip in record.decision.setpoints.clips]
    assert [clip for clip in clips if clip.input in GASES] == []
