"""The mode machine: the actual mode is a function of the target mode and of the flags.

The worst flag wins. `next_state` carries the flags from cycle to cycle: graces, latches, and the
handshake by which control is asked for and given up. Nothing else decides about modes.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from mpc_agent.safety.flags import TABLE, Clears, Conditions, Flag, ModeState
from mpc_agent.safety.settings import SafetySettings
from mpc_agent.values import Event, Mode, Severity

RANK: Mapping[Mode, int] = {Mode.OFF: 0, Mode.SHADOW: 1, Mode.ADVISE: 2, Mode.CONTROL: 3}
"""Modes in the order of what they dare."""

ENDED_BY_REQUEST = frozenset({Flag.WATCHDOG_TRIPPED, Flag.REMOTE_INACTIVE})
"""Flags that do not keep the agent from asking for control, because asking is what ends them."""


def actual_mode(target: Mode, flags: Collection[Flag]) -> Mode:
    """The lowest of the target and of what each raised flag allows."""
    return min((target, *(TABLE[flag].allows for flag in flags)), key=RANK.__getitem__)


def worst_flag(flags: Collection[Flag]) -> Flag | None:
    """The flag to tell first: the one that allows least, then in the order of `Flag`."""
    raised = [flag for flag in Flag if flag in flags]
    return min(raised, key=lambda flag: RANK[TABLE[flag].allows], default=None)


def next_flags(
    previous: Collection[Flag], present: Collection[Flag], acts: Collection[Clears]
) -> tuple[Flag, ...]:
    """Flags after a cycle.

    Args:
        previous: flags raised before.
        present: flags whose condition holds now, their grace over.
        acts: what happened that can take a latched flag away.

    Returns:
        Raised flags in the order of `Flag`: every present one, and every previous one that is
        latched and was not taken away.
    """
    gone = {Clears.WITH_CONDITION, *acts}
    return tuple(
        flag
        for flag in Flag
        if flag in present or (flag in previous and TABLE[flag].clears not in gone)
    )


def next_state(
    state: ModeState, target: Mode, conditions: Conditions, settings: SafetySettings
) -> ModeState:
    """The mode machine's state after another cycle.

    Args:
        state: the state before.
        target: mode asked for by people now.
        conditions: facts of this cycle.
        settings: graces.
    """
    since_s = _since(state, conditions)
    present = [
        flag
        for flag, start_s in since_s.items()
        if conditions.now_s - start_s >= TABLE[flag].grace_s(settings)
    ]
    flags = next_flags(state.flags, present, _acts(state, conditions))
    # A grace is for keeping a mode, not for taking one.
    entered = flags if state.actual is Mode.CONTROL else (*flags, *since_s)
    status, heard = conditions.status, conditions.status.connected
    return ModeState(
        target=target,
        actual=max(
            actual_mode(target, entered),
            min(actual_mode(target, flags), state.actual, key=RANK.__getitem__),
            key=RANK.__getitem__,
        ),
        flags=flags,
        since_s=since_s,
        requested=_requested(state, target, entered) if heard else _still_requested(state, target),
        remote_enabled=status.remote_enabled if heard else state.remote_enabled,
        remote_active=status.remote_active if heard else state.remote_active,
    )


def released(state: ModeState) -> ModeState:
    """The state after the agent gave control up by itself, as it does when it is shut down.

    It is also what a start begins with, because whoever starts has asked for nothing yet. A state
    that keeps an old request takes a plant that meanwhile left remote control for taken over.
    """
    return replace(state, requested=False, remote_active=False)


def transitions(before: ModeState, after: ModeState) -> tuple[Event, ...]:
    """What changed, for the record and for people."""
    events = [
        Event(flag.value, TABLE[flag].severity, f"{_sentence(flag)} {TABLE[flag].advice}")
        for flag in after.flags
        if flag not in before.flags
    ]
    events += [
        Event(f"{flag}_CLEARED", Severity.EVENT, f"No longer: {TABLE[flag].raised}.")
        for flag in before.flags
        if flag not in after.flags
    ]
    if before.actual is not after.actual:
        worst = worst_flag(after.flags)
        why = f" because of {worst}" if worst and after.actual is not after.target else ""
        text = f"Mode {before.actual} -> {after.actual}{why}; target {after.target}."
        events.append(Event("MODE_CHANGED", Severity.EVENT, text))
    return tuple(events)


def _since(state: ModeState, conditions: Conditions) -> dict[Flag, float]:
    """When each condition that holds now began to; a clock set back starts its grace anew."""
    now_s = conditions.now_s
    return {
        flag: min(state.since_s.get(flag, now_s), now_s)
        for flag, rule in TABLE.items()
        if rule.holds(conditions, state)
    }


def _acts(state: ModeState, conditions: Conditions) -> tuple[Clears, ...]:
    """What happened in this cycle that can take a latched flag away.

    A request stands anew whenever it stands: raising a flag that needs a new one ends the old one.
    """
    status = conditions.status
    enabled = status.connected and status.remote_enabled and state.remote_enabled is False
    acts = []
    if enabled or conditions.operator_act:
        acts.append(Clears.OPERATOR_ACT)
    if status.connected and state.requested and Flag.WATCHDOG_TRIPPED in state.flags:
        acts.append(Clears.NEW_REQUEST)
    return tuple(acts)


def _requested(state: ModeState, target: Mode, flags: Collection[Flag]) -> bool:
    """Whether to ask the plant for control.

    A tripped watchdog is re-armed by a new request: give up in one cycle, ask again in the next.
    """
    wanted = actual_mode(target, set(flags) - ENDED_BY_REQUEST) is Mode.CONTROL
    return wanted and not (Flag.WATCHDOG_TRIPPED in flags and state.requested)


def _still_requested(state: ModeState, target: Mode) -> bool:
    """The request while the plant cannot be heard: it can be neither made nor given up.

    Keeping it lets a plant that left remote control meanwhile be recognised as taken over.
    """
    return state.requested and target is Mode.CONTROL


def _sentence(flag: Flag) -> str:
    raised = TABLE[flag].raised
    return f"{raised[0].upper()}{raised[1:]}."
