"""Where in a model's file something happened, and what it means in plain words."""

import re
from pathlib import Path
from types import TracebackType

from mpc_agent.config.faults import Place
from plant_models.model import PlantModel


def equation_files(model: PlantModel) -> tuple[str, ...]:
    """The files that hold a model's equations, the one of `rhs` first."""
    files = [_file(model.rhs), _file(model.outputs)]
    return tuple(dict.fromkeys(file for file in files if file is not None))


def _file(function: object) -> str | None:
    code = getattr(function, "__code__", None)
    return None if code is None else str(code.co_filename)


def place(file: str, line: int | None) -> Place:
    """A line of a file, named as short as it can be from the working directory."""
    path = Path(file)
    try:
        return Place(str(path.relative_to(Path.cwd())), line)
    except ValueError:
        return Place(file, line)


def place_of(error: BaseException, files: tuple[str, ...]) -> Place | None:
    """The innermost line of these files that an error went through."""
    found = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file in files:
            found = place(file, trace.tb_lineno)
        trace = trace.tb_next
    return found


_WORDS = (
    (
        r"TracerBoolConversion|truth value",
        (
            "decides in Python on a value (if, and, or, not, max, min, a comparison), which no "
            "engine can follow: write xp.where, xp.maximum, xp.minimum or a smooth switch of "
            "plant_models.smooth"
        ),
    ),
    (
        r"TracerArrayConversion|ConcretizationTypeError|TracerIntegerConversion",
        (
            "gives a value to a function of Python or NumPy (math.exp, numpy.exp, float): write "
            "the engine's own, such as xp.exp"
        ),
    ),
)
"""What the engines' complaints mean, by a pattern of the error's type and text."""


def in_words(error: BaseException) -> str:
    """What an error of the equations means for whoever wrote them."""
    kind, text = type(error).__name__, str(error)
    for pattern, words in _WORDS:
        if re.search(pattern, f"{kind} {text}"):
            return words
    if isinstance(error, AttributeError):
        missing = re.fullmatch(r"'(\w+)' object has no attribute '(\w+)'", text)
        if missing:
            return f"reads {missing[2]!r}, which is no field of {missing[1]}"
    if isinstance(error, TypeError):
        missing = re.search(r"(\w+)\.__new__\(\) missing \d+ .*?: (.*)", text)
        if missing:
            return f"{missing[1]}(...) is not given {missing[2]}"
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return f"{kind}: {first}"
