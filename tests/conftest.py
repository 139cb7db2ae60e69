"""What all tests share: double precision in JAX, and properties judged by truth, not by time."""

import jax
from hypothesis import settings

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

# The same examples in every run; `pytest --hypothesis-profile=search` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=3000)
settings.load_profile("repeatable")
