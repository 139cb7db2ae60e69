"""Two courses of estimates over the same readings, side by side: pure arithmetic.

Innovations are counted as the filter's own health does: a refused value counts as one at its gate,
because a single wild value is the gate's business, and a suspect's values tell of the suspect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mpc_agent.estimation.health import chi_square_band
from mpc_agent.values import Estimate, Floats, Verdict

CONFIDENCE = 0.95
"""Probability of all bands here."""

SIGMAS = 1.96
"""Half width of the 95 % band of a normal number, in standard deviations."""

LAB = " (lab)"
"""What tells an assay from an online signal of the same name."""


class Key(NamedTuple):
    """Which quantity: its kind ("state", "parameter" or "output") and its name."""

    kind: str
    name: str


@dataclass(frozen=True)
class Names:
    """What the arrays of one side's estimates stand for.

    Attributes:
        states, adapted: the rows of `Estimate.mean`.
        outputs: the rows of `Estimate.outputs`.
        signals: the rows of `Estimate.gate_ratios`.
        gates: standard deviations at which a value is refused, by name of the signal, or of the
            assay with LAB behind it.
        locked: values of the parameters that are not learnt.
    """

    states: tuple[str, ...]
    adapted: tuple[str, ...]
    outputs: tuple[str, ...]
    signals: tuple[str, ...]
    gates: Mapping[str, float]
    locked: Mapping[str, float]

    @property
    def keys(self) -> tuple[Key, ...]:
        """All that is estimated."""
        return (
            *(Key("state", name) for name in self.states),
            *(Key("parameter", name) for name in self.adapted),
            *(Key("output", name) for name in self.outputs),
        )


@dataclass(frozen=True)
class Course:
    """What one side believed over a batch.

    Attributes:
        means: by quantity, each of shape (cycles,).
        deviations: their standard deviations.
    """

    means: Mapping[Key, Floats]
    deviations: Mapping[Key, Floats]


def course(names: Names, estimates: Sequence[Estimate]) -> Course:
    """The estimates of a batch as one column per quantity."""
    means = np.array([np.concatenate([item.mean, item.outputs]) for item in estimates])
    deviations = np.array(
        [np.concatenate([item.deviation, item.output_deviation]) for item in estimates]
    )
    return Course(
        dict(zip(names.keys, means.T, strict=True)),
        dict(zip(names.keys, deviations.T, strict=True)),
    )


# ------------------------------------------------------------------ means


@dataclass(frozen=True)
class Difference:
    """How far two courses of one quantity are apart, in the recorded side's deviations.

    Attributes:
        key: the quantity.
        mean: of the distances.
        largest: of them.
        place: cycle of the largest.
    """

    key: Key
    mean: float
    largest: float
    place: int


def differences(recorded: Course, replayed: Course) -> tuple[Difference, ...]:
    """Distances of everything that both sides estimate."""
    return tuple(
        _difference(key, replayed.means[key] - mean, recorded.deviations[key])
        for key, mean in recorded.means.items()
        if key in replayed.means
    )


def _difference(key: Key, apart: Floats, deviation: Floats) -> Difference:
    """Distance in deviations; what was known exactly is infinitely far away when it moves at all.

    Cycles in which either side is no number are left out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(apart == 0, 0.0, np.abs(apart) / deviation)
    known = np.isfinite(apart) & np.isfinite(deviation)
    if not known.any():
        return Difference(key, np.nan, np.nan, 0)
    place = int(np.argmax(np.where(known, distance, -1.0)))
    return Difference(key, float(distance[known].mean()), float(distance[place]), place)


# ------------------------------------------------------------------ innovations


@dataclass(frozen=True)
class Innovations:
    """What one side's innovations tell of its consistency, for one channel or for all.

    Attributes:
        count: of values that were offered and not of a suspect.
        mean: of the squared normalised innovations; one is expected.
        band: in which that mean should lie.
        refused: how many values the gate refused.
        covered: how many values were within the 95 % band predicted before they were fused.
    """

    count: int
    mean: float
    band: tuple[float, float]
    refused: int
    covered: int


class _Offered(NamedTuple):
    """One value that was held against its prediction."""

    ratio: float
    refused: bool
    suspect: bool


def innovations(names: Names, estimates: Sequence[Estimate]) -> dict[str, Innovations]:
    """Of every channel, by name: online signals, and assays, with LAB behind their names."""
    offered: dict[str, list[_Offered]] = {}
    for item in estimates:
        rows = zip(names.signals, item.gate_ratios.tolist(), item.verdicts, strict=True)
        for name, ratio, verdict in rows:
            value = _Offered(ratio, verdict is Verdict.GATED, verdict is Verdict.SUSPECT)
            offered.setdefault(name, []).append(value)
        for result in item.samples:
            analyte = result.sample.analyte
            refused, suspect = result.verdict is Verdict.GATED, analyte in item.suspects
            value = _Offered(result.gate_ratio, refused, suspect)
            offered.setdefault(analyte + LAB, []).append(value)
    return {
        name: _innovations(values, names.gates[name] ** 2)
        for name, values in offered.items()
        if name in names.gates
    }


def _innovations(values: Sequence[_Offered], gate: float) -> Innovations:
    there = [item for item in values if np.isfinite(item.ratio)]
    ratios = np.array([item.ratio for item in there if not item.suspect])
    squares = np.minimum(ratios, 1.0) * gate
    return Innovations(
        count=len(ratios),
        mean=float(squares.mean()) if len(ratios) else np.nan,
        band=_band(len(ratios)),
        refused=sum(item.refused for item in there),
        covered=int(np.sum(ratios * gate <= SIGMAS**2)),
    )


def _band(count: int) -> tuple[float, float]:
    low, high = chi_square_band(np.array(float(count)), CONFIDENCE)
    return float(low), float(high)


def together(parts: Mapping[str, Innovations], *, lab: bool | None = None) -> Innovations:
    """All channels as one; or only those of the lab, or only those online."""
    chosen = [part for name, part in parts.items() if lab is None or name.endswith(LAB) is lab]
    count = sum(part.count for part in chosen)
    total = sum(part.count * part.mean for part in chosen if part.count)
    return Innovations(
        count=count,
        mean=total / count if count else np.nan,
        band=_band(count),
        refused=sum(part.refused for part in chosen),
        covered=sum(part.covered for part in chosen),
    )


# ------------------------------------------------------------------ parameters


@dataclass(frozen=True)
class Learnt:
    """A parameter at the end of the batch; its deviation is zero when it was not learnt."""

    value: float
    deviation: float


def learnt(names: Names, last: Estimate, parameters: Sequence[str]) -> dict[str, Learnt]:
    """The named parameters at the last estimate of a side."""
    found = {}
    for name in parameters:
        if name in names.adapted:
            place = len(names.states) + names.adapted.index(name)
            found[name] = Learnt(float(last.mean[place]), float(last.deviation[place]))
        else:
            found[name] = Learnt(names.locked[name], 0.0)
    return found
