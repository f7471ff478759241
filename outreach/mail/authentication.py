"""Whether a mail comes from whom it says: DKIM (RFC 6376), SPF (RFC 7208), or the word of one's own mail server.

What counts is the one address in From. A signature, or the envelope's sender that SPF lets pass, speaks for it if its
domain is From's or stands above it. That is narrower than the relaxed alignment of DMARC (RFC 9989), which needs to
know where one owner's names end; what comes out is never more than DMARC would say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dkim

from outreach.mail.inbound import fields
from outreach.mail.inbound.fields import Fields
from outreach.mail.resolver import DnsError, Resolver
from outreach.mail.spf import Spf, check_host

MOST_SIGNATURES = 5
LEAST_RSA_BITS = 1024  # RFC 8301 §3.2: what a verifier may still take

_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"\s*(dkim|spf)\s*=\s*([a-z]+)\b(.*)", re.IGNORECASE | re.DOTALL)
_PROPERTY = re.compile(r"\b(header\.d|header\.i|smtp\.mailfrom|smtp\.mail)\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_AUTHSERV = re.compile(r"\s*([^\s;]+)(?:\s+\d+)?\s*;(.*)", re.DOTALL)


@dataclass(frozen=True)
class Authenticated:
    """What speaks for a mail's sender.

    `from_address`: the one address in From; empty if there is none, or more than one. `domains`: those that speak for
    it; `by`: how, of "dkim" and "spf". `is_unsure`: nothing does, but the DNS gave no answer; ask again later.
    """

    from_address: str = field(repr=False)
    domains: frozenset[str] = frozenset()
    by: frozenset[str] = frozenset()
    is_unsure: bool = False

    @property
    def is_aligned(self) -> bool:
        return bool(self.domains)


def check(
    octets: bytes, *, peer_ip: str, helo: str, mail_from: str, authserv: str, resolver: Resolver
) -> Authenticated:
    """What speaks for the sender of a mail that came from `peer_ip` with this HELO and envelope sender. Never raises.

    `authserv`: the name of one's own mail server, empty if mail comes here straight. With one, the host that handed the
    mail over is that server's, so SPF is not asked; its Authentication-Results (RFC 8601) are believed instead, the
    topmost field that bears its name and no other. It must take out what others write in its name (§5).
    """
    header, _ = fields.parse(octets, 0, len(octets))
    address = _only_address(header)
    domain = address.rpartition("@")[2].lower()
    if not domain:
        return Authenticated("")
    found: set[tuple[str, str]] = set()
    unsure = False
    if authserv:
        found |= {(by, one) for by, one in _told(header, authserv) if speaks_for(one, domain)}
    else:
        result = check_host(peer_ip, mail_from=mail_from, helo=helo, resolver=resolver) if mail_from else Spf.NONE
        unsure = result is Spf.TEMPERROR
        envelope = mail_from.rpartition("@")[2].lower()
        found |= {("spf", envelope)} if result is Spf.PASS and speaks_for(envelope, domain) else set()
    if not any(by == "dkim" for by, _ in found):
        signed, failed = _signed(octets, domain, resolver)
        found |= {("dkim", one) for one in signed}
        unsure = unsure or failed
    domains = frozenset(one for _, one in found)
    return Authenticated(address, domains, frozenset(by for by, _ in found), is_unsure=unsure and not domains)


def speaks_for(domain: str, from_domain: str) -> bool:
    """Whether a domain is From's, or above it by whole labels; a name of one label speaks for nobody."""
    return "." in domain and (domain == from_domain or from_domain.endswith(f".{domain}"))


def _only_address(header: Fields) -> str:
    """The address of From if there is one field with one address (RFC 5322 §3.6.2); else empty."""
    values = header.all("from")
    if len(values) != 1:
        return ""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', values[0])
    address = header.address("from")
    return address if bare.count("@") == 1 and address in bare else ""


def _told(header: Fields, authserv: str) -> Iterator[tuple[str, str]]:
    """(how, domain) of what passed at our own server, as it wrote down."""
    for value in header.all("authentication-results"):
        parts = _AUTHSERV.fullmatch(_COMMENT.sub(" ", value))
        if parts is None or parts[1].lower() != authserv.lower():
            continue
        for one in parts[2].split(";"):
            result = _RESULT.fullmatch(one)
            if result is None or result[2].lower() != "pass":
                continue
            for name, told in _PROPERTY.findall(result[3]):
                if (result[1].lower() == "dkim") == name.lower().startswith("header"):
                    yield result[1].lower(), told.rpartition("@")[2].lower()
        return


def _signed(octets: bytes, from_domain: str, resolver: Resolver) -> tuple[set[str], bool]:
    """The domains that speak for From and whose signature holds; and whether a key could not be asked for."""
    verifier: Any = dkim.DKIM
    domains: set[str] = set()
    failed = False

    def key(name: bytes, timeout: float = 5) -> bytes | None:  # noqa: ARG001  the library's signature
        nonlocal failed
        try:
            records = resolver.look_up(name.decode("ascii", "replace").rstrip("."), "TXT")
        except DnsError:
            failed = True
            return None
        return records[0].encode("latin-1", "replace") if records else None

    for place in range(MOST_SIGNATURES):
        try:
            mail = verifier(octets, minkey=LEAST_RSA_BITS)
            if not mail.verify_headerprep(place):
                break
            domain = mail.domain.decode("ascii", "replace").lower()
            if not speaks_for(domain, from_domain) or b"l" in mail.signature_fields:
                continue
            if mail.verify(place, dnsfunc=key) and b"from" in mail.include_headers:
                domains.add(domain)
        except Exception:  # noqa: S112  whatever a stranger's mail does to the library, it proves nothing
            continue
    return domains, failed
