"""What a check finds, and the finding that most checks have in common."""

from collections.abc import Iterable, Iterator

from mpc_agent.config.faults import KeyPath, alternatives

Finding = tuple[KeyPath, str]
"""A key and what is wrong with it."""


def unknown(path: KeyPath, name: str, known: Iterable[str], what: str) -> Iterator[Finding]:
    """A finding when a name is not one of those known."""
    names = tuple(known)
    if name not in names:
        yield path, f"{name!r} is no {what}; {alternatives(name, names)}"
