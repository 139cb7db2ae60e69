"""Each kind of fault in a configuration gives its own sentence, and all are listed at once."""

from pathlib import Path
from typing import Any

import pytest

from mpc_agent.config import ConfigError, Settings
from plant_models.library import find_model
from tests.config_files import RIGHT, drop, faults_of, put, write_config

POWER = {"lower": 10, "upper": 50, "safe": 30}
FEED_LIMITS = ("control", "feed", "limits")
CASES: dict[str, tuple[Any, str]] = {
    "unknown key": (
        put("cycle", "perod_s", value=600),
        (
            "cycle.perod_s = 600: is not a key here; did you mean period_s? "
            "(known: deadline_s, period_s, target_mode)"
        ),
    ),
    "unknown section": (
        put("cicle", value={}),
        (
            "cicle: is not a key here; did you mean cycle? (known: batch, clock, control, cycle, "
            "driver, estimation, model, recipe, safety, signals, simulation, tags, web)"
        ),
    ),
    "missing key": (
        drop("batch", "harvest_h"),
        "batch.harvest_h: is missing: Planned harvest, in hours since inoculation.",
    ),
    "missing section": (drop("recipe"), "recipe: is missing: The approved feed profile."),
    "text for a number": (
        put("cycle", "period_s", value="10 min"),
        "cycle.period_s = '10 min': must be a number, without a unit: the unit is fixed by the key",
    ),
    "number for text": (
        put("batch", "id", value=17),
        "batch.id = 17: must be text; put it in quotes",
    ),
    "text for a flag": (
        put("web", "enabled", value="yes"),
        "web.enabled = 'yes': must be true or false",
    ),
    "fraction for a whole number": (
        put("control", "feed", "pieces", value=4.5),
        "control.feed.pieces = 4.5: must be a whole number",
    ),
    "infinite": (
        put("cycle", "period_s", value=float("inf")),
        "cycle.period_s = inf: must be a finite number",
    ),
    "not a number": (
        put("signals", "online", "pH", "noise", "absolute", value=float("nan")),
        "signals.online.pH.noise.absolute = nan: must be a finite number",
    ),
    "value for a section": (put("web", value=3), "web = 3: must be a section with keys"),
    "value for a list": (
        put("control", "gas", "held_states", value=3),
        "control.gas.held_states = 3: must be a list, such as [1, 2]",
    ),
    "port out of range": (
        put("web", "port", value=70000),
        "web.port = 70000: must be at most 65535",
    ),
    "harvest before the start": (
        put("batch", "harvest_h", value=-1),
        "batch.harvest_h = -1: must be above 0",
    ),
    "time without offset": (
        put("batch", "inoculated_at", value="2026-01-05T08:00:00"),
        (
            "batch.inoculated_at = '2026-01-05T08:00:00': must say its offset from UTC, such as "
            "2026-01-05T08:00:00Z"
        ),
    ),
    "no time": (
        put("batch", "inoculated_at", value="monday"),
        "batch.inoculated_at = 'monday': must be a time such as 2026-01-05T08:00:00Z",
    ),
    "bad name of the batch": (
        put("batch", "id", value="a/b"),
        (
            "batch.id = 'a/b': is not allowed. Name of the batch: letters, digits, dots, dashes, "
            "underscores."
        ),
    ),
    "unknown mode": (
        put("cycle", "target_mode", value="CONTROLL"),
        (
            "cycle.target_mode = 'CONTROLL': is not known; did you mean CONTROL? "
            "(known: ADVISE, CONTROL, OFF, SHADOW)"
        ),
    ),
    "unknown driver": (
        put("driver", "kind", value="opc-ua"),
        "driver.kind = 'opc-ua': is not known; did you mean opcua? (known: opcua, simulated)",
    ),
    "driver without kind": (drop("driver", "kind"), "driver.kind: is missing"),
    "bad node": (
        put("tags", "measured", "pH", "node", value="pH.Value"),
        "tags.measured.pH.node = 'pH.Value': 'pH.Value' names no node: write",
    ),
    "undeclared namespace": (
        put("tags", "measured", "pH", "node", value="other:s=pH"),
        "tags.measured.pH: alias 'other' of 'other:s=pH' is not in driver.namespaces (plant)",
    ),
    "empty interval": (
        put("signals", "online", "pH", "plausible", value=[8, 6]),
        "signals.online.pH.plausible: the lower end, 8, must be below the upper end, 6",
    ),
    "no noise": (
        put("signals", "online", "pH", "noise", value={}),
        "signals.online.pH.noise: must be above zero in at least one of absolute and relative",
    ),
    "unknown model": (
        put("model", "name", value="cho_mab_contrl"),
        (
            "model.name = 'cho_mab_contrl': 'cho_mab_contrl' is no model; did you mean "
            "cho_mab_control? (known: "
        ),
    ),
    "unknown parameter": (
        put("model", "parameters", value={"mu_maxx": 1.0}),
        (
            "model.parameters.mu_maxx = 1.0: 'mu_maxx' is no parameter of cho_mab_control; did you "
            "mean mu_max? (known: "
        ),
    ),
    "parameter out of range": (
        put("model", "parameters", value={"mu_max": 39.0}),
        "model.parameters.mu_max = 39.0: must be within 0.0078..0.195 1/h",
    ),
    "unknown state": (
        put("model", "initial", value={"glucos": 1.0}),
        (
            "model.initial.glucos = 1.0: 'glucos' is no state of cho_mab_control; did you mean "
            "glucose? (known: "
        ),
    ),
    "state out of range": (
        put("model", "initial", value={"glucose": 1e6}),
        "model.initial.glucose = 1000000.0: must be within 0..200 mmol/L",
    ),
    "unknown signal": (
        put("signals", "online", "phh", value={"noise": {"absolute": 1}, "plausible": [0, 1]}),
        "signals.online.phh: 'phh' is no output of cho_mab_control; did you mean pH? (known: ",
    ),
    "signal without tag": (
        drop("tags", "measured", "pH"),
        "signals.online.pH: 'pH' is no tag of tags.measured; known: ",
    ),
    "unknown tag": (
        put("tags", "measured", "ph2", value={"node": "plant:s=a", "unit": "1"}),
        (
            "tags.measured.ph2: 'ph2' is no signal of signals.online or output of "
            "cho_mab_control; did you mean pH?"
        ),
    ),
    "unknown unit": (
        put("tags", "measured", "weight", "unit", value="kilo"),
        "tags.measured.weight.unit = 'kilo': unit 'kilo' ",
    ),
    "wrong unit": (
        put("tags", "measured", "weight", "unit", value="L"),
        (
            "tags.measured.weight.unit = 'L': unit 'L' is [length] ** 3, but [mass] is expected "
            "(such as 'kg')"
        ),
    ),
    "temperature for a weight": (
        put("tags", "measured", "weight", "unit", value="degC"),
        "unit 'degC' is [temperature], but [mass] is expected (such as 'kg')",
    ),
    "temperature with a molar mass": (
        put("tags", "assays", "glucose", "unit", value="degC"),
        "unit 'degC' is [temperature], but [substance] / [length] ** 3 is expected",
    ),
    "gas that is none": (
        lambda data: (
            put("safety", "inputs", "power_per_volume", value=POWER)(data),
            data["safety"]["sparge_gives_way"].append("power_per_volume"),
        ),
        (
            "safety.sparge_gives_way[4] = 'power_per_volume': cannot be added up to "
            "max_sparge_L_per_h: cho_mab_control has it in W/m^3"
        ),
    ),
    "written, but no gas": (
        put("safety", "inputs", "power_per_volume", value=POWER),
        "safety.inputs.power_per_volume: 'power_per_volume' is no setpoint of tags.inputs",
    ),
    "mass for an amount": (
        put("tags", "assays", "glucose", "unit", value="g/L"),
        "give molar_mass_g_per_mol to convert between mass and amount of substance",
    ),
    "node written twice": (
        put("tags", "inputs", "air", "setpoint", "node", value="plant:s=Oxygen.Setpoint"),
        "tags.inputs: air, oxygen are all written to plant:s=Oxygen.Setpoint",
    ),
    "dose of what is no liquid": (
        put(
            "tags",
            "doses",
            value={"soda": {"node": "plant:s=Booked.Soda", "unit": "L", "what": "soda"}},
        ),
        (
            "tags.doses.soda.what = 'soda': 'soda' is no liquid; "
            "give one of glucose_feed, amino_feed, base, water, withdrawn"
        ),
    ),
    "dose by weight": (
        put(
            "tags",
            "doses",
            value={"bolus": {"node": "plant:s=Bolus", "unit": "kg", "what": "glucose_feed"}},
        ),
        "tags.doses.bolus.unit = 'kg': unit 'kg' is [mass], but [length] ** 3 is expected",
    ),
    "balance without limits": (
        put("safety", "balance", value={"absolute_kg": 0}),
        "safety.balance.absolute_kg = 0: must be",
    ),
    "forgotten state": (
        drop("estimation", "uncertainty", "glucose"),
        "estimation.uncertainty: says nothing about glucose",
    ),
    "learnt out of bounds": (
        put("estimation", "adapted", "mu_max", "upper", value=3.9),
        "estimation.adapted.mu_max: must stay within the model's bounds, 0.0078..0.195 1/h",
    ),
    "learnt without its value": (
        put("estimation", "adapted", "mu_max", "lower", value=0.04),
        "estimation.adapted.mu_max: must include the model's value, 0.039 1/h",
    ),
    "learnt backwards": (
        put("estimation", "adapted", "mu_max", "lower", value=0.1),
        "estimation.adapted.mu_max: lower, 0.1, must be below upper, 0.06",
    ),
    "nothing left to decide": (
        put("control", "feed", "held_states", value=list(find_model("cho_mab_control").states)),
        "control.feed.held_states: holds every state of the model: nothing can be decided",
    ),
    "unknown output of a limit": (
        put(*FEED_LIMITS, 0, "output", value="glucos"),
        (
            "control.feed.limits[0].output = 'glucos': 'glucos' is no output of cho_mab_control; "
            "did you mean glucose? (known: "
        ),
    ),
    "impossible limit": (
        put(*FEED_LIMITS, 0, "lower", value=60),
        "control.feed.limits[0]: lower, 60, must be below upper, 50",
    ),
    "limits that contradict each other": (
        put(*FEED_LIMITS, 1, value={"output": "glucose", "lower": 60, "scale": 1, "hard": True}),
        "control.feed.limits[1].lower = 60: must be below the lowest upper limit of glucose, 50",
    ),
    "limit without ends": (
        put(*FEED_LIMITS, 0, value={"output": "glucose", "scale": 1, "hard": True}),
        "control.feed.limits[0]: needs lower, upper or both",
    ),
    "limit neither hard nor soft": (
        drop(*FEED_LIMITS, 0, "weight"),
        "control.feed.limits[0]: needs either hard: true or a weight, not both",
    ),
    "volume below inoculation": (
        put(*FEED_LIMITS, 2, "upper", value=1300),
        "control.feed.limits[2].upper = 1300: must be above the volume at inoculation, 1400 L",
    ),
    "bounds of a feed": (
        put("control", "feed", "inputs", "glucose_feed", "lower", value=6),
        "control.feed.inputs.glucose_feed: lower, 6, must be below upper, 5.6",
    ),
    "unknown input": (
        put("control", "feed", "inputs", "glucosefeed", value={"lower": 0, "upper": 1}),
        (
            "control.feed.inputs.glucosefeed: 'glucosefeed' is no input of cho_mab_control; did "
            "you mean glucose_feed? (known: "
        ),
    ),
    "input that cannot be written": (
        put("control", "gas", "inputs", "pressure", value={"lower": 1, "upper": 2}),
        "control.gas.inputs.pressure: has no limits in safety.inputs",
    ),
    "decided twice": (
        put("control", "gas", "inputs", "glucose_feed", value={"lower": 0, "upper": 2}),
        "control.gas.inputs.glucose_feed: is already decided by control.feed",
    ),
    "decided beyond the guard": (
        put("control", "feed", "inputs", "glucose_feed", "upper", value=8),
        "control.feed.inputs.glucose_feed: must stay within safety.inputs.glucose_feed, 0..5.6",
    ),
    "schedule that starts late": (
        put("control", "gas", "tracked", "pCO2", "setpoint", value=[[1, 60]]),
        "control.gas.tracked.pCO2.setpoint: must begin at hour 0, such as [[0, 60], [72, 50]]",
    ),
    "schedule out of order": (
        put("control", "gas", "tracked", "pCO2", "setpoint", value=[[0, 60], [0, 50]]),
        "control.gas.tracked.pCO2.setpoint: must have hours that rise from row to row",
    ),
    "solves between cycles": (
        put("control", "feed", "interval_s", value=60),
        "control.feed.interval_s = 60: must be at least cycle.period_s, 600",
    ),
    "short horizon": (
        put("control", "gas", "piece_s", value=60),
        "control.gas.pieces = 6: the horizon, 360 s, must reach over one cycle, 600 s",
    ),
    "deadline after the next cycle": (
        lambda data: (
            put("clock", "kind", value="wall")(data),
            put("cycle", "deadline_s", value=600)(data),
        ),
        "cycle.deadline_s = 600: must be below period_s, 600",
    ),
    "control without heartbeat": (
        drop("tags", "handshake", "heartbeat"),
        "tags.handshake: needs heartbeat for cycle.target_mode CONTROL",
    ),
    "plant clock without tag": (
        drop("tags", "handshake", "clock"),
        "tags.handshake: needs clock for clock.kind plant",
    ),
    "vessel too small": (
        put("safety", "max_volume_L", value=1000),
        "safety.max_volume_L = 1000: must be above the volume at inoculation, 1400 L",
    ),
    "validity shorter than a cycle": (
        put("safety", "validity_s", value=300),
        "safety.validity_s = 300: must be longer than a cycle, 600 s",
    ),
    "feed that cannot stop": (
        lambda data: data["safety"]["inputs"]["glucose_feed"].update(lower=1, safe=1),
        "safety.inputs.glucose_feed.lower = 1: must be 0 for a feed: it must be able to stop",
    ),
    "safe value out of range": (
        put("safety", "inputs", "air", "safe", value=1000),
        "safety.inputs.air: safe, 1000, must be within 84..336",
    ),
    "dose of a gas": (
        put("safety", "inputs", "air", "max_dose_L", value=1000),
        "safety.inputs.air: has a dose limit, but adds no volume",
    ),
    "sparge total": (
        put("safety", "max_sparge_L_per_h", value=100),
        "safety.max_sparge_L_per_h = 100: is below the sum of the gases' safe values, 420 L/h",
    ),
    "gas that never gives way": (
        put("safety", "sparge_gives_way", value=["nitrogen", "air", "oxygen"]),
        "safety.sparge_gives_way: must name every written gas: carbon_dioxide",
    ),
    "unknown critical signal": (
        put("safety", "critical_signals", value=["Weight"]),
        (
            "safety.critical_signals[0] = 'Weight': 'Weight' is no signal of signals.online; did "
            "you mean weight?"
        ),
    ),
    "plans that are old at once": (
        put("safety", "fallbacks", "feed", "fresh_s", value=60),
        "safety.fallbacks.feed.fresh_s = 60: must be at least the time between two solves, 7200 s",
    ),
    "held shorter than fresh": (
        put("safety", "fallbacks", "gas", "hold_s", value=60),
        "safety.fallbacks.gas: hold_s, 60, must be at least fresh_s, 900",
    ),
    "recipe that is not there": (
        put("recipe", "file", value="nowhere.csv"),
        "recipe.file = 'nowhere.csv': cannot be read: No such file or directory",
    ),
    "recipe that ends early": (
        put("batch", "harvest_h", value=400),
        "recipe.file = 'cho_recipe.csv': ends at 336 h, before the harvest at 400 h",
    ),
    "recipe above the guard": (
        lambda data: [
            part["glucose_feed"].update(upper=2.0)
            for part in (data["safety"]["inputs"], data["control"]["feed"]["inputs"])
        ],
        (
            "recipe.file = 'cho_recipe.csv': asks for 2.767 L/h of glucose_feed, above "
            "safety.inputs.glucose_feed.upper"
        ),
    ),
    "recipe that overfills": (
        put("safety", "max_volume_L", value=1900),
        "recipe.file = 'cho_recipe.csv': fills the vessel to 1982 L, above safety.max_volume_L",
    ),
    "judged by an impossible limit": (
        put("simulation", "limits", 0, "lower", value=70),
        "simulation.limits[0]: lower, 70, must be below upper, 60",
    ),
    "unprotected connection": (
        put("driver", "endpoint", value="opc.tcp://plant.example:4840"),
        "set security.policy, certificates and user",
    ),
    "no endpoint": (
        put("driver", "endpoint", value="http://127.0.0.1"),
        "driver.endpoint = 'http://127.0.0.1': 'http://127.0.0.1' is no endpoint",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_gives_its_sentence_and_no_other(name: str, tmp_path: Path) -> None:
    change, sentence = CASES[name]
    faults = faults_of(tmp_path, change)
    assert any(sentence in fault for fault in faults), faults
    assert len(faults) <= 2, faults


def test_what_is_right_has_no_fault(tmp_path: Path) -> None:
    assert faults_of(tmp_path) == []


def test_all_faults_are_listed_at_once_with_their_lines(tmp_path: Path) -> None:
    text = RIGHT.read_text()
    for right, wrong in (
        ("  period_s: 600\n", "  perod_s: 600\n"),
        ("lower: 4, upper: 50, scale: 10", "lower: 50, upper: 4, scale: 10"),
        ("name: cho_mab_control", "name: cho_mab"),
        ("file: cho_recipe.csv", "file: missing.csv"),
    ):
        assert right in text
        text = text.replace(right, wrong)
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, {"MPC_AGENT__WEB__PORT": "-1"})
    found = {str(fault).partition(" ")[0].rstrip(":") for fault in caught.value.faults}
    lines = {line: i for i, line in enumerate(text.splitlines(), 1)}
    limit = next(i for line, i in lines.items() if "lower: 50" in line)
    assert found == {
        f"{file}:{lines['  perod_s: 600']}",
        f"{file}:{limit}",
        f"{file}:{lines['  name: cho_mab']}",
        f"{file}:{lines['  file: missing.csv']}",
        "environment",
    }
    assert str(caught.value).startswith("the configuration has 5 faults:\n  ")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1\n", "is not valid YAML"),
        (b"a: 1\n\tb: 2\n", "is not valid YAML"),
        (b"a: 1\na: 2\n", "a: is given twice; the first one is in line 1"),
        (b"- 1\n", "must be sections with keys"),
        (b"x: !!python/object:os.system {}\n", "is not"),
        (b"x: !secret a\n", "has the tag '!secret', which is not used here"),
        (b"? [1, 2]\n: 3\n", "has a key that is not a plain name"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"x: &a [*a]\n", "is nested too deeply or unfolds into too many values"),
        (b"x: " + b"[" * 2000, "is not valid YAML"),
        (b"", "batch: is missing"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, {})
    assert sentence in str(caught.value)
    assert str(file) in str(caught.value)


def test_documents_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    file = tmp_path / "x.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="too many values"):
        Settings.load(file, {})


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=reason):
            Settings.load(path, {})


def test_a_recipe_in_another_unit_is_refused(tmp_path: Path) -> None:
    file = write_config(tmp_path)
    recipe = tmp_path / "cho_recipe.csv"
    recipe.write_text(recipe.read_text().replace("amino_feed_L_per_h", "amino_feed_mL_per_h"))
    told = "gives amino_feed in mL/h, but its unit in the model is L/h"
    with pytest.raises(ConfigError, match=told):
        Settings.load(file, {})


def test_a_recipe_with_faults_gives_every_line(tmp_path: Path) -> None:
    file = write_config(tmp_path)
    (tmp_path / "cho_recipe.csv").write_text(
        "time_h,glucose_feed_L_per_h\n0,abc\n10,-1\n5,0\n336,0\n"
    )
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, {})
    message = str(caught.value)
    assert "line 2: glucose_feed_L_per_h is not a number: 'abc'" in message
    assert "line 3: glucose_feed_L_per_h is negative: '-1'" in message
    assert "line 4: time_h 5 does not come after 10" in message
