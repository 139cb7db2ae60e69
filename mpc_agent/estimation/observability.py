"""What the measurements tell of each unknown: how much narrower it is than without them."""

from dataclasses import replace

import numpy as np

from mpc_agent.estimation.filter import ExtendedKalmanFilter
from mpc_agent.estimation.happenings import Book, Step
from mpc_agent.estimation.history import History, marched
from mpc_agent.values import Floats


def gains(kalman: ExtendedKalmanFilter, history: History) -> Floats:
    """Share of each deviation that measurements took away over the last hours, 0..1, shape (n,).

    The same filter runs again from the window's beginning without any measurement: the covariance
    it ends with is the prior that the gain counts against. Near zero, nothing measured tells of
    that state or parameter, however well it was known before. Where the filter was opened, it is
    opened in both runs; what is learnt as a logarithm counts as that, wherever its value went.
    """
    settings = kalman.settings.observability
    begin_s = history.end_s - settings.window_h * 3600
    chapters = history.chapters
    first = max(i for i, item in enumerate(chapters) if i == 0 or item.start_s <= begin_s)
    blind = [replace(item, steps=tuple(map(_blind, item.steps))) for item in chapters]
    prior = marched(kalman, blind, Book(doses=history.book.doses), first).belief.deviation
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - history.belief.deviation / prior
    return np.clip(np.where(np.isfinite(share), share, 0.0), 0.0, 1.0)


def _blind(step: Step) -> Step:
    """The step without what was measured."""
    nothing = np.full_like(step.measured, np.nan)
    return replace(step, measured=nothing, belongs_at_s=nothing, marks=None)
