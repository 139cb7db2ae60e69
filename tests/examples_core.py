"""What the tests of filter, optimiser and cycle share: small models and their settings."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import DecidedInput, Limit, Maximise, Problem
from controllers.situation import Situation
from mpc_agent.estimation.filter import Belief, Description, ExtendedKalmanFilter
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    EstimationSettings,
    SignalSettings,
    Uncertainty,
)
from mpc_agent.values import Measurement, Sample, Verdict
from plant_models.cho_mab import CORE
from plant_models.dialect import Maths
from plant_models.model import Input, Output, Parameter, PlantModel, State, record
from plant_models.reference import ReferenceBatch, profile

Floats = NDArray[np.float64]

PERIOD_H = 1 / 6
"""Cycle of all filters of these tests."""

START_S = 1_767_600_000.0
"""Inoculation of all batches of these tests, UTC seconds."""


def small_model(
    name: str,
    rhs: Callable[[Any, Any, Any, Maths], tuple[Any, ...]],
    outputs: Callable[[Any, Any, Any, Maths], tuple[Any, ...]],
    states: Mapping[str, State],
    inputs: Mapping[str, Input],
    parameters: Mapping[str, float],
    output_names: tuple[str, ...],
    substeps_per_h: int,
) -> PlantModel:
    """A model from its equations; its volume is the state and its feed the input named so."""
    kinds: dict[str, Any] = {
        "State": record("State", states),
        "Inputs": record("Inputs", inputs),
        "Parameters": record("Parameters", parameters),
        "Outputs": record("Outputs", output_names),
    }
    nominal = kinds["Inputs"](*(item.nominal for item in inputs.values()))
    return PlantModel(
        name=name,
        organism="none",
        source="tests",
        validity="tests",
        equations={},
        rhs=lambda x, u, p, xp: kinds["State"](*rhs(x, u, p, xp)),
        outputs=lambda x, u, p, xp: kinds["Outputs"](*outputs(x, u, p, xp)),
        states=states,
        inputs=inputs,
        parameters={
            key: Parameter("1", key, value, value / 5, value * 5, 0.1, "tests")
            for key, value in parameters.items()
        },
        outputs_info={key: Output("1", key) for key in output_names},
        volume="volume",
        volume_flows=("feed",),
        product=output_names[-1],
        substeps_per_h=substeps_per_h,
        reference=ReferenceBatch("a day", 24.0, 1.0, profile(nominal, [(0.0, {})])),
        **kinds,
    )


# ------------------------------------------------------------------ a linear plant


LINEAR_A = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, -0.30, 0.20, 0.0],
        [0.0, -0.10, -0.50, 0.05],
        [0.0, 0.02, 0.10, -0.15],
    ]
)
"""Rates of the linear plant, 1/h; states: volume, then three substances."""

LINEAR_B = np.array([1.0, 0.4, -0.2, 0.1])
"""What one unit of feed adds to each state per hour."""

LINEAR_C = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.5, 0.0],
        [0.0, 0.0, 1.0, -2.0],
        [0.0, 0.3, 0.0, 1.0],
    ]
)
"""Outputs of the linear plant: level, first, second, assay."""


def _linear_rhs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    del p, xp
    return tuple(
        sum(float(row[j]) * x[j] for j in range(4)) + float(b) * u.feed
        for row, b in zip(LINEAR_A, LINEAR_B, strict=True)
    )


def _linear_outputs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    del u, p, xp
    return tuple(sum(float(row[j]) * x[j] for j in range(4)) for row in LINEAR_C)


LINEAR = small_model(
    name="linear",
    rhs=_linear_rhs,
    outputs=_linear_outputs,
    states={
        "volume": State("L", "volume", 10.0, 10.0, -1e9, 1e9),
        **{name: State("1", name, 1.0, 1.0, -1e9, 1e9) for name in ("a", "b", "c")},
    },
    inputs={"feed": Input("L/h", "feed", 0.1, 1.0, 0.0, 10.0)},
    parameters={"unused": 1.0},
    output_names=("level", "first", "second", "assay"),
    substeps_per_h=60,
)
"""Linear in states and inputs, so that the exact filter is known."""


def signal(name: str, deviation: float = 0.1, **changes: Any) -> SignalSettings:
    """A signal that is plausible everywhere and practically never refused."""
    plain: dict[str, Any] = {"relative": 0.0, "lower": -1e6, "upper": 1e6, "gate": 1e6}
    return SignalSettings(name, deviation, **{**plain, **changes})


def linear_settings(
    signals: tuple[SignalSettings, ...] = (
        signal("level", 0.2),
        signal("first", 0.1),
        signal("second", 0.3),
    ),
    assays: tuple[SignalSettings, ...] = (signal("assay", 0.05),),
    max_rewind_h: float = 48.0,
) -> EstimationSettings:
    """A filter for the linear plant that adapts nothing."""
    return EstimationSettings(
        model=LINEAR,
        initial={"volume": 10.0, "a": 1.0, "b": 2.0, "c": -1.0},
        parameters={"unused": 1.0},
        uncertainty={
            "volume": Uncertainty(1.0, 0.02),
            "a": Uncertainty(2.0, 0.3),
            "b": Uncertainty(0.5, 0.1),
            "c": Uncertainty(1.0, 0.2),
        },
        signals=signals,
        assays=assays,
        adapted=(),
        max_rewind_h=max_rewind_h,
    )


@cache
def linear_filter() -> ExtendedKalmanFilter:
    """The filter of the linear plant, compiled once."""
    return ExtendedKalmanFilter(linear_settings(), PERIOD_H)


# ------------------------------------------------------------------ one step of a filter


class Step(NamedTuple):
    """One row of a filter: what is believed after it, and what became of each channel's value."""

    belief: Belief
    innovations: Floats
    gate_ratios: Floats
    fused: NDArray[np.bool_]
    sound: bool
    description: Description


def step(
    kalman: ExtendedKalmanFilter,
    belief: Belief,
    inputs: Floats,
    step_h: float,
    measured: Mapping[int, float] | None = None,
    **row: Any,
) -> Step:
    """Predict over a row and fuse what was measured at its end, by place of the channel."""
    values = np.full((1, kalman.channels), np.nan)
    for place, value in (measured or {}).items():
        values[0, place] = value
    rows, _ = kalman.rows([step_h], inputs, values, **row)
    after, report, description = kalman.march(belief, rows)
    last = report.row(-1)
    fused = last.fused.astype(bool)
    sound = bool(report.sound.all())
    return Step(after, last.innovations, last.gate_ratios, fused, sound, description)


def predict(
    kalman: ExtendedKalmanFilter, belief: Belief, inputs: Floats, step_h: float, **row: Any
) -> Belief:
    """Belief some time later, with nothing measured."""
    return step(kalman, belief, inputs, step_h, **row).belief


def fuse(
    kalman: ExtendedKalmanFilter, belief: Belief, inputs: Floats, measured: Mapping[int, float]
) -> Step:
    """Fuse values at this very moment: a row without any length."""
    return step(kalman, belief, inputs, 0.0, measured)


def same(one: Belief, other: Belief) -> bool:
    """Whether two beliefs are the same to the last bit."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in Belief.__slots__
    )


# ------------------------------------------------------------------ cycles and the lab


def cycle_s(number: float) -> float:
    """When a cycle scans; cycle 0 is at inoculation."""
    return START_S + 3600 * PERIOD_H * number


def scanned(
    signals: tuple[SignalSettings, ...],
    values: Floats | list[float],
    number: float,
    inputs: Floats | list[float],
    ages_s: Floats | float = 0.0,
) -> Measurement:
    """What validation says in one cycle, NaN where nothing came; values are `ages_s` old."""
    there = np.isfinite(values)
    return Measurement(
        signals=tuple(item.name for item in signals),
        values=np.array(values, dtype=np.float64),
        verdicts=tuple(Verdict.OK if item else Verdict.STALE for item in there),
        inputs=np.array(inputs, dtype=np.float64),
        belongs_at_s=np.where(there, cycle_s(number) - np.asarray(ages_s), np.nan),
    )


def sample(analyte: str, value: float, hours: float) -> Sample:
    """A lab result of a sample drawn some hours after inoculation."""
    drawn_at_s = START_S + 3600 * hours
    return Sample(analyte, value, "1", drawn_at_s, drawn_at_s + 60, "lab")


# ------------------------------------------------------------------ cells in a small filter


def core_settings() -> EstimationSettings:
    """A filter for the core of the CHO model with two learnt parameters."""
    deviations = {"volume": 1.0, "viable_cells": 0.1, "dead_cells": 0.02, "product": 0.01}
    return EstimationSettings(
        model=CORE,
        initial={name: state.initial for name, state in CORE.states.items()},
        parameters={name: item.value for name, item in CORE.parameters.items()},
        uncertainty={
            name: Uncertainty(deviations.get(name, 0.3), 0.01, 0.005) for name in CORE.states
        },
        signals=(
            SignalSettings("viable_cells", 0.05, 0.02, 0.0, 100.0, gate=5.0),
            SignalSettings("glucose", 0.5, 0.03, 0.0, 200.0, gate=5.0, readmit_after=4),
        ),
        assays=(
            SignalSettings("glucose", 0.1, 0.03, -1.0, 200.0, gate=5.0),
            SignalSettings("lactate", 0.1, 0.03, -1.0, 200.0, gate=5.0),
            SignalSettings("titre", 0.005, 0.03, -0.1, 50.0, gate=5.0),
        ),
        adapted=(
            AdaptedParameter("mu_max", 0.15, 0.01, 0.03, 0.05),
            AdaptedParameter("Q_mAb", 0.12, 0.001, 5e-4, 4.5e-3),
        ),
    )


@cache
def core_filter() -> ExtendedKalmanFilter:
    """The filter of the core, compiled once."""
    return ExtendedKalmanFilter(core_settings(), PERIOD_H)


# ------------------------------------------------------------------ batch reactor


def _reactor_rhs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    del xp
    growth = p.mu_m * x.substrate / (p.K_m + x.substrate + x.substrate**2 / p.K_i)
    dilution = u.feed / x.volume
    return (
        u.feed,
        growth * x.cells - dilution * x.cells,
        -growth * x.cells / p.Y_x - p.v * x.cells / p.Y_p + dilution * (p.S_in - x.substrate),
        p.v * x.cells - dilution * x.product,
    )


def _reactor_outputs(x: Any, u: Any, p: Any, xp: Maths) -> tuple[Any, ...]:
    del p, xp
    return (x.volume, x.cells, x.substrate, x.product, x.product * x.volume, u.feed)


BATCH_REACTOR = small_model(
    name="batch_reactor",
    rhs=_reactor_rhs,
    outputs=_reactor_outputs,
    states={
        "volume": State("L", "volume", 120.0, 100.0, 0.0, 1e4),
        "cells": State("g/L", "biomass", 1.0, 1.0, 0.0, 100.0),
        "substrate": State("g/L", "substrate", 0.5, 1.0, 0.0, 200.0),
        "product": State("g/L", "product", 0.0, 1.0, 0.0, 100.0),
    },
    inputs={"feed": Input("L/h", "feed", 0.0, 1.0, 0.0, 10.0)},
    parameters={
        "mu_m": 0.02,
        "K_m": 0.05,
        "K_i": 5.0,
        "v": 0.004,
        "Y_p": 1.2,
        "Y_x": 0.5,
        "S_in": 200.0,
    },
    output_names=("volume", "cells", "substrate", "product", "product_mass", "feed"),
    substeps_per_h=4,
)
"""Srinivasan, Palanki, Bonvin (2003), Comput. Chem. Eng. 27:27-44, as the do-mpc example has it."""


def harvest_problem(**changes: Any) -> Problem:
    """The batch reactor to harvest: as much product as the vessel holds."""
    plain: dict[str, Any] = {
        "name": "harvest",
        "model": BATCH_REACTOR,
        "inputs": (DecidedInput("feed", 0.0, 0.2, move_weight=1e-3),),
        "pieces": 15,
        "maximise": Maximise("product_mass", 100.0),
        "limits": (Limit("volume", None, 124.0, scale=10.0, weight=None),),
    }
    return Problem(**{**plain, **changes})


def reactor_situation(problem: Problem, **changes: Any) -> Situation:
    """The batch reactor at inoculation, in pieces of an hour."""
    model = problem.model
    plain: dict[str, Any] = {
        "time_s": START_S,
        "state": np.array(model.initial_state(), dtype=np.float64),
        "parameters": np.array(model.nominal_parameters(), dtype=np.float64),
        "given": np.zeros(1),
        "previous": np.zeros(1),
        "steps_h": np.ones(problem.pieces),
        "setpoints": np.zeros(0),
        "guess": np.full((problem.pieces, 1), 0.02),
    }
    return Situation(**{**plain, **changes})


def long_situation(problem: Problem, **changes: Any) -> Situation:
    """Ninety hours from inoculation to harvest."""
    return reactor_situation(problem, **{"steps_h": even(90.0, problem.pieces), **changes})


def solved(problem: Problem, **changes: Any) -> Plan:
    return Nmpc(problem).solve(long_situation(problem, **changes), None)
