"""Settings under which the guard could not keep its promises are refused, all faults at once."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from mpc_agent.safety.settings import FallbackSettings, InputLimit
from tests.examples_safety import SETTINGS

LIMITS = SETTINGS.input_limits


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"feeds": ("sugar",)}, "sugar: no limits"),
        ({"safe_inputs": {}}, "air: no safe value"),
        ({"oxygen_gas": "helium"}, "helium is not one of the gases"),
        ({"max_dose_L": {"air": 1.0}}, "air: has a dose limit but is not a feed"),
        ({"max_dose_L": {"glucose_feed": nan}}, "glucose_feed: dose limit"),
        ({"safe_inputs": {**SETTINGS.safe_inputs, "air": 1.0}}, "air: safe value 1.0 is outside"),
        ({"max_sparge_L_per_h": 80.0}, "lower limits together"),
        ({"max_sparge_L_per_h": 300.0}, "safe values together"),
        ({"validity_s": 600.0}, "validity_s"),
        ({"validity_s": inf}, "validity_s"),
        ({"max_volume_L": 1400.0}, "max_volume_L"),
        ({"oxygen_feed_factor": 1.1}, "oxygen_feed_factor"),
        ({"critical_grace_s": -1.0}, "critical_grace_s"),
        ({"unobservable_grace_s": -1.0}, "unobservable_grace_s"),
        ({"estimate_grace_s": nan}, "estimate_grace_s"),
        (
            {"input_limits": {**LIMITS, "glucose_feed": InputLimit(0.1, 5.0)}},
            "glucose_feed: the lower limit of a feed must be 0",
        ),
        ({"input_limits": {**LIMITS, "air": InputLimit(84.0, nan)}}, "must be finite and ordered"),
        (
            {"input_limits": {**LIMITS, "air": InputLimit(84.0, 400.0, rise_per_h=0.0)}},
            "must be positive",
        ),
        ({"fallbacks": {"feed": FallbackSettings(("air",), 10.0, 5.0)}}, "fresh_s 10.0"),
        ({"fallbacks": {"feed": FallbackSettings(("sugar",), 5.0, 10.0)}}, "sugar has no limits"),
    ],
)
def test_each_fault_is_named(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        replace(SETTINGS, **changes)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="validity_s") as error:
        replace(SETTINGS, validity_s=1.0, oxygen_feed_factor=2.0, late_grace_s=-1.0)
    assert len(str(error.value).splitlines()) == 3
