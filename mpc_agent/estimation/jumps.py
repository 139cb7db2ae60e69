"""Sudden changes: one parameter that jumped, and several gates that refuse what follows from it.

Antifoam or a fouled sparger changes the oxygen transfer from one cycle to the next. The filter,
which thinks that it drifts slowly, refuses all that tells of it, and the longer the worse. So as
soon as several values were refused, each parameter that may jump is tried, with several sizes and
moments: the trouble is computed again with the jump, everything else as certain as it was. If that
reconciles all values, the one that fits best is believed. A probe that failed is none: one number
explains any single value, but not that the probe says one thing and the off-gas another, or the
probe itself ten minutes later.

Source: a generalised likelihood ratio test for jumps, Willsky and Jones (1976), IEEE Trans.
Automatic Control 21:108-112; here with the exact equations, on a grid, and with gates and
chi-square bands as thresholds.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from mpc_agent.estimation.filter import Belief, ExtendedKalmanFilter
from mpc_agent.estimation.gates import last_before, offered_at_s, with_step_changed
from mpc_agent.estimation.happenings import Chapter, Jump
from mpc_agent.estimation.health import chi_square_band
from mpc_agent.estimation.history import History, Run, marched
from mpc_agent.values import Decided, Floats, Judgement

EVIDENCE = 2
"""Refused values that one number must explain before it is believed."""

SHARES = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
"""Sizes of a jump that are tried, as shares of what is usual. The filter goes on from the nearest;
from where it was before, the straight line that it sees by would lead it astray."""

LEAST = 0.4
"""Share of what is usual below which a change is none: slow learning follows it soon enough, and a
probe that is off by a seventh looks the same."""

MOMENTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Moments of a jump that are tried, as shares of the step that it was in."""

BETWEEN = 12**-0.5
"""Standard deviation of what lies anywhere between two that are tried, as a share of their
distance."""

CONFIDENCE = 0.999
"""Probability of the chi-square band that all innovations since a jump must lie in together."""


def judge_jumps(
    kalman: ExtendedKalmanFilter, history: History, gate_ratios: Floats
) -> tuple[Run, Decided] | None:
    """The history with the jump that explains what is refused now, None when none does.

    Args:
        kalman: the filter.
        history: with this cycle's step.
        gate_ratios: of this cycle's online values, NaN where none came, shape (signals,) or more.
    """
    if not any(item.jump > 0 for item in kalman.settings.adapted):
        return None
    refused = _refused(kalman, history, gate_ratios)
    counts = history.belief.rejections[refused].astype(int)
    if counts.sum() < EVIDENCE:
        return None
    since_s = min(
        offered_at_s(kalman, history.chapters, history.book, int(channel))[-count:][0]
        for channel, count in zip(refused, counts, strict=True)
    )
    began = last_before(history.chapters, float(np.nextafter(since_s, np.inf)))
    start = _chapter_from(kalman, history, began)
    trials = _trials(kalman, history, began, start)
    misfit, jump = min(((_misfit(kalman, run), jump) for jump, run in trials), key=itemgetter(0))
    if not misfit < np.inf:
        return None
    i, j = began
    step = replace(history.chapters[i].steps[j], jump=jump)
    run = marched(kalman, with_step_changed(history.chapters, began, step), history.book, i)
    learnt = kalman.coordinates.names.index(jump.parameter)
    usual = next(item.jump for item in kalman.settings.adapted if item.name == jump.parameter)
    if abs(run.belief.mean[learnt] - start.start.mean[learnt]) < LEAST * usual:
        return None
    place = kalman.settings.model.parameter_names.index(jump.parameter)
    before, after = (kalman.parameters(belief)[place] for belief in (start.start, run.belief))
    return run, Decided(Judgement.JUMPED, jump.parameter, (float(before), float(after)))


def _refused(
    kalman: ExtendedKalmanFilter, history: History, gate_ratios: Floats
) -> NDArray[np.int_]:
    """Online signals whose value of this cycle was refused and that are no suspects."""
    refused = gate_ratios[: kalman.signals] > 1
    return np.flatnonzero(refused & ~_suspect(kalman, history.belief))


def _suspect(kalman: ExtendedKalmanFilter, belief: Belief) -> NDArray[np.bool_]:
    patience = [item.readmit_after for item in kalman.settings.signals]
    suspect: NDArray[np.bool_] = belief.rejections[: kalman.signals] > patience
    return suspect


def _chapter_from(
    kalman: ExtendedKalmanFilter, history: History, began: tuple[int, int]
) -> Chapter:
    """The chapter of a step from that step on."""
    i, j = began
    chapter = history.chapters[i]
    if j == 0:
        return chapter
    before = replace(chapter, steps=chapter.steps[:j])
    belief = marched(kalman, (before,), history.book, 0).belief
    return Chapter(before.end_s, belief, chapter.steps[j:])


def _trials(
    kalman: ExtendedKalmanFilter, history: History, began: tuple[int, int], chapter: Chapter
) -> Iterator[tuple[Jump, Run]]:
    """Every jump that is tried, and the history from the step on in which it was."""
    first, later = chapter.steps[0], history.chapters[began[0] + 1 :]
    length_s = first.time_s - chapter.start_s
    unsure_s = BETWEEN * length_s * float(np.diff(MOMENTS).max())
    for item in kalman.settings.adapted:
        if item.jump > 0:
            deviation = BETWEEN * item.jump * float(np.diff(SHARES).max())
            for moment, share in product(MOMENTS, SHARES):
                at_s = chapter.start_s + moment * length_s
                jump = Jump(item.name, at_s, share * item.jump, deviation, unsure_s)
                tried = replace(chapter, steps=(replace(first, jump=jump), *chapter.steps[1:]))
                yield jump, marched(kalman, (tried, *later), history.book, 0)


def _misfit(kalman: ExtendedKalmanFilter, run: Run) -> float:
    """Mean squared normalised innovation of the online values, infinite when it is too large.

    From the jump up to no moment may they be larger than chance hardly ever makes them: at its
    beginning a changed plant differs from a probe that is off, later both look alike.
    """
    trusted = ~_suspect(kalman, run.belief)
    gates = np.array([item.gate for item in kalman.settings.signals])[trusted]
    reports = [report.gate_ratios[:, : kalman.signals][:, trusted] for _, report in run.told]
    ratios = np.concatenate(reports)
    told = np.isfinite(ratios).any(axis=1)
    offered = np.isfinite(ratios[told])
    if not offered.any() or np.nanmax(ratios) > 1:
        return np.inf
    sums = np.cumsum(np.where(offered, ratios[told] * gates**2, 0.0).sum(axis=1))
    counts = np.cumsum(offered.sum(axis=1))
    possible = sums <= counts * chi_square_band(counts, CONFIDENCE)[:, 1]
    return float(sums[-1] / counts[-1]) if possible.all() else np.inf
