"""The driver: one scan, guarded writes with read-back, and the handshake, over any link."""

import asyncio
from collections.abc import Callable, Mapping

from mpc_agent.drivers.link import DriverState, Link, LinkLostError
from mpc_agent.drivers.nodes import NodeAddress
from mpc_agent.drivers.readings import finite, make_readings
from mpc_agent.drivers.remote import PlantControl, RemoteControl
from mpc_agent.drivers.tags import TagMap
from mpc_agent.drivers.writing import write_setpoints
from mpc_agent.values import Applied, PlantStatus, Quality, Readings, Setpoints


class TagDriver:
    """A plant described by a tag map, behind any link. Implements the Driver protocol."""

    def __init__(
        self,
        link: Link,
        tags: TagMap,
        owner: str,
        now_s: Callable[[], float] | None,
        grant_s: float = 2.0,
        close_s: float = 2.0,
    ) -> None:
        """Put the parts together.

        Args:
            link: the connection to the plant.
            tags: the tag map.
            owner: name under which the lease is held.
            now_s: reads the agent's clock; None when the agent follows the plant's clock tag.
            grant_s: how long the plant may take to grant control, wall seconds.
            close_s: how long giving control up at the end may take, wall seconds.
        """
        self.tags = tags
        self._link = link
        self._now_s = now_s
        self._close_s = close_s
        self._remote = RemoteControl(link, tags, owner, grant_s)
        self._plant_time_s: float | None = None
        self._closing = False

    @property
    def state(self) -> DriverState:
        """How far the agent has come with the plant."""
        return self._remote.state if self._link.state is DriverState.OBSERVE else self._link.state

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """The plant's own setpoint ranges in model units by input name; empty until known."""
        ranges = self._link.ranges()
        found = {}
        for item in self.tags.setpoints:
            if item.address in ranges:
                low, high = map(item.conversion.to_model, ranges[item.address])
                found[item.name] = (min(low, high), max(low, high))
        return found

    # ------------------------------------------------------------------ reading

    async def read(self) -> Readings:
        """One scan. When the plant cannot be heard: `connected=False` and every quality BAD."""
        try:
            raw = await self._link.scan()
        except LinkLostError as lost:
            status = PlantStatus(
                connected=False,
                remote_enabled=False,
                remote_active=False,
                watchdog_tripped=False,
                message=str(lost),
            )
            return make_readings(self.tags, {}, self._time_s(), 0.0, status)
        clock = self.tags.handshake.clock
        if clock is not None and (plant_time_s := finite(raw[clock])) is not None:
            self._plant_time_s = plant_time_s
        status = self._status(self._remote.observe(raw))
        return make_readings(self.tags, raw, self._time_s(), self._link.clock_offset_s, status)

    def _time_s(self) -> float:
        """The agent's time; by the plant's clock, the latest known."""
        if self._now_s is not None:
            return self._now_s()
        return 0.0 if self._plant_time_s is None else self._plant_time_s

    def _status(self, control: PlantControl) -> PlantStatus:
        """The plant's word on control, and everything people should know."""
        remote = self._remote
        faults = [str(fault) for fault in self._link.faults().values()]
        sentences = [text for text in faults if text not in remote.message]
        sentences += self._link.notices()
        sentences += [text for text in (remote.conflict, remote.message, remote.unheard) if text]
        if control.interlock:
            sentences.append(f"interlock: {control.interlock}")
        return PlantStatus(
            connected=True,
            remote_enabled=control.enabled,
            remote_active=self._remote.state is DriverState.CONTROL,
            watchdog_tripped=control.tripped,
            message="; ".join(dict.fromkeys(sentences)),
        )

    async def plant_time_s(self) -> float | None:
        """The plant's clock, UTC seconds; None when there is none or it cannot be read."""
        plant_time_s = await self._time_at(self.tags.handshake.clock)
        if plant_time_s is not None:
            self._plant_time_s = plant_time_s
        return plant_time_s

    async def inoculated_at_s(self) -> float | None:
        """When the plant says the batch was inoculated, UTC seconds; None when it does not."""
        return await self._time_at(self.tags.handshake.inoculated_at)

    async def _time_at(self, address: NodeAddress | None) -> float | None:
        """A time of good quality, or None."""
        if address is None:
            return None
        try:
            raw = (await self._link.fetch([address]))[address]
        except LinkLostError:
            return None
        return finite(raw) if raw.quality is Quality.GOOD else None

    # ------------------------------------------------------------------ writing

    async def write(self, setpoints: Setpoints) -> Applied:
        """Write setpoints while control is held, and read them back.

        Nothing is kept for later: what cannot be written now is refused, with the reason.
        """
        try:
            reason = "the agent is closing" if self._closing else await self._remote.why_not_write()
        except LinkLostError as lost:
            reason = f"not connected: {lost}"
        if reason:
            return Applied(written=False, refused=dict.fromkeys(setpoints.values, reason))
        return await write_setpoints(self._link, self.tags, setpoints)

    async def request(self, control: bool) -> None:
        """Ask the plant for remote control, or give it up. The next scan tells what came of it."""
        if self._closing:
            return
        try:
            await (self._remote.ask() if control else self._remote.give_up())
        except LinkLostError as lost:
            self._remote.message = f"control not {'asked for' if control else 'given up'}: {lost}"

    async def beat(self, count: int) -> None:
        """Show life. Called only when a cycle really finished."""
        if self._closing:
            return
        try:
            await self._remote.beat(count)
        except LinkLostError:
            # The plant misses one beat; the next scan says why.
            return

    async def close(self) -> None:
        """Give control up, so that the plant knows, and disconnect; bounded in time."""
        self._closing = True
        if self._link.state is DriverState.OBSERVE:
            try:
                async with asyncio.timeout(self._close_s):
                    await self._remote.give_up()
            except (TimeoutError, LinkLostError):
                # The heartbeat has stopped: the plant's watchdog takes control back.
                pass
        await self._link.close()
