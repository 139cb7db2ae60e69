"""The agent's settings: read once, checked as a whole, never changed afterwards."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from controllers.recipe import Recipe
from controllers.settings import ControlSettings
from mpc_agent.config.build_control import control_settings
from mpc_agent.config.build_estimation import estimation_settings
from mpc_agent.config.build_safety import safety_settings
from mpc_agent.config.check_soundness import soundness
from mpc_agent.config.cross import cross_faults
from mpc_agent.config.document import Document, Sections, read_document
from mpc_agent.config.environment import with_environment
from mpc_agent.config.faults import ConfigError, Fault, KeyPath, Place, in_order, shown
from mpc_agent.config.model_choice import chosen_model
from mpc_agent.config.parameter_set import ParameterSet, configured_parameter_set
from mpc_agent.config.text import ConfigText, read_config_text
from mpc_agent.drivers.tagmap import DriverSettings, OpcuaSettings
from mpc_agent.estimation.settings import EstimationSettings
from mpc_agent.safety.settings import SafetySettings
from plant_models.model import PlantModel


@dataclass(frozen=True)
class Settings:
    """Everything the agent is built from.

    Attributes:
        source: file it was read from.
        document: what is written there, after overrides by the environment.
        model: the plant as filter and optimiser see it.
        estimation: what the filter is built from.
        control: the two optimal control problems.
        safety: limits and graces of guard, ladder and mode machine.
        recipe: the approved feed profile.
        driver: how the plant is reached; its files are absolute paths.
        plant_file: file of the simulated plant, or None.
        text: the configuration as JSON with sorted keys, recipe and parameter set included, secrets
            not: what the record keeps.
        config_hash: SHA-256 of `text`, in hexadecimal.
        notes: what is odd, though the agent can run.
    """

    source: Path
    document: Document
    model: PlantModel
    estimation: EstimationSettings
    control: ControlSettings
    safety: SafetySettings
    recipe: Recipe
    driver: DriverSettings
    plant_file: Path | None
    text: str
    config_hash: str
    notes: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str]) -> Self:
        """Read, check and build.

        Args:
            path: YAML file; names of files in it are relative to its folder.
            environment: variables `MPC_AGENT__SECTION__KEY` override single keys.

        Raises:
            ConfigError: everything that is wrong.
        """
        text = with_environment(read_config_text(path), environment)
        sections = read_document(text)
        faults = [*sections.faults]
        recipe = _read_recipe(sections, text, path.parent, faults)
        model = _read_model(sections, text, path.parent, faults)
        given = _read_parameters(sections, text, path.parent, model, faults)
        faults += cross_faults(sections, text, model, recipe, given)
        if faults or sections.document is None or recipe is None or model is None:
            raise ConfigError(in_order(faults))
        built = cls._build(path, sections.document, model, recipe, given)
        estimation = built.estimation
        found = soundness(built.control, estimation.initial, estimation.parameters, text)
        if found.faults:
            raise ConfigError(in_order(found.faults))
        return replace(built, notes=tuple(in_order(found.notes)))

    @classmethod
    def _build(
        cls,
        path: Path,
        document: Document,
        model: PlantModel,
        recipe: Recipe,
        given: ParameterSet | None,
    ) -> Self:
        text = canonical_text(document, recipe, given)
        estimation = estimation_settings(document, model, given)
        try:
            control = control_settings(document, model)
        except ValueError as error:
            # What no check has a key for, the problems themselves refuse.
            place = Place(str(path))
            lines = str(error).splitlines()
            raise ConfigError([Fault(("control",), line, place) for line in lines]) from None
        return cls(
            source=path,
            document=document,
            model=model,
            estimation=estimation,
            control=control,
            safety=safety_settings(document, model, estimation.parameters),
            recipe=recipe,
            driver=_anchored(document.driver, path.parent),
            plant_file=(
                None if document.simulation is None else path.parent / document.simulation.plant
            ),
            text=text,
            config_hash=hashlib.sha256(text.encode()).hexdigest(),
        )


def canonical_text(document: Document, recipe: Recipe, given: ParameterSet | None) -> str:
    """A configuration as JSON with sorted keys; files of secrets appear by name alone."""
    content = document.model_dump(mode="json")
    content["recipe"]["rows"] = recipe.text()
    if given is not None:
        content["model"]["parameter_set"] = given.plain()
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False)


def batch_identity(text: str) -> str:
    """SHA-256 of what must not change within a batch, from the text of a configuration.

    The target mode may change, so that a batch can begin in SHADOW and go on in CONTROL, and so may
    the web page's address. Both are in the record all the same.
    """
    content = json.loads(text)
    content["cycle"].pop("target_mode")
    content.pop("web")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _anchored(driver: DriverSettings, folder: Path) -> DriverSettings:
    """Driver settings whose files no longer depend on the working directory."""
    if not isinstance(driver, OpcuaSettings):
        return driver
    security = driver.security
    files = {
        name: folder / value
        for name in type(security).model_fields
        if isinstance(value := getattr(security, name), Path)
    }
    return driver.model_copy(update={"security": security.model_copy(update=files)})


def _read_model(
    sections: Sections, text: ConfigText, folder: Path, faults: list[Fault]
) -> PlantModel | None:
    """The model, or None and why not."""
    if sections.model is None:
        return None
    model, findings = chosen_model(sections.model, folder)
    for path, sentence in findings:
        faults.append(Fault(path, sentence, text.place(path), shown(text.value(path))))
    return model


def _read_parameters(
    sections: Sections,
    text: ConfigText,
    folder: Path,
    model: PlantModel | None,
    faults: list[Fault],
) -> ParameterSet | None:
    """The parameter set; None when there is none, or why it cannot be used."""
    section = sections.model
    if section is None or section.parameters_file is None or model is None:
        return None
    place = text.place(("model", "parameters_file"))
    return configured_parameter_set(section.parameters_file, folder, model, place, faults)


def _read_recipe(
    sections: Sections, text: ConfigText, folder: Path, faults: list[Fault]
) -> Recipe | None:
    """The recipe, or None and why not."""
    if sections.recipe is None:
        return None
    path: KeyPath = ("recipe", "file")
    file = folder / sections.recipe.file
    try:
        return Recipe.parse(file.read_text("utf-8"))
    except OSError as error:
        reasons = [f"cannot be read: {error.strerror} ({file})"]
    except UnicodeDecodeError:
        reasons = [f"is not text in UTF-8 ({file})"]
    except ValueError as error:
        reasons = [f"{file}: {line}" for line in str(error).splitlines()]
    given = shown(text.value(path))
    faults.extend(Fault(path, reason, text.place(path), given) for reason in reasons)
    return None
