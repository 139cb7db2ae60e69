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
from mpc_agent.values import Consistency, Estimate, Judgement, Mode, Plan, Readings, Verdict

PREFIX = "mpc_agent_"

BAND_ENDS = ("lower", "upper")

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
    "innovation_consistency": Described(
        "Mean squared normalised innovation of late; 1 is expected.", ("tag",)
    ),
    "innovation_consistency_limit": Described(
        "Ends of the chi-square band that it should be in.", ("tag", "end")
    ),
    "innovation_consistency_overall": Described("The same over all signals and assays together."),
    "innovation_consistency_overall_limit": Described("Ends of its band.", ("end",)),
    "signal_suspect": Described("1 while a signal or assay is watched, not used.", ("tag",)),
    "signal_offset": Described("Learnt offset, in the unit of the output.", ("tag",)),
    "signal_offset_stddev": Described("Its standard deviation.", ("tag",)),
    "observability_ratio": Described(
        "Share of the deviation that measurements took away of late.", ("state",)
    ),
    "parameter_at_bound": Described("1 at an end of the approved range.", ("state",)),
    "measurement_age_seconds": Described("Age of the newest value when it was read.", ("tag",)),
    "expected_product_grams": Described("Product at harvest if the feeds follow this.", ("feeds",)),
    "expected_product_stddev_grams": Described("Its standard deviation.", ("feeds",)),
    "opcua_connected": Described("1 while the plant can be read."),
    "remote_enabled": Described("1 while the operator permits remote control."),
    "lease_held": Described("1 while the plant acts on this agent's setpoints."),
    "watchdog_tripped": Described("1 when the plant gave up on the agent."),
    "volume_liters": Described("Estimated broth volume."),
    "mass_balance_residual_grams": Described("Weight less what the ledger accounts for."),
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
    "signal_suspicions": Described("Signals and assays that became suspects.", ("tag",)),
    "gate_reopenings": Described("Estimates found wrong by a signal or assay.", ("tag",)),
    "estimator_resets": Described("Estimates that began anew from the lab."),
    "parameter_jumps": Described("Learnt parameters found to have changed suddenly.", ("name",)),
    "readback_mismatch": Described("Setpoints that the plant did not confirm.", ("mv",)),
    "audit_writes": Described("Commits to the record, ok or failed.", ("result",)),
}
"""Names without `_total`, which the exposition adds."""

JUDGED: Mapping[Judgement, str] = {
    Judgement.SUSPECT: "signal_suspicions",
    Judgement.REOPENED: "gate_reopenings",
    Judgement.RESET: "estimator_resets",
    Judgement.JUMPED: "parameter_jumps",
}
"""The counter of each judgement; one that ends another needs none."""

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

    @property
    def _channels(self) -> tuple[str, ...]:
        return (*self._header.signals, *self._header.assays)

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
            if not verdict.usable and verdict is not Verdict.MISSING:
                for tag in header.signals:
                    self._counters["measurements_rejected"].labels(tag, verdict)
        for tag in self._channels:
            for name in (JUDGED[Judgement.SUSPECT], JUDGED[Judgement.REOPENED]):
                self._counters[name].labels(tag)
        for item in header.adapted:
            self._counters[JUDGED[Judgement.JUMPED]].labels(item.name)
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
        self._publish_trust(decision.estimate)
        for plan in decision.plans.values():
            self._publish_plan(plan, record)
        for feeds, forecast in decision.expected.items():
            self._gauges["expected_product_grams"].labels(feeds).set(forecast.value)
            self._gauges["expected_product_stddev_grams"].labels(feeds).set(forecast.deviation)
        if decision.balance.residual_kg is not None:
            residual_kg = decision.balance.residual_kg
            self._gauges["mass_balance_residual_grams"].set(1000.0 * residual_kg)
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
            # A value that was used already leaves the ratio as it was then.
            if verdict is not Verdict.REPEATED:
                gauges["innovation_ratio"].labels(tag).set(ratio)
            if not verdict.usable:
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

    def _publish_trust(self, estimate: Estimate) -> None:
        """How far signals, parameters and the filter itself are to be trusted."""
        gauges = self._gauges
        if estimate.consistency is not None:
            self._publish_consistency(estimate.consistency)
        for tag in self._channels:
            gauges["signal_suspect"].labels(tag).set(tag in estimate.suspects)
        for tag, (offset, deviation) in estimate.offsets.items():
            gauges["signal_offset"].labels(tag).set(offset)
            gauges["signal_offset_stddev"].labels(tag).set(deviation)
        names = [quantity.name for quantity in self._estimated]
        # Empty before it is known.
        for name, gain in zip(names, estimate.observability, strict=False):
            gauges["observability_ratio"].labels(name).set(gain)
        for quantity in self._header.adapted:
            at_bound = quantity.name in estimate.at_bounds
            gauges["parameter_at_bound"].labels(quantity.name).set(at_bound)
        for decided in estimate.decided:
            if decided.judgement in JUDGED:
                counter = self._counters[JUDGED[decided.judgement]]
                (counter.labels(decided.channel) if decided.channel else counter).inc()

    def _publish_consistency(self, told: Consistency) -> None:
        gauges = self._gauges
        limits, overall = (
            gauges["innovation_consistency_limit"],
            gauges["innovation_consistency_overall_limit"],
        )
        for tag, mean, band in zip(self._channels, told.means, told.bands, strict=True):
            gauges["innovation_consistency"].labels(tag).set(mean)
            for end, value in zip(BAND_ENDS, band, strict=True):
                limits.labels(tag, end).set(value)
        gauges["innovation_consistency_overall"].set(told.overall)
        for end, value in zip(BAND_ENDS, told.band, strict=True):
            overall.labels(end).set(value)

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
