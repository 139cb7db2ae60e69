"""What a configuration needs around it before the agent may start: secrets, and room to write."""

import os
import tempfile
from pathlib import Path

from mpc_agent.config.faults import Fault, Place
from mpc_agent.config.settings import Settings
from mpc_agent.drivers.tagmap import OpcuaSettings
from mpc_agent.errors import CannotWriteError


def missing_files(settings: Settings) -> list[Fault]:
    """Certificates, keys and secrets that cannot be read where the configuration says."""
    if not isinstance(settings.driver, OpcuaSettings):
        return []
    security, faults = settings.driver.security, []
    for name in type(security).model_fields:
        file = getattr(security, name)
        if isinstance(file, Path) and not os.access(file, os.R_OK):
            text = f"cannot be read: {'no such file' if not file.exists() else 'no permission'}"
            path = ("driver", "security", name)
            faults.append(Fault(path, text, Place(str(settings.source)), str(file)))
    return faults


def record_folder(settings: Settings) -> Path:
    """The folder of the batch's record, made if needed and proved writable.

    Raises:
        CannotWriteError: it cannot be made or written.
    """
    folder = Path(settings.document.batch.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotWriteError(
            f"the record cannot be written to {folder}: {error.strerror}; choose another folder "
            "with batch.folder or MPC_AGENT__BATCH__FOLDER"
        ) from None
    return folder


def record_file(settings: Settings) -> Path:
    """File of the batch's record."""
    batch = settings.document.batch
    return Path(batch.folder) / f"{batch.id}.sqlite"
