"""Mistakes that a person can correct: each ends in a clear message and a documented exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller; after sysexits.h where that has a number."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    BAD_RECORD = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    CANNOT_WRITE = 73
    CONFIG = 78
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.UNEXPECTED: "a fault of the program, with its traceback: please report it",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.BAD_RECORD: "a record exists but cannot be read, or is damaged",
    ExitCode.NO_INPUT: "a file or folder that was named does not exist or cannot be read",
    ExitCode.UNAVAILABLE: "a port is in use, or a process or service that is needed did not answer",
    ExitCode.CANNOT_WRITE: "a file or folder cannot be created or written",
    ExitCode.CONFIG: "the configuration is wrong; every fault is listed",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C; the record is complete up to that moment",
}


class ReaderGoneError(Exception):
    """Whoever read our output has closed the pipe, as `head` does: an ordinary end."""


class UserError(Exception):
    """Something a person can correct. Its text says what is wrong and what to do.

    Attributes:
        exit_code: how the process ends when nobody handles it.
    """

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, message: str, exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        if exit_code is not None:
            self.exit_code = exit_code

    @property
    def message(self) -> str:
        """What is wrong and what to do."""
        return str(self)


class BadRecordError(UserError):
    """A record that exists but cannot be read."""

    exit_code = ExitCode.BAD_RECORD


class NoInputError(UserError):
    """A file or folder that was named does not exist or cannot be read."""

    exit_code = ExitCode.NO_INPUT


class UnavailableError(UserError):
    """A port that is taken, or a process or service that did not answer."""

    exit_code = ExitCode.UNAVAILABLE


class StoppedError(UserError):
    """Somebody pressed Ctrl-C; what was done until then is in order."""

    exit_code = ExitCode.INTERRUPTED


class CannotWriteError(UserError):
    """A file or folder that cannot be created or written."""

    exit_code = ExitCode.CANNOT_WRITE
