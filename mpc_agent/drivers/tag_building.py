"""From the tag map of a configuration file to the one in use; every fault is found at once."""

from collections import Counter
from collections.abc import Collection, Mapping

from mpc_agent.drivers.nodes import (
    STANDARD_NAMESPACE,
    NodeAddress,
    NodeUse,
    ValueKind,
    parse_node,
)
from mpc_agent.drivers.tagmap import ReadTag, TagMapSettings
from mpc_agent.drivers.tags import Handshake, Setpoint, Signal, TagMap
from mpc_agent.drivers.units import Conversion, UnitMismatchError, conversion
from mpc_agent.errors import ExitCode, UserError
from mpc_agent.values import WATER, WITHDRAWN


class TagMapError(UserError):
    """A tag map that does not fit the model; `faults` lists everything that is wrong."""

    exit_code = ExitCode.CONFIG

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def signal_units(outputs: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, str]:
    """Unit by every name that a tag of a signal or assay may have.

    Args:
        outputs: unit by name of the model's outputs.
        shown: output by name of the signal or assay that shows it; those of outputs that the model
            does not have are left out.
    """
    by_signal = {name: outputs[output] for name, output in shown.items() if output in outputs}
    return {**by_signal, **outputs}


def build_tag_map(
    settings: TagMapSettings,
    outputs: Mapping[str, str],
    inputs: Mapping[str, str],
    namespaces: Collection[str] | None = None,
    liquids: Collection[str] = (),
) -> TagMap:
    """The tag map, with every unit converted to the model's.

    Args:
        settings: as the configuration file writes it.
        outputs: unit by name of the model's outputs, and of signals and assays that have names of
            their own.
        inputs: unit by name of the model's inputs.
        namespaces: aliases that nodes may use; None when the plant knows no namespaces.
        liquids: inputs that add volume, of which doses may be booked besides water and broth.

    Returns:
        The tag map.

    Raises:
        TagMapError: names the model does not have, units that do not fit, unknown aliases, a node
            written for two inputs, doses of what is no liquid; all at once.
    """
    builder = _Builder(namespaces)
    tag_map = TagMap(
        measured=builder.measured(settings, outputs),
        inputs=tuple(
            signal
            for name, tag in settings.inputs.items()
            if tag.actual is not None
            and (signal := builder.signal(f"tags.inputs.{name}.actual", tag.actual, name, inputs))
        ),
        setpoints=builder.setpoints(settings, inputs),
        assays=tuple(
            signal
            for name, tag in settings.assays.items()
            if (signal := builder.signal(f"tags.assays.{name}", tag, name, outputs))
        ),
        handshake=builder.handshake(settings),
        uses=builder.uses,
        doses=builder.doses(settings, liquids),
    )
    builder.check_written_once(tag_map.setpoints)
    if builder.faults:
        raise TagMapError(tuple(builder.faults))
    return tag_map


class _Builder:
    """Collects faults and expectations while the map is put together."""

    def __init__(self, namespaces: Collection[str] | None) -> None:
        self._namespaces = namespaces
        self.faults: list[str] = []
        self.uses: dict[NodeAddress, NodeUse] = {}

    def use(
        self, label: str, text: str, kind: ValueKind, *, writable: bool = False, unit: str = ""
    ) -> NodeAddress:
        """Register what is expected of a node."""
        address = parse_node(text)
        if self._namespaces is not None:
            self.faults.extend(
                f"{label}: alias {alias!r} of {text!r} is not in driver.namespaces "
                f"({', '.join(self._namespaces) or 'none'})"
                for alias in sorted(address.aliases - {STANDARD_NAMESPACE, *self._namespaces})
            )
        known = self.uses.get(address)
        if known is None:
            self.uses[address] = NodeUse(label, kind, writable, unit)
        elif known.kind is not kind:
            self.faults.append(
                f"{label}: {text!r} cannot be {kind} and, for {known.label}, {known.kind}"
            )
        elif known.unit and unit and known.unit != unit:
            self.faults.append(
                f"{label}: {text!r} cannot be in {unit} and, for {known.label}, in {known.unit}"
            )
        elif writable and not known.writable:
            self.uses[address] = NodeUse(label, kind, writable, unit or known.unit)
        return address

    def convert(
        self, label: str, tag: ReadTag, name: str, units: Mapping[str, str]
    ) -> Conversion | None:
        """The tag's conversion, or None and a fault."""
        if name not in units:
            self.faults.append(
                f"{label}: the model has no {name!r}; it has {', '.join(sorted(units))}"
            )
            return None
        try:
            return conversion(label, tag.unit, units[name], tag.molar_mass_g_per_mol)
        except UnitMismatchError as error:
            self.faults.append(str(error))
            return None

    def signal(
        self,
        label: str,
        tag: ReadTag,
        name: str,
        units: Mapping[str, str],
        *,
        max_age_s: float = float("inf"),
        accepts_uncertain: bool = False,
    ) -> Signal | None:
        """A signal, or None and a fault."""
        address = self.use(label, tag.node, ValueKind.NUMBER, unit=tag.unit)
        found = self.convert(label, tag, name, units)
        if found is None:
            return None
        return Signal(name, address, found, units[name], max_age_s, accepts_uncertain)

    def measured(self, settings: TagMapSettings, units: Mapping[str, str]) -> tuple[Signal, ...]:
        """Every online signal that can be used."""
        found = (
            self.signal(
                f"tags.measured.{name}",
                tag,
                name,
                units,
                max_age_s=tag.max_age_s,
                accepts_uncertain=tag.uncertain == "accept",
            )
            for name, tag in settings.measured.items()
        )
        return tuple(signal for signal in found if signal is not None)

    def setpoints(self, settings: TagMapSettings, units: Mapping[str, str]) -> tuple[Setpoint, ...]:
        """Every setpoint that can be used."""
        found = []
        for name, entry in settings.inputs.items():
            tag = entry.setpoint
            if tag is None:
                continue
            label = f"tags.inputs.{name}.setpoint"
            number, unit = ValueKind.NUMBER, tag.unit
            address = self.use(label, tag.node, number, writable=True, unit=unit)
            readback = address
            if tag.readback.node is not None:
                readback = self.use(f"{label}.readback", tag.readback.node, number, unit=unit)
            convert = self.convert(label, tag, name, units)
            if convert is not None:
                tolerance, within_s = tag.readback.tolerance, tag.readback.within_s
                found.append(Setpoint(name, address, convert, readback, tolerance, within_s))
        return tuple(found)

    def doses(self, settings: TagMapSettings, liquids: Collection[str]) -> tuple[Signal, ...]:
        """Every booking that can be counted, named after what is given."""
        known = (*liquids, WATER, WITHDRAWN)
        units = dict.fromkeys(known, "L")
        found = []
        for name, tag in settings.doses.items():
            label = f"tags.doses.{name}"
            if tag.what not in known:
                self.faults.append(
                    f"{label}.what: {tag.what!r} is no liquid; give one of {', '.join(known)}"
                )
                continue
            plain = ReadTag(node=tag.node, unit=tag.unit)
            signal = self.signal(label, plain, tag.what, units)
            if signal is not None:
                found.append(signal)
        return tuple(found)

    def handshake(self, settings: TagMapSettings) -> Handshake:
        """The nodes of the handshake."""

        def node(name: str, kind: ValueKind, *, writable: bool = False) -> NodeAddress | None:
            text = getattr(settings.handshake, name)
            label = f"tags.handshake.{name}"
            return None if text is None else self.use(label, text, kind, writable=writable)

        def batch(name: str, kind: ValueKind) -> NodeAddress | None:
            text = getattr(settings.batch, name)
            return None if text is None else self.use(f"tags.batch.{name}", text, kind)

        return Handshake(
            remote_enable=node("remote_enable", ValueKind.FLAG),
            request=node("request", ValueKind.FLAG, writable=True),
            active=node("active", ValueKind.FLAG),
            heartbeat=node("heartbeat", ValueKind.COUNTER, writable=True),
            setpoint_validity=node("setpoint_validity", ValueKind.NUMBER, writable=True),
            owner=node("owner", ValueKind.TEXT, writable=True),
            watchdog_tripped=node("watchdog_tripped", ValueKind.FLAG),
            interlock=node("interlock", ValueKind.TEXT),
            clock=node("clock", ValueKind.TIME),
            batch_id=batch("id", ValueKind.TEXT),
            inoculated_at=batch("inoculated_at", ValueKind.TIME),
        )

    def check_written_once(self, setpoints: tuple[Setpoint, ...]) -> None:
        """Refuse one node as the setpoint of two inputs."""
        for address, times in Counter(item.address for item in setpoints).items():
            if times > 1:
                names = ", ".join(item.name for item in setpoints if item.address == address)
                self.faults.append(f"tags.inputs: {names} are all written to {address}")
