"""How fast the filter is: one step beside other people's, a day again, two weeks, its start.

python -m benchmarks.filter_speed             all of it: three minutes
python -m benchmarks.filter_speed --quick     without do-mpc, whose step takes seconds

Other programs that run at the same time make every time longer, medians too: look at the ratios.
"""

import os

# The numerics libraries read these once, when they are loaded: before the import below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"

from benchmarks.filter_speed.run import main

if __name__ == "__main__":
    main(__doc__)
