"""Values of the record as bytes and back."""

import json
import struct
from contextlib import suppress
from dataclasses import dataclass, make_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mpc_agent import codec
from mpc_agent.codec import CodecError
from mpc_agent.values import (
    Floats,
    PlantStatus,
    Quality,
    Reading,
    Readings,
    Sample,
)
from tests import record_values


def same_bits(one: Floats, other: Floats) -> bool:
    return (
        one.dtype == other.dtype
        and one.shape == other.shape
        and one.flags.f_contiguous == other.flags.f_contiguous
        and one.tobytes("A") == other.tobytes("A")
    )


@dataclass(frozen=True, slots=True)
class Holder:
    array: Floats
    number: float


ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)


@given(
    hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0), elements=ANY_FLOAT
    ),
    ANY_FLOAT,
    st.booleans(),
)
def test_floats_come_back_bit_for_bit(array: Floats, number: float, transposed: bool) -> None:
    value = Holder(array.T if transposed else array, number)
    back = codec.decode(codec.encode(value), Holder)
    assert same_bits(back.array, value.array)
    assert struct.pack("<d", back.number) == struct.pack("<d", number)


def test_strided_arrays_come_back_with_their_values() -> None:
    value = Holder(np.arange(24.0).reshape(4, 6)[::2, ::3], 0.0)
    np.testing.assert_array_equal(codec.decode(codec.encode(value), Holder).array, value.array)


def test_readings_come_back_equal() -> None:
    reading = Reading("pH", 6.98, 1.7e9 + 0.1, Quality.UNCERTAIN)
    readings = Readings(
        read_at_s=1.7e9 + 0.3,
        measured=MappingProxyType({"pH": reading}),
        inputs={"air": reading},
        setpoints={"air": np.float64(300.0)},
        samples=(Sample("glucose", 22.1, "mmol/L", 1.7e9, 1.7e9 + 3600, "lab"),),
        status=PlantStatus(True, True, False, False, "remote not active"),
    )
    back = codec.decode(codec.encode(readings), Readings)
    assert back == readings
    assert type(back.measured["pH"].quality) is Quality


def test_integers_and_booleans_in_arrays_are_kept() -> None:
    value = (np.array([1, 2, 3]), np.array([True, False]), np.bool_(True), np.int64(4))
    numbers, flags, flag, count = codec.decode(
        codec.encode(value), tuple[Floats, Floats, bool, int]
    )
    assert numbers.dtype == np.int64
    assert flags.tolist() == [True, False]
    assert flag is True
    assert count == 4


def test_decoded_arrays_cannot_be_written_to() -> None:
    back = codec.decode(codec.encode(Holder(np.zeros(3), 1.0)), Holder)
    with pytest.raises(ValueError, match="read-only"):
        back.array[0] = 1.0


@pytest.mark.parametrize(
    "value", [object(), np.array(["text"]), np.zeros(2, np.complex128), {"a": object()}]
)
def test_what_has_no_place_in_the_record_is_refused(value: object) -> None:
    with pytest.raises(CodecError, match="no place in the record"):
        codec.encode(value)


def test_bytes_of_another_type_are_refused() -> None:
    with pytest.raises(CodecError, match="no Readings"):
        codec.decode(codec.encode(Holder(np.zeros(2), 1.0)), Readings)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_decoded_but_never_crash(data: bytes) -> None:
    with suppress(CodecError):
        codec.decode(data, Holder)


def test_bytes_of_an_array_that_disagree_with_its_shape_are_refused() -> None:
    data = codec.encode(Holder(np.zeros(4), 1.0)).replace(b"<f8", b"<c8")
    with pytest.raises(CodecError, match="unknown array element"):
        codec.decode(data, Holder)


def test_a_field_added_with_a_default_reads_old_bytes() -> None:
    newer: Any = make_dataclass(
        "Holder",
        [("array", Floats), ("number", float), ("added", str, "none")],
        frozen=True,
        slots=True,
    )
    back = codec.decode(codec.encode(Holder(np.zeros(2), 1.0)), newer)
    assert back.added == "none"


# ------------------------------------------------------------------ for people


def test_the_plain_form_is_json_and_says_everything() -> None:
    told = json.loads(codec.to_json(record_values.estimate(1e9), indent=2))
    assert told["verdicts"] == ["OK", "STALE", "GATED", "OK"]
    assert told["innovations"] == [0.1, None, -2.0, 0.3]
    assert codec.plain(Reading("pH", 7.0, 1.0))["quality"] == "GOOD"
