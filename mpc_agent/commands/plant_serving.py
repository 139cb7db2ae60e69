"""What `mpc-agent sim-plant` does: the simulated plant as a server in the foreground."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from mpc_agent.commands.service import stop_signals
from mpc_agent.commands.simulation import plant_trouble, simulated_plant
from mpc_agent.config import Settings
from mpc_agent.config.text import read_config_text
from mpc_agent.errors import CannotWriteError, ExitCode, NoInputError
from sim_plant.errors import PlantError
from sim_plant.server import PlantServer, serve
from sim_plant.settings import PlantSettings, load_settings

log = structlog.get_logger(__name__)

Announce = Callable[[Mapping[str, object]], None]
"""Told once, when clients can connect."""


def plant_settings(config: Path, seed: int | None) -> PlantSettings:
    """The plant of its own file, or of the `simulation` section of an agent's.

    Raises:
        UserError: everything that is wrong with it.
    """
    if not config.is_file():
        raise NoInputError(f"there is no file {config}")
    if "simulation" in read_config_text(config).data:
        return simulated_plant(Settings.load(config, os.environ), seed)
    try:
        plant = load_settings(config)
    except PlantError as error:
        raise plant_trouble(error) from None
    return plant if seed is None else plant.with_seed(seed)


def serve_plant(
    config: Path,
    endpoint: str | None,
    seed: int | None,
    truth: Path | None,
    announce: Announce | None,
    *,
    until_stdin_closes: bool = False,
) -> ExitCode:
    """Serve until a signal stops it, or whoever started it went away; both are ordinary ends."""
    settings = plant_settings(config, seed)
    if truth is not None and not os.access(truth.parent, os.W_OK):
        raise CannotWriteError(f"cannot write {truth}: its folder is missing or read-only")
    try:
        asyncio.run(_serve(settings, endpoint, truth, announce, until_stdin_closes))
    except PlantError as error:
        raise plant_trouble(error) from None
    return ExitCode.OK


async def _serve(
    settings: PlantSettings,
    endpoint: str | None,
    truth: Path | None,
    announce: Announce | None,
    until_stdin_closes: bool,
) -> None:
    def on_ready(server: PlantServer) -> None:
        log.info("serving the simulated plant", endpoint=server.endpoint, seed=settings.seed)
        if announce is not None:
            announce({"endpoint": server.endpoint, "seed": settings.seed})

    stop = asyncio.Event()
    if until_stdin_closes:
        _stop_with_stdin(stop)
    with stop_signals(stop):
        serving = asyncio.create_task(
            serve(settings, endpoint, truth_file=truth, on_ready=on_ready)
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not serving.done():
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    if not serving.cancelled():
        serving.result()
    log.info("stopped")


def _stop_with_stdin(stop: asyncio.Event) -> None:
    """Set `stop` when stdin ends: the process that holds its other end is gone."""
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def on_readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, on_readable)
