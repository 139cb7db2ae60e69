"""`mpc-agent` as processes of their own, as people start it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 150.0
"""Longest wait for anything; compiling on a busy machine takes its time."""


@dataclass
class Running:
    """A process under test."""

    process: asyncio.subprocess.Process

    async def line(self, stream: str, wanted: Callable[[str], bool]) -> str:
        """The first line of "stdout" or "stderr" that is wanted."""
        reader: asyncio.StreamReader = getattr(self.process, stream)
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            while line := (await reader.readline()).decode():
                seen.append(line)
                if wanted(line):
                    return line
        raise AssertionError("".join(seen))

    async def end(self) -> tuple[int, str, str]:
        """Exit code, and what is left on stdout and stderr."""
        async with asyncio.timeout(PATIENCE_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    def children(self) -> dict[int, str]:
        """Command lines of its children by process id."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat[1]) == self.process.pid:
                found[int(folder.name)] = command
        return found


@asynccontextmanager
async def running(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """`mpc-agent` with these arguments; ended for certain on leaving."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mpc_agent",
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        limit=1 << 22,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def all_gone(processes: Iterable[int]) -> bool:
    """Whether none of these processes is left."""
    return not any(Path(f"/proc/{process}").exists() for process in processes)


def text_of(path: str | Path) -> str:
    """What a file holds."""
    return Path(path).read_text()
