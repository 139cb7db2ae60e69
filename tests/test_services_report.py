"""A real browser opens the report: every plot is drawn, and nothing complains."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mpc_agent.report import write_report
from tests.report_batch import record_batch

pytestmark = pytest.mark.services

PATIENCE_S = 120


def browse(page: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Open a page in headless Chromium."""
    program = shutil.which("chromium")
    assert program, "Chromium is not installed"
    return subprocess.run(
        [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            f"--user-data-dir={page.parent / 'profile'}",
            "--virtual-time-budget=30000",
            "--window-size=1400,2000",
            *arguments,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )


def test_every_plot_is_drawn_without_complaint(tmp_path: Path) -> None:
    record_batch(tmp_path, 96.0)
    page = write_report(tmp_path)
    told = browse(page, "--dump-dom")
    wanted = page.read_text("utf-8").count('class="plot"')
    assert wanted > 30
    assert f'data-drawn="{wanted}"' in told.stdout
    assert len(re.findall(r'class="plot js-plotly-plot"', told.stdout)) == wanted
    assert told.stdout.count('<svg class="main-svg"') >= 2 * wanted
    assert len(re.findall(r'<path class="js-line"', told.stdout)) > 2 * wanted
    complaints = [line for line in told.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
