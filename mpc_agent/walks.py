"""Passing through types that hold shared values somewhere inside, without touching the rest."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

Kind: TypeAlias = Any
"""A type, or what annotations make of types: `tuple[Plan, ...]`, `Plan | None`."""

Plain: TypeAlias = Any
"""What is encoded and decoded in the place of a value."""


class UnsupportedTypeError(TypeError):
    """A type that cannot hold shared values."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How to pass through one type that holds shared values.

    Attributes:
        mirror: the same type with references in the place of shared values.
        outline: from a value to what is encoded.
        restore: from what was decoded, of type `mirror`, to the value.
    """

    mirror: Kind
    outline: Callable[[Any], Plain]
    restore: Callable[[Plain], Any]


Walker: TypeAlias = Callable[[Kind], Walk | None]
"""Gives the walk of a type; None when nothing inside it is shared."""


def through_fields(kind: type, walker: Walker) -> Walk | None:
    """The walk through the fields of a dataclass, whether it is itself shared or not."""
    hints = get_type_hints(kind)
    names = tuple(item.name for item in fields(kind))
    inner = {name: walk for name in names if (walk := walker(hints[name]))}
    if not inner:
        return None

    def outline(value: object) -> Plain:
        parts = {name: getattr(value, name) for name in names}
        return parts | {name: walk.outline(parts[name]) for name, walk in inner.items()}

    def restore(plain: Plain) -> object:
        parts = {name: getattr(plain, name) for name in names}
        return kind(**parts | {name: walk.restore(parts[name]) for name, walk in inner.items()})

    mirrored = hints | {name: walk.mirror for name, walk in inner.items()}
    mirror = msgspec.defstruct(
        kind.__name__,
        [(item.name, mirrored[item.name], *_default(item)) for item in fields(kind)],
        kw_only=True,
    )
    return Walk(mirror, outline, restore)


def _default(item: "Field[Any]") -> tuple[Any, ...]:
    """The default of a dataclass field as `defstruct` takes it; empty when there is none."""
    if item.default_factory is not MISSING:
        return (msgspec.field(default_factory=item.default_factory),)
    if item.default is not MISSING:
        value = item.default
        return (msgspec.field(default_factory=lambda: value),)
    return ()


def through_container(kind: Kind, walker: Walker) -> Walk | None:
    """The walk through `X | None`, `tuple[X, ...]` or `Mapping[K, X]`; None when X shares nothing.

    Raises:
        UnsupportedTypeError: shared values stand anywhere else.
    """
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    walks = [walk for part in parts if (walk := walker(part))]
    if not walks:
        return None
    origin: Kind = get_origin(kind)
    if origin in (Union, types.UnionType):
        if len(walks) == 1 and sorted(part is types.NoneType for part in parts) == [False, True]:
            return _optional(walks[0])
    elif origin is tuple and get_args(kind)[1:] == (Ellipsis,):
        return _tuple(walks[0])
    elif isinstance(origin, type) and issubclass(origin, Mapping) and walker(parts[0]) is None:
        return _mapping(parts[0], walks[0])
    raise UnsupportedTypeError(
        f"{kind} cannot hold shared values: only dataclasses, optional values, tuples of one type "
        "and mappings can"
    )


def _optional(inner: Walk) -> Walk:
    return Walk(
        inner.mirror | None,
        lambda value: None if value is None else inner.outline(value),
        lambda plain: None if plain is None else inner.restore(plain),
    )


def _tuple(inner: Walk) -> Walk:
    return Walk(
        types.GenericAlias(tuple, (inner.mirror, Ellipsis)),
        lambda values: [inner.outline(value) for value in values],
        lambda plain: tuple([inner.restore(value) for value in plain]),
    )


def _mapping(key: Kind, inner: Walk) -> Walk:
    return Walk(
        types.GenericAlias(dict, (key, inner.mirror)),
        lambda values: {name: inner.outline(value) for name, value in values.items()},
        lambda plain: {name: inner.restore(value) for name, value in plain.items()},
    )
