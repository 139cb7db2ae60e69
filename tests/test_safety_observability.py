"""Control is refused while what it needs is not known: every subset of sensors lost."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc_agent.estimation.estimator import begin_estimation, estimate
from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.settings import EstimationSettings, NeededOutput
from mpc_agent.safety.flags import Conditions, Flag, ModeState
from mpc_agent.safety.modes import next_state
from mpc_agent.steps import needed_outputs, unobservable
from mpc_agent.values import Estimate, Measurement, Mode, PlantStatus, Sample, Verdict
from tests import record_values as values
from tests.examples_batch import demo_engines
from tests.examples_core import START_S, core_filter
from tests.examples_safety import NOW_S, SETTINGS

REMOTE = PlantStatus(
    connected=True, remote_enabled=True, remote_active=True, watchdog_tripped=False
)
HOURS = 36
PROBES, LAB = ("viable_cells", "glucose"), ("glucose", "lactate", "titre")
SENSORS = (*(f"probe {name}" for name in PROBES), *(f"lab {name}" for name in LAB))
SUBSETS = [kept for size in range(len(SENSORS) + 1) for kept in combinations(SENSORS, size)]
NEEDED = (NeededOutput("viable_cells", 0.12, relative=True), NeededOutput("glucose", 0.8))


def needing() -> EstimationSettings:
    """The small filter's settings, with what control needs to know."""
    return replace(core_filter().settings, needed=NEEDED)


def lived(
    kalman: ExtendedKalmanFilter, kept: Collection[str], hours: int, course: tuple[Estimate, ...]
) -> Iterator[Estimate]:
    """Hourly estimates with some sensors, which show what `course` says, the lab once in 12 h.

    Without a surprise the course is the same for every subset; only what is known of it differs.
    """
    settings, inputs = kalman.settings, np.array(kalman.settings.model.nominal_inputs())
    names = settings.model.output_names
    memory = begin_estimation(kalman, START_S, inputs)
    for hour in range(1, hours + 1):
        now_s = START_S + 3600.0 * hour
        shown = np.full(kalman.signals, np.nan)
        samples = []
        if course:
            outputs = dict(zip(names, course[hour - 1].outputs.tolist(), strict=True))
            for i, item in enumerate(settings.signals):
                shown[i] = outputs[item.shows] if f"probe {item.name}" in kept else np.nan
            samples = [
                Sample(item.name, outputs[item.shows], "", now_s, now_s, "lab")
                for item in settings.assays
                if f"lab {item.name}" in kept and hour % 12 == 0
            ]
        told = np.isfinite(shown)
        verdicts = tuple(Verdict.OK if here else Verdict.MISSING for here in told)
        signals = tuple(item.name for item in settings.signals)
        measurement = Measurement(signals, shown, verdicts, inputs, np.where(told, now_s, np.nan))
        result, memory = estimate(kalman, memory, measurement, samples, now_s)
        yield result


@cache
def open_loop() -> tuple[Estimate, ...]:
    """The course of the small culture as the model foresees it."""
    return tuple(lived(core_filter(), (), HOURS, ()))


def modes(settings: EstimationSettings, estimates: Iterable[Estimate]) -> list[ModeState]:
    """The mode machine with these estimates, from control on; all else is well."""
    state = ModeState(Mode.CONTROL, Mode.CONTROL, requested=True, remote_active=True)
    states = []
    for told in estimates:
        missing = unobservable(needed_outputs(settings), told)
        conditions = Conditions(now_s=told.time_s, status=REMOTE, unobservable=missing)
        state = next_state(state, Mode.CONTROL, conditions, SETTINGS)
        states.append(state)
    return states


@pytest.mark.parametrize("kept", SUBSETS, ids=lambda kept: ", ".join(kept) or "none")
def test_with_too_few_sensors_control_is_refused_and_with_enough_it_is_not(
    kept: tuple[str, ...],
) -> None:
    states = modes(needing(), lived(core_filter(), kept, HOURS, open_loop()))
    cells_known = {"probe viable_cells", "lab lactate"} & set(kept)
    glucose_known = {"probe glucose", "lab glucose"} & set(kept)
    if cells_known and glucose_known:
        assert states[-1].actual is Mode.CONTROL
    else:
        assert states[-1].flags == (Flag.STATE_UNOBSERVABLE,)
        assert (states[-1].actual, states[-1].requested) == (Mode.SHADOW, False)


def test_control_comes_back_with_the_sample() -> None:
    blind = [*lived(core_filter(), (), HOURS, open_loop())]
    known = [*lived(core_filter(), SENSORS, HOURS, open_loop())]
    later_s = blind[-1].time_s - known[0].time_s + 3600.0
    states = modes(
        needing(), [*blind, *(replace(item, time_s=item.time_s + later_s) for item in known[-2:])]
    )
    assert [state.actual for state in states[-3:]] == [Mode.SHADOW, Mode.CONTROL, Mode.CONTROL]


def test_the_demo_loses_control_blind_and_keeps_it_on_either_half_of_its_sensors() -> None:
    kalman = demo_engines().kalman
    course = tuple(lived(kalman, (), 72, ()))
    signals = [f"probe {item.name}" for item in kalman.settings.signals]
    assays = [f"lab {item.name}" for item in kalman.settings.assays]
    for kept, controls in (((), False), (signals, True), (assays, True)):
        states = modes(kalman.settings, lived(kalman, kept, 72, course))
        assert (states[-1].actual is Mode.CONTROL) == controls, kept


# ------------------------------------------------------------------ the rule by itself


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.floats(-1e3, 1e3), numbers, st.floats(1e-3, 1e3), st.booleans())
def test_only_a_deviation_that_is_known_to_be_small_enough_will_do(
    value: float, deviation: float, largest: float, relative: bool
) -> None:
    item = NeededOutput("glucose", largest, relative)
    told = replace(
        values.estimate(NOW_S), outputs=np.array([value]), output_deviation=np.array([deviation])
    )
    known = deviation <= (largest * abs(value) if relative else largest)
    assert unobservable([(item, 0)], told) == (() if known else ("glucose",))


def test_nothing_needed_is_never_unknown() -> None:
    told = replace(values.estimate(NOW_S), output_deviation=np.full(99, np.nan))
    assert unobservable([], told) == ()
