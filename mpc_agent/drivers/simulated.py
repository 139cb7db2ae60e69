"""The simulated plant in the agent's own process, spoken to through the same tag map."""

from collections.abc import Mapping, Sequence

from mpc_agent.drivers.casting import cast_number, mismatch
from mpc_agent.drivers.link import DriverState, LinkLostError, RawValue, Scalar
from mpc_agent.drivers.nodes import NodeAddress, NodeUse, TagFault, ValueKind
from mpc_agent.drivers.tag_driver import TagDriver
from mpc_agent.drivers.tags import TagMap
from mpc_agent.values import Quality
from sim_plant.plant import SimulatedPlant
from sim_plant.tags import Access, TagValue, WriteStatus

_CODES: Mapping[WriteStatus, str] = {
    WriteStatus.GOOD: "",
    WriteStatus.CLAMPED: "GoodClamped",
    WriteStatus.NOT_WRITABLE: "BadNotWritable",
    WriteStatus.OUT_OF_RANGE: "BadOutOfRange",
    WriteStatus.TYPE_MISMATCH: "BadTypeMismatch",
    WriteStatus.REFUSED: "BadUserAccessDenied",
}
"""What the plant's OPC-UA server would answer."""


_TIME_DIGITS = 6
"""Time stamps count microseconds, as they do over OPC-UA."""


class SimulatedLink:
    """Calls in place of a connection; a node is the tag that its identifier names."""

    run = "in process"
    connection = 1
    settled = True
    clock_offset_s = 0.0

    def __init__(self, plant: SimulatedPlant, tags: TagMap, name: str) -> None:
        """Speak to `plant`, which tells connections apart by `name`."""
        self._plant = plant
        self._tags = tags
        self._name = name
        self._closed = False
        found = {address: self._fault(address, use) for address, use in tags.uses.items()}
        self._faults = {address: fault for address, fault in found.items() if fault is not None}

    def _fault(self, address: NodeAddress, use: NodeUse) -> TagFault | None:
        """What is wrong with a node, if anything."""
        tag = self._plant.table.get(address.name)
        if tag is None:
            return TagFault(use.label, f"the plant has no tag {address.name!r}", missing=True)
        reason = mismatch(use, tag.data_type.value)
        if not reason and use.writable and tag.access is not Access.WRITE:
            reason = "may not be written by this user"
        return TagFault(use.label, f"node {address} {reason}", missing=False) if reason else None

    @property
    def state(self) -> DriverState:
        """OBSERVE until closed."""
        return DriverState.DISCONNECTED if self._closed else DriverState.OBSERVE

    def faults(self) -> Mapping[NodeAddress, TagFault]:
        """Nodes that are not what the configuration says."""
        return self._faults

    def ranges(self) -> Mapping[NodeAddress, tuple[float, float]]:
        """Ranges of written numbers, in the plant's units."""
        found = {}
        for address, use in self._tags.uses.items():
            tag = self._plant.table.get(address.name)
            if not use.writable or use.kind is not ValueKind.NUMBER or tag is None:
                continue
            if tag.low is not None and tag.high is not None:
                found[address] = (tag.low, tag.high)
        return found

    def notices(self) -> tuple[str, ...]:
        """Nothing can be said of a connection that is none."""
        return ()

    def cast(self, address: NodeAddress, value: float) -> float:
        """What a tag will hold when `value` is written; ValueError when it cannot."""
        if address in self._faults:
            raise ValueError(str(self._faults[address]))
        data_type = self._plant.table[address.name].data_type.value
        return cast_number(value, data_type, self.ranges().get(address))

    async def scan(self) -> Mapping[NodeAddress, RawValue]:
        """Read every node of a scan."""
        return await self.fetch(self._tags.scan)

    async def fetch(self, addresses: Sequence[NodeAddress]) -> Mapping[NodeAddress, RawValue]:
        """Read nodes."""
        self._check_open()
        values = self._plant.tags()
        return {
            address: RawValue(None, Quality.BAD, reason=str(self._faults[address]))
            if address in self._faults
            else _raw(values[address.name])
            for address in addresses
        }

    async def send(self, writes: Sequence[tuple[NodeAddress, Scalar]]) -> tuple[str, ...]:
        """Write nodes; per write, "" or why it was refused."""
        self._check_open()
        return tuple(self._write(address, value) for address, value in writes)

    def _write(self, address: NodeAddress, value: Scalar) -> str:
        if address in self._faults:
            return str(self._faults[address])
        if isinstance(value, float):
            try:
                value = self.cast(address, value)
            except ValueError as error:
                return str(error)
        return _CODES[self._plant.write(address.name, value, self._name)]

    def _check_open(self) -> None:
        if self._closed:
            raise LinkLostError("the connection was closed")

    async def close(self) -> None:
        """Say no more."""
        self._closed = True


def _raw(value: TagValue) -> RawValue:
    """A tag's value as a link gives it."""
    quality = Quality(value.quality.value)
    bad = quality is Quality.BAD
    return RawValue(
        None if bad else value.value,
        quality,
        round(value.sampled_at_s, _TIME_DIGITS),
        round(value.entered_at_s, _TIME_DIGITS),
        "" if quality is Quality.GOOD else quality.value,
    )


class SimulatedDriver(TagDriver):
    """The simulated plant in process: same tag map, units and handshake as over OPC-UA."""

    def __init__(self, plant: SimulatedPlant, tags: TagMap, owner: str = "mpc-agent") -> None:
        """Speak to `plant` as `owner`; time is the plant's."""
        super().__init__(
            SimulatedLink(plant, tags, owner), tags, owner=owner, now_s=lambda: plant.time_s
        )
