"""What asyncua itself has to say goes to the agent's log, in few words and at a low level."""

import logging

import structlog

_log = structlog.get_logger(__name__)

_WINDOW_S, _AT_MOST = 60.0, 5


class LibraryLog(logging.Handler):
    """Passes on warnings, at most five a minute, without tracebacks.

    The supervisor reports losses and recoveries itself; asyncua adds a line for every consequence.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._window_began_s = 0.0
        self._passed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, unless there were too many in this minute."""
        if record.created - self._window_began_s > _WINDOW_S:
            self._window_began_s, self._passed = record.created, 0
        self._passed += 1
        if self._passed <= _AT_MOST:
            _log.debug("opcua library", level=record.levelname, text=record.getMessage())


def quiet_library() -> None:
    """Route asyncua's log; doing so again changes nothing."""
    logger = logging.getLogger("asyncua")
    if not any(isinstance(handler, LibraryLog) for handler in logger.handlers):
        logger.addHandler(LibraryLog())
        logger.setLevel(logging.WARNING)
        logger.propagate = False
