"""The approved feed profile of a batch: baseline, fallback of the agent and of the control unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIME_COLUMN = "time_h"
RATE_SUFFIX = "_L_per_h"


@dataclass(frozen=True, eq=False)
class Recipe:
    """Feed rates over the batch, piecewise constant; zero before inoculation and after the end.

    Attributes:
        times_h: starts of the pieces in hours since inoculation, strictly increasing, first one 0,
            shape (pieces,).
        end_h: end of the last piece.
        rates: feed rate of each piece in L/h by name of the model's input, each of shape (pieces,).
    """

    times_h: Floats
    end_h: float
    rates: Mapping[str, Floats]

    def __post_init__(self) -> None:
        """Refuse pieces that are not in order and rates that are not finite or negative."""
        starts = self.times_h
        if starts.ndim != 1 or not starts.size or not np.all(np.isfinite(starts)):
            raise ValueError("a recipe needs at least one piece, with finite start times")
        if starts[0] != 0.0 or np.any(np.diff(starts) <= 0.0):
            raise ValueError("the pieces of a recipe must start at 0 h and follow each other")
        if not (isfinite(self.end_h) and self.end_h > starts[-1]):
            raise ValueError(f"the recipe's end, {self.end_h} h, must come after its last piece")
        for name, values in self.rates.items():
            if values.shape != starts.shape:
                raise ValueError(f"{name}: {values.size} rates for {starts.size} pieces")
            if not (np.all(np.isfinite(values)) and np.all(values >= 0.0)):
                raise ValueError(f"{name}: every rate must be finite and not negative")

    @classmethod
    def from_rows(
        cls, times_h: Sequence[float], end_h: float, rates: Mapping[str, Sequence[float]]
    ) -> Self:
        """A recipe from plain sequences: starts of the pieces, end, rates in L/h by input.

        Raises:
            ValueError: pieces out of order, rates missing, negative or not finite.
        """
        return cls(
            times_h=_read_only(times_h),
            end_h=float(end_h),
            rates={name: _read_only(values) for name, values in rates.items()},
        )

    @classmethod
    def parse(cls, csv_text: str) -> Self:
        """A recipe from the text of a CSV file.

        The first row names the columns: `time_h`, then one per feed, the model's input with its
        unit, such as `glucose_feed_L_per_h`. Each row starts a piece; the last row ends the recipe,
        and its rates are zero. Empty lines and lines that start with `#` are skipped.

        Raises:
            ValueError: every fault of the text, one per line, each with its line number.
        """
        lines = _content_lines(csv_text)
        if not lines:
            raise ValueError("line 1: the recipe is empty")
        (header_line, header), *rows = lines
        faults = _header_faults(header_line, header)
        if faults:
            raise ValueError("\n".join(faults))
        numbers = [_row_numbers(line, header, row, faults) for line, row in rows]
        faults += _order_faults([line for line, _ in rows], numbers)
        if faults:
            raise ValueError("\n".join(faults))
        columns = {name: [row[name] for row in numbers] for name in header}
        times_h = columns.pop(TIME_COLUMN)
        rates = {name.removesuffix(RATE_SUFFIX): values[:-1] for name, values in columns.items()}
        return cls.from_rows(times_h[:-1], times_h[-1], rates)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Inputs that the recipe gives a rate for."""
        return tuple(self.rates)

    def rate(self, input_name: str, time_h: float) -> float:
        """Feed rate of an input in L/h at a time in hours since inoculation.

        Raises:
            KeyError: the recipe says nothing about this input.
        """
        values = self.rates[input_name]
        if not 0.0 <= time_h < self.end_h:
            return 0.0
        piece = int(np.searchsorted(self.times_h, time_h, side="right")) - 1
        return float(values[piece])

    def rates_at(self, time_h: float) -> dict[str, float]:
        """Feed rates of all inputs of the recipe in L/h at a time in hours since inoculation."""
        return {name: self.rate(name, time_h) for name in self.rates}

    def text(self) -> str:
        """The recipe as the CSV text that `parse` reads; numbers in full precision."""
        rows = [",".join([TIME_COLUMN, *(f"{name}{RATE_SUFFIX}" for name in self.rates)])]
        for piece, time_h in enumerate(self.times_h):
            values = (values[piece] for values in self.rates.values())
            rows.append(",".join(repr(float(value)) for value in (time_h, *values)))
        rows.append(",".join([repr(self.end_h), *("0.0" for _ in self.rates)]))
        return "\n".join(rows) + "\n"


def _read_only(values: Sequence[float]) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _content_lines(csv_text: str) -> list[tuple[int, list[str]]]:
    """Cells of each line that says something, with its line number from one."""
    numbered = enumerate(csv_text.lstrip("\ufeff").splitlines(), start=1)
    return [
        (number, [cell.strip().strip('"') for cell in line.split(",")])
        for number, line in numbered
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _header_faults(line: int, header: Sequence[str]) -> list[str]:
    """What is wrong with the row of column names."""
    faults = []
    if header[0] != TIME_COLUMN:
        faults.append(f"line {line}: the first column must be {TIME_COLUMN}, not {header[0]!r}")
    if len(header) == 1:
        faults.append(f"line {line}: no feed column, such as glucose_feed{RATE_SUFFIX}")
    faults += [
        f"line {line}: column {name!r} must be an input with its unit, such as "
        f"glucose_feed{RATE_SUFFIX}"
        for name in header[1:]
        if not name.removesuffix(RATE_SUFFIX) or not name.endswith(RATE_SUFFIX)
    ]
    faults += [
        f"line {line}: column {name!r} appears twice"
        for position, name in enumerate(header)
        if name in header[:position]
    ]
    return faults


def _row_numbers(
    line: int, header: Sequence[str], row: Sequence[str], faults: list[str]
) -> dict[str, float]:
    """Numbers of a row by column, NaN where there is none; appends what is wrong to `faults`."""
    if len(row) != len(header):
        faults.append(f"line {line}: {len(row)} values, but {len(header)} columns")
    numbers = dict.fromkeys(header, nan)
    for name, text in zip(header, row, strict=False):
        try:
            numbers[name] = float(text.replace("_", "?"))  # Python would read 1_5 as 15
        except ValueError:
            faults.append(f"line {line}: {name} is not a number: {text!r}")
            continue
        if not isfinite(numbers[name]):
            faults.append(f"line {line}: {name} is not finite: {text!r}")
        elif numbers[name] < 0.0:
            faults.append(f"line {line}: {name} is negative: {text!r}")
    return numbers


def _order_faults(lines: Sequence[int], numbers: Sequence[Mapping[str, float]]) -> list[str]:
    """What is wrong between rows: times out of order, no end."""
    if len(lines) < 2:  # noqa: PLR2004 - one row to start a piece, one to end it
        last = lines[-1] if lines else 1
        return [f"line {last}: a recipe needs a row at 0 h and a last row that ends it"]
    faults = []
    times_h = [row[TIME_COLUMN] for row in numbers]
    if isfinite(times_h[0]) and times_h[0] != 0.0:
        faults.append(f"line {lines[0]}: the first piece must start at 0 h")
    faults += [
        f"line {line}: {TIME_COLUMN} {time_h:g} does not come after {before:g}"
        for line, before, time_h in zip(lines[1:], times_h, times_h[1:], strict=False)
        if time_h <= before
    ]
    faults += [
        f"line {lines[-1]}: the last row ends the recipe, so {name} must be 0"
        for name, value in numbers[-1].items()
        if name != TIME_COLUMN and value > 0.0
    ]
    return faults
