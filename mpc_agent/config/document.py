"""The whole configuration as it is written: sections of plain values, validated one by one."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mpc_agent.config.explain import explain
from mpc_agent.config.faults import Fault
from mpc_agent.config.schema_control import ControlSection
from mpc_agent.config.schema_estimation import EstimationSection, SignalsSection
from mpc_agent.config.schema_general import (
    BatchSection,
    ClockSection,
    CycleSection,
    ModelSection,
    RecipeSection,
    SimulationSection,
    WebSection,
)
from mpc_agent.config.schema_safety import SafetySection
from mpc_agent.config.text import ConfigText
from mpc_agent.drivers.tagmap import DriverSettings, TagMapSettings


class Document(BaseSettings):
    """A configuration as it is written."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    batch: BatchSection
    """Which batch this is and where its record goes."""
    model: ModelSection
    """The plant as filter and optimiser see it."""
    clock: ClockSection = ClockSection()
    """Whose time the agent follows."""
    cycle: CycleSection = CycleSection()
    """The rhythm of the agent and what it may do."""
    driver: DriverSettings
    """How the plant is reached."""
    tags: TagMapSettings
    """Where the plant keeps each value, and in which unit."""
    signals: SignalsSection
    """How far each measured value is trusted."""
    estimation: EstimationSection
    """The filter."""
    control: ControlSection
    """The two optimal control problems."""
    recipe: RecipeSection
    """The approved feed profile."""
    safety: SafetySection
    """What must hold whatever the optimiser says."""
    web: WebSection = WebSection()
    """Page, metrics and health."""
    simulation: SimulationSection | None = None
    """The simulated plant, for `simulate` and `sim-plant`."""


class _TextSource(PydanticBaseSettingsSource):
    """A configuration text with its overrides, as a source of settings."""

    def __init__(self, settings_cls: type[BaseSettings], text: ConfigText) -> None:
        super().__init__(settings_cls)
        self._text = text

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the library's signature
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Value of one section."""
        return self._text.data.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All sections."""
        return self._text.data


@dataclass(frozen=True)
class Sections:
    """What could be read of a configuration; a section with faults is None.

    Attributes:
        faults: everything the schema has against it.
        document: the whole, when there is no fault.
    """

    faults: list[Fault] = field(default_factory=list)
    document: Document | None = None
    batch: BatchSection | None = None
    model: ModelSection | None = None
    clock: ClockSection | None = None
    cycle: CycleSection | None = None
    driver: DriverSettings | None = None
    tags: TagMapSettings | None = None
    signals: SignalsSection | None = None
    estimation: EstimationSection | None = None
    control: ControlSection | None = None
    recipe: RecipeSection | None = None
    safety: SafetySection | None = None
    simulation: SimulationSection | None = None


_SECTIONS = {item.name for item in fields(Sections)} - {"faults", "document"}


def read_document(text: ConfigText) -> Sections:
    """Validate a configuration against the schema; never raises for what is written in it."""

    class FromText(Document):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_args: object, **_surroundings: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (_TextSource(settings_cls, text),)

    try:
        document = FromText()
    except ValidationError as error:
        faults = explain(Document, text, error.errors(include_url=False))
        return Sections(faults, None, **_sound_sections(text))
    return Sections([], document, **{name: getattr(document, name) for name in _SECTIONS})


def _sound_sections(text: ConfigText) -> dict[str, Any]:
    """The sections that have no fault of their own."""
    sound: dict[str, Any] = {}
    for name in _SECTIONS & text.data.keys():
        info = Document.model_fields[name]
        adapter: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]
        try:
            sound[name] = adapter.validate_python(text.data[name])
        except ValidationError:
            continue
    return sound
