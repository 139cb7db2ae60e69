"""Sections about the batch, the model, time, the web page and the simulated plant."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mpc_agent.config.base import Host, Items, Port, Positive, Section, UtcTime
from mpc_agent.values import Mode


class BatchSection(Section):
    """Which batch this is and where its record goes."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name of the batch: letters, digits, dots, dashes, underscores."""
    inoculated_at: UtcTime | None = None
    """When the culture was inoculated (ISO 8601 with offset). Null: as the plant's tag says, else
    the first start of the agent on this batch."""
    harvest_h: Annotated[float, Field(gt=0, le=2000)]
    """Planned harvest, in hours since inoculation."""
    folder: Annotated[str, Field(min_length=1)] = "runs"
    """Folder of the record, relative to the working directory. Each batch has its own file in
    it; a restart of the agent continues it."""


class ModelSection(Section):
    """The plant as filter and optimiser see it."""

    name: str | None = None
    """Name of a plant model: of the library, or of those that `file` defines; may be left out when
    the file defines one alone."""
    file: Annotated[str, Field(min_length=1)] | None = None
    """Python file with the site's own model, relative to the folder of this file; null for the
    library. The file is run as a part of the agent; `mpc-agent check FILE` examines it."""
    parameters_file: Annotated[str, Field(min_length=1)] | None = None
    """YAML file with all parameters of the model, relative to the folder of this file; null for the
    model's nominal values. `mpc-agent models NAME --parameters FILE` writes one to start from."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Single parameters that differ from the file's or nominal values, in the model's units."""
    initial: dict[str, float] = Field(default_factory=dict)
    """States at inoculation that differ from the model's, in the model's units."""

    @model_validator(mode="after")
    def _named(self) -> "ModelSection":
        if self.name is None and self.file is None:
            raise ValueError("needs name, one of `mpc-agent models`, or the file of a model")
        return self


class ClockSection(Section):
    """Whose time the agent follows."""

    kind: Literal["wall", "plant"] = "wall"
    """`wall`: this computer's clock. `plant`: the plant's clock tag, for plants whose time runs
    faster than the world's."""


class CycleSection(Section):
    """The rhythm of the agent and what it may do."""

    period_s: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """Time from one cycle to the next, in seconds of the clock followed."""
    deadline_s: Positive = 120.0
    """A decision that took longer than this, in seconds of the wall, is recorded, not applied."""
    target_mode: Mode = Field(default=Mode.SHADOW, strict=False)
    """What the agent aims at: OFF and SHADOW (plans, writes nothing), ADVISE (the same; its plan is
    meant for people, in metrics, log and report) or CONTROL (writes setpoints)."""


class RecipeSection(Section):
    """The approved feed profile: fallback of the agent, and what its plan is compared with."""

    file: Annotated[str, Field(min_length=1)]
    """CSV file, relative to the folder of this file: time_h, then one column for each input with
    its unit, such as glucose_feed_L_per_h. What the agent does not write is foreseen as it
    stands."""


class WebSection(Section):
    """The agent's page, its metrics and its health, over HTTP, read only."""

    host: Host = "127.0.0.1"
    """Address to listen on. Everything shown is readable by whoever can reach it."""
    port: Port = 9464
    """Port to listen on; 0 takes any free one."""
    enabled: bool = True
    """Whether to listen at all."""


class JudgedLimit(Section):
    """An interval that the simulated truth is held against, in the output's unit."""

    output: str
    """Output of the simulated plant."""
    lower: float | None = None
    """Lower end, or null."""
    upper: float | None = None
    """Upper end, or null."""
    hard: bool = False
    """Whether time outside counts as failure."""

    @model_validator(mode="after")
    def _possible(self) -> "JudgedLimit":
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower, {self.lower:g}, must be below upper, {self.upper:g}")
        return self


class SimulationSection(Section):
    """The plant that `simulate` and `sim-plant` run instead of a real one."""

    plant: Annotated[str, Field(min_length=1)]
    """YAML file of the simulated plant, relative to the folder of this file."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Draws the plant's true parameters and its noise."""
    limits: Items[JudgedLimit] = ()
    """What a simulated batch is judged by: time outside is counted, and the optimum that it is
    compared with keeps inside."""
