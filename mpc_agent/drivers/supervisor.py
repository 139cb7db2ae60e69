"""Keeps one connection to the plant: connects, notices losses, and starts again with a new one."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import structlog
from asyncua import ua

from mpc_agent.drivers.link import DriverState, LinkLostError
from mpc_agent.drivers.opcua_session import Session

_log = structlog.get_logger(__name__)


class Backoff:
    """Pauses between attempts: they double up to a longest one, each shortened at random."""

    def __init__(self, first_s: float, max_s: float, seed: int | None = None) -> None:
        """Pauses between `first_s` and `max_s`; a seed makes them repeatable."""
        self._first_s = first_s
        self._max_s = max_s
        self._next_s = first_s
        self._random = np.random.default_rng(seed)

    def next_s(self) -> float:
        """The next pause."""
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, self._max_s)
        return pause_s * float(self._random.uniform(0.5, 1.0))

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self._next_s = self._first_s


class Supervisor:
    """A task that always either has a session, or is on its way to the next one.

    Attributes:
        state: DISCONNECTED, RESOLVE, or OBSERVE while there is a session.
        message: why there is none, in words; empty while there is one.
        connections: how many sessions there have been.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Session]],
        find_nodes: Callable[[Session], Awaitable[None]],
        connect_s: float,
        backoff: Backoff,
        hint: str = "",
    ) -> None:
        """Supervise.

        Args:
            name: of the plant, for messages.
            connect: opens a fresh session.
            find_nodes: makes it ready for use.
            connect_s: time for both, wall seconds.
            backoff: pauses between attempts.
            hint: what to look at when the other side ends an attempt without a word.
        """
        self._name = name
        self._hint = hint
        self._connect = connect
        self._find_nodes = find_nodes
        self._connect_s = connect_s
        self._backoff = backoff
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._concluded = asyncio.Event()
        self._reported = ""
        self._closed = False
        self.state = DriverState.DISCONNECTED
        self.message = f"not connected to {name} yet"
        self.connections = 0

    @property
    def current(self) -> Session | None:
        """The session there is now, if any."""
        return self._session

    async def session(self) -> Session:
        """The session; waits for an attempt that is under way, but not for the next one.

        Raises:
            LinkLostError: there is none.
        """
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run(), name=f"supervisor of {self._name}")
        if self._session is None and not self._closed:
            await self._concluded.wait()
        if self._session is None:
            raise LinkLostError(self.message)
        return self._session

    def lose(self, session: Session, reason: str) -> None:
        """Give up on a session that failed."""
        if session is self._session:
            self._session = None
            self.state = DriverState.DISCONNECTED
            self.message = reason
            self._report(reason)
        session.lost.set()

    async def close(self) -> None:
        """Stop, and disconnect."""
        self._closed = True
        self.message = "the connection was closed"
        session, self._session = self._session, None
        self.state = DriverState.DISCONNECTED
        self._concluded.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if session is not None:
            await session.close()

    async def _run(self) -> None:
        """Connect, wait for the loss, begin again."""
        while not self._closed:
            session = await self._attempt()
            self._concluded.set()
            if session is not None:
                await session.lost.wait()
                self.lose(session, f"the connection to {self._name} was lost")
                if session.used:
                    self._backoff.reset()
                await session.close()
            await asyncio.sleep(self._backoff.next_s())
            self._concluded.clear()

    async def _attempt(self) -> Session | None:
        """One attempt to get a session that is ready for use."""
        session: Session | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                session = await self._connect()
                self.state = DriverState.RESOLVE
                await self._find_nodes(session)
        except Exception as error:  # noqa: BLE001 - asyncua's come in every class
            self.state = DriverState.DISCONNECTED
            self.message = describe(error, self._name)
            if session is None and self._hint and _about_certificates(error):
                self.message += f"; {self._hint}"
            self._report(self.message)
            if session is not None:
                await session.close()
            return None
        self._session = session
        self.state = DriverState.OBSERVE
        self.message = ""
        self.connections += 1
        self._report("")
        return session

    def _report(self, reason: str) -> None:
        """Log a loss once, and the recovery once."""
        if reason and not self._reported:
            _log.warning("plant connection lost", plant=self._name, reason=reason)
        elif not reason:
            event = "plant connection restored" if self._reported else "plant connected"
            _log.info(event, plant=self._name)
        self._reported = reason


_WORDLESS = (TimeoutError, AssertionError, ConnectionResetError, ConnectionAbortedError)
"""How asyncua fails when the other side does not like our certificate, or cannot read us."""

_UNREADABLE = frozenset({"BadSecurityChecksFailed", "BadTcpInternalError"})
"""What servers answer then, besides the codes that name the certificate."""


def _about_certificates(error: Exception) -> bool:
    """Whether certificates that do not fit explain why the connection could not be opened."""
    if isinstance(error, ua.UaStatusCodeError):
        name = ua.StatusCode(error.code).name
        return name in _UNREADABLE or name.startswith("BadCertificate")
    return isinstance(error, _WORDLESS)


def describe(error: BaseException, name: str) -> str:
    """Why the plant cannot be reached, in words for people."""
    if isinstance(error, LookupError):
        return f"{name}: {error.args[0] if error.args else error!r}"
    if isinstance(error, TimeoutError):
        return f"{name} gave no answer in time"
    if isinstance(error, AssertionError):
        return f"{name} ended the connection"
    if isinstance(error, ua.UaStatusCodeError):
        code = ua.StatusCode(error.code)
        return f"{name} answered {code.name}: {code.doc}"
    text = str(error) or type(error).__name__
    if isinstance(error, OSError):
        return f"cannot reach {name}: {error.strerror or text}"
    return f"{name}: {text}"
