"""The simulated plant that a configuration names, and the folder of one run with it."""

import os
from pathlib import Path

from mpc_agent.clock import utc_stamp
from mpc_agent.config import ConfigError, Settings
from mpc_agent.config.check_names import check_simulation
from mpc_agent.config.faults import Fault, Place
from mpc_agent.errors import CannotWriteError, ExitCode, UnavailableError, UserError
from sim_plant.errors import CannotSaveError, NotServedError, PlantError
from sim_plant.section import TICK_S
from sim_plant.settings import PlantSettings, load_settings


def load_for_simulation(config: Path, hours: float | None = None) -> tuple[Settings, PlantSettings]:
    """The agent and the plant that its configuration names, both ending at the same harvest.

    Args:
        config: YAML file of the agent.
        hours: harvest this early instead of when the configuration says.

    Raises:
        UserError: everything that is wrong with either.
    """
    override = {} if hours is None else {"MPC_AGENT__BATCH__HARVEST_H": repr(float(hours))}
    settings = Settings.load(config, {**os.environ, **override})
    return settings, simulated_plant(settings)


def simulated_plant(settings: Settings, seed: int | None = None) -> PlantSettings:
    """The simulated plant of an agent's configuration.

    Raises:
        UserError: it names none, or everything that is wrong with it.
    """
    section = settings.document.simulation
    if section is None or settings.plant_file is None:
        raise UserError(
            f"{settings.source} names no simulated plant: add simulation.plant", ExitCode.CONFIG
        )
    try:
        plant = load_settings(settings.plant_file)
    except PlantError as error:
        raise plant_trouble(error) from None
    faults = judging_faults(settings, plant)
    if faults:
        raise ConfigError(faults)
    drawn = section.seed if seed is None else seed
    harvest_h = settings.document.batch.harvest_h
    batch = plant.batch.model_copy(update={"duration_h": harvest_h})
    return plant.with_seed(drawn).model_copy(update={"batch": batch})


def judging_faults(settings: Settings, plant: PlantSettings) -> tuple[Fault, ...]:
    """What the simulated plant is to be judged by and does not have; cycles between its ticks."""
    section = settings.document.simulation
    if section is None:
        return ()
    place = Place(str(settings.source))
    findings = list(check_simulation(section, plant.plant_model))
    period_s = settings.document.cycle.period_s
    if abs(period_s / TICK_S - round(period_s / TICK_S)) > 1e-9:  # noqa: PLR2004 - rounding
        told = f"{period_s:g} must be a multiple of the simulated plant's tick, {TICK_S:g} s"
        findings.append((("cycle", "period_s"), told))
    return tuple(Fault(path, sentence, place) for path, sentence in findings)


def plant_trouble(error: PlantError) -> UserError:
    """What the simulated plant says, with the exit code for it."""
    if isinstance(error, NotServedError):
        return UnavailableError(str(error))
    if isinstance(error, CannotSaveError):
        return CannotWriteError(str(error))
    return UserError(str(error), ExitCode.CONFIG)


def new_folder(given: Path | None, settings: Settings, kind: str) -> Path:
    """An empty folder for the files of one run.

    Raises:
        CannotWriteError: it cannot be made, or holds something already.
    """
    folder = given or Path(settings.document.batch.folder) / f"{kind}-{utc_stamp()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        raise CannotWriteError(
            f"cannot make the folder {folder}: {error.strerror}; choose another with --folder"
        ) from None
    if occupied:
        raise CannotWriteError(f"{folder} is not empty; choose another folder with --folder")
    if not writable:
        raise CannotWriteError(f"{folder} is read-only; choose another folder with --folder")
    return folder
