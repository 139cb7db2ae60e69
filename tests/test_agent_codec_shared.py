"""Values that repeat from cycle to cycle are stored once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass

import numpy as np
import pytest

from mpc_agent import codec
from mpc_agent.codec import Codec, CodecError
from mpc_agent.values import Floats, Plan, WarmStart
from tests import record_values


class Store:
    """Blobs in a dictionary; counts what it is given."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.puts = 0

    def put(self, data: bytes) -> bytes:
        self.puts += 1
        key = codec.key_of(data)
        self.kept[key] = data
        return key

    def get(self, key: bytes) -> bytes:
        return self.kept[key]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    time_s: float
    mean: Floats


@dataclass(frozen=True, slots=True)
class Step:
    checkpoint: Checkpoint | None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class History:
    checkpoints: tuple[Checkpoint, ...]
    plans: Mapping[str, Plan]
    step: Step
    names: tuple[str, ...] = ()
    latest: Plan | None = None
    spare: Mapping[str, Plan] = field(default_factory=dict)


def plan(problem: str = "feed") -> Plan:
    return record_values.plan(problem, 1e9, pieces=2)


def history(count: int = 3) -> History:
    checkpoints = tuple(Checkpoint(600.0 * i, np.full(4, float(i))) for i in range(count))
    return History(checkpoints, {"feed": plan()}, Step(checkpoints[0]), ("a",))


SHARED = (Checkpoint, Plan, WarmStart)


def equal(one: object, other: object) -> bool:
    return codec.encode(one) == codec.encode(other)


def test_shared_values_are_stored_once_and_restored_exactly() -> None:
    store = Store()
    value = history()
    data = Codec(SHARED, store).encode(value)
    assert len(store.kept) == 3 + 1 + 1
    assert len(data) < 400
    assert equal(Codec(SHARED, store).decode(data, History), value)


def test_objects_met_before_are_not_stored_again() -> None:
    store = Store()
    shared = Codec(SHARED, store)
    value = history()
    shared.encode(value)
    puts = store.puts
    newer = Checkpoint(1e4, np.zeros(4))
    shared.encode(History((*value.checkpoints, newer), value.plans, value.step))
    assert store.puts == puts + 1


def test_after_forgetting_everything_is_stored_again() -> None:
    store = Store()
    shared = Codec(SHARED, store)
    value = history()
    first = shared.encode(value)
    store.kept.clear()
    shared.forget()
    assert shared.encode(value) == first
    assert len(store.kept) == 5


def test_restored_values_are_shared_objects_again() -> None:
    store = Store()
    shared = Codec(SHARED, store)
    data = Codec(SHARED, store).encode(history())
    one, other = shared.decode(data, History), shared.decode(data, History)
    assert one.checkpoints[0] is other.checkpoints[0] is one.step.checkpoint
    puts = store.puts
    assert shared.encode(one) == data
    assert store.puts == puts


def test_more_shared_values_than_are_remembered_still_come_back() -> None:
    store = Store()
    shared = Codec(SHARED, store)
    value = history(3000)
    assert equal(shared.decode(shared.encode(value), History), value)


def test_optional_and_defaulted_shared_values_may_be_absent() -> None:
    store = Store()
    value = History((), {}, Step(None))
    assert equal(Codec(SHARED, store).decode(Codec(SHARED, store).encode(value), History), value)
    older = make_dataclass(
        "History",
        [("checkpoints", tuple[Checkpoint, ...]), ("plans", Mapping[str, Plan]), ("step", Step)],
    )
    data = Codec(SHARED, store).encode(older((), {}, Step(None)))
    assert Codec(SHARED, store).decode(data, History).latest is None


def test_a_mapping_of_shared_values_needs_only_its_type() -> None:
    store = Store()
    shared = Codec(SHARED, store)
    data = shared.encode({"feed": plan()}, Mapping[str, Plan])
    assert len(data) < 60
    assert shared.decode(data, Mapping[str, Plan])["feed"].iterations == 14  # type: ignore[type-abstract]


def test_references_lists_the_keys_that_are_needed() -> None:
    store = Store()
    data = Codec(SHARED, store).encode(history())
    direct = codec.references(data)
    nested = frozenset(key for item in direct for key in codec.references(store.kept[item]))
    assert direct | nested == set(store.kept)


def test_a_missing_shared_value_is_named() -> None:
    store = Store()
    data = Codec(SHARED, store).encode(history())
    store.kept.clear()
    with pytest.raises(CodecError, match=r"stored Checkpoint [0-9a-f]{12} is missing"):
        Codec(SHARED, store).decode(data, History)


@dataclass(frozen=True)
class Unsupported:
    plans: list[Plan] | tuple[Plan, int]


def test_shared_values_in_unsupported_containers_are_refused() -> None:
    with pytest.raises(CodecError, match="cannot hold shared values"):
        Codec(SHARED, Store()).encode(Unsupported([plan()]))


def test_shared_types_need_a_store() -> None:
    with pytest.raises(CodecError, match="need a store"):
        Codec(SHARED)
