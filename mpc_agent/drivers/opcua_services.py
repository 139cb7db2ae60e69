"""The few OPC-UA services the agent uses, in chunks the server accepts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from asyncua import Client, ua
from asyncua.common import ua_utils

_T = TypeVar("_T")

_UNTOLD = 100
"""Nodes per request when the server does not say how many it takes."""

NodeAttribute = tuple[ua.NodeId, ua.AttributeIds]
BrowsePath = tuple[ua.NodeId, tuple[ua.QualifiedName, ...]]


@dataclass(frozen=True, slots=True)
class OperationLimits:
    """How many nodes one request may name."""

    read: int = _UNTOLD
    write: int = _UNTOLD
    translate: int = _UNTOLD


class Services:
    """Read, write and find nodes over one connection.

    Every method raises what asyncua raises when the connection or the whole request fails; the
    fate of a single node is in the answer.
    """

    def __init__(self, client: Client) -> None:
        """Use `client`, which is connected."""
        self._client = client
        self.limits = OperationLimits()

    async def learn_limits(self) -> None:
        """Ask the server how many nodes one request may name; zero means any number."""
        nodes = [
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite,
            ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
        ]
        # One at a time: the limit may be one.
        told = [(await self.read([(ua.NodeId(node), ua.AttributeIds.Value)]))[0] for node in nodes]
        self.limits = OperationLimits(*(_limit(value) for value in told))

    async def read(self, items: Sequence[NodeAttribute]) -> list[ua.DataValue]:
        """Read attributes with source and server timestamps."""
        values: list[ua.DataValue] = []
        for chunk in _chunks(items, self.limits.read):
            parameters = ua.ReadParameters(
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                NodesToRead=[
                    ua.ReadValueId(NodeId=node, AttributeId=attribute) for node, attribute in chunk
                ],
            )
            values += _complete(await self._client.uaclient.read(parameters), chunk)
        return values

    async def write(self, items: Sequence[tuple[ua.NodeId, ua.Variant]]) -> list[ua.StatusCode]:
        """Write values, without timestamps, which many control units refuse."""
        codes: list[ua.StatusCode] = []
        for chunk in _chunks(items, self.limits.write):
            parameters = ua.WriteParameters(
                NodesToWrite=[
                    ua.WriteValue(
                        NodeId=node, AttributeId=ua.AttributeIds.Value, Value=ua.DataValue(value)
                    )
                    for node, value in chunk
                ]
            )
            codes += _complete(await self._client.uaclient.write(parameters), chunk)
        return codes

    async def translate(self, paths: Sequence[BrowsePath]) -> list[ua.NodeId | None]:
        """Find nodes by browse path; None for one that is not there or not unique."""
        found: list[ua.NodeId | None] = []
        for chunk in _chunks(paths, self.limits.translate):
            browse_paths = [_browse_path(start, names) for start, names in chunk]
            results = await self._client.uaclient.translate_browsepaths_to_nodeids(browse_paths)
            for result in _complete(results, chunk):
                unique = result.StatusCode.value == 0 and len(result.Targets) == 1
                found.append(result.Targets[0].TargetId if unique else None)
        return found

    async def data_type(self, node: ua.NodeId) -> str:
        """Name of the built-in type behind a data type; "Variant" for an abstract one."""
        try:
            variant = await ua_utils.data_type_to_variant_type(self._client.get_node(node))
        except ua.UaError:
            return "of an unknown type"
        return str(variant.name)


def _browse_path(start: ua.NodeId, names: Sequence[ua.QualifiedName]) -> ua.BrowsePath:
    """A path along hierarchical references."""
    elements = [
        ua.RelativePathElement(
            ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
            IsInverse=False,
            IncludeSubtypes=True,
            TargetName=name,
        )
        for name in names
    ]
    return ua.BrowsePath(StartingNode=start, RelativePath=ua.RelativePath(Elements=elements))


def _limit(value: ua.DataValue) -> int:
    """A limit as the server tells it."""
    told = value.Value.Value if value.Value is not None else None
    if isinstance(told, int) and told > 0:
        return told
    return _UNTOLD


def _chunks(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """Pieces of at most `size` items."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _complete(answers: Sequence[_T], questions: Sequence[object]) -> Sequence[_T]:
    """The answers, if there is one for each question."""
    if len(answers) != len(questions):
        raise ua.UaError(f"the server gave {len(answers)} answers to {len(questions)} questions")
    return answers
