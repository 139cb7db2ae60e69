"""What the plant follows is what the agent counts on: read-back nodes, and lost flow meters."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from mpc_agent.cycle import decide
from mpc_agent.drivers.link import RawValue
from mpc_agent.drivers.nodes import parse_node
from mpc_agent.drivers.readings import make_readings
from mpc_agent.values import PlantStatus, Quality, Reading
from tests.examples_batch import run_batch
from tests.examples_drivers import TAGS, tag_map

PERIOD_S = 600.0


def test_setpoints_are_read_where_the_plant_shows_what_it_follows() -> None:
    tags = copy.deepcopy(TAGS)
    tags["inputs"]["air"]["setpoint"]["readback"] = {"node": "plant:s=Air.Followed"}
    known = tag_map(tags)
    written, followed = parse_node("plant:s=Air.Setpoint"), parse_node("plant:s=Air.Followed")
    assert {written, followed} <= set(known.scan)
    raw = {written: RawValue(9.0, Quality.GOOD), followed: RawValue(2.0, Quality.GOOD)}
    status = PlantStatus(True, True, False, False)
    assert make_readings(known, raw, 0.0, 0.0, status).setpoints == {"air": pytest.approx(120.0)}


def test_a_feed_whose_meter_is_lost_counts_as_its_setpoint(tmp_path: Path) -> None:
    batch = run_batch(tmp_path, cycles=2)
    told = batch.records[-1].readings
    later_s = told.read_at_s + PERIOD_S
    lost = Reading("glucose_feed", float("nan"), later_s, Quality.BAD)
    readings = replace(
        told,
        read_at_s=later_s,
        inputs={**told.inputs, "glucose_feed": lost},
        setpoints={**told.setpoints, "glucose_feed": 3.0},
    )
    after = decide(batch.rooms, batch.memory, readings).memory.ledger
    added = after.total_L("glucose_feed") - batch.memory.ledger.total_L("glucose_feed")
    assert added == pytest.approx(3.0 * PERIOD_S / 3600)
