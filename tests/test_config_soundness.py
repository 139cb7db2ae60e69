"""Problems that are written without a fault and cannot come to anything, told with their keys."""

from pathlib import Path
from typing import Any

import pytest

from mpc_agent.commands.checking import check_config
from mpc_agent.config import ConfigError, Settings
from tests.config_files import Change, all_of, drop, faults_of, put, write_config

FEED = ("control", "feed")
NITROGEN = {"lower": 0, "upper": 336}
AIRLESS = {"output": "dissolved_oxygen", "lower": 30, "scale": 10, "weight": 1}
EMPTY = put("model", "initial", value={"viable_cells": 0, "dead_cells": 0})


HOPELESS: dict[str, tuple[Change, str]] = {
    "an input that changes nothing": (
        all_of(
            drop("control", "gas", "inputs", "nitrogen"),
            put(*FEED, "inputs", "nitrogen", value=NITROGEN),
        ),
        (
            "control.feed.inputs.nitrogen: changes nothing that this problem asks about "
            "(product_mass, glucose, osmolality, volume): it acts on oxygen, carbon_dioxide alone, "
            "held here; leave it out"
        ),
    ),
    "an input foreseen as needed that changes nothing": (
        put(*FEED, "foreseen", value={"power_per_volume": [10, 50]}),
        (
            "control.feed.foreseen.power_per_volume: changes nothing that this problem asks about "
            "(product_mass, glucose, osmolality, volume): it acts on oxygen, carbon_dioxide alone, "
            "held here; leave it out"
        ),
    ),
    "an aim that nothing changes": (
        put(*FEED, "maximise", "output", value="dissolved_oxygen"),
        (
            "control.feed.maximise.output = 'dissolved_oxygen': cannot be changed by what is "
            "decided (glucose_feed, amino_feed): it depends on oxygen, held here"
        ),
    ),
    "a setpoint that nothing reaches": (
        put("control", "gas", "tracked", "glucose", value={"setpoint": 20, "scale": 5}),
        (
            "control.gas.tracked.glucose: cannot be changed by what is decided (air, oxygen, "
            "carbon_dioxide, nitrogen): it depends on glucose, held here"
        ),
    ),
    "a scale far from what it is for": (
        put(*FEED, "maximise", "scale", value=1e-6),
        (
            "control.feed.maximise.scale = 1e-06: has the scale 1e-06 g, but is about 3e+03 in "
            "size: the scale is far too small"
        ),
    ),
    "a limit beyond all that can be": (
        put(*FEED, "limits", 0, value={"output": "glucose", "lower": 250, "scale": 1, "weight": 1}),
        (
            "control.feed.limits[0].lower = 250: must stay above 250, but the model has it within "
            "0..200 mmol/L: no plan can keep that"
        ),
    ),
    "no number where it begins": (
        all_of(
            EMPTY,
            put(*FEED, "rewarded", value=[{"output": "viability", "weight": 1, "scale": 100}]),
        ),
        "model: output viability is nan where the batch begins, at nominal inputs",
    ),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_can_come_to_nothing_is_a_fault(name: str, tmp_path: Path) -> None:
    change, sentence = HOPELESS[name]
    assert faults_of(tmp_path, change) == [sentence]


ODD: dict[str, tuple[Change, str]] = {
    "a limit that nothing changes": (
        put(*FEED, "limits", 0, value=AIRLESS),
        (
            "control.feed.limits[0].output = 'dissolved_oxygen': cannot be changed by what is "
            "decided (glucose_feed, amino_feed): it depends on oxygen, held here"
        ),
    ),
    "a weight that is lost": (
        put(*FEED, "inputs", "glucose_feed", "move_weight", value=1e-10),
        (
            "control.feed.inputs.glucose_feed.move_weight = 1e-10: counts 1e-10 for one of its "
            "scale, but maximised output product_mass 1: of two terms more than 1e+08 apart the "
            "smaller one is lost"
        ),
    ),
    "hours that are the same for every plan": (
        put(*FEED, "maximise", "per", value="hour"),
        (
            "control.feed.maximise.per = 'hour': is divided by hours that are the same for every "
            "plan: the harvest is not free"
        ),
    ),
    "no number that nobody asks for": (
        EMPTY,
        "model: output viability is nan where the batch begins, at nominal inputs",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_only_odd_is_a_note_of_the_check(name: str, tmp_path: Path) -> None:
    change, sentence = ODD[name]
    result = check_config(write_config(tmp_path, all_of(drop("simulation"), change)))
    assert result.faults == ()
    (note,) = result.notes
    assert note.partition(": ")[2] == sentence
    assert note.partition(":")[0] == str(tmp_path / "config.yaml")
    assert f"note: {note}" in result.text()


def test_the_right_configuration_has_no_note(tmp_path: Path) -> None:
    assert Settings.load(write_config(tmp_path), {}).notes == ()


MODEL = """from dataclasses import replace
from plant_models.library import find_model

LIBRARY = find_model("cho_mab_control")


def rhs(x, u, p, xp):
    return LIBRARY.rhs(x, u, p, xp)._replace(product={product})


OURS = replace(LIBRARY, name="ours", rhs=rhs)
"""


@pytest.mark.parametrize(
    ("product", "sentence"),
    [
        ("xp.log(x.product)", "model: the derivative of state product is -inf where the batch"),
        ("1.0 if x.product > 0 else 0.0", "model: model ours has equations that cannot be built: "),
    ],
)
def test_a_sites_own_model_is_told_where_to_be_examined(
    product: str, sentence: str, tmp_path: Path
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["model"] = {"file": "ours.py"}

    (tmp_path / "ours.py").write_text(MODEL.format(product=product))
    with pytest.raises(ConfigError) as caught:
        Settings.load(write_config(tmp_path, change), {})
    (fault,) = caught.value.faults
    assert sentence in str(fault)
    assert fault.text.endswith("; `mpc-agent check ours.py` examines the model")
