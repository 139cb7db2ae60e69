"""Values of the record as bytes, and back, bit for bit.

Frozen dataclasses become MessagePack maps by field name, so that a file can still be read when a
field with a default has been added. Arrays become element type, order, shape and little-endian
bytes: NaN, signed zeros and the memory order that decides how sums are rounded all survive.

Values that repeat from cycle to cycle (checkpoints of the filter, plans) are *shared*: a dataclass
type named as shared is stored once, under the SHA-256 of its bytes, and only that key stands in the
bytes of the values that hold it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any, Protocol, TypeVar, cast, get_origin

import msgspec
import numpy as np
from msgspec.msgpack import Ext

from mpc_agent.walks import Kind, Plain, Walk, through_container, through_fields

T = TypeVar("T")

REFERENCE = 1
"""MessagePack extension code of the key of a shared value."""

_ELEMENTS = ("<f8", "<i8", "|b1")
_REMEMBERED = 1024


class CodecError(ValueError):
    """A value that has no place in the record, or bytes that are not the value they should be."""


class Blobs(Protocol):
    """A store in which bytes are found by their SHA-256."""

    def put(self, data: bytes) -> bytes:
        """Keep the bytes; gives their key."""
        ...

    def get(self, key: bytes) -> bytes:
        """The bytes of a key; KeyError when there are none."""
        ...


def key_of(data: bytes) -> bytes:
    """The key under which bytes are shared: their SHA-256."""
    return hashlib.sha256(data).digest()


class _NoBlobs:
    """The store of a codec that shares nothing."""

    def put(self, data: bytes) -> bytes:
        """Keep nothing."""
        return key_of(data)

    def get(self, key: bytes) -> bytes:
        """There is never anything."""
        raise KeyError(key)


class Codec:
    """Encodes and decodes values, keeping the shared ones apart.

    It remembers the shared objects it met last, so that an object which is still part of the next
    value costs neither encoding nor hashing again. Values are taken as frozen, arrays included;
    decoded arrays cannot be written to.

    Attributes:
        shared: dataclass types that are stored once and referred to.
    """

    def __init__(self, shared: Iterable[type] = (), blobs: Blobs | None = None) -> None:
        self.shared = frozenset(shared)
        if self.shared and blobs is None:
            raise CodecError("shared types need a store for their bytes")
        self._blobs: Blobs = blobs or _NoBlobs()
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_simpler)
        self._decoders: dict[Kind, msgspec.msgpack.Decoder[Any]] = {}
        self._walks: dict[Kind, Walk | None] = {}
        self._contents: dict[type, Walk | None] = {}
        self._keys: OrderedDict[int, tuple[object, bytes]] = OrderedDict()
        self._values: OrderedDict[tuple[type, bytes], object] = OrderedDict()

    def encode(self, value: object, kind: Kind = None) -> bytes:
        """Bytes of a value.

        Args:
            value: a dataclass, array, mapping, tuple, enumeration or plain value.
            kind: its type, such as `Mapping[str, Plan]`; needed only for containers of shared
                values.

        Raises:
            CodecError: something in it has no place in the record.
        """
        try:
            walk = self._walk(type(value) if kind is None else kind)
            return self._encoder.encode(walk.outline(value) if walk else value)
        except TypeError as error:
            raise CodecError(f"{type(value).__name__} cannot be recorded: {error}") from error

    def decode(self, data: bytes, kind: type[T]) -> T:
        """The value of type `kind` that these bytes were made from.

        Raises:
            CodecError: the bytes are damaged, or were made from another type.
        """
        try:
            return cast(T, self._decode(data, kind, self._walk(kind)))
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            name = getattr(kind, "__name__", str(kind))
            raise CodecError(f"these bytes are no {name}: {error}") from error

    def forget(self) -> None:
        """Forget what was stored already: after a write that was taken back."""
        self._keys.clear()

    def _decode(self, data: bytes, kind: Kind, walk: Walk | None) -> object:
        wanted = walk.mirror if walk else kind
        if wanted not in self._decoders:
            self._decoders[wanted] = msgspec.msgpack.Decoder(wanted, dec_hook=_array)
        plain: Plain = self._decoders[wanted].decode(data)
        return walk.restore(plain) if walk else plain

    def _walk(self, kind: Kind) -> Walk | None:
        """How to pass through `kind`; None when nothing in it is shared."""
        if not self.shared:
            return None
        if kind in self.shared:
            return Walk(Ext, self._store, lambda reference: self._load(reference, kind))
        if kind not in self._walks:
            through = through_fields if is_dataclass(kind) else through_container
            self._walks[kind] = through(kind, self._walk)
        return self._walks[kind]

    def _content(self, kind: type) -> Walk | None:
        """How to pass through what a shared type holds."""
        if kind not in self._contents:
            self._contents[kind] = through_fields(kind, self._walk)
        return self._contents[kind]

    def _store(self, value: object) -> Ext:
        """Reference to a shared value, its bytes stored on the way."""
        known = self._keys.get(id(value))
        if known is not None:
            self._keys.move_to_end(id(value))
            return Ext(REFERENCE, known[1])
        content = self._content(type(value))
        key = self._blobs.put(self._encoder.encode(content.outline(value) if content else value))
        self._remember(value, key)
        return Ext(REFERENCE, key)

    def _load(self, reference: Ext, kind: type) -> object:
        """The shared value that a reference names; the same object as long as it is remembered."""
        key = bytes(reference.data)
        if (kind, key) in self._values:
            self._values.move_to_end((kind, key))
            return self._values[kind, key]
        try:
            data = self._blobs.get(key)
        except KeyError as error:
            raise CodecError(f"the stored {kind.__name__} {key.hex()[:12]} is missing") from error
        value = self._decode(data, kind, self._content(kind))
        self._values[kind, key] = value
        if len(self._values) > _REMEMBERED:
            self._values.popitem(last=False)
        self._remember(value, key)
        return value

    def _remember(self, value: object, key: bytes) -> None:
        # The object is held, so that its id cannot come to mean another one.
        self._keys[id(value)] = (value, key)
        if len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)


def _simpler(value: object) -> Plain:
    """What stands for a value that MessagePack does not know."""
    if isinstance(value, np.ndarray):
        element = value.dtype.newbyteorder("<").str
        if element not in _ELEMENTS:
            raise TypeError(f"arrays of {value.dtype} have no place in the record")
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        little_endian = value.astype(element, copy=False)
        if fortran:
            return [element, "F", value.shape, little_endian.tobytes("F")]
        return [element, "C", value.shape, little_endian.tobytes("C")]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"values of type {type(value).__name__} have no place in the record")


def _array(kind: Kind, plain: Plain) -> object:
    """The array that `_simpler` took apart; refuses to make anything else."""
    origin: Kind = get_origin(kind)
    if np.ndarray not in (kind, origin):
        raise TypeError(f"values of type {kind} have no place in the record")
    element, order, shape, data = plain
    if element not in _ELEMENTS:
        raise ValueError(f"unknown array element {element!r}")
    return np.frombuffer(data, dtype=np.dtype(element)).reshape(shape, order=order)


def references(data: bytes) -> frozenset[bytes]:
    """Keys of all shared values that encoded bytes refer to directly.

    Raises:
        CodecError: the bytes are damaged.
    """
    found: set[bytes] = set()

    def collect(code: int, key: memoryview) -> None:
        if code == REFERENCE:
            found.add(bytes(key))

    try:
        msgspec.msgpack.decode(data, ext_hook=collect)
    except (msgspec.DecodeError, ValueError) as error:
        raise CodecError(str(error)) from error
    return frozenset(found)


_PLAIN = Codec()


def encode(value: object) -> bytes:
    """Bytes of a value, nothing shared; see `Codec.encode`."""
    return _PLAIN.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """The value of type `kind` that `encode` made these bytes from; see `Codec.decode`."""
    return _PLAIN.decode(data, kind)


def plain(value: object) -> Plain:
    """The value as people read it: dictionaries, lists, text, numbers; arrays as nested lists."""

    def simpler(item: object) -> Plain:
        return item.tolist() if isinstance(item, np.ndarray) else _simpler(item)

    return msgspec.to_builtins(value, enc_hook=simpler, str_keys=True)


def to_json(value: object, indent: int = 0) -> str:
    """The plain form as JSON text; numbers that are not finite become null."""
    data = msgspec.json.encode(plain(value))
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()
