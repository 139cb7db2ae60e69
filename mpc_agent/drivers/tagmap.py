"""The tag map and the driver's settings as a configuration file writes them."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    field_validator,
    model_validator,
)

from mpc_agent.drivers.nodes import STANDARD_NAMESPACE, parse_node


def _checked_node(text: str) -> str:
    parse_node(text)
    return text


NodeText = Annotated[str, AfterValidator(_checked_node)]
"""A node: "alias:s=Name", "alias:i=123" or "/alias:Folder/alias:Name"."""

FilePathText = Annotated[Path, Field(strict=False)]
"""A path; its existence is checked when the driver is built."""


class _Section(BaseModel):
    """A part of the configuration: nothing unknown, nothing guessed, nothing infinite."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class ReadTag(_Section):
    """A number that is read.

    Attributes:
        node: where it is.
        unit: the plant's unit, converted to the model's.
        molar_mass_g_per_mol: when the plant gives a mass and the model an amount, or vice versa.
    """

    node: NodeText
    unit: str
    molar_mass_g_per_mol: PositiveFloat | None = None


class MeasuredTag(ReadTag):
    """An online signal.

    Attributes:
        max_age_s: older values are stale.
        uncertain: whether a value of uncertain quality is used.
    """

    max_age_s: PositiveFloat = 900.0
    uncertain: Literal["reject", "accept"] = "reject"


class ReadbackTag(_Section):
    """Where and how a written setpoint is confirmed.

    Attributes:
        node: the node that shows what the plant follows; the setpoint's own when left out.
        tolerance: largest difference that counts as confirmed, in the setpoint's unit, on top of
            the rounding of the node's data type.
        within_s: how long the plant may take, in wall seconds.
    """

    node: NodeText | None = None
    tolerance: NonNegativeFloat = 0.0
    within_s: PositiveFloat = 2.0


class SetpointTag(ReadTag):
    """A setpoint that the agent writes.

    Attributes:
        readback: where it is confirmed, in the same unit.
    """

    readback: ReadbackTag = ReadbackTag()


class DoseTag(_Section):
    """Where the plant shows the latest booking of liquid given or taken by hand, as a volume.

    Attributes:
        node: where it is; its source timestamp is when the liquid was given or taken.
        unit: the plant's unit of the volume, converted to litres.
        what: an input of the model that is a liquid, `water` for what only dilutes, such as
            antifoam, or `withdrawn` for broth taken out, such as samples.
    """

    node: NodeText
    unit: str
    what: str


class InputTag(_Section):
    """An input of the model: what really acts, and what can be asked for.

    Attributes:
        actual: what acts on the plant now, by the plant's own meter.
        setpoint: what the agent writes; None for inputs that it only watches.
    """

    actual: ReadTag | None = None
    setpoint: SetpointTag | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.actual is None and self.setpoint is None:
            raise ValueError("name an actual value, a setpoint, or both")
        return self


class HandshakeTags(_Section):
    """The nodes of permission, lease and sign of life; control needs the first four.

    Attributes:
        remote_enable: the operator permits remote control.
        request: the agent asks for control (a rising edge).
        active: the control unit follows remote setpoints.
        heartbeat: a counter that moves, or a Boolean that changes, when a cycle really finished.
        setpoint_validity: for how many seconds the setpoints written last hold.
        owner: name of the agent that holds the lease.
        watchdog_tripped: the control unit gave up on the agent.
        interlock: text of an interlock that overrides the setpoints.
        clock: the plant's clock.
    """

    remote_enable: NodeText | None = None
    request: NodeText | None = None
    active: NodeText | None = None
    heartbeat: NodeText | None = None
    setpoint_validity: NodeText | None = None
    owner: NodeText | None = None
    watchdog_tripped: NodeText | None = None
    interlock: NodeText | None = None
    clock: NodeText | None = None


class BatchTags(_Section):
    """What the plant knows of the batch.

    Attributes:
        id: its name.
        inoculated_at: when it was inoculated.
    """

    id: NodeText | None = None
    inoculated_at: NodeText | None = None


class TagMapSettings(_Section):
    """All tags: names are those of signals, assays and inputs, nodes and units the plant's.

    Attributes:
        measured: online signals by their names.
        inputs: by name of the model's input.
        assays: lab results by name of the assay; the source timestamp is when the sample
            was drawn, the server timestamp when the result was entered.
        doses: liquid given or taken beside the pumps, by any name: boluses, antifoam, samples.
        handshake: permission, lease and sign of life.
        batch: the plant's batch record.
    """

    measured: dict[str, MeasuredTag] = {}
    inputs: dict[str, InputTag] = {}
    assays: dict[str, ReadTag] = {}
    doses: dict[str, DoseTag] = {}
    handshake: HandshakeTags = HandshakeTags()
    batch: BatchTags = BatchTags()


class SecuritySettings(_Section):
    """How the connection is protected.

    Attributes:
        policy: security policy; "None" is accepted on this machine alone.
        mode: signed and encrypted unless the policy is "None".
        certificate: the agent's own certificate (DER or PEM).
        private_key: its key.
        private_key_password_file: password of the key.
        application_uri: must be the URI in the certificate.
        server_certificate: the plant's certificate; no other is spoken to.
        trusted: folder of trusted certificates (their issuers when not self-signed); the folder of
            `server_certificate` when left out.
        user: name at the plant.
        password_file: file that holds the password alone.
    """

    policy: Literal["None", "Basic256Sha256", "Aes256_Sha256_RsaPss"] = "None"
    mode: Literal["None", "SignAndEncrypt"] | None = None
    certificate: FilePathText | None = None
    private_key: FilePathText | None = None
    private_key_password_file: FilePathText | None = None
    application_uri: str = "urn:mpc-agent"
    server_certificate: FilePathText | None = None
    trusted: FilePathText | None = None
    user: str | None = None
    password_file: FilePathText | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.mode is not None and (self.mode == "None") != (self.policy == "None"):
            raise ValueError(f"mode {self.mode!r} does not go with policy {self.policy!r}")
        if self.policy != "None":
            needed = ("certificate", "private_key", "server_certificate")
            missing = [name for name in needed if getattr(self, name) is None]
            if missing:
                raise ValueError(f"policy {self.policy} also needs {', '.join(missing)}")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        return self


class TimeoutSettings(_Section):
    """How long the plant may take, in wall seconds.

    Attributes:
        connect_s: for one attempt to connect and to find all nodes.
        request_s: for one request.
        scan_s: for one reading of everything; keep it below a quarter of the cycle.
        grant_s: for the control unit to grant a request for control.
        close_s: for giving control up at the end.
        reconnect_first_s: first pause between attempts; it doubles.
        reconnect_max_s: longest pause.
        probe_s: between probes of an otherwise idle connection.
    """

    connect_s: PositiveFloat = 15.0
    request_s: PositiveFloat = 3.0
    scan_s: PositiveFloat = 8.0
    grant_s: PositiveFloat = 2.0
    close_s: PositiveFloat = 2.0
    reconnect_first_s: PositiveFloat = 0.5
    reconnect_max_s: PositiveFloat = 30.0
    probe_s: PositiveFloat = 10.0


class OpcuaSettings(_Section):
    """A bioreactor behind an OPC-UA server.

    Attributes:
        kind: a server on the network.
        endpoint: `opc.tcp://host:port/path`.
        namespaces: namespace URI by the alias that nodes use.
        security: protection; needed unless the server is on this machine.
        owner: name under which the agent holds the plant's lease; "mpc-agent@<host>/<batch>" when
            left out.
        timeouts: how long the plant may take.
        clock_offset_alarm_s: difference between the server's clock and ours that is reported.
    """

    kind: Literal["opcua"]
    endpoint: str
    namespaces: dict[str, str]
    security: SecuritySettings = SecuritySettings()
    owner: str | None = Field(default=None, min_length=1)
    timeouts: TimeoutSettings = TimeoutSettings()
    clock_offset_alarm_s: PositiveFloat = 30.0

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme != "opc.tcp" or not parts.hostname:
            raise ValueError(f"{endpoint!r} is no endpoint: write opc.tcp://host:4840")
        if parts.username or parts.password:
            raise ValueError("an endpoint holds no user or password: use security.user")
        parts.port  # noqa: B018 - raises ValueError when it is no port
        return endpoint

    @field_validator("namespaces")
    @classmethod
    def _aliases_are_free(cls, namespaces: dict[str, str]) -> dict[str, str]:
        if STANDARD_NAMESPACE in namespaces:
            raise ValueError(f"alias {STANDARD_NAMESPACE!r} is the namespace of OPC-UA itself")
        return namespaces

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        if is_loopback(self.endpoint):
            return self
        if self.security.policy == "None":
            raise ValueError(
                f"{self.endpoint} is another machine: set security.policy, certificates and user "
                "(an unprotected connection is accepted on this machine alone)"
            )
        if self.security.user is None:
            raise ValueError(f"{self.endpoint} is another machine: set security.user")
        return self


class SimulatedSettings(_Section):
    """The simulated plant in the agent's own process, on the same tag map.

    Attributes:
        kind: no server: what `mpc-agent simulate` runs.
        owner: name under which the agent holds the plant's lease.
    """

    kind: Literal["simulated"]
    owner: str = Field(default="mpc-agent", min_length=1)


DriverSettings = Annotated[OpcuaSettings | SimulatedSettings, Field(discriminator="kind")]
"""Which plant, chosen by `kind`."""


def is_loopback(endpoint: str) -> bool:
    """Whether an endpoint is on this machine, by its name alone."""
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
