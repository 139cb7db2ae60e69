"""A plausible batch in the plant: the full model under the recipe and simple gas loops."""

from dataclasses import dataclass, replace

import numpy as np

from mpc_agent.record import BatchHeader
from mpc_agent.values import Floats
from plant_models.cho_mab import CONTROL, FULL
from plant_models.integrate import Simulator
from tests import record_values as values

PERIOD_H = values.PERIOD_S / 3600
ASSAYS = {
    "viable_cells": 0.05,
    "viability": 0.01,
    "glucose": 0.03,
    "lactate": 0.03,
    "glutamine": 0.04,
    "ammonia": 0.04,
    "titre": 0.03,
    "osmolality": 0.01,
}
SIGNALS = {
    "dissolved_oxygen": 0.5,
    "pH": 0.01,
    "pCO2": 1.6,
    "weight": 0.5,
    "capacitance": 0.08,
    "off_gas_oxygen": 0.02,
    "off_gas_carbon_dioxide": 0.02,
}
ADAPTED = {"mu_max": 1.08, "k_d": 0.9, "Y_Xglc": 1.1, "Q_mAb": 1.12, "m_glc": 0.93, "k_kLa": 1.2}
GASES = ("air", "oxygen", "carbon_dioxide", "nitrogen")


@dataclass(frozen=True)
class Lived:
    """What happened in the plant, one row per cycle."""

    time_h: Floats
    states: Floats
    inputs: Floats
    outputs: Floats
    parameters: Floats

    def output(self, name: str) -> Floats:
        column: Floats = self.outputs[:, FULL.output_names.index(name)]
        return column

    def input(self, name: str) -> Floats:
        column: Floats = self.inputs[:, FULL.input_names.index(name)]
        return column


def recipe(hours: float) -> dict[str, tuple[tuple[float, float], ...]]:
    starts = np.arange(0.0, hours, 6.0)
    glucose = [(float(h), round(0.3 + 1.3 / (1 + np.exp(-(h - 110) / 30)), 3)) for h in starts]
    amino = [(float(h), round(0.08 + 0.5 / (1 + np.exp(-(h - 120) / 25)), 3)) for h in starts]
    return {
        "glucose_feed": (*glucose, (hours, 0.0)),
        "amino_feed": (*amino, (hours, 0.0)),
    }


def header(hours: float) -> BatchHeader:
    known = {name: item for name, item in CONTROL.parameters.items() if name in ADAPTED}
    adapted = tuple(
        replace(values.header().adapted[0], name=name, unit=item.unit, meaning=item.meaning)
        for name, item in known.items()
    )
    return replace(
        values.header("CHO-DEMO"),
        harvest_h=hours,
        adapted=adapted,
        approved={name: (0.7 * item.value, 1.3 * item.value) for name, item in known.items()},
        signals=tuple(SIGNALS),
        assays=tuple(ASSAYS),
        limits={"glucose": (4.0, 50.0), "osmolality": (None, 425.0), "volume": (None, 2002.0)},
        targets={"dissolved_oxygen": ((0.0, 60.0),), "pCO2": ((0.0, 60.0), (72.0, 80.0))},
        recipe=recipe(hours),
    )


def live(hours: float) -> Lived:
    """The plant under the recipe with somewhat more feed, and simple gas loops."""
    parameters = {name: item.value for name, item in FULL.parameters.items()}
    parameters |= {name: parameters[name] * factor for name, factor in ADAPTED.items()}
    p = np.array([parameters[name] for name in FULL.parameter_names])
    plant = Simulator(FULL, PERIOD_H, 30)
    x = np.array(FULL.initial_state())
    u = np.array(FULL.nominal_inputs())
    column = {name: FULL.input_names.index(name) for name in FULL.input_names}
    read = {name: FULL.output_names.index(name) for name in FULL.output_names}
    rates = recipe(hours)
    rows: list[tuple[Floats, Floats, Floats]] = []
    oxygen_L_per_h = 4.2
    for number in range(int(hours / PERIOD_H)):
        y = plant.outputs(x, u, p)
        rows.append((x, u.copy(), y))
        for name, schedule in rates.items():
            u[column[name]] = 1.08 * [rate for h, rate in schedule if h <= number * PERIOD_H][-1]
        error = 60.0 - y[read["dissolved_oxygen"]]
        oxygen_L_per_h = float(np.clip(oxygen_L_per_h + 0.35 * error, 0.84, 840))
        u[column["oxygen"]] = np.clip(oxygen_L_per_h + 2.5 * error, 0.84, 840)
        wanted = 60.0 if number * PERIOD_H < 72 else 80.0
        u[column["carbon_dioxide"]] = np.clip(1.2 * (wanted - y[read["pCO2"]]), 0, 420)
        u[column["base"]] = 1400 * np.clip(0.01 * (6.9 - y[read["pH"]]), 0, 0.002)
        x = plant.advance(x, u, p)
    time_h = np.arange(len(rows), dtype=np.float64) * PERIOD_H
    states, inputs, outputs = (np.array(part) for part in zip(*rows, strict=True))
    return Lived(time_h, states, inputs, outputs, p)
