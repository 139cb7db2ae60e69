"""PenSim against tabulated runs of the published batch, and what keeps it sound."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from plant_models.integrate import Simulator
from plant_models.penicillin_pensim import MODEL
from tests.examples_models import Floats, compiled

FEED = 0.042
END_H = 400.0
SWITCH_G_PER_L = 0.3
"""Glucose below which the feed begins."""

PRINTED_LAMBDA = 2.5e-4
ROWS = {
    100.0: "biomass 9.684 substrate .0790 dissolved_oxygen 1.115 penicillin 0.510 "
    "volume 96.34 carbon_dioxide 1.881",
    200.0: "biomass 12.686 substrate .0285 dissolved_oxygen 1.109 penicillin 1.094 "
    "volume 94.65 carbon_dioxide 2.321",
    400.0: "biomass 14.250 substrate .0031 dissolved_oxygen 1.107 penicillin 1.615 "
    "volume 91.59 carbon_dioxide 2.565",
}
VARIANTS = (
    ({"lambda_": 0.0}, "biomass 11.33 penicillin 1.283 volume 114.95"),
    ({"lambda_": 1.0039e-4}, "biomass 12.43 penicillin 1.408"),
    ({"lambda_": PRINTED_LAMBDA, "K_ox": 0.0, "K_op": 0.0}, "penicillin 1.615"),
)


def meets(value: float, printed: str) -> bool:
    """Whether a value is a printed one, to 1e-3 and half of the last printed digit."""
    digits = len(printed.partition(".")[2])
    return abs(value - float(printed)) <= 1e-3 * abs(float(printed)) + 0.5 * 10.0**-digits


def differing(row: Mapping[str, float], text: str) -> dict[str, tuple[float, str]]:
    """Entries of a row that are not as printed."""
    words = text.split()
    printed = dict(zip(words[::2], words[1::2], strict=True))
    return {name: (row[name], word) for name, word in printed.items() if not meets(row[name], word)}


@cache
def published_batch(**changes: float) -> tuple[float, Any]:
    """Hour at which the feed begins, and states at the tabulated hours, by a tight LSODA."""
    derivative, _ = compiled(MODEL)
    p = np.array(MODEL.nominal_parameters()._replace(**changes))
    substrate = MODEL.state_names.index("substrate")

    def switch(_: float, x: Floats) -> float:
        return float(x[substrate]) - SWITCH_G_PER_L

    switch.terminal = True  # type: ignore[attr-defined]

    def solve(start_h: float, x: Floats, feed: float, **more: Any) -> Any:
        u = np.array(MODEL.nominal_inputs()._replace(feed=feed))
        return solve_ivp(
            lambda _, x: np.array(derivative(x, u, p)).ravel(),
            (start_h, END_H),
            x,
            method="LSODA",
            rtol=1e-9,
            atol=1e-11,
            **more,
        )

    batch = solve(0.0, np.array(MODEL.initial_state()), 0.0, events=switch)
    fed = solve(batch.t[-1], batch.y[:, -1], FEED, t_eval=list(ROWS))
    return float(batch.t[-1]), (batch.y[:, -1], dict(zip(fed.t, fed.y.T, strict=True)))


def row_at(time_h: float, **changes: float) -> dict[str, float]:
    _, (_, rows) = published_batch(**changes)
    return dict(zip(MODEL.state_names, rows[time_h], strict=True))


@pytest.mark.parametrize("time_h", ROWS)
def test_published_batch_meets_the_table(time_h: float) -> None:
    assert differing(row_at(time_h, lambda_=PRINTED_LAMBDA), ROWS[time_h]) == {}


def test_feed_begins_when_the_table_says() -> None:
    switch_h, (state, _) = published_batch(lambda_=PRINTED_LAMBDA)
    assert meets(switch_h, "44.01")
    assert meets(state[0], "6.407")


@pytest.mark.parametrize(("changes", "printed"), VARIANTS)
def test_variants_meet_the_table(changes: dict[str, float], printed: str) -> None:
    assert differing(row_at(END_H, **changes), printed) == {}


def test_reference_batch_is_the_published_one_with_little_evaporation() -> None:
    """Its feed begins at 44 h by the clock, where the published one waits for 0.3 g/L."""
    switch_h, _ = published_batch()
    assert switch_h == pytest.approx(44.0, abs=0.05)
    simulator, p = Simulator(MODEL, 1.0), np.array(MODEL.nominal_parameters())
    x, u = np.array(MODEL.initial_state()), MODEL.nominal_inputs()
    for hour in range(400):
        u, _, _ = MODEL.reference.act(float(hour), x, None)
        x = simulator.advance(x, np.array(u), p)
    assert x == pytest.approx(list(row_at(END_H).values()), rel=1e-3)
    y = dict(zip(MODEL.output_names, simulator.outputs(x, np.array(u), p), strict=True))
    assert y["product_mass"] == pytest.approx(147.6, rel=1e-3)
    assert y["dissolved_oxygen"] == pytest.approx(95.8, rel=1e-3)


def test_a_batch_without_feed_starves_and_stays_non_negative() -> None:
    """Steps of a stiff integrator may overshoot zero, by no more than a thousandth of a scale."""
    simulator, p = Simulator(MODEL, 1.0), np.array(MODEL.nominal_parameters())
    x, u = np.array(MODEL.initial_state()), np.array(MODEL.nominal_inputs())
    scales = np.array([state.scale for state in MODEL.states.values()])
    course = []
    for _ in range(400):
        x = simulator.advance(x, u, p)
        course.append(x)
    assert np.min(course / scales) > -1e-3
    assert np.abs(course[-1][MODEL.state_names.index("substrate")]) < 1e-9
    # Without substrate there is no production, and what was made is hydrolysed.
    assert course[-1][MODEL.state_names.index("penicillin")] < 1e-3


def test_feeding_more_than_the_recipe_makes_more() -> None:
    simulator, p = Simulator(MODEL, 1.0), np.array(MODEL.nominal_parameters())
    made = []
    for feed in (0.042, 0.06):
        x = np.array(MODEL.initial_state())
        for hour in range(400):
            u = MODEL.nominal_inputs()._replace(feed=feed if hour >= 44 else 0.0)
            x = simulator.advance(x, np.array(u), p)
        made.append(x[3] * x[4])
    assert made[1] > 1.2 * made[0]
