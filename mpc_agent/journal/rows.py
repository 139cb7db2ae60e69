"""What the nouns of a cycle become as rows of the record's tables."""

from collections.abc import Mapping

from mpc_agent.codec import Codec, to_json
from mpc_agent.record import BatchHeader, DecisionRecord
from mpc_agent.values import Applied, Event, Plan, Readings, SampleResult

Row = dict[str, object]


def header_row(header: BatchHeader, codec: Codec) -> Row:
    """The one row of `header`."""
    return {
        "batch": header.batch,
        "inoculated_at_s": header.inoculated_at_s,
        "content": codec.encode(header),
    }


def intent_row(readings: Readings, memory: object, decision: DecisionRecord, codec: Codec) -> Row:
    """A row of `intents`, without number and time."""
    encode, status = codec.encode, readings.status
    return {
        "mode": str(decision.mode),
        "connected": status.connected,
        "remote_active": status.remote_active,
        "healthy": decision.estimate.healthy,
        "origins": to_json(decision.setpoints.origin),
        "setpoints": to_json(decision.setpoints.values),
        "expected": to_json(decision.expected),
        "readings": encode(readings),
        "estimate": encode(decision.estimate),
        "plans": encode(decision.plans, Mapping[str, Plan]),
        "guarded": encode(decision.setpoints),
        "memory": encode(memory),
        "decision": encode(decision),
    }


def outcome_row(applied: Applied, durations: Mapping[str, float], codec: Codec) -> Row:
    """A row of `outcomes`, without number."""
    return {
        "written": applied.written,
        "refused": to_json(applied.refused),
        "durations": to_json(durations),
        "applied": codec.encode(applied),
    }


def sample_row(result: SampleResult) -> Row:
    """A row of `samples`, without number and time of the cycle."""
    sample = result.sample
    return {
        "analyte": sample.analyte,
        "value": sample.value,
        "unit": sample.unit,
        "drawn_at_s": sample.drawn_at_s,
        "entered_at_s": sample.entered_at_s,
        "entered_by": sample.entered_by,
        "reason": sample.reason,
        "verdict": str(result.verdict),
        "innovation": result.innovation,
        "gate_ratio": result.gate_ratio,
    }


def solve_row(plan: Plan) -> Row:
    """A row of `solves`, without number; its time is that of the state the plan starts from."""
    return {
        "time_s": plan.solved_at_s,
        "problem": plan.problem,
        "status": str(plan.status),
        "iterations": plan.iterations,
        "objective": plan.objective,
        "defect": plan.defect,
        "attempts": to_json(plan.attempts),
        "message": plan.message,
    }


def event_row(event: Event, actor: str) -> Row:
    """A row of `events`, without number and time."""
    return {
        "code": event.code,
        "severity": str(event.severity),
        "text": event.text,
        "actor": actor,
    }
