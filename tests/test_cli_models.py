"""`mpc-agent models`: the list, a model's sheet, its plotted batch, its parameter set."""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from mpc_agent.cli import main
from mpc_agent.errors import ExitCode
from mpc_agent.report.panel import pretty_unit
from plant_models.cho_mab import CORE
from plant_models.library import MODELS
from tests.test_services_report import browse

WIDTH = 100
OWN = '''"""A site's own cells."""

from dataclasses import replace

from plant_models.cho_mab import CORE
from plant_models.reference import ReferenceBatch


def _act(time_h, state, memory):
    {act}
    if time_h == 24:
        state = state._replace(glucose=state.glucose + 10)
    return CORE.nominal_inputs(), state, memory


MINE = replace(CORE, name="our_cells", reference=ReferenceBatch("a pulse", 48.0, 1.0, _act))
{more}
'''


def ends(*arguments: str | Path) -> int:
    """Exit code of a command line."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own_model(here: Path, act: str = "pass", more: str = "") -> Path:
    file = here / "our_cells.py"
    file.write_text(OWN.format(act=act, more=more))
    return file


def embedded(page: Path) -> dict[str, Any]:
    """The numbers and traces of a page."""
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def course(page: Path, name: str) -> list[tuple[float, float]]:
    """Time and value of a plotted quantity."""
    text = page.read_text("utf-8")
    captions = re.findall(r'<span class="name code">(.*?)</span>', text)
    data = embedded(page)
    (trace,) = data["panels"][captions.index(name)]["traces"]
    return list(zip(data["arrays"][trace["x"]], data["arrays"][trace["y"]], strict=True))


def test_the_list_tells_of_every_model_and_fits_its_width(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ends("models") == ExitCode.OK
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= WIDTH
    words = " ".join(shown.split())
    for model in MODELS.values():
        assert re.search(rf"^ ?{model.name} ", shown, re.MULTILINE)
        assert f"{len(model.states)} states" in words
        assert all(name in words for name in model.inputs)
    assert "by assay" in words


def test_the_list_is_there_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("models", "--json") == ExitCode.OK
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)["models"]}
    assert set(found) == set(MODELS)
    core = found["cho_mab_core"]
    assert (core["organism"], core["states"]) == ("CHO", 8)
    assert core["inputs"] == ["glucose_feed", "amino_feed"]
    assert core["online"] == []
    assert core["assay"][:2] == ["viable_cells", "viability"]
    assert core["source"] == CORE.source


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_sheet_of_every_model_says_everything_and_fits_its_width(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = MODELS[name]
    assert ends("models", name, "--no-plot") == ExitCode.OK
    shown = capsys.readouterr().out
    assert list(here.iterdir()) == []
    assert max(map(len, shown.splitlines())) <= WIDTH
    words = "".join(shown.split())
    for text in (model.source, model.validity, *model.equations.values()):
        assert "".join(text.split()) in words
    for table in (model.states, model.inputs, model.parameters, model.outputs_info):
        for field, item in table.items():
            assert field in words
            assert "".join(pretty_unit(item.unit).split()) in words
    sources = {item.source for item in model.parameters.values()}
    assert all("".join(source.split()) in words for source in sources)
    assert f"[{len(sources)}]" in words


def test_a_sheet_shows_value_range_and_spread(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("models", "cho_mab_core", "--no-plot") == ExitCode.OK
    shown = capsys.readouterr().out
    assert re.search(
        r"^mu_max +0\.039 +1/h +0\.0078 to 0\.195 +12 %\n  maximal growth rate \[1\]$",
        shown,
        re.MULTILINE,
    )
    assert re.search(r"^viable_cells +viable cell density +0\.5 +10⁹ cells/L", shown, re.MULTILINE)
    assert "Spread" in shown


def test_signs_that_a_terminal_lacks_are_not_printed() -> None:
    ended = subprocess.run(
        (sys.executable, "-m", "mpc_agent", "models", "cho_mab_core", "--no-plot"),
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert "1e9 cells/L" in ended.stdout.decode("ascii")
    assert ended.stderr == b""


def test_a_model_is_there_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("models", "cho_mab_core", "--no-plot", "--json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"]["mu_max"] == {
        "unit": "1/h",
        "meaning": "maximal growth rate",
        "value": 0.039,
        "lower": 0.0078,
        "upper": 0.195,
        "deviation": 0.12,
        "source": "Bioengineering 2018, 5(1):25, Table 2",
    }
    assert found["states"]["glucose"]["unit"] == "mmol/L"
    assert found["method"] == "explicit"
    assert found["reference"]["duration_h"] == 336
    assert (found["plot"], found["final"]) == (None, None)


def test_the_reference_batch_is_plotted_into_one_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends("models", "cho_mab_core") == ExitCode.OK
    shown = capsys.readouterr().out
    assert shown.endswith("\nPlot: cho_mab_core.html\n")
    assert "product_mass 5208.4 g" in " ".join(shown.split())
    page = here / "cho_mab_core.html"
    text = page.read_text("utf-8")
    assert not re.search(r'(?:src|href)="', text.partition("<script>")[0])
    data = embedded(page)
    assert (data["time_unit"], data["span"]) == ("h", 336)
    # Outputs, the states that are no outputs, and inputs: each quantity once.
    captions = re.findall(r'<span class="name code">(.*?)</span>', text)
    assert len(captions) == len(data["panels"]) == 8 + 2 + 2
    assert {"volume", "dead_cells"} < set(captions)
    assert captions.count("glucose") == 1
    times_h, titres = zip(*course(page, "titre"), strict=True)
    assert (times_h[0], times_h[-1]) == (0, 336)
    assert titres[0] == 0
    assert titres[-1] == pytest.approx(2.7155, abs=1e-4)
    assert text.count("10⁹ cells/L") >= 2


def test_a_plot_goes_where_it_is_wanted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "plots" / "batch.html"
    assert ends("models", "cho_mab_core", "--plot", file, "--json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["plot"] == str(file)
    assert found["final"]["titre"] == pytest.approx(2.7155, abs=1e-4)
    assert file.is_file()
    assert ends("models", "cho_mab_core", "--plot", here) == ExitCode.CANNOT_WRITE


def test_a_site_s_own_model_is_shown_with_upright_pulses(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own_model(here)
    assert ends("models", file) == ExitCode.OK
    shown = capsys.readouterr().out
    assert shown.startswith("our_cells   CHO\n")
    assert "a pulse" in shown
    glucose = course(here / "our_cells.html", "glucose")
    jumps = [(a, b) for a, b in pairwise(glucose) if b[1] > a[1]]
    ((before, after),) = jumps
    assert before[0] == after[0] == 24
    assert after[1] - before[1] == pytest.approx(10, abs=1e-3)
    # Feeds that stay shut are told in words.
    text = (here / "our_cells.html").read_text("utf-8")
    assert "Unchanged over the batch" in text
    assert "<td>0 L/h</td>" in text


def test_one_of_several_models_of_a_file_is_chosen(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own_model(here, more='OTHER = replace(MINE, name="others")')
    assert ends("models", file) == ExitCode.USAGE
    assert "choose our_cells, others with --model" in capsys.readouterr().err
    assert ends("models", file, "--model", "other") == ExitCode.USAGE
    assert "did you mean others?" in capsys.readouterr().err
    assert ends("models", file, "--model", "others", "--no-plot") == ExitCode.OK
    assert capsys.readouterr().out.startswith("others   CHO\n")


@pytest.mark.parametrize(
    ("act", "more", "told"),
    [
        ("return None", "", "our_cells cannot be shown: "),
        ("raise LookupError('no such probe')", "", "our_cells.py:10: LookupError: no such probe"),
        ("pass", "raise OSError('no licence')", "our_cells.py:17: OSError: no licence"),
        ("pass", "MINE = None", "defines no model"),
        ("pass", "def", "our_cells.py:17: is not valid Python"),
        ("state = state._replace(glucose=float('nan'))", "", "is not finite at 0 h"),
        ("pass", "MINE = replace(MINE, product='wine')", "our_cells cannot be shown: "),
    ],
)
def test_a_model_that_cannot_be_shown_is_told_without_a_traceback(
    act: str, more: str, told: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends("models", own_model(here, act, more)) == ExitCode.CONFIG
    shown = capsys.readouterr()
    assert told in shown.err
    assert (shown.out, "Traceback" in shown.err) == ("", False)
    assert not (here / "our_cells.html").exists()


def test_a_folder_and_a_plot_that_is_not_wanted_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "folder.py").mkdir()
    assert ends("models", "folder.py") == ExitCode.NO_INPUT
    assert "folder.py cannot be read: it is a folder" in capsys.readouterr().err
    both = ("--no-plot", "--plot", "x.html")
    assert ends("models", "cho_mab_core", *both) == ExitCode.USAGE
    assert "contradicted by --no-plot" in capsys.readouterr().err


def test_names_that_do_not_exist_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("models", "cho_mab_cor") == ExitCode.USAGE
    assert "did you mean cho_mab_core?" in capsys.readouterr().err
    assert ends("models", "none.py") == ExitCode.NO_INPUT
    assert "none.py cannot be read" in capsys.readouterr().err
    assert ends("models", "cho_mab_core", "--model", "cho_mab_ful") == ExitCode.USAGE
    assert "did you mean cho_mab_full?" in capsys.readouterr().err
    for options in (("--no-plot",), ("--parameters", "x.yaml"), ("--plot", "x.html")):
        assert ends("models", *options) == ExitCode.USAGE


def test_parameters_are_written_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "cells.yaml"
    assert ends("models", "cho_mab_core", "--parameters", "cells.yaml") == ExitCode.OK
    assert capsys.readouterr().out == "Parameters: cells.yaml\n"
    assert list(here.iterdir()) == [file]
    text = file.read_text("utf-8")
    assert yaml.safe_load(text)["parameters"]["mu_max"] == {"value": 0.039, "unit": "1/h"}
    file.write_text("fitted for weeks")
    assert ends("models", "cho_mab_core", "--parameters", file) == ExitCode.CANNOT_WRITE
    assert "add --force to replace it" in capsys.readouterr().err
    assert file.read_text() == "fitted for weeks"
    forced = ("--parameters", file, "--force", "--json")
    assert ends("models", "cho_mab_core", *forced) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"parameters": str(file)}
    assert file.read_text("utf-8") == text
    assert ends("models", "cho_mab_core", "--parameters", here / "no" / "x") == (
        ExitCode.CANNOT_WRITE
    )


def test_the_verb_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("models", "--help") == ExitCode.OK
    assert "mpc-agent models" in capsys.readouterr().out.partition("Examples:")[2]


@pytest.mark.services
def test_every_plot_of_a_model_is_drawn_without_complaint(here: Path) -> None:
    assert ends("models", "cho_mab_control") == ExitCode.OK
    page = here / "cho_mab_control.html"
    told = browse(page, "--dump-dom")
    wanted = page.read_text("utf-8").count('class="plot"')
    assert wanted > 20
    assert f'data-drawn="{wanted}"' in told.stdout
    assert [line for line in told.stderr.splitlines() if "CONSOLE" in line] == []
