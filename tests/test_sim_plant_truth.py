import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from sim_plant.errors import PlantError
from sim_plant.instrument_settings import TruthSettings
from sim_plant.truth import FILE_VERSION, Truth
from tests.sim_plant_support import advance, small_plant


def test_a_log_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    plant = small_plant(seed=3)
    advance(plant, 1.0)
    path = tmp_path / "truth.npz"
    plant.save_truth(path)
    truth, loaded = plant.truth, Truth.load(path)
    for name in Truth.__dataclass_fields__:
        assert np.array_equal(getattr(loaded, name), getattr(truth, name)), name
        assert type(getattr(loaded, name)) is type(getattr(truth, name)), name
    assert loaded.product_g == truth.product_g
    assert [path.name for path in tmp_path.iterdir()] == ["truth.npz"]


def test_rows_come_at_the_asked_interval() -> None:
    plant = small_plant(truth=TruthSettings(every_s=600.0))
    advance(plant, 1.0)
    assert np.allclose(plant.truth.time_h, np.arange(7) / 6)
    assert plant.truth.states.shape == (7, 12)
    assert plant.truth.inputs.shape == (7, 10)
    assert plant.truth.output("pH").shape == (7,)
    assert plant.truth.model == "cho_mab_full"


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match=r"cannot write the truth log .*none/truth\.npz: No such"):
        small_plant().save_truth(tmp_path / "none" / "truth.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rest"])
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "truth.npz"
    path.write_bytes(content)
    with pytest.raises(PlantError, match="is no truth log"):
        Truth.load(path)


def test_a_damaged_log_is_refused_or_read_whatever_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "truth.npz"
    small_plant().save_truth(path)
    content, chance = path.read_bytes(), random.Random(1)
    for _ in range(200):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        with suppress(PlantError):
            Truth.load(path)


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match="cannot read the truth log"):
        Truth.load(tmp_path / "truth.npz")


def test_an_archive_without_the_fields_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "truth.npz", version=np.array(FILE_VERSION))
    with pytest.raises(PlantError, match="is no truth log"):
        Truth.load(tmp_path / "truth.npz")


def test_an_archive_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.npz"
    small_plant().save_truth(path)
    with np.load(path) as archive:
        content = {**archive, "version": np.array(1)}
    del content["model"]
    np.savez(path, **content)
    with pytest.raises(PlantError, match="of another version"):
        Truth.load(path)
