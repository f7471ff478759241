"""Passwords of staff and members: how they are kept (argon2id), and which are refused where one is chosen."""

import unicodedata
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from outreach.domain.errors import InvalidInputError


class Fault(StrEnum):
    """Why a password will not do."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    KNOWN = "known"


SHORTEST = 12
LONGEST = 200

# OWASP Password Storage: argon2id with m=19 MiB, t=2, p=1 or stronger.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

_COMMON = frozenset(
    line.strip()
    for line in """
    password1234
    passwordpassword
    123456789012
    1234567890123
    1q2w3e4r5t6y
    qwertyuiop12
    qwerty123456
    qwertyuiopas
    asdfghjkl123
    zxcvbnm12345
    letmeinletmein
    iloveyou1234
    administrator
    welcome12345
    abcdefghijkl
    abc123abc123
    correcthorsebatterystaple
    correct horse battery staple
    trustno1trustno1
    changemechangeme
    sunshine1234
    football1234
    princess1234
    monkeymonkey
    superman1234
    passw0rd1234
    """.splitlines()
)


_SENTENCES = {
    Fault.SHORT: f"Use {SHORTEST} characters or more. A few unrelated words do well.",
    Fault.LONG: f"Use {LONGEST} characters or fewer.",
    Fault.COMMON: "This password is among the first that are tried. Choose another.",
    Fault.KNOWN: "The password contains your address, your name or the product's. Choose another.",
}


class PasswordError(InvalidInputError):
    """A password that will not do (field "password"). `fault` says why, for pages in the reader's language."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(_SENTENCES[fault], "password")
        self.fault = fault


def hash_password(password: str) -> str:
    """The argon2id hash, with its parameters inside."""
    return _HASHER.hash(_normal(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one. With no hash to compare it takes the same time and answers no."""
    try:
        right = _HASHER.verify(password_hash or _nobodys_hash(), _normal(password)[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return right and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made under an older policy and should be made again."""
    return _HASHER.check_needs_rehash(password_hash)


def must_be_good(password: str, *, known: tuple[str, ...] = ()) -> None:
    """Raise PasswordError for a password that is too short, too long, common, or made of `known` words.

    `known`: what anybody could guess about this person, their address and name (NIST SP 800-63B §5.1.1.2).
    """
    plain = _normal(password)
    if len(plain) < SHORTEST:
        raise PasswordError(Fault.SHORT)
    if len(plain) > LONGEST:
        raise PasswordError(Fault.LONG)
    folded = plain.casefold()
    if folded in _COMMON or len(set(folded)) < 5:
        raise PasswordError(Fault.COMMON)
    for word in _guessable(known):
        if word in folded:
            raise PasswordError(Fault.KNOWN)


def _guessable(known: tuple[str, ...]) -> set[str]:
    words = {"outreach"}
    for text in known:
        folded = _normal(text).casefold()
        words.add(folded)
        words.update(folded.replace("@", " ").replace(".", " ").split())
    return {word for word in words if len(word) >= 4}


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("the password of nobody at all")
