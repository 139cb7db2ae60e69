"""Certificates, users and trust: read once at the start, refused with words when wrong."""

from dataclasses import dataclass
from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto.security_policies import (
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.uacrypto import CertProperties
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
)

from mpc_agent.drivers.tagmap import SecuritySettings
from mpc_agent.errors import ExitCode, NoInputError, UserError

_POLICIES = {
    "Basic256Sha256": SecurityPolicyBasic256Sha256,
    "Aes256_Sha256_RsaPss": SecurityPolicyAes256Sha256RsaPss,
}
_PEM = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class Pinned:
    """Trusts one certificate and no other; takes the place of asyncua's folder of trust."""

    certificate: x509.Certificate

    def is_trusted(self, certificate: x509.Certificate) -> bool:
        """Whether it is the pinned one."""
        return certificate == self.certificate

    def is_revoked(self, _certificate: x509.Certificate) -> bool:
        """A pinned certificate is revoked by pinning another."""
        return False


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Everything secret or signed that a connection needs, read from its files.

    Attributes:
        policy: security policy, or None for an unprotected connection.
        certificate: the agent's certificate.
        private_key: its key, as in the file.
        private_key_password: password of the key.
        server_certificate: the plant's certificate, pinned.
        trusted: folder of trusted certificates; None to trust the pinned one alone.
        application_uri: who we say we are.
        user: name at the plant.
        password: the user's password.
    """

    policy: type | None = None
    certificate: bytes = b""
    private_key: bytes = b""
    private_key_password: str | None = None
    server_certificate: bytes = b""
    trusted: Path | None = None
    application_uri: str = "urn:mpc-agent"
    user: str | None = None
    password: str | None = None

    async def apply(self, client: Client) -> None:
        """Protect a client that has not been connected yet.

        A certificate of the server that has expired, is not the pinned one, is not trusted or was
        not made for servers ends the connection.
        """
        client.application_uri = self.application_uri
        if self.user is not None:
            client.set_user(self.user)
            client.set_password(self.password)
        if self.policy is None:
            return
        await client.set_security(
            self.policy,
            _properties(self.certificate),
            _properties(self.private_key),
            self.private_key_password,
            _properties(self.server_certificate),
            ua.MessageSecurityMode.SignAndEncrypt,
        )
        trust: Pinned | TrustStore = Pinned(load_certificate(self.server_certificate))
        if self.trusted is not None:
            trust = TrustStore([self.trusted], [])
            await trust.load()
        options = CertificateValidatorOptions
        client.certificate_validator = CertificateValidator(
            options.TRUSTED_VALIDATION | options.PEER_SERVER, trust
        )

    def expiries_s(self) -> dict[str, float]:
        """When the certificates expire, UTC seconds, by role: `client` and `server`."""
        certificates = {"client": self.certificate, "server": self.server_certificate}
        return {
            role: load_certificate(content).not_valid_after_utc.timestamp()
            for role, content in certificates.items()
            if content
        }


def load_credentials(settings: SecuritySettings) -> Credentials:
    """Read and check all files.

    Raises:
        NoInputError: a file cannot be read.
        UserError: a file is not what it should be; the message says what to do.
    """
    password = _secret("security.password_file", settings.password_file)
    if settings.policy == "None":
        return Credentials(
            application_uri=settings.application_uri, user=settings.user, password=password
        )
    credentials = Credentials(
        policy=_POLICIES[settings.policy],
        certificate=_content("security.certificate", settings.certificate),
        private_key=_content("security.private_key", settings.private_key),
        private_key_password=_secret(
            "security.private_key_password_file", settings.private_key_password_file
        ),
        server_certificate=_content("security.server_certificate", settings.server_certificate),
        trusted=settings.trusted,
        application_uri=settings.application_uri,
        user=settings.user,
        password=password,
    )
    _check_pair(credentials)
    if settings.trusted is not None and not any(
        file.suffix.lower() in {".der", ".pem"} for file in _files(settings.trusted)
    ):
        raise _wrong(f"security.trusted: {settings.trusted} holds no .der or .pem certificate")
    return credentials


def load_certificate(content: bytes) -> x509.Certificate:
    """A certificate in either form."""
    if content.lstrip().startswith(_PEM):
        return x509.load_pem_x509_certificate(content)
    return x509.load_der_x509_certificate(content)


def _check_pair(credentials: Credentials) -> None:
    """Refuse certificates that are none, a key that does not belong, a URI that is not there."""
    try:
        certificate = load_certificate(credentials.certificate)
    except ValueError as error:
        raise _wrong(f"security.certificate: not a certificate ({error})") from error
    try:
        load_certificate(credentials.server_certificate)
    except ValueError as error:
        raise _wrong(f"security.server_certificate: not a certificate ({error})") from error
    password = credentials.private_key_password
    load = load_pem_private_key if _is_pem(credentials.private_key) else load_der_private_key
    try:
        key = load(credentials.private_key, password.encode() if password else None)
    except (ValueError, TypeError) as error:
        raise _wrong(f"security.private_key: cannot be used ({error})") from error
    if key.public_key() != certificate.public_key():
        raise _wrong("security.private_key does not belong to security.certificate")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        uris: list[str] = []
    else:
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if credentials.application_uri not in uris:
        raise _wrong(
            f"security.application_uri {credentials.application_uri!r} is not in the certificate "
            f"(it has {', '.join(map(repr, uris)) or 'no URI'})"
        )


def _is_pem(content: bytes) -> bool:
    return content.lstrip().startswith(_PEM)


def _properties(content: bytes) -> CertProperties:
    """File content with its form, for asyncua."""
    return CertProperties(content, "pem" if _is_pem(content) else "der")


def _content(key: str, path: Path | None) -> bytes:
    """A file's content; NoInputError when it cannot be read."""
    if path is None:
        raise _wrong(f"{key} is missing")
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{key}: cannot read {path}: {error.strerror}") from error


def _secret(key: str, path: Path | None) -> str | None:
    """A password file without its line end."""
    if path is None:
        return None
    try:
        secret = _content(key, path).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise _wrong(f"{key}: {path} is not a text file") from error
    if not secret:
        raise _wrong(f"{key}: {path} is empty")
    return secret


def _files(folder: Path) -> list[Path]:
    """A folder's files; NoInputError when it cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise NoInputError(f"security.trusted: cannot read {folder}: {error.strerror}") from error


def _wrong(message: str) -> UserError:
    return UserError(message, ExitCode.CONFIG)
