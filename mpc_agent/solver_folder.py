"""A folder that keeps the optimiser's derivatives from start to start."""

from contextlib import suppress
from pathlib import Path

from mpc_agent.provenance import fingerprint


class SolverFolder:
    """A store of texts, each in a file of its own that begins with the text's fingerprint.

    What cannot be read, or is not what was written, is built anew: a cache that fails costs time
    and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is read or made before it is needed."""
        self._folder = folder

    def get(self, name: str) -> str | None:
        """The text kept under a name, or None."""
        try:
            written, _, text = self._file(name).read_text(encoding="ascii").partition("\n")
        except (OSError, UnicodeDecodeError):
            return None
        return text if written == fingerprint(text) else None

    def put(self, name: str, text: str) -> None:
        """Keep a text; it appears whole or not at all."""
        file = self._file(name)
        partial = file.with_suffix(".partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(f"{fingerprint(text)}\n{text}", encoding="ascii")
            partial.replace(file)
        except OSError:
            with suppress(OSError):
                partial.unlink()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.casadi"
