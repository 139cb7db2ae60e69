"""A plausible batch, recorded through the real journal: what a report is tried with.

The estimates are not a filter's: they are the truth with errors that shrink as the batch goes on,
which is all that a picture needs.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mpc_agent.estimation.health import chi_square_band
from mpc_agent.journal import Journal
from mpc_agent.record import BatchHeader, Forecast
from mpc_agent.values import (
    Applied,
    Clip,
    Consistency,
    Decided,
    Estimate,
    Event,
    Floats,
    Judgement,
    Mode,
    Move,
    Origin,
    Plan,
    PlantStatus,
    Reading,
    Readings,
    Sample,
    SampleResult,
    Setpoints,
    Severity,
    SolveStatus,
    Verdict,
)
from plant_models.cho_mab import CONTROL, FULL
from sim_plant.truth import Truth
from tests import record_values as values
from tests.report_plant import ADAPTED, ASSAYS, GASES, PERIOD_H, SIGNALS, Lived, header, live


class Recorder:
    """Turns what happened into what an agent would have recorded."""

    def __init__(self, lived: Lived, header: BatchHeader) -> None:
        self.lived = lived
        self.header = header
        self.chance = np.random.default_rng(3)
        self.bias = self.chance.normal(0, 1, len(CONTROL.outputs_info) + 40)
        self.plans: dict[str, Plan] = {}

    def cycle(self, number: int) -> values.Cycle:
        time_s = values.INOCULATED_AT_S + number * values.PERIOD_S
        mode = self.mode(number)
        estimate = self.estimate(number, time_s, tuple(self.samples(number, time_s)))
        self.plan(number, time_s)
        decision = values.Decision(
            mode=mode,
            mode_reason=self.reason(mode),
            estimate=estimate,
            plans=dict(self.plans),
            setpoints=self.setpoints(number, time_s, mode),
            events=tuple(self.events(number, estimate)),
            expected=self.expected(number),
        )
        wall = {
            "read": self.chance.gamma(9, 0.002),
            "decide": 0.05 + self.chance.gamma(4, 0.02) + 0.6 * (number % 12 == 0),
            "write": self.chance.gamma(9, 0.003),
        }
        durations = wall | {"cycle": sum(wall.values()) + 0.004}
        readings = self.readings(number, time_s, mode)
        applied = Applied(written=mode is Mode.CONTROL, confirmed=decision.setpoints.values)
        return values.Cycle(number, time_s, readings, decision, applied, durations)

    def mode(self, number: int) -> Mode:
        if number < 6 or 1000 <= number < 1018:
            return Mode.SHADOW
        return Mode.CONTROL

    def reason(self, mode: Mode) -> str:
        if mode is Mode.CONTROL:
            return "As asked for: CONTROL."
        return "NOT_CONNECTED: the plant cannot be heard."

    def readings(self, number: int, time_s: float, mode: Mode) -> Readings:
        lost = mode is not Mode.CONTROL and number > 6
        measured = {
            name: Reading(
                name,
                self.lived.output(name)[number] * 1.0 + self.chance.normal(0, noise),
                time_s - 5,
            )
            for name, noise in SIGNALS.items()
        }
        inputs = {
            name: Reading(name, float(self.lived.input(name)[number]), time_s - 5)
            for name in FULL.input_names
        }
        return Readings(
            read_at_s=time_s,
            measured={} if lost else measured,
            inputs={} if lost else inputs,
            setpoints={},
            samples=(),
            status=PlantStatus(
                connected=not lost,
                remote_enabled=not lost,
                remote_active=mode is Mode.CONTROL,
                watchdog_tripped=False,
            ),
        )

    def estimate(self, number: int, time_s: float, samples: tuple[SampleResult, ...]) -> Estimate:
        hours = number * PERIOD_H
        width = 0.02 + 0.07 * np.exp(-hours / 60) + 0.01 * ((hours % 24) / 24)
        count = len(FULL.output_names)
        wave = np.sin(hours / 37 + 2 * self.bias[:count])
        outputs = self.lived.outputs[number] * (1 + 0.7 * width * wave)
        exact = {"weight": 1e-3, "volume": 1e-3, "pH": 1e-3, "osmolality": 0.012, "viability": 0.01}
        for name, relative in exact.items():
            column = FULL.output_names.index(name)
            outputs[column] = self.lived.outputs[number, column] * (
                1 + 0.7 * relative * wave[column]
            )
        deviation = np.abs(outputs) * width + 1e-3
        for name, relative in exact.items():
            column = FULL.output_names.index(name)
            deviation[column] = relative * outputs[column]
        names = [item.name for item in self.header.adapted]
        nominal = np.array([CONTROL.parameters[name].value for name in names])
        true = np.array([ADAPTED[name] for name in names])
        learnt = 1 - np.exp(-np.maximum(hours - 30, 0) / 80)
        shake = 0.01 * np.sin(hours / 50 + self.bias[count : count + len(names)])
        means = nominal * (1 + (true - 1) * learnt + shake)
        mean = np.concatenate([self.lived.states[number], means])
        verdicts = [
            Verdict.OK
            if name != "pH" or not 700 < number < 760
            else (Verdict.GATED if number < 712 else Verdict.SUSPECT)
            for name in SIGNALS
        ]
        return Estimate(
            time_s=time_s,
            mean=mean,
            factor=np.eye(len(mean)),
            deviation=np.concatenate([0.03 * mean[:12], means * (0.12 - 0.08 * learnt)]),
            outputs=outputs,
            output_deviation=deviation,
            innovations=np.zeros(len(SIGNALS)),
            gate_ratios=np.zeros(len(SIGNALS)),
            verdicts=tuple(verdicts),
            last_fused_s=np.full(len(SIGNALS), time_s),
            samples=samples,
            healthy=True,
            **self.trust(number, nominal, means),
        )

    def trust(self, number: int, nominal: Floats, means: Floats) -> dict[str, Any]:
        """How far everything is trusted: the pH probe is a suspect for some hours."""
        channels = len(SIGNALS) + len(ASSAYS)
        counts = np.minimum(number + 1, [*[48] * len(SIGNALS), *[1 + number // 144] * len(ASSAYS)])
        wave = 1 + 0.35 * np.sin(number / 90 + self.bias[:channels])
        spread = 1 + (3.2 * np.exp(-number / 400)) * (np.arange(channels) == 1)
        suspect = 712 <= number < 760
        judged = {712: Judgement.SUSPECT, 760: Judgement.TRUSTED, 30: Judgement.REOPENED}
        known = len(CONTROL.states) + len(means)
        seen = np.linspace(0.95, 0.01, known) * min(1.0, number / 100)
        moved = number % 288 == 150
        name = self.header.adapted[0].name
        return {
            "consistency": Consistency(
                means=wave * spread,
                bands=chi_square_band(counts, 0.95),
                overall=float(np.mean(wave * spread)),
                band=(0.86, 1.15),
            ),
            "observability": seen,
            "suspects": ("pH",) if suspect else (),
            "decided": (Decided(judged[number], "pH"),) if number in judged else (),
            "moves": (Move(name, float(nominal[0]), float(means[0])),) if moved else (),
            "at_bounds": (self.header.adapted[-1].name,) if number > 40 else (),
            "offsets": {"pH": (0.021, 0.006), "capacitance": (-0.04, 0.1)},
        }

    def samples(self, number: int, time_s: float) -> Iterator[SampleResult]:
        """Daily draws, fused some hours later; one is out of all proportion."""
        for position, (name, noise) in enumerate(ASSAYS.items()):
            delay = 8 + 5 * position
            drawn = number - delay
            if drawn >= 0 and drawn % 144 == 1:
                true = float(self.lived.output(name)[drawn])
                wrong = name == "glucose" and drawn // 144 == 8
                value = true * (1 + self.chance.normal(0, noise)) * (1.9 if wrong else 1)
                drawn_at_s = time_s - delay * values.PERIOD_S
                unit = FULL.outputs_info[name].unit
                sample = Sample(name, value, unit, drawn_at_s, time_s - 120, "analyser")
                verdict = Verdict.GATED if wrong else Verdict.OK
                before, after = (1.1 * true, 0.08 * true), (1.01 * true, 0.03 * true)
                told = (value - true, 1.7 if wrong else 0.3, before, before if wrong else after)
                yield SampleResult(sample, verdict, *told)

    def plan(self, number: int, time_s: float) -> None:
        if number % 12 == 0:
            self.plans["feed"] = values.plan("feed", time_s, 4)
        status = SolveStatus.ITERATION_LIMIT if number % 311 == 200 else SolveStatus.SOLVED
        self.plans["gas"] = values.plan("gas", time_s, 2, status)

    def setpoints(self, number: int, time_s: float, mode: Mode) -> Setpoints:
        clipped = 400 <= number < 404
        held = number % 311 == 200
        names = ("glucose_feed", "amino_feed", *GASES)
        lost = mode is Mode.SHADOW
        return Setpoints(
            decided_at_s=time_s,
            valid_until_s=time_s + 1800,
            values={name: float(self.lived.input(name)[number]) for name in names},
            origin={
                "feed": Origin.RECIPE if lost else Origin.PLAN,
                "gas": Origin.HELD_PLAN if held else Origin.PLAN,
            },
            clips=(Clip("oxygen", "slew", 310.0, 290.0),) if clipped else (),
        )

    def expected(self, number: int) -> dict[str, Forecast]:
        left = 1 - number * PERIOD_H / self.header.harvest_h
        final = float(self.lived.output("product_mass")[-1])
        drift = 1 + 0.12 * left * np.sin(number / 260) - 0.1 * left**2
        done = float(self.lived.output("product_mass")[number])
        return {
            "plan": Forecast(final * drift, 30 + 0.09 * (final - done)),
            "recipe": Forecast(
                (0.88 + 0.1 * (1 - left) ** 3) * final * drift, 0.1 * (final - done)
            ),
        }

    def events(self, number: int, estimate: Estimate) -> Iterator[Event]:
        for result in estimate.samples:
            sample = result.sample
            what = f"{sample.analyte} {sample.value:.4g} {sample.unit}"
            if result.verdict is Verdict.OK:
                yield Event("SAMPLE_FUSED", Severity.EVENT, f"{what}, fused when it was drawn.")
            else:
                yield Event(
                    "SAMPLE_REFUSED",
                    Severity.ALARM,
                    f"{what} is {result.verdict}; check the sample and its unit, enter it again.",
                )
        if number == 1000:
            text = "The plant cannot be heard; look at the network. It follows the recipe now."
            yield Event("NOT_CONNECTED", Severity.ALARM, text)
        if number == 1018:
            yield Event("CONNECTED", Severity.EVENT, "The plant is heard again.")


def record_batch(folder: Path, hours: float = 336.0, truth: bool = True) -> Path:
    """Record a batch in `folder`, with its truth and result; gives the record's path."""
    lived = live(hours)
    about = header(hours)
    path = folder / "CHO-DEMO.sqlite"
    recorder = Recorder(lived, about)
    with Journal.create(path, about, values.SHARED) as journal:
        started = Event("STARTED", Severity.EVENT, "The agent started on this batch.")
        journal.event(about.created_at_s, started, actor="operator")
        # A picture does not need every commit to reach the disk.
        journal._connection.execute("PRAGMA synchronous = OFF")
        for number in range(len(lived.time_h)):
            cycle = recorder.cycle(number)
            journal.intent(number, cycle.time_s, cycle.readings, None, cycle.decision)
            journal.outcome(number, cycle.applied, cycle.durations)
    if truth:
        save_truth(folder, lived)
    return path


def save_truth(folder: Path, lived: Lived) -> None:
    Truth(
        batch_id="CHO-DEMO",
        seed=3,
        inoculated_at_s=values.INOCULATED_AT_S,
        time_h=lived.time_h,
        states=lived.states,
        inputs=lived.inputs,
        outputs=lived.outputs,
        sources=np.full(len(lived.time_h), "REMOTE"),
        parameters=lived.parameters,
        model=FULL.name,
        product=FULL.product,
        state_names=FULL.state_names,
        input_names=FULL.input_names,
        output_names=FULL.output_names,
        parameter_names=FULL.parameter_names,
    ).save(folder / "truth.npz")
    product_g = float(lived.output("product_mass")[-1])
    result = {
        "product_g": {
            "achieved": product_g,
            "recipe": 0.883 * product_g,
            "optimum": 1.021 * product_g,
        },
        "final": {name: float(lived.output(name)[-1]) for name in ("titre", "viability", "volume")},
    }
    (folder / "result.json").write_text(json.dumps(result))
