"""Signals and estimation in a configuration: what they become, and each kind of fault."""

from pathlib import Path
from typing import Any

import pytest

from mpc_agent.build import tag_map
from mpc_agent.config import Settings
from mpc_agent.config.check_estimation import check_estimation, smallest_eigenvalue
from mpc_agent.config.schema_estimation import CorrelationSection, EstimationSection
from mpc_agent.estimation.settings import (
    AdaptedParameter,
    Bias,
    Correlation,
    HealthSettings,
    NeededOutput,
    ObservabilitySettings,
)
from plant_models.library import find_model
from tests.config_files import RIGHT, faults_of, write_config

RAMAN = {
    "output": "glucose",
    "noise": {"absolute": 1.0},
    "plausible": [-5, 150],
    "every_s": 900,
    "delay_s": 240,
    "bias": {"initial_deviation": 2.0, "drift_per_sqrt_h": 0.05},
}


def instrumented(data: dict[str, Any]) -> None:
    """Two probes of dissolved oxygen, Raman for glucose beside the lab, two lab methods."""
    online, measured = data["signals"]["online"], data["tags"]["measured"]
    probe = online.pop("dissolved_oxygen")
    tag = measured.pop("dissolved_oxygen")
    for name, lag_s in (("oxygen_probe_a", 0), ("oxygen_probe_b", 40.0)):
        online[name] = {"output": "dissolved_oxygen", "lag_s": lag_s, **probe}
        measured[name] = {**tag, "node": f"plant:s={name}.Value"}
    online["raman_glucose"] = dict(RAMAN)
    measured["raman_glucose"] = {
        "node": "plant:s=Raman.Glucose",
        "unit": "g/L",
        "molar_mass_g_per_mol": 180.16,
        "max_age_s": 1200,
    }
    data["signals"]["assays"]["glucose_hplc"] = {
        "output": "glucose",
        "noise": {"relative": 0.02},
        "plausible": [-1, 200],
        "bias": {"initial_deviation": 0.5},
    }
    data["tags"]["assays"]["glucose_hplc"] = {"node": "plant:s=Lab.Hplc", "unit": "mmol/L"}
    data["safety"]["critical_signals"] = ["oxygen_probe_a", "weight"]


def test_several_signals_may_show_one_output(tmp_path: Path) -> None:
    settings = Settings.load(write_config(tmp_path, instrumented), {})
    signals = {item.name: item for item in settings.estimation.signals}
    assays = {item.name: item for item in settings.estimation.assays}
    raman, probe = signals["raman_glucose"], signals["oxygen_probe_b"]
    assert (raman.shows, raman.every_s, raman.delay_s) == ("glucose", 900, 240)
    assert (raman.bias, raman.max_age_s) == (Bias(2.0, 0.05), 1200)
    assert (probe.shows, probe.lag_s, probe.bias) == ("dissolved_oxygen", 40.0, None)
    assert signals["oxygen_probe_a"].shows == "dissolved_oxygen"
    assert signals["pH"].shows == "pH"
    assert assays["glucose"].shows == assays["glucose_hplc"].shows == "glucose"
    assert assays["glucose_hplc"].bias == Bias(0.5)
    assert settings.document.signals.shown["oxygen_probe_a"] == "dissolved_oxygen"


def test_a_tag_has_the_unit_of_the_output_that_its_signal_shows(tmp_path: Path) -> None:
    tags = tag_map(Settings.load(write_config(tmp_path, instrumented), {}))
    units = {signal.name: signal.unit for signal in (*tags.measured, *tags.assays)}
    assert units["raman_glucose"] == units["glucose_hplc"] == "mmol/L"
    assert units["oxygen_probe_a"] == units["oxygen_probe_b"] == "percent"
    raman = next(signal for signal in tags.measured if signal.name == "raman_glucose")
    assert raman.conversion.to_model(1.8016) == pytest.approx(10.0)


def thorough(data: dict[str, Any]) -> None:
    data["estimation"] |= {
        "correlations": [
            {"between": ["mu_max", "k_d"], "value": -0.4},
            {"between": ["viable_cells", "glucose"], "value": 0.3},
        ],
        "evaporation_L_per_h": 0.2,
        "sample_volume_L": 0.05,
        "health": {"window": 100, "confidence": 0.99, "diverged_above": 3},
        "observability": {"window_h": 12},
        "needed": {"viable_cells": {"relative": 0.2}, "glucose": 5, "titre": {"deviation": 0.4}},
    }


def test_all_of_estimation_reaches_the_filter(tmp_path: Path) -> None:
    found = Settings.load(write_config(tmp_path, thorough), {}).estimation
    assert found.correlations == (
        Correlation("mu_max", "k_d", -0.4),
        Correlation("viable_cells", "glucose", 0.3),
    )
    assert (found.evaporation_L_per_h, found.sample_volume_L) == (0.2, 0.05)
    assert found.health == HealthSettings(100, 0.99, 3.0)
    assert found.observability == ObservabilitySettings(12.0)
    cells, glucose, titre = found.needed
    assert cells == NeededOutput("viable_cells", 0.2, relative=True)
    assert (cells.largest_deviation(10.0), cells.largest_deviation(-10.0)) == (2.0, 2.0)
    assert glucose == NeededOutput("glucose", 5.0)
    assert (glucose.largest_deviation(10.0), titre.largest_deviation(9.0)) == (5.0, 0.4)


def test_what_is_left_out_has_its_defaults() -> None:
    found = Settings.load(RIGHT, {}).estimation
    assert (found.correlations, found.needed) == ((), ())
    assert (found.evaporation_L_per_h, found.sample_volume_L) == (0.0, 0.0)
    assert found.health == HealthSettings()
    assert found.observability == ObservabilitySettings()
    for signal in (*found.signals, *found.assays):
        assert (signal.shows, signal.every_s, signal.bias) == (signal.name, None, None)
        assert (signal.delay_s, signal.lag_s) == (0.0, 0.0)
    assert all(item.logarithmic for item in found.adapted)


def test_a_parameter_that_may_be_negative_is_learnt_as_it_is(tmp_path: Path) -> None:
    model = find_model("cho_mab_control")
    name = next(name for name, item in model.parameters.items() if item.lower <= 0 < item.upper)
    known = model.parameters[name]

    def change(data: dict[str, Any]) -> None:
        data["estimation"]["adapted"][name] = {
            "deviation": 0.1,
            "drift_per_sqrt_h": 0.01,
            "lower": known.lower,
            "upper": known.upper,
        }

    found = Settings.load(write_config(tmp_path, change), {}).estimation.adapted[-1]
    assert found == AdaptedParameter(name, 0.1, 0.01, known.lower, known.upper)
    assert not found.logarithmic


def test_the_smallest_eigenvalue_is_that_of_the_whole_matrix() -> None:
    def one(first: str, second: str, value: float) -> CorrelationSection:
        return CorrelationSection(between=(first, second), value=value)

    assert smallest_eigenvalue([]) == 1.0
    assert smallest_eigenvalue([one("a", "b", 0.6)]) == pytest.approx(0.4)
    ring = [one("a", "b", 0.5), one("b", "c", 0.5), one("c", "a", -0.5)]
    assert smallest_eigenvalue(ring) == pytest.approx(0.0, abs=1e-12)
    # Two pairs that have nothing to do with each other: the worse one counts.
    assert smallest_eigenvalue([one("a", "b", 0.2), one("c", "d", -0.9)]) == pytest.approx(0.1)


def test_liquid_that_the_model_loses_itself_is_not_lost_twice() -> None:
    model = find_model("penicillin_pensim")
    assert model.volume_loss is not None
    uncertainty = {name: {"initial_deviation": 1.0} for name in model.states}
    data = {"uncertainty": uncertainty, "evaporation_L_per_h": 0.01}
    section = EstimationSection.model_validate(data)
    (finding,) = check_estimation(section, model, {})
    assert finding[0] == ("estimation", "evaporation_L_per_h")
    assert model.volume_loss in finding[1]


def online(name: str, **changes: Any) -> Any:
    """A change of one online signal, made new with its tag when there is none."""

    def change(data: Any) -> None:
        plain = {"noise": {"absolute": 1.0}, "plausible": [0, 100]}
        data["signals"]["online"].setdefault(name, plain).update(changes)
        tag = {"node": f"plant:s={name}", "unit": "percent"}
        data["tags"]["measured"].setdefault(name, tag)

    return change


def estimation(**changes: Any) -> Any:
    """A change of the section estimation."""
    return lambda data: data["estimation"].update(changes)


def adapted(name: str, **row: Any) -> Any:
    """A change of one learnt parameter."""
    return lambda data: data["estimation"]["adapted"].update({name: row})


def correlated(*rows: tuple[str, str, float]) -> Any:
    """A change of the correlations."""
    return estimation(
        correlations=[{"between": [first, second], "value": value} for first, second, value in rows]
    )


CASES: dict[str, tuple[Any, str]] = {
    "unknown output of a signal": (
        online("probe_b", output="disolved_oxygen"),
        (
            "signals.online.probe_b.output = 'disolved_oxygen': 'disolved_oxygen' is no output of "
            "cho_mab_control; did you mean dissolved_oxygen? (known: "
        ),
    ),
    "signal that bears the name of another output": (
        online("pCO2", output="dissolved_oxygen"),
        "signals.online.pCO2: is the name of an output, but shows dissolved_oxygen; name it",
    ),
    "one name for a signal and an assay": (
        lambda data: (
            online("analyser", output="dissolved_oxygen")(data),
            data["signals"]["assays"].update(
                analyser={"output": "viability", "noise": {"absolute": 1}, "plausible": [0, 9]}
            ),
            data["tags"]["assays"].update(analyser={"node": "plant:s=x", "unit": "percent"}),
        ),
        (
            "signals.assays.analyser: is an online signal, too, and both are told by their names: "
            "rename one, such as analyser_probe: {output: dissolved_oxygen}"
        ),
    ),
    "signal of another name without tag": (
        lambda data: data["signals"]["online"].update(raman=dict(RAMAN)),
        "signals.online.raman: 'raman' is no tag of tags.measured; known: ",
    ),
    "unit of another output": (
        online("raman", **RAMAN),
        "tags.measured.raman.unit = 'percent': unit 'percent' is a bare number, but ",
    ),
    "rate of nothing": (
        online("pH", every_s=0),
        "signals.online.pH.every_s = 0: must be above 0",
    ),
    "delay into the future": (
        online("pH", delay_s=-1),
        "signals.online.pH.delay_s = -1: must be at least 0",
    ),
    "delay beyond the filter": (
        online("pH", delay_s=172800),
        "signals.online.pH.delay_s = 172800: must be below estimation.max_rewind_h, 48 h",
    ),
    "negative lag": (
        online("pH", lag_s=-1),
        "signals.online.pH.lag_s = -1: must be at least 0",
    ),
    "frozen before it is renewed": (
        online("pH", every_s=900, frozen_after_s=900),
        "signals.online.pH: frozen_after_s, 900, must be longer than every_s, 900",
    ),
    "bias without size": (
        online("pH", bias={"drift_per_sqrt_h": 0.1}),
        "signals.online.pH.bias.initial_deviation: is missing: Standard deviation at inoculation",
    ),
    "bias that is known": (
        online("pH", bias={"initial_deviation": 0}),
        "signals.online.pH.bias.initial_deviation = 0: must be above 0",
    ),
    "delay of an assay": (
        lambda data: data["signals"]["assays"]["titre"].update(delay_s=60),
        "signals.assays.titre.delay_s = 60: is not a key here; ",
    ),
    "correlation out of range": (
        correlated(("mu_max", "k_d", 1.0)),
        "estimation.correlations[0].value = 1.0: must be at most 0.99",
    ),
    "correlation with itself": (
        correlated(("mu_max", "mu_max", 0.5)),
        "estimation.correlations[0]: between must name two different ones, not mu_max twice",
    ),
    "correlation of one": (
        estimation(correlations=[{"between": ["mu_max"], "value": 0.5}]),
        "estimation.correlations[0].between[1]: is missing",
    ),
    "unknown correlated": (
        correlated(("mu_max", "glucos", 0.5)),
        (
            "estimation.correlations[0].between[1] = 'glucos': 'glucos' is no state or learnt "
            "parameter; did you mean glucose? (known: "
        ),
    ),
    "locked correlated": (
        correlated(("K_glc", "mu_max", 0.5)),
        "'K_glc' is locked: only parameters of estimation.adapted can be correlated",
    ),
    "certain correlated": (
        lambda data: (
            data["estimation"]["uncertainty"]["volume"].update(initial_deviation=0),
            correlated(("volume", "mu_max", 0.5))(data),
        ),
        "'volume' has no uncertainty at inoculation: its initial_deviation is 0",
    ),
    "correlated twice": (
        correlated(("mu_max", "k_d", 0.5), ("glucose", "lactate", 0.1), ("k_d", "mu_max", 0.4)),
        "estimation.correlations[2]: gives k_d and mu_max again; item 0 has them already",
    ),
    "correlations that contradict each other": (
        correlated(("mu_max", "k_d", 0.9), ("k_d", "m_glc", 0.9), ("mu_max", "m_glc", -0.9)),
        (
            "estimation.correlations: contradict each other: the smallest eigenvalue of the "
            "correlation matrix is -0.8, and must be above 0; no single pair is to blame"
        ),
    ),
    "one correlation that contradicts all others": (
        correlated(
            ("mu_max", "k_d", 0.6),
            ("k_d", "m_glc", 0.6),
            ("mu_max", "m_glc", 0.6),
            ("mu_max", "Q_mAb", 0.6),
            ("k_d", "Q_mAb", 0.6),
            ("m_glc", "Q_mAb", -0.3),
        ),
        "without m_glc and Q_mAb (item 5) it would be ",
    ),
    "learnt below zero in its logarithm": (
        adapted("mu_max", relative_deviation=0.1, lower=0.0, upper=0.06),
        (
            "estimation.adapted.mu_max: needs deviation (and may have drift_per_sqrt_h) instead of "
            "relative_deviation: the approved values reach zero or below (lower is 0)"
        ),
    ),
    "learnt above zero in its unit": (
        adapted("mu_max", deviation=0.1, drift_per_sqrt_h=0.1, lower=0.02, upper=0.06),
        (
            "estimation.adapted.mu_max: needs relative_deviation (and may have "
            "relative_drift_per_sqrt_h) instead of deviation and drift_per_sqrt_h: all approved "
            "values are above zero (lower is 0.02)"
        ),
    ),
    "learnt in both forms": (
        adapted("mu_max", deviation=0.1, relative_deviation=0.1, lower=0.02, upper=0.06),
        "(and may have relative_drift_per_sqrt_h) instead of deviation: all approved",
    ),
    "learnt in no form": (
        adapted("mu_max", lower=0.02, upper=0.06),
        "estimation.adapted.mu_max: needs relative_deviation (and may have",
    ),
    "negative evaporation": (
        estimation(evaporation_L_per_h=-0.1),
        "estimation.evaporation_L_per_h = -0.1: must be at least 0",
    ),
    "sample that empties the vessel": (
        estimation(sample_volume_L=1400),
        "estimation.sample_volume_L = 1400: must be below the volume at inoculation, 1400 L",
    ),
    "window of one value": (
        estimation(health={"window": 1}),
        "estimation.health.window = 1: must be at least 2",
    ),
    "certain confidence": (
        estimation(health={"confidence": 1.0}),
        "estimation.health.confidence = 1.0: must be below 1",
    ),
    "confidence in percent": (
        estimation(health={"confidence": 95}),
        "estimation.health.confidence = 95: must be below 1",
    ),
    "diverged as expected": (
        estimation(health={"diverged_above": 1}),
        "estimation.health.diverged_above = 1: must be above 1",
    ),
    "no window of observability": (
        estimation(observability={"window_h": 0}),
        "estimation.observability.window_h = 0: must be above 0",
    ),
    "unknown output needed": (
        estimation(needed={"glucos": 1.0}),
        "estimation.needed.glucos = 1.0: 'glucos' is no output of cho_mab_control; did you mean",
    ),
    "needed without error": (
        estimation(needed={"glucose": 0}),
        "estimation.needed.glucose",
    ),
    "needed in words": (
        estimation(needed={"glucose": "well"}),
        "estimation.needed.glucose = 'well': must be a section with keys",
    ),
    "needed in both ways": (
        estimation(needed={"glucose": {"relative": 0.1, "deviation": 1.0}}),
        "estimation.needed.glucose: needs either deviation or relative, not both",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_gives_its_sentence_and_no_other(name: str, tmp_path: Path) -> None:
    change, sentence = CASES[name]
    faults = faults_of(tmp_path, change)
    assert any(sentence in fault for fault in faults), faults
    assert len(faults) == 1, faults


def test_signals_that_cannot_be_read_bring_no_faults_of_their_tags(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        instrumented(data)
        data["signals"]["online"]["raman_glucose"]["every_s"] = "often"

    faults = faults_of(tmp_path, change)
    assert len(faults) == 1, faults
    assert faults[0].startswith("signals.online.raman_glucose.every_s = 'often': must be a number")
