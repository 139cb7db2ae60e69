"""The plant that the package brings along: a 2000 L fed-batch of CHO cells, as in a plant file.

It is written as differences from what the model's tables say (`sim_plant.completing`); the file
configs/cho_plant.yaml spells every key out.
"""

from collections.abc import Mapping
from typing import Any, Final

_CHO: Final[Mapping[str, Any]] = {
    # Without oxygen, respiration reacts as fast as q_O2 Xv / K_O2, 3000 1/h at 30e9 cells/L, twice
    # what this culture reaches; steps of 2 s are stable (h lambda < 2.78) and keep oxygen from
    # falling below zero.
    "steps_per_tick": 5,
    "batch": {"duration_h": 336.0},
    "vessel": {"initial_volume_L": 1400.0, "working_volume_L": 2002.0},
    "conditions": {"temperature": 36.5, "pressure": 1.1, "power_per_volume": 30.0},
    "culture": {
        "deviations": {
            "glucose_feed_glucose": 0.03,
            "glucose_feed_glutamine": 0.03,
            "amino_feed_glucose": 0.03,
            "amino_feed_glutamine": 0.03,
            "k_kLa": 0.25,
        },
        "parameters": {"vessel_diameter": 1.2},
    },
    "actuators": {
        "glucose_feed": {"upper": 5.6, "unit": "mL/min"},
        "amino_feed": {"upper": 5.6, "unit": "mL/min"},
        "base": {"kind": "base", "upper": 2.8, "unit": "mL/min"},
        "air": {"kind": "gas", "lower": 84.0, "upper": 336.0, "unit": "L/min"},
        "oxygen": {"kind": "gas", "lower": 0.84, "upper": 840.0, "unit": "L/min"},
        "carbon_dioxide": {"kind": "gas", "upper": 420.0, "unit": "L/min"},
        "nitrogen": {"kind": "gas", "upper": 336.0, "unit": "L/min"},
    },
    "loops": [
        {
            "measured": "dissolved_oxygen",
            "setpoint": 40.0,
            "gain": 4.2,
            "integral_time_h": 0.2,
            "output": "oxygen",
            "opposite": "nitrogen",
            "when": "local",
        },
        {
            "measured": "pH",
            "setpoint": 7.10,
            "gain": -840.0,
            "integral_time_h": 0.5,
            "output": "carbon_dioxide",
            "when": "local",
        },
        {
            "measured": "pH",
            "setpoint": 6.90,
            "gain": 14.0,
            "integral_time_h": 1.0,
            "output": "base",
            "when": "always",
        },
    ],
    "probes": {
        "dissolved_oxygen": {"range": [0.0, 250.0], "absolute": 0.5, "lag_s": 30.0},
        "pH": {"tag": "pH.Value", "range": [2.0, 12.0], "absolute": 0.01},
        "pCO2": {"range": [0.0, 400.0], "relative": 0.02},
        "weight": {"range": [0.0, 3000.0], "absolute": 0.5},
        "capacitance": {"range": [0.0, 100.0], "relative": 0.02},
        "off_gas_oxygen": {"tag": "OffGas.Oxygen", "range": [0.0, 100.0], "absolute": 0.02},
        "off_gas_carbon_dioxide": {
            "tag": "OffGas.CarbonDioxide",
            "range": [0.0, 100.0],
            "absolute": 0.02,
        },
        "temperature": {"range": [0.0, 60.0], "absolute": 0.02},
        "pressure": {"unit": "bar", "range": [0.0, 4.0], "absolute": 0.002},
        "power_per_volume": {
            "tag": "Stirrer.PowerPerVolume",
            "range": [0.0, 500.0],
            "absolute": 0.1,
        },
    },
    "assays": {
        "viable_cells": {"range": [0.0, 200.0], "absolute": 0.02, "relative": 0.05, "delay_h": 2.0},
        "viability": {"range": [0.0, 100.0], "absolute": 1.0, "delay_h": 2.0},
        "glucose": {"range": [0.0, 200.0], "absolute": 0.1, "relative": 0.03},
        "lactate": {"range": [0.0, 200.0], "absolute": 0.1, "relative": 0.03},
        "glutamine": {"range": [0.0, 100.0], "absolute": 0.02, "relative": 0.04},
        "ammonia": {"range": [0.0, 50.0], "absolute": 0.05, "relative": 0.04},
        "titre": {"range": [0.0, 50.0], "absolute": 0.005, "relative": 0.03, "delay_h": 8.0},
        "osmolality": {"range": [0.0, 1000.0], "absolute": 3.0},
    },
    "yardstick": {"piece_h": 6.0, "check_steps": 160},
}

STANDARD: Final[Mapping[str, Mapping[str, Any]]] = {"cho_mab_full": _CHO}
"""Standard plant by name of the model; other models have none."""
