"""The feed problem knows what oxygen the vessel can transfer, and feeds no more cells than that."""

from dataclasses import replace

import numpy as np
import pytest

from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.situation import Situation
from mpc_agent.config import Settings
from mpc_agent.planning import Situated, feed_situation
from mpc_agent.values import Floats
from plant_models.cho_mab import CONTROL
from plant_models.dialect import NUMPY
from plant_models.gas_transfer import AIR_OXYGEN
from tests import record_values
from tests.config_files import DEMO
from tests.examples_batch import demo_engines

DAY_FOUR = {
    "volume": 1540.0,
    "viable_cells": 3.9,
    "dead_cells": 0.15,
    "glucose": 57.0,
    "glutamine": 0.6,
    "lactate": 12.0,
    "ammonia": 2.6,
    "product": 0.3,
    "oxygen": 0.147,
    "osmolytes": 290.0,
}


def nmpc() -> Nmpc:
    return demo_engines().feed


def situation(transfer: float, oxygen: float = 0.147) -> Situation:
    """Day four with a share of the usual oxygen transfer, and so much oxygen dissolved."""
    settings = Settings.load(DEMO, {})
    state = np.array(CONTROL.initial_state()._replace(**{**DAY_FOUR, "oxygen": oxygen}))
    nominal = CONTROL.nominal_parameters()
    parameters = np.array(nominal._replace(k_kLa=transfer * nominal.k_kLa))
    now = Situated(
        time_s=96 * 3600.0,
        batch_h=96.0,
        remaining_h=240.0,
        parameters=parameters,
        inputs=np.array(CONTROL.nominal_inputs(), dtype=np.float64),
        setpoints={},
        limits={},
    )
    estimate = replace(record_values.estimate(0.0), mean=np.append(state, parameters))
    return feed_situation(nmpc(), settings.control.feed, settings.recipe, estimate, now, None)


def planned(where: Situation) -> Plan:
    plan = nmpc().solve(where, None)
    assert plan.usable, plan.message
    return plan


def output(values: Floats, name: str) -> Floats:
    return values[:, CONTROL.output_names.index(name)]


def test_growth_is_held_back_before_the_gases_are_at_their_end() -> None:
    short = situation(0.25)
    usual, careful = planned(situation(1.0)), planned(short)
    as_usual = nmpc().predict(short, usual.inputs)[0]
    assert output(as_usual, "oxygen_reserve").min() < -0.2, "cells would want more than there is"
    reserve = output(careful.outputs, "oxygen_reserve")
    assert reserve.min() > -0.02
    assert "oxygen_reserve at its lower limit 0" in {str(active) for active in careful.active}
    fed = [plan.inputs[:, plan.decided.index("amino_feed")] for plan in (usual, careful)]
    short_from = int(np.argmax(output(as_usual, "oxygen_reserve") < 0))
    assert short_from > 2
    assert fed[1][short_from - 1] < 0.6 * fed[0][short_from - 1], "less is fed already before that"
    assert (
        output(careful.outputs, "product_mass")[-1]
        > 0.75 * output(usual.outputs, "product_mass")[-1]
    )


def test_a_vessel_with_enough_transfer_is_fed_as_if_there_were_no_limit() -> None:
    plan = planned(situation(1.0))
    assert output(plan.outputs, "oxygen_reserve").min() > 0.3
    assert "oxygen_reserve" not in {active.name for active in plan.active}


def test_a_culture_that_is_out_of_oxygen_has_no_reserve() -> None:
    """What is dissolved now is no measure: the less there is, the more could be transferred."""
    p = CONTROL.nominal_parameters()._replace(k_kLa=0.006)
    little = CONTROL.nominal_inputs()
    most = little._replace(air=p.largest_air, oxygen=p.largest_oxygen)
    state = CONTROL.initial_state()._replace(viable_cells=9.0)
    held = AIR_OXYGEN * p.H_O2 * p.least_oxygen / 100
    there, short = (
        CONTROL.outputs(state._replace(oxygen=oxygen), most, p, NUMPY) for oxygen in (held, 0.001)
    )
    assert short.oxygen_reserve == there.oxygen_reserve < 0 < short.oxygen_margin
    assert there.oxygen_reserve == pytest.approx(there.oxygen_margin, rel=0.1)
    assert CONTROL.outputs(state, little, p, NUMPY).oxygen_reserve == there.oxygen_reserve


def test_the_demo_counts_with_what_the_guard_permits() -> None:
    settings = Settings.load(DEMO, {})
    limits, values = settings.safety.input_limits, settings.estimation.parameters
    assert limits["air"].upper == values["largest_air"]
    assert limits["oxygen"].upper == values["largest_oxygen"]
