"""The flags: one table of everything that keeps the agent from controlling.

Each row says what raises the flag, what clears it, the highest mode it allows and what to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mpc_agent.safety.settings import SafetySettings
from mpc_agent.values import Mode, PlantStatus, Severity


class Flag(StrEnum):
    """A reason not to control, in the order in which several are told."""

    RECORD_FAILED = "RECORD_FAILED"
    NOT_CONNECTED = "NOT_CONNECTED"
    CRITICAL_SIGNAL_LOST = "CRITICAL_SIGNAL_LOST"
    ESTIMATE_UNHEALTHY = "ESTIMATE_UNHEALTHY"
    STATE_UNOBSERVABLE = "STATE_UNOBSERVABLE"
    PLAN_EXPIRED = "PLAN_EXPIRED"
    WARMING_UP = "WARMING_UP"
    OPERATOR_TOOK_OVER = "OPERATOR_TOOK_OVER"
    REMOTE_DISABLED = "REMOTE_DISABLED"
    WRITE_REFUSED = "WRITE_REFUSED"
    LIMITS_CONTRADICT = "LIMITS_CONTRADICT"
    DECISIONS_LATE = "DECISIONS_LATE"
    WATCHDOG_TRIPPED = "WATCHDOG_TRIPPED"
    REMOTE_INACTIVE = "REMOTE_INACTIVE"


class Clears(StrEnum):
    """What takes a flag away; none goes while its condition holds."""

    WITH_CONDITION = "with the condition"
    NEW_REQUEST = "after the condition, once control was given up and asked for anew"
    OPERATOR_ACT = "after the condition, by an operator's act"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The facts of one cycle that flags depend on.

    Attributes:
        now_s: UTC seconds.
        status: what the plant says about control.
        operator_act: an operator acknowledged with the agent since the last cycle. Enabling remote
            control at the plant is an operator's act by itself and need not be told here.
        warming_up: estimator or optimiser is not ready yet.
        estimate_healthy: the filter trusts itself.
        lost_signals: critical signals without a usable value, or suspected by the filter.
        unobservable: outputs known less well than control needs.
        record_failed: the last entry could not be written to the record.
        at_safe: some problem stands on the last rung of the ladder.
        write_refused: the plant did not take, or did not follow, a setpoint of the last cycle;
            false when the agent was not to write any.
        decision_late: the last decision came after its deadline and was not applied.
        contradicting_limits: inputs for which the site's limits and the plant's do not overlap.
    """

    now_s: float
    status: PlantStatus
    operator_act: bool = False
    warming_up: bool = False
    estimate_healthy: bool = True
    lost_signals: tuple[str, ...] = ()
    unobservable: tuple[str, ...] = ()
    record_failed: bool = False
    at_safe: bool = False
    write_refused: bool = False
    decision_late: bool = False
    contradicting_limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModeState:
    """What the mode machine remembers; part of the agent's memory.

    Attributes:
        target: mode asked for by people.
        actual: mode that the flags allow.
        flags: raised flags in the order of `Flag`.
        since_s: when the condition of each flag began to hold, while it holds.
        requested: the agent asks the plant for control.
        remote_enabled: the operator permitted remote control when the plant was last heard.
        remote_active: the plant acted on remote setpoints when it was last heard.
    """

    target: Mode = Mode.OFF
    actual: Mode = Mode.OFF
    flags: tuple[Flag, ...] = ()
    since_s: Mapping[Flag, float] = field(default_factory=dict)
    requested: bool = False
    remote_enabled: bool | None = None
    remote_active: bool = False


def _no_grace(settings: SafetySettings) -> float:
    del settings
    return 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        raised: what raises the flag, in words.
        holds: the same as a function of the cycle's facts and of the previous state.
        clears: what takes it away.
        severity: alarm when an operator must respond.
        allows: highest mode while it is raised.
        advice: what it means and what to do.
        grace_s: how long the condition must hold before the flag is raised.
    """

    raised: str
    holds: Callable[[Conditions, ModeState], bool]
    clears: Clears
    severity: Severity
    allows: Mode
    advice: str
    grace_s: Callable[[SafetySettings], float] = _no_grace


def _taken_over(conditions: Conditions, state: ModeState) -> bool:
    """The plant left remote control although we asked for it, and not because of its watchdog."""
    status = conditions.status
    left = state.requested and state.remote_active and not status.remote_active
    return status.connected and left and not status.watchdog_tripped


TABLE: Mapping[Flag, Rule] = {
    Flag.RECORD_FAILED: Rule(
        raised="an entry could not be written to the batch record",
        holds=lambda now, _: now.record_failed,
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.SHADOW,
        advice="No record, no write. Free disk space or repair the folder of the record.",
    ),
    Flag.NOT_CONNECTED: Rule(
        raised="the plant cannot be read",
        holds=lambda now, _: not now.status.connected,
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.SHADOW,
        advice="The control unit runs its own recipe. Check network and server.",
    ),
    Flag.CRITICAL_SIGNAL_LOST: Rule(
        raised="a critical signal has no usable value, or is a suspect, for longer than its grace",
        holds=lambda now, _: bool(now.lost_signals),
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.SHADOW,
        advice="Check the probe and its connection; control resumes when it can be believed.",
        grace_s=lambda settings: settings.critical_grace_s,
    ),
    Flag.ESTIMATE_UNHEALTHY: Rule(
        raised="the estimate is not trusted for longer than its grace",
        holds=lambda now, _: not now.estimate_healthy,
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.SHADOW,
        advice="The culture does not behave as the model: take a sample, look for contamination.",
        grace_s=lambda settings: settings.estimate_grace_s,
    ),
    Flag.STATE_UNOBSERVABLE: Rule(
        raised="what control needs to know is not known well enough for longer than its grace",
        holds=lambda now, _: bool(now.unobservable),
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.SHADOW,
        advice="Take a lab sample, or repair the probe that tells of it; control resumes then.",
        grace_s=lambda settings: settings.unobservable_grace_s,
    ),
    Flag.PLAN_EXPIRED: Rule(
        raised="the fallback ladder stands at SAFE for longer than its grace",
        holds=lambda now, _: now.at_safe,
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.SHADOW,
        advice="Neither a plan nor the recipe can be followed; see why the optimiser fails.",
        grace_s=lambda settings: settings.safe_grace_s,
    ),
    Flag.WARMING_UP: Rule(
        raised="estimator or optimiser is not ready yet",
        holds=lambda now, _: now.warming_up,
        clears=Clears.WITH_CONDITION,
        severity=Severity.EVENT,
        allows=Mode.SHADOW,
        advice="Nothing to do; this takes a few cycles.",
    ),
    Flag.OPERATOR_TOOK_OVER: Rule(
        raised="the plant left remote control, and neither the agent nor its watchdog wanted that",
        holds=_taken_over,
        clears=Clears.OPERATOR_ACT,
        severity=Severity.EVENT,
        allows=Mode.ADVISE,
        advice="To let the agent back, disable remote control at the plant and enable it again.",
    ),
    Flag.REMOTE_DISABLED: Rule(
        raised="the operator does not permit remote control",
        holds=lambda now, _: now.status.connected and not now.status.remote_enabled,
        clears=Clears.WITH_CONDITION,
        severity=Severity.EVENT,
        allows=Mode.ADVISE,
        advice="Enable remote control at the plant to let the agent control.",
    ),
    Flag.WRITE_REFUSED: Rule(
        raised="the plant refuses or does not follow setpoints for longer than the grace",
        holds=lambda now, _: now.write_refused,
        clears=Clears.OPERATOR_ACT,
        severity=Severity.ALARM,
        allows=Mode.ADVISE,
        advice="See which setpoint and why; check valve, pump and access rights. "
        "Then disable remote control at the plant and enable it again.",
        grace_s=lambda settings: settings.refused_grace_s,
    ),
    Flag.LIMITS_CONTRADICT: Rule(
        raised="the plant's range of a setpoint does not overlap the site's limits",
        holds=lambda now, _: bool(now.contradicting_limits),
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.ADVISE,
        advice="Correct the limits in the plant or in the configuration.",
    ),
    Flag.DECISIONS_LATE: Rule(
        raised="decisions come after their deadline for longer than the grace",
        holds=lambda now, _: now.decision_late,
        clears=Clears.WITH_CONDITION,
        severity=Severity.ALARM,
        allows=Mode.ADVISE,
        advice="The computer is too slow or too busy; free it or lengthen the period.",
        grace_s=lambda settings: settings.late_grace_s,
    ),
    Flag.WATCHDOG_TRIPPED: Rule(
        raised="the control unit missed the agent's heartbeat or its setpoints expired",
        holds=lambda now, _: now.status.connected and now.status.watchdog_tripped,
        clears=Clears.NEW_REQUEST,
        severity=Severity.ALARM,
        allows=Mode.ADVISE,
        advice="The control unit runs its own recipe; the agent asks for control again by itself.",
    ),
    Flag.REMOTE_INACTIVE: Rule(
        raised="the control unit does not act on remote setpoints",
        holds=lambda now, _: now.status.connected and not now.status.remote_active,
        clears=Clears.WITH_CONDITION,
        severity=Severity.EVENT,
        allows=Mode.ADVISE,
        advice="Normal unless control was asked for; then the plant has yet to agree.",
    ),
}
"""The table: every flag, in the order of `Flag`."""


def table_markdown() -> str:
    """The table as a Markdown table, one row per flag."""
    rows = [
        "| flag | raised when | cleared | severity | highest mode | what to do |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {flag} | {rule.raised} | {rule.clears} | {rule.severity} | {rule.allows} "
        f"| {rule.advice} |"
        for flag, rule in TABLE.items()
    ]
    return "\n".join(rows) + "\n"
