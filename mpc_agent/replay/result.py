"""What came of a replay, as values, as text and as an object for programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from mpc_agent.codec import encode
from mpc_agent.record import BatchHeader
from mpc_agent.replay.comparing import (
    Difference,
    Innovations,
    Learnt,
    Names,
    course,
    differences,
    innovations,
    learnt,
    together,
)
from mpc_agent.replay.rerun import Cycle, Replay
from mpc_agent.values import Estimate


@dataclass(frozen=True)
class Side:
    """The recorded or the replayed estimates, counted.

    Attributes:
        channels: innovations of every signal and assay.
        learnt: parameters at the end.
    """

    channels: Mapping[str, Innovations]
    learnt: Mapping[str, Learnt]


@dataclass(frozen=True)
class Compared:
    """A replay held against its record.

    Attributes:
        record: its path, as people type it.
        batch: name of the batch.
        source: what it was replayed with.
        cycles: how many.
        last_h: hours since inoculation of the last.
        different: how many have another estimate, in any bit.
        first: what is different in the first of them; empty when none is.
        differences: of every quantity.
        recorded, replayed: both sides.
        notes: what people should know.
    """

    record: str
    batch: str
    source: str
    cycles: int
    last_h: float
    different: int
    first: str
    differences: tuple[Difference, ...]
    recorded: Side
    replayed: Side
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Every figure, for programs."""
        return {
            "record": self.record,
            "batch": self.batch,
            "replayed_with": self.source,
            "cycles": self.cycles,
            "identical": self.different == 0,
            "different": self.different,
            "first_difference": self.first or None,
            "differences": [
                {"kind": item.key.kind, "name": item.key.name}
                | {"mean": item.mean, "largest": item.largest, "largest_at_cycle": item.place}
                for item in self.differences
            ],
            "recorded": _side(self.recorded),
            "replayed": _side(self.replayed),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """What people read."""
        parts = [
            f"record   {self.record}",
            f"batch    {self.batch}, {self.cycles} cycles, {self.last_h:.1f} h",
            f"with     {self.source}",
            *(f"note     {note}" for note in self.notes),
        ]
        if not self.different:
            return "\n".join([*parts, f"identical: {self.cycles} estimates"])
        told = f"different: {self.different} of {self.cycles} estimates; {self.first}"
        moved = any(item.largest != 0 for item in self.differences)
        return "\n".join([*parts, told, *(["", *self._tables()] if moved else [])])

    def _tables(self) -> Iterator[str]:
        yield from _table(_summary_rows(self.recorded, self.replayed), "")
        yield ""
        yield from _table(
            _channel_rows(self.recorded.channels, self.replayed.channels), "squared innovations"
        )
        yield ""
        yield from _table(
            [("", "mean", "largest", "at cycle"), *map(_difference_row, self.differences)],
            "difference in recorded deviations",
        )


def compared(
    record: str, header: BatchHeader, source: str, done: Replay, names: tuple[Names, Names]
) -> Compared:
    """Hold a replay against its record.

    Args:
        record: path of the record, as people type it.
        header: of the record.
        source: what it was replayed with.
        done: the replay, of one cycle at least.
        names: what recorded and replayed estimates stand for.
    """
    sides = [item.recorded for item in done.cycles], [item.replayed for item in done.cycles]
    courses = [course(name, side) for name, side in zip(names, sides, strict=True)]
    parameters = list(dict.fromkeys([*names[0].adapted, *names[1].adapted]))
    told = [
        Side(innovations(name, side), learnt(name, side[-1], parameters))
        for name, side in zip(names, sides, strict=True)
    ]
    different = done.different
    return Compared(
        record=record,
        batch=header.batch,
        source=source,
        cycles=len(done.cycles),
        last_h=header.hours(done.cycles[-1].time_s),
        different=len(different),
        first=_first(names, different[0], header) if different else "",
        differences=tuple(
            replace(item, place=done.cycles[item.place].number) for item in differences(*courses)
        ),
        recorded=told[0],
        replayed=told[1],
        notes=done.notes,
    )


def _first(names: tuple[Names, Names], cycle: Cycle, header: BatchHeader) -> str:
    """What is different in a cycle, and by how much."""
    where = f"first in cycle {cycle.number} ({header.hours(cycle.time_s):.2f} h)"
    before, after = course(names[0], [cycle.recorded]), course(names[1], [cycle.replayed])
    found = [item for item in differences(before, after) if item.largest > 0]
    if found:
        most = max(found, key=lambda item: item.largest)
        then, now = float(before.means[most.key][0]), float(after.means[most.key][0])
        return (
            f"{where}, where {most.key.kind} {most.key.name} is {now!r} instead of {then!r}: "
            f"{_short(most.largest)} of its recorded deviations"
        )
    return f"{where}, in {', '.join(_unequal(cycle.recorded, cycle.replayed))} alone"


def _unequal(one: Estimate, other: Estimate) -> Iterator[str]:
    """Names of the fields of two estimates that are not equal in every bit."""
    for item in fields(Estimate):
        if encode(getattr(one, item.name)) != encode(getattr(other, item.name)):
            yield item.name


# ------------------------------------------------------------------ for programs


def _side(side: Side) -> dict[str, object]:
    return {
        "channels": {name: asdict(item) for name, item in side.channels.items()},
        "all": asdict(together(side.channels)),
        "lab": asdict(together(side.channels, lab=True)),
        "learnt": {name: asdict(item) for name, item in side.learnt.items()},
    }


# ------------------------------------------------------------------ for people


def _table(rows: Sequence[tuple[str, ...]], title: str) -> Iterator[str]:
    """Rows as lines, the first of them their heads; all columns but the first to the right."""
    rows = [(title, *rows[0][1:]), *rows[1:]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([f"{row[0]:<{widths[0]}}", *cells]).rstrip()


def _difference_row(item: Difference) -> tuple[str, ...]:
    named = f"{item.key.kind} {item.key.name}"
    return (named, _short(item.mean), _short(item.largest), str(item.place))


def _summary_rows(recorded: Side, replayed: Side) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "recorded", "replayed")]
    lab = [together(side.channels, lab=True) for side in (recorded, replayed)]
    every = [together(side.channels) for side in (recorded, replayed)]
    rows.append(("lab values in the 95 % band predicted before", *map(_covered, lab)))
    rows.append(("squared innovations, mean of all (band)", *map(_consistent, every)))
    rows.append(("values refused by the gate", *(str(item.refused) for item in every)))
    for name in recorded.learnt:
        values = (side.learnt[name] for side in (recorded, replayed))
        rows.append((f"{name} at the end", *map(_parameter, values)))
    return rows


def _channel_rows(
    recorded: Mapping[str, Innovations], replayed: Mapping[str, Innovations]
) -> list[tuple[str, ...]]:
    """One row per channel; where both sides have it and differ, both, the recorded one first."""
    rows: list[tuple[str, ...]] = [("", "values", "mean", "band", "in 95 % band", "refused")]
    for name in dict.fromkeys([*recorded, *replayed]):
        sides = [side[name] for side in (recorded, replayed) if name in side]
        columns = zip(*map(_channel, sides), strict=True)
        rows.append((name, *(" → ".join(dict.fromkeys(cells)) for cells in columns)))
    return rows


def _channel(item: Innovations) -> tuple[str, ...]:
    if not item.count:
        return ("none", "", "", "", str(item.refused))
    return (
        str(item.count),
        _short(item.mean),
        _band(item),
        f"{100 * item.covered / item.count:.1f} %",
        str(item.refused),
    )


def _covered(item: Innovations) -> str:
    """How many values were where they were expected."""
    if not item.count:
        return "none"
    return f"{100 * item.covered / item.count:.1f} % of {item.count}"


def _consistent(item: Innovations) -> str:
    """A mean with its band."""
    if not item.count:
        return "none"
    return f"{_short(item.mean)} ({_band(item)})"


def _band(item: Innovations) -> str:
    return f"{item.band[0]:.2f}..{item.band[1]:.2f}"


def _parameter(item: Learnt) -> str:
    if item.deviation == 0:
        return f"{item.value:.4g}, locked"
    return f"{item.value:.4g} ± {item.deviation:.2g}"


def _short(value: float) -> str:
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"  # noqa: PLR2004 - digits
