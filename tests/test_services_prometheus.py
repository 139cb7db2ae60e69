"""A real Prometheus scrapes the agent's metrics and answers questions about them."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mpc_agent.metrics import Metrics
from mpc_agent.web.health import Health
from mpc_agent.web.server import WebServer
from tests import record_values as values

pytestmark = pytest.mark.services

HOST = "127.0.0.1"
PAUSE_S = 0.1
MOST_QUESTIONS = 600

CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: mpc_agent
    static_configs:
      - targets: ["{target}"]
"""


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    metrics = Metrics(values.header(), tmp_path)
    for number in range(3):
        metrics.publish(values.cycle(number))
        metrics.audit_write(True)
    return metrics


def test_promtool_finds_nothing_to_complain_about(metrics: Metrics) -> None:
    told = subprocess.run(
        ["promtool", "check", "metrics"],
        input=metrics.exposition()[0],
        capture_output=True,
        check=False,
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[str]:
    """A Prometheus that scrapes one target; gives the address of its API."""
    program = shutil.which("prometheus")
    assert program, "Prometheus is not installed"
    config, address = folder / "prometheus.yml", f"{HOST}:{free_port()}"
    config.write_text(CONFIG.format(target=target))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def ask(client: aiohttp.ClientSession, question: str) -> list[dict[str, Any]]:
    """The answer of Prometheus' HTTP API; empty as long as there is none."""
    try:
        async with client.get("/api/v1/query", params={"query": question}) as answer:
            if answer.status != 200:
                return []
            result: list[dict[str, Any]] = (await answer.json())["data"]["result"]
            return result
    except aiohttp.ClientConnectionError:
        return []


async def eventually(client: aiohttp.ClientSession, question: str) -> float:
    """The one value that Prometheus answers, as soon as it does."""
    for _ in range(MOST_QUESTIONS):
        result = await ask(client, question)
        if result:
            assert len(result) == 1
            return float(result[0]["value"][1])
        await asyncio.sleep(PAUSE_S)
    pytest.fail(f"no answer to {question}")


async def test_prometheus_scrapes_and_answers(metrics: Metrics, tmp_path: Path) -> None:
    server = WebServer(metrics, Health(600.0), HOST, 0)
    await server.start()
    try:
        async with (
            prometheus(tmp_path, f"{HOST}:{server.port}") as address,
            aiohttp.ClientSession(address) as client,
        ):
            assert await eventually(client, "mpc_agent_cycles_total == 3") == 3
            assert await eventually(client, "up{job='mpc_agent'} == 1") == 1
            assert await eventually(client, "mpc_agent_estimate{state='glucose'}") == 30
            assert await eventually(client, "mpc_agent_mode{mode='CONTROL'}") == 1
            assert await eventually(client, "mpc_agent_audit_writes_total{result='ok'}") == 3
            quantile = "histogram_quantile(0.5, mpc_agent_cycle_duration_seconds_bucket)"
            assert 0.25 < await eventually(client, quantile) < 0.5
            metrics.publish(values.cycle(3))
            assert await eventually(client, "mpc_agent_cycles_total == 4") == 4
    finally:
        await server.stop()
