"""The table of tags as OPC-UA nodes: exact types, ranges and units, values with simulated times."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from asyncua import Server, ua

from sim_plant.tags import NAMESPACE, Access, DataType, Quality, Tag, TagContent, TagValue

VARIANT_TYPES: Final[Mapping[DataType, ua.VariantType]] = {
    DataType.FLOAT: ua.VariantType.Float,
    DataType.DOUBLE: ua.VariantType.Double,
    DataType.UINT32: ua.VariantType.UInt32,
    DataType.BOOLEAN: ua.VariantType.Boolean,
    DataType.STRING: ua.VariantType.String,
    DataType.DATE_TIME: ua.VariantType.DateTime,
}

_EMPTY: Final[Mapping[DataType, TagContent]] = {
    DataType.FLOAT: 0.0,
    DataType.DOUBLE: 0.0,
    DataType.UINT32: 0,
    DataType.BOOLEAN: False,
    DataType.STRING: "",
    DataType.DATE_TIME: 0.0,
}

_UNECE: Final[Mapping[str, str]] = {
    "1": "C62",
    "percent": "P1",
    "mmHg": "HN",
    "kg": "KGM",
    "degC": "CEL",
    "bar": "BAR",
    "W/m^3": "H47",
    "mL/min": "41",
    "L/min": "L2",
    "mmol/L": "M33",
    "mmol/kg": "D87",
    "g/L": "GL",
    "s": "SEC",
    "L/h": "E32",
    "L": "LTR",
    "K": "KEL",
}
"""Common codes of UNECE recommendation 20, by unit; other units have none."""

_UNECE_NAMESPACE = "http://www.opcfoundation.org/UA/units/un/cefact"

_GOOD = ua.StatusCode(ua.StatusCodes.Good)
_UNCERTAIN = ua.StatusCode(ua.StatusCodes.UncertainSensorNotAccurate)
_FAILED = ua.StatusCode(ua.StatusCodes.BadSensorFailure)
_WAITING = ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData)


def instant(time_s: float) -> datetime:
    """UTC seconds as OPC-UA wants them."""
    return datetime.fromtimestamp(time_s, UTC)


def data_value(tag: Tag, value: TagValue) -> ua.DataValue:
    """A tag's value with status and simulated timestamps."""
    if value.quality is Quality.BAD:
        status, content = _WAITING if tag.assay else _FAILED, ua.Variant()
    else:
        status = _GOOD if value.quality is Quality.GOOD else _UNCERTAIN
        content = _variant(tag, value.value)
    return ua.DataValue(
        Value=content,
        StatusCode=status,
        SourceTimestamp=instant(value.sampled_at_s),
        ServerTimestamp=instant(value.entered_at_s),
    )


def _variant(tag: Tag, value: TagContent) -> ua.Variant:
    if tag.data_type is DataType.DATE_TIME and isinstance(value, float):
        return ua.Variant(instant(value), ua.VariantType.DateTime)
    return ua.Variant(value, VARIANT_TYPES[tag.data_type])


class TagNodes:
    """The nodes of all tags below Objects/Bioreactor; their identifiers are the tags' names."""

    def __init__(self, server: Server, table: Mapping[str, Tag], index: int) -> None:
        """Use `build`; this only keeps what belongs together."""
        self._server = server
        self._space = server.iserver.aspace
        self._session = server.iserver.isession
        self._index = index
        self.tags = {ua.NodeId(name, index): tag for name, tag in table.items()}
        self._nodes = {tag.name: node for node, tag in self.tags.items()}

    @classmethod
    async def build(cls, server: Server, table: Mapping[str, Tag]) -> "TagNodes":
        """Add a node for each tag to a server that does not run yet."""
        nodes = cls(server, table, await server.register_namespace(NAMESPACE))
        root = await server.get_objects_node().add_object(
            nodes._id("Bioreactor"), nodes._name("Bioreactor")
        )
        parents: dict[str, ua.NodeId] = {}
        for tag in table.values():
            first, second = tag.name.split(".")
            if first not in parents:
                folder = await root.add_object(nodes._id(first), nodes._name(first))
                parents[first] = folder.nodeid
            await nodes._add_tag(parents[first], second, tag)
        return nodes

    async def publish(self, values: Mapping[str, TagValue]) -> None:
        """Show these values; only what is in the table of tags."""
        for node, tag in self.tags.items():
            await self._space.write_attribute_value(
                node, ua.AttributeIds.Value, data_value(tag, values[tag.name])
            )

    def _id(self, identifier: str) -> ua.NodeId:
        return ua.NodeId(identifier, self._index)

    def _name(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._index)

    async def _add_tag(self, parent: ua.NodeId, name: str, tag: Tag) -> None:
        """One variable, with range and unit when it is an analog value."""
        analog = tag.low is not None and tag.high is not None
        kind = ua.ObjectIds.AnalogItemType if analog else ua.ObjectIds.BaseDataVariableType
        item = ua.AddNodesItem()
        item.ParentNodeId = parent
        item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HasComponent)
        item.RequestedNewNodeId = self._nodes[tag.name]
        item.BrowseName = self._name(name)
        item.NodeClass = ua.NodeClass.Variable
        item.NodeAttributes = _attributes(tag, name)
        item.TypeDefinition = ua.NodeId(kind)
        (result,) = await self._session.add_nodes([item])
        result.StatusCode.check()
        if not analog:
            return
        node = self._server.get_node(result.AddedNodeId)
        await node.add_property(
            self._id(f"{tag.name}.EURange"),
            ua.QualifiedName("EURange", 0),
            ua.Range(tag.low, tag.high),
            datatype=ua.ObjectIds.Range,
        )
        await node.add_property(
            self._id(f"{tag.name}.EngineeringUnits"),
            ua.QualifiedName("EngineeringUnits", 0),
            _engineering_units(tag.unit),
            datatype=ua.ObjectIds.EUInformation,
        )


def _attributes(tag: Tag, name: str) -> ua.VariableAttributes:
    """What a client learns about a variable before it reads it."""
    variant_type = VARIANT_TYPES[tag.data_type]
    reads = ua.AccessLevel.CurrentRead.mask
    writes = reads | ua.AccessLevel.CurrentWrite.mask
    attributes = ua.VariableAttributes()
    attributes.DisplayName = ua.LocalizedText(name)
    attributes.Description = ua.LocalizedText(tag.meaning)
    attributes.DataType = ua.NodeId(variant_type.value)
    attributes.ValueRank = ua.ValueRank.Scalar
    attributes.ArrayDimensions = None
    attributes.Value = _variant(tag, _EMPTY[tag.data_type])
    attributes.AccessLevel = reads if tag.access is Access.READ else writes
    attributes.UserAccessLevel = writes if tag.access is Access.WRITE else reads
    return attributes


def _engineering_units(unit: str) -> ua.EUInformation:
    """A unit with its UNECE code (OPC 10000-8, 5.6.4.3), or by its name alone."""
    code = _UNECE.get(unit)
    information = ua.EUInformation()
    information.DisplayName = ua.LocalizedText(unit)
    information.Description = ua.LocalizedText(unit)
    information.NamespaceUri = _UNECE_NAMESPACE if code else NAMESPACE
    information.UnitId = int.from_bytes(code.encode("ascii"), "big") if code else -1
    return information
