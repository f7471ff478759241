"""JSON documents that carry their own signature, so that anybody can check one without asking us.

The canonical form is RFC 8785 (JCS), the signature the suite eddsa-jcs-2022 of W3C Data Integrity, a key is written as
a Multikey. Nothing here holds a key: signers and verifiers are arguments.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

SUITE = "eddsa-jcs-2022"
LONGEST = 100_000
"""Characters of a document that are looked at."""

_MOST = 2**53 - 1  # RFC 8785 §3.2.2.3: what every reader of JSON keeps exactly
_quoted = json.encoder.encode_basestring  # RFC 8785 §3.2.2.2 escapes the same and no more
_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"
_KEY = 32
_SIGNATURE = 64


def canonical(value: object) -> bytes:
    """The one way to write `value`: UTF-8, keys in the order of their UTF-16 units, no space.

    Raises ValueError for what has none here: fractions, whole numbers past 2^53 - 1, half of a surrogate pair.
    """
    return _written(value).encode()


def read(text: str) -> dict[str, Any]:
    """A JSON object that was read without choosing anything: a key that comes twice or a fraction is refused.

    Raises ValueError for whatever else is no such object, or is longer than 100,000 characters.
    """
    if len(text) > LONGEST:
        raise ValueError("too long")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_float=_no, parse_constant=_no)
        canonical(found)
    except (ValueError, RecursionError):
        raise ValueError("not JSON that has one canonical form") from None
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def sign(document: Mapping[str, Any], options: Mapping[str, Any], signer: Callable[[bytes], bytes]) -> dict[str, Any]:
    """The proof of `document` under `options` (created, verificationMethod). `signer`: message → 64-byte signature."""
    proof = {
        "@context": document["@context"],
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "proofPurpose": "assertionMethod",
        **options,
    }
    return {**proof, "proofValue": "z" + to_base58(signer(signed_bytes(document, proof)))}


def verify(
    document: Mapping[str, Any], proof: Mapping[str, Any], public_key: bytes, verifier: Callable[[bytes, bytes], bool]
) -> bool:
    """Whether `proof` is the signature of `document`. `verifier`: (signature, message) → genuine under `public_key`?"""
    value = proof.get("proofValue")
    if proof.get("type") != "DataIntegrityProof" or proof.get("cryptosuite") != SUITE:
        return False
    if proof.get("@context") != document.get("@context") or not isinstance(value, str) or not value.startswith("z"):
        return False
    try:
        signature = from_base58(value[1:])
    except ValueError:
        return False
    return (
        len(signature) == _SIGNATURE and len(public_key) == _KEY and verifier(signature, signed_bytes(document, proof))
    )


def signed_bytes(document: Mapping[str, Any], proof: Mapping[str, Any]) -> bytes:
    """What eddsa-jcs-2022 signs: SHA-256 of the proof without its value, then of the document without its proof."""
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    return hashlib.sha256(canonical(options)).digest() + hashlib.sha256(canonical(unsecured)).digest()


def multikey(public_key: bytes) -> str:
    """An Ed25519 key (32 bytes) as text that says what it is: `z6Mk…` (W3C Controlled Identifiers §2.2.2)."""
    return "z" + to_base58(_ED25519 + public_key)


def to_base58(octets: bytes) -> str:
    """Bitcoin's digits, without 0, O, I and l; a leading zero octet is a leading 1."""
    number, digits = int.from_bytes(octets, "big"), ""
    while number:
        number, place = divmod(number, 58)
        digits = _DIGITS[place] + digits
    return "1" * (len(octets) - len(octets.lstrip(b"\0"))) + digits


def from_base58(text: str) -> bytes:
    """Raises ValueError for any other letter."""
    if len(text) > 200:
        raise ValueError("too long")
    number = 0
    for letter in text:
        number = number * 58 + _DIGITS.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _written(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int) and -_MOST <= value <= _MOST:
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        names = sorted(value, key=_utf16)
        return f"{{{','.join(f'{_quoted(name)}:{_written(value[name])}' for name in names)}}}"
    raise ValueError("no canonical form")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that comes twice")
    return found


def _no(_text: str) -> Any:
    raise ValueError("not a whole number")
