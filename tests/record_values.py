"""Plausible values of a batch's record, for the tests of everything that records or shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from controllers.plan import Active, Checks
from mpc_agent.provenance import fingerprint, quantities, software_versions
from mpc_agent.record import BatchHeader, Forecast
from mpc_agent.safety.balance import MassBalance
from mpc_agent.values import (
    Applied,
    Clip,
    Consistency,
    Decided,
    Estimate,
    Event,
    Floats,
    Judgement,
    Mode,
    Move,
    Origin,
    Plan,
    PlantStatus,
    Quality,
    Reading,
    Readings,
    Sample,
    SampleResult,
    Setpoints,
    Severity,
    SolveStatus,
    Verdict,
    WarmStart,
)
from plant_models.cho_mab import CONTROL

INOCULATED_AT_S = 1_767_600_000.0
PERIOD_S = 600.0
SIGNALS = ("dissolved_oxygen", "pH", "pCO2", "weight")
ADAPTED = ("mu_max", "Q_mAb")
FEEDS = ("glucose_feed", "amino_feed")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a filter's history, as large as a real one."""

    time_s: float
    mean: Floats
    factor: Floats


@dataclass(frozen=True, slots=True)
class Chapter:
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """As a decision's memory would be."""

    mode: Mode
    chapters: tuple[Chapter, ...]
    plans: Mapping[str, Plan]
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """As a decision would be."""

    mode: Mode
    mode_reason: str
    estimate: Estimate
    plans: Mapping[str, Plan]
    setpoints: Setpoints
    events: tuple[Event, ...]
    expected: Mapping[str, Forecast]
    memory: Memory | None = None
    balance: MassBalance = field(default_factory=MassBalance)


@dataclass(frozen=True, slots=True)
class Cycle:
    """As the record of a finished cycle would be."""

    number: int
    time_s: float
    readings: Readings
    decision: Decision
    applied: Applied
    durations: Mapping[str, float] = field(default_factory=dict)


SHARED = (Step, Chapter)

PASSED = Checks(2e-7, 0.02, 1e-9, 0.0, 0.0, 0.0)
"""What the check of a good plan finds."""


def header(batch: str = "CHO-0042") -> BatchHeader:
    parameters = {item.name: item for item in quantities(CONTROL, "parameters")}
    config = "batch:\n  id: CHO-0042\n"
    return BatchHeader(
        batch=batch,
        inoculated_at_s=INOCULATED_AT_S,
        created_at_s=INOCULATED_AT_S - 60,
        harvest_h=336.0,
        period_s=PERIOD_S,
        deadline_s=120.0,
        model=CONTROL.name,
        model_hash=fingerprint("model"),
        parameters={name: item.value for name, item in CONTROL.parameters.items()},
        config=config,
        config_hash=fingerprint(config),
        software=software_versions(),
        states=quantities(CONTROL, "states"),
        adapted=tuple(parameters[name] for name in ADAPTED),
        outputs=quantities(CONTROL, "outputs"),
        inputs=quantities(CONTROL, "inputs"),
        signals=SIGNALS,
        assays=("viable_cells", "glucose"),
        limits={"glucose": (2.0, 40.0), "volume": (None, 2002.0)},
        targets={"dissolved_oxygen": ((0.0, 60.0),)},
        recipe=dict.fromkeys(FEEDS, ((0.0, 0.0), (48.0, 0.6), (336.0, 0.0))),
    )


def readings(time_s: float, connected: bool = True) -> Readings:
    status = PlantStatus(
        connected=connected,
        remote_enabled=connected,
        remote_active=connected,
        watchdog_tripped=False,
    )
    quality = Quality.GOOD if connected else Quality.BAD
    measured = {"dissolved_oxygen": 60.0, "pH": 6.98, "pCO2": 81.0, "weight": 1404.0}
    flows = {name: item.nominal for name, item in CONTROL.inputs.items()}
    return Readings(
        read_at_s=time_s + 0.2,
        measured={
            name: Reading(name, value, time_s - 3, quality) for name, value in measured.items()
        },
        inputs={name: Reading(name, value, time_s - 3, quality) for name, value in flows.items()},
        setpoints={"glucose_feed": 0.6, "amino_feed": 0.4},
        samples=(),
        status=status,
    )


def estimate(time_s: float, samples: tuple[SampleResult, ...] = ()) -> Estimate:
    mean = np.array([*CONTROL.initial_state(), 0.039, 1.5e-3])
    outputs = np.arange(1.0, len(CONTROL.outputs_info) + 1)
    number = len(SIGNALS)
    return Estimate(
        time_s=time_s,
        mean=mean,
        factor=np.random.default_rng(int(time_s)).normal(size=(len(mean), len(mean))),
        deviation=0.05 * mean,
        outputs=outputs,
        output_deviation=0.04 * outputs,
        innovations=np.array([0.1, np.nan, -2.0, 0.3]),
        gate_ratios=np.array([0.2, np.nan, 1.4, 0.1]),
        verdicts=(Verdict.OK, Verdict.STALE, Verdict.GATED, Verdict.OK),
        last_fused_s=np.full(number, time_s),
        samples=samples,
        healthy=True,
    )


def sample_result(time_s: float, verdict: Verdict = Verdict.OK) -> SampleResult:
    sample = Sample("glucose", 22.4, "mmol/L", time_s - 3600, time_s - 60, "analyser 2")
    nothing = verdict is Verdict.STALE
    return SampleResult(
        sample, verdict, float("nan") if nothing else -0.8, float("nan") if nothing else 0.4
    )


def plan(
    problem: str, time_s: float, pieces: int = 56, status: SolveStatus = SolveStatus.SOLVED
) -> Plan:
    generator = np.random.default_rng(int(time_s))
    decided = FEEDS if problem == "feed" else ("air", "oxygen", "carbon_dioxide")
    width = 3 * len(CONTROL.states) + len(decided) + 8
    warm = WarmStart(
        steps_h=np.full(pieces, 6.0),
        decision=generator.normal(size=pieces * width),
        constraint_multipliers=generator.normal(size=pieces * 36),
        bound_multipliers=generator.normal(size=pieces * width),
    )
    outputs = np.tile(np.arange(1.0, len(CONTROL.outputs_info) + 1), (pieces, 1))
    return Plan(
        problem=problem,
        status=status,
        solved_at_s=time_s,
        grid_h=np.linspace(6.0, 6.0 * pieces, pieces),
        decided=decided,
        inputs=generator.uniform(0.1, 1.0, (pieces, len(decided))),
        states=generator.normal(size=(pieces, len(CONTROL.states))),
        outputs=outputs,
        output_deviation=0.1 * outputs,
        active=(Active("volume", "limit", "upper", 2002.0, 330.0, 336.0, 1.5e-3),),
        objective=-3.1,
        iterations=14,
        attempts=("warm",),
        checks=PASSED,
        warm=warm,
        message="Optimal plan.",
        terms={
            "product_mass at harvest" if problem == "feed" else "distance of pCO2": -3.2,
            f"moves of {decided[0]}": 0.1,
        },
        boluses=np.zeros((pieces, 0)),
        chosen="warm",
        searched_at_s=time_s - 7200.0,
    )


def decision(
    time_s: float,
    plans: Mapping[str, Plan] | None = None,
    mode: Mode = Mode.CONTROL,
    samples: tuple[SampleResult, ...] = (),
    events: tuple[Event, ...] = (),
    memory: Memory | None = None,
) -> Decision:
    values = {"glucose_feed": 0.61, "amino_feed": 0.42, "air": 300.0}
    return Decision(
        mode=mode,
        mode_reason="remote control is active" if mode is Mode.CONTROL else "as configured",
        estimate=estimate(time_s, samples),
        plans=plans if plans is not None else {"feed": plan("feed", time_s)},
        setpoints=Setpoints(
            decided_at_s=time_s,
            valid_until_s=time_s + 1800,
            values=values,
            origin={"feed": Origin.PLAN, "gas": Origin.HELD_PLAN},
            clips=(Clip("air", "slew", 340.0, 300.0),),
            reasons=("gas: the solver ran out of iterations",),
        ),
        events=events,
        expected={"plan": Forecast(4810.0, 220.0), "recipe": Forecast(4150.0, 190.0)},
        memory=memory,
    )


def applied() -> Applied:
    return Applied(
        written=True,
        confirmed={"glucose_feed": 0.61, "amino_feed": 0.42},
        refused={"air": "clamped by the plant to 290 L/h"},
    )


DURATIONS = {"cycle": 0.31, "read": 0.02, "decide": 0.2, "solve.feed": 0.12, "write": 0.05}

ALARM = Event("REMOTE_LOST", Severity.ALARM, "The plant took control back; ask the operator.")


def cycle(number: int) -> Cycle:
    time_s = INOCULATED_AT_S + PERIOD_S * number
    return Cycle(number, time_s, readings(time_s), decision(time_s), applied(), DURATIONS)


def trust(cycle: Cycle) -> Cycle:
    """The cycle with everything that an estimate tells of how far it is to be trusted."""
    means = np.array([0.9, 1.1, 3.5, 0.7, np.nan, 0.4])
    bands = np.where(np.isnan(means)[:, None], np.nan, np.array([0.65, 1.4]))
    estimate = replace(
        cycle.decision.estimate,
        verdicts=(Verdict.OK, Verdict.STALE, Verdict.SUSPECT, Verdict.OK),
        consistency=Consistency(means, bands, 1.2, (0.8, 1.25)),
        observability=np.array([*np.linspace(0.0, 0.9, len(CONTROL.states)), 0.75, 0.02]),
        suspects=("pCO2",),
        decided=(Decided(Judgement.SUSPECT, "pCO2"),),
        moves=(Move("mu_max", 0.0352, 0.039),),
        at_bounds=("Q_mAb",),
        offsets={"pH": (0.03, 0.01)},
    )
    return replace(cycle, decision=replace(cycle.decision, estimate=estimate))
