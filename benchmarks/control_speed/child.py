"""A process that gets ready to control, plans the feeds once, and says how long and how much.

python -m benchmarks.control_speed.child ours FOLDER     filter and both problems, caches in FOLDER
python -m benchmarks.control_speed.child do-mpc          do-mpc with the feed problem alone
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["NPROC"] = "1"  # read by JAX when it first computes

from benchmarks.control_speed.cho_feed import Culture, problem, settings
from controllers.situation import Situation
from mpc_agent.clock import process_age_s

OURS, DO_MPC = "ours", "do-mpc"


def _ours(cache: Path) -> Callable[[Situation], object]:
    """Filter and both optimisers, as the agent builds them; gives what plans the feeds."""
    from mpc_agent.build import build_engines

    engines = build_engines(settings(), cache)
    return lambda situation: engines.feed.solve(situation, None)


def _do_mpc() -> Callable[[Situation], object]:
    """do-mpc with the feed problem."""
    from benchmarks.rivals.do_mpc_control import DoMpc

    return DoMpc(problem()).solve


if __name__ == "__main__":
    plan = _ours(Path(sys.argv[2])) if sys.argv[1] == OURS else _do_mpc()
    ready_s = process_age_s()
    # What follows simulates a plant, which the agent does not.
    situation = Culture().first()
    begun_s = process_age_s()
    plan(situation)
    first_plan_s = process_age_s() - begun_s
    # Not `ru_maxrss`: a child's begins with what its parent had.
    peak_kb = next(
        int(line.split()[1])
        for line in Path("/proc/self/status").read_text("ascii").splitlines()
        if line.startswith("VmHWM")
    )
    told = {"ready_s": ready_s, "first_plan_s": first_plan_s, "peak_mb": peak_kb / 1024}
    print(json.dumps(told))
