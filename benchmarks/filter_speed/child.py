"""A process that starts the filter, takes a step and says how long and how much it took."""

import json
import os
import sys
from pathlib import Path

os.environ["NPROC"] = "1"  # read by JAX when it first computes

from benchmarks.rivals.task import STEP_H, settings
from mpc_agent.clock import process_age_s
from mpc_agent.estimation.filter import ExtendedKalmanFilter, keep_compiled

if __name__ == "__main__":
    keep_compiled(sys.argv[1])
    ExtendedKalmanFilter(settings(), STEP_H).compile()
    ready_s = process_age_s()
    # Not `ru_maxrss`: a child's begins with what its parent had.
    peak_kb = next(
        int(line.split()[1])
        for line in Path("/proc/self/status").read_text("ascii").splitlines()
        if line.startswith("VmHWM")
    )
    print(json.dumps({"ready_s": ready_s, "peak_mb": peak_kb / 1024}))
