"""How a configuration names a node of an OPC-UA server, and what the agent expects of it."""

import re
from dataclasses import dataclass
from enum import StrEnum

STANDARD_NAMESPACE = "ua"
"""Alias of the namespace of OPC-UA itself, known without being configured."""

_FORMS = '"alias:s=Name", "alias:i=123", "alias:g=GUID" or a browse path "/alias:Folder/alias:Name"'
_NODE_ID = re.compile(r"(?P<alias>[A-Za-z]\w*):(?P<kind>[sig])=(?P<identifier>.+)", re.DOTALL)
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# One step of a browse path; "&" escapes the next character as in OPC-UA relative paths.
_STEP = re.compile(r"/(?P<alias>[A-Za-z]\w*):(?P<name>(?:&.|[^/&])+)")


class NodeKind(StrEnum):
    """How a node is addressed."""

    STRING = "s"
    NUMERIC = "i"
    GUID = "g"
    PATH = "/"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """One node, by identifier or by browse path from the Objects folder.

    Attributes:
        text: as configured.
        kind: identifier or path.
        steps: (namespace alias, name) pairs; one pair with the identifier unless it is a path.
    """

    text: str
    kind: NodeKind
    steps: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.text

    @property
    def aliases(self) -> frozenset[str]:
        """Aliases of all namespaces named."""
        return frozenset(alias for alias, _ in self.steps)

    @property
    def name(self) -> str:
        """The identifier, or a path's names below its first folder joined by dots.

        Both are the tag's name in a plant whose identifiers mirror its tree, as the simulated
        plant's do.
        """
        if self.kind is NodeKind.PATH:
            return ".".join(name for _, name in self.steps[1:])
        return self.steps[0][1]


def parse_node(text: str) -> NodeAddress:
    """Read a node's address; ValueError says which forms there are."""
    if text.startswith("/"):
        steps = tuple(
            (match["alias"], re.sub(r"&(.)", r"\1", match["name"]))
            for match in _STEP.finditer(text)
        )
        if "".join(match.group() for match in _STEP.finditer(text)) != text:
            raise ValueError(f"{text!r} is no browse path: write {_FORMS}")
        return NodeAddress(text, NodeKind.PATH, steps)
    match = _NODE_ID.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} names no node: write {_FORMS}")
    kind, identifier = NodeKind(match["kind"]), match["identifier"]
    if kind is NodeKind.NUMERIC and not (identifier.isdecimal() and int(identifier) < 2**32):
        raise ValueError(f"{text!r}: a numeric identifier is a whole number below 2^32")
    if kind is NodeKind.GUID and not _GUID.fullmatch(identifier):
        raise ValueError(f"{text!r}: {identifier!r} is no GUID")
    return NodeAddress(text, kind, ((match["alias"], identifier),))


class ValueKind(StrEnum):
    """What sort of value the agent expects at a node."""

    NUMBER = "a number"
    FLAG = "a Boolean"
    COUNTER = "a whole number or a Boolean"
    TEXT = "a String"
    TIME = "a DateTime"


@dataclass(frozen=True, slots=True)
class NodeUse:
    """What the agent does with a node.

    Attributes:
        label: where the configuration names it, for messages.
        kind: what sort of value is expected.
        writable: whether the agent writes it.
        unit: unit of a number as configured; empty when it is not checked.
    """

    label: str
    kind: ValueKind
    writable: bool
    unit: str = ""


@dataclass(frozen=True, slots=True)
class TagFault:
    """A node that is not what the configuration says.

    Attributes:
        label: where the configuration names it.
        reason: what is wrong, in words.
        missing: the node is not there (it may still come); otherwise it is of the wrong sort, and
            control is refused.
    """

    label: str
    reason: str
    missing: bool

    def __str__(self) -> str:
        return f"{self.label}: {self.reason}"
