"""The vendor's control unit: remote setpoints or its own, regulatory loops, interlock."""

from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import Final

from controllers.recipe import Recipe
from sim_plant.actuators import Actuators
from sim_plant.errors import PlantError
from sim_plant.handshake import Handshake, Limits, elapsed, renewed
from sim_plant.loops import Loops
from sim_plant.reactor import Filling
from sim_plant.sensors import Probes
from sim_plant.settings import PlantSettings
from sim_plant.tag_units import Scale

_RELEASE: Final = 0.0025
"""How far the weight must fall below the interlock before it lets go, as a share of it."""


class Source(StrEnum):
    """Where the setpoints come from.

    REMOTE: a controller, for what it may write. RECIPE: the approved profile, and the unit's own
    loops. SAFE: the same, but the feeds stand still, because no recipe is loaded. LOCAL: the
    operator has control, and the unit goes on as in RECIPE or SAFE.
    """

    REMOTE = "REMOTE"
    RECIPE = "RECIPE"
    SAFE = "SAFE"
    LOCAL = "LOCAL"


def load_recipe(settings: PlantSettings) -> Recipe | None:
    """The approved profile, or None when none is configured.

    Raises:
        PlantError: the file cannot be read, is no recipe, or does not fit the plant.
    """
    path = settings.control_unit.recipe_file
    if path is None:
        return None
    try:
        recipe = Recipe.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlantError(f"cannot read the recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise PlantError(f"the recipe {path} cannot be used:\n{error}") from None
    faults = [fault for name in recipe.rates for fault in _recipe_faults(recipe, name, settings)]
    if faults:
        raise PlantError("\n".join([f"the recipe {path} does not fit the plant:", *faults]))
    return recipe


def _recipe_faults(recipe: Recipe, name: str, settings: PlantSettings) -> Iterator[str]:
    """What is wrong with one column."""
    actuator = settings.actuators.get(name)
    if actuator is None:
        yield f"  {name}: the plant has no such actuator; known: {', '.join(settings.actuators)}"
        return
    if any(name in loop.drives for loop in settings.loops):
        yield f"  {name}: a loop of the control unit drives it"
    unit = settings.plant_model.inputs[name].unit
    try:
        same = Scale.between(recipe.unit(name), unit).same
    except ValueError:
        same = False
    if not same:
        yield f"  {name}: its unit, {recipe.unit(name)}, must be the model's, {unit}"
        return
    ending = [recipe.after[name]] if name in recipe.after else []
    for value in sorted({*recipe.rates[name].tolist(), *ending}):
        if not actuator.lower <= value <= actuator.upper:
            within = f"{actuator.lower:g} to {actuator.upper:g} {unit}"
            yield f"  {name}: {value:g} is outside the actuator's range, {within}"


class ControlUnit:
    """Decides in every tick which setpoints the actuators follow; all in the model's units.

    Attributes:
        handshake: who controls.
        remote: remote setpoints of what a controller may write; while remote control is off they
            follow the working ones, so that it begins without a bump.
        working: setpoints that are followed now.
        interlock: what an interlock says, empty when none acts.
        setpoints: actuator by the tag of its remote setpoint.
        scales: unit of the tags to that of the model, by actuator.
    """

    def __init__(self, settings: PlantSettings, actuators: Actuators, time_s: float) -> None:
        unit, known = settings.control_unit, settings.actuators
        self._actuators = actuators
        self._recipe = load_recipe(settings)
        driven = {name for loop in settings.loops for name in loop.drives}
        self._safe = {name: item.safe for name, item in known.items() if name not in driven}
        self._own = dict(self._safe)
        self._own_until_h = 0.0
        self._limits = Limits(watchdog_s=unit.watchdog_s, lease_s=unit.lease_s)
        self._always = Loops(settings, actuators, "always")
        self._local = Loops(settings, actuators, "local")
        self._looked_at = sorted({*self._always.rows, *self._local.rows})
        self._feeds = [name for name, item in known.items() if item.kind == "feed"]
        self._filling = Filling(settings)
        self._was_active = False
        model = settings.plant_model
        self.scales = {n: Scale.between(a.unit, model.inputs[n].unit) for n, a in known.items()}
        self.setpoints = {f"{a.tag}.Setpoint": n for n, a in known.items() if a.remote}
        self.handshake = Handshake(validity_s=unit.setpoint_validity_s, heartbeat_at_s=time_s)
        self.working = dict(zip(actuators.names, actuators.shown, strict=True))
        self.remote = {name: self.working[name] for name in self.setpoints.values()}
        self.interlock = ""

    @property
    def source(self) -> Source:
        """Where the setpoints come from now."""
        if self.handshake.active:
            return Source.REMOTE
        if not self.handshake.remote_enabled:
            return Source.LOCAL
        return Source.SAFE if self._recipe is None else Source.RECIPE

    def set_remote(self, name: str, wanted: float, time_s: float) -> None:
        """Take a remote setpoint; the caller has checked range and permission."""
        self.remote[name] = self._actuators.limited(name, wanted)
        self.handshake = renewed(self.handshake, time_s)

    def tick(self, time_s: float, time_h: float, probes: Probes, filling: float) -> list[float]:
        """Setpoints of this tick in the order of the actuators.

        Args:
            time_s: UTC seconds.
            time_h: hours since inoculation.
            probes: what they show now; a value without quality makes a loop hold its output.
            filling: what `Filling` looks at; its cells are wired to the interlock directly.
        """
        self.handshake = elapsed(self.handshake, self._limits, time_s)
        measured = {row: float(probes.values[row]) for row in self._looked_at}
        active = self.handshake.active
        self._look_up(time_h)
        if self._was_active and not active:
            self._local.take_over(self.working, measured, time_h)
        self.working.update(self._own)
        self.working.update(self.remote if active else self._local.step(measured, time_h))
        self.working.update(self._always.step(measured, time_h))
        self._was_active = active
        self._interlock(filling)
        if not active:
            self.remote = {name: self.working[name] for name in self.remote}
        return list(self.working.values())

    def _look_up(self, time_h: float) -> None:
        """What no loop drives: the recipe's piece of now, looked up once, or what is safe."""
        recipe = self._recipe
        if recipe is None or time_h < self._own_until_h:
            return
        wanted = {**self._safe, **recipe.rates_at(time_h)}
        self._own = {name: self._actuators.limited(name, value) for name, value in wanted.items()}
        ends_h = [*recipe.times_h[recipe.times_h > time_h].tolist(), recipe.end_h]
        self._own_until_h = ends_h[0] if ends_h[0] > time_h else inf

    def _interlock(self, filling: float) -> None:
        """Stop all feeds while the vessel is full, whoever asks for them."""
        limit = self._filling.limit
        if filling < limit * (1.0 - (_RELEASE if self.interlock else 0.0)):
            self.interlock = ""
            return
        what, amount = self._filling.what, f"{limit:.4g} {self._filling.unit}"
        self.interlock = f"High {what}: {amount} reached, all feeds stopped."
        for feed in self._feeds:
            self.working[feed] = self._actuators.limited(feed, 0.0)
