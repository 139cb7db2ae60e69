"""What Prometheus sees of the agent."""

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mpc_agent.metrics import COUNTERS, GAUGES, HISTOGRAMS, Metrics
from mpc_agent.safety.balance import MassBalance
from mpc_agent.values import Decided, Judgement, Mode, SolveStatus, Verdict
from tests import record_values as values


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(values.header(), tmp_path)


def shown(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"mpc_agent_{name}", labels)


def test_every_metric_has_help_type_and_a_conventional_name(metrics: Metrics) -> None:
    metrics.publish(values.cycle(0))
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    told = {family.name: family for family in families if family.name.startswith("mpc_agent_")}
    assert set(told) == {f"mpc_agent_{name}" for name in (*GAUGES, *COUNTERS, *HISTOGRAMS)}
    assert all(family.documentation for family in told.values())
    assert "created" not in metrics.exposition()[0].decode()


def test_a_cycle_is_shown(metrics: Metrics) -> None:
    cycle = values.cycle(3)
    metrics.publish(cycle)
    assert shown(metrics, "last_cycle_timestamp_seconds") == cycle.time_s
    assert shown(metrics, "mode", mode="CONTROL") == 1
    assert shown(metrics, "mode", mode="OFF") == 0
    assert shown(metrics, "estimate", state="glucose") == 30.0
    assert shown(metrics, "estimate_stddev", state="mu_max") == pytest.approx(0.05 * 0.039)
    assert shown(metrics, "innovation_ratio", tag="pCO2") == 1.4
    assert shown(metrics, "measurements_rejected_total", tag="pCO2", reason="GATED") == 1
    assert shown(metrics, "measurements_rejected_total", tag="pH", reason="GATED") == 0
    assert shown(metrics, "measurement_age_seconds", tag="pH") == 3
    assert shown(metrics, "volume_liters") == 18
    assert shown(metrics, "volume_headroom_liters") == 2002 - 18
    assert shown(metrics, "expected_product_grams", feeds="plan") == 4810
    assert shown(metrics, "guard_interventions_total", rule="slew") == 1
    assert shown(metrics, "readback_mismatch_total", mv="air") == 1
    assert shown(metrics, "cycle_duration_seconds_count") == 1
    assert shown(metrics, "solve_duration_seconds_sum", problem="feed") == 0.12
    assert shown(metrics, "batch_info", **batch_labels()) == 1


def batch_labels() -> dict[str, str]:
    header = values.header()
    return {
        "batch": header.batch,
        "model": header.model,
        "model_hash": header.model_hash,
        "config_hash": header.config_hash,
    }


def test_what_the_plant_says_is_shown(metrics: Metrics) -> None:
    cycle = values.cycle(0)
    for connected in (True, False):
        metrics.publish(replace(cycle, readings=values.readings(cycle.time_s, connected)))
        for name in ("opcua_connected", "remote_enabled", "lease_held"):
            assert shown(metrics, name) == connected


def test_a_plan_counts_once_and_grows_old(metrics: Metrics) -> None:
    time_s = values.INOCULATED_AT_S
    plans = {"gas": values.plan("gas", time_s, 3, SolveStatus.INFEASIBLE)}
    for number in range(4):
        cycle = values.cycle(number)
        metrics.publish(replace(cycle, decision=values.decision(cycle.time_s, plans)))
    assert shown(metrics, "solves_total", problem="gas", status="INFEASIBLE") == 1
    assert shown(metrics, "plan_age_cycles", problem="gas") == 3


def test_the_residual_of_the_mass_balance_is_shown(metrics: Metrics) -> None:
    name, cycle = "mass_balance_residual_grams", values.cycle(0)
    for residual_kg, expected_g in ((2.5, 2500.0), (None, 2500.0), (-1.0, -1000.0)):
        balance = MassBalance(residual_kg=residual_kg)
        decision = replace(values.decision(cycle.time_s), balance=balance)
        metrics.publish(replace(cycle, decision=decision))
        assert shown(metrics, name) == expected_g


def test_how_far_everything_is_trusted_is_shown(metrics: Metrics) -> None:
    metrics.publish(values.cycle(0))
    assert shown(metrics, "innovation_consistency", tag="pH") is None
    assert shown(metrics, "gate_reopenings_total", tag="glucose") == 0
    assert shown(metrics, "estimator_resets_total") == 0
    told = values.trust(values.cycle(1))
    metrics.publish(told)
    assert shown(metrics, "innovation_consistency", tag="pCO2") == 3.5
    assert shown(metrics, "innovation_consistency_limit", tag="pCO2", end="upper") == 1.4
    assert shown(metrics, "innovation_consistency_overall") == 1.2
    assert shown(metrics, "innovation_consistency_overall_limit", end="lower") == 0.8
    assert shown(metrics, "signal_suspect", tag="pCO2") == 1
    assert shown(metrics, "signal_suspect", tag="glucose") == 0
    assert shown(metrics, "signal_offset", tag="pH") == 0.03
    assert shown(metrics, "signal_offset_stddev", tag="pH") == 0.01
    assert shown(metrics, "observability_ratio", state="mu_max") == 0.75
    assert shown(metrics, "parameter_at_bound", state="Q_mAb") == 1
    assert shown(metrics, "parameter_at_bound", state="mu_max") == 0
    assert shown(metrics, "signal_suspicions_total", tag="pCO2") == 1


def test_judgements_are_counted(metrics: Metrics) -> None:
    for number, judgement in enumerate(Judgement):
        channel = "" if judgement is Judgement.RESET else "glucose"
        cycle = values.cycle(number)
        estimate = replace(cycle.decision.estimate, decided=(Decided(judgement, channel),))
        metrics.publish(replace(cycle, decision=replace(cycle.decision, estimate=estimate)))
    assert shown(metrics, "signal_suspicions_total", tag="glucose") == 1
    assert shown(metrics, "gate_reopenings_total", tag="glucose") == 1
    assert shown(metrics, "gate_reopenings_total", tag="pH") == 0
    assert shown(metrics, "estimator_resets_total") == 1


def test_changes_of_mode_and_late_cycles_are_counted(metrics: Metrics) -> None:
    for number, mode in enumerate((Mode.SHADOW, Mode.CONTROL, Mode.CONTROL, Mode.SHADOW)):
        cycle = values.cycle(number)
        decision = values.decision(cycle.time_s, mode=mode)
        late = {"cycle": 121.0 if mode is Mode.SHADOW else 0.2}
        metrics.publish(replace(cycle, decision=decision, durations=late))
    assert shown(metrics, "mode_transitions_total", **{"from": "SHADOW", "to": "CONTROL"}) == 1
    assert shown(metrics, "mode_transitions_total", **{"from": "CONTROL", "to": "SHADOW"}) == 1
    assert shown(metrics, "cycle_overruns_total") == 2
    assert shown(metrics, "cycles_total") == 4


def test_lab_samples_are_counted_by_what_became_of_them(metrics: Metrics) -> None:
    cycle = values.cycle(0)
    samples = tuple(
        values.sample_result(cycle.time_s, verdict)
        for verdict in (Verdict.OK, Verdict.OK, Verdict.GATED)
    )
    decision = values.decision(cycle.time_s, samples=samples)
    metrics.publish(replace(cycle, decision=decision))
    assert shown(metrics, "lab_samples_total", result="OK") == 2
    assert shown(metrics, "lab_samples_total", result="GATED") == 1


def test_commits_and_free_space_are_shown(metrics: Metrics, tmp_path: Path) -> None:
    assert shown(metrics, "audit_writes_total", result="failed") == 0
    metrics.audit_write(True)
    metrics.audit_write(False)
    assert shown(metrics, "audit_writes_total", result="ok") == 1
    assert shown(metrics, "audit_writes_total", result="failed") == 1
    assert (shown(metrics, "state_disk_free_bytes") or 0) > 0


def test_a_scrape_survives_the_loss_of_the_records_folder(tmp_path: Path) -> None:
    metrics = Metrics(values.header(), tmp_path / "gone")
    assert b"mpc_agent_state_disk_free_bytes NaN" in metrics.exposition()[0]


def test_open_metrics_is_spoken_when_asked_for(metrics: Metrics) -> None:
    text, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
