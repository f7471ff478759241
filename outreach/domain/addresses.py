"""What counts as an e-mail address, which mailbox it belongs to, and how one looks to people who may not see it.

Shape: RFC 5321 §4.5.3.1 (local part ≤ 64 octets, address ≤ 254), RFC 5890 for domains outside ASCII. The rules are
email-validator's; plain addresses take a faster way to the same answer.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import ATEXT, CASE_INSENSITIVE_MAILBOX_NAMES

from outreach.domain.errors import InvalidInputError

DOT = "•••"
_MAX_OCTETS = 254
_MAX_LOCAL_OCTETS = 64
_PLAIN_LOCAL = re.compile(rf"[{ATEXT}]+(?:\.[{ATEXT}]+)*", re.ASCII)
_FIXED_CASE = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)

_DOTS_IGNORED = frozenset({"gmail.com", "googlemail.com"})
_ENDING = r"(?:com|[a-z]{2}|com?\.[a-z]{2})"
_PROVIDERS = (
    ("gmail", re.compile(r"(?:.*\.)?(?:gmail|googlemail)\.com")),
    (
        "microsoft",
        re.compile(rf"(?:.*\.)?(?:msn\.com|(?:outlook|hotmail|live)\.{_ENDING})"),
    ),
    ("yahoo", re.compile(rf"(?:.*\.)?(?:yahoo\.{_ENDING}|ymail\.com|aol\.com)")),
)
_TYPED_WRONG = ("gmail", "hotmail", "outlook", "yahoo", "icloud")
_OTHERS_OWN = frozenset({"mail.com", "gail.com", "email.com", "ymail.com", "cloud.com"})
_ENDINGS_WRONG = ("con", "cmo", "ocm", "comm", "coom", "vom", "xom", "cpm", "cim", "cm", "om", "conm", "ccom")

# The local part has a limit, twice what RFC 5321 allows: without one, a long run of letters takes its length squared.
_ADDRESS_IN_TEXT = re.compile(
    r"""(?:"[^"\r\n]*"|[^\s<>()\[\],;:"@＠]{1,128})(?:@|＠|%40)"""
    r"""(?:\[[^\]\s]*\]|[^\s<>()\[\],;:"'@＠/?&]+)""",
    re.IGNORECASE,
)


class Fault(StrEnum):
    """Why a text is no address; the web has a sentence for each in every language."""

    MISSING = "missing"
    NO_AT = "no-at"
    SPACE = "space"
    TOO_LONG = "too-long"
    NO_DOMAIN = "no-domain"
    NO_LOCAL = "no-local"
    TYPO = "typo"
    MALFORMED = "malformed"


_SENTENCES = {
    Fault.MISSING: "Type an e-mail address.",
    Fault.NO_AT: "An e-mail address has one @ in it.",
    Fault.SPACE: "An e-mail address has no space in it.",
    Fault.TOO_LONG: "This is longer than an e-mail address can be.",
    Fault.NO_DOMAIN: "Something is missing or wrong after the @.",
    Fault.NO_LOCAL: "Something is missing or wrong before the @.",
    Fault.MALFORMED: "This is not a complete e-mail address. Check it letter by letter.",
}


class AddressError(InvalidInputError):
    """Not an address we could write to. Never echoes it; `suggestion` is a provider's domain, for a likely typo."""

    def __init__(self, fault: Fault, suggestion: str = "") -> None:
        sentence = f"Did you mean {suggestion}? Check the part after the @." if suggestion else _SENTENCES[fault]
        super().__init__(sentence, field="address")
        self.fault = fault
        self.suggestion = suggestion


@dataclass(frozen=True)
class Address:
    """`exact`: as typed, domain lower-case and in A-labels. `mailbox`: what one mailbox's spellings share.

    `provider`: gmail, microsoft, yahoo or other.
    """

    exact: str
    domain: str
    mailbox: str
    provider: str

    def __repr__(self) -> str:
        return f"Address({mask(self.exact)})"


def parse(text: str) -> Address:
    """Read what somebody typed. Raises AddressError, naming the fault or the likely typo of a large provider."""
    text = text.strip()
    local, _, rest = text.partition("@")
    domain = _domain(rest) if _is_plain(local) and len(rest) < _MAX_OCTETS else None
    if domain is None or len(local) + 1 + len(rest) > _MAX_OCTETS or len(local) + 1 + len(domain) > _MAX_OCTETS:
        local, domain = _parse_slowly(text)
    suggestion = TYPOS.get(domain)
    if suggestion:
        raise AddressError(Fault.TYPO, suggestion)
    return Address(f"{local}@{domain}", domain, _fold(local, domain), provider(domain))


def provider(domain: str) -> str:
    """Whose servers take a domain's mail, by whole labels: `notgmail.com` is not Gmail (CVE-2026-33393)."""
    return next((name for name, pattern in _PROVIDERS if pattern.fullmatch(domain)), "other")


def mask(exact: str) -> str:
    """`a•••@e•••.org`: the first letter of either side and the last label of the domain, never more."""
    local, _, domain = exact.rpartition("@")
    name, _, ending = domain.rpartition(".")
    if not local or not name or not ending.replace("-", "").isalnum():
        return DOT
    return f"{local.strip(chr(34))[:1]}{DOT}@{name[:1]}{DOT}.{ending}"


def scrub(text: str) -> str:
    """A free text (a server's reply, a reason) with every address in it masked."""
    return _ADDRESS_IN_TEXT.sub(lambda found: _masked(found[0]), text)


def _masked(found: str) -> str:
    bare = found.rstrip(".")
    return mask(re.sub("%40|＠", "@", bare, flags=re.IGNORECASE)) + found[len(bare) :]


def _is_plain(local: str) -> bool:
    return (
        len(local) <= _MAX_LOCAL_OCTETS
        and _PLAIN_LOCAL.fullmatch(local) is not None
        and local.lower() not in _FIXED_CASE
    )


@lru_cache(maxsize=65_536)
def _domain(text: str) -> str | None:
    """The domain in lower-case A-labels; None when email-validator would not have it."""
    try:
        return validate_email(f"a@{text}", check_deliverability=False, strict=True).ascii_domain.lower()
    except EmailNotValidError:
        return None


def _parse_slowly(text: str) -> tuple[str, str]:
    """Local part and domain by email-validator alone. Raises AddressError."""
    try:
        found = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        raise AddressError(_fault(text)) from None  # its words may echo a part of the address
    domain = found.ascii_domain.lower()
    if len(f"{found.local_part}@{domain}".encode()) > _MAX_OCTETS or len(found.local_part.encode()) > _MAX_LOCAL_OCTETS:
        raise AddressError(Fault.TOO_LONG)
    return found.local_part, domain


def _fault(text: str) -> Fault:
    local, at, domain = text.rpartition("@")
    if not text:
        return Fault.MISSING
    if not at or "@" in local:
        return Fault.NO_AT
    if any(letter.isspace() for letter in text):
        return Fault.SPACE
    if len(text.encode(errors="replace")) > _MAX_OCTETS or len(local.encode(errors="replace")) > _MAX_LOCAL_OCTETS:
        return Fault.TOO_LONG
    if _domain(domain) is None:
        return Fault.NO_DOMAIN
    return Fault.NO_LOCAL if not local or local[0] == "." or local[-1] == "." else Fault.MALFORMED


def _fold(local: str, domain: str) -> str:
    """One spelling for one mailbox: no +tag, no case, and no dots where the provider documents ignoring them."""
    local = local.partition("+")[0].lower() or local.lower()
    if domain in _DOTS_IGNORED:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def _misspellings() -> dict[str, str]:
    """Swapped, dropped and doubled letters of the largest providers' names, and endings that are not .com."""
    typos: dict[str, str] = {}
    for name in _TYPED_WRONG:
        right = f"{name}.com"
        places = range(len(name))
        wrong = {name[:i] + name[i + 1 : i + 2] + name[i] + name[i + 2 :] for i in places[:-1]}
        wrong |= {name[:i] + name[i + 1 :] for i in places} | {name[:i] + name[i] + name[i:] for i in places}
        typos |= {f"{spelling}.com": right for spelling in wrong}
        typos |= {f"{name}.{ending}": right for ending in _ENDINGS_WRONG}
    return {wrong: right for wrong, right in typos.items() if wrong not in _OTHERS_OWN and wrong != right}


TYPOS = _misspellings()
"""Domain nobody means → the large provider they mean."""
