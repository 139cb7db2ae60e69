"""do-mpc's model-predictive control, told one of our problems.

What do-mpc cannot be told by its usual words is told by those for experts, `prepare_nlp` and
`create_nlp`: limits hold at the ends of the pieces, where do-mpc would place them at their
beginnings, and a violation costs its square besides itself. Everything that changes from solve to
solve is a parameter or a bound there, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import casadi
import numpy as np

from benchmarks.control_speed.judge import Simulation
from benchmarks.rivals.do_mpc_statement import (
    Words,
    do_mpc,
    refuse,
    refuse_courses,
    told_table,
    words,
)
from benchmarks.rivals.task import Floats
from controllers.problem import Problem
from controllers.situation import Situation

SOLVED = "solved"
"""Status of a plan that the solver was content with; any other is the solver's own word."""

WARM_START: Mapping[str, Any] = {
    "ipopt.warm_start_init_point": "yes",
    "ipopt.mu_strategy": "adaptive",
    "ipopt.mu_init": 1e-4,
    "ipopt.warm_start_bound_push": 1e-8,
    "ipopt.warm_start_mult_bound_push": 1e-8,
    "ipopt.warm_start_slack_bound_push": 1e-8,
    "ipopt.bound_push": 1e-8,
    "ipopt.bound_frac": 1e-8,
}
"""Options by which IPOPT goes on from its last answer; do-mpc does not set them."""

_SUCCESSES = ("Solve_Succeeded", "Solved_To_Acceptable_Level")


class Answer(NamedTuple):
    """What a solver says.

    Attributes:
        inputs: decided inputs, of the first scenario, shape (pieces, decided).
        objective: what the solver says that it costs.
        status: `SOLVED`, or why not.
    """

    inputs: Floats
    objective: float
    status: str


class DoMpc:
    """do-mpc with one of our problems; solves situation after situation, each from the last."""

    def __init__(
        self, problem: Problem, options: Mapping[str, Any] | None = None, name: str = "do-mpc"
    ) -> None:
        """Set up do-mpc: seconds.

        Args:
            problem: the problem; bolus feeds, free harvests, quotients and worst cases are beyond
                what do-mpc can be told.
            options: IPOPT's, over do-mpc's own.
            name: how tables call it.

        Raises:
            ValueError: do-mpc cannot be told this problem.
        """
        refuse(problem)
        self.name = name
        self.problem = problem
        model = problem.model
        self._moving = [model.state_names.index(item) for item in problem.moving_states]
        self._limited = [i for i, item in enumerate(problem.inputs) if item.move_limited]
        self._moves: list[list[slice]] = [[] for _ in range(problem.pieces)]
        self._guessed = False
        stated = words(problem)
        self._mpc = do_mpc.controller.MPC(stated.model)
        self._configure(stated, options or {})
        self._told = self._mpc.get_tvp_template()
        self._mpc.set_tvp_fun(lambda _: self._told)
        self._parameters = self._mpc.get_p_template(problem.scenarios.count)
        self._mpc.set_p_fun(lambda _: self._parameters)
        self._mpc.prepare_nlp()
        self._move_to_ends(stated)
        self._mpc.create_nlp()
        nlp = self._mpc.nlp
        self._objective = casadi.Function("objective", [nlp["x"], nlp["p"]], [nlp["f"]])

    @property
    def iterations(self) -> int:
        """Iterations of the last solve."""
        return int(self._mpc.solver_stats["iter_count"])

    def solve(self, situation: Situation) -> Answer:
        """Solve, beginning with the last answer; with the situation's guess where there is none.

        Args:
            situation: where the plan starts; scenarios all from the same state, with equal shares.

        Raises:
            ValueError: the scenarios are not of this kind.
        """
        refuse_courses(situation)
        mpc, pieces = self._mpc, self.problem.pieces
        self._tell(situation)
        if not self._guessed:
            self._guess(situation)
        mpc.u0 = situation.previous
        mpc.make_step(situation.state[self._moving][:, None])
        stats = mpc.solver_stats
        solved = stats["return_status"] in _SUCCESSES
        # What a failure leaves behind is no place to begin from, nor are its multipliers.
        self._guessed = mpc.flags["initial_run"] = solved
        inputs = np.array(
            [np.asarray(mpc.opt_x_num_unscaled["_u", k, 0]).ravel() for k in range(pieces)]
        )
        objective = float(self._objective(mpc.opt_x_num, mpc.opt_p_num))
        return Answer(inputs, objective, SOLVED if solved else str(stats["return_status"]))

    def _configure(self, stated: Words, options: Mapping[str, Any]) -> None:
        """Tell do-mpc all but what `prepare_nlp` is needed for."""
        mpc, problem = self._mpc, self.problem
        settings = mpc.settings
        settings.n_horizon, settings.t_step = problem.pieces, 1.0
        settings.n_robust = int(problem.scenarios.count > 1)
        settings.collocation_deg, settings.collocation_ni = problem.degree, problem.elements
        settings.supress_ipopt_output()
        settings.nlpsol_opts.update(options)
        table = problem.model.states
        mpc.scaling["_x", "x"] = [table[name].scale for name in problem.moving_states]
        mpc.scaling["_u", "u"] = [problem.model.inputs[name].scale for name in problem.decided]
        mpc.bounds["lower", "_x", "x"] = [table[name].lower for name in problem.moving_states]
        mpc.bounds["lower", "_u", "u"] = [item.lower for item in problem.inputs]
        mpc.bounds["upper", "_u", "u"] = [item.upper for item in problem.inputs]
        nothing = casadi.DM(0)
        mpc.set_objective(mterm=nothing, lterm=nothing)
        # In units of the inputs' scales, as do-mpc's variables are.
        mpc.set_rterm(u=np.array([item.move_weight for item in problem.inputs]))
        for i, weight in enumerate(stated.soft):
            soft = bool(np.isfinite(weight))
            mpc.set_nl_cons(
                f"row_{i}", stated.rows[i], ub=0.0, soft_constraint=soft, penalty_term_cons=0
            )

    def _move_to_ends(self, stated: Words) -> None:
        """Replace do-mpc's limits by those at the ends of the pieces, and add what all costs."""
        mpc, problem = self._mpc, self.problem
        symbols = stated.model["x", "u", "tvp", "p"]
        soft = [int(row) for row in np.flatnonzero(np.isfinite(stated.soft))]
        slack = casadi.SX.sym("slack", len(soft))
        rows, cost = casadi.SX(stated.rows), casadi.SX(stated.cost)
        for place, row in enumerate(soft):
            rows[row] -= slack[place]
            violation = slack[place] + slack[place] ** 2
            cost += stated.share * float(stated.soft[row]) * violation
        end = casadi.Function("end", [*symbols, slack], [rows, cost])
        gain = casadi.Function("gain", symbols, [stated.gain])
        x, p = mpc.opt_x_unscaled, mpc.opt_p
        for place, branch in enumerate(branches(mpc.scenario_tree, problem.pieces)):
            k, child = branch.piece, branch.child
            told = (
                x["_x", k + 1, child, -1], x["_u", k, branch.parent],
                p["_tvp", k], p["_p", branch.scenario],
            )  # fmt: skip
            limited, costs = end(*told, x["_eps", k, child])
            if k == problem.pieces - 1:
                costs -= gain(*told)
            mpc.nlp_obj += costs / branch.siblings
            # The initial state, then for each branch: collocation, continuity, limits.
            mpc.nlp_cons[3 * place + 3] = limited
        self._bound_rest()

    def _bound_rest(self) -> None:
        """What do-mpc leaves out: bounds within the last piece, moves, common first inputs."""
        mpc, problem = self._mpc, self.problem
        pieces, x = problem.pieces, mpc.opt_x_unscaled
        lower = [problem.model.states[name].lower for name in problem.moving_states]
        mpc.lb_opt_x["_x", pieces] = np.array(lower)
        tree = mpc.scenario_tree
        nodes = [
            (piece, node) for piece in range(pieces) for node in range(tree["n_scenarios"][piece])
        ]
        for k, s in nodes:
            u = x["_u", k, s]
            if self._limited:
                parent = tree["parent_scenario"][k][s]
                before = x["_u", k - 1, parent] if k else mpc.opt_p["_u_prev"]
                self._moves[k].append(self._constrain((u - before)[self._limited]))
            if s and k < problem.scenarios.common_pieces:
                self._constrain(u - x["_u", k, 0])

    def _constrain(self, value: casadi.SX) -> slice:
        """Add rows that are zero as long as nobody says otherwise; where they are."""
        mpc, size = self._mpc, value.numel()
        start = sum(row.numel() for row in mpc.nlp_cons)
        mpc.nlp_cons.append(value)
        mpc.nlp_cons_lb.append(np.zeros(size))
        mpc.nlp_cons_ub.append(np.zeros(size))
        return slice(start, start + size)

    def _tell(self, situation: Situation) -> None:
        """Hand over what changes from solve to solve."""
        mpc, items = self._mpc, self.problem.inputs
        table = told_table(self.problem, situation)
        # One row more than pieces; do-mpc reads the last for what it is not told to compute.
        self._told.master = casadi.DM(np.vstack([table, table[-1:]]).ravel())
        self._parameters.master = casadi.DM(situation.scenario_parameters.ravel())
        falls, rises = zip(*(item.moves(situation.steps_h) for item in items), strict=True)
        for k, places in enumerate(self._moves):
            for rows in places:
                mpc.nlp_cons_lb[rows] = [-falls[i][k] for i in self._limited]
                mpc.nlp_cons_ub[rows] = [rises[i][k] for i in self._limited]
        if situation.input_bounds is not None:
            lower = np.fmax([item.lower for item in items], situation.input_bounds[:, 0])
            upper = np.fmin([item.upper for item in items], situation.input_bounds[:, 1])
            mpc.lb_opt_x["_u"] = np.minimum(lower, upper)
            mpc.ub_opt_x["_u"] = upper

    def _guess(self, situation: Situation) -> None:
        """Begin with the situation's guess, simulated."""
        mpc, problem = self._mpc, self.problem
        mpc.x0 = situation.state[self._moving]
        mpc.set_initial_guess()
        points = [0.0, *casadi.collocation_points(problem.degree, "radau")]
        places = (np.arange(problem.elements)[:, None] + points).ravel()[1:] / problem.elements
        at = np.append(places, 1.0)
        states = Simulation(problem, at.tolist(), problem.guess_held).states(
            situation, situation.guess
        )
        lower = [problem.model.states[name].lower for name in problem.moving_states]
        scale = [problem.model.states[name].scale for name in problem.moving_states]
        moving = np.maximum(np.nan_to_num(states[:, :, self._moving]), lower) / scale
        inputs = situation.guess / [problem.model.inputs[name].scale for name in problem.decided]
        for k in range(problem.pieces):
            mpc.opt_x_num["_u", k] = inputs[k]
            for i, state in enumerate(moving[k]):
                mpc.opt_x_num["_x", k + 1, :, i] = state
            mpc.opt_x_num["_x", k + 1, :, -1] = moving[k, -1]


@dataclass(frozen=True)
class Branch:
    """One piece of one scenario in do-mpc's tree.

    Attributes:
        piece: which piece.
        parent: scenario at its start.
        child: scenario at its end.
        scenario: whose parameters hold.
        siblings: scenarios at its end.
    """

    piece: int
    parent: int
    child: int
    scenario: int
    siblings: int


def branches(tree: Mapping[str, Any], pieces: int) -> Iterator[Branch]:
    """All branches of do-mpc's tree, in the order in which it writes their constraints."""
    for k in range(pieces):
        for s in range(tree["n_scenarios"][k]):
            for b in range(tree["n_branches"][k]):
                child = s * tree["n_branches"][k] + b
                scenario = b + int(tree["branch_offset"][k][s])
                yield Branch(k, s, child, scenario, tree["n_scenarios"][k + 1])
