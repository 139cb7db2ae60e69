"""The lab's book: which samples and bookings are new, corrected, impossible or too late."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mpc_agent.estimation.happenings import Book
from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.values import WATER, WITHDRAWN, Dose, Sample, Verdict


@dataclass(frozen=True, slots=True)
class Entries:
    """The book with what was new, and what that is.

    Attributes:
        book: the same object when nothing was new.
        fresh: new or corrected samples to fuse.
        refused: new samples that are not, each with its verdict.
        since_s: the earliest time that the estimate must be computed again from, infinite when
            nothing was new.
        poured: bookings taken in.
        unreached: bookings that came too late for that.
        rewrites: what is known of the past is another story: what was judged since is judged anew.
    """

    book: Book
    fresh: tuple[Sample, ...]
    refused: tuple[tuple[Sample, Verdict], ...]
    since_s: float
    poured: tuple[Dose, ...] = ()
    unreached: tuple[Dose, ...] = ()
    rewrites: bool = False


def enter(
    settings: EstimationSettings,
    book: Book,
    offered: Iterable[Sample],
    doses: Iterable[Dose],
    oldest_s: float,
    now_s: float,
) -> Entries:
    """Enter what is new.

    A result is known by analyte and drawing time: the same value again is nothing new, another
    value is a correction, which takes the place of the old one. What was drawn before `oldest_s`
    is too late to be fused; what lies in the future waits.
    """
    current = {_key(sample): sample for sample in book.samples}
    aside = {_key(sample): sample for sample in book.set_aside}
    replaced: list[Sample] = []
    fresh: dict[tuple[str, float], Sample] = {}
    refused: dict[tuple[str, float], tuple[Sample, Verdict]] = {}
    since_s = np.inf
    offered = tuple(offered)
    settled = _settled(offered, (current, aside))
    for sample in offered:
        key = _key(sample)
        known = [group[key] for group in (current, aside) if key in group]
        waits = not sample.drawn_at_s <= now_s
        if waits or key in settled or any(_same(item, sample) for item in known):
            continue
        verdict = _verdict(settings, sample, oldest_s)
        fresh.pop(key, None)
        refused.pop(key, None)
        in_time = sample.drawn_at_s >= oldest_s
        if in_time and (verdict is Verdict.OK or key in current):
            since_s = min(since_s, sample.drawn_at_s)
        # What was fused before the memory begins cannot be taken back: it stays beside the new.
        replaceable = (current, aside) if in_time else (aside,)
        replaced += [group.pop(key) for group in replaceable if key in group]
        if verdict is Verdict.OK:
            current[key] = fresh[key] = sample
        else:
            aside[key] = sample
            refused[key] = (sample, verdict)
    poured, unreached = _new_doses(settings, book, doses, oldest_s, now_s)
    poured_keys = {_dose_key(dose) for dose in poured}
    corrected = tuple(dose for dose in book.doses if _dose_key(dose) in poured_keys)
    kept = tuple(dose for dose in book.doses if dose not in corrected)
    since_s = min((since_s, *(dose.given_at_s for dose in poured)))
    if not (fresh or refused or poured or unreached):
        return Entries(book, (), (), np.inf)
    written = Book(
        samples=_sorted(current.values()),
        set_aside=_sorted(aside.values()),
        superseded=(*book.superseded, *replaced),
        doses=tuple(sorted((*kept, *poured), key=lambda dose: (dose.given_at_s, dose.what))),
        unreached=(*book.unreached, *unreached),
        superseded_doses=(*book.superseded_doses, *corrected),
    )
    return Entries(
        written,
        tuple(fresh.values()),
        tuple(refused.values()),
        since_s,
        poured,
        unreached,
        rewrites=bool(poured or replaced),
    )


def _key(sample: Sample) -> tuple[str, float]:
    return sample.analyte, sample.drawn_at_s


def _settled(
    offered: Iterable[Sample], groups: Iterable[dict[tuple[str, float], Sample]]
) -> set[tuple[str, float]]:
    """Results whose last version is known: a source may show what it corrected beside it."""
    last = {_key(sample): sample for sample in offered}
    return {
        key
        for group in groups
        for key, sample in last.items()
        if key in group and _same(group[key], sample)
    }


def _same(one: Sample, other: Sample) -> bool:
    return bool(np.array_equal(one.value, other.value, equal_nan=True))


def _sorted(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda sample: (sample.drawn_at_s, sample.analyte)))


def _verdict(settings: EstimationSettings, sample: Sample, oldest_s: float) -> Verdict:
    """Whether a sample can be fused: known, possible, and not too late."""
    possible = any(
        assay.name == sample.analyte and assay.lower <= sample.value <= assay.upper
        for assay in settings.assays
    )
    if not possible:
        return Verdict.OUT_OF_RANGE
    return Verdict.OK if sample.drawn_at_s >= oldest_s else Verdict.STALE


def _new_doses(
    settings: EstimationSettings,
    book: Book,
    offered: Iterable[Dose],
    oldest_s: float,
    now_s: float,
) -> tuple[tuple[Dose, ...], tuple[Dose, ...]]:
    """Bookings that are new or correct another: within reach, and too late.

    One is known by what was given and when. Another volume is a correction; nothing at all takes
    back what was booked.
    """
    liquids = {*settings.model.volume_flows, WATER, WITHDRAWN}
    known = {_dose_key(dose): dose for dose in (*book.doses, *book.unreached)}
    found: dict[tuple[str, float], Dose] = {}
    for dose in offered:
        key = _dose_key(dose)
        sensible = dose.what in liquids and np.isfinite(dose.volume_L) and dose.volume_L >= 0
        if not sensible or not dose.given_at_s <= now_s or known.get(key) == dose:
            continue
        if dose.volume_L > 0 or key in known:
            found[key] = dose
    reached = tuple(dose for dose in found.values() if dose.given_at_s >= oldest_s)
    return reached, tuple(dose for dose in found.values() if dose.given_at_s < oldest_s)


def _dose_key(dose: Dose) -> tuple[str, float]:
    return dose.what, dose.given_at_s
