"""What every page has in common: one self-contained HTML file with plots that zoom together."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from mpc_agent.errors import CannotWriteError
from mpc_agent.report.panel import Group, Panel
from mpc_agent.report.traces import Arrays

_HERE = Path(__file__).parent


def rendered(template: Path, content: Mapping[str, Any]) -> str:
    """A page as text, with its style, its script and the plotting library inside."""
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(
        content,
        style=(_HERE / "page.css").read_text("utf-8"),
        script=(_HERE / "page.js").read_text("utf-8"),
        plotly=get_plotlyjs(),
    )


def numbered(groups: Iterable[Group]) -> Iterator[tuple[Group, list[tuple[int, Panel]]]]:
    """Groups with their panels, counted over the whole page."""
    first = 0
    for group in groups:
        yield group, list(enumerate(group.panels, start=first))
        first += len(group.panels)


def embedded(groups: Iterable[Group], arrays: Arrays, span_h: float) -> str:
    """Numbers and traces as JSON that can stand inside a script element."""
    data = {
        "span": span_h / arrays.hours_per_unit,
        "time_unit": arrays.time_unit,
        "arrays": arrays.kept,
        "panels": [
            {
                "kind": panel.kind,
                "wide": panel.wide,
                "rows": panel.rows,
                "traces": panel.traces,
            }
            for group in groups
            for panel in group.panels
        ],
    }
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")


def write_page(path: Path, page: str) -> None:
    """Write a page at once, so that nobody sees half of it.

    Raises:
        CannotWriteError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        raise CannotWriteError(f"{path} cannot be written: it is not an ordinary file")
    growing = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        growing.write_text(page, "utf-8")
        growing.replace(path)
    except OSError as error:
        raise CannotWriteError(f"{path} cannot be written: {error.strerror}") from error
