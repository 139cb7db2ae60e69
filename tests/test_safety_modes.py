"""The mode machine: every target with every set of flags, and the handshake cycle by cycle."""

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.safety.flags import TABLE, Clears, Conditions, Flag, ModeState, table_markdown
from mpc_agent.safety.modes import (
    RANK,
    actual_mode,
    next_flags,
    next_state,
    released,
    transitions,
    worst_flag,
)
from mpc_agent.values import Mode, PlantStatus, Severity
from tests.examples_safety import NOW_S, SETTINGS

FLAGS = tuple(Flag)
SUBSETS = [
    frozenset(subset) for size in range(len(FLAGS) + 1) for subset in combinations(FLAGS, size)
]
REMOTE = PlantStatus(
    connected=True, remote_enabled=True, remote_active=True, watchdog_tripped=False
)
LOCAL = replace(REMOTE, remote_active=False)
DISABLED = replace(LOCAL, remote_enabled=False)
TRIPPED = replace(LOCAL, watchdog_tripped=True)
SILENT = PlantStatus(
    connected=False, remote_enabled=False, remote_active=False, watchdog_tripped=False
)
WELL = Conditions(now_s=NOW_S, status=REMOTE)


def run(
    cycles: list[dict[str, Any]], state: ModeState | None = None, target: Mode = Mode.CONTROL
) -> list[ModeState]:
    """The states after each cycle, one period apart; each cycle is what differs from all well."""
    states = [] if state is None else [state]
    for number, cycle in enumerate(cycles):
        now_s = NOW_S + number * SETTINGS.period_s
        conditions = replace(WELL, now_s=now_s, **cycle)
        before = states[-1] if states else ModeState()
        states.append(next_state(before, target, conditions, SETTINGS))
    return states if state is None else states[1:]


IN_CONTROL = run([{"status": LOCAL}, {}])[-1]


def test_the_table_has_every_flag_once_and_in_order() -> None:
    assert tuple(TABLE) == FLAGS
    for flag, rule in TABLE.items():
        assert rule.allows in (Mode.OFF, Mode.SHADOW, Mode.ADVISE), f"{flag} would keep nobody out"
        assert rule.advice.endswith(".")
        assert rule.grace_s(SETTINGS) >= 0.0


def test_actual_mode_is_the_lowest_of_target_and_flags_everywhere() -> None:
    for target, flags in product(Mode, SUBSETS):
        actual = actual_mode(target, flags)
        allowed = [target, *(TABLE[flag].allows for flag in flags)]
        assert actual in allowed
        assert RANK[actual] == min(RANK[mode] for mode in allowed)


def test_another_flag_never_raises_the_mode() -> None:
    modes = {subset: RANK[actual_mode(Mode.CONTROL, subset)] for subset in SUBSETS}
    for subset, rank in modes.items():
        assert all(modes[subset | {flag}] <= rank for flag in FLAGS)


def test_control_needs_the_target_and_no_flag_at_all() -> None:
    for target, flags in product(Mode, SUBSETS):
        controls = actual_mode(target, flags) is Mode.CONTROL
        assert controls == (target is Mode.CONTROL and not flags)


def test_the_worst_flag_allows_least_everywhere() -> None:
    for subset in SUBSETS:
        worst = worst_flag(subset)
        if worst is None:
            assert not subset
        else:
            assert worst in subset
            assert actual_mode(Mode.CONTROL, [worst]) is actual_mode(Mode.CONTROL, subset)


flag_sets = st.frozensets(st.sampled_from(FLAGS))
act_sets = st.frozensets(st.sampled_from(Clears))


@given(flag_sets, flag_sets, act_sets)
def test_flags_are_raised_by_conditions_and_cleared_only_as_the_table_says(
    previous: frozenset[Flag], present: frozenset[Flag], acts: frozenset[Clears]
) -> None:
    flags = next_flags(previous, present, acts)
    assert list(flags) == [flag for flag in FLAGS if flag in flags]
    assert present <= set(flags) <= present | previous
    for flag in previous - present:
        clears = TABLE[flag].clears
        stays = clears is not Clears.WITH_CONDITION and clears not in acts
        assert (flag in flags) == stays


statuses = st.builds(
    PlantStatus,
    connected=st.booleans(),
    remote_enabled=st.booleans(),
    remote_active=st.booleans(),
    watchdog_tripped=st.booleans(),
)
cycles = st.fixed_dictionaries(
    {"status": st.one_of(st.just(REMOTE), statuses)},
    optional={
        "operator_act": st.booleans(),
        "warming_up": st.booleans(),
        "estimate_healthy": st.booleans(),
        "lost_signals": st.sampled_from([(), ("dissolved_oxygen",)]),
        "unobservable": st.sampled_from([(), ("glucose",)]),
        "record_failed": st.booleans(),
        "at_safe": st.booleans(),
        "write_refused": st.booleans(),
        "decision_late": st.booleans(),
        "contradicting_limits": st.sampled_from([(), ("air",)]),
    },
)


@given(st.lists(cycles, max_size=12), st.sampled_from(Mode))
def test_in_any_history_control_means_a_willing_plant_and_a_standing_request(
    history: list[dict[str, Any]], target: Mode
) -> None:
    before = ModeState()
    for cycle, state in zip(history, run(history, target=target), strict=True):
        status = cycle["status"]
        assert RANK[state.actual] <= RANK[target]
        if state.actual is Mode.CONTROL:
            assert status.connected
            assert status.remote_enabled
            assert status.remote_active
            assert not status.watchdog_tripped
            assert state.requested
            assert not cycle.get("record_failed", False)
        if target is not Mode.CONTROL:
            assert not state.requested
        lost = before.actual is Mode.CONTROL and status.connected and not status.remote_active
        if lost and not status.watchdog_tripped:
            assert Flag.OPERATOR_TOOK_OVER in state.flags
            assert not state.requested
        before = state


@given(st.lists(cycles, max_size=12))
def test_after_a_take_over_no_request_without_an_operators_act(
    history: list[dict[str, Any]],
) -> None:
    before = ModeState()
    for cycle, state in zip(history, run(history), strict=True):
        if Flag.OPERATOR_TOOK_OVER in before.flags and Flag.OPERATOR_TOOK_OVER not in state.flags:
            enabled = cycle["status"].remote_enabled and before.remote_enabled is False
            assert enabled or cycle.get("operator_act", False)
        if Flag.OPERATOR_TOOK_OVER in state.flags and cycle["status"].connected:
            assert not state.requested
        before = state


def test_control_is_asked_for_before_it_is_taken() -> None:
    first, second = run([{"status": LOCAL}, {}])
    assert (first.actual, first.requested) == (Mode.ADVISE, True)
    assert first.flags == (Flag.REMOTE_INACTIVE,)
    assert (second.actual, second.requested, second.flags) == (Mode.CONTROL, True, ())


def test_a_lower_target_asks_for_nothing() -> None:
    for target in (Mode.OFF, Mode.SHADOW, Mode.ADVISE):
        (state,) = run([{}], target=target)
        assert (state.actual, state.requested) == (target, False)


def test_the_operator_takes_over_and_gives_back() -> None:
    taken, kept, back, control = run(
        [{"status": DISABLED}, {"status": DISABLED}, {"status": LOCAL}, {}], IN_CONTROL
    )
    assert taken.flags == (Flag.OPERATOR_TOOK_OVER, Flag.REMOTE_DISABLED, Flag.REMOTE_INACTIVE)
    assert (taken.actual, taken.requested) == (Mode.ADVISE, False)
    assert not kept.requested
    assert (back.flags, back.requested) == ((Flag.REMOTE_INACTIVE,), True)
    assert control.actual is Mode.CONTROL


def test_a_plant_that_leaves_remote_by_itself_waits_for_an_acknowledgement() -> None:
    taken, kept, acknowledged, control = run(
        [{"status": LOCAL}, {"status": LOCAL}, {"status": LOCAL, "operator_act": True}, {}],
        IN_CONTROL,
    )
    assert Flag.OPERATOR_TOOK_OVER in taken.flags
    assert Flag.OPERATOR_TOOK_OVER in kept.flags
    assert not kept.requested
    assert acknowledged.requested
    assert control.actual is Mode.CONTROL


def test_a_restart_of_the_plant_during_an_outage_counts_as_taken_over() -> None:
    silent = [{"status": SILENT, "lost_signals": ("dissolved_oxygen",)}] * 12
    *_, outage, back = run([*silent, {"status": LOCAL}], IN_CONTROL)
    assert outage.flags == (Flag.NOT_CONNECTED, Flag.CRITICAL_SIGNAL_LOST)
    assert Flag.OPERATOR_TOOK_OVER in back.flags
    assert not back.requested


def test_a_short_outage_ends_by_itself() -> None:
    outage, back = run([{"status": SILENT}, {}], IN_CONTROL)
    assert (outage.actual, outage.requested) == (Mode.SHADOW, True)
    assert (back.actual, back.flags) == (Mode.CONTROL, ())


def test_a_tripped_watchdog_is_rearmed_by_giving_up_and_asking_anew() -> None:
    tripped, asked, control = run([{"status": TRIPPED}, {"status": TRIPPED}, {}], IN_CONTROL)
    assert (tripped.actual, tripped.requested) == (Mode.ADVISE, False)
    assert (asked.actual, asked.requested) == (Mode.ADVISE, True)
    assert (control.actual, control.flags) == (Mode.CONTROL, ())


def test_a_watchdog_that_stays_tripped_sees_one_request_edge_after_another() -> None:
    states = run([{"status": TRIPPED}] * 6, IN_CONTROL)
    assert [state.requested for state in states] == [False, True] * 3


def test_a_watchdog_that_tripped_for_a_moment_still_needs_a_new_request() -> None:
    states = run([{"status": TRIPPED}, {}, {}], IN_CONTROL)
    assert [state.actual for state in states] == [Mode.ADVISE, Mode.ADVISE, Mode.CONTROL]
    assert [state.requested for state in states] == [False, True, True]


def test_giving_up_control_by_itself_is_no_take_over() -> None:
    failed, after, control = run(
        [{"record_failed": True}, {"status": LOCAL}, {"status": REMOTE}], IN_CONTROL
    )
    assert (failed.actual, failed.requested) == (Mode.SHADOW, False)
    assert (after.flags, after.requested) == ((Flag.REMOTE_INACTIVE,), True)
    assert control.actual is Mode.CONTROL


@pytest.mark.parametrize(
    ("cycle", "flag", "cycles_of_grace"),
    [
        ({"lost_signals": ("dissolved_oxygen",)}, Flag.CRITICAL_SIGNAL_LOST, 2),
        ({"estimate_healthy": False}, Flag.ESTIMATE_UNHEALTHY, 6),
        ({"unobservable": ("glucose",)}, Flag.STATE_UNOBSERVABLE, 4),
        ({"at_safe": True}, Flag.PLAN_EXPIRED, 3),
        ({"write_refused": True}, Flag.WRITE_REFUSED, 2),
        ({"decision_late": True}, Flag.DECISIONS_LATE, 2),
        ({"record_failed": True}, Flag.RECORD_FAILED, 0),
        ({"warming_up": True}, Flag.WARMING_UP, 0),
        ({"contradicting_limits": ("air",)}, Flag.LIMITS_CONTRADICT, 0),
        ({"status": SILENT}, Flag.NOT_CONNECTED, 0),
    ],
)
def test_flags_come_after_their_grace_and_not_before(
    cycle: dict[str, Any], flag: Flag, cycles_of_grace: int
) -> None:
    states = run([cycle] * (cycles_of_grace + 1), IN_CONTROL)
    assert [flag in state.flags for state in states] == [False] * cycles_of_grace + [True]
    interrupted = run([*[cycle] * cycles_of_grace, {}, cycle], IN_CONTROL)
    assert (flag in interrupted[-1].flags) == (cycles_of_grace == 0)


def test_what_is_not_known_keeps_the_agent_from_control_until_it_is_known_again() -> None:
    unknown = {"unobservable": ("viable_cells", "glucose")}
    less = {"status": LOCAL, "unobservable": ("glucose",)}
    *_, lost, one_left, known, control = run(
        [*[unknown] * 5, less, {"status": LOCAL}, {}], IN_CONTROL
    )
    assert (lost.actual, lost.requested) == (Mode.SHADOW, False)
    assert one_left.actual is Mode.SHADOW
    assert (known.flags, known.requested) == ((Flag.REMOTE_INACTIVE,), True)
    assert control.actual is Mode.CONTROL


def test_refused_writes_need_an_acknowledgement_although_nothing_is_written_any_more() -> None:
    refused, *_, last = run([*[{"write_refused": True}] * 3, {}, {}], IN_CONTROL)
    assert refused.actual is Mode.CONTROL
    assert last.flags == (Flag.WRITE_REFUSED,)
    (acknowledged,) = run([{"operator_act": True}], last)
    assert acknowledged.flags == ()


def test_a_clock_set_back_lengthens_a_grace_but_never_freezes_it() -> None:
    lost = replace(WELL, lost_signals=("dissolved_oxygen",))
    state = next_state(IN_CONTROL, Mode.CONTROL, lost, SETTINGS)
    state = next_state(state, Mode.CONTROL, replace(lost, now_s=NOW_S - 3600.0), SETTINGS)
    state = next_state(state, Mode.CONTROL, replace(lost, now_s=NOW_S - 2700.0), SETTINGS)
    assert Flag.CRITICAL_SIGNAL_LOST in state.flags


def test_after_a_release_the_next_start_asks_again_and_after_a_crash_it_does_not() -> None:
    (clean,) = run([{"status": LOCAL}], released(IN_CONTROL))
    assert (clean.flags, clean.requested) == ((Flag.REMOTE_INACTIVE,), True)
    (crashed,) = run([{"status": LOCAL}], IN_CONTROL)
    assert Flag.OPERATOR_TOOK_OVER in crashed.flags


def test_transitions_tell_what_was_raised_cleared_and_changed() -> None:
    (silent,) = run([{"status": SILENT}], IN_CONTROL)
    raised = transitions(IN_CONTROL, silent)
    assert [event.code for event in raised] == ["NOT_CONNECTED", "MODE_CHANGED"]
    assert raised[0].severity is Severity.ALARM
    assert raised[0].text.startswith("The plant cannot be read. ")
    assert raised[1].text == "Mode CONTROL -> SHADOW because of NOT_CONNECTED; target CONTROL."
    (back,) = run([{}], silent)
    cleared = transitions(silent, back)
    assert [event.code for event in cleared] == ["NOT_CONNECTED_CLEARED", "MODE_CHANGED"]
    assert cleared[1].text == "Mode SHADOW -> CONTROL; target CONTROL."
    assert transitions(back, back) == ()


def test_the_printed_table_has_a_row_for_every_flag() -> None:
    lines = table_markdown().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [flag.value for flag in FLAGS]
    assert {line.count("|") for line in lines} == {7}
