"""How weight and ledger are compared, as it follows from what the site says of its scale."""

from math import hypot
from pathlib import Path
from typing import Any

import pytest

from mpc_agent.build import tag_map
from mpc_agent.config import Settings
from mpc_agent.safety.settings import BalanceSettings
from tests.config_files import CONFIGS, RIGHT, write_config

BOLUS = {"node": "plant:s=Booked.GlucoseFeed", "unit": "mL", "what": "glucose_feed"}


def loaded(folder: Path, **changes: Any) -> Settings:
    """The right configuration with other sections for balance, scale or doses."""

    def change(data: dict[str, Any]) -> None:
        for key, value in changes.items():
            if key == "noise":
                data["signals"]["online"]["weight"]["noise"] = value
            elif key == "density":
                data["model"]["parameters"] = {"density": value}
            elif key == "doses":
                data["tags"]["doses"] = value
            else:
                data["safety"][key] = value

    return Settings.load(write_config(folder, change), {})


def test_what_may_differ_follows_from_scale_and_vessel(tmp_path: Path) -> None:
    plain = Settings.load(RIGHT, {}).safety
    assert plain.balance is not None
    assert plain.max_pump_drift == 0.05
    filled = loaded(tmp_path, noise={"absolute": 0.1}, density=1.02).safety.balance
    assert filled is not None
    assert filled == BalanceSettings("weight", 1.02, filled.absolute_kg, 0.05)
    assert filled.absolute_kg == pytest.approx(0.005 * 1.02 * 1400)
    noisy = loaded(tmp_path, noise={"absolute": 3.0, "relative": 0.002}).safety.balance
    assert noisy is not None
    assert noisy.absolute_kg == pytest.approx(5 * hypot(3.0, 0.002 * 1400))


def test_what_the_site_gives_counts(tmp_path: Path) -> None:
    section = {
        "absolute_kg": 12,
        "relative": 0.1,
        "density_kg_per_L": 1.05,
        "pump_drift": None,
    }
    given = loaded(tmp_path, balance=section).safety
    assert given.balance == BalanceSettings("weight", 1.05, 12.0, 0.1)
    assert given.max_pump_drift is None
    without = loaded(tmp_path, balance=None).safety
    assert (without.balance, without.max_pump_drift) == (None, None)


def test_without_a_density_weight_and_volume_cannot_be_compared() -> None:
    """A model whose feeds are of other densities has none for its broth."""
    settings = Settings.load(CONFIGS / "penicillin_demo.yaml", {})
    assert "weight" in settings.document.signals.online
    assert settings.safety.balance is None
    assert settings.safety.max_pump_drift == 0.05


def test_doses_become_tags_of_what_they_are(tmp_path: Path) -> None:
    (dose,) = tag_map(loaded(tmp_path, doses={"bolus": BOLUS})).doses
    assert dose.name == "glucose_feed"
    assert dose.unit == "L"
    assert dose.conversion.to_model(2500.0) == pytest.approx(2.5)
