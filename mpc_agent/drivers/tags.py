"""The tag map ready for use: addresses read, units converted, every name checked."""

from collections.abc import Mapping
from dataclasses import dataclass

from mpc_agent.drivers.nodes import NodeAddress, NodeUse
from mpc_agent.drivers.units import Conversion


@dataclass(frozen=True, slots=True)
class Signal:
    """A number that is read: an online signal, an acting input, an assay, or a booked dose.

    Attributes:
        name: name of the signal or assay, or of the model's input; for a dose, what was given.
        address: where it is.
        conversion: to the model's unit.
        unit: the model's unit.
        max_age_s: older values are stale (online signals only).
        accepts_uncertain: whether a value of uncertain quality may be used (online signals only).
    """

    name: str
    address: NodeAddress
    conversion: Conversion
    unit: str
    max_age_s: float = float("inf")
    accepts_uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A number that is written and read back.

    Attributes:
        name: name of the model's input.
        address: where it is written.
        conversion: from and to the model's unit.
        readback: shows the setpoint that the plant follows; confirms what was written.
        tolerance: largest difference that counts as confirmed, in the tag's unit.
        within_s: how long the plant may take, in wall seconds.
    """

    name: str
    address: NodeAddress
    conversion: Conversion
    readback: NodeAddress
    tolerance: float
    within_s: float


@dataclass(frozen=True, slots=True)
class Handshake:
    """Nodes of permission, lease, sign of life, and the plant's own clock and batch record."""

    remote_enable: NodeAddress | None
    request: NodeAddress | None
    active: NodeAddress | None
    heartbeat: NodeAddress | None
    setpoint_validity: NodeAddress | None
    owner: NodeAddress | None
    watchdog_tripped: NodeAddress | None
    interlock: NodeAddress | None
    clock: NodeAddress | None
    batch_id: NodeAddress | None
    inoculated_at: NodeAddress | None

    @property
    def permits_control(self) -> bool:
        """Whether the plant can be asked for control and can notice a dead agent."""
        return None not in (self.remote_enable, self.request, self.active, self.heartbeat)

    @property
    def control(self) -> tuple[NodeAddress, ...]:
        """What tells who has control now."""
        addresses = (
            self.remote_enable,
            self.request,
            self.active,
            self.owner,
            self.watchdog_tripped,
            self.interlock,
        )
        return tuple(address for address in addresses if address is not None)


@dataclass(frozen=True, slots=True)
class TagMap:
    """Every tag the agent knows.

    Attributes:
        measured: online signals.
        inputs: what acts on the plant.
        setpoints: what the agent writes.
        assays: lab results.
        handshake: permission, lease, sign of life, clock.
        uses: what is expected of each node; the same node may serve several purposes.
        doses: bookings of liquid given or taken; several may be of the same liquid.
    """

    measured: tuple[Signal, ...]
    inputs: tuple[Signal, ...]
    setpoints: tuple[Setpoint, ...]
    assays: tuple[Signal, ...]
    handshake: Handshake
    uses: Mapping[NodeAddress, NodeUse]
    doses: tuple[Signal, ...] = ()

    @property
    def scan(self) -> tuple[NodeAddress, ...]:
        """Every node of one scan of the plant, each once."""
        signals = (*self.measured, *self.inputs, *self.assays, *self.doses)
        addresses = [signal.address for signal in signals]
        addresses += [node for item in self.setpoints for node in (item.address, item.readback)]
        addresses += self.handshake.control
        if self.handshake.clock is not None:
            addresses.append(self.handshake.clock)
        return tuple(dict.fromkeys(addresses))
