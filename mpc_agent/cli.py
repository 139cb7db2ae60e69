"""The command line's entry: runs a verb and turns a person's mistakes into a message and a code."""

import os
import sys
from collections.abc import Sequence

from mpc_agent.errors import ExitCode, ReaderGoneError, UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (default: that of the process) and exit with its code.

    The verbs, and the libraries they need, are in `mpc_agent.commands.verbs`.
    """
    # The filter is small: more threads would only wait for each other.
    os.environ.setdefault("NPROC", "1")
    try:
        from mpc_agent.commands.verbs import app

        app(args=None if arguments is None else list(arguments))
    except UserError as error:
        sys.stderr.write(f"mpc-agent: {error.message}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except ReaderGoneError:
        # Nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
