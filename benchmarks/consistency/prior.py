"""Batches whose truth is drawn from the filter's own prior, with what would be measured of them.

Everything is drawn as the filter believes it: the state and the learnt parameters at inoculation,
their noise (half before a row and half after it, which is how the filter discretises it), and the
noise of each channel. `finely` draws noise in each step of the integrator instead, as nature would:
the difference is what the filter's discretisation leaves out.

The filter's noise is normal and knows of no zero, a concentration does: where noise leads beyond a
bound, the truth is turned back by as much. `Drawn.turned` counts how often that was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.consistency.operating import Operation
from mpc_agent.estimation.coordinates import Coordinates
from mpc_agent.estimation.filter import ExtendedKalmanFilter, Integers
from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.values import Floats, Sample
from plant_models.integrate import rk4_rolled
from plant_models.model import Method
from sim_plant.settings import PlantSettings


@dataclass(frozen=True)
class Laboratory:
    """When samples are drawn and how long each result takes, as the simulated plant's lab does.

    Attributes:
        drawn: whether a sample is drawn at the end of each row, shape (rows,).
        delays_h: usual delay of each assay, shape (assays,).
        spread: delays vary by this fraction.
    """

    drawn: Integers
    delays_h: Floats
    spread: float

    @classmethod
    def of(
        cls, plant: PlantSettings, settings: EstimationSettings, rows: int, period_h: float
    ) -> Self:
        """The plant's laboratory for so many rows; drawings fall on the ends of rows."""
        first = max(1, round(plant.lab.first_h / period_h))
        ends = np.arange(1, rows + 1)
        drawn = (ends % round(plant.lab.every_h / period_h) == 0) | (ends == first)
        delays = [plant.assays[item.shows].delay_h for item in settings.assays]
        return cls(drawn, np.array(delays), plant.lab.delay_spread)


@dataclass(frozen=True)
class Drawn:
    """One batch.

    Attributes:
        period_h: length of a row.
        truth: the filter's coordinates at the end of each row, shape (rows, n).
        inputs: held over each row, shape (rows, inputs).
        online: what the signals show at the end of each row, shape (rows, signals).
        assays: what the lab finds in what is drawn then, NaN without a drawing, shape
            (rows, assays).
        delays_h: how long each result takes, shape (rows, assays).
        turned: share of draws of noise in which each coordinate was turned back, shape (n,).
    """

    period_h: float
    truth: Floats
    inputs: Floats
    online: Floats
    assays: Floats
    delays_h: Floats
    turned: Floats

    @property
    def measured(self) -> Floats:
        """Signals and assays at the time they belong to, shape (rows, channels)."""
        return np.concatenate([self.online, self.assays], axis=1)

    def samples(self, settings: EstimationSettings, begun_at_s: float) -> list[Sample]:
        """The lab's results in the order in which they come."""
        found = []
        for row, column in np.argwhere(np.isfinite(self.assays)):
            drawn_at_s = begun_at_s + 3600 * self.period_h * float(row + 1)
            found.append(
                Sample(
                    analyte=settings.assays[column].name,
                    value=float(self.assays[row, column]),
                    unit="",
                    drawn_at_s=drawn_at_s,
                    entered_at_s=drawn_at_s + 3600 * float(self.delays_h[row, column]),
                    entered_by="lab",
                )
            )
        return sorted(found, key=lambda item: item.entered_at_s)


def draw(
    kalman: ExtendedKalmanFilter,
    operation: Operation,
    laboratory: Laboratory,
    seeds: Sequence[int],
    *,
    finely: bool = False,
) -> list[Drawn]:
    """One batch for each seed, all at once; the same seed gives the same batch.

    Raises:
        ValueError: the model is one for the implicit method.
    """
    at, settings, period_h = kalman.coordinates, kalman.settings, kalman.period_h
    if settings.model.method is not Method.EXPLICIT:
        raise ValueError(f"{settings.model.name} is stiff; only explicit models are drawn")
    rows = len(laboratory.drawn)
    batch = _Batch(at, operation, period_h, finely)
    generators = [np.random.default_rng(seed) for seed in seeds]
    nominal = np.array(settings.model.nominal_inputs())
    prior = kalman.initial(nominal)
    starts = [prior.mean + prior.factor @ item.standard_normal(at.size) for item in generators]
    noise = [item.standard_normal((rows, batch.shocks, at.size)) for item in generators]
    errors = [item.standard_normal((rows, len(at.channels))) for item in generators]
    delays = [_delays_h(laboratory, item) for item in generators]
    run = jax.jit(jax.vmap(batch.run))
    arrays = [jnp.array(item) for item in (starts, noise, errors)]
    truth, inputs, shown, turned = map(np.asarray, run(*arrays))
    signals = len(settings.signals)
    return [
        Drawn(
            period_h=period_h,
            truth=truth[i],
            inputs=inputs[i],
            online=shown[i][:, :signals],
            assays=np.where(laboratory.drawn[:, None], shown[i][:, signals:], np.nan),
            delays_h=delays[i],
            turned=turned[i].mean(axis=0) / batch.shocks,
        )
        for i in range(len(seeds))
    ]


def _delays_h(laboratory: Laboratory, generator: np.random.Generator) -> Floats:
    shape = (len(laboratory.drawn), len(laboratory.delays_h))
    delays: Floats = laboratory.delays_h * (1 + laboratory.spread * generator.uniform(-1, 1, shape))
    return delays


class _Batch:
    """One batch as a function of JAX."""

    def __init__(
        self, at: Coordinates, operation: Operation, period_h: float, finely: bool
    ) -> None:
        self._at, self._operation, self._period_h, self._finely = at, operation, period_h, finely
        self._steps = max(1, int(np.ceil(period_h * at.settings.model.substeps_per_h - 1e-9)))
        self.shocks = self._steps if finely else 1
        self._absolute = np.array([item.absolute for item in at.channels])
        self._relative = np.array([item.relative for item in at.channels])

    def run(self, start: Any, noise: Any, errors: Any) -> Any:  # noqa: ANN401 - JAX
        """Truth, inputs, what is shown, and how often it was turned back, each for all rows."""
        start = self._turned_back(start)
        nominal = jnp.array(self._at.settings.model.nominal_inputs())
        shown = self._at.shown(start, self._at.outputs(start, nominal))
        live = self._step if self._finely else self._row

        def row(carry: Any, given: Any) -> Any:  # noqa: ANN401 - JAX
            z, shown, memory = carry
            recipe, shocks, error = given
            inputs, memory = self._operation.act(recipe, shown, memory)
            z, turned = jax.lax.scan(lambda x, shock: live(x, inputs, shock), z, shocks)
            true = self._at.shown(z, self._at.outputs(z, inputs))
            deviation = jnp.sqrt(self._absolute**2 + (self._relative * true) ** 2)
            shown = true + deviation * error
            return (z, shown, memory), (z, inputs, shown, turned.sum(axis=0))

        given = (self._operation.rows(len(errors), self._period_h), noise, errors)
        return jax.lax.scan(row, (start, shown, self._operation.begin()), given)[1]

    def _row(self, z: Any, inputs: Any, shock: Any) -> Any:  # noqa: ANN401 - JAX
        """A row with its noise, half before and half after; and what was turned back."""
        half = 0.5 * self._at.drift(z) * jnp.sqrt(self._period_h) * shock
        begun = self._turned_back(z + half)
        moved = jax.lax.fori_loop(0, self._steps, lambda _, x: self._moved(x, inputs), begun)
        after = self._turned_back(moved + half)
        return after, (after != moved + half) | (begun != z + half)

    def _step(self, z: Any, inputs: Any, shock: Any) -> Any:  # noqa: ANN401 - JAX
        """One step of the integrator with its noise, and what was turned back."""
        noise = self._at.drift(z) * jnp.sqrt(self._period_h / self._steps) * shock
        moved = self._moved(z, inputs) + noise
        after = self._turned_back(moved)
        return after, after != moved

    def _moved(self, z: Any, inputs: Any) -> Any:  # noqa: ANN401 - JAX
        return rk4_rolled(lambda x: self._at.rate(x, inputs), z, self._period_h / self._steps)

    def _turned_back(self, z: Any) -> Any:  # noqa: ANN401 - JAX
        """What lies beyond a bound, as far inside of it."""
        above = jnp.where(z < self._at.lower, 2 * self._at.lower - z, z)
        return jnp.where(above > self._at.upper, 2 * self._at.upper - above, above)
