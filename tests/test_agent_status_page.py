"""The page of a running agent, over real connections and as text."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from mpc_agent.metrics import Metrics
from mpc_agent.values import Event, Mode, Severity
from mpc_agent.web.health import Health
from mpc_agent.web.server import WebServer
from mpc_agent.web.status import NEWEST_EVENTS, StatusPage
from tests import record_values as values

HEADER = replace(values.header(), approved={"mu_max": (0.03, 0.05)})


@pytest.fixture
def status() -> StatusPage:
    """A page that has seen three cycles, the last with all that can be told of trust."""
    status = StatusPage(HEADER)
    for number in range(2):
        status.see(values.cycle(number))
    status.see(values.trust(values.cycle(2)))
    return status


@pytest.fixture
async def client(status: StatusPage, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    server = WebServer(
        Metrics(HEADER, tmp_path), Health(600.0), "127.0.0.1", 0, [status.route, status.plan_route]
    )
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
        yield client
    await server.stop()


async def test_the_page_is_served_and_follows_the_cycles(
    client: aiohttp.ClientSession, status: StatusPage
) -> None:
    async with client.get("/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "0 d 00:20" in await answer.text()
    status.see(values.cycle(3))
    async with client.get("/") as answer:
        assert "0 d 00:30" in await answer.text()
    async with client.post("/") as answer:
        assert answer.status == 405


async def test_the_plan_is_explained_as_data(client: aiohttp.ClientSession) -> None:
    async with client.get("/plan") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        told = (await answer.json())["feed"]
    assert told["maximised"] == "product_mass"
    assert told["expected"]["plan"] == {"value": 4810.0, "deviation": 220.0}
    assert [use["name"] for use in told["uses"]] == list(values.FEEDS)
    assert [limit["name"] for limit in told["limits"]] == ["volume"]


def test_the_plan_is_explained(status: StatusPage) -> None:
    page = status.page()
    assert "Why the plan is as it is" in page
    assert "4810 \u00b1 431 g (95 %) of product, 660 g more than by the recipe from here on" in page
    assert "its upper limit, 2002 L" in page
    assert "moves of glucose feed" in page


def test_before_the_first_cycle_there_is_nothing_to_show() -> None:
    page = StatusPage(HEADER).page()
    assert "No cycle has been finished yet." in page
    assert "CHO-0042" in page


def test_verdicts_bands_and_offsets_of_signals_are_shown(status: StatusPage) -> None:
    page = status.page()
    assert '<span class="tag bad">SUSPECT</span>' in page
    assert "suspect 1\u00d7" in page
    assert "3.50 (0.65 to 1.40)" in page
    assert "all together 1.20 (0.80 to 1.25)" in page
    assert "0.030 \u00b1 0.010" in page


def test_what_is_known_and_learnt_is_shown(status: StatusPage) -> None:
    page = status.page()
    assert "75 %" in page
    assert "not seen" in page
    assert "0.03 to 0.05" in page
    assert "at its end" in page


def test_mode_events_and_doubts_are_shown(status: StatusPage) -> None:
    assert "remote control is active" in status.page()
    cycle = values.cycle(4)
    estimate = replace(cycle.decision.estimate, healthy=False, message="look at the probes")
    events = tuple(
        Event("NOTHING", Severity.EVENT, f"event {number} of many")
        for number in range(NEWEST_EVENTS + 5)
    )
    alarm = Event("ALARM_CODE", Severity.ALARM, "<b>act</b>")
    decision = replace(cycle.decision, estimate=estimate, events=(*events, alarm), mode=Mode.SHADOW)
    status.see(replace(cycle, decision=decision))
    page = status.page()
    assert "The estimate is not trusted: look at the probes." in page
    assert "&lt;b&gt;act&lt;/b&gt;" in page
    assert "event 5 of many" not in page
    assert "event 6 of many" in page


def test_the_record_corrects_what_was_assumed_of_the_batch() -> None:
    status = StatusPage(replace(HEADER, inoculated_at_s=0.0))
    status.begin(HEADER)
    status.see(values.cycle(6))
    assert "0 d 01:00" in status.page()
