"""Optima that the literature knows: problem, ours, best known, difference.

python -m benchmarks.literature

Ours is never what the optimiser says of itself: its feeds are integrated again by LSODA at 1e-10.
Park-Ramirez: Park and Ramirez (1988), AIChE J. 34:1550; Cuthrell-Biegler: Cuthrell and Biegler
(1989), Comput. Chem. Eng. 13:49; Srinivasan: Srinivasan et al. (2003), Comput. Chem. Eng. 27:27,
from a good and from a poor first guess; do-mpc: the closed loop of its example batch_reactor.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import exp

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.integrate import solve_ivp

from benchmarks.results import WIDTH
from controllers.arrays import Floats
from controllers.grid import even
from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import DecidedInput, Limit, Maximise, Problem, Rewarded
from controllers.situation import Situation
from plant_models import batch_bioreactor, cuthrell_biegler, park_ramirez
from plant_models.dialect import NUMPY
from plant_models.model import PlantModel

TIGHT = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-12}

SRINIVASAN = batch_bioreactor.CONTROL
FIRST_INPUTS = (0.00809996, 0.01450173, 0.0192925, 0.02266675, 0.02487659)
"""The first five inputs of do-mpc 5.1.2 on its own example, L/h."""


@dataclass(frozen=True)
class Row:
    """One line: what was reached, what is known, and which difference is accepted."""

    problem: str
    ours: float
    best_known: float
    at_least: float
    iterations: int

    @property
    def reached(self) -> bool:
        """Whether the accepted value is reached."""
        return self.ours >= self.at_least


def situation(problem: Problem, batch_h: float, guess: Callable[[float], float]) -> Situation:
    """Inoculation, with a guess of the one feed at the middle of each piece."""
    model, steps_h = problem.model, even(batch_h, problem.pieces)
    middles_h = (np.arange(problem.pieces) + 0.5) * steps_h
    return Situation(
        time_s=0.0,
        state=np.array(model.initial_state(), dtype=np.float64),
        parameters=np.array(model.nominal_parameters(), dtype=np.float64),
        given=np.zeros(1),
        previous=np.zeros(1),
        steps_h=steps_h,
        setpoints=np.zeros(0),
        guess=np.array([[guess(float(hour))] for hour in middles_h]),
    )


def integrated(model: PlantModel, state: Floats, inputs: Floats, steps_h: Floats) -> Floats:
    """The last state under piecewise-constant inputs, shape (pieces, inputs), by LSODA."""
    p = np.array(model.nominal_parameters(), dtype=np.float64)
    for u, step_h in zip(inputs, steps_h, strict=True):

        def rate(_: float, x: Floats, u: Floats = u) -> Floats:
            return np.asarray(model.derivative(x, u, p, NUMPY), dtype=np.float64)

        state = solve_ivp(rate, (0.0, step_h), state, **TIGHT).y[:, -1]
    return state


def solved(problem: Problem, start: Situation) -> tuple[Plan, Floats]:
    """The plan, and the state at its end, integrated again."""
    plan = Nmpc(problem).solve(start, None)
    if not plan.usable:
        raise SystemExit(f"{problem.name}: {plan.status}: {plan.message}")
    return plan, integrated(problem.model, start.state, plan.inputs, start.steps_h)


def park_ramirez_row() -> Row:
    """Secreted protein, 150 pieces, from a rising feed."""
    problem = Problem(
        name="park_ramirez",
        model=park_ramirez.MODEL,
        inputs=(DecidedInput("feed", 0.0, 2.0, move_weight=0.0),),
        pieces=150,
        maximise=Maximise("product_mass", 30.0),
    )
    start = situation(problem, 15.0, lambda hour: 0.2 + 1.3 * hour / 15.0)
    plan, end = solved(problem, start)
    ours = _product_mass(problem.model, end)
    return Row("Park-Ramirez, N = 150, g", ours, 32.6877, 32.68, plan.iterations)


def cuthrell_biegler_row() -> Row:
    """Penicillin in 132 hours, one piece each, from the structure of the literature."""

    def guess(hour: float) -> float:
        if hour < 24.0:
            return 3.2 * exp(0.076 * hour) / 500
        return 0.1 if hour < 32.0 else (8.4 + 0.012 * (hour - 32.0)) / 500

    problem = Problem(
        name="cuthrell_biegler",
        model=cuthrell_biegler.MODEL,
        inputs=(DecidedInput("feed", 0.0, 0.1, move_weight=0.0),),
        pieces=132,
        maximise=Maximise("product_mass", 90.0),
        limits=(
            Limit("volume", None, 10.0, scale=10.0, weight=None),
            Limit("biomass", None, 40.0, scale=20.0, weight=None),
            Limit("substrate", None, 25.0, scale=10.0, weight=None),
        ),
        # Collocation cannot follow the hour in which the substrate of the burst is used up.
        defect_max=0.1,
    )
    plan, end = solved(problem, situation(problem, 132.0, guess))
    ours = _product_mass(problem.model, end)
    return Row("Cuthrell-Biegler, 132 h, g", ours, 88.027, 88.02, plan.iterations)


def srinivasan_row(name: str, feed_L_per_h: float) -> Row:
    """Product at 150 h with biomass limited, from a constant feed as guess."""
    problem = Problem(
        name="srinivasan",
        model=SRINIVASAN,
        inputs=(DecidedInput("feed", 0.0, 1.0, move_weight=0.0),),
        pieces=50,
        maximise=Maximise("product"),
        limits=(Limit("biomass", None, 3.7, scale=1.0, weight=None),),
        leaner_guesses=(0.3, 0.1),
    )
    start = situation(problem, 150.0, lambda _: feed_L_per_h)
    state = start.state.copy()
    state[SRINIVASAN.state_names.index("volume")] = 150.0
    plan, end = solved(problem, replace(start, state=state))
    ours = float(SRINIVASAN.State(*end).product)
    return Row(f"Srinivasan, {name}, g/L", ours, 1.68268, 1.682, plan.iterations)


def do_mpc_problem() -> Problem:
    """The example batch_reactor with its own settings: 20 h ahead, 2 elements of degree 2."""
    scale = SRINIVASAN.inputs["feed"].scale
    return Problem(
        name="batch_reactor",
        model=SRINIVASAN,
        inputs=(DecidedInput("feed", 0.0, 0.2, move_weight=scale**2),),
        pieces=20,
        degree=2,
        elements=2,
        rewarded=(Rewarded("product", 1.0),),
        limits=(
            Limit("biomass", None, 3.7, scale=1.0, weight=None),
            Limit("product", None, 3.0, scale=1.0, weight=None),
        ),
    )


def do_mpc_rows() -> tuple[Row, Row]:
    """150 h in closed loop: how far the first five inputs are off, and the product at the end."""
    problem = do_mpc_problem()
    nmpc, inputs, iterations = Nmpc(problem), [], 0
    last: Plan | None = None
    now = situation(problem, 20.0, lambda _: 0.02)
    for _ in range(150):
        last = nmpc.solve(now, last)
        if not last.usable:
            raise SystemExit(f"batch_reactor: {last.status}: {last.message}")
        inputs.append(last.inputs[0])
        iterations += last.iterations
        state = integrated(SRINIVASAN, now.state, last.inputs[:1], np.ones(1))
        now = replace(
            now,
            time_s=now.time_s + 3600.0,
            state=state,
            previous=last.inputs[0],
            guess=last.inputs,
        )
    off = -float(np.abs(np.array(inputs[:5])[:, 0] - FIRST_INPUTS).max())
    end = float(SRINIVASAN.State(*now.state).product)
    return (
        Row("do-mpc's example, first inputs off by, L/h", off, 0.0, -1e-5, 0),
        Row("do-mpc's example, P(150), g/L", end, 1.68188, 1.68178, iterations),
    )


def _product_mass(model: PlantModel, state: Floats) -> float:
    """Grams of product in the vessel."""
    named = model.State(*state)
    return float(named.product * named.volume)


def main() -> None:
    """Print the table; fails where a value is not reached."""
    console = Console(width=WIDTH)
    jobs: tuple[Callable[[], Row | tuple[Row, ...]], ...] = (
        park_ramirez_row,
        cuthrell_biegler_row,
        partial(srinivasan_row, "good guess", 0.01),
        partial(srinivasan_row, "poor guess", 0.1),
        do_mpc_rows,
    )
    rows: list[Row] = []
    for job in track(jobs, "optima", console=console, transient=True):
        found = job()
        rows += [found] if isinstance(found, Row) else found
    table = Table(title="Optima of the literature, plans integrated again at 1e-10")
    for column in ("problem", "ours", "best known", "difference", "wanted", "iterations"):
        table.add_column(column, justify="left" if column == "problem" else "right")
    for row in rows:
        table.add_row(
            row.problem,
            f"{row.ours:.6g}",
            f"{row.best_known:.6g}",
            f"{row.ours - row.best_known:+.1e}",
            f">= {row.at_least:.6g} {'reached' if row.reached else 'MISSED'}",
            str(row.iterations or ""),
        )
    console.print(table)
    if not all(row.reached for row in rows):
        raise SystemExit("not every optimum was reached")


if __name__ == "__main__":
    main()
