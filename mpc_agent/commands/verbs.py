"""The verbs. Each imports what it needs by itself, so that `--help` and mistakes answer at once."""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from mpc_agent.commands.logs import LogFormat, start_logging
from mpc_agent.errors import EXIT_CODE_MEANINGS, ExitCode, ReaderGoneError

if TYPE_CHECKING:
    from rich.table import Table

    from mpc_agent.config import Settings

_EXIT_CODES = "\n".join(f"{code:>4}  {meaning}" for code, meaning in EXIT_CODE_MEANINGS.items())


class _Verbs(TyperGroup):
    """The verbs; typer would end with 1, a fault of ours, when our reader goes away."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGoneError from None


app = typer.Typer(
    name="mpc-agent",
    cls=_Verbs,
    help="A model-predictive control agent for fed-batch bioreactors.\n\n"
    "Begin with `mpc-agent demo`: a whole simulated 14-day batch in minutes.",
    epilog=f"Exit codes:\n```\n{_EXIT_CODES}\n```",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _examples(*lines: str) -> str:
    return "\n".join(["Examples:", "```", *(f"  {line}" for line in lines), "```"])


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Log more.")]
LogOption = Annotated[LogFormat, typer.Option("--log", help="How log lines on stderr look.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Draws another plant.")]
Hours = Annotated[float | None, typer.Option(min=1, max=2000, help="Harvest after so many hours.")]
Folder = Annotated[Path | None, typer.Option(help="New folder for record, truth and report.")]
Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the agent.")]


def _print_json(content: Mapping[str, object]) -> None:
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _finite(value: object) -> object:
    """The same value with null for NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _print_table(table: "Table") -> None:
    from rich.console import Console

    Console(file=sys.stdout).print(table)


def _load(config: Path) -> "Settings":
    import os

    from mpc_agent.config import Settings

    return Settings.load(config, os.environ)


@app.command(
    epilog=_examples(
        "mpc-agent demo",
        "mpc-agent demo --hours 48                    two days of the batch",
        "mpc-agent demo --seed 7 --folder runs/seven  another plant, a folder of your choice",
    )
)
def demo(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="Instead of configs/cho_demo.yaml.")
    ] = None,
    seed: Seed = None,
    hours: Hours = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Control a whole simulated batch over OPC-UA, and compare it with the recipe.

    Plant and agent run as two processes; the plant's time moves with every cycle of the agent, as
    fast as both can compute. At the end stand a table and a report to open in a browser.
    """
    from mpc_agent.commands.demo import DemoRequest, run_demo
    from mpc_agent.commands.demo_result import result_table
    from mpc_agent.commands.showing import progress_display, shown_path

    stream = sys.stderr if as_json else sys.stdout
    with progress_display(stream) as display:
        result = run_demo(DemoRequest(config, seed, hours, folder), display)
    if as_json:
        _print_json(result.as_json())
    else:
        _print_table(result_table(result))
        sys.stdout.write(f"\nReport: {shown_path(Path(result.report))}\n")


@app.command(
    epilog=_examples(
        "mpc-agent check configs/cho_demo.yaml",
        "mpc-agent check my_model.py",
        "MPC_AGENT__CYCLE__PERIOD_S=300 mpc-agent check site.yaml --json",
    )
)
def check(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="YAML file of the agent, or a model's .py.")
    ],
    as_json: Json = False,
) -> None:
    """Check a configuration, or a model's file, and list everything that is wrong with it."""
    from mpc_agent.commands.checking import check_file

    result = check_file(config)
    if as_json:
        _print_json(result.as_json())
    else:
        sys.stdout.write(result.text() + "\n")
    if result.faults:
        raise typer.Exit(ExitCode.CONFIG)


@app.command(
    epilog=_examples(
        "mpc-agent run configs/opcua_bioreactor.yaml",
        "MPC_AGENT__CYCLE__TARGET_MODE=SHADOW mpc-agent run site.yaml",
    )
)
def run(
    config: Config,
    as_json: Json = False,
    progress_json: Annotated[
        bool, typer.Option("--progress-json", help="Print one JSON line per cycle to stdout.")
    ] = False,
    log_format: LogOption = LogFormat.AUTO,
    verbose: Verbose = False,
) -> None:
    """Run the agent on a bioreactor until harvest, or until stopped.

    It waits for the plant when it is not there. Ctrl-C or SIGTERM ends it after the cycle under
    way; the plant is told, and the same command goes on where the record stands.
    """
    from mpc_agent.commands.running import run_batch

    start_logging(log_format, verbose=verbose)
    outcome = run_batch(_load(config), progress_json=progress_json)
    if as_json:
        _print_json(outcome.as_json())
    raise typer.Exit(outcome.exit_code)


@app.command(
    "sim-plant",
    epilog=_examples(
        "mpc-agent sim-plant configs/cho_plant.yaml",
        "mpc-agent sim-plant configs/cho_plant.yaml --endpoint opc.tcp://127.0.0.1:0/ --json",
    ),
)
def sim_plant(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="YAML file of the plant, or of an agent.")
    ],
    endpoint: Annotated[
        str | None, typer.Option(help="Where to listen; port 0 takes any free one.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the file's seed.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="File for what really happened, written at the end.")
    ] = None,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", hidden=True, help="Stop when stdin ends.")
    ] = False,
    as_json: Json = False,
    log_format: LogOption = LogFormat.AUTO,
    verbose: Verbose = False,
) -> None:
    """Serve a simulated plant over OPC-UA until stopped.

    With --json the object is printed when clients can connect.
    """
    from mpc_agent.commands.plant_serving import serve_plant

    start_logging(log_format, verbose=verbose)
    announce = _print_json if as_json else None
    code = serve_plant(
        config, endpoint, seed, truth, announce, until_stdin_closes=until_stdin_closes
    )
    raise typer.Exit(code)


@app.command(
    epilog=_examples(
        "mpc-agent simulate configs/cho_demo.yaml",
        "mpc-agent simulate configs/cho_demo.yaml --seed 7 --json",
        "mpc-agent simulate configs/cho_demo.yaml --hours 48 --no-compare",
    )
)
def simulate(
    config: Config,
    seed: Seed = None,
    hours: Hours = None,
    folder: Folder = None,
    compare: Annotated[
        bool, typer.Option(help="Also run the recipe alone, and optimise with perfect knowledge.")
    ] = True,
    as_json: Json = False,
    log_format: LogOption = LogFormat.AUTO,
    verbose: Verbose = False,
) -> None:
    """Run agent and simulated plant in one process on a virtual clock; deterministic."""
    from mpc_agent.commands.showing import progress_display
    from mpc_agent.commands.simulating import achieved_json, achieved_text, run_simulation

    start_logging(log_format, verbose=verbose)
    with progress_display(sys.stderr) as display:
        achieved = run_simulation(
            config, seed, hours, folder, compare=compare, progress=display.show
        )
    if as_json:
        _print_json(achieved_json(achieved))
    else:
        sys.stdout.write(achieved_text(achieved) + "\n")


@app.command(
    epilog=_examples(
        "mpc-agent report runs/demo-20260105T080000Z",
        "mpc-agent report runs/CHO-0417.sqlite --output batch.html",
    )
)
def report(
    run_path: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run, or its record.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="HTML file to write, instead of report.html in the folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a batch: one HTML file, from the record alone."""
    from mpc_agent.report import write_report

    written = write_report(run_path, output)
    if as_json:
        _print_json({"report": str(written)})
    else:
        sys.stdout.write(f"{written}\n")


@app.command(
    epilog=_examples(
        "mpc-agent replay runs/demo-20260105T080000Z",
        "mpc-agent replay runs/CHO-0417.sqlite --config less_noise.yaml",
        "mpc-agent replay runs/CHO-0417.sqlite --html replay.html --csv replay.csv",
    )
)
def replay(
    run_path: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run, or its record.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the agent, instead of the recorded one.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="CSV file for every mean and deviation, smoothed too.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="HTML file for the plots, smoothed estimates included.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate a recorded batch again, and tell what differs.

    The recorded readings pass through validation and filter once more, from the beginning. The
    recorded configuration gives the same estimates in every bit, with the same software on the same
    kind of machine. Another one is held against the record: how far each quantity is away, whether
    lab values were where they were expected, and what was learnt.
    """
    from mpc_agent.commands.replaying import progress_bar, run_replay

    with progress_bar(sys.stderr) as progress:
        told = run_replay(run_path, config, csv, html, progress)
    if as_json:
        _print_json(told.as_json())
    else:
        sys.stdout.write(told.text() + "\n")


@app.command(
    epilog=_examples(
        "mpc-agent models",
        "mpc-agent models ecoli_anane           and a plot, ecoli_anane.html",
        "mpc-agent models my_model.py --plot batch.html",
        "mpc-agent models cho_mab_control --parameters my_cells.yaml",
    )
)
def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Name of a model, or a Python file with one."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="HTML file to write, instead of NAME.html here.")
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Run and plot no batch.")] = False,
    parameters: Annotated[
        Path | None,
        typer.Option(help="YAML file for the nominal parameters, to fit to your cells."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file of --parameters.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Which model, when the Python file has several.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the plant models, or show one: equations, values with sources, a plotted batch.

    With --parameters, nothing is shown: the model's parameter set is written for `model:
    {parameters_file: FILE}` in a configuration.
    """
    from mpc_agent.commands import models as found

    if name is None:
        if plot or no_plot or parameters or force or model:
            raise typer.BadParameter("say which model", param_hint="NAME")
        answer = found.list_models()
    elif plot and no_plot:
        raise typer.BadParameter("is contradicted by --no-plot", param_hint="--plot")
    elif parameters is not None:
        answer = found.write_parameters(name, model, parameters, force=force)
    else:
        answer = found.show_model(name, model, plot, plotted=not no_plot)
    if as_json:
        _print_json(answer.content)
    else:
        sys.stdout.write(answer.text)


@app.command(hidden=True)
def yardsticks(config: Config, seed: Seed = None, as_json: Json = False) -> None:
    """Work out what the recipe alone, and perfect knowledge, make of the simulated plant."""
    from mpc_agent.commands.simulating import yardstick_products

    found = yardstick_products(config, seed)
    if as_json:
        _print_json(found)
    else:
        sys.stdout.write("\n".join(f"{name} {value}" for name, value in found.items()) + "\n")


@app.command("version", epilog=_examples("mpc-agent version --json"))
def show_version(as_json: Json = False) -> None:
    """Show the versions of the agent and of what decides with it."""
    found = {"mpc-agent": _version("mpc-agent"), "python": sys.version.split()[0]}
    found |= {name: _version(name) for name in ("casadi", "jax", "numpy", "asyncua")}
    if as_json:
        _print_json(found)
    else:
        sys.stdout.write("\n".join(f"{name} {value}" for name, value in found.items()) + "\n")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
