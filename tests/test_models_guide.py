"""The guide to adding a model says what happens."""

import shutil
from pathlib import Path

import pytest

from mpc_agent.cli import main
from tests.examples_broken_models import EXAMPLE, EXAMPLES
from tests.guide_blocks import Run, as_shown, blocks, runs

RUNS = runs()
QUICK = [run for run in RUNS if run.arguments[0] == "check"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example, to work in."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(copy)
    return copy


def run_in(folder: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code and output of a command of the guide."""
    if run.change is not None:
        file = folder / EXAMPLE.name
        old, new = run.change
        assert file.read_text().count(old) == 1, old
        file.write_text(file.read_text().replace(old, new))
    code = 0
    try:
        main(list(run.arguments))
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "run", QUICK, ids=lambda run: " ".join(run.change[1].split() if run.change else run.arguments)
)
def test_a_check_prints_what_the_guide_shows(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run_in(folder, run, capsys)
    assert as_shown(run.shown, printed), "\n".join(printed)
    assert code == (0 if run.change is None else 78)


def test_the_guide_quotes_the_example() -> None:
    text = EXAMPLE.read_text()
    assert len(blocks("python")) == 3
    for block in blocks("python"):
        assert block in text
    for block in blocks("yaml"):
        assert block in (EXAMPLES / "my_agent.yaml").read_text()


def test_the_example_runs_a_batch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its first two hours; the whole batch is a long test."""
    short = Run(("simulate", "my_agent.yaml", "--hours", "2", "--no-compare"), (), None)
    code, printed = run_in(folder, short, capsys)
    assert code == 0
    assert any(line.startswith("cycles") and "25" in line for line in printed), printed


@pytest.mark.long
def test_the_batch_is_what_the_guide_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = (run for run in RUNS if run.arguments[0] == "simulate")
    code, printed = run_in(folder, run, capsys)
    assert code == 0
    assert as_shown(run.shown, printed), "\n".join(printed)
