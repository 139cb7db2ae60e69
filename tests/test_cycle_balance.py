"""Ledger and weight over days of a simulated batch: what is told, and what a healthy one keeps."""

import asyncio
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mpc_agent.build import build_rooms, tag_map
from mpc_agent.codec import decode, encode
from mpc_agent.cycle import decide
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.memory import Decision, Memory, Rooms, begin, remember
from mpc_agent.values import WITHDRAWN, Applied, Event, Mode
from sim_plant.plant import SimulatedPlant
from sim_plant.settings import PlantSettings
from tests.config_files import CONFIGS
from tests.examples_batch import demo_engines, demo_settings
from tests.examples_drivers import DOSES, TAGS
from tests.examples_drivers import tag_map as example_tag_map

HOURS = 336.0
CODES = ("MASS_BALANCE", "PUMP_DRIFT")


def plant_of(**changes: Any) -> SimulatedPlant:
    """The demo's plant with exact pumps, which follows its own recipe."""
    given = {
        "bookings": ["glucose_feed", "antifoam", WITHDRAWN],
        "control_unit": {"recipe_file": str(CONFIGS / "cho_recipe.csv")},
        **changes,
        "culture": {"pump_gain": 0.0, **changes.get("culture", {})},
    }
    return SimulatedPlant(PlantSettings.model_validate(given))


@dataclass(repr=False)
class Watched:
    """A plant watched cycle by cycle, without plans, which this does not depend on.

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
    def of(cls, plant: SimulatedPlant, late_h: float = 0.0) -> "Watched":
        """From inoculation on, or from some hours later."""
        settings = demo_settings(HOURS, "SHADOW")
        feed = replace(settings.control.feed, from_h=HOURS)
        whole = build_rooms(settings, demo_engines(), plant.time_s)
        rooms = replace(whole, control=replace(settings.control, feed=feed), gas=None)
        plant.advance_to(plant.time_s + 3600 * late_h)
        return cls(plant, rooms, begin(rooms, Mode.SHADOW))

    def watch(self, hours: float) -> "Watched":
        """Some hours of cycles."""
        booking = example_tag_map({**TAGS, "doses": DOSES})
        tags = tag_map(demo_settings(HOURS, "SHADOW"))
        tags = replace(tags, doses=booking.doses, uses={**booking.uses, **tags.uses})
        driver = SimulatedDriver(self.plant, tags)
        for _ in range(round(6 * hours)):
            decision = decide(self.rooms, self.memory, asyncio.run(driver.read()))
            self.decisions.append(decision)
            self.memory = remember(
                decision, Applied(written=False), late=False, record_failed=False
            )
            self.plant.advance_to(self.plant.time_s + 600.0)
        return self

    @property
    def codes(self) -> list[str]:
        """What was told of balance and pumps."""
        return [event.code for _, event in self.events()]

    def events(self) -> Iterator[tuple[float, Event]]:
        """What was told of balance and pumps, with hours since inoculation."""
        for decision in self.decisions:
            for event in decision.events:
                if event.code.startswith(CODES):
                    yield self.rooms.hours(decision.estimate.time_s), event

    @property
    def residual_kg(self) -> float:
        """The last residual."""
        residual_kg = self.memory.balance.residual_kg
        assert residual_kg is not None
        return residual_kg


def test_a_pump_that_delivers_a_tenth_more_is_told_within_days() -> None:
    plant = plant_of(culture={"parameters": {"glucose_feed_gain": 1.1}})
    watched = Watched.of(plant).watch(48.0)
    assert sorted(watched.codes) == ["MASS_BALANCE", "PUMP_DRIFT"]
    told = {event.code: (hour, event.text) for hour, event in watched.events()}
    hour, text = told["PUMP_DRIFT"]
    assert hour < 24.0
    assert text.startswith("glucose_feed delivers ")
    assert text.endswith(" % more than it shows: check the pump.")
    hour, text = told["MASS_BALANCE"]
    assert hour < 36.0
    assert "kg more than the ledger accounts for" in text
    pumped_L = watched.memory.ledger.totals_L["glucose_feed"]
    assert watched.residual_kg == pytest.approx(0.1 * pumped_L, abs=1.0)


def test_a_batch_with_sound_pumps_and_every_dose_booked_balances() -> None:
    doses = [
        {"what": "glucose_feed", "volume_L": 12.0, "at_h": 6.0},
        {"what": "antifoam", "volume_L": 9.0, "at_h": 10.0},
        {"what": WITHDRAWN, "volume_L": 15.0, "at_h": 16.0},
        {"what": "glucose_feed", "volume_L": 8.0, "at_h": 30.0},
    ]
    watched = Watched.of(plant_of(doses=doses)).watch(36.0)
    assert watched.codes == []
    ledger = watched.memory.ledger
    assert len(ledger.bookings.doses) == len(doses)
    assert ledger.total_L("glucose_feed") == pytest.approx(ledger.totals_L["glucose_feed"] + 20.0)
    assert ledger.withdrawn_L == 15.0
    assert abs(watched.residual_kg) < 1.0
    true_kg = watched.plant.truth.output("weight")[-1]
    assert watched.memory.balance.expected_kg == pytest.approx(true_kg, abs=1.5)


def test_a_booking_that_is_missing_is_told_until_it_comes() -> None:
    late = {"what": "glucose_feed", "volume_L": 10.0, "at_h": 3.05, "booked_after_h": 2.0}
    watched = Watched.of(plant_of(doses=[late])).watch(6.0)
    (begun_h, begun), (over_h, over) = watched.events()
    assert (begun.code, over.code) == ("MASS_BALANCE", "MASS_BALANCE_CLEARED")
    assert 3.0 < begun_h <= 4.0
    assert over_h == pytest.approx(5.05, abs=0.2)


def test_samples_of_the_lab_leave_the_vessel() -> None:
    plant = plant_of(lab={"sample_volume_L": 2.0, "every_h": 3.0})
    watched = Watched.of(plant)
    kalman = copy(watched.rooms.kalman)
    kalman.settings = replace(kalman.settings, sample_volume_L=2.0)
    watched.rooms = replace(watched.rooms, kalman=kalman)
    watched.watch(24.0)
    drawn = {dose.given_at_s for dose in watched.memory.ledger.bookings.doses}
    assert len(drawn) >= 5
    assert watched.memory.ledger.withdrawn_L == 2.0 * len(drawn)
    # Those whose results are not out yet are in the vessel as far as the ledger knows.
    assert abs(watched.residual_kg) < 5.0


def test_a_restart_keeps_ledger_and_balance() -> None:
    dose = {"what": "glucose_feed", "volume_L": 12.0, "at_h": 1.0}
    whole = Watched.of(plant_of(doses=[dose])).watch(6.0)
    parts = Watched.of(plant_of(doses=[dose])).watch(3.0)
    parts.memory = decode(encode(parts.memory), Memory)
    parts.watch(3.0)
    assert parts.memory.ledger == whole.memory.ledger
    assert parts.memory.balance == whole.memory.balance


def test_a_batch_that_began_without_the_agent_balances_from_then_on() -> None:
    watched = Watched.of(plant_of(), late_h=24.0).watch(12.0)
    assert watched.memory.balance.late
    assert watched.codes == []
    assert abs(watched.residual_kg) < 1.0
    weight_kg = watched.plant.truth.output("weight")[-1]
    assert weight_kg > 1440.0
    assert watched.memory.balance.expected_kg == pytest.approx(weight_kg, abs=2.0)
