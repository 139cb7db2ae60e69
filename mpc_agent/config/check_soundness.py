"""Problems that are written without a fault and cannot come to anything, told with their keys."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controllers.problem import Problem
from controllers.settings import ControlSettings
from controllers.soundness import Complaint, examine
from mpc_agent.config.faults import Fault, KeyPath, shown
from mpc_agent.config.text import ConfigText


@dataclass(frozen=True)
class Soundness:
    """What was found.

    Attributes:
        faults: nothing sensible can follow.
        notes: odd; the agent can run all the same.
    """

    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


def soundness(
    control: ControlSettings,
    initial: Mapping[str, float],
    parameters: Mapping[str, float],
    text: ConfigText,
) -> Soundness:
    """Both problems, examined where the batch begins.

    Args:
        control: the problems.
        initial: state at inoculation by name, all of them.
        parameters: the model's parameters by name, all of them.
        text: where things were written.
    """
    problems = [control.feed.problem, *([control.gas.problem] if control.gas else [])]
    model = control.feed.problem.model
    state = np.array([initial[name] for name in model.state_names], dtype=np.float64)
    values = np.array([parameters[name] for name in model.parameter_names], dtype=np.float64)
    faults: dict[Fault, None] = {}
    notes: dict[Fault, None] = {}
    for problem in problems:
        for item in examine(problem, state, values):
            path = _path(problem, item)
            sentence = item.text
            if path == ("model",):
                # There it is told with its line.
                file = text.value(("model", "file"))
                hint = "" if file is None else f"; `mpc-agent check {file}` examines the model"
                sentence = f"{item.subject} {item.text}{hint}"
            # A value that is not written is the default, not null.
            given = shown(text.value(path)) if path in text.places else None
            told = Fault(path, sentence, text.place(path), given)
            (faults if item.hopeless else notes)[told] = None
    # Of what one problem cannot live with, the other need not say that it is odd.
    return Soundness(tuple(faults), tuple(note for note in notes if note not in faults))


def _path(problem: Problem, item: Complaint) -> KeyPath:
    """Key of the configuration; what concerns the equations belongs to the model."""
    left = [one.name for one in problem.inputs if not one.written]
    match item.where:
        case ("model", *_):
            return ("model",)
        case ("inputs", name, *_) if name in left:
            return ("control", problem.name, "foreseen", name)
        case _:
            return ("control", problem.name, *item.where)
