"""What `mpc-agent models` does: list models, show one, plot its reference batch."""

import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from mpc_agent.commands.showing import shown_path
from mpc_agent.config.parameter_set import nominal_parameter_set
from mpc_agent.errors import CannotWriteError, ExitCode, UserError
from mpc_agent.model_show.describing import description, summary
from mpc_agent.model_show.finding import named_model, told
from mpc_agent.model_show.page import write_model_page
from mpc_agent.model_show.printing import as_text, model_list, model_sheet
from plant_models.library import MODELS
from plant_models.model import PlantModel
from plant_models.reference_run import ReferenceRun, run_reference

ENOUGH_POINTS = 600
"""Points that a curve needs to look smooth."""


@dataclass(frozen=True)
class Answer:
    """What was found or done.

    Attributes:
        content: for programs.
        text: for people.
    """

    content: dict[str, object]
    text: str


def list_models() -> Answer:
    """Every model of the library."""
    models = [MODELS[name] for name in sorted(MODELS)]
    content: dict[str, object] = {"models": [summary(model) for model in models]}
    return Answer(content, as_text(model_list(models)))


def show_model(name: str, chosen: str | None, plot: Path | None, *, plotted: bool) -> Answer:
    """Everything about one model, and a page with its reference batch.

    Args:
        name: of a model of the library, or a Python file.
        chosen: which model of the file.
        plot: page to write instead of the model's name in the working directory.
        plotted: whether to run and plot the batch at all.

    Raises:
        UserError: there is no such model, it cannot be shown, the page cannot be written.
    """
    model = named_model(name, chosen)
    try:
        return _shown(model, plot, plotted=plotted)
    except UserError:
        raise
    except Exception as error:
        if name in MODELS:
            raise
        text = f"{model.name} cannot be shown: {told(error, Path(name))}"
        remedy = f"`mpc-agent check {name}` says what is wrong with it"
        raise UserError(f"{text}; {remedy}", ExitCode.CONFIG) from None


def _shown(model: PlantModel, plot: Path | None, *, plotted: bool) -> Answer:
    if not plotted:
        content = {**description(model), "final": None, "plot": None}
        return Answer(content, as_text(model_sheet(model, None)))
    run = _run(model)
    final = dict(zip(model.output_names, run.outputs[-1].tolist(), strict=True))
    text = as_text(model_sheet(model, final))
    page = plot or Path(f"{re.sub(r'[^A-Za-z0-9_.-]', '_', model.name)}.html")
    write_model_page(model, run, page)
    content = {**description(model), "final": final, "plot": str(page)}
    return Answer(content, f"{text}\nPlot: {shown_path(page)}\n")


def _run(model: PlantModel) -> ReferenceRun:
    """The reference batch, with enough points for smooth curves."""
    points = ceil(ENOUGH_POINTS / len(model.reference.times_h()))
    run = run_reference(model, points_per_step=points)
    for names, values in ((model.state_names, run.states), (model.output_names, run.outputs)):
        rows, columns = np.nonzero(~np.isfinite(values))
        if len(rows):
            raise UserError(
                f"the reference batch of {model.name} goes wrong: {names[columns[0]]} is not "
                f"finite at {run.times_h[rows[0]]:.4g} h",
                ExitCode.CONFIG,
            )
    return run


def write_parameters(name: str, chosen: str | None, file: Path, *, force: bool) -> Answer:
    """Write a model's nominal parameters as a parameter set to start from.

    Raises:
        UserError: there is no such model, the file exists already or cannot be written.
    """
    text = nominal_parameter_set(named_model(name, chosen))
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise CannotWriteError(f"{file} exists already; add --force to replace it") from None
    except OSError as error:
        raise CannotWriteError(f"{file} cannot be written: {error.strerror}") from None
    return Answer({"parameters": str(file)}, f"Parameters: {shown_path(file)}\n")
