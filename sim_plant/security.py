"""Who may connect to the plant's server: certificates, users, or the loopback interface alone."""

from pathlib import Path
from typing import Final

from asyncua import Server, ua
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from cryptography import x509

from sim_plant.errors import PlantError
from sim_plant.server_settings import SecuritySettings
from sim_plant.services import Users

APPLICATION_URI: Final = "urn:mpc-agent:sim-plant:server"
"""Name of the server when it has no certificate that says another."""


def read_users(settings: SecuritySettings) -> Users:
    """The users of this server.

    Raises:
        PlantError: a password file cannot be read or is empty.
    """
    if settings.policy == "None":
        return Users(None, settings.operator)
    passwords = {}
    for user, path in (
        (settings.user, settings.password_file),
        (settings.operator, settings.operator_password_file),
    ):
        if path is not None:
            passwords[user] = _password(path)
    return Users(passwords, settings.operator)


def _password(path: Path) -> str:
    try:
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise PlantError(f"cannot read the password file {path}: {_reason(error)}") from None
    if not password:
        raise PlantError(f"the password file {path} is empty")
    return password


async def secure(server: Server, settings: SecuritySettings) -> None:
    """Set policies, identity tokens and certificates of a server that does not run yet.

    Raises:
        PlantError: a certificate, key or folder cannot be used.
    """
    server.allow_remote_admin(False)
    if settings.policy == "None":
        await server.set_application_uri(APPLICATION_URI)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken, ua.UserNameIdentityToken])
        return
    assert settings.certificate is not None, "the settings were checked"
    assert settings.private_key is not None, "the settings were checked"
    uri = _application_uri(settings.certificate)
    try:
        await server.load_certificate(settings.certificate)
    except (OSError, ValueError) as error:
        raise PlantError(_unusable(settings.certificate, error)) from None
    try:
        await server.load_private_key(settings.private_key)
    except (OSError, ValueError, TypeError) as error:
        raise PlantError(_unusable(settings.private_key, error)) from None
    server.set_certificate_validator(await _validator(settings.trusted_clients))
    await server.set_application_uri(uri)
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    server.set_identity_tokens([ua.UserNameIdentityToken])


def _application_uri(path: Path) -> str:
    """The name in the server's certificate, which clients compare with what the server says."""
    try:
        content = path.read_bytes()
        pem = content.startswith(b"-----BEGIN")
        load = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
        names = load(content).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return APPLICATION_URI
    except (OSError, ValueError) as error:
        raise PlantError(_unusable(path, error)) from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else APPLICATION_URI


async def _validator(trusted_clients: Path | None) -> CertificateValidator:
    """Checks client certificates: always their dates and names, and their trust if configured."""
    options = CertificateValidatorOptions
    if trusted_clients is None:
        return CertificateValidator(options.BASIC_VALIDATION | options.PEER_CLIENT)
    store = TrustStore([trusted_clients], [])
    try:
        await store.load()
    except (OSError, ValueError) as error:
        raise PlantError(
            f"no certificate of a client can be read in {trusted_clients}: {_reason(error)}"
        ) from None
    return CertificateValidator(options.TRUSTED_VALIDATION | options.PEER_CLIENT, store)


def _unusable(path: Path, error: Exception) -> str:
    return f"cannot use {path}: {_reason(error)}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
