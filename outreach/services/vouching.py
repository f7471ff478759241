"""Who vouches for the sender of a mail that came in, by the settings of this installation, and for whom they speak."""

from collections.abc import Collection

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError
from outreach.hosts import LOOPBACK
from outreach.mail import authentication
from outreach.mail.authentication import Authenticated, speaks_for
from outreach.mail.peer import Peer
from outreach.mail.resolver import Resolver, SystemResolver
from outreach.services.context import Context

_REPORT_FROM = {
    "gmail": ("google.com",),
    "microsoft": ("microsoft.com",),
    "yahoo": ("yahoo-inc.com", "yahooinc.com", "aol.net"),
}
"""Domains large providers report complaints from, beside those their readers' addresses have."""


def authenticate(ctx: Context, octets: bytes, peer: Peer, resolver: Resolver | None = None) -> Authenticated:
    """SPF and DKIM; or the results that our own mail server, or the demo mailbox beside us, wrote into the mail.

    May ask the DNS, so it is called outside any transaction. `resolver`: None for the system's.
    """
    settings = ctx.settings
    authserv = settings.inbound_authserv
    if settings.demo_mailbox is not None and peer.ip in LOOPBACK:
        authserv = authserv or settings.mail_in
    return authentication.check(
        octets,
        peer_ip=peer.ip,
        helo=peer.helo,
        mail_from=peer.mail_from,
        authserv=authserv,
        resolver=resolver or SystemResolver(),
    )


def is_from(found: Authenticated, exact: str, peer: Peer) -> bool:
    """Whether the mail is of this person, any spelling of their mailbox. SPF speaks for a domain, so by that alone the
    envelope must name them as well.
    """
    mailbox = mailbox_of(exact)
    if not mailbox or mailbox_of(found.from_address) != mailbox:
        return False
    return "dkim" in found.by or ("spf" in found.by and mailbox_of(peer.mail_from) == mailbox)


def mailbox_of(address: str) -> str:
    """The mailbox an address belongs to; empty for what is no address."""
    try:
        return addresses.parse(address).mailbox
    except InvalidInputError:
        return ""


def providers_of(ctx: Context, domains: Collection[str], exact: str) -> frozenset[str]:
    """Those of `domains` that may tell what the reader `exact` complains of: of their address's own domain, above or
    below it; of their provider; or a feedback loop's that a setting names.
    """
    own = exact.rpartition("@")[2].lower()
    family = addresses.provider(own)
    named = (own, *_REPORT_FROM.get(family, ()), *ctx.settings.feedback_domains)
    return frozenset(
        one
        for one in domains
        if speaks_for(one, own)
        or any(speaks_for(other, one) for other in named)
        or (family in _REPORT_FROM and addresses.provider(one) == family)
    )
