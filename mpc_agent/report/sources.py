"""What a report is made from: a batch's record, and what a simulated batch leaves beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mpc_agent.errors import BadRecordError, ExitCode, NoInputError
from mpc_agent.journal import Journal
from sim_plant.errors import PlantError
from sim_plant.truth import Truth

RECORD_PATTERN = "*.sqlite"
TRUTH_FILE = "truth.npz"
RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class Result:
    """How a simulated batch ended, and what it is compared with.

    Attributes:
        product_g: product at harvest, g: "achieved", with the "recipe", and the "optimum" that
            perfect knowledge would have reached.
        final: true outputs at harvest, by output.
    """

    product_g: Mapping[str, float] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """A batch's files.

    Attributes:
        record: its record, always there.
        truth: what really happened in the simulated plant, if it was one.
        result: how it ended, if that was computed.
    """

    record: Path
    truth: Path | None
    result: Path | None


def find_sources(run: Path) -> Sources:
    """The files of a run.

    Args:
        run: the run's folder, or the record itself.

    Raises:
        NoInputError: there is no such folder, or no record or more than one in it.
    """
    if run.is_file():
        record, folder = run, run.parent
    elif run.is_dir():
        records = sorted(run.glob(RECORD_PATTERN))
        if not records:
            raise NoInputError(f"there is no record ({RECORD_PATTERN}) in {run}")
        if len(records) > 1:
            names = ", ".join(record.name for record in records)
            raise NoInputError(f"there are several records in {run}; name one of {names}")
        record, folder = records[0], run
    else:
        raise NoInputError(f"there is no run at {run}")
    truth, result = folder / TRUTH_FILE, folder / RESULT_FILE
    return Sources(
        record=record,
        truth=truth if truth.is_file() else None,
        result=result if result.is_file() else None,
    )


def open_record(sources: Sources) -> Journal:
    """The record, to read; an agent may be at work on it."""
    return Journal.open(sources.record, read_only=True)


def read_truth(sources: Sources) -> Truth | None:
    """What really happened; None when nobody knows."""
    if sources.truth is None:
        return None
    try:
        return Truth.load(sources.truth)
    except PlantError as error:
        raise BadRecordError(str(error)) from error


def read_result(sources: Sources) -> Result:
    """How the batch ended; empty when that was not computed."""
    if sources.result is None:
        return Result()
    try:
        return msgspec.json.decode(sources.result.read_bytes(), type=Result)
    except msgspec.DecodeError as error:
        raise BadRecordError(f"{sources.result} is no result of a run: {error}") from error
    except OSError as error:
        message = f"{sources.result} cannot be read: {error.strerror}"
        raise NoInputError(message, ExitCode.NO_INPUT) from error
