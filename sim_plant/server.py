"""The simulated plant as an OPC-UA server, as a controller finds it in the plant."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from asyncua import Server

from sim_plant.address_space import TagNodes
from sim_plant.errors import NotServedError, PlantError
from sim_plant.pace import keep_pace
from sim_plant.plant import OperatorAction, SimulatedPlant
from sim_plant.security import read_users, secure
from sim_plant.server_settings import check_endpoint
from sim_plant.services import HonestSubscriptions, SessionUser, TagWrites
from sim_plant.settings import PlantSettings
from sim_plant.tags import HEARTBEAT, Access, Tag, TagContent, WriteStatus


class PlantServer:
    """One plant behind one endpoint; an asynchronous context manager.

    Attributes:
        plant: the plant that is served.
    """

    def __init__(self, settings: PlantSettings, endpoint: str | None = None) -> None:
        """Inoculate a plant and prepare to serve it at `endpoint` (default: the settings').

        Raises:
            PlantError: endpoint, recipe or passwords cannot be used.
        """
        self.plant = SimulatedPlant(settings)
        self._settings = settings.server
        given = endpoint or settings.server.endpoint
        try:
            check_endpoint(given, settings.server.security)
        except ValueError as error:
            raise PlantError(str(error)) from None
        self._parts = urlsplit(given.replace("//localhost", "//127.0.0.1"))
        self._server = Server(user_manager=read_users(settings.server.security))
        self._nodes: TagNodes | None = None
        self._heartbeats = asyncio.Semaphore(0)
        self._end_s = self.plant.time_s + 3600 * settings.batch.duration_h

    @property
    def endpoint(self) -> str:
        """Where clients find it; with the port that was taken when any free one was asked for."""
        port = self._parts.port
        if self._server.bserver is not None:
            port = self._server.bserver.port
        host = self._parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return f"opc.tcp://{host}:{port}{self._parts.path}"

    async def start(self) -> None:
        """Build the address space and listen.

        Raises:
            NotServedError: the port is in use, or the host is not ours.
            PlantError: a certificate cannot be used.
        """
        try:
            self._try_port()
            await self._start()
        except OSError as error:
            raise NotServedError(self._refusal(error)) from None

    async def _start(self) -> None:
        server, internal = self._server, self._server.iserver
        subscriptions = HonestSubscriptions(internal.aspace, iserver=internal)
        internal.subscription_service = subscriptions
        internal.isession.subscription_service = subscriptions
        await server.init()
        server.set_server_name("Simulated bioreactor")
        server.set_endpoint(self._parts.geturl())
        await secure(server, self._settings.security)
        self._nodes = await TagNodes.build(server, self.plant.table)
        internal.attribute_service = TagWrites(
            internal.aspace, self._nodes.tags, self._write, self._publish
        )
        await self._publish()
        with _quiet("asyncua.server.server"):
            await server.start()

    def _try_port(self) -> None:
        """Listen for a moment, so that a port in use is told before the address space is built."""
        host, port = self._parts.hostname, self._parts.port
        if host and port:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host, port), family=family).close()

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        clock = self._server.iserver.time_task
        if clock is not None:  # stopping would wait for its next second
            self._server.iserver.time_task = None
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)
        await self._server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def run(self) -> None:
        """Move simulated time at the configured pace until cancelled.

        Raises:
            PlantError: the simulation broke down.
        """
        await keep_pace(self, self._settings.pace)

    def finished(self) -> bool:
        """Whether the batch is over; from then on time moves only when a controller asks."""
        return self.plant.time_s >= self._end_s

    async def heartbeat(self) -> None:
        """Wait for the next heartbeat that has not been answered by a step."""
        await self._heartbeats.acquire()

    async def advance(self, seconds: float) -> None:
        """Move simulated time, and show it."""
        self.plant.advance_to(self.plant.time_s + seconds)
        await self._publish()

    async def operator(self, action: OperatorAction) -> None:
        """Act as the operator at the plant's own panel."""
        self.plant.operator(action)
        await self._publish()

    async def _publish(self) -> None:
        if self._nodes is not None:
            await self._nodes.publish(self.plant.tags())

    def _write(self, tag: Tag, value: TagContent, user: SessionUser) -> WriteStatus:
        """Carry one write to the plant."""
        if tag.access is Access.OPERATOR:
            wanted = OperatorAction.ENABLE_REMOTE if value else OperatorAction.DISABLE_REMOTE
            self.plant.operator(wanted)
            return WriteStatus.GOOD
        beats = tag.name == HEARTBEAT and value != self.plant.tag(HEARTBEAT).value
        status = self.plant.write(tag.name, value, user.connection)
        if beats and status is WriteStatus.GOOD:
            self._heartbeats.release()
        return status

    def _refusal(self, error: OSError) -> str:
        """Why the operating system does not let us listen, as a sentence."""
        host, port = self._parts.hostname, self._parts.port
        if error.errno == errno.EADDRINUSE:
            return (
                f"port {port} on {host} is in use, perhaps by another plant: stop that one, or "
                "choose another port for the plant's endpoint"
            )
        if error.errno == errno.EACCES:
            return f"listening on port {port} is not allowed: choose one above 1023"
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        return f"cannot listen on {host}, port {port}: {reason}"


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger of the library silent: what it would print is raised, or known."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


async def serve(
    settings: PlantSettings,
    endpoint: str | None = None,
    *,
    truth_file: Path | None = None,
    on_ready: Callable[[PlantServer], None] | None = None,
) -> None:
    """Serve a plant until cancelled, then save what really happened.

    Args:
        settings: the plant.
        endpoint: where to listen, instead of the settings' endpoint; port 0 takes any free one.
        truth_file: where the truth log goes when serving ends, however it ends.
        on_ready: called once, when clients can connect.

    Raises:
        PlantError: it cannot be served, the simulation broke down, or the log cannot be written.
    """
    if truth_file is not None and not os.access(truth_file.parent, os.W_OK):
        raise PlantError(f"cannot write {truth_file}: its folder is missing or read-only")
    async with PlantServer(settings, endpoint) as server:
        try:
            if on_ready is not None:
                on_ready(server)
            await server.run()
        finally:
            if truth_file is not None:
                server.plant.save_truth(truth_file)
