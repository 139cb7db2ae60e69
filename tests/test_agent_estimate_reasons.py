"""What people are told of the estimate: samples, judgements, learning, and what lasts."""

from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pytest

from mpc_agent.estimate_reasons import (
    ADVICE,
    dose_events,
    judgement_events,
    lasting,
    move_events,
    over_events,
    sample_events,
    with_deviation,
)
from mpc_agent.estimation.happenings import Book
from mpc_agent.estimation.health import chi_square_band
from mpc_agent.estimation.settings import HealthSettings, NeededOutput
from mpc_agent.values import (
    Consistency,
    Decided,
    Dose,
    Estimate,
    Event,
    Judgement,
    Move,
    Sample,
    SampleResult,
    Severity,
    Verdict,
)
from tests import record_values as values
from tests.examples_core import core_settings

NOW_S = 1_767_600_000.0
SAMPLE = Sample("glucose", 21.3, "mmol/L", NOW_S - 7560, NOW_S - 60, "analyser 2")
SETTINGS = replace(core_settings(), needed=(NeededOutput("glucose", 3.0),))
STATES = len(SETTINGS.model.states)
OUTPUTS = len(SETTINGS.model.output_names)
GLUCOSE = SETTINGS.model.output_names.index("glucose")
CHANNELS = len(SETTINGS.signals) + len(SETTINGS.assays)
UPPER = float(chi_square_band(np.array([48]), 0.95)[0, 1])


def estimate(**changes: Any) -> Estimate:
    """An estimate about which there is nothing to say."""
    return replace(
        values.estimate(NOW_S),
        mean=np.array([*np.ones(STATES), 0.039, 1.5e-3]),
        outputs=np.full(OUTPUTS, 20.0),
        output_deviation=np.full(OUTPUTS, 1.0),
        **changes,
    )


def fused(**changes: Any) -> SampleResult:
    plain: dict[str, Any] = {"before": (22.4, 0.92), "after": (21.62, 0.5)}
    return replace(SampleResult(SAMPLE, Verdict.OK, -1.2, 0.4), **{**plain, **changes})


def told(result: SampleResult, before: Book | None = None, **changes: Any) -> Event:
    """The one event of one lab result."""
    (event,) = sample_events(estimate(samples=(result,), **changes), before or Book())
    return event


# ------------------------------------------------------------------ lab results


def test_a_fused_sample_tells_when_it_was_drawn_and_what_it_changed() -> None:
    event = told(fused())
    assert (event.code, event.severity) == ("SAMPLE_FUSED", Severity.EVENT)
    assert event.text == (
        "glucose 21.3 mmol/L, drawn 2.1 h ago, fused at that time; -1.2 from expected; "
        "estimate now 22.40 +/- 0.92 -> 21.62 +/- 0.50."
    )


def test_without_a_before_nothing_is_told_of_it() -> None:
    assert told(fused(before=(nan, nan))).text.endswith("-1.2 from expected.")


def test_a_correction_tells_what_it_replaces_and_why() -> None:
    corrected = replace(SAMPLE, value=12.3, reason="dilution was not entered")
    known = Book(samples=(SAMPLE, replace(SAMPLE, analyte="lactate", value=1.0)))
    event = told(fused(sample=corrected), known)
    assert event.text.startswith(
        "glucose 12.3 mmol/L (corrects 21.3: dilution was not entered), drawn 2.1 h ago, fused"
    )
    aside = Book(set_aside=(replace(SAMPLE, value=213.0),))
    assert "(corrects 213)," in told(fused(), aside).text
    later = Book(samples=(replace(SAMPLE, drawn_at_s=NOW_S),))
    assert "corrects" not in told(fused(), later).text


@pytest.mark.parametrize(
    ("verdict", "suspects", "code", "severity"),
    [
        (Verdict.STALE, (), "SAMPLE_TOO_OLD", Severity.EVENT),
        (Verdict.GATED, (), "SAMPLE_REFUSED", Severity.ALARM),
        (Verdict.OUT_OF_RANGE, (), "SAMPLE_REFUSED", Severity.ALARM),
        (Verdict.GATED, ("glucose",), "SAMPLE_WATCHED", Severity.EVENT),
    ],
)
def test_what_was_not_fused_tells_why(
    verdict: Verdict, suspects: tuple[str, ...], code: str, severity: Severity
) -> None:
    event = told(replace(fused(), verdict=verdict), suspects=suspects)
    assert (event.code, event.severity) == (code, severity)
    assert event.text.startswith("glucose 21.3 mmol/L, drawn 2.1 h ago,")


@pytest.mark.parametrize(
    ("value", "deviation", "text"),
    [
        (1402.13, 2.34, "1402.1 +/- 2.3"),
        (0.51234, 0.00912, "0.5123 +/- 0.0091"),
        (31234.5, 412.0, "31234 +/- 412"),
        (5.0, 0.0, "5"),
        (5.0, nan, "5"),
    ],
)
def test_digits_are_those_that_mean_something(value: float, deviation: float, text: str) -> None:
    assert with_deviation(value, deviation) == text


# ------------------------------------------------------------------ judgements and learning


@pytest.mark.parametrize("judgement", Judgement)
def test_every_judgement_is_told_with_what_it_means(judgement: Judgement) -> None:
    channel = "" if judgement is Judgement.RESET else "capacitance"
    (event,) = judgement_events(SETTINGS, estimate(decided=(Decided(judgement, channel),)))
    assert event.code == ADVICE[judgement][0]
    assert event.severity is (Severity.EVENT if judgement is Judgement.TRUSTED else Severity.ALARM)
    assert channel in event.text
    assert "{" not in event.text


def test_a_jump_tells_the_parameter_before_and_after() -> None:
    jumped = Decided(Judgement.JUMPED, "mu_max", (0.04, 0.02))
    (event,) = judgement_events(SETTINGS, estimate(decided=(jumped,)))
    assert "mu_max has changed suddenly, 0.04 -> 0.02 1/h:" in event.text


def test_moves_are_one_event_with_units() -> None:
    moves = (Move("mu_max", 0.039, 0.04123), Move("Q_mAb", 1.5e-3, 1.71e-3))
    (event,) = move_events(SETTINGS, estimate(moves=moves))
    assert (event.code, event.severity) == ("PARAMETERS_MOVED", Severity.EVENT)
    assert "mu_max 0.039 -> 0.04123 1/h; Q_mAb 0.0015 -> 0.00171 g/(1e9 cells)/h." in event.text
    assert list(move_events(SETTINGS, estimate())) == []


# ------------------------------------------------------------------ what lasts


def course(estimates: list[Estimate]) -> list[list[str]]:
    """Codes told in each of some consecutive cycles."""
    before: tuple[str, ...] = ()
    codes = []
    for item in estimates:
        found = lasting(SETTINGS, item, before)
        fresh = [event.code for key, event in found.items() if key not in before]
        codes.append(fresh + [event.code for event in over_events(before, found)])
        before = tuple(found)
    return codes


def learnt(mu_max: float, at_bounds: tuple[str, ...] = ()) -> Estimate:
    mean = np.array([*np.ones(STATES), mu_max, 1.5e-3])
    return replace(estimate(at_bounds=at_bounds), mean=mean)


def test_a_parameter_at_its_bound_is_told_once_until_it_has_left() -> None:
    at = learnt(0.05, ("mu_max",))
    assert course([learnt(0.045), at, learnt(0.0499), at, learnt(0.048), at]) == [
        [],
        ["PARAMETER_AT_BOUND"],
        [],
        [],
        ["PARAMETER_AT_BOUND_CLEARED"],
        ["PARAMETER_AT_BOUND"],
    ]
    (event,) = lasting(SETTINGS, at, ()).values()
    assert event.severity is Severity.ALARM
    assert "mu_max has reached 0.05 1/h, the upper end" in event.text
    (event,) = lasting(SETTINGS, learnt(0.03, ("mu_max",)), ()).values()
    assert "0.03 1/h, the lower end" in event.text


def consistent(mean: float, count: int = 48) -> Estimate:
    """An estimate whose first signal's squared innovations are of this size."""
    counts = np.array([count, *[0] * (CHANNELS - 1)])
    means = np.where(counts > 0, mean, nan)
    bands = chi_square_band(counts, SETTINGS.health.confidence)
    return estimate(consistency=Consistency(means, bands, mean, (0.5, 1.5)))


def test_an_inconsistent_signal_is_told_once_far_above_its_band_and_with_a_full_window() -> None:
    assert HealthSettings().window == 48
    steps = [(UPPER + 0.1, 48), (9.0, 47), (4.1, 48), (3.9, 48), (2.1, 48), (1.9, 48), (3.9, 48)]
    assert course([consistent(mean, count) for mean, count in steps]) == [
        [],
        [],
        ["SIGNAL_INCONSISTENT"],
        [],
        [],
        ["SIGNAL_INCONSISTENT_CLEARED"],
        [],
    ]
    (event,) = lasting(SETTINGS, consistent(9.0), ()).values()
    assert event.severity is Severity.EVENT
    assert event.text.startswith("viable_cells is 3.0 times as far from what is expected")


def known(deviation: float) -> Estimate:
    plain = estimate()
    deviations = plain.output_deviation.copy()
    deviations[GLUCOSE] = deviation
    return replace(plain, output_deviation=deviations)


def test_what_is_not_known_well_enough_is_named_before_control_is_lost() -> None:
    assert course([known(item) for item in (2.9, 3.1, 2.8, 2.6, 2.9, nan)]) == [
        [],
        ["OUTPUT_UNCERTAIN"],
        [],
        ["OUTPUT_UNCERTAIN_CLEARED"],
        [],
        ["OUTPUT_UNCERTAIN"],
    ]
    (event,) = lasting(SETTINGS, known(4.23), ()).values()
    assert event.severity is Severity.EVENT
    assert event.text.startswith("glucose is known to +/- 4.2 mmol/L only, control needs +/- 3:")


def test_what_others_tell_is_not_taken_for_over() -> None:
    assert list(over_events(("PUMP_DRIFT glucose_feed", "a message"), ())) == []


# ------------------------------------------------------------------ bookings


def test_bookings_are_told_and_those_too_late_are_an_alarm() -> None:
    dose = Dose("glucose_feed", 5.0, NOW_S - 7200)
    (booked,) = dose_events(estimate(poured=(dose,)), Book(), NOW_S - 86400)
    assert (booked.code, booked.severity) == ("DOSE_BOOKED", Severity.EVENT)
    assert booked.text == "5 L of glucose_feed, 2.0 h ago, booked: counted at that time."
    old = Book(doses=(Dose("glucose_feed", 500.0, NOW_S - 7200),))
    (corrected,) = dose_events(estimate(poured=(dose,)), old, NOW_S - 86400)
    assert "booked (corrects 500 L)" in corrected.text
    (late,) = dose_events(estimate(unreached=(dose,)), Book(), NOW_S - 86400)
    assert (late.code, late.severity) == ("DOSE_TOO_OLD", Severity.ALARM)
    assert "too late" in late.text
    # What was given before the batch is in the volume at inoculation.
    assert list(dose_events(estimate(unreached=(dose,)), Book(), NOW_S - 3600)) == []
