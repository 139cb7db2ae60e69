"""What caution costs: plans for one belief, followed without correction by plants drawn from it.

python -m benchmarks.robustness                        seed 1, beliefs of days 5 and 7
python -m benchmarks.robustness --record FILE --hours 120 168 216

The belief is what the filter knew in a recorded batch of the CHO demo. From then on each plan is
followed to harvest, by plants whose state and parameters are drawn from that belief. In operation
the agent plans again every two hours: these are the violations that planning again must prevent,
not those of a batch. "Scenarios, 2 deviations": five courses, two to each side along the two
directions that matter most, under common feeds until harvest, for all of which glucose keeps its
limit where the vessel has room for it. Violations are of the limits by which `mpc-agent simulate`
judges a batch: the share of the plants that are outside at the end of any piece.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.recorded_batches import simulate_batch
from benchmarks.results import WIDTH
from controllers.arrays import Floats
from controllers.nmpc import Nmpc
from controllers.plan import Plan
from controllers.problem import Limit, Problem, Scenarios
from controllers.settings import Uncertainty
from controllers.situation import Situation
from mpc_agent.build import build_engines, build_rooms
from mpc_agent.config import Settings
from mpc_agent.config.schema_general import JudgedLimit
from mpc_agent.forecasting import courses_along, scenarios
from mpc_agent.journal import Journal
from mpc_agent.memory import SHARED, Decision, Memory, Rooms
from mpc_agent.planning import feed_situation
from mpc_agent.simulate import RECORD_NAME
from mpc_agent.steps import situated
from mpc_agent.values import Estimate

CONFIG = Path(__file__).parents[1] / "configs" / "cho_demo.yaml"
DRAWS = 300
DIRECTIONS = 2
ROUNDING = 1e-3
"""Violation that the solver's tolerance explains, in units of a limit's scale."""


@dataclass(frozen=True)
class Caution:
    """One way to state the problem.

    Attributes:
        title: in the table.
        deviations: of the scenarios; None for none.
        margins: whether limits keep their margins.
        worst: whether the worst scenario counts.
    """

    title: str
    deviations: float | None = None
    margins: bool = False
    worst: bool = False


CAUTIONS = (
    Caution("expected course alone"),
    Caution("margins, as configured", margins=True),
    Caution("scenarios, 1 deviation", 1.0),
    Caution("scenarios, 2 deviations", 2.0),
    Caution("scenarios, 3 deviations", 3.0),
    Caution("worst case, 3 deviations", 3.0, worst=True),
)


@dataclass(frozen=True)
class Outcome:
    """What following a plan came to.

    Attributes:
        plan: what was followed.
        product_g: of each draw at harvest, shape (draws,).
        outside: share of the draws in which each judged limit was exceeded at the end of a piece.
    """

    plan: Plan
    product_g: Floats
    outside: Sequence[float]


def moment(rooms: Rooms, journal: Journal, hour: float) -> tuple[Estimate, Situation]:
    """The belief of one cycle, and where its feed problem starts."""
    number = round(hour * 3600 / rooms.safety.period_s)
    memory, decision = journal.memory(number, Memory), journal.decision(number, Decision)
    now = situated(
        rooms,
        memory,
        decision.memory.estimation,
        decision.measurement,
        journal.readings(number),
    )
    last = decision.plans["feed"]
    settings, estimate = rooms.control.feed, decision.estimate
    return estimate, feed_situation(rooms.feed, settings, rooms.recipe, estimate, now, last)


def stated(problem: Problem, caution: Caution, judged: Sequence[JudgedLimit]) -> Problem:
    """The problem with this caution.

    Without margins the limits are those by which a batch is judged, where it is judged by them;
    with scenarios these are hard.
    """
    if caution.margins:
        return problem
    known = {item.output: item for item in judged}
    limits = tuple(
        _judged_limit(limit, known.get(limit.output), caution) for limit in problem.limits
    )
    tree = Scenarios()
    if caution.deviations is not None:
        tree = Scenarios(1 + 2 * DIRECTIONS, problem.pieces, caution.worst)
    return replace(problem, limits=limits, scenarios=tree)


def _judged_limit(limit: Limit, judged: JudgedLimit | None, caution: Caution) -> Limit:
    limit = replace(limit, margin=0.0)
    if judged is None or limit.lower is None or judged.lower is None:
        return limit
    if caution.deviations is None:
        return replace(limit, lower=judged.lower)
    # Glucose gives way before the vessel overflows.
    return replace(limit, lower=judged.lower, weight=None, gives_way=0)


def followed(
    rooms: Rooms,
    estimate: Estimate,
    situation: Situation,
    caution: Caution,
    judged: Sequence[JudgedLimit],
    draws: Floats,
) -> Outcome:
    """Plan with this caution, and follow the plan in every draw."""
    problem = stated(rooms.feed.problem, caution, judged)
    nmpc, told = Nmpc(problem), situation
    if not caution.margins:
        told = replace(told, output_deviation=None)
    if caution.deviations is not None:
        spread = Uncertainty(DIRECTIONS, caution.deviations)
        told = replace(told, courses=scenarios(nmpc, rooms.kalman, estimate, told, spread))
    plan = nmpc.solve(told, None)
    if not plan.usable:
        raise SystemExit(f"{caution.title}: {plan.status}: {plan.message}")
    drawn = courses_along(nmpc, rooms.kalman, estimate, situation, draws)
    outputs = rooms.feed.predict(replace(situation, courses=drawn), plan.inputs)
    names = problem.model.output_names
    return Outcome(
        plan,
        outputs[:, -1, names.index(problem.model.product)],
        [float(_outside(outputs[..., names.index(item.output)], item).mean()) for item in judged],
    )


def _outside(values: Floats, limit: JudgedLimit) -> Floats:
    """Which draws leave the limit in some piece, 1 or 0, shape (draws,).

    Args:
        values: one output, shape (draws, pieces).
        limit: what it is judged by.
    """
    lower = -np.inf if limit.lower is None else limit.lower
    upper = np.inf if limit.upper is None else limit.upper
    slack = ROUNDING * max(abs(end) for end in (lower, upper) if np.isfinite(end))
    beyond = (values < lower - slack) | (values > upper + slack)
    return np.asarray(beyond.any(axis=1), dtype=np.float64)


def table(hour: float, judged: Sequence[JudgedLimit], found: dict[Caution, Outcome]) -> Table:
    """All plans for one belief."""
    shown = Table(title=f"Plans of hour {hour:g}, followed to harvest by {DRAWS} drawn plants")
    shown.add_column("plan", no_wrap=True)
    titles = ("product g", "price %", "10th percentile g", *(item.output for item in judged))
    for title in (*titles, "status"):
        shown.add_column(title, justify="right")
    nominal = next(iter(found.values())).product_g.mean()
    for caution, item in found.items():
        mean = item.product_g.mean()
        shown.add_row(
            caution.title,
            f"{mean:.0f}",
            f"{100 * (1 - mean / nominal):.1f}",
            f"{np.percentile(item.product_g, 10):.0f}",
            *(f"{100 * share:.0f} %" for share in item.outside),
            str(item.plan.status),
        )
    return shown


def measure(record: Path, hours: Sequence[float], console: Console) -> Iterator[Table]:
    """A table for each hour of a record."""
    settings = Settings.load(CONFIG, {})
    section = settings.document.simulation
    limits = () if section is None else section.limits
    with Journal.open(record, SHARED, read_only=True) as journal:
        rooms = build_rooms(settings, build_engines(settings), journal.header.inoculated_at_s)
        watched = {limit.output for limit in rooms.feed.problem.limits}
        judged = [item for item in limits if item.output in watched]
        for hour in hours:
            estimate, situation = moment(rooms, journal, hour)
            size = estimate.factor.shape[1]
            draws = np.random.default_rng(1).standard_normal((DRAWS, size)) @ estimate.factor.T
            found = {
                caution: followed(rooms, estimate, situation, caution, judged, draws)
                for caution in track(CAUTIONS, f"hour {hour:g}", console=console)
            }
            yield table(hour, judged, found)


def main() -> None:
    """Print a table for each belief."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", type=Path, help="of a simulated batch; none: simulate one")
    parser.add_argument("--hours", type=float, nargs="+", default=[120.0, 168.0])
    given = parser.parse_args()
    console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory() as scratch:
        record = given.record
        if record is None:
            simulate_batch(CONFIG, Path(scratch) / "batch", seed=1)
            record = Path(scratch) / "batch" / RECORD_NAME
        for shown in measure(record, given.hours, console):
            console.print(shown)


if __name__ == "__main__":
    main()
