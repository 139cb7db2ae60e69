from dataclasses import replace

import pytest

from sim_plant.handshake import (
    Handshake,
    Limits,
    beaten,
    bounded,
    elapsed,
    may_own,
    may_write,
    owned,
    permit,
    renewed,
    requested,
    withdraw,
)

LIMITS = Limits(watchdog_s=1800.0, lease_s=1800.0)
IDLE = Handshake(validity_s=1800.0)
ACTIVE = replace(
    IDLE,
    request=True,
    active=True,
    heartbeat=5,
    heartbeat_at_s=1000.0,
    expires_at_s=2800.0,
    owner="agent",
    holder="c1",
    owner_seen_at_s=1000.0,
)
TRIPPED = replace(ACTIVE, active=False, tripped=True)
LOCAL = replace(ACTIVE, active=False, remote_enabled=False)


@pytest.mark.parametrize(
    ("state", "wanted", "active", "tripped"),
    [
        (IDLE, True, True, False),
        (IDLE, False, False, False),
        (ACTIVE, True, True, False),  # no edge, nothing new
        (ACTIVE, False, False, False),
        (TRIPPED, True, False, True),  # the request still stands: no edge
        (TRIPPED, False, False, True),
        (replace(TRIPPED, request=False), True, True, False),  # a new edge re-arms
        (replace(LOCAL, request=False), True, False, False),  # not permitted
        (permit(LOCAL), True, False, False),  # permitted again, but no new edge
        (permit(replace(LOCAL, request=False)), True, True, False),
    ],
)
def test_requests(state: Handshake, wanted: bool, active: bool, tripped: bool) -> None:
    after = requested(state, wanted, 5000.0)
    assert (after.request, after.active, after.tripped) == (wanted, active, tripped)
    if active and not state.active:
        assert after.heartbeat_at_s == 5000.0
        assert after.expires_at_s == 6800.0


def test_an_edge_made_while_not_permitted_is_lost() -> None:
    state = requested(replace(LOCAL, request=False), True, 5000.0)
    assert not permit(state).active
    assert not requested(permit(state), True, 5010.0).active


@pytest.mark.parametrize("state", [IDLE, ACTIVE, TRIPPED, LOCAL])
def test_the_operator_wins_at_once(state: Handshake) -> None:
    after = withdraw(state)
    assert not after.active
    assert not after.remote_enabled
    assert not permit(after).active


@pytest.mark.parametrize(
    ("now_s", "state", "active", "tripped", "owner"),
    [
        (2800.0, ACTIVE, True, False, "agent"),
        (2810.0, ACTIVE, False, True, ""),
        (2810.0, replace(ACTIVE, owner_seen_at_s=2000.0), False, True, "agent"),
        (1700.0, replace(ACTIVE, expires_at_s=1690.0), False, True, "agent"),  # setpoints expired
        (2810.0, replace(ACTIVE, expires_at_s=9e9, heartbeat_at_s=2000.0), False, True, ""),
        (9e9, IDLE, False, False, ""),
        (9e9, TRIPPED, False, True, ""),
        (9e9, LOCAL, False, False, ""),
    ],
)
def test_time_alone(
    now_s: float, state: Handshake, active: bool, tripped: bool, owner: str
) -> None:
    after = elapsed(state, LIMITS, now_s)
    assert (after.active, after.tripped, after.owner) == (active, tripped, owner)


def test_only_a_changed_heartbeat_is_a_sign_of_life() -> None:
    assert beaten(ACTIVE, 5, 2000.0) is ACTIVE
    after = beaten(ACTIVE, 4, 2000.0)
    assert (after.heartbeat, after.heartbeat_at_s, after.expires_at_s) == (4, 2000.0, 3800.0)


def test_a_setpoint_renews_validity_but_not_the_watchdog() -> None:
    after = renewed(ACTIVE, 2000.0)
    assert (after.expires_at_s, after.heartbeat_at_s) == (3800.0, 1000.0)
    assert bounded(ACTIVE, 600.0, 2000.0).expires_at_s == 2600.0


@pytest.mark.parametrize(
    ("name", "connection", "may"),
    [
        ("agent", "c1", True),
        ("agent", "c2", True),  # the same controller over a new connection
        ("other", "c2", False),
        ("other", "c1", False),  # give it back first
        ("", "c1", True),
        ("", "c2", False),
    ],
)
def test_a_living_lease_belongs_to_its_owner(name: str, connection: str, may: bool) -> None:
    assert may_own(ACTIVE, name, connection) is may
    assert may_own(IDLE, name, connection)


def test_the_lease_moves_with_its_owner_and_ends_with_the_empty_name() -> None:
    moved = owned(ACTIVE, "agent", "c2", 2000.0)
    assert not may_write(moved, "c1")
    assert may_write(moved, "c2")
    released = owned(ACTIVE, "", "c1", 2000.0)
    assert not released.active
    assert may_write(released, "c2")
