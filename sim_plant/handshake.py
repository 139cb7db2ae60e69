"""Who controls: permission, request, heartbeat, lease and watchdog as one small pure machine.

A remote controller becomes active by an edge of its request while the operator permits it. It
stays active while its heartbeat changes, its setpoints have not expired, its request stands and the
operator agrees. Whatever ends it, only a new edge brings it back; after the operator took control,
only an edge that comes after the operator gave the permission again.

One connection at a time holds the lease. It is taken by writing the owner's name, and kept by
signs of life. While it lives, writes of other connections are refused, except that the same owner
may come back over a new connection.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """How long signs of life last, seconds: the watchdog's time and the lease's."""

    watchdog_s: float
    lease_s: float


@dataclass(frozen=True, slots=True)
class Handshake:
    """State of the handshake.

    Attributes:
        remote_enabled: the operator permits remote control.
        request: what the controller last wrote.
        active: remote setpoints are followed.
        tripped: remote control ended by itself, for lack of a sign of life.
        heartbeat: last heartbeat.
        heartbeat_at_s: when it last changed, or control began.
        validity_s: how long setpoints are followed after the last sign of life.
        expires_at_s: when they expire.
        owner: name of the lease's owner, empty when there is none.
        holder: connection that holds the lease.
        owner_seen_at_s: last sign of life of the owner.
    """

    validity_s: float
    remote_enabled: bool = True
    request: bool = False
    active: bool = False
    tripped: bool = False
    heartbeat: int = 0
    heartbeat_at_s: float = 0.0
    expires_at_s: float = 0.0
    owner: str = ""
    holder: str = ""
    owner_seen_at_s: float = 0.0


def permit(state: Handshake) -> Handshake:
    """The operator permits remote control; nothing more happens by itself."""
    return replace(state, remote_enabled=True)


def withdraw(state: Handshake) -> Handshake:
    """The operator takes control."""
    return replace(state, remote_enabled=False, active=False)


def requested(state: Handshake, wanted: bool, now_s: float) -> Handshake:
    """The controller wrote its request: False ends control, a permitted rising edge begins it."""
    edge = wanted and not state.request
    state = replace(state, request=wanted, owner_seen_at_s=now_s)
    if not wanted:
        return replace(state, active=False)
    if not (edge and state.remote_enabled):
        return state
    return replace(
        state,
        active=True,
        tripped=False,
        heartbeat_at_s=now_s,
        expires_at_s=now_s + state.validity_s,
    )


def beaten(state: Handshake, count: int, now_s: float) -> Handshake:
    """The controller wrote its heartbeat; only a change is a sign of life."""
    if count == state.heartbeat:
        return state
    return replace(
        state,
        heartbeat=count,
        heartbeat_at_s=now_s,
        expires_at_s=now_s + state.validity_s,
        owner_seen_at_s=now_s,
    )


def renewed(state: Handshake, now_s: float) -> Handshake:
    """The controller wrote a setpoint: all of them are valid from now."""
    return replace(state, expires_at_s=now_s + state.validity_s, owner_seen_at_s=now_s)


def bounded(state: Handshake, validity_s: float, now_s: float) -> Handshake:
    """The controller wrote how long setpoints are valid."""
    return renewed(replace(state, validity_s=validity_s), now_s)


def owned(state: Handshake, name: str, connection: str, now_s: float) -> Handshake:
    """A connection that may do so wrote the owner's name; an empty one gives everything back."""
    if not name:
        return replace(state, owner="", holder="", active=False)
    return replace(state, owner=name, holder=connection, owner_seen_at_s=now_s)


def may_write(state: Handshake, connection: str) -> bool:
    """Whether the lease leaves this connection room to write."""
    return not state.owner or connection == state.holder


def may_own(state: Handshake, name: str, connection: str) -> bool:
    """Whether this connection may write this owner's name; only the holder may give it back."""
    if not state.owner or name == state.owner:
        return True
    return not name and connection == state.holder


def elapsed(state: Handshake, limits: Limits, now_s: float) -> Handshake:
    """What the passing of time alone does: the watchdog trips, the lease runs out."""
    lease_over = bool(state.owner) and now_s - state.owner_seen_at_s > limits.lease_s
    silent = now_s - state.heartbeat_at_s > limits.watchdog_s or now_s > state.expires_at_s
    if state.active and (silent or lease_over):
        state = replace(state, active=False, tripped=True)
    return replace(state, owner="", holder="") if lease_over else state
