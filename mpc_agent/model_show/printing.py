"""Lists and sheets of models as text for a terminal or a pipe."""

import sys
from collections.abc import Iterable, Iterator, Mapping

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mpc_agent.model_show.describing import integrator, measured, numbered_sources
from mpc_agent.report.panel import pretty_unit
from plant_models.model import PlantModel

WIDTH = 100
"""Columns of a pipe; a terminal may have fewer."""


def as_text(content: RenderableType) -> str:
    """Text for stdout as it is: no wider than people read well, in colour on a terminal."""
    console = Console(file=sys.stdout, highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    with console.capture() as captured:
        console.print(content)
    text = "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    encoding = console.encoding
    return text.encode(encoding, "replace").decode(encoding)


def model_list(models: Iterable[PlantModel]) -> RenderableType:
    """A table of models: what each one is, what acts on it, what is measured."""
    table = Table(
        box=box.HORIZONTALS, show_lines=True, show_edge=False, pad_edge=False, expand=True
    )
    table.add_column("Model", min_width=24, overflow="fold")
    table.add_column("Inputs, what is measured, source", ratio=1)
    for model in models:
        what = Text(model.name, style="bold")
        what.append(f"\n{model.organism}\n{len(model.states)} states", style="not bold")
        table.add_row(
            what,
            _labelled(
                {
                    "inputs": ", ".join(model.inputs),
                    "online": ", ".join(measured(model, "online")) or "none",
                    "by assay": ", ".join(measured(model, "assay")) or "none",
                    "source": model.source,
                }
            ),
        )
    return table


def model_sheet(model: PlantModel, final: Mapping[str, float] | None) -> RenderableType:
    """Everything about a model but the code of its equations.

    Args:
        model: the model.
        final: outputs at the end of the reference batch, when it was run.
    """
    title = Text.assemble((model.name, "bold"), f"   {model.organism}")
    return Group(title, "", *_sections(model, final))


def _dilution(model: PlantModel) -> str:
    """What liquid flows do not simply dilute; states with the same reason together."""
    names: dict[str, list[str]] = {}
    for name, why in model.undiluted.items():
        names.setdefault(why, []).append(name)
    reasons = "; ".join(f"{', '.join(states)}: {why}" for why, states in names.items())
    return f"liquid flows dilute every state per volume, except {reasons}"


def _sections(model: PlantModel, final: Mapping[str, float] | None) -> Iterator[RenderableType]:
    yield _labelled(
        {
            "source": model.source,
            "validity": model.validity,
            "integrator": integrator(model),
            "volume": _volume(model),
            "product": f"{model.product}, {_output_unit(model, model.product)}",
            **({"dilution": _dilution(model)} if model.undiluted else {}),
        }
    )
    yield from _section("Equations", _labelled(model.equations))
    yield from _section("States", _states(model))
    yield from _section("Inputs", _inputs(model))
    yield from _section("Outputs", _outputs(model))
    yield from _section("Parameters", _parameters(model))
    yield ""
    yield _labelled(
        {
            **{f"[{number}]": source for source, number in numbered_sources(model).items()},
            "Spread": "standard deviation between cell lines or batches, relative to the value",
        }
    )
    yield from _section("Reference batch", _labelled(_reference(model, final)))


def _section(title: str, content: RenderableType) -> Iterator[RenderableType]:
    yield Padding(Text(title, style="bold"), (1, 0, 0, 0))
    yield content


def _labelled(rows: Mapping[str, str]) -> Table:
    """Lines with a label in front of each; text keeps to its own column when it wraps."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(style="dim", max_width=26)
    table.add_column(ratio=1)
    for label, text in rows.items():
        table.add_row(Text(label), Text(text))
    return table


def _table(*columns: str) -> Table:
    """A table in which the column of what a quantity is takes the room that is left."""
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), expand=True
    )
    for column in columns:
        number = column in ("Initial", "Nominal", "Value", "Spread")
        meaning = "hat it is" in column
        table.add_column(
            Text(column),
            justify="right" if number else "left",
            no_wrap=number,
            ratio=1 if meaning else None,
            min_width=16 if meaning else None,
            max_width=None if meaning else 30,
            overflow="fold",
        )
    return table


def _states(model: PlantModel) -> Table:
    table = _table("State", "What it is", "Initial", "Unit", "Bounds", "Scale")
    for name, item in model.states.items():
        table.add_row(
            name,
            Text(item.meaning),
            f"{item.initial:.5g}",
            _unit(item.unit),
            _range(item.lower, item.upper),
            f"{item.scale:g}",
        )
    return table


def _inputs(model: PlantModel) -> Table:
    table = _table("Input", "What it is", "Nominal", "Unit", "Bounds")
    for name, item in model.inputs.items():
        bounds = _range(item.lower, item.upper)
        unit = _unit(item.unit)
        table.add_row(name, Text(item.meaning), f"{item.nominal:.5g}", unit, bounds)
    return table


def _outputs(model: PlantModel) -> Table:
    table = _table("Output", "What it is", "Unit", "Measured")
    words = {"online": "online", "assay": "by assay", "computed": "no"}
    for name, item in model.outputs_info.items():
        table.add_row(name, Text(item.meaning), _unit(item.unit), words[item.measured])
    return table


_PARAMETER_COLUMNS = ("Value", "Unit", "Bounds", "Spread")


def _parameters(model: PlantModel) -> Table:
    table = _table("Parameter, what it is [source]", *_PARAMETER_COLUMNS)
    sources = numbered_sources(model)
    for name, item in model.parameters.items():
        meaning = Text(f"{item.meaning} [{sources[item.source]}]", style="dim")
        table.add_row(
            Group(Text(name), Padding(meaning, (0, 0, 0, 2))),
            f"{item.value:.5g}",
            _unit(item.unit),
            _range(item.lower, item.upper),
            f"{100 * item.deviation:g} %" if item.deviation else "",
        )
    return table


def _unit(unit: str) -> str:
    """A unit as people write it, where the terminal has the signs for it."""
    return pretty_unit(unit) if sys.stdout.encoding.lower().startswith("utf") else unit


def _range(lower: float, upper: float) -> str:
    return f"{lower:.5g} to {upper:.5g}"


def _volume(model: PlantModel) -> str:
    flows = " + ".join(model.volume_flows) or "0"
    loss = f" - {model.volume_loss}" if model.volume_loss else ""
    return f"state {model.volume}, d/dt = {flows}{loss}"


def _output_unit(model: PlantModel, name: str) -> str:
    return _unit(model.outputs_info[name].unit)


def _reference(model: PlantModel, final: Mapping[str, float] | None) -> dict[str, str]:
    batch = model.reference
    changed = {**batch.initial, **batch.parameters}
    rows = {
        "what": batch.meaning,
        "length": f"{batch.duration_h:g} h, inputs held for {batch.step_h:g} h",
        "differs in": ", ".join(f"{name} {value:g}" for name, value in changed.items()),
        "at its end": ", ".join(
            f"{name} {value:.5g} {_output_unit(model, name)}".rstrip()
            for name, value in (final or {}).items()
        ),
    }
    return {label: text for label, text in rows.items() if text}
