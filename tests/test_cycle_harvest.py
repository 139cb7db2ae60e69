"""A harvest that is free: planned, moved, due, and what is expected of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import yaml

from controllers.nmpc import Nmpc
from controllers.plan import Plan
from mpc_agent.build import build_engines
from mpc_agent.config import Settings
from mpc_agent.harvest import HARVEST_DUE, harvest_due, harvest_moved, told_harvest_h
from mpc_agent.memory import Decision, Memory, Rooms
from mpc_agent.steps import FEED, Planned
from mpc_agent.values import Event
from tests.config_files import CONFIGS, DEMO
from tests.examples_batch import Batch, run_batch
from tests.examples_core import harvest_problem

EARLIEST_H, LATEST_H = 3.0, 6.0


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """The demo's first hours, to be harvested when that pays most."""
    folder = tmp_path_factory.mktemp("free")
    for file in CONFIGS.glob("cho_*"):
        (folder / file.name).write_text(file.read_text())
    data = yaml.safe_load(DEMO.read_text())
    data["batch"]["harvest_h"] = LATEST_H
    feed = data["control"]["feed"]
    feed["harvest"] = {"earliest_h": EARLIEST_H}
    feed["maximise"] |= {"per": "hour", "extra": 1.0, "scale": 50}
    (folder / DEMO.name).write_text(yaml.safe_dump(data))
    settings = Settings.load(folder / DEMO.name, {})
    return run_batch(folder, settings=settings, engines=build_engines(settings), cycles=3)


@pytest.fixture
def decision(batch: Batch) -> Decision:
    return batch.records[0].decision


def planned(batch: Batch, decision: Decision, end_h: float, at_h: float = 0.0) -> Planned:
    """What a cycle came to whose plan of the feeds ends at `end_h`."""
    plan = decision.plans[FEED]
    grid_h = plan.grid_h * (end_h - at_h) / plan.grid_h[-1]
    solved_at_s = batch.rooms.inoculated_at_s + 3600 * at_h
    plans: dict[str, Plan] = {FEED: replace(plan, grid_h=grid_h, solved_at_s=solved_at_s)}
    return Planned(plans, plans, decision.expected, {}, {}, ())


def moved(rooms: Rooms, memory: Memory, found: Planned) -> list[Event]:
    return list(harvest_moved(rooms, memory, found, due=False))


def told_in_turn(batch: Batch, ends_h: Sequence[float]) -> list[str]:
    """Codes of what is told while the planned harvest wanders."""
    memory, codes = replace(batch.memory, harvest_h=None), []
    for end_h in ends_h:
        found = planned(batch, batch.records[0].decision, end_h)
        codes += [event.code for event in moved(batch.rooms, memory, found)]
        memory = replace(memory, harvest_h=told_harvest_h(batch.rooms, memory, found))
    return codes


def test_a_real_plan_tells_when_it_would_harvest(batch: Batch, decision: Decision) -> None:
    end_h = float(decision.plans[FEED].grid_h[-1])
    assert EARLIEST_H - 1e-6 <= end_h <= LATEST_H + 1e-6
    (event,) = [event for event in decision.events if event.code.startswith("HARVEST")]
    forecast = decision.expected["plan"]
    assert event.code == "HARVEST_PLANNED"
    assert event.text == (
        f"Harvest is planned for {end_h:.1f} h, with {forecast.value:.4g} g of product_mass "
        "expected."
    )
    assert decision.memory.harvest_h == pytest.approx(end_h)
    later = [event.code for record in batch.records[1:] for event in record.decision.events]
    assert not [code for code in later if code.startswith("HARVEST")]


def test_what_is_expected_is_expected_at_the_planned_harvest(
    batch: Batch, decision: Decision
) -> None:
    """The forecast follows the plan's own pieces, not those to the latest harvest."""
    place = batch.rooms.feed.problem.model.output_names.index("product_mass")
    plan = decision.plans[FEED]
    assert plan.outputs[-1, place] == pytest.approx(decision.expected["plan"].value, rel=1e-3)


def test_small_moves_are_told_once_they_add_up(batch: Batch) -> None:
    assert told_in_turn(batch, [5.0, 5.4, 5.8, 6.2, 6.6]) == ["HARVEST_PLANNED", "HARVEST_MOVED"]


def test_far_ahead_a_harvest_must_move_further_to_be_told(batch: Batch) -> None:
    assert told_in_turn(batch, [300.0, 310.0]) == ["HARVEST_PLANNED"]
    assert told_in_turn(batch, [300.0, 320.0]) == ["HARVEST_PLANNED", "HARVEST_MOVED"]


def test_a_move_is_told_with_its_direction(batch: Batch, decision: Decision) -> None:
    memory = replace(batch.memory, harvest_h=5.0)
    (later,) = moved(batch.rooms, memory, planned(batch, decision, 7.0))
    assert later.text.startswith("Harvest is planned for 7.0 h now, 2.0 h later than told before, ")
    (earlier,) = moved(batch.rooms, memory, planned(batch, decision, 3.5))
    assert ", 1.5 h earlier than told before" in earlier.text


@pytest.mark.parametrize(
    ("now_h", "words"), [(3.9, None), (4.25, "Harvest in 45 min, at 5.0 h"), (5.5, "Harvest now; ")]
)
def test_a_harvest_within_the_hour_is_due(
    batch: Batch, decision: Decision, now_h: float, words: str | None
) -> None:
    now_s = batch.rooms.inoculated_at_s + 3600 * now_h
    due = harvest_due(batch.rooms, planned(batch, decision, 5.0), now_s)
    texts = [event.text for event in due.values()]
    assert [text.startswith(words) for text in texts] == [True] if words else texts == []


def test_while_it_is_due_nothing_is_told_of_its_moves(batch: Batch, decision: Decision) -> None:
    memory = replace(batch.memory, harvest_h=3.0)
    found = planned(batch, decision, 5.0)
    assert list(harvest_moved(batch.rooms, memory, found, due=True)) == []
    assert told_harvest_h(batch.rooms, memory, found) == pytest.approx(5.0)


def test_a_fixed_harvest_is_no_news(batch: Batch, decision: Decision) -> None:
    rooms = replace(batch.rooms, feed=Nmpc(harvest_problem()))
    found = planned(batch, decision, 5.0)
    assert moved(rooms, batch.memory, found) == []
    assert HARVEST_DUE not in harvest_due(rooms, found, batch.rooms.inoculated_at_s + 5 * 3600)
