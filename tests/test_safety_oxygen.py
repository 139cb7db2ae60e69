"""The oxygen watch: low or missing, and since when."""

from math import nan

from mpc_agent.safety.oxygen import OxygenWatch, watch_oxygen
from tests.examples_safety import NOW_S, SETTINGS


def after(values: list[float]) -> OxygenWatch:
    watch = OxygenWatch()
    for k, value in enumerate(values):
        watch = watch_oxygen(watch, value, NOW_S + 60.0 * k, SETTINGS)
    return watch


def test_well_is_at_or_above_the_floor() -> None:
    assert after([20.0, 60.0]) == OxygenWatch()


def test_low_since_the_first_low_value_also_across_missing_ones() -> None:
    assert after([60.0, 19.0, nan, 18.0]) == OxygenWatch(NOW_S + 60.0, missing=False)
    assert after([60.0, nan, 10.0, nan]) == OxygenWatch(NOW_S + 60.0, missing=True)


def test_one_good_value_ends_it() -> None:
    assert after([10.0, 10.0, 30.0]) == OxygenWatch()


def test_a_clock_set_back_starts_anew() -> None:
    watch = watch_oxygen(OxygenWatch(NOW_S), 5.0, NOW_S - 3600.0, SETTINGS)
    assert watch.low_since_s == NOW_S - 3600.0
