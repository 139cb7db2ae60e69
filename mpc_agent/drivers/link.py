"""The narrow door between the agent and a plant: fetch values, send values, say what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mpc_agent.drivers.nodes import NodeAddress, TagFault
from mpc_agent.values import Quality

Scalar = float | bool | int | str | None
"""A value at the door; times are UTC seconds."""


class DriverState(StrEnum):
    """How far the agent has come with the plant."""

    DISCONNECTED = "DISCONNECTED"
    RESOLVE = "RESOLVE"
    OBSERVE = "OBSERVE"
    REQUEST = "REQUEST"
    CONTROL = "CONTROL"


@dataclass(frozen=True, slots=True)
class RawValue:
    """One value as the plant gave it, in the plant's unit.

    Attributes:
        value: the value; None when there is none, as always with BAD quality.
        quality: what the plant says of it.
        source_s: when it was measured (or a sample drawn); None when the plant does not say.
        server_s: when the plant's server got it (or a result was entered).
        reason: why the quality is not GOOD.
    """

    value: Scalar
    quality: Quality
    source_s: float | None = None
    server_s: float | None = None
    reason: str = ""


class LinkLostError(Exception):
    """The plant cannot be heard now; the text says why, in words for people."""


class Link(Protocol):
    """A connection to a plant that looks after itself."""

    @property
    def state(self) -> DriverState:
        """DISCONNECTED, RESOLVE, or OBSERVE once values can be fetched."""
        ...

    @property
    def run(self) -> str:
        """Names this run of the plant's server; another value means that it was restarted."""
        ...

    @property
    def connection(self) -> int:
        """Counts connections: the plant may tie a lease to the connection that took it."""
        ...

    @property
    def settled(self) -> bool:
        """Whether a reply needs no waiting: nothing changes at the plant while the agent waits."""
        ...

    @property
    def clock_offset_s(self) -> float:
        """By how much the plant's time stamps run ahead of the agent's clock."""
        ...

    def faults(self) -> Mapping[NodeAddress, TagFault]:
        """Nodes that are not what the configuration says."""
        ...

    def ranges(self) -> Mapping[NodeAddress, tuple[float, float]]:
        """The plant's own ranges of written nodes, in the plant's units."""
        ...

    def notices(self) -> tuple[str, ...]:
        """What else people should know of the connection."""
        ...

    def cast(self, address: NodeAddress, value: float) -> float:
        """What a node will hold when `value` is written; ValueError when it cannot."""
        ...

    async def scan(self) -> Mapping[NodeAddress, RawValue]:
        """Read every node of a scan, and whatever the link itself needs to know now and then.

        Raises:
            LinkLostError: the plant is out of reach.
        """
        ...

    async def fetch(self, addresses: Sequence[NodeAddress]) -> Mapping[NodeAddress, RawValue]:
        """Read a few nodes; every address is in the answer.

        Raises:
            LinkLostError: the plant is out of reach.
        """
        ...

    async def send(self, writes: Sequence[tuple[NodeAddress, Scalar]]) -> tuple[str, ...]:
        """Write nodes at once; per write, "" or why it was refused.

        Raises:
            LinkLostError: the plant is out of reach; the writes may have arrived.
        """
        ...

    async def close(self) -> None:
        """Disconnect, bounded in time."""
        ...
