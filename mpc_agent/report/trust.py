"""How far signals, states and parameters are to be trusted, as rows of tables.

Gathered from estimates one by one: the report goes through a whole record, the page of a running
agent sees one cycle after the other.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, log

from mpc_agent.estimate_reasons import with_deviation
from mpc_agent.record import BatchHeader, Interval, Quantity
from mpc_agent.report.panel import pretty_title, pretty_unit
from mpc_agent.values import Estimate, Judgement, Verdict

LARGEST_SHOWN = 4.0
"""Squared innovations, as multiples of what is expected, at the end of their scale."""

NOT_KNOWN = 0.05
"""Below this share, measurements tell practically nothing of a state or parameter."""


@dataclass(frozen=True)
class Scale:
    """A mark on a scale with a range shaded in it, all in percent of the scale's length.

    Attributes:
        lower, upper: ends of the range.
        mark: where the value is, cut off at the end of the scale.
        alarming: whether somebody should look at it.
    """

    lower: float
    upper: float
    mark: float
    alarming: bool


@dataclass(frozen=True)
class SignalRow:
    """One signal or assay: what became of its values, and whether they are as expected.

    Attributes:
        name: as people read it.
        source: "online" or "lab".
        verdict: of its last value.
        good: whether that is a good one.
        used, refused: how many values.
        consistency: squared innovations as multiples of what is expected, with their band.
        scale: the same as a picture, None before the first value.
        judged: how often it became a suspect and how often the estimate was found wrong.
        offset: learnt offset, empty when none is learnt.
    """

    name: str
    source: str
    verdict: str
    good: bool
    used: int
    refused: int
    consistency: str
    scale: Scale | None
    judged: str
    offset: str


@dataclass(frozen=True)
class UnknownRow:
    """One state or learnt parameter, and how much measurements told of it lately.

    Attributes:
        name: as people read it.
        title: its name in the model.
        value: with its standard deviation.
        unit: as people write it.
        percent: share of the deviation that measurements took away, None before it is known.
        seen: whether that is more than practically nothing.
    """

    name: str
    title: str
    value: str
    unit: str
    percent: float | None
    seen: bool


@dataclass(frozen=True)
class LearntRow:
    """One learnt parameter: where it came from, where it is, and how far it may go.

    Attributes:
        name: in the model.
        meaning: what it is.
        unit: as people write it.
        before: value before learning.
        now: with its standard deviation.
        approved: range, empty when the record does not tell.
        scale: where in its range it is.
        at_bound: whether it stands at an end.
        moves: how often lab results moved it.
    """

    name: str
    meaning: str
    unit: str
    before: str
    now: str
    approved: str
    scale: Scale | None
    at_bound: bool
    moves: int


@dataclass
class Trust:
    """What the estimates of a batch, seen one by one, tell of trust.

    Attributes:
        header: of the batch.
        last: newest estimate, None before the first.
        verdicts: of the last value of every channel.
        used, refused, suspected, reopened, moved: how often, by channel or parameter.
        resets: how often the filter began anew.
    """

    header: BatchHeader
    last: Estimate | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    suspected: Counter[str] = field(default_factory=Counter)
    reopened: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    resets: int = 0

    def see(self, estimate: Estimate) -> None:
        """Note another estimate."""
        self.last = estimate
        for name, verdict in zip(self.header.signals, estimate.verdicts, strict=True):
            self._note(name, verdict)
        for result in estimate.samples:
            name = result.sample.analyte
            suspect = result.verdict is Verdict.GATED and name in estimate.suspects
            self._note(name, Verdict.SUSPECT if suspect else result.verdict)
        counters = {Judgement.SUSPECT: self.suspected, Judgement.REOPENED: self.reopened}
        for decided in estimate.decided:
            if decided.judgement in counters:
                counters[decided.judgement][decided.channel] += 1
            self.resets += decided.judgement is Judgement.RESET
        self.moved.update(move.parameter for move in estimate.moves)

    def _note(self, name: str, verdict: Verdict) -> None:
        # A value that is shown again was judged when it was new.
        if verdict is not Verdict.REPEATED:
            self.verdicts[name] = verdict
            (self.used if verdict is Verdict.OK else self.refused)[name] += 1

    # ------------------------------------------------------------------ rows

    def signals(self) -> Iterator[SignalRow]:
        """Online signals, then assays; none before the first estimate."""
        if self.last is None:
            return
        told, header = self.last.consistency, self.header
        for i, name in enumerate((*header.signals, *header.assays)):
            mean, band = (
                (float("nan"), (0.0, 0.0))
                if told is None
                else (float(told.means[i]), (float(told.bands[i][0]), float(told.bands[i][1])))
            )
            verdict = self.verdicts.get(name)
            yield SignalRow(
                name=_readable(name),
                source="online" if i < len(header.signals) else "lab",
                verdict=str(verdict or ""),
                good=verdict is Verdict.OK,
                used=self.used[name],
                refused=self.refused[name],
                consistency=_banded(mean, band),
                scale=_consistency_scale(mean, band),
                judged=self._judged(name),
                offset=self._offset(name),
            )

    def _judged(self, name: str) -> str:
        counts = {"suspect": self.suspected[name], "estimate wrong": self.reopened[name]}
        return ", ".join(f"{what} {count}\u00d7" for what, count in counts.items() if count)

    def _offset(self, name: str) -> str:
        if self.last is None or name not in self.last.offsets:
            return ""
        units = {item.name: item.unit for item in self.header.outputs}
        unit = pretty_unit(units.get(self.header.output_of(name), ""))
        return f"{_signed(with_deviation(*self.last.offsets[name]))} {unit}".strip()

    @property
    def overall(self) -> str:
        """Squared innovations of all channels together, with their band; empty when unknown."""
        told = None if self.last is None else self.last.consistency
        return "" if told is None else _banded(told.overall, told.band)

    def unknowns(self) -> Iterator[UnknownRow]:
        """States, then learnt parameters."""
        if self.last is None:
            return
        gains = self.last.observability
        for i, quantity in enumerate((*self.header.states, *self.header.adapted)):
            share = float(gains[i]) if i < len(gains) else None
            yield UnknownRow(
                name=pretty_title(quantity),
                title=quantity.name,
                value=self._valued(self.last, i),
                unit=pretty_unit(quantity.unit),
                percent=None if share is None else 100 * share,
                seen=share is None or share >= NOT_KNOWN,
            )

    def learnt(self) -> Iterator[LearntRow]:
        """Learnt parameters."""
        if self.last is None:
            return
        first = len(self.header.states)
        for i, quantity in enumerate(self.header.adapted):
            approved = self.header.approved.get(quantity.name, (None, None))
            yield self._learnt(quantity, self.last, first + i, approved)

    def _learnt(
        self, quantity: Quantity, last: Estimate, place: int, approved: Interval
    ) -> LearntRow:
        name, (lower, upper) = quantity.name, approved
        before = self.header.parameters.get(name)
        known = lower is not None and upper is not None
        return LearntRow(
            name=name,
            meaning=pretty_title(quantity),
            unit=pretty_unit(quantity.unit),
            before="" if before is None else f"{before:.4g}",
            now=self._valued(last, place),
            approved=f"{lower:g} to {upper:g}" if known else "",
            scale=_range_scale(float(last.mean[place]), before, approved),
            at_bound=name in last.at_bounds,
            moves=self.moved[name],
        )

    @staticmethod
    def _valued(estimate: Estimate, place: int) -> str:
        text = with_deviation(float(estimate.mean[place]), float(estimate.deviation[place]))
        return _signed(text)

    def content(self) -> Mapping[str, object]:
        """All that the template of the tables shows."""
        return {
            "signals": list(self.signals()),
            "unknowns": list(self.unknowns()),
            "learnt": list(self.learnt()),
            "overall": self.overall,
            "resets": self.resets,
        }


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _signed(text: str) -> str:
    """With the signs that people write."""
    return text.replace("+/-", "\u00b1").replace("-", "\u2212")


def _banded(mean: float, band: tuple[float, float]) -> str:
    return f"{mean:.2f} ({band[0]:.2f} to {band[1]:.2f})" if isfinite(mean) else ""


def _consistency_scale(mean: float, band: tuple[float, float]) -> Scale | None:
    if not isfinite(mean):
        return None
    lower, upper, mark = (100 * min(x / LARGEST_SHOWN, 1.0) for x in (*band, mean))
    # Below its band the filter is only more careful than it need be.
    return Scale(lower, upper, mark, mean > band[1])


def _range_scale(value: float, before: float | None, approved: Interval) -> Scale | None:
    """A value in its range, which is the whole scale; shaded from where it was before learning."""
    low, high = approved
    if low is None or high is None or not isfinite(value):
        return None

    def place(x: float) -> float:
        share = log(max(x, low) / low) / log(high / low) if low > 0 else (x - low) / (high - low)
        return 100 * min(max(share, 0.0), 1.0)

    mark, origin = place(value), place(value if before is None else before)
    return Scale(min(mark, origin), max(mark, origin), mark, not low < value < high)
