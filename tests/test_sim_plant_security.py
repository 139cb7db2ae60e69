import asyncio
from pathlib import Path

import pytest
from asyncua import Client, Server, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography.x509.oid import ExtendedKeyUsageOID

from sim_plant.errors import PlantError
from sim_plant.security import read_users, secure
from sim_plant.server import PlantServer
from sim_plant.server_settings import SecuritySettings, ServerSettings
from sim_plant.services import Users
from sim_plant.settings import PlantSettings
from sim_plant.tags import NAMESPACE

SERVER_URI = "urn:test:plant"
CLIENT_URI = "urn:test:agent"


async def certificate(folder: Path, name: str, uri: str, server: bool) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    key, cert = folder.parent / f"{name}_key.pem", folder / f"{name}.der"
    await setup_self_signed_certificate(key, cert, uri, "localhost", [usage], {"commonName": name})
    return cert, key


def make_folders(tmp_path: Path) -> None:
    for folder in ("own", "trusted", "strange", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "agent.txt").write_text("secret\n")
    (tmp_path / "operator.txt").write_text("other\n")


async def secured(tmp_path: Path, trusted: Path | None = None) -> PlantSettings:
    make_folders(tmp_path)
    cert, key = await certificate(tmp_path / "own", "plant", SERVER_URI, server=True)
    return PlantSettings(
        server=ServerSettings(
            endpoint="opc.tcp://127.0.0.1:0/sim-plant/",
            security=SecuritySettings(
                policy="Basic256Sha256",
                certificate=cert,
                private_key=key,
                trusted_clients=trusted,
                user="agent",
                password_file=tmp_path / "agent.txt",
                operator_password_file=tmp_path / "operator.txt",
            ),
        )
    )


async def client_of(
    server: PlantServer, tmp_path: Path, cert: Path, key: Path, user: str, password: str
) -> Client:
    client = Client(server.endpoint, timeout=4)
    client.application_uri = CLIENT_URI
    client.set_user(user)
    client.set_password(password)
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        str(cert),
        str(key),
        server_certificate=str(tmp_path / "own" / "plant.der"),
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    return client


async def test_only_known_clients_and_users_come_in(tmp_path: Path) -> None:
    settings = await secured(tmp_path, trusted=tmp_path / "trusted")
    cert, key = await certificate(tmp_path / "trusted", "agent", CLIENT_URI, server=False)
    stranger, stranger_key = await certificate(
        tmp_path / "strange", "stranger", CLIENT_URI, server=False
    )
    async with PlantServer(settings) as server:
        good = await client_of(server, tmp_path, cert, key, "agent", "secret")
        async with good:
            index = await good.get_namespace_index(NAMESPACE)
            node = good.get_node(ua.NodeId("Control.RemoteEnable", index))
            assert await node.read_value() is True
            assert await write(good, node.nodeid, False) == ua.StatusCodes.BadUserAccessDenied
        operator = await client_of(server, tmp_path, cert, key, "operator", "other")
        async with operator:
            assert await write(operator, node.nodeid, False) == 0
        for refused in (
            await client_of(server, tmp_path, cert, key, "agent", "wrong"),
            await client_of(server, tmp_path, cert, key, "admin", "secret"),
            await client_of(server, tmp_path, stranger, stranger_key, "agent", "secret"),
            Client(server.endpoint, timeout=4),
        ):
            with pytest.raises((ua.UaError, asyncio.TimeoutError, OSError)):
                await refused.connect()


async def write(client: Client, node: ua.NodeId, value: bool) -> int:
    item = ua.WriteValue(
        NodeId=node,
        AttributeId=ua.AttributeIds.Value,
        Value=ua.DataValue(ua.Variant(value, ua.VariantType.Boolean)),
    )
    (answer,) = await client.uaclient.write(ua.WriteParameters(NodesToWrite=[item]))
    code: int = answer.value
    return code


async def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    settings = await secured(tmp_path)
    security = settings.server.security
    (tmp_path / "junk").write_text("junk")
    (tmp_path / "blank").write_text(" \n")
    cases = {
        "certificate": (tmp_path / "junk", "cannot use .*junk"),
        "private_key": (tmp_path / "none", "cannot use .*none: No such file"),
        "password_file": (tmp_path / "blank", "blank is empty"),
        "operator_password_file": (tmp_path / "none", "cannot read the password file .*none"),
        "trusted_clients": (tmp_path / "empty", "no certificate of a client can be read"),
    }
    for name, (path, message) in cases.items():
        wrong = security.model_copy(update={name: path})
        with pytest.raises(PlantError, match=message):
            await secure(Server(user_manager=read_users(wrong)), wrong)


def test_sessions_are_told_apart_and_passwords_compared() -> None:
    users = Users({"agent": "secret"}, "operator")
    assert users.get_user(None, "agent", "wrong") is None
    assert users.get_user(None, None, None) is None
    one = users.get_user(None, "agent", "secret")
    two = users.get_user(None, "agent", "secret")
    assert one is not None
    assert two is not None
    assert one.connection != two.connection
    assert not one.operator
