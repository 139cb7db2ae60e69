"""A measured figure and what was wanted of it; and which cores a process may use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Goal:
    """One measured figure.

    Attributes:
        what: of what.
        measured: the figure.
        unit: of both.
        most: it should be at most this, or None.
        least: it should be at least this, or None.
    """

    what: str
    measured: float
    unit: str
    most: float | None = None
    least: float | None = None

    def shown(self, value: float) -> str:
        """A value with the unit."""
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:.{digits}f} {self.unit}"

    def wanted(self) -> str:
        """The goal."""
        if self.most is not None:
            return f"at most {self.most:g} {self.unit}"
        return "" if self.least is None else f"at least {self.least:g} {self.unit}"

    def verdict(self) -> str:
        """Whether it is met; nothing where none was set."""
        if self.most is None and self.least is None:
            return ""
        high = self.most is not None and self.measured > self.most
        low = self.least is not None and self.measured < self.least
        return "no" if high or low else "yes"


@contextmanager
def one_core() -> Iterator[None]:
    """All threads of this process on one core meanwhile, the first that it may use."""
    allowed = os.sched_getaffinity(0)
    _bind({min(allowed)})
    try:
        yield
    finally:
        _bind(allowed)


def _bind(cores: set[int]) -> None:
    """Let every thread that this process has run on these cores only."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
