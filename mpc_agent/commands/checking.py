"""What `mpc-agent check` finds: faults, and what is still missing around the agent."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpc_agent.commands.simulation import judging_faults
from mpc_agent.config import ConfigError, Fault, Settings, missing_files, record_file
from mpc_agent.config.faults import Place, dotted
from sim_plant.control_unit import load_recipe
from sim_plant.errors import PlantError
from sim_plant.settings import load_settings

if TYPE_CHECKING:
    from mpc_agent.commands.checking_models import ModelFileCheck


@dataclass(frozen=True)
class CheckResult:
    """Result of a check.

    Attributes:
        config: file that was checked.
        settings: what it says, when nothing is wrong.
        faults: everything that is wrong.
        notes: what is odd, and what `run` will need and does not find here; no faults of the file.
    """

    config: Path
    settings: Settings | None
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """For people."""
        if self.settings is None:
            return str(ConfigError(self.faults))
        lines = [f"{self.config}: no fault", *_summary(self.settings)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "ok": not self.faults,
            "config": str(self.config),
            "config_hash": None if self.settings is None else self.settings.config_hash,
            "faults": [_fault_json(fault) for fault in self.faults],
            "notes": list(self.notes),
        }


def check_file(file: Path) -> "CheckResult | ModelFileCheck":
    """Check a configuration or, by its name, a Python file with models."""
    if file.suffix == ".py":
        from mpc_agent.commands.checking_models import check_model_file

        return check_model_file(file)
    return check_config(file)


def check_config(config: Path) -> CheckResult:
    """Check a configuration, what it names, and what it needs around it."""
    try:
        settings = Settings.load(config, os.environ)
    except ConfigError as error:
        return CheckResult(config, None, error.faults)
    faults = (*_start_faults(settings), *_plant_faults(settings), *_model_faults(settings))
    if faults:
        return CheckResult(config, None, faults)
    notes = [str(fault) for fault in settings.notes]
    notes += [f"{fault}; `run` needs it" for fault in missing_files(settings)]
    return CheckResult(config, settings, (), tuple(notes))


def _start_faults(settings: Settings) -> Iterator[Fault]:
    """A feed that would never be planned. No fault for who simulates the first hours of a batch."""
    starts_h, harvest_h = settings.control.feed.from_h, settings.document.batch.harvest_h
    if starts_h >= harvest_h:
        text = f"must be before batch.harvest_h, {harvest_h:g}: no feed would be planned"
        place = Place(str(settings.source))
        yield Fault(("control", "feed", "from_h"), text, place, f"{starts_h:g}")


def _plant_faults(settings: Settings) -> Iterator[Fault]:
    """What is wrong with the simulated plant, and with what it is to be judged by."""
    if settings.plant_file is None:
        return
    try:
        plant = load_settings(settings.plant_file)
        load_recipe(plant)
    except PlantError as error:
        yield Fault(("simulation", "plant"), str(error))
        return
    yield from judging_faults(settings, plant)


def _model_faults(settings: Settings) -> Iterator[Fault]:
    """What a site's own model lacks, as far as it can be told at once."""
    name = settings.document.model.file
    if name is None:
        return
    from mpc_agent.model_check.contract import check_structure

    for outcome in check_structure(settings.model, str((settings.source.parent / name).absolute())):
        for item in outcome.faults:
            yield Fault(("model", "file"), item.text, item.place)


def _summary(settings: Settings) -> list[str]:
    document, control, driver = settings.document, settings.control, settings.driver
    where = getattr(driver, "endpoint", "the simulated plant in process")
    feed, gas = control.feed.problem, document.control.gas
    held = [gas] if gas else []
    aims = [f"maximise {feed.maximise.output}"] if feed.maximise else []
    aims += [f"reward {item.output}" for item in feed.rewarded]
    rows = (
        ("batch", f"{document.batch.id}, {document.batch.harvest_h:g} h to harvest"),
        ("model", f"{settings.model.name}, {len(settings.model.states)} states"),
        ("plant", f"{where}, {document.cycle.target_mode} every {document.cycle.period_s:g} s"),
        ("online", ", ".join(document.signals.online)),
        ("assays", ", ".join(document.signals.assays) or "none"),
        ("learnt", ", ".join(document.estimation.adapted) or "nothing"),
        ("feed", f"{', '.join(document.control.written['feed'])}: {', '.join(aims)}"),
        *(("gas", f"{', '.join(part.inputs)}: hold {', '.join(part.tracked)}") for part in held),
        ("record", str(record_file(settings))),
        ("hash", settings.config_hash),
    )
    return [f"  {name:<7} {text}" for name, text in rows]


def _fault_json(fault: Fault) -> dict[str, object]:
    place = fault.place
    return {
        "source": None if place is None else place.source,
        "line": None if place is None else place.line,
        "key": dotted(fault.path),
        "value": fault.given,
        "text": fault.text,
    }
