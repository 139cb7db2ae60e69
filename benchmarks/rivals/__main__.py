"""Our filter's step beside other people's, in accuracy and in time.

python -m benchmarks.rivals                 all of them: two minutes
python -m benchmarks.rivals --quick         without do-mpc, whose step takes seconds
"""

import os

# The numerics libraries read these once, when they are loaded: before the import below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"

from benchmarks.rivals.compare import main

if __name__ == "__main__":
    main(__doc__)
