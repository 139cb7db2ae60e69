"""The vendor's control unit: remote setpoints or its own, regulatory loops, interlock."""

from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Final

from controllers.recipe import Recipe
from plant_models.cho_mab import FULL
from sim_plant.actuators import Actuators
from sim_plant.errors import PlantError
from sim_plant.handshake import Handshake, Limits, elapsed, renewed
from sim_plant.loops import Loops
from sim_plant.names import FEEDS, FLOWS, REMOTE_FLOWS, Flow
from sim_plant.sensors import DISSOLVED_OXYGEN, PH, Probes
from sim_plant.settings import PlantSettings

_RELEASE_KG: Final = 5.0
"""How far the weight must fall below the interlock before it lets go."""


class Source(StrEnum):
    """Where the setpoints come from.

    REMOTE: a controller. RECIPE: the approved profile for the feeds, the unit's own loops for the
    gases. SAFE: the same, but the feeds stand still, because no recipe is loaded. LOCAL: the
    operator has control, and the unit goes on as in RECIPE or SAFE.
    """

    REMOTE = "REMOTE"
    RECIPE = "RECIPE"
    SAFE = "SAFE"
    LOCAL = "LOCAL"


def load_recipe(path: Path | None) -> Recipe | None:
    """The approved profile, or None when none is configured.

    Raises:
        PlantError: the file cannot be read, is no recipe, or feeds what the plant has not.
    """
    if path is None:
        return None
    try:
        recipe = Recipe.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlantError(f"cannot read the recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise PlantError(f"the recipe {path} cannot be used:\n{error}") from None
    unknown = sorted(set(recipe.input_names) - {feed.value for feed in FEEDS})
    if unknown:
        raise PlantError(f"the recipe {path} feeds what the plant has not: {', '.join(unknown)}")
    return recipe


class ControlUnit:
    """Decides in every tick which setpoints the actuators follow.

    Attributes:
        handshake: who controls.
        remote: remote setpoints, L/h; while remote control is off they follow the working ones, so
            that it begins without a bump.
        working: setpoints that are followed now, L/h.
        interlock: what an interlock says, empty when none acts.
    """

    def __init__(self, settings: PlantSettings, actuators: Actuators, time_s: float) -> None:
        unit = settings.control_unit
        self._actuators = actuators
        self._recipe = load_recipe(unit.recipe_file)
        self._rates: dict[str, float] = {}
        self._rates_until_h = 0.0
        self._limits = Limits(watchdog_s=unit.watchdog_s, lease_s=unit.lease_s)
        self._loops = Loops(settings)
        self._own_air = unit.air_L_per_h
        self._was_active = False
        density = FULL.parameters["density"].value
        self._weight_limit_kg = density * settings.vessel.working_volume_L
        self.handshake = Handshake(validity_s=unit.setpoint_validity_s, heartbeat_at_s=time_s)
        self.working = dict(zip(FLOWS, actuators.shown, strict=True))
        self.remote = {flow: self.working[flow] for flow in REMOTE_FLOWS}
        self.interlock = ""

    @property
    def source(self) -> Source:
        """Where the setpoints come from now."""
        if self.handshake.active:
            return Source.REMOTE
        if not self.handshake.remote_enabled:
            return Source.LOCAL
        return Source.SAFE if self._recipe is None else Source.RECIPE

    def set_remote(self, flow: Flow, wanted_L_per_h: float, time_s: float) -> None:
        """Take a remote setpoint; the caller has checked range and permission."""
        self.remote[flow] = self._actuators.limited(flow, wanted_L_per_h)
        self.handshake = renewed(self.handshake, time_s)

    def tick(self, time_s: float, time_h: float, probes: Probes, weight_kg: float) -> list[float]:
        """Setpoints of this tick in the order of `FLOWS`, L/h.

        Args:
            time_s: UTC seconds.
            time_h: hours since inoculation.
            probes: what they show now; a value without quality makes a loop hold its output.
            weight_kg: weight at the load cells, which are wired to the interlock directly.
        """
        self.handshake = elapsed(self.handshake, self._limits, time_s)
        pH = float(probes.values[PH])
        if self.handshake.active:
            self.working.update(self.remote)
        else:
            self._set_own(time_h, float(probes.values[DISSOLVED_OXYGEN]), pH)
        self._was_active = self.handshake.active
        self.working[Flow.BASE] = self._loops.base(pH)
        self._interlock(weight_kg)
        if not self.handshake.active:
            self.remote = {flow: self.working[flow] for flow in REMOTE_FLOWS}
        return list(self.working.values())

    def _set_own(self, time_h: float, dissolved_oxygen: float, pH: float) -> None:
        """Feeds by the recipe, gases by the unit's own loops."""
        if self._was_active:
            self._loops.take_over(self.working, dissolved_oxygen, pH)
        rates = self._recipe_rates(time_h)
        for feed in FEEDS:
            self.working[feed] = self._actuators.limited(feed, rates.get(feed.value, 0.0))
        oxygen, carbon_dioxide, nitrogen = self._loops.gases(dissolved_oxygen, pH)
        self.working[Flow.AIR] = self._own_air
        self.working[Flow.OXYGEN] = self._actuators.limited(Flow.OXYGEN, oxygen)
        self.working[Flow.CARBON_DIOXIDE] = carbon_dioxide
        self.working[Flow.NITROGEN] = self._actuators.limited(Flow.NITROGEN, nitrogen)

    def _recipe_rates(self, time_h: float) -> dict[str, float]:
        """Rates of the recipe's piece of now; looked up once per piece."""
        recipe = self._recipe
        if recipe is not None and time_h >= self._rates_until_h:
            self._rates = recipe.rates_at(time_h)
            ends_h = [*recipe.times_h[recipe.times_h > time_h].tolist(), recipe.end_h]
            self._rates_until_h = ends_h[0] if ends_h[0] > time_h else inf
        return self._rates

    def _interlock(self, weight_kg: float) -> None:
        """Stop both feeds while the vessel is full, whoever asks for them."""
        full = self._weight_limit_kg - (_RELEASE_KG if self.interlock else 0.0)
        if weight_kg < full:
            self.interlock = ""
            return
        self.interlock = f"High weight: {self._weight_limit_kg:.0f} kg reached, both feeds stopped."
        for feed in FEEDS:
            self.working[feed] = 0.0
