"""What Prometheus sees of the agent. Operations data, not the batch's record.

Names follow Prometheus' conventions: base units, `_total` for counters, labels only from fixed sets
(signals, states, rules); the batch's name stands in one info metric alone.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from mpc_agent.record import BatchHeader, CycleRecord, Quantity
from mpc_agent.values import Estimate, Mode, Plan, Readings, Verdict

PREFIX = "mpc_agent_"

DURATION_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Described:
    """One metric: what it means and which labels it has."""

    meaning: str
    labels: tuple[str, ...] = ()


GAUGES: Mapping[str, Described] = {
    "build_info": Described("Always 1; versions of the software.", ("version", "python")),
    "batch_info": Described(
        "Always 1; what the agent works on.", ("batch", "model", "model_hash", "config_hash")
    ),
    "mode": Described("1 for the actual mode, 0 for the others.", ("mode",)),
    "last_cycle_timestamp_seconds": Described("UTC time at which the last cycle began."),
    "solver_iterations": Described("Iterations of the last solve.", ("problem",)),
    "plan_age_cycles": Described("Cycles since the plan in force was solved.", ("problem",)),
    "estimate": Described("Estimated state or adapted parameter:", ("state",)),
    "estimate_stddev": Described("Standard deviation of the estimate:", ("state",)),
    "estimator_healthy": Described("1 while the filter trusts itself."),
    "innovation_ratio": Described("Innovation over its gate; above 1 is not fused.", ("tag",)),
    "measurement_age_seconds": Described("Age of the newest value when it was read.", ("tag",)),
    "expected_product_grams": Described("Product at harvest if the feeds follow this.", ("feeds",)),
    "expected_product_stddev_grams": Described("Its standard deviation.", ("feeds",)),
    "opcua_connected": Described("1 while the plant can be read."),
    "remote_enabled": Described("1 while the operator permits remote control."),
    "lease_held": Described("1 while the plant acts on this agent's setpoints."),
    "watchdog_tripped": Described("1 when the plant gave up on the agent."),
    "volume_liters": Described("Estimated broth volume."),
    "volume_headroom_liters": Described("Volume left to the limit of the vessel."),
    "state_disk_free_bytes": Described("Free space where the record is written."),
}

COUNTERS: Mapping[str, Described] = {
    "cycles": Described("Finished cycles."),
    "cycle_overruns": Described("Cycles whose decision came too late to be applied."),
    "mode_transitions": Described("Changes of the actual mode.", ("from", "to")),
    "solves": Described("Solves by how they ended.", ("problem", "status")),
    "guard_interventions": Described("Setpoints that the guard changed.", ("rule",)),
    "measurements_rejected": Described("Online values not fused, and why.", ("tag", "reason")),
    "lab_samples": Described("Lab results by what became of them.", ("result",)),
    "readback_mismatch": Described("Setpoints that the plant did not confirm.", ("mv",)),
    "audit_writes": Described("Commits to the record, ok or failed.", ("result",)),
}
"""Names without `_total`, which the exposition adds."""

HISTOGRAMS: Mapping[str, Described] = {
    "cycle_duration_seconds": Described("Wall time of a whole cycle."),
    "solve_duration_seconds": Described("Wall time of a solve.", ("problem",)),
}


class Metrics:
    """All metrics of one agent, in a registry of their own."""

    def __init__(self, header: BatchHeader, folder: Path) -> None:
        """Declare every metric.

        Args:
            header: names and limits of the batch.
            folder: where the record is written.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call] # not annotated
        self._header = header
        self._mode: Mode | None = None
        self._solved_at_s: dict[str, float] = {}
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._gauges = {
            name: Gauge(PREFIX + name, self._help(name, item), item.labels, registry=self.registry)
            for name, item in GAUGES.items()
        }
        self._counters = {
            name: Counter(PREFIX + name, item.meaning, item.labels, registry=self.registry)
            for name, item in COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(
                PREFIX + name,
                item.meaning,
                item.labels,
                registry=self.registry,
                buckets=DURATION_BUCKETS_S,
            )
            for name, item in HISTOGRAMS.items()
        }
        self._introduce(folder)

    def _help(self, name: str, item: Described) -> str:
        """The meaning; for estimates, with the unit of every state."""
        if not name.startswith("estimate") or not item.labels:
            return item.meaning
        return f"{item.meaning} {', '.join(f'{q.name} [{q.unit}]' for q in self._estimated)}."

    @property
    def _estimated(self) -> tuple[Quantity, ...]:
        return (*self._header.states, *self._header.adapted)

    def _introduce(self, folder: Path) -> None:
        """Set what never changes, and let counters that may alarm begin at zero."""
        header, software = self._header, self._header.software
        self._gauges["build_info"].labels(
            software.get("mpc-agent", ""), software.get("python", "")
        ).set(1)
        self._gauges["batch_info"].labels(
            header.batch, header.model, header.model_hash, header.config_hash
        ).set(1)
        self._gauges["state_disk_free_bytes"].set_function(lambda: _free_bytes(folder))
        for result in ("ok", "failed"):
            self._counters["audit_writes"].labels(result)
        for verdict in Verdict:
            if verdict not in (Verdict.OK, Verdict.MISSING):
                for tag in header.signals:
                    self._counters["measurements_rejected"].labels(tag, verdict)
        for mode in Mode:
            self._gauges["mode"].labels(mode).set(0)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type, in a format that `accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def audit_write(self, succeeded: bool) -> None:
        """Count a commit to the record."""
        self._counters["audit_writes"].labels("ok" if succeeded else "failed").inc()

    def publish(self, record: CycleRecord) -> None:
        """Show a finished cycle."""
        decision = record.decision
        self._counters["cycles"].inc()
        self._gauges["last_cycle_timestamp_seconds"].set(record.time_s)
        self._publish_mode(decision.mode)
        self._publish_readings(record.time_s, record.readings)
        self._publish_estimate(decision.estimate)
        for plan in decision.plans.values():
            self._publish_plan(plan, record)
        for feeds, forecast in decision.expected.items():
            self._gauges["expected_product_grams"].labels(feeds).set(forecast.value)
            self._gauges["expected_product_stddev_grams"].labels(feeds).set(forecast.deviation)
        for clip in decision.setpoints.clips:
            self._counters["guard_interventions"].labels(clip.rule).inc()
        for name in record.applied.refused:
            self._counters["readback_mismatch"].labels(name).inc()
        duration_s = record.durations.get("cycle")
        if duration_s is not None:
            self._histograms["cycle_duration_seconds"].observe(duration_s)
            if duration_s > self._header.deadline_s:
                self._counters["cycle_overruns"].inc()

    def _publish_mode(self, mode: Mode) -> None:
        if self._mode is not None and mode is not self._mode:
            self._counters["mode_transitions"].labels(self._mode, mode).inc()
        self._mode = mode
        for other in Mode:
            self._gauges["mode"].labels(other).set(other is mode)

    def _publish_readings(self, time_s: float, readings: Readings) -> None:
        status = readings.status
        self._gauges["opcua_connected"].set(status.connected)
        self._gauges["remote_enabled"].set(status.remote_enabled)
        self._gauges["lease_held"].set(status.remote_active)
        self._gauges["watchdog_tripped"].set(status.watchdog_tripped)
        for tag, reading in readings.measured.items():
            self._gauges["measurement_age_seconds"].labels(tag).set(time_s - reading.sampled_at_s)

    def _publish_estimate(self, estimate: Estimate) -> None:
        header, gauges = self._header, self._gauges
        gauges["estimator_healthy"].set(estimate.healthy)
        for quantity, mean, deviation in zip(
            self._estimated, estimate.mean.tolist(), estimate.deviation.tolist(), strict=True
        ):
            gauges["estimate"].labels(quantity.name).set(mean)
            gauges["estimate_stddev"].labels(quantity.name).set(deviation)
        for tag, ratio, verdict in zip(
            header.signals, estimate.gate_ratios.tolist(), estimate.verdicts, strict=True
        ):
            gauges["innovation_ratio"].labels(tag).set(ratio)
            if verdict is not Verdict.OK:
                self._counters["measurements_rejected"].labels(tag, verdict).inc()
        for result in estimate.samples:
            self._counters["lab_samples"].labels(result.verdict).inc()
        names = [quantity.name for quantity in header.outputs]
        if "volume" in names:
            volume_L = float(estimate.outputs[names.index("volume")])
            _, upper = header.limits.get("volume", (None, None))
            gauges["volume_liters"].set(volume_L)
            if upper is not None:
                gauges["volume_headroom_liters"].set(upper - volume_L)

    def _publish_plan(self, plan: Plan, record: CycleRecord) -> None:
        age_s = record.time_s - plan.solved_at_s
        self._gauges["plan_age_cycles"].labels(plan.problem).set(age_s / self._header.period_s)
        if plan.solved_at_s <= self._solved_at_s.get(plan.problem, float("-inf")):
            return
        self._solved_at_s[plan.problem] = plan.solved_at_s
        self._counters["solves"].labels(plan.problem, plan.status).inc()
        self._gauges["solver_iterations"].labels(plan.problem).set(plan.iterations)
        duration_s = record.durations.get(f"solve.{plan.problem}")
        if duration_s is not None:
            self._histograms["solve_duration_seconds"].labels(plan.problem).observe(duration_s)


def _free_bytes(folder: Path) -> float:
    """Free space of the folder's disk; NaN when the folder is gone, so that the scrape lives."""
    try:
        return float(shutil.disk_usage(folder).free)
    except OSError:
        return float("nan")
