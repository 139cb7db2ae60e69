"""The extended Kalman filter: one compiled function that marches through rows.

Everything goes through `march`: a cycle is one row, a late sample makes the rows since it was drawn
run again. So what was computed live and what is computed again are the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpc_agent.estimation.coordinates import Array, Coordinates
from mpc_agent.estimation.kernel import Kernel, Row
from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.values import Estimate, Floats


def _configure(option: str, value: object) -> None:
    jax.config.update(option, value)  # type: ignore[no-untyped-call]


_configure("jax_enable_x64", True)
# One process, one small filter: hopping threads costs more than it gives.
_configure("jax_cpu_enable_async_dispatch", False)

Integers: TypeAlias = NDArray[np.int_]

COMPILER = {"xla_cpu_use_fusion_emitters": False}
"""The older emitters compile this code twice as fast, in half the memory, and it runs as fast."""

BLOCK = 64
"""Rows in one call: fewer calls against more memory; no more than a chapter and its samples."""

MOST_STEPS = 5000
"""Most steps that a gap is bridged in, a month of ten minutes each: a wrong clock must not keep the
filter busy for ever."""


def keep_compiled(folder: str) -> None:
    """Keep compiled code in `folder`, so that the next start need not compile again."""
    _configure("jax_compilation_cache_dir", folder)
    _configure("jax_persistent_cache_min_compile_time_secs", 0.0)
    _configure("jax_persistent_cache_min_entry_size_bytes", -1)


@dataclass(frozen=True, slots=True)
class Belief:
    """Mean and covariance factor at one moment, and how often each channel was refused lately.

    Attributes:
        mean: z, shape (n,).
        factor: L with covariance L L', shape (n, n).
        rejections: consecutive gate rejections per channel, shape (channels,).
    """

    mean: Floats
    factor: Floats
    rejections: Floats

    @property
    def deviation(self) -> Floats:
        """Standard deviation of z, shape (n,)."""
        return np.asarray(np.sqrt(np.sum(self.factor**2, axis=1)))

    @property
    def covariance(self) -> Floats:
        """Covariance of z, shape (n, n)."""
        return self.factor @ self.factor.T


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in each of some rows.

    Attributes:
        innovations: measured minus predicted, NaN where nothing came, shape (rows, channels).
        gate_ratios: squared normalised innovation over the squared gate; above one is refused.
        fused: whether each value was used.
        sound: whether each row could be computed, shape (rows,); if not, it changed nothing.
    """

    innovations: Floats
    gate_ratios: Floats
    fused: Floats
    sound: Floats

    def row(self, place: int) -> "Report":
        """One row of it."""
        return Report(
            self.innovations[place],
            self.gate_ratios[place],
            self.fused[place],
            self.sound[place],
        )


@dataclass(frozen=True, slots=True)
class Description:
    """A belief in the model's own units.

    Attributes:
        mean: states, then learnt parameters, then offsets and what lagging probes show.
        deviation: standard deviation of `mean`.
        outputs: outputs of the model.
        output_deviation: standard deviation of `outputs`.
        expected: what every channel should show.
        expected_deviation: its standard deviation without the channel's noise.
    """

    mean: Floats
    deviation: Floats
    outputs: Floats
    output_deviation: Floats
    expected: Floats
    expected_deviation: Floats


class ExtendedKalmanFilter:
    """March through rows, and describe what is believed, for one model and one set of signals."""

    def __init__(self, settings: EstimationSettings, period_h: float) -> None:
        """Prepare for cycles of up to `period_h` hours; compilation is at first use."""
        assert jnp.zeros(0).dtype == np.float64, "the filter needs 64-bit numbers"
        self.settings = settings
        self.period_h = period_h
        self.coordinates = Coordinates(settings)
        self.kernel = Kernel(self.coordinates)
        self.states = self.coordinates.states
        self.size = self.coordinates.size
        self.signals, self.channels = len(settings.signals), len(self.coordinates.channels)
        self._inputs = len(settings.model.inputs)
        self.width = 8 + 2 * self._inputs + 2 * self.channels
        self._nothing = np.full((BLOCK, self.width), np.nan)
        n, c, outputs = self.size, self.channels, len(settings.model.output_names)
        ends = np.cumsum([0, n, n * n, c, n, n, outputs, outputs, c, c]).tolist()
        self._packing = [slice(first, last) for first, last in pairwise(ends)]
        self._march = jax.jit(self._blocks, compiler_options=COMPILER)

    # ------------------------------------------------------------------ rows

    def rows(
        self,
        lengths_h: Sequence[float] | Floats,
        inputs: Floats,
        measured: Floats,
        *,
        water_L: Floats | float = 0.0,
        withdrawn_L: Floats | float = 0.0,
        opened: Floats | float = 0.0,
        jump: Floats | float = np.nan,
        marks: Floats | float = np.nan,
        inputs_before: Floats | float = np.nan,
    ) -> tuple[Floats, Integers]:
        """Rows to march through, and into how many each was divided: none is longer than a period.

        Args:
            lengths_h: length of each row in hours.
            inputs: shape (rows, inputs) or (inputs,).
            measured: shape (rows, channels), NaN where nothing came.
            water_L: water that came in at the beginning of each row; negative when it went.
            withdrawn_L: broth taken out at the beginning of each row.
            opened: how wide the filter is opened, zero where it is not.
            jump: what changed suddenly at the beginning of each row, as in `Row`, shape (rows, 4).
            marks: counts of rejections to set.
            inputs_before: inputs one step before where they moved by themselves, else NaN.
        """
        count = len(lengths_h)
        table = np.full((count, self.width), np.nan)
        row = self.columns(table)
        table[:, 0] = lengths_h
        row.inputs[:] = inputs
        table[:, 1 + self._inputs] = water_L
        table[:, 2 + self._inputs] = withdrawn_L
        table[:, 3 + self._inputs] = opened
        row.jump[:] = jump
        row.marks[:] = marks
        row.measured[:] = measured
        row.inputs_before[:] = inputs_before
        # Hardly ever is a row longer than a period.
        if not max(lengths_h, default=0.0) > (1 + 1e-9) * self.period_h:
            return table, np.ones(count, dtype=int)
        pieces = np.clip(np.ceil(table[:, 0] / self.period_h - 1e-9), 1, MOST_STEPS).astype(int)
        return self._divided(table, pieces), pieces

    def columns(self, row: Array) -> Row:
        """Columns by name; the last axis is a row's."""
        m, c = self._inputs, self.channels
        return Row(
            row[..., 0],
            row[..., 1 : 1 + m],
            row[..., 1 + m],
            row[..., 2 + m],
            row[..., 3 + m],
            row[..., 4 + m : 8 + m],
            row[..., 8 + m : 8 + m + c],
            row[..., 8 + m + c : 8 + m + 2 * c],
            row[..., 8 + m + 2 * c :],
        )

    def _divided(self, table: Floats, pieces: Integers) -> Floats:
        """Long rows as several: what begins a row in the first of them, the rest in the last."""
        divided = np.repeat(table, pieces, axis=0)
        divided[:, 0] /= np.repeat(pieces, pieces)
        last = np.cumsum(pieces) - 1
        first = last - pieces + 1
        m = self._inputs
        later, earlier = np.ones(len(divided), dtype=bool), np.ones(len(divided), dtype=bool)
        later[first], earlier[last] = False, False
        divided[later, 1 + m : 3 + m] = 0.0
        divided[earlier, 3 + m] = 0.0
        divided[later, 4 + m : 8 + m] = np.nan
        divided[earlier, 8 + m : 8 + m + 2 * self.channels] = np.nan
        return divided

    # ------------------------------------------------------------------ march

    def _blocks(self, state: Array, table: Array) -> tuple[Array, Array]:
        """A block of rows: packed belief and rows in; packed belief, description, report out."""
        count = jnp.isfinite(table[:, 0]).sum()

        def body(place: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            z, factor, rejections, report = carry
            fused, sound = self.kernel.step(z, factor, rejections, self.columns(table[place]))
            line = [fused.innovations, fused.gate_ratios, fused.fused, sound.astype(float)[None]]
            report = report.at[place].set(jnp.concatenate(line))
            return fused.mean, fused.factor, fused.rejections, report

        n = self.size
        begin = (
            state[:n],
            state[n : n + n * n].reshape(n, n),
            state[n + n * n :],
            jnp.full((BLOCK, 3 * self.channels + 1), jnp.nan),
        )
        z, factor, rejections, report = jax.lax.fori_loop(0, count, body, begin)
        u = self.columns(table[jnp.maximum(count - 1, 0)]).inputs
        described = self.kernel.describe(z, factor, u)
        return jnp.concatenate([z, factor.ravel(), rejections, *described]), report

    def march(self, belief: Belief, rows: Floats) -> tuple[Belief, Report, Description]:
        """Belief after these rows, what happened in each, and the belief in the model's units.

        The description is for the inputs of the last row.
        """
        packed = np.concatenate([belief.mean, belief.factor.ravel(), belief.rejections])
        size, reports = packed.size, []
        for start in range(0, max(len(rows), 1), BLOCK):
            block = rows[start : start + BLOCK]
            padded = self._nothing.copy()
            padded[: len(block)] = block
            result, report = self._march(packed[:size], padded)
            packed = np.asarray(result)
            reports.append(np.asarray(report)[: len(block)])
        return self._unpacked(packed, np.concatenate(reports) if len(reports) > 1 else reports[0])

    def _unpacked(self, packed: Floats, report: Floats) -> tuple[Belief, Report, Description]:
        n, c = self.size, self.channels
        z, factor, rejections, *described = (packed[place] for place in self._packing)
        belief = Belief(z, factor.reshape(n, n), rejections)
        told = Report(
            report[:, :c], report[:, c : 2 * c], report[:, 2 * c : 3 * c], report[:, 3 * c]
        )
        return belief, told, Description(*described)

    def describe(self, belief: Belief, inputs: Floats) -> Description:
        """What is believed, in the model's units, while these inputs act."""
        nowhere = np.full((1, self.width), np.nan)
        self.columns(nowhere).inputs[:] = inputs
        return self.march(belief, nowhere)[2]

    def compile(self) -> None:
        """Compile everything now, so that no cycle has to wait for it."""
        inputs = np.array(self.settings.model.nominal_inputs(), dtype=np.float64)
        nothing = np.full((1, self.channels), np.nan)
        self.march(self.initial(inputs), self.rows([self.period_h], inputs, nothing)[0])

    # ------------------------------------------------------------------ beliefs

    def initial(self, inputs: Floats) -> Belief:
        """Belief at inoculation, while these inputs act."""
        return Belief(
            mean=self.coordinates.initial_mean(inputs),
            factor=self.coordinates.initial_factor(inputs),
            rejections=np.zeros(self.channels),
        )

    def moved(self, estimate: Estimate, step: Floats) -> tuple[Floats, Floats]:
        """State and parameters of the model at the estimate plus `step` in the filter's z."""
        z = np.zeros(self.size)
        known = len(estimate.mean)
        z[:known] = self.coordinates.from_natural(estimate.mean)
        z = np.clip(z + step, self.coordinates.lower, self.coordinates.upper)
        return z[: self.states].copy(), self.coordinates.parameter_values(z)

    def parameters(self, belief: Belief) -> Floats:
        """All parameters of the model, the learnt ones as believed, shape (parameters,)."""
        return self.coordinates.parameter_values(belief.mean)
