"""The optimal control problems as they are written: what becomes of each key, and what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.grid import widening
from controllers.problem import Bolus, Maximise, Method, Per, Rewarded, Scenarios, Total
from controllers.settings import Uncertainty
from mpc_agent.config import Settings
from tests.config_files import RIGHT, Change, all_of, drop, faults_of, put, write_config

FEED = ("control", "feed")
GAS = ("control", "gas")
BOLUS: dict[str, Any] = {"smallest_L": 0.5, "largest_L": 1.0, "at_h": [96, 144], "over_s": 3600}


def loaded(folder: Path, *changes: Change) -> Settings:
    """The right configuration, changed."""
    return Settings.load(write_config(folder, all_of(*changes)), {})


def test_what_is_optimised_comes_from_its_keys(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        put(*FEED, "elements", value=2),
        put(*FEED, "check_steps", value=8),
        put(*FEED, "maximise", "per", value="feed"),
        put(*FEED, "maximise", "extra", value=12.5),
        put(*FEED, "rewarded", value=[{"output": "lactate", "weight": -0.1, "scale": 20}]),
        put(*FEED, "inputs", "glucose_feed", "price", value=0.001),
        put(*FEED, "limits", 2, "gives_way", value=3),
        put(*FEED, "totals", value=[{"name": "f", "inputs": ["amino_feed", "base"], "upper": 4}]),
    ).control.feed.problem
    assert (found.elements, found.degree, found.check_steps) == (2, 2, 8)
    assert found.method is Method.COLLOCATION
    assert found.maximise == Maximise("product_mass", 5000, Per.FEED, 12.5)
    assert found.rewarded == (Rewarded("lactate", -0.1, 20),)
    assert [item.price for item in found.inputs] == [0.001, 0.0]
    assert [limit.gives_way for limit in found.limits] == [1, 1, 3]
    assert found.totals == (Total("f", ("amino_feed", "base"), 4),)


def test_by_default_the_simulation_of_a_plan_begins_with_four_steps() -> None:
    control = Settings.load(RIGHT, {}).control
    assert control.gas is not None
    assert control.feed.problem.check_steps == control.gas.problem.check_steps == 4
    assert control.feed.problem.scenarios == Scenarios()
    assert control.feed.uncertainty is None
    assert control.feed.earliest_harvest_h is None
    assert not control.feed.problem.free_harvest
    assert control.feed.afresh_h == 24


def test_the_gas_problem_has_the_same_keys(tmp_path: Path) -> None:
    control = loaded(
        tmp_path,
        put(*GAS, "method", value="shooting"),
        put(*GAS, "elements", value=3),
        put(*GAS, "rewarded", value=[{"output": "pH", "weight": -1, "scale": 1}]),
        put(*GAS, "inputs", "air", "fall_per_h", value=600),
        put(*GAS, "totals", value=[{"name": "dear", "inputs": ["oxygen"], "upper": 500}]),
    ).control
    assert control.gas is not None
    problem = control.gas.problem
    assert (problem.method, problem.elements) == (Method.SHOOTING, 3)
    assert problem.rewarded == (Rewarded("pH", -1, 1),)
    assert problem.inputs[0].fall_per_h == 600
    assert [total.name for total in problem.totals] == ["dear", "sparge"]


def test_the_plan_keeps_what_the_guard_keeps(tmp_path: Path) -> None:
    """Sum of the gases and fastest changes stand in one place; a feed may always fall at once."""
    control = loaded(
        tmp_path,
        put("safety", "inputs", "glucose_feed", "fall_per_h", value=2),
        put("safety", "inputs", "nitrogen", "fall_per_h", value=900),
        put(*GAS, "inputs", "oxygen", "rise_per_h", value=800),
    ).control
    assert control.gas is not None
    problem = control.gas.problem
    gases = ("nitrogen", "carbon_dioxide", "air", "oxygen")
    assert problem.totals == (Total("sparge", gases, 1500),)
    rates = {item.name: (item.rise_per_h, item.fall_per_h) for item in problem.inputs}
    assert rates == {
        "air": (None, None),
        "oxygen": (800, None),
        "carbon_dioxide": (600, None),
        "nitrogen": (600, 900),
    }
    feeds = control.feed.problem
    assert feeds.totals == ()
    assert [(item.rise_per_h, item.fall_per_h) for item in feeds.inputs] == [(6, None)] * 2


def test_boluses_have_their_hours_and_their_pump(tmp_path: Path) -> None:
    every = {"smallest_L": 0, "largest_L": 0.5, "every_h": 72, "from_h": 48, "over_s": 1800}
    found = loaded(
        tmp_path,
        drop(*FEED, "inputs", "amino_feed"),
        put(*FEED, "boluses", value={"amino_feed": BOLUS, "glucose_feed": {**every, "price": 0.2}}),
        put(*FEED, "inputs", "glucose_feed", "upper", value=4.6),
    )
    feed = found.control.feed
    assert feed.problem.boluses == (
        Bolus("amino_feed", 0.5, 1.0, over_h=1.0),
        Bolus("glucose_feed", 0, 0.5, 0.2, over_h=0.5),
    )
    # What is poured and not decided as a flow is written all the same.
    assert found.safety.fallbacks["feed"].inputs == ("glucose_feed", "amino_feed")
    assert feed.bolus_times["amino_feed"].tolist() == [96, 144]
    # The one at 336 h would come at harvest.
    assert feed.bolus_times["glucose_feed"].tolist() == [48, 120, 192, 264]


def test_grid_harvest_and_search_come_from_their_keys(tmp_path: Path) -> None:
    feed = loaded(
        tmp_path,
        put(*FEED, "first_piece_h", value=2),
        put(*FEED, "afresh_h", value=48),
        put(*FEED, "harvest", value={"earliest_h": 288}),
        put(*FEED, "maximise", "per", value="hour"),
        put(*FEED, "maximise", "extra", value=24),
    ).control.feed
    assert (feed.first_piece_h, feed.afresh_h, feed.earliest_harvest_h) == (2, 48, 288)
    assert feed.problem.free_harvest
    assert feed.problem.maximise == Maximise("product_mass", 5000, Per.HOUR, 24)


@pytest.mark.parametrize(
    ("section", "scenarios", "uncertainty"),
    [
        ({}, Scenarios(5, 1), Uncertainty(2, 1.5)),
        ({"directions": 1, "deviations": 2}, Scenarios(3, 1), Uncertainty(1, 2)),
        (
            {"common_pieces": 4, "objective": "worst"},
            Scenarios(5, 4, worst_case=True),
            Uncertainty(2, 1.5),
        ),
        # Pieces of eight hours: those that begin at 0, 8 and 16 h.
        ({"common_h": 24}, Scenarios(5, 3), Uncertainty(2, 1.5)),
        ({"common_h": 24.5}, Scenarios(5, 4), Uncertainty(2, 1.5)),
    ],
)
def test_scenarios_are_counted_by_direction(
    section: dict[str, Any], scenarios: Scenarios, uncertainty: Uncertainty, tmp_path: Path
) -> None:
    feed = loaded(tmp_path, put(*FEED, "scenarios", value=section)).control.feed
    assert feed.problem.scenarios == scenarios
    assert feed.uncertainty == uncertainty


def test_common_hours_are_counted_on_the_first_plans_grid(tmp_path: Path) -> None:
    feed = loaded(
        tmp_path,
        put(*FEED, "from_h", value=36),
        put(*FEED, "first_piece_h", value=1),
        put(*FEED, "scenarios", value={"common_h": 24}),
    ).control.feed
    starts_h = np.concatenate([[0.0], np.cumsum(widening(300.0, 42, 1.0))])
    assert starts_h[feed.problem.scenarios.common_pieces - 1] < 24
    assert starts_h[feed.problem.scenarios.common_pieces] >= 24


def test_what_is_rewarded_may_be_all_that_counts(tmp_path: Path) -> None:
    change = (
        drop(*FEED, "maximise"),
        put(*FEED, "rewarded", value=[{"output": "titre", "weight": 1, "scale": 2}]),
    )
    assert loaded(tmp_path, *change).control.feed.problem.maximise is None


def test_what_others_set_as_needed_is_planned_and_never_written(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        put(*FEED, "foreseen", value={"base": [0, 2.8], "power_per_volume": 45}),
        put(*FEED, "totals", value=[{"name": "b", "inputs": ["base"], "upper": 2}]),
    )
    feed = found.control.feed
    assert feed.foreseen == {"power_per_volume": 45}
    (base,) = (item for item in feed.problem.inputs if not item.written)
    assert (base.name, base.lower, base.upper) == ("base", 0, 2.8)
    assert found.safety.fallbacks["feed"].inputs == ("glucose_feed", "amino_feed")


def test_gases_that_others_set_as_needed_keep_their_sum(tmp_path: Path) -> None:
    changes = (
        put(*FEED, "foreseen", value={"oxygen": [0.84, 840]}),
        put(*FEED, "held_states", value=[]),
        put(*FEED, "rewarded", value=[{"output": "dissolved_oxygen", "weight": 1, "scale": 60}]),
    )
    problem = loaded(tmp_path, *changes).control.feed.problem
    assert [item.name for item in problem.totals] == ["sparge"]


def total(**changes: Any) -> list[dict[str, Any]]:
    """One sum of gases, changed."""
    return [{"name": "gas", "inputs": ["air", "oxygen"], "upper": 900, **changes}]


def bolus(name: str = "amino_feed", **changes: Any) -> Change:
    """A bolus in place of a flow, changed; keys that become None are left out."""
    section = {key: item for key, item in {**BOLUS, **changes}.items() if item is not None}

    def change(data: dict[str, Any]) -> None:
        put(*FEED, "boluses", value={name: section})(data)
        data["control"]["feed"]["inputs"].pop(name, None)

    return change


def rewarded(*outputs: str) -> list[dict[str, Any]]:
    """Outputs that are rewarded."""
    return [{"output": name, "weight": 1, "scale": 1} for name in outputs]


CASES: dict[str, tuple[Change, str]] = {
    "unknown method": (
        put(*FEED, "method", value="shoting"),
        "control.feed.method = 'shoting': is not known; did you mean shooting? (known: ",
    ),
    "shooting with a free harvest": (
        all_of(
            put(*FEED, "method", value="shooting"),
            put(*FEED, "harvest", value={"earliest_h": 300}),
        ),
        "control.feed.method = 'shooting': must be collocation where control.feed.harvest is given",
    ),
    "shooting at the worst": (
        all_of(
            put(*FEED, "method", value="shooting"),
            put(*FEED, "scenarios", value={"objective": "worst"}),
        ),
        "control.feed.method = 'shooting': must be collocation for the worst of scenarios",
    ),
    "shooting with pieces in common": (
        all_of(
            put(*FEED, "method", value="shooting"),
            put(*FEED, "scenarios", value={"common_pieces": 2}),
        ),
        "must be collocation for scenarios with more than one piece in common",
    ),
    "shooting with hours in common": (
        all_of(
            put(*FEED, "method", value="shooting"),
            put(*FEED, "scenarios", value={"common_h": 24}),
        ),
        "control.feed.scenarios.common_h = 24: must be within the first piece for the method",
    ),
    "no element": (
        put(*FEED, "elements", value=0),
        "control.feed.elements = 0: must be at least 1",
    ),
    "beyond the equations": (
        all_of(
            put(*GAS, "inputs", "air", "lower", value=0.05),
            put("safety", "inputs", "air", "lower", value=0.05),
        ),
        (
            "control.gas.inputs.air: must stay within what the equations of cho_mab_control hold "
            "for, 0.1..2000 L/h"
        ),
    ),
    "faster than the guard": (
        put(*FEED, "inputs", "glucose_feed", "rise_per_h", value=7),
        (
            "control.feed.inputs.glucose_feed.rise_per_h = 7: must not be above "
            "safety.inputs.glucose_feed.rise_per_h, 6; it may be left out"
        ),
    ),
    "gases above the sparge limit": (
        all_of(
            put("safety", "max_sparge_L_per_h", value=430),
            put(*GAS, "inputs", "oxygen", "lower", value=400),
        ),
        (
            "control.gas.inputs: nitrogen, carbon_dioxide, air, oxygen are 484 L/h together at "
            "least, above safety.max_sparge_L_per_h, 430"
        ),
    ),
    "negative price": (
        put(*FEED, "inputs", "glucose_feed", "price", value=-1),
        "control.feed.inputs.glucose_feed.price = -1: must be at least 0",
    ),
    "soft limit that is given up": (
        put(*FEED, "limits", 0, "gives_way", value=2),
        "control.feed.limits[0]: gives_way is for hard limits; a soft one gives way by its weight",
    ),
    "sum of unknown inputs": (
        put(*GAS, "totals", value=total(inputs=["air", "oxigen"])),
        (
            "control.gas.totals[0].inputs[1] = 'oxigen': 'oxigen' is no input of cho_mab_control; "
            "did you mean oxygen? (known: "
        ),
    ),
    "sum of unlike inputs": (
        put(*GAS, "totals", value=total(inputs=["air", "temperature"])),
        (
            "control.gas.totals[0].inputs: must have one common unit to be added up, not air in "
            "L/h, temperature in degC"
        ),
    ),
    "sum with an input twice": (
        put(*GAS, "totals", value=total(inputs=["air", "air"])),
        "control.gas.totals[0].inputs[1] = 'air': is in this sum already",
    ),
    "sum of what nobody decides": (
        put(*FEED, "totals", value=total()),
        (
            "control.feed.totals[0].inputs: none of these is decided by this problem "
            "(glucose_feed, amino_feed)"
        ),
    ),
    "sum that is always exceeded": (
        put(*GAS, "totals", value=total(upper=80)),
        "control.gas.totals[0].upper = 80: is below what the smallest values add up to, 84.84",
    ),
    "sum with a name that is taken": (
        put(*GAS, "totals", value=total(name="sparge")),
        (
            "control.gas.totals[0].name = 'sparge': is the name of the sum that "
            "safety.max_sparge_L_per_h bounds; choose another"
        ),
    ),
    "two sums of one name": (
        put(*GAS, "totals", value=[*total(), *total()]),
        "control.gas.totals[1].name = 'gas': is another total's name; choose another",
    ),
    "sum of nothing": (
        put(*GAS, "totals", value=total(inputs=[])),
        "control.gas.totals[0].inputs: needs at least 1",
    ),
    "rewarded twice": (
        put(*FEED, "rewarded", value=rewarded("titre", "titre")),
        "control.feed.rewarded[1].output = 'titre': is rewarded already by item 0",
    ),
    "reward of an unknown output": (
        put(*FEED, "rewarded", value=rewarded("tite")),
        "control.feed.rewarded[0].output = 'tite': 'tite' is no output of cho_mab_control; did you",
    ),
    "reward of nothing": (
        put(*FEED, "rewarded", value=[{"output": "titre", "weight": 0, "scale": 1}]),
        "control.feed.rewarded[0]: weight must not be 0: it would count for nothing",
    ),
    "nothing wanted": (
        drop(*FEED, "maximise"),
        "control.feed: needs maximise, rewarded or both",
    ),
    "maximised output unknown": (
        put(*FEED, "maximise", "output", value="product_mas"),
        "control.feed.maximise.output = 'product_mas': 'product_mas' is no output of cho_mab_contr",
    ),
    "tracked output unknown": (
        put(*GAS, "tracked", "pCO3", value={"setpoint": 60, "scale": 10}),
        "control.gas.tracked.pCO3: 'pCO3' is no output of cho_mab_control; did you mean pCO2?",
    ),
    "yield without medium": (
        put(*FEED, "maximise", "per", value="feed"),
        (
            "control.feed.maximise: per: feed needs extra, the litres of feed that the medium is "
            "worth, above 0"
        ),
    ),
    "hours that do not count": (
        put(*FEED, "maximise", "extra", value=24),
        "control.feed.maximise: extra counts only with per: hour or per: feed",
    ),
    "first piece that is not the shortest": (
        put(*FEED, "first_piece_h", value=8),
        (
            "control.feed.first_piece_h = 8: must be below 8, the length of equal pieces: the "
            "others are to widen"
        ),
    ),
    "first piece within a cycle": (
        put(*FEED, "first_piece_h", value=0.1),
        "control.feed.first_piece_h = 0.1: must be at least a cycle, 0.166667 h",
    ),
    "harvest that is never early": (
        put(*FEED, "harvest", value={"earliest_h": 336}),
        (
            "control.feed.harvest.earliest_h = 336: must be before batch.harvest_h, 336, which is "
            "the latest"
        ),
    ),
    "harvest before planning": (
        all_of(
            put(*FEED, "from_h", value=48),
            put(*FEED, "harvest", value={"earliest_h": 40}),
        ),
        "control.feed.harvest.earliest_h = 40: must be after control.feed.from_h, 48",
    ),
    "bolus after the earliest harvest": (
        all_of(bolus(), put(*FEED, "harvest", value={"earliest_h": 144})),
        (
            "control.feed.boluses.amino_feed.at_h[1] = 144: must be done before "
            "control.feed.harvest.earliest_h, 144: it takes"
        ),
    ),
    "nothing that is decided": (
        put(*FEED, "inputs", value={}),
        "control.feed: needs inputs, boluses or both",
    ),
    "bolus of a gas": (
        bolus("air"),
        "control.feed.boluses.air: 'air' is no liquid flow of cho_mab_control; known: amino_feed",
    ),
    "bolus that nobody writes": (
        bolus("base"),
        "control.feed.boluses.base: has no limits in safety.inputs",
    ),
    "bolus without times": (
        bolus(at_h=None),
        "control.feed.boluses.amino_feed: needs either at_h, or every_h and from_h",
    ),
    "bolus with two kinds of times": (
        bolus(every_h=24, from_h=24),
        "control.feed.boluses.amino_feed: needs either at_h, or every_h and from_h",
    ),
    "bolus that begins nowhere": (
        bolus(at_h=None, every_h=24),
        "control.feed.boluses.amino_feed: every_h and from_h go together",
    ),
    "bolus out of order": (
        bolus(at_h=[96, 96]),
        "control.feed.boluses.amino_feed: at_h must have hours that rise",
    ),
    "bolus before inoculation": (
        bolus(at_h=[-1, 96]),
        "control.feed.boluses.amino_feed.at_h[0] = -1: must be at least 0",
    ),
    "bolus of less than nothing": (
        bolus(smallest_L=3),
        "control.feed.boluses.amino_feed: smallest_L, 3, must not be above largest_L, 1",
    ),
    "bolus before planning": (
        all_of(bolus(), put(*FEED, "from_h", value=100)),
        (
            "control.feed.boluses.amino_feed.at_h[0] = 96: must not be before "
            "control.feed.from_h, 100"
        ),
    ),
    "boluses before planning": (
        all_of(bolus(at_h=None, every_h=24, from_h=24), put(*FEED, "from_h", value=100)),
        "control.feed.boluses.amino_feed.from_h = 24: must not be before control.feed.from_h, 100",
    ),
    "bolus at harvest": (
        bolus(at_h=[96, 335.5]),
        (
            "control.feed.boluses.amino_feed.at_h[1] = 335.5: must be done before batch.harvest_h, "
            "336: it takes 1 h"
        ),
    ),
    "bolus upon bolus": (
        bolus(at_h=[96, 96.5]),
        (
            "control.feed.boluses.amino_feed.at_h[1] = 96.5: comes before the last one is done: it "
            "takes 1 h"
        ),
    ),
    "boluses upon boluses": (
        bolus(at_h=None, every_h=0.5, from_h=330),
        "control.feed.boluses.amino_feed.every_h = 0.5: must be at least over_s, 1 h",
    ),
    "more boluses than pieces": (
        bolus(at_h=None, every_h=1e-6, from_h=24),
        "control.feed.pieces = 42: must be above the number of times at which something may be",
    ),
    "boluses of two liquids on one grid": (
        all_of(
            put(*FEED, "pieces", value=4),
            put(*FEED, "inputs", value={}),
            put(
                *FEED,
                "boluses",
                value={"amino_feed": BOLUS, "glucose_feed": {**BOLUS, "at_h": [100, 144, 200]}},
            ),
        ),
        (
            "control.feed.pieces = 4: must be above the number of times at which something may be "
            "poured, 4: each begins a piece"
        ),
    ),
    "bolus within a cycle": (
        bolus(over_s=300),
        "control.feed.boluses.amino_feed.over_s = 300: must be one or more whole cycles of 600 s",
    ),
    "bolus over a part of a cycle": (
        bolus(over_s=900),
        "control.feed.boluses.amino_feed.over_s = 900: must be one or more whole cycles of 600 s",
    ),
    "bolus that the pump cannot begin with": (
        bolus(largest_L=1.1),
        (
            "control.feed.boluses.amino_feed.largest_L = 1.1: must not be above 1: the pump gives "
            "no more in over_s at 1 L/h, its rise_per_h in one cycle in safety.inputs"
        ),
    ),
    "bolus that the pump cannot deliver": (
        all_of(bolus(largest_L=6), put("safety", "inputs", "amino_feed", "rise_per_h", value=None)),
        (
            "control.feed.boluses.amino_feed.largest_L = 6: must not be above 5.6: the pump gives "
            "no more in over_s at 5.6 L/h, its upper in safety.inputs"
        ),
    ),
    "bolus beside a flow that needs the pump": (
        all_of(
            bolus(over_s=600, smallest_L=0, largest_L=0.15),
            put(*FEED, "inputs", "amino_feed", value={"lower": 0, "upper": 5}),
        ),
        (
            "control.feed.boluses.amino_feed.largest_L = 0.15: must not be above 0.1: the pump "
            "gives no more in over_s at 0.6 L/h, what the flow of up to 5 L/h in "
            "control.feed.inputs leaves"
        ),
    ),
    "bolus above the hourly dose": (
        all_of(
            bolus(smallest_L=0, over_s=1800, largest_L=0.5),
            put("safety", "inputs", "amino_feed", "max_hourly_dose_L", value=0.8),
        ),
        (
            "control.feed.boluses.amino_feed.largest_L = 0.5: counts as 0.8333 L in an hour, "
            "setpoints being valid for 1800 s, above max_hourly_dose_L in safety.inputs, 0.8"
        ),
    ),
    "poured and foreseen to be sparged": (
        all_of(bolus(), put(*GAS, "inputs", "amino_feed", value={"lower": 0, "upper": 1})),
        "control.gas.inputs.amino_feed: is already decided by control.feed",
    ),
    "foreseen and decided": (
        put(*FEED, "foreseen", value={"amino_feed": [0, 1]}),
        "control.feed.foreseen.amino_feed: is decided, so it cannot be foreseen",
    ),
    "foreseen backwards": (
        put(*FEED, "foreseen", value={"base": [2, 1]}),
        "control.feed.foreseen.base: the lower end, 2, must be below the upper end, 1",
    ),
    "foreseen as a text": (
        put(*FEED, "foreseen", value={"base": "2 L/h"}),
        "control.feed.foreseen.base = '2 L/h': must be a number, without a unit: the unit is fixed",
    ),
    "foreseen beyond the equations": (
        put(*FEED, "foreseen", value={"base": [0, 20]}),
        "control.feed.foreseen.base: must be within 0..10 L/h",
    ),
    "foreseen beyond the guard": (
        put(*FEED, "foreseen", value={"oxygen": [0, 840]}),
        "control.feed.foreseen.oxygen: must stay within safety.inputs.oxygen, 0.84..840",
    ),
    "a level of what is not held": (
        put(*FEED, "held_levels", value={"glucose": 5.0}),
        "control.feed.held_levels.glucose = 5.0: 'glucose' is no state of control.feed.held_states",
    ),
    "a level beyond the model": (
        put(*FEED, "held_levels", value={"carbon_dioxide": -1.0}),
        "control.feed.held_levels.carbon_dioxide = -1.0: must be within 0..20 mmol/L",
    ),
    "no directions": (
        put(*FEED, "scenarios", value={"directions": 0}),
        "control.feed.scenarios.directions = 0: must be at least 1",
    ),
    "more in common than there is": (
        put(*FEED, "scenarios", value={"common_pieces": 43}),
        "control.feed.scenarios.common_pieces = 43: must be at most control.feed.pieces, 42",
    ),
    "more hours in common than there are": (
        put(*FEED, "scenarios", value={"common_h": 400}),
        "control.feed.scenarios.common_h = 400: must be at most the hours to harvest, 336",
    ),
    "common in two ways": (
        put(*FEED, "scenarios", value={"common_h": 24, "common_pieces": 3}),
        "control.feed.scenarios: needs common_h or common_pieces, not both",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_gives_its_sentence_and_no_other(name: str, tmp_path: Path) -> None:
    change, sentence = CASES[name]
    faults = faults_of(tmp_path, change)
    assert any(sentence in fault for fault in faults), faults
    assert len(faults) <= 2, faults
