"""A limit to what any peer can cost: number of connections and the life of each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp.web import RequestHandler


@dataclass
class ConnectionLimits:
    """How much is allowed, and how much is in use.

    Attributes:
        most: connections at a time; more are closed at once.
        lifetime_s: a connection is closed after this, whatever it does: slow readers and senders
            of endless headers included.
        count: connections open now.
    """

    most: int = 64
    lifetime_s: float = 30.0
    count: int = 0


class BoundedConnection(asyncio.Protocol):
    """Passes everything on to aiohttp's handler, within the limits."""

    def __init__(self, new_handler: Callable[[], RequestHandler], limits: ConnectionLimits) -> None:
        self._new_handler = new_handler
        self._limits = limits
        self._handler: RequestHandler | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection if there is room."""
        assert isinstance(transport, asyncio.Transport)
        if self._limits.count >= self._limits.most:
            transport.abort()
            return
        self._limits.count += 1
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(self._limits.lifetime_s, transport.abort)
        self._handler = self._new_handler()
        self._handler.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another connection."""
        if self._handler is not None:
            self._limits.count -= 1
            self._handler.connection_lost(exc)
        if self._end is not None:
            self._end.cancel()

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        if self._handler is not None:
            self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that the peer has finished sending."""
        if self._handler is not None:
            self._handler.eof_received()
        return None

    def pause_writing(self) -> None:
        """Pass on that the peer reads slowly."""
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the peer reads again."""
        if self._handler is not None:
            self._handler.resume_writing()
