"""The whole product as processes: demo, Ctrl-C, a plant that dies, a plant that comes late."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from mpc_agent.errors import ExitCode
from mpc_agent.journal import Journal
from tests.cli_processes import all_gone, running, text_of
from tests.config_files import CONFIGS, DEMO

HOURS = ("--hours", "2")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Compiled code is kept from test to test, and out of the user's home."""
    return {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


async def test_the_demo_runs_a_batch_and_tells_what_it_came_to(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    folder = tmp_path / "runs" / "one"
    async with running(
        "demo", *HOURS, "--seed", "3", "--folder", folder, "--json", environment=cache
    ) as demo:
        code, out, err = await demo.end()
    assert code == ExitCode.OK, err
    result = json.loads(out)
    assert result["seed"] == 3
    assert result["cycles"] == 13
    assert result["modes"]["CONTROL"] >= 10
    assert result["final_product_g"] == pytest.approx(result["recipe_product_g"], rel=0.2)
    assert result["folder"] == str(folder)
    assert [line for line in err.splitlines() if line.startswith("  0.0 h")]
    assert [line for line in err.splitlines() if line.startswith("  2.0 h")]
    report = text_of(result["report"])
    assert "CHO-DEMO" in report
    assert 'src="http' not in report
    with Journal.open(folder / "CHO-DEMO.sqlite", read_only=True) as journal:
        assert journal.header.config_hash == result["config_hash"]
        assert journal.verify() == []
    assert {"truth.npz", "result.json", "report.html", "agent.log", "plant.log"} <= {
        path.name for path in folder.iterdir()
    }


async def test_ctrl_c_stops_both_processes_and_leaves_a_whole_record(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    folder = tmp_path / "stopped"
    async with running("demo", "--folder", folder, environment=cache) as demo:
        await demo.line("stdout", lambda line: line.startswith("day  0.00"))
        children = demo.children()
        assert len(children) >= 2
        demo.process.send_signal(signal.SIGINT)
        code, _, err = await demo.end()
    assert code == ExitCode.INTERRUPTED
    assert "stopped at day" in err
    assert f"mpc-agent report {folder}" in err
    assert "Traceback" not in err
    assert all_gone(children)
    assert (folder / "truth.npz").is_file()
    with Journal.open(folder / "CHO-DEMO.sqlite", read_only=True) as journal:
        assert journal.verify() == []
        assert journal.unresolved == ()
        last = journal.last()
    assert last is not None


async def test_a_plant_that_dies_ends_the_demo_with_its_last_words(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    folder = tmp_path / "died"
    async with running("demo", "--folder", folder, environment=cache) as demo:
        await demo.line("stdout", lambda line: line.startswith("agent "))
        children = demo.children()
        (plant,) = (child for child, command in children.items() if "sim-plant" in command)
        os.kill(plant, signal.SIGKILL)
        code, _, err = await demo.end()
    assert code == ExitCode.UNAVAILABLE
    assert "the plant ended too early" in err
    assert "serving the simulated plant" in err
    assert all_gone(children)


async def test_the_agent_waits_for_its_plant_and_goes_on_where_its_record_stands(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"opc.tcp://127.0.0.1:{free.getsockname()[1]}/sim-plant/"
    environment = {
        **cache,
        "MPC_AGENT__DRIVER__ENDPOINT": endpoint,
        "MPC_AGENT__BATCH__FOLDER": str(tmp_path),
        "MPC_AGENT__WEB__PORT": "0",
    }
    agent_arguments = ("run", DEMO, "--log", "json", "--json")
    async with running(*agent_arguments, environment=environment) as agent:
        waiting = await agent.line("stderr", lambda line: "waiting for the plant" in line)
        assert endpoint in waiting
        async with running(
            "sim-plant", CONFIGS / "cho_plant.yaml", "--endpoint", endpoint, environment=cache
        ) as plant:
            await agent.line("stderr", lambda line: '"cycle": 5' in line)
            agent.process.send_signal(signal.SIGTERM)
            code, out, _ = await agent.end()
            assert code == ExitCode.OK
            stopped = json.loads(out)
            assert stopped["stopped_by"] == "SIGTERM"
            assert not stopped["harvested"]
            assert stopped["cycles"] >= 6
            async with running(*agent_arguments, environment=environment) as again:
                first = f'"cycle": {stopped["cycles"]}'
                await again.line("stderr", lambda line: first in line)
                again.process.send_signal(signal.SIGINT)
                code, out, _ = await again.end()
            assert code == ExitCode.INTERRUPTED
            assert json.loads(out)["cycles"] > stopped["cycles"]
            plant.process.send_signal(signal.SIGTERM)
            assert (await plant.end())[0] == ExitCode.OK
