"""Processes that another one starts, watches, and always stops."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpc_agent.errors import CannotWriteError

STOP_S = 15.0
"""How long a child may take to stop by itself."""

LAST_LINES = 15
LONGEST_LINE = 1 << 20


@dataclass
class Child:
    """One `mpc-agent` process, its lines on stdout read by us, its log in a file.

    It runs in a session of its own: Ctrl-C reaches the parent alone, which stops its children in
    order.

    Attributes:
        name: how messages call it.
        log: file with everything it wrote to stderr.
        process: the process.
    """

    name: str
    log: Path
    process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> "Child":
        """Start `mpc-agent` with these arguments and additional environment variables.

        Raises:
            CannotWriteError: its log cannot be written.
        """
        try:
            stderr = log.open("wb")
        except OSError as error:
            raise CannotWriteError(f"{log} cannot be written: {error.strerror}") from None
        with stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mpc_agent",
                *arguments,
                # Closes when we die, however that happens.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **environment},
                start_new_session=True,
                limit=LONGEST_LINE,
            )
        return cls(name, log, process)

    async def lines(self) -> AsyncIterator[bytes]:
        """Lines of stdout until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            yield line

    async def output(self) -> bytes:
        """Everything on stdout, and the end of the process."""
        assert self.process.stdout is not None
        content = await self.process.stdout.read()
        await self.process.wait()
        return content

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    async def stop(self) -> None:
        """Ask it to stop, wait, and end it if it does not; no error when it has ended."""
        if self.running:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._drained(), STOP_S)
            except TimeoutError:
                self._signal(signal.SIGKILL)
        await self._drained()

    async def _drained(self) -> None:
        """Its end; what it still writes is read, so that it never blocks on a full pipe."""
        assert self.process.stdout is not None
        while await self.process.stdout.read(LONGEST_LINE):
            continue
        await self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def last_words(self) -> str:
        """The last lines of its log."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as file:
                return "".join(deque(file, maxlen=LAST_LINES)).rstrip()
        except OSError as error:
            return f"({self.log} cannot be read: {error.strerror})"
