"""DKIM signatures (RFC 6376, 8301, 8463): RSA-SHA256, and Ed25519 beside it, relaxed headers and simple body.

The fields a stranger would like to add are oversigned: named once more than they occur, so an added one breaks the
signature. `l=` is never used. One body hash serves every signature.
"""

import base64
import hashlib
import re
from collections.abc import Collection, Sequence
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
_SIGNED = (
    b"message-id", b"mime-version", b"content-type", b"feedback-id", b"auto-submitted",
    b"cfbl-address", b"cfbl-feedback-id",
)  # fmt: skip
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


class Signing:
    """How the mails of one header shape are signed: all that their fixed fields need is worked out here, once.

    `fields`: whole header fields, folded or not, without their last CRLF, and names of those that vary; none twice.
    """

    def __init__(self, signers: Sequence[Signer], fields: Sequence[bytes | str]) -> None:
        fixed = dict(_relaxed(one) for one in fields if isinstance(one, bytes))
        varying = [one.lower().encode() for one in fields if isinstance(one, str)]
        names = _names({*fixed, *varying})
        self._lines: list[bytes] = []
        self._places = [0] * len(varying)
        for name in dict.fromkeys(names):
            if name in fixed:
                self._lines.append(name + b":" + fixed[name] + b"\r\n")
            elif name in varying:
                self._places[varying.index(name)] = len(self._lines)
                self._lines.append(b"")
        folded = b":\r\n\t ".join(b":".join(names[start : start + 5]) for start in range(0, len(names), 5))
        self._ways = [_Way(signer, folded) for signer in signers]

    def sign(self, varying: Sequence[bytes], body_hash: bytes, second: int) -> bytes:
        """A DKIM-Signature field for each signer, each with its CRLF.

        `varying`: the fields that vary, whole, in their order. `body_hash`: SHA-256 of the body, which ends in exactly
        one CRLF.
        """
        lines = self._lines.copy()
        for place, field_ in zip(self._places, varying, strict=True):
            name, value = _relaxed(field_)
            lines[place] = name + b":" + value + b"\r\n"
        signed = b"".join(lines)
        encoded = base64.b64encode(body_hash)
        return b"".join([way.field(signed, encoded, second) for way in self._ways])


class _Way:
    """One signer's field, fixed but for the time, the body's hash and the signature."""

    def __init__(self, signer: Signer, names: bytes) -> None:
        self._signer = signer
        start = (
            f"DKIM-Signature: v=1; a={signer.algorithm}; c=relaxed/simple; d={signer.domain};\r\n"
            f"\ts={signer.selector}; t="
        ).encode()
        middle, end = b";\r\n\th=" + names + b";\r\n\tbh=", b";\r\n\tb="
        self._raw = start, middle, end
        name, value = _relaxed(start)
        self._canonical = name + b":" + value, _SPACE.sub(b" ", middle), _SPACE.sub(b" ", end)

    def field(self, signed: bytes, body_hash: bytes, second: int) -> bytes:
        time = str(second).encode()
        start, middle, end = self._canonical
        data = b"".join((signed, start, time, middle, body_hash, end))
        signature = base64.b64encode(self._signer.signature(data))
        start, middle, end = self._raw
        chunks = [signature[at : at + 72] for at in range(0, len(signature), 72)]
        return b"".join((start, time, middle, body_hash, end, b"\r\n\t ".join(chunks), b"\r\n"))


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


def _names(present: Collection[bytes]) -> list[bytes]:
    oversigned = [name for name in _OVERSIGNED for _ in range(2 if name in present else 1)]
    return oversigned + [name for name in _SIGNED if name in present]


def _relaxed(raw: bytes) -> tuple[bytes, bytes]:
    """RFC 6376 §3.4.2."""
    name, _, value = raw.partition(b":")
    return name.strip().lower(), b" ".join(value.split())
