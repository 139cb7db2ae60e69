"""Faults of probes over hours of a simulated batch: what is told, and what control makes of it."""

import asyncio
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from mpc_agent.build import build_rooms, tag_map
from mpc_agent.cycle import decide
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.estimation.settings import NeededOutput
from mpc_agent.memory import Decision, Memory, Rooms, begin, remember
from mpc_agent.safety.flags import Flag
from mpc_agent.values import Applied, Event, Mode, Readings
from sim_plant.plant import SimulatedPlant
from sim_plant.settings import PlantSettings
from tests.config_files import CONFIGS
from tests.examples_batch import demo_engines, demo_settings

HOURS = 336.0
TOLD = ("SIGNAL_", "GATE_", "ESTIMATE_", "OUTPUT_", "STATE_", "PARAMETER_AT", "CRITICAL_")


@dataclass(repr=False)
class Watched:
    """A plant on its own recipe, watched cycle by cycle without plans, which trust does not need.

    Attributes:
        plant: the plant.
        rooms: the pure rooms.
        memory: what the last cycle left.
        decisions: every cycle.
    """

    plant: SimulatedPlant
    rooms: Rooms
    memory: Memory
    decisions: list[Decision] = field(default_factory=list)

    @classmethod
    def of(cls, *faults: dict[str, Any], needed: tuple[NeededOutput, ...] = ()) -> "Watched":
        """From inoculation on, with these faults and maybe other needs than the demo's."""
        unit = {"recipe_file": str(CONFIGS / "cho_recipe.csv")}
        given = {"faults": list(faults), "control_unit": unit}
        plant = SimulatedPlant(PlantSettings.model_validate(given))
        settings = demo_settings(HOURS, "SHADOW")
        whole = build_rooms(settings, demo_engines(), plant.time_s)
        kalman = copy(whole.kalman)
        if needed:
            kalman.settings = replace(kalman.settings, needed=needed)
        feed = replace(settings.control.feed, from_h=HOURS)
        control = replace(settings.control, feed=feed)
        rooms = replace(whole, kalman=kalman, control=control, gas=None)
        return cls(plant, rooms, begin(rooms, Mode.SHADOW))

    def watch(self, hours: float) -> "Watched":
        """Some hours of cycles."""
        driver = SimulatedDriver(self.plant, tag_map(demo_settings(HOURS, "SHADOW")))
        for _ in range(round(6 * hours)):
            self.decide(asyncio.run(driver.read()))
            self.plant.advance_to(self.plant.time_s + 600.0)
        return self

    def decide(self, readings: Readings) -> Decision:
        """One cycle."""
        decision = decide(self.rooms, self.memory, readings)
        self.decisions.append(decision)
        self.memory = remember(decision, Applied(written=False), late=False, record_failed=False)
        return decision

    def events(self) -> Iterator[tuple[float, Event]]:
        """What was told of trust, with hours since inoculation."""
        for decision in self.decisions:
            for event in decision.events:
                if event.code.startswith(TOLD):
                    yield self.rooms.hours(decision.estimate.time_s), event

    def raised_h(self, flag: Flag) -> list[float]:
        """Hours at which a flag stood."""
        return [
            self.rooms.hours(decision.estimate.time_s)
            for decision in self.decisions
            if flag in decision.memory.mode.flags
        ]


def offset(target: str, size: float) -> dict[str, Any]:
    return {"kind": "probe_offset", "target": target, "size": size, "from_h": 4.0, "to_h": 7.0}


def test_a_critical_probe_that_everything_contradicts_is_lost_until_it_agrees_again() -> None:
    watched = Watched.of(offset("dissolved_oxygen", 45.0)).watch(10.0)
    told = [(event.code, hour) for hour, event in watched.events()]
    (suspect, suspect_h), (lost, lost_h), *over = told
    assert (suspect, lost) == ("SIGNAL_SUSPECT", "CRITICAL_SIGNAL_LOST")
    assert suspect_h == pytest.approx(6.0, abs=0.4)
    assert lost_h == pytest.approx(suspect_h + 1.0, abs=0.01)
    assert {code for code, _ in over} == {"CRITICAL_SIGNAL_LOST_CLEARED", "SIGNAL_TRUSTED"}
    for decision in watched.decisions:
        watch, suspected = decision.memory.oxygen, "dissolved_oxygen" in decision.estimate.suspects
        assert watch.missing == suspected


def test_a_sound_batch_is_told_of_nothing() -> None:
    watched = Watched.of().watch(30.0)
    assert list(watched.events()) == []
    assert watched.raised_h(Flag.STATE_UNOBSERVABLE) == []


def test_what_is_not_known_well_enough_is_named_at_once_and_costs_control_after_the_grace() -> None:
    watched = Watched.of(needed=(NeededOutput("glucose", 1e-3),)).watch(3.0)
    told = [(event.code, hour) for hour, event in watched.events()]
    assert [code for code, _ in told] == ["OUTPUT_UNCERTAIN", "STATE_UNOBSERVABLE"]
    assert [hour for _, hour in told] == pytest.approx([0.0, 2.0])
    assert watched.raised_h(Flag.STATE_UNOBSERVABLE)[0] == pytest.approx(2.0)


def test_a_corrected_sample_is_told_with_what_it_replaces() -> None:
    watched = Watched.of().watch(3.0)
    sample = next(
        item.sample
        for decision in watched.decisions
        for item in decision.estimate.samples
        if item.sample.analyte == "glucose"
    )
    driver = SimulatedDriver(watched.plant, tag_map(demo_settings(HOURS, "SHADOW")))
    readings = asyncio.run(driver.read())
    corrected = replace(sample, value=sample.value + 0.5, reason="dilution")
    decision = watched.decide(replace(readings, samples=(corrected,)))
    (text,) = (event.text for event in decision.events if event.code == "SAMPLE_FUSED")
    assert f"(corrects {sample.value:.4g}: dilution), drawn " in text
    (result,) = decision.estimate.samples
    assert np.isfinite((*result.before, *result.after)).all()
    assert result.after[0] > result.before[0]
    assert result.after[1] == pytest.approx(result.before[1], rel=0.01)
