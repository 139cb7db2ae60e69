"""The reference of all keys, written from the schema: `python -m mpc_agent.config.reference`."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mpc_agent.config.document import Document
from mpc_agent.config.explain import (
    Annotation,
    field_description,
    is_union,
    origin_of,
    section_types,
)

_HEAD = """# Configuration

One YAML file describes one agent at one bioreactor. `configs/` has complete, commented examples;
`mpc-agent check FILE` lists everything that is wrong with a file: place, key, value and remedy.

**Precedence**, highest first: environment variables, the file, the defaults below. The variable
`MPC_AGENT__CYCLE__PERIOD_S=300` replaces `cycle.period_s`, and
`MPC_AGENT__CONTROL__FEED__LIMITS__0__UPPER=45` the upper end of the first limit of the feed
problem. Values are read as YAML. Secrets are never written here: keys of `driver.security` that end
in `_file` name files that hold the secret alone.

**Units.** A key that ends in a unit is in that unit. All other numbers belong to a quantity of the
model and are in its unit. Times in `_h` count from inoculation.

**Files** that are read are relative to the folder of the configuration; `batch.folder`, which is
written, is relative to the working directory.

**What becomes of it.** Settings are frozen when the agent starts. The whole configuration, recipe
and parameter set included and secrets not, is kept in the record with its SHA-256, which reports
and `simulate --json` show as `config_hash`.

**A parameter set** is a file with all parameters of one model, named by `model.parameters_file`.
`mpc-agent models NAME --parameters my_cells.yaml` writes one with the published values to start
from:

```yaml
model: cho_mab_control
origin: fitted by A. Example to batches 12 to 15 of clone 7, 2026-02
parameters:
  mu_max: {value: 0.041, unit: "1/h"}
  K_glc: {value: 0.9, unit: "mmol/L"}
  # ... every other parameter of the model
```

It must have every parameter of the model and no other, each finite, within the range that
`mpc-agent models NAME` shows, and in the model's unit; every fault is told with its line, value and
range. `model.parameters` still replaces single values of it.

This page is written from the schema by `python -m mpc_agent.config.reference`.
"""


def reference() -> str:
    """All sections and keys as Markdown."""
    parts = [_HEAD]
    for name, info in Document.model_fields.items():
        needed = "" if info.is_required() else " (may be left out)"
        parts.append(f"\n## {name}{needed}\n\n{field_description(Document, name)}\n")
        parts += [
            "\n" + "\n".join(_table(name, section)) + "\n"
            for section in section_types(info.annotation)
        ]
    return "".join(parts)


def _table(prefix: str, section: type[BaseModel]) -> Iterator[str]:
    """A table of the keys of a section and of all sections below it."""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    yield from _rows(prefix, section)


def _rows(prefix: str, section: type[BaseModel]) -> Iterator[str]:
    for name, info in section.model_fields.items():
        key = f"{prefix}.{name}"
        meaning = field_description(section, name).replace("|", "\\|")
        below, suffix = _below(info.annotation)
        kind = "section" if below and not suffix else _kind(info)
        yield f"| `{key}` | {kind} | {_default(info)} | {meaning} |"
        if below:
            yield from _rows(key + suffix, below)


def _below(annotation: Annotation) -> tuple[type[BaseModel] | None, str]:
    """The section below a key, and how the keys of its entries are written."""
    direct = section_types(annotation)
    if direct:
        return direct[0], ""
    origin, arguments = origin_of(annotation), get_args(annotation)
    if origin is dict and section_types(arguments[1]):
        return section_types(arguments[1])[0], ".NAME"
    if origin is tuple and arguments and section_types(arguments[0]):
        return section_types(arguments[0])[0], "[N]"
    return None, ""


def _kind(info: FieldInfo) -> str:
    """The type of a value, with its range."""
    ranges = [_range(item) for item in info.metadata]
    return " ".join([_type(info.annotation), *(text for text in ranges if text)])


def _range(item: Any) -> str:  # noqa: ANN401 - whatever annotations hold
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    return " ".join(
        f"{sign} {getattr(item, name):g}" for name, sign in signs.items() if hasattr(item, name)
    )


_NAMES: dict[Annotation, str] = {
    float: "number",
    int: "whole number",
    bool: "true or false",
    str: "text",
    datetime: "time",
    Path: "file",
}


def _type(annotation: Annotation) -> str:
    """A type in words."""
    if annotation in _NAMES:
        return _NAMES[annotation]
    if getattr(annotation, "__metadata__", None):
        return _type(annotation.__origin__)
    origin, arguments = origin_of(annotation), get_args(annotation)
    if origin is dict:
        return f"{'section' if section_types(arguments[1]) else _type(arguments[1])} by name"
    if origin is tuple:
        return _list_type(arguments)
    if is_union(annotation):
        return " or ".join(_type(inner) for inner in arguments if inner is not NoneType)
    choices = arguments if origin is Literal else tuple(annotation)
    return " or ".join(f"`{value}`" for value in choices)


def _list_type(arguments: tuple[Annotation, ...]) -> str:
    if arguments[-1] is not Ellipsis:
        return "pair of texts" if arguments[0] is str else "pair of numbers"
    inner = arguments[0]
    if section_types(inner):
        return "list of sections"
    lists = {"pair of numbers": "number, or list of pairs", "number": "list of numbers"}
    return lists.get(_type(inner), "list of texts")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is None or value in ((), {}):
        return "none" if value is None else "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{re.sub(r'[.]0$', '', str(value))}`"


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - its purpose
