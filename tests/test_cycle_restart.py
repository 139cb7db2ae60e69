"""What a restart goes on with, after a stop and after a death; and which records it refuses."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpc_agent.build import tag_map
from mpc_agent.clock import VirtualClock
from mpc_agent.config import Settings
from mpc_agent.cycle import decide
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.errors import BadRecordError
from mpc_agent.loop import Run, prepare
from mpc_agent.safety.flags import Flag
from sim_plant.plant import OperatorAction, SimulatedPlant
from tests.config_files import CONFIGS, DEMO
from tests.examples_batch import (
    RECORD,
    Bench,
    demo_engines,
    demo_plant,
    demo_settings,
    run_batch,
)

ROOT = Path(__file__).parent.parent


def test_after_a_stop_the_batch_goes_on_where_it_was(tmp_path: Path) -> None:
    first = run_batch(tmp_path, cycles=8)
    assert first.plant.tag("Control.Active").value is False
    second = run_batch(tmp_path, first.plant, cycles=6)
    numbers = [record.number for record in (*first.records, *second.records)]
    assert numbers == list(range(14))
    assert second.modes == ["ADVISE"] + ["CONTROL"] * 5
    assert second.records[1].applied.written
    assert not [
        event
        for record in second.records
        for event in record.decision.events
        if "TOOK_OVER" in event.code or "INTERRUPTED" in event.code
    ]
    # The estimate goes on: the history of the first run is part of the second one's.
    old, new = first.memory.estimation.history.steps(), second.memory.estimation.history.steps()
    assert [step.time_s for step in new[: len(old)]] == [step.time_s for step in old]
    assert len(new) == len(old) + 6
    before, after = first.records[-1].decision.estimate, second.records[0].decision.estimate
    jump = (after.mean - before.mean) / before.deviation
    # Volume, cells, metabolites and product hardly change in ten minutes.
    assert np.abs(jump[:8]).max() < 0.5
    with second.journal() as journal:
        assert journal.verify() == []


def test_a_batch_in_two_parts_estimates_as_one_in_one_piece(tmp_path: Path) -> None:
    """In shadow mode the agent does not touch the plant, so that both see the same."""
    settings = demo_settings(3.0, "SHADOW")
    whole = run_batch(tmp_path / "whole", settings=settings)
    first = run_batch(tmp_path / "parts", settings=settings, cycles=9)
    second = run_batch(tmp_path / "parts", first.plant, settings=settings)
    assert whole.records[-1].time_s == second.records[-1].time_s
    one, other = (batch.memory.estimation.history.belief for batch in (whole, second))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.factor, other.factor)


def test_an_operators_takeover_outlasts_a_restart(tmp_path: Path) -> None:
    first = run_batch(tmp_path, cycles=4)
    plant = first.plant
    plant.operator(OperatorAction.DISABLE_REMOTE)
    second = run_batch(tmp_path, plant, cycles=3)
    assert set(second.modes) == {"ADVISE"}
    assert Flag.REMOTE_DISABLED in second.memory.mode.flags
    plant.operator(OperatorAction.ENABLE_REMOTE)
    third = run_batch(tmp_path, plant, cycles=3)
    assert third.modes[-1] == "CONTROL"


def test_an_agent_that_dies_in_control_finds_its_way_back(tmp_path: Path) -> None:
    """No goodbye: the plant still follows the remote setpoints when the next agent comes."""
    bench = Bench(tmp_path)
    for _ in range(3):
        bench.cycle()
    assert bench.plant.tag("Control.Active").value is True
    bench.agent.journal.close()
    batch = run_batch(tmp_path, bench.plant, cycles=3)
    assert [record.number for record in batch.records] == [3, 4, 5]
    assert batch.modes[1:] == ["CONTROL"] * 2
    assert Flag.OPERATOR_TOOK_OVER not in batch.memory.mode.flags


def test_an_agent_that_dies_between_intent_and_outcome_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.cycle()
    bench.cycle()
    readings = asyncio.run(bench.driver.read())
    decision = decide(bench.agent.rooms, bench.memory, readings)
    bench.agent.journal.intent(2, readings.read_at_s, readings, bench.memory, decision)
    bench.agent.journal.close()
    bench.plant.advance_to(bench.plant.time_s + 600)
    batch = run_batch(tmp_path, bench.plant, cycles=2)
    assert [record.number for record in batch.records] == [3, 4]
    with batch.journal() as journal:
        assert journal.unresolved == ()
        interrupted = [row for row in journal.rows("events") if row["code"] == "INTERRUPTED_CYCLE"]
        assert [row["number"] for row in interrupted] == [2]


def test_a_killed_agent_goes_on_from_its_record(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    compiled = pytestconfig.cache.mkdir("compiled")
    config = shutil.copytree(CONFIGS, tmp_path / "configs") / DEMO.name
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.core_crash", config, tmp_path, compiled],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(5)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    assert told == list(range(len(told)))
    plant = demo_plant()
    plant.advance_to(plant.time_s + 600 * (told[-1] + 2))
    batch = run_batch(tmp_path, plant, settings=Settings.load(config, {}), cycles=3)
    first = batch.records[0].number
    assert first in (told[-1] + 1, told[-1] + 2)
    assert [record.number for record in batch.records] == [first, first + 1, first + 2]
    assert batch.modes[-1] == "CONTROL"
    assert len(batch.memory.estimation.history.steps()) >= first + 3
    with batch.journal() as journal:
        assert journal.verify() == []
        assert journal.unresolved == ()


# ------------------------------------------------------------------ a record of something else


def prepared(settings: Settings, folder: Path, plant: SimulatedPlant) -> Run:
    driver = SimulatedDriver(plant, tag_map(settings))
    return asyncio.run(
        prepare(settings, demo_engines(), driver, VirtualClock(plant), folder / RECORD)
    )


def test_a_record_whose_signals_stood_in_another_order_is_refused(tmp_path: Path) -> None:
    """A belief is read by place: the same names in another order would be other unknowns."""
    batch = run_batch(tmp_path, cycles=1)
    settings = demo_settings()
    signals = settings.estimation.signals
    turned = replace(settings.estimation, signals=(*signals[1:], signals[0]))
    with pytest.raises(BadRecordError, match="begun with another order of signals"):
        prepared(replace(settings, estimation=turned), tmp_path, batch.plant)


def test_a_record_of_another_configuration_is_refused(tmp_path: Path) -> None:
    batch = run_batch(tmp_path, cycles=1)
    with pytest.raises(BadRecordError, match="begun with another configuration"):
        prepared(demo_settings(7.0), tmp_path, batch.plant)


def test_a_record_of_another_model_is_refused(tmp_path: Path) -> None:
    batch = run_batch(tmp_path, cycles=1)
    settings = demo_settings()
    other = replace(settings, model=replace(settings.model, name="another"))
    with pytest.raises(BadRecordError, match="begun with another model"):
        prepared(other, tmp_path, batch.plant)


def test_the_start_of_the_batch_is_told_by_the_configuration_else_by_the_plant(
    tmp_path: Path,
) -> None:
    plant = demo_plant()
    plant.advance_to(plant.time_s + 7200)
    run = prepared(demo_settings(), tmp_path / "plant", plant)
    assert run.agent.rooms.inoculated_at_s == plant.time_s - 7200
    run.agent.journal.close()
    environment = {"MPC_AGENT__BATCH__INOCULATED_AT": "2026-01-05T07:00:00Z"}
    configured = Settings.load(DEMO, environment)
    run = prepared(configured, tmp_path / "config", plant)
    assert run.agent.rooms.inoculated_at_s == 1767596400.0
    assert run.agent.journal.header.inoculated_at_s == 1767596400.0
    run.agent.journal.close()
