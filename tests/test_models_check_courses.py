"""What is said of rates, steps and batches that do not keep what they promise."""

from pathlib import Path

import pytest

from mpc_agent.model_check.balances import check_balances
from mpc_agent.model_check.batches import check_batches
from mpc_agent.model_check.integration import check_integration
from mpc_agent.model_check.signs import check_signs
from tests.examples_broken_models import (
    GUARD,
    METHOD,
    STEPS,
    Change,
    faults,
    outcome_of,
)

# ---------------------------------------------------------------- signs and balances


def test_an_uptake_that_does_not_end_is_found(tmp_path: Path) -> None:
    (text,) = faults(check_signs, tmp_path, (f"p.m_S * {GUARD}", "p.m_S"))
    assert text.startswith("at glycerol = 0 its rate is -")
    assert "biomass 1" in text
    assert text.endswith(
        "it would become negative; what takes glycerol away must vanish with it, as in glycerol / "
        "(glycerol + small)"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("production * x.biomass - dilution * x.enzyme", "production * x.biomass")],
            (
                "feed does not dilute enzyme: its rate lacks -feed / volume * enzyme (or name it "
                "in `undiluted`, with the reason)"
            ),
        ),
        (
            [("volume=flow,", "volume=u.feed,")],
            "the volume changes by",
        ),
        (
            [("dilution = flow / x.volume", "dilution = 2 * flow / x.volume")],
            "a litre of feed brings",
        ),
        (
            [('"glycerol in the feed", 600.0, 100.0', '"glycerol in the feed", -5.0, -100.0')],
            "a litre of feed brings -5 g/L of glycerol",
        ),
    ],
)
def test_balances_that_do_not_close(tmp_path: Path, changes: list[Change], expected: str) -> None:
    assert expected in "\n".join(faults(check_balances, tmp_path, *changes))


def test_what_liquid_does_not_dilute_is_named_with_its_reason(tmp_path: Path) -> None:
    changes = [
        ("production * x.biomass - dilution * x.enzyme", "production * x.biomass"),
        (METHOD, f'{METHOD} undiluted={{"enzyme": "sticks to the wall"}},'),
    ]
    assert faults(check_balances, tmp_path, *changes) == []


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [(METHOD, "")],
            (
                "needs at least 302 steps per hour, declared are 60: the fastest rate is 754.3 1/h "
                "at 21 h, and step times rate must not exceed 2.5 (or choose Method.IMPLICIT)"
            ),
        ),
        (
            [
                (METHOD, ""),
                ('"kLa per stirrer speed", 0.4, 0.05, 2.0', '"kLa", 20.0, 0.05, 20.0'),
            ],
            "for which the explicit method needs 9",
        ),
        (
            [("accuracy=1e-4", "accuracy=1e-6")],
            "of its scale; declared is an accuracy of 1e-06. About",
        ),
        (
            [
                (
                    '"biomass": State("g/L", "dry biomass", 0.5, 20.0, 0.0, 150.0)',
                    '"biomass": State("g/L", "dry biomass", 0.5, 20.0, 0.0, 50.0)',
                )
            ],
            "in the reference batch state biomass is 50.",
        ),
        (
            [('{"feed": 0.05}', '{"feed": 0.7}')],
            "in the reference batch input feed is 0.7 L/h at 20 h, outside its bounds 0..0.5",
        ),
        (
            [
                (
                    "volume=flow,",
                    "volume=xp.log(x.volume - 5.01) * flow,",
                )
            ],
            "in the reference batch volume is -inf at 0.5 h",
        ),
        (
            [
                ('"dry biomass", 0.5', '"dry biomass", 0.0'),
                ("(16.0,", "(160.0,"),
                ("(20.0,", "(200.0,"),
                ("(28.0,", "(280.0,"),
            ],
            "nothing happens in the reference batch: no state moves by more than 0 of its scale in",
        ),
    ],
)
def test_steps_that_do_not_do(tmp_path: Path, changes: list[Change], expected: str) -> None:
    assert expected in "\n".join(faults(check_integration, tmp_path, *changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(STEPS, "substeps_per_h=600,")], "200 steps per hour would do (within "),
        (
            [(STEPS, "substeps_per_h=600,")],
            "along the reference batch the fastest rate is 754.3 1/h: Method.EXPLICIT would be",
        ),
    ],
)
def test_steps_that_are_shorter_than_needed(
    tmp_path: Path, changes: list[Change], expected: str
) -> None:
    found = outcome_of(check_integration, tmp_path, *changes)
    assert found.faults == ()
    assert expected in "\n".join(item.text for item in found.findings)


# ---------------------------------------------------------------- batches


def test_volume_from_nowhere_is_found(tmp_path: Path) -> None:
    changes = [
        ("volume=flow,", "volume=u.feed,"),
        ("step_h=0.5,", 'step_h=0.5, parameters={"feed_gain": 1.2},'),
    ]
    (text,) = faults(check_batches, tmp_path, *changes)
    assert text == (
        "over the reference batch -0.2 L come from nowhere: the volume grew by 1 L, 1.2 L flowed "
        "in, 0 L were lost"
    )


def test_a_step_below_zero_is_found(tmp_path: Path) -> None:
    """Glycerol ends so suddenly that explicit steps go past it."""
    changes = [
        (GUARD, 'x.glycerol / (x.glycerol + xp.quantity(1e-5, "g/L"))'),
        (METHOD, ""),
        (STEPS, "substeps_per_h=400,"),
        ("accuracy=1e-4", "accuracy=1e-6"),
    ]
    (text,) = faults(check_batches, tmp_path, *changes)
    assert text.startswith("in the reference batch with its liquid flows shut, glycerol is -")
