"""The agent as a process: everything around the loop that must be opened, and closed again."""

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import structlog

from mpc_agent.build import build_engines, tag_map
from mpc_agent.clock import Clock, PlantClock, WallClock
from mpc_agent.config import (
    ConfigError,
    Settings,
    missing_files,
    record_file,
    record_folder,
)
from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.errors import CannotWriteError, ExitCode, UnavailableError, UserError
from mpc_agent.loop import early_header, prepare, run_agent, wait_for_plant
from mpc_agent.memory import CycleRecord, Memory, Rooms
from mpc_agent.metrics import Metrics
from mpc_agent.web.health import Health
from mpc_agent.web.server import WebServer
from mpc_agent.web.status import StatusPage

log = structlog.get_logger(__name__)

Follow = Callable[[CycleRecord, Rooms], None]
"""Told of every finished cycle."""


async def serve_batch(settings: Settings, follow: Follow, stop: asyncio.Event) -> Memory | None:
    """Run the agent on one batch, from wherever its record stands, until harvest or `stop`.

    Args:
        settings: what to run.
        follow: told of every finished cycle.
        stop: set when the agent must end; it finishes the cycle under way and tells the plant.

    Returns:
        The memory that the last cycle left; None when it was stopped before the first.

    Raises:
        UserError: something around the agent is wrong: files, ports, the record.
    """
    driver_settings = settings.driver
    if not isinstance(driver_settings, OpcuaSettings):
        raise UserError(
            "driver.kind is simulated: such an agent is run by `mpc-agent simulate`",
            ExitCode.CONFIG,
        )
    missing = missing_files(settings)
    if missing:
        raise ConfigError(missing)
    folder, web = record_folder(settings), settings.document.web
    if web.enabled:
        check_port(web.host, web.port)
    async with AsyncExitStack() as stack:
        stack.enter_context(_only_agent(folder, settings.document.batch.id))
        log.info("preparing filter and optimisers")
        engines = await asyncio.to_thread(build_engines, settings, cache_folder())
        wall = WallClock() if settings.document.clock.kind == "wall" else None
        tags = tag_map(settings)
        named = with_owner(driver_settings, settings.document.batch.id)
        driver = OpcuaDriver(named, tags, None if wall is None else wall.read_s)
        stack.push_async_callback(driver.close)
        clock: Clock = PlantClock(driver) if wall is None else wall
        health = Health(settings.document.cycle.period_s)
        early = early_header(settings, engines)
        metrics, page = Metrics(early, folder), StatusPage(early)
        if web.enabled:
            routes = [page.route, page.plan_route]
            server = WebServer(metrics, health, web.host, web.port, routes)
            await server.start()
            stack.push_async_callback(server.stop)
            log.info("page, metrics and health", url=f"http://{web.host}:{server.port}/")
        if not await wait_for_plant(driver, stop, health):
            return None
        run = await prepare(settings, engines, driver, clock, record_file(settings), metrics)
        stack.callback(run.agent.journal.close)
        health.met("record")
        page.begin(run.agent.journal.header)
        rooms = run.agent.rooms
        log.info("started", batch=settings.document.batch.id, record=str(run.agent.journal.path))

        def note(record: CycleRecord) -> None:
            page.see(record)
            follow(record, rooms)

        return await run_agent(run, clock, stop, health, note)


def with_owner(settings: OpcuaSettings, batch: str) -> OpcuaSettings:
    """The same with a name for the plant's lease.

    A plant gives the lease back to the name that held it, so that an agent that died can return:
    agents of two batches on one machine must not pass for each other.
    """
    name = settings.owner or f"mpc-agent@{socket.gethostname()}/{batch}"
    return settings.model_copy(update={"owner": name})


def check_port(host: str, port: int) -> None:
    """Refuse early when the port of the web page is taken.

    Raises:
        UnavailableError: it is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UnavailableError(
                f"the web page cannot listen on {host}:{port}: {error.strerror}; choose another "
                "one with web.port or MPC_AGENT__WEB__PORT"
            ) from None


def cache_folder() -> Path | None:
    """Where compiled code is kept between starts; None when no such folder can be written."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mpc-agent" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


@contextmanager
def _only_agent(folder: Path, batch: str) -> Iterator[None]:
    """Hold the batch for this process: two agents on one record would contradict each other."""
    path = folder / f"{batch}.lock"
    try:
        file = path.open("w")
    except OSError as error:
        raise CannotWriteError(f"cannot write {path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UnavailableError(
                f"another agent is at work on batch {batch} in {folder}; stop it first"
            ) from None
        yield


@contextmanager
def stop_signals(stop: asyncio.Event) -> Iterator[list[signal.Signals]]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into `stop`; a second Ctrl-C interrupts at once.

    Yields:
        The signals that came, filled while they come.
    """
    loop, came = asyncio.get_running_loop(), list[signal.Signals]()
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def on_signal(number: signal.Signals) -> None:
        came.append(number)
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in watched:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield came
    finally:
        for number in watched:
            loop.remove_signal_handler(number)
