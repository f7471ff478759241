"""DKIM signatures (RFC 6376, 8301, 8463): RSA-SHA256, and Ed25519 beside it, relaxed headers and simple body.

The fields a stranger would like to add are oversigned: named once more than they occur, so an added one breaks the
signature. `l=` is never used. One body hash serves every signature.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from outreach.domain.errors import SettingsError

Key = RSAPrivateKey | Ed25519PrivateKey

LEAST_RSA_BITS = 2048  # RFC 8301 §3.2
_OVERSIGNED = (
    b"from", b"subject", b"to", b"date", b"reply-to",
    b"list-unsubscribe", b"list-unsubscribe-post", b"list-id",
)  # fmt: skip
_SIGNED = (b"message-id", b"mime-version", b"content-type", b"feedback-id", b"auto-submitted")
_SPACE = re.compile(rb"[ \t\r\n]+")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PADDING = PKCS1v15()
_SHA256 = hashes.SHA256()


@dataclass(frozen=True)
class Signer:
    """A key and where its public half is published: `<selector>._domainkey.<domain>`."""

    domain: str
    selector: str
    key: Key = field(repr=False)

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.domain) or not _DOMAIN.fullmatch(self.selector):
            raise SettingsError("dkim: the domain or the selector is not a DNS name")

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    def signature(self, data: bytes) -> bytes:
        """RFC 8463 §3: Ed25519 signs the SHA-256 of the data, RSA the data with SHA-256."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(data, _PADDING, _SHA256)
        return self.key.sign(hashlib.sha256(data).digest())


def sign(fields: Sequence[bytes], body: bytes, signers: Sequence[Signer], second: int) -> list[bytes]:
    """A DKIM-Signature field for each signer, without last CRLF.

    `fields`: whole header fields, folded or not, without their last CRLF. `body` ends in exactly one CRLF.
    """
    if not signers:
        return []
    canonical: dict[bytes, list[bytes]] = {}
    for raw in fields:
        name, value = _relaxed(raw)
        canonical.setdefault(name, []).append(name + b":" + value)
    names = _names(canonical)
    lines = b"".join(
        line + b"\r\n" for name in dict.fromkeys(names) for line in reversed(canonical.get(name, ()))
    )  # fmt: skip
    body_hash = base64.b64encode(hashlib.sha256(body).digest())
    folded = b":\r\n\t ".join(b":".join(names[start : start + 5]) for start in range(0, len(names), 5))
    return [_signature_field(signer, folded, lines, body_hash, second) for signer in signers]


def load_key(pem: bytes) -> Key:
    """The private key in a PEM file. Raises SettingsError when it is not one, or is weaker than RFC 8301 allows."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise SettingsError("dkim: not an unencrypted private key in PEM") from None
    if isinstance(key, RSAPrivateKey):
        if key.key_size < LEAST_RSA_BITS:
            raise SettingsError(f"dkim: an RSA key of {key.key_size} bits is too weak; use {LEAST_RSA_BITS} or more")
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise SettingsError("dkim: the key must be RSA or Ed25519")


def make_key(kind: str = "rsa") -> bytes:
    """A fresh private key as PEM: "rsa" (2048 bits) or "ed25519"."""
    key: Key = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65537, LEAST_RSA_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def dns_record(key: Key) -> str:
    """The TXT record to publish for `key` (RFC 6376 §3.6.1, RFC 8463 §4)."""
    if isinstance(key, RSAPrivateKey):
        kind, public = "rsa", key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )  # fmt: skip
    else:
        kind, public = "ed25519", key.public_key().public_bytes_raw()
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"


def _names(present: dict[bytes, list[bytes]]) -> list[bytes]:
    names: list[bytes] = []
    for name in _OVERSIGNED:
        names.extend([name] * (len(present.get(name, ())) + 1))
    for name in _SIGNED:
        names.extend([name] * len(present.get(name, ())))
    return names


def _relaxed(raw: bytes) -> tuple[bytes, bytes]:
    """RFC 6376 §3.4.2."""
    name, _, value = raw.partition(b":")
    return name.strip().lower(), _SPACE.sub(b" ", value).strip()


def _signature_field(signer: Signer, names: bytes, lines: bytes, body_hash: bytes, second: int) -> bytes:
    head = (
        f"DKIM-Signature: v=1; a={signer.algorithm}; c=relaxed/simple; d={signer.domain};\r\n"
        f"\ts={signer.selector}; t={second};\r\n\th="
    ).encode()
    unsigned = head + names + b";\r\n\tbh=" + body_hash + b";\r\n\tb="
    name, value = _relaxed(unsigned)
    signature = base64.b64encode(signer.signature(lines + name + b":" + value))
    chunks = [signature[start : start + 72] for start in range(0, len(signature), 72)]
    return unsigned + b"\r\n\t ".join(chunks)
