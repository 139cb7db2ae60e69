"""Everything about the simulated plant that can be set, with a 2000 L batch of CHO as default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from plant_models.model import PlantModel
from sim_plant.completing import completed
from sim_plant.equipment_settings import (
    ActuatorSettings,
    AssaySettings,
    LoopSettings,
    ProbeSettings,
)
from sim_plant.errors import PlantError
from sim_plant.faults import Fault
from sim_plant.fitting import misfits
from sim_plant.instrument_settings import LabSettings, TruthSettings
from sim_plant.names import DEFAULT_MODEL, model_of
from sim_plant.process_settings import (
    BatchSettings,
    ControlUnitSettings,
    CultureSettings,
    DoseSettings,
    DriftSettings,
    VesselSettings,
    YardstickSettings,
)
from sim_plant.section import COMPLETED, Names, Section
from sim_plant.server_settings import SecuritySettings, ServerSettings
from sim_plant.telling import fault_lines, read_plant_yaml


class PlantSettings(Section):
    """The whole simulated plant.

    What is left out is completed from the model and its standard plant (`sim_plant.completing`),
    in a file and in Python alike, so that every section here is complete.
    """

    seed: Annotated[int, Field(ge=0)] = 1
    """Draws parameters, noise and delays: the same seed gives the same batch."""

    model: str | dict[Literal["name", "file"], str] = DEFAULT_MODEL
    """The model that the plant runs: a name of the library, or `{file: my_model.py}` for a site's
    own, with `name` when the file defines several. The file is run."""

    steps_per_tick: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Integrator's steps in ten seconds; null: as many as the model says it needs."""

    batch: BatchSettings = COMPLETED
    vessel: VesselSettings = COMPLETED

    conditions: dict[str, float] = Field(default_factory=dict)
    """Inputs of the model that nothing drives and that differ from nominal, by name."""

    drifts: dict[str, DriftSettings] = Field(default_factory=dict)
    """Inputs of the model that nothing drives and that wander by themselves, by name."""

    culture: CultureSettings = COMPLETED

    actuators: dict[str, ActuatorSettings] = COMPLETED
    """Pumps, mass-flow controllers and other actuators, by the name of the model's input."""

    loops: Annotated[tuple[LoopSettings, ...], Field(strict=False)] = ()
    """The control unit's own loops."""

    control_unit: ControlUnitSettings = ControlUnitSettings()

    probes: dict[str, ProbeSettings] = COMPLETED
    """Probes, by the name of the model's output or input that they show."""

    lab: LabSettings = LabSettings()

    assays: dict[str, AssaySettings] = COMPLETED
    """Assays, by the name of the model's output that they show."""

    doses: Annotated[tuple[DoseSettings, ...], Field(strict=False)] = ()
    """What is given and taken by hand, when."""

    bookings: Names = ()
    """Liquids whose doses have a tag, Booked.WHAT, besides those that `doses` names."""

    yardstick: YardstickSettings = COMPLETED
    truth: TruthSettings = TruthSettings()
    server: ServerSettings = ServerSettings()

    faults: Annotated[tuple[Fault, ...], Field(strict=False)] = ()
    """What goes wrong, when."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, content: object) -> object:
        return completed(content) if isinstance(content, Mapping) else content

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = misfits(self)
        if found:
            raise ValueError("\n".join(found))
        return self

    @property
    def plant_model(self) -> PlantModel:
        """The model that the plant runs."""
        return model_of(self.model)

    @property
    def yardstick_model(self) -> PlantModel:
        """The model that the optimum is computed with."""
        return model_of(self.yardstick.model) if self.yardstick.model else self.plant_model

    @property
    def booked(self) -> tuple[str, ...]:
        """Liquids whose doses have a tag."""
        return tuple(dict.fromkeys((*(dose.what for dose in self.doses), *self.bookings)))

    def with_seed(self, seed: int) -> Self:
        """The same plant with other draws."""
        return self.model_copy(update={"seed": seed})


def parse_settings(
    text: str, source: str = "settings", folder: Path | None = None
) -> PlantSettings:
    """Settings from YAML text; what is left out keeps its default.

    Args:
        text: what the file says.
        source: its name, for messages.
        folder: what names of files in it are relative to; the working folder by default.

    Raises:
        PlantError: everything that is wrong with the text, one line each, `source` named.
    """
    data = read_plant_yaml(text, source)
    choice = data.get("model")
    if folder is not None and isinstance(choice, dict) and isinstance(choice.get("file"), str):
        choice["file"] = str(folder / choice["file"])
    try:
        settings = PlantSettings.model_validate(data)
    except PlantError as error:
        raise PlantError(f"{source}: {error}") from None
    except ValidationError as error:
        lines = [line for fault in error.errors() for line in fault_lines(PlantSettings, fault)]
        raise PlantError("\n".join([f"{source}:", *lines])) from None
    return settings if folder is None else _anchored(settings, folder)


def load_settings(path: Path) -> PlantSettings:
    """Settings from a YAML file; file names in it are relative to its folder.

    Raises:
        PlantError: the file cannot be read, or everything that is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise PlantError(f"cannot read {path}: {reason}") from None
    return parse_settings(text, str(path), path.parent)


def _anchored(settings: PlantSettings, folder: Path) -> PlantSettings:
    """The settings with every file name made independent of the working folder."""
    unit = settings.control_unit
    if unit.recipe_file is not None:
        unit = unit.model_copy(update={"recipe_file": folder / unit.recipe_file})
    security = settings.server.security
    names = {
        name: folder / value
        for name in SecuritySettings.model_fields
        if isinstance(value := getattr(security, name), Path)
    }
    server = settings.server.model_copy(update={"security": security.model_copy(update=names)})
    return settings.model_copy(update={"control_unit": unit, "server": server})
