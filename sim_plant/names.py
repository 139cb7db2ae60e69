"""What the plant has: flows, probes and assays, by the model's names and by their tags."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Flow(StrEnum):
    """The flows the control unit drives; the values are the names of the model's inputs."""

    GLUCOSE_FEED = "glucose_feed"
    AMINO_FEED = "amino_feed"
    BASE = "base"
    AIR = "air"
    OXYGEN = "oxygen"
    CARBON_DIOXIDE = "carbon_dioxide"
    NITROGEN = "nitrogen"


FLOWS: Final[tuple[Flow, ...]] = tuple(Flow)
FEEDS: Final = (Flow.GLUCOSE_FEED, Flow.AMINO_FEED)
PUMPS: Final = (*FEEDS, Flow.BASE)
GASES: Final = (Flow.AIR, Flow.OXYGEN, Flow.CARBON_DIOXIDE, Flow.NITROGEN)
REMOTE_FLOWS: Final[tuple[Flow, ...]] = tuple(flow for flow in FLOWS if flow is not Flow.BASE)
"""What a remote controller may set; base belongs to the control unit's pH loop alone."""

FLOW_TAGS: Final[Mapping[Flow, str]] = {
    Flow.GLUCOSE_FEED: "GlucoseFeed",
    Flow.AMINO_FEED: "AminoFeed",
    Flow.BASE: "Base",
    Flow.AIR: "Air",
    Flow.OXYGEN: "Oxygen",
    Flow.CARBON_DIOXIDE: "CarbonDioxide",
    Flow.NITROGEN: "Nitrogen",
}
"""First part of the tag names of each flow."""


def litres_per_hour(flow: Flow) -> float:
    """What one vendor unit of this flow is in L/h: pumps show mL/min, gas flows L/min."""
    return 0.06 if flow in PUMPS else 60.0


PROBE_TAGS: Final[Mapping[str, str]] = {
    "dissolved_oxygen": "DissolvedOxygen.Value",
    "pH": "pH.Value",
    "pCO2": "PCO2.Value",
    "weight": "Weight.Value",
    "capacitance": "Capacitance.Value",
    "off_gas_oxygen": "OffGas.Oxygen",
    "off_gas_carbon_dioxide": "OffGas.CarbonDioxide",
    "temperature": "Temperature.Value",
    "pressure": "Pressure.Value",
    "power_per_volume": "Stirrer.PowerPerVolume",
}
"""Tag of each probe, by the model's output (or input) that it shows."""

LAB_TAGS: Final[Mapping[str, str]] = {
    "viable_cells": "Lab.ViableCells",
    "viability": "Lab.Viability",
    "glucose": "Lab.Glucose",
    "lactate": "Lab.Lactate",
    "glutamine": "Lab.Glutamine",
    "ammonia": "Lab.Ammonia",
    "titre": "Lab.Titre",
    "osmolality": "Lab.Osmolality",
}
"""Tag of each assay, by the model's output that it shows."""
