"""Setpoints on their way to the plant: fitted, sent at once, every reply judged, read back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mpc_agent.drivers.link import Link, LinkLostError
from mpc_agent.drivers.nodes import NodeAddress
from mpc_agent.drivers.pausing import GrowingPauses
from mpc_agent.drivers.readings import finite
from mpc_agent.drivers.tags import Setpoint, TagMap
from mpc_agent.values import Applied, Setpoints

_ROUNDING = 1e-6
"""Relative difference that single precision and the conversion of units may cause."""


@dataclass(frozen=True, slots=True)
class _Write:
    """One setpoint on its way, in the tag's unit and type."""

    setpoint: Setpoint
    value: float


async def write_setpoints(link: Link, tags: TagMap, setpoints: Setpoints) -> Applied:
    """Send setpoints to a plant that we control.

    Args:
        link: connection to the plant.
        tags: the tag map.
        setpoints: values in model units; their validity goes to the plant first.

    Returns:
        What was confirmed by read-back, and why the rest was not. After a connection lost on the
        way the plant may have taken some: they count as not confirmed.
    """
    writes, refused = _prepare(link, tags, setpoints.values)
    if not writes:
        return Applied(written=False, refused=refused)
    try:
        reason = await _send_validity(link, tags, setpoints)
    except LinkLostError as lost:
        reason = str(lost)
    if reason:
        refused |= {write.setpoint.name: reason for write in writes}
        return Applied(written=False, refused=refused)
    confirmed: Mapping[str, float] = {}
    try:
        accepted, not_accepted = await _send(link, writes)
        confirmed, not_followed = await _read_back(link, accepted)
        refused |= not_accepted | not_followed
    except LinkLostError as lost:
        refused |= {write.setpoint.name: f"not confirmed: {lost}" for write in writes}
    return Applied(written=True, confirmed=confirmed, refused=refused)


def _prepare(
    link: Link, tags: TagMap, values: Mapping[str, float]
) -> tuple[list[_Write], dict[str, str]]:
    """What can be sent, and why the rest cannot."""
    known = {item.name: item for item in tags.setpoints}
    ranges = link.ranges()
    writes, refused = [], {}
    for name, value in values.items():
        if name not in known:
            refused[name] = "no setpoint tag is configured"
        elif not math.isfinite(value):
            refused[name] = f"{value} is not a finite number"
        else:
            try:
                writes.append(_fit(link, known[name], value, ranges))
            except ValueError as error:
                refused[name] = str(error)
    return writes, refused


def _fit(
    link: Link,
    setpoint: Setpoint,
    value: float,
    ranges: Mapping[NodeAddress, tuple[float, float]],
) -> _Write:
    """A value in the tag's unit and type and the plant's range; ValueError when impossible."""
    wanted = setpoint.conversion.to_tag(value)
    # Zero is always asked for: a pump whose range begins above it must be told to stop, too.
    if setpoint.address in ranges and wanted != 0:
        low, high = ranges[setpoint.address]
        slack = _ROUNDING * max(abs(low), abs(high))
        if not low - slack <= wanted <= high + slack:
            raise ValueError(
                f"out of the plant's range: {wanted:g} is not in [{low:g}, {high:g}] "
                "(in the tag's unit)"
            )
        wanted = min(max(wanted, low), high)
    return _Write(setpoint, float(link.cast(setpoint.address, wanted)))


async def _send_validity(link: Link, tags: TagMap, setpoints: Setpoints) -> str:
    """Tell the plant how long the setpoints hold; "" or why it would not hear."""
    address = tags.handshake.setpoint_validity
    if address is None:
        return ""
    validity_s = setpoints.valid_until_s - setpoints.decided_at_s
    (reply,) = await link.send([(address, validity_s)])
    return reply and f"the plant did not accept that setpoints hold for {validity_s:g} s: {reply}"


async def _send(link: Link, writes: list[_Write]) -> tuple[list[_Write], dict[str, str]]:
    """Send all writes at once; those accepted, and the reason for the others."""
    replies = await link.send([(write.setpoint.address, write.value) for write in writes])
    answered = list(zip(writes, replies, strict=True))
    refused = {w.setpoint.name: f"refused by the plant: {reply}" for w, reply in answered if reply}
    return [write for write, reply in answered if not reply], refused


async def _read_back(link: Link, writes: list[_Write]) -> tuple[dict[str, float], dict[str, str]]:
    """Wait until the plant shows what was written, each within its time."""
    confirmed: dict[str, float] = {}
    refused: dict[str, str] = {}
    waiting = writes
    longest_s = max((write.setpoint.within_s for write in writes), default=0.0)
    async for elapsed_s in GrowingPauses(0.0 if link.settled else longest_s):
        raw = await link.fetch([write.setpoint.readback for write in waiting])
        for write in waiting:
            shown = finite(raw[write.setpoint.readback])
            if shown is not None and _confirms(write, shown):
                confirmed[write.setpoint.name] = write.setpoint.conversion.to_model(shown)
            elif link.settled or elapsed_s >= write.setpoint.within_s:
                refused[write.setpoint.name] = _mismatch(write, shown)
        waiting = [w for w in writes if w.setpoint.name not in confirmed | refused]
        if not waiting:
            break
    return confirmed, refused


def _confirms(write: _Write, shown: float) -> bool:
    """Whether what the plant shows is what was written."""
    tolerance = write.setpoint.tolerance + _ROUNDING * abs(write.value)
    return abs(shown - write.value) <= tolerance


def _mismatch(write: _Write, shown: float | None) -> str:
    """Why a read-back confirms nothing."""
    if shown is None:
        return f"not confirmed: {write.setpoint.readback} shows no usable value"
    return f"not following: {write.value:g} was written, {shown:g} is shown (in the tag's unit)"
