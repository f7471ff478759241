"""The certificate the listener shows under STARTTLS, read anew when its files are: a renewal needs no restart."""

import ssl
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from outreach.config import Settings
from outreach.domain.errors import SettingsError

log = structlog.get_logger()

_Seen = tuple[tuple[int, int, int], ...]


class Certificate:
    """A pair of files in PEM: a certificate with its chain, and its key. Raises SettingsError where they are unfit."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = certificate, key
        self._seen = self._look()
        self._context = _read(certificate, key)

    def current(self) -> ssl.SSLContext:
        """What to show to whoever connects now. A renewed pair that is unfit is logged once; the old one stays."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = _read(*self._paths)
            except SettingsError as error:
                log.error("listener.certificate-unfit", reason=str(error))
            else:
                log.info("listener.certificate-renewed")
        return self._context

    def _look(self) -> _Seen | None:
        """What tells one version of the files from another; None where one is away."""
        try:
            found = [path.stat() for path in self._paths]
        except OSError:
            return None
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


def certificate_of(settings: Settings) -> Certificate | None:
    """The one the settings name; None where they name none. Raises SettingsError."""
    if not settings.inbound_certificate_file:
        return None
    return Certificate(Path(settings.inbound_certificate_file), Path(settings.inbound_key_file))


def _read(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 at least (RFC 8996), and no certificate asked of the client."""
    shown, secret = _octets("inbound_certificate_file", certificate), _octets("inbound_key_file", key)
    try:
        first = x509.load_pem_x509_certificates(shown)[0]
    except ValueError:
        raise SettingsError("inbound_certificate_file: holds no certificate in PEM") from None
    try:
        own = load_pem_private_key(secret, password=None)
    except TypeError:
        raise SettingsError("inbound_key_file: is locked by a password, which nobody would be there to type") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError("inbound_key_file: holds no private key in PEM") from None
    if first.public_key() != own.public_key():
        raise SettingsError("inbound_key_file: is not the key of the first certificate in inbound_certificate_file")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise SettingsError(f"inbound_certificate_file: cannot be used: {reason}") from None
    return context


def _octets(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot be read: {error.strerror}") from None
