"""Control quality: the demo's batches under agents that know more or less, against the optimum.

python -m benchmarks.control_quality                             the agent, seeds 1 to 30
python -m benchmarks.control_quality --variants agent perfect nominal recipe recipe-pi --seeds 1 2 3
python -m benchmarks.control_quality --list                      what the variants are

Every batch takes a minute. Results are kept in a folder by seed, variant and a hash of sources and
configuration, so that a run that was stopped goes on where it was, and only what changed runs
again. With --courses, a page for each seed shows all courses beside the optimum's.
"""

import os

# The numerics libraries read these once, when they are loaded: before the imports below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"

from benchmarks.control_quality.command import main

if __name__ == "__main__":
    main(__doc__)
