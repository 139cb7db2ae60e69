"""The approved profile of a batch: baseline, fallback of the agent and of the control unit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIME_COLUMN = "time_h"

FLOW_UNIT = "L_per_h"
"""Unit, in words, of whatever flows; also the unit of an input when nothing else is said."""

_EXAMPLE = f"glucose_feed_{FLOW_UNIT}"


@dataclass(frozen=True, eq=False)
class Recipe:
    """What the inputs do over the batch, piecewise constant.

    What flows (L/h) is never negative, and zero before inoculation and after the end. Any other
    input (a pressure, a stirrer speed) has the first piece's value before inoculation and the value
    that the recipe ends with from then on.

    Attributes:
        times_h: starts of the pieces in hours since inoculation, strictly increasing, first one 0,
            shape (pieces,).
        end_h: end of the last piece.
        rates: value of each piece by name of the model's input, in the unit that `units` says,
            each of shape (pieces,).
        units: unit in words of each input, such as `L_per_h`, `m3_per_min` or `bar`; what is
            missing is in L_per_h.
        after: value from the end on, of inputs that do not flow; what is missing keeps its last
            one.
    """

    times_h: Floats
    end_h: float
    rates: Mapping[str, Floats]
    units: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse pieces that are not in order, values that are not finite, negative flows."""
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
            if not np.all(np.isfinite(values)):
                raise ValueError(f"{name}: every rate must be finite")
            if self.flows(name) and not np.all(values >= 0.0):
                raise ValueError(f"{name}: no rate of a flow may be negative")
        for name, value in self.after.items():
            if name not in self.rates or not isfinite(value) or (self.flows(name) and value):
                raise ValueError(f"{name}: the recipe cannot end with {value}")

    @classmethod
    def from_rows(
        cls,
        times_h: Sequence[float],
        end_h: float,
        rates: Mapping[str, Sequence[float]],
        units: Mapping[str, str] | None = None,
        after: Mapping[str, float] | None = None,
    ) -> Self:
        """A recipe from plain sequences: starts of the pieces, end, values by input.

        Raises:
            ValueError: pieces out of order, values missing or not finite, flows negative.
        """
        return cls(
            times_h=_read_only(times_h),
            end_h=float(end_h),
            rates={name: _read_only(values) for name, values in rates.items()},
            units=dict(units or {}),
            after=dict(after or {}),
        )

    @classmethod
    def parse(cls, csv_text: str) -> Self:
        """A recipe from the text of a CSV file.

        The first row names the columns: `time_h`, then one per input, the model's name with its
        unit in words: `glucose_feed_L_per_h`, `aeration_m3_per_min`, `pressure_bar`, `kLa_per_h`,
        `pH_1`. Each row starts a piece. The last row ends the recipe: there what flows (L_per_h) is
        zero, and any other input says what it keeps from then on. Empty lines and lines that start
        with `#` are skipped.

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
        named = {split_column(column): values for column, values in columns.items()}
        return cls.from_rows(
            times_h[:-1],
            times_h[-1],
            {name: values[:-1] for (name, _), values in named.items()},
            dict(named.keys()),
            {name: values[-1] for (name, unit), values in named.items() if unit != FLOW_UNIT},
        )

    @property
    def input_names(self) -> tuple[str, ...]:
        """Inputs that the recipe says something about."""
        return tuple(self.rates)

    def unit(self, input_name: str) -> str:
        """Unit of an input as the units library reads it, such as `L/h` or `m^3/min`."""
        return unit_text(self.units.get(input_name, FLOW_UNIT))

    def flows(self, input_name: str) -> bool:
        """Whether an input is a flow, in L/h."""
        return self.units.get(input_name, FLOW_UNIT) == FLOW_UNIT

    def rate(self, input_name: str, time_h: float) -> float:
        """Value of an input, in its unit, at a time in hours since inoculation.

        Raises:
            KeyError: the recipe says nothing about this input.
        """
        values = self.rates[input_name]
        if time_h >= self.end_h:
            return self._last(input_name)
        if not time_h >= 0.0:
            return 0.0 if self.flows(input_name) else float(values[0])
        piece = int(np.searchsorted(self.times_h, time_h, side="right")) - 1
        return float(values[piece])

    def rates_at(self, time_h: float) -> dict[str, float]:
        """Values of all inputs of the recipe at a time in hours since inoculation."""
        return {name: self.rate(name, time_h) for name in self.rates}

    def text(self) -> str:
        """The recipe as the CSV text that `parse` reads; numbers in full precision."""
        columns = [f"{name}_{self.units.get(name, FLOW_UNIT)}" for name in self.rates]
        rows = [",".join([TIME_COLUMN, *columns])]
        for piece, time_h in enumerate(self.times_h):
            values = (values[piece] for values in self.rates.values())
            rows.append(",".join(repr(float(value)) for value in (time_h, *values)))
        rows.append(",".join([repr(self.end_h), *(repr(self._last(name)) for name in self.rates)]))
        return "\n".join(rows) + "\n"

    def _last(self, input_name: str) -> float:
        """Value of an input from the end on."""
        if self.flows(input_name):
            return 0.0
        return float(self.after.get(input_name, self.rates[input_name][-1]))


def split_column(column: str) -> tuple[str, str]:
    """The input of a column and its unit in words; both empty where there is no unit.

    A unit is the last word with every `word_per` before it. Where that leaves no name, as in
    `kLa_per_h`, it begins with `per`; after a name of several words write `1_per_h`.
    """
    words = column.split("_")
    start = len(words) - 1
    while start > 1 and words[start - 1] == "per":
        start -= 2
    start = max(start, 1)
    name, unit = "_".join(words[:start]), "_".join(words[start:])
    return (name, unit) if name and unit and "" not in words else ("", "")


def unit_text(words: str) -> str:
    """A unit in words as the units library reads it: `m3_per_min` is `m^3/min`."""
    first, *rest = words.split("_")
    parts = [_power(part) for part in rest if part != "per"]
    return "/".join(["1" if first == "per" else _power(first), *parts])


def _power(part: str) -> str:
    """`m3` is a cube; `1` is one."""
    return re.sub(r"(?<=[A-Za-z])(\d+)$", r"^\1", part)


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
        faults.append(f"line {line}: no column of an input, such as {_EXAMPLE}")
    names = [split_column(column)[0] for column in header[1:]]
    faults += [
        f"line {line}: column {column!r} must be an input with its unit, such as {_EXAMPLE}"
        for column, name in zip(header[1:], names, strict=True)
        if not name
    ]
    faults += [
        f"line {line}: column {column!r} appears twice"
        for position, column in enumerate(header)
        if column in header[:position]
    ]
    faults += [
        f"line {line}: {name} has two columns, in different units"
        for position, name in enumerate(names)
        if name in names[:position] and header[position + 1] not in header[: position + 1]
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
        elif numbers[name] < 0.0 and _stops(name):
            faults.append(f"line {line}: {name} is negative: {text!r}")
    return numbers


def _stops(column: str) -> bool:
    """Whether a column's values may not be negative and must end with zero: time and flows."""
    return column == TIME_COLUMN or split_column(column)[1] == FLOW_UNIT


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
        if name != TIME_COLUMN and _stops(name) and value > 0.0
    ]
    return faults
