"""Many batches at once against SciPy and CVODES: batches per second at equal accuracy.

python -m benchmarks.batches                    64 CHO batches, core and full model

Fourteen days with the inputs of the model's reference batch, held per hour; every batch has its own
parameters, drawn by the deviations that the model declares. Two courses of inputs: the reference as
it is, which jumps at three hours, and one that is different in each hour, as under control. Only
where inputs jump are SciPy and CVODES started anew; between, they step as they like. They return
the final states, ours the states of every hour.

Accuracy: largest difference of a final state to LSODA at rtol 1e-11, in units of the state's scale,
per batch; then the largest and the median over the batches. The tolerances are chosen so that ours
is as accurate as the others in both, or more so, and the others not much less.

Everything runs in one thread.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.integrate import odeint, solve_ivp

from benchmarks.results import WIDTH
from plant_models.batches import Batches
from plant_models.cho_mab import CORE, FULL
from plant_models.dialect import CASADI, NUMPY
from plant_models.model import PlantModel

Floats = NDArray[np.float64]
Solve = Callable[[], Floats]
"""Final states of the batches, shape (batches, states)."""

REFERENCE = "inputs of the reference batch"
HOURLY = "inputs that differ in every hour"

SEED = 2024
GOAL = 20.0
MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class Problem:
    """Batches to simulate.

    Attributes:
        model: the model.
        inputs_are: which course of inputs, in words.
        x: initial states, shape (batches, states).
        u: inputs of each hour, shape (hours, inputs).
        p: parameters, shape (batches, parameters).
    """

    model: PlantModel
    inputs_are: str
    x: Floats
    u: Floats
    p: Floats

    def stretches(self) -> list[tuple[int, int]]:
        """First and last hour of each stretch of constant inputs."""
        jumps = np.flatnonzero(np.any(np.diff(self.u, axis=0) != 0, axis=1)) + 1
        return list(pairwise([0, *jumps.tolist(), len(self.u)]))

    def first(self, count: int) -> "Problem":
        """The first batches only."""
        return replace(self, x=self.x[:count], p=self.p[:count])

    def __len__(self) -> int:
        return len(self.x)


def problems(model: PlantModel, count: int) -> Iterator[Problem]:
    """Both courses of inputs for `count` batches."""
    random = np.random.default_rng(SEED)
    deviation = np.array([item.deviation for item in model.parameters.values()])
    spread = np.exp(deviation * random.standard_normal((count, len(deviation))))
    p = np.array(model.nominal_parameters()) * spread
    x = np.tile(np.array(model.initial_state(), dtype=np.float64), (count, 1))
    rows, memory = [], model.reference.memory
    for hour in model.reference.times_h()[:-1]:
        inputs, _, memory = model.reference.act(hour, model.initial_state(), memory)
        rows.append(inputs)
    u = np.array(rows, dtype=np.float64)
    yield Problem(model, REFERENCE, x, u, p)
    # What the reference changes in its course is what a controller would move.
    moved = u * np.where(np.ptp(u, axis=0) > 0, random.uniform(0.8, 1.2, u.shape), 1.0)
    yield Problem(model, HOURLY, x, moved, p)


# ---------------------------------------------------------------- the contestants


def symbols(model: PlantModel) -> tuple[casadi.SX, casadi.SX, casadi.SX]:
    """States, inputs and parameters in CasADi."""
    x = casadi.SX.sym("x", len(model.states))
    u = casadi.SX.sym("u", len(model.inputs))
    return x, u, casadi.SX.sym("p", len(model.parameters))


class CompiledRate:
    """The model's derivative compiled by CasADi, evaluated on shared memory: no conversion."""

    def __init__(self, model: PlantModel) -> None:
        x, u, p = symbols(model)
        function = casadi.Function("rate", [x, u, p], [model.derivative(x, u, p, CASADI)])
        self.x, self.u, self.p = (np.zeros(symbol.numel()) for symbol in (x, u, p))
        self._rate = np.zeros(len(model.states))
        buffer: Any
        buffer, self._evaluate = function.buffer()
        self._buffer = buffer  # owns the addresses that the engine writes to
        for i, argument in enumerate((self.x, self.u, self.p)):
            buffer.set_arg(i, argument.data)
        buffer.set_res(0, self._rate.data)

    def __call__(self, _: float, x: Floats) -> Floats:
        """Derivative at a time, which does not matter, and a state."""
        self.x[:] = x
        self._evaluate()
        return self._rate.copy()


Rate = Callable[[float, Floats], Floats]
Advance = Callable[[Rate, Floats, tuple[int, int], float], Floats]
"""State at the end of a stretch: derivative, state, first and last hour, tolerance."""


def with_solve_ivp(rate: Rate, x: Floats, hours: tuple[int, int], tolerance: float) -> Floats:
    answer = solve_ivp(rate, hours, x, method="LSODA", rtol=tolerance, atol=tolerance)
    if not answer.success:
        raise SystemExit(f"solve_ivp failed between {hours} h: {answer.message}")
    after: Floats = answer.y[:, -1]
    return after


def with_odeint(
    rate: Rate, x: Floats, hours: tuple[int, int], tolerance: float, absolute: float | None = None
) -> Floats:
    options = {"rtol": tolerance, "atol": absolute or tolerance, "mxstep": MOST_STEPS}
    after: Floats = odeint(rate, x, hours, tfirst=True, **options)[-1]
    return after


def compiled(problem: Problem, advance: Advance, tolerance: float) -> Solve:
    """SciPy with the derivative compiled by CasADi."""
    rate, stretches = CompiledRate(problem.model), problem.stretches()

    def solve() -> Floats:
        finals = []
        for initial, p in zip(problem.x, problem.p, strict=True):
            state, rate.p[:] = initial, p
            for hours in stretches:
                rate.u[:] = problem.u[hours[0]]
                state = advance(rate, state, hours, tolerance)
            finals.append(state)
        return np.array(finals)

    return solve


def plain(problem: Problem, advance: Advance, tolerance: float) -> Solve:
    """SciPy with the model's equations as they are, in NumPy's dialect."""
    model, inputs, stretches = problem.model, problem.u.tolist(), problem.stretches()

    def rate(_: float, x: Floats, u: list[float], p: list[float]) -> Floats:
        # Python's own floats are faster here than NumPy's.
        slope: Floats = model.derivative(x.tolist(), u, p, NUMPY)
        return slope

    def solve() -> Floats:
        finals = []
        for initial, p in zip(problem.x, problem.p.tolist(), strict=True):
            state = initial
            for hours in stretches:
                state = advance(partial(rate, u=inputs[hours[0]], p=p), state, hours, tolerance)
            finals.append(state)
        return np.array(finals)

    return solve


def cvodes(problem: Problem, tolerance: float) -> Solve:
    """CasADi's interface to CVODES, with its compiled derivative and Jacobian."""
    model, stretches = problem.model, problem.stretches()
    x, u, p = symbols(model)
    equations = {"x": x, "p": casadi.vertcat(u, p), "ode": model.derivative(x, u, p, CASADI)}
    options = {"reltol": tolerance, "abstol": tolerance, "max_num_steps": MOST_STEPS}
    integrators = {
        length: casadi.integrator("course", "cvodes", equations, 0, float(length), options)
        for length in {end - start for start, end in stretches}
    }

    def solve() -> Floats:
        finals = []
        for initial, p in zip(problem.x, problem.p, strict=True):
            state = initial
            for start, end in stretches:
                given = np.concatenate([problem.u[start], p])
                state = integrators[end - start](x0=state, p=given)["xf"]
            finals.append(np.array(state).ravel())
        return np.array(finals)

    return solve


def ours(problem: Problem, count: int | None = None, tolerance: float | None = None) -> Solve:
    """A count of even steps per hour, or those that a tolerance asks for; run once to compile."""
    batches = Batches(problem.model, 1.0, count, tolerance)

    def solve() -> Floats:
        return batches.courses(problem.x, problem.u, problem.p)[:, -1]

    solve()
    return solve


OURS, NUMPY_EQUATIONS, COMPILED_EQUATIONS = "this package", "NumPy equations", "compiled equations"

TOLERANCES = {
    ("cho_mab_core", REFERENCE): (7e-6, 1e-6, 1e-7),
    ("cho_mab_core", HOURLY): (8e-7, 1e-6, 3e-7),
    ("cho_mab_full", REFERENCE): (7e-6, 1e-6, 3e-7),
    ("cho_mab_full", HOURLY): (4e-6, 1e-6, 3e-8),
}
"""Of this package, of LSODA and of CVODES, for about equal accuracy; relative and absolute."""


@dataclass(frozen=True)
class Contestant:
    """A way to simulate: how to prepare it, how many batches are timed, and how often."""

    name: str
    settings: str
    prepare: Callable[[Problem], Solve]
    batches: int
    repetitions: int


def contestants(problem: Problem) -> list[Contestant]:
    """Ours first. The slow ones do fewer batches."""
    model, count, few = problem.model, len(problem), min(len(problem), 16)
    own, scipys, sundials = TOLERANCES[model.name, problem.inputs_are]
    even, lsoda = model.substeps_per_h, f"tolerance {scipys:g}"
    ways = {"solve_ivp": with_solve_ivp, "odeint": with_odeint}
    numpy = [
        Contestant(
            f"SciPy {name} LSODA, {NUMPY_EQUATIONS}",
            lsoda,
            partial(plain, advance=way, tolerance=scipys),
            few,
            1,
        )
        for name, way in ways.items()
    ]
    fast = [
        Contestant(
            f"SciPy {name} LSODA, {COMPILED_EQUATIONS}",
            lsoda,
            partial(compiled, advance=way, tolerance=scipys),
            count,
            3,
        )
        for name, way in ways.items()
    ]
    return [
        Contestant(OURS, f"tolerance {own:g}", partial(ours, tolerance=own), count, 7),
        Contestant(OURS, f"{even} even steps/h", partial(ours, count=even), count, 1),
        *numpy,
        *fast,
        Contestant(
            f"CasADi CVODES, {COMPILED_EQUATIONS}",
            f"tolerance {sundials:g}",
            partial(cvodes, tolerance=sundials),
            count,
            3,
        ),
    ]


# ---------------------------------------------------------------- measuring


@dataclass
class Result:
    """What one contestant showed: time to prepare, error of each batch, time of each run."""

    contestant: Contestant
    solve: Solve
    prepared_s: float
    errors: Floats
    runs_s: list[float]

    @property
    def build_s(self) -> float:
        """Time to build and compile; ours compiles in a first run, which is taken off."""
        run_s = statistics.median(self.runs_s) if self.contestant.name == OURS else 0.0
        return self.prepared_s - run_s

    @property
    def per_second(self) -> float:
        """Batches per second, median of the runs."""
        return len(self.errors) / statistics.median(self.runs_s)


def reference(problem: Problem) -> Floats:
    """Final states by LSODA at a tight tolerance."""
    return compiled(problem, partial(with_odeint, absolute=1e-13), 1e-11)()


def first_run(contestant: Contestant, problem: Problem, exact: Floats) -> Result:
    """Prepare a contestant, run it and judge its final states."""
    some = problem.first(contestant.batches)
    scale = np.array([state.scale for state in problem.model.states.values()])
    start = time.perf_counter()
    solve = contestant.prepare(some)
    prepared = time.perf_counter()
    finals = solve()
    ran = time.perf_counter()
    errors = np.max(np.abs(finals - exact[: len(some)]) / scale, axis=1)
    return Result(contestant, solve, prepared - start, errors, [ran - prepared])


def measure(problem: Problem) -> list[Result]:
    """All contestants; repetitions take turns, so that a disturbance meets all of them."""
    exact = reference(problem)
    results = [first_run(each, problem, exact) for each in contestants(problem)]
    for turn in range(1, max(result.contestant.repetitions for result in results)):
        for result in results:
            if turn < result.contestant.repetitions:
                start = time.perf_counter()
                result.solve()
                result.runs_s.append(time.perf_counter() - start)
    return results


def show(console: Console, problem: Problem, results: Sequence[Result]) -> None:
    """The table of one problem, and what it says about the goal."""
    own = results[0].per_second
    table = Table(title=f"{problem.model.name}, {len(problem)} batches, {problem.inputs_are}")
    for title in ("how", "settings"):
        table.add_column(title, no_wrap=True)
    for title in (
        "build s", "timed", "batches/s", "largest error", "median error", "ours faster by"
    ):  # fmt: skip
        table.add_column(title, justify="right")
    for result in results:
        table.add_row(
            result.contestant.name,
            result.contestant.settings,
            f"{result.build_s:.2f}",
            str(len(result.errors)),
            f"{result.per_second:.4g}",
            f"{np.max(result.errors):.1e}",
            f"{np.median(result.errors):.1e}",
            f"{own / result.per_second:.1f}",
        )
    console.print(table)
    for equations in (NUMPY_EQUATIONS, COMPILED_EQUATIONS):
        best = max(
            (result for result in results if result.contestant.name.endswith(equations)),
            key=lambda result: result.per_second if "SciPy" in result.contestant.name else 0.0,
        )
        ratio = own / best.per_second
        verdict = "met" if ratio >= GOAL else "NOT met"
        console.print(
            f"{ratio:.1f} times {best.contestant.name}; the goal of {GOAL:g} is {verdict}."
        )
    console.print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batches", type=int, default=64)
    arguments = parser.parse_args()
    os.environ["NPROC"] = "1"  # read by JAX when it first computes
    console = Console(width=WIDTH)
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "scipy", "casadi", "numpy"))
    console.print(
        f"One thread; {versions}. Errors of final states in units of their scales. Build: once, "
        "not in the batches per second."
    )
    for model in (CORE, FULL):
        for problem in problems(model, arguments.batches):
            show(console, problem, measure(problem))


if __name__ == "__main__":
    main()
