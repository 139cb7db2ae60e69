"""The agent's side of the handshake: permission, request, lease and sign of life."""

from collections.abc import Mapping
from dataclasses import dataclass

from mpc_agent.drivers.link import DriverState, Link, RawValue
from mpc_agent.drivers.nodes import NodeAddress
from mpc_agent.drivers.pausing import GrowingPauses
from mpc_agent.drivers.tags import Handshake, TagMap
from mpc_agent.values import Quality

RawValues = Mapping[NodeAddress, RawValue]


@dataclass(frozen=True, slots=True)
class PlantControl:
    """What the plant says about control.

    Attributes:
        enabled: the operator permits remote control.
        requested: a request stands.
        active: remote setpoints are followed, whoever wrote them.
        owner: holder of the lease; empty when nobody holds it or the plant keeps none.
        tripped: the control unit gave up on an agent.
        interlock: text of an interlock, empty when none acts.
    """

    enabled: bool
    requested: bool
    active: bool
    owner: str
    tripped: bool
    interlock: str


def plant_control(tags: Handshake, raw: RawValues) -> PlantControl:
    """Read the handshake out of a scan; what cannot be read counts against control."""

    def flag(address: NodeAddress | None) -> bool:
        return address is not None and _good(raw.get(address)) is True

    def text(address: NodeAddress | None) -> str:
        value = None if address is None else _good(raw.get(address))
        return value if isinstance(value, str) else ""

    return PlantControl(
        enabled=flag(tags.remote_enable),
        requested=flag(tags.request),
        active=flag(tags.active),
        owner=text(tags.owner),
        tripped=flag(tags.watchdog_tripped),
        interlock=text(tags.interlock),
    )


def _good(raw: RawValue | None) -> object:
    """The value when its quality is good."""
    return raw.value if raw is not None and raw.quality is Quality.GOOD else None


class RemoteControl:
    """Remembers what we asked for, and compares it with what the plant says.

    Control is held while we asked for it, the plant says that it follows remote setpoints, and the
    lease is ours. When the plant takes it back, our request lapses: it takes a new one.

    Attributes:
        message: why we are not in control although we asked, in words; empty otherwise.
        unheard: why the plant does not take our heartbeat; empty otherwise.
    """

    def __init__(self, link: Link, tags: TagMap, owner: str, grant_s: float) -> None:
        """Speak over `link` as `owner`; the plant may take `grant_s` wall seconds to grant."""
        self._link = link
        self._tags = tags
        self._handshake = tags.handshake
        self._owner = owner
        self._grant_s = grant_s
        self._asked = False
        self._held = False
        self._run = ""
        self._other = ""
        self._lease_connection = -1
        self.message = ""
        self.unheard = ""

    @property
    def state(self) -> DriverState:
        """OBSERVE, REQUEST or CONTROL."""
        if self._held:
            return DriverState.CONTROL
        return DriverState.REQUEST if self._asked else DriverState.OBSERVE

    # ------------------------------------------------------------------ listening

    def observe(self, raw: RawValues) -> PlantControl:
        """Take in what the plant says in a scan."""
        control = plant_control(self._handshake, raw)
        if self._link.run != self._run:
            # A restarted server knows nothing of our request.
            self._asked = self._held = False
            self._run, self._lease_connection = self._link.run, -1
        if control.owner != self._owner:
            self._lease_connection = -1
        ours = control.active and self._ours(control)
        if self._held and not ours:
            self._asked = False
        self._held = self._asked and ours
        if self._held:
            self.message = ""
        others = control.active and control.owner not in ("", self._owner)
        self._other = control.owner if others and self._handshake.owner is not None else ""
        return control

    def _ours(self, control: PlantControl) -> bool:
        """Whether the lease is ours; true at a plant that keeps none."""
        return self._handshake.owner is None or control.owner == self._owner

    @property
    def conflict(self) -> str:
        """A sentence when another agent has control, else empty."""
        return self._other and f"another agent, {self._other!r}, has control"

    def impossible(self) -> str:
        """What about the tags makes control impossible, else empty."""
        if not self._handshake.permits_control:
            return "tags.handshake lacks remote_enable, request, active or heartbeat"
        told = (self._handshake.remote_enable, self._handshake.active)
        faults = [
            str(fault)
            for address, fault in self._link.faults().items()
            if not fault.missing or self._tags.uses[address].writable or address in told
        ]
        return "; ".join(faults)

    async def why_not_write(self) -> str:
        """Look at the handshake once more, right before writing; "" when we may.

        Raises:
            LinkLostError: the plant is out of reach.
        """
        control = self.observe(await self._link.fetch(self._handshake.control))
        if impossible := self.impossible():
            return impossible
        if self._held:
            return await self._renew_lease()
        if self.conflict:
            return self.conflict
        return "remote control is not active" if control.enabled else _NOT_PERMITTED

    async def _renew_lease(self) -> str:
        """Tell the plant our name over a new connection; "" or why it would not hear."""
        owner, connection = self._handshake.owner, self._link.connection
        if owner is None or self._lease_connection == connection:
            return ""
        (reply,) = await self._link.send([(owner, self._owner)])
        if reply:
            return f"the plant refused the lease to {self._owner!r}: {reply}"
        self._lease_connection = connection
        return ""

    # ------------------------------------------------------------------ speaking

    async def ask(self) -> None:
        """Take the lease and raise a request edge; `message` says why when that fails.

        Raises:
            LinkLostError: the plant is out of reach.
        """
        self.message = await self._ask()

    async def _ask(self) -> str:
        control = self.observe(await self._link.fetch(self._handshake.control))
        if reason := self._why_not_ask(control):
            return reason
        if reason := await self._renew_lease():
            return reason
        self._asked = True
        leased = self._handshake.owner is not None and control.active and self._ours(control)
        if leased or self.state is DriverState.CONTROL:
            # Control is held, or our lease has outlived a lost connection or a restart of the
            # agent. A new edge would take a plant without lease through a moment of no control.
            self._held = True
            return ""
        if reason := await self._raise_edge(control):
            self._asked = False
            return reason
        async for _ in GrowingPauses(0.0 if self._link.settled else self._grant_s):
            self.observe(await self._link.fetch(self._handshake.control))
            if self._held:
                return ""
        return "the plant has not granted control yet"

    def _why_not_ask(self, control: PlantControl) -> str:
        """Why asking is pointless now, else empty."""
        if impossible := self.impossible():
            return f"control is not possible: {impossible}"
        return self.conflict if control.enabled else _NOT_PERMITTED

    async def _raise_edge(self, control: PlantControl) -> str:
        """Let the request rise; "" or why the plant refused."""
        request = self._handshake.request
        if request is None:
            return "there is no request tag"
        for value in (False, True) if control.requested else (True,):
            (reply,) = await self._link.send([(request, value)])
            if reply:
                return f"the plant refused the request for control: {reply}"
        return ""

    async def give_up(self) -> None:
        """Withdraw the request and return the lease, if they are ours.

        Raises:
            LinkLostError: the plant is out of reach; its watchdog will notice.
        """
        asked, self._asked, self._held, self.message = self._asked, False, False, ""
        request, owner = self._handshake.request, self._handshake.owner
        if request is None:
            return
        control = self.observe(await self._link.fetch(self._handshake.control))
        ours = asked if owner is None else self._ours(control)
        if not ours:
            return
        await self._renew_lease()
        await self._link.send([(request, False)])
        if owner is not None:
            await self._link.send([(owner, "")])
            self._lease_connection = -1

    async def beat(self, count: int) -> None:
        """Show life, but not while another agent has control: it would hide that one's death.

        Raises:
            LinkLostError: the plant is out of reach.
        """
        if self._handshake.heartbeat is not None and not self._other:
            if self._asked:
                await self._renew_lease()
            (reply,) = await self._link.send([(self._handshake.heartbeat, count % 2**32)])
            self.unheard = reply and f"the plant refused the heartbeat: {reply}"


_NOT_PERMITTED = "the operator does not permit remote control"
