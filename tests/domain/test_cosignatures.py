"""Cosignatures and keys as signed notes write them."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from outreach.domain.cosignatures import COSIGNER, LOG_KEY, NoteKey, body_of, find_cosignature, read_key
from outreach.domain.errors import AuditError

SEED = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
KEY = NoteKey("witness.example/w1", COSIGNER, SEED.public_key().public_bytes_raw())
BODY = "log.example/outreach\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
NOTE = f"{BODY}\n— log.example/outreach c2lnbmVk\n"


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def cosigned(at: int = 1_790_000_000, body: str = BODY, said: int | None = None) -> str:
    signature = SEED.sign(f"cosignature/v1\ntime {at}\n{body}".encode())
    octets = KEY.id + (at if said is None else said).to_bytes(8, "big") + signature
    return f"— {KEY.name} {base64.b64encode(octets).decode()}\n"


def test_a_published_key_is_read_and_written_alike() -> None:
    """The Go checksum database's."""
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    key = read_key(text)
    assert (key.name, key.kind, str(key)) == ("sum.golang.org", LOG_KEY, text)


@pytest.mark.parametrize("change", [(0, "x"), (-1, "A"), (25, "0")])
def test_a_mistyped_key_is_refused(change: tuple[int, str]) -> None:
    letters = list(str(KEY))
    letters[change[0]] = change[1] if letters[change[0]] != change[1] else "Z"
    with pytest.raises(ValueError, match=r"C2SP|mistyped"):
        read_key("".join(letters))


def test_a_cosignature_that_holds_is_found_among_others() -> None:
    found = find_cosignature(NOTE, f"— other.example AAAA\nnonsense\n— {KEY.name} ???\n{cosigned()}", KEY, verify)
    assert found is not None
    assert (found.at, f"{found.line}\n") == (1_790_000_000, cosigned())


@pytest.mark.parametrize(
    "answer",
    ["", "— witness.example/w1 AAAA\n", cosigned(said=1), cosigned(body=BODY.replace("\n3\n", "\n4\n")),
     cosigned().replace("witness.example/w1", "witness.example/w2")],
)  # fmt: skip
def test_anything_else_is_no_cosignature(answer: str) -> None:
    assert find_cosignature(NOTE, answer, KEY, verify) is None


def test_what_is_no_note_has_no_body() -> None:
    with pytest.raises(AuditError):
        body_of("log.example\n3\n")
