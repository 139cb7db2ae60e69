"""A bioreactor behind an OPC-UA server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from mpc_agent.clock import stopwatch
from mpc_agent.drivers.casting import cast_number
from mpc_agent.drivers.library_log import quiet_library
from mpc_agent.drivers.link import DriverState, LinkLostError, RawValue, Scalar
from mpc_agent.drivers.nodes import NodeAddress, TagFault
from mpc_agent.drivers.opcua_security import load_credentials
from mpc_agent.drivers.opcua_session import Session, open_session
from mpc_agent.drivers.supervisor import Backoff, Supervisor, describe
from mpc_agent.drivers.tag_driver import TagDriver
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.drivers.tags import TagMap
from mpc_agent.errors import ExitCode, UserError

_T = TypeVar("_T")

_OFFSET_STEP_S = 2.0
"""Clock differences below this are noise: servers update their clock about once a second."""


_CERTIFICATE_HINT = (
    "if it is running: is security.server_certificate its certificate, "
    "and does it trust security.certificate?"
)


class OpcuaLink:
    """The OPC-UA side of the driver: reads on demand, over whatever session there is now.

    States DISCONNECTED, RESOLVE and OBSERVE are the supervisor's; REQUEST and CONTROL are the
    handshake's, and live in `RemoteControl`.
    """

    settled = False

    def __init__(
        self,
        settings: OpcuaSettings,
        tags: TagMap,
        now_s: Callable[[], float] | None,
        seed: int | None = None,
    ) -> None:
        """Prepare; the first read connects.

        Args:
            settings: endpoint, security, timeouts.
            tags: the tag map.
            now_s: the agent's clock, against which the server's is compared; None to not compare.
            seed: of the pauses between attempts to connect.
        """
        credentials = load_credentials(settings.security)
        timeouts = settings.timeouts
        self._settings = settings
        self._tags = tags
        self._now_s = now_s
        self._limit_s = timeouts.scan_s
        self._run = ""
        self.clock_offset_s = 0.0
        self._ranges: Mapping[NodeAddress, tuple[float, float]] = {}
        self._supervisor = Supervisor(
            settings.endpoint,
            connect=lambda: open_session(settings, credentials, tags.uses),
            find_nodes=lambda session: session.find_nodes(settings.namespaces),
            connect_s=timeouts.connect_s,
            backoff=Backoff(timeouts.reconnect_first_s, timeouts.reconnect_max_s, seed),
            hint="" if settings.security.policy == "None" else _CERTIFICATE_HINT,
        )

    @property
    def state(self) -> DriverState:
        """DISCONNECTED, RESOLVE or OBSERVE."""
        return self._supervisor.state

    @property
    def run(self) -> str:
        """Names this run of the server."""
        return self._run

    @property
    def connection(self) -> int:
        """Counts connections."""
        return self._supervisor.connections

    def faults(self) -> Mapping[NodeAddress, TagFault]:
        """Nodes that are not what the configuration says."""
        session = self._supervisor.current
        return {} if session is None else session.faults

    def ranges(self) -> Mapping[NodeAddress, tuple[float, float]]:
        """The server's EURange of written nodes, as of the latest scan."""
        return self._ranges

    def notices(self) -> tuple[str, ...]:
        """A clock that differs too much."""
        if abs(self.clock_offset_s) < self._settings.clock_offset_alarm_s:
            return ()
        word = "ahead of" if self.clock_offset_s > 0 else "behind"
        return (f"the server's clock is {abs(self.clock_offset_s):.0f} s {word} ours",)

    def cast(self, address: NodeAddress, value: float) -> float:
        """What a node will hold when `value` is written; ValueError when it cannot."""
        session = self._supervisor.current
        if session is None:
            raise ValueError(f"not connected: {self._supervisor.message}")
        try:
            data_type = session.data_type(address)
        except KeyError:
            raise ValueError(str(session.faults.get(address, address))) from None
        return cast_number(value, data_type, self._ranges.get(address))

    async def scan(self) -> Mapping[NodeAddress, RawValue]:
        """Read every node of a scan, the ranges of written nodes, and the server's clock."""

        async def scan(session: Session) -> Mapping[NodeAddress, RawValue]:
            before_s, took = self._now_s and self._now_s(), stopwatch()
            result = await session.scan(self._tags.scan)
            self._ranges = dict(session.ranges)
            if before_s is not None and result.server_time_s is not None:
                self._compare_clocks(result.server_time_s - (before_s + took.elapsed_s / 2))
            return result.values

        return await self._use(scan)

    def _compare_clocks(self, offset_s: float) -> None:
        """Follow a difference of the clocks in steps, so that noise moves no time stamp."""
        if abs(offset_s - self.clock_offset_s) > _OFFSET_STEP_S:
            self.clock_offset_s = offset_s if abs(offset_s) > _OFFSET_STEP_S else 0.0

    async def fetch(self, addresses: Sequence[NodeAddress]) -> Mapping[NodeAddress, RawValue]:
        """Read a few nodes."""
        return await self._use(lambda session: session.fetch(addresses))

    async def send(self, writes: Sequence[tuple[NodeAddress, Scalar]]) -> tuple[str, ...]:
        """Write nodes at once; per write, "" or why it was refused."""
        return await self._use(lambda session: session.send(writes))

    async def _use(self, action: Callable[[Session], Awaitable[_T]]) -> _T:
        """Do something with the session; a failure of any kind ends it."""
        try:
            async with asyncio.timeout(self._limit_s):
                session = await self._supervisor.session()
        except TimeoutError:
            raise LinkLostError(self._supervisor.message) from None
        self._run = session.run
        try:
            async with asyncio.timeout(self._limit_s):
                return await action(session)
        except Exception as error:
            reason = describe(error, self._settings.endpoint)
            self._supervisor.lose(session, reason)
            raise LinkLostError(reason) from error

    async def close(self) -> None:
        """Disconnect, bounded in time."""
        await self._supervisor.close()


class OpcuaDriver(TagDriver):
    """A bioreactor behind an OPC-UA server; connects at the first read, and again after losses."""

    def __init__(
        self,
        settings: OpcuaSettings,
        tags: TagMap,
        now_s: Callable[[], float] | None,
        seed: int | None = None,
    ) -> None:
        """Prepare; nothing is connected yet, but every file is read.

        Args:
            settings: endpoint, security, timeouts.
            tags: the tag map.
            now_s: reads the agent's clock (`WallClock.read_s`); None when the agent follows the
                plant's clock, which then needs a tag.
            seed: of the pauses between attempts to connect; None for a different one each time.

        Raises:
            UserError: a certificate or password file is missing or wrong, or the plant's clock is
                to be followed and has no tag.
        """
        if now_s is None and tags.handshake.clock is None:
            raise UserError(
                "clock.kind is plant, but tags.handshake.clock names no clock", ExitCode.CONFIG
            )
        quiet_library()
        super().__init__(
            OpcuaLink(settings, tags, now_s, seed),
            tags,
            owner=settings.owner or f"mpc-agent@{socket.gethostname()}",
            now_s=now_s,
            grant_s=settings.timeouts.grant_s,
            close_s=settings.timeouts.close_s,
        )
