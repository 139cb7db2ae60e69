"""Configurations for tests: one that is right, with changes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mpc_agent.config import ConfigError, Settings

CONFIGS = Path(__file__).parent.parent / "configs"
DEMO = CONFIGS / "cho_demo.yaml"
RIGHT = Path(__file__).parent / "data" / "agent.yaml"
RECIPE = RIGHT.with_name("cho_recipe.csv")

Change = Callable[[dict[str, Any]], object]


def write_config(folder: Path, change: Change | None = None) -> Path:
    """The right configuration in a folder of its own, changed; its recipe comes along."""
    data: dict[str, Any] = yaml.safe_load(RIGHT.read_text())
    if change is not None:
        change(data)
    (folder / RECIPE.name).write_text(RECIPE.read_text())
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def put(*path: str | int, value: Any) -> Change:
    """A change that sets one value."""

    def change(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """A change that removes one key."""

    def change(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        del data[path[-1]]

    return change


def all_of(*changes: Change) -> Change:
    """Several changes as one."""

    def change(data: dict[str, Any]) -> None:
        for one in changes:
            one(data)

    return change


def faults_of(
    folder: Path, change: Change | None = None, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Every fault of the changed configuration without its place; empty when there is none."""
    try:
        Settings.load(write_config(folder, change), environment or {})
    except ConfigError as error:
        return [str(fault).partition(": ")[2] for fault in error.faults]
    return []
