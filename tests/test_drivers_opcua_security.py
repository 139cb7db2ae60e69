"""Encryption, trust and users, against servers that really ask for them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpc_agent.drivers.opcua import OpcuaDriver
from mpc_agent.drivers.opcua_security import load_credentials
from mpc_agent.drivers.tagmap import SecuritySettings
from mpc_agent.errors import ExitCode, NoInputError, UserError
from sim_plant.server import PlantServer
from sim_plant.settings import PlantSettings
from tests.examples_drivers import (
    SIM_PLANT,
    TAGS,
    VENDOR_TAGS,
    VendorServer,
    free_port,
    opcua_settings,
    setpoints,
    tag_map,
)

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key on disk."""

    certificate: Path
    key: Path


def make_identity(
    folder: Path, name: str, uri: str, *, server: bool = False, expired: bool = False
) -> Identity:
    """A self-signed application certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=-1 if expired else 30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, True, True, True, False, False, False, False, False), True
        )
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity(folder / f"{name}.der", folder / f"{name}.key.pem")
    identity.certificate.write_bytes(certificate.public_bytes(Encoding.DER))
    identity.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return identity


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Identities of the agent, the plant, a plant that let its own expire, and a stranger."""
    folder = tmp_path_factory.mktemp("pki")
    make_identity(folder / "agent", "agent", "urn:mpc-agent")
    make_identity(folder / "plant", "plant", "urn:vendor:server", server=True)
    make_identity(folder / "expired", "plant", "urn:vendor:server", server=True, expired=True)
    make_identity(folder / "stranger", "plant", "urn:vendor:server", server=True)
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "wrong").write_text("battery staple\n")
    return folder


def _secured(pki: Path, plant: str) -> Callable[[Server], Awaitable[None]]:
    """Sets up a server with the identity in this folder, both policies and one user."""

    class Users:
        def get_user(self, _: Any, username: str = "", password: str = "", **__: Any) -> Any:
            right = (username, password) == ("mpc", PASSWORD)
            return User(role=UserRole.User, name=username) if right else None

    async def secure(server: Server) -> None:
        await server.set_application_uri("urn:vendor:server")
        await server.load_certificate(pki / plant / "plant.der")
        await server.load_private_key(pki / plant / "plant.key.pem")
        server.set_security_policy(
            [
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        )
        server.set_identity_tokens([ua.UserNameIdentityToken])
        server.iserver.user_manager = Users()

    return secure


def _security(pki: Path, **change: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "policy": "Basic256Sha256",
        "mode": "SignAndEncrypt",
        "certificate": pki / "agent" / "agent.der",
        "private_key": pki / "agent" / "agent.key.pem",
        "server_certificate": pki / "plant" / "plant.der",
        "user": "mpc",
        "password_file": pki / "password",
    }
    return {**settings, **change}


def _driver(server: VendorServer, security: dict[str, Any]) -> OpcuaDriver:
    settings = opcua_settings(server.endpoint, VendorServer.NAMESPACE, security=security)
    return OpcuaDriver(settings, tag_map(VENDOR_TAGS), now_s=lambda: 1e9)


async def test_protected_connections_are_made_with_the_right_plant_alone(
    pki: Path, tmp_path: Path
) -> None:
    for name in ("plant", "stranger"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.der").write_bytes((pki / name / "plant.der").read_bytes())
    async with VendorServer(free_port(), secure=_secured(pki, "plant")) as server:
        for change, trouble in (
            ({}, None),
            ({"policy": "Aes256_Sha256_RsaPss", "trusted": tmp_path / "plant"}, None),
            ({"server_certificate": pki / "stranger" / "plant.der"}, "server_certificate"),
            ({"trusted": tmp_path / "stranger"}, "BadCertificateUntrusted"),
            ({"password_file": pki / "wrong"}, "BadUserAccessDenied"),
        ):
            driver = _driver(server, _security(pki, **change))
            readings = await driver.read()
            message = readings.status.message
            assert readings.status.connected == (trouble is None), message
            if trouble is None:
                assert readings.measured["dissolved_oxygen"].value == 40.0
            else:
                assert trouble in message
            await driver.close()


async def test_an_expired_certificate_is_refused_although_it_is_pinned(pki: Path) -> None:
    async with VendorServer(free_port(), secure=_secured(pki, "expired")) as server:
        security = _security(pki, server_certificate=pki / "expired" / "plant.der")
        driver = _driver(server, security)
        status = (await driver.read()).status
        assert not status.connected
        assert "BadCertificateTimeInvalid" in status.message
        await driver.close()


async def test_the_simulated_plant_can_be_protected_too(pki: Path) -> None:
    settings = PlantSettings.model_validate(
        {
            "server": {
                "security": {
                    "policy": "Basic256Sha256",
                    "certificate": pki / "plant" / "plant.der",
                    "private_key": pki / "plant" / "plant.key.pem",
                    "user": "mpc",
                    "password_file": pki / "password",
                }
            }
        }
    )
    async with PlantServer(settings, "opc.tcp://127.0.0.1:0/") as server:
        driver = OpcuaDriver(
            opcua_settings(server.endpoint, SIM_PLANT, security=_security(pki)), tag_map(TAGS), None
        )
        readings = await driver.read()
        assert readings.status.connected, readings.status.message
        await driver.request(True)
        assert (await driver.write(setpoints({"glucose_feed": 1.0}))).confirmed
        await driver.close()
        assert server.plant.tag("Control.Active").value is False


def _load(security: dict[str, Any]) -> None:
    load_credentials(SecuritySettings.model_validate(security))


def test_certificates_tell_when_they_expire(pki: Path) -> None:
    credentials = load_credentials(SecuritySettings.model_validate(_security(pki)))
    expiries = credentials.expiries_s()
    assert set(expiries) == {"client", "server"}
    month_s = 30 * 86400.0
    for expiry in expiries.values():
        assert expiry == pytest.approx(datetime.now(UTC).timestamp() + month_s, abs=3600.0)
    assert PASSWORD not in repr(credentials)


def test_a_key_may_have_a_password(pki: Path, tmp_path: Path) -> None:
    identity = make_identity(tmp_path, "locked", "urn:mpc-agent")
    key = load_pem_private_key(identity.key.read_bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode())
    )
    identity.key.write_bytes(locked)
    own = {"certificate": identity.certificate, "private_key": identity.key}
    with pytest.raises(UserError, match="private_key: cannot be used"):
        _load(_security(pki, **own))
    _load(_security(pki, **own, private_key_password_file=pki / "password"))


def test_files_that_are_missing_or_wrong_are_refused_with_words(pki: Path, tmp_path: Path) -> None:
    garbage, empty, binary = tmp_path / "garbage", tmp_path / "empty", tmp_path / "binary"
    garbage.write_text("nothing of use")
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    missing = tmp_path / "missing"
    for change, message in (
        ({"certificate": missing}, r"security\.certificate: cannot read"),
        ({"certificate": garbage}, r"security\.certificate: not a certificate"),
        ({"server_certificate": garbage}, r"security\.server_certificate: not a certificate"),
        ({"private_key": garbage}, r"security\.private_key: cannot be used"),
        ({"private_key": pki / "plant" / "plant.key.pem"}, "does not belong"),
        ({"application_uri": "urn:somebody:else"}, "it has 'urn:mpc-agent'"),
        ({"password_file": missing}, r"security\.password_file: cannot read"),
        ({"password_file": empty}, "is empty"),
        ({"password_file": binary}, "is not a text file"),
        ({"trusted": tmp_path / "folder"}, "holds no .der or .pem"),
        ({"trusted": missing}, r"security\.trusted: cannot read"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            _load(_security(pki, **change))
        kind = ExitCode.NO_INPUT if "cannot read" in message else ExitCode.CONFIG
        assert caught.value.exit_code is kind
        assert isinstance(caught.value, NoInputError) == (kind is ExitCode.NO_INPUT)
