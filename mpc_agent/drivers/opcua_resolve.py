"""From configured addresses to nodes that are there, of the right type, and may be written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from asyncua import ua

from mpc_agent.drivers.casting import mismatch
from mpc_agent.drivers.nodes import (
    STANDARD_NAMESPACE,
    NodeAddress,
    NodeKind,
    NodeUse,
    TagFault,
    ValueKind,
)
from mpc_agent.drivers.opcua_services import Services
from mpc_agent.drivers.opcua_units import unit_mismatch

_SCALAR_RANKS = (-1, -2, -3)
"""Value ranks that admit a single value: scalar, any, scalar or one dimension."""


@dataclass(frozen=True, slots=True)
class ResolvedNode:
    """A node as the server has it now.

    Attributes:
        node: its identifier on this server, in this run.
        data_type: name of the built-in type of its values.
        range: identifier of its EURange property, of written numbers that have one.
    """

    node: ua.NodeId
    data_type: str
    range: ua.NodeId | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Nodes found, and what is wrong with the others."""

    nodes: Mapping[NodeAddress, ResolvedNode]
    faults: Mapping[NodeAddress, TagFault]


async def resolve(
    services: Services, indices: Mapping[str, int], uses: Mapping[NodeAddress, NodeUse]
) -> Resolution:
    """Find nodes and judge them.

    Args:
        services: connection to the server.
        indices: namespace index by alias, as of this connection.
        uses: what is expected of each node.

    Returns:
        Nodes to read and write. A node of the wrong type is a fault; so is one that is missing.
    """
    found = await _find(services, indices, list(uses))
    attributes = await _attributes(services, list(found.values()))
    nodes: dict[NodeAddress, ResolvedNode] = {}
    faults = {
        address: TagFault(use.label, f"the server has no node {address}", missing=True)
        for address, use in uses.items()
        if address not in found
    }
    for (address, node), described in zip(found.items(), attributes, strict=True):
        use = uses[address]
        if described.missing:
            reason = f"the server has no node {address}"
            faults[address] = TagFault(use.label, reason, missing=True)
        elif reason := _mismatch(use, described):
            faults[address] = TagFault(use.label, f"node {address} {reason}", missing=False)
        else:
            nodes[address] = ResolvedNode(node, described.data_type)
    for address, reason in (await _unit_mismatches(services, nodes, uses)).items():
        faults[address] = TagFault(uses[address].label, f"node {address} {reason}", missing=False)
        del nodes[address]
    return Resolution(await _with_ranges(services, nodes, uses), faults)


def node_id(address: NodeAddress, indices: Mapping[str, int]) -> ua.NodeId:
    """The identifier of a node that is not addressed by path."""
    ((alias, identifier),) = address.steps
    if address.kind is NodeKind.NUMERIC:
        return ua.NodeId(int(identifier), indices[alias])
    value = UUID(identifier) if address.kind is NodeKind.GUID else identifier
    return ua.NodeId(value, indices[alias])


async def _find(
    services: Services, indices: Mapping[str, int], addresses: list[NodeAddress]
) -> dict[NodeAddress, ua.NodeId]:
    """Identifiers of all nodes; paths that lead nowhere are left out."""
    paths = [address for address in addresses if address.kind is NodeKind.PATH]
    objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    targets = await services.translate(
        [
            (objects, tuple(ua.QualifiedName(name, indices[alias]) for alias, name in path.steps))
            for path in paths
        ]
    )
    by_path = dict(zip(paths, targets, strict=True))
    found = {}
    for address in addresses:
        node = by_path[address] if address in by_path else node_id(address, indices)
        if node is not None:
            found[address] = node
    return found


@dataclass(frozen=True, slots=True)
class _Described:
    """What the server says of a node."""

    missing: bool
    variable: bool
    data_type: str
    rank: int
    readable: bool
    writable: bool


async def _attributes(services: Services, nodes: list[ua.NodeId]) -> list[_Described]:
    """Type, rank and access of nodes, each data type looked up once."""
    wanted = (
        ua.AttributeIds.NodeClass,
        ua.AttributeIds.DataType,
        ua.AttributeIds.ValueRank,
        ua.AttributeIds.UserAccessLevel,
    )
    answers = await services.read([(node, attribute) for node in nodes for attribute in wanted])
    names: dict[ua.NodeId, str] = {}
    described = []
    for start in range(0, len(answers), len(wanted)):
        node_class, data_type, rank, access = (
            _good(answer) for answer in answers[start : start + len(wanted)]
        )
        if isinstance(data_type, ua.NodeId) and data_type not in names:
            names[data_type] = await services.data_type(data_type)
        level = access if isinstance(access, int) else _ANY_ACCESS
        described.append(
            _Described(
                missing=node_class is None,
                variable=node_class == ua.NodeClass.Variable,
                data_type=names.get(data_type, "nothing"),
                rank=rank if isinstance(rank, int) else -1,
                readable=bool(level & 1 << ua.AccessLevel.CurrentRead),
                writable=bool(level & 1 << ua.AccessLevel.CurrentWrite),
            )
        )
    return described


_ANY_ACCESS = 0xFF
"""Access of a node on a server that does not tell: a refused write will."""


def _good(answer: ua.DataValue) -> object:
    """The value of an attribute, or None."""
    if answer.StatusCode is not None and not answer.StatusCode.is_good():
        return None
    return answer.Value.Value if answer.Value is not None else None


def _mismatch(use: NodeUse, node: _Described) -> str:
    """How a node differs from what is expected of it, else empty."""
    if not node.variable:
        return "is no variable"
    if reason := mismatch(use, node.data_type):
        return reason
    if node.rank not in _SCALAR_RANKS:
        return f"is an array, but {use.kind} is expected"
    if not node.readable:
        return "may not be read by this user"
    if use.writable and not node.writable:
        return "may not be written by this user"
    return ""


async def _unit_mismatches(
    services: Services,
    nodes: Mapping[NodeAddress, ResolvedNode],
    uses: Mapping[NodeAddress, NodeUse],
) -> dict[NodeAddress, str]:
    """Nodes whose EngineeringUnits contradict the configuration, and how."""
    wanted = [address for address in nodes if uses[address].unit]
    name = (ua.QualifiedName("EngineeringUnits", 0),)
    targets = await services.translate([(nodes[address].node, name) for address in wanted])
    told = {a: node for a, node in zip(wanted, targets, strict=True) if node is not None}
    answers = await services.read([(node, ua.AttributeIds.Value) for node in told.values()])
    found = {
        address: unit_mismatch(uses[address].unit, answer)
        for address, answer in zip(told, answers, strict=True)
    }
    return {address: reason for address, reason in found.items() if reason}


async def _with_ranges(
    services: Services,
    nodes: Mapping[NodeAddress, ResolvedNode],
    uses: Mapping[NodeAddress, NodeUse],
) -> Mapping[NodeAddress, ResolvedNode]:
    """The nodes, with the EURange property of those that are written numbers."""
    written = [
        address
        for address in nodes
        if uses[address].writable and uses[address].kind is ValueKind.NUMBER
    ]
    name = (ua.QualifiedName("EURange", 0),)
    targets = await services.translate([(nodes[address].node, name) for address in written])
    ranged = dict(zip(written, targets, strict=True))
    return {
        address: ResolvedNode(node.node, node.data_type, ranged.get(address))
        for address, node in nodes.items()
    }


def read_range(answer: ua.DataValue) -> tuple[float, float] | None:
    """A range as the server has it; None when it is none."""
    value = _good(answer)
    low, high = getattr(value, "Low", None), getattr(value, "High", None)
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    return float(low), float(high)


def namespace_indices(uris: object, wanted: Mapping[str, str]) -> dict[str, int]:
    """Index of each namespace on this server; LookupError names those it does not have."""
    known = list(uris) if isinstance(uris, list) else []
    missing = [f"{uri!r} ({alias})" for alias, uri in wanted.items() if uri not in known]
    if missing:
        raise LookupError(
            f"the server has no namespace {', '.join(missing)}; is it the right server? "
            f"It has {', '.join(repr(uri) for uri in known) or 'none'}"
        )
    return {STANDARD_NAMESPACE: 0} | {alias: known.index(uri) for alias, uri in wanted.items()}
