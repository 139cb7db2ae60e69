"""What all tests share: double precision in JAX, and properties judged by truth, not by time."""

import jax
import pytest
from hypothesis import settings

from mpc_agent.estimation.filter import keep_compiled

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

# The same examples in every run; `pytest --hypothesis-profile=search` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=3000)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def kept_compiled(request: pytest.FixtureRequest) -> None:
    """Keep compiled filters between test runs: the demo's takes longer to compile than to test."""
    keep_compiled(str(request.config.cache.mkdir("compiled")))
