"""How fast the optimiser is: do-mpc's example, robust too, the CHO demo's feeds; its start.

python -m benchmarks.control_speed             all of it: five minutes
python -m benchmarks.control_speed --quick     fewer solves: two minutes

Other programs that run at the same time make even the time on a core longer: look at the ratios.
"""

import os
from importlib.util import find_spec

# The numerics libraries read these once, when they are loaded: before the import below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"

if find_spec("do_mpc") is None:
    raise SystemExit("Install what is compared: python -m pip install do-mpc")

from benchmarks.control_speed.run import main

if __name__ == "__main__":
    main(__doc__)
