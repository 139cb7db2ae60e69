"""A recorded batch through the estimator once more: the same bits, or what differs and how far."""

import csv
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mpc_agent.cli import main
from mpc_agent.config import Settings
from mpc_agent.config.parameter_set import nominal_parameter_set
from mpc_agent.drivers.simulated import SimulatedDriver
from mpc_agent.errors import ExitCode, NoInputError
from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.journal import Journal
from mpc_agent.memory import SHARED
from mpc_agent.replay.comparing import (
    LAB,
    Course,
    Key,
    Names,
    differences,
    innovations,
    together,
)
from mpc_agent.replay.setup import recorded_setup
from mpc_agent.values import Estimate, Readings, Sample, SampleResult, Verdict
from tests.config_files import CONFIGS, DEMO
from tests.examples_batch import RECORD, Bench, demo_plant, run_batch


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of six hours of the demo, 37 cycles; the agent was restarted after ten."""
    folder = tmp_path_factory.mktemp("replay")
    plant = demo_plant()
    run_batch(folder, plant, cycles=10)
    run_batch(folder, plant)
    return folder


def ends(*arguments: str | Path) -> int:
    """Exit code of `replay`."""
    with pytest.raises(SystemExit) as caught:
        main(["replay", *(str(argument) for argument in arguments)])
    return int(caught.value.code or 0)


def other_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The demo's configuration, changed, with the files that it names."""
    for name in ("cho_recipe.csv", "cho_plant.yaml"):
        shutil.copy(CONFIGS / name, folder)
    data = yaml.safe_load(DEMO.read_text())
    change(data)
    file = folder / "other.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def less_certain(data: dict[str, Any]) -> None:
    """Another noise, and a parameter less."""
    data["signals"]["online"]["capacitance"]["noise"]["relative"] = 0.1
    del data["estimation"]["adapted"]["RQ"]


# ------------------------------------------------------------------ the recorded configuration


def test_the_recorded_configuration_gives_the_same_bits(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(run) == ExitCode.OK
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == "identical: 37 estimates"
    assert "with     the recorded configuration" in shown.out
    assert shown.err == ""


def test_the_same_for_programs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(run / RECORD, "--json") == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told["identical"] is True
    assert (told["cycles"], told["different"], told["first_difference"]) == (37, 0, None)
    assert told["recorded"] == told["replayed"]
    assert all(item["largest"] == 0 for item in told["differences"])


def test_breaks_of_the_record_and_of_the_clock_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the third cycle; before the fifth the clock is set back half an hour."""
    read, late_s = SimulatedDriver.read, [0.0]

    async def read_with_clock(driver: SimulatedDriver) -> Readings:
        readings = await read(driver)
        return replace(readings, read_at_s=readings.read_at_s - late_s[0])

    monkeypatch.setattr(SimulatedDriver, "read", read_with_clock)
    bench = Bench(tmp_path)
    for number in range(6):
        if number == 2:
            bench.fill_disk()
        late_s[0] = 1800.0 if number >= 4 else 0.0
        bench.cycle()
        bench.empty_disk()
    bench.close()
    table = tmp_path / "replay.csv"
    assert ends(tmp_path, "--csv", table) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "note     cycles 2 to 2 are not in the record" in shown
    assert "note     at cycle 4 the clock was set back by 1200 s" in shown
    assert "identical: 5 estimates" in shown
    values = np.genfromtxt(table, delimiter=",", skip_header=1)
    assert values.shape[0] == 5
    assert np.isfinite(values).all()


# ------------------------------------------------------------------ another configuration


def test_another_configuration_is_held_against_the_record(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = other_config(tmp_path, less_certain)
    table, page = tmp_path / "new" / "replay.csv", tmp_path / "new" / "replay.html"
    assert ends(run, "--config", config, "--csv", table, "--html", page) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "different: 37 of 37 estimates; first in cycle 0 (0.00 h), where " in shown
    assert re.search(r"RQ at the end +0\.\d+ ± 0\.\d+ +0\.97, locked\n", shown)
    assert re.search(r"\nstate viable_cells +0\.\d+ +\d\.\d+ +\d+\n", shown)
    assert re.search(r"\ncapacitance +37 +0\.\d+ → 0\.\d+ +\d\.\d+\.\.\d\.\d+ ", shown)
    assert_table(table)
    drawn = page.read_text()
    assert all(f'"name":"{name}"' in drawn for name in ("replayed", "smoothed", "recorded"))
    assert '"name":"sample"' in drawn
    assert "37 estimates differ" in drawn


def assert_table(path: Path) -> None:
    """One row per cycle, smoothed deviations never above those of the filter."""
    with path.open(encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    values = dict(zip(head, np.array(rows, dtype=float).T, strict=True))
    assert len(rows) == 37
    assert values["hours"] == pytest.approx(np.arange(37) / 6)
    assert {"state.glucose", "parameter.mu_max", "output.pH.smoothed_deviation"} <= set(head)
    assert "parameter.RQ" not in head
    assert all(np.isfinite(column).all() for column in values.values())
    for name in head:
        if name.startswith("state.") and name.endswith(".smoothed_deviation"):
            live = values[name.removesuffix(".smoothed_deviation") + ".deviation"]
            # The equations are linearised where the smoother is, which is not quite the same.
            assert np.all(values[name] <= live * 1.01)
            assert values[name][-1] == pytest.approx(live[-1])


def test_another_configuration_for_programs(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(run, "--config", other_config(tmp_path, less_certain), "--json") == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    sides = told["recorded"], told["replayed"]
    means = [side["channels"]["capacitance"]["mean"] for side in sides]
    assert means[1] < means[0]
    assert [side["channels"]["capacitance"]["count"] for side in sides] == [37, 37]
    assert sides[0]["lab"]["count"] == sides[1]["lab"]["count"] > 4
    assert sides[1]["learnt"]["RQ"] == {"value": 0.97, "deviation": 0.0}
    assert told["first_difference"].startswith("first in cycle 0 (0.00 h)")


def test_what_does_not_concern_the_estimate_changes_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = other_config(tmp_path, lambda data: data["cycle"].update(target_mode="SHADOW"))
    assert ends(run, "--config", config) == ExitCode.OK
    shown = capsys.readouterr().out
    assert f"with     {config}" in shown
    assert "identical: 37 estimates" in shown


# ------------------------------------------------------------------ what cannot be replayed


def test_a_configuration_for_another_model_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(run, "--config", CONFIGS / "ecoli_demo.yaml") == ExitCode.CONFIG
    shown = capsys.readouterr().err
    assert "is for the model ecoli_anane" in shown
    assert "the record for cho_mab_control: of the record's states it lacks" in shown


def test_a_configuration_that_is_wrong_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = other_config(tmp_path, lambda data: data["estimation"].update(sigma=1))
    assert ends(run, "--config", config) == ExitCode.CONFIG
    assert "estimation.sigma" in capsys.readouterr().err


def test_no_record_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(tmp_path / "nowhere") == ExitCode.NO_INPUT
    assert ends(tmp_path) == ExitCode.NO_INPUT
    assert "there is no record (*.sqlite)" in capsys.readouterr().err


def test_something_else_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / RECORD).write_text("something else")
    assert ends(tmp_path) == ExitCode.BAD_RECORD
    assert RECORD in capsys.readouterr().err


def test_a_record_without_cycles_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Bench(tmp_path).close()
    assert ends(tmp_path) == ExitCode.NO_INPUT
    assert "holds no cycle yet" in capsys.readouterr().err


def test_a_damaged_record_is_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(run / RECORD, tmp_path)
    with sqlite3.connect(tmp_path / RECORD) as connection:
        connection.execute("DROP TRIGGER intents_refuses_update")
        connection.execute("UPDATE intents SET time_s = time_s + 1 WHERE number = 5")
    connection.close()
    assert ends(tmp_path) == ExitCode.BAD_RECORD
    assert "is not as it was written" in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_told_before_anything_is_computed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(run, "--csv", tmp_path) == ExitCode.CANNOT_WRITE
    assert "it is not an ordinary file" in capsys.readouterr().err


# ------------------------------------------------------------------ the configuration in a record


def estimated_with(settings: EstimationSettings) -> EstimationSettings:
    """The settings without what only the right to control depends on, which has no order."""
    return replace(settings, needed=())


def test_the_recorded_setup_is_the_one_it_was_recorded_with(run: Path, tmp_path: Path) -> None:
    settings = Settings.load(DEMO, {})
    parameters = tmp_path / "mine.yaml"
    text = nominal_parameter_set(settings.model)
    parameters.write_text(re.sub(r"(mu_max: \{value: )[0-9.]+", r"\g<1>0.0412", text))
    fitted = Settings.load(
        other_config(tmp_path, lambda data: data["model"].update(parameters_file="mine.yaml")), {}
    )
    with Journal.open(run / RECORD, SHARED, read_only=True) as journal:
        header = journal.header
    found = recorded_setup(header, run / RECORD).settings
    assert estimated_with(found) == estimated_with(settings.estimation)
    found = recorded_setup(replace(header, config=fitted.text), run / RECORD).settings
    assert estimated_with(found) == estimated_with(fitted.estimation)
    assert found.parameters["mu_max"] == 0.0412


def test_a_model_of_the_sites_own_that_is_gone_is_told(run: Path) -> None:
    with Journal.open(run / RECORD, SHARED, read_only=True) as journal:
        header = journal.header
    content = json.loads(header.config)
    content["model"] |= {"file": "my_cells.py", "name": None}
    with pytest.raises(NoInputError, match=r"the batch's own model, my_cells\.py, is not in"):
        recorded_setup(replace(header, config=json.dumps(content)), run / RECORD)


# ------------------------------------------------------------------ arithmetic


def test_distances_are_counted_in_recorded_deviations() -> None:
    here, there, gone = Key("state", "a"), Key("state", "b"), Key("parameter", "c")
    still = np.zeros(3)
    recorded = Course(
        {here: np.array([1.0, 2.0, np.nan]), there: still, gone: still},
        {here: np.array([0.5, 0.1, 0.1]), there: still, gone: still},
    )
    replayed = Course(
        {here: np.array([1.5, 2.3, 1.0]), there: np.array([0.0, 0.0, 1e-9])},
        {here: np.ones(3), there: still},
    )
    one, two = differences(recorded, replayed)
    assert (one.key, two.key) == (here, there)
    assert one.mean == pytest.approx(2.0)
    assert one.largest == pytest.approx(3.0)
    assert one.place == 1
    assert (two.largest, two.place) == (np.inf, 2)


def estimate(ratios: list[float], verdicts: list[Verdict], results: list[SampleResult]) -> Estimate:
    nothing = np.zeros(1)
    return Estimate(
        time_s=0.0,
        mean=nothing,
        factor=np.eye(1),
        deviation=nothing,
        outputs=nothing,
        output_deviation=nothing,
        innovations=np.zeros(len(ratios)),
        gate_ratios=np.array(ratios),
        verdicts=tuple(verdicts),
        last_fused_s=np.zeros(len(ratios)),
        samples=tuple(results),
        healthy=True,
    )


def test_innovations_are_counted_as_the_filters_health_does() -> None:
    names = Names(("x",), (), ("y",), ("pH", "DO"), {"pH": 5.0, "DO": 4.0, "pH" + LAB: 3.0}, {})
    sample = Sample("pH", 7.0, "1", 0.0, 60.0, "lab")
    fused = SampleResult(sample, Verdict.OK, 0.1, 0.1)
    refused = SampleResult(sample, Verdict.GATED, 9.0, 9.0)
    late = SampleResult(sample, Verdict.STALE, np.nan, np.nan)
    nothing = np.nan
    told = innovations(
        names,
        [
            estimate([0.04, 2.0], [Verdict.OK, Verdict.GATED], [fused, late]),
            estimate([0.2, 3.0], [Verdict.OK, Verdict.SUSPECT], [refused]),
            estimate([nothing, nothing], [Verdict.MISSING, Verdict.REPEATED], []),
        ],
    )
    assert (told["pH"].count, told["pH"].refused, told["pH"].covered) == (2, 0, 1)
    assert told["pH"].mean == pytest.approx(3.0)
    # Chi-square with two degrees of freedom, halved.
    assert np.array(told["pH"].band) == pytest.approx([0.02532, 3.689], rel=1e-3)
    assert (told["DO"].count, told["DO"].mean, told["DO"].refused) == (1, 16.0, 1)
    assert (told["pH" + LAB].count, told["pH" + LAB].covered) == (2, 1)
    assert told["pH" + LAB].mean == pytest.approx((0.9 + 9.0) / 2)
    every, lab = together(told), together(told, lab=True)
    assert (every.count, every.refused, every.covered) == (5, 2, 2)
    assert every.mean == pytest.approx((6.0 + 16.0 + 9.9) / 5)
    assert lab == told["pH" + LAB]
