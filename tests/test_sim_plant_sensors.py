from typing import Any

import numpy as np
import pytest

from plant_models.cho_mab import FULL
from sim_plant.equipment_settings import ProbeSettings
from sim_plant.instrument_settings import LabSettings
from sim_plant.lab import Laboratory
from sim_plant.sensors import Probes
from sim_plant.settings import PlantSettings
from tests.sim_plant_support import advance, small_plant

CHO = PlantSettings()
PROBES = tuple(CHO.probes)
ASSAYS = tuple(CHO.assays)
INPUTS = np.array(FULL.nominal_inputs())


def outputs(**changed: float) -> np.ndarray[Any, Any]:
    values = dict.fromkeys(FULL.output_names, 10.0)
    return np.array([{**values, **changed}[name] for name in FULL.output_names])


def chosen(name: str, **changed: Any) -> ProbeSettings:
    """A probe of the CHO plant with some settings changed."""
    return CHO.probes[name].model_copy(update=changed)


def read_many(
    settings: dict[str, ProbeSettings], count: int, **changed: float
) -> np.ndarray[Any, Any]:
    probes = Probes(settings, FULL, (), np.random.default_rng(1))
    rows = []
    for tick in range(count):
        probes.read(10.0 * tick, tick / 360, outputs(**changed), INPUTS)
        rows.append(probes.values)
    return np.array(rows)


def test_noise_has_no_bias_and_the_declared_size() -> None:
    truth = {"dissolved_oxygen": 40.0, "pH": 7.0, "pCO2": 80.0, "weight": 1500.0}
    values = read_many(CHO.probes, 4000, **truth)
    expected = {"dissolved_oxygen": 0.5, "pH": 0.01, "pCO2": 1.6, "weight": 0.5}
    for name, deviation in expected.items():
        column = values[:, PROBES.index(name)]
        assert column.std() == pytest.approx(deviation, rel=0.05), name
        assert column.mean() == pytest.approx(truth[name], abs=4 * deviation / 60), name
    assert values[:, PROBES.index("pressure")].mean() == pytest.approx(1.1 * 1.01325, abs=1e-3)


def test_noise_is_white_and_independent_between_probes() -> None:
    values = read_many(CHO.probes, 4000)
    noise = values - values.mean(axis=0)
    correlation = np.corrcoef(noise.T)
    assert np.abs(correlation - np.eye(len(PROBES))).max() < 0.08
    assert abs(np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1]) < 0.08


def test_the_oxygen_probe_lags() -> None:
    silent = chosen("dissolved_oxygen", absolute=0.0)
    probes = Probes({"dissolved_oxygen": silent}, FULL, (), np.random.default_rng(1))
    probes.read(0.0, 0.0, outputs(dissolved_oxygen=40.0), INPUTS)
    for tick in range(1, 4):
        probes.read(10.0 * tick, tick / 360, outputs(dissolved_oxygen=50.0), INPUTS)
    expected = 50.0 - 10.0 * np.exp(-1.0)
    assert probes.values == pytest.approx([expected])


def test_any_probe_may_lag_and_show_another_unit() -> None:
    kelvin = chosen("temperature", unit="K", absolute=0.0, lag_s=10.0)
    probes = Probes({"temperature": kelvin}, FULL, (), np.random.default_rng(1))
    inputs = INPUTS.copy()
    shown = []
    for tick, degC in enumerate((36.0, 37.0)):
        inputs[FULL.input_names.index("temperature")] = degC
        probes.read(10.0 * tick, tick / 360, outputs(), inputs)
        shown.append(float(probes.values[0]))
    assert shown == pytest.approx([309.15, 310.15 - np.exp(-1.0)])


def test_results_come_back_hours_later_with_the_time_of_the_draw() -> None:
    plant = small_plant()
    start_s = plant.time_s
    released: dict[tuple[str, float], float] = {}
    for _ in range(6 * 36):
        advance(plant, 1 / 6)
        for name in plant.table:
            value = plant.tag(name) if name.startswith("Lab.") else None
            if value is not None and value.value is not None:
                released.setdefault((name, value.sampled_at_s - start_s), plant.time_s - start_s)
    draws = {drawn_s for _, drawn_s in released}
    assert draws == {600.0, 86400.0}
    for (name, drawn_s), seen_s in released.items():
        delay_h = (seen_s - drawn_s) / 3600
        nominal = {"Lab.Titre": 8.0, "Lab.ViableCells": 2.0, "Lab.Viability": 2.0}.get(name, 1.0)
        assert 0.7 * nominal <= delay_h <= 1.3 * nominal + 1 / 6, name


def test_before_the_first_result_there_is_no_value() -> None:
    value = small_plant().tag("Lab.Glucose")
    assert value.value is None
    assert value.quality == "BAD"


def test_assays_have_the_declared_noise_and_stay_physical() -> None:
    daily = LabSettings(first_h=1.0, every_h=1.0)
    lab = Laboratory(daily, CHO.assays, FULL, (), 0.0, np.random.default_rng(2))
    truth = outputs(glucose=20.0, viability=99.5, lactate=0.0)
    seen: dict[str, list[float]] = {assay: [] for assay in ASSAYS}
    drawn = dict.fromkeys(ASSAYS, 0.0)
    for hour in range(1, 2001):
        lab.work(3600.0 * hour, truth)
        for assay, result in lab.results.items():
            if result.drawn_at_s > drawn[assay]:
                drawn[assay] = result.drawn_at_s
                seen[assay].append(result.value)
    assert np.std(seen["glucose"]) == pytest.approx(0.1 + 0.03 * 20.0, rel=0.1)
    assert np.mean(seen["glucose"]) == pytest.approx(20.0, abs=0.1)
    assert max(seen["viability"]) <= 100.0
    assert min(seen["lactate"]) == 0.0
