"""The HTTP server: metrics for Prometheus, health for supervisors; changes nothing, ever."""

import asyncio
import errno
import socket
from collections.abc import Iterable
from functools import partial

from aiohttp import web

from mpc_agent.errors import UnavailableError
from mpc_agent.metrics import Metrics
from mpc_agent.web.connections import BoundedConnection, ConnectionLimits
from mpc_agent.web.health import Health

_LONGEST_LINE_BYTES = 4096
_MOST_HEADERS = 64
_LARGEST_BODY_BYTES = 1024
_KEEP_ALIVE_S = 15.0
_SHUTDOWN_S = 2.0

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Server": "mpc-agent",
}


class WebServer:
    """Serves `/metrics`, `/livez`, `/readyz` and any further read-only routes."""

    def __init__(
        self,
        metrics: Metrics,
        health: Health,
        host: str,
        port: int,
        routes: Iterable[web.RouteDef] = (),
        limits: ConnectionLimits | None = None,
    ) -> None:
        """Prepare; nothing listens before `start`.

        Args:
            metrics: what `/metrics` shows.
            health: what `/livez` and `/readyz` say.
            host: address to listen on.
            port: port to listen on; 0 takes any free one.
            routes: more pages, GET only.
            limits: what peers may use.
        """
        self._metrics = metrics
        self._health = health
        self._host = host
        self._port = port
        self._limits = limits or ConnectionLimits()
        self._server: asyncio.Server | None = None
        self._runner = web.AppRunner(
            self._application(routes),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_KEEP_ALIVE_S,
            max_line_size=_LONGEST_LINE_BYTES,
            max_field_size=_LONGEST_LINE_BYTES,
            max_headers=_MOST_HEADERS,
            shutdown_timeout=_SHUTDOWN_S,
        )

    def _application(self, routes: Iterable[web.RouteDef]) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        application.add_routes(
            [
                web.get("/metrics", self._show_metrics),
                web.get("/livez", self._show_alive),
                web.get("/readyz", self._show_ready),
                *routes,
            ]
        )
        application.on_response_prepare.append(_add_headers)
        return application

    @property
    def port(self) -> int:
        """The port listened on; as configured before `start`."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen.

        Raises:
            UnavailableError: the port is in use, or the address cannot be listened on.
        """
        await self._runner.setup()
        assert self._runner.server is not None
        connection = partial(BoundedConnection, self._runner.server, self._limits)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                connection, self._host, self._port, backlog=self._limits.most
            )
        except OSError as error:
            await self._runner.cleanup()
            raise UnavailableError(self._trouble(error)) from error

    def _trouble(self, error: OSError) -> str:
        """Why the server cannot listen, and what to do."""
        where = f"{self._host}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            return (
                f"the port of the web page, {where}, is in use by another program, perhaps by "
                "another agent; choose another one with web.port"
            )
        if error.errno == errno.EACCES:
            return f"the port of the web page, {where}, may not be used without privileges"
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            return f"web.host, {self._host!r}, is no address of this machine"
        return f"the web page cannot listen on {where}: {error.strerror or error}"

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
            await self._runner.cleanup()
            await self._server.wait_closed()
            self._server = None

    async def _show_metrics(self, request: web.Request) -> web.Response:
        """All metrics, in the text format that the scraper asks for."""
        text, content_type = self._metrics.exposition(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def _show_alive(self, _request: web.Request) -> web.Response:
        """200 while the loop makes progress, else 503."""
        alive = self._health.alive
        told = {"alive": alive, "seconds_since_progress": round(self._health.silent_s, 1)}
        return web.json_response(told, status=200 if alive else 503)

    async def _show_ready(self, _request: web.Request) -> web.Response:
        """200 when every condition is met, else 503 with what is missing."""
        waiting_for = self._health.waiting_for
        told = {"ready": not waiting_for, "waiting_for": waiting_for}
        return web.json_response(told, status=503 if waiting_for else 200)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers[name] = value
