"""Everything about the simulated plant that can be set, with defaults for a 2000 L batch."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from sim_plant.errors import PlantError
from sim_plant.faults import Fault
from sim_plant.instrument_settings import LabSettings, SensorSettings, TruthSettings
from sim_plant.process_settings import (
    ActuatorsSettings,
    BatchSettings,
    ControlUnitSettings,
    CultureSettings,
    VesselSettings,
)
from sim_plant.section import Section
from sim_plant.server_settings import SecuritySettings, ServerSettings


class PlantSettings(Section):
    """The whole simulated plant."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Draws parameters, noise and delays: the same seed gives the same batch."""

    batch: BatchSettings = BatchSettings()
    vessel: VesselSettings = VesselSettings()
    culture: CultureSettings = CultureSettings()
    actuators: ActuatorsSettings = ActuatorsSettings()
    control_unit: ControlUnitSettings = ControlUnitSettings()
    sensors: SensorSettings = SensorSettings()
    lab: LabSettings = LabSettings()
    truth: TruthSettings = TruthSettings()
    server: ServerSettings = ServerSettings()

    faults: Annotated[tuple[Fault, ...], Field(strict=False)] = ()
    """What goes wrong, when."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.vessel.initial_volume_L >= self.vessel.working_volume_L:
            raise ValueError("vessel: initial_volume_L must be below working_volume_L")
        air = self.actuators.air
        if not air.lower_L_per_h <= self.control_unit.air_L_per_h <= air.upper_L_per_h:
            raise ValueError("control_unit: air_L_per_h must be within the range of actuators.air")
        return self

    def with_seed(self, seed: int) -> Self:
        """The same plant with other draws."""
        return self.model_copy(update={"seed": seed})


def _json_value(value: object) -> str:
    """YAML's own times as text, for strict parsing."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be used here")


def parse_settings(text: str, source: str = "settings") -> PlantSettings:
    """Settings from YAML text; what is left out keeps its default.

    Raises:
        PlantError: everything that is wrong with the text, one line each, `source` named.
    """
    try:
        content = yaml.safe_load(text)
        data = json.dumps({} if content is None else content, default=_json_value)
    except (yaml.YAMLError, TypeError) as error:
        raise PlantError(f"{source}: {error}") from None
    try:
        return PlantSettings.model_validate_json(data)
    except ValidationError as error:
        lines = [_fault_line(fault) for fault in error.errors()]
        raise PlantError("\n".join([f"{source}:", *lines])) from None


def _fault_line(fault: ErrorDetails) -> str:
    """One fault of a validation: key, what is wrong."""
    key = ".".join(str(part) for part in fault["loc"]) or "settings"
    return f"  {key}: {fault['msg'].removeprefix('Value error, ')}"


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
    return _anchored(parse_settings(text, str(path)), path.parent)


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
