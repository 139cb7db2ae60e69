"""The simulated plant as one object: time moves when it is told to, tags are read and written."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import numpy as np

from sim_plant.actuators import Actuators
from sim_plant.control_unit import ControlUnit, Source
from sim_plant.doses import Doses
from sim_plant.drifts import Drifts
from sim_plant.errors import PlantError
from sim_plant.handshake import permit, withdraw
from sim_plant.lab import Laboratory
from sim_plant.names import WITHDRAWN
from sim_plant.reactor import Culture, Filling, Reactor, draw_culture
from sim_plant.readings import read_tags
from sim_plant.section import TICK_S
from sim_plant.sensors import Probes
from sim_plant.settings import PlantSettings
from sim_plant.tags import Tag, TagContent, TagValue, WriteStatus, tag_table
from sim_plant.truth import Truth, TruthLog
from sim_plant.writes import write_tag


class OperatorAction(StrEnum):
    """What the operator can do at the plant's own panel."""

    ENABLE_REMOTE = "enable_remote"
    DISABLE_REMOTE = "disable_remote"


class SimulatedPlant:
    """Reactor, actuators, probes, laboratory and control unit, advanced by ticks of ten seconds.

    Attributes:
        settings: what it was built from.
        table: what each tag is, by name.
        culture: what the batch really is; no controller may look.
    """

    def __init__(self, settings: PlantSettings) -> None:
        """Inoculate.

        Raises:
            PlantError: the recipe cannot be read or used.
        """
        self.settings = settings
        self.table: Mapping[str, Tag] = tag_table(settings)
        self._inoculated_at_s = settings.batch.inoculated_at.timestamp()
        self._ticks = 0
        culture, sensors, lab, drifts = map(
            np.random.default_rng, np.random.SeedSequence(settings.seed).spawn(4)
        )
        self.culture: Culture = draw_culture(settings, culture)
        self._actuators = Actuators(settings.actuators, settings.faults)
        self._reactor = Reactor(
            settings, self.culture, Drifts(settings, drifts), self._actuators.delivered
        )
        self._unit = ControlUnit(settings, self._actuators, self.time_s)
        self._filling = Filling(settings)
        model, faults = settings.plant_model, settings.faults
        self._probes = Probes(settings.probes, model, faults, sensors)
        self._lab = Laboratory(
            settings.lab, settings.assays, model, faults, self._inoculated_at_s, lab
        )
        self._doses = Doses(settings.doses, self._inoculated_at_s)
        self._log = TruthLog(settings, self.culture, self._inoculated_at_s)
        self._ticks_per_row = round(settings.truth.every_s / TICK_S)
        self._observe()

    @property
    def time_s(self) -> float:
        """Time of the plant, UTC seconds."""
        return self._inoculated_at_s + self._ticks * TICK_S

    @property
    def time_h(self) -> float:
        """Hours since inoculation."""
        return self._ticks * TICK_S / 3600

    @property
    def source(self) -> Source:
        """Where the setpoints come from now."""
        return self._unit.source

    @property
    def truth(self) -> Truth:
        """What really happened so far; no controller may look."""
        return self._log.truth()

    def advance_to(self, time_s: float) -> None:
        """Move time to `time_s` (UTC seconds), or to the last tick before it.

        Raises:
            ValueError: that time has passed.
            PlantError: the simulation broke down.
        """
        ticks = int((time_s - self._inoculated_at_s) / TICK_S + 1e-6)
        if ticks < self._ticks:
            raise ValueError(f"the plant is at {self.time_s}, {time_s} has passed")
        while self._ticks < ticks:
            self._tick()

    def tags(self) -> dict[str, TagValue]:
        """What every tag says now, by name."""
        return read_tags(
            self.table,
            self._unit,
            self._actuators,
            self._probes,
            self._lab,
            self._doses,
            self.settings,
            time_s=self.time_s,
        )

    def tag(self, name: str) -> TagValue:
        """What one tag says now; KeyError when there is no such tag."""
        return self.tags()[name]

    def write(self, name: str, value: TagContent, connection: str = "") -> WriteStatus:
        """Write a tag; KeyError when there is no such tag.

        Args:
            name: tag.
            value: new value in the tag's unit.
            connection: who writes; the lease tells connections apart.
        """
        return write_tag(
            self._unit,
            self.table[name],
            value,
            connection,
            self.time_s,
            clamp=self.settings.control_unit.out_of_range == "clamp",
        )

    def operator(self, action: OperatorAction) -> None:
        """Act as the operator at the plant's own panel."""
        act = permit if action is OperatorAction.ENABLE_REMOTE else withdraw
        self._unit.handshake = act(self._unit.handshake)

    def save_truth(self, path: Path) -> None:
        """Write the log of what really happened; PlantError when the file cannot be written."""
        self.truth.save(path)

    def _tick(self) -> None:
        """Ten seconds: the control unit decides, the actuators follow, the culture lives."""
        time_h = self.time_h
        filling = self._filling.of(self._reactor)
        setpoints = self._unit.tick(self.time_s, time_h, self._probes, filling)
        self._actuators.follow(setpoints, time_h)
        self._reactor.advance(self._actuators.delivered, time_h)
        self._ticks += 1
        self._observe()

    def _observe(self) -> None:
        """Let probes, laboratory and log see the state of now; then sample and dose by hand."""
        time_s, reactor, drawn = self.time_s, self._reactor, False
        self._probes.read(time_s, self.time_h, reactor.outputs, reactor.inputs)
        if time_s >= self._lab.next_event_s:
            drawn = self._lab.work(time_s, reactor.outputs)
        if self._ticks % self._ticks_per_row == 0:
            self._log.append(self.time_h, reactor, self._unit.source)
        if drawn and self.settings.lab.sample_volume_L:
            self._give(WITHDRAWN, self.settings.lab.sample_volume_L)
        if time_s >= self._doses.next_event_s:
            for dose in self._doses.due(time_s):
                self._give(dose.what, dose.volume_L)

    def _give(self, liquid: str, volume_L: float) -> None:
        """Give a dose, or withdraw broth, between two ticks."""
        try:
            self._reactor.give(liquid, volume_L)
        except PlantError as error:
            raise PlantError(f"at {self.time_h:g} h, {error}") from None


def recipe_run(settings: PlantSettings) -> Truth:
    """The same batch driven by the recipe alone, from inoculation to harvest.

    Raises:
        PlantError: no recipe is configured, or it cannot be used.
    """
    if settings.control_unit.recipe_file is None:
        raise PlantError("a run by the recipe alone needs control_unit.recipe_file")
    plant = SimulatedPlant(settings)
    plant.advance_to(plant.time_s + 3600 * settings.batch.duration_h)
    return plant.truth
