"""Settings of the plant as an OPC-UA server: endpoint, pace and security."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from sim_plant.section import Positive, Section, Ticks


class LockstepPace(Section):
    """Simulated time moves by one step with each heartbeat, as fast as it can, then stands."""

    kind: Literal["lockstep"] = "lockstep"

    step_s: Ticks = 600.0
    """One step: the period of the controller."""

    patience_s: Positive = 30.0
    """Without a heartbeat for this long (wall time) one step is made anyway, so that a dead
    controller is noticed by the watchdog."""

    wait_for_heartbeat: bool = True
    """Stand still until the first heartbeat, however long it takes."""


class SpeedPace(Section):
    """Simulated time runs with wall time, times a factor."""

    kind: Literal["speed"] = "speed"

    factor: Annotated[float, Field(gt=0, le=100_000)] = 1.0


class SecuritySettings(Section):
    """Who may connect, and how."""

    policy: Literal["None", "Basic256Sha256"] = "None"
    """`None` is accepted on the loopback interface only; otherwise signed and encrypted."""

    certificate: Annotated[Path, Field(strict=False)] | None = None
    """The server's certificate (PEM or DER)."""

    private_key: Annotated[Path, Field(strict=False)] | None = None
    """Its private key (PEM)."""

    trusted_clients: Annotated[Path, Field(strict=False)] | None = None
    """Folder with the certificates of the clients that may connect; without one any client with
    user name and password may."""

    user: Annotated[str, Field(min_length=1)] = "mpc-agent"
    """User name of the controller."""

    password_file: Annotated[Path, Field(strict=False)] | None = None
    """File with its password."""

    operator: Annotated[str, Field(min_length=1)] = "operator"
    """User name of the operator, who alone may write `Control.RemoteEnable`."""

    operator_password_file: Annotated[Path, Field(strict=False)] | None = None
    """File with the operator's password; without one nobody is operator over the network."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.policy != "None":
            needed = ("certificate", "private_key", "password_file")
            missing = [name for name in needed if getattr(self, name) is None]
            if missing:
                raise ValueError(f"policy {self.policy} needs {', '.join(missing)}")
        return self


def is_loopback(endpoint: str) -> bool:
    """Whether an endpoint such as `opc.tcp://127.0.0.1:4840/` is reached from this host alone."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_endpoint(endpoint: str, security: SecuritySettings) -> None:
    """Refuse an endpoint that is none, or that would be open to the network without security.

    Raises:
        ValueError: a sentence that says what is wrong.
    """
    parts = urlsplit(endpoint)
    try:
        complete = parts.scheme == "opc.tcp" and bool(parts.hostname) and parts.port is not None
    except ValueError:
        complete = False
    if not complete:
        raise ValueError(f"{endpoint!r} must be like opc.tcp://127.0.0.1:4840/sim-plant/")
    if security.policy == "None" and not is_loopback(endpoint):
        raise ValueError(
            f"{endpoint} can be reached from the network, which security policy None does not "
            "protect: use 127.0.0.1, or policy Basic256Sha256"
        )


class ServerSettings(Section):
    """The plant as an OPC-UA server."""

    endpoint: str = "opc.tcp://127.0.0.1:4840/sim-plant/"
    """Where it listens; port 0 takes any free one."""

    pace: Annotated[LockstepPace | SpeedPace, Field(discriminator="kind")] = LockstepPace()
    """How simulated time moves."""

    security: SecuritySettings = SecuritySettings()

    @model_validator(mode="after")
    def _protected(self) -> Self:
        check_endpoint(self.endpoint, self.security)
        return self
