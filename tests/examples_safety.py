"""A small site for the tests of the safety rooms: two feeds, four gases, base."""

from dataclasses import replace
from typing import Any

from mpc_agent.safety.guard import GuardContext
from mpc_agent.safety.ledger import Ledger
from mpc_agent.safety.oxygen import OxygenWatch
from mpc_agent.safety.settings import FallbackSettings, InputLimit, SafetySettings

NOW_S = 1_767_600_000.0

SETTINGS = SafetySettings(
    input_limits={
        "glucose_feed": InputLimit(0.0, 5.6, rise_per_h=6.0),
        "amino_feed": InputLimit(0.0, 5.6, rise_per_h=6.0),
        "nitrogen": InputLimit(0.0, 336.0, rise_per_h=600.0, fall_per_h=600.0),
        "carbon_dioxide": InputLimit(0.0, 420.0, rise_per_h=600.0, fall_per_h=600.0),
        "air": InputLimit(84.0, 336.0, rise_per_h=600.0, fall_per_h=600.0),
        "oxygen": InputLimit(0.84, 840.0, rise_per_h=1200.0, fall_per_h=600.0),
    },
    feeds=("glucose_feed", "amino_feed"),
    gases=("nitrogen", "carbon_dioxide", "air", "oxygen"),
    other_liquids=("base",),
    safe_inputs={
        "glucose_feed": 0.0,
        "amino_feed": 0.0,
        "nitrogen": 0.0,
        "carbon_dioxide": 10.0,
        "air": 336.0,
        "oxygen": 100.0,
    },
    fallbacks={
        "feed": FallbackSettings(("glucose_feed", "amino_feed"), fresh_s=3600.0, hold_s=14400.0),
        "gas": FallbackSettings(
            ("nitrogen", "carbon_dioxide", "air", "oxygen"), fresh_s=600.0, hold_s=1800.0
        ),
    },
    period_s=600.0,
    validity_s=1800.0,
    initial_volume_L=1400.0,
    max_volume_L=2002.0,
    max_sparge_L_per_h=1200.0,
    max_dose_L={"glucose_feed": 300.0, "amino_feed": 350.0},
    max_hourly_dose_L={"glucose_feed": 4.0, "amino_feed": 4.0},
    dissolved_oxygen_floor_percent=20.0,
    dissolved_oxygen_grace_s=1200.0,
    oxygen_feed_factor=0.25,
    oxygen_gas="oxygen",
    critical_signals=("dissolved_oxygen",),
    critical_grace_s=900.0,
    estimate_grace_s=3600.0,
    safe_grace_s=1800.0,
    refused_grace_s=1200.0,
    late_grace_s=1200.0,
    unobservable_grace_s=2400.0,
)

HELD = {
    "glucose_feed": 1.0,
    "amino_feed": 1.0,
    "nitrogen": 0.0,
    "carbon_dioxide": 20.0,
    "air": 336.0,
    "oxygen": 100.0,
}


def context(**changes: Any) -> GuardContext:
    """A plant in good order, with changes."""
    calm = GuardContext(
        settings=SETTINGS,
        now_s=NOW_S,
        held=HELD,
        confirmed={},
        plant_limits={},
        ledger=Ledger(updated_at_s=NOW_S),
        oxygen=OxygenWatch(),
        volume_L=1500.0,
        volume_deviation_L=1.0,
    )
    return replace(calm, **changes)
