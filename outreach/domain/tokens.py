"""The tokens in our links: one purpose each, no address inside, and keys that rotate without breaking an old link.

A token is `<key id>.<body>.<signature>`, URL-safe. The body is 24 bytes, purpose (1) ‖ ref (16) ‖ time of issue (7, UTC
microseconds), and the signature HMAC-SHA-256 cut to 24 bytes (RFC 2104 §5), so each takes 32 characters of base64url
with no spare bits: no two texts stand for one token.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm

from outreach.domain.errors import NotAllowedError, SettingsError, TokenError, TokenExpiredError
from outreach.domain.keys import TokenKey

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_REF = 16
_MAC = 24
_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{32})", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


class Power(StrEnum):
    """What holding a token lets somebody do."""

    REDUCE = "reduce"  # stop, pause, lower, decline
    EXPLAIN = "explain"  # why this one mail came, address masked
    RECORD = "record"  # the receipt of one consent event; given on pages, never printed in a mail
    GRANT = "grant"  # begin a consent
    RESTORE = "restore"  # take back a withdrawal, in the browser that acted
    SIGN_IN = "sign in"  # prove one's address and choose a password
    OWN = "own"  # see all that is held about the address it was mailed to, and have it changed
    SEND = "send"  # let one mail of their own go on as they wrote it, within half an hour of the link


class Purpose(StrEnum):
    """What a token is for. One of a purpose is refused for every other."""

    CONFIRM = "confirm"
    STOP = "stop"
    WHY = "why"
    SET_UP = "set-up"
    STAFF_PASSWORD = "staff-password"  # noqa: S105  a purpose's name, not a password
    UNDO = "undo"
    ACCOUNT = "account"
    INVITATION = "invitation"
    HAND = "hand"
    CONNECT = "connect"
    RECEIPT = "receipt"
    RIGHTS = "rights"
    HELD = "held"
    HIDDEN = "hidden"
    MOVE = "move"
    KEEP = "keep"

    @property
    def powers(self) -> frozenset[Power]:
        return _POWERS[self]

    @property
    def lifetime(self) -> int | None:
        """Microseconds a token lives; None: for ever. A one_time_link row may end it sooner."""
        return _LIFETIMES.get(self)


_POWERS = {
    Purpose.CONFIRM: frozenset({Power.GRANT, Power.REDUCE}),
    Purpose.STOP: frozenset({Power.REDUCE}),
    Purpose.WHY: frozenset({Power.EXPLAIN, Power.REDUCE}),
    Purpose.SET_UP: frozenset({Power.SIGN_IN}),
    Purpose.STAFF_PASSWORD: frozenset({Power.SIGN_IN}),
    Purpose.UNDO: frozenset({Power.RESTORE}),
    Purpose.ACCOUNT: frozenset({Power.SIGN_IN}),
    Purpose.INVITATION: frozenset({Power.EXPLAIN, Power.REDUCE}),
    Purpose.HAND: frozenset({Power.EXPLAIN, Power.REDUCE}),
    Purpose.CONNECT: frozenset({Power.GRANT, Power.REDUCE}),
    Purpose.RECEIPT: frozenset({Power.RECORD}),
    Purpose.RIGHTS: frozenset({Power.OWN}),
    Purpose.HELD: frozenset({Power.REDUCE, Power.SEND}),
    Purpose.HIDDEN: frozenset(),  # nobody is shown it: that it was touched gives a program away
    Purpose.MOVE: frozenset({Power.GRANT, Power.REDUCE}),  # take along to this address what was agreed to at another
    Purpose.KEEP: frozenset({Power.REDUCE, Power.EXPLAIN}),  # let all stay at this one
}
_LIFETIMES = {
    Purpose.CONFIRM: 7 * _DAY,
    Purpose.SET_UP: _DAY,
    Purpose.STAFF_PASSWORD: _DAY,
    Purpose.UNDO: _HOUR,
    Purpose.ACCOUNT: _HOUR // 2,
    Purpose.CONNECT: 7 * _DAY,
    Purpose.MOVE: 7 * _DAY,
    Purpose.RIGHTS: _HOUR // 2,
}
_CODES = {
    Purpose.CONFIRM: b"c",
    Purpose.STOP: b"s",
    Purpose.WHY: b"w",
    Purpose.SET_UP: b"a",
    Purpose.STAFF_PASSWORD: b"p",
    Purpose.UNDO: b"u",
    Purpose.ACCOUNT: b"m",
    Purpose.INVITATION: b"i",
    Purpose.HAND: b"h",
    Purpose.CONNECT: b"k",
    Purpose.RECEIPT: b"v",
    Purpose.RIGHTS: b"r",
    Purpose.HELD: b"g",
    Purpose.HIDDEN: b"y",
    Purpose.MOVE: b"o",
    Purpose.KEEP: b"e",
}
_PURPOSES = {code: purpose for purpose, code in _CODES.items()}

MAIL_POWERS = frozenset({Power.REDUCE, Power.EXPLAIN})
MAIL_PURPOSES = frozenset({Purpose.STOP, Purpose.WHY})
"""Purposes printed in campaign mails: a forwarded mail gives its new reader nothing (promise 2)."""


def must_suit_mail(purposes: Iterable[Purpose]) -> None:
    """Raise NotAllowedError if a link with one of `purposes` inside a mail could do more than reduce and explain."""
    for purpose in purposes:
        if not purpose.powers <= MAIL_POWERS:
            raise NotAllowedError(
                f"A “{purpose}” link may not be printed in a mail: it does more than reduce or explain."
            )


class TokenCompromisedError(TokenError):
    """A token of a key that leaked. It may be forged: never act on it, but its owner can be mailed a fresh link."""

    def __init__(self, purpose: Purpose, ref: bytes) -> None:
        super().__init__("This link can no longer be trusted. Ask for a fresh one; nothing was changed.")
        self.purpose = purpose
        self.ref = ref


@dataclass(frozen=True)
class Token:
    """A genuine token. `ref`: 16 bytes; `issued`: UTC microseconds; `key`: id of the key that signed it."""

    purpose: Purpose
    ref: bytes
    issued: int
    key: str


class _Sha256(SigningAlgorithm):
    """HMAC in one call to OpenSSL, a third of the time of `hmac.new`."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")[:_MAC]


class Tokens:
    """Signs with the newest key that is not compromised, reads with all. Keys are derived once, here."""

    def __init__(self, keys: Sequence[TokenKey]) -> None:
        """`keys` oldest first. Raises SettingsError when none may sign or an id does not suit a URL."""
        if any(not _KEY_ID.fullmatch(key.id) for key in keys) or len({key.id for key in keys}) != len(keys):
            raise SettingsError("keys.json: token key ids must be unique, of letters, digits, - and _")
        usable = [key.id for key in keys if not key.compromised]
        if not usable:
            raise SettingsError("keys.json: no token key is left to sign with; add a new one")
        self._compromised = {key.id for key in keys if key.compromised}
        self._signers = {(purpose, key.id): _signer(purpose, key) for key in keys for purpose in Purpose}
        prefix = usable[-1].encode() + b"."
        self._newest = {purpose: (_CODES[purpose], prefix, self._signers[purpose, usable[-1]]) for purpose in Purpose}

    def issue(self, purpose: Purpose, ref: bytes, now: int) -> str:
        """A URL-safe token of `purpose` for `ref` (16 bytes), dated `now` (UTC microseconds)."""
        if len(ref) != _REF:
            raise ValueError("a ref is 16 bytes")
        code, prefix, signer = self._newest[purpose]
        return signer.sign(prefix + urlsafe_b64encode(code + ref + now.to_bytes(7, "big"))).decode()

    def read(self, purpose: Purpose, token: str, now: int) -> Token:
        """The token, if it is ours, whole, for `purpose` and alive at `now`.

        Raises TokenExpiredError for a genuine one past its time, TokenCompromisedError for one of a leaked key, and
        TokenError for anything else.
        """
        parts = _SHAPE.fullmatch(token)
        signer = self._signers.get((purpose, parts[1])) if parts else None
        if parts is None or signer is None or not signer.verify_signature(f"{parts[1]}.{parts[2]}", parts[3]):
            raise TokenError("This link is not complete, or not one of ours. Nothing was changed.")
        body = urlsafe_b64decode(parts[2])
        found = Token(purpose, body[1 : 1 + _REF], int.from_bytes(body[1 + _REF :], "big"), parts[1])
        if body[:1] != _CODES[purpose]:
            raise TokenError("This link is for something else. Nothing was changed.")
        if found.key in self._compromised:
            raise TokenCompromisedError(purpose, found.ref)
        if purpose.lifetime is not None and now >= found.issued + purpose.lifetime:
            raise TokenExpiredError("This link is past its time. Nothing was changed; ask for a fresh one.")
        return found

    def tried(self, purpose: Purpose, token: str, now: int) -> Token | TokenError:
        """The same for one among many: the error is given instead of raised."""
        try:
            return self.read(purpose, token, now)
        except TokenError as error:
            return error


def purpose_of(token: str) -> Purpose | None:
    """What a token says it is for, its signature unread: for guards that look at links, never for a decision."""
    parts = _SHAPE.fullmatch(token)
    return _PURPOSES.get(urlsafe_b64decode(parts[2])[:1]) if parts else None


def _signer(purpose: Purpose, key: TokenKey) -> Signer:
    derived = hmac.digest(key.secret, f"outreach token\0{purpose}\0{key.id}".encode(), "sha256")
    return Signer(derived, key_derivation="none", algorithm=_Sha256())
