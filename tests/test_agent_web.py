"""The agent over HTTP, with real connections over the loopback."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from mpc_agent.errors import ExitCode, UnavailableError
from mpc_agent.metrics import Metrics
from mpc_agent.web.connections import ConnectionLimits
from mpc_agent.web.health import Health
from mpc_agent.web.server import WebServer
from tests import record_values as values

HOST = "127.0.0.1"
PATIENCE_S = 20


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    metrics = Metrics(values.header(), tmp_path)
    metrics.publish(values.cycle(0))
    return metrics


@pytest.fixture
def health() -> Health:
    return Health(period_s=600.0)


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


@pytest.fixture
async def server(metrics: Metrics, health: Health) -> AsyncIterator[WebServer]:
    limits = ConnectionLimits(most=5, lifetime_s=0.3)
    server = WebServer(metrics, health, HOST, 0, [web.get("/hello", hello)], limits)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: WebServer) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    base = f"http://{HOST}:{server.port}"
    async with aiohttp.ClientSession(base, timeout=timeout) as client:
        yield client


async def test_metrics_are_served(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "mpc-agent"
        assert "mpc_agent_cycles_total 1.0" in await answer.text()


async def test_alive_as_long_as_the_loop_makes_progress(
    client: aiohttp.ClientSession, health: Health
) -> None:
    async with client.get("/livez") as answer:
        assert (answer.status, (await answer.json())["alive"]) == (200, True)
    health.allowed_s = 0.0
    async with client.get("/livez") as answer:
        assert (answer.status, (await answer.json())["alive"]) == (503, False)
    health.allowed_s = 120.0
    health.progressed()
    async with client.get("/livez") as answer:
        assert answer.status == 200


def test_short_periods_leave_time_for_the_start() -> None:
    assert Health(period_s=1.0).allowed_s == 120.0
    assert Health(period_s=600.0).allowed_s == 1800.0


async def test_ready_when_every_condition_is_met(
    client: aiohttp.ClientSession, health: Health
) -> None:
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert set((await answer.json())["waiting_for"]) == {"record", "estimate"}
    health.met("record")
    health.met("estimate")
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "waiting_for": {}})
    health.unmet("record", "the disk is full")
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["waiting_for"] == {"record": "the disk is full"}


async def test_further_pages_can_be_added(client: aiohttp.ClientSession) -> None:
    async with client.get("/hello") as answer:
        assert await answer.text() == "hello"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed(client: aiohttp.ClientSession, method: str) -> None:
    async with client.request(method, "/metrics", data=b"x" * 5000) as answer:
        assert answer.status == 405


@pytest.mark.parametrize("path", ["/", "/nothing", "/metrics/../../etc/passwd", "/%00"])
async def test_unknown_paths_are_not_found(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404


# ------------------------------------------------------------------ hostile peers


async def converse(server: WebServer, request: bytes) -> bytes:
    """Everything the server answers before it closes the connection."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    async with asyncio.timeout(PATIENCE_S):
        writer.write(request)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
    ],
    ids=["long line", "long header", "many headers", "tls", "no path"],
)
async def test_malformed_requests_are_refused(
    server: WebServer, client: aiohttp.ClientSession, request_text: bytes
) -> None:
    assert (await converse(server, request_text)).startswith(b"HTTP/1.0 400 Bad Request")
    async with client.get("/livez") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("start", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\n"])
async def test_peers_that_never_finish_are_disconnected(server: WebServer, start: bytes) -> None:
    assert await converse(server, start) == b""


async def test_too_many_connections_are_refused_and_the_others_served(
    server: WebServer, client: aiohttp.ClientSession
) -> None:
    opened = [await asyncio.open_connection(HOST, server.port) for _ in range(30)]
    async with asyncio.timeout(PATIENCE_S):
        for reader, _ in opened:
            assert await disconnected(reader)
        for _, writer in opened:
            writer.close()
    async with client.get("/livez") as answer:
        assert answer.status == 200


async def disconnected(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


# ------------------------------------------------------------------ what a person can correct


async def test_a_port_in_use_is_told(server: WebServer, metrics: Metrics, health: Health) -> None:
    other = WebServer(metrics, health, HOST, server.port)
    with pytest.raises(UnavailableError, match="in use by another program") as caught:
        await other.start()
    assert caught.value.exit_code is ExitCode.UNAVAILABLE
    assert str(server.port) in caught.value.message
    await other.stop()


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
async def test_an_address_of_another_machine_is_told(
    metrics: Metrics, health: Health, host: str
) -> None:
    with pytest.raises(UnavailableError, match="is no address of this machine"):
        await WebServer(metrics, health, host, 0).start()


async def test_the_port_is_free_again_after_a_stop(metrics: Metrics, health: Health) -> None:
    first = WebServer(metrics, health, HOST, 0)
    await first.start()
    port = first.port
    await first.stop()
    second = WebServer(metrics, health, HOST, port)
    await second.start()
    assert second.port == port
    await second.stop()
