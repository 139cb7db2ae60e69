"""Running a Python file that defines a model and is no part of this package."""

import importlib.util
import sys
import traceback
from functools import lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType


class ModelFileError(ValueError):
    """A file that defines no usable model.

    Attributes:
        path: the file.
        line: where, None when it concerns the file as a whole.
        text: what is wrong and what would be right.
    """

    def __init__(self, path: str, line: int | None, text: str) -> None:
        super().__init__(f"{path}:{line}: {text}" if line else f"{path}: {text}")
        self.path = path
        self.line = line
        self.text = text


class _SourceLoader(SourceFileLoader):
    """Reads the text each time, and leaves no compiled copy beside it."""

    def path_stats(self, path: str) -> dict[str, float]:
        raise OSError(path)


def load_module(path: str) -> ModuleType:
    """Run a Python file as a module of its own, named after it; once while its text is the same.

    Args:
        path: absolute path.

    Raises:
        ModelFileError: it cannot be read or run.
    """
    if not path.endswith(".py"):
        raise ModelFileError(path, None, "is no Python file: its name must end in .py")
    loader = _SourceLoader(_module_name(path), path)
    try:
        text = loader.get_data(path)
    except OSError as error:
        raise ModelFileError(path, None, f"cannot be read: {error.strerror}") from None
    return _run(path, text)


def _module_name(path: str) -> str:
    """A name that no other module has, which still tells people the file."""
    stem = path.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    return f"model_file_{stem}"


@lru_cache(maxsize=32)
def _run(path: str, text: bytes) -> ModuleType:
    """`text` is the file's content: a file that has changed is another one."""
    del text
    name = _module_name(path)
    loader = _SourceLoader(name, path)
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=path))
    module.__file__ = path
    # Where classes look for the module in which they were written.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except SyntaxError as error:
        # A fault of the whole file, such as its encoding, is in line 0.
        line = error.lineno or None
        raise ModelFileError(path, line, f"is not valid Python: {error.msg}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the file's statements raise
        del sys.modules[name]
        raise ModelFileError(path, _line(error, path), _in_words(error)) from None
    return module


def _line(error: BaseException, path: str) -> int | None:
    """The innermost line of the file that an error went through."""
    lines = [item.lineno for item in traceback.extract_tb(error.__traceback__)]
    files = [item.filename for item in traceback.extract_tb(error.__traceback__)]
    own = [line for line, file in zip(lines, files, strict=True) if file == path]
    return own[-1] if own else None


def _in_words(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, SystemExit):
        return "ends the program instead of defining a model"
    if isinstance(error, ImportError):
        return f"imports what is not there: {text}"
    if isinstance(error, TypeError):
        what, _, rest = text.partition(".__init__() ")
        return f"{what}(...) {rest}" if rest else text
    if isinstance(error, ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else f"raises {type(error).__name__}"
