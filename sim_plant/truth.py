"""What really happened: a log that no controller sees, kept in memory and in one file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sim_plant.errors import CannotSaveError, PlantError
from sim_plant.reactor import Culture, Reactor
from sim_plant.settings import PlantSettings

Floats = NDArray[np.float64]

FILE_VERSION: Final = 2


@dataclass(frozen=True, eq=False)
class Truth:
    """Log of one batch; one row per logged moment.

    Attributes:
        batch_id: name of the batch.
        seed: what it was drawn from.
        inoculated_at_s: UTC seconds.
        time_h: hours since inoculation, shape (rows,).
        states: true states, shape (rows, states).
        inputs: what acted on the culture in the tick before, shape (rows, inputs).
        outputs: true outputs, shape (rows, outputs).
        sources: where the setpoints came from, shape (rows,).
        parameters: true parameters, shape (parameters,).
        model: name of the model that the plant ran.
        product: output that a batch is judged by, in grams.
        state_names, input_names, output_names, parameter_names: names of the columns.
    """

    batch_id: str
    seed: int
    inoculated_at_s: float
    time_h: Floats
    states: Floats
    inputs: Floats
    outputs: Floats
    sources: NDArray[np.str_]
    parameters: Floats
    model: str
    product: str
    state_names: tuple[str, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    parameter_names: tuple[str, ...]

    def state(self, name: str) -> Floats:
        """One state over time, shape (rows,)."""
        return self.states[:, self.state_names.index(name)]

    def input(self, name: str) -> Floats:
        """One input over time, shape (rows,)."""
        return self.inputs[:, self.input_names.index(name)]

    def output(self, name: str) -> Floats:
        """One output over time, shape (rows,)."""
        return self.outputs[:, self.output_names.index(name)]

    @property
    def product_g(self) -> float:
        """Product in the vessel at the end of the log, g."""
        return float(self.output(self.product)[-1])

    def save(self, path: Path) -> None:
        """Write the log as a NumPy archive; a reader never sees half a file.

        Raises:
            CannotSaveError: the file cannot be written.
        """
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name)) for name in _FIELDS}
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                np.savez_compressed(file, version=np.array(FILE_VERSION), **arrays)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise CannotSaveError(f"cannot write the truth log {path}: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a log that `save` wrote.

        Raises:
            PlantError: the file cannot be read or is no such log.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                version = int(archive["version"])
                names = _FIELDS if version == FILE_VERSION else ()
                content: dict[str, Any] = {name: archive[name] for name in names}
        except OSError as error:
            raise PlantError(f"cannot read the truth log {path}: {error.strerror}") from None
        except Exception:  # noqa: BLE001 - damaged archives fail in every class
            raise PlantError(f"{path} is no truth log of a simulated plant") from None
        if version != FILE_VERSION:
            raise PlantError(f"{path} is a truth log of another version")
        return cls(
            batch_id=str(content.pop("batch_id")),
            seed=int(content.pop("seed")),
            inoculated_at_s=float(content.pop("inoculated_at_s")),
            model=str(content.pop("model")),
            product=str(content.pop("product")),
            **{name: _field(name, value) for name, value in content.items()},
        )


def _field(name: str, value: Any) -> Any:  # noqa: ANN401 - an array, or names as text
    return tuple(value.tolist()) if name.endswith("_names") else value


class TruthLog:
    """Collects the rows of a batch."""

    def __init__(self, settings: PlantSettings, culture: Culture, inoculated_at_s: float) -> None:
        self._settings = settings
        self._model = settings.plant_model
        self._culture = culture
        self._inoculated_at_s = inoculated_at_s
        self._time_h: list[float] = []
        self._states: list[Floats] = []
        self._inputs: list[Floats] = []
        self._outputs: list[Floats] = []
        self._sources: list[str] = []

    def append(self, time_h: float, reactor: Reactor, source: str) -> None:
        """Add a row with the state of now."""
        self._time_h.append(time_h)
        self._states.append(reactor.state)
        self._inputs.append(reactor.inputs.copy())
        self._outputs.append(reactor.outputs)
        self._sources.append(str(source))

    def truth(self) -> Truth:
        """The log so far."""
        model = self._model
        return Truth(
            batch_id=self._settings.batch.id,
            seed=self._settings.seed,
            inoculated_at_s=self._inoculated_at_s,
            time_h=np.array(self._time_h),
            states=np.array(self._states),
            inputs=np.array(self._inputs),
            outputs=np.array(self._outputs),
            sources=np.array(self._sources),
            parameters=np.array([self._culture.parameters[name] for name in model.parameter_names]),
            model=model.name,
            product=model.product,
            state_names=model.state_names,
            input_names=model.input_names,
            output_names=model.output_names,
            parameter_names=model.parameter_names,
        )


_FIELDS = tuple(Truth.__dataclass_fields__)
