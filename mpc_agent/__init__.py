"""The agent: estimates, plans and guards one fed-batch bioreactor, and keeps its record."""

import os

# XLA reads this once, when it first computes: loops of up to so many bytes become one function,
# instead of many that are called in turn. A row of the filter takes a third less time. It stands
# here so that the filter is compiled alike, to the same bits, in every process that uses it.
_LOOPS = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=16384"
if _LOOPS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_LOOPS}".strip()
